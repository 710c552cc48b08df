# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an Egress on a VLAN may be made or taken away, and what that is. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _egress_reach as reach
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _egress_vlan_lines as words
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _egress_vlan_others as neighbours,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _egress_vlan_power as power
from ansible_collections.k8snet.cni.plugins.module_utils.domain._egress_vlan_nodes import (
    NicWords,
    foreign,
    nic_of_view,
    strict_filters,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._external_ips import few
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import (
    NOT_LINUX,
    VISITED,
    Scope,
    View,
    match,
)

Obj = dict[str, Any]
PRESENT, ABSENT = "present", "absent"
#: What a probe asks for at once, the gateway among them.
MOST_TARGETS = 64
_OLDEST = (1, 15)
_MODES = ("encap", "hybrid")


def decide(cluster: Obj, antrea: Obj, world: Obj, hosts: list[Obj], options: Obj) -> Obj:
    """Return what is done: the keys below and in the filter of the role.

    ``world``: labels (Node -> its labels), pools and egresses (objects), services (metadata of
    Services), power (as `_egress_vlan_power` takes it, for a drill that cuts power). ``hosts``: as
    `_nodes.match` takes them, each with ``probe`` (of vlan_probe; None without), ``probe_error``,
    ``filters`` (lines of sysctl.d about rp_filter). ``options``: the role's, without its name.
    """
    scope = match(hosts, cluster["nodes"])
    names = [str(name) for name in options["nodes"]]
    key, value = options["label"]["key"], str(options["label"]["value"])
    labelled = sorted(n for n, labels in world["labels"].items() if labels.get(key) == value)
    wanted = sorted(names) if options["state"] == PRESENT else []
    plan: Obj = {
        "state": options["state"],
        "version": antrea["version"],
        "egress": options["egress"],
        "pool": options["pool"],
        "vlan": int(options["vlan"]),
        "label": {"key": key, "value": value},
        "labels_before": {n: labels.get(key) for n, labels in world["labels"].items()},
        "nodes": wanted,
        "reach": {},
        "taken": {},
        "warnings": [],
        "refusals": [],
    }
    _judge_cluster(plan, antrea, options)
    if plan["state"] == PRESENT:
        _judge_options(plan, options)
        _judge_nodes(plan, scope, names, antrea, options)
        _judge_strangers(plan, scope, antrea, options)
    else:
        _judge_others(plan, world)
    keep = plan["state"] == ABSENT and _shared(plan, world)
    plan["adds"] = [name for name in wanted if name not in labelled]
    plan["drops"] = [] if keep else [name for name in labelled if name not in wanted]
    plan["drilled"] = wanted if options["drill"] == power.LABEL else []
    plan["power"] = None
    if options["drill"] == power.POWER_OFF and plan["state"] == PRESENT:
        plan["power"] = power.weigh(world["power"], options, plan["reach"])
        for key in ("refusals", "warnings"):
            plan[key] += plan["power"][key]
    plan["had"] = {
        "pool": _named(world["pools"], plan["pool"]),
        "egress": _named(world["egresses"], plan["egress"]),
    }
    plan["pool_changes"] = []
    if plan["state"] == PRESENT:
        _judge_neighbours(plan, world, options)
    # One value of a template: alone, None would become text.
    plan["undo"] = {
        **plan["had"],
        "labels": plan["labels_before"],
        "changed": list(dict.fromkeys(plan["adds"] + plan["drops"] + plan["drilled"])),
        "others": neighbours.on_nodes(world, options),
    }
    plan["lines"] = words.lines(plan, options)
    return plan


def targets(options: Obj, world: Obj) -> list[str]:
    """Return the addresses a probe asks for: the gateway, and those that the pool is to give out.

    What Antrea has given out already answers, and is left out.
    """
    given = {str(e["spec"].get("egressIP") or "") for e in world["egresses"]}
    found = [str(options["gateway"])]
    for address in _addresses(options):
        if len(found) >= MOST_TARGETS:
            break
        if address not in given and address not in found:
            found.append(address)
    return found


def _addresses(options: Obj) -> Iterator[str]:
    if options.get("egress_ip"):
        yield str(options["egress_ip"])
    for entry in options["ranges"]:
        try:
            if entry.get("cidr"):
                network = ipaddress.ip_network(str(entry["cidr"]), strict=False)
                first, last = int(network[0]) + 1, int(network[-1]) - (network.version == 4)
                kind: Any = type(network[0])
            else:
                start = ipaddress.ip_address(str(entry.get("start")))
                first, last = int(start), int(ipaddress.ip_address(str(entry.get("end"))))
                kind = type(start)
        except ValueError:  # antrea_ip_pool says what is wrong with it
            continue
        yield from (str(kind(number)) for number in range(first, min(last, first + 256) + 1))


def _judge_cluster(plan: Obj, antrea: Obj, options: Obj) -> None:
    refusals = plan["refusals"]
    if not antrea["installed"]:
        refusals.append("Antrea is not installed in this cluster.")
        return
    found = tuple(int(part) for part in re.findall(r"\d+", str(antrea["version"] or ""))[:2])
    if plan["state"] == ABSENT:
        return
    if found and found < _OLDEST:
        refusals.append(
            f"Antrea {antrea['version']} has no subnets for Egress: they came with v1.15. Upgrade "
            "Antrea first, its controller before its agents."
        )
    mode = str(antrea["traffic_encap_mode"] or "encap")
    if mode.lower() not in _MODES:
        refusals.append(
            f"trafficEncapMode is {mode}: Egress works with {' and '.join(_MODES)} only, since a "
            "pod's packets go to the Egress's node through a tunnel."
        )
    for gate in ("Egress", "EgressSeparateSubnet"):
        if not (antrea["gates"].get(gate) or {}).get("enabled") and found >= _OLDEST:
            refusals.append(
                f"Feature gate {gate} is off. Switch it on by the playbook "
                "k8snet.cni.antrea_features, which also restarts the agents."
            )
    due = (antrea["restart_due"] or {}).get("agent")
    if due and not refusals:
        refusals.append(
            "Agents run with another configuration than the ConfigMap's: "
            f"{(antrea['restart_due'] or {}).get('why') or 'it was written after they started'}. "
            "Restart them one by one (k8snet.cni.antrea_agent)."
        )


def _judge_options(plan: Obj, options: Obj) -> None:
    names = [str(name) for name in options["nodes"]]
    if not names:
        plan["refusals"].append("antrea_egress_vlan_nodes names no node that may hold the address.")
    if not 1 <= plan["vlan"] <= 4094:
        plan["refusals"].append(f"antrea_egress_vlan_vlan is {plan['vlan']}: not from 1 to 4094.")
    if len(names) > int(options["forks"]):
        plan["refusals"].append(
            f"{len(names)} nodes have to be asked at the same time, and Ansible visits "
            f"{options['forks']} at once: run it with --forks {len(names)}."
        )
    if options.get("probe") and not _is_target(str(options["probe"])):
        plan["refusals"].append(
            f"antrea_egress_vlan_probe is '{options['probe']}': not ADDRESS:PORT, as "
            "192.0.2.1:80 or [2001:db8::1]:80. Names are not looked up."
        )
    if options["drill"] == power.LABEL and len(set(names)) < 2:
        plan["refusals"].append(
            "The drill moves the address to another node, and antrea_egress_vlan_nodes has one."
        )
    if len(set(names)) == 1:
        plan["warnings"].append("With one node only, nobody takes the address over when it dies.")


def _is_target(text: str) -> bool:
    host, _colon, port = text.rpartition(":")
    brackets = host.startswith("[") and host.endswith("]")
    try:
        address = ipaddress.ip_address(host[1:-1] if brackets else host)
        return brackets == (address.version == 6) and 0 < int(port) < 65536
    except ValueError:
        return False


def _judge_nodes(plan: Obj, scope: Scope, names: list[str], antrea: Obj, options: Obj) -> None:
    views = {view.name: view for view in scope.views if view.node is not None}
    probes: dict[str, Obj] = {}
    mtus: dict[str, int] = {}
    agents = {agent["node"]: agent for agent in antrea["agents"]}
    for name in dict.fromkeys(names):
        problem = _unfit(name, views.get(name), agents.get(name))
        if problem:
            plan["refusals"].append(f"{name}: {problem}")
            continue
        view = views[name]
        found = nic_of_view(view, antrea)
        plan["refusals"] += [f"{name}: {text}" for text in _bad_nic(view, found, plan, antrea)]
        plan["warnings"] += [f"{name}: {text}" for text in _doubts(view, plan, antrea)]
        if found.nic:
            mtus[name] = int(found.nic["mtu"])
            host = view.host or {}
            error = host.get("probe_error") or ""
            probes[name] = {
                "interface": found.nic["name"],
                "result": host.get("probe"),
                "error": error,
            }
    if len(set(mtus.values())) > 1:
        told = ", ".join(f"{mtu} on {name}" for name, mtu in mtus.items())
        plan["warnings"].append(f"MTUs differ ({told}): large packets may not survive a failover.")
    asked = reach.Asked(plan["vlan"], str(options["gateway"]))
    joined = reach.judge(probes, asked)
    plan["reach"], plan["taken"] = joined["nodes"], joined["taken"]
    plan["refusals"] += joined["refusals"]


def _unfit(name: str, view: View | None, agent: Obj | None) -> str:
    if view is None:
        return "there is no such Node. Name Nodes as kubectl shows them."
    if view.state == NOT_LINUX:
        return "it does not run Linux, and Antrea puts Egress addresses on Linux nodes only."
    if view.state != VISITED:
        why = (view.host or {}).get("error") or view.state.replace("_", " ")
        return f"it could not be examined ({why}). Every node that may hold the address has to be."
    if agent is None or not agent["ready"]:
        waiting = f" ({agent['waiting']})" if agent and agent["waiting"] else ""
        return f"its antrea-agent is not ready{waiting}. Repair that first."
    return ""


def _bad_nic(view: View, found: NicWords, plan: Obj, antrea: Obj) -> Iterator[str]:
    if found.nic is None:
        yield found.problem
        return
    nic, vlan = found.nic, plan["vlan"]
    if nic["kind"] in ("vlan", "qinq"):
        yield (
            f"its transport interface {nic['name']} is a VLAN interface itself: Antrea would tag "
            "frames twice. Set transportInterface to the interface below it."
        )
    for other in foreign(view.nics or [], nic["name"], vlan):
        yield (
            f"{other} is VLAN {vlan} on {nic['name']} already, and not Antrea's: before v2.7 "
            "Antrea deletes its addresses, from then on it cannot make its own. Remove it."
        )


def _doubts(view: View, plan: Obj, antrea: Obj) -> Iterator[str]:
    host = view.host or {}
    for line in strict_filters(host.get("filters") or (), plan["vlan"]):
        yield (
            f"sysctl.d has '{line}', which may be applied to antrea-ext.{plan['vlan']} when it "
            "comes, and answers would be dropped there. Add net.ipv4.conf.antrea-ext/"
            f"{plan['vlan']}.rp_filter = 2 in a file of /etc/sysctl.d."
        )


def _judge_strangers(plan: Obj, scope: Scope, antrea: Obj, options: Obj) -> None:
    """Warn where another node has no way to the subnet: its pods' packets go through there."""
    gateway, lost = str(options["gateway"]), []
    for view in scope.views:
        way = (view.facts.get("k8snet_reach") or {}).get(gateway) or {}
        if view.state == VISITED and view.node is not None and way.get("error"):
            lost.append(view.name)
    if lost:
        plan["warnings"].append(
            f"{', '.join(lost)} {'has' if len(lost) == 1 else 'have'} no route to {gateway}: pods "
            "there reach the Egress's node by a tunnel to the Egress address itself."
        )


def _judge_others(plan: Obj, world: Obj) -> None:
    users = neighbours.users(world, plan["pool"], plan["egress"])
    if users and _named(world["pools"], plan["pool"]):
        plan["refusals"].append(
            f"ExternalIPPool {plan['pool']} is used by {', '.join(users)}, too. Take those away "
            "first, or remove this Egress alone by k8snet.cni.antrea_egress."
        )


def _shared(plan: Obj, world: Obj) -> bool:
    """Tell whether another pool chooses its nodes by the label; it then stays."""
    key = plan["label"]["key"]
    for name in neighbours.pools_by(world, key, plan["pool"]):
        plan["warnings"].append(f"The label {key} stays: ExternalIPPool {name} goes by it.")
        return True
    return False


def _judge_neighbours(plan: Obj, world: Obj, options: Obj) -> None:
    """Refuse, without consent, what moves addresses that are not of this Egress."""
    key, had = plan["label"]["key"], plan["had"]["pool"]
    subnet = {
        "gateway": str(options["gateway"]),
        "prefixLength": int(options["prefix_length"]),
        "vlan": plan["vlan"],
    }
    plan["pool_changes"] = neighbours.pool_changes(had, plan["label"], subnet)
    on_nodes = neighbours.on_nodes(world, options)
    on_pool = neighbours.users(world, plan["pool"], plan["egress"])
    by_label = neighbours.pools_by(world, key, plan["pool"])
    found = []
    if plan["drops"] and on_nodes:
        told = f"{few(plan['drops'])} would lose the label {key}, by which go {few(on_nodes)}, too"
        found.append((told, "Name these nodes in antrea_egress_vlan_nodes, too, or"))
    moved = on_nodes if plan["drilled"] else []
    if plan["power"]:
        # Antrea does not tell which node has a Service's address.
        moved = neighbours.held(world, plan["egress"], plan["power"]["node"])
        moved += [name for name in on_nodes if name.startswith("Service ")]
    if moved:
        found.append((f"The drill may move addresses of {few(moved)}, too", "Leave it out, or"))
    if plan["pool_changes"] and on_pool:
        told = f"ExternalIPPool {plan['pool']} is used by {few(on_pool)}, too, and "
        found.append((told + "; ".join(plan["pool_changes"]), "Use another pool and label, or"))
    if plan["adds"] and by_label:
        told = f"{few(plan['adds'])} would get addresses of ExternalIPPool {few(by_label)}, too"
        found.append((f"{told}, which goes by the label {key}", "Use another label, or"))
    for text, remedy in found:
        if options.get("accept_others"):
            plan["warnings"].append(f"{text}. That was accepted.")
        else:
            accept = "accept it by antrea_egress_vlan_accept_others"
            plan["refusals"].append(f"{text}. {remedy} {accept}.")


def _named(objects: list[Obj], name: str) -> Obj | None:
    return next((o for o in objects if o["metadata"]["name"] == name), None)
