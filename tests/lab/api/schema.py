# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Structural schemas of CRDs: prune unknown fields, fill in defaults, validate.

Source: k8s.io/apiextensions-apiserver ``pkg/apiserver/schema`` and ``pkg/apiserver/validation``.
Not here, so not to be relied upon: CEL rules (``x-kubernetes-validations``), and ``format`` other
than ipv4, ipv6 and cidr.
"""

from __future__ import annotations

import copy
import ipaddress
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.lab.api.errors import Cause, Obj

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_FORMATS: dict[str, Callable[[str], object]] = {
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
    "cidr": lambda text: ipaddress.ip_network(text, strict=False),
}
_META = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _keeps_unknown(schema: Obj) -> bool:
    return bool(schema.get("x-kubernetes-preserve-unknown-fields"))


def _embedded(schema: Obj) -> Obj:
    """Give an embedded object (and the root) the fields that every object has."""
    props = dict(schema.get("properties") or {})
    for field in ("apiVersion", "kind"):
        props.setdefault(field, {"type": "string"})
    props["metadata"] = _META
    return {**schema, "properties": props}


def _child(schema: Obj, key: str) -> Obj | None:
    """Return the schema of one field; None when the field is unknown."""
    props = schema.get("properties") or {}
    if key in props:
        found: Obj = props[key]
        return found
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        return more
    return {"x-kubernetes-preserve-unknown-fields": True} if more is True else None


def _view(schema: Obj) -> Obj:
    return _embedded(schema) if schema.get("x-kubernetes-embedded-resource") else schema


def prune(schema: Obj, value: Any, path: str = "", *, root: bool = True) -> list[str]:
    """Remove, in place, what the schema does not know. Returns the removed paths."""
    schema = _embedded(schema) if root else _view(schema)
    removed: list[str] = []
    if isinstance(value, dict):
        for key in list(value):
            where = f"{path}.{key}" if path else key
            child = _child(schema, key)
            if child is not None:
                removed += prune(child, value[key], where, root=False)
            elif not _keeps_unknown(schema):
                del value[key]
                removed.append(where)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            removed += prune(schema["items"], item, f"{path}[{index}]", root=False)
    return removed


def fill_defaults(schema: Obj, value: Any) -> None:
    """Write, in place, the defaults of absent fields; a null that may not be counts as absent."""
    if isinstance(value, dict):
        _drop_nulls(schema, value)
        for key, child in (schema.get("properties") or {}).items():
            if key not in value and "default" in child:
                value[key] = copy.deepcopy(child["default"])
            if key in value:
                fill_defaults(child, value[key])
        more = schema.get("additionalProperties")
        if isinstance(more, dict):
            for key in set(value) - set(schema.get("properties") or {}):
                fill_defaults(more, value[key])
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for item in value:
            fill_defaults(schema["items"], item)


def _drop_nulls(schema: Obj, value: Obj) -> None:
    """Remove the nulls of known fields that may not be null."""
    more = schema.get("additionalProperties")
    for key in [key for key, item in value.items() if item is None]:
        child = (schema.get("properties") or {}).get(key, more)
        if isinstance(child, dict) and not child.get("nullable"):
            del value[key]


def validate(schema: Obj, obj: Obj) -> list[Cause]:
    """Return what is wrong with ``obj``, in the words and reasons of the API's field errors."""
    return list(_check(_embedded(schema), obj, ""))


def _is_type(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(name, (object,)))


def _type_name(value: Any) -> str:
    if isinstance(value, float):
        return "number"
    for name in ("boolean", "integer", "string", "array", "object"):
        if _is_type(name, value):
            return name
    return "null"


def _show(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _check(schema: Obj, value: Any, path: str) -> Iterator[Cause]:
    schema = _view(schema)
    if value is None and schema.get("nullable"):
        return
    wanted = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        if not (isinstance(value, str) or _is_type("integer", value)):
            yield _bad_type(path, "integer,string", value)
            return
    elif wanted and not _is_type(wanted, value):
        yield _bad_type(path, wanted, value)
        return
    yield from _check_value(schema, value, path)
    yield from _check_logic(schema, value, path)
    if isinstance(value, dict):
        yield from _check_object(schema, value, path)
    elif isinstance(value, list):
        yield from _check_array(schema, value, path)


def _bad_type(path: str, wanted: str, value: Any) -> Cause:
    have = _type_name(value)
    message = f'Invalid value: "{have}": {path} in body must be of type {wanted}: "{have}"'
    return Cause("FieldValueTypeInvalid", path, message)


def _invalid(path: str, value: Any, why: str) -> Cause:
    return Cause("FieldValueInvalid", path, f"Invalid value: {_show(value)}: {path} in body {why}")


def _check_value(schema: Obj, value: Any, path: str) -> Iterator[Cause]:
    enum = schema.get("enum")
    if enum is not None and value not in enum:
        values = ", ".join(_show(item) for item in enum)
        message = f"Unsupported value: {_show(value)}: supported values: {values}"
        yield Cause("FieldValueNotSupported", path, message)
    if isinstance(value, str):
        yield from _check_string(schema, value, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = schema.get("minimum"), schema.get("maximum")
        if low is not None and (value < low or (schema.get("exclusiveMinimum") and value == low)):
            yield _invalid(path, value, f"should be greater than or equal to {low}")
        if high is not None and (
            value > high or (schema.get("exclusiveMaximum") and value == high)
        ):
            yield _invalid(path, value, f"should be less than or equal to {high}")


def _check_string(schema: Obj, value: str, path: str) -> Iterator[Cause]:
    least, most = schema.get("minLength"), schema.get("maxLength")
    if least is not None and len(value) < least:
        yield _invalid(path, value, f"should be at least {least} chars long")
    if most is not None and len(value) > most:
        message = f"Too long: may not be more than {most} bytes"
        yield Cause("FieldValueTooLong", path, message)
    pattern = schema.get("pattern")
    if pattern and not _matches(pattern, value):
        yield _invalid(path, value, f"should match '{pattern}'")
    kind = schema.get("format")
    if kind in _FORMATS and not _fits(kind, value):
        yield _invalid(path, value, f"must be of type {kind}")


def _fits(kind: str, value: str) -> bool:
    """Tell whether a text is an address or a network."""
    parse = _FORMATS[kind]
    try:
        parse(value)
    except ValueError:
        return False
    return kind != "cidr" or "/" in value


def _matches(pattern: str, value: str) -> bool:
    """Tell whether an RE2 pattern is found; patterns that Python cannot read count as found."""
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return True


def _check_object(schema: Obj, value: Obj, path: str) -> Iterator[Cause]:
    for key in schema.get("required") or ():
        if key not in value:
            where = f"{path}.{key}" if path else key
            yield Cause("FieldValueRequired", where, "Required value")
    least, most = schema.get("minProperties"), schema.get("maxProperties")
    if least is not None and len(value) < least:
        yield _invalid(path, value, f"should have at least {least} properties")
    if most is not None and len(value) > most:
        message = f"Too many: {len(value)}: must have at most {most} items"
        yield Cause("FieldValueTooMany", path, message)
    for key, item in value.items():
        child = _child(schema, key)
        if child is not None:
            yield from _check(child, item, f"{path}.{key}" if path else key)


def _check_array(schema: Obj, value: list[Any], path: str) -> Iterator[Cause]:
    least, most = schema.get("minItems"), schema.get("maxItems")
    if least is not None and len(value) < least:
        yield _invalid(path, len(value), f"should have at least {least} items")
    if most is not None and len(value) > most:
        message = f"Too many: {len(value)}: must have at most {most} items"
        yield Cause("FieldValueTooMany", path, message)
    yield from _check_unique(schema, value, path)
    items = schema.get("items")
    if isinstance(items, dict):
        for index, item in enumerate(value):
            yield from _check(items, item, f"{path}[{index}]")


def _check_unique(schema: Obj, value: list[Any], path: str) -> Iterator[Cause]:
    """Find what occurs twice in lists that are sets, or maps by the values of their keys."""
    kind = schema.get("x-kubernetes-list-type")
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    seen: set[str] = set()
    for index, item in enumerate(value):
        if kind == "map" and isinstance(item, dict):
            mark = {key: item.get(key) for key in keys}
        elif kind == "set":
            mark = item
        else:
            continue
        shown = json.dumps(mark, sort_keys=True, separators=(",", ":"))
        if shown in seen:
            message = f"Duplicate value: {shown}"
            yield Cause("FieldValueDuplicate", f"{path}[{index}]", message)
        seen.add(shown)


def _check_logic(schema: Obj, value: Any, path: str) -> Iterator[Cause]:
    def good(sub: Obj) -> bool:
        return next(_check(sub, value, path), None) is None

    for sub in schema.get("allOf") or ():
        yield from _check(sub, value, path)
    any_of, one_of = schema.get("anyOf"), schema.get("oneOf")
    if any_of and not any(good(sub) for sub in any_of):
        yield _invalid(path, value, "must validate at least one schema (anyOf)")
    if one_of and sum(good(sub) for sub in one_of) != 1:
        yield _invalid(path, value, "must validate one and only one schema (oneOf)")
    if schema.get("not") and good(schema["not"]):
        yield _invalid(path, value, "must not validate the schema (not)")


def structural_errors(schema: Any, path: str) -> list[Cause]:
    """Return why a CRD's schema is not structural: every field needs a type."""
    if not isinstance(schema, dict):
        return [Cause("FieldValueRequired", path, "Required value: schemas are required")]
    out: list[Cause] = []
    free = schema.get("x-kubernetes-int-or-string") or _keeps_unknown(schema)
    if not schema.get("type") and not free:
        why = "Required value: must not be empty for specified object fields"
        out.append(Cause("FieldValueRequired", f"{path}.type", why))
    if schema.get("type") == "array" and not isinstance(schema.get("items"), dict):
        why = "Required value: must be specified"
        out.append(Cause("FieldValueRequired", f"{path}.items", why))
    for key, child in (schema.get("properties") or {}).items():
        out += structural_errors(child, f"{path}.properties[{key}]")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            out += structural_errors(schema[key], f"{path}.{key}")
    if schema.get("properties") and schema.get("additionalProperties"):
        why = "Forbidden: must not be used together with properties"
        out.append(Cause("FieldValueForbidden", f"{path}.additionalProperties", why))
    return out
