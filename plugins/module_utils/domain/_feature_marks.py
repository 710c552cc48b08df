# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Annotations by which Services, Namespaces and Pods take part in a feature of Antrea. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

Obj = dict[str, Any]

POOL = "service.antrea.io/external-ip-pool"
L7 = "visibility.antrea.io/l7-export"
EXTERNAL_IP, L7_EXPORT = "ServiceExternalIP", "L7FlowExporter"
_DIRECTIONS = ("ingress", "egress", "both")
#: What Theia's tables lack that were made for flows without layer 7.
_COLUMNS = ("appProtocolName", "httpVals", "egressNodeName")
_TABLES = ("flows", "flows_local")


def gates(antrea: Obj, options: Obj) -> dict[str, bool]:
    """Return the gates that the annotations need and that are not on by themselves."""
    wanted = []
    if any(entry.get("pool") for entry in options.get("external_ips") or ()):
        wanted.append(EXTERNAL_IP)
    if any(entry.get("direction") for entry in options.get("l7_export") or ()):
        wanted.append(L7_EXPORT)
    known = antrea.get("gates") or {}
    return {name: True for name in wanted if not (known.get(name) or {}).get("enabled")}


def marks(options: Obj, objects: Obj) -> tuple[list[Obj], list[str]]:
    """Return the annotations that change, and what bars them.

    ``objects``: ``services``, ``pools``, ``namespaces``, ``pods``, those that were found, whole. A
    change: kind, namespace, name, key, before, after (None: no such annotation).
    """
    found, refusals = [], []
    for entry in options.get("external_ips") or ():
        change, wrong = _service(entry, objects)
        found += change
        refusals += wrong
    for entry in options.get("l7_export") or ():
        change, wrong = _exported(entry, objects)
        found += change
        refusals += wrong
    return [change for change in found if change["before"] != change["after"]], refusals


def _service(entry: Obj, objects: Obj) -> tuple[list[Obj], list[str]]:
    name, pool = f"{entry.get('namespace')}/{entry.get('name')}", entry.get("pool") or None
    service = _find(objects["services"], entry.get("namespace"), entry.get("name"))
    if service is None:
        return [], [f"There is no Service {name}."]
    kind = (service.get("spec") or {}).get("type")
    if pool and kind != "LoadBalancer":
        what = f"Service {name} is of type {kind}, and Antrea gives addresses to LoadBalancer only."
        return [], [f"{what} Change its type, which is its owner's to do."]
    other = (service.get("spec") or {}).get("loadBalancerClass")
    if pool and other:
        return [], [f"Service {name} is {other}'s (loadBalancerClass), so Antrea leaves it alone."]
    pools = sorted(str(obj["metadata"]["name"]) for obj in objects["pools"])
    if pool and pool not in pools:
        return [], [
            f"There is no ExternalIPPool {pool} for Service {name}; there are "
            f"{', '.join(pools) or 'none'}. k8snet.cni.antrea_ip_pool makes one."
        ]
    change = _change("Service", service, POOL, pool)
    others = addresses(service)
    if pool and others and not change["before"]:
        return [], [
            f"Service {name} has {', '.join(others)} already, and not from a pool of Antrea: "
            "another load balancer gave it that. Have that one leave the Service alone first."
        ]
    return [change], []


def addresses(service: Obj) -> list[str]:
    """Return by what a Service is reached from outside, by its status."""
    given = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [str(entry.get("ip") or entry.get("hostname")) for entry in given]


def served(service: Obj, pools: Iterable[Obj]) -> bool:
    """Tell whether a Service has an address, and only such of the pool that it names."""
    name = (service["metadata"].get("annotations") or {}).get(POOL)
    pool = next((pool for pool in pools if pool["metadata"]["name"] == name), None)
    if pool is None:
        return False
    given = addresses(service)
    return bool(given) and all(_of(pool, address) for address in given)


def _of(pool: Obj, text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    for entry in (pool.get("spec") or {}).get("ipRanges") or ():
        if entry.get("cidr"):
            if address in ipaddress.ip_network(str(entry["cidr"]), strict=False):
                return True
            continue
        first, last = (ipaddress.ip_address(str(entry[key])) for key in ("start", "end"))
        if address.version == first.version and int(first) <= int(address) <= int(last):
            return True
    return False


def _exported(entry: Obj, objects: Obj) -> tuple[list[Obj], list[str]]:
    namespace, pod = entry.get("namespace"), entry.get("pod") or None
    kind, name = ("Pod", f"{namespace}/{pod}") if pod else ("Namespace", str(namespace))
    direction = str(entry.get("direction") or "").lower() or None
    if direction and direction not in _DIRECTIONS:
        return [], [f"{kind} {name}: direction is {direction}; it must be ingress, egress or both."]
    obj = (
        _find(objects["pods"], namespace, pod)
        if pod
        else _find(objects["namespaces"], None, namespace)
    )
    if obj is None:
        return [], [f"There is no {kind} {name}."]
    return [_change(kind, obj, L7, direction)], []


def _find(objects: Iterable[Obj], namespace: Any, name: Any) -> Obj | None:
    for obj in objects:
        meta = obj["metadata"]
        if meta["name"] == name and meta.get("namespace") == namespace:
            return obj
    return None


def _change(kind: str, obj: Obj, key: str, after: str | None) -> Obj:
    meta = obj["metadata"]
    where = {"kind": kind, "namespace": meta.get("namespace"), "name": meta["name"], "key": key}
    return {**where, "before": (meta.get("annotations") or {}).get(key), "after": after}


def words(change: Obj) -> str:
    """Return a change as a line."""
    place = f"{change['namespace']}/" if change["namespace"] else ""
    verb = f"= {change['after']}" if change["after"] else "is taken away"
    return f"{change['kind']} {place}{change['name']}: annotation {change['key']} {verb}"


def strict_arp(options: Obj, kube_proxy: Obj) -> tuple[bool, list[str]]:
    """Return whether kube-proxy needs strictARP and has it not, and what bars that.

    In IPVS mode kube-proxy puts the addresses of Services on every node, and each would answer ARP.
    """
    marked = any(entry.get("pool") for entry in options.get("external_ips") or ())
    needed = marked and kube_proxy.get("present") and kube_proxy.get("mode") == "ipvs"
    if not needed or kube_proxy.get("strict_arp"):
        return False, []
    if kube_proxy.get("labelled"):
        return False, [
            "kube-proxy runs in IPVS mode without strictARP, and its removal is under way on "
            f"{', '.join(kube_proxy['labelled'])}. End that first."
        ]
    return True, []


def statements(columns: Iterable[Obj]) -> tuple[list[str], list[str]]:
    """Return what ClickHouse is told to take L7 flows, and which of Theia's tables it lacks.

    ``columns``: rows ``{table, name}`` of system.columns, database default.
    """
    have: dict[str, set[str]] = {}
    for row in columns:
        have.setdefault(str(row["table"]), set()).add(str(row["name"]))
    return list(_alter(have)), [table for table in _TABLES if table not in have]


def _alter(have: dict[str, set[str]]) -> Iterator[str]:
    # The local table first: the other one reads from it.
    for table in reversed(_TABLES):
        for column in _COLUMNS:
            if table in have and column not in have[table]:
                yield f"ALTER TABLE default.{table} ADD COLUMN IF NOT EXISTS {column} String"
