# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The objects of a cluster as the seeds put them in: nodes, CoreDNS, the CNIs, kube-proxy. Pure."""

from __future__ import annotations

from typing import Any

Obj = dict[str, Any]

DNS_SERVICE = "10.96.0.10"
POD_NETWORK = "10.244.0.0/16"
_ALL_TAINTS = [
    {"effect": "NoSchedule", "operator": "Exists"},
    {"effect": "NoExecute", "operator": "Exists"},
]


def node_address(number: int) -> str:
    """Return the InternalIP of node ``number`` (from 1) in the lab; beyond it, of 10.160.0.0/16."""
    if number <= 200:
        return f"10.160.1.{20 + number}"
    return f"10.160.{2 + number // 250}.{1 + number % 250}"


def pod_cidr(number: int) -> str:
    """Return the pod network of node ``number``; above 255 nodes a /26 each of 10.128.0.0/9."""
    if number <= 255:
        return f"10.244.{number}.0/24"
    return f"10.{128 + number // 1024}.{number % 1024 // 4}.{number % 4 * 64}/26"


def node(number: int, name: str = "", system: str = "linux") -> Obj:
    """Return a ready Node; node 1 is the control plane."""
    name = name or f"node{number}"
    address = node_address(number)
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": system,
        "kubernetes.io/arch": "amd64",
    }
    if number == 1:
        labels["node-role.kubernetes.io/control-plane"] = ""
    info = {
        "machineID": f"{number:032x}",
        "systemUUID": f"{number:032x}",
        "bootID": f"{number:032x}",
        "kernelVersion": "6.12.0",
        "osImage": "Debian GNU/Linux 13 (trixie)",
        "containerRuntimeVersion": "containerd://1.7.24",
        "kubeletVersion": "v1.33.5",
        "kubeProxyVersion": "",
        "operatingSystem": system,
        "architecture": "amd64",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"podCIDR": pod_cidr(number), "podCIDRs": [pod_cidr(number)]},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": name},
            ],
            "capacity": {"cpu": "2", "memory": "4Gi", "pods": "110"},
            "nodeInfo": info,
        },
    }


def ready_condition(now: str) -> Obj:
    return {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "message": "kubelet is posting ready status",
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }


def daemonset(
    namespace: str, name: str, labels: dict[str, str], containers: list[Obj], **pod: Any
) -> Obj:
    """Return a host-network DaemonSet for all Linux nodes."""
    template = {
        "metadata": {"labels": labels},
        "spec": {
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "hostNetwork": True,
            "tolerations": _ALL_TAINTS,
            "containers": containers,
            **pod,
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def config_map(namespace: str, name: str, data: dict[str, str]) -> Obj:
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


# -- CoreDNS -----------------------------------------------------------------------------------


def coredns(on: str, address: str) -> list[Obj]:
    """Return CoreDNS: Service, Deployment, and one pod on node ``on`` with the given address."""
    labels = {"k8s-app": "kube-dns"}
    meta = {"namespace": "kube-system", "labels": labels}
    spec = {"containers": [{"name": "coredns", "image": "coredns/coredns:v1.12.0"}]}
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**meta, "name": "kube-dns"},
            "spec": {"clusterIP": DNS_SERVICE, "selector": labels, "ports": ports},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {**meta, "name": "coredns"},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**meta, "name": "coredns-lab-0"},
            "spec": {**spec, "nodeName": on},
            "status": {"podIP": address, "podIPs": [{"ip": address}]},
        },
    ]


# -- the CNIs ----------------------------------------------------------------------------------


def installation(backend: str = "bird") -> Obj:
    """Return the Installation as operator installs start: no method, so first-found comes of it."""
    bgp = "Enabled" if backend == "bird" else "Disabled"
    pool = {
        "name": "default-ipv4-ippool",
        "cidr": POD_NETWORK,
        "blockSize": 26,
        "encapsulation": "None" if bgp == "Enabled" else "VXLAN",
        "natOutgoing": "Enabled",
        "nodeSelector": "all()",
    }
    return {
        "apiVersion": "operator.tigera.io/v1",
        "kind": "Installation",
        "metadata": {"name": "default"},
        "spec": {
            "variant": "Calico",
            "cni": {"type": "Calico"},
            "calicoNetwork": {"bgp": bgp, "ipPools": [pool]},
        },
    }


def _calico_container(version: str, backend: str, env: list[Obj]) -> Obj:
    name = {"fieldRef": {"fieldPath": "spec.nodeName"}}
    return {
        "name": "calico-node",
        "image": f"calico/node:{version}",
        "env": [
            {"name": "DATASTORE_TYPE", "value": "kubernetes"},
            {"name": "NODENAME", "valueFrom": name},
            {"name": "CALICO_NETWORKING_BACKEND", **backend_source(backend)},
            *env,
            {"name": "FELIX_IPV6SUPPORT", "value": "false"},
        ],
    }


def backend_source(backend: str) -> Obj:
    """Return where the backend comes from: calico-config, as in the manifests, or a plain value."""
    if backend == "none":
        return {"value": "none"}
    key = {"name": "calico-config", "key": "calico_backend"}
    return {"valueFrom": {"configMapKeyRef": key}}


def calico_manifest(version: str, backend: str = "bird") -> list[Obj]:
    """Return a manifest install: IP=autodetect, the method absent."""
    env = [{"name": "CLUSTER_TYPE", "value": "k8s,bgp"}, {"name": "IP", "value": "autodetect"}]
    container = _calico_container(version, backend, env)
    return [
        config_map("kube-system", "calico-config", {"calico_backend": backend, "veth_mtu": "0"}),
        daemonset("kube-system", "calico-node", {"k8s-app": "calico-node"}, [container]),
    ]


def canal(version: str) -> list[Obj]:
    """Return Canal: Calico for policy only, so it detects nothing; flannel's canal_iface counts."""
    env = [{"name": "CLUSTER_TYPE", "value": "k8s,canal"}, {"name": "IP", "value": ""}]
    container = _calico_container(version, "none", env)
    iface = {"configMapKeyRef": {"name": "canal-config", "key": "canal_iface"}}
    flannel = {
        "name": "kube-flannel",
        "image": "flannel/flannel:v0.24.4",
        "env": [{"name": "FLANNELD_IFACE", "valueFrom": iface}],
    }
    net_conf = '{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}'
    data = {"canal_iface": "", "masquerade": "true", "net-conf.json": net_conf}
    return [
        config_map("kube-system", "canal-config", data),
        daemonset("kube-system", "canal", {"k8s-app": "canal"}, [container, flannel]),
    ]


_AGENT_CONF = """\
# FeatureGates is a map of feature names to bools that enable or disable experimental features.
featureGates:
# Enable Egress support.
#  Egress: true
# Enable flexible IPAM for pods.
#  AntreaIPAM: false
# Enable secondary networks for pods.
#  SecondaryNetwork: false

# Name of the OpenVSwitch bridge antrea-agent will create and use.
#ovsBridge: "br-int"

trafficEncapMode: "encap"
serviceCIDR: "10.96.0.0/16"
antreaProxy:
  # ProxyAll tells antrea-agent to proxy all Service traffic.
  proxyAll: %s

# Secondary networks of pods.
secondaryNetwork:
  # At most one OVS bridge can be specified.
  ovsBridges:
"""
_CONTROLLER_CONF = """\
featureGates:
#  Egress: true
nodeIPAM:
  serviceCIDR: "10.96.0.0/16"
"""


def antrea(version: str, *, proxy_all: bool = False) -> list[Obj]:
    """Return Antrea: configuration, agents, controller."""
    data = {
        "antrea-agent.conf": _AGENT_CONF % ("true" if proxy_all else "false"),
        "antrea-controller.conf": _CONTROLLER_CONF,
        "antrea-cni.conflist": '{"cniVersion": "0.3.0", "name": "antrea", "plugins": []}\n',
    }
    image = f"antrea/antrea-agent-ubuntu:{version}"
    volume = {"name": "antrea-config", "configMap": {"name": "antrea-config"}}
    agent = {"app": "antrea", "component": "antrea-agent"}
    controller = {"app": "antrea", "component": "antrea-controller"}
    containers = [{"name": name, "image": image} for name in ("antrea-agent", "antrea-ovs")]
    pod = {
        "hostNetwork": True,
        "containers": [
            {
                "name": "antrea-controller",
                "image": f"antrea/antrea-controller-ubuntu:{version}",
            }
        ],
    }
    return [
        config_map("kube-system", "antrea-config", data),
        daemonset("kube-system", "antrea-agent", agent, containers, volumes=[volume]),
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "antrea-controller", "namespace": "kube-system"},
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": controller},
                "template": {"metadata": {"labels": controller}, "spec": pod},
            },
        },
    ]


def agent_info(node_name: str, version: str, cidr: str, now: str) -> Obj:
    """Return a node's AntreaAgentInfo with a heartbeat at ``now``."""
    kinds = (
        "AgentHealthy",
        "ControllerConnectionUp",
        "OVSDBConnectionUp",
        "OpenflowConnectionUp",
    )
    return {
        "apiVersion": "crd.antrea.io/v1beta1",
        "kind": "AntreaAgentInfo",
        "metadata": {"name": node_name},
        "version": version,
        "nodeRef": {"kind": "Node", "name": node_name},
        "nodeSubnets": [cidr],
        "ovsInfo": {"version": "3.3.0", "bridgeName": "br-int", "flowTable": {}},
        "localPodNum": 1,
        "apiPort": 10350,
        "agentConditions": [
            {"type": kind, "status": "True", "lastHeartbeatTime": now} for kind in kinds
        ],
    }


def kube_proxy(version: str = "v1.33.5", mode: str = "iptables") -> list[Obj]:
    """Return kube-proxy as kubeadm installs it."""
    conf = (
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\n"
        "kind: KubeProxyConfiguration\n"
        f"clusterCIDR: {POD_NETWORK}\n"
        "ipvs:\n  strictARP: false\n"
        f"mode: {mode}\n"
    )
    container = {"name": "kube-proxy", "image": f"kube-proxy:{version}"}
    return [
        config_map("kube-system", "kube-proxy", {"config.conf": conf}),
        daemonset("kube-system", "kube-proxy", {"k8s-app": "kube-proxy"}, [container]),
    ]
