# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide which VLANs the lines of Proxmox VMs get, before anything is written."""

from __future__ import annotations

DOCUMENTATION = r"""
name: proxmox_vlan_trunk_plan
short_description: Decide which VLANs the lines of Proxmox VMs get or lose, and in which order
version_added: 0.2.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Judges VM, bridge, line, what is pending, and whether the Node may be drained. It reads nothing by itself.
positional: seen, options
options:
  _input:
    description: What P(k8snet.cni.proxmox_vlan_trunk_vms#filter) returned.
    type: dict
    required: true
  seen:
    description:
      - C(answers) (the data of each path of P(k8snet.cni.proxmox_vlan_trunk_vms#filter)), C(unapplied) (paths whose answer is not
        applied yet), C(nodes) (Node objects), C(pods) (Node to its pods), C(budgets) (PodDisruptionBudgets), C(budgets_unread)
        (V(forbidden) or V(absent) where they could not be read), C(pools) (ExternalIPPools), and C(probes) (Node to VLAN to what
        M(k8snet.cni.vlan_probe) returned).
    type: dict
    required: true
  options:
    description: What is wanted.
    type: dict
    required: true
    suboptions:
      state:
        description: V(present), V(absent) or V(restored).
        type: str
        required: true
      vlans:
        description: The VLANs.
        type: list
        elements: int
      power_cycle:
        description: V(never) or V(when_due).
        type: str
        required: true
      accept_control_plane:
        description: Control-plane Nodes that may be off the network for a moment.
        type: list
        elements: str
      accept_pools:
        description: ExternalIPPools whose VLAN a Node of theirs may lose.
        type: list
        elements: str
      gateways:
        description: VLANs whose gateways are asked whether they arrive. By default all.
        type: list
        elements: int
      drain_timeout:
        description: Seconds that a drain may take.
        type: int
      drain_force:
        description: Whether pods that nobody makes again are deleted, too.
        type: bool
      drain_delete_emptydir_data:
        description: Whether pods with emptyDir volumes go, too.
        type: bool
      former:
        description: Lines that the undo bundle of a run holds, to be put back or gone on with.
        type: dict
      planned:
        description: C(nodes) of an earlier plan, which have to be as they were then.
        type: dict
      width:
        description: Columns of the lines.
        type: int
"""

EXAMPLES = r"""
- name: Show what would happen
  k8snet.cni.show:
    lines: "{{ (found | k8snet.cni.proxmox_vlan_trunk_plan(seen, {'state': 'present', 'vlans': [181], 'power_cycle': 'never'})).lines }}"
"""

RETURN = r"""
_value:
  description:
    - C(refusals) and C(warnings) (sentences), C(lines) to print, C(nodes) (Node to its VM, C(former) and C(wanted) line, C(write),
      C(start), C(drain), C(due), C(changes)), C(order) (Nodes), C(turns) (those that have one), and C(undo) (what the undo bundle keeps).
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _trunk_plan as domain


def proxmox_vlan_trunk_plan(matched: Any, seen: Any, options: Any) -> dict[str, Any]:
    """Return the decision with its lines. Raises AnsibleFilterError on wrong input."""
    matched, seen, options = plain(matched), plain(seen), plain(options)
    if not isinstance(matched, dict) or "paths" not in matched:
        raise AnsibleFilterError(
            "proxmox_vlan_trunk_plan: that is not what k8snet.cni.proxmox_vlan_trunk_vms returns."
        )
    if not isinstance(seen, dict) or not isinstance(options, dict):
        raise AnsibleFilterError("proxmox_vlan_trunk_plan: 'seen' and 'options' must be dicts.")
    return domain.decide(matched, seen, options)


class FilterModule:
    """Filters of the role proxmox_vlan_trunk."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"proxmox_vlan_trunk_plan": proxmox_vlan_trunk_plan}
