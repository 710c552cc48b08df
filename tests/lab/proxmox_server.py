# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the double of Proxmox's API is reached: over TLS, in this network or in a lab's."""

from __future__ import annotations

import ctypes
import json
import os
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.lab.api import tls
from tests.lab.proxmox_lines import Refused

Obj = dict[str, Any]
#: Method, URI, token and body to an answer; raises Refused.
Answer = Callable[[str, str, str, str], Obj]
_CLONE_NEWNET = 0x40000000


class Server:
    """Serves until it is stopped; ``folder`` gets its certificate. ``port`` 0 is any.

    ``inside``: a process in whose network it is to serve.
    """

    def __init__(
        self,
        folder: Path,
        answer: Answer,
        address: str = "127.0.0.1",
        port: int = 0,
        inside: int | None = None,
    ) -> None:
        tls.make(folder, [address])
        failed: list[BaseException] = []
        ready = threading.Event()

        def serve() -> None:
            try:
                if inside is not None:
                    _enter(inside)
                self._server = ThreadingHTTPServer((address, port), _handler(answer))
                context = tls.server_context(folder)
                self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            except BaseException as error:
                failed.append(error)
                return
            finally:
                ready.set()
            self._server.serve_forever(0.05)

        threading.Thread(target=serve, daemon=True).start()
        ready.wait()
        if failed:
            raise failed[0]

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _enter(process: int) -> None:
    """Move this thread into the network of a process; its sockets stay there."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(f"/proc/{process}/ns/net", os.O_RDONLY)
    try:
        if libc.setns(handle, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "cannot enter the lab's network")
    finally:
        os.close(handle)


def _handler(ask: Answer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            token = self.headers.get("Authorization", "")
            code, reason, answer = 200, "OK", {}
            try:
                answer = ask(self.command, self.path, token, body)
            except Refused as error:
                code, reason = error.code, error.reason
                answer = {"data": None, **({"errors": error.errors} if error.errors else {})}
            text = json.dumps(answer).encode()
            self.send_response(code, reason)
            self.send_header("Content-Type", "application/json;charset=UTF-8")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_PUT = do_POST = _serve

        def log_message(self, *_words: Any) -> None:
            """Say nothing: who answers knows it all."""

    return Handler
