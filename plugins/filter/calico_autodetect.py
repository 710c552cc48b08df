# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which address Calico's autodetection would pick on a node."""

from __future__ import annotations

DOCUMENTATION = r"""
name: calico_autodetect
short_description: Predicts which address Calico picks on a node
version_added: 0.1.0
author: k8snet.cni contributors (@k8snet)
description:
  - Says which address Calico's IP autodetection would pick, on which interface, and why, from the interfaces
    of a node and an autodetection method. It asks neither the node nor the cluster.
  - Every rule and quirk of Calico is kept. Interfaces are walked in reverse kernel order, regular expressions
    are those of Go and not anchored, and the state of a link does not matter.
positional: method
options:
  _input:
    description:
      - The interfaces of the node in kernel order, as RV(k8snet.cni.nic_facts#module:ansible_facts.k8snet_nics).
      - Of each interface only C(name), C(up) and C(addresses) are used, and C(up) may be missing.
        An address is a dictionary with C(address) and C(prefix), or a string like V(10.0.0.5/24).
      - The order decides. Do not sort the list.
    type: list
    elements: dict
    required: true
  method:
    description:
      - The method, as in Calico's E(IP_AUTODETECTION_METHOD).
      - V(first-found), V(kubernetes-internal-ip), V(can-reach=DESTINATION), V(interface=REGEX,...),
        V(skip-interface=REGEX,...) or V(cidr=CIDR,...). An empty string means V(first-found).
    type: str
    default: first-found
  family:
    description: The address family, V(4) for IPv4 and V(6) for IPv6.
    type: int
    choices: [4, 6]
    default: 4
  internal_ips:
    description:
      - The addresses of type InternalIP of the Kubernetes Node, in the order of its status.
      - Used by V(kubernetes-internal-ip).
    type: list
    elements: str
    default: []
  reach:
    description:
      - For each destination the source address that the node's kernel chooses for it, or a dictionary with
        C(source), as RV(k8snet.cni.nic_facts#module:ansible_facts.k8snet_reach).
      - Used by V(can-reach=).
    type: dict
  calico_version:
    description:
      - Release of Calico, for example V(v3.24.5). It decides which interfaces are skipped by default.
      - Without it the list of v3.25 and all later releases applies.
    type: str
notes:
  - Regular expressions are judged without Go. Only for interface names beyond ASCII, with a pattern that
    asks for a script or ignores case, the Python package google-re2 is needed on the controller.
seealso:
  - plugin: k8snet.cni.calico_whatif
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show the address that Calico would pick, and why
  ansible.builtin.debug:
    msg: "{{ found.address }} on {{ found.interface }}: {{ found.reason }}"
  vars:
    found: "{{ k8snet_nics | k8snet.cni.calico_autodetect('first-found') }}"

- name: Try a method before it is rolled out
  ansible.builtin.assert:
    that: found.address is not none
    fail_msg: "{{ found.error or found.reason }}"
  vars:
    found: "{{ k8snet_nics | k8snet.cni.calico_autodetect('cidr=10.0.0.0/24') }}"

- name: Which source address would can-reach take
  ansible.builtin.debug:
    msg: "{{ k8snet_nics | k8snet.cni.calico_autodetect('can-reach=8.8.8.8', reach=k8snet_reach) }}"

- name: Interfaces typed by hand
  ansible.builtin.debug:
    msg: "{{ nics | k8snet.cni.calico_autodetect('interface=eth0,eth1') }}"  # 10.1.0.5/24
  vars:
    nics:
      - name: eth0
        addresses: [10.0.0.5/24]
      - name: eth1
        addresses: [10.1.0.5/24]
"""

RETURN = r"""
_value:
  description: What Calico would find.
  type: dict
  contains:
    address:
      description: The address with the prefix of its interface. V(null) if nothing is found.
      type: str
      sample: 10.0.0.5/24
    interface:
      description: The interface that has it. V(null) if nothing is found.
      type: str
      sample: eth0
    reason:
      description: Why this one, or why none.
      type: str
      sample: "eth1 before eth0: Calico walks interfaces in reverse kernel order; eth0 (10.0.0.5/24) would match too."
    error:
      description:
        - What is wrong with the method and what Calico does about it, or what is missing for a prediction.
        - V(null) if the method is in order.
      type: str
      sample: null
    outcome:
      description:
        - V(address) if an address is found.
        - V(none) if nothing matches. Calico then keeps an address that it has stored, and exits if it has none.
        - V(exit) if C(calico-node) exits because it does not know the method.
        - V(unknown) if what is known does not suffice for a prediction.
      type: str
      sample: address
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils.domain._autodetection import (
    InputError,
    autodetect,
)


def calico_autodetect(
    nics: Any,
    method: Any = "first-found",
    family: Any = 4,
    internal_ips: Any = (),
    reach: Any = None,
    calico_version: str | None = None,
) -> dict[str, Any]:
    """The filter; see DOCUMENTATION."""
    try:
        return autodetect(nics, method, family, internal_ips, reach, calico_version)
    except InputError as problem:
        raise AnsibleFilterError(f"calico_autodetect: {problem}") from problem


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        return {"calico_autodetect": calico_autodetect}
