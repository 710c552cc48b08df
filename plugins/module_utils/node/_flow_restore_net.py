# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which device leads out of this node, and whether packets pass through Open vSwitch again.

Standard library and netlink only: this also runs in the guard, which has no right to write.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.node import _nfnetlink

_RTM_GETROUTE, _RTM_GETNEIGH = 26, 30
_MAIN = 254
_OIF, _GATEWAY, _PRIORITY, _MULTIPATH, _TABLE = 4, 5, 6, 9, 15
_NDA_DST, _NDA_CACHEINFO = 1, 3
_NUD_REACHABLE = 0x02
#: Permanent, not resolved at all: such an entry proves nothing.
_NUD_FIXED = 0x80 | 0x40
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_MOST = 8
_PAUSE = 0.25
#: Seconds for neighbours that are no gateway: they may have gone for good.
_OTHERS = 10.0
#: Nothing listens there, by convention: what counts is the question that goes before.
_DISCARD = 9


@dataclass(frozen=True)
class Default:
    """A default route: the device it leads to, and the gateway (None: on link)."""

    family: int
    device: str
    gateway: str | None
    metric: int


@dataclass(frozen=True)
class Neighbour:
    """An entry of the kernel's neighbour table. ``confirmed``: seconds since it last answered."""

    address: str
    device: str
    state: int
    confirmed: float


@dataclass(frozen=True)
class Proof:
    """``proven`` is None when there is nobody who could be asked."""

    proven: bool | None
    how: str


def defaults() -> list[Default]:
    """The default routes of the main table, the best of each family first; empty on an error."""
    try:
        names = dict(socket.if_nameindex())
        found = []
        for family in _FAMILIES:
            header = struct.pack("=BBBBBBBBI", family, 0, 0, 0, _MAIN, 0, 0, 0, 0)
            bodies = _nfnetlink.dump(_nfnetlink.NETLINK_ROUTE, _RTM_GETROUTE, header)
            found += [route for body in bodies for route in _default(body, names)]
    except (_nfnetlink.NetlinkError, OSError):
        return []
    return sorted(found, key=lambda route: (route.family, route.metric))


def _default(body: bytes, names: dict[int, str]) -> list[Default]:
    family, length, _s, _t, table, _p, _scope, kind, flags = struct.unpack_from("=BBBBBBBBI", body)
    values = dict(_nfnetlink.attributes(body, 12))
    if _TABLE in values:
        table = struct.unpack("=I", values[_TABLE])[0]
    # Unicast, of the main table, and no copy of one for a destination (RTM_F_CLONED).
    if length or table != _MAIN or kind != 1 or flags & 0x200:
        return []
    metric = struct.unpack("=I", values[_PRIORITY])[0] if _PRIORITY in values else 0
    hops = [(values.get(_OIF), values.get(_GATEWAY))]
    if _MULTIPATH in values:
        hops = _hops(values[_MULTIPATH])
    found = []
    for index, gateway in hops:
        device = names.get(struct.unpack("=I", index)[0]) if index else None
        if device:
            text = socket.inet_ntop(family, gateway) if gateway else None
            found.append(Default(family, device, text, metric))
    return found


def _hops(data: bytes) -> list[tuple[bytes | None, bytes | None]]:
    hops: list[tuple[bytes | None, bytes | None]] = []
    offset = 0
    while offset + 8 <= len(data):
        length = struct.unpack_from("=H", data, offset)[0]
        if length < 8:
            break
        values = dict(_nfnetlink.attributes(data[offset : offset + length], 8))
        hops.append((data[offset + 4 : offset + 8], values.get(_GATEWAY)))
        offset += (length + 3) & ~3
    return hops


def default_devices() -> list[str]:
    """The device of the best default route of each family."""
    best: dict[int, str] = {}
    for route in defaults():
        best.setdefault(route.family, route.device)
    return list(dict.fromkeys(best.values()))


def neighbours(devices: set[str]) -> list[Neighbour]:
    """Neighbours on ``devices`` that the kernel resolves by asking; empty on an error."""
    ticks = os.sysconf("SC_CLK_TCK")
    try:
        names = dict(socket.if_nameindex())
        header = struct.pack("=BxxxiHBB", 0, 0, 0, 0, 0)
        bodies = _nfnetlink.dump(_nfnetlink.NETLINK_ROUTE, _RTM_GETNEIGH, header)
    except (_nfnetlink.NetlinkError, OSError):
        return []
    found = []
    for body in bodies:
        family, index, state, _flags, _kind = struct.unpack_from("=BxxxiHBB", body)
        values = dict(_nfnetlink.attributes(body, 12))
        raw, device = values.get(_NDA_DST), names.get(index)
        if family not in _FAMILIES or not raw or device not in devices or state & _NUD_FIXED:
            continue
        cache = values.get(_NDA_CACHEINFO)
        confirmed = struct.unpack_from("=I", cache)[0] / ticks if cache else float("inf")
        found.append(Neighbour(socket.inet_ntop(family, raw), str(device), state, confirmed))
    return found


def prove(facts: dict[str, Any], since: float, deadline: float) -> Proof:
    """Wait until somebody behind Open vSwitch has answered after ``since``, until ``deadline``.

    The kernel asks (ARP, neighbour discovery) when something is sent to a gateway or to a neighbour
    that it knew; its table tells when the answer came. Both times are monotonic.

    :param facts: ``k8snet_ovs``.
    """
    ports = {str(n) for bridge in facts["bridges"] for n in bridge["internal_ports"]}
    gateways = {(r.gateway, r.device) for r in defaults() if r.gateway and r.device in ports}
    others = {(n.address, n.device) for n in neighbours(ports)} - gateways
    asked = [*sorted(gateways), *sorted(others)][:_MOST]
    if not asked:
        return Proof(None, "Nobody is known behind a port of Open vSwitch who could be asked.")
    if not gateways:
        deadline = min(deadline, time.monotonic() + _OTHERS)
    while True:
        for address, device in asked:
            _send(address, device)
        answered = _answered(asked, since)
        if answered:
            return Proof(True, f"{answered.address} answered on {answered.device}.")
        if time.monotonic() >= deadline:
            break
        time.sleep(_PAUSE)
    names = ", ".join(f"{address} on {device}" for address, device in asked)
    if not gateways:
        # Pods that went away do not answer either.
        return Proof(None, f"None of the former neighbours answered: {names}.")
    return Proof(False, f"nobody answers behind Open vSwitch: {names}. Is the uplink connected?")


def _answered(asked: list[tuple[str, str]], since: float) -> Neighbour | None:
    elapsed = time.monotonic() - since
    for found in neighbours({device for _address, device in asked}):
        fresh = found.state & _NUD_REACHABLE and found.confirmed <= elapsed
        if fresh and (found.address, found.device) in asked:
            return found
    return None


def _send(address: str, device: str) -> None:
    """Make the kernel look for ``address``."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            where: tuple[Any, ...] = (address, _DISCARD)
            if family == socket.AF_INET6:
                where = (address, _DISCARD, 0, socket.if_nametoindex(device))
            sock.sendto(b"", where)
    except OSError:
        pass  # No route, or a refusal that came back: the table tells.
