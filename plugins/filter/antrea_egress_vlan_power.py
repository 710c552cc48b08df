# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide whether the power of the node that has an Egress's address may be cut."""

from __future__ import annotations

DOCUMENTATION = r"""
name: antrea_egress_vlan_power
short_description: Decide whether the power of the node that has an Egress's address may be cut
version_added: 0.2.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Refuses without consent that names the node, where etcd would lose its quorum or that is not known, where the controller would lose the
    API server, and where no other node could take the address over. It reads nothing by itself.
positional: options, reach
options:
  _input:
    description:
      - The objects C(egress), C(nodes), C(etcd) (pods of kube-system with the label component=etcd) and C(pods) (those on the node),
        C(server) (the API server's URL), and C(controller) as of P(k8snet.cni.antrea_egress_vlan_controller#filter).
    type: dict
    required: true
  options:
    description: The role's options by their names without the role's.
    type: dict
    required: true
  reach:
    description: C(nodes) of P(k8snet.cni.antrea_egress_vlan_reach#filter).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse what would do harm
  ansible.builtin.assert:
    that: (seen | k8snet.cni.antrea_egress_vlan_power(options, reach.nodes)).refusals == []
"""

RETURN = r"""
_value:
  description:
    - C(node), which has the address, empty if none has; C(off) and C(on), the names of the programs; C(refusals) and C(warnings), sentences.
  type: dict
"""

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _egress_vlan_power as domain


def antrea_egress_vlan_power(seen: Any, options: Any, reach: Any) -> dict[str, Any]:
    """Return node, off, on, refusals, warnings."""
    return domain.weigh(plain(seen), plain(options), plain(reach))


class FilterModule:
    """Filters of the role antrea_egress_vlan."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"antrea_egress_vlan_power": antrea_egress_vlan_power}
