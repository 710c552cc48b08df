# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a node serves Services as it is to, with kube-proxy, beside it or without. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _removal_rules as rules

Obj = dict[str, Any]
#: AntreaProxy serves while kube-proxy still runs; kube-proxy is gone; kube-proxy is back.
BESIDE, REMOVED, RETURNED = "beside", "removed", "returned"
#: Only whether Services and the API server answer.
ANSWERS = "answers"


def problems(plan: Obj, name: str, look: Obj, phase: str) -> list[str]:
    """Return what of a node is not as it is to be in a phase, [] when all is.

    ``look``: ``{facts, probe, rules, error}`` of node_facts, service_probe and kube_proxy_rules.
    """
    facts, probe = look.get("facts") or {}, look.get("probe") or {}
    seen = facts.get("k8snet_kube_proxy") or {}
    if "connections" not in probe or not (seen or phase == ANSWERS):
        return [f"{name} could not be looked at: {look.get('error') or 'no answer'}"]
    node = plan["nodes"][name]
    found = list(_unanswered(node, probe))
    if phase != RETURNED and (api := probe.get("api")) and not api["ok"]:
        found.append(f"{api['url']}: {api['error']}")
    if phase in (BESIDE, REMOVED):
        found += _ways(plan, facts, phase)
    if phase == BESIDE:
        found += _no_sign(plan, probe)
    found += list(_left(node, seen, look)) if phase == REMOVED else []
    if phase == RETURNED:
        found += _back(plan, seen)
    return [f"{name}: {text}." for text in found]


def _unanswered(node: Obj, probe: Obj) -> Iterator[str]:
    """Say which Services no longer answer of those that did before the change."""
    for entry in [*probe["connections"], *probe["dns"]]:
        if entry["ok"] is False and [entry["name"], bool(entry["pod"])] in node["answered"]:
            where = "a pod" if entry["pod"] else "the node"
            host = f"[{entry['address']}]" if ":" in entry["address"] else entry["address"]
            at = f"{host}:{entry['port']}"
            yield f"{entry['name']} ({at}) does not answer {where}: {entry['error']}"


def _ways(plan: Obj, facts: Obj, phase: str) -> Iterator[str]:
    """Say which Service's way does not lead to Antrea.

    While kube-proxy runs in IPVS mode its addresses are the node's own, and nothing shows.
    """
    if phase == BESIDE and plan["mode"] == "ipvs":
        return
    for address in plan["routed"]:
        way = (facts.get("k8snet_reach") or {}).get(address) or {}
        if way.get("interface") != plan["gateway"]:
            taken = way.get("interface") or way.get("error") or "nowhere"
            yield f"the way to {address} goes over {taken}, not over {plan['gateway']}"


def _no_sign(plan: Obj, probe: Obj) -> Iterator[str]:
    """Say where AntreaProxy does not show, while kube-proxy would answer in its stead.

    With proxyAll Antrea leads the Service networks to its gateway by the main routing table, which
    no mode of kube-proxy touches.
    """
    for address in plan["routed"]:
        taken = (probe.get("main_routes") or {}).get(address)
        if taken != plan["gateway"]:
            yield (
                f"nothing shows that AntreaProxy serves there: its main routing table leads "
                f"{address} to {taken or 'nowhere'}, not to {plan['gateway']}, and what answers "
                "may be kube-proxy alone. See whether antreaProxy.proxyAll is in force in the log "
                "of its antrea-agent"
            )


def _left(node: Obj, seen: Obj, look: Obj) -> Iterator[str]:
    """Say what is there that is to be gone, and gone that is to be there."""
    if seen["running"]:
        yield "kube-proxy still runs"
    held = list(node["kept"])
    if node["changes"]:  # else what was removed last was another node's
        kept = ((look.get("rules") or {}).get("kept")) or ()
        held += [entry["name"] for entry in kept if entry["what"] == "ipset"]
    for text in rules.residue(seen, node["tolerated"], held):
        yield f"left of kube-proxy: {text}"
    if node["firewall"] and not rules.has_firewall(seen):
        yield f"kubelet's {rules.FIREWALL} is gone"
    for text in seen["errors"]:
        if text not in node["errors"]:
            yield text


def _back(plan: Obj, seen: Obj) -> Iterator[str]:
    if not seen["running"]:
        yield "kube-proxy does not run"
    counts = seen["counts"]
    there = {
        "iptables": counts["chains"],
        "ipvs": counts["virtual_servers"],
        "nftables": counts["nft_tables"],
    }
    if not there.get(plan["mode"], True):
        yield f"kube-proxy has not written its rules yet ({plan['mode']} mode)"
