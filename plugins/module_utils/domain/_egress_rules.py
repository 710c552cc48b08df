# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with an Egress: what Antrea's webhook refuses, and what it lets pass. Pure.

Source: Antrea ``pkg/controller/egress`` (webhook, allocation), ``pkg/agent/controller/egress``
(bandwidth in whole kbit/s of 32 bits); k8s.io/apimachinery ``pkg/api/resource`` (quantities).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _ip_ranges as ip
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj
from ansible_collections.k8snet.cni.plugins.module_utils.domain._external_ips import (
    POOL,
    Problem,
    World,
    egress_problems,
    few,
    gate_problem,
    ranges_of,
    subnet_problems,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._go_net import Address, parse_ip
from ansible_collections.k8snet.cni.plugins.module_utils.domain._ip_ranges import BadRange
from ansible_collections.k8snet.cni.plugins.module_utils.domain._label_selector import (
    matches,
    selector_problems,
    selector_words,
)

#: Parts of an Egress.
PODS, SOURCE, BANDWIDTH = "appliedTo", "source", "bandwidth"
_SELECTORS = {"podSelector": "pod_selector", "namespaceSelector": "namespace_selector"}
_QUANTITY = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([kKMGTPE]i|[numkMGTPE])|[eE]([+-]?\d+))?\Z", re.A
)
_BINARY = {f"{unit}i": Decimal(1024) ** n for n, unit in enumerate("KMGTPE", 1)}
_DECIMAL = {unit: Decimal(1000) ** n for n, unit in enumerate("kMGTPE", 1)}
_SMALL = {unit: Decimal(1000) ** -n for n, unit in enumerate("mun", 1)}
_UNITS = {**_BINARY, **_DECIMAL, **_SMALL}


def problems(world: World, name: str, spec: Obj) -> list[Problem]:
    """Return everything that is wrong with an Egress as it is to be."""
    found = [*egress_problems(world), *_pods(spec["appliedTo"]), *_bandwidth(world, spec)]
    pool_name, address = spec.get("externalIPPool"), spec.get("egressIP")
    parsed = None
    if address:
        try:
            parsed = ip.address(str(address))
        except BadRange as error:
            found.append(Problem(f"egress_ip: {error}", frozenset({SOURCE})))
    pool = world.of(POOL, pool_name) if pool_name else None
    if pool_name and pool is None:
        names = few([p["metadata"]["name"] for p in world.pools or ()]) or "none at all"
        found.append(
            Problem(
                f"pool: there is no ExternalIPPool {pool_name}; there is {names}. Make it with "
                "k8snet.cni.antrea_ip_pool",
                frozenset({SOURCE}),
            )
        )
    if pool is not None:
        found += _from_pool(world, pool, parsed)
    if parsed is not None:
        found += _shared(world, name, parsed, pool)
    return found


def _pods(applied_to: Obj) -> Iterator[Problem]:
    parts = frozenset({PODS})
    if not applied_to:
        yield Problem(
            "applied_to: it selects nothing. Set pod_selector or namespace_selector ({}: all)",
            parts,
        )
    for key, option in _SELECTORS.items():
        for words in selector_problems(applied_to.get(key) or {}):
            yield Problem(f"applied_to.{option}: {words}", parts)


# -- the address ------------------------------------------------------------------------


def _from_pool(world: World, pool: Obj, address: Address | None) -> Iterator[Problem]:
    parts, name = frozenset({SOURCE}), pool["metadata"]["name"]
    ranges = ranges_of(pool)
    subnet = pool["spec"].get("subnetInfo")
    if subnet is not None:
        yield from subnet_problems(world, parts)
    if address is None:
        if _full(pool):
            total = sum(one.count for one in ranges)
            yield Problem(
                f"pool: all {total} addresses of {name} are in use. Add a range to it, or remove "
                "an Egress",
                parts,
            )
        return
    if not any(one.gives(address) for one in ranges):
        texts = few([one.text for one in ranges])
        yield Problem(
            f"egress_ip: {address.ip} is none that the pool {name} gives out ({texts}; a CIDR "
            "loses its first and, in IPv4, its last address)",
            parts,
        )
    if subnet is not None and ip.same_address(address.ip, str(subnet.get("gateway"))):
        yield Problem(f"egress_ip: {address.ip} is the gateway of the pool {name}", parts)


def _full(pool: Obj) -> bool:
    usage = (pool.get("status") or {}).get("usage") or {}
    total, used = usage.get("total"), usage.get("used")
    return bool(total) and used is not None and used >= total


def _shared(world: World, name: str, address: Address, pool: Obj | None) -> Iterator[Problem]:
    parts = frozenset({SOURCE})
    for egress in world.egresses or ():
        other = egress["metadata"]["name"]
        if other == name or not ip.same_address(egress["spec"].get("egressIP"), address.ip):
            continue
        if pool is not None or egress["spec"].get("externalIPPool"):
            yield Problem(f"egress_ip: the Egress {other} has {address.ip}. Take another", parts)
    for service in world.services:
        if any(ip.same_address(text, address.ip) for text in service["addresses"]):
            yield Problem(
                f"egress_ip: the Service {service['name']} has {address.ip}. Take another", parts
            )
    if pool is not None:
        return
    for found in world.pools or ():
        if any(one.gives(address) for one in ranges_of(found)):
            where = found["metadata"]["name"]
            yield Problem(
                f"egress_ip: {address.ip} is in the ExternalIPPool {where}, which may give it to "
                f"another. Set 'pool: {where}' too",
                parts,
            )


# -- bandwidth ------------------------------------------------------------------------


def _bandwidth(world: World, spec: Obj) -> Iterator[Problem]:
    parts, bandwidth = frozenset({BANDWIDTH}), spec.get("bandwidth")
    if bandwidth is None:
        return
    for key in ("rate", "burst"):
        value = quantity(bandwidth.get(key))
        if value is None:
            yield Problem(
                f"bandwidth.{key}: {bandwidth.get(key)} is no quantity. Write it like 300k or 10M",
                parts,
            )
        elif not 1000 <= value < 1000 * 2**32:
            yield Problem(
                f"bandwidth.{key}: {bandwidth[key]} is not in 1k to 4294967295k, as Antrea sets it",
                parts,
            )
    if world.older((1, 14)):
        yield Problem(
            f"bandwidth: Antrea {world.version} cannot limit it; v1.14 can. Upgrade Antrea, or "
            "leave 'bandwidth' out",
            parts,
        )
        return
    off = gate_problem(world, "EgressTrafficShaping", "'bandwidth' would be ignored")
    if off:
        yield Problem(f"bandwidth: {off}", parts)


def quantity(text: Any) -> Decimal | None:
    """Return a Kubernetes quantity as a number, None if it is none."""
    found = _QUANTITY.match(str(text))
    if found is None or found.group(2) == "ki":
        return None
    number, unit, exponent = found.groups()
    if exponent:
        return Decimal(number).scaleb(int(exponent)) if abs(int(exponent)) < 100 else None
    return Decimal(number) * (_UNITS[unit] if unit else 1)


# -- what is good to know ------------------------------------------------------------------------


def notes(world: World, name: str, spec: Obj, pods: list[str]) -> Iterator[str]:
    """Yield what is not wrong, and still no surprise to have."""
    if not pods:
        yield "It selects no pod that runs now (pods of the host's network have no Egress)."
    pool = world.of(POOL, spec["externalIPPool"]) if spec.get("externalIPPool") else None
    if pool is not None:
        selector = pool["spec"].get("nodeSelector") or {}
        if not nodes_of(world, pool):
            yield (
                f"No Node has the labels of its pool's nodeSelector ({selector_words(selector)}): "
                "its address goes to no node until one has."
            )
    elif spec.get("egressIP"):
        yield (
            f"Without a pool nothing puts {spec['egressIP']} on a node: set it up on one by hand; "
            "nothing moves it when that node dies."
        )
        for egress in world.egresses or ():
            other = egress["metadata"]["name"]
            if other != name and ip.same_address(egress["spec"].get("egressIP"), spec["egressIP"]):
                yield f"The Egress {other} has {spec['egressIP']} too."
    if world.waiting:
        yield f"Antrea runs with another configuration than its ConfigMap's: {world.waiting}."


def nodes_of(world: World, pool: Obj) -> list[Obj]:
    """Return the nodes that a pool's addresses may go to."""
    selector = pool["spec"].get("nodeSelector") or {}
    return [node for node in world.nodes if matches(selector, node["labels"])]


def pods_of(world: World, applied_to: Obj) -> list[str]:
    """Return the pods that an Egress applies to, as namespace/name."""
    by_pod, by_namespace = applied_to.get("podSelector"), applied_to.get("namespaceSelector")
    if by_pod is None and by_namespace is None:
        return []
    return sorted(
        f"{pod['namespace']}/{pod['name']}"
        for pod in world.pods
        if matches(by_pod or {}, pod["labels"])
        and matches(by_namespace or {}, world.namespaces.get(str(pod["namespace"])) or {})
    )


def in_ranges(pool: Obj | None, address: str | None) -> bool:
    """Tell whether a pool gives an address out."""
    parsed = parse_ip(address or "")
    return parsed is not None and any(one.gives(parsed) for one in ranges_of(pool or {"spec": {}}))
