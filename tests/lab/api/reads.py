# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Get, list with pages, watch."""

from __future__ import annotations

import base64
import json
import select
import socket
import time
from collections.abc import Callable, Iterator

from tests.lab.api import selectors
from tests.lab.api.errors import ApiError, Obj, bad_request, expired, not_found
from tests.lab.api.resources import Resource
from tests.lab.api.routes import Request
from tests.lab.api.store import Event, Store, Stored, bare, encode

TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can "
    "start a new list without the continue parameter."
)
WATCH_SECONDS = 1800


def _converted(resource: Resource, stored: Stored) -> bytes:
    """Return an object's JSON in the version asked for (versions differ in name only)."""
    if stored.obj["apiVersion"] == resource.api_version:
        return stored.raw
    return encode({**stored.obj, "apiVersion": resource.api_version})


def _untyped(_resource: Resource, stored: Stored) -> bytes:
    """Return an item of a built-in list: a real server leaves its kind and apiVersion out."""
    return bare(stored)


class Reads:
    """The reading half of the API double."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def get(self, request: Request, resource: Resource) -> bytes:
        namespace = request.ask.namespace if resource.namespaced else ""
        found = self.store.get(resource.key, (namespace, request.ask.name))
        if found is None:
            raise not_found(resource.plural, resource.group, request.ask.name)
        return _converted(resource, found)

    def selected(self, request: Request, resource: Resource) -> Callable[[Obj], bool]:
        """Return the test that both selectors of a request make; 400 when one is malformed."""
        by_label = selectors.labels(request.option("labelSelector"))
        by_field = selectors.fields(resource, request.option("fieldSelector"))
        return lambda obj: by_label(obj) and by_field(obj)

    def rows(self, request: Request, resource: Resource) -> tuple[int, list[Stored]]:
        """Return the version and all selected rows, in the namespace if one is given."""
        test = self.selected(request, resource)
        namespace = request.ask.namespace if resource.namespaced else ""
        version, rows = self.store.rows(resource.key, namespace)
        return version, [row for row in rows if test(row.obj)]

    def list(self, request: Request, resource: Resource) -> bytes:
        limit = int(request.option("limit") or 0)
        token = request.option("continue")
        if token:
            version, start = _read_token(token)
            kept = self.store.snapshot(_snapshot_name(request, version))
            if kept is None:
                raise expired(TOO_OLD)
            self.selected(request, resource)
            rows = kept[start:]
        else:
            version, rows = self.rows(request, resource)
            start, kept = 0, rows
        meta: Obj = {"resourceVersion": str(version)}
        if limit and len(rows) > limit:
            meta["continue"] = _make_token(version, start + limit)
            if not (request.option("labelSelector") or request.option("fieldSelector")):
                meta["remainingItemCount"] = len(rows) - limit
            self.store.keep_snapshot(_snapshot_name(request, version), kept)
            rows = rows[:limit]
        head = {"kind": resource.list_name, "apiVersion": resource.api_version, "metadata": meta}
        one = _converted if resource.custom else _untyped
        items = b",".join(one(resource, row) for row in rows)
        return encode(head)[:-1] + b',"items":[' + items + b"]}"

    # -- watch ----------------------------------------------------------------------------------

    def watch(
        self, request: Request, resource: Resource, alive: Callable[[], bool]
    ) -> Iterator[bytes]:
        """Yield events as JSON lines until timeoutSeconds are over or ``alive()`` is false."""
        test = self.selected(request, resource)
        place = request.ask.namespace if resource.namespaced else ""
        until = time.monotonic() + int(request.option("timeoutSeconds") or WATCH_SECONDS)
        asked = request.option("resourceVersion")
        initial = request.option("sendInitialEvents") == "true"
        if asked and not asked.isdigit():
            raise bad_request(f"invalid resource version: {asked}")
        version = int(asked or 0)
        if version == 0 or initial:
            version, rows = self.rows(request, resource)
            for row in rows:
                yield _line("ADDED", _converted(resource, row))
            if initial:
                yield _bookmark(resource, version, {"k8s.io/initial-events-end": "true"})
        while True:
            newest, events = self.store.since(resource.key, version)
            if events is None:
                yield _too_old(version, newest)
                return
            for event in events:
                line = _seen(resource, event, test, place)
                if line:
                    yield line
            version = max(newest, version)
            left = until - time.monotonic()
            if left <= 0 or not alive():
                break
            with self.store.changed:
                if self.store.version <= version:
                    self.store.changed.wait(min(left, 1.0))
        if request.flag("allowWatchBookmarks"):
            yield _bookmark(resource, version, None)


def _seen(
    resource: Resource, event: Event, test: Callable[[Obj], bool], place: str
) -> bytes | None:
    """Return what a watcher gets for a change; an object that leaves the selection is DELETED."""
    if place and event.now.obj["metadata"].get("namespace") != place:
        return None
    was = event.before is not None and test(event.before.obj)
    now = event.type != "DELETED" and test(event.now.obj)
    if not was and not now:
        return None
    kinds = {(True, True): "MODIFIED", (False, True): "ADDED", (True, False): "DELETED"}
    return _line(kinds[(was, now)], _converted(resource, event.now))


def _line(kind: str, raw: bytes) -> bytes:
    return b'{"type":"' + kind.encode() + b'","object":' + raw + b"}\n"


def _bookmark(resource: Resource, version: int, notes: dict[str, str] | None) -> bytes:
    meta: Obj = {"resourceVersion": str(version), "creationTimestamp": None}
    if notes:
        meta["annotations"] = notes
    obj = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
    return _line("BOOKMARK", encode(obj))


def _too_old(version: int, newest: int) -> bytes:
    error: ApiError = expired(f"too old resource version: {version} ({newest})")
    return _line("ERROR", encode(error.status()))


def _make_token(version: int, start: int) -> str:
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": start})
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, int]:
    try:
        padded = token + "=" * (-len(token) % 4)
        read = json.loads(base64.urlsafe_b64decode(padded))
        return int(read["rv"]), int(read["start"])
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request(f"continue key is not valid: {error}") from None


def _snapshot_name(request: Request, version: int) -> str:
    parts = (request.ask.path, request.option("labelSelector"), request.option("fieldSelector"))
    return json.dumps([version, *parts])


def still_connected(connection: socket.socket) -> bool:
    """Tell whether a watcher is still there: it sends nothing more, so input means that it left."""
    readable, _unused, _unused = select.select([connection], [], [], 0)
    return not readable
