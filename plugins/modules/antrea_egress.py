#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: antrea_egress
short_description: Give pods an address of their own to leave the cluster with, by Antrea's Egress
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - An Egress (C(crd.antrea.io/v1beta1)) selects pods, which then leave the cluster with its address, taken from an ExternalIPPool.
  - "What Antrea would refuse, and what it would take in vain, is refused before anything is written: no selector; a pool that there is not, or
    that is full; an address that the pool does not give out, or that another Egress or a Service has; a bandwidth that is none; versions,
    feature gates and modes of traffic with which the Egress would do nothing."
  - Waits until a node has the address. Removing says which pods lose it.
  - What is wrong with a part that the change leaves as it is, is told in RV(advice) only.
  - On a conflict all is read, planned and written anew. In the end it is read back.
  - An Egress that Helm, Argo CD, Flux or an add-on manager owns is refused, with what to commit there.
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
    description: Name of the Egress.
    type: str
    required: true
  state:
    description: Whether there is to be such an Egress.
    type: str
    choices: [present, absent]
    default: present
  applied_to:
    description: The pods. Needed with O(state=present), with at least one of its selectors.
    type: dict
    suboptions:
      namespace_selector:
        description: Labels of the pods' namespaces, as C(matchLabels) and C(matchExpressions). Not set means all namespaces.
        type: dict
      pod_selector:
        description: Labels of the pods likewise. Not set means all pods of the namespaces.
        type: dict
  pool:
    description:
      - The ExternalIPPool that the address is from. Antrea puts it on one of the pool's nodes, and moves it when that node dies.
      - O(pool) or O(egress_ip) is needed with O(state=present).
    type: str
  egress_ip:
    description:
      - The address. With O(pool) it is one of the pool's, and if not set, Antrea chooses one, which stays.
      - Without O(pool) it has to be put on a node by hand.
    type: str
  bandwidth:
    description:
      - A limit for what leaves by this Egress. Without it, one that is set is taken away.
      - Needs Antrea v1.14 and the feature gate C(EgressTrafficShaping), off by default.
    type: dict
    suboptions:
      rate:
        description: Bits per second, like V(10M).
        type: str
        required: true
      burst:
        description: Bits, like V(10M).
        type: str
        required: true
  override_owner:
    description: Whether to change an Egress that Helm, Argo CD, Flux or an add-on manager owns. For emergencies.
    type: bool
    default: false
  planned_pool:
    description:
      - The ExternalIPPool that the run would have made by now - RV(k8snet.cni.antrea_ip_pool#module:object) of check mode.
      - Only check mode heeds it, and only where there is no such pool.
    type: dict
  wait:
    description:
      - Whether to wait until a node has the address and, since Antrea v1.14, the Egress's conditions C(IPAllocated) and C(IPAssigned) say so.
      - Also where nothing had to be written. Not in check mode and not with O(state=absent).
    type: bool
    default: true
  wait_timeout:
    description: Seconds that all attempts and the wait together may take; O(timeout) is for one request.
    type: int
    default: 120
  poll:
    description: Seconds between two looks.
    type: float
    default: 1
seealso:
  - module: k8snet.cni.antrea_ip_pool
  - module: k8snet.cni.antrea_config
"""

EXAMPLES = r"""
- name: Pods of the shop leave with an address of the pool
  k8snet.cni.antrea_egress:
    name: shop
    pool: vlan181
    applied_to:
      namespace_selector:
        matchLabels:
          kubernetes.io/metadata.name: shop
  register: change

- name: Show the address, and the node that has it
  ansible.builtin.debug:
    msg: "{{ change.egress.ip }} on {{ change.egress.node }}"

- name: Remove it
  k8snet.cni.antrea_egress:
    name: shop
    state: absent
"""

RETURN = r"""
plan:
  description: What is done, or in check mode would be.
  type: list
  elements: dict
  returned: always
  contains:
    action: {description: One line of plain words., type: str, returned: always}
    target: {description: Object and field., type: str, returned: always}
    cuts_connectivity: {description: Whether the session may break., type: bool, returned: always}
object:
  description: The Egress, whole, after the change; in check mode as it would be. Null without one.
  type: dict
  returned: always
undo:
  description: The Egress, whole, as it was before; null if there was none.
  type: dict
  returned: always
version:
  description: Antrea's version, from the DaemonSet's image or what agents report; null if untold.
  type: str
  returned: always
  sample: v2.7.0
advice:
  description: What is good to know and hinders nothing, in sentences.
  type: list
  elements: str
  returned: always
retries:
  description: How often an attempt failed and was made again.
  type: int
  returned: always
requests:
  description: Requests sent, retries included.
  type: int
  returned: always
egress:
  description: The Egress, null without one. In check mode as it would be.
  type: dict
  returned: always
  contains:
    name: {description: Name., type: str, returned: always}
    ip: {description: "Its address, null before Antrea has given one.", type: str, returned: always}
    node: {description: "The node that has the address, null without one.", type: str, returned: always}
    pool: {description: "Its ExternalIPPool, null without one.", type: str, returned: always}
    allocated: {description: "Condition IPAllocated, null if it is not reported.", type: bool, returned: always}
    assigned: {description: "Condition IPAssigned, null if it is not reported.", type: bool, returned: always}
    conditions: {description: Its conditions as Antrea reports them., type: list, elements: dict, returned: always}
    message: {description: "What conditions that do not hold say, null if all hold.", type: str, returned: always}
pods:
  description: Pods that it applies to, or applied to before it was removed, as namespace/name.
  type: list
  elements: str
  returned: always
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _apply, _client
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._antrea_pools import (
    NotAssigned,
    change_egress,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._errors import failing
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._egress import Want

APPLIED_TO = {"namespace_selector": {"type": "dict"}, "pod_selector": {"type": "dict"}}
BANDWIDTH = {
    "rate": {"type": "str", "required": True},
    "burst": {"type": "str", "required": True},
}


def want_of(params: dict[str, Any], check_mode: bool) -> Want:
    """Return what the options ask for."""
    applied_to = params["applied_to"] or {}
    return Want(
        name=params["name"],
        state=params["state"],
        namespace_selector=applied_to.get("namespace_selector"),
        pod_selector=applied_to.get("pod_selector"),
        pool=params["pool"] or None,
        egress_ip=params["egress_ip"] or None,
        bandwidth=params["bandwidth"],
        override_owner=params["override_owner"],
        planned_pool=params["planned_pool"] if check_mode else None,
    )


def main() -> None:
    """Change and wait, or in check mode tell what would be changed."""
    module = AnsibleModule(
        argument_spec={
            **_client.AUTH_ARGUMENT_SPEC,
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "applied_to": {"type": "dict", "options": APPLIED_TO},
            "pool": {"type": "str"},
            "egress_ip": {"type": "str"},
            "bandwidth": {"type": "dict", "options": BANDWIDTH},
            "override_owner": {"type": "bool", "default": False},
            "planned_pool": {"type": "dict"},
            "wait": {"type": "bool", "default": True},
            "wait_timeout": {"type": "int", "default": 120},
            "poll": {"type": "float", "default": 1},
        },
        required_if=[
            ("state", "present", ("applied_to",)),
            ("state", "present", ("pool", "egress_ip"), True),
        ],
        supports_check_mode=True,
    )
    with failing(module, Refused, _apply.NotEffective):
        try:
            api = _client.reachable(module.params)
            patience = _apply.Patience(module.params["wait_timeout"])
            poll = module.params["poll"] if module.params["wait"] else None
            want = want_of(module.params, module.check_mode)
            module.exit_json(**change_egress(api, want, module.check_mode, patience, poll))
        except NotAssigned as error:
            module.fail_json(msg=str(error), **error.result)


if __name__ == "__main__":
    main()
