# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pages that a process of the lab answers over HTTP, as /healthz of the real one."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Page = Callable[[], tuple[int, str]]

#: Seconds until a port is tried again that somebody else has.
_AGAIN = 1.0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


def serve(
    address: str,
    port: int,
    pages: Mapping[str, Page],
    ended: threading.Event,
    context: ssl.SSLContext | None = None,
    token: str = "",
) -> None:
    """Answer from a thread of its own; a port that is taken is waited for.

    ``context``: over TLS; ``token``: who does not bear it is turned away.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path)
            code, text = page() if page else (404, "404 page not found")
            if token and self.headers.get("Authorization") != f"Bearer {token}":
                code, text = 401, "Unauthorized"
            body = text.encode()
            self.send_response(code)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Nobody reads them."""

    def live() -> None:
        while not ended.is_set():
            try:
                server = _Server((address, port), Handler)
            except OSError:
                ended.wait(_AGAIN)
                continue
            if context:
                # The handshake is the thread's that answers: who says nothing holds nobody up.
                server.socket = context.wrap_socket(
                    server.socket, server_side=True, do_handshake_on_connect=False
                )
            threading.Thread(target=server.serve_forever, daemon=True).start()
            ended.wait()
            server.shutdown()
            server.server_close()

    threading.Thread(target=live, daemon=True).start()
