# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The frames that ask whether a VLAN reaches a NIC, and what is read from those that come in. Pure.

IPv4: ARP probe of RFC 5227, whose sender address is 0.0.0.0 so that nobody's neighbour table takes
it. IPv6: the neighbour solicitation of RFC 4862's duplicate address detection, from ``::``. Whoever
has the address answers both, and nothing has to be configured on the NIC that asks.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import NamedTuple, Union

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

BROADCAST = b"\xff" * 6
_ARP, _IPV6, _VLAN, _SERVICE_VLAN = 0x0806, 0x86DD, 0x8100, 0x88A8
_ICMPV6, _SOLICITATION, _ADVERTISEMENT = 58, 135, 136
_REQUEST, _REPLY = 1, 2
_ARP_BODY = struct.Struct("!HHBBH6s4s6s4s")
_ARP_HEAD = (1, 0x0800, 6, 4)
_NOBODY = ipaddress.IPv4Address(0)


class Seen(NamedTuple):
    """A frame that came in.

    ``tag`` is its VLAN, None for none. ``kind`` is ``answer`` (``address`` has ``mac``), ``probe``
    (``mac`` asks who has ``address``) or ``other`` (then ``address`` is None).
    """

    mac: bytes
    tag: int | None
    kind: str = "other"
    address: Address | None = None


def probe(mac: bytes, tag: int | None, target: Address) -> bytes:
    """Return the frame that asks who has ``target``, with a VLAN tag unless ``tag`` is None."""
    if isinstance(target, ipaddress.IPv4Address):
        body = _ARP_BODY.pack(*_ARP_HEAD, _REQUEST, mac, _NOBODY.packed, b"\0" * 6, target.packed)
        to, kind = BROADCAST, _ARP
    else:
        last = target.packed[-3:]
        group = ipaddress.IPv6Address("ff02::1:ff00:0").packed[:13] + last
        to, kind = b"\x33\x33\xff" + last, _IPV6
        body = _solicitation(group, target.packed)
    head = b"" if tag is None else struct.pack("!HH", _VLAN, tag)
    return (to + mac + head + struct.pack("!H", kind) + body).ljust(60, b"\0")


def _solicitation(group: bytes, target: bytes) -> bytes:
    nobody = b"\0" * 16
    message = struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + target
    pseudo = nobody + group + struct.pack("!II", len(message), _ICMPV6)
    message = struct.pack("!BBHI", _SOLICITATION, 0, _checksum(pseudo + message), 0) + target
    return struct.pack("!IHBB", 6 << 28, len(message), _ICMPV6, 255) + nobody + group + message


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def read(frame: bytes, stripped: int | None) -> Seen | None:
    """Return what a frame says, None for one that is no Ethernet frame.

    :param stripped: the VLAN whose tag the kernel has taken off already, None for none.
    """
    if len(frame) < 14:
        return None
    mac, kind, start, tag = frame[6:12], int.from_bytes(frame[12:14], "big"), 14, stripped
    while kind in (_VLAN, _SERVICE_VLAN) and len(frame) >= start + 4:
        inner = int.from_bytes(frame[start : start + 2], "big") & 0xFFF
        kind = int.from_bytes(frame[start + 2 : start + 4], "big")
        tag = inner if tag is None else tag
        start += 4
    tag = tag or None  # VLAN 0 is a priority without a VLAN
    body = frame[start:]
    if kind == _ARP and len(body) >= _ARP_BODY.size:
        return _arp(body, tag)
    if kind == _IPV6 and len(body) >= 64 and body[6] == _ICMPV6 and body[7] == 255:
        address = ipaddress.IPv6Address(body[48:64])
        if body[40] == _ADVERTISEMENT:
            return Seen(mac, tag, "answer", address)
        if body[40] == _SOLICITATION:
            return Seen(mac, tag, "probe", address)
    return Seen(mac, tag)


def _arp(body: bytes, tag: int | None) -> Seen:
    *head, operation, mac, sender, _to, wanted = _ARP_BODY.unpack_from(body)
    if tuple(head) == _ARP_HEAD and operation == _REPLY:
        return Seen(mac, tag, "answer", ipaddress.IPv4Address(sender))
    if tuple(head) == _ARP_HEAD and operation == _REQUEST:
        return Seen(mac, tag, "probe", ipaddress.IPv4Address(wanted))
    return Seen(mac, tag)


def mac_text(mac: bytes) -> str:
    """Return ``02:00:...`` as the kernel writes it."""
    return mac.hex(":")


def mac_bytes(text: str) -> bytes:
    """Return the six bytes. Raises ValueError that says what is wrong."""
    parts = text.split(":")
    if len(parts) != 6 or any(len(part) != 2 for part in parts):
        raise ValueError(f"'{text}' is no MAC address such as 02:00:00:00:00:01")
    try:
        return bytes(int(part, 16) for part in parts)
    except ValueError:
        raise ValueError(f"'{text}' is no MAC address such as 02:00:00:00:00:01") from None
