# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A policy for nodes: judged, tried on one node, then given to the rest. Pure."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _node_policy as rules

Obj = dict[str, Any]
GATE = "NodeNetworkPolicy"
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_HOST = "kubernetes.io/hostname"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,55}[a-z0-9])?")


def gates(antrea: Obj, options: Obj) -> dict[str, bool]:
    """Return the gate, where a policy is asked for and it is not on."""
    on = ((antrea.get("gates") or {}).get(GATE) or {}).get("enabled")
    return {GATE: True} if options.get("node_policy") and not on else {}


def plan(antrea: Obj, options: Obj, hosts: dict[str, str]) -> tuple[Obj, list[str]]:
    """Return ``{name, object, trial, node, host, before, changes}`` ({}: none), and what bars it.

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
    canary = subjects[0]
    whole = rules.obj(policy, name, selector)
    chosen = {"matchLabels": {_HOST: (labels[canary] or {}).get(_HOST, canary)}}
    before = next(iter((options.get("objects") or {}).get("policies") or ()), None)
    made = {
        "name": name,
        "object": whole,
        "trial": rules.obj(policy, f"{name}-trial", chosen),
        "node": canary,
        "host": hosts[canary],
        "nodes": subjects,
        "before": before,
        "changes": before is None or not within(whole["spec"], before.get("spec")),
    }
    return made, wrong + found


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
    pods = (antrea.get("controller") or {}).get("pods") or ()
    home = str(pods[0]["node"]) if pods else None
    wrong = []
    if not ssh:
        wrong.append(
            "It is not known from where nodes are managed, so that nobody can tell whether the "
            "policy leaves that. Name the addresses in antrea_features_ssh_from."
        )
    tunnel = rules.tunnel((antrea.get("config") or {}).get("agent") or {})
    return rules.World(nodes, ssh, tuple(dict.fromkeys(api)), home, tunnel), wrong


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
    others = len(policy["nodes"]) - 1
    rest = f", then on {others} more" if others else ""
    return [
        f"ClusterNetworkPolicy {policy['name']} is tried on {policy['node']}, which undoes it by "
        f"itself unless it can be reached over a new connection{rest}"
    ]
