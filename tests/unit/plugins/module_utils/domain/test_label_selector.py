# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Label selectors: what they select, what is wrong with them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain._label_selector import (
    matches,
    plain_selector,
    same_selector,
    selector_problems,
    selector_words,
    those,
)

Obj = dict[str, Any]


def rule(operator: str, *values: str) -> Obj:
    found: Obj = {"key": "zone", "operator": operator}
    return {"matchExpressions": [{**found, "values": list(values)} if values else found]}


@pytest.mark.parametrize(
    ("selector", "a", "b", "none"),
    [
        ({}, True, True, True),
        ({"matchLabels": {"zone": "a"}}, True, False, False),
        (rule("In", "a", "c"), True, False, False),
        (rule("NotIn", "a", "c"), False, True, True),
        (rule("Exists"), True, True, False),
        (rule("DoesNotExist"), False, False, True),
        ({**rule("Exists"), "matchLabels": {"zone": "b"}}, False, True, False),
    ],
)
def test_a_selector_selects(selector: Obj, a: bool, b: bool, none: bool) -> None:
    found = [matches(selector, labels) for labels in ({"zone": "a"}, {"zone": "b"}, {})]
    assert found == [a, b, none]
    assert list(selector_problems(selector)) == []


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ({"match_labels": {"a": "b"}}, "match_labels: a selector has matchLabels"),
        ({"matchLabels": ["a"]}, "no mapping"),
        ({"matchExpressions": {"key": "a"}}, "no list"),
        ({"matchExpressions": ["a"]}, "no list"),
        ({"matchLabels": {"a b": "c"}}, "a b is no label's name"),
        ({"matchLabels": {"Up.io/a": "c"}}, "Up.io/a is no label's name"),
        ({"matchLabels": {"a": "c d"}}, "c d is no label's value"),
        (rule("In"), "operator In of zone needs values"),
        (rule("Exists", "a"), "operator Exists of zone takes no values"),
        (rule("Like", "a"), "operator Like of zone is none of"),
        ({"matchExpressions": [{"operator": "Exists"}]}, r"\(no key\) is no label's name"),
    ],
)
def test_what_is_wrong_with_a_selector_is_told(selector: Obj, words: str) -> None:
    assert re.search(words, "; ".join(selector_problems(selector)))


def test_values_that_a_template_made_other_than_text_are_text() -> None:
    assert plain_selector({"matchLabels": {"egress": True, "vlan": 181}}) == {
        "matchLabels": {"egress": "true", "vlan": "181"}
    }
    found = plain_selector(
        {"matchExpressions": [{"key": "a", "operator": "In", "values": [False]}]}
    )
    assert found["matchExpressions"][0]["values"] == ["false"]
    # What is none stays as it is, for others to judge.
    odd = {"matchExpressions": [{"key": "a"}, "b"]}
    assert plain_selector(odd) == odd


def test_a_selector_in_words() -> None:
    every = [*rule("In", "a", "b")["matchExpressions"], *rule("Exists")["matchExpressions"]]
    every += [*rule("NotIn", "c")["matchExpressions"], *rule("DoesNotExist")["matchExpressions"]]
    selector = {"matchLabels": {"app": "x"}, "matchExpressions": every}
    assert selector_words(selector) == "app=x,zone in (a,b),zone,zone notin (c),!zone"
    assert those("nodes", {}) == "all nodes"
    assert those("nodes", {"matchLabels": {"a": "b"}}) == "nodes with a=b"


def test_an_empty_part_of_a_selector_is_none_of_it() -> None:
    assert same_selector({"matchLabels": {}}, {})
    assert not same_selector({"matchLabels": {"a": "b"}}, {})
    assert not same_selector(None, {})
    assert same_selector(None, None)
