# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Services show whether a node serves Services, and which addresses are theirs. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj

#: The one that every cluster has, and how many are tried of each kind.
_FIRST = ("default", "kubernetes")
_OF_EACH = 3


def trim(obj: Obj) -> Obj:
    """Return a Service's first TCP port and its addresses beyond the ClusterIP."""
    spec = obj.get("spec") or {}
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    balanced = [str(entry["ip"]) for entry in ingress if entry.get("ip")]
    ports = [p for p in spec.get("ports") or () if (p.get("protocol") or "TCP") == "TCP"]
    return {
        "tcp": (ports[0].get("port"), ports[0].get("nodePort")) if ports else None,
        "external": [*map(str, spec.get("externalIPs") or ()), *balanced],
        "balanced": balanced,
    }


def external_ips(services: Iterable[Obj]) -> dict[str, str]:
    """Return address -> "namespace/name" of external and load balancers' addresses."""
    return {
        address: f"{service['namespace']}/{service['name']}"
        for service in services
        for address in service["external"]
    }


def choose(services: Iterable[Obj], slices: Iterable[Obj]) -> list[Obj]:
    """Return some Services with ready end points: kubernetes, some with NodePorts, some without."""
    lively = {part["service"] for part in slices if part["ready"]}
    plain: list[Obj] = []
    opened: list[Obj] = []
    first: list[Obj] = []
    for service in sorted(services, key=lambda s: (str(s["namespace"]), str(s["name"]))):
        named = (service["namespace"], service["name"])
        if not service["tcp"] or "None" in (service["ips"] or ["None"]) or service["proxied"]:
            continue
        if named != _FIRST and named not in lively:
            continue
        found = _probe(service)
        if named == _FIRST:
            first.append(found)
        elif found["node_port"] or found["load_balancer"]:
            opened.append(found)
        elif not service["dns"]:
            plain.append(found)
    return [*first, *opened[:_OF_EACH], *plain[:_OF_EACH]]


def _probe(service: Obj) -> dict[str, Any]:
    port, node_port = service["tcp"]
    return {
        "namespace": service["namespace"],
        "name": service["name"],
        "cluster_ip": service["ips"][0],
        "cluster_ips": list(service["ips"]),
        "port": port,
        "node_port": node_port,
        "load_balancer": next(iter(service["balanced"]), None),
        "load_balancers": list(service["balanced"]),
    }
