#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_proxy_info
short_description: Read how kube-proxy is installed, and what a removal would meet
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Reads kube-proxy's DaemonSet, ConfigMap and pods, kubeadm's objects beside it, Nodes, Services and EndpointSlices, each kind once, by
    paged LIST where there are many.
  - Tells which distribution installed kube-proxy and whether that would bring it back, what keeps kubeadm from making it again, and which
    Services Antrea's proxy would not serve as kube-proxy does.
  - Fails when Nodes or DaemonSets cannot be read; what else cannot be read is in RV(kube_proxy.errors).
  - Credentials in the ConfigMap are never shown.
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.attributes.facts
  - k8snet.cni.cluster
options:
  review:
    description: Whether to ask the API server which of the needed rights the account has. One request per right.
    type: bool
    default: false
  page_size:
    description: Objects per page of a LIST.
    type: int
    default: 500
seealso:
  - module: k8snet.cni.kube_proxy
  - module: k8snet.cni.kube_proxy_facts
  - module: k8snet.cni.kube_proxy_rules
"""

EXAMPLES = r"""
- name: Read kube-proxy
  k8snet.cni.kube_proxy_info:
    review: true
  register: read

- name: Tell why kube-proxy cannot be removed here
  ansible.builtin.debug:
    msg: "{{ read.kube_proxy.reason }}: {{ read.kube_proxy.remedy }}"
  when: not read.kube_proxy.supported
"""

RETURN = r"""
kube_proxy:
  description: How kube-proxy is installed.
  type: dict
  returned: success
  contains:
    present: {description: Whether its DaemonSet exists., type: bool, returned: success}
    distribution:
      description: "V(kubeadm), V(kubespray), V(k3s), V(rke2), V(eks), V(aks), V(gke) or V(unknown)."
      type: str
      returned: success
    evidence: {description: "What tells it, null if nothing does.", type: str, returned: success}
    version: {description: "The API server's version, plain; null if untold.", type: str, returned: success, sample: 1.31.2}
    server_version: {description: The same as it says it., type: str, returned: success, sample: v1.31.2+rke2r1}
    supported: {description: Whether a removal lasts., type: bool, returned: success}
    reason: {description: "Why it would not, null where it does.", type: str, returned: success}
    remedy: {description: "The right way there, null where it does.", type: str, returned: success}
    managed_by:
      description: "Who owns the DaemonSet and would revert a change, null if nobody does."
      type: dict
      returned: success
      contains:
        manager: {description: Its name., type: str, returned: success, sample: Argo CD}
        evidence: {description: The label or annotation or manager., type: str, returned: success}
        snippet: {description: What to commit there to stop kube-proxy on labelled nodes., type: str, returned: success}
    daemonset:
      description: The DaemonSet, null without one.
      type: dict
      returned: success
      contains:
        namespace: {description: Namespace., type: str, returned: success}
        name: {description: Name., type: str, returned: success}
        generation: {description: Its generation., type: int, returned: success}
        observed: {description: The generation that its controller has seen., type: int, returned: success}
        desired: {description: On how many nodes it is to run., type: int, returned: success}
        ready: {description: On how many its pod is ready., type: int, returned: success}
        image: {description: Its image., type: str, returned: success}
        node_affinity_removed:
          description: Whether it stays off nodes labelled C(k8snet.io/kube-proxy=removed).
          type: bool
          returned: success
        object: {description: The whole object., type: dict, returned: success}
    config_map:
      description: "The ConfigMap that it mounts, null if there is none: name, object."
      type: dict
      returned: success
    mode: {description: "Mode of config.conf; empty is iptables.", type: str, returned: success}
    strict_arp: {description: "ipvs.strictARP, null without a ConfigMap.", type: bool, returned: success}
    cluster_cidr: {description: clusterCIDR., type: str, returned: success}
    node_port_addresses: {description: nodePortAddresses., type: list, elements: str, returned: success}
    config_errors: {description: What could not be read of config.conf and of the ClusterConfiguration., type: list, elements: str, returned: success}
    kubeadm:
      description: What kubeadm does at an upgrade.
      type: dict
      returned: success
      contains:
        config_map: {description: Whether ConfigMap kubeadm-config exists., type: bool, returned: success}
        api_version: {description: "Of its ClusterConfiguration, null without one.", type: str, returned: success, sample: v1beta4}
        proxy_disabled: {description: "proxy.disabled, null where the version has none.", type: bool, returned: success}
        honours:
          description:
            - What keeps it from making kube-proxy again - V(disabled), V(missing-config-map), V(skip-phases) (the option only) or V(neither).
            - Null if the version is unknown.
          type: str
          returned: success
        advice: {description: "What a person has to do, null if nothing.", type: str, returned: success}
        object: {description: "The whole ConfigMap, null without one.", type: dict, returned: success}
    objects:
      description: kube-proxy's objects that exist, for an undo.
      type: list
      elements: dict
      returned: success
      contains:
        kind: {description: Kind., type: str, returned: success}
        namespace: {description: "Namespace, null for cluster-wide.", type: str, returned: success}
        name: {description: Name., type: str, returned: success}
        object: {description: The whole object., type: dict, returned: success}
    labelled: {description: Nodes labelled C(k8snet.io/kube-proxy=removed)., type: list, elements: str, returned: success}
    pods:
      description: Its pods.
      type: list
      elements: dict
      returned: success
      contains:
        name: {description: Name., type: str, returned: success}
        node: {description: The Node it runs on., type: str, returned: success}
        ready: {description: Whether it is ready., type: bool, returned: success}
        uid: {description: UID., type: str, returned: success}
    services:
      description: Services that AntreaProxy does not serve as kube-proxy does.
      type: list
      elements: dict
      returned: success
      contains:
        namespace: {description: Namespace., type: str, returned: success}
        name: {description: Name., type: str, returned: success}
        limits:
          description: "V(loadBalancerSourceRanges), V(endpoints>800), V(affinity>65535), V(service-proxy-name)."
          type: list
          elements: str
          returned: success
    service_cidrs: {description: "Service networks, of ServiceCIDRs, else kubeadm, else kube-apiserver.", type: list, elements: str, returned: success}
    dns:
      description: The cluster's DNS, null if no Service is labelled as such.
      type: dict
      returned: success
      contains:
        service: {description: Namespace and name., type: str, returned: success, sample: kube-system/kube-dns}
        ip: {description: Its first ClusterIP., type: str, returned: success}
        ips: {description: All of them., type: list, elements: str, returned: success}
        port: {description: Its port., type: int, returned: success}
    probes:
      description: Some Services with ready end points, of each kind, on which it can be seen whether a node serves Services.
      type: list
      elements: dict
      returned: success
      contains:
        namespace: {description: Its namespace., type: str, returned: success}
        name: {description: Its name., type: str, returned: success}
        cluster_ip: {description: Its first ClusterIP., type: str, returned: success}
        cluster_ips: {description: "All of them, one of each IP family.", type: list, elements: str, returned: success}
        port: {description: Its first TCP port., type: int, returned: success}
        node_port: {description: "Its NodePort, null without one.", type: int, returned: success}
        load_balancer: {description: "Its load balancer's first address, null without one.", type: str, returned: success}
        load_balancers: {description: All of them., type: list, elements: str, returned: success}
    external_ips:
      description: External and load balancers' addresses of Services, each with the Service as namespace/name.
      type: dict
      returned: success
    authority: {description: "The cluster's authority in PEM, of ConfigMap C(kube-root-ca.crt); null without it.", type: str, returned: success}
    control_planes: {description: Names of the Nodes that are control planes., type: list, elements: str, returned: success}
    node_local_dns: {description: Whether NodeLocalDNS runs., type: bool, returned: success}
    permissions:
      description: "The rights that M(k8snet.cni.kube_proxy) needs, with O(review=true): verb, group, resource, namespace, name, allowed."
      type: list
      elements: dict
      returned: success
    missing_rights: {description: Those that the account lacks., type: list, elements: str, returned: success, sample: [patch on nodes]}
    errors:
      description: "What could not be read: resource, status, message."
      type: list
      elements: dict
      returned: success
    requests: {description: "Requests sent, retries included.", type: int, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _client, _kube_proxy_read


def main() -> None:
    """Read, and return what was read."""
    module = AnsibleModule(
        argument_spec={
            **_client.AUTH_ARGUMENT_SPEC,
            "review": {"type": "bool", "default": False},
            "page_size": {"type": "int", "default": 500},
        },
        supports_check_mode=True,
    )
    try:
        api = _client.reachable(module.params)
        found = _kube_proxy_read.read(api, module.params["review"], module.params["page_size"])
        module.exit_json(changed=False, kube_proxy=found)
    except _client.ClusterError as error:
        module.fail_json(msg=error.message, kind=error.kind, status=error.status)


if __name__ == "__main__":
    main()
