# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say with which gates agents are to run, before they are asked."""

from __future__ import annotations

DOCUMENTATION = r"""
name: antrea_features_wanted
short_description: Say with which gates Antrea's agents are to run, before they are asked
version_added: 0.2.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - For M(k8snet.cni.antrea_gates) on the nodes. What is wrong with the wish P(k8snet.cni.antrea_features_plan#filter) refuses.
positional: options
options:
  _input:
    description: RV(k8snet.cni.antrea_info#module:antrea).
    type: dict
    required: true
  options:
    description: The same as that filter takes.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: See whether the gate runs
  k8snet.cni.antrea_gates:
    expected: "{{ (read.antrea | k8snet.cni.antrea_features_wanted({'gates': {'Egress': true}})).expected }}"
  become: true
"""

RETURN = r"""
_value:
  description: C(expected) (gate to whether it shall be on) and C(port) (on which agents answer).
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _features_plan as domain


def antrea_features_wanted(antrea: Any, options: Any) -> dict[str, Any]:
    """Return gates and port. Raises AnsibleFilterError on wrong input."""
    antrea, options = plain(antrea), plain(options)
    if not isinstance(antrea, dict) or "gates" not in antrea or not isinstance(options, dict):
        raise AnsibleFilterError(
            "antrea_features_wanted: the input must be what k8snet.cni.antrea_info returns, and "
            "'options' a dict."
        )
    return domain.wanted(antrea, options)


class FilterModule:
    """Filters of the role antrea_features."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"antrea_features_wanted": antrea_features_wanted}
