# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say what is wrong with an Egress on a VLAN on the node that holds it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: antrea_egress_vlan_verdict
short_description: Say what is wrong with an Egress on a VLAN on the node that holds it
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Looks at the facts of the node after the change, and at what a server saw of pods.
positional: vlan, address, probes, target
options:
  _input:
    description:
      - The host of the node that holds the address, visited anew, with C(rp_filter), the values of all interfaces and of the VLAN's.
    type: dict
    required: true
  vlan:
    description: The VLAN.
    type: int
    required: true
  address:
    description: The Egress's address.
    type: str
    required: true
  probes:
    description: What M(k8snet.cni.egress_probe) returned on each node, RV(k8snet.cni.egress_probe#module:pods) of all together.
    type: list
    elements: dict
    default: []
  target:
    description: Whom they asked, as host:port.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: See that all is well
  ansible.builtin.assert:
    that: host | k8snet.cni.antrea_egress_vlan_verdict(181, '172.18.181.50') == []
"""

RETURN = r"""
_value:
  description: Sentences; empty if nothing is wrong.
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _egress_vlan_nodes as domain


def antrea_egress_vlan_verdict(
    host: Any, vlan: Any, address: Any, probes: Any = (), target: Any = ""
) -> list[str]:
    """Return what is wrong."""
    found = domain.held(plain(host), int(vlan), str(address))
    return found + domain.left(plain(list(probes)), str(address), str(target))


class FilterModule:
    """Filters of the role antrea_egress_vlan."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"antrea_egress_vlan_verdict": antrea_egress_vlan_verdict}
