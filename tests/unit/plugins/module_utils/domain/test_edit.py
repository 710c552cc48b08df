# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON patches, and edits that keep track of themselves."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import (
    Edit,
    Write,
    operations,
    pointer,
    same,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.api.patch import json_patch

TARGET = {"kind": "Installation", "namespace": None, "name": "default"}
KEYS = st.sampled_from(["name", "value", "a/b", "m~n", "env", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "x", "y"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=5)


@given(OBJECTS, OBJECTS)
def test_the_operations_lead_from_one_object_to_the_other(one: Any, other: Any) -> None:
    assert same(json_patch(copy.deepcopy(one), operations(one, other)), other)


@given(OBJECTS)
def test_an_object_is_no_change_of_itself(one: Any) -> None:
    assert operations(one, copy.deepcopy(one)) == []


def test_a_whole_field_is_replaced_as_one_value() -> None:
    one, other = {"a": {"b": {"x": 1}}}, {"a": {"b": {"y": 2}}}
    assert operations(one, other, (("a", "b"),)) == [
        {"op": "replace", "path": "/a/b", "value": {"y": 2}}
    ]
    assert [o["op"] for o in operations(one, other)] == ["remove", "add"]


def test_a_variable_inside_a_container_is_one_operation() -> None:
    def pod(*env: str) -> dict[str, Any]:
        variables = [{"name": n, "value": "v"} for n in env]
        return {"containers": [{"name": "a"}, {"name": "b", "env": variables}]}

    assert operations(pod("x", "z"), pod("x", "y", "z")) == [
        {"op": "add", "path": "/containers/1/env/1", "value": {"name": "y", "value": "v"}}
    ]


def test_true_is_not_one_and_null_is_not_absent() -> None:
    assert operations({"a": 1}, {"a": True}) == [{"op": "replace", "path": "/a", "value": True}]
    assert operations({"a": None}, {}) == [{"op": "remove", "path": "/a"}]


def test_a_pointer_escapes_what_separates() -> None:
    assert pointer(("a/b", "m~n")) == "/a~1b/m~0n"


def edit(spec: Any) -> Edit:
    return Edit({"metadata": {"resourceVersion": "7"}, "spec": spec}, TARGET, "/x")


def test_every_patch_begins_with_the_version_that_was_read() -> None:
    change = edit({})
    change.put(("spec", "a", "b"), 1, "Set b")
    write = change.write()
    assert write is not None
    assert write.operations == (
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "add", "path": "/spec/a", "value": {"b": 1}},
    )
    assert write.after["spec"] == {"a": {"b": 1}}
    assert write.before["spec"] == {}


def test_what_is_so_already_is_no_step() -> None:
    change = edit({"a": {"b": None}})
    change.put(("spec", "a", "b"), None, "Set b")
    change.drop(("spec", "a", "c"), "Drop c")
    assert change.steps == []
    assert change.write() is None
    typed = edit({"a": True})
    typed.put(("spec", "a"), 1, "Set a")
    assert typed.after["spec"] == {"a": 1}
    assert len(typed.steps) == 1


def test_the_diff_tells_absent_from_null_and_from_nothing_in_it() -> None:
    change = edit({})
    for value in (None, {}, 1):
        change.put(("spec", "a"), value, "Set a")
    change.drop(("spec", "a"), "Drop a")
    shown = [(step.before, step.after) for step in change.steps]
    assert shown == [
        ({}, {"a": None}),
        ({"a": None}, {"a": {}}),
        ({"a": {}}, {"a": 1}),
        ({"a": 1}, {}),
    ]


@pytest.mark.parametrize(
    "former",
    [
        {},
        {"a": None},
        {"a": {}},
        {"a": {"b": None}},
        {"a": {"b": {}}},
        {"a": {"b": {"c": None}}},
        {"a": {"b": {"c": 0}}},
        {"a": {"b": {"c": 5, "d": 1}}},
    ],
)
def test_a_value_goes_back_to_exactly_what_it_was(former: Any) -> None:
    now = copy.deepcopy(former)
    change = edit(now)
    change.put(("spec", "a", "b", "c"), 9, "Set")
    after = Edit(change.after, TARGET, "/x")
    after.restore(("spec", "a", "b", "c"), {"spec": former}, "Restore")
    assert same(after.after["spec"], former)


def test_a_parent_that_somebody_else_uses_meanwhile_stays() -> None:
    change = edit({"a": {"b": 1, "other": 2}})
    change.restore(("spec", "a", "b"), {"spec": {}}, "Restore")
    assert change.after["spec"] == {"a": {"other": 2}}


@pytest.mark.parametrize(
    ("kind", "data", "manager"),
    [
        ("ConfigMap", {"a.conf": "2", "b.conf": "1"}, "k8snet.cni:a.conf"),
        ("ConfigMap", {"a.conf": "2", "c.conf": "1"}, "k8snet.cni:a.conf,b.conf,c.conf"),
        ("ConfigMap", {"a.conf": "1", "b.conf": "1"}, None),
        ("Secret", {"a.conf": "2"}, None),
    ],
)
def test_each_set_of_files_is_a_manager_of_its_own(kind: str, data: Any, manager: Any) -> None:
    before = {"metadata": {}, "data": {"a.conf": "1", "b.conf": "1"}}
    target = {"kind": kind, "namespace": "kube-system", "name": "antrea-config"}
    write = Write(target, "/", (), before, {"metadata": {"labels": {}}, "data": data})
    assert write.query == (manager and {"fieldManager": manager})


def test_a_managers_name_is_no_longer_than_the_api_server_takes() -> None:
    target = {"kind": "ConfigMap", "namespace": "default", "name": "x"}
    write = Write(target, "/", (), {}, {"data": {"x" * 200: "1"}})
    assert len((write.query or {})["fieldManager"]) == 128
