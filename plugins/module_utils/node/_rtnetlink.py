# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Links, addresses and routes over rtnetlink, with pyroute2's message codec.

Attribute numbers: include/uapi/linux/{if_link,if_addr,rtnetlink,if_tunnel}.h.
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any

from . import _links, _netlink

_RTM_GETLINK, _RTM_GETADDR, _RTM_GETROUTE = 18, 22, 26
_IFF_UP, _IFF_LOOPBACK, _IFF_LOWER_UP = 0x1, 0x8, 0x10000
_MAIN = 254
_CLONED = 0x200
_EXT_MASK, _SKIP_STATS = 29, 8

_OPERSTATES = (
    "unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up",
)  # fmt: skip
_SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
_FAMILIES = {int(socket.AF_INET): "inet", int(socket.AF_INET6): "inet6"}
_REFUSING = {6: "blackhole", 7: "unreachable", 8: "prohibit", 9: "throw"}
_UNICAST = 1
# The C library's texts, spelled out since Ansible sets the node's locale.
_ERRORS = {
    13: "Permission denied",
    22: "Invalid argument",
    95: "Operation not supported",
    97: "Address family not supported by protocol",
    101: "Network is unreachable",
    113: "No route to host",
}


def read(codec: _netlink.Codec, targets: list[tuple[str, str]]) -> _links.Snapshot:
    """Read links with addresses, default routes and the route to each ``(family, address)``.

    Raises `_links.ReadError` when the kernel refuses to list.
    """
    try:
        channel = _netlink.Socket()
        try:
            return _read(codec, channel, targets)
        finally:
            channel.close()
    except OSError as error:
        raise _links.ReadError(
            f"Cannot read the network interfaces over netlink: {error}. Without the Python "
            "package pyroute2 on the node, the program 'ip' is used instead."
        ) from None


def _read(
    codec: _netlink.Codec, channel: _netlink.Socket, targets: list[tuple[str, str]]
) -> _links.Snapshot:
    request = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + _netlink.attribute(
        _EXT_MASK, struct.pack("=I", _SKIP_STATS)
    )
    links: dict[int, dict[str, Any]] = {}
    for data, offset in channel.ask(_RTM_GETLINK, _netlink.DUMP, request):
        message = _netlink.decode(codec.link, data, offset)
        links[message["index"]] = _link(message)
    names = {index: link["name"] for index, link in links.items()}
    for link in links.values():
        for key in ("master", "link"):
            link[key] = names.get(link[key])
    for data, offset in channel.ask(
        _RTM_GETADDR, _netlink.DUMP, struct.pack("=BBBBI", 0, 0, 0, 0, 0)
    ):
        message = _netlink.decode(codec.address, data, offset)
        owner = links.get(message["index"])
        if owner is not None and message["family"] in _FAMILIES:
            owner["addresses"].append(_address(message, owner["name"]))
    routes = {
        family: _links.sort_routes(_default_routes(codec, channel, number, names))
        for number, family in _FAMILIES.items()
    }
    found = [_look_up(codec, channel, family, address, names) for family, address in targets]
    return _links.Snapshot(list(links.values()), routes, found, channel.interrupted)


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "backslashreplace")


def _mac(value: bytes | None) -> str | None:
    """Return a hardware address; tunnels have IP addresses in this place, loopback only zeros."""
    if not value or len(value) in (4, 16) or not any(value):
        return None
    return value.hex(":")


def _ip(value: bytes | None) -> str | None:
    if not value or len(value) not in (4, 16):
        return None
    return socket.inet_ntop(socket.AF_INET if len(value) == 4 else socket.AF_INET6, value)


def _link(message: dict[str, Any]) -> dict[str, Any]:
    flags = message["flags"]
    information = _netlink.attributes(message.get("LINKINFO", b""))
    kind = _text(information[1][0]) if 1 in information else None
    data = _netlink.attributes(information[2][0]) if 2 in information else {}
    properties = _netlink.attributes(message.get("PROP_LIST", b""))
    state = message.get("OPERSTATE", 0)
    # The kernel names a VXLAN's lower device among its own settings only.
    lower = _number(data, 3) if kind == "vxlan" else message.get("LINK")
    return {
        "name": _text(message["IFNAME"]),
        "ifindex": message["index"],
        "mac": _mac(message.get("ADDRESS")),
        "permanent_mac": _mac(message.get("PERM_ADDRESS")),
        "mtu": message.get("MTU"),
        "up": bool(flags & _IFF_UP),
        "lower_up": bool(flags & _IFF_LOWER_UP),
        "operstate": _OPERSTATES[state] if state < len(_OPERSTATES) else str(state),
        "master": message.get("MASTER"),
        "link": None if "LINK_NETNSID" in message else lower,
        "loopback": bool(flags & _IFF_LOOPBACK),
        "info_kind": kind,
        "vlan_id": _number(data, 1) if kind == "vlan" else None,
        "tun_type": {1: "tun", 2: "tap"}.get(_number(data, 3) or 0) if kind == "tun" else None,
        "tunnel": _tunnel(kind, data) if kind in _links.TUNNELS else None,
        "altnames": [_text(name) for name in properties.get(53, [])],
        "addresses": [],
    }


def _number(data: dict[int, list[bytes]], kind: int, big: bool = False) -> int | None:
    if kind not in data:
        return None
    return int.from_bytes(data[kind][0], "big" if big else sys.byteorder)


def _first(data: dict[int, list[bytes]], *kinds: int) -> str | None:
    """Return the first of some attributes that holds a specified IP address."""
    for kind in kinds:
        value = data.get(kind, [b""])[0]
        if any(value):
            return _ip(value)
    return None


def _tunnel(kind: str, data: dict[int, list[bytes]]) -> dict[str, Any]:
    if kind == "vxlan":
        number = None if _number(data, 25) else _number(data, 1)
        return _links.tunnel(
            number=number,
            local=_first(data, 4, 17),
            remote=_first(data, 2, 16),
            port=_number(data, 15, big=True),
        )
    if kind == "geneve":
        return _links.tunnel(
            number=None if 6 in data else _number(data, 1),
            local=None,
            remote=_first(data, 2, 7),
            port=_number(data, 5, big=True),
        )
    if "gre" in kind or "erspan" in kind:
        # A key is only in use when the flag says so.
        keyed = (_number(data, 2, big=True) or 0) & 0x2000
        number = _number(data, 4, big=True) if keyed and 18 not in data else None
        return _links.tunnel(
            number=number, local=_first(data, 6), remote=_first(data, 7), port=None
        )
    local, remote = (4, 5) if kind.startswith("vti") else (2, 3)
    return _links.tunnel(
        number=None, local=_first(data, local), remote=_first(data, remote), port=None
    )


def _address(message: dict[str, Any], name: str) -> dict[str, Any]:
    family = _FAMILIES[message["family"]]
    bits = message.get("FLAGS", message["flags"])
    label = message.get("LABEL")
    return _links.address(
        family=family,
        address=_ip(message.get("LOCAL", message.get("ADDRESS"))) or "",
        prefix=message["prefixlen"],
        scope=_SCOPES.get(message["scope"], str(message["scope"])),
        flags=[flag for bit, flag in _links.FLAG_BITS[family] if bits & bit],
        label=None if label is None else _text(label),
        name=name,
    )


def _default_routes(
    codec: _netlink.Codec, channel: _netlink.Socket, family: int, names: dict[int, str]
) -> list[dict[str, Any]]:
    body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, _MAIN, 0, 0, 0, 0)
    found: list[dict[str, Any]] = []
    try:
        for data, offset in channel.ask(_RTM_GETROUTE, _netlink.DUMP, body):
            # Most routes of a big table are no default: a look at two bytes saves decoding them.
            if data[offset + 16] != family or data[offset + 17] != 0:
                continue
            message = _netlink.decode(codec.route, data, offset)
            table = message.get("TABLE", message["table"])
            if table == _MAIN and message["type"] == _UNICAST and not message["flags"] & _CLONED:
                found.extend(_hops(message, names))
    except OSError as error:
        # A kernel without IPv6, or a table that does not exist yet, has no default routes.
        if error.errno not in (2, 95, 97):
            raise
    return found


def _hops(message: dict[str, Any], names: dict[int, str]) -> list[dict[str, Any]]:
    hops = [(message.get("OIF"), message.get("GATEWAY"), message.get("VIA"))]
    blob = message.get("MULTIPATH", b"")
    if blob:
        hops = []
        offset = 0
        while offset + 8 <= len(blob):
            length, _flags, _weight, index = struct.unpack_from("=HBBi", blob, offset)
            values = _netlink.attributes(blob[offset : offset + length], 8)
            hops.append((index, values.get(5, [None])[0], values.get(18, [None])[0]))
            offset += max((length + 3) & ~3, 8)
    return [
        _links.route(
            gateway=_gateway(gateway, via),
            interface=names.get(index or 0),
            metric=message.get("PRIORITY", 0),
            source=_ip(message.get("PREFSRC")),
        )
        for index, gateway, via in hops
    ]


def _gateway(gateway: bytes | None, via: bytes | None) -> str | None:
    return _ip(gateway) or (_ip(via[2:]) if via else None)


def _look_up(
    codec: _netlink.Codec,
    channel: _netlink.Socket,
    family: str,
    address: str,
    names: dict[int, str],
) -> dict[str, Any]:
    number = socket.AF_INET if family == "inet" else socket.AF_INET6
    packed = socket.inet_pton(number, address)
    body = struct.pack("=BBBBBBBBI", number, len(packed) * 8, 0, 0, 0, 0, 0, 0, 0)
    try:
        answers = list(channel.ask(_RTM_GETROUTE, 0, body + _netlink.attribute(1, packed)))
    except OSError as error:
        code = error.errno or 0
        return _links.found(error=_ERRORS.get(code, error.strerror))
    if not answers:
        return _links.found(error="no route")
    message = _netlink.decode(codec.route, *answers[0])
    if message["type"] in _REFUSING:
        return _links.found(error=_links.REFUSING[_REFUSING[message["type"]]])
    return _links.found(
        source=_ip(message.get("PREFSRC")),
        interface=names.get(message.get("OIF", 0)),
        gateway=_gateway(message.get("GATEWAY"), message.get("VIA")),
    )
