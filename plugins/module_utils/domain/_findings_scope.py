# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about what the audit could not see: cluster, resources, nodes. Pure."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._findings_model import (
    CRITICAL,
    INFO,
    Finding,
    Remedy,
    finding,
    names,
    plural,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import (
    FAILED,
    NOT_IN_INVENTORY,
    NOT_LINUX,
    NOT_SELECTED,
    UNREACHABLE,
    VISITED,
    Scope,
    View,
)


def access(cluster: dict[str, Any]) -> list[Finding]:
    """Return API001 or API002."""
    state = cluster["access"]
    if not state["available"]:
        summary = f"Only the nodes were examined. {state['error']}"
        remedy = Remedy(
            "Give a kubeconfig of an account that may read Nodes, Pods, DaemonSets, ConfigMaps, "
            "Installations and IPPools.",
            playbook="k8snet.cni.audit",
            variables={"k8snet_kubeconfig": "<path>"},
        )
        evidence = {**state, "could_not_check": cluster["could_not_check"]}
        # Nothing configured is a choice; what is configured and fails is a fault.
        severity = None if state["configured"] else INFO
        return [finding("API001", [], summary, remedy, evidence, severity)]
    found = []
    for blind in cluster["could_not_check"]:
        summary = f"Not checked: {blind['what']}. {blind['why']}"
        errors = [e for e in cluster["errors"] if e["resource"] == blind["resource"]]
        remedy = Remedy(f"Let the audit's account get and list {blind['resource']}.")
        found.append(
            finding(
                "API002", [], summary, remedy, {"errors": errors}, subject=str(blind["resource"])
            )
        )
    return found


def scope_states(
    cluster: dict[str, Any],
    scope: Scope,
    accepted: set[str],
    hosts: list[dict[str, Any]],
    limited: bool = True,
) -> list[Finding]:
    """Return NOD001 to NOD009.

    ``accepted``: nodes that may go unseen (k8snet_accept_unseen). ``limited``: whether --limit was
    given, so that hosts may be left out.
    """
    found = _unseen(scope, accepted, bool(cluster["nodes"]))
    found += _groups(scope, accepted)
    found += _left_out(scope, limited)
    if cluster["nodes"]:
        # Of a host that was not visited, the addresses on its NICs are not known.
        visited = [s for s in scope.strangers if s["host"]["state"] == VISITED]
        found += [_stranger(entry) for entry in visited]
    for conflict in scope.conflicts:
        summary = (
            f"Inventory hosts {' and '.join(conflict['hosts'])} are both Node {conflict['node']}; "
            f"{conflict['taken']} was used."
        )
        remedy = Remedy("Keep one of them, or set k8snet_node_name for each.")
        evidence = {"hosts": conflict["hosts"]}
        found.append(finding("NOD006", [conflict["node"]], summary, remedy, evidence))
    if not hosts or (not any(h["state"] == VISITED for h in hosts) and not found):
        found.append(_empty())
    return found


def _unseen(scope: Scope, accepted: set[str], clustered: bool) -> list[Finding]:
    """Return NOD003 and NOD007: one finding for all nodes that were not seen for one reason."""
    causes: dict[tuple[Any, ...], list[View]] = {}
    for view in scope.views:
        if view.state in (UNREACHABLE, FAILED):
            lost = view.node is None and clustered
            key = (view.state, _is_accepted(view, accepted), lost, _cause(view))
            causes.setdefault(key, []).append(view)
    return [_not_seen(group, *key) for key, group in causes.items()]


def _not_seen(group: list[View], state: str, accepted: bool, lost: bool, cause: str) -> Finding:
    per_node = {view.name: _what_is_known(view) for view in group}
    nodes, known = list(per_node), list(per_node.values())
    several = len(nodes) > 1
    hosts = ",".join(str(entry["host"]) for entry in known[:3])
    if state == UNREACHABLE:
        ident, what = "NOD003", "could not be reached"
        remedy = Remedy(
            f"Make {'them' if several else 'it'} reachable for Ansible, over "
            f"{'their' if several else 'its'} out-of-band address if need be (ansible_host), and "
            "audit again.",
            (f"ansible -i <inventory> {hosts} -m ansible.builtin.ping",),
        )
    else:
        ident, what = "NOD007", f"{'were' if several else 'was'} reached but could not be examined"
        remedy = Remedy("Repair what the message says, and audit again.")
    words = f"{names(nodes)} {what}, nothing on {'them' if several else 'it'} was checked"
    if lost and several:
        words += " (which Nodes they are cannot be told; see k8snet_node_name)"
    elif lost:
        words += " (which Node it is cannot be told; see k8snet_node_name)"
    words += _readiness([entry["node_ready"] for entry in known])
    evidence = {
        **({} if several else known[0]),
        "error": cause if several else known[0]["error"],
        "per_node": per_node,
    }
    severity = INFO if accepted else CRITICAL
    return finding(ident, nodes, f"{words}: {evidence['error']}", remedy, evidence, severity)


def _readiness(said: list[bool | None]) -> str:
    """Return what the cluster says of nodes that were not seen, if anything."""
    if all(ready is None for ready in said):
        return ""
    if len(said) == 1:
        return f" (the cluster says it is {'Ready' if said[0] else 'not Ready'})"
    return f" (the cluster says {sum(map(bool, said))} of these {len(said)} are Ready)"


def _what_is_known(view: View) -> dict[str, Any]:
    host = view.host or {}
    return {
        "host": host.get("name"),
        "address": host.get("address"),
        "error": _plain_error(host.get("error")),
        "node_ready": (view.node or {}).get("ready"),
    }


def _cause(view: View) -> str:
    """Return why a node was not seen, in words that fit others with the same fault."""
    known = _what_is_known(view)
    own = {
        view.name,
        known["host"],
        known["address"],
        *((view.node or {}).get("internal_ips") or ()),
    }
    words = "|".join(re.escape(str(word)) for word in sorted(filter(None, own), key=len)[::-1])
    return re.sub(rf"(?<![\w.:-])({words})(?![\w-]|[.:]\w)", "<host>", known["error"])


def _plain_error(error: Any) -> str:
    """Return Ansible's message on one line, without the words that it puts before each."""
    text = " ".join(str(error or "no reason given").split())
    return re.sub(r"^((Task|Action|Module) failed: )+", "", text)


def _is_accepted(view: View, accepted: set[str]) -> bool:
    return bool({view.name, (view.host or {}).get("name")} & accepted)


def _groups(scope: Scope, accepted: set[str]) -> list[Finding]:
    """Return one finding for all Nodes in the same state."""
    found = []
    missing = [v for v in scope.views if v.state == NOT_IN_INVENTORY]
    for group, severity in (
        ([v for v in missing if not _is_accepted(v, accepted)], None),
        ([v for v in missing if _is_accepted(v, accepted)], INFO),
    ):
        if group:
            nodes = [v.name for v in group]
            summary = (
                f"{plural(len(nodes), 'Node')} of the cluster not in the inventory, so not "
                f"examined: {names(nodes)}."
            )
            maybe = [s["host"]["name"] for s in scope.strangers if s["host"]["state"] != VISITED]
            if maybe:
                summary += f" Perhaps {names(maybe)}, which could not be told without a visit."
            remedy = Remedy(
                "Add them to the group (k8snet_hosts), or name them in k8snet_accept_unseen."
            )
            found.append(finding("NOD001", nodes, summary, remedy, severity=severity))
    others = [v.name for v in scope.views if v.state == NOT_LINUX]
    if others:
        summary = f"{plural(len(others), 'Node')} not running Linux, not examined: {names(others)}."
        found.append(finding("NOD004", others, summary, Remedy("Nothing: only Linux is examined.")))
    return found


def _left_out(scope: Scope, limited: bool) -> list[Finding]:
    """Return NOD002, or NOD009 where nobody asked to leave anything out."""
    nodes = [v.name for v in scope.views if v.state == NOT_SELECTED]
    if not nodes:
        return []
    if limited:
        summary = f"{plural(len(nodes), 'node')} left out by --limit: {names(nodes)}."
        return [finding("NOD002", nodes, summary, Remedy("Run without --limit."))]
    summary = (
        f"{plural(len(nodes), 'node')} passed over although there is no --limit, so not examined: "
        f"{names(nodes)}. Either a task before failed on them, or k8snet_hosts is set in the "
        "inventory, where plays cannot see it."
    )
    remedy = Remedy(
        "See the messages above the report. Give k8snet_hosts on the command line.",
        ("ansible-playbook k8snet.cni.audit -i <inventory> -e k8snet_hosts=<group>",),
    )
    return [finding("NOD009", nodes, summary, remedy)]


def _stranger(entry: dict[str, Any]) -> Finding:
    host = entry["host"]
    remedy = Remedy(
        "Set k8snet_node_name for that host, or take it out of the group (k8snet_hosts). If all "
        "hosts are concerned, the kubeconfig is another cluster's."
    )
    summary = f"Inventory host {host['name']} is no Node of this cluster: {entry['reason']}."
    return finding("NOD005", [host["name"]], summary, remedy, {"address": host.get("address")})


def _empty() -> Finding:
    return finding(
        "NOD008",
        [],
        "No node was visited: the inventory has no hosts in the group (k8snet_hosts), or --limit "
        "leaves none.",
        Remedy(
            "Put the nodes into the group k8snet_hosts, or name another group or pattern.",
            ("ansible-playbook k8snet.cni.audit -i <inventory> -e k8snet_hosts=<group>",),
        ),
    )
