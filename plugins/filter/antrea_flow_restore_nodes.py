# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say which Node each host of the inventory is."""

from __future__ import annotations

DOCUMENTATION = r"""
name: antrea_flow_restore_nodes
short_description: Say which Node each host of the inventory is
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Before a node was visited. M(k8snet.cni.ovs_flow_restore_wait) judges best when it knows the node's own addresses.
positional: hosts
options:
  _input:
    description: RV(k8snet.cni.cluster_info#module:k8snet_cluster).
    type: dict
    required: true
  hosts:
    description: Inventory hosts. Each is a list of the address by which Ansible reaches it and the name of its Node, both empty if
      not known.
    type: dict
    required: true
seealso:
  - plugin: k8snet.cni.antrea_flow_restore_plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show a host's InternalIPs
  ansible.builtin.debug:
    msg: "{{ (cluster.k8snet_cluster | k8snet.cni.antrea_flow_restore_nodes(hosts)).host1.internal_ips }}"
"""

RETURN = r"""
_value:
  description: Host to C(name) and C(internal_ips) of its Node. Hosts that are no Node are left out.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain._flow_restore_plan import nodes_of
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import left_out


def antrea_flow_restore_nodes(cluster: Any, hosts: Any) -> dict[str, Any]:
    """Return host -> its Node. Raises AnsibleFilterError on wrong input."""
    cluster, hosts = plain(cluster), plain(hosts)
    if not isinstance(cluster, dict) or "nodes" not in cluster:
        raise AnsibleFilterError(
            "antrea_flow_restore_nodes: the input is not what k8snet.cni.cluster_info returns."
        )
    if not isinstance(hosts, dict) or not all(len(known) == 2 for known in hosts.values()):
        raise AnsibleFilterError(
            "antrea_flow_restore_nodes: 'hosts' must be a dict of lists: address, name of the Node."
        )
    return nodes_of(cluster, left_out(hosts))


class FilterModule:
    """Filters of the role antrea_flow_restore."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"antrea_flow_restore_nodes": antrea_flow_restore_nodes}
