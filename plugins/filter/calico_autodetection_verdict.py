# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judge a change of Calico's autodetection by what the nodes and the API say."""

from __future__ import annotations

DOCUMENTATION = r"""
name: calico_autodetection_verdict
short_description: Judge a change of Calico's autodetection method
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Before the change, tells which node's new address another node cannot reach.
  - After it, tells where the stored address, the sessions, the tunnel, the reachability or the DNS of a node is not as
    predicted. A node's being ready alone never counts.
positional: before, after, rollout, only
options:
  _input:
    description: What P(k8snet.cni.calico_autodetection_plan#filter) returned.
    type: dict
    required: true
  before:
    description: Node to what M(k8snet.cni.node_probe) returned there before the change.
    type: dict
    required: true
  after:
    description: Node to what M(k8snet.cni.node_probe) returned there after the change; without it, the change is still ahead.
    type: dict
  rollout:
    description: What M(k8snet.cni.calico_rollout) returned.
    type: dict
  only:
    description:
      - Nodes restarted so far (the canary). They may be no worse than before; without this option all nodes are judged, and
        everything has to work.
    type: list
    elements: str
seealso:
  - plugin: k8snet.cni.calico_autodetection_plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Stop if a node cannot reach another's new address
  ansible.builtin.assert:
    that: decision | k8snet.cni.calico_autodetection_verdict(probes) == []
"""

RETURN = r"""
_value:
  description: What is wrong, one sentence each; empty if nothing is.
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_verdict import (
    judge_after,
    judge_before,
)


def calico_autodetection_verdict(
    decision: Any, before: Any, after: Any = None, rollout: Any = None, only: Any = None
) -> list[str]:
    """Return what is wrong. Raises AnsibleFilterError on wrong input."""
    decision, before, after, rollout, only = (
        plain(x) for x in (decision, before, after, rollout, only)
    )
    if not isinstance(decision, dict) or "expect" not in decision:
        raise AnsibleFilterError(
            "calico_autodetection_verdict: the input is not what "
            "k8snet.cni.calico_autodetection_plan returns."
        )
    if after is None:
        return judge_before(decision, before)
    if not isinstance(rollout, dict) or "nodes" not in rollout:
        raise AnsibleFilterError(
            "calico_autodetection_verdict: 'rollout' is not what k8snet.cni.calico_rollout returns."
        )
    return judge_after(decision, rollout, before, after, only)


class FilterModule:
    """Filters of the role calico_autodetection."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"calico_autodetection_verdict": calico_autodetection_verdict}
