# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a Service or the API server says to a node, and what that means. Pure."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple, Union
from urllib.parse import urlsplit

MODES = ("iptables", "ipvs", "nftables")
#: An API server that wants to know who asks is one, too, once its certificate was right.
_ANSWERS = (200, 401, 403)


_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
# linux/ipv6_route.h, linux/route.h: a node's own address, and a route that refuses.
_LOCAL, _REJECT = 0x80000000, 0x0200


class Route(NamedTuple):
    """A route, as /proc/net tells it."""

    network: _Network
    metric: int
    interface: str


class Where(NamedTuple):
    """Host (name or address, without brackets) and port of an API server."""

    host: str
    port: int


def api_server(url: str) -> Where:
    """Return where ``https://host:port`` is. Raises ValueError that says what is wrong.

    Antrea takes neither a path nor a slash at the end.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"'{url}' is no URL: {error}") from None
    if parts.scheme != "https":
        raise ValueError(f"'{url}' does not begin with https://")
    if parts.path or parts.query or parts.fragment or url.endswith(("?", "#")):
        slash = ", not even a slash" if parts.path == "/" else ""
        raise ValueError(f"'{url}' has something behind the port; nothing may be there{slash}")
    if not parts.hostname or parts.username is not None or any(c.isspace() for c in url):
        raise ValueError(f"'{url}' is not of the form https://host:port")
    if not port:
        raise ValueError(f"'{url}' names no port, such as https://{parts.hostname}:6443")
    return Where(parts.hostname, port)


def judge_status(status: int, body: str) -> str | None:
    """Return what is wrong with an answer to GET /readyz, None if nothing is."""
    if status in _ANSWERS:
        return None
    said = " ".join(body.split())[:120]
    return f"it answered {status} to GET /readyz" + (f": {said}" if said else "")


def mode_of(said: str) -> str | None:
    """Return the mode that kube-proxy reports at /proxyMode, None for anything else."""
    mode = said.strip().lower()
    return mode if mode in MODES else None


def dns_names(servers: list[str]) -> list[tuple[str, str]]:
    """Return what a question to each server is called, over UDP and over TCP."""
    more = [""] + [f" at {server}" for server in servers[1:]]
    return [(f"DNS over UDP{at}", f"DNS over TCP{at}") for at, _server in zip(more, servers)]


def main_routes(inet: str, inet6: str) -> list[Route]:
    """Return the routes of /proc/net/route and /proc/net/ipv6_route, but for a node's addresses.

    The first tells the main table, whatever the table local has before it: that is how the way to a
    ClusterIP shows which IPVS has made an address of the node.
    """
    found = []
    for words in (line.split() for line in inet.splitlines()[1:]):
        if len(words) > 7 and not int(words[3], 16) & _REJECT:
            address, mask = (_inet(words[place]) for place in (1, 7))
            network = ipaddress.IPv4Network(f"{address}/{mask}", strict=False)
            found.append(Route(network, int(words[6]), words[0]))
    for words in (line.split() for line in inet6.splitlines()):
        if len(words) > 9 and not int(words[8], 16) & (_LOCAL | _REJECT):
            there = (int(words[0], 16), int(words[1], 16))
            found.append(Route(ipaddress.IPv6Network(there), int(words[5], 16), words[9]))
    return found


def _inet(text: str) -> ipaddress.IPv4Address:
    """Return the address that the kernel prints as one number in its own byte order."""
    return ipaddress.IPv4Address(int(text, 16).to_bytes(4, sys.byteorder))


def way(routes: Iterable[Route], address: str) -> str | None:
    """Return the interface of the best route to an address, None without one."""
    here = ipaddress.ip_address(address)
    fitting = [route for route in routes if here in route.network]
    best = max(fitting, key=lambda r: (r.network.prefixlen, -r.metric), default=None)
    return best.interface if best else None


def problems(found: dict[str, Any]) -> list[str]:
    """Return each thing that does not answer, in a sentence."""
    said = []
    api = found["api"]
    if api and not api["ok"]:
        said.append(f"{api['url']}: {api['error']}")
    for entry in found["connections"] + found["dns"]:
        if entry["ok"] is False:
            where = "a pod" if entry["pod"] else "the node"
            said.append(f"{entry['name']} from {where}: {entry['error']}")
    return said
