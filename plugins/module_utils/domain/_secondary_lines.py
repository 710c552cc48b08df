# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a secondary bridge as a person reads it, and whether a node is as it says. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _secondary_network as domain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _secondary_nic as nic_rules
from ansible_collections.k8snet.cni.plugins.module_utils.domain._plan_lines import labelled, table


def lines(
    decision: domain.Decision, antrea: domain.Antrea, want: domain.Want, timeout: int, width: int
) -> list[str]:
    """Return what changes, on which nodes and with which addresses, how it is guarded, what warns.

    ``timeout``: seconds after which a node that was not confirmed restores itself.
    """
    names = ", ".join(want.uplinks.interfaces)
    place = "AntreaNodeConfig" if decision.via == domain.NODE_CONFIG else "Antrea's ConfigMap"
    what = f"{want.uplinks.bridge} with {names} through {place}"
    if want.state == domain.ABSENT:
        what = f"{want.uplinks.bridge} is taken away through {place}"
        if domain.leaves_bridge(antrea, want):
            what += f", and removed from Open vSwitch, where Antrea {antrea.shown} leaves it"
    found = labelled("PLAN", what, width)
    changing = [name for name, node in decision.nodes.items() if node["changes"]]
    if changing:
        found += labelled("Window", _window(changing, decision, timeout), width)
    found += ["", *_table(decision, want)]
    for text in decision.warnings:
        found += labelled("WARNING", text, width)
    for text in decision.refusals:
        found += labelled("REFUSED", text, width)
    return found


def _window(changing: list[str], decision: domain.Decision, timeout: int) -> str:
    nodes = decision.nodes
    turn = "its agent is restarted"
    if decision.via == domain.NODE_CONFIG:
        turn = "its label is changed"
    text = (
        f"Checkpoints are armed on all {len(nodes)} nodes first. Then {len(changing)} nodes one "
        f"after the other: {turn}, and it is confirmed from outside within {timeout} s, or "
        "restores itself. The first failure stops, and everything goes back."
    )
    living = [name for name in changing if nodes[name]["lifeline"]]
    if living:
        text += f" The NIC that carries the node moves on {', '.join(living)}."
    return text


def _table(decision: domain.Decision, want: domain.Want) -> list[str]:
    rows = [("Node", "NIC", "addresses", "then")]
    for name, node in sorted(decision.nodes.items()):
        for entry in node["interfaces"]:
            addresses = ", ".join(entry["addresses"]) or "none"
            rows.append((name, entry["name"], addresses, _then(entry, want)))
    return [line.rstrip() for line in table(rows)]


def _then(entry: dict[str, Any], want: domain.Want) -> str:
    if entry["on_bridge"] == (want.state == domain.PRESENT):
        return "stays"
    if want.state == domain.ABSENT:
        return "is a NIC of its own again"
    if not want.uplinks.moves:
        return f"becomes an uplink of {want.uplinks.bridge}"
    name = entry["name"]
    return f"becomes {name}~ on {want.uplinks.bridge}; an internal port {name} takes its addresses"


def problems(
    planned: dict[str, Any], seen: nic_rules.Seen, want: domain.Want, back: bool = False
) -> list[str]:
    """Return what of a node is not as planned, after its agent was restarted; [] when all is.

    ``planned``: the node's entry in `Decision.nodes`; ``back``: the plan is that the node is what
    it was before.
    """
    found = []
    there = nic_rules.enslaved(seen, want.uplinks)
    if seen.ovs.get("error") or not seen.ovs.get("present"):
        return [f"{seen.node}: Open vSwitch could not be read: {seen.ovs.get('error')}"]
    if seen.ovs.get("flow_restore_wait"):
        found.append(f"{seen.node}: flow-restore-wait is set, so the bridges forward nothing.")
    for entry in planned["interfaces"]:
        name = entry["name"]
        aim = entry["on_bridge"] if back else want.state == domain.PRESENT
        if (name in there) != aim:
            where = "is not on" if aim else "is still on"
            found.append(f"{seen.node}: {name} {where} {want.uplinks.bridge}.")
        nic = seen.nic(name)
        carries = nic_rules.carried(nic) if nic else []
        lost = sorted(set(entry["addresses"]) - set(carries))
        if lost:
            found.append(f"{seen.node}: {name} has lost {', '.join(lost)}.")
    stays = planned["bridge"] if back else want.state == domain.PRESENT
    if nic_rules.bridge_of(seen, want.uplinks) is not None and not stays:
        found.append(f"{seen.node}: bridge {want.uplinks.bridge} is still in Open vSwitch.")
    unreached = sorted(address for address, through in seen.api.items() if through is None)
    if unreached and len(unreached) == len(seen.api):
        found.append(f"{seen.node}: there is no route to the API server ({', '.join(unreached)}).")
    return found
