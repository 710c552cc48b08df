# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What nodes are asked before and after kube-proxy is removed, in each IP family. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _removal_rules as rules
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _service_probe
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import family_of, match

Obj = dict[str, Any]


def ways(kube_proxy: Obj, antrea: Obj, asked: str) -> Obj:
    """Return ``{url, api, reach}``: the override, whether it can be asked, and whose ways count."""
    url = rules.override_of(antrea, asked)
    try:
        host = [_service_probe.api_server(url).host]
    except ValueError:
        host = []
    return {"url": url, "api": bool(host), "reach": routed(kube_proxy) + host}


def routed(kube_proxy: Obj) -> list[str]:
    """Return Services' addresses whose way tells who serves them: one of each family, and DNS."""
    addresses = [ip for entry in kube_proxy.get("probes") or () for ip in entry["cluster_ips"]]
    first = [address for address, _word in each_family(addresses)]
    return list(dict.fromkeys([*first, *_dns(kube_proxy)]))


def probes(kube_proxy: Obj, cluster: Obj, host: Obj) -> Obj:
    """Return what a node is asked: ``{connections, dns}``, for service_probe.

    ``host``: as `_nodes.match` takes it, visited or not. NodePorts are asked at its own addresses.
    """
    views = [view for view in match([host], cluster["nodes"]).views if view.host and view.node]
    own = list((views[0].node or {}).get("internal_ips") or ()) if views else []
    connections = [
        connection
        for entry in kube_proxy.get("probes") or ()
        for connection in _connections(entry, own)
    ]
    return {"connections": connections, "dns": [{"server": ip} for ip in _dns(kube_proxy)]}


def names(asked: Obj) -> set[str]:
    """Return what service_probe calls its answers to `probes`."""
    dns = _service_probe.dns_names([entry["server"] for entry in asked["dns"]])
    return {entry["name"] for entry in asked["connections"]} | {
        name for both in dns for name in both
    }


def _connections(entry: Obj, own: Iterable[str]) -> Iterator[Obj]:
    """Yield a Service's ways in, in the families that it has."""
    name, port = f"{entry['namespace']}/{entry['name']}", entry["port"]
    families = {family_of(ip) for ip in entry["cluster_ips"]}
    here = [ip for ip in own if family_of(ip) in families] if entry["node_port"] else []
    for what, addresses, at in (
        ("", entry["cluster_ips"], port),
        ("LoadBalancer", entry["load_balancers"], port),
        (f"NodePort {entry['node_port']}", here, entry["node_port"]),
    ):
        for address, family in each_family(addresses):
            said = ", ".join(part for part in (what, family) if part)
            called = f"{name} ({said})" if said else name
            yield {"name": called, "address": address, "port": at}


def each_family(addresses: Iterable[str]) -> list[tuple[str, str]]:
    """Return the first address of each IP family, with the family's name but for the first."""
    first: dict[int | None, str] = {}
    for address in addresses:
        first.setdefault(family_of(address), address)
    return [
        (address, f"IPv{family}" if number else "")
        for number, (family, address) in enumerate(first.items())
        if family is not None
    ]


def _dns(kube_proxy: Obj) -> list[str]:
    found = kube_proxy.get("dns") or {}
    return [address for address, _word in each_family(found.get("ips") or ())]
