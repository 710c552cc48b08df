# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole decision about VLANs in the lines of Proxmox VMs, before anything is written. Pure."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _trunk_lines as words
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_decision import names_of
from ansible_collections.k8snet.cni.plugins.module_utils.domain._proxmox_net import (
    NetLine,
    NetLineError,
    parse,
    wanted,
)

Obj = dict[str, Any]
PRESENT, ABSENT, RESTORED = "present", "absent", "restored"
NEVER, WHEN_DUE = "never", "when_due"
REACHED = "reached"
_ROLES = ("control-plane", "master", "etcd")


def decide(matched: Obj, seen: Obj, options: Obj) -> Obj:
    """Return what may be done, and how: the keys below and in the filter of the role.

    ``matched``: of `_trunk_match.matched`. ``seen``: answers (path of the API -> its data), nodes
    (Node objects), probes (Node -> VLAN as text -> what vlan_probe returned; {} without gateways).
    ``options``: state, vlans, power_cycle, accept_control_plane (names of Nodes), former (lines of
    the undo bundle: with restored those to put back, else of the run that is gone on with), width.
    """
    state = options["state"]
    refusals = list(matched["refusals"])
    try:
        options = {**options, "vlans": wanted(_numbers(options.get("vlans") or ()))}
        if not options["vlans"] and state != RESTORED:
            refusals.append("proxmox_vlan_trunk_vlans: name one VLAN at least.")
    except NetLineError as error:
        refusals.append(f"proxmox_vlan_trunk_vlans: {error}.")
    kube = {node["metadata"]["name"]: node for node in seen["nodes"]}
    planned: dict[str, Obj] = {}
    warnings: list[str] = []
    if not refusals:
        for name, entry in matched["nodes"].items():
            try:
                planned[name] = _node(name, entry, seen, options)
            except NetLineError as error:
                refusals.append(f"{name}: {_what(entry)}: {error}")
    for name, entry in planned.items():
        entry.update(_kube(kube.get(name) or {}))
        entry.update(_left(entry, (options.get("former") or {}).get(name)))
        refusals += _bars(name, entry, kube, options) if entry["changes"] else []
        warnings += _warns(name, entry, options)
    order = sorted(planned, key=lambda name: (planned[name]["control_plane"], _natural(name)))
    plan = {
        "state": state,
        "vlans": options["vlans"],
        "power_cycle": options["power_cycle"],
        "nodes": planned,
        "order": order,
        "turns": [name for name in order if planned[name]["changes"]],
        "refusals": refusals,
        "warnings": warnings,
    }
    plan["undo"] = {name: _kept(planned[name]) for name in plan["turns"]}
    plan["lines"] = words.lines(plan, int(options.get("width") or 100))
    return plan


def _numbers(value: Any) -> list[int]:
    """Return VLANs given as a list, or as ``-e name=a,b`` hands them on. Raises NetLineError."""
    texts = value if isinstance(value, (list, tuple)) else str(value).split(",")
    try:
        return [int(text) for text in texts]
    except ValueError:
        raise NetLineError(f"'{value}' is no list of numbers") from None


def waits(entry: Obj, pending: list[Obj]) -> bool:
    """Return whether a NIC's line waits for the VM's next power cycle."""
    return any(
        found["key"] == entry["net"] and ("pending" in found or found.get("delete"))
        for found in pending
    )


def unread(entry: Obj, pending: list[Obj], line: str) -> list[str]:
    """Return why the line that was written is not what Proxmox has now, current or pending."""
    found = [item for item in pending if item["key"] == entry["net"]]
    text = str(found[0].get("pending", found[0].get("value", ""))) if found else ""
    try:
        if text and parse(text).same(parse(line)):
            return []
    except NetLineError:
        pass
    return [
        f"{entry['node']}: {_what(entry)} was written, but Proxmox has '{text}' instead of "
        f"'{line}'. Somebody else changes it, or a newer Proxmox writes it otherwise."
    ]


def silent(entry: Obj, probes: Obj) -> list[str]:
    """Return which VLANs did not answer, with what would explain it."""
    return [
        f"{entry['node']}: VLAN {vlan} does not reach {entry['nic']} ({said['verdict']}). "
        f"{said.get('explanation') or ''}".rstrip()
        for vlan, said in sorted(probes.items(), key=_by_vlan)
        if said.get("verdict") != REACHED
    ]


def _by_vlan(item: tuple[str, Any]) -> int:
    return int(item[0])


def _node(name: str, entry: Obj, seen: Obj, options: Obj) -> Obj:
    """Return the plan of one node. Raises NetLineError with what bars it."""
    now = parse(str(entry["line"]))
    _check_vm(entry, now, seen["answers"].get(entry["bridges"]) or [])
    pending = seen["answers"].get(entry["pending"]) or []
    latest = _latest(entry, now, pending)
    want = _wanted(name, latest, options)
    found = {**entry, "node": name, "former": str(latest), "wanted": str(want)}
    found["write"] = not want.same(latest)
    probes = seen["probes"].get(name) or {}
    found["silent"] = silent(found, probes) if options["state"] == PRESENT else []
    # Where nothing is to be written and still the VLAN does not arrive, the port may never have
    # got it.
    found["waits"] = waits(entry, pending) and not found["write"]
    found["due"] = found["waits"] or (bool(found["silent"]) and not found["write"])
    found["changes"] = found["write"] or (found["due"] and options["power_cycle"] == WHEN_DUE)
    found["others"] = sorted(
        item["key"]
        for item in pending
        if item["key"] != entry["net"] and ("pending" in item or item.get("delete"))
    )
    return found


def _check_vm(entry: Obj, now: NetLine, interfaces: list[Obj]) -> None:
    if entry["lock"]:
        raise NetLineError(
            f"the VM is locked ({entry['lock']}). Let that end, or unlock it with 'qm unlock "
            f"{entry['vmid']}' if it never will."
        )
    if entry["status"] != "running":
        raise NetLineError(f"the VM is {entry['status'] or 'in no known state'}, not running.")
    bridge = {str(i.get("iface")): i for i in interfaces}.get(now.bridge or "")
    if bridge is None:
        raise NetLineError(
            f"bridge {now.bridge} is none of Proxmox node {entry['proxmox_node']}. A VNet of its "
            "SDN passes VLANs by its own setting 'VLAN aware': set it there."
        )
    aware = str(bridge.get("bridge_vlan_aware") or 0) == "1"
    if bridge.get("type") != "OVSBridge" and not aware:
        raise NetLineError(
            f"bridge {now.bridge} of Proxmox node {entry['proxmox_node']} is not VLAN-aware, so "
            "that a VM with trunks would not start. Set 'VLAN aware' on it (bridge-vlan-aware yes "
            "in /etc/network/interfaces) in a maintenance window, and run this again."
        )


def _latest(entry: Obj, now: NetLine, pending: list[Obj]) -> NetLine:
    """Return the line that the VM will have. Raises NetLineError if more than VLANs wait."""
    if not waits(entry, pending):
        return now
    text = str(next(i.get("pending", "") for i in pending if i["key"] == entry["net"]))
    latest = parse(text) if text else NetLine(())
    if not latest.same(now, beside="trunks"):
        raise NetLineError(
            f"another change of it is pending ('{latest}'). Let it apply by a power cycle, or "
            f"revert it with 'qm set {entry['vmid']} --revert {entry['net']}'."
        )
    return latest


def _wanted(name: str, latest: NetLine, options: Obj) -> NetLine:
    """Return the line that is to be. Raises NetLineError where that is not for us to say."""
    if options["state"] == PRESENT:
        return latest.add(options["vlans"])
    if options["state"] == ABSENT:
        return latest.remove(options["vlans"])
    kept = options["former"][name]
    want = parse(kept["former"])
    if not (latest.same(want) or latest.same(parse(kept["written"]))):
        raise NetLineError(
            f"it is '{latest}', neither as the run has found it ('{want}') nor as it has written "
            f"it ('{kept['written']}'). Somebody has changed it since: change it by hand."
        )
    return want


def _kube(node: Obj) -> Obj:
    labels = (node.get("metadata") or {}).get("labels") or {}
    return {
        "control_plane": any(f"node-role.kubernetes.io/{role}" in labels for role in _ROLES),
        "cordoned": bool((node.get("spec") or {}).get("unschedulable")),
        "ready": _ready(node),
    }


def _left(entry: Obj, kept: Obj | None) -> Obj:
    """Return what a run that was interrupted has left: a Node that it cordoned is let go again."""
    if kept is None or kept["cordoned"] or not entry["cordoned"]:
        return {"left": False}
    return {"left": True, "cordoned": False, "changes": True}


def _ready(node: Obj) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _bars(name: str, entry: Obj, kube: dict[str, Obj], options: Obj) -> list[str]:
    """Return why a Node must not be drained."""
    if not entry["ready"]:
        return [f"{name} is not Ready. Repair that first."]
    if not entry["control_plane"]:
        return []
    members = [node for node in kube.values() if _kube(node)["control_plane"]]
    others = sum(_ready(n) for n in members if n["metadata"]["name"] != name)
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


def _warns(name: str, entry: Obj, options: Obj) -> list[str]:
    found = []
    if entry["changes"] and options["power_cycle"] == WHEN_DUE and entry["others"]:
        found.append(
            f"{name}: other changes of VM {entry['vmid']} are pending "
            f"({', '.join(entry['others'])}), which a power cycle applies as well."
        )
    if entry["due"] and not entry["changes"]:
        found += [] if entry["waits"] else entry["silent"]
        found.append(due(entry))
    return found


def due(entry: Obj) -> str:
    """Return what a person is told of a VM that needs a power cycle."""
    return (
        f"{entry['node']}: VM {entry['vmid']} needs a power cycle (a shutdown and a start, no "
        "reboot from within). Run this again with proxmox_vlan_trunk_power_cycle=when_due."
    )


def _kept(entry: Obj) -> Obj:
    keys = ("host", "nic", "mac", "vmid", "net", "former", "cordoned")
    return {**{key: entry[key] for key in keys}, "written": entry["wanted"]}


def _what(entry: Obj) -> str:
    return f"{entry['net']} of VM {entry['vmid']}"


def _natural(name: str) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
