# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say what of a Proxmox VM's NIC is not as it is to be after its line was written."""

from __future__ import annotations

DOCUMENTATION = r"""
name: proxmox_vlan_trunk_verdict
short_description: Say what of a Proxmox VM's NIC is not as it is to be after its line was written
version_added: 0.2.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Compares what Proxmox and the node say now with the line that was written.
positional: pending, probes, line
options:
  _input:
    description: The node's entry of P(k8snet.cni.proxmox_vlan_trunk_plan#filter).
    type: dict
    required: true
  pending:
    description: Entries of the VM's C(/pending).
    type: list
    elements: dict
    required: true
  probes:
    description: VLAN to what M(k8snet.cni.vlan_probe) returned.
    type: dict
    default: {}
  line:
    description: The line that was written. By default the one that is wanted.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: See that Proxmox has the line
  ansible.builtin.assert:
    that: (plan.nodes.node1 | k8snet.cni.proxmox_vlan_trunk_verdict(entries)).unread == []
"""

RETURN = r"""
_value:
  description:
    - C(unread) (sentences; empty if Proxmox has the line), C(waits) (whether the line waits for a power cycle), C(silent) (sentences
      about VLANs that do not arrive), and C(due) (what a person is told if a power cycle is due).
  type: dict
"""

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _trunk_plan as domain


def proxmox_vlan_trunk_verdict(
    entry: Any, pending: Any, probes: Any = None, line: Any = ""
) -> dict[str, Any]:
    """Return what is not as it is to be."""
    entry, pending = plain(entry), plain(pending)
    return {
        "unread": domain.unread(entry, pending, str(line or entry["wanted"])),
        "waits": domain.waits(entry, pending),
        "silent": domain.silent(entry, plain(probes) or {}),
        "due": domain.due(entry),
    }


class FilterModule:
    """Filters of the role proxmox_vlan_trunk."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"proxmox_vlan_trunk_verdict": proxmox_vlan_trunk_verdict}
