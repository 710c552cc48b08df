# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the power of the node that has an Egress's address may be cut for a drill. Pure.

``seen``: egress (the object, None without), nodes (Nodes), etcd (pods of kube-system that are
labelled component=etcd), pods (those on the node), server (URL of the API server), controller (what
`antrea_egress_vlan_controller` has found: server, own (addresses), problems, off, on).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.k8snet.cni.plugins.module_utils.domain._egress_reach import REACHED
from ansible_collections.k8snet.cni.plugins.module_utils.domain._external_ips import few
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import bare

Obj = dict[str, Any]
NONE, LABEL, POWER_OFF = "none", "label", "power-off"
CONSENT = "antrea_egress_vlan_accept_power_off"
_ETCD = "node-role.kubernetes.io/etcd"
_CONTROL_PLANE = (
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/controlplane",
    "node-role.kubernetes.io/master",
    "node.kubernetes.io/microk8s-controlplane",
)
_MIRROR = "kubernetes.io/config.mirror"
_HARMLESS = "Try antrea_egress_vlan_drill=label, which cuts no power."


def weigh(seen: Obj, options: Obj, reach: Obj) -> Obj:
    """Return ``{node, off, on, refusals, warnings}``; node "" where none has the address.

    ``options``: the role's, without its name; ``reach``: Node -> verdict, of `_egress_reach`.
    """
    controller = seen["controller"]
    node = holder(seen)
    found: Obj = {"node": node, "off": controller["off"], "on": controller["on"]}
    found["refusals"] = [*_consent(node, options), *controller["problems"]]
    found["warnings"] = []
    if not node:
        return found
    bars, margin = _etcd(node, seen)
    found["refusals"] += [
        *bars,
        *_api(node, seen),
        *_heir(node, seen, options, reach),
    ]
    found["warnings"] += [*margin, *_pods(node, seen)]
    return found


def holder(seen: Obj) -> str:
    """Return the Node that has the address, "" for none."""
    return str(((seen["egress"] or {}).get("status") or {}).get("egressNode") or "")


def members(nodes: Iterable[Obj], pods: Iterable[Obj]) -> dict[str, bool]:
    """Return the Nodes that have a member of etcd, and whether it is healthy.

    A member is a static pod (kubeadm, RKE2), or what the label of the role tells (k3s, RKE).
    """
    ready = {node["metadata"]["name"]: _ready(node) for node in nodes}
    found = {
        node["metadata"]["name"]: ready[node["metadata"]["name"]]
        for node in nodes
        if _ETCD in _labels(node)
    }
    runs: dict[str, bool] = {}
    for pod in pods:
        name = str((pod.get("spec") or {}).get("nodeName") or "")
        if name and _MIRROR in (pod["metadata"].get("annotations") or {}):
            runs[name] = runs.get(name, False) or _ready(pod)
    found.update({name: well and ready.get(name, False) for name, well in runs.items()})
    return found


def _consent(node: str, options: Obj) -> Iterator[str]:
    egress, named = options["egress"], str(options["accept_power_off"] or "")
    if not node:
        yield (
            f"No node has the address of Egress {egress}, so that nobody can consent to cut its "
            "power. Make the Egress first, without the drill."
        )
    elif not named:
        yield (
            f"The drill cuts the power of {node}, which has the address of Egress {egress}: "
            f"consent to that by {CONSENT}={node}."
        )
    elif named != node:
        yield (
            f"{CONSENT} names {named}, but {node} has the address of Egress {egress}, and nobody "
            "has consented to cut that node's power."
        )


def _etcd(node: str, seen: Obj) -> tuple[list[str], list[str]]:
    """Return what bars it on behalf of etcd and the API server, and what is to be known of it."""
    objects = {each["metadata"]["name"]: each for each in seen["nodes"]}
    serving = [name for name, each in objects.items() if _serves(each)]
    known = members(seen["nodes"], seen["etcd"])
    if node not in known:
        if node not in serving:
            return [], []
        return [
            f"{node} is a control plane, and no member of its etcd is seen there (a static pod "
            f"labelled component=etcd in kube-system, or the label {_ETCD} of the Node): whether "
            f"it can be spared is not known. {_HARMLESS}"
        ], []
    left = sum(well for name, well in known.items() if name != node)
    needed = len(known) // 2 + 1
    told = (
        f"{node} has one of etcd's {len(known)} members, {sum(known.values())} of which are "
        f"healthy: without it {left} are left, and {needed} are needed"
    )
    if len(known) == 1:
        return [f"{node} has the only member of etcd. {_HARMLESS}"], []
    if left < needed:
        return [f"{told}. Repair the others first. {_HARMLESS}"], []
    if node in serving and not any(_ready(objects[name]) for name in serving if name != node):
        return [f"{node} is the only control plane that is Ready. {_HARMLESS}"], []
    spare = f"{left - needed} more may" if left > needed else "no other may"
    return [], [f"{told}, so that {spare} fail meanwhile."]


def _api(node: str, seen: Obj) -> Iterator[str]:
    """What the controller needs of the node to see the drill through."""
    own, server = seen["controller"]["own"], seen["controller"]["server"]
    objects = [each for each in seen["nodes"] if each["metadata"]["name"] == node]
    names = {bare(text) for each in objects for text in _addresses(each)} | {node}
    host = str(urlsplit(str(seen["server"] or "")).hostname or "")
    if own:
        yield (
            f"Ansible itself runs on {node} ({', '.join(own)}), and nobody would power it on "
            "again. Run it elsewhere."
        )
    elif names & {host, *map(bare, server)}:
        yield (
            f"The API server is reached at {host}, which is {node}: nothing of the drill would be "
            "seen. Use a kubeconfig with another server, or with an address that moves."
        )
    elif any(map(_loops, server)) and any(map(_serves, objects)):
        yield (
            f"The API server is reached at {host}, that is by a tunnel or proxy, whose end may be "
            f"{node}, a control plane. Use a kubeconfig that names the server itself."
        )


def _heir(node: str, seen: Obj, options: Obj, reach: Obj) -> Iterator[str]:
    """What bars every other node from taking the address over."""
    ready = {each["metadata"]["name"]: _ready(each) for each in seen["nodes"]}
    names, bars = [str(name) for name in options["nodes"]], []
    if node not in names:
        yield (
            f"{node} has the address, and antrea_egress_vlan_nodes does not name it: the address "
            "would move before the drill. Run it without the drill first."
        )
    for name in dict.fromkeys(names):
        if name == node:
            continue
        if not ready.get(name):
            bars.append(f"{name} is not Ready")
        elif (reach.get(name) or {}).get("verdict") != REACHED:
            bars.append(f"VLAN {options['vlan']} was not seen to reach {name}")
        else:
            return
    why = "; ".join(bars) or "antrea_egress_vlan_nodes names no other"
    yield f"No other node could take the address over from {node}: {why}."


def _pods(node: str, seen: Obj) -> Iterator[str]:
    gone = []
    for pod in seen["pods"]:
        meta = pod["metadata"]
        kinds = {owner.get("kind") for owner in meta.get("ownerReferences") or ()}
        ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if "DaemonSet" not in kinds and _MIRROR not in (meta.get("annotations") or {}):
            gone += [] if ended else [f"{meta['namespace']}/{meta['name']}"]
    if gone:
        yield (
            f"{len(gone)} {'pods' if len(gone) > 1 else 'pod'} of no DaemonSet on {node} stop "
            "with it, until it is back or Kubernetes makes others elsewhere, by default after 5 "
            f"minutes: {few(gone)}."
        )


def _labels(obj: Obj) -> Obj:
    found: Obj = obj["metadata"].get("labels") or {}
    return found


def _serves(node: Obj) -> bool:
    return any(key in _labels(node) for key in _CONTROL_PLANE)


def _ready(obj: Obj) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _addresses(node: Obj) -> list[str]:
    entries = (node.get("status") or {}).get("addresses") or ()
    return [str(entry["address"]) for entry in entries]


def addresses(seen: Obj) -> list[str]:
    """Return the addresses by which the node itself, or a pod on it, is known."""
    node = holder(seen)
    found = [a for n in seen["nodes"] if n["metadata"]["name"] == node for a in _addresses(n)]
    found += [str((pod.get("status") or {}).get("podIP") or "") for pod in seen["pods"]]
    return [text for text in dict.fromkeys(map(bare, found)) if _is_address(text)]


def _is_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _loops(text: str) -> bool:
    return _is_address(text) and ipaddress.ip_address(text).is_loopback
