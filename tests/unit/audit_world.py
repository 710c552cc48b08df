# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small clusters and nodes for the audit's tests, built of the objects that the API returns."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _cluster
from ansible_collections.k8snet.cni.plugins.module_utils.domain._findings import audit
from ansible_collections.k8snet.cni.plugins.module_utils.domain._findings_model import Finding

ETH0 = {1: "10.160.1.21/24", 2: "10.160.1.22/24", 3: "10.160.1.23/24"}
SINCE = "2026-03-01T10:00:00Z"
UNSET: Any = object()


def node_object(
    number: int = 1,
    stored: str | None = UNSET,
    internal: list[str] | None = None,
    stored6: str | None = None,
    os: str = "linux",
    ready: str = "True",
    kubelet: str = "v1.31.0",
    name: str | None = None,
) -> dict[str, Any]:
    """A core/v1 Node; by default with the InternalIP of eth0, which Calico stored too."""
    annotations = {"projectcalico.org/IPv4Address": ETH0[number] if stored is UNSET else stored}
    annotations["projectcalico.org/IPv6Address"] = stored6
    annotations = {k: v for k, v in annotations.items() if v}
    ips = [ETH0[number].split("/")[0]] if internal is None else internal
    name = name or f"node{number}"
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-{number}",
            "annotations": annotations,
            "labels": {"kubernetes.io/os": os},
            "managedFields": [
                {
                    "manager": "calico-node",
                    "time": SINCE,
                    "fieldsV1": {
                        "f:metadata": {"f:annotations": {f"f:{k}": {} for k in annotations}}
                    },
                }
            ],
        },
        "spec": {},
        "status": {
            "addresses": [
                *({"type": "InternalIP", "address": ip} for ip in ips),
                {"type": "Hostname", "address": name},
            ],
            "conditions": [{"type": "Ready", "status": ready}],
            "nodeInfo": {"operatingSystem": os, "kubeletVersion": kubelet},
        },
    }


def env(**values: str | None) -> list[dict[str, Any]]:
    """Environment entries; None leaves one out."""
    return [{"name": k, "value": v} for k, v in values.items() if v is not None]


def calico_ds(
    method: str | None = None,
    namespace: str = "calico-system",
    ip: str | None = "autodetect",
    image: str = "registry.example/calico/node:v3.28.2",
    extra: list[dict[str, Any]] | None = None,
    name: str = "calico-node",
    containers: tuple[str, ...] = (),
    ip6: str | None = None,
    method6: str | None = None,
) -> dict[str, Any]:
    """The DaemonSet that runs calico-node."""
    variables = env(
        IP=ip, IP_AUTODETECTION_METHOD=method, IP6=ip6, IP6_AUTODETECTION_METHOD=method6
    )
    return daemonset(
        name,
        namespace,
        [
            {"name": "calico-node", "image": image, "env": variables + (extra or [])},
            *({"name": c, "image": "example/x:v1.0", "env": []} for c in containers),
        ],
    )


def daemonset(
    name: str,
    namespace: str,
    containers: list[dict[str, Any]],
    config_maps: tuple[str, ...] = (),
    desired: int = 3,
) -> dict[str, Any]:
    """An apps/v1 DaemonSet."""
    volumes = [{"name": c, "configMap": {"name": c}} for c in config_maps]
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"template": {"spec": {"containers": containers, "volumes": volumes}}},
        "status": {"desiredNumberScheduled": desired, "numberReady": desired},
    }


def installation(v4: Any = UNSET, v6: Any = UNSET, name: str = "default") -> dict[str, Any]:
    """An operator.tigera.io/v1 Installation."""
    network: dict[str, Any] = {"bgp": "Enabled"}
    if v4 is not UNSET:
        network["nodeAddressAutodetectionV4"] = v4
    if v6 is not UNSET:
        network["nodeAddressAutodetectionV6"] = v6
    return {"metadata": {"name": name, "generation": 1}, "spec": {"calicoNetwork": network}}


def antrea(proxy_all: bool = True, extra: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    """Antrea's DaemonSet, and its ConfigMap by "namespace/name"."""
    ds = daemonset(
        "antrea-agent",
        "kube-system",
        [{"name": "antrea-agent", "image": "antrea/antrea-agent-ubuntu:v2.3.0"}],
        ("antrea-config",),
    )
    conf = f"featureGates:\nantreaProxy:\n  proxyAll: {str(proxy_all).lower()}\n{extra}"
    return ds, {"kube-system/antrea-config": {"antrea-agent.conf": conf}}


def cluster(
    nodes: list[dict[str, Any]] | None = None,
    daemonsets: list[dict[str, Any]] | None = None,
    installations: list[dict[str, Any]] | None = None,
    dns: list[tuple[str, str]] = (),  # type: ignore[assignment]
    config_maps: dict[str, Any] | None = None,
    errors: list[dict[str, Any]] | None = None,
    available: bool = True,
) -> dict[str, Any]:
    """``k8snet_cluster``; by default three Nodes and Calico by operator with first-found."""
    nodes = [node_object(n) for n in (1, 2, 3)] if nodes is None else nodes
    daemonsets = [calico_ds("first-found")] if daemonsets is None else daemonsets
    installations = [installation({"firstFound": True})] if installations is None else installations
    access = {
        "available": available,
        "configured": True,
        "kind": None,
        "server": "https://10.160.1.1:6443",
        "source": "kubeconfig",
        "context": "lab",
        "error": None if available else "Failed to log in: 401. Renew the credentials.",
    }
    if not available:
        return _cluster.cluster_facts({"access": access, "requests": 1})
    trimmed = [d for d in map(_cluster.trim_daemonset, daemonsets) if d]
    return _cluster.cluster_facts(
        {
            "access": access,
            "requests": 6,
            "errors": errors or [],
            "nodes": [_cluster.trim_node(n) for n in nodes],
            "daemonsets": trimmed,
            "installations": [_cluster.trim_installation(i) for i in installations],
            "ip_pools": [],
            "dns_pods": [
                {"namespace": "kube-system", "name": pod, "node": on, "ip": "10.244.0.2"}
                for pod, on in dns
            ],
            "config_maps": config_maps or {},
        }
    )


def nic(name: str, *addresses: str) -> dict[str, Any]:
    """An entry of k8snet_nics."""
    entries = []
    for text in addresses:
        address, _slash, prefix = text.partition("/")
        family = "inet6" if ":" in address else "inet"
        entries.append(
            {
                "address": address,
                "prefix": int(prefix),
                "family": family,
                "scope": "global",
                "flags": ["permanent"],
                "label": None,
            }
        )
    return {"name": name, "up": True, "kind": "physical", "addresses": entries}


def lo() -> dict[str, Any]:
    """The loopback interface."""
    return nic("lo", "127.0.0.1/8", "::1/128")


def drift(change: str, name: str, was: str | None = None, **addresses: list[str]) -> dict[str, Any]:
    """One change of k8snet_nic_drift."""

    def entry(key: str) -> dict[str, Any] | None:
        return {"name": name, "addresses": addresses[key]} if key in addresses else None

    before, after = entry("before"), entry("after")
    return {
        "change": change,
        "name": name,
        "was": was,
        "matched_by": None,
        "before": before,
        "after": after,
    }


def host(
    number: int = 1,
    nics: list[dict[str, Any]] | None = None,
    changes: list[dict[str, Any]] | None = UNSET,
    state: str = "visited",
    **more: Any,
) -> dict[str, Any]:
    """An inventory host; by default visited, with eth0 and an unchanged baseline."""
    facts: dict[str, Any] = {}
    if state == "visited":
        facts = {
            "k8snet_nics": [lo(), nic("eth0", ETH0[number])] if nics is None else nics,
            "k8snet_node": {"hostname": f"node{number}", "fqdn": f"node{number}"},
            "k8snet_reach": more.pop("reach", {}),
            "k8snet_nic_drift": {
                "recorded_at": "2026-02-01T00:00:00Z",
                "changes": [] if changes is UNSET else changes,
                "error": None,
            },
        }
        if changes is None:
            facts["k8snet_nic_drift"] = None
        facts.update(more.pop("facts", {}))
    return {
        "name": more.pop("name", f"n{number}"),
        "state": state,
        "error": more.pop("error", None),
        "node_name": more.pop("node_name", None),
        "address": more.pop("address", ETH0[number].split("/")[0]),
        "facts": facts,
    }


def hosts() -> list[dict[str, Any]]:
    """Three healthy hosts."""
    return [host(n) for n in (1, 2, 3)]


def ids(found: list[Finding]) -> list[str]:
    """The ids of findings."""
    return [f.id for f in found]


def run(
    facts: dict[str, Any] | None = None,
    inventory: list[dict[str, Any]] | None = None,
    **options: Any,
) -> list[Finding]:
    """Audit; by default a clean cluster."""
    return audit(
        cluster() if facts is None else facts, hosts() if inventory is None else inventory, options
    )
