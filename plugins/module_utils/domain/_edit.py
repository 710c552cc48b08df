# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON patches (RFC 6902) from one object to another, and edits that keep track of themselves.

Every patch begins by replacing ``metadata.resourceVersion`` with the one that was read: the API
server then answers 409 if anybody wrote in between, and a patch whose answer was lost cannot be
applied twice. Source: Kubernetes, API conventions, "Concurrency control and consistency". Pure.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Step

Obj = dict[str, Any]
Path = tuple[str, ...]

_ABSENT: Any = object()
#: Characters that the API server takes for a manager's name.
_MANAGER = 128


@dataclass(frozen=True)
class Write:
    """One PATCH of one object. ``after`` is the whole object as it will be."""

    target: Obj  # kind, namespace (None: cluster-wide), name
    path: str
    operations: tuple[Obj, ...]
    before: Obj
    after: Obj

    @property
    def query(self) -> Obj | None:
        """Return what the PATCH's address says: who writes, where that matters.

        managedFields has one time per manager, not per field. A set of a ConfigMap's files that is
        written together is a manager of its own, so that the time stays that of each of its files.
        """
        old, new = self.before.get("data") or {}, self.after.get("data") or {}
        files = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        if self.target["kind"] != "ConfigMap" or not files:
            return None
        return {"fieldManager": f"k8snet.cni:{','.join(files)}"[:_MANAGER]}


def title(target: Obj) -> str:
    """Return "DaemonSet kube-system/calico-node"."""
    place = f"{target['namespace']}/" if target.get("namespace") else ""
    return f"{target['kind']} {place}{target['name']}"


def operations(before: Any, after: Any, whole: tuple[Path, ...] = ()) -> list[Obj]:
    """Return the operations that turn ``before`` into ``after``.

    What lies at a path of ``whole`` is replaced as one value, not key by key.
    """
    return _operations(before, after, (), frozenset(whole))


def _operations(before: Any, after: Any, path: Path, whole: frozenset[Path]) -> list[Obj]:
    if same(before, after):
        return []
    if path not in whole:
        if isinstance(before, dict) and isinstance(after, dict):
            return _of_objects(before, after, path, whole)
        if isinstance(before, list) and isinstance(after, list):
            return _of_lists(before, after, path, whole)
    return [{"op": "replace", "path": pointer(path), "value": after}]


def _of_objects(before: Obj, after: Obj, path: Path, whole: frozenset[Path]) -> list[Obj]:
    found: list[Obj] = []
    for key in [*before, *(k for k in after if k not in before)]:
        here = (*path, key)
        if key not in after:
            found.append({"op": "remove", "path": pointer(here)})
        elif key not in before:
            found.append({"op": "add", "path": pointer(here), "value": after[key]})
        else:
            found += _operations(before[key], after[key], here, whole)
    return found


def _of_lists(before: list[Any], after: list[Any], path: Path, whole: frozenset[Path]) -> list[Obj]:
    """Work from the end, so that the positions before stay as they are.

    An item that keeps its name (a container, a variable) is changed, not replaced.
    """
    old, new = ([json.dumps(item, sort_keys=True) for item in items] for items in (before, after))
    found: list[Obj] = []
    for tag, i1, i2, j1, j2 in reversed(SequenceMatcher(None, old, new, False).get_opcodes()):
        if tag == "equal":
            continue
        common = min(i2 - i1, j2 - j1)
        found += [
            {"op": "remove", "path": pointer((*path, str(n)))}
            for n in range(i2 - 1, i1 + common - 1, -1)
        ]
        found += [
            {"op": "add", "path": pointer((*path, str(i1 + n))), "value": after[j1 + n]}
            for n in range(common, j2 - j1)
        ]
        for n in range(common):
            one, other, here = before[i1 + n], after[j1 + n], (*path, str(i1 + n))
            named = isinstance(one, dict) and isinstance(other, dict) and "name" in one
            if named and one["name"] == other.get("name"):
                found += _of_objects(one, other, here, whole)
            else:
                found.append({"op": "replace", "path": pointer(here), "value": other})
    return found


def same(one: Any, other: Any) -> bool:
    """Compare as JSON does: true is not 1, and null is not absent."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def pointer(path: Path) -> str:
    """Return a JSON pointer (RFC 6901)."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


class Edit:
    """A copy of one object that is being changed, with a `Step` for each change.

    ``holds``: whether one of the changes holds or releases a roll-out.
    """

    holds = False

    def __init__(self, obj: Obj, target: Obj, path: str, whole: tuple[Path, ...] = ()) -> None:
        self.target = target
        self.before = obj
        self.after: Obj = copy.deepcopy(obj)
        self.steps: list[Step] = []
        self._path = path
        self._whole = whole

    def has(self, path: Path) -> bool:
        """Tell whether there is anything, null included."""
        return look(self.after, path) is not _ABSENT

    def get(self, path: Path) -> Any:
        """Return a value, None if it is null or absent."""
        value = look(self.after, path)
        return None if value is _ABSENT else value

    def put(self, path: Path, value: Any, action: str) -> None:
        """Set a value, and make what is missing above it."""
        if self.has(path) and same(self.get(path), value):
            return
        before = self._shown(path)
        place: Any = self.after
        for part in path[:-1]:
            if not isinstance(place.get(part), dict):
                place[part] = {}
            place = place[part]
        place[path[-1]] = copy.deepcopy(value)
        self.note(action, ".".join(path), before, self._shown(path))

    def drop(self, path: Path, action: str) -> None:
        """Remove a value if it is there."""
        if not self.has(path):
            return
        before = self._shown(path)
        del look(self.after, path[:-1])[path[-1]]
        self.note(action, ".".join(path), before, {})

    def restore(self, path: Path, former: Obj, action: str) -> None:
        """Set a value as it formerly was: null, ``{}`` and absent are told apart.

        Where it was absent, parents that were absent too and are empty now go with it.
        """
        value = look(former, path)
        if value is not _ABSENT:
            self.put(path, value, action)
            return
        self.drop(path, action)
        for depth in range(len(path) - 1, 0, -1):
            parent = path[:depth]
            was = look(former, parent)
            if look(self.after, parent) == {}:
                place = look(self.after, parent[:-1])
                if was is None:
                    place[parent[-1]] = None
                elif was is _ABSENT:
                    del place[parent[-1]]

    def note(self, action: str, where: str, before: Any, after: Any) -> None:
        """Record a change made to ``after``."""
        self.steps.append(Step(action, f"{title(self.target)}: {where}", before, after))

    def _shown(self, path: Path) -> Obj:
        """Return what the diff shows: {} where there is nothing, so that it differs from null."""
        return {path[-1]: copy.deepcopy(self.get(path))} if self.has(path) else {}

    def write(self) -> Write | None:
        """Return the patch, None when nothing changed."""
        found = operations(self.before, self.after, self._whole)
        if not found:
            return None
        version = self.before["metadata"]["resourceVersion"]
        guard = {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
        return Write(self.target, self._path, (guard, *found), self.before, self.after)


def look(obj: Any, path: Path) -> Any:
    """Return what lies at a path, a mark that is no JSON value if there is nothing."""
    for part in path:
        if not isinstance(obj, dict) or part not in obj:
            return _ABSENT
        obj = obj[part]
    return obj


def absent(value: Any) -> bool:
    """Tell whether `look` found nothing."""
    return value is _ABSENT
