# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say of several nodes together whether a VLAN reaches them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: antrea_egress_vlan_reach
short_description: Say of several nodes together whether a VLAN reaches them
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Joins what M(k8snet.cni.vlan_probe) returned on nodes that asked at the same time, with each other as peers, and tells a port that
    lacks the VLAN from a gateway that is silent. It reads nothing by itself.
positional: vlan, gateway
options:
  _input:
    description:
      - By name of the node, C(interface), C(result) (what the module returned) and C(error) (instead of a result). Names are those by
        which peers were named to the module.
    type: dict
    required: true
  vlan:
    description: The VLAN.
    type: int
    required: true
  gateway:
    description: The gateway's address.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse to go on where the VLAN does not reach a node
  ansible.builtin.assert:
    that: (probes | k8snet.cni.antrea_egress_vlan_reach(181, '172.18.181.1')).refusals == []
"""

RETURN = r"""
_value:
  description:
    - C(nodes) by name, each with C(verdict), C(evidence) and C(remedy) (null where it is reached); C(refusals), sentences about nodes that
      are not reached; C(taken), other addresses that somebody has on the VLAN, with the MAC address.
    - Verdicts are V(reached), V(trunk-missing) (it neither hears others nor is heard, while they have the VLAN), V(one-way), V(gateway-silent),
      V(tag-stripped), V(wrong-vlan), and V(unknown).
  type: dict
"""

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _egress_reach as domain


def antrea_egress_vlan_reach(probes: Any, vlan: Any, gateway: Any) -> dict[str, Any]:
    """Return nodes, refusals, taken."""
    return domain.judge(plain(probes), domain.Asked(int(vlan), str(gateway)))


class FilterModule:
    """Filters of the role antrea_egress_vlan."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"antrea_egress_vlan_reach": antrea_egress_vlan_reach}
