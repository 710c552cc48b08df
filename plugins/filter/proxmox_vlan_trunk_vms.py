# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say which VM of Proxmox is which Node, and which of its NICs is meant."""

from __future__ import annotations

DOCUMENTATION = r"""
name: proxmox_vlan_trunk_vms
short_description: Say which VM of Proxmox is which Node, and which of its NICs is meant
version_added: 0.2.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Finds each Node's VM by the MAC address of the node's NIC, or as it is told. A VM whose NIC has another MAC is refused.
positional: hosts, vms, options
options:
  _input:
    description: RV(k8snet.cni.cluster_info#module:k8snet_cluster).
    type: dict
    required: true
  hosts:
    description: Inventory hosts, visited or not, as P(k8snet.cni.audit_findings#filter) takes them.
    type: list
    elements: dict
    required: true
  vms:
    description: What M(community.proxmox.proxmox_vm_info) returned with C(config=current).
    type: list
    elements: dict
    required: true
  options:
    description: What is meant.
    type: dict
    required: true
    suboptions:
      nodes:
        description: Names of the Nodes. Empty for all that the inventory has.
        type: list
        elements: str
      nic:
        description: Name of the NIC. Empty for the one that has the Node's InternalIP.
        type: str
      former:
        description: Lines that the undo bundle of a run holds. Their VMs are meant then, and nothing else counts.
        type: dict
      begun:
        description: Lines of the run that is gone on with, whose Nodes are known by them where they were not visited.
        type: dict
      vms:
        description: Node to C(vmid) or C(name), C(node) and C(net), where the MAC does not tell.
        type: dict
"""

EXAMPLES = r"""
- name: See which VMs are meant
  ansible.builtin.debug:
    msg: "{{ (k8snet_cluster | k8snet.cni.proxmox_vlan_trunk_vms(hosts, read.proxmox_vms, {})).nodes }}"
"""

RETURN = r"""
_value:
  description:
    - C(nodes) (Node to its host, NIC and VM), C(refusals) (sentences), and C(paths) (what to ask the API of Proxmox for next).
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _trunk_match as domain


def proxmox_vlan_trunk_vms(cluster: Any, hosts: Any, vms: Any, options: Any) -> dict[str, Any]:
    """Return Nodes and their VMs. Raises AnsibleFilterError on wrong input."""
    cluster, hosts, vms, options = plain(cluster), plain(hosts), plain(vms), plain(options)
    if not isinstance(cluster, dict) or "nodes" not in cluster:
        raise AnsibleFilterError(
            "proxmox_vlan_trunk_vms: that is not what k8snet.cni.cluster_info returns."
        )
    if not isinstance(hosts, list) or not isinstance(vms, list) or not isinstance(options, dict):
        raise AnsibleFilterError(
            "proxmox_vlan_trunk_vms: 'hosts' and 'vms' must be lists and 'options' a dict."
        )
    return domain.matched(cluster, hosts, vms, options)


class FilterModule:
    """Filters of the role proxmox_vlan_trunk."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"proxmox_vlan_trunk_vms": proxmox_vlan_trunk_vms}
