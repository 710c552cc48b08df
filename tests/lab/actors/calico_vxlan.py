# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""VXLAN of the lab's calico-node: the device vxlan.calico and the ways through it, as with Felix.

The device sends from the node's stored address and sits on the interface that holds it; on a
mismatch it is made anew. Each other node's pod network lies behind that node's tunnel address.
Source: projectcalico/calico ``felix/dataplane/linux/vxlan_mgr.go``.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.lab.actors.calico_detect import Nic, Node, stored_of

DEVICE, VNI, PORT, MTU = "vxlan.calico", 4096, 4789, 1450
PROTO = "80"
TUNNEL_ANNOTATION = "projectcalico.org/IPv4VXLANTunnelAddr"

Run = Callable[..., str]


@dataclass(frozen=True)
class Peer:
    """Another node behind the tunnel."""

    network: str
    gateway: str
    mac: str
    address: str


def mac_of(name: str) -> str:
    """Return a node's tunnel MAC: made of its name, so that everybody knows it."""
    digest = hashlib.sha1(name.encode()).digest()[:5]
    return ":".join(f"{octet:02x}" for octet in b"\x66" + digest)


def tunnel_of(node: Node) -> str | None:
    """Return a node's tunnel address: the first of its pod network."""
    cidr = (node.get("spec") or {}).get("podCIDR")
    return str(ipaddress.ip_network(cidr)[0]) if cidr else None


def parent_of(address: str | None, nics: list[Nic]) -> str | None:
    """Return the interface that holds an address."""
    for nic in nics:
        if address in (entry.partition("/")[0] for entry in nic["addresses"]):
            return str(nic["name"])
    return None


def peers(me: str, nodes: list[Node]) -> list[Peer]:
    """Return the other nodes that have an address stored."""
    found = []
    for node in nodes:
        name, stored, gateway = node["metadata"]["name"], stored_of(node, 4), tunnel_of(node)
        if name != me and stored and gateway:
            address = stored.partition("/")[0]
            found.append(Peer(node["spec"]["podCIDR"], gateway, mac_of(name), address))
    return found


def sync(run: Run, node: Node, nodes: list[Node], nics: list[Nic]) -> None:
    """Make device, routes and entries as they are to be. Raises OSError when the kernel refuses."""
    name = node["metadata"]["name"]
    local = str(stored_of(node, 4) or "").partition("/")[0]
    parent, tunnel = parent_of(local, nics), tunnel_of(node)
    if not parent or not tunnel:
        return  # Felix waits until the address is on an interface, and leaves all as it is
    _device(run, name, local, parent, tunnel)
    wanted = peers(name, nodes)
    _routes(run, wanted)
    _neighbours(run, wanted)
    _forwarding(run, wanted)


def _device(run: Run, name: str, local: str, parent: str, tunnel: str) -> None:
    """Make the device anew unless it is as wanted."""
    found = [link for link in json.loads(run("ip", "-j", "-d", "link", "show")) if link]
    have = next((link for link in found if link.get("ifname") == DEVICE), None)
    if have is not None and not _fits(have, name, local, parent):
        run("ip", "link", "del", DEVICE)
        have = None
    if have is None:
        settings = ("id", str(VNI), "dstport", str(PORT), "local", local, "dev", parent)
        run(
            "ip",
            "link",
            "add",
            DEVICE,
            "address",
            mac_of(name),
            "mtu",
            str(MTU),
            "type",
            "vxlan",
            *settings,
            "nolearning",
        )
    addresses = json.loads(run("ip", "-j", "-4", "addr", "show", "dev", DEVICE))
    mine = [a["local"] for link in addresses for a in link.get("addr_info") or ()]
    for other in mine:
        if other != tunnel:
            run("ip", "addr", "del", f"{other}/32", "dev", DEVICE)
    if tunnel not in mine:
        run("ip", "addr", "add", f"{tunnel}/32", "dev", DEVICE)
    if have is None or "UP" not in have["flags"]:
        run("ip", "link", "set", DEVICE, "up")


def _fits(link: dict[str, Any], name: str, local: str, parent: str) -> bool:
    settings = (link.get("linkinfo") or {}).get("info_data") or {}
    return bool(
        settings.get("id") == VNI
        and settings.get("port") == PORT
        and settings.get("local") == local
        and settings.get("link") == parent
        and link.get("address") == mac_of(name)
    )


def _routes(run: Run, wanted: list[Peer]) -> None:
    have = {
        route["dst"]: route.get("gateway", "")
        for route in json.loads(run("ip", "-j", "route", "show", "proto", PROTO) or "[]")
    }
    ways = {peer.network: peer.gateway for peer in wanted}
    for network in set(have) - set(ways):
        run("ip", "route", "del", network, "proto", PROTO)
    for network, gateway in ways.items():
        if have.get(network) != gateway:
            run(
                "ip",
                "route",
                "replace",
                network,
                "via",
                gateway,
                "dev",
                DEVICE,
                "onlink",
                "proto",
                PROTO,
            )


def _neighbours(run: Run, wanted: list[Peer]) -> None:
    """Tell the kernel the MAC of each peer's tunnel address: nobody is asked for it."""
    neighbours = {
        entry["dst"]: entry.get("lladdr")
        for entry in json.loads(
            run("ip", "-j", "neigh", "show", "dev", DEVICE, "nud", "permanent") or "[]"
        )
    }
    for peer in wanted:
        if neighbours.get(peer.gateway) != peer.mac:
            run(
                "ip",
                "neigh",
                "replace",
                peer.gateway,
                "lladdr",
                peer.mac,
                "dev",
                DEVICE,
                "nud",
                "permanent",
            )
    for gateway in set(neighbours) - {peer.gateway for peer in wanted}:
        run("ip", "neigh", "del", gateway, "dev", DEVICE)


def _forwarding(run: Run, wanted: list[Peer]) -> None:
    """Tell the kernel behind which node's address each MAC is."""
    have = {
        (entry["mac"], entry["dst"])
        for entry in json.loads(run("bridge", "-j", "fdb", "show", "dev", DEVICE) or "[]")
        if "dst" in entry
    }
    ways = {(peer.mac, peer.address) for peer in wanted}
    for mac, address in have - ways:
        run("bridge", "fdb", "del", mac, "dev", DEVICE, "dst", address)
    for mac, address in ways - have:
        run("bridge", "fdb", "append", mac, "dev", DEVICE, "dst", address)
