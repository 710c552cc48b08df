# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A netlink socket, and pyroute2's message codec for what is read from it.

Importing all of pyroute2 takes longer than everything else this module does (asyncio, dozens of
protocols), so only its codec is loaded, with descriptions of just the attributes that are read.
Attribute numbers: include/uapi/linux/{if_link,if_addr,rtnetlink,if_tunnel}.h.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import socket
import struct
import sys
import types
from collections.abc import Iterator
from typing import Any

_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST, DUMP, _DUMP_INTR = 0x1, 0x300, 0x10
_SOL_NETLINK, _GET_STRICT_CHK = 270, 12
_TIMEOUT = 60.0


class Codec:
    """pyroute2's decoder, set up for the three messages that are read."""

    def __init__(self, netlink: Any) -> None:
        self.link = self._message(
            netlink,
            (("family", "B"), ("pad", "B"), ("type", "H"), ("index", "i"), ("flags", "I"),
             ("change", "I")),
            ((1, "ADDRESS", "cdata"), (3, "IFNAME", "cdata"), (4, "MTU", "uint32"),
             (5, "LINK", "uint32"), (10, "MASTER", "uint32"), (16, "OPERSTATE", "uint8"),
             (18, "LINKINFO", "cdata"), (37, "LINK_NETNSID", "cdata"),
             (52, "PROP_LIST", "cdata"), (54, "PERM_ADDRESS", "cdata")),
        )  # fmt: skip
        self.address = self._message(
            netlink,
            (("family", "B"), ("prefixlen", "B"), ("flags", "B"), ("scope", "B"), ("index", "I")),
            ((1, "ADDRESS", "cdata"), (2, "LOCAL", "cdata"), (3, "LABEL", "cdata"),
             (8, "FLAGS", "uint32")),
        )  # fmt: skip
        self.route = self._message(
            netlink,
            (("family", "B"), ("dst_len", "B"), ("src_len", "B"), ("tos", "B"), ("table", "B"),
             ("proto", "B"), ("scope", "B"), ("type", "B"), ("flags", "I")),
            ((4, "OIF", "uint32"), (5, "GATEWAY", "cdata"), (6, "PRIORITY", "uint32"),
             (7, "PREFSRC", "cdata"), (9, "MULTIPATH", "cdata"), (15, "TABLE", "uint32"),
             (18, "VIA", "cdata")),
        )  # fmt: skip

    @staticmethod
    def _message(netlink: Any, fields: Any, attributes: Any) -> Any:
        return type(
            "message", (netlink.nlmsg,), {"prefix": "", "fields": fields, "nla_map": attributes}
        )


def load() -> Codec | None:
    """Return the codec, or None when pyroute2 is not there or not laid out as 0.5 to 0.9 are."""
    name = "pyroute2"
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    known = {module for module in sys.modules if module.split(".")[0] == name}
    if name not in known:
        # The package's own __init__ would import everything.
        bare = types.ModuleType(name)
        bare.__path__ = list(spec.submodule_search_locations)
        bare.__spec__ = spec
        sys.modules[name] = bare
    # Reading leaves nothing on a node, not even compiled files.
    compiling, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        return Codec(importlib.import_module(f"{name}.netlink"))
    except Exception:  # whatever another release does on import: `ip` serves as well
        return None
    finally:
        sys.dont_write_bytecode = compiling
        if name not in known:
            # Nobody else shall find the bare package.
            for module in [m for m in sys.modules if m.split(".")[0] == name and m not in known]:
                del sys.modules[module]


class Socket:
    """A netlink socket of this network namespace."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.settimeout(_TIMEOUT)
        self._socket.bind((0, 0))
        self._sequence = 0
        self.interrupted = False
        # Lets the kernel pick the routes of one table; before 4.20 it lists all, and the reader
        # filters anyway.
        with contextlib.suppress(OSError):
            self._socket.setsockopt(_SOL_NETLINK, _GET_STRICT_CHK, 1)

    def close(self) -> None:
        self._socket.close()

    def ask(self, kind: int, flags: int, body: bytes) -> Iterator[tuple[bytes, int]]:
        """Send a request; yield ``(buffer, offset)`` of each message. Raises OSError on refusal."""
        self._sequence += 1
        header = struct.pack("=IHHII", 16 + len(body), kind, _REQUEST | flags, self._sequence, 0)
        self._socket.send(header + body)
        while True:
            data = self._socket.recv(1 << 17)
            offset = 0
            while offset + 16 <= len(data):
                length, kind, flag, sequence, _port = struct.unpack_from("=IHHII", data, offset)
                if sequence == self._sequence:
                    if flag & _DUMP_INTR:
                        self.interrupted = True
                    if kind in (_NLMSG_DONE, _NLMSG_ERROR):
                        code = struct.unpack_from("=i", data, offset + 16)[0]
                        if code:
                            raise OSError(-code, os.strerror(-code))
                        return
                    yield data, offset
                    if not flags & DUMP:
                        return
                offset += (length + 3) & ~3


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def attributes(data: bytes, offset: int = 0) -> dict[int, list[bytes]]:
    """Split a nested attribute into values by number (flags for nesting and byte order removed)."""
    found: dict[int, list[bytes]] = {}
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4:
            break
        found.setdefault(kind & 0x3FFF, []).append(data[offset + 4 : offset + length])
        offset += (length + 3) & ~3
    return found


def decode(message_type: Any, data: bytes, offset: int) -> dict[str, Any]:
    """Return the fields and the known attributes (the first of each) in one dict."""
    message = message_type(data, offset=offset)
    message.decode()
    values = {name: message[name] for name, _format in message_type.fields}
    for slot in message["attrs"]:
        values.setdefault(slot[0], slot[1])
    return values
