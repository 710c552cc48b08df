# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The patches of the API: JSON patch (RFC 6902), merge patch (RFC 7386), strategic merge patch.

Strategic merge knows the merge keys of the lists that the tests use, not the whole of Kubernetes.
Server-side apply is not there: the double answers it with 415.
"""

from __future__ import annotations

import copy
from typing import Any

from tests.lab.api.errors import ApiError, Obj, bad_request, patch_failed

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"

# Lists that strategic merge joins by a key, by the name of their field (k8s.io/api, patchMergeKey).
MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "conditions": "type",
    "addresses": "type",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "ownerReferences": "uid",
    "podIPs": "ip",
}
_PRIMITIVE_SETS = ("finalizers",)


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a merge patch: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    out = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merge_patch(out.get(key), value)
    return out


def _pointer(path: Any) -> list[str]:
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise patch_failed()
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _index(items: list[Any], part: str, *, adding: bool) -> int:
    if adding and part == "-":
        return len(items)
    try:
        index = int(part)
    except ValueError:
        raise patch_failed() from None
    if index < 0:
        index += len(items)
    if not 0 <= index < len(items) + adding:
        raise patch_failed()
    return index


def _walk(doc: Any, parts: list[str]) -> Any:
    for part in parts:
        if isinstance(doc, dict) and part in doc:
            doc = doc[part]
        elif isinstance(doc, list):
            doc = doc[_index(doc, part, adding=False)]
        else:
            raise patch_failed()
    return doc


def _put(doc: Any, parts: list[str], value: Any, *, replace: bool) -> Any:
    if not parts:
        return value
    parent, last = _walk(doc, parts[:-1]), parts[-1]
    if isinstance(parent, list):
        index = _index(parent, last, adding=not replace)
        if replace:
            parent[index] = value
        else:
            parent.insert(index, value)
    elif isinstance(parent, dict) and (not replace or last in parent):
        parent[last] = value
    else:
        raise patch_failed()
    return doc


def _take(doc: Any, parts: list[str]) -> Any:
    value = _walk(doc, parts)
    if not parts:
        raise patch_failed()
    parent = _walk(doc, parts[:-1])
    if isinstance(parent, list):
        del parent[_index(parent, parts[-1], adding=False)]
    else:
        del parent[parts[-1]]
    return value


def _test(doc: Any, parts: list[str], want: Any) -> None:
    try:
        have = _walk(doc, parts)
    except ApiError:
        if want is None:  # as the server's library: a missing value equals null
            return
        raise
    if have != want or isinstance(have, bool) != isinstance(want, bool):
        raise patch_failed()


def json_patch(target: Obj, operations: Any) -> Any:
    """Apply a JSON patch. An operation that does not apply is 422, a malformed document 400."""
    if not isinstance(operations, list) or not all(isinstance(op, dict) for op in operations):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    doc: Any = copy.deepcopy(target)
    for operation in operations:
        kind, parts = operation.get("op"), _pointer(operation.get("path"))
        value = copy.deepcopy(operation.get("value"))
        if kind == "test":
            _test(doc, parts, value)
        elif kind in ("add", "replace"):
            doc = _put(doc, parts, value, replace=kind == "replace")
        elif kind == "remove":
            _take(doc, parts)
        elif kind == "move":
            doc = _put(doc, parts, _take(doc, _pointer(operation.get("from"))), replace=False)
        elif kind == "copy":
            found = copy.deepcopy(_walk(doc, _pointer(operation.get("from"))))
            doc = _put(doc, parts, found, replace=False)
        else:
            raise patch_failed()
    return doc


def merge_key(field: str, items: list[Any]) -> str | None:
    """Return the key by which a list of objects is joined; None for a list replaced as a whole."""
    if field == "ports":
        container = any(isinstance(i, dict) and "containerPort" in i for i in items)
        return "containerPort" if container else "port"
    return MERGE_KEYS.get(field)


def _merge_list(field: str, have: list[Any], patch: list[Any]) -> list[Any]:
    if field in _PRIMITIVE_SETS:
        return [*have, *(item for item in patch if item not in have)]
    if any(isinstance(i, dict) and i.get("$patch") == "replace" for i in patch):
        return [i for i in patch if not (isinstance(i, dict) and "$patch" in i)]
    key = merge_key(field, [*have, *patch])
    if key is None:
        return copy.deepcopy(patch)
    out = list(have)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        place = next((n for n, old in enumerate(out) if old.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            if place is not None:
                del out[place]
        elif place is None:
            out.append(strategic_patch({}, item))
        else:
            out[place] = strategic_patch(out[place], item)
    return out


def _reorder(field: str, items: list[Any], order: list[Any]) -> list[Any]:
    """Honour $setElementOrder: named elements first, in that order, the rest after them."""
    key = merge_key(field, items)
    ranks = [item.get(key) if isinstance(item, dict) else item for item in order]

    def rank(item: Any) -> int:
        value = item.get(key) if isinstance(item, dict) else item
        return ranks.index(value) if value in ranks else len(ranks)

    return sorted(items, key=rank)


def strategic_patch(target: Any, patch: Any) -> Any:
    """Apply a strategic merge patch: like a merge patch, but known lists are joined by key."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    out = dict(target) if isinstance(target, dict) else {}
    if patch.get("$patch") == "delete":
        return {}
    for key, value in patch.items():
        if key.startswith("$"):
            _directive(out, key, value)
        elif value is None:
            out.pop(key, None)
        elif isinstance(value, list):
            out[key] = _merge_list(key, out.get(key) or [], value)
        else:
            out[key] = strategic_patch(out.get(key), value)
    for key, value in patch.items():
        if key.startswith("$setElementOrder/"):
            field = key.partition("/")[2]
            if isinstance(out.get(field), list):
                out[field] = _reorder(field, out[field], value)
    return out


def _directive(out: Obj, key: str, value: Any) -> None:
    name, _unused, field = key.partition("/")
    if name == "$deleteFromPrimitiveList":
        out[field] = [item for item in out.get(field) or [] if item not in value]
    elif name == "$retainKeys":
        for stale in [k for k in out if k not in value]:
            del out[stale]
