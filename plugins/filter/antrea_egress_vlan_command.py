# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Have a command that cuts a node's power or gives it back, or tell how it ended."""

from __future__ import annotations

DOCUMENTATION = r"""
name: antrea_egress_vlan_command
short_description: Have a command that cuts a node's power or gives it back, or tell how it ended
version_added: 0.2.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Without O(result), puts node and host into the words of the command. With it, tells how the command ended, and keeps the command's own
    words, which may be secrets, and what those are made of, out of that.
positional: node, host, result
options:
  _input:
    description: The words; C({node}) and C({host}) in them are replaced, other braces stay.
    type: list
    elements: str
    required: true
  node:
    description: Name of the Node.
    type: str
    required: true
  host:
    description: Name of the inventory host.
    type: str
    required: true
  result:
    description: What M(ansible.builtin.command) returned.
    type: dict
"""

EXAMPLES = r"""
- name: Power it on
  ansible.builtin.command:
    argv: "{{ ['virsh', 'start', '{node}'] | k8snet.cni.antrea_egress_vlan_command('node2', 'node2.example') }}"
  changed_when: true
"""

RETURN = r"""
_value:
  description: The words, or a clause such as C(it ended with 1).
  type: raw
"""

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _egress_vlan_command as domain,
)


def antrea_egress_vlan_command(words: Any, node: Any, host: Any, result: Any = None) -> Any:
    """Return the words, or how they ended."""
    found = domain.filled(plain(words), str(node), str(host))
    if result is None:
        return found
    return domain.said(plain(result), found, {str(node), str(host)})


class FilterModule:
    """Filters of the role antrea_egress_vlan."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"antrea_egress_vlan_command": antrea_egress_vlan_command}
