# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server on a unix socket that does what a test tells it, good or bad."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading


class Peer:
    """The server's end of one connection."""

    def __init__(self, connection):
        self.connection = connection
        self.received = b""

    def request(self):
        """The next JSON object that the client sent."""
        while True:
            try:
                text = self.received.decode()
                message, end = json.JSONDecoder().raw_decode(text)
            except ValueError:
                data = self.connection.recv(65536)
                if not data:
                    raise EOFError from None
                self.received += data
                continue
            self.received = self.received[len(text[:end].encode()) :]
            return message

    def send(self, data):
        """Bytes as they are; anything else as JSON."""
        self.connection.sendall(data if isinstance(data, bytes) else json.dumps(data).encode())


class ScriptedServer:
    """Runs ``script(peer)`` for the one connection it accepts; then hangs up."""

    def __init__(self, script):
        self.directory = tempfile.TemporaryDirectory(prefix="ovsdb")
        self.path = os.path.join(self.directory.name, "db.sock")
        self._script = script
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(1)
        self._listener.settimeout(10)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.failure = None

    def _run(self):
        try:
            connection, _address = self._listener.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(10)
            try:
                self._script(Peer(connection))
            except (OSError, EOFError):
                pass  # The client had enough: what it made of it is what the test looks at.
            except AssertionError as exc:
                self.failure = exc

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_exc):
        self._listener.close()
        self._thread.join(10)
        self.directory.cleanup()
        if self.failure is not None:
            raise self.failure


def replies(*results):
    """A script that answers each transaction in turn with one of ``results``."""

    def script(peer):
        for result in results:
            request = peer.request()
            peer.send({"id": request["id"], "error": None, "result": result})
        peer.connection.recv(1)

    return script
