# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kubernetes' label selectors: whether one is well-formed, what it selects, in words. Pure.

Source: k8s.io/apimachinery ``pkg/apis/meta/v1`` (LabelSelectorAsSelector), ``pkg/util/validation``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Selector = dict[str, Any]

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?\Z")
_PREFIX = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\Z")
_WITH_VALUES = ("In", "NotIn")
_WITHOUT = ("Exists", "DoesNotExist")


def plain_selector(selector: Mapping[str, Any]) -> Selector:
    """Return a selector with its values as text: a template makes true of "true"."""
    found: Selector = dict(selector)
    labels = selector.get("matchLabels")
    if isinstance(labels, Mapping):
        found["matchLabels"] = {str(key): _text(value) for key, value in labels.items()}
    rules = selector.get("matchExpressions")
    if isinstance(rules, list) and all(isinstance(rule, Mapping) for rule in rules):
        found["matchExpressions"] = [
            {**rule, "values": [_text(v) for v in rule["values"]]}
            if isinstance(rule.get("values"), list)
            else dict(rule)
            for rule in rules
        ]
    return found


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def selector_problems(selector: Mapping[str, Any]) -> Iterator[str]:
    """Say what is wrong with a selector."""
    unknown = sorted(set(selector) - {"matchLabels", "matchExpressions"})
    if unknown:
        yield f"{', '.join(unknown)}: a selector has matchLabels and matchExpressions only"
        return
    labels, rules = selector.get("matchLabels") or {}, selector.get("matchExpressions") or []
    if not isinstance(labels, Mapping):
        yield "matchLabels is no mapping of labels to values"
        return
    if not isinstance(rules, list) or not all(isinstance(rule, Mapping) for rule in rules):
        yield "matchExpressions is no list of {key, operator, values}"
        return
    for key, value in labels.items():
        yield from _label_problems(str(key), [value])
    for rule in rules:
        yield from _rule_problems(rule)


def _rule_problems(rule: Mapping[str, Any]) -> Iterator[str]:
    key, operator, values = rule.get("key"), rule.get("operator"), rule.get("values") or []
    if operator not in (*_WITH_VALUES, *_WITHOUT):
        yield f"operator {operator} of {key} is none of In, NotIn, Exists, DoesNotExist"
    elif (operator in _WITH_VALUES) != bool(values):
        wants = "needs values" if operator in _WITH_VALUES else "takes no values"
        yield f"operator {operator} of {key} {wants}"
    yield from _label_problems(str(key or ""), values)


def _label_problems(key: str, values: list[Any]) -> Iterator[str]:
    prefix, slash, name = key.rpartition("/")
    if not _NAME.match(name) or (slash and not _PREFIX.match(prefix)):
        yield f"{key or '(no key)'} is no label's name"
    for value in values:
        if str(value) and not _NAME.match(str(value)):
            yield f"{value} is no label's value ({key})"


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Tell whether a selector selects something with these labels; an empty one selects all."""
    wanted = selector.get("matchLabels") or {}
    rules = selector.get("matchExpressions") or ()
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(rule, labels) for rule in rules
    )


def _holds(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(str(rule.get("key"))), rule.get("values") or ()
    return {
        "In": value is not None and value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }.get(str(rule.get("operator")), False)


def selector_words(selector: Mapping[str, Any]) -> str:
    """Return a selector as ``kubectl get -l`` takes it; empty text for an empty one."""
    words = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for rule in selector.get("matchExpressions") or ():
        key, values = rule.get("key"), ",".join(map(str, rule.get("values") or ()))
        words.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": f"{key}",
                "DoesNotExist": f"!{key}",
            }.get(str(rule.get("operator")), f"{key} {rule.get('operator')}")
        )
    return ",".join(words)


def those(what: str, selector: Mapping[str, Any]) -> str:
    """Return what a selector selects in words, "nodes with zone=a" or "all nodes"."""
    words = selector_words(selector)
    return f"{what} with {words}" if words else f"all {what}"


def same_selector(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Tell whether two selectors are written alike; an empty part is none."""
    if one is None or other is None:
        return one is other

    def core(selector: Mapping[str, Any]) -> Selector:
        return {key: value for key, value in selector.items() if value}

    return core(one) == core(other)
