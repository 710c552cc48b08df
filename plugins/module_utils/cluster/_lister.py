# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paged LISTs that trim objects as they come and go on when one resource is forbidden."""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError

# Errors after which asking for the next resource makes no sense.
_FATAL = ("unauthorized", "unreachable", "tls", "config", "none")
_RESTARTS = 3


class Lister:
    """Reads resources of one API server; failures of single resources land in ``errors``.

    ``errors`` holds ``{resource, status, message}``, with the HTTP status or None.
    """

    def __init__(self, api: Api, page_size: int = 500) -> None:
        self._api = api
        self._page_size = page_size
        self.errors: list[dict[str, Any]] = []

    def read_list(
        self,
        resource: str,
        path: str,
        trim: Callable[[dict[str, Any]], dict[str, Any] | None],
        query: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]] | None:
        """Return what ``trim`` leaves of each object of ``path`` (None drops the object).

        None: the resource is not served (its CRD is absent) or could not be read, in which case
        ``errors`` has an entry. Raises `ClusterError` when no other request would work either.
        """
        found: list[dict[str, Any]] | None
        found = self._tolerate(resource, lambda: self._list(path, trim, dict(query or {})))
        return found

    def read_one(self, resource: str, path: str) -> dict[str, Any] | None:
        """Return one object, None if it does not exist or could not be read (see `read_list`)."""
        found: dict[str, Any] | None = self._tolerate(resource, lambda: self._api.get(path))
        return found

    def _tolerate(self, resource: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except ClusterError as error:
            if error.kind in _FATAL:
                raise
            if error.kind != "not_found":
                self.errors.append(
                    {"resource": resource, "status": error.status, "message": error.message}
                )
            return None

    def _list(
        self,
        path: str,
        trim: Callable[[dict[str, Any]], dict[str, Any] | None],
        query: dict[str, Any],
    ) -> list[dict[str, Any]]:
        """Page through ``path``.

        A continue token lives as long as etcd keeps its revision (5 minutes by default); then the
        server answers 410 and the list starts again, at last without pages.
        """
        for restart in range(_RESTARTS + 1):
            limit = self._page_size if restart < _RESTARTS else 0
            try:
                return self._pages(path, trim, {**query, "limit": limit} if limit else query)
            except ClusterError as error:
                if error.kind != "gone" or not limit:
                    raise
        raise AssertionError("unreachable: the last round returns or raises")

    def _pages(
        self,
        path: str,
        trim: Callable[[dict[str, Any]], dict[str, Any] | None],
        query: dict[str, Any],
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            page = self._api.get(path, {**query, "continue": token} if token else query)
            for item in page.get("items") or ():
                kept = trim(item)
                if kept is not None:
                    found.append(kept)
            token = (page.get("metadata") or {}).get("continue") or ""
            if not token:
                return found
