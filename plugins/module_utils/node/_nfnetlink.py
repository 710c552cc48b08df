# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Netlink dumps with the standard library: nf_tables, ipset and interface addresses.

kube-proxy brings its own ``ipset`` and ``nft`` in its image, so a node may well hold sets and
tables without having the tools to list them. The kernel is asked directly instead.

Asking nfnetlink for a subsystem makes the kernel load its module. Callers look at `may_ask` first:
reading must not change a node.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections.abc import Iterator

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12
SUBSYS_IPSET = 6
SUBSYS_NFTABLES = 10

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_REQUEST = 0x1
_DUMP = 0x300
_ERROR = 2
_DONE = 3
_MULTI = 0x2
_INTERRUPTED = 0x10
_TYPE_MASK = 0x3FFF
_TRIES = 5

#: What a kernel answers that has not got the subsystem at all.
NOT_THERE = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT})


class NetlinkError(Exception):
    """The kernel refused or did not answer. ``code`` is an errno, 0 when there is none."""

    def __init__(self, what: str, code: int = 0) -> None:
        super().__init__(what)
        self.code = code


def may_ask(module: str, root: str = "/") -> bool:
    """Whether a question to ``module`` can load nothing.

    True when the module is loaded or built in, and on a kernel without loadable modules, where
    the worst outcome is a refusal.
    """
    name = module.replace("-", "_")
    if os.path.isdir(os.path.join(root, "sys/module", name)):
        return True
    try:
        with open(os.path.join(root, "proc/modules"), encoding="ascii", errors="replace") as file:
            if any(line.split(" ", 1)[0] == name for line in file):
                return True
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return _built_in(name, root)


def _built_in(name: str, root: str) -> bool:
    path = os.path.join(root, "lib/modules", os.uname().release, "modules.builtin")
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            wanted = f"/{name}.ko"
            return any(line.strip().replace("-", "_").endswith(wanted) for line in file)
    except OSError:
        return False


def dump(
    protocol: int,
    message_type: int,
    payload: bytes,
    timeout: float = 10.0,
    flags: int = _DUMP,
) -> list[bytes]:
    """The bodies of all messages of one netlink dump; begun anew when it was interrupted.

    Raises NetlinkError.
    """
    deadline = time.monotonic() + timeout
    for _attempt in range(_TRIES):
        try:
            with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as sock:
                bodies = _one_dump(sock, message_type, payload, flags, deadline)
        except OSError as exc:
            raise NetlinkError(exc.strerror or str(exc), exc.errno or 0) from exc
        if bodies is not None:
            return bodies
    raise NetlinkError("the kernel's tables changed during each of several reads", errno.EINTR)


def _one_dump(
    sock: socket.socket, message_type: int, payload: bytes, flags: int, deadline: float
) -> list[bytes] | None:
    length = _HEADER.size + len(payload)
    sock.bind((0, 0))
    sock.send(_HEADER.pack(length, message_type, _REQUEST | flags, 1, 0) + payload)
    bodies: list[bytes] = []
    interrupted = False
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise NetlinkError("the kernel did not answer in time", errno.ETIMEDOUT)
        sock.settimeout(left)
        data = sock.recv(1 << 20)
        for kind, mflags, body in _messages(data):
            interrupted = interrupted or bool(mflags & _INTERRUPTED)
            if kind == _ERROR:
                code = -struct.unpack_from("=i", body)[0] if len(body) >= 4 else errno.EPROTO
                raise NetlinkError(os.strerror(code), code)
            if kind == _DONE:
                return None if interrupted else bodies
            bodies.append(body)
            if not mflags & _MULTI:
                return bodies


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags, _sequence, _port = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size or offset + length > len(data):
            raise NetlinkError("a netlink message of impossible length", errno.EPROTO)
        yield kind, flags, data[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def attributes(data: bytes, offset: int = 0) -> list[tuple[int, bytes]]:
    """The (type, value) pairs in ``data`` from ``offset``; nesting and byte-order bits removed."""
    found = []
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size or offset + length > len(data):
            break
        found.append((kind & _TYPE_MASK, data[offset + _ATTRIBUTE.size : offset + length]))
        offset += (length + 3) & ~3
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def netfilter(family: int) -> bytes:
    """The nfgenmsg header that every nfnetlink message begins with."""
    return struct.pack(">BBH", family, 0, 0)


def text(value: bytes) -> str:
    """A NUL-terminated name."""
    return value.split(b"\0", 1)[0].decode("utf-8", "replace")


def link_names() -> set[str]:
    """The names of all links. Raises NetlinkError."""
    try:
        return {name for _index, name in socket.if_nameindex()}
    except OSError as exc:
        raise NetlinkError(exc.strerror or str(exc), exc.errno or 0) from exc


def link_addresses(timeout: float = 10.0) -> dict[str, list[tuple[int, str, int]]]:
    """Each link's addresses: name to (scope, address, prefix) in kernel order.

    The address is IFA_LOCAL where there is one, as `ip addr` shows it. Raises NetlinkError.
    """
    try:
        names = dict(socket.if_nameindex())
    except OSError as exc:
        raise NetlinkError(exc.strerror or str(exc), exc.errno or 0) from exc
    found: dict[str, list[tuple[int, str, int]]] = {}
    for body in dump(NETLINK_ROUTE, 22, struct.pack("=BBBBI", 0, 0, 0, 0, 0), timeout):
        if len(body) < 8:
            continue
        family, prefix, _flags, scope, index = struct.unpack_from("=BBBBI", body)
        values = dict(attributes(body, 8))
        raw = values.get(2) or values.get(1)
        if family in (socket.AF_INET, socket.AF_INET6) and raw and index in names:
            address = socket.inet_ntop(family, raw)
            found.setdefault(names[index], []).append((scope, address, prefix))
    return found
