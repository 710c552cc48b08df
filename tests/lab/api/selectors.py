# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Label and field selectors. Source: k8s.io/apimachinery ``pkg/labels`` and ``pkg/fields``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.lab.api.errors import Obj, bad_request
from tests.lab.api.resources import Resource

Test = Callable[[Obj], bool]

_SET = re.compile(r"^([^\s!=,()]+)\s+(in|notin)\s*\(([^()]*)\)$")
_EQUAL = re.compile(r"^([^\s!=,()]+)\s*(==|=|!=)\s*([^\s!=,()]*)$")
_KEY = re.compile(r"^(!?)\s*([^\s!=,()]+)$")
_FIELD = re.compile(r"^([^=!,]+?)(==|=|!=)([^=!,]*)$")

# What each built-in kind can be selected by, beside metadata.name and metadata.namespace.
_FIELDS = {
    ("", "pods"): (
        "spec.nodeName spec.restartPolicy spec.schedulerName spec.serviceAccountName "
        "spec.hostNetwork status.phase status.podIP status.nominatedNodeName"
    ),
    ("", "nodes"): "spec.unschedulable",
    ("", "namespaces"): "status.phase",
    ("", "secrets"): "type",
    ("", "events"): (
        "involvedObject.kind involvedObject.namespace involvedObject.name involvedObject.uid "
        "reason type"
    ),
    ("apps", "replicasets"): "status.replicas",
}


def _split(text: str) -> list[str]:
    """Split at the commas outside parentheses."""
    parts, depth, start = [], 0, 0
    for index, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    parts.append(text[start:])
    return [part.strip() for part in parts]


def _label_test(part: str) -> Callable[[dict[str, str]], bool]:
    found = _SET.match(part)
    if found:
        key, word, values = found.groups()
        wanted = {value.strip() for value in values.split(",")}
        if word == "in":
            return lambda labels: labels.get(key) in wanted
        return lambda labels: labels.get(key) not in wanted
    found = _EQUAL.match(part)
    if found:
        key, operator, value = found.groups()
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    found = _KEY.match(part)
    if found:
        absent, key = found.groups()
        return (lambda labels: key not in labels) if absent else (lambda labels: key in labels)
    raise bad_request(f"unable to parse requirement: found '{part}', expected: identifier")


def labels(text: str) -> Test:
    """Return a test of an object's labels. Raises 400 on a selector that does not parse."""
    tests = [_label_test(part) for part in _split(text)] if text.strip() else []

    def matches(obj: Obj) -> bool:
        have = obj["metadata"].get("labels") or {}
        return all(test(have) for test in tests)

    return matches


def value_at(obj: Obj, path: str) -> Any:
    """Return the value at a dotted path, None when it is not there."""
    here: Any = obj
    for part in path.split("."):
        if not isinstance(here, dict):
            return None
        here = here.get(part)
    return here


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def parse_fields(text: str) -> list[tuple[str, str, str]]:
    """Return (path, operator, value) per requirement; 400 on what does not parse."""
    out = []
    for part in text.split(",") if text else []:
        found = _FIELD.match(part.strip())
        if not found:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        out.append((found[1], found[2], found[3]))
    return out


def fields(resource: Resource, text: str) -> Test:
    """Return a test of an object's fields; 400 on a field this resource cannot be selected by."""
    wanted = parse_fields(text)
    known = {"metadata.name", *_FIELDS.get(resource.key, "").split(), *resource.selectable}
    if resource.namespaced or resource.custom:
        known.add("metadata.namespace")
    for path, _operator, _value in wanted:
        if path not in known:
            raise bad_request(f"field label not supported: {path}")
    bools = {"spec.unschedulable", "spec.hostNetwork"}

    def matches(obj: Obj) -> bool:
        for path, operator, value in wanted:
            have = _as_text(value_at(obj, path))
            if path in bools and not have:
                have = "false"
            if (have == value) == (operator == "!="):
                return False
        return True

    return matches
