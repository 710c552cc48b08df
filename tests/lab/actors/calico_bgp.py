# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""BGP sessions of the lab's calico-node: real TCP connections on port 179, and little else of BGP.

Each node listens, and tries to reach every peer from its own stored address, as BIRD does in the
full mesh. A connection says OPEN and then KEEPALIVE (RFC 4271); it stands while the other side does
too. Of two connections with one peer the one that the higher address opened stays.
Source: projectcalico/calico ``confd/etc/calico/confd/templates/bird.cfg.template``.
"""

from __future__ import annotations

import errno
import ipaddress
import selectors
import socket
import struct
import threading
import time

PORT = 179
KEEPALIVE_SECONDS, HOLD_SECONDS = 1.0, 9.0
CONNECT_SECONDS, RETRY_SECONDS = 3.0, 0.5
_TICK = 0.2
_MARKER = b"\xff" * 16
_OPEN, _KEEPALIVE = 1, 4
_AS = 64512


def message(kind: int, body: bytes = b"") -> bytes:
    """Return a BGP message: marker, length, type, body."""
    return _MARKER + struct.pack("!HB", 19 + len(body), kind) + body


def opening(local: str) -> bytes:
    """Return OPEN: version 4, AS, hold time, identifier, no options."""
    packed = ipaddress.ip_address(local).packed
    return message(_OPEN, struct.pack("!BHH4sB", 4, _AS, int(HOLD_SECONDS), packed[-4:], 0))


def kinds(data: bytes) -> tuple[list[int], bytes]:
    """Return the types of the complete messages in a stream, and the rest. Raises ValueError."""
    found = []
    while len(data) >= 19:
        length, kind = struct.unpack_from("!HB", data, 16)
        if data[:16] != _MARKER or not 19 <= length <= 4096:
            raise ValueError("no BGP")
        if len(data) < length:
            break
        found.append(kind)
        data = data[length:]
    return found, data


class _Session:
    def __init__(self, link: socket.socket, peer: str, *, outgoing: bool) -> None:
        self.link = link
        self.peer = peer
        self.outgoing = outgoing
        self.connected = not outgoing
        self.up = False
        self.since = self.heard = time.monotonic()
        self.said = 0.0
        self.rest = b""


class Mesh:
    """The sessions of one family, kept by a thread of its own."""

    def __init__(self, family: int, port: int = PORT) -> None:
        self.family = socket.AF_INET if family == 4 else socket.AF_INET6
        self.port = port
        self._lock = threading.Lock()
        self._local: str | None = None
        self._peers: frozenset[str] = frozenset()
        self._again = False
        self._up: frozenset[str] = frozenset()
        self._sessions: list[_Session] = []
        self._tried: dict[str, float] = {}
        self._selector = selectors.DefaultSelector()
        self._ended = threading.Event()
        self._listener = self._listen()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def want(self, local: str | None, peers: set[str]) -> None:
        """Set both ends; sessions that are not among them end."""
        with self._lock:
            self._local, self._peers = local, frozenset(peers)

    def restart(self) -> None:
        """End all sessions, as a new BIRD does, and begin anew."""
        with self._lock:
            self._again = True

    def established(self) -> frozenset[str]:
        """Return the peers with which a session stands."""
        return self._up

    def close(self) -> None:
        self._ended.set()
        self._thread.join(5)

    def _listen(self) -> socket.socket:
        link = socket.socket(self.family, socket.SOCK_STREAM)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.family == socket.AF_INET6:
            link.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        link.bind(("", self.port))
        link.listen(64)
        link.setblocking(False)
        self._selector.register(link, selectors.EVENT_READ, None)
        return link

    def _run(self) -> None:
        while not self._ended.is_set():
            self._step()
        for session in list(self._sessions):
            self._drop(session)
        self._selector.unregister(self._listener)
        self._listener.close()
        self._selector.close()

    def _step(self) -> None:
        with self._lock:
            local, peers, again, self._again = self._local, self._peers, self._again, False
        now = time.monotonic()
        for session in list(self._sessions):
            if again or not self._fits(session, local, peers) or self._late(session, now):
                self._drop(session)
            elif session.connected and now - session.said >= KEEPALIVE_SECONDS:
                self._say(session, message(_KEEPALIVE), now)
        self._one_each(local)
        for peer in peers if local else ():
            if not any(session.peer == peer for session in self._sessions):
                self._connect(str(local), peer, now)
        self._up = frozenset(session.peer for session in self._sessions if session.up)
        for key, events in self._selector.select(_TICK):
            if key.data is None:
                self._accept(local, peers)
            elif key.data in self._sessions:
                self._progress(key.data, events, str(local))
        self._up = frozenset(session.peer for session in self._sessions if session.up)

    @staticmethod
    def _fits(session: _Session, local: str | None, peers: frozenset[str]) -> bool:
        if local is None or session.peer not in peers:
            return False
        return not session.connected or str(session.link.getsockname()[0]) == local

    @staticmethod
    def _late(session: _Session, now: float) -> bool:
        limit = HOLD_SECONDS if session.up else CONNECT_SECONDS
        return now - (session.heard if session.up else session.since) > limit

    def _one_each(self, local: str | None) -> None:
        """Keep of several sessions with one peer that which the higher address opened."""
        for peer in {session.peer for session in self._sessions if session.up}:
            mine = [session for session in self._sessions if session.peer == peer and session.up]
            ends = [ipaddress.ip_address(end).packed for end in (str(local), peer)]
            higher = ends[0] > ends[1]
            mine.sort(key=lambda session: session.outgoing != higher)
            for session in mine[1:]:
                self._drop(session)

    def _connect(self, local: str, peer: str, now: float) -> None:
        if now - self._tried.get(peer, -RETRY_SECONDS) < RETRY_SECONDS:
            return
        self._tried[peer] = now
        link = socket.socket(self.family, socket.SOCK_STREAM)
        link.setblocking(False)
        try:
            link.bind((local, 0))
            code = link.connect_ex((peer, self.port))
        except OSError as error:  # the address has gone from the node
            code = error.errno or errno.EINVAL
        if code not in (0, errno.EINPROGRESS):
            link.close()
            return
        self._add(_Session(link, peer, outgoing=True), selectors.EVENT_WRITE)

    def _accept(self, local: str | None, peers: frozenset[str]) -> None:
        try:
            link, (address, *_rest) = self._listener.accept()
        except OSError:
            return
        if address not in peers or link.getsockname()[0] != local:
            link.close()  # nobody that we know
            return
        link.setblocking(False)
        session = _Session(link, str(address), outgoing=False)
        self._add(session, selectors.EVENT_READ)
        self._say(session, opening(str(local)), time.monotonic())

    def _add(self, session: _Session, events: int) -> None:
        self._sessions.append(session)
        self._selector.register(session.link, events, session)

    def _progress(self, session: _Session, events: int, local: str) -> None:
        now = time.monotonic()
        if not session.connected:
            if session.link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._drop(session)
                return
            session.connected = True
            self._selector.modify(session.link, selectors.EVENT_READ, session)
            self._say(session, opening(local), now)
            return
        try:
            data = session.link.recv(4096)
            found, session.rest = kinds(session.rest + data)
        except (OSError, ValueError):
            self._drop(session)
            return
        if not data:
            self._drop(session)
            return
        session.heard = now
        session.up = session.up or _OPEN in found

    def _say(self, session: _Session, data: bytes, now: float) -> None:
        session.said = now
        try:
            session.link.send(data)
        except OSError:
            self._drop(session)

    def _drop(self, session: _Session) -> None:
        if session in self._sessions:
            self._sessions.remove(session)
            self._selector.unregister(session.link)
            session.link.close()
