# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether, and how, Calico's autodetection method may be changed. Pure.

Everything that would leave a node without an address, with another node's, or with one that nobody
predicted is refused here, before anything is written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_case import (
    FIRST_FOUND,
    INTERNAL_IP,
    Case,
    Family,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_hold import hold_mode
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_own import interfaces
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_probes import probes_of
from ansible_collections.k8snet.cni.plugins.module_utils.domain._findings_model import names
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import (
    NOT_LINUX,
    VISITED,
    Scope,
    bare,
    match,
)

AUTO = "auto"
FAMILIES = (4, 6)
DNS_NAME = "kubernetes.default.svc.cluster.local"
# What a prediction for every node needs to know of the cluster.
_NEEDED = ("nodes", "daemonsets", "installations")
# Nodes that one refusal names: whoever accepts them has to name them all.
_MOST_NAMES = 50


@dataclass
class Decision:
    """What was decided, and why not. ``expect``: Node -> {v4, v6}, None where none is expected."""

    methods: dict[str, str | None] = field(default_factory=dict)
    expect: dict[str, dict[str, str | None]] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    unverified: list[str] = field(default_factory=list)
    whatif: dict[str, Any] = field(default_factory=dict)

    def refuse(self, text: str) -> None:
        if text not in self.refusals:
            self.refusals.append(text)


def decide(
    cluster: dict[str, Any],
    calico: dict[str, Any],
    hosts: list[dict[str, Any]],
    options: dict[str, Any],
) -> dict[str, Any]:
    """Return ``{refusals, methods, expect, former, table, unverified, probes, interfaces, hold,
    whatif}``.

    ``cluster``: k8snet_cluster of cluster_info; ``calico``: what calico_info returns; ``hosts`` as
    `_nodes.match` wants them. ``options``: method_v4, method_v6 (Calico's words, auto, or None to
    leave the family alone), accept_unseen (Node names), canary (Node or None), hold_seconds,
    canary_seconds, dns_name,
    override_owner (bool).

    ``former``: Node -> {v4, v6}, what is stored now. ``table``: a row per Node and family, ``{node,
    family, before, after, interface, reason, changes}``. ``probes``: what each visited node is
    asked, see `_calico_probes.probes_of`. ``interfaces``: what is asked where calico-node is not
    ready, see `_calico_own.interfaces`. ``hold``: how the roll-out is held after its first node,
    see `_calico_hold.hold_mode`.
    """
    scope = match(hosts, cluster["nodes"])
    decision = Decision()
    _judge_read(decision, cluster)
    _judge_install(decision, calico, options)
    _judge_scope(decision, scope, names_of(options.get("accept_unseen")))
    for family in FAMILIES:
        _decide_family(decision, cluster, scope, family, options)
    hold = hold_mode(calico, options)
    dns_name = options.get("dns_name") or DNS_NAME
    if hold["refusal"]:
        decision.refuse(hold["refusal"])
    return {
        "refusals": decision.refusals,
        "methods": decision.methods,
        "expect": decision.expect,
        "former": {
            node["name"]: {f"v{n}": node["calico"][f"ipv{n}_address"] for n in FAMILIES}
            for node in cluster["nodes"]
            if node["os"] == "linux"
        },
        "table": decision.rows,
        "unverified": decision.unverified,
        "probes": probes_of(decision.rows, scope, cluster, calico, dns_name),
        "interfaces": interfaces(scope, cluster, calico, decision.expect),
        "hold": {key: value for key, value in hold.items() if key != "refusal"},
        "whatif": decision.whatif,
    }


def _judge_read(decision: Decision, cluster: dict[str, Any]) -> None:
    """Refuse where the cluster was not read: of a Node that nobody knows nothing is predicted."""
    for blind in cluster["could_not_check"]:
        if blind["resource"] in _NEEDED:
            decision.refuse(f"It is not known {blind['what']}: {blind['why']}")


def _judge_install(decision: Decision, calico: dict[str, Any], options: dict[str, Any]) -> None:
    if calico["install"] not in ("operator", "manifest"):
        decision.refuse(str(calico["reason"]))
    owner = calico["owner"]
    if owner["by"] and not options.get("override_owner"):
        decision.refuse(
            f"{calico['target']['kind']} {calico['target']['name']} belongs to {owner['by']} "
            f"({owner['evidence']}), which would revert the change. Commit this there instead, or "
            f"set k8snet_override_owner=true in an emergency:\n{owner['snippet']}"
        )
    for lacking in calico["permissions"]:
        if lacking["allowed"] is False:
            group = f".{lacking['group']}" if lacking["group"] else ""
            name = f" {lacking['name']}" if lacking["name"] else ""
            decision.refuse(
                f"The account may not {lacking['verb']} {lacking['resource']}{group}{name}. "
                "docs/rbac/remediation.yml holds the role it needs."
            )


def names_of(value: Any) -> set[str]:
    """Return names given as a list, or as ``-e name=a,b`` hands them on: one string."""
    names = value.split(",") if isinstance(value, str) else value or ()
    return {str(name).strip() for name in names}


def _judge_scope(decision: Decision, scope: Scope, accepted: set[str]) -> None:
    unseen: dict[str, list[str]] = {}
    for view in scope.views:
        if view.node is None or view.state in (VISITED, NOT_LINUX) or view.name in accepted:
            continue
        unseen.setdefault(view.state, []).append(view.name)
    for state, nodes in unseen.items():
        several = len(nodes) > 1
        why = {"not_in_inventory": "not in the inventory", "not_selected": "left out"}
        be = "are" if several else "is"
        if state != "not_in_inventory":
            be = "were" if several else "was"
        decision.refuse(
            f"{names(nodes, _MOST_NAMES)} {be} {why.get(state, 'not visited: ' + state)}, and the "
            f"change affects every node. Make {'them' if several else 'it'} reachable, or name "
            f"{'them' if several else 'it'} in k8snet_accept_unseen."
        )
    for conflict in scope.conflicts:
        decision.refuse(
            f"Hosts {', '.join(conflict['hosts'])} all are Node {conflict['node']}. Set "
            "k8snet_node_name for them."
        )


def _decide_family(
    decision: Decision,
    cluster: dict[str, Any],
    scope: Scope,
    family: int,
    options: dict[str, Any],
) -> None:
    key = f"v{family}"
    decision.methods[key] = None
    wanted = options.get(f"method_{key}") or None
    settings = (cluster["calico"].get("methods") or {}).get(key)
    if not wanted or not settings or cluster["calico"]["install"] not in ("operator", "manifest"):
        return
    if settings["mode"] == "off" and family == 6:
        return  # Calico has no IPv6 addresses here; a method would switch them on.
    if settings["mode"] != "autodetect" and cluster["calico"]["install"] == "manifest":
        variable = "IP" if family == 4 else "IP6"
        decision.refuse(
            f"calico-node does not detect its IPv{family} address again ({variable} is not "
            "autodetect), so a method would change nothing. Set that variable first."
        )
        return
    joined = Family(cluster, scope, family)
    known = [case for case in joined.cases if case.view.nics is not None]
    decision.whatif[key] = {case.name: joined.table(case) for case in known}
    method = _auto(decision, joined) if wanted == AUTO else str(wanted)
    if method is None:
        return
    decision.methods[key] = method
    for case in joined.cases:
        _expect(decision, joined, case, method)
    _refuse_shared(decision, scope, family)


def _auto(decision: Decision, joined: Family) -> str | None:
    """Return the method under which every node gets its InternalIP; refuse if there is none."""
    cases = [case for case in joined.cases if case.view.nics is not None]
    seen = len(cases) == len(joined.cases)
    order = sorted(set(joined.methods), key=lambda m: (m != INTERNAL_IP, m == FIRST_FOUND, m))
    for method in order:
        # Of a node that nobody visited only the InternalIP is known.
        if not seen and method != INTERNAL_IP:
            continue
        if all(bare(joined.predict(c, method)["address"]) in c.internal for c in cases):
            return str(method)
    tried = ", ".join(order)
    decision.refuse(
        f"No method gives every node its InternalIP (IPv{joined.number}; tried {tried}). The "
        "what-if table tells what each gives; name one of them, or repair the NICs first."
    )
    return None


def _expect(decision: Decision, joined: Family, case: Case, method: str) -> None:
    view, family = case.view, case.family
    row: dict[str, Any] = {"node": view.name, "family": family, "before": case.stored}
    if view.nics is None:
        internal = view.internal_ips(family)
        after = internal[0] if method == INTERNAL_IP and internal else None
        reason = "Follows from the API: the node was not visited."
        if after is None:
            reason = "Cannot be predicted: the node was not visited."
            decision.unverified.append(view.name)
        row.update(after=after, interface=None, reason=reason)
    else:
        found = joined.predict(case, method)
        row.update(after=found["address"], interface=found["interface"], reason=found["reason"])
        if found["error"]:
            decision.refuse(f"{method}: {found['error']}")
        elif not found["address"]:
            decision.refuse(
                f"{view.name} would end without an IPv{family} address under {method}: "
                f"{found['reason']}"
            )
    row["changes"] = row["after"] is not None and bare(row["after"]) != bare(case.stored)
    decision.rows.append(row)
    decision.expect.setdefault(view.name, {"v4": None, "v6": None})[f"v{family}"] = row["after"]


def _refuse_shared(decision: Decision, scope: Scope, family: int) -> None:
    """Refuse an address that two nodes would have, or that is another Node's InternalIP."""
    holders: dict[str, str] = {
        ip: view.name for view in scope.views for ip in view.internal_ips(family)
    }
    taken: dict[str, str] = {}
    for row in [row for row in decision.rows if row["family"] == family and row["after"]]:
        address = bare(row["after"])
        other = taken.get(address) or holders.get(address, row["node"])
        if other != row["node"]:
            decision.refuse(
                f"{row['node']} would get {row['after']} ({row['interface']}), which is the "
                f"address of {other}. Calico clears the address of one of two nodes that share it."
            )
        taken.setdefault(address, row["node"])
