# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with an ExternalIPPool: what Antrea's webhook refuses, and what it lets pass. Pure.

Source: Antrea ``pkg/controller/externalippool``, ``pkg/controller/validation/ippool.go`` at v1.13
to v2.7 (before v2.0 the webhook looks at the subnet only), ``docs/egress.md``, #7868.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _ip_ranges as ip
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj
from ansible_collections.k8snet.cni.plugins.module_utils.domain._external_ips import (
    Problem,
    World,
    egress_problems,
    gate_problem,
    ranges_of,
    subnet_problems,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._go_net import Address, parse_ip
from ansible_collections.k8snet.cni.plugins.module_utils.domain._ip_ranges import BadRange, Range
from ansible_collections.k8snet.cni.plugins.module_utils.domain._label_selector import (
    matches,
    selector_problems,
    selector_words,
)

#: Route tables 101 to 120 of a node are for subnets of pools.
MOST_SUBNETS = 20
VLANS = range(4095)
SUBNET, SELECTOR = "subnet", "selector"
_LONGEST = {4: 31, 6: 127}


@dataclass(frozen=True)
class Draft:
    """A pool as it is to be. ``subnet`` is as in the object, None without one.

    ``taken``: address -> who answered there.
    """

    name: str
    items: Sequence[Mapping[str, Any]]
    selector: Mapping[str, Any]
    subnet: Obj | None = None
    taken: Mapping[str, str] | None = None


@dataclass(frozen=True)
class _Spans:
    """A pool's ranges, each with the part of the object that it is."""

    ranges: Sequence[tuple[str, Range]]

    def holding(self, text: str) -> tuple[str, Range] | None:
        """Return the range that would give an address out, None for a name and where none would."""
        parsed = parse_ip(text)
        if parsed is None:
            return None
        return next((found for found in self.ranges if found[1].usable(parsed)), None)


def part(position: int) -> str:
    """Return the name of a range as a part of the object."""
    return f"range {position}"


def problems(world: World, draft: Draft) -> list[Problem]:
    """Return everything that is wrong, each with the parts of the pool that it concerns."""
    found = [*_shape(draft)]
    ranges: list[tuple[str, Range]] = []
    for position, item in enumerate(draft.items):
        try:
            ranges.append((part(position), ip.parse_range(item)))
        except BadRange as error:
            found.append(Problem(f"ip_ranges: {error}", frozenset({part(position)})))
    spans = _Spans(ranges)
    found += _alone(ranges)
    if draft.subnet is not None:
        found += [*_subnet(draft.subnet, ranges)]
        found += [*_many_subnets(world, draft)]
    found += _within_pools(world, draft, ranges)
    found += _networks(world, ranges)
    found += _in_use(world, draft, spans)
    found += _antrea(world, draft)
    return found


def _shape(draft: Draft) -> Iterator[Problem]:
    if not draft.items:
        yield Problem("ip_ranges: a pool needs a range")
    for words in selector_problems(draft.selector):
        yield Problem(f"node_selector: {words}", frozenset({SELECTOR}))


def _alone(ranges: Sequence[tuple[str, Range]]) -> Iterator[Problem]:
    """Look at the ranges by themselves."""
    for where, one in ranges:
        for edge in (one.first, one.last):
            why = Address(one.version, edge, 0).unusable()
            if why:
                yield Problem(f"{one.text} is a {why} range", frozenset({where}))
                break
        if one.count == 0:
            yield Problem(
                f"{one.text} has no address to give out: a CIDR loses its first and, in IPv4, its "
                "last address. Write single addresses as start and end",
                frozenset({where}),
            )
    for position, (where, one) in enumerate(ranges):
        if one.version != ranges[0][1].version:
            yield Problem(
                f"{one.text} and {ranges[0][1].text} are of different families; an Egress would "
                "get an address of either. Make a pool for each family",
                frozenset({where}),
            )
        for other, before in ranges[:position]:
            if one.overlaps(before):
                yield Problem(f"{one.text} overlaps {before.text}", frozenset({where, other}))


# -- the subnet ------------------------------------------------------------------------


def _subnet(subnet: Obj, ranges: Sequence[tuple[str, Range]]) -> Iterator[Problem]:
    changes = frozenset({SUBNET})
    vlan = subnet.get("vlan") or 0
    if vlan not in VLANS:
        yield Problem(f"subnet.vlan: {vlan} is not in 0 to 4094", changes)
    try:
        gateway = ip.address(str(subnet.get("gateway")))
    except BadRange as error:
        yield Problem(f"subnet.gateway: {error}", changes)
        return
    prefix = subnet.get("prefixLength")
    longest = _LONGEST[gateway.version]
    if not isinstance(prefix, int) or not 1 <= prefix <= longest:
        yield Problem(f"subnet.prefix_length: {prefix} is not in 1 to {longest}", changes)
        return
    network = ip.span(gateway._replace(prefix=prefix))
    yield from _gateway(gateway, network, ranges)
    for where, one in ranges:
        if not one.within(network):
            yield Problem(
                f"{one.text} is not in the subnet {network.text} of the gateway {gateway.ip}",
                frozenset({SUBNET, where}),
            )
        elif _edges(network) & {one.low, one.high} and one.count:
            yield Problem(
                f"{one.text} has the first or the last address of {network.text}, which are the "
                "network's own and its broadcast address. Leave them out",
                frozenset({SUBNET, where}),
            )


def _gateway(
    gateway: Address, network: Range, ranges: Sequence[tuple[str, Range]]
) -> Iterator[Problem]:
    why = gateway.unusable()
    if why:
        yield Problem(f"subnet.gateway: {gateway.ip} is a {why} address", frozenset({SUBNET}))
    elif gateway.number in _edges(network):
        yield Problem(
            f"subnet.gateway: {gateway.ip} is the network's own or the broadcast address of "
            f"{network.text}",
            frozenset({SUBNET}),
        )
    for where, one in ranges:
        if one.usable(gateway):
            yield Problem(
                f"{one.text} has the gateway {gateway.ip} in it, and Antrea would give that "
                "address to an Egress (antrea-io/antrea#7868). Write ranges around it",
                frozenset({SUBNET, where}),
            )


def _edges(network: Range) -> set[int]:
    """Return the addresses of a network that no host may have."""
    return {network.first, network.last} if network.version == 4 and network.count else set()


def subnet_key(subnet: Mapping[str, Any] | None) -> tuple[str, int, int] | None:
    """Return what makes two subnets one to Antrea's agent: gateway, prefix length and VLAN."""
    if subnet is None:
        return None
    return (
        ip.plain(str(subnet.get("gateway"))),
        int(subnet["prefixLength"]),
        int(subnet.get("vlan") or 0),
    )


def _many_subnets(world: World, draft: Draft) -> Iterator[Problem]:
    others = [p for p in world.pools or () if p["metadata"]["name"] != draft.name]
    used = {subnet_key(p["spec"].get("subnetInfo")) for p in others} - {None}
    if len(used) >= MOST_SUBNETS and subnet_key(draft.subnet) not in used:
        yield Problem(
            f"the other pools have {len(used)} subnets already, and Antrea has route tables for "
            f"{MOST_SUBNETS} (101 to 120). Use a subnet that a pool has, or remove a pool",
            frozenset({SUBNET}),
        )


# -- the world ------------------------------------------------------------------------


def _within_pools(
    world: World, draft: Draft, ranges: Sequence[tuple[str, Range]]
) -> Iterator[Problem]:
    for pool in world.pools or ():
        name = pool["metadata"]["name"]
        if name == draft.name:
            continue
        for other in ranges_of(pool):
            for where, one in ranges:
                if one.overlaps(other):
                    yield Problem(
                        f"{one.text} overlaps {other.text} of the ExternalIPPool {name}. Its "
                        "ranges are free when that pool is gone",
                        frozenset({where}),
                    )


def _networks(world: World, ranges: Sequence[tuple[str, Range]]) -> Iterator[Problem]:
    known = [
        *(
            (cidr, f"the pods' network of node {n['name']}")
            for n in world.nodes
            for cidr in n["pod_cidrs"]
        ),
        *((cidr, "the network of Services") for cidr in world.service_cidrs),
    ]
    for where, one in ranges:
        for cidr, whose in known:
            try:
                overlaps = one.overlaps(ip.network(str(cidr)))
            except BadRange:
                continue
            if overlaps:
                yield Problem(f"{one.text} overlaps {cidr}, {whose}", frozenset({where}))


def _in_use(world: World, draft: Draft, spans: _Spans) -> Iterator[Problem]:
    """Look for addresses in the ranges that somebody has."""
    for text, who in _owners(world, draft):
        found = spans.holding(text)
        if found:
            where, one = found
            yield Problem(
                f"{one.text} has {text} in it, which {who}. Write ranges around it",
                frozenset({where}),
            )


def _owners(world: World, draft: Draft) -> Iterator[tuple[str, str]]:
    for node in world.nodes:
        yield from ((text, f"is an address of node {node['name']}") for text in node["addresses"])
    for service in world.services:
        if service["pool"] != draft.name:
            who = f"is an address of the Service {service['name']}"
            yield from ((text, who) for text in service["addresses"])
    ours = [str(e["spec"].get("egressIP")) for e in world.egresses_of(draft.name)]
    ours += [text for service in world.services_of(draft.name) for text in service["addresses"]]
    for text, who in (draft.taken or {}).items():
        # What has its address from this pool answers on the VLAN as it should.
        if not any(ip.same_address(text, own) for own in ours):
            yield str(text), f"is in use ({who})"


def _antrea(world: World, draft: Draft) -> Iterator[Problem]:
    if draft.subnet is not None:
        parts = frozenset({SUBNET})
        yield from egress_problems(world, parts)
        yield from subnet_problems(world, parts)
        return
    why = "nothing would take an address of the pool"
    off = gate_problem(world, "Egress", why)
    if off and gate_problem(world, "ServiceExternalIP", why):
        yield Problem(off)


# -- what is good to know ------------------------------------------------------------------------


def notes(world: World, draft: Draft) -> Iterator[str]:
    """Yield what is not wrong, and still no surprise to have."""
    for item in ip.readable(draft.items):
        if item.capped:
            yield f"Antrea gives out only the first {ip.MOST} addresses of {item.text}."
    if not any(matches(draft.selector, node["labels"]) for node in world.nodes):
        yield (
            f"No Node has the labels {selector_words(draft.selector)}: addresses of the pool go "
            "to no node until one has."
        )
    for egress in world.egresses or ():
        spec = egress["spec"]
        if spec.get("externalIPPool") or not spec.get("egressIP"):
            continue
        if _Spans([("", one) for one in ip.readable(draft.items)]).holding(str(spec["egressIP"])):
            yield (
                f"The Egress {egress['metadata']['name']} has {spec['egressIP']} without a pool: "
                "Antrea may give that address to another. Set its pool."
            )
    if world.waiting:
        yield f"Antrea runs with another configuration than its ConfigMap's: {world.waiting}."
