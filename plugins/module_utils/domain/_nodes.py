# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which inventory host is which Node, and which Nodes were not seen and why. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._autodetection import (
    NodeView,
    parse_reach,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nic_input import parse_nics

# States of a host before it is matched; a Node takes over the state of its host.
VISITED, FAILED, UNREACHABLE, NOT_SELECTED = "visited", "failed", "unreachable", "not_selected"
# States that only a Node can have.
NOT_IN_INVENTORY, NOT_LINUX = "not_in_inventory", "not_linux"


@dataclass(frozen=True)
class View:
    """One node as inventory and cluster see it; ``node`` or ``host`` may be missing, not both."""

    name: str
    state: str
    node: dict[str, Any] | None
    host: dict[str, Any] | None
    matched_by: str | None

    @property
    def facts(self) -> dict[str, Any]:
        """Return the facts read on the node, {} unless it was visited."""
        facts = (self.host or {}).get("facts") if self.state == VISITED else None
        return facts or {}

    @property
    def nics(self) -> list[dict[str, Any]] | None:
        """Return the node's NICs in kernel dump order, None if they are not known."""
        nics = self.facts.get("k8snet_nics")
        return nics if isinstance(nics, list) else None

    @cached_property
    def known(self) -> NodeView:
        """What predictions need of the NICs, read once and asked many times. Raises InputError."""
        reach = parse_reach(self.facts.get("k8snet_reach") or {})
        return NodeView(parse_nics(self.nics or []), reach=reach)

    def internal_ips(self, family: int) -> list[str]:
        """Return the Node's InternalIPs of one family, in its order."""
        ips = (self.node or {}).get("internal_ips") or []
        return [bare(ip) for ip in ips if family_of(ip) == family]


@dataclass(frozen=True)
class Scope:
    """All nodes, and what does not fit together."""

    views: list[View] = field(default_factory=list)
    # Hosts that match no Node: {host, reason}.
    strangers: list[dict[str, Any]] = field(default_factory=list)
    # Nodes that several hosts match: {node, hosts, taken}.
    conflicts: list[dict[str, Any]] = field(default_factory=list)


def bare(address: Any) -> str:
    """Return the address of "10.0.0.5/24", of a NIC's address entry, or "" for None."""
    if isinstance(address, dict):
        address = address.get("address")
    text = str(address or "").split("/", maxsplit=1)[0]
    return _canonical(text) if ":" in text else text.lower()


@lru_cache(maxsize=8192)
def _canonical(text: str) -> str:
    """Return an IPv6 address in one spelling: cloud providers write InternalIPs as they like."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text.lower()


@lru_cache(maxsize=8192)
def family_of(address: str) -> int | None:
    """Return 4 or 6, None if it is no IP address."""
    try:
        return ipaddress.ip_address(bare(address)).version
    except ValueError:
        return None


def nic_of(nics: list[dict[str, Any]] | None, address: str | None) -> tuple[str | None, str | None]:
    """Return (NIC name, "address/prefix" as the NIC has it) for an address, or (None, None)."""
    if not address:
        return None, None
    for nic in nics or ():
        for entry in nic.get("addresses") or ():
            if bare(entry) == bare(address):
                if isinstance(entry, dict):
                    return nic["name"], f"{entry['address']}/{entry['prefix']}"
                return nic["name"], str(entry)
    return None, None


def match(hosts: list[dict[str, Any]], nodes: list[dict[str, Any]]) -> Scope:
    """Join inventory hosts with Nodes.

    A host: ``name`` (in the inventory), ``state`` (visited, failed, unreachable, not_selected),
    ``error``, ``node_name`` (k8snet_node_name or None), ``address`` (ansible_host or None),
    ``facts`` (of node_facts or None). A host belongs to the Node that k8snet_node_name says, else
    to the one whose InternalIP its NICs carry (unvisited: its ansible_host), else to the one of
    its host name. Without Nodes (no cluster access) every host stands for itself.
    """
    if not nodes:
        return Scope([View(h["name"], h["state"], None, h, None) for h in hosts])
    index = _Index(nodes)
    taken: dict[str, tuple[dict[str, Any], str]] = {}
    strangers: list[dict[str, Any]] = []
    rivals: dict[str, list[str]] = {}
    # Hosts that were seen have first call on a Node, then those that name it expressly.
    for host in sorted(hosts, key=lambda h: (h["state"] != VISITED, not h.get("node_name"))):
        node, by = _find(host, index)
        if node is None:
            strangers.append({"host": host, "reason": by})
        elif node["name"] in taken:
            rivals.setdefault(node["name"], []).append(host["name"])
        else:
            taken[node["name"]] = (host, by)
    views = [_view(node, taken.get(node["name"])) for node in nodes]
    views += [View(s["host"]["name"], s["host"]["state"], None, s["host"], None) for s in strangers]
    conflicts = [
        {"node": name, "taken": taken[name][0]["name"], "hosts": [taken[name][0]["name"], *others]}
        for name, others in rivals.items()
    ]
    return Scope(views, strangers, conflicts)


def left_out(hosts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the hosts that --limit left out, as `match` wants them.

    ``hosts``: name -> (address by which Ansible would reach it, name of its Node), either empty.
    """
    return [
        {
            "name": name,
            "state": NOT_SELECTED,
            "error": None,
            "node_name": node_name or None,
            "address": address or None,
            "facts": {},
        }
        for name, (address, node_name) in hosts.items()
    ]


def _view(node: dict[str, Any], found: tuple[dict[str, Any], str] | None) -> View:
    host, by = found if found else (None, None)
    state = host["state"] if host else NOT_IN_INVENTORY
    if node.get("os") != "linux":
        state = NOT_LINUX
    return View(node["name"], state, node, host, by)


class _Index:
    """Nodes by what a host may be recognised by; looking through all for each is slow."""

    def __init__(self, nodes: list[dict[str, Any]]) -> None:
        self.by_name = {n["name"]: n for n in nodes}
        self.by_ip: dict[str, list[dict[str, Any]]] = {}
        self.by_full: dict[str, list[dict[str, Any]]] = {}
        self.by_short: dict[str, list[dict[str, Any]]] = {}
        for node in nodes:
            for ip in node.get("internal_ips") or ():
                self.by_ip.setdefault(bare(ip), []).append(node)
            names = [n for n in (node["name"], node.get("hostname")) if n]
            for full in {_full(n) for n in names}:
                self.by_full.setdefault(full, []).append(node)
            for short in {_short(n) for n in names}:
                self.by_short.setdefault(short, []).append(node)

    def of_address(self, host: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the Nodes that have one of a host's addresses as InternalIP."""
        return _distinct(n for ip in sorted(_addresses_of(host)) for n in self.by_ip.get(ip, ()))

    def of_name(self, host: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the Nodes of a host's name, by the full name if possible, else the first label."""
        names = _names_of(host)
        full = _distinct(n for name in names for n in self.by_full.get(_full(name), ()))
        return full or _distinct(n for name in names for n in self.by_short.get(_short(name), ()))


def _distinct(nodes: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({n["name"]: n for n in nodes}.values())


def _find(host: dict[str, Any], index: _Index) -> tuple[dict[str, Any] | None, str]:
    """Return (Node, how it was found) or (None, why not)."""
    wanted = host.get("node_name")
    if wanted:
        if wanted in index.by_name:
            return index.by_name[wanted], "k8snet_node_name"
        return None, f"k8snet_node_name says {wanted}, and there is no such Node"
    by_ip, by_name = index.of_address(host), index.of_name(host)
    if by_ip:
        # A virtual address may be on several nodes: then the name decides.
        same = [n for n in by_ip if n in by_name]
        return (same or by_ip)[0], "InternalIP"
    if len(by_name) == 1:
        return by_name[0], "host name"
    if by_name:
        several = ", ".join(n["name"] for n in by_name)
        return None, f"its name fits several Nodes: {several}"
    return None, "no Node has one of its addresses as InternalIP, or its name"


def _addresses_of(host: dict[str, Any]) -> set[str]:
    nics = (host.get("facts") or {}).get("k8snet_nics")
    if host["state"] == VISITED and isinstance(nics, list):
        return {bare(a) for nic in nics for a in nic.get("addresses") or ()}
    return {bare(host.get("address"))} - {""}


def _names_of(host: dict[str, Any]) -> list[str]:
    identity = (host.get("facts") or {}).get("k8snet_node") or {}
    address = host.get("address") or ""
    names = [host["name"], identity.get("hostname"), identity.get("fqdn")]
    return [n for n in [*names, "" if family_of(address) else address] if n]


def _full(name: str) -> str:
    return name.lower().rstrip(".")


def _short(name: str) -> str:
    """Return the first label of a name; an address has none."""
    return _full(name) if family_of(name) else _full(name).split(".", maxsplit=1)[0]
