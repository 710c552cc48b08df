# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide whether Calico's autodetection method may be changed, before anything is written."""

from __future__ import annotations

DOCUMENTATION = r"""
name: calico_autodetection_plan
short_description: Decide whether Calico's autodetection method may be changed
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Predicts every node's address under the wanted method, and refuses a change that would leave a node without an address
    or with another node's. It reads nothing by itself.
positional: calico, hosts, options
options:
  _input:
    description: RV(k8snet.cni.cluster_info#module:k8snet_cluster).
    type: dict
    required: true
  calico:
    description: RV(k8snet.cni.calico_info#module:calico).
    type: dict
    required: true
  hosts:
    description: Inventory hosts, visited or not, as P(k8snet.cni.audit_findings#filter) takes them.
    type: list
    elements: dict
    required: true
  options:
    description: Settings.
    type: dict
    suboptions:
      method_v4:
        description: IPv4 method in Calico's words, V(auto), or nothing to leave the family alone.
        type: str
      method_v6:
        description: IPv6 method in Calico's words, V(auto), or nothing to leave the family alone.
        type: str
      accept_unseen:
        description: Names of Nodes that may go unseen.
        type: list
        elements: str
      canary:
        description: Node that is restarted first; manifest installs only.
        type: str
      hold_seconds:
        description: Longest time for which the roll-out is held after its first node.
        type: int
        default: 3600
      canary_seconds:
        description: Time that the verification of the first node may take.
        type: int
        default: 300
      dns_name:
        description: Name that pods ask the cluster's DNS for.
        type: str
        default: kubernetes.default.svc.cluster.local
      override_owner:
        description: Whether to change an object that belongs to Helm, GitOps or an add-on manager.
        type: bool
        default: false
      left_out:
        description: Hosts that C(--limit) left out, as P(k8snet.cni.audit_findings#filter) takes them.
        type: dict
      width:
        description: Columns of the lines.
        type: int
        default: 100
seealso:
  - plugin: k8snet.cni.calico_autodetection_verdict
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show what would happen
  ansible.builtin.debug:
    msg: "{{ (cluster.k8snet_cluster | k8snet.cni.calico_autodetection_plan(info.calico, hosts, {'method_v4': 'auto'})).lines }}"
"""

RETURN = r"""
_value:
  description:
    - C(refusals) (list of sentences; empty if the change may be made), C(methods) (by family; null leaves it alone),
      C(expect) (Node to C(v4) and C(v6), the addresses to be stored), C(table) (a row per Node and family),
      C(probes) (visited Node to its inventory host and what M(k8snet.cni.node_probe) is asked there), C(interfaces) (visited
      Node whose calico-node is not ready to its host and what M(k8snet.cni.calico_interfaces) is asked there), C(hold) (how
      the roll-out is held after its first node), C(unverified) (Nodes whose address cannot be predicted), C(whatif), and
      C(lines) to print.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_decision import decide
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_lines import plan_lines
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import left_out


def calico_autodetection_plan(
    cluster: Any, calico: Any, hosts: Any, options: Any = None
) -> dict[str, Any]:
    """Return the decision with its lines. Raises AnsibleFilterError on wrong input."""
    cluster, calico, hosts, options = (plain(x) for x in (cluster, calico, hosts, options or {}))
    for what, value, key in (
        ("the input", cluster, "access"),
        ("'calico'", calico, "install"),
    ):
        if not isinstance(value, dict) or key not in value:
            source = "cluster_info" if key == "access" else "calico_info"
            raise AnsibleFilterError(
                f"calico_autodetection_plan: {what} is not what k8snet.cni.{source} returns."
            )
    if not isinstance(hosts, list) or not isinstance(options, dict):
        raise AnsibleFilterError(
            "calico_autodetection_plan: 'hosts' must be a list and 'options' a dict."
        )
    everybody = [*hosts, *left_out(options.get("left_out") or {})]
    decision = decide(cluster, calico, everybody, options)
    lines = plan_lines(decision, calico, int(options.get("width") or 100))
    return {**decision, "lines": lines}


class FilterModule:
    """Filters of the role calico_autodetection."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"calico_autodetection_plan": calico_autodetection_plan}
