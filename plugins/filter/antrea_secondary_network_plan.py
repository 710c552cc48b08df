# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide whether a secondary bridge may be set up or taken away, before anything is written."""

from __future__ import annotations

DOCUMENTATION = r"""
name: antrea_secondary_network_plan
short_description: Decide whether Antrea may be given a secondary bridge, or have it taken away
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Judges Antrea's version and configuration and every node's NICs, and refuses what would cut a node off or keep an agent from
    starting. It reads nothing by itself.
positional: antrea, hosts, options
options:
  _input:
    description: RV(k8snet.cni.cluster_info#module:k8snet_cluster).
    type: dict
    required: true
  antrea:
    description: RV(k8snet.cni.antrea_info#module:antrea).
    type: dict
    required: true
  hosts:
    description: Inventory hosts, visited or not, as P(k8snet.cni.audit_findings#filter) takes them.
    type: list
    elements: dict
    required: true
  options:
    description: What is wanted.
    type: dict
    required: true
    suboptions:
      state:
        description: V(present) or V(absent).
        type: str
        required: true
      bridge:
        description: Name of the bridge.
        type: str
        required: true
      interfaces:
        description: NICs.
        type: list
        elements: str
      snooping:
        description: Whether the bridge snoops multicast.
        type: bool
      allow_primary:
        description: Whether a NIC that carries the node may move.
        type: bool
      via:
        description: V(configmap), V(nodeconfig) or V(auto).
        type: str
      accept_unseen:
        description: Names of Nodes that may go unseen.
        type: list
        elements: str
      override_owner:
        description: Whether to change a ConfigMap that belongs to Helm, GitOps or an add-on manager.
        type: bool
      timeout:
        description: Seconds after which a node that was not confirmed restores itself.
        type: int
      width:
        description: Columns of the lines.
        type: int
"""

EXAMPLES = r"""
- name: Show what would happen
  ansible.builtin.debug:
    msg: "{{ (k8snet_cluster | k8snet.cni.antrea_secondary_network_plan(read.antrea, hosts, {'state': 'present', 'bridge': 'br-sec'})).lines }}"
"""

RETURN = r"""
_value:
  description:
    - C(refusals) and C(warnings) (sentences), C(lines) to print, C(via), C(nodes) (Node to
      what happens there), C(hosts) (those on which a checkpoint is armed), C(settings) for M(k8snet.cni.antrea_config),
      C(object) (our AntreaNodeConfig or null), C(label), and C(armed_for) (seconds).
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _secondary_decision as domain
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import left_out


def antrea_secondary_network_plan(
    cluster: Any, antrea: Any, hosts: Any, options: Any
) -> dict[str, Any]:
    """Return the decision with its lines. Raises AnsibleFilterError on wrong input."""
    cluster, antrea, hosts, options = (plain(x) for x in (cluster, antrea, hosts, options))
    for what, value, key in (("cluster_info", cluster, "nodes"), ("antrea_info", antrea, "gates")):
        if not isinstance(value, dict) or key not in value:
            raise AnsibleFilterError(
                f"antrea_secondary_network_plan: that is not what k8snet.cni.{what} returns."
            )
    if not isinstance(hosts, list) or not isinstance(options, dict):
        raise AnsibleFilterError(
            "antrea_secondary_network_plan: 'hosts' must be a list and 'options' a dict."
        )
    everybody = [*hosts, *left_out(options.get("left_out") or {})]
    return domain.decide(cluster, antrea, everybody, options)


class FilterModule:
    """Filters of the role antrea_secondary_network."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"antrea_secondary_network_plan": antrea_secondary_network_plan}
