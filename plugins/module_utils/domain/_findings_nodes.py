# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about a node's own state: its NICs, Open vSwitch, service rules. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _remedies
from ansible_collections.k8snet.cni.plugins.module_utils.domain._findings_model import (
    CRITICAL,
    INFO,
    WARNING,
    Finding,
    Remedy,
    finding,
    names,
    plural,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import VISITED, Scope, View

_DRIFT = {"added": "NIC002", "removed": "NIC003", "renamed": "NIC004", "readdressed": "NIC005"}


def nic_drift(scope: Scope, explained: set[tuple[str, str]]) -> list[Finding]:
    """Return NIC001 to NIC006; ``explained`` holds (node, NIC) told by another finding."""
    found: list[Finding] = []
    without: list[str] = []
    for view in scope.views:
        if view.state != VISITED or view.nics is None:
            continue
        drift = view.facts.get("k8snet_nic_drift")
        if drift is None:
            without.append(view.name)
            continue
        if drift.get("error"):
            found.append(_unusable_baseline(view, str(drift["error"])))
        for change in drift.get("changes") or ():
            if (view.name, change["name"]) not in explained:
                found.append(_change(view, drift, change))
    if without:
        summary = (
            f"{plural(len(without), 'node')} ({names(without)}) without a NIC baseline: added or "
            "renamed NICs cannot be told there."
        )
        remedy = Remedy(
            "Record the NICs once the nodes are as they should be.",
            ("ansible-playbook k8snet.cni.baseline -i <inventory>",),
            "k8snet.cni.baseline",
        )
        found.append(finding("NIC001", without, summary, remedy))
    return found


def _unusable_baseline(view: View, error: str) -> Finding:
    host = (view.host or {}).get("name") or view.name
    return finding(
        "NIC006",
        [view.name],
        f"The NIC baseline of {view.name} cannot be used: {error.rstrip('. ')}.",
        _remedies.new_baseline(host),
        {"error": error},
    )


def _change(view: View, drift: dict[str, Any], change: dict[str, Any]) -> Finding:
    name, before, after = change["name"], change["before"] or {}, change["after"] or {}
    now = ", ".join(after.get("addresses") or ()) or "no address"
    was = ", ".join(before.get("addresses") or ()) or "no address"
    summary = {
        "added": f"{name} ({now}) was added on {view.name}",
        "removed": f"{name} ({was}) is gone from {view.name}",
        "renamed": f"{change['was']} is called {name} now on {view.name}",
        "readdressed": f"{name} on {view.name} changed from {was} to {now}",
    }[change["change"]]
    if change["change"] == "readdressed" and was == now:
        summary = f"{name} on {view.name} is another device now (hardware address or bus position)"
    return finding(
        _DRIFT[change["change"]],
        [view.name],
        f"{summary} since the baseline of {drift['recorded_at']}.",
        _remedies.baseline([(view.host or {}).get("name") or view.name]),
        {"nic": name, "change": change, "recorded_at": drift["recorded_at"]},
        since=drift["recorded_at"],
        subject=f"{view.name} {name}",
    )


def ovs(cluster: dict[str, Any], scope: Scope, min_age: int) -> list[Finding]:
    """Return OVS001 to OVS003. ``min_age``: seconds during which flow-restore-wait is normal."""
    found: list[Finding] = []
    for view in scope.views:
        facts = view.facts.get("k8snet_ovs")
        if not isinstance(facts, dict):
            continue
        if facts.get("error"):
            found.append(_ovs_unread(view, str(facts["error"])))
        elif not facts.get("present"):
            if cluster["antrea"]["installed"] and view.node is not None:
                found.append(
                    _ovs_unread(view, "no OVSDB socket was found, yet Antrea is installed")
                )
        else:
            entry = _flow_restore(view, facts, min_age) or _not_applying(view, facts)
            found += [entry] if entry else []
    return found


def _ovs_evidence(facts: dict[str, Any]) -> dict[str, Any]:
    keys = "socket version flow_restore_wait cur_cfg next_cfg enslaved vswitchd_running"
    return {key: facts.get(key) for key in (*keys.split(), "vswitchd_uptime")}


def _ovs_unread(view: View, error: str) -> Finding:
    summary = f"Open vSwitch on {view.name} could not be read: {error.rstrip('. ')}."
    remedy = Remedy("See whether ovsdb-server (container antrea-ovs) runs on that node.")
    return finding("OVS003", [view.name], summary, remedy, {"error": error})


def _flow_restore(view: View, facts: dict[str, Any], min_age: int) -> Finding | None:
    if not facts.get("flow_restore_wait"):
        return None
    age = facts.get("vswitchd_uptime")
    moved = [e for e in facts.get("enslaved") or () if e.get("addresses_on")]
    summary = f"Open vSwitch on {view.name} holds packets back (flow-restore-wait is on"
    severity = None
    if facts.get("vswitchd_running") is False:
        summary += ", and vswitchd does not run)"
    elif age is None:
        summary += ")"
    elif age < min_age:
        severity = INFO
        summary += f" for {age:.0f} s at most, normal while the agent starts)"
    else:
        summary += f", vswitchd is up for {_ago(age)})"
    if moved and severity is None:
        nics = names([str(e.get("nic")) for e in moved])
        summary += f", and the node's own NIC {nics} is on a bridge: it may be cut off"
    return finding(
        "OVS001",
        [view.name],
        summary + ".",
        _remedies.flow_restore(facts),
        _ovs_evidence(facts),
        severity,
    )


def _ago(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _not_applying(view: View, facts: dict[str, Any]) -> Finding | None:
    behind = (facts.get("next_cfg") or 0) > (facts.get("cur_cfg") or 0)
    dead = facts.get("vswitchd_running") is False
    if not (behind or dead):
        return None
    what = "ovs-vswitchd does not run" if dead else "ovs-vswitchd has not applied its last change"
    summary = (
        f"{what} on {view.name} (cur_cfg {facts.get('cur_cfg')}, next_cfg {facts.get('next_cfg')})."
    )
    remedy = Remedy(
        "See the log of ovs-vswitchd (container antrea-ovs); if it was only a moment, audit again.",
        ("tail -n 50 /var/log/antrea/openvswitch/ovs-vswitchd.log",),
    )
    severity = CRITICAL if dead else WARNING
    return finding("OVS002", [view.name], summary, remedy, _ovs_evidence(facts), severity)


def kube_proxy(cluster: dict[str, Any], scope: Scope) -> list[Finding]:
    """Return KPR001 to KPR003. Residue is judged only where Antrea's proxyAll has taken over."""
    found: list[Finding] = []
    runs = _runs(cluster["kube_proxy"])
    proxy_all = cluster["antrea"]["proxy_all"]
    if proxy_all and runs:
        found.append(_beside(cluster["kube_proxy"]))
    for view in scope.views:
        facts = view.facts.get("k8snet_kube_proxy")
        if not isinstance(facts, dict):
            continue
        if facts.get("errors"):
            summary = (
                f"Service rules of {view.name} could not be read completely: "
                f"{str(facts['errors'][0]).rstrip('. ')}."
            )
            remedy = Remedy("Read them by hand on that node, as root.", ("iptables-save",))
            found.append(
                finding("KPR003", [view.name], summary, remedy, {"errors": facts["errors"]})
            )
        if proxy_all and runs is False and not facts.get("running"):
            residue = _residue(facts)
            if residue:
                found.append(_left_over(view, facts, residue))
    return found


def _runs(facts: dict[str, Any]) -> bool | None:
    """Return whether kube-proxy still runs anywhere, None if that is not known."""
    if facts["in_process"]:
        return True
    if facts["present"] is None:
        return None
    return bool(facts["present"]) and facts["desired"] != 0


def _beside(facts: dict[str, Any]) -> Finding:
    mode = facts["mode"] or "unknown"
    mixed = mode in ("ipvs", "nftables")
    summary = f"kube-proxy ({mode} mode) still runs while Antrea's proxyAll is on" + (
        "; in that mode Services have mixed owners." if mixed else "; the two get along."
    )
    remedy = Remedy(
        "Remove kube-proxy once proxyAll is verified on every node.",
        playbook="k8snet.cni.kube_proxy_removal",
    )
    return finding("KPR002", [], summary, remedy, dict(facts), WARNING if mixed else INFO)


def _residue(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the non-empty parts of a node's residue."""
    residue = dict(facts.get("residue") or {})
    # A table whose chains all have to stay (others use them) holds nothing that could go.
    residue["iptables"] = [e for e in residue.get("iptables") or () if e.get("chains")]
    return {k: v for k, v in residue.items() if _size(v)}


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return int(value.get("count") or 0) if "count" in value else len(value)
    return len(value) if isinstance(value, (list, str)) else int(bool(value))


def _left_over(view: View, facts: dict[str, Any], residue: dict[str, Any]) -> Finding:
    parts = []
    chains = sum(int(e.get("chains") or 0) for e in residue.get("iptables") or ())
    if chains:
        parts.append(plural(chains, "iptables chain"))
    words = {"ipsets": "ipset", "virtual_servers": "IPVS server", "nft_tables": "nftables table"}
    parts += [plural(_size(residue[k]), word) for k, word in words.items() if k in residue]
    severity = None
    if "kube_ipvs0" in residue:
        parts.append("kube-ipvs0")
        severity = CRITICAL
    if not parts:
        parts = sorted(residue)
    summary = (
        f"kube-proxy is gone but left {', '.join(parts)} on {view.name} beside Antrea's proxyAll"
    )
    if severity:
        summary += "; kube-ipvs0 makes Service addresses local, so Services cannot be reached"
    remedy = _remedies.kube_proxy()
    evidence = {"residue": residue, "blockers": facts.get("blockers") or []}
    return finding("KPR001", [view.name], summary + ".", remedy, evidence, severity)
