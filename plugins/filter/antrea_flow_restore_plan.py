# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say on which nodes flow-restore-wait is to be cleared, and what to type where nobody gets in."""

from __future__ import annotations

DOCUMENTATION = r"""
name: antrea_flow_restore_plan
short_description: Say on which nodes flow-restore-wait is to be cleared
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Puts together what M(k8snet.cni.ovs_flow_restore_wait) found on the nodes. For a node that nobody reaches it writes one
    page for its console, from what the cluster knows of it.
positional: antrea, hosts, guard
options:
  _input:
    description: RV(k8snet.cni.cluster_info#module:k8snet_cluster).
    type: dict
    required: true
  antrea:
    description: What M(k8snet.cni.antrea_info) returned, or an empty dictionary.
    type: dict
    required: true
  hosts:
    description:
      - Inventory hosts as P(k8snet.cni.audit_findings#filter) takes them. Each also has C(tried) (pairs of an address and why
        it did not answer), C(through) (the address that answered) and C(verdict).
    type: list
    elements: dict
    required: true
  guard:
    description: What is to become of the guard - V(present), V(absent), or empty for nothing.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show what would happen
  ansible.builtin.debug:
    msg: "{{ (cluster.k8snet_cluster | k8snet.cni.antrea_flow_restore_plan(info, hosts)).lines }}"
"""

RETURN = r"""
_value:
  description:
    - C(to_clear) (hosts, in this order), C(to_guard) (hosts to put the guard on or take it from), C(left) (sentences on what people
      have to see to), C(pages) (C(host), C(file) and C(lines) of the page for each host that nobody reaches), and C(lines) to
      print.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain._flow_restore_plan import plan


def antrea_flow_restore_plan(
    cluster: Any, antrea: Any, hosts: Any, guard: Any = ""
) -> dict[str, Any]:
    """Return the plan with its lines. Raises AnsibleFilterError on wrong input."""
    cluster, antrea, hosts = plain(cluster), plain(antrea), plain(hosts)
    if not isinstance(cluster, dict) or "nodes" not in cluster:
        raise AnsibleFilterError(
            "antrea_flow_restore_plan: the input is not what k8snet.cni.cluster_info returns."
        )
    if not isinstance(hosts, list) or not isinstance(antrea, dict):
        raise AnsibleFilterError(
            "antrea_flow_restore_plan: 'antrea' must be a dict and 'hosts' a list."
        )
    agents = (antrea.get("antrea") or {}).get("agents") or []
    silent = {agent["node"]: agent["heartbeat_age_seconds"] for agent in agents}
    return plan(cluster, silent, hosts, str(guard or ""))


class FilterModule:
    """Filters of the role antrea_flow_restore."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"antrea_flow_restore_plan": antrea_flow_restore_plan}
