# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What AntreaProxy cannot do of a cluster's Services, its Service networks, its DNS. Pure.

Source: Antrea ``docs/antrea-proxy.md``, ``pkg/agent/proxy`` (800 endpoints, 65535 s of affinity).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_proxy_probes
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj

SERVICE_NAME = "kubernetes.io/service-name"
PROXY_NAME = "service.kubernetes.io/service-proxy-name"
MOST_ENDPOINTS = 800
LONGEST_AFFINITY = 65535
_RANGE = "--service-cluster-ip-range="


def trim_service(obj: Obj) -> Obj:
    """Return what counts of a Service."""
    meta, spec = obj["metadata"], obj.get("spec") or {}
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return {
        "namespace": meta.get("namespace"),
        "name": meta["name"],
        "ips": spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else []),
        "ports": [(p.get("name"), p.get("port"), p.get("protocol")) for p in spec.get("ports", ())],
        "ranges": bool(spec.get("loadBalancerSourceRanges")),
        "affinity": int(config.get("timeoutSeconds") or 0)
        if spec.get("sessionAffinity") == "ClientIP"
        else 0,
        "proxied": PROXY_NAME in (meta.get("labels") or {}),
        "dns": (meta.get("labels") or {}).get("k8s-app") == "kube-dns",
        **_kube_proxy_probes.trim(obj),
    }


def trim_slice(obj: Obj) -> Obj | None:
    """Return Service, address family and end points' counts of an EndpointSlice, None for others.

    ``ready``: those that are not known to be unready.
    """
    meta = obj["metadata"]
    service = (meta.get("labels") or {}).get(SERVICE_NAME)
    if not service:
        return None
    points = obj.get("endpoints") or ()
    unready = [p for p in points if (p.get("conditions") or {}).get("ready") is False]
    return {
        "service": (meta.get("namespace"), service),
        "family": obj.get("addressType"),
        "count": len(points),
        "ready": len(points) - len(unready),
    }


def limits(services: Iterable[Obj], slices: Iterable[Obj]) -> list[Obj]:
    """Return the Services that AntreaProxy serves otherwise than kube-proxy, or not at all."""
    counts: dict[tuple[Any, Any], int] = {}
    for part in slices:
        key = (part["service"], part["family"])
        counts[key] = counts.get(key, 0) + part["count"]
    most: dict[Any, int] = {}
    for (service, _family), count in counts.items():
        most[service] = max(most.get(service, 0), count)
    found = []
    for service in services:
        named = (service["namespace"], service["name"])
        words = [
            word
            for word, there in (
                ("loadBalancerSourceRanges", service["ranges"]),
                (f"endpoints>{MOST_ENDPOINTS}", most.get(named, 0) > MOST_ENDPOINTS),
                (f"affinity>{LONGEST_AFFINITY}", service["affinity"] > LONGEST_AFFINITY),
                ("service-proxy-name", service["proxied"]),
            )
            if there
        ]
        if words:
            found.append({"namespace": named[0], "name": named[1], "limits": words})
    return found


def dns_of(services: Iterable[Obj]) -> Obj | None:
    """Return ``{service, ip, ips, port}`` of the cluster's DNS, None without one."""
    found = [s for s in services if s["dns"] and s["ips"] and s["ips"][0] != "None"]
    # NodeLocalDNS adds a second one, kube-dns-upstream.
    found.sort(key=lambda s: (s["name"] != "kube-dns", s["name"]))
    for service in found:
        ports = [port for name, port, _protocol in service["ports"] if str(name) == "dns"]
        ports += [port for _name, port, _protocol in service["ports"]]
        return {
            "service": f"{service['namespace']}/{service['name']}",
            "ip": service["ips"][0],
            "ips": service["ips"],
            "port": int(ports[0]) if ports else 53,
        }
    return None


def cidrs_of(
    service_cidrs: Iterable[Obj] | None, kubeadm: Mapping[str, Any] | None, commands: Iterable[str]
) -> list[str]:
    """Return the Service networks: of ServiceCIDR objects, else of kubeadm, else of the apiserver.

    ``commands``: arguments of kube-apiserver's containers.
    """
    listed = [c for obj in service_cidrs or () for c in (obj.get("spec") or {}).get("cidrs") or ()]
    if listed:
        return list(dict.fromkeys(str(c) for c in listed))
    networking = (kubeadm or {}).get("networking")
    subnet = networking.get("serviceSubnet") if isinstance(networking, dict) else None
    if not subnet:
        subnet = next((c[len(_RANGE) :] for c in commands if c.startswith(_RANGE)), "")
    return [part.strip() for part in str(subnet).split(",") if part.strip()]
