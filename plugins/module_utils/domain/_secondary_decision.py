# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A secondary bridge's whole decision: cluster, Antrea and nodes together. Pure."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _secondary_lines as words
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _secondary_network as rules
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_decision import names_of
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import (
    NOT_LINUX,
    VISITED,
    Scope,
    View,
    match,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._secondary_nic import Seen, Uplinks

#: Seconds beyond the turns of all nodes before a checkpoint that waits for its turn ends.
_MARGIN = 120
_WHY = {"not_in_inventory": "is not in the inventory", "not_selected": "was left out"}


def decide(
    cluster: dict[str, Any],
    antrea: dict[str, Any],
    hosts: list[dict[str, Any]],
    options: dict[str, Any],
) -> dict[str, Any]:
    """Return what may be done, and how: see the keys below and the filter of the role.

    ``cluster``: k8snet_cluster; ``antrea``: what antrea_info returned; ``hosts``: as
    `_nodes.match` takes them. ``options``: state, bridge, interfaces, snooping, allow_primary, via,
    accept_unseen, override_owner, timeout (s), width.

    ``nodes``: Node -> ``{node, host, changes, bridge, interfaces, lifeline}``; ``hosts``: those on
    which a checkpoint is armed; ``settings``: ``{agent, feature_gates}`` for antrea_config;
    ``object``: our AntreaNodeConfig or None; ``label``: key and value that give a node to it;
    ``armed_for``: seconds that a checkpoint lasts which is armed before the first node's turn.
    """
    scope = match(hosts, cluster["nodes"])
    refusals = unready(antrea, options) + unseen(scope, names_of(options.get("accept_unseen")))
    want = _want(antrea, options)
    if not antrea["installed"] or antrea["config_map"] is None:
        return {**_nothing(refusals), "lines": [f"REFUSED  {text}" for text in refusals]}
    facts = _antrea(antrea)
    views = {view.name: view for view in scope.views if view.state == VISITED and view.node}
    decision = rules.decide(facts, want, [seen_of(view) for view in views.values()])
    decision.refusals[:0] = refusals + _forbidden(antrea, decision.via)
    for name, node in decision.nodes.items():
        node.update(node=name, host=(views[name].host or {})["name"])
    timeout = int(options.get("timeout") or 300)
    changing = sum(node["changes"] for node in decision.nodes.values())
    width = int(options.get("width") or 100)
    lines = words.lines(decision, facts, want, timeout, width)
    return {
        "refusals": decision.refusals,
        "warnings": decision.warnings,
        "lines": lines,
        "via": decision.via,
        "nodes": decision.nodes,
        "hosts": [node["host"] for node in decision.nodes.values()],
        "settings": _settings(facts, want, decision.via),
        "object": rules.node_config(want) if decision.via == rules.NODE_CONFIG else None,
        "label": {"key": rules.LABEL, "value": want.uplinks.bridge},
        "armed_for": timeout * (changing + 1) + _MARGIN,
    }


def _nothing(refusals: list[str]) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "warnings": [],
        "via": None,
        "nodes": {},
        "hosts": [],
        "object": None,
        "label": None,
    }
    return {**empty, "refusals": refusals, "settings": {}, "armed_for": 0}


def _want(antrea: dict[str, Any], options: dict[str, Any]) -> rules.Want:
    """Return what is asked for; what is taken away has the NICs that the configuration names."""
    bridge = str(options.get("bridge") or "")
    interfaces = _names(options.get("interfaces"))
    if options["state"] == rules.ABSENT and not interfaces:
        network = antrea.get("secondary_network") or {}
        configured = list(network.get("bridges") or ())
        for config in network.get("node_configs") or ():
            configured += config["bridges"]
        mine = [entry for entry in configured if entry["name"] == bridge]
        interfaces = _names(mine[0]["interfaces"]) if mine else ()
    uplinks = Uplinks(bridge, interfaces, bool(options.get("allow_primary")))
    via = str(options.get("via") or rules.AUTO)
    return rules.Want(options["state"], uplinks, bool(options.get("snooping")), via)


def _names(value: Any) -> tuple[str, ...]:
    """Return names in their order, given as a list or as ``-e name=a,b`` hands them on."""
    names = value.split(",") if isinstance(value, str) else value or ()
    return tuple(str(name).strip() for name in names if str(name).strip())


def _antrea(antrea: dict[str, Any]) -> rules.Antrea:
    found = re.findall(r"\d+", str(antrea["version"] or ""))[:3]
    configured = ((antrea["config"]["agent"] or {}).get("secondaryNetwork") or {}).get("ovsBridges")
    configs = (antrea["secondary_network"] or {}).get("node_configs") or ()
    return rules.Antrea(
        # What names no version is a build of one's own, and new.
        version=tuple(int(part) for part in found) or (99, 0, 0),
        ovs_bridge=antrea["ovs_bridge"] or "br-int",
        gates={name: bool(gate["enabled"]) for name, gate in antrea["gates"].items()},
        bridges=tuple(configured or ()),
        node_configs=tuple(config["object"] for config in configs),
        has_node_configs=bool(antrea["served"]["node_configs"]),
        has_attachments=antrea["served"]["attachments"] is not False,
    )


def seen_of(view: View) -> Seen:
    """Return what a visited node says."""
    facts = view.facts
    reach = facts.get("k8snet_reach") or {}
    return Seen(
        node=view.name,
        internal=tuple((view.node or {}).get("internal_ips") or ()),
        nics=tuple(view.nics or ()),
        api={address: (found or {}).get("interface") for address, found in reach.items()},
        ovs=facts.get("k8snet_ovs") or {},
    )


def problems(
    plan: dict[str, Any],
    cluster: dict[str, Any],
    host: dict[str, Any],
    options: dict[str, Any],
) -> list[str]:
    """Return what of one node is not as planned; ``host`` was visited again after the change.

    ``options``: state, bridge, allow_primary; back: the node has to be as it was before the plan.
    """
    views = [view for view in match([host], cluster["nodes"]).views if view.state == VISITED]
    if not views or views[0].name not in plan["nodes"]:
        return [f"{host['name']} could not be seen after the change: {host.get('error') or '?'}"]
    planned = plan["nodes"][views[0].name]
    nics = tuple(entry["name"] for entry in planned["interfaces"])
    uplinks = Uplinks(str(options["bridge"]), nics, bool(options.get("allow_primary")))
    want = rules.Want(options["state"], uplinks)
    return words.problems(planned, seen_of(views[0]), want, bool(options.get("back")))


def unready(antrea: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """Refuse where Antrea is not whole: what a restart would break would be laid to us."""
    if not antrea["installed"]:
        return ["Antrea is not installed in this cluster."]
    if antrea["config_map"] is None or antrea["error"]:
        return [f"Antrea's configuration could not be read: {antrea['error'] or 'no ConfigMap'}"]
    found = [
        f"Antrea's agents would not start again as they are configured: {p['path']}: {p['what']} "
        f"{p['remedy']}"
        for p in antrea["problems"]
        if p["level"] == "fatal"
    ]
    for agent in antrea["agents"]:
        if not agent["ready"]:
            why = f" ({agent['waiting']})" if agent["waiting"] else ""
            found.append(f"{agent['node']}: antrea-agent is not ready{why}. Repair that first.")
    owner = antrea["owner"] or {}
    if owner.get("by") and not options.get("override_owner"):
        found.append(
            f"Antrea's ConfigMap belongs to {owner['by']} ({owner['evidence']}), which would "
            "revert the change. Commit it there, or set k8snet_override_owner=true in an emergency."
        )
    return found


def _forbidden(antrea: dict[str, Any], via: str) -> list[str]:
    """Name the rights that are missing; some are needed for AntreaNodeConfigs only."""
    return [
        f"The account may not {right['verb']} {right['resource']}. docs/rbac/remediation.yml holds "
        "the role it needs."
        for right in antrea["permissions"]
        if right["allowed"] is False
        and (via == rules.NODE_CONFIG or right["resource"] not in ("nodes", "antreanodeconfigs"))
    ]


def unseen(scope: Scope, accepted: set[str]) -> list[str]:
    found = []
    for view in scope.views:
        if view.node is None or view.state in (VISITED, NOT_LINUX) or view.name in accepted:
            continue
        why = _WHY.get(view.state, f"was not visited: {view.state}")
        found.append(
            f"{view.name} {why}, and every agent reads the configuration when it starts. Make it "
            "reachable, or name it in k8snet_accept_unseen."
        )
    return found


def _settings(antrea: rules.Antrea, want: rules.Want, via: str) -> dict[str, Any]:
    if via == rules.NODE_CONFIG:
        gates = {"SecondaryNetwork": True} if want.state == rules.PRESENT else {}
        return {"agent": {}, "feature_gates": gates}
    bridges = rules.bridge_config(want, antrea)
    if want.state == rules.ABSENT:
        return {"agent": {"secondaryNetwork": {"ovsBridges": None}}, "feature_gates": {}}
    gates = {"SecondaryNetwork": True}
    return {"agent": {"secondaryNetwork": {"ovsBridges": bridges}}, "feature_gates": gates}
