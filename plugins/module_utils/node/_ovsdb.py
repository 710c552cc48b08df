# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small OVSDB client (JSON-RPC 1.0 over a unix socket, RFC 7047).

Antrea's nodes usually have no ``ovs-vsctl``, so the management protocol is spoken directly. Every
wait ends by one deadline, every answer is bounded in size and depth, and whatever the other side
does becomes an `OvsdbError` that says what happened, where, and what to do about it.
"""

from __future__ import annotations

import json
import os
import select
import socket
import stat
import struct
import time
from collections.abc import Iterator
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.node._jsonframes import (
    MAX_BYTES,
    FrameError,
    Framer,
)

#: Where ovsdb-server's socket lies on the host: Antrea's hostPath first, then the distribution's.
DEFAULT_SOCKETS = (
    "/var/run/antrea/openvswitch/db.sock",
    "/var/run/openvswitch/db.sock",
)
DATABASE = "Open_vSwitch"

_LONGEST_SUN_PATH = 107


class OvsdbError(Exception):
    """OVSDB could not be read or written: ``what`` happened, ``where``, and the ``remedy``."""

    def __init__(self, what: str, where: str, remedy: str) -> None:
        super().__init__(f"{what}: {where}. {remedy}")
        self.what = what
        self.where = where
        self.remedy = remedy


class SocketAbsent(OvsdbError):
    """There is no socket at any of the places looked at."""


class AccessDenied(OvsdbError):
    """The socket is there, and this user may not use it."""


class NotASocket(OvsdbError):
    """The path names something that is not a stream socket."""


class NobodyListens(OvsdbError):
    """The socket file is there, but no process accepts connections on it."""


class NotOvsdb(OvsdbError):
    """Something answers, but it does not speak OVSDB."""


class ConnectionClosed(OvsdbError):
    """The other side hung up before its answer was complete."""


class TimedOut(OvsdbError):
    """The deadline passed."""


class TransactionFailed(OvsdbError):
    """ovsdb-server refused the transaction. ``error`` is its own error word (RFC 7047, 3.1)."""

    def __init__(self, what: str, where: str, remedy: str, error: str) -> None:
        super().__init__(what, where, remedy)
        self.error = error


class Client:
    """One connection to ovsdb-server. Use as a context manager.

    :param path: the unix socket.
    :param timeout: seconds for everything together, connecting included.
    """

    def __init__(self, path: str, timeout: float = 10.0, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._framer = Framer(max_bytes)
        self._last_id = 0
        self._socket = self._connect()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. May be called twice."""
        self._socket.close()

    def transact(self, database: str, *operations: dict[str, Any]) -> list[dict[str, Any]]:
        """Run ``operations`` (RFC 7047, 5.2) as one transaction and return one result for each.

        Raises TransactionFailed when any of them, or the commit, fails: then none was applied.
        """
        results = self._call("transact", [database, *operations])
        if not isinstance(results, list):
            raise self._not_ovsdb("the answer to a transaction is not a list")
        for index, result in enumerate(results):
            if isinstance(result, dict) and result.get("error") is not None:
                raise self._failed(result, operations, index)
        complete = results[: len(operations)]
        if len(complete) < len(operations) or not all(isinstance(r, dict) for r in complete):
            raise self._not_ovsdb("the answer to a transaction lacks results")
        return complete

    def _failed(
        self, result: dict[str, Any], operations: tuple[dict[str, Any], ...], index: int
    ) -> TransactionFailed:
        error = str(result.get("error"))
        details = result.get("details")
        step = "commit"
        if index < len(operations):
            operation = operations[index]
            step = f"{operation.get('op')} on {operation.get('table', 'the database')}"
        text = f"OVSDB refused the transaction at {step} ({error}"
        text += f": {details})" if details else ")"
        remedy = "Nothing was changed. See ovsdb-server's log; is this an Open vSwitch database?"
        return TransactionFailed(text, self.path, remedy, error)

    # -- one call ---------------------------------------------------------------------------

    def _call(self, method: str, params: list[Any]) -> Any:
        self._last_id += 1
        wanted = self._last_id
        self._send({"method": method, "params": params, "id": wanted})
        while True:
            for message in self._receive():
                if "method" in message:
                    self._serve(message)
                    continue
                got = message.get("id")
                if isinstance(got, bool) or got != wanted:
                    raise self._not_ovsdb(f"it answered request {got!r}, which was never made")
                error = message.get("error")
                if error is not None:
                    raise self._rejected(method, error)
                if "result" not in message:
                    raise self._not_ovsdb("its answer has neither result nor error")
                return message["result"]

    def _serve(self, request: dict[str, Any]) -> None:
        """Answer the server's keepalive; notifications (no id) need no answer."""
        if request.get("id") is None:
            return
        answer: dict[str, Any] = {"result": None, "error": "unknown method", "id": request["id"]}
        if request.get("method") == "echo":
            answer.update(result=request.get("params", []), error=None)
        self._send(answer)

    def _rejected(self, method: str, error: Any) -> TransactionFailed:
        word, details = str(error), ""
        if isinstance(error, dict):
            word = str(error.get("error", error))
            details = f": {error['details']}" if error.get("details") else ""
        return TransactionFailed(
            f"OVSDB refused '{method}' ({word}{details})",
            self.path,
            "Is this the socket of an Open vSwitch database? Check the 'socket' option.",
            word,
        )

    # -- bytes ------------------------------------------------------------------------------

    def _connect(self) -> socket.socket:
        self._check_path()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            # A blocking connect with a send time-out waits for room in the listener's queue;
            # a non-blocking one would fail at once with EAGAIN.
            whole, part = divmod(max(self._timeout, 0.001), 1)
            limit = struct.pack("@ll", int(whole), int(part * 1_000_000))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            sock.connect(self.path)
            sock.setblocking(False)
        except OSError as exc:
            sock.close()
            raise self._connect_error(exc) from exc
        return sock

    def _check_path(self) -> None:
        try:
            mode = os.stat(self.path).st_mode
        except OSError as exc:
            raise self._connect_error(exc) from exc
        if not stat.S_ISSOCK(mode):
            raise NotASocket(
                "Not a unix socket", self.path, "Name ovsdb-server's db.sock in 'socket'."
            )
        if len(os.fsencode(self.path)) > _LONGEST_SUN_PATH:
            raise NotASocket(
                f"Path of a unix socket is longer than {_LONGEST_SUN_PATH} bytes",
                self.path,
                "Use a shorter path, or a symbolic link to its directory.",
            )

    def _connect_error(self, exc: OSError) -> OvsdbError:
        if isinstance(exc, (FileNotFoundError, NotADirectoryError)):
            return absent((self.path,))
        if isinstance(exc, PermissionError):
            return AccessDenied(
                "No permission for the OVSDB socket", self.path, "Run with 'become: true'."
            )
        if isinstance(exc, ConnectionRefusedError):
            return NobodyListens(
                "No process listens on the OVSDB socket",
                self.path,
                "Is ovsdb-server running? The file outlives its server.",
            )
        if isinstance(exc, BlockingIOError):
            return self._timed_out("its queue of connections is full")
        reason = exc.strerror or str(exc)
        return NotOvsdb(
            f"Could not connect to the OVSDB socket ({reason})", self.path, "Check 'socket'."
        )

    def _send(self, message: dict[str, Any]) -> None:
        view = memoryview(json.dumps(message).encode("utf-8"))
        while view:
            self._wait(select.POLLOUT, "it does not read the request")
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                continue
            except OSError:
                # It hung up. What it said before (a greeting in another protocol, say) can
                # still be read and tells more than that.
                return

    def _receive(self) -> Iterator[dict[str, Any]]:
        self._wait(select.POLLIN, "no complete answer")
        try:
            data = self._socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError as exc:
            raise self._closed("in mid-answer") from exc
        if not data:
            raise self._closed("in mid-answer" if self._framer.pending else "without an answer")
        try:
            yield from self._framer.feed(data)
        except FrameError as exc:
            raise self._not_ovsdb(str(exc)) from exc

    def _wait(self, event: int, trouble: str) -> None:
        # The deadline is looked at even when data is always there: a server that never stops
        # talking must not hold us.
        poller = select.poll()
        poller.register(self._socket, event)
        left = self._deadline - time.monotonic()
        if left <= 0 or not poller.poll(max(1, int(left * 1000))):
            raise self._timed_out(trouble)

    def _timed_out(self, trouble: str) -> TimedOut:
        return TimedOut(
            f"OVSDB did not answer within {self._timeout:g} s ({trouble})",
            self.path,
            "Is ovsdb-server overloaded or stopped? Raise 'timeout' if it is only slow.",
        )

    def _closed(self, moment: str) -> ConnectionClosed:
        return ConnectionClosed(
            f"The connection was closed {moment}",
            self.path,
            "ovsdb-server may have been restarted: try again, then see its log.",
        )

    def _not_ovsdb(self, detail: str) -> NotOvsdb:
        return NotOvsdb(
            f"Not an OVSDB server ({detail})", self.path, "Name ovsdb-server's db.sock in 'socket'."
        )


def absent(looked: tuple[str, ...]) -> SocketAbsent:
    """The error for a socket found at none of the places ``looked``."""
    return SocketAbsent(
        "OVSDB socket not found",
        "looked in " + ", ".join(looked),
        "Set 'socket' if OVS runs elsewhere.",
    )


def find_socket(candidates: tuple[str, ...] = ()) -> str:
    """The first of ``candidates`` (else of DEFAULT_SOCKETS) that exists.

    Raises SocketAbsent naming all of them.
    """
    looked = candidates or DEFAULT_SOCKETS
    for path in looked:
        try:
            os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            pass  # There, but closed to us: connecting will say so.
        return path
    raise absent(looked)


def select_rows(table: str, *columns: str) -> dict[str, Any]:
    """A ``select`` operation for ``columns`` of every row of ``table``."""
    return {"op": "select", "table": table, "where": [], "columns": list(columns)}
