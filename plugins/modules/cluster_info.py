#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_info
short_description: Read once what a cluster says about its nodes, Calico, Antrea and kube-proxy
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Reads Nodes, DaemonSets, DNS pods, the operator's Installations and Calico's IPPools by paged LIST, each once,
    and the few ConfigMaps that the DaemonSets point to. Objects are cut down to what is returned while they arrive.
  - A resource that the account may not read is recorded in RV(k8snet_cluster.errors), and the rest is read all the same.
    A resource that does not exist counts as not installed.
  - Runs on the controller; no node is touched.
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.attributes.facts
  - k8snet.cni.cluster
options:
  required:
    description:
      - Whether to fail when the API server cannot be asked at all.
      - If V(false), RV(k8snet_cluster.access) says what went wrong, and everything else is empty.
    type: bool
    default: true
  dns_selector:
    description: Label selector of the cluster's DNS pods.
    type: str
    default: k8s-app=kube-dns
  page_size:
    description: Objects per page of a LIST.
    type: int
    default: 500
seealso:
  - module: k8snet.cni.node_facts
"""

EXAMPLES = r"""
- name: Read the cluster of the default kubeconfig
  k8snet.cni.cluster_info:
  register: cluster

- name: Show each Node's InternalIP beside the address that Calico stored
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.internal_ips | join(', ') }} / {{ item.calico.ipv4_address }}"
  loop: "{{ cluster.k8snet_cluster.nodes }}"
  loop_control:
    label: "{{ item.name }}"

- name: Read a certain cluster, and go on without it
  k8snet.cni.cluster_info:
    kubeconfig: /etc/k8snet/audit.kubeconfig
    context: production
    required: false
  register: cluster
"""

RETURN = r"""
k8snet_cluster:
  description: What the cluster says. Every key is always present, null where it does not apply.
  returned: success
  type: dict
  contains:
    access:
      description: Whether and how the API server was reached.
      type: dict
      returned: success
      contains:
        available: {description: Whether it answered., type: bool, returned: success}
        configured: {description: Whether any access is configured at all., type: bool, returned: success}
        kind:
          description: "Without access: V(none) (nothing configured), V(config), V(unreachable), V(tls), V(unauthorized)."
          type: str
          returned: success
        server: {description: URL of the server., type: str, returned: success, sample: "https://10.160.1.1:6443"}
        source: {description: "Path of the kubeconfig, V(parameters) or V(in-cluster).", type: str, returned: success}
        context: {description: Context of the kubeconfig., type: str, returned: success}
        error: {description: "What went wrong, where, and the remedy.", type: str, returned: success}
    nodes:
      description: Every Node of the cluster.
      type: list
      elements: dict
      returned: success
      contains:
        name: {description: Name., type: str, returned: success, sample: node1}
        uid: {description: UID., type: str, returned: success}
        os: {description: "V(linux) or V(windows).", type: str, returned: success}
        internal_ips: {description: InternalIPs in the Node's order., type: list, elements: str, returned: success}
        hostname: {description: Address of type Hostname., type: str, returned: success}
        unschedulable: {description: Whether it is cordoned., type: bool, returned: success}
        ready: {description: "Condition Ready; null when unknown.", type: bool, returned: success}
        kubelet_version: {description: Version of its kubelet., type: str, returned: success}
        calico:
          description:
            - What Calico stored as annotations on the Node, in CIDR form, null where absent.
          type: dict
          returned: success
          contains:
            ipv4_address: {description: Address of the node., type: str, returned: success, sample: 10.160.1.21/24}
            ipv6_address: {description: IPv6 address of the node., type: str, returned: success}
            ipv4_since:
              description: When the writer of C(ipv4_address) last wrote (managedFields); the change is no later.
              type: str
              returned: success
            ipv6_since: {description: The same for IPv6., type: str, returned: success}
            ipv4_ipip_tunnel_address: {description: Address of tunl0., type: str, returned: success}
            ipv4_vxlan_tunnel_address: {description: Address of vxlan.calico., type: str, returned: success}
            ipv6_vxlan_tunnel_address: {description: Address of vxlan-v6.calico., type: str, returned: success}
            ipv4_wireguard_address: {description: Address of wireguard.cali., type: str, returned: success}
    calico:
      description: How Calico is installed and which autodetection runs.
      type: dict
      returned: success
      contains:
        install:
          description:
            - V(operator), V(manifest), V(canal) (flannel chooses the address), V(migration) (manifest and operator side by
              side) or V(none); null when DaemonSets could not be read.
          type: str
          returned: success
        version: {description: From calico-node's image., type: str, returned: success, sample: v3.28.2}
        image: {description: Image of calico-node., type: str, returned: success}
        daemonset: {description: Namespace and name of the DaemonSet that runs calico-node., type: dict, returned: success}
        installation:
          description: The operator's Installation with C(overlay) resolved, null without one.
          type: dict
          returned: success
          contains:
            name: {description: Always V(default)., type: str, returned: success}
            generation: {description: metadata.generation., type: int, returned: success}
            has_calico_network: {description: Whether spec.calicoNetwork exists., type: bool, returned: success}
            overlay: {description: Whether an Installation named C(overlay) exists., type: bool, returned: success}
            v4: {description: "nodeAddressAutodetectionV4 as it stands, null if absent.", type: dict, returned: success}
            v6: {description: nodeAddressAutodetectionV6 likewise., type: dict, returned: success}
            present_v4: {description: Whether the field exists (null and absent told apart)., type: bool, returned: success}
            present_v6: {description: The same for V6., type: bool, returned: success}
            from_v4: {description: "Which object it comes from, V(default) or V(overlay).", type: str, returned: success}
            from_v6: {description: The same for V6., type: str, returned: success}
            methods_set_v4: {description: Its fields that set a method., type: list, elements: str, returned: success}
            methods_set_v6: {description: The same for V6., type: list, elements: str, returned: success}
        env:
          description:
            - "calico-node's variables IP, IP6, IP_AUTODETECTION_METHOD, IP6_AUTODETECTION_METHOD, AUTODETECT_POLL_INTERVAL,
              CALICO_NETWORKING_BACKEND and DATASTORE_TYPE. Each: C(state) (V(set), V(empty), V(absent), or V(unknown) when it
              comes from an object that could not be read), C(value), and C(from) when a ConfigMap gives it."
          type: dict
          returned: success
        methods:
          description: "What detects the address, per family under C(v4) and C(v6)."
          type: dict
          returned: success
          contains:
            v4:
              description: IPv4. IPv6 under C(v6) has the same keys.
              type: dict
              returned: success
              contains:
                method: {description: "In Calico's words; null when nothing is detected.", type: str, returned: success}
                mode:
                  description:
                    - V(autodetect) (again and again), V(once) (only while nothing is stored), V(fixed), V(off) or V(unknown).
                  type: str
                  returned: success
                detects: {description: Whether detection is on., type: bool, returned: success}
                explicit: {description: Whether the method is another than first-found., type: bool, returned: success}
                source: {description: Who said so., type: str, returned: success}
                declared: {description: "What the Installation asks for, in Calico's words.", type: str, returned: success}
                methods_set: {description: Methods set in the Installation; one is right., type: list, elements: str, returned: success}
        poll_interval: {description: "Seconds between detections; null if not a duration.", type: float, returned: success}
        backend: {description: "CALICO_NETWORKING_BACKEND: bird, vxlan, none.", type: str, returned: success}
        datastore: {description: "V(kubernetes) or V(etcdv3).", type: str, returned: success}
        canal_interface: {description: "Canal's canal_iface; empty means the default route's device.", type: str, returned: success}
        ip_pools:
          description: "IPPools: name, cidr, ipip_mode, vxlan_mode, disabled. Null when not served or not readable."
          type: list
          elements: dict
          returned: success
    antrea:
      description: Antrea and the settings of its agent. Settings are null when they could not be read.
      type: dict
      returned: success
      contains:
        installed: {description: "Whether its DaemonSet exists; null if DaemonSets could not be read.", type: bool, returned: success}
        namespace: {description: Namespace., type: str, returned: success}
        daemonset: {description: Name of the agents' DaemonSet., type: str, returned: success}
        image: {description: Image of antrea-agent., type: str, returned: success}
        version: {description: From the image., type: str, returned: success}
        config_map: {description: "Name of its ConfigMap, from the DaemonSet's volume.", type: str, returned: success}
        proxy_all: {description: Whether proxyAll is on and AntreaProxy with it., type: bool, returned: success}
        kube_apiserver_override: {description: kubeAPIServerOverride., type: str, returned: success}
        traffic_encap_mode: {description: trafficEncapMode., type: str, returned: success}
        ovs_bridge: {description: Name of the integration bridge., type: str, returned: success}
        secondary_bridges: {description: "Bridges of SecondaryNetwork: name, interfaces.", type: list, elements: dict, returned: success}
        feature_gates: {description: Gates that are set explicitly., type: dict, returned: success}
        error: {description: Why settings are missing., type: str, returned: success}
    kube_proxy:
      description: kube-proxy's DaemonSet.
      type: dict
      returned: success
      contains:
        present: {description: "Whether it exists; null if DaemonSets could not be read.", type: bool, returned: success}
        namespace: {description: Namespace., type: str, returned: success}
        name: {description: Name., type: str, returned: success}
        desired: {description: Nodes on which it shall run., type: int, returned: success}
        ready: {description: Nodes on which it is ready., type: int, returned: success}
        mode: {description: "V(iptables), V(ipvs) or V(nftables).", type: str, returned: success}
        in_process: {description: Whether kubelets are k3s (kube-proxy inside its process)., type: bool, returned: success}
    dns_pods: {description: "Pods of O(dns_selector): namespace, name, node, ip.", type: list, elements: dict, returned: success}
    errors: {description: "Resources that could not be read: resource, status, message.", type: list, elements: dict, returned: success}
    could_not_check: {description: "What stays unknown: resource, what, why.", type: list, elements: dict, returned: success}
    requests: {description: "Requests sent, retries included.", type: int, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _client, _snapshot
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._errors import failing
from ansible_collections.k8snet.cni.plugins.module_utils.domain._cluster import cluster_facts


def read(params: dict[str, Any]) -> dict[str, Any]:
    """Return ``k8snet_cluster``. Raises ClusterError if access is required and there is none."""
    api = None
    try:
        api = _client.reachable(params)
        raw = _snapshot.read(api, params["dns_selector"], params["page_size"])
    except _client.ClusterError as error:
        if params["required"]:
            raise
        raw = _snapshot.no_access(error, api)
    return cluster_facts(raw)


def main() -> None:
    """Read the cluster and return it."""
    module = AnsibleModule(
        argument_spec={
            **_client.AUTH_ARGUMENT_SPEC,
            "required": {"type": "bool", "default": True},
            "dns_selector": {"type": "str", "default": "k8s-app=kube-dns"},
            "page_size": {"type": "int", "default": 500},
        },
        supports_check_mode=True,
    )
    with failing(module):
        module.exit_json(changed=False, k8snet_cluster=read(module.params))


if __name__ == "__main__":
    main()
