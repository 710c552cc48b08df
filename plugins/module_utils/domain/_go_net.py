# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""IP addresses as Go's package net reads, classifies and writes them.

Python's ``ipaddress`` answers other questions: its ``is_global`` is False for 10.0.0.5, where Go's
IsGlobalUnicast is true. And to Go ::ffff:10.0.0.5 is the IPv4 address 10.0.0.5.

Source: net.ParseIP, net.ParseCIDR, IP.IsGlobalUnicast, IPNet.String of Go 1.26.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

_MAPPED = 0xFFFF << 32
_BITS = {4: 32, 6: 128}


class Address(NamedTuple):
    """An address with the length of its network's prefix."""

    version: int
    number: int
    prefix: int

    @property
    def ip(self) -> str:
        """The address alone, in Go's spelling."""
        if self.version == 4:
            return str(ipaddress.IPv4Address(self.number))
        return str(ipaddress.IPv6Address(self.number))

    def __str__(self) -> str:
        return f"{self.ip}/{self.prefix}"

    def same_ip(self, other: Address) -> bool:
        """Whether both are the same address, whatever their prefixes."""
        return self.version == other.version and self.number == other.number

    def contains(self, other: Address) -> bool:
        """Whether *other* is in this address's network."""
        shift = _BITS[self.version] - self.prefix
        return self.version == other.version and self.number >> shift == other.number >> shift

    @property
    def network(self) -> str:
        """The network, with the host bits cleared."""
        shift = _BITS[self.version] - self.prefix
        return str(self._replace(number=self.number >> shift << shift))

    def unusable(self) -> str | None:
        """Why Go's IsGlobalUnicast is false, as one word; None when it is true.

        Private, shared (100.64/10), unique-local and class E addresses are true to Go.
        """
        top = self.number >> (_BITS[self.version] - 32)
        if self.number == 0:
            return "unspecified"
        if self.version == 4:
            if self.number == 0xFFFFFFFF:
                return "broadcast"
            loopback, multicast, link_local = top >> 24 == 127, top >> 28 == 14, top >> 16 == 0xA9FE
        else:
            loopback, multicast = self.number == 1, top >> 24 == 0xFF
            link_local = top >> 22 == 0xFE80 >> 6
        if loopback:
            return "loopback"
        if multicast:
            return "multicast"
        return "link-local" if link_local else None


def parse_ip(text: str) -> Address | None:
    """An address without prefix; it gets /32 or /128. None: Go would not parse it."""
    if "%" in text:
        return None
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    return _address(parsed.version, int(parsed), parsed.max_prefixlen)


def parse_cidr(text: str) -> Address | None:
    """An address with prefix, its host bits kept. None: Go would not parse it."""
    parsed = _split(text)
    return _address(*parsed) if parsed else None


def parse_network(text: str) -> Address | None:
    """A network to look into with :meth:`Address.contains`. None: Go would not parse it.

    Other than an address, an IPv4-mapped network shorter than /96 is an IPv6 network.
    """
    parsed = _split(text)
    if parsed is None:
        return None
    return Address(*parsed) if parsed[0] == 6 and parsed[2] < 96 else _address(*parsed)


def _split(text: str) -> tuple[int, int, int] | None:
    ip, slash, length = text.partition("/")
    digits = length.isascii() and length.isdigit() and len(length.lstrip("0")) <= 3
    if not slash or "%" in ip or not digits:
        return None
    try:
        parsed = ipaddress.ip_address(ip)
    except ValueError:
        return None
    prefix = int(length)
    return (parsed.version, int(parsed), prefix) if prefix <= parsed.max_prefixlen else None


def _address(version: int, number: int, prefix: int) -> Address:
    if version == 6 and number >> 32 == 0xFFFF:
        return Address(4, number - _MAPPED, max(0, prefix - 96))
    return Address(version, number, prefix)
