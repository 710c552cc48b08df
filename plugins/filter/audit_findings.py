# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Join what the cluster and the nodes say, and tell what is wrong."""

from __future__ import annotations

DOCUMENTATION = r"""
name: audit_findings
short_description: Turn facts of a cluster and its nodes into findings
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Joins cluster facts with the facts of its nodes, predicts what Calico would choose, and returns findings, counts, a
    table node by method and the lines of a summary. It reads nothing by itself.
  - The catalogue of findings is in C(docs/findings/).
positional: hosts, options
options:
  _input:
    description: RV(k8snet.cni.cluster_info#module:k8snet_cluster).
    type: dict
    required: true
  hosts:
    description: Inventory hosts, visited or not.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name in the inventory.
        type: str
        required: true
      state:
        description: What became of the visit.
        type: str
        choices: [visited, failed, unreachable, not_selected]
        required: true
      error:
        description: Why it was not visited.
        type: str
      node_name:
        description: Name of its Node, if it cannot be told by InternalIP or host name.
        type: str
      address:
        description: Address by which Ansible reaches it.
        type: str
      facts:
        description: Facts that M(k8snet.cni.node_facts) returned.
        type: dict
  options:
    description: Settings.
    type: dict
    suboptions:
      accept_unseen:
        description: Names of nodes that may go unseen; that they are unseen is then only an information.
        type: list
        elements: str
      flow_restore_min_age:
        description: Seconds since ovs-vswitchd started during which flow-restore-wait is taken for normal.
        type: int
        default: 180
      left_out:
        description:
          - Hosts that C(--limit) left out, by name. Each is a list of the address by which Ansible would reach it and the name
            of its Node (empty if that is to be told by address or host name).
        type: dict
      limited:
        description: Whether C(--limit) was given. Without it, hosts left out are a critical finding.
        type: bool
        default: true
      width:
        description: Columns of the summary.
        type: int
        default: 100
seealso:
  - plugin: k8snet.cni.cluster_info
    plugin_type: module
  - plugin: k8snet.cni.audit_report
    plugin_type: module
"""

EXAMPLES = r"""
- name: Print the summary of an audit
  ansible.builtin.debug:
    msg: "{{ (cluster.k8snet_cluster | k8snet.cni.audit_findings(hosts)).summary }}"
  vars:
    hosts:
      - name: node1
        state: visited
        facts: "{{ hostvars['node1'].visit.ansible_facts }}"
      - name: node2
        state: unreachable
        error: "ssh: connect to host node2 port 22: No route to host"
"""

RETURN = r"""
_value:
  description:
    - The report, as C(docs/schema/findings.schema.json) describes it (there with C(generated_at), which the module
      M(k8snet.cni.audit_report) adds), and C(summary), the lines to print.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import left_out
from ansible_collections.k8snet.cni.plugins.module_utils.domain._report import report

_STATES = ("visited", "failed", "unreachable", "not_selected")


def audit_findings(cluster: Any, hosts: Any, options: Any = None) -> dict[str, Any]:
    """Return the report for a cluster and its hosts. Raises AnsibleFilterError on wrong input."""
    cluster, hosts, options = plain(cluster), plain(hosts), plain(options or {})
    if not isinstance(cluster, dict) or "access" not in cluster:
        raise AnsibleFilterError(
            "audit_findings: the input is not the 'k8snet_cluster' that k8snet.cni.cluster_info "
            "returns. With 'required: false' it returns one without any cluster, too."
        )
    if not isinstance(hosts, list) or not isinstance(options, dict):
        raise AnsibleFilterError("audit_findings: 'hosts' must be a list and 'options' a dict.")
    filled = []
    for host in hosts:
        if not isinstance(host, dict) or "name" not in host or host.get("state") not in _STATES:
            raise AnsibleFilterError(
                f"audit_findings: every host needs 'name', and a 'state' of {', '.join(_STATES)}."
            )
        optional = {key: host.get(key) or None for key in ("error", "node_name", "address")}
        filled.append({**host, **optional, "facts": host.get("facts") or {}})
    return report(cluster, [*filled, *left_out(options.get("left_out") or {})], options)


class FilterModule:
    """Filters of the audit."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"audit_findings": audit_findings}
