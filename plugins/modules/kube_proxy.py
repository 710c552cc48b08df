#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_proxy
short_description: Stop kube-proxy node by node, remove it from a cluster, or bring it back
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Stopping adds a required node affinity to kube-proxy's DaemonSet, so that it stays off nodes labelled
    C(k8snet.io/kube-proxy=removed), and labels nodes. The rules on the node stay; M(k8snet.cni.kube_proxy_rules) removes them.
  - Removing is refused until every Linux node that the DaemonSet would serve is labelled and none of its pods runs. It sets
    C(proxy.disabled) in kubeadm's ClusterConfiguration where that has it, and says in RV(advice) what else keeps kube-proxy away.
  - Where something else would bring kube-proxy back (k3s, rke2, EKS, AKS, GKE, kubespray, an unknown installer) a change is refused with
    the right way there. An object that Helm, Argo CD, Flux or an add-on manager owns is refused with what to commit there. Bringing it back
    is never refused for that.
  - C(config.conf) and the ClusterConfiguration are edited as text; comments and order stay.
  - On a conflict all is read, planned and written anew. In the end it is read back.
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
  state:
    description:
      - V(stopped) keeps kube-proxy off O(nodes), and waits until its pods there are gone.
      - V(absent) deletes its objects.
      - V(present) makes its objects again from O(undo) where they are gone, takes the labels off, and waits until its pods are ready.
    type: str
    choices: [present, stopped, absent]
    required: true
  nodes:
    description:
      - Names of Nodes. With O(state=stopped) those to label; none prepares the DaemonSet only.
      - With O(state=present) those on which kube-proxy is to run again; the node affinity stays then. None means all, and node affinity and
        C(proxy.disabled) become as they were.
      - With O(state=absent) those that are to be stopped by then, so that check mode tells what is deleted. Refused outside of check mode.
    type: list
    elements: str
    default: []
  strict_arp:
    description:
      - C(ipvs.strictARP) in C(config.conf). kube-proxy's pods are restarted to read it.
      - If not set, it stays as it is. Not with O(state=absent).
    type: bool
  unseen:
    description:
      - Names of Nodes that are out of reach, knowingly so. Their pods are not awaited, and where the roll-out cannot go on for them, the rest
        of it is not awaited either. The pods of all others have to be ready.
    type: list
    elements: str
    default: []
  undo:
    description:
      - kube-proxy as it was before a change - RV(k8snet.cni.kube_proxy_info#module:kube_proxy), or RV(undo) of that run.
      - Needed with O(state=present) where objects are gone.
    type: dict
  override_owner:
    description: Whether to change objects that Helm, Argo CD, Flux or an add-on manager owns. For emergencies.
    type: bool
    default: false
  override_distribution:
    description: Whether to go on where the distribution would bring kube-proxy back. For those who have switched that off.
    type: bool
    default: false
  wait_timeout:
    description: Seconds that all attempts and waits together may take; O(timeout) is for one request.
    type: int
    default: 300
seealso:
  - module: k8snet.cni.kube_proxy_info
  - module: k8snet.cni.kube_proxy_rules
"""

EXAMPLES = r"""
- name: Let kube-proxy leave nodes that are labelled from now on
  k8snet.cni.kube_proxy:
    state: stopped

- name: Stop it on one node
  k8snet.cni.kube_proxy:
    state: stopped
    nodes: [worker-1]

- name: Remove it, when it is stopped everywhere
  k8snet.cni.kube_proxy:
    state: absent
  register: removal

- name: Bring it back
  k8snet.cni.kube_proxy:
    state: present
    undo: "{{ removal.undo }}"

- name: Set strictARP, as load balancers with ARP need it in IPVS mode
  k8snet.cni.kube_proxy:
    state: present
    strict_arp: true
"""

RETURN = r"""
plan:
  description: What is done, or in check mode would be.
  type: list
  elements: dict
  returned: always
  contains:
    action: {description: One line of plain words., type: str, returned: always}
    target: {description: The object., type: str, returned: always}
    cuts_connectivity: {description: Whether the session may break., type: bool, returned: always}
advice:
  description: What a person still has to do, so that nothing brings kube-proxy back.
  type: list
  elements: str
  returned: always
pods_gone:
  description: "Pods that went from O(nodes), or would go: node, name, uid."
  type: list
  elements: dict
  returned: always
unseen:
  description: Nodes of O(unseen) on which kube-proxy is to run. Nobody waited for them.
  type: list
  elements: str
  returned: always
undo:
  description: kube-proxy as it was before, for O(undo); RV(k8snet.cni.kube_proxy_info#module:kube_proxy) up to its pods.
  type: dict
  returned: always
retries:
  description: How often an attempt failed and was made again.
  type: int
  returned: always
requests:
  description: Requests sent, retries included.
  type: int
  returned: always
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _apply, _client
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._errors import failing
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._kube_proxy_write import (
    NotDone,
    change,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy_draft import Want


def want_of(params: dict[str, Any]) -> Want:
    """Return what the options ask for."""
    return Want(
        state=params["state"],
        nodes=tuple(dict.fromkeys(params["nodes"])),
        strict_arp=params["strict_arp"],
        undo=params["undo"],
        override_owner=params["override_owner"],
        override_distribution=params["override_distribution"],
        unseen=tuple(params["unseen"]),
    )


def main() -> None:
    """Change, or in check mode tell what would be changed."""
    module = AnsibleModule(
        argument_spec={
            **_client.AUTH_ARGUMENT_SPEC,
            "state": {"type": "str", "choices": ["present", "stopped", "absent"], "required": True},
            "nodes": {"type": "list", "elements": "str", "default": []},
            "strict_arp": {"type": "bool"},
            "unseen": {"type": "list", "elements": "str", "default": []},
            "undo": {"type": "dict"},
            "override_owner": {"type": "bool", "default": False},
            "override_distribution": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    with failing(module, Refused, _apply.NotEffective):
        try:
            api = _client.reachable(module.params)
            patience = _apply.Patience(module.params["wait_timeout"])
            module.exit_json(**change(api, want_of(module.params), module.check_mode, patience))
        except NotDone as error:
            module.fail_json(msg=str(error), **error.result)


if __name__ == "__main__":
    main()
