# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which VM of Proxmox is which Node, and which of its NICs is meant. Pure."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_decision import names_of
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import (
    NOT_IN_INVENTORY,
    NOT_LINUX,
    NOT_SELECTED,
    VISITED,
    Scope,
    View,
    match,
    nic_of,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._proxmox_net import (
    NetLineError,
    parse,
)

Obj = dict[str, Any]
_NET = re.compile(r"net[0-9]+")
#: Nodes that are not meant where none is named.
_LEFT_OUT = (NOT_IN_INVENTORY, NOT_LINUX, NOT_SELECTED)
_VMS = "Say which VM it is in proxmox_vlan_trunk_vms."


class _Refused(Exception):
    """Why a Node has no VM; the message names the remedy."""


def matched(cluster: Obj, hosts: list[Obj], vms: list[Obj], options: Obj) -> Obj:
    """Return ``{nodes, refusals, paths}``.

    ``nodes``: Node -> its host, nic, mac, vmid, vm, proxmox_node, net, and the API's paths for what
    is pending and for bridges. ``paths``: each of these once.
    ``hosts``: as `_nodes.match` takes them. ``vms``: of community.proxmox.proxmox_vm_info with
    config=current. ``options``: nodes (names, empty for all that the inventory has), nic (its name,
    empty for that of the InternalIP), vms (Node -> vmid or name, node, net), former (of an undo
    bundle: its Nodes are meant, and nobody is asked), begun (of the bundle of the run that is gone
    on with: so its Nodes are known even where nobody answers there).
    """
    if options.get("former"):
        return _again(options["former"], vms)
    scope = match(hosts, cluster["nodes"])
    found: dict[str, Obj] = {}
    refusals = _nobody(scope, options)
    for view in _chosen(scope, options):
        try:
            kept = (options.get("begun") or {}).get(view.name)
            if kept is not None and view.state != VISITED:
                found[view.name] = _as_kept(view.name, kept, vms)
            else:
                found[view.name] = _node(view, vms, options)
        except _Refused as error:
            refusals.append(str(error))
    return _result(found, refusals)


def _result(found: dict[str, Obj], refusals: list[str]) -> Obj:
    keys = ("pending", "bridges", "rights", "bridge_rights")
    paths = [entry[key] for entry in found.values() for key in keys]
    return {"nodes": found, "refusals": refusals, "paths": list(dict.fromkeys(paths))}


def _chosen(scope: Scope, options: Obj) -> list[View]:
    views = [view for view in scope.views if view.node is not None]
    wanted = names_of(options.get("nodes")) - {""}
    if wanted:
        return [view for view in views if view.name in wanted]
    return [view for view in views if view.state not in _LEFT_OUT]


def _nobody(scope: Scope, options: Obj) -> list[str]:
    known = {view.name for view in scope.views if view.node is not None}
    wanted = sorted(names_of(options.get("nodes")) - {""})
    found = [
        f"proxmox_vlan_trunk_nodes: the cluster has no Node {name}."
        for name in wanted
        if name not in known
    ]
    found += [
        f"proxmox_vlan_trunk_vms: the cluster has no Node {name}."
        for name in options.get("vms") or ()
        if name not in known
    ]
    if not _chosen(scope, options):
        found.append("No Node is meant: none of the inventory's hosts is one.")
    return found


def _node(view: View, vms: list[Obj], options: Obj) -> Obj:
    if view.state != VISITED or view.host is None:
        why = (view.host or {}).get("error") or view.state.replace("_", " ")
        raise _Refused(
            f"{view.name} was not visited ({why}), so that its NIC is not known. Make it "
            "reachable, or name the Nodes that are meant in proxmox_vlan_trunk_nodes."
        )
    nic = _nic(view, str(options.get("nic") or ""))
    mac = str(nic["permanent_mac"] or nic["mac"] or "").lower()
    if not mac:
        raise _Refused(
            f"{view.name}: {nic['name']} has no MAC address. Set proxmox_vlan_trunk_nic."
        )
    said = (options.get("vms") or {}).get(view.name)
    vm, net = _told(view.name, said, mac, vms) if said else _by_mac(view.name, mac, vms)
    known = {"host": view.host["name"], "nic": nic["name"], "mac": mac, "visited": True}
    return {**known, **_machine(vm, net)}


def _machine(vm: Obj, net: str) -> Obj:
    bridge = parse(str(vm["config"][net])).bridge
    return {
        "vmid": int(vm["vmid"]),
        "vm": vm.get("name") or "",
        "proxmox_node": vm["node"],
        "pending": f"nodes/{vm['node']}/qemu/{vm['vmid']}/pending",
        "bridges": f"nodes/{vm['node']}/network",
        "rights": f"access/permissions?path=/vms/{vm['vmid']}",
        "bridge_rights": f"access/permissions?path=/sdn/zones/localnetwork/{bridge}",
        "power": f"nodes/{vm['node']}/qemu/{vm['vmid']}/status/current",
        "net": net,
        "line": vm["config"][net],
        "digest": vm["config"].get("digest"),
        "lock": vm["config"].get("lock") or "",
        "status": vm.get("status") or "",
        "ha": vm.get("hastate") not in (None, "", "ignored"),
    }


def _again(former: Obj, vms: list[Obj]) -> Obj:
    """Return the VMs of an undo bundle as they are now."""
    found: dict[str, Obj] = {}
    refusals = []
    for name, kept in former.items():
        try:
            found[name] = _as_kept(name, kept, vms)
        except _Refused as error:
            refusals.append(str(error))
    return _result(found, refusals)


def _as_kept(name: str, kept: Obj, vms: list[Obj]) -> Obj:
    vm = next((vm for vm in vms if int(vm["vmid"]) == int(kept["vmid"])), None)
    if vm is None or _nets(vm).get(kept["net"]) != kept["mac"]:
        raise _Refused(
            f"{name}: the token sees no VM {kept['vmid']} whose {kept['net']} has the MAC "
            f"{kept['mac']}. It was removed or rebuilt since: there is nothing to put back."
        )
    known = {key: kept[key] for key in ("host", "nic", "mac")}
    return {**known, "visited": False, **_machine(vm, kept["net"])}


def _nic(view: View, name: str) -> Obj:
    """Return the NIC that the hypervisor knows: below VLANs and bonds of one member there is it."""
    nics = {nic["name"]: nic for nic in view.nics or ()}
    if name and name not in nics:
        raise _Refused(f"{view.name} has no NIC {name}. Set proxmox_vlan_trunk_nic to one of its.")
    for address in (view.node or {}).get("internal_ips") or () if not name else ():
        name = name or nic_of(view.nics, address)[0] or ""
    nic = nics.get(name)
    while nic is not None and nic["parent"] in nics:
        nic = nics[nic["parent"]]
    if nic is None:
        raise _Refused(
            f"{view.name}: none of its NICs has its InternalIP. Set proxmox_vlan_trunk_nic."
        )
    return nic


def _nets(vm: Obj) -> dict[str, str]:
    """Return net -> MAC of a VM's lines that can be read."""
    found = {}
    for key, text in (vm.get("config") or {}).items():
        if _NET.fullmatch(key):
            try:
                found[key] = parse(str(text)).mac or ""
            except NetLineError:
                continue
    return found


def _by_mac(name: str, mac: str, vms: list[Obj]) -> tuple[Obj, str]:
    hits = [(vm, net) for vm in vms for net, known in _nets(vm).items() if known == mac]
    if not hits:
        raise _Refused(
            f"{name}: no VM that the token sees has a NIC with its MAC {mac}. The token needs "
            f"VM.Audit on the VM; else the NIC is none of Proxmox's. {_VMS}"
        )
    if len(hits) > 1:
        who = ", ".join(f"{vm['vmid']} ({net})" for vm, net in hits)
        raise _Refused(f"{name}: its MAC {mac} is that of several VMs: {who}. {_VMS}")
    return hits[0]


def _told(name: str, said: Obj, mac: str, vms: list[Obj]) -> tuple[Obj, str]:
    """Return VM and net as the user has said, whose MAC has to be the node's."""
    wanted = str(said.get("vmid") or said.get("name") or "")
    hits = [
        vm
        for vm in vms
        if wanted in (str(vm["vmid"]), vm.get("name") if not said.get("vmid") else None)
        and said.get("node") in (None, "", vm["node"])
    ]
    if len(hits) != 1:
        how = "no VM" if not hits else f"{len(hits)} VMs"
        raise _Refused(
            f"{name}: the token sees {how} of '{wanted}', as proxmox_vlan_trunk_vms says."
        )
    net = str(said.get("net") or "net0")
    text = (hits[0].get("config") or {}).get(net)
    if text is None:
        raise _Refused(f"{name}: VM {hits[0]['vmid']} has no {net}.")
    try:
        found = parse(str(text)).mac
    except NetLineError as error:
        raise _Refused(
            f"{name}: {net} of VM {hits[0]['vmid']} is not understood: {error}."
        ) from None
    if found != mac:
        raise _Refused(
            f"{name}: {net} of VM {hits[0]['vmid']} has MAC {found}, but the node's NIC has {mac}. "
            "It is another NIC or another VM: correct proxmox_vlan_trunk_vms, or leave the Node "
            "out there, and it is found by its MAC."
        )
    return hits[0], net
