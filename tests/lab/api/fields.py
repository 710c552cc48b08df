# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""managedFields: which client last wrote which field.

Each write moves the fields it changed to its manager, as in kube-apiserver. Lists are joined by the
same keys as in strategic merge; all other lists count as one field.
"""

from __future__ import annotations

import json
from typing import Any

from tests.lab.api.errors import Obj
from tests.lab.api.patch import merge_key

Path = tuple[str, ...]

_OWNED_META = ("labels", "annotations", "ownerReferences", "finalizers", "generateName")


def leaves(obj: Obj) -> dict[Path, Any]:
    """Return every owned field of an object with its value, by its path in FieldsV1 notation."""
    out: dict[Path, Any] = {}
    meta = {key: obj["metadata"][key] for key in _OWNED_META if obj["metadata"].get(key)}
    rest = {k: v for k, v in obj.items() if k not in ("apiVersion", "kind", "metadata")}
    _collect({"metadata": meta, **rest} if meta else rest, (), out)
    return out


def _collect(value: Any, path: Path, out: dict[Path, Any]) -> None:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            _field(key, item, (*path, f"f:{key}"), out)
    elif path:
        out[path] = value


def _field(name: str, value: Any, path: Path, out: dict[Path, Any]) -> None:
    key = merge_key(name, value) if isinstance(value, list) and value else None
    if key is None or not all(isinstance(item, dict) and key in item for item in value):
        _collect(value, path, out)
        return
    for item in value:
        mark = json.dumps({key: item[key]}, separators=(",", ":"))
        out[(*path, f"k:{mark}", ".")] = True
        _collect(item, (*path, f"k:{mark}"), out)


def to_tree(paths: set[Path]) -> Obj:
    """Return FieldsV1 for a set of paths."""
    tree: Obj = {}
    for path in sorted(paths):
        here = tree
        for part in path:
            here = here.setdefault(part, {})
    return tree


def from_tree(tree: Obj, path: Path = ()) -> set[Path]:
    """Return the paths of a FieldsV1."""
    if not tree:
        return {path} if path else set()
    out: set[Path] = set()
    for part, below in tree.items():
        out |= from_tree(below, (*path, part))
    return out


def update(before: Obj | None, after: Obj, manager: str, subresource: str, time: str) -> list[Obj]:
    """Return managedFields of ``after``, written by ``manager`` over ``before`` (None: created)."""
    old = leaves(before) if before else {}
    new = leaves(after)
    changed = {path for path, value in new.items() if path not in old or old[path] != value}
    gone = set(old) - set(new)
    mine = {"manager": manager, "operation": "Update", "apiVersion": after["apiVersion"]}
    out: list[Obj] = []
    found = False
    for entry in (before or {}).get("metadata", {}).get("managedFields") or []:
        owned = from_tree(entry.get("fieldsV1") or {}) - gone
        same = all(entry.get(k) == v for k, v in mine.items())
        if same and entry.get("subresource", "") == subresource:
            found = True
            fresh = owned | changed
            stamp = time if fresh != owned or changed else entry["time"]
            owned = fresh
        else:
            stamp = entry["time"]
            owned -= changed
        if owned:
            out.append({**entry, "time": stamp, "fieldsV1": to_tree(owned)})
    if changed and not found:
        entry = {**mine, "time": time, "fieldsType": "FieldsV1", "fieldsV1": to_tree(changed)}
        out.append({**entry, "subresource": subresource} if subresource else entry)
    return out
