# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide whether kube-proxy may be removed or brought back, before anything is written."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kube_proxy_removal_plan
short_description: Decide whether kube-proxy may be removed or brought back, and in which order
version_added: 0.2.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Judges Antrea's version and configuration, the cluster's Services, and how every node reaches the API server, and refuses what
    would strand a node. It reads nothing by itself.
positional: antrea, kube_proxy, hosts, options
options:
  _input:
    description: RV(k8snet.cni.cluster_info#module:k8snet_cluster).
    type: dict
    required: true
  antrea:
    description: RV(k8snet.cni.antrea_info#module:antrea).
    type: dict
    required: true
  kube_proxy:
    description: RV(k8snet.cni.kube_proxy_info#module:kube_proxy).
    type: dict
    required: true
  hosts:
    description:
      - Inventory hosts, visited or not, as P(k8snet.cni.audit_findings#filter) takes them, each with C(probe) (what
        M(k8snet.cni.service_probe) returned) and C(rules) (what M(k8snet.cni.kube_proxy_rules) returned in check mode), or
        C(probe_error) and C(rules_error).
    type: list
    elements: dict
    required: true
  options:
    description: What is wanted.
    type: dict
    required: true
    suboptions:
      state:
        description: V(absent) or V(present).
        type: str
        required: true
      api_server:
        description: URL by which agents and controller are to reach the API.
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
      accept_services:
        description: Services, as namespace/name, whose loadBalancerSourceRanges may get lost.
        type: list
        elements: str
      override_owner:
        description: Whether to change what belongs to Helm, GitOps or an add-on manager.
        type: bool
      override_distribution:
        description: Whether to go on where the distribution brings kube-proxy back.
        type: bool
      former:
        description: The undo bundle of the removal that has begun. What it says of Services and Nodes that are gone does not count.
        type: dict
      without_undo:
        description: Whether to go on with a removal that has begun and of which there is no undo bundle.
        type: bool
      width:
        description: Columns of the lines.
        type: int
"""

EXAMPLES = r"""
- name: Show what would happen
  k8snet.cni.show:
    lines: "{{ (k8snet_cluster | k8snet.cni.kube_proxy_removal_plan(read.antrea, proxy.kube_proxy, hosts, {'state': 'absent'})).lines }}"
"""

RETURN = r"""
_value:
  description:
    - C(refusals) and C(warnings) (sentences), C(lines) to print, C(advice) (what a person has to do), C(nodes) (Node to what
      is there and what happens), C(order) and C(hosts) (Nodes and their hosts, in the order of their turns), C(unseen) (Nodes),
      C(accepted) (those of them that may be),
      C(settings) for M(k8snet.cni.antrea_config), C(pending) (whether there is anything to do on nodes or objects), and
      C(deletes) (whether the objects go in the end).
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _removal_plan as domain


def kube_proxy_removal_plan(
    cluster: Any, antrea: Any, kube_proxy: Any, hosts: Any, options: Any
) -> dict[str, Any]:
    """Return the decision with its lines. Raises AnsibleFilterError on wrong input."""
    cluster, antrea, kube_proxy = plain(cluster), plain(antrea), plain(kube_proxy)
    hosts, options = plain(hosts), plain(options)
    for what, value, key in (
        ("cluster_info", cluster, "nodes"),
        ("antrea_info", antrea, "gates"),
        ("kube_proxy_info", kube_proxy, "distribution"),
    ):
        if not isinstance(value, dict) or key not in value:
            raise AnsibleFilterError(
                f"kube_proxy_removal_plan: that is not what k8snet.cni.{what} returns."
            )
    if not isinstance(hosts, list) or not isinstance(options, dict):
        raise AnsibleFilterError(
            "kube_proxy_removal_plan: 'hosts' must be a list and 'options' a dict."
        )
    return domain.decide(cluster, antrea, kube_proxy, hosts, options)


class FilterModule:
    """Filters of the role kube_proxy_removal."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"kube_proxy_removal_plan": kube_proxy_removal_plan}
