# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide whether feature gates of Antrea may be switched, before anything is written."""

from __future__ import annotations

DOCUMENTATION = r"""
name: antrea_features_plan
short_description: Decide whether feature gates of Antrea may be switched, and which agents start anew
version_added: 0.2.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Judges gates by Antrea's version, with what they need, and refuses what would keep Antrea from starting or do nothing. It reads
    nothing by itself.
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
    description:
      - Inventory hosts, visited or not, as P(k8snet.cni.audit_findings#filter) takes them, each with C(gates), what
        M(k8snet.cni.antrea_gates) returned.
    type: list
    elements: dict
    required: true
  options:
    description: What is wanted.
    type: dict
    required: true
    suboptions:
      gates:
        description: Gates by name, V(true), V(false), or null for Antrea's default.
        type: dict
      prerequisites:
        description: Whether what they need is set along.
        type: bool
      accept_deprecated:
        description: Gates that may be deprecated.
        type: list
        elements: str
      upgrade_to:
        description: Version of Antrea to judge the configuration by as well.
        type: str
      canary:
        description: Name of the Node that comes first.
        type: str
      control_planes:
        description: Names of the Nodes that come last.
        type: list
        elements: str
      accept_unseen:
        description: Names of Nodes that may go unseen.
        type: list
        elements: str
      override_owner:
        description: Whether to change a ConfigMap that belongs to Helm, GitOps or an add-on manager.
        type: bool
      external_ips:
        description: Services (C(namespace), C(name)) with the C(pool) that gives each its address; null takes that away.
        type: list
        elements: dict
      l7_export:
        description: Namespaces, or Pods in them (C(namespace), C(pod)), with the C(direction) of flows whose layer 7 is exported.
        type: list
        elements: dict
      node_policy:
        description: "A policy for nodes: C(name), C(node_selector), C(priority), C(tier), C(ingress), C(egress), rules as in the API."
        type: dict
      ssh:
        description: "Addresses from which nodes are managed, each with the port there: C(172.16.0.9:22)."
        type: list
        elements: str
      external_nodes:
        description: "Machines outside the cluster: C(namespace), C(name), C(ips), C(interface), C(labels)."
        type: list
        elements: dict
      external_dir:
        description: Folder on the controller for the files of their agents. Without one none are written, and what follows is not needed.
        type: path
      external_api:
        description: URL by which they reach the API server.
        type: str
      external_antrea:
        description: URL by which they reach antrea-controller.
        type: str
      external_token:
        description: The token that they show. It is not in what is returned.
        type: str
      external_bypass:
        description: Rules that go before policies there.
        type: list
        elements: dict
      objects:
        description: >-
          What of these was found, whole: C(services), C(pools), C(namespaces), C(pods), C(nodes), C(policies) (the ClusterNetworkPolicy
          of that name), C(external_nodes).
        type: dict
      kube_proxy:
        description: RV(k8snet.cni.kube_proxy_info#module:kube_proxy).
        type: dict
      clickhouse_alter:
        description: Whether Theia's tables are to be changed.
        type: bool
      clickhouse_error:
        description: Why they could not be looked at, which bars a change and is told otherwise.
        type: str
      width:
        description: Columns of the lines.
        type: int
"""

EXAMPLES = r"""
- name: Show what would happen
  k8snet.cni.show:
    lines: "{{ (k8snet_cluster | k8snet.cni.antrea_features_plan(read.antrea, hosts, {'gates': {'Egress': true}})).lines }}"
"""

RETURN = r"""
_value:
  description:
    - C(refusals), C(warnings) and C(upgrade) (sentences), C(lines) to print, C(settings) for M(k8snet.cni.antrea_config), C(pulled)
      (what is set along, and why), C(expected) (gates that agents are to run with), C(writes) (whether the ConfigMap changes),
      C(controller) (whether its pods start anew), C(nodes) (Node to what happens), C(order) and C(hosts) (Nodes and their hosts in
      the order of their turns), C(canary) (the Node whose failure takes all back; empty where others run with the change already),
      C(unseen) (Nodes), C(marks) (annotations that change), C(strict_arp) (whether kube-proxy needs it), C(policy) (for nodes),
      C(external) (ExternalNodes that change), C(pending) (whether there is anything to do).
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _features_plan as domain


def antrea_features_plan(cluster: Any, antrea: Any, hosts: Any, options: Any) -> dict[str, Any]:
    """Return the decision with its lines. Raises AnsibleFilterError on wrong input."""
    cluster, antrea, hosts, options = plain(cluster), plain(antrea), plain(hosts), plain(options)
    for what, value, key in (("cluster_info", cluster, "nodes"), ("antrea_info", antrea, "gates")):
        if not isinstance(value, dict) or key not in value:
            raise AnsibleFilterError(
                f"antrea_features_plan: that is not what k8snet.cni.{what} returns."
            )
    if not isinstance(hosts, list) or not isinstance(options, dict):
        raise AnsibleFilterError(
            "antrea_features_plan: 'hosts' must be a list and 'options' a dict."
        )
    return domain.decide(cluster, antrea, hosts, options)


class FilterModule:
    """Filters of the role antrea_features."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"antrea_features_plan": antrea_features_plan}
