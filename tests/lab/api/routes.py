# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a URL asks for. Source: k8s.io/apiserver ``pkg/endpoints/request/requestinfo.go``."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from tests.lab.api.errors import ApiError, Obj
from tests.lab.api.rbac import Attributes
from tests.lab.api.selectors import parse_fields

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}


@dataclass(frozen=True)
class Request:
    """One request, read. ``ask`` is what has to be allowed; ``body`` is empty until decoded."""

    method: str
    uri: str
    ask: Attributes
    version: str = ""
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def option(self, name: str) -> str:
        return self.query.get(name, "")

    def flag(self, name: str) -> bool:
        return self.option(name) in ("1", "true", "True")

    @property
    def dry_run(self) -> bool:
        return bool(self.option("dryRun"))

    def object_ref(self) -> Obj:
        """Return ``objectRef`` of the audit log."""
        ask = self.ask
        out = {
            "resource": ask.resource,
            "namespace": ask.namespace,
            "name": ask.name,
            "apiGroup": ask.group,
            "apiVersion": self.version,
            "subresource": ask.subresource,
        }
        return {key: value for key, value in out.items() if value}


def _split_resource(parts: list[str]) -> tuple[str, str, str, str]:
    """Return (namespace, resource, name, subresource) of the part after the version."""
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in ("status", "finalize"):
            parts = parts[2:]
    parts = [*parts, "", ""]
    return namespace, parts[0], parts[1], parts[2]


def _named_by_selector(query: dict[str, str]) -> str:
    """A LIST of one name counts as that name, so that resourceNames can allow it."""
    try:
        wanted = parse_fields(query.get("fieldSelector", ""))
    except ApiError:  # answered with 400 where the selector is used
        return ""
    names = [
        value for path, operator, value in wanted if path == "metadata.name" and "!" not in operator
    ]
    return names[0] if names else ""


def parse(method: str, uri: str, headers: dict[str, str], body: bytes) -> Request:
    """Read a request line; unknown paths come back as non-resource requests."""
    url = urlsplit(uri)
    query = {key: values[0] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
    parts = [unquote(part) for part in url.path.strip("/").split("/")]
    verb = _VERBS.get(method, method.lower())
    skip = {"api": 1, "apis": 2}.get(parts[0], 0)
    if not skip or len(parts) < skip + 2:
        ask = Attributes(verb=method.lower(), path=url.path, is_resource=False)
        return Request(method, uri, ask, "", query, headers, body)
    group = parts[1] if skip == 2 else ""
    namespace, resource, name, subresource = _split_resource(parts[skip + 1 :])
    if not name and verb == "get":
        verb = "watch" if query.get("watch") in ("1", "true", "True") else "list"
        name = _named_by_selector(query)
    elif not name and verb == "delete":
        verb = "deletecollection"
    ask = Attributes(
        verb=verb,
        path=url.path,
        group=group,
        resource=resource,
        subresource=subresource,
        namespace=namespace,
        name=name,
    )
    return Request(method, uri, ask, parts[skip], query, headers, body)
