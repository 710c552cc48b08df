# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kube-proxy as kubeadm installs it, on the API double."""

from __future__ import annotations

import copy
import json
import sys
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.cluster._apply import Patience
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._kube_proxy_write import change
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy_draft import Want

from tests.lab.actors import content
from tests.lab.actors.cluster import seed_nodes
from tests.lab.api.client import STRATEGIC, ApiStatus, Client, default_kubeconfig

Obj = dict[str, Any]

LABEL = "k8snet.io/kube-proxy"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
SYSTEM = "/api/v1/namespaces/kube-system"
DAEMONSET = "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy"
CONFIG_MAP = f"{SYSTEM}/configmaps/kube-proxy"
KUBEADM = f"{SYSTEM}/configmaps/kubeadm-config"
COLLECTIONS = {
    "ServiceAccount": f"{SYSTEM}/serviceaccounts",
    "Role": f"{RBAC}/namespaces/kube-system/roles",
    "RoleBinding": f"{RBAC}/namespaces/kube-system/rolebindings",
    "ClusterRoleBinding": f"{RBAC}/clusterrolebindings",
    "ConfigMap": f"{SYSTEM}/configmaps",
    "DaemonSet": "/apis/apps/v1/namespaces/kube-system/daemonsets",
}

CONF = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
clusterCIDR: 10.244.0.0/16
# written by hand
ipvs:
  excludeCIDRs: null
  minSyncPeriod: 0s
mode: ""   # iptables
nodePortAddresses: null
kind: KubeProxyConfiguration
"""
CLUSTER = """\
apiServer: {}
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
networking:
  dnsDomain: cluster.local
  # of the cluster's planning sheet
  serviceSubnet: 10.96.0.0/12
proxy: {}
scheduler: {}
"""
KUBECONFIG = """\
apiVersion: v1
users:
- name: default
  user:
    tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token
"""


def objects(conf: str = CONF, cluster: str | None = CLUSTER) -> list[Obj]:
    """Everything that kubeadm makes for kube-proxy, and its own ConfigMap."""
    account = {"kind": "ServiceAccount", "name": "kube-proxy", "namespace": "kube-system"}
    group = {"apiGroup": "rbac.authorization.k8s.io"}
    bootstrap = {**group, "kind": "Group", "name": "system:bootstrappers:kubeadm"}
    names = {"name": "kube-proxy", "namespace": "kube-system"}
    rule = {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": ["kube-proxy"],
        "verbs": ["get"],
    }
    container = {
        "name": "kube-proxy",
        "image": "registry.k8s.io/kube-proxy:v1.33.5",
        "command": ["/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf"],
    }
    volume = {"name": "kube-proxy", "configMap": {"name": "kube-proxy"}}
    labels = {"k8s-app": "kube-proxy"}
    daemonset = content.daemonset(
        "kube-system", "kube-proxy", labels, [container], volumes=[volume]
    )
    daemonset["spec"]["template"]["spec"].update(
        nodeSelector={"kubernetes.io/os": "linux"},
        serviceAccountName="kube-proxy",
    )
    proxier = {**group, "kind": "ClusterRole", "name": "system:node-proxier"}
    own = {**group, "kind": "Role", "name": "kube-proxy"}
    rbac = "rbac.authorization.k8s.io/v1"
    data = {"config.conf": conf, "kubeconfig.conf": KUBECONFIG}
    made = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": names},
        {"apiVersion": rbac, "kind": "Role", "metadata": names, "rules": [rule]},
        {
            "apiVersion": rbac,
            "kind": "RoleBinding",
            "metadata": names,
            "roleRef": own,
            "subjects": [bootstrap],
        },
        {
            "apiVersion": rbac,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "kubeadm:node-proxier"},
            "roleRef": proxier,
            "subjects": [account],
        },
        content.config_map("kube-system", "kube-proxy", data),
        daemonset,
    ]
    if cluster is not None:
        config = {"ClusterConfiguration": cluster}
        made.append(content.config_map("kube-system", "kubeadm-config", config))
    return copy.deepcopy(made)


def seed(client: Client, nodes: int = 2, **options: Any) -> None:
    """Make a cluster of kubeadm; controllers are not at work."""
    clear(client)
    seed_nodes(client, nodes)
    for obj in objects(**options):
        client.ensure(COLLECTIONS[obj["kind"]], obj)


def clear(client: Client) -> None:
    """Remove everything of it."""
    for obj in objects():
        try:
            client.delete(f"{COLLECTIONS[obj['kind']]}/{obj['metadata']['name']}")
        except ApiStatus:
            continue
    for pod in client.items(f"{SYSTEM}/pods"):
        client.delete(f"{SYSTEM}/pods/{pod['metadata']['name']}", gracePeriodSeconds=0)
    for node in client.items("/api/v1/nodes"):
        client.delete(f"/api/v1/nodes/{node['metadata']['name']}")


def label(client: Client, *names: str, value: str | None = "removed") -> None:
    """Set or (None) take the label of nodes."""
    for name in names:
        client.patch(f"/api/v1/nodes/{name}", {"metadata": {"labels": {LABEL: value}}})


def pod(client: Client, node: str, ready: bool = True) -> Obj:
    """Make kube-proxy's pod on a node, as DaemonSet controller and kubelet would."""
    daemonset = client.get(DAEMONSET)
    meta = daemonset["metadata"]
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": meta["name"], "uid": meta["uid"]}
    made = client.create(
        f"{SYSTEM}/pods",
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"kube-proxy-{node}",
                "labels": daemonset["spec"]["template"]["metadata"]["labels"],
                "ownerReferences": [{**owner, "controller": True}],
            },
            "spec": {"nodeName": node, "containers": [{"name": "kube-proxy", "image": "x:1"}]},
        },
    )
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    path = f"{SYSTEM}/pods/kube-proxy-{node}/status"
    status = {"phase": "Running", "conditions": [condition]}
    client.patch(path, {"metadata": {"uid": made["metadata"]["uid"]}, "status": status}, STRATEGIC)
    return made


def both(api: Api, want: Want, seconds: float = 20) -> Obj:
    """Check, apply, apply again: check tells what apply does, and that is all."""
    planned = change(api, want, True)
    result = change(api, want, False, Patience(seconds), 0.1)
    again = change(api, want, False, Patience(seconds), 0.1)
    for key in ("changed", "diff", "plan", "advice"):
        assert planned[key] == result[key], key
    assert not again["changed"]
    assert again["diff"] == again["plan"] == []
    undo: Obj = json.loads(json.dumps(result))
    return undo


def main() -> int:
    """Make the cluster of the contract of modules: kube-proxy stopped everywhere."""
    client = Client(default_kubeconfig())
    for obj in objects():
        path = COLLECTIONS[obj["kind"]]
        name = f"{path}/{obj['metadata']['name']}"
        if client.find(name):
            client.delete(name)
        client.create(path, obj)
    label(client, *(node["metadata"]["name"] for node in client.items("/api/v1/nodes")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
