# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Seed a cluster into an API: nodes, CoreDNS, one CNI, kube-proxy. What is there stays as it is.

python -m tests.lab.actors.cluster seed --kubeconfig F --nodes 3 --cni calico-operator
"""

from __future__ import annotations

import argparse
import base64
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import crds
from tests.lab.actors import content, content_services
from tests.lab.actors.loop import stamp
from tests.lab.actors.pods import pod_address
from tests.lab.api.client import STRATEGIC, Client, default_kubeconfig

Obj = dict[str, Any]

CNIS = ("calico-operator", "calico-manifest", "canal", "antrea", "none")
_PLURALS = {
    "Namespace": "namespaces",
    "Node": "nodes",
    "Pod": "pods",
    "Service": "services",
    "ConfigMap": "configmaps",
    "DaemonSet": "daemonsets",
    "Deployment": "deployments",
    "Installation": "installations",
    "AntreaAgentInfo": "antreaagentinfos",
    "EndpointSlice": "endpointslices",
    "ServiceAccount": "serviceaccounts",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "ClusterRoleBinding": "clusterrolebindings",
}


@dataclass(frozen=True)
class Seed:
    """What to seed. ``dns_node`` "" takes the last node, so that it is not the control plane.

    ``kube_proxy_mode``: with Services that are really served, and all of kubeadm's kube-proxy.
    """

    nodes: int = 3
    cni: str = "calico-operator"
    dns_node: str = ""
    kube_proxy: bool = True
    kube_proxy_mode: str = ""
    calico_version: str = "v3.28.2"
    antrea_version: str = "v2.3.0"
    antrea_proxy_all: bool = False
    antrea_manifest: str = ""
    backend: str = "bird"


def collection(obj: Obj) -> str:
    """Return the path of the collection that an object belongs to."""
    group, _unused, version = obj["apiVersion"].rpartition("/")
    base = f"/apis/{group}/{version}" if group else f"/api/{version}"
    namespace = obj["metadata"].get("namespace")
    place = f"/namespaces/{namespace}" if namespace else ""
    return f"{base}{place}/{_PLURALS[obj['kind']]}"


def put(client: Client, obj: Obj) -> Obj:
    """Create an object unless it is there; return it as it is."""
    return client.ensure(collection(obj), obj)


def dns_node(seed: Seed) -> str:
    return seed.dns_node or f"node{seed.nodes}"


def seed_nodes(client: Client, count: int) -> None:
    """Create the nodes, ready and without the taint that they are born with."""
    for number in range(1, count + 1):
        obj = content.node(number)
        path = f"/api/v1/nodes/{obj['metadata']['name']}"
        made = put(client, obj)
        if made["spec"].get("taints"):
            client.patch(path, {"spec": {"taints": None}})
        status = {"addresses": obj["status"]["addresses"]}
        status["conditions"] = [content.ready_condition(stamp())]
        client.patch(f"{path}/status", {"status": status}, STRATEGIC)


def seed_dns(client: Client, seed: Seed) -> str:
    """Create CoreDNS; return the address of its pod."""
    node = client.get(f"/api/v1/nodes/{dns_node(seed)}")
    address = pod_address(node["spec"]["podCIDR"])
    for obj in content.coredns(dns_node(seed), address):
        _put_running(client, obj)
    return address


def _put_running(client: Client, obj: Obj) -> None:
    """Create an object; a pod runs and is ready, with the addresses of its status."""
    made = put(client, obj)
    if obj["kind"] == "Pod" and made["status"].get("phase") != "Running":
        now = stamp()
        kinds = ("Initialized", "PodScheduled", "ContainersReady", "Ready")
        conditions = [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in kinds]
        status = {**obj["status"], "phase": "Running", "conditions": conditions}
        path = f"{collection(obj)}/{obj['metadata']['name']}/status"
        client.patch(path, {"status": status}, STRATEGIC)


def seed_services(client: Client, seed: Seed) -> None:
    """Create kube-proxy as kubeadm does, and Services with backends on every node."""
    api = client.server.rpartition("/")[2]
    objects = content_services.services(api)
    _put_all(client, objects + content_services.kube_proxy("v1.33.5", seed.kube_proxy_mode))
    authority = base64.b64decode(client.ca).decode()
    _put_all(client, [content_services.root_ca(authority)])
    for number in range(1, seed.nodes + 1):
        address = pod_address(content.pod_cidr(number))
        _put_running(client, content_services.web_pod(f"node{number}", address))


def seed_cni(client: Client, seed: Seed) -> None:
    """Create what belongs to the CNI; the operator's DaemonSet is left to the operator."""
    if seed.cni.startswith("calico"):
        crds.load(client, crds.ours("calico"))
    if seed.cni == "calico-operator":
        namespace = {"metadata": {"name": "calico-system"}}
        client.ensure("/api/v1/namespaces", namespace)
        put(client, content.installation(seed.backend))
    elif seed.cni == "calico-manifest":
        _put_all(client, content.calico_manifest(seed.calico_version, seed.backend))
    elif seed.cni == "canal":
        crds.load(client, crds.ours("calico"))
        _put_all(client, content.canal(seed.calico_version))
    elif seed.cni == "antrea":
        crds.load(client, crds.ours("antrea", "multus"))
        _put_all(client, _antrea(seed))
        for number in range(1, seed.nodes + 1):
            cidr = content.pod_cidr(number)
            info = content.agent_info(f"node{number}", seed.antrea_version, cidr, stamp())
            put(client, info)


def _antrea(seed: Seed) -> list[Obj]:
    """Return Antrea's own objects: written here, or those of a release's manifest that count."""
    if not seed.antrea_manifest:
        return content.antrea(seed.antrea_version, proxy_all=seed.antrea_proxy_all)
    found = crds.documents(Path(seed.antrea_manifest))
    out = [obj for obj in found if obj["kind"] in ("ConfigMap", "DaemonSet", "Deployment")]
    for obj in out:
        if obj["kind"] != "ConfigMap":  # the manifests name the tag "latest"
            spec = obj["spec"]["template"]["spec"]
            for container in [*spec.get("initContainers", []), *spec["containers"]]:
                name = container["image"].rpartition(":")[0]
                container["image"] = f"{name}:{seed.antrea_version}"
    return out


def _put_all(client: Client, objects: list[Obj]) -> None:
    for obj in objects:
        put(client, obj)


def seed_cluster(client: Client, seed: Seed) -> str:
    """Seed everything; return the address of the cluster's DNS pod."""
    seed_nodes(client, seed.nodes)
    address = seed_dns(client, seed)
    seed_cni(client, seed)
    if seed.kube_proxy_mode:
        seed_services(client, seed)
    elif seed.kube_proxy:
        _put_all(client, content.kube_proxy())
    return address


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.actors.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    seed = commands.add_parser("seed", help="create the objects of a cluster")
    seed.add_argument("--kubeconfig", type=Path, default=default_kubeconfig())
    seed.add_argument("--nodes", type=int, default=3)
    seed.add_argument("--cni", choices=CNIS, default="calico-operator")
    seed.add_argument("--dns-node", default="", help="node of CoreDNS (default: the last one)")
    seed.add_argument("--no-kube-proxy", action="store_true")
    seed.add_argument(
        "--kube-proxy-mode",
        choices=("iptables", "ipvs", "nftables"),
        default="",
        help="all that kubeadm installs, and Services that are served",
    )
    seed.add_argument("--calico-version", default=Seed.calico_version)
    seed.add_argument("--antrea-version", default=Seed.antrea_version)
    seed.add_argument("--antrea-proxy-all", action="store_true")
    seed.add_argument("--antrea-manifest", default="", help="antrea.yml of a release")
    seed.add_argument("--backend", choices=("bird", "vxlan"), default="bird", help="Calico's")
    options = parser.parse_args(arguments)
    wanted = Seed(
        nodes=options.nodes,
        cni=options.cni,
        dns_node=options.dns_node,
        kube_proxy=not options.no_kube_proxy,
        kube_proxy_mode=options.kube_proxy_mode,
        calico_version=options.calico_version,
        antrea_version=options.antrea_version,
        antrea_proxy_all=options.antrea_proxy_all,
        antrea_manifest=options.antrea_manifest,
        backend=options.backend,
    )
    address = seed_cluster(Client(options.kubeconfig, "k8snet-seed"), wanted)
    print(f"seeded {wanted.nodes} nodes, {wanted.cni}, DNS pod {address} on {dns_node(wanted)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
