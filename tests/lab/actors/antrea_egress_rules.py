# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Egress as Antrea's agents and its controller decide it, each by itself and all the same. Pure.

Source: antrea-io/antrea ``pkg/agent/controller/egress``, ``pkg/agent/memberlist``,
``pkg/controller/externalippool``. IPv4 only; an address's node is found by hashing, as there,
though not by the same hash.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tests.lab.actors import antrea_rules as rules

Obj = dict[str, Any]

#: Route tables for subnets; the mark's bits for an address.
TABLES, MASK = range(101, 121), "0xff"
#: The lab's own, for addresses on other nodes: there it is a tunnel of OVS, with no mark.
FAR_TABLES, FAR_MASK = range(1001, 1256), "0xff00"
FLOWS = "antrea-egress"


class Subnet(NamedTuple):
    """subnetInfo of a pool."""

    gateway: str
    prefix: int
    vlan: int


class Local(NamedTuple):
    """An address that this node has, with its mark; ``subnet`` None: it is in the node's own."""

    address: str
    mark: int
    subnet: Subnet | None

    @property
    def prefix(self) -> int:
        return self.subnet.prefix if self.subnet else 32


def plays(conf: Obj, version: rules.Version) -> bool:
    """Whether the agent does anything about Egresses."""
    mode = str(conf.get("trafficEncapMode") or "encap").lower()
    return rules.gate(conf, "Egress", True) and mode in ("encap", "hybrid")


def separates(conf: Obj, version: rules.Version) -> bool:
    """Whether subnetInfo counts: gate EgressSeparateSubnet, on by default since v2.3."""
    if version < (1, 15, 0):
        return False
    gates = conf.get("featureGates") or {}
    if version < (2, 3, 0):
        return bool(gates.get("EgressSeparateSubnet", gates.get("AllAlpha", False)))
    return rules.gate(conf, "EgressSeparateSubnet", True)


def takes_foreign(version: rules.Version) -> bool:
    """Whether VLAN interfaces of others lose their addresses (#7834): until v2.7."""
    return (1, 15, 0) <= version < (2, 7, 0)


def subnet_of(pool: Obj | None, separate: bool) -> Subnet | None:
    info = ((pool or {}).get("spec") or {}).get("subnetInfo")
    if not info or not separate:
        return None
    return Subnet(info["gateway"], int(info["prefixLength"]), int(info.get("vlan") or 0))


def addresses(pool: Obj) -> list[str]:
    """Return what a pool has to give: of a CIDR neither the first nor the last address."""
    out: list[str] = []
    for entry in pool["spec"]["ipRanges"]:
        if "cidr" in entry:
            out += map(str, list(ipaddress.ip_network(entry["cidr"], strict=False))[1:-1])
        else:
            first, last = (int(ipaddress.ip_address(entry[key])) for key in ("start", "end"))
            out += [str(ipaddress.ip_address(number)) for number in range(first, last + 1)]
    return out


def eligible(pool: Obj, nodes: Iterable[Obj], alive: Iterable[str]) -> list[str]:
    """Return the living nodes that a pool's selector takes."""
    living, selector = set(alive), pool["spec"]["nodeSelector"]
    found = (node["metadata"] for node in nodes)
    return sorted(
        meta["name"]
        for meta in found
        if meta["name"] in living and rules.selects(selector, meta.get("labels") or {})
    )


def holder(address: str, candidates: Sequence[str]) -> str | None:
    """Return the node that an address belongs to; it moves only when that one goes."""

    def weight(node: str) -> bytes:
        return hashlib.sha256(f"{address} {node}".encode()).digest()

    return max(candidates, key=weight, default=None)


def schedule(
    egresses: Sequence[Obj], pools: Mapping[str, Obj], nodes: Sequence[Obj], alive: Iterable[str]
) -> dict[str, str | None]:
    """Return Egress -> the node that is to have its address, None for none."""
    living, out = set(alive), {}
    for egress in egresses:
        spec = egress["spec"]
        pool = pools.get(spec.get("externalIPPool") or "")
        if spec.get("egressIP") and spec.get("externalIPPool"):
            candidates = eligible(pool, nodes, living) if pool else []
            out[egress["metadata"]["name"]] = holder(spec["egressIP"], candidates)
    return out


def pods_of(egress: Obj, pods: Iterable[Obj], namespaces: Mapping[str, Obj]) -> list[str]:
    """Return the addresses of the pods that an Egress applies to; an empty appliedTo takes none."""
    applied = egress["spec"].get("appliedTo") or {}
    by_pod, by_namespace = applied.get("podSelector"), applied.get("namespaceSelector")
    if by_pod is None and by_namespace is None:
        return []
    out = []
    for pod in pods:
        meta, status = pod["metadata"], pod.get("status") or {}
        if pod["spec"].get("hostNetwork") or not status.get("podIP"):
            continue
        labels = (namespaces.get(meta["namespace"]) or {"metadata": {}})["metadata"].get("labels")
        if by_namespace is not None and not rules.selects(by_namespace, labels or {}):
            continue
        if by_pod is None or rules.selects(by_pod, meta.get("labels") or {}):
            out.append(status["podIP"])
    return sorted(set(out))


def flows(
    local: Sequence[Local],
    marks: Mapping[str, tuple[int, str]],
    far: Sequence[str],
    skipped: Sequence[str],
    cidr: str,
) -> str:
    """Return the node's table for ``nft -f``: marks by source, and the addresses they stand for.

    marks: pod -> (mark, the bits of it that count); far: devices of tunnels to other nodes;
    cidr: the node's pods.
    """
    lines = [f"add table ip {FLOWS}", f"delete table ip {FLOWS}", f"table ip {FLOWS} {{"]
    lines += ["chain marks {", "type filter hook prerouting priority mangle;"]
    if skipped:
        lines.append(f"ip daddr {{ {', '.join(skipped)} }} return")
    for pod, (mark, mask) in sorted(marks.items()):
        kept = 0xFFFFFFFF ^ int(mask, 16)
        lines.append(f"ip saddr {pod} meta mark set meta mark and {kept:#x} or {mark:#x}")
    for entry in local:
        lines.append(f'iifname "{near_device(entry.address)}" meta mark set {entry.mark:#x}')
    lines += ["}", "chain sources {", "type nat hook postrouting priority srcnat + 3;"]
    for device in far:
        # Its own address, or the node would masquerade what the other end has to know.
        lines += [f'oifname "{device}" ip saddr {pod} snat to {pod}' for pod in sorted(marks)]
    for entry in local:
        marked = f"meta mark and {MASK} == {entry.mark:#x}"
        lines.append(f'oifname != "antrea-gw0" {marked} snat to {entry.address}')
    # Other pods have the node's address outside, as ever.
    rest = f'ip saddr {cidr} ip daddr != 10.244.0.0/16 oifname != "antrea-gw0" masquerade'
    return "\n".join([*lines, rest, "}", "}"]) + "\n"


def vlan_device(vlan: int) -> str:
    return f"antrea-ext.{vlan}"


def near_device(address: str) -> str:
    """Where what other nodes send for an address of this node comes in."""
    return f"egn-{int(ipaddress.ip_address(address)):08x}"


def far_device(address: str) -> str:
    """Where this node sends what is for an address of another node."""
    return f"egf-{int(ipaddress.ip_address(address)):08x}"


def condition(kind: str, good: bool, reason: str, message: str, now: str) -> Obj:
    status = "True" if good else "False"
    about = {"type": kind, "status": status, "reason": reason, "message": message}
    return {**about, "lastTransitionTime": now}


def with_condition(conditions: Sequence[Obj], new: Obj) -> list[Obj] | None:
    """Return conditions with ``new`` in it, None when it says nothing new."""
    old = next((c for c in conditions if c["type"] == new["type"]), None)
    same = ("status", "reason", "message")
    if old is not None and all(old.get(key) == new[key] for key in same):
        return None
    return [new, *(c for c in conditions if c["type"] != new["type"])]
