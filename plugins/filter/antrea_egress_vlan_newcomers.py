# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell who has come to go by a label of nodes since a run."""

from __future__ import annotations

DOCUMENTATION = r"""
name: antrea_egress_vlan_newcomers
short_description: Tell who has come to go by a label of nodes since a run
version_added: 0.2.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Other ExternalIPPools that choose their nodes by the label, and the Egresses and Services of these and of the run's own pool. They would
    lose nodes if the run were undone whole.
positional: world
options:
  _input:
    description: What the undo bundle of the run has kept.
    type: dict
    required: true
  world:
    description: All C(pools) and C(egresses) as objects, and C(services), the metadata of all Services, as they are now.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: See who would lose nodes
  ansible.builtin.set_fact:
    newcomers: "{{ bundle.content | k8snet.cni.antrea_egress_vlan_newcomers(world) }}"
"""

RETURN = r"""
_value:
  description: Each in words, as C(Egress shop).
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _egress_vlan_others as domain,
)


def antrea_egress_vlan_newcomers(former: Any, world: Any) -> list[str]:
    """Return who has come."""
    return domain.newcomers(plain(former), plain(world))


class FilterModule:
    """Filters of the role antrea_egress_vlan."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"antrea_egress_vlan_newcomers": antrea_egress_vlan_newcomers}
