#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: calico_info
short_description: Read how Calico is installed and what a change of its autodetection would write
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Reads Nodes, Calico's DaemonSets, the operator's Installations, its TigeraStatus and CRD, and the DNS pods, each kind
    once, by paged LIST where there are many.
  - Says what would be written to change the method, who owns that object, and which rights are missing.
  - The whole former objects in the result are what an undo bundle keeps; O(k8snet.cni.calico_autodetection#module:undo)
    takes them as they are.
  - Fails when Nodes, DaemonSets or Installations cannot be read; what else cannot be read is in RV(calico.errors).
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.attributes.facts
  - k8snet.cni.cluster
options:
  method_v4:
    description: Method for IPv4 that somebody wants, in Calico's words. Only used for RV(calico.owner.snippet).
    type: str
  method_v6:
    description: The same for IPv6.
    type: str
  review:
    description: Whether to ask the API server which of the needed rights the account has. One request per right.
    type: bool
    default: false
  bundle_namespace:
    description: Namespace in which an undo bundle will be kept as a Secret, so that O(review=true) asks about that too.
    type: str
  dns_selector:
    description: Label selector of the cluster's DNS pods.
    type: str
    default: k8s-app=kube-dns
  page_size:
    description: Objects per page of a LIST.
    type: int
    default: 500
seealso:
  - module: k8snet.cni.calico_autodetection
  - module: k8snet.cni.cluster_info
"""

EXAMPLES = r"""
- name: See how Calico is installed, and whether this account could change its method
  k8snet.cni.calico_info:
    review: true
  register: before

- name: Show what may not be done
  ansible.builtin.debug:
    msg: "{{ before.calico.permissions | rejectattr('allowed') }}"
"""

RETURN = r"""
calico:
  description: How Calico is installed, what would be written, and whether it may.
  type: dict
  returned: success
  contains:
    install:
      description:
        - V(operator), V(manifest), V(canal) (flannel chooses the address), V(migration) (manifest and operator side by
          side) or V(none).
      type: str
      returned: success
    reason: {description: "Why autodetection cannot be changed here; null if it can.", type: str, returned: success}
    target:
      description: The object that is written to change the method, null if there is none.
      type: dict
      returned: success
      contains:
        kind: {description: "V(Installation) or V(DaemonSet).", type: str, returned: success}
        namespace: {description: "Namespace, null for an Installation.", type: str, returned: success}
        name: {description: Name., type: str, returned: success}
    version: {description: From calico-node's image., type: str, returned: success, sample: v3.28.2}
    methods:
      description: What detects the address, per family under C(v4) and C(v6); see M(k8snet.cni.cluster_info).
      type: dict
      returned: success
    backend: {description: "V(bird), V(vxlan) or V(none).", type: str, returned: success}
    bgp_mesh:
      description: Whether every node has a BGP session with every other; null if the BGPConfiguration could not be read.
      type: bool
      returned: success
    datastore: {description: "V(kubernetes) or V(etcdv3).", type: str, returned: success}
    poll_interval: {description: Seconds between detections., type: float, returned: success}
    installation: {description: "The whole Installation C(default), null without one.", type: dict, returned: success}
    overlay: {description: "The whole Installation C(overlay), null without one.", type: dict, returned: success}
    daemonset:
      description: The whole DaemonSet that runs calico-node, managedFields included, null without one.
      type: dict
      returned: success
    crd_min_ready_seconds:
      description:
        - Whether the Installation's CRD has spec.calicoNodeDaemonSet.spec.minReadySeconds, so that a roll-out can be held.
        - Null when there is no such CRD, or it could not be read.
      type: bool
      returned: success
    owner:
      description: Who owns what would be written, and would revert a change or fight over it.
      type: dict
      returned: success
      contains:
        by: {description: "V(helm), V(argocd), V(flux), V(addon-manager), or null.", type: str, returned: success}
        evidence: {description: "The label, annotation or manager that tells.", type: str, returned: success}
        object: {description: "The owned object: kind, namespace, name.", type: dict, returned: success}
        snippet:
          description: What to commit where the object is kept, as YAML. Null without O(method_v4) and O(method_v6).
          type: str
          returned: success
    nodes:
      description: Every Node.
      type: list
      elements: dict
      returned: success
      contains:
        name: {description: Name., type: str, returned: success}
        uid: {description: UID., type: str, returned: success}
        os: {description: "V(linux) or V(windows).", type: str, returned: success}
        ready: {description: "Condition Ready; null when unknown.", type: bool, returned: success}
        hostname: {description: Address of type Hostname., type: str, returned: success}
        internal_ips: {description: "InternalIPs in the Node's order, lists under C(v4) and C(v6).", type: dict, returned: success}
        annotations: {description: Its annotations C(projectcalico.org/*)., type: dict, returned: success}
        unschedulable: {description: Whether it is cordoned., type: bool, returned: success}
    pods:
      description: Pods of calico-node.
      type: list
      elements: dict
      returned: success
      contains:
        node: {description: The Node it runs on., type: str, returned: success}
        name: {description: Name., type: str, returned: success}
        ready: {description: Whether it is ready., type: bool, returned: success}
        ready_seconds:
          description:
            - For how long. A roll-out can be held by minReadySeconds only below the age of the youngest pod.
          type: float
          returned: success
    pods_there:
      description:
        - Every Pod on the nodes whose calico-node is not ready, except those on their node's own network. Null if Pods could not be
          read.
      type: list
      elements: dict
      returned: success
      contains:
        node: {description: The Node it runs on., type: str, returned: success}
        namespace: {description: Namespace., type: str, returned: success}
        name: {description: Name., type: str, returned: success}
        addresses: {description: Its addresses., type: list, elements: str, returned: success}
    tigerastatus: {description: "The whole TigeraStatus C(calico), null without one.", type: dict, returned: success}
    dns_pods: {description: "Pods of O(dns_selector): namespace, name, node, ip.", type: list, elements: dict, returned: success}
    permissions:
      description: The rights that a change needs, with O(review=true).
      type: list
      elements: dict
      returned: success
      contains:
        verb: {description: Verb., type: str, returned: success}
        group: {description: "API group, empty for the core.", type: str, returned: success}
        resource: {description: Resource., type: str, returned: success}
        namespace: {description: "Namespace, null for the whole cluster.", type: str, returned: success}
        name: {description: "Name, null for any.", type: str, returned: success}
        allowed: {description: "The API server's answer; null if it may not be asked.", type: bool, returned: success}
    errors: {description: "Resources that could not be read: resource, status, message.", type: list, elements: dict, returned: success}
    requests: {description: "Requests sent, retries included.", type: int, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _calico_read, _client
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._errors import failing
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import (
    Refused,
    check_method,
)


def methods_of(params: dict[str, Any]) -> dict[int, str]:
    """Return the wanted method per family. Raises Refused on what is no method."""
    found = {n: params[f"method_v{n}"] for n in (4, 6) if params[f"method_v{n}"]}
    for family, method in found.items():
        check_method(family, method)
    return found


def run(params: dict[str, Any]) -> dict[str, Any]:
    """Return the module's result. Raises ClusterError, Refused."""
    methods = methods_of(params)
    calico = _calico_read.read(
        _client.reachable(params),
        methods,
        review=params["review"],
        bundle_namespace=params["bundle_namespace"],
        dns_selector=params["dns_selector"],
        page_size=params["page_size"],
    )
    return {"changed": False, "calico": calico}


def main() -> None:
    """Read and return it."""
    module = AnsibleModule(
        argument_spec={
            **_client.AUTH_ARGUMENT_SPEC,
            "method_v4": {"type": "str"},
            "method_v6": {"type": "str"},
            "review": {"type": "bool", "default": False},
            "bundle_namespace": {"type": "str"},
            "dns_selector": {"type": "str", "default": "k8s-app=kube-dns"},
            "page_size": {"type": "int", "default": 500},
        },
        supports_check_mode=True,
    )
    with failing(module, Refused):
        module.exit_json(**run(module.params))


if __name__ == "__main__":
    main()
