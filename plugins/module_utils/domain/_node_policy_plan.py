# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A policy for nodes: judged, tried on one node, then given to the rest. Pure."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _node_policy as rules
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_tables import parse_version

Obj = dict[str, Any]
GATE = "NodeNetworkPolicy"
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_HOST = "kubernetes.io/hostname"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,55}[a-z0-9])?")
#: No policy comes before this priority; and how much the trial comes before the former policy.
_FIRST, _BEFORE = 1.0, 0.01
_BASELINE = "baseline"


def gates(antrea: Obj, options: Obj) -> dict[str, bool]:
    """Return the gate, where a policy is asked for and it is not on."""
    on = ((antrea.get("gates") or {}).get(GATE) or {}).get("enabled")
    return {GATE: True} if options.get("node_policy") and not on else {}


def plan(antrea: Obj, options: Obj, hosts: dict[str, str]) -> tuple[Obj, list[str]]:
    """Return what would be done ({}: nothing), and what bars it.

    That is: name, object, trial (name of the policy that is tried), trials (``{node, host,
    object}`` in their order), nodes, former (what puts the policy back as it is, None if there is
    none), changes, warnings.

    ``hosts``: Node -> host, of nodes with an agent, in the order of their turns. ``options``:
    node_policy; ssh: (address, port) pairs by which nodes are managed, objects (nodes, policies).
    """
    policy = options.get("node_policy") or {}
    if not policy:
        return {}, []
    name = str(policy.get("name") or "")
    if not _NAME.fullmatch(name):
        return {}, [f"antrea_features_node_policy: name is {name!r}, no name of an object."]
    try:
        world, wrong = world_of(antrea, options)
        found = [f"ClusterNetworkPolicy {name}: {text}" for text in rules.problems(policy)]
        found += [f"ClusterNetworkPolicy {name}: {text}" for text in rules.cut_off(policy, world)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return {}, [f"ClusterNetworkPolicy {name} cannot be read: {type(error).__name__} {error}."]
    selector = policy.get("node_selector") or {}
    labels = {node["name"]: node["labels"] for node in world.nodes}
    subjects = [node for node in hosts if rules.selects(selector, labels.get(node) or {})]
    if not subjects:
        return {}, [f"ClusterNetworkPolicy {name} selects no node that was visited."]
    masters = {node["name"] for node in world.nodes if node["control_plane"]}
    # One of each kind, for what a control plane needs no worker proves.
    chosen = [
        next(n for n in subjects if (n in masters) == kind) for kind in _kinds(subjects, masters)
    ]
    before = next(iter((options.get("objects") or {}).get("policies") or ()), None)
    whole = rules.obj(policy, name, selector)
    first, unsure = _ahead(policy, before)
    trials = []
    for node in chosen:
        only = {"matchLabels": {_HOST: (labels[node] or {}).get(_HOST, node)}}
        tried = rules.obj(first, f"{name}-trial", only)
        trials.append({"node": node, "host": hosts[node], "object": tried})
    changes = before is None or not within(whole["spec"], before.get("spec"))
    warned = [f"ClusterNetworkPolicy {name}: {text}" for text in rules.doubtful(policy) + unsure]
    made: Obj = {
        "name": name,
        "object": whole,
        "trial": f"{name}-trial",
        "trials": trials,
        "nodes": subjects,
        "former": former(name, before),
        "changes": changes,
        "warnings": warned if changes else [],
    }
    return made, wrong + found


def _kinds(subjects: list[str], masters: set[str]) -> list[bool]:
    """Return whether control planes and others are among the nodes, in their order."""
    return list(dict.fromkeys(node in masters for node in subjects))


def _ahead(policy: Obj, before: Obj | None) -> tuple[Obj, list[str]]:
    """Return the policy as it is tried: ahead of the former one, which stays meanwhile.

    What that allows would pass before the new rules are asked.
    """
    spec = (before or {}).get("spec") or {}
    if not spec:
        return policy, []
    tier = str(spec.get("tier") or rules.TIER)
    priority = float(spec.get("priority") or rules.PRIORITY)
    # Every tier but itself comes before it, and it takes no Pass.
    wanted = str(policy.get("tier") or rules.TIER)
    if tier.lower() == _BASELINE and wanted.lower() != _BASELINE:
        return policy, []
    if priority <= _FIRST:
        return {**policy, "tier": tier, "priority": _FIRST}, [
            "the former one has priority 1, so that nothing can be tried before it. What it allows "
            "may hide a rule from the trial."
        ]
    return {**policy, "tier": tier, "priority": round(max(priority - _BEFORE, _FIRST), 2)}, []


def former(name: str, before: Obj | None) -> Obj | None:
    """Return what puts a policy back as it is now. A patch leaves what it does not name."""
    if before is None:
        return None
    nothing = {rules.IN: [], rules.OUT: [], "tier": rules.TIER}
    return rules.shell(name, {**nothing, **before["spec"]})


def within(wanted: Any, have: Any) -> bool:
    """Tell whether all that is wanted is there; the API server adds defaults."""
    if isinstance(wanted, dict):
        return isinstance(have, dict) and all(within(v, have.get(k)) for k, v in wanted.items())
    if isinstance(wanted, list):
        same = isinstance(have, list) and len(wanted) == len(have)
        return same and all(within(one, other) for one, other in zip(wanted, have))
    return bool(wanted == have)


def world_of(antrea: Obj, options: Obj) -> tuple[rules.World, list[str]]:
    """Return what a policy is judged by, and what of it is not known."""
    objects = options.get("objects") or {}
    nodes = tuple(_node(obj) for obj in objects.get("nodes") or ())
    ssh = tuple(_pairs(options.get("ssh") or ()))
    api = _pairs((antrea.get("api_servers") or {}).get("addresses") or ())
    for entry in (options.get("kube_proxy") or {}).get("probes") or ():
        if entry.get("namespace") == "default" and entry.get("name") == "kubernetes":
            api.append((str(entry["cluster_ip"]), int(entry["port"])))
    wrong = []
    if not ssh:
        wrong.append(
            "It is not known from where nodes are managed, so that nobody can tell whether the "
            "policy leaves that. Name the addresses in antrea_features_ssh_from."
        )
    agent = (antrea.get("config") or {}).get("agent") or {}
    tunnels = rules.tunnels(agent, parse_version(antrea.get("version")))
    return rules.World(nodes, ssh, tuple(dict.fromkeys(api)), tuple(tunnels)), wrong


def _pairs(found: Any) -> list[tuple[str, int]]:
    """Return (address, port) of "10.0.0.1:22", "[fd00::1]:22", or SSH_CONNECTION, which has client,
    its port, server, its port; names are left out."""
    pairs = []
    for text in dict.fromkeys(found):
        words = str(text).split()
        host, _colon, port = str(text).rpartition(":")
        if len(words) == 4:
            host, port = words[0], words[3]
        try:
            pairs.append((str(ipaddress.ip_address(host.strip("[]"))), int(port)))
        except ValueError:
            continue
    return list(dict.fromkeys(pairs))


def _node(obj: Obj) -> Obj:
    labels = obj["metadata"].get("labels") or {}
    addresses = (obj.get("status") or {}).get("addresses") or ()
    return {
        "name": obj["metadata"]["name"],
        "labels": labels,
        "addresses": [a["address"] for a in addresses if a.get("type") == "InternalIP"],
        "control_plane": _CONTROL_PLANE in labels,
    }


def words(policy: Obj) -> list[str]:
    """Return what happens, as lines."""
    others = len(policy["nodes"]) - len(policy["trials"])
    rest = f", then given to {others} more" if others else ""
    where = " and then ".join(trial["node"] for trial in policy["trials"])
    return [
        f"ClusterNetworkPolicy {policy['name']} is tried on {where}, which undoes it by itself "
        f"unless it can be reached over a new connection{rest}"
    ]
