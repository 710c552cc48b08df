# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say what came of a run of the role antrea_flow_restore."""

from __future__ import annotations

DOCUMENTATION = r"""
name: antrea_flow_restore_result
short_description: Say what came of a run of the role antrea_flow_restore
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - What was done on which node, whether its agent is well again, and what is left to people.
positional: outcomes, healed, access, antrea
options:
  _input:
    description: What P(k8snet.cni.antrea_flow_restore_plan#filter) returned.
    type: dict
    required: true
  outcomes:
    description: Host to what was done on it - C(at) (when the key was cleared), C(gone) (it was no longer set), C(error).
    type: dict
    required: true
  healed:
    description: What M(k8snet.cni.antrea_agent) said of the nodes that were cleared, or an empty dictionary.
    type: dict
    required: true
  access:
    description: RV(k8snet.cni.cluster_info#module:k8snet_cluster.access).
    type: dict
    required: true
  antrea:
    description: RV(k8snet.cni.cluster_info#module:k8snet_cluster.antrea), by which agents are told that end at each start.
    type: dict
    default: {}
seealso:
  - plugin: k8snet.cni.antrea_flow_restore_plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Say what came of it
  ansible.builtin.debug:
    msg: "{{ (plan | k8snet.cni.antrea_flow_restore_result(outcomes, healed, cluster.k8snet_cluster.access)).lines }}"
"""

RETURN = r"""
_value:
  description: C(left) (sentences on what people have to see to) and C(lines) to print.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain._flow_restore_result import result


def antrea_flow_restore_result(
    plan: Any, outcomes: Any, healed: Any, access: Any, antrea: Any = None
) -> dict[str, Any]:
    """Return what came of the run. Raises AnsibleFilterError on wrong input."""
    plan = plain(plan)
    if not isinstance(plan, dict) or not {"to_clear", "left"} <= plan.keys():
        raise AnsibleFilterError(
            "antrea_flow_restore_result: the input is not what antrea_flow_restore_plan returns."
        )
    return result(plan, plain(outcomes), plain(healed), plain(access), plain(antrea) or {})


class FilterModule:
    """Filters of the role antrea_flow_restore."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"antrea_flow_restore_result": antrea_flow_restore_result}
