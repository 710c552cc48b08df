#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: antrea_ip_pool
short_description: Make, extend or remove an ExternalIPPool of Antrea
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - An ExternalIPPool (C(crd.antrea.io/v1beta1)) holds the addresses that Egresses and Services get, and says to which nodes they go.
  - "What Antrea would refuse, and what it would take to somebody's harm, is refused before anything is written: ranges that are none, of
    different families or outside of the subnet; a gateway in a range, which Antrea would give out; ranges that overlap each other, other pools,
    networks of pods or Services; addresses that a node, a Service or somebody on the VLAN has; more than 20 subnets; versions and feature
    gates with which the pool would do nothing."
  - Ranges are only added. A range that is there can be neither changed nor removed, as Antrea's webhook has it; the refusal says the way around.
  - Removing is refused while Egresses or Services use the pool, and names them.
  - What is wrong with a part that the change leaves as it is, is told in RV(advice) only.
  - On a conflict all is read, planned and written anew. In the end it is read back.
  - A pool that Helm, Argo CD, Flux or an add-on manager owns is refused, with what to commit there.
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description: Name of the pool.
    type: str
    required: true
  state:
    description: Whether there is to be such a pool.
    type: str
    choices: [present, absent]
    default: present
  ip_ranges:
    description:
      - All ranges of the pool, each as C(cidr), or as C(start) and C(end). Needed with O(state=present).
      - Of a CIDR, Antrea gives out neither the first nor, in IPv4, the last address; of any range, no more than 65536.
    type: list
    elements: dict
    suboptions:
      cidr:
        description: A network, like V(172.18.181.32/28).
        type: str
      start:
        description: The first address.
        type: str
      end:
        description: The last address.
        type: str
  node_selector:
    description:
      - Labels of the nodes that may hold the addresses, as C(matchLabels) and C(matchExpressions). Needed with O(state=present).
      - "V({}) selects all nodes."
    type: dict
  subnet:
    description:
      - The subnet of the addresses, if it is not that of the nodes. Without it, one that the pool has is taken away.
      - Needs Antrea v1.15 and the feature gate C(EgressSeparateSubnet), on by default since v2.3. It may be changed later.
    type: dict
    suboptions:
      gateway:
        description: The router's address there.
        type: str
        required: true
      prefix_length:
        description: Length of the network's prefix.
        type: int
        required: true
      vlan:
        description: The VLAN, by which frames are tagged; V(0) for none.
        type: int
        default: 0
  taken:
    description:
      - "Addresses seen in use on the VLAN, each with who answered, as M(k8snet.cni.vlan_probe) finds them. A range with one of them is refused."
      - Addresses of this pool's own Egresses are no offence.
    type: dict
    default: {}
  override_owner:
    description: Whether to change a pool that Helm, Argo CD, Flux or an add-on manager owns. For emergencies.
    type: bool
    default: false
  egresses_gone:
    description: Names of Egresses that the run would have removed by now. Only check mode heeds it; else they are gone, or hinder a removal.
    type: list
    elements: str
    default: []
  wait_timeout:
    description: Seconds that all attempts together may take; O(timeout) is for one request.
    type: int
    default: 120
seealso:
  - module: k8snet.cni.antrea_egress
  - module: k8snet.cni.antrea_config
  - module: k8snet.cni.vlan_probe
"""

EXAMPLES = r"""
- name: Addresses on VLAN 181, held by the nodes that are labelled for it
  k8snet.cni.antrea_ip_pool:
    name: vlan181
    ip_ranges:
      - start: 172.18.181.10
        end: 172.18.181.20
    subnet:
      gateway: 172.18.181.1
      prefix_length: 24
      vlan: 181
    node_selector:
      matchLabels:
        k8snet.io/egress-181: "true"

- name: Remove it, when no Egress uses it any more
  k8snet.cni.antrea_ip_pool:
    name: vlan181
    state: absent
"""

RETURN = r"""
plan:
  description: What is done, or in check mode would be.
  type: list
  elements: dict
  returned: success
  contains:
    action: {description: One line of plain words., type: str, returned: success}
    target: {description: Object and field., type: str, returned: success}
    cuts_connectivity: {description: Whether the session may break., type: bool, returned: success}
object:
  description: The ExternalIPPool, whole, after the change; in check mode as it would be. Null without one.
  type: dict
  returned: success
undo:
  description: The ExternalIPPool, whole, as it was before; null if there was none.
  type: dict
  returned: success
version:
  description: Antrea's version, from the DaemonSet's image or what agents report; null if untold.
  type: str
  returned: success
  sample: v2.7.0
advice:
  description: What is good to know and hinders nothing, in sentences.
  type: list
  elements: str
  returned: success
retries:
  description: How often an attempt failed and was made again.
  type: int
  returned: success
requests:
  description: Requests sent, retries included.
  type: int
  returned: success
pool:
  description: The pool, null without one.
  type: dict
  returned: success
  contains:
    name: {description: Name., type: str, returned: success}
    ranges: {description: "Its ranges, each with cidr, or with start and end.", type: list, elements: dict, returned: success}
    subnet: {description: "Its subnet: gateway, prefix_length, vlan. Null without one.", type: dict, returned: success}
    node_selector: {description: Its nodeSelector., type: dict, returned: success}
    total: {description: How many addresses Antrea gives out of it., type: int, returned: success}
    used: {description: "How many it has given, null before Antrea has told.", type: int, returned: success}
used_by:
  description: Names of the Egresses that take their address from it.
  type: list
  elements: str
  returned: success
services:
  description: Services that take their address from it, as namespace/name.
  type: list
  elements: str
  returned: success
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _apply, _client
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._antrea_pools import change_pool
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._errors import failing
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._ip_pool import Want

RANGE = {"cidr": {"type": "str"}, "start": {"type": "str"}, "end": {"type": "str"}}
SUBNET = {
    "gateway": {"type": "str", "required": True},
    "prefix_length": {"type": "int", "required": True},
    "vlan": {"type": "int", "default": 0},
}


def want_of(params: dict[str, Any], check_mode: bool) -> Want:
    """Return what the options ask for."""
    return Want(
        name=params["name"],
        state=params["state"],
        ip_ranges=params["ip_ranges"] or (),
        node_selector=params["node_selector"] or {},
        subnet=params["subnet"],
        taken=params["taken"],
        override_owner=params["override_owner"],
        egresses_gone=params["egresses_gone"] if check_mode else (),
    )


def main() -> None:
    """Change, or in check mode tell what would be changed."""
    module = AnsibleModule(
        argument_spec={
            **_client.AUTH_ARGUMENT_SPEC,
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "ip_ranges": {"type": "list", "elements": "dict", "options": RANGE},
            "node_selector": {"type": "dict"},
            "subnet": {"type": "dict", "options": SUBNET},
            "taken": {"type": "dict", "default": {}},
            "override_owner": {"type": "bool", "default": False},
            "egresses_gone": {"type": "list", "elements": "str", "default": []},
            "wait_timeout": {"type": "int", "default": 120},
        },
        required_if=[("state", "present", ("ip_ranges", "node_selector"))],
        supports_check_mode=True,
    )
    with failing(module, Refused, _apply.NotEffective):
        api = _client.reachable(module.params)
        patience = _apply.Patience(module.params["wait_timeout"])
        want = want_of(module.params, module.check_mode)
        module.exit_json(**change_pool(api, want, module.check_mode, patience))


if __name__ == "__main__":
    main()
