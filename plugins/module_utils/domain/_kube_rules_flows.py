# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which entries of the connection tracking still lead where kube-proxy had led them. Pure.

A UDP client that keeps its port, a resolver for example, renews its entry with each packet, and
goes on to end points that may be long gone. TCP connections end by themselves, and one that runs is
not to be cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple

UDP = 17
#: Antrea leads NodePorts to addresses of its own in these; such an entry is alive.
_VIRTUAL = (ip_network("169.254.0.0/16"), ip_network("fc01::/16"))


class Flow(NamedTuple):
    """One entry: to where it was sent, and from where the answer comes.

    ``original`` is the tuple by which the kernel is told which entry is meant.
    """

    family: int
    protocol: int
    zone: int
    destination: str
    port: int
    answerer: str
    answering_port: int
    original: bytes
    number: bytes

    def __str__(self) -> str:
        return f"UDP {_shown(self.destination, self.port)} -> " + _shown(
            self.answerer, self.answering_port
        )


def stale(
    flows: Iterable[Flow],
    networks: Iterable[IPv4Network | IPv6Network],
    node_ports: range,
    local_addresses: Set[str],
) -> list[Flow]:
    """Return the UDP entries of the host's zone that lead a Service or NodePort elsewhere.

    One whose answer comes from where it was sent to is led by no rule of kube-proxy.
    """
    nets = tuple(networks)
    found = []
    for flow in flows:
        if flow.protocol != UDP or flow.zone or flow.answerer == flow.destination:
            continue
        if any(ip_address(flow.answerer) in net for net in _VIRTUAL):
            continue
        service = any(ip_address(flow.destination) in net for net in nets)
        if service or (flow.port in node_ports and flow.destination in local_addresses):
            found.append(flow)
    return found


def _shown(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
