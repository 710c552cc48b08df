# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide whether an Egress on a VLAN may be made or taken away."""

from __future__ import annotations

DOCUMENTATION = r"""
name: antrea_egress_vlan_plan
short_description: Decide whether an Egress on a VLAN may be made or taken away
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Judges Antrea's version and configuration, the nodes that may hold the address, and how the VLAN reaches them, and refuses what would
    leave pods without a way out. It reads nothing by itself.
positional: antrea, world, hosts, options
options:
  _input:
    description: RV(k8snet.cni.cluster_info#module:k8snet_cluster).
    type: dict
    required: true
  antrea:
    description: RV(k8snet.cni.antrea_info#module:antrea).
    type: dict
    required: true
  world:
    description:
      - C(labels) of Nodes by name, and all C(pools) and C(egresses) as objects; C(power), as P(k8snet.cni.antrea_egress_vlan_power#filter)
        takes it, where a drill is to cut a node's power.
    type: dict
    required: true
  hosts:
    description:
      - Inventory hosts, visited or not, as P(k8snet.cni.audit_findings#filter) takes them, each with C(probe) (what M(k8snet.cni.vlan_probe)
        returned, null without), C(probe_error), and C(filters) (lines of sysctl.d about rp_filter).
    type: list
    elements: dict
    required: true
  options:
    description: The role's options by their names without the role's.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Plan
  ansible.builtin.set_fact:
    plan: "{{ cluster | k8snet.cni.antrea_egress_vlan_plan(antrea, world, hosts, options) }}"
"""

RETURN = r"""
_value:
  description:
    - C(refusals) and C(warnings), sentences; C(lines) to print; C(nodes), those that are to have the label, C(adds) and C(drops) of them,
      C(labels_before); C(reach) and C(taken) as of P(k8snet.cni.antrea_egress_vlan_reach#filter); C(had), the pool and the Egress as they are;
      C(power) as of P(k8snet.cni.antrea_egress_vlan_power#filter), null without such a drill.
  type: dict
"""

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _egress_vlan as domain


def antrea_egress_vlan_plan(
    cluster: Any, antrea: Any, world: Any, hosts: Any, options: Any
) -> dict[str, Any]:
    """Return the plan."""
    return domain.decide(plain(cluster), plain(antrea), plain(world), plain(hosts), plain(options))


class FilterModule:
    """Filters of the role antrea_egress_vlan."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"antrea_egress_vlan_plan": antrea_egress_vlan_plan}
