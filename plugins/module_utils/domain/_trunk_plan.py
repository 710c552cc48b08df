# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole decision about VLANs in the lines of Proxmox VMs, before anything is written. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _trunk_checks as checks
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _trunk_lines as words
from ansible_collections.k8snet.cni.plugins.module_utils.domain._plan_lines import natural
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


def decide(matched: Obj, seen: Obj, options: Obj) -> Obj:
    """Return what may be done, and how: the keys below and in the filter of the role.

    ``matched``: of `_trunk_match.matched`. ``seen``: answers (path of the API -> its data),
    unapplied (paths whose answer is not applied yet), nodes (Node objects), pods (Node -> Pod
    objects), budgets (PodDisruptionBudgets), budgets_unread (why there are none: forbidden, absent
    or ""), pools (ExternalIPPools), probes (Node -> VLAN as text -> what vlan_probe returned; {}
    without gateways).
    ``options``: state, vlans, power_cycle, accept_control_plane (names of Nodes), accept_pools,
    gateways (VLANs that are asked for), drain_timeout (seconds), drain_force,
    drain_delete_emptydir_data, former (lines of the undo bundle: with restored those to put back,
    else of the run that is gone on with), planned (nodes of an earlier plan, which have to be like
    now), width.
    """
    state = options["state"]
    refusals = list(matched["refusals"])
    try:
        options = {**options, "vlans": wanted(_numbers(options.get("vlans") or ()))}
        if not options["vlans"] and state != RESTORED:
            refusals.append("proxmox_vlan_trunk_vlans: name one VLAN at least.")
    except NetLineError as error:
        refusals.append(f"proxmox_vlan_trunk_vlans: {error}.")
        options = {**options, "vlans": []}
    nodes = {node["metadata"]["name"]: node for node in seen["nodes"]}
    planned, barred = ({}, []) if refusals else _planned(matched, nodes, seen, options)
    refusals += barred
    warnings: list[str] = []
    for name, entry in planned.items():
        refusals += checks.bars(name, entry, seen, nodes, options) if entry["changes"] else []
        refusals += _strange(name, entry, options) + _moved(name, entry, options)
        warnings += _warns(name, entry, options)
        entry["evicts"] = checks.evicts(name, seen, options)
    order = sorted(planned, key=lambda name: (planned[name]["control_plane"], natural(name)))
    turns = [name for name in order if planned[name]["changes"]]
    warnings += checks.holds([name for name in turns if planned[name]["drain"]], seen, options)
    plan = {
        "state": state,
        "vlans": options["vlans"],
        "power_cycle": options["power_cycle"],
        "nodes": planned,
        "order": order,
        "turns": turns,
        "unasked": [vlan for vlan in options["vlans"] if str(vlan) not in _asked(options)],
        "refusals": refusals,
        "warnings": warnings,
    }
    plan["undo"] = {name: _kept(planned[name]) for name in plan["turns"]}
    plan["lines"] = words.lines(plan, int(options.get("width") or 100))
    return plan


def _planned(
    matched: Obj, nodes: dict[str, Obj], seen: Obj, options: Obj
) -> tuple[dict[str, Obj], list[str]]:
    """Return the plan of each node, and what bars the others'."""
    former = options.get("former") or {}
    planned: dict[str, Obj] = {}
    barred: list[str] = []
    for name, entry in matched["nodes"].items():
        now = {**entry, **checks.kube(nodes.get(name) or {})}
        now.update(_begun(now, former.get(name)))
        try:
            planned[name] = _node(name, now, seen, options)
        except NetLineError as error:
            barred.append(f"{name}: {_what(entry)}: {error}")
        else:
            planned[name].update(_left(planned[name], former.get(name)))
    return planned, barred


def _asked(options: Obj) -> set[str]:
    """Return the VLANs whose gateways are asked for, all where nobody says."""
    named = options.get("gateways")
    return set(map(str, options["vlans"] if named is None else named))


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
    checks.check_vm(entry, now, seen)
    pending = seen["answers"].get(entry["pending"]) or []
    latest = _latest(entry, now, pending)
    want = _wanted(name, latest, options)
    found = {**entry, "node": name, "former": str(latest), "wanted": str(want)}
    found["write"] = not want.same(latest)
    found["lost"] = checks.lost(latest, want, seen.get("pools") or [])
    probes = seen["probes"].get(name) or {}
    found["silent"] = silent(found, probes) if options["state"] == PRESENT else []
    # Where nothing is to be written and still the VLAN does not arrive, the port may never have
    # got it.
    found["waits"] = waits(entry, pending) and not found["write"]
    found["due"] = found["waits"] or (bool(found["silent"]) and not found["write"])
    cycled = found["due"] and options["power_cycle"] == WHEN_DUE
    found["changes"] = found["write"] or found["start"] or cycled
    found["others"] = sorted(
        item["key"]
        for item in pending
        if item["key"] != entry["net"] and ("pending" in item or item.get("delete"))
    )
    return found


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


def _begun(entry: Obj, kept: Obj | None) -> Obj:
    """Return what an interrupted run may have left: a Node is cordoned before all else.

    Its VM may be off then, or its NIC without its port. Neither bars what brings it back.
    """
    begun = kept is not None and entry["cordoned"]
    off = begun and entry["status"] == "stopped"
    return {"start": off, "drain": not (begun and (off or not entry["ready"]))}


def _left(entry: Obj, kept: Obj | None) -> Obj:
    """Return what a run that was interrupted has left: a Node that it cordoned is let go again."""
    if kept is None or kept["cordoned"] or not entry["cordoned"]:
        return {"left": False}
    return {"left": True, "cordoned": False, "changes": True}


def _strange(name: str, entry: Obj, options: Obj) -> list[str]:
    """Return that a run which is gone on with has kept nothing of a Node, so could not go back."""
    former = options.get("former")
    if not former or name in former or not entry["changes"]:
        return []
    return [
        f"{name}: the run that is gone on with has not planned to change it, and kept nothing of "
        "it. Leave it out of proxmox_vlan_trunk_nodes, and have it changed by another run."
    ]


def _moved(name: str, entry: Obj, options: Obj) -> list[str]:
    """Return that a VM or its Node is not any more as an earlier plan has it."""
    before = (options.get("planned") or {}).get(name) or entry
    keys = ("former", "wanted", "write", "start", "changes")
    if all(entry[key] == before[key] for key in keys):
        return []
    return [
        f"{name}: {_what(entry)} has changed since the plan was made: it is '{entry['former']}' "
        f"now, and the VM is {entry['status']}. Run this again."
    ]


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
