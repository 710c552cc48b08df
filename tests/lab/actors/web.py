# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backend of default/web: says the node that it runs on, over HTTP or without.

Whoever sends ``stream`` gets a line with it ten times a second, until one side ends it.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time

PORT = 8080


def serve(address: str, port: int, name: str, ended: threading.Event) -> None:
    """Answer until ``ended`` is set."""
    line = f"{name}\n".encode()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(0.5)
            asked = b""
            with contextlib.suppress(OSError):  # who waits for us to speak gets the bare line
                asked = self.request.recv(4096)
            self.request.settimeout(5)
            with contextlib.suppress(OSError):
                if asked.startswith(b"stream"):
                    while not ended.is_set():
                        self.request.sendall(line)
                        time.sleep(0.1)
                elif asked.startswith((b"GET ", b"HEAD ")):
                    head = f"HTTP/1.0 200 OK\r\nContent-Length: {len(line)}\r\n\r\n".encode()
                    self.request.sendall(head + (line if asked.startswith(b"GET ") else b""))
                else:
                    self.request.sendall(line)

    with _Server((address, port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ended.wait()
        server.shutdown()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64


def ask(address: str, port: int, timeout: float = 2) -> str:
    """Return the name that answers, "" when none does."""
    try:
        with socket.create_connection((address, port), timeout) as link:
            link.settimeout(timeout)
            link.sendall(b"name\n")
            return link.recv(256).decode().strip()
    except OSError:
        return ""
