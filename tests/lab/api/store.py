# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the API double remembers: objects, one growing resourceVersion, and the history for watches.

Objects in the store are never changed in place: a write stores a new one. So a reader may keep what
it got, pages of one LIST come from one moment, and a watcher sees each version once.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.lab.api.errors import Obj

Key = tuple[str, str]  # group, plural
Name = tuple[str, str]  # namespace ("" when cluster-scoped), name

HISTORY = 20_000  # events kept per resource; older ones answer a watch with 410
SNAPSHOTS = 64  # LISTs that may be paged at the same time


class Stored(NamedTuple):
    """An object and its JSON, encoded once."""

    obj: Obj
    raw: bytes


class Event(NamedTuple):
    """A change: ADDED, MODIFIED or DELETED; the object after it and before it (None: absent)."""

    version: int
    type: str
    now: Stored
    before: Stored | None


@dataclass
class _Table:
    rows: dict[Name, Stored] = field(default_factory=dict)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=HISTORY))
    dropped: int = 0  # watches from before this version are told to list again


def encode(obj: Obj) -> bytes:
    return json.dumps(obj, separators=(",", ":"), ensure_ascii=False).encode()


def bare(stored: Stored) -> bytes:
    """Return the JSON without kind and apiVersion, which come first in every stored object."""
    head = encode({key: stored.obj[key] for key in ("kind", "apiVersion")})
    return b"{" + stored.raw[len(head) :]


def copy(stored: Stored) -> Obj:
    """Return a copy of the object that the caller may change."""
    out: Obj = json.loads(stored.raw)
    return out


class Store:
    """All objects. Hold ``lock`` around a read that leads to a write."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.version = 1
        self._tables: dict[Key, _Table] = {}
        self._snapshots: OrderedDict[str, list[Stored]] = OrderedDict()

    def _table(self, key: Key) -> _Table:
        return self._tables.setdefault(key, _Table(dropped=self.version))

    def get(self, key: Key, name: Name) -> Stored | None:
        with self.lock:
            return self._table(key).rows.get(name)

    def rows(self, key: Key, namespace: str = "") -> tuple[int, list[Stored]]:
        """Return the resourceVersion and the objects, ordered as etcd orders its keys."""
        with self.lock:
            rows = self._table(key).rows
            names = sorted(n for n in rows if not namespace or n[0] == namespace)
            return self.version, [rows[n] for n in names]

    def put(self, key: Key, obj: Obj) -> Stored:
        """Store an object under a new resourceVersion, which is written into it."""
        obj = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], **obj}
        meta = obj["metadata"]
        with self.lock:
            self.version += 1
            meta["resourceVersion"] = str(self.version)
            stored = Stored(obj, encode(obj))
            table = self._table(key)
            name = (meta.get("namespace", ""), meta["name"])
            before = table.rows.get(name)
            table.rows[name] = stored
            self._note(
                table, Event(self.version, "MODIFIED" if before else "ADDED", stored, before)
            )
            return stored

    def remove(self, key: Key, name: Name) -> Stored | None:
        """Remove an object; watchers see it once more, with the resourceVersion of its end."""
        with self.lock:
            table = self._table(key)
            before = table.rows.pop(name, None)
            if before is None:
                return None
            self.version += 1
            last = copy(before)
            last["metadata"]["resourceVersion"] = str(self.version)
            self._note(table, Event(self.version, "DELETED", Stored(last, encode(last)), before))
            return before

    def _note(self, table: _Table, event: Event) -> None:
        if len(table.events) == table.events.maxlen:
            table.dropped = table.events[0].version
        table.events.append(event)
        self.changed.notify_all()

    def since(self, key: Key, version: int) -> tuple[int, list[Event] | None]:
        """Return (newest version, events after ``version``); None when some are no longer kept."""
        with self.lock:
            table = self._table(key)
            if version < table.dropped:
                return self.version, None
            fresh: deque[Event] = deque()
            for event in reversed(table.events):
                if event.version <= version:
                    break
                fresh.appendleft(event)
            return self.version, list(fresh)

    def keep_snapshot(self, token: str, rows: list[Stored]) -> None:
        """Keep the rest of a paged LIST; the oldest goes when there are too many."""
        with self.lock:
            self._snapshots[token] = rows
            while len(self._snapshots) > SNAPSHOTS:
                self._snapshots.popitem(last=False)

    def snapshot(self, token: str) -> list[Stored] | None:
        with self.lock:
            return self._snapshots.get(token)

    def forget_snapshots(self) -> None:
        """What compaction does to clients that page slowly: their next page answers 410."""
        with self.lock:
            self._snapshots.clear()
