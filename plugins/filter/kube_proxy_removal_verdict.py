# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say what of a node is not as it is to be while kube-proxy is removed or brought back."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kube_proxy_removal_verdict
short_description: Say what of a node is not as it is to be while kube-proxy is removed or brought back
version_added: 0.2.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Compares a node that was looked at again with what P(k8snet.cni.kube_proxy_removal_plan#filter) says of it. What answered before
    the change has to answer again.
positional: node, look, phase
options:
  _input:
    description: What P(k8snet.cni.kube_proxy_removal_plan#filter) returned.
    type: dict
    required: true
  node:
    description: Name of the Node.
    type: str
    required: true
  look:
    description:
      - C(facts) of M(k8snet.cni.node_facts), C(probe) of M(k8snet.cni.service_probe), C(rules) of M(k8snet.cni.kube_proxy_rules),
        C(error) where one of them failed.
    type: dict
    required: true
  phase:
    description:
      - V(beside) (AntreaProxy serves, kube-proxy still runs), V(removed), V(returned), or V(answers) (only what Services and the API
        server answer).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: See that the node serves without kube-proxy
  ansible.builtin.assert:
    that: plan | k8snet.cni.kube_proxy_removal_verdict('node1', look, 'removed') == []
"""

RETURN = r"""
_value:
  description: Sentences; empty if the node is as it is to be.
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _removal_verdict as domain


def kube_proxy_removal_verdict(plan: Any, node: Any, look: Any, phase: Any) -> list[str]:
    """Return what is not as it is to be. Raises AnsibleFilterError on wrong input."""
    if phase not in (domain.ANSWERS, domain.BESIDE, domain.REMOVED, domain.RETURNED):
        raise AnsibleFilterError(f"kube_proxy_removal_verdict: there is no phase '{phase}'.")
    return domain.problems(plain(plan), str(node), plain(look), str(phase))


class FilterModule:
    """Filters of the role kube_proxy_removal."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"kube_proxy_removal_verdict": kube_proxy_removal_verdict}
