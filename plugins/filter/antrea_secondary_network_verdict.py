# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say what of a node is not as planned after its agent was restarted."""

from __future__ import annotations

DOCUMENTATION = r"""
name: antrea_secondary_network_verdict
short_description: Say what of a node is not as planned after its agent was restarted
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Compares a node that was visited again with what P(k8snet.cni.antrea_secondary_network_plan#filter) says of it.
positional: cluster, host, options
options:
  _input:
    description: What P(k8snet.cni.antrea_secondary_network_plan#filter) returned.
    type: dict
    required: true
  cluster:
    description: RV(k8snet.cni.cluster_info#module:k8snet_cluster).
    type: dict
    required: true
  host:
    description: The inventory host, visited again, as P(k8snet.cni.audit_findings#filter) takes it.
    type: dict
    required: true
  options:
    description:
      - C(state), C(bridge) and C(allow_primary) as the plan was made with.
      - With C(back) the node has to be what it was before the plan.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: See that the node is as planned
  ansible.builtin.assert:
    that: plan | k8snet.cni.antrea_secondary_network_verdict(k8snet_cluster, host, options) == []
"""

RETURN = r"""
_value:
  description: Sentences; empty if the node is as planned.
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _secondary_decision as domain


def antrea_secondary_network_verdict(
    planned: Any, cluster: Any, host: Any, options: Any
) -> list[str]:
    """Return what is not as planned."""
    return domain.problems(plain(planned), plain(cluster), plain(host), plain(options))


class FilterModule:
    """Filters of the role antrea_secondary_network."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"antrea_secondary_network_verdict": antrea_secondary_network_verdict}
