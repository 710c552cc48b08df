# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the cookies of a bridge's flows over OpenFlow, from ``<bridge>.mgmt`` beside OVSDB.

A node under Antrea has no ``ovs-ofctl``. ovs-vswitchd speaks OpenFlow there with anybody who may
open the socket, also while flow-restore-wait is set. ``ovs-appctl bridge/dump-flows`` would be
simpler, but Open vSwitch 2 leaves the cookies out of it. Layouts: OpenFlow 1.0 to 1.5, "flow
statistics" (1.5: "flow descriptions"); 1.1 is not offered, its match is of another shape.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator

_HELLO, _ERROR, _ECHO_REQUEST, _ECHO_REPLY = 0, 1, 2, 3
_HEADER = struct.Struct("!BBHI")
_VERSIONS = (1, 3, 4, 5, 6)
#: Per version: message type of request and reply, bytes before the entries, offset of the cookie.
_V10 = (16, 17, 12, 64)
_V12 = (18, 19, 16, 24)
_V15 = (18, 19, 16, 16)
_MORE = 1
MAX_BYTES = 16 * 1024 * 1024
MAX_FLOWS = 200_000


class OpenFlowError(Exception):
    """The flows could not be read; the text says why."""


def cookies(path: str, timeout: float = 5.0) -> Iterator[int]:
    """Yield the cookie of each flow of the bridge whose management socket is ``path``.

    Bounded in time, bytes and flows. Close the iterator as soon as the answer is known.
    Raises OpenFlowError.
    """
    deadline = time.monotonic() + timeout
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.setblocking(False)
            sock.connect(path)
        except BlockingIOError:
            raise OpenFlowError("its queue of connections is full") from None
        except (OSError, ValueError) as exc:
            text = getattr(exc, "strerror", None) or str(exc)
            raise OpenFlowError(f"{os.path.basename(path)}: {text}") from None
        yield from _Talk(sock, deadline, timeout).flows()


def find(path: str, wanted: Callable[[int], bool], timeout: float = 5.0) -> tuple[bool, int]:
    """Whether a flow has a cookie that is ``wanted``, and how many flows were looked at.

    Raises OpenFlowError.
    """
    count = 0
    for cookie in cookies(path, timeout):
        count += 1
        if wanted(cookie):
            return True, count
    return False, count


class _Talk:
    """One conversation."""

    def __init__(self, sock: socket.socket, deadline: float, timeout: float) -> None:
        self._socket = sock
        self._deadline = deadline
        self._timeout = timeout
        self._buffer = bytearray()
        self._received = 0

    def flows(self) -> Iterator[int]:
        self._send(_HELLO, _VERSIONS[-1], 1, struct.pack("!HHI", 1, 8, _bitmap()))
        version = self._negotiated()
        kind, expected, body, cookie = {1: _V10, 6: _V15}.get(version, _V12)
        self._send(kind, version, 2, _request(version))
        count, more = 0, True
        while more:
            got, data = self._message(2)
            if got != expected:
                raise OpenFlowError(f"an answer of type {got} to a request for flows")
            if len(data) < body - _HEADER.size or data[:2] != b"\0\1":
                raise OpenFlowError("an answer that is not about flows")
            more = bool(struct.unpack_from("!H", data, 2)[0] & _MORE)
            for value in _entries(data, body - _HEADER.size, cookie):
                count += 1
                if count > MAX_FLOWS:
                    raise OpenFlowError(f"more than {MAX_FLOWS} flows, none of them wanted")
                yield value

    def _negotiated(self) -> int:
        version, kind, _xid, data = self._raw()
        if kind != _HELLO:
            raise OpenFlowError(f"a greeting of type {kind}: not OpenFlow")
        theirs = _offered(data)
        if theirs is None:
            common = [v for v in _VERSIONS if v <= version]
        else:
            common = [v for v in _VERSIONS if theirs >> v & 1]
        if not common:
            raise OpenFlowError("no version of OpenFlow in common")
        return common[-1]

    def _message(self, xid: int) -> tuple[int, bytes]:
        """The next message that answers request ``xid``: type, body."""
        while True:
            version, kind, number, data = self._raw()
            if kind == _ECHO_REQUEST:
                self._send(_ECHO_REPLY, version, number, data)
            elif kind == _ERROR:
                code = ", ".join(str(n) for n in struct.unpack("!HH", data[:4].ljust(4, b"\0")))
                raise OpenFlowError(f"it refused (error {code})")
            elif number == xid:
                return kind, data
            # Anything else, a port that comes up for instance, is told to everybody.

    def _raw(self) -> tuple[int, int, int, bytes]:
        """The next message: version, type, transaction, body."""
        self._fill(_HEADER.size)
        version, kind, length, xid = _HEADER.unpack_from(self._buffer)
        if length < _HEADER.size or not 1 <= version <= 32:
            raise OpenFlowError("not OpenFlow")
        self._fill(length)
        data = bytes(self._buffer[_HEADER.size : length])
        del self._buffer[:length]
        return version, kind, xid, data

    def _fill(self, size: int) -> None:
        while len(self._buffer) < size:
            self._wait(select.POLLIN)
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                continue
            except OSError as exc:
                raise OpenFlowError(f"it hung up ({exc.strerror})") from None
            if not data:
                raise OpenFlowError("it hung up")
            self._received += len(data)
            if self._received > MAX_BYTES:
                raise OpenFlowError(f"more than {MAX_BYTES} bytes of flows, none of them wanted")
            self._buffer += data

    def _send(self, kind: int, version: int, xid: int, body: bytes) -> None:
        data = memoryview(_HEADER.pack(version, kind, _HEADER.size + len(body), xid) + body)
        while data:
            self._wait(select.POLLOUT)
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                continue
            except OSError:
                return  # What it said before it hung up can still be read.

    def _wait(self, event: int) -> None:
        poller = select.poll()
        poller.register(self._socket, event)
        left = self._deadline - time.monotonic()
        if left <= 0 or not poller.poll(max(1, int(left * 1000))):
            raise OpenFlowError(f"ovs-vswitchd did not answer within {self._timeout:g} s")


def _bitmap() -> int:
    return sum(1 << version for version in _VERSIONS)


def _offered(hello: bytes) -> int | None:
    """The bitmap of versions in a greeting; None in an old greeting without one."""
    offset = 0
    while offset + 4 <= len(hello):
        kind, length = struct.unpack_from("!HH", hello, offset)
        if length < 4 or offset + length > len(hello):
            raise OpenFlowError("a broken greeting")
        if kind == 1 and length >= 8:
            return int(struct.unpack_from("!I", hello, offset + 4)[0])
        offset += (length + 7) & ~7
    return None


def _request(version: int) -> bytes:
    """All flows of all tables, whatever they match."""
    if version == 1:
        match = struct.pack("!I36x", (1 << 22) - 1)
        return struct.pack("!HH", 1, 0) + match + struct.pack("!BxH", 0xFF, 0xFFFF)
    anything = struct.pack("!HH4x", 1, 4)
    head = struct.pack("!HH4xB3xII4x", 1, 0, 0xFF, 0xFFFFFFFF, 0xFFFFFFFF)
    return head + struct.pack("!QQ", 0, 0) + anything


def _entries(data: bytes, offset: int, cookie: int) -> Iterator[int]:
    while offset < len(data):
        length = struct.unpack_from("!H", data, offset)[0] if offset + 2 <= len(data) else 0
        if length < cookie + 8 or offset + length > len(data):
            raise OpenFlowError("a broken list of flows")
        yield int(struct.unpack_from("!Q", data, offset + cookie)[0])
        offset += length
