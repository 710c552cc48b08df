# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which addresses answer from this node: ICMP echo, and TCP where that is filtered.

All targets at once in one loop, at a bounded rate: a thousand nodes that probe a thousand others
must not look like a flood, nor take longer than a few seconds.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import os
import resource
import selectors
import socket
import struct
import time
from collections import deque
from typing import Any, NamedTuple

from ..domain import _probe as words

_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_PROTOCOLS = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}
_SOL_RAW, _ICMP_FILTER, _ICMP6_FILTER = 255, 1, 1
_RECEIVE_BUFFER = 4 << 20
_MOST_CONNECTIONS = 400
_BURST = 0.02
_BUSY = (errno.EAGAIN, errno.ENOBUFS, errno.EINTR)
#: Errors of a connection that prove that the host at the other end is there.
_ANSWERS = (0, errno.ECONNREFUSED)
_TEXTS = {
    errno.EACCES: "Permission denied",
    errno.EPERM: "Operation not permitted",
    errno.ENETUNREACH: "Network is unreachable",
    errno.EHOSTUNREACH: "No route to host",
    errno.ETIMEDOUT: "Connection timed out",
    errno.EADDRNOTAVAIL: "Cannot assign requested address",
}


class Limits(NamedTuple):
    """``timeout``: seconds to wait for each answer; ``attempts``: echo requests per target at most;
    ``rate``: packets a second; ``deadline``: seconds for everything."""

    timeout: float = 1.0
    attempts: int = 2
    rate: int = 1000
    deadline: float = 30.0


class _Target:
    def __init__(self, index: int, where: words.Address) -> None:
        self.index = index
        self.where = where
        self.echoes = 0  # sent or given up
        self.sent = 0
        self.sent_at = 0.0
        self.ports: list[int] = []
        self.links: dict[socket.socket, tuple[int, float]] = {}
        self.reasons: list[str] = []
        self.stage = 0
        self.answer: dict[str, Any] | None = None


class _Echo:
    """The ICMP socket of one family; ``error`` says why there is none."""

    def __init__(self, family: int, source: str | None) -> None:
        self.family = family
        self.token = os.urandom(8)
        self.ident = struct.unpack("!H", os.urandom(2))[0]
        self.with_header = False
        self.error: str | None = None
        self.socket: socket.socket | None = None
        for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM):
            try:
                self.socket = self._open(kind, source)
            except OSError as error:
                self.error = self.error or f"cannot open an ICMP socket: {reason(error)}"
                continue
            self.with_header = kind == socket.SOCK_RAW and family == 4
            self.error = None
            break

    def _open(self, kind: int, source: str | None) -> socket.socket:
        made = socket.socket(_FAMILIES[self.family], kind, _PROTOCOLS[self.family])
        try:
            made.setblocking(False)
            # Every raw socket gets a copy of all ICMP that arrives: take echo replies only.
            if kind == socket.SOCK_RAW and self.family == 4:
                mask = struct.pack("=I", 0xFFFFFFFF & ~(1 << words.ECHO_REPLY[4]))
                made.setsockopt(_SOL_RAW, _ICMP_FILTER, mask)
            elif kind == socket.SOCK_RAW:
                blocked = [0xFFFFFFFF] * 8
                blocked[words.ECHO_REPLY[6] >> 5] &= ~(1 << (words.ECHO_REPLY[6] & 31))
                made.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *blocked))
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            if source:
                made.bind((source, 0))
        except OSError:
            made.close()
            raise
        return made

    def send(self, target: _Target) -> None:
        packet = words.echo_request(self.family, self.ident, self.token, target.index)
        if self.socket is not None:
            self.socket.sendto(packet, (target.where.text, 0))

    def received(self) -> list[int]:
        """Return the indexes of the targets whose replies have arrived."""
        found: list[int] = []
        while self.socket is not None:
            try:
                packet = self.socket.recv(2048)
            except OSError:  # nothing more; or an error of a packet that nobody waits for
                return found
            index = words.echo_index(self.family, packet, self.token, self.with_header)
            if index is not None:
                found.append(index)
        return found


class Prober:
    """One run over all targets. ``reachable`` is the answer of `run`."""

    def __init__(
        self,
        targets: list[words.Address],
        ports: list[int],
        limits: Limits,
        sources: dict[int, str],
    ) -> None:
        self.limits = limits
        self.ports = ports
        self.sources = sources
        self.targets = [_Target(index, where) for index, where in enumerate(targets)]
        families = sorted({where.family for where in targets})
        self.echo = {family: _Echo(family, sources.get(family)) for family in families}
        self._selector = selectors.DefaultSelector()
        self._ready: deque[_Target] = deque(self.targets)
        self._waiting: deque[tuple[_Target, int]] = deque()
        self._timers: list[tuple[float, int, int]] = []
        self._open = 0
        self._left = len(self.targets)
        self._next_slot = 0.0
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._most = max(8, min(_MOST_CONNECTIONS, soft - 64))

    def run(self) -> list[dict[str, Any]]:
        """Return ``{address, ok, how, port, ms, error}`` per target, in their order."""
        try:
            for echo in self.echo.values():
                if echo.socket is not None:
                    self._selector.register(echo.socket, selectors.EVENT_READ, echo)
            end = time.monotonic() + self.limits.deadline
            while self._left and time.monotonic() < end:
                self._expire()
                self._act()
                self._listen(end)
        finally:
            self._close()
        return [self._result(target) for target in self.targets]

    def _expire(self) -> None:
        """Take up again what has waited long enough for its answer."""
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            _due, index, stage = heapq.heappop(self._timers)
            target = self.targets[index]
            if target.answer is None and target.stage == stage:
                self._next(target)

    def _next(self, target: _Target) -> None:
        """Go to the next thing to try: another echo, TCP, or giving up."""
        target.stage += 1
        if (
            target.echoes < self.limits.attempts
            and self.echo[target.where.family].socket is not None
        ):
            self._ready.append(target)
        elif not target.ports and self.ports and not target.links:
            target.ports = list(self.ports)
            self._waiting.extend((target, port) for port in target.ports)
        else:
            self._answer(target, None)

    def _act(self) -> None:
        """Send what may be sent now."""
        now = time.monotonic()
        while now >= self._next_slot:
            if self._ready:
                self._send(self._ready.popleft(), now)
            elif self._waiting and self._open < self._most:
                self._connect(*self._waiting.popleft(), now)
            else:
                return
            # What was missed while waiting may be caught up on, but only a little of it.
            self._next_slot = max(self._next_slot, now - _BURST) + 1 / self.limits.rate

    def _send(self, target: _Target, now: float) -> None:
        echo = self.echo[target.where.family]
        if echo.socket is None:
            target.reasons.append(str(echo.error))
            target.echoes = self.limits.attempts
            self._next(target)
            return
        target.sent_at = now
        try:
            echo.send(target)
        except OSError as error:
            if error.errno not in _BUSY:
                # Filtered on this node, or no route: another echo would fare no better.
                target.reasons.append(reason(error))
                target.echoes = self.limits.attempts
                self._next(target)
                return
            self._next_slot = now + 0.01
            self._ready.appendleft(target)
            return
        target.echoes += 1
        target.sent += 1
        heapq.heappush(self._timers, (now + self.limits.timeout, target.index, target.stage))

    def _connect(self, target: _Target, port: int, now: float) -> None:
        if target.answer is not None:
            return
        link = socket.socket(_FAMILIES[target.where.family], socket.SOCK_STREAM)
        target.links[link] = (port, now)
        self._open += 1
        try:
            link.setblocking(False)
            source = self.sources.get(target.where.family)
            if source:
                link.bind((source, 0))
            code = link.connect_ex((target.where.text, port))
        except OSError as error:
            code = error.errno or errno.EINVAL
        if code != errno.EINPROGRESS:
            self._connected(target, link, code)
            return
        self._selector.register(link, selectors.EVENT_WRITE, target)
        if len(target.links) == 1:
            heapq.heappush(self._timers, (now + self.limits.timeout, target.index, target.stage))

    def _connected(self, target: _Target, link: socket.socket, code: int) -> None:
        port, since = target.links[link]
        if code in _ANSWERS:
            elapsed = (time.monotonic() - since) * 1000
            self._answer(target, {"how": "tcp", "port": port, "ms": round(elapsed, 3)})
            return
        self._drop(target, link)
        target.ports.remove(port)
        target.reasons.append(f"TCP port {port}: {_TEXTS.get(code, os.strerror(code))}")
        if not target.ports:
            self._answer(target, None)

    def _listen(self, end: float) -> None:
        if not self._left:
            return
        due = min([end, *(entry[0] for entry in self._timers[:1])])
        if self._ready or (self._waiting and self._open < self._most):
            due = min(due, self._next_slot)
        for key, _events in self._selector.select(max(0.0, due - time.monotonic())):
            if isinstance(key.data, _Echo):
                self._replies(key.data)
            else:
                link = key.fileobj
                # Not among them when another port has answered in this very round.
                if isinstance(link, socket.socket) and link in key.data.links:
                    code = link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    self._connected(key.data, link, code)

    def _replies(self, echo: _Echo) -> None:
        for index in echo.received():
            if index < len(self.targets) and self.targets[index].answer is None:
                target = self.targets[index]
                elapsed = (time.monotonic() - target.sent_at) * 1000
                self._answer(target, {"how": "icmp", "port": None, "ms": round(elapsed, 3)})

    def _answer(self, target: _Target, found: dict[str, Any] | None) -> None:
        if target.answer is None:
            self._left -= 1
            target.answer = found or {}
        for link in list(target.links):
            self._drop(target, link)

    def _drop(self, target: _Target, link: socket.socket) -> None:
        del target.links[link]
        self._open -= 1
        with contextlib.suppress(KeyError, ValueError):  # never got so far as to be watched
            self._selector.unregister(link)
        link.close()

    def _close(self) -> None:
        for target in self.targets:
            for link in list(target.links):
                self._drop(target, link)
        for echo in self.echo.values():
            if echo.socket is not None:
                echo.socket.close()
        self._selector.close()

    def _result(self, target: _Target) -> dict[str, Any]:
        found = target.answer or {}
        return {
            "address": target.where.text,
            "ok": bool(found),
            "how": found.get("how"),
            "port": found.get("port"),
            "ms": found.get("ms"),
            "error": None if found else self._why(target),
        }

    def _why(self, target: _Target) -> str:
        if target.answer is None:
            return f"not known within {self.limits.deadline:g} s, the time for all targets"
        said = [f"no answer to {target.sent} ICMP echo requests"] if target.sent else []
        said += target.reasons
        if target.ports:
            ports = ", ".join(str(port) for port in target.ports)
            said.append(f"no answer on TCP port {ports}")
        return "; ".join(dict.fromkeys(said)) or "nothing was tried"


def is_own(text: str) -> bool:
    """Tell whether an address is of this network namespace: it alone is the way to itself.

    That a socket can be bound to it would say nothing where net.ipv4.ip_nonlocal_bind is on, as
    with keepalived. Nothing is sent.
    """
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as link:
        try:
            link.connect((text, 9))
        except OSError:
            return False
        return bool(link.getsockname()[0] == text)


def reason(error: OSError) -> str:
    """Return the C library's text, spelled out since Ansible sets the node's locale."""
    return _TEXTS.get(error.errno or 0, error.strerror or str(error))
