# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each of Calico's autodetection methods would give on each node."""

from __future__ import annotations

DOCUMENTATION = r"""
name: calico_whatif
short_description: Compares Calico's autodetection methods over all nodes
version_added: 0.1.0
author: k8snet.cni contributors (@k8snet)
description:
  - Predicts, for every node and every method, which address Calico would pick, and names the methods that give
    every node its InternalIP. Use it before a change of the method, or before a NIC is added.
  - It asks neither the nodes nor the cluster.
positional: methods
options:
  _input:
    description:
      - By name of the node a dictionary with C(nics), C(internal_ips) and, for V(can-reach=), C(reach).
        See P(k8snet.cni.calico_autodetect#filter) for each of them.
      - A node whose C(nics) are V(null) was not visited. Its results are unknown, and no method is good then.
    type: dict
    required: true
  methods:
    description:
      - The methods to try.
      - Without it they are derived from the nodes, in this order. The method in O(current), V(first-found),
        V(kubernetes-internal-ip), V(can-reach=) for each destination in C(reach), V(cidr=) with the networks
        of the InternalIPs, V(interface=) if the InternalIP is on an interface of the same name everywhere,
        and V(skip-interface=) with the interfaces that V(first-found) takes in its place.
    type: list
    elements: str
  family:
    description: The address family, V(4) for IPv4 and V(6) for IPv6.
    type: int
    choices: [4, 6]
    default: 4
  calico_version:
    description:
      - Release of Calico, for example V(v3.24.5). It decides which interfaces are skipped by default.
      - Without it the list of v3.25 and all later releases applies.
    type: str
  current:
    description:
      - The method in force. It comes first among the derived methods.
      - Without effect if O(methods) is given.
    type: str
seealso:
  - plugin: k8snet.cni.calico_autodetect
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Which methods give every node its InternalIP
  ansible.builtin.debug:
    msg: "{{ (nodes | k8snet.cni.calico_whatif).good }}"
  vars:
    nodes:
      node1:
        internal_ips: [10.0.0.1]
        nics:
          - {name: eth0, addresses: [10.0.0.1/24]}
          - {name: eth1, addresses: [192.168.56.1/24]}
      node2:
        internal_ips: [10.0.0.2]
        nics:
          - {name: eth0, addresses: [10.0.0.2/24]}

- name: Refuse a method that is wrong on some node
  ansible.builtin.assert:
    that: table.good == ['cidr=10.0.0.0/24']
    fail_msg: "Wrong on {{ table.methods[0].wrong }}, without address on {{ table.methods[0].none }}"
  vars:
    table: "{{ nodes | k8snet.cni.calico_whatif(['cidr=10.0.0.0/24']) }}"
"""

RETURN = r"""
_value:
  description: The table.
  type: dict
  contains:
    good:
      description: The methods that give every node its InternalIP, in the order tried.
      type: list
      elements: str
      sample: [kubernetes-internal-ip, cidr=10.0.0.0/24]
    family:
      description: The address family, V(4) or V(6).
      type: int
      sample: 4
    methods:
      description: The columns of the table, in the order tried.
      type: list
      elements: dict
      contains:
        method:
          description: The method.
          type: str
          sample: first-found
        good:
          description: Whether every node gets its InternalIP.
          type: bool
          sample: false
        right:
          description: Nodes that get their InternalIP.
          type: list
          elements: str
          sample: [node2]
        wrong:
          description: Nodes that get another address.
          type: list
          elements: str
          sample: [node1]
        none:
          description: Nodes that get no address, or on which C(calico-node) exits.
          type: list
          elements: str
          sample: []
        unknown:
          description: Nodes of which it cannot be said, for lack of facts or of an InternalIP.
          type: list
          elements: str
          sample: []
        duplicates:
          description: Addresses that several nodes would get.
          type: list
          elements: dict
          contains:
            address:
              description: The address without prefix.
              type: str
              sample: 10.0.0.100
            nodes:
              description: The nodes that would get it.
              type: list
              elements: str
              sample: [node1, node3]
    nodes:
      description: The rows of the table, by name of the node.
      type: dict
      contains:
        internal_ip:
          description: The first InternalIP of the family. V(null) if the node has none.
          type: str
          sample: 10.0.0.1
        results:
          description:
            - By method, what P(k8snet.cni.calico_autodetect#filter) returns, and C(right), which says whether
              it is the InternalIP. C(right) is V(null) if that cannot be said.
          type: dict
          sample:
            first-found:
              address: 192.168.56.1/24
              interface: eth1
              reason: "eth1 before eth0: Calico walks interfaces in reverse kernel order; eth0 (10.0.0.1/24) would match too."
              error: null
              outcome: address
              right: false
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nic_input import InputError
from ansible_collections.k8snet.cni.plugins.module_utils.domain._whatif import whatif


def calico_whatif(
    hosts: Any,
    methods: Any = None,
    family: Any = 4,
    calico_version: str | None = None,
    current: str | None = None,
) -> dict[str, Any]:
    """The filter; see DOCUMENTATION."""
    try:
        return whatif(hosts, methods, family, calico_version, current)
    except InputError as problem:
        raise AnsibleFilterError(f"calico_whatif: {problem}") from problem


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        return {"calico_whatif": calico_whatif}
