# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an API server's refusals are called, in words that name the remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class ClusterError(Exception):
    """The API server could not be asked, or said no.

    ``kind``: none (nothing configured), config, unreachable, tls, unauthorized, forbidden,
    not_found, gone, conflict or http. ``status`` is the HTTP status, None where none was received.
    ``retry_after``: seconds that the server asked to wait, None if it did not.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status
        self.retry_after = retry_after


@contextmanager
def failing(module: Any, *expected: type[Exception]) -> Iterator[None]:
    """Let an AnsibleModule fail with the words of a `ClusterError`, or of one of ``expected``."""
    try:
        yield
    except ClusterError as error:
        module.fail_json(msg=error.message, kind=error.kind, status=error.status)
    except expected as error:
        module.fail_json(msg=str(error))


def short(reason: object) -> str:
    """Return an exception's words without urllib3's object representation before them."""
    text = re.sub(r"^<?[\w.]*(Connection|Pool)\b[^:]*?(\bat 0x[0-9a-f]+)?>?:\s*", "", str(reason))
    text = re.sub(r"^\w*Connection(Pool)?\(host=[^)]*\):\s*", "", text)
    return (text or type(reason).__name__).rstrip(". ")


def access(method: str, path: str) -> str:
    """Return verb and resource of a request as RBAC names them: "patch on daemonsets.apps"."""
    parts = path.strip("/").split("/")
    group = parts[1] if parts[0] == "apis" and len(parts) > 1 else ""
    rest = parts[3:] if group else parts[2:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    resource = "/".join([*rest[:1], *rest[2:3]])
    named = len(rest) > 1
    verbs = {"GET": "get" if named else "list", "POST": "create", "PUT": "update"}
    verb = verbs.get(method, method.lower())
    return f"{verb} on {resource}{'.' + group if group else ''}"


def status_error(
    method: str, path: str, server: str, status: int, detail: str | None
) -> ClusterError:
    said = f": {detail.rstrip('. ')}" if detail else ""
    verb = "read" if method == "GET" else "write"
    if status == 401:
        return ClusterError(
            "unauthorized",
            f"Failed to log in to {server}: 401, the token or certificate is invalid or has "
            "expired. Renew the credentials in the kubeconfig, or 'api_key'.",
            status,
        )
    if status == 403:
        return ClusterError(
            "forbidden",
            f"Failed to {verb} {path}{said or ': 403'}. Grant the account the verb "
            f"{access(method, path)} (RBAC).",
            status,
        )
    kind = {404: "not_found", 409: "conflict", 410: "gone"}.get(status, "http")
    return ClusterError(kind, f"Failed to {verb} {path} on {server}: {status}{said}.", status)
