# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node's network as a checkpoint keeps it, and what the kernel does to it when it is changed.

The state of a node, plain data as it stands in ``checkpoint.json``::

    boot_id    str
    links      [{name, ifindex, kind, physical, master, parent, mtu, mac, permanent_mac, up,
                 altnames, make, role}]  in dump order; kind is the kernel's own ("" for a NIC),
                 make the words behind "ip link add name X" that create it anew, or None
    addresses  {link: [{family, local, prefix, peer, broadcast, scope, label, metric, flags, proto,
                 lifetime}]}   in the kernel's order; lifetime [valid, preferred] in seconds or None
    routes     [{family, words, expires}]   words as "ip -d route show table all" prints them
    rules      [{family, words}]            words as "ip -d rule" prints them, the priority first
    reach      [link]   over which the destinations lay that are to be reached first
    dns        {target, content, links: {link: {servers, domains}}}
    ovs        None, or as domain._checkpoint_ovs
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from .._plan import Plan, Step

State = dict[str, Any]
Entry = dict[str, Any]

#: Kinds of links that vswitchd makes; "ovs-system" is the master of a NIC in its kernel datapath.
OVS_KIND, OVS_MASTER = "openvswitch", "ovs-system"


@dataclass(frozen=True)
class Action:
    """A step of a restore and how it is done.

    ``op`` is ip (``words`` are its arguments), ovsdb (``data`` are one transaction's operations),
    port (take the link ``words[0]`` out of the datapath), file (write resolv.conf) or resolvectl.
    """

    step: Step
    op: str
    words: tuple[str, ...] = ()
    data: Any = None


@dataclass
class Restore:
    """What a restore does, in order, and what it sees but cannot do.

    The ``first`` so many of the actions bring the node's way out back.
    """

    actions: list[Action] = field(default_factory=list)
    first: int = 0
    cannot: list[str] = field(default_factory=list)

    @property
    def plan(self) -> Plan:
        return Plan(tuple(action.step for action in self.actions))

    def ip(self, action: str, target: str, words: list[str], **step: Any) -> None:
        """Add a step that is one run of ``ip``."""
        self.actions.append(Action(Step(action, target, **step), "ip", tuple(words)))


class World:
    """The node as it will be once the steps so far are done: the worst that the kernel may do.

    What it foretells too darkly costs a repeated command that changes nothing.
    """

    def __init__(self, now: State) -> None:
        self.links: list[Entry] = copy.deepcopy(now["links"])
        self.addresses: dict[str, list[Entry]] = copy.deepcopy(now["addresses"])
        self.routes: list[Entry] = copy.deepcopy(now["routes"])

    def link(self, name: str) -> Entry | None:
        return next((link for link in self.links if link["name"] == name), None)

    def by_index(self, index: int) -> Entry | None:
        return next((link for link in self.links if link["ifindex"] == index), None)

    def remove(self, name: str) -> None:
        """The link goes, and with it all that was on it."""
        self.links = [link for link in self.links if link["name"] != name]
        for link in self.links:
            if link["master"] == name:
                link["master"] = None
        self.addresses.pop(name, None)
        self._forget_routes(name)

    def down(self, link: Entry) -> None:
        """A link set down loses its routes and its IPv6 addresses."""
        link["up"] = False
        name = link["name"]
        kept = [a for a in self.addresses.get(name, ()) if a["family"] == "inet"]
        self.addresses[name] = kept
        self._forget_routes(name)

    def rename(self, link: Entry, name: str) -> None:
        old = link["name"]
        for other in self.links:
            for key in ("master", "parent"):
                if other[key] == old:
                    other[key] = name
        link["name"] = name
        # The kernel keeps an address's label; one that is the link's own name is no label.
        for address in self.addresses.get(old, ()):
            if address["family"] == "inet":
                label = address["label"] or old
                address["label"] = None if label == name else label
        if old in self.addresses:
            self.addresses[name] = self.addresses.pop(old)

    def drop_address(self, link: str, address: Entry) -> None:
        """An address that goes takes the routes with it that lead over its link."""
        self.addresses[link] = [a for a in self.addresses[link] if a is not address]
        self._forget_routes(link)

    def _forget_routes(self, name: str) -> None:
        self.routes = [r for r in self.routes if name not in devices(r)]


def devices(route: Entry) -> list[str]:
    """The links that a route leads over."""
    words = route["words"]
    return [words[i + 1] for i, word in enumerate(words[:-1]) if word == "dev" and i]


def value(words: list[str], key: str, default: str = "") -> str:
    """The word behind ``key`` in a route or rule."""
    for index in range(1, len(words) - 1):
        if words[index] == key:
            return words[index + 1]
    return default


def is_default(route: Entry) -> bool:
    """Whether a route is a default one of the main table."""
    words = route["words"]
    return bool(
        words[1] == "default" and words[0] == "unicast" and value(words, "table", "main") == "main"
    )
