# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell which addresses on a VLAN to ask for before its pool is made."""

from __future__ import annotations

DOCUMENTATION = r"""
name: antrea_egress_vlan_targets
short_description: Tell which addresses on a VLAN to ask for before its pool is made
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - The gateway first, then addresses that the pool is to give out, without those that Antrea has given out already. At most 64.
positional: world
options:
  _input:
    description: The role's options by their names without the role's.
    type: dict
    required: true
  world:
    description: All C(egresses) as objects.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Ask for them
  k8snet.cni.vlan_probe:
    interface: eth0
    vlan: 181
    targets: "{{ options | k8snet.cni.antrea_egress_vlan_targets({'egresses': []}) }}"
"""

RETURN = r"""
_value:
  description: Addresses.
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _egress_vlan as domain


def antrea_egress_vlan_targets(options: Any, world: Any) -> list[str]:
    """Return the gateway and the pool's addresses."""
    return domain.targets(plain(options), plain(world))


class FilterModule:
    """Filters of the role antrea_egress_vlan."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"antrea_egress_vlan_targets": antrea_egress_vlan_targets}
