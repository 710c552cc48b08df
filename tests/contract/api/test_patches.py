# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Merge patch, JSON patch, strategic merge patch."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.api.conftest import WIDGETS, config_map, daemonset, fails, widget
from tests.lab.api.client import JSON_PATCH, MERGE, STRATEGIC, Client

Obj = dict[str, Any]


@pytest.fixture
def made(api: Client, maps: str) -> Obj:
    return api.create(maps, config_map(data={"a": "1", "b": "2"}))


@pytest.fixture
def path(made: Obj, maps: str) -> str:
    return f"{maps}/{made['metadata']['name']}"


def refused(api: Client, path: str, operations: Any) -> tuple[int, str]:
    status = fails(api, "PATCH", path, operations, {"Content-Type": JSON_PATCH})
    return status.code, status.reason


def test_a_merge_patch_sets_and_null_removes(api: Client, path: str) -> None:
    changed = api.patch(path, {"data": {"a": None, "c": "3"}})
    assert changed["data"] == {"b": "2", "c": "3"}


def test_a_merge_patch_replaces_a_list(api: Client, kinds: None) -> None:
    name = api.create(WIDGETS, widget(parts=["x", "y"]))["metadata"]["name"]
    changed = api.patch(f"{WIDGETS}/{name}", {"spec": {"parts": ["z"]}})
    assert changed["spec"]["parts"] == ["z"]


def test_a_merge_patch_leaves_its_neighbours(api: Client, kinds: None) -> None:
    """The trap of the Installation: one more key is added, none is taken away."""
    name = api.create(WIDGETS, widget(free={"firstFound": True}))["metadata"]["name"]
    changed = api.patch(f"{WIDGETS}/{name}", {"spec": {"free": {"kubernetes": "NodeInternalIP"}}})
    assert changed["spec"]["free"] == {"firstFound": True, "kubernetes": "NodeInternalIP"}


def test_a_merge_patch_with_a_stale_version_is_a_conflict(
    api: Client, path: str, made: Obj
) -> None:
    api.patch(path, {"data": {"a": "9"}})
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {}}
    status = fails(api, "PATCH", path, {**stale, "data": {"a": "8"}}, {"Content-Type": MERGE})
    assert (status.code, status.reason) == (409, "Conflict")
    assert "the object has been modified" in status.body["message"]


def test_a_json_patch_does_its_operations_in_order(api: Client, path: str) -> None:
    changed = api.patch(
        path,
        [
            {"op": "test", "path": "/data/a", "value": "1"},
            {"op": "replace", "path": "/data/a", "value": "5"},
            {"op": "remove", "path": "/data/b"},
            {"op": "add", "path": "/data/c~1d", "value": "6"},
            {"op": "remove", "path": "/data/c~1d"},
            {"op": "add", "path": "/data/e", "value": "7"},
            {"op": "copy", "from": "/data/e", "path": "/data/f"},
            {"op": "move", "from": "/data/e", "path": "/data/g"},
        ],
        JSON_PATCH,
    )
    assert changed["data"] == {"a": "5", "f": "7", "g": "7"}


def test_a_failed_test_writes_nothing(api: Client, path: str, made: Obj) -> None:
    operations = [
        {"op": "replace", "path": "/data/a", "value": "5"},
        {"op": "test", "path": "/data/b", "value": "wrong"},
    ]
    assert refused(api, path, operations) == (422, "Invalid")
    assert api.get(path) == made


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "/data/none", "value": "1"},
        {"op": "remove", "path": "/data/none"},
        {"op": "add", "path": "/none/none", "value": "1"},
        {"op": "test", "path": "/data/none", "value": "1"},
    ],
    ids=lambda operation: operation["op"],
)
def test_a_path_that_is_not_there_is_422(api: Client, path: str, operation: Obj) -> None:
    assert refused(api, path, [operation]) == (422, "Invalid")


def test_a_json_patch_is_a_list(api: Client, path: str) -> None:
    assert refused(api, path, {"data": {"a": "1"}}) == (400, "BadRequest")


def test_a_replaced_version_locks_a_json_patch(api: Client, path: str, made: Obj) -> None:
    version = made["metadata"]["resourceVersion"]
    locked = [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
        {"op": "replace", "path": "/data/a", "value": "5"},
    ]
    assert api.patch(path, locked, JSON_PATCH)["data"]["a"] == "5"
    assert refused(api, path, locked) == (409, "Conflict")


def test_a_tested_version_locks_it_too_but_answers_422(api: Client, path: str, made: Obj) -> None:
    version = made["metadata"]["resourceVersion"]
    api.patch(path, {"data": {"a": "9"}})
    tested = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": version},
        {"op": "replace", "path": "/data/a", "value": "5"},
    ]
    assert refused(api, path, tested) == (422, "Invalid")


def test_a_strategic_patch_joins_containers_and_env_by_name(api: Client, sets: str) -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    name = api.create(sets, daemonset(env=env))["metadata"]["name"]
    change = {
        "name": "main",
        "env": [
            {"name": "B", "value": "3"},
            {"name": "C", "value": "4"},
            {"name": "A", "$patch": "delete"},
        ],
    }
    body = {"spec": {"template": {"spec": {"containers": [change]}}}}
    changed = api.patch(f"{sets}/{name}", body, STRATEGIC)
    container = changed["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "example.invalid/none:1"
    assert {e["name"]: e["value"] for e in container["env"]} == {"B": "3", "C": "4"}


def test_a_strategic_patch_replaces_tolerations(api: Client, sets: str) -> None:
    made = daemonset()
    made["spec"]["template"]["spec"]["tolerations"] = [{"key": "a", "operator": "Exists"}]
    name = api.create(sets, made)["metadata"]["name"]
    body = {"spec": {"template": {"spec": {"tolerations": [{"operator": "Exists"}]}}}}
    changed = api.patch(f"{sets}/{name}", body, STRATEGIC)
    assert changed["spec"]["template"]["spec"]["tolerations"] == [{"operator": "Exists"}]


def test_a_custom_object_has_no_strategic_patch(api: Client, kinds: None) -> None:
    name = api.create(WIDGETS, widget())["metadata"]["name"]
    change = {"spec": {"size": 4}}
    status = fails(api, "PATCH", f"{WIDGETS}/{name}", change, {"Content-Type": STRATEGIC})
    assert (status.code, status.reason) == (415, "UnsupportedMediaType")


def test_a_patch_needs_its_media_type(api: Client, path: str) -> None:
    status = fails(api, "PATCH", path, {"data": {}}, {"Content-Type": "application/json"})
    assert (status.code, status.reason) == (415, "UnsupportedMediaType")


def test_a_patch_is_validated_like_an_update(api: Client, kinds: None) -> None:
    name = api.create(WIDGETS, widget())["metadata"]["name"]
    path = f"{WIDGETS}/{name}"
    status = fails(api, "PATCH", path, {"spec": {"size": 99}}, {"Content-Type": MERGE})
    assert (status.code, status.reason) == (422, "Invalid")
    assert status.body["details"]["causes"][0]["field"] == "spec.size"
