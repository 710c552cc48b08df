# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small client of the Kubernetes API, standard library only: for actors, seeds and tests.

It speaks like any client (TLS, bearer token or client certificate, JSON), so what is built on it
works against every provider.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

Obj = dict[str, Any]

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class ApiStatus(Exception):
    """An answer that is no success: HTTP code, reason, message, and the whole body."""

    def __init__(self, code: int, body: Any) -> None:
        self.code = code
        self.body = body if isinstance(body, dict) else {}
        self.reason = str(self.body.get("reason", ""))
        super().__init__(f"{code} {self.reason}: {self.body.get('message', body)}")


def load_kubeconfig(path: Path) -> Obj:
    """Read a kubeconfig: JSON without help, YAML where a parser is installed."""
    text = path.read_text(encoding="utf-8")
    try:
        out: Obj = json.loads(text)
    except ValueError:
        import yaml

        out = yaml.safe_load(text)
    return out


def _context(cluster: Obj, user: Obj) -> ssl.SSLContext:
    data = cluster.get("certificate-authority-data")
    ca = base64.b64decode(data).decode() if data else None
    context = ssl.create_default_context(cadata=ca, cafile=cluster.get("certificate-authority"))
    if user.get("client-certificate-data"):
        pem = b"\n".join(
            base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key")
        )
        with tempfile.NamedTemporaryFile() as file:  # ssl reads certificates from files only
            file.write(pem)
            file.flush()
            context.load_cert_chain(file.name)
    return context


class Client:
    """Requests to one API server as one user. Safe to share between threads."""

    def __init__(self, kubeconfig: Path, agent: str = "k8snet-lab", timeout: float = 30) -> None:
        config = load_kubeconfig(kubeconfig)
        names = {c["name"]: c["context"] for c in config["contexts"]}
        context = names[config["current-context"]]
        clusters = {c["name"]: c["cluster"] for c in config["clusters"]}
        users = {u["name"]: u["user"] for u in config["users"]}
        cluster, user = clusters[context["cluster"]], users[context["user"]]
        url = urlsplit(cluster["server"])
        self.server: str = cluster["server"]
        self.ca: str = cluster.get("certificate-authority-data", "")
        self._host, self._port = url.hostname or "", url.port or 443
        self._tls = _context(cluster, user)
        self._timeout = timeout
        self.headers = {"User-Agent": f"{agent}/1.0", "Accept": "application/json"}
        if user.get("token"):
            self.headers["Authorization"] = f"Bearer {user['token']}"
        self._local = threading.local()

    def _connection(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            self._host, self._port, context=self._tls, timeout=timeout
        )

    def raw(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        """Send one request; return (code, headers in lower case, decoded body)."""
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        sent = {**self.headers, **({"Content-Type": "application/json"} if data else {})}
        sent.update(headers or {})
        reused = getattr(self._local, "connection", None)
        try:
            return self._once(reused or self._connection(self._timeout), method, path, data, sent)
        except (http.client.RemoteDisconnected, ConnectionError):
            if reused is None or method not in ("GET", "PUT"):
                raise
        return self._once(self._connection(self._timeout), method, path, data, sent)

    def _once(
        self,
        connection: http.client.HTTPSConnection,
        method: str,
        path: str,
        data: bytes | None,
        headers: dict[str, str],
    ) -> tuple[int, dict[str, str], Any]:
        self._local.connection = None
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            raw = answer.read()
        except BaseException:
            connection.close()
            raise
        self._local.connection = connection
        found = {key.lower(): value for key, value in answer.getheaders()}
        if found.get("content-type", "").startswith("application/json"):
            return answer.status, found, json.loads(raw)
        return answer.status, found, raw.decode(errors="replace")

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        """Send one request; return its body. Raises ApiStatus on any code of 300 and above."""
        code, _headers, answer = self.raw(method, path, body, headers)
        if code >= 300:
            raise ApiStatus(code, answer)
        return answer

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", with_query(path, query))

    def find(self, path: str) -> Obj | None:
        """Return an object, None when it is not there."""
        code, _headers, body = self.raw("GET", path)
        if code == 404:
            return None
        if code >= 300:
            raise ApiStatus(code, body)
        found: Obj = body
        return found

    def items(self, path: str, **query: Any) -> list[Obj]:
        """Return all objects of a collection, in pages of 500."""
        out: list[Obj] = []
        query.setdefault("limit", 500)
        while True:
            page = self.get(path, **query)
            out += page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return out
            query["continue"] = token

    def create(self, path: str, obj: Obj) -> Obj:
        out: Obj = self.call("POST", path, obj)
        return out

    def replace(self, path: str, obj: Obj) -> Obj:
        out: Obj = self.call("PUT", path, obj)
        return out

    def patch(self, path: str, body: Any, media: str = MERGE) -> Obj:
        out: Obj = self.call("PATCH", path, body, {"Content-Type": media})
        return out

    def delete(self, path: str, **query: Any) -> None:
        """Delete an object; one that is gone already counts as deleted."""
        code, _headers, body = self.raw("DELETE", with_query(path, query))
        if code >= 300 and code != 404:
            raise ApiStatus(code, body)

    def ensure(self, collection: str, obj: Obj) -> Obj:
        """Create an object, or return the one of its name that is there."""
        try:
            return self.create(collection, obj)
        except ApiStatus as error:
            if error.reason != "AlreadyExists":
                raise
        found: Obj = self.get(f"{collection}/{quote(obj['metadata']['name'])}")
        return found

    def watch(self, path: str, seconds: int = 30, **query: Any) -> Iterator[Obj]:
        """Yield watch events for at most ``seconds``; an ERROR event is yielded like any other."""
        query.update(watch="true", timeoutSeconds=seconds)
        connection = self._connection(seconds + 10)
        try:
            connection.request("GET", with_query(path, query), headers=self.headers)
            answer = connection.getresponse()
            if answer.status >= 300:
                raise ApiStatus(answer.status, json.loads(answer.read() or b"{}"))
            for line in answer:
                if line.strip():
                    yield json.loads(line)
        finally:
            connection.close()


def with_query(path: str, query: dict[str, Any]) -> str:
    """Return the path with its query; parameters that are None are left out."""
    kept = {key: value for key, value in query.items() if value is not None}
    return f"{path}?{urlencode(kept)}" if kept else path


def default_kubeconfig() -> Path:
    return Path(os.environ.get("KUBECONFIG", "~/.kube/config").split(os.pathsep)[0]).expanduser()
