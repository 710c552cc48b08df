# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Print what an earlier cluster left on the nodes."""

from __future__ import annotations

DOCUMENTATION = r"""
name: calico_autodetection_leftovers
short_description: Print what an earlier cluster left on the nodes, and what happens to it
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Turns the results of M(k8snet.cni.calico_interfaces) into the lines of a plan.
positional: clean, width
options:
  _input:
    description: Node to what M(k8snet.cni.calico_interfaces) returned there.
    type: dict
    required: true
  clean:
    description: Whether the left-overs are to be removed.
    type: bool
    required: true
  width:
    description: Columns of the lines.
    type: int
    default: 100
seealso:
  - plugin: k8snet.cni.calico_autodetection_seen
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show what is there
  k8snet.cni.show:
    lines: "{{ {'node1': found} | k8snet.cni.calico_autodetection_leftovers(false) }}"
"""

RETURN = r"""
_value:
  description: A line for each left-over with the reason, and for each interface that blocks Calico's own.
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_lines import leftover_lines


def calico_autodetection_leftovers(found: Any, clean: Any, width: Any = 100) -> list[str]:
    """Return the lines. Raises AnsibleFilterError on wrong input."""
    found = plain(found)
    if not isinstance(found, dict) or not all("leftovers" in seen for seen in found.values()):
        raise AnsibleFilterError(
            "calico_autodetection_leftovers: the input must map each Node to what "
            "k8snet.cni.calico_interfaces returned there."
        )
    return leftover_lines(found, bool(clean), int(width))


class FilterModule:
    """Filters of the role calico_autodetection."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"calico_autodetection_leftovers": calico_autodetection_leftovers}
