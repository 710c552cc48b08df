# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API double's HTTPS server: one thread per connection, kept alive, watches streamed."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.lab.api import audit, faults, tls
from tests.lab.api.auth import ANONYMOUS
from tests.lab.api.errors import ApiError, Obj
from tests.lab.api.rbac import User
from tests.lab.api.reads import still_connected
from tests.lab.api.resources import Resource
from tests.lab.api.routes import Request, parse
from tests.lab.api.service import Service
from tests.lab.api.store import encode

_SMALL = 4096
_PLAIN = "text/plain; charset=utf-8"


class Server(ThreadingHTTPServer):
    """Serves one ``Service``. TLS is negotiated in the connection's own thread."""

    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], directory: Path, service: Service) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, Handler)
        self.service = service
        self.log = audit.Log(directory / "audit.log")
        self.faults = faults.Faults(directory / "faults.json")
        self.stopping = threading.Event()
        self._context = tls.server_context(directory)

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(30)
        try:
            secured = self._context.wrap_socket(request, server_side=True)
        except (OSError, ssl.SSLError):
            return  # a client that does not trust us, or a bare TCP check: nothing to answer
        secured.settimeout(None)
        with contextlib.suppress(OSError, ssl.SSLError):  # the client left
            Handler(secured, client_address, self)
        with contextlib.suppress(OSError, ssl.SSLError):
            secured.close()

    def stop(self) -> None:
        """End all watches and stop serving."""
        self.stopping.set()
        with self.service.store.changed:
            self.service.store.changed.notify_all()
        self.shutdown()
        self.server_close()
        self.log.close()


class Handler(BaseHTTPRequestHandler):
    """Reads a request, asks the service, writes the answer and a line of the request log."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the request log says it."""

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        headers = {key.lower(): value for key, value in self.headers.items()}
        request = parse(self.command, self.path, headers, body)
        user = ANONYMOUS
        entry = self._entry(request)
        try:
            user = self.server.service.users.user(request)
            entry["user"] = {"username": user.name, "groups": list(user.groups)}
            rule = self.server.faults.hit(request.ask.verb, self.path, user.name)
            if rule is not None and self._fault(rule, entry):
                return
            self.server.service.authorize(request, user)
            resource = self.server.service.resource(request)
            if request.ask.verb == "watch" and resource is not None:
                self._watch(request, resource, entry)
                return
            self._answer(request, resource, user, entry, rule)
        except ApiError as error:
            self._refuse(error, entry)
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            self._refuse(self.server.service.broken(error), entry)

    def _entry(self, request: Request) -> Obj:
        return {
            "requestURI": request.uri,
            "verb": request.ask.verb,
            "user": {},
            "sourceIPs": [self.client_address[0]],
            "userAgent": request.headers.get("user-agent", ""),
            **({"objectRef": request.object_ref()} if request.ask.is_resource else {}),
            "requestReceivedTimestamp": audit.stamp(),
        }

    def _answer(
        self,
        request: Request,
        resource: Resource | None,
        user: User,
        entry: Obj,
        rule: Obj | None,
    ) -> None:
        code, body, warnings = self.server.service.answer(request, resource, user)
        plain = isinstance(body, bytes) and resource is None
        raw = body if isinstance(body, bytes) else encode(body)
        extra = [("Warning", f"299 - {json.dumps(text)}") for text in warnings]
        self.server.log.write(entry, "ResponseComplete", code)
        cut = rule.get("disconnect_after") if rule else None
        self._send(code, raw, _PLAIN if plain else "application/json", extra, cut)

    def _refuse(self, error: ApiError, entry: Obj) -> None:
        self.server.log.write(entry, "ResponseComplete", error.code)
        extra = list(error.headers.items())
        if error.code == 404 and not error.reason:
            self._send(404, b"404 page not found\n", _PLAIN, extra, None)
        else:
            self._send(error.code, encode(error.status()), "application/json", extra, None)

    def _send(
        self, code: int, raw: bytes, media: str, extra: list[tuple[str, str]], cut: int | None
    ) -> None:
        self.send_response_only(code)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(raw)))
        for name, value in extra:
            self.send_header(name, value)
        if cut is not None:
            raw = raw[: int(cut)]
            self.close_connection = True
        body = b"" if self.command == "HEAD" else raw
        if len(body) <= _SMALL:  # one packet for head and body
            self._headers_buffer.append(b"\r\n" + body)  # type: ignore[attr-defined]
            self.flush_headers()
        else:
            self.end_headers()
            self.wfile.write(body)

    def _fault(self, rule: Obj, entry: Obj) -> bool:
        """Do what a fault rule says; tell whether the request is thereby answered."""
        if rule.get("delay"):
            time.sleep(float(rule["delay"]))  # the fault itself
        if rule.get("expire_pages"):
            self.server.service.expire_pages()
        error = faults.error(rule)
        if error is not None:
            raise error
        return False

    def _watch(self, request: Request, resource: Resource, entry: Obj) -> None:
        def alive() -> bool:
            return still_connected(self.connection) and not self.server.stopping.is_set()

        lines: Iterator[bytes] = self.server.service.reads.watch(request, resource, alive)
        self.server.service.reads.selected(request, resource)  # a bad selector is a 400, no stream
        self.server.log.write(entry, "ResponseStarted", 200)
        self.send_response_only(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.write(b"0\r\n\r\n")
        self.server.log.write(entry, "ResponseComplete", 200)
