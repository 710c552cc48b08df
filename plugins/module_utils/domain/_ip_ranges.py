# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ranges of addresses as Antrea's ExternalIPPools name them. Pure.

A CIDR is given out without its first and, in IPv4, its last address; of any range Antrea gives out
the first 65536 addresses only. Source: Antrea ``pkg/ipam/ipallocator`` (a pool's allocator),
``pkg/controller/validation`` (the webhook, which compares whole ranges).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._go_net import (
    Address,
    parse_cidr,
    parse_ip,
)

#: How many addresses of one range Antrea gives out at most.
MOST = 65536
_BITS = {4: 32, 6: 128}


@dataclass(frozen=True)
class Range:
    """``first`` to ``last``, of which ``low`` to ``high`` are usable (none if ``low > high``)."""

    version: int
    first: int
    last: int
    low: int
    high: int
    text: str

    @property
    def key(self) -> tuple[int, ...]:
        """What is the same for two spellings of one range, and for nothing else."""
        return (self.version, self.first, self.last, self.low, self.high)

    @property
    def count(self) -> int:
        """How many addresses Antrea gives out."""
        return max(0, min(self.high - self.low + 1, MOST))

    @property
    def capped(self) -> bool:
        """Tell whether it has more addresses than Antrea gives out."""
        return self.high - self.low + 1 > MOST

    def overlaps(self, other: Range) -> bool:
        """Tell whether the two share an address, usable or not."""
        same = self.version == other.version
        return same and self.first <= other.last and other.first <= self.last

    def within(self, other: Range) -> bool:
        """Tell whether all of it lies in ``other``."""
        same = self.version == other.version
        return same and other.first <= self.first and self.last <= other.last

    def usable(self, address: Address) -> bool:
        """Tell whether an address is one of the usable ones."""
        return self.version == address.version and self.low <= address.number <= self.high

    def gives(self, address: Address) -> bool:
        """Tell whether Antrea gives this address out."""
        return self.usable(address) and address.number < self.low + MOST


class BadRange(ValueError):
    """No range; the text says why, and how to write one."""


def parse_range(item: Mapping[str, Any]) -> Range:
    """Return a range of ``{cidr}`` or ``{start, end}``. Raises `BadRange`."""
    cidr, start, end = (item.get(key) or None for key in ("cidr", "start", "end"))
    if cidr and not start and not end:
        return network(str(cidr))
    if cidr or not start or not end:
        raise BadRange("a range is either 'cidr', or 'start' and 'end'")
    low, high = address(str(start)), address(str(end))
    text = f"{start}-{end}"
    if low.version != high.version:
        raise BadRange(f"{text}: start and end are of different families")
    if low.number > high.number:
        raise BadRange(f"{text}: the start is behind the end. Swap them")
    return Range(low.version, low.number, high.number, low.number, high.number, text)


def network(text: str) -> Range:
    """Return the range of a CIDR. Raises `BadRange`."""
    parsed = parse_cidr(text)
    if parsed is None or _mapped(text, parsed):
        raise BadRange(f"{text} is no CIDR. Write it like 172.18.181.32/28 or 2001:db8::/120")
    return span(parsed, text)


def span(inside: Address, text: str | None = None) -> Range:
    """Return the network that an address with its prefix is in."""
    size = 1 << (_BITS[inside.version] - inside.prefix)
    first = inside.number // size * size
    last = first + size - 1
    high = last - 1 if inside.version == 4 else last
    return Range(inside.version, first, last, first + 1, high, text or inside.network)


def address(text: str) -> Address:
    """Return an address. Raises `BadRange`."""
    parsed = parse_ip(text)
    if parsed is None or _mapped(text, parsed):
        raise BadRange(f"{text} is no IP address")
    return parsed


def _mapped(text: str, parsed: Address) -> bool:
    # Antrea's webhook and its allocator read ::ffff:10.0.0.5 differently.
    return parsed.version == 4 and ":" in text


def same_address(one: str | None, other: str | None) -> bool:
    """Tell whether two texts name the same address."""
    if not one or not other:
        return False
    first, second = parse_ip(one), parse_ip(other)
    return one == other if first is None or second is None else first.same_ip(second)


def canonical(item: Mapping[str, Any]) -> dict[str, str]:
    """Return a range as Antrea itself writes it, or as it is if it is none.

    An IPv6 range in another spelling would be added again at each update of its pool.
    """
    try:
        found = parse_range(item)
    except BadRange:
        return {key: str(value) for key, value in item.items() if value}
    if item.get("cidr"):
        inside = parse_cidr(str(item["cidr"]))
        return {"cidr": inside.network if inside else str(item["cidr"])}
    edges = (("start", found.first), ("end", found.last))
    return {key: Address(found.version, number, 0).ip for key, number in edges}


def plain(text: str) -> str:
    """Return an address as Antrea itself writes it, or the text if it is none."""
    parsed = parse_ip(text)
    return text if parsed is None or _mapped(text, parsed) else parsed.ip


def readable(items: Iterable[Mapping[str, Any]]) -> list[Range]:
    """Return the ranges of an object that is there, without what is none."""
    found = []
    for item in items:
        try:
            found.append(parse_range(item))
        except BadRange:
            continue
    return found
