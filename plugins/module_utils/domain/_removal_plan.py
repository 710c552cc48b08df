# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole decision about kube-proxy: whether it may go or come back, and in which order. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _removal_lines as words
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _removal_return as back
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _removal_rules as rules
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_decision import names_of
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import (
    NOT_LINUX,
    VISITED,
    Scope,
    View,
    match,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._plan_lines import natural
from ansible_collections.k8snet.cni.plugins.module_utils.domain._removal_probes import (
    probes,
    routed,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._secondary_decision import (
    unready,
    unseen,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._version import VERSION

Obj = dict[str, Any]
PRESENT, ABSENT = "present", "absent"
GATEWAY = "antrea-gw0"
#: Rights of antrea_info's review that only an AntreaNodeConfig needs.
_OTHERS = ("nodes", "antreanodeconfigs")


def decide(cluster: Obj, antrea: Obj, kube_proxy: Obj, hosts: list[Obj], options: Obj) -> Obj:
    """Return what may be done, and how: the keys below and in the filter of the role.

    ``hosts``: as `_nodes.match` takes them, each with ``probe`` (of service_probe) and ``rules``
    (of kube_proxy_rules in check mode), ``probe_error`` and ``rules_error`` where one failed.
    ``options``: state, api_server, canary, control_planes (names of Nodes), accept_unseen,
    accept_services, override_owner, override_distribution, without_undo, former (the undo
    bundle), width.
    """
    scope = match(hosts, cluster["nodes"])
    barred, warnings = _bars(antrea, scope, options)
    refusals = barred + _forbidden(antrea, kube_proxy)
    readable = antrea["installed"] and antrea["config_map"] is not None
    if not readable and options["state"] == ABSENT:
        return _refused(refusals, options)
    former = options.get("former") or {}
    views = {view.name: view for view in scope.views if view.state == VISITED and view.node}
    plan: Obj = {
        "state": options["state"],
        "collection": VERSION,
        "antrea": bool(readable),
        "mode": back.mode(kube_proxy, former if options["state"] == PRESENT else {}),
        "version": antrea["version"],
        "gateway": _gateway(antrea),
        "distribution": kube_proxy["distribution"],
        "present": kube_proxy["present"],
        "unseen": _left(scope),
        "accepted": sorted(set(_left(scope)) & names_of(options.get("accept_unseen"))),
        "override": rules.override_of(antrea, str(options.get("api_server") or "")),
        "refusals": refusals,
        "warnings": warnings,
        "advice": [],
        "service_cidrs": kube_proxy.get("service_cidrs") or [],
        "objects": [_title(entry) for entry in kube_proxy["objects"]],
        "disables": _disables(kube_proxy.get("kubeadm") or {}),
        "routed": routed(kube_proxy),
    }
    plan["settings"] = _settings(plan, antrea, options)
    plan["nodes"] = {view.name: _node(view, plan, kube_proxy) for view in views.values()}
    for node in plan["nodes"].values():
        node["probes"] = probes(kube_proxy, cluster, (views[node["node"]].host or {}))
    plan["order"] = _order(plan["nodes"], options)
    plan["hosts"] = [plan["nodes"][name]["host"] for name in plan["order"]]
    if plan["state"] == ABSENT:
        _judge_removal(plan, views, antrea, kube_proxy, options)
    else:
        _judge_return(plan, kube_proxy, former)
        warnings += back.words(
            former, [node["name"] for node in cluster["nodes"]], _services(plan["nodes"])
        )
    plan["lines"] = words.lines(plan, int(options.get("width") or 100))
    return plan


def _bars(antrea: Obj, scope: Scope, options: Obj) -> tuple[list[str], list[str]]:
    """Return (refusals, warnings) about Antrea and about nodes that nobody has looked at.

    kube-proxy comes back whatever is wrong with either: that may be why it is called for.
    """
    accepted = names_of(options.get("accept_unseen"))
    known = accepted & set(_left(scope))
    agents = [agent for agent in antrea["agents"] if agent["node"] not in known]
    found = unready({**antrea, "agents": agents}, options) + unseen(scope, accepted)
    if options["state"] == PRESENT:
        return [], found
    return found + rules.proxy_problems(antrea), []


def _refused(refusals: list[str], options: Obj) -> Obj:
    empty: Obj = {"warnings": [], "advice": [], "nodes": {}, "order": [], "hosts": [], "unseen": []}
    lines = words.refused(refusals, int(options.get("width") or 100))
    nothing = {"settings": {}, "override": "", "pending": False, "deletes": False, "objects": []}
    return {**empty, **nothing, "state": options["state"], "refusals": refusals, "lines": lines}


def _forbidden(antrea: Obj, kube_proxy: Obj) -> list[str]:
    missing = [
        f"{right['verb']} {right['resource']}"
        for right in antrea["permissions"]
        if right["allowed"] is False and right["resource"] not in _OTHERS
    ]
    missing += kube_proxy.get("missing_rights") or []
    return [
        f"The account may not: {right}. docs/rbac/remediation.yml holds the role it needs."
        for right in dict.fromkeys(missing)
    ]


def _gateway(antrea: Obj) -> str:
    config = (antrea.get("config") or {}).get("agent") or {}
    return str(config.get("hostGateway") or GATEWAY)


def _left(scope: Scope) -> list[str]:
    """Return Linux Nodes that nobody has looked at."""
    return [
        view.name
        for view in scope.views
        if view.node is not None and view.state not in (VISITED, NOT_LINUX)
    ]


def _disables(kubeadm: Obj) -> bool:
    """Tell whether kubeadm's configuration is to say that there is no kube-proxy."""
    knows = kubeadm.get("api_version") == "v1beta4"
    return bool(kubeadm.get("config_map")) and knows and not kubeadm.get("proxy_disabled")


def _title(entry: Obj) -> str:
    place = "/".join(str(part) for part in (entry["namespace"], entry["name"]) if part)
    return f"{entry['kind']} {place}"


def _settings(plan: Obj, antrea: Obj, options: Obj) -> Obj:
    """Return what antrea_config is asked for."""
    if plan["state"] == ABSENT:
        where = {"kubeAPIServerOverride": plan["override"]}
        return {"agent": {**where, "antreaProxy": {"proxyAll": True}}, "controller": dict(where)}
    return back.settings((options.get("former") or {}) if plan["antrea"] else {})


def _services(nodes: dict[str, Obj]) -> set[str]:
    """Return the Services that are asked somewhere, as namespace/name."""
    asked = [entry for node in nodes.values() for entry in node["probes"]["connections"]]
    return {entry["name"].split(" ", maxsplit=1)[0] for entry in asked}


def _node(view: View, plan: Obj, kube_proxy: Obj) -> Obj:
    node, facts = view.node or {}, view.facts["k8snet_kube_proxy"]
    tolerated = rules.makes_chains(node.get("kubelet_version"))
    labelled = view.name in kube_proxy["labelled"]
    found = rules.residue(facts, tolerated, _kept(view))
    ours = facts["running"] or bool(found) or (plan["present"] and not labelled)
    return {
        "node": view.name,
        "host": (view.host or {})["name"],
        "labelled": labelled,
        "running": facts["running"],
        "residue": found,
        "goes": rules.summary(facts) if found else "",
        "rules": ((view.host or {}).get("rules") or {}).get("plan") or [],
        "tolerated": tolerated,
        "firewall": rules.has_firewall(facts),
        "errors": facts["errors"],
        "answered": rules.answered(view),
        "kept": _kept(view),
        "changes": ours if plan["state"] == ABSENT else labelled or not plan["present"],
        "control_plane": False,
    }


def _kept(view: View) -> list[str]:
    held = ((view.host or {}).get("rules") or {}).get("kept") or ()
    return [entry["name"] for entry in held if entry["what"] == "ipset"]


def _order(nodes: dict[str, Obj], options: Obj) -> list[str]:
    """Return the nodes in their order: the canary, workers, control planes."""
    masters = names_of(options.get("control_planes"))
    canary = str(options.get("canary") or "")
    for name, node in nodes.items():
        node["control_plane"] = name in masters

    def place(name: str) -> tuple[bool, bool, bool, list[Any]]:
        node = nodes[name]
        # A node that is done comes last of its kind: the canary is one that changes.
        return (name != canary, node["control_plane"], not node["changes"], natural(name))

    return sorted(nodes, key=place)


def _judge_removal(
    plan: Obj, views: dict[str, View], antrea: Obj, kube_proxy: Obj, options: Obj
) -> None:
    refusals, warnings = plan["refusals"], plan["warnings"]
    if not kube_proxy["supported"] and not options.get("override_distribution"):
        refusals.append(f"{_sentence(kube_proxy['reason'])} {kube_proxy['remedy']}")
    owner = kube_proxy.get("managed_by")
    if owner and not options.get("override_owner"):
        refusals.append(
            f"kube-proxy's DaemonSet belongs to {owner['manager']}, which would bring it back. "
            "Take it away there, or set k8snet_override_owner=true in an emergency."
        )
    for found in (
        rules.version_words(antrea),
        rules.service_words(kube_proxy, names_of(options.get("accept_services"))),
    ):
        refusals += found[0]
        warnings += found[1]
    wrong = list(
        rules.url_refusals(plan["override"], antrea, plan["service_cidrs"], plan["unseen"])
    )
    refusals += wrong
    warnings += rules.config_words(kube_proxy, antrea)
    canary = str(options.get("canary") or "")
    if canary and canary not in views:
        refusals.append(f"The canary {canary} is no node that was visited.")
    for name in plan["order"]:
        if not wrong:
            refusals += rules.api_refusals(
                views[name], plan["override"], kube_proxy, plan["gateway"]
            )
        refusals += rules.node_refusals(views[name])
        warnings += rules.node_words(views[name], plan["mode"])
    if plan["unseen"] and kube_proxy["present"]:
        warnings.append(
            f"kube-proxy stays on {', '.join(plan['unseen'])}, and its objects with it. Run it "
            "again when they can be seen."
        )
    advice = (kube_proxy.get("kubeadm") or {}).get("advice")
    plan["advice"] = [advice] if advice and not plan["disables"] else []
    plan["deletes"] = bool(kube_proxy["objects"]) and not plan["unseen"]
    changing = any(node["changes"] for node in plan["nodes"].values())
    plan["pending"] = changing or plan["deletes"]
    lost = back.refusal(kube_proxy, options.get("former") or {})
    if lost and plan["pending"] and not options.get("without_undo"):
        refusals.append(lost)


def _sentence(text: Any) -> str:
    said = str(text or "What runs here would bring kube-proxy back").rstrip(".")
    return f"{said[:1].upper()}{said[1:]}."


def _judge_return(plan: Obj, kube_proxy: Obj, former: Obj) -> None:
    if not kube_proxy["present"] and not back.holds_daemonset(former):
        plan["refusals"].append(
            "kube-proxy's DaemonSet is gone, and no undo bundle was found that holds it. Name its "
            "folder in k8snet_undo_dir, roll back by k8snet.cni.rollback -e k8snet_run_id=RUN, or "
            "make it anew: kubeadm init phase addon kube-proxy."
        )
    for node in plan["nodes"].values():
        node["answered"] = back.answered(node, former)
    plan["deletes"] = False
    plan["restores"] = bool(back.begun(kube_proxy))
    plan["pending"] = plan["restores"]
