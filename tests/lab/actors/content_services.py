# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kube-proxy as kubeadm installs it, and Services to serve: objects of a scene with it. Pure."""

from __future__ import annotations

from typing import Any

from tests.lab.actors import content

Obj = dict[str, Any]

API_SERVICE = "10.96.0.1"
WEB_SERVICE, WEB_NODE_PORT = "10.96.0.80", 30080
WEB_PORT = 8080
_NAME = {"name": "kube-proxy", "namespace": "kube-system"}
_RBAC = "rbac.authorization.k8s.io/v1"

_CONFIG = """\
# kubeadm wrote this file
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
clientConnection:
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
clusterCIDR: {network}
conntrack:
  maxPerCore: null   # by the kernel
hostnameOverride: ""
iptables:
  masqueradeAll: false
  syncPeriod: 0s
ipvs:
  strictARP: false   # needed by ServiceExternalIP
  scheduler: ""
kind: KubeProxyConfiguration
metricsBindAddress: ""
# iptables, ipvs or nftables; empty means iptables
mode: "{mode}"
nodePortAddresses: null
"""
_KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
    server: https://10.160.1.1:6443
  name: default
contexts:
- context: {cluster: default, namespace: default, user: default}
  name: default
current-context: default
users:
- name: default
  user:
    tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token
"""
_CLUSTER = """\
apiServer: {}
apiVersion: kubeadm.k8s.io/v1beta4
clusterName: kubernetes
controlPlaneEndpoint: 10.160.1.1:6443
kind: ClusterConfiguration
kubernetesVersion: {version}
networking:
  dnsDomain: cluster.local
  podSubnet: {network}
  serviceSubnet: 10.96.0.0/12
proxy: {}
"""


def root_ca(authority: str) -> Obj:
    """Return what every namespace has of the cluster's authority."""
    meta = {"name": "kube-root-ca.crt", "namespace": "kube-system"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": meta,
        "data": {"ca.crt": authority},
    }


def kube_proxy(version: str, mode: str) -> list[Obj]:
    """Return everything of kubeadm's add-on, and kubeadm's own configuration."""
    labels = {"k8s-app": "kube-proxy"}
    volumes = [{"name": "kube-proxy", "configMap": {"name": "kube-proxy"}}]
    container = {
        "name": "kube-proxy",
        "image": f"registry.k8s.io/kube-proxy:{version}",
        "command": ["/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf"],
        "volumeMounts": [{"name": "kube-proxy", "mountPath": "/var/lib/kube-proxy"}],
    }
    data = {
        "config.conf": _CONFIG.format(network=content.POD_NETWORK, mode=mode),
        "kubeconfig.conf": _KUBECONFIG,
    }
    cluster = _CLUSTER.replace("{version}", version).replace("{network}", content.POD_NETWORK)
    daemon_set = content.daemonset(
        "kube-system",
        "kube-proxy",
        labels,
        [container],
        volumes=volumes,
        serviceAccountName="kube-proxy",
        priorityClassName="system-node-critical",
    )
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _NAME},
        content.config_map("kube-system", "kube-proxy", data),
        content.config_map("kube-system", "kubeadm-config", {"ClusterConfiguration": cluster}),
        *_rights(),
        daemon_set,
    ]


def _rights() -> list[Obj]:
    account = {"kind": "ServiceAccount", **_NAME}
    group = {"kind": "Group", "name": "system:bootstrappers:kubeadm:default-node-token"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "kube-proxy"}
    return [
        {
            "apiVersion": _RBAC,
            "kind": "Role",
            "metadata": _NAME,
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["configmaps"],
                    "resourceNames": ["kube-proxy"],
                    "verbs": ["get"],
                }
            ],
        },
        {
            "apiVersion": _RBAC,
            "kind": "RoleBinding",
            "metadata": _NAME,
            "roleRef": role,
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", **group}],
        },
        {
            "apiVersion": _RBAC,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "kubeadm:node-proxier"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "system:node-proxier",
            },
            "subjects": [account],
        },
    ]


def services(api: str) -> list[Obj]:
    """Return default/kubernetes with its endpoint, and default/web. api: host:port."""
    host, _colon, number = api.rpartition(":")
    kubernetes = {"name": "kubernetes", "namespace": "default"}
    labels = {"kubernetes.io/service-name": "kubernetes"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**kubernetes, "labels": {"component": "apiserver"}},
            "spec": {
                "clusterIP": API_SERVICE,
                "ports": [{"name": "https", "port": 443, "targetPort": int(number)}],
            },
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**kubernetes, "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [host], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": int(number), "protocol": "TCP"}],
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {
                "type": "NodePort",
                "clusterIP": WEB_SERVICE,
                "selector": {"app": "web"},
                "ports": [
                    {
                        "name": "http",
                        "port": 80,
                        "targetPort": WEB_PORT,
                        "nodePort": WEB_NODE_PORT,
                    }
                ],
            },
        },
    ]


def web_pod(node: str, address: str) -> Obj:
    """Return the pod of default/web on a node."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"web-{node}", "namespace": "default", "labels": {"app": "web"}},
        "spec": {"nodeName": node, "containers": [{"name": "web", "image": "web:lab"}]},
        "status": {"podIP": address, "podIPs": [{"ip": address}]},
    }
