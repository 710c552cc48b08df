# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""IPVS virtual servers: what ``/proc/net/ip_vs`` lists, and which are the cluster's. Pure."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Set
from typing import NamedTuple

_PROTOCOLS = frozenset({"TCP", "UDP", "SCTP"})


class VirtualServer(NamedTuple):
    """One virtual server. A firewall-mark service has ``fwmark`` and neither address nor port."""

    protocol: str
    address: str | None
    port: int | None
    fwmark: int | None
    scheduler: str
    destinations: int

    def __str__(self) -> str:
        if self.fwmark is not None:
            return f"fwmark {self.fwmark}"
        shown = f"[{self.address}]" if ":" in str(self.address) else self.address
        return f"{self.protocol} {shown}:{self.port}"


def parse(lines: Iterable[str]) -> Iterator[VirtualServer]:
    """The virtual servers in ``/proc/net/ip_vs`` (kernel: net/netfilter/ipvs/ip_vs_ctl.c).

    Addresses and ports are hexadecimal; an IPv6 address is in brackets, written out in full.
    Raises ValueError for a line that cannot be read.
    """
    current: VirtualServer | None = None
    for line in lines:
        words = line.split()
        if not words or words[0] in ("IP", "Prot") or words[:2] == ["->", "RemoteAddress:Port"]:
            continue
        if words[0] == "->":
            if current is None:
                raise ValueError(f"a destination without its virtual server: {line[:60]!r}")
            current = current._replace(destinations=current.destinations + 1)
            continue
        if current is not None:
            yield current
        current = _server(words, line)
    if current is not None:
        yield current


def _server(words: list[str], line: str) -> VirtualServer:
    try:
        scheduler = words[2] if len(words) > 2 else ""
        if words[0] == "FWM":
            return VirtualServer("FWM", None, None, int(words[1], 16), scheduler, 0)
        if words[0] not in _PROTOCOLS:
            raise ValueError("unknown protocol")
        host, _colon, port = words[1].rpartition(":")
        return VirtualServer(words[0], _address(host), int(port, 16), None, scheduler, 0)
    except (ValueError, IndexError) as exc:
        raise ValueError(f"not a virtual server: {line[:60]!r}") from exc


def _address(text: str) -> str:
    """The usual form of an address. Raises ValueError."""
    try:
        if text.startswith("["):
            packed = socket.inet_pton(socket.AF_INET6, text.strip("[]"))
            return socket.inet_ntop(socket.AF_INET6, packed)
        return socket.inet_ntop(socket.AF_INET, bytes.fromhex(text))
    except OSError as exc:
        raise ValueError(str(exc)) from exc


class NodePort(NamedTuple):
    """A member of a ``KUBE-NODE-PORT-*`` set; ``address`` is None in the sets that hold ports."""

    protocol: str
    port: int
    address: str | None = None


def divide(
    servers: Iterable[VirtualServer],
    virtual_addresses: Set[str],
    node_ports: Set[NodePort],
    local_addresses: Set[str],
) -> tuple[list[VirtualServer], list[VirtualServer]]:
    """(the cluster's, somebody else's).

    A server is the cluster's if its address is on ``kube-ipvs0``, or if it listens on one of the
    node's own addresses at a port that a ``KUBE-NODE-PORT-*`` set holds for its protocol.
    kube-proxy makes no firewall-mark services: those have no address, and are never its own.
    """
    ours: list[VirtualServer] = []
    theirs: list[VirtualServer] = []
    for server in servers:
        mine = server.address in virtual_addresses or (
            server.address in local_addresses and _node_port(server, node_ports)
        )
        (ours if mine else theirs).append(server)
    return ours, theirs


def _node_port(server: VirtualServer, node_ports: Set[NodePort]) -> bool:
    port = server.port or 0
    return (
        NodePort(server.protocol, port) in node_ports
        or NodePort(server.protocol, port, server.address) in node_ports
    )
