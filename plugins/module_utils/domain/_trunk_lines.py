# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan about VLANs in the lines of Proxmox VMs as a person reads it. Pure."""

from __future__ import annotations

import textwrap
from typing import Any

Obj = dict[str, Any]
_LABEL = 8


def lines(plan: Obj, width: int) -> list[str]:
    """Return what happens in which order, each line before and after, what warns and what bars."""
    found = _labelled("PLAN", _what(plan), width)
    found += _labelled("Order", _order(plan), width)
    for name in plan["order"]:
        found += _node(plan["nodes"][name], plan)
    for label, key in (("WARNING", "warnings"), ("REFUSED", "refusals")):
        for text in plan[key]:
            found += _labelled(label, text, width)
    return found


def _what(plan: Obj) -> str:
    if plan["state"] == "restored":
        return "The lines of the VMs' NICs become what they were before the run."
    if not plan["vlans"]:
        return "Nothing, since no VLAN is named"
    vlans = _vlans(plan["vlans"])
    if plan["state"] == "present":
        return f"The nodes get {vlans} with its tag, by trunks in the lines of their VMs' NICs"
    return f"The nodes lose {vlans}: it is taken out of trunks in the lines of their VMs' NICs"


def _vlans(vlans: list[int]) -> str:
    return ("VLAN " if len(vlans) == 1 else "VLANs ") + ", ".join(map(str, vlans))


def _order(plan: Obj) -> str:
    if not plan["turns"]:
        return "Nothing is left to do."
    more = " It is power-cycled where that is due." if plan["power_cycle"] == "when_due" else ""
    if plan["state"] == "present" and plan["unasked"]:
        more += (
            f" Nobody asks whether {_vlans(plan['unasked'])} arrives: name a gateway in "
            "proxmox_vlan_trunk_gateways."
        )
    return (
        f"One after the other: {', '.join(plan['turns'])}. Each is drained, its line is written, "
        "which may take it off the network for a moment, it has to answer again, and is "
        f"uncordoned.{more} The first failure stops."
    )


def _node(entry: Obj, plan: Obj) -> list[str]:
    """Return one node's block; its lines are never wrapped, since they are to be compared."""
    name = f" ({entry['vm']})" if entry["vm"] else ""
    role = ", control plane" if entry["control_plane"] else ""
    head = (
        f"{entry['node']}{role}: {entry['nic']} is {entry['net']} of VM {entry['vmid']}{name} on "
        f"{entry['proxmox_node']}"
    )
    drained = []
    if entry["changes"] and entry["drain"]:
        pods = "1 pod" if entry["evicts"] == 1 else f"{entry['evicts'] or 'no'} pods"
        drained = [f"  (its drain evicts {pods})"]
    if entry["write"]:
        off = ["  (switched off by an interrupted run, and started)"] if entry["start"] else []
        return [head, f"  - {entry['former']}", f"  + {entry['wanted']}", *off, *drained]
    then = ""
    if entry["start"]:
        then = " (switched off by an interrupted run, and started)"
    elif entry["due"]:
        cycled = plan["power_cycle"] == "when_due"
        then = " (a power cycle is due)" if cycled else " (needs a power cycle)"
    elif entry["left"]:
        then = " (left cordoned by an interrupted run, and let go)"
    return [head, f"  = {entry['wanted']}{then}", *drained]


def _labelled(label: str, text: str, width: int) -> list[str]:
    margin = " " * (_LABEL + 1)
    first = f"{label:{_LABEL}} "
    return textwrap.wrap(
        text,
        max(width, 40),
        initial_indent=first,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
