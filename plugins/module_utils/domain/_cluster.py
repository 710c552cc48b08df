# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From Kubernetes objects, as the API returns them, to the short facts the audit works with.

`trim_*` cut one object down while a LIST is being read, so that a cluster of thousands of nodes
is never held whole. `cluster_facts` joins what was read. Pure: no I/O, no clock.
"""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._cluster_antrea import antrea_facts
from ansible_collections.k8snet.cni.plugins.module_utils.domain._cluster_calico import calico_facts
from ansible_collections.k8snet.cni.plugins.module_utils.domain._yaml import parse_yaml

# Node annotations that Calico writes with the Kubernetes datastore, and what they are called here.
CALICO_ANNOTATIONS = {
    "projectcalico.org/IPv4Address": "ipv4_address",
    "projectcalico.org/IPv6Address": "ipv6_address",
    "projectcalico.org/IPv4IPIPTunnelAddr": "ipv4_ipip_tunnel_address",
    "projectcalico.org/IPv4VXLANTunnelAddr": "ipv4_vxlan_tunnel_address",
    "projectcalico.org/IPv6VXLANTunnelAddr": "ipv6_vxlan_tunnel_address",
    "projectcalico.org/IPv4WireguardInterfaceAddr": "ipv4_wireguard_address",
}

# What stays unknown when a resource could not be read.
_BLIND = {
    "nodes": "which Nodes exist, their InternalIPs and the addresses that Calico stored",
    "daemonsets": "how Calico is installed and which method runs, Antrea, kube-proxy",
    "installations": "which autodetection methods the operator's Installation asks for",
    "ippools": "which encapsulation Calico's pools use",
    "pods": "which DNS pods an address change would cut off",
    "configmaps": "settings kept in ConfigMaps (Antrea's proxyAll, kube-proxy's mode)",
}


def trim_node(obj: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of one core/v1 Node (see ``nodes`` in the documentation of cluster_info)."""
    meta, status = obj.get("metadata") or {}, obj.get("status") or {}
    labels, info = meta.get("labels") or {}, status.get("nodeInfo") or {}
    addresses = status.get("addresses") or []
    hostnames = [a["address"] for a in addresses if a.get("type") == "Hostname"]
    ready = [c.get("status") for c in status.get("conditions") or () if c.get("type") == "Ready"]
    return {
        "name": meta.get("name"),
        "uid": meta.get("uid"),
        "os": info.get("operatingSystem") or labels.get("kubernetes.io/os") or "linux",
        "internal_ips": [a["address"] for a in addresses if a.get("type") == "InternalIP"],
        "hostname": (hostnames or [labels.get("kubernetes.io/hostname")])[0],
        "unschedulable": bool((obj.get("spec") or {}).get("unschedulable")),
        "ready": {"True": True, "False": False}.get(ready[0]) if ready else None,
        "kubelet_version": info.get("kubeletVersion"),
        "calico": _node_annotations(meta),
    }


def _node_annotations(meta: dict[str, Any]) -> dict[str, Any]:
    annotations = meta.get("annotations") or {}
    times = _annotation_times(meta.get("managedFields") or ())
    found: dict[str, Any] = {
        key: annotations.get(name) or None for name, key in CALICO_ANNOTATIONS.items()
    }
    for family in ("ipv4", "ipv6"):
        name = f"projectcalico.org/{'IPv4' if family == 'ipv4' else 'IPv6'}Address"
        found[f"{family}_since"] = times.get(name) if found[f"{family}_address"] else None
    return found


def _annotation_times(managed_fields: Any) -> dict[str, str]:
    """Return annotation -> time at which its manager last wrote (the change is no later)."""
    times: dict[str, str] = {}
    for entry in managed_fields:
        fields = ((entry.get("fieldsV1") or {}).get("f:metadata") or {}).get("f:annotations") or {}
        for field in fields:
            name = field[2:] if field.startswith("f:") else field
            # Timestamps are RFC 3339 in UTC: their order as text is their order in time.
            times[name] = max(times.get(name, ""), entry.get("time") or "")
    return {name: time for name, time in times.items() if time}


def trim_daemonset(obj: dict[str, Any]) -> dict[str, Any] | None:
    """Return the facts of a DaemonSet of Calico, Canal, Antrea or kube-proxy, None for others."""
    meta, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    pod = (spec.get("template") or {}).get("spec") or {}
    containers = {
        c.get("name"): {
            "image": c.get("image") or "",
            "env": c.get("env") or [],
            "command": [*(c.get("command") or []), *(c.get("args") or [])],
        }
        for c in pod.get("containers") or ()
    }
    component = _component(meta.get("name") or "", containers)
    if component is None:
        return None
    status = obj.get("status") or {}
    return {
        "component": component,
        "namespace": meta.get("namespace"),
        "name": meta.get("name"),
        "containers": containers,
        "config_maps": [
            v["configMap"]["name"] for v in pod.get("volumes") or () if v.get("configMap")
        ],
        "desired": status.get("desiredNumberScheduled"),
        "ready": status.get("numberReady"),
    }


def _component(name: str, containers: dict[str, Any]) -> str | None:
    if "calico-node" in containers:
        # Distributions prefix the name (rke2-canal); flannel beside calico-node is what defines it.
        return "canal" if "kube-flannel" in containers or "canal" in name else "calico"
    if "antrea-agent" in containers:
        return "antrea"
    return "kube-proxy" if "kube-proxy" in containers or name == "kube-proxy" else None


def trim_pod(obj: dict[str, Any]) -> dict[str, Any] | None:
    """Return namespace, name, node and ip of a Pod that has a node, None for others."""
    meta, status = obj.get("metadata") or {}, obj.get("status") or {}
    node = (obj.get("spec") or {}).get("nodeName")
    if not node or status.get("phase") in ("Succeeded", "Failed"):
        return None
    return {
        "namespace": meta.get("namespace"),
        "name": meta.get("name"),
        "node": node,
        "ip": status.get("podIP") or None,
    }


def trim_installation(obj: dict[str, Any]) -> dict[str, Any]:
    """Return what matters of an operator.tigera.io/v1 Installation; absent V4/V6 stay absent."""
    meta, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    network = spec.get("calicoNetwork")
    kept = {"name": meta.get("name"), "generation": meta.get("generation"), "calico_network": None}
    kept["variant"] = spec.get("variant")
    kept["provider"] = spec.get("kubernetesProvider")
    if isinstance(network, dict):
        wanted = ("nodeAddressAutodetectionV4", "nodeAddressAutodetectionV6", "bgp")
        kept["calico_network"] = {key: network[key] for key in wanted if key in network}
    return kept


def trim_ip_pool(obj: dict[str, Any]) -> dict[str, Any]:
    """Return name, cidr and encapsulation of an IPPool."""
    meta, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    return {
        "name": meta.get("name"),
        "cidr": spec.get("cidr"),
        "ipip_mode": spec.get("ipipMode") or "Never",
        "vxlan_mode": spec.get("vxlanMode") or "Never",
        "disabled": bool(spec.get("disabled")),
    }


def config_maps_wanted(daemonsets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return (namespace, name) of the ConfigMaps that `cluster_facts` will ask for."""
    wanted: list[tuple[str, str]] = []
    for ds in daemonsets:
        names = _config_maps_of(ds) if ds["component"] in ("antrea", "kube-proxy") else []
        for container in ds["containers"].values():
            for env in container["env"]:
                ref = (env.get("valueFrom") or {}).get("configMapKeyRef")
                if ref and ds["component"] in ("calico", "canal"):
                    names.append(ref.get("name"))
        wanted += [(ds["namespace"], n) for n in names if n and n != "kube-root-ca.crt"]
    return list(dict.fromkeys(wanted))


def _config_maps_of(ds: dict[str, Any]) -> list[str]:
    """Return the ConfigMaps that a DaemonSet mounts; kube-proxy's has a usual name."""
    return list(ds["config_maps"]) or ["kube-proxy"] * (ds["component"] == "kube-proxy")


def cluster_facts(raw: dict[str, Any]) -> dict[str, Any]:
    """Return ``k8snet_cluster`` (documented key by key in cluster_info).

    ``raw``: ``access``, ``requests``, ``errors``; ``nodes``, ``daemonsets``, ``installations``,
    ``ip_pools``, ``dns_pods`` as lists of trimmed objects or None (not read, or not served);
    ``config_maps`` maps "namespace/name" to ``data``.
    """
    daemonsets = raw.get("daemonsets")
    config_maps = raw.get("config_maps") or {}
    nodes = raw.get("nodes") or []
    failed = {e["resource"] for e in raw.get("errors") or ()}
    return {
        "access": raw["access"],
        "nodes": nodes,
        "calico": calico_facts(
            daemonsets,
            None if "installations" in failed else raw.get("installations") or [],
            raw.get("ip_pools"),
            config_maps,
        ),
        "antrea": antrea_facts(daemonsets, config_maps),
        "kube_proxy": kube_proxy_facts(daemonsets, config_maps, nodes),
        "dns_pods": raw.get("dns_pods") or [],
        "errors": list(raw.get("errors") or ()),
        "could_not_check": _could_not_check(raw),
        "requests": raw.get("requests") or 0,
    }


def _could_not_check(raw: dict[str, Any]) -> list[dict[str, str]]:
    if not raw["access"]["available"]:
        why = raw["access"]["error"]
        return [{"resource": name, "what": what, "why": why} for name, what in _BLIND.items()]
    found: dict[str, dict[str, str]] = {}
    for error in raw.get("errors") or ():
        name = error["resource"]
        what = _BLIND.get(name, name)
        found.setdefault(name, {"resource": name, "what": what, "why": error["message"]})
    return list(found.values())


def kube_proxy_facts(
    daemonsets: list[dict[str, Any]] | None,
    config_maps: dict[str, dict[str, str]],
    nodes: list[dict[str, Any]],
) -> dict[str, Any]:
    """Return whether kube-proxy runs and how; ``present`` None: DaemonSets could not be read."""
    found = [d for d in daemonsets or () if d["component"] == "kube-proxy"]
    in_process = any("+k3s" in (n.get("kubelet_version") or "") for n in nodes)
    facts: dict[str, Any] = {
        "present": None if daemonsets is None else bool(found),
        "namespace": None,
        "name": None,
        "desired": None,
        "ready": None,
        "mode": None,
        # k3s runs kube-proxy inside its own process: no DaemonSet shows it.
        "in_process": in_process,
    }
    if found:
        ds = found[0]
        facts.update({key: ds[key] for key in ("namespace", "name", "desired", "ready")})
        facts["mode"] = _kube_proxy_mode(ds, config_maps)
    return facts


def _kube_proxy_mode(ds: dict[str, Any], config_maps: dict[str, dict[str, str]]) -> str | None:
    command = " ".join(" ".join(c["command"]) for c in ds["containers"].values())
    flag = re.search(r"--proxy-mode[= ](\w+)", command)
    if flag:
        return flag.group(1)
    for name in _config_maps_of(ds):
        for text in (config_maps.get(f"{ds['namespace']}/{name}") or {}).values():
            document = parse_yaml(text)[0]
            if isinstance(document, dict) and document.get("kind") == "KubeProxyConfiguration":
                return str(document.get("mode") or "iptables")
    return None
