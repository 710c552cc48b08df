# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole decision about feature gates: cluster, Antrea and what runs on the nodes. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _antrea_config,
    _antrea_features,
    _external_node,
    _feature_marks,
    _features_lines,
    _node_policy_plan,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_tables as tables
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_features import Ask, Found
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_model import FATAL
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_tables import (
    AGENT,
    CONTROLLER,
    FILES,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_decision import names_of
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import (
    VISITED,
    View,
    match,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._plan_lines import natural
from ansible_collections.k8snet.cni.plugins.module_utils.domain._secondary_decision import (
    unready,
    unseen,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._written import unread
from ansible_collections.k8snet.cni.plugins.module_utils.domain._yaml_text import TextError

Obj = dict[str, Any]
#: Rights of antrea_info's review that gates do not need.
_OTHERS = ("nodes", "antreanodeconfigs")
#: Gates that do nothing on an older Kubernetes.
_KUBERNETES = {
    "PreferSameTrafficDistribution": (1, 33),
    "ServiceTrafficDistribution": (1, 30),
}


def wanted(antrea: Obj, options: Obj) -> Obj:
    """Return ``{expected, port}``: gates that agents are to run with, and where they are asked.

    What cannot be judged yet, `decide` refuses.
    """
    found = _resolved(antrea, options)[0]
    agent = ((antrea.get("config") or {}).get(AGENT)) or {}
    return {"expected": found.expected, "port": agent.get("apiPort") or 10350}


def decide(cluster: Obj, antrea: Obj, hosts: list[Obj], options: Obj) -> Obj:
    """Return what may be done, and how: the keys below and in the filter of the role.

    ``hosts``: as `_nodes.match` takes them, each with ``gates`` (of antrea_gates, or its error).
    ``options``: gates, prerequisites, accept_deprecated, upgrade_to, canary, control_planes (names
    of Nodes), accept_unseen, override_owner, width; external_ips, l7_export, and for them objects
    (as `_feature_marks.marks` takes them) and kube_proxy (of kube_proxy_info); node_policy and ssh,
    as `_node_policy_plan.plan` takes them; external_nodes and what their agents are told, as
    `_external_node.problems` takes it; clickhouse_alter, and clickhouse_error (why ClickHouse could
    not be asked).
    """
    scope = match(hosts, cluster["nodes"])
    accepted = names_of(options.get("accept_unseen"))
    left = [v.name for v in scope.views if v.node is not None and v.state != VISITED]
    known = accepted & set(left)
    agents = [agent for agent in antrea["agents"] if agent["node"] not in known]
    refusals = unready({**antrea, "agents": agents}, options) + unseen(scope, accepted)
    width = int(options.get("width") or 100)
    plan: Obj = {
        "refusals": refusals + _forbidden(antrea),
        "warnings": [],
        "version": antrea["version"],
        "settings": {"agent": {}, "controller": {}, "feature_gates": {}},
        "pulled": [],
        "expected": {},
        "steps": [],
        "upgrade": [],
        "marks": [],
        "strict_arp": False,
        "policy": {},
        "external": [],
        "writes": False,
        "controller": False,
        "pending": False,
        "nodes": {},
        "order": [],
        "hosts": [],
        "canary": "",
        "unseen": left,
    }
    if antrea["installed"] and antrea["config_map"] is not None:
        files = _judge(plan, cluster, antrea, options)
        views = [view for view in scope.views if view.state == VISITED and view.node]
        _nodes(plan, views, antrea, files, options)
        _marks(plan, options)
        _policy(plan, antrea, options)
        _external(plan, cluster, options)
    plan["lines"] = _features_lines.lines(plan, width)
    return plan


def _resolved(antrea: Obj, options: Obj) -> tuple[Found, str | None]:
    """Return what was found, and why nothing could be."""
    if not antrea["installed"] or antrea["config_map"] is None:
        return Found(), None  # `unready` says so
    ask = Ask(
        {
            **_feature_marks.gates(antrea, options),
            **_node_policy_plan.gates(antrea, options),
            **(options.get("gates") or {}),
        },
        bool(options.get("prerequisites")),
        frozenset(names_of(options.get("accept_deprecated"))),
    )
    try:
        found = _antrea_features.resolve(_antrea_features.have_of(antrea), ask)
    except TextError as error:
        return Found(), str(error)
    # Of the controller alone: agents of nodes have no use for it.
    found.files[CONTROLLER].update(_external_node.wanted(antrea, options))
    return found, None


def _judge(plan: Obj, cluster: Obj, antrea: Obj, options: Obj) -> set[str]:
    """Note what would be written and what bars it; return the files that would change."""
    found, unread = _resolved(antrea, options)
    if unread:
        return set()  # `unready` says so
    have = _antrea_features.have_of(antrea)
    plan["refusals"] += found.refusals
    plan["pulled"], plan["expected"] = found.pulled, found.expected
    plan["settings"] = {**found.files, "feature_gates": found.gates}
    plan["warnings"] += _old_kubernetes(cluster, found)
    _upgrade(plan, have, found, str(options.get("upgrade_to") or ""))
    if found.refusals:
        return set()
    try:
        change = _antrea_config.plan_change(have, found.want())
    except Refused as error:
        plan["refusals"].append(str(error))
        return set()
    plan["steps"] = [
        f"{step.target.rpartition(': ')[2]}: {step.action}" for step in change.plan.steps
    ]
    plan["writes"] = change.plan.changed
    asked = found.want().where(have.version)
    plan["warnings"] += [
        f"{FILES[p['component']]}: {p['what']}. {p['remedy']}."
        for p in antrea["problems"]
        if p["level"] == "vain" and (p["component"], p["path"]) not in asked
    ]
    return {step.target.rpartition(": ")[2] for step in change.plan.steps}


def _marks(plan: Obj, options: Obj) -> None:
    """Note the annotations that change, and whether kube-proxy needs strictARP for them."""
    empty: Obj = {"services": [], "pools": [], "namespaces": [], "pods": []}
    plan["marks"], barred = _feature_marks.marks(
        options, {**empty, **(options.get("objects") or {})}
    )
    plan["strict_arp"], unwilling = _feature_marks.strict_arp(
        options, options.get("kube_proxy") or {}
    )
    plan["refusals"] += barred + unwilling
    plan["steps"] += [_feature_marks.words(change) for change in plan["marks"]]
    unasked = str(options.get("clickhouse_error") or "")
    if unasked:
        said = f"Theia's tables were not looked at: {unasked}"
        plan["refusals" if options.get("clickhouse_alter") else "warnings"].append(said)
    if plan["strict_arp"]:
        plan["steps"].append(
            "kube-proxy gets strictARP, and its pods start anew: in IPVS mode every node would "
            "answer ARP for the addresses of Services"
        )
    plan["pending"] = bool(plan["pending"] or plan["marks"] or plan["strict_arp"])


def _policy(plan: Obj, antrea: Obj, options: Obj) -> None:
    """Note the policy for nodes, judged, and the node on which it is tried."""
    hosts = dict(zip(plan["order"], plan["hosts"]))
    plan["policy"], barred = _node_policy_plan.plan(antrea, options, hosts)
    plan["refusals"] += barred
    if plan["policy"].get("changes"):
        plan["steps"] += _node_policy_plan.words(plan["policy"])
        plan["warnings"] += plan["policy"]["warnings"]
        plan["pending"] = True


def _external(plan: Obj, cluster: Obj, options: Obj) -> None:
    """Note the ExternalNodes that change."""
    cidrs = (options.get("kube_proxy") or {}).get("service_cidrs") or []
    barred = list(_external_node.problems(options, cluster, cidrs))
    plan["refusals"] += barred
    if barred:
        return
    objects = (options.get("objects") or {}).get("external_nodes") or []
    plan["external"] = _external_node.changes(options, objects)
    for change in plan["external"]:
        meta = change["object"]["metadata"]
        verb = "is changed" if change["before"] else "is made"
        plan["steps"].append(f"ExternalNode {meta['namespace']}/{meta['name']} {verb}")
    plan["pending"] = bool(plan["pending"] or plan["external"])


def _old_kubernetes(cluster: Obj, found: Found) -> list[str]:
    versions = [tables.parse_version(node.get("kubelet_version")) for node in cluster["nodes"]]
    oldest = min((version for version in versions if version), default=None)
    return [
        f"Feature gate {name} does nothing before Kubernetes {need[0]}.{need[1]}, and a node runs "
        f"{oldest[0]}.{oldest[1]}."
        for name, need in _KUBERNETES.items()
        if found.gates.get(name) and oldest and oldest < need
    ]


def _upgrade(plan: Obj, have: _antrea_config.Have, found: Found, target: str) -> None:
    if not target:
        return
    if tables.parse_version(target) is None:
        plan["refusals"].append(f"antrea_features_upgrade_to is {target!r}, no version as v2.6.0.")
        return
    broken, on = _antrea_features.upgrade(have, found, target)
    for problem in broken:
        said = f"{problem.say()}"
        if problem.level == FATAL:
            plan["refusals"].append(f"An upgrade to {target} fails. {said}")
        else:
            plan["upgrade"].append(said)
    if on:
        plan["upgrade"].append(f"{', '.join(on)} come on by default.")
    if not broken:
        plan["upgrade"].append("Every line of both files goes on to do what it does.")


def _forbidden(antrea: Obj) -> list[str]:
    missing = [
        f"{right['verb']} {right['resource']}"
        for right in antrea["permissions"]
        if right["allowed"] is False and right["resource"] not in _OTHERS
    ]
    if not missing:
        return []
    return [
        f"The account may not {', '.join(missing)}. docs/rbac/remediation.yml holds the role it "
        "needs."
    ]


def _nodes(plan: Obj, views: list[View], antrea: Obj, files: set[str], options: Obj) -> None:
    """Note which agents and controllers are to start anew, and in which order."""
    obj = antrea["config_map"]["object"]
    made = {str(agent["node"]): str(agent["created_at"] or "") for agent in antrea["agents"]}
    controllers = (antrea["controller"] or {}).get("pods") or ()
    plan["controller"] = bool(controllers) and (
        FILES[CONTROLLER] in files
        or any(unread(obj, FILES[CONTROLLER], pod["created_at"]) for pod in controllers)
    )
    masters = names_of(options.get("control_planes"))
    # Where no agent runs, a taint keeps it away, or the node is of another system.
    for view in [view for view in views if view.name in made]:
        host = view.host or {}
        gates = host.get("gates") or {}
        stale = bool(unread(obj, FILES[AGENT], made[view.name]))
        if not gates.get("reached"):
            plan["refusals"].append(f"{view.name}: {gates.get('error') or 'was not asked'}")
        why = _why(FILES[AGENT] in files, stale, gates)
        node = {"node": view.name, "host": host["name"], "changes": bool(why), "why": why}
        plan["nodes"][view.name] = {**node, "control_plane": view.name in masters}
    canary = str(options.get("canary") or "")
    if canary and canary not in plan["nodes"]:
        plan["refusals"].append(f"The canary {canary} is no node that was visited.")
    plan["order"] = sorted(plan["nodes"], key=lambda name: _place(plan["nodes"][name], canary))
    plan["hosts"] = [plan["nodes"][name]["host"] for name in plan["order"]]
    changing = [name for name in plan["order"] if plan["nodes"][name]["changes"]]
    # Where one node runs with the change already, another that fails is no reason to take it back.
    plan["canary"] = changing[0] if changing and len(changing) == len(plan["order"]) else ""
    plan["pending"] = bool(plan["writes"] or plan["controller"] or changing)


def _why(changes: bool, stale: bool, gates: Obj) -> str:
    if changes:
        return f"reads {FILES[AGENT]} anew"
    if stale:
        return f"has not read {FILES[AGENT]} yet"
    return "runs with other gates" if gates.get("differing") else ""


def _place(node: Obj, canary: str) -> tuple[bool, bool, list[Any]]:
    return (node["node"] != canary, node["control_plane"], natural(node["node"]))
