# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the interface on which Antrea puts VLANs on a node."""

from __future__ import annotations

DOCUMENTATION = r"""
name: antrea_egress_vlan_nic
short_description: Find the interface on which Antrea puts VLANs on a node
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Says which Node an inventory host is and, if that may hold an Egress's address, on which interface Antrea puts its VLANs. It reads
    nothing by itself.
positional: cluster, antrea, nodes
options:
  _input:
    description: The host, visited, as P(k8snet.cni.audit_findings#filter) takes it.
    type: dict
    required: true
  cluster:
    description: RV(k8snet.cni.cluster_info#module:k8snet_cluster).
    type: dict
    required: true
  antrea:
    description: RV(k8snet.cni.antrea_info#module:antrea).
    type: dict
    required: true
  nodes:
    description: Names of the Nodes that may hold the address.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Tell the interface
  ansible.builtin.debug:
    msg: "{{ (host | k8snet.cni.antrea_egress_vlan_nic(cluster, antrea, ['node1'])).interface }}"
"""

RETURN = r"""
_value:
  description: C(node), null if the host is none; C(interface) and C(mac), null if it is none of O(nodes) or has no such interface.
  type: dict
"""

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _egress_vlan_nodes as domain


def antrea_egress_vlan_nic(host: Any, cluster: Any, antrea: Any, nodes: Any) -> dict[str, Any]:
    """Return node, interface, mac."""
    return domain.nic(plain(host), plain(cluster), plain(antrea), plain(nodes))


class FilterModule:
    """Filters of the role antrea_egress_vlan."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"antrea_egress_vlan_nic": antrea_egress_vlan_nic}
