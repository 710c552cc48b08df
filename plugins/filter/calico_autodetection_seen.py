# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tasks on the nodes registered, by Node."""

from __future__ import annotations

DOCUMENTATION = r"""
name: calico_autodetection_seen
short_description: Collect by Node what a task registered on each Node's host
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Hosts on which the task did not run, failed or could not be reached are left out.
positional: hostvars, name
options:
  _input:
    description: Node to a dict with C(host), its name in the inventory, for example C(probes) of
      P(k8snet.cni.calico_autodetection_plan#filter).
    type: dict
    required: true
  hostvars:
    description: The variable C(hostvars).
    type: dict
    required: true
  name:
    description: Name of the variable that was registered.
    type: str
    required: true
seealso:
  - plugin: k8snet.cni.calico_autodetection_plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show what every node answered
  ansible.builtin.debug:
    msg: "{{ decision.probes | k8snet.cni.calico_autodetection_seen(hostvars, 'answer') }}"
"""

RETURN = r"""
_value:
  description: Node to the result of the task there.
  type: dict
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain

_NOT_RUN = ("failed", "skipped", "unreachable")


def calico_autodetection_seen(asked: Any, hostvars: Any, name: Any) -> dict[str, Any]:
    """Return Node -> what ``name`` is on its host. Raises AnsibleFilterError on wrong input."""
    if not isinstance(asked, Mapping) or not all("host" in question for question in asked.values()):
        raise AnsibleFilterError(
            "calico_autodetection_seen: the input must map each Node to a dict with 'host'."
        )
    found = {}
    for node, question in asked.items():
        result = hostvars[question["host"]].get(name) or {}
        if result and not any(result.get(flag) for flag in _NOT_RUN):
            found[str(node)] = plain(result)
    return found


class FilterModule:
    """Filters of the role calico_autodetection."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"calico_autodetection_seen": calico_autodetection_seen}
