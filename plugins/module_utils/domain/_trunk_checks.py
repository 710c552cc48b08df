# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What bars a change of a VM's line: VM, bridge, the token's rights, pods, pools, etcd. Pure.

Source: qemu-server ``src/PVE/QemuServer.pm`` (vmconfig_update_net: a line that is written is
plugged at once), pve-manager ``PVE/API2/Network.pm`` (``changes``: what was read is not applied
yet), pve-access-control ``src/PVE/RPCEnvironment.pm`` (bridges are objects below localnetwork).
"""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _trunk_drain as drain
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_decision import names_of
from ansible_collections.k8snet.cni.plugins.module_utils.domain._label_selector import matches
from ansible_collections.k8snet.cni.plugins.module_utils.domain._proxmox_net import (
    TAGGED,
    NetLine,
    NetLineError,
)

Obj = dict[str, Any]
_ROLES = ("control-plane", "master", "etcd")


def kube(node: Obj) -> Obj:
    """Return what counts of a Node."""
    labels = (node.get("metadata") or {}).get("labels") or {}
    conditions = (node.get("status") or {}).get("conditions") or ()
    return {
        "control_plane": any(f"node-role.kubernetes.io/{role}" in labels for role in _ROLES),
        "cordoned": bool((node.get("spec") or {}).get("unschedulable")),
        "ready": any(c["type"] == "Ready" and c["status"] == "True" for c in conditions),
    }


def check_vm(entry: Obj, now: NetLine, seen: Obj) -> None:
    """See that the line may be written. Raises NetLineError with what bars it."""
    if entry["lock"]:
        raise NetLineError(
            f"the VM is locked ({entry['lock']}). Let that end, or unlock it with 'qm unlock "
            f"{entry['vmid']}' if it never will."
        )
    if entry["status"] != "running" and not entry["start"]:
        raise NetLineError(f"the VM is {entry['status'] or 'in no known state'}, not running.")
    if entry["bridges"] in (seen.get("unapplied") or ()):
        raise NetLineError(
            f"Proxmox node {entry['proxmox_node']} has a network configuration that is not applied "
            "yet, so that it is unknown whether the bridge is VLAN-aware now, and a line that does "
            "not fit it takes the NIC off. Apply or revert it there (System, Network)."
        )
    _check_bridge(entry, now, seen["answers"])


def _check_bridge(entry: Obj, now: NetLine, answers: Obj) -> None:
    bridge = {str(i.get("iface")): i for i in answers.get(entry["bridges"]) or []}.get(
        now.bridge or ""
    )
    where = f"bridge {now.bridge}"
    if bridge is None and "SDN.Use" not in rights(entry["bridge_rights"], answers):
        raise NetLineError(
            f"{where} is hidden from the token, which lacks SDN.Use on "
            f"{_path(entry['bridge_rights'])}, or is none of Proxmox node {entry['proxmox_node']}. "
            "Give it that right."
        )
    if bridge is None:
        raise NetLineError(
            f"{where} is none of Proxmox node {entry['proxmox_node']}. A VNet of its "
            "SDN passes VLANs by its own setting 'VLAN aware': set it there."
        )
    aware = str(bridge.get("bridge_vlan_aware") or 0) == "1"
    if bridge.get("type") != "OVSBridge" and not aware:
        raise NetLineError(
            f"{where} of Proxmox node {entry['proxmox_node']} is not VLAN-aware, so "
            "that a VM with trunks would not start. Set 'VLAN aware' on it (bridge-vlan-aware yes "
            "in /etc/network/interfaces) in a maintenance window, and run this again."
        )


def _path(asked: str) -> str:
    return asked.partition("path=")[2]


def rights(asked: str, answers: Obj) -> set[str]:
    """Return what the token may do at a path of Proxmox's objects."""
    return set((answers.get(asked) or {}).get(_path(asked)) or ())


def bars(name: str, entry: Obj, seen: Obj, nodes: dict[str, Obj], options: Obj) -> list[str]:
    """Return why a Node that is to have its turn must not."""
    found = _token(name, entry, seen["answers"], options)
    found += _pools(name, entry, nodes.get(name) or {}, seen.get("pools") or [], options)
    if entry["ha"] and options["power_cycle"] == "when_due":
        found.append(
            f"{name}: VM {entry['vmid']} is managed by Proxmox's HA, which switches VMs off and on "
            "in its own time, and pulls the plug where one takes long. Take it out of HA for this "
            f"run ('ha-manager remove vm:{entry['vmid']}'), or set "
            "proxmox_vlan_trunk_power_cycle=never."
        )
    if not entry["drain"]:
        # A run has begun with it, and it is off the network already: it can only get better.
        return found
    if not entry["ready"]:
        return [*found, f"{name} is not Ready. Repair that first."]
    return found + _quorum(name, entry, nodes, options) + _pods(name, seen, options)


def _quorum(name: str, entry: Obj, nodes: dict[str, Obj], options: Obj) -> list[str]:
    if not entry["control_plane"]:
        return []
    members = {each: kube(node) for each, node in nodes.items()}
    members = {each: node for each, node in members.items() if node["control_plane"]}
    others = sum(node["ready"] for each, node in members.items() if each != name)
    if others < len(members) // 2 + 1:
        return [
            f"{name} is one of {len(members)} control-plane nodes, and without it {others} are "
            "Ready: etcd would have no quorum. Change the VM by hand in a maintenance window."
        ]
    if name not in names_of(options.get("accept_control_plane")):
        return [
            f"{name} is a control-plane node, and may be off the network for a moment. Name it in "
            "proxmox_vlan_trunk_accept_control_plane, or leave it out of proxmox_vlan_trunk_nodes."
        ]
    return []


def _token(name: str, entry: Obj, answers: Obj, options: Obj) -> list[str]:
    wanted = ["VM.Config.Network"] if entry["write"] else []
    if entry["start"] or options["power_cycle"] == "when_due":
        wanted.append("VM.PowerMgmt")
    lacking = [right for right in wanted if right not in rights(entry["rights"], answers)]
    if not lacking:
        return []
    return [
        f"{name}: the token lacks {' and '.join(lacking)} on {_path(entry['rights'])}. Give it "
        "that by a role, and to its user, too, where the token has privileges of its own."
    ]


def evicts(name: str, seen: Obj, options: Obj) -> int:
    """Return how many pods the drain of a Node evicts."""
    return len(drain.evicted((seen.get("pods") or {}).get(name) or [], options))


def _pods(name: str, seen: Obj, options: Obj) -> list[str]:
    """Return what bars that a Node is drained."""
    pods = (seen.get("pods") or {}).get(name) or []
    barred = drain.barring(name, pods, options)
    return barred + drain.disputed(name, pods, seen.get("budgets") or [], options)


def holds(names: list[str], seen: Obj, options: Obj) -> list[str]:
    """Return what may hold the drain of Nodes."""
    pods = {name: (seen.get("pods") or {}).get(name) or [] for name in names}
    found = drain.held(pods, seen.get("budgets") or [], options)
    return found + drain.unread(names, seen.get("budgets_unread") or "")


def _pools(name: str, entry: Obj, node: Obj, pools: list[Obj], options: Obj) -> list[str]:
    """Return which pools of Antrea would lose the VLAN on a Node that they have chosen."""
    labels = (node.get("metadata") or {}).get("labels") or {}
    accepted = names_of(options.get("accept_pools"))
    return [
        f"{name}: ExternalIPPool {pool['metadata']['name']} has addresses on VLAN {vlan} there: "
        "Egresses of it would leave no more. Take the Node out of its nodeSelector first, or name "
        "it in proxmox_vlan_trunk_accept_pools."
        for pool in pools
        for vlan in [((pool.get("spec") or {}).get("subnetInfo") or {}).get("vlan")]
        if vlan in entry["lost"]
        and matches((pool.get("spec") or {}).get("nodeSelector") or {}, labels)
        and pool["metadata"]["name"] not in accepted
    ]


def lost(latest: NetLine, want: NetLine, pools: list[Obj]) -> list[int]:
    """Return which VLANs of pools pass a line now, and will not."""
    vlans = {((pool.get("spec") or {}).get("subnetInfo") or {}).get("vlan") for pool in pools}
    return sorted(
        vlan
        for vlan in vlans
        if vlan and latest.passes(vlan) == TAGGED and want.passes(vlan) != TAGGED
    )
