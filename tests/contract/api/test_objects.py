# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects come, change and go; what cannot be done is said in a Status."""

from __future__ import annotations

from tests.contract.api.conftest import (
    WIDGETS,
    cause_fields,
    config_map,
    fails,
    unique,
    widget,
)
from tests.lab.api.client import Client


def test_a_created_object_has_what_every_object_has(api: Client, maps: str) -> None:
    code, _headers, made = api.raw("POST", maps, config_map(data={"a": "1"}))
    assert code == 201
    meta = made["metadata"]
    assert made["kind"] == "ConfigMap"
    assert meta["uid"]
    assert meta["resourceVersion"].isdigit()
    assert meta["creationTimestamp"].endswith("Z")
    assert api.get(f"{maps}/{meta['name']}") == made


def test_generate_name_makes_a_name(api: Client, maps: str) -> None:
    body = {"metadata": {"generateName": "gen-"}}
    names = {api.create(maps, body)["metadata"]["name"] for _unused in range(2)}
    assert len(names) == 2
    assert all(name.startswith("gen-") and len(name) == len("gen-") + 5 for name in names)


def test_an_absent_object_is_not_found(api: Client, maps: str) -> None:
    name = unique()
    status = fails(api, "GET", f"{maps}/{name}")
    assert (status.code, status.reason) == (404, "NotFound")
    assert status.body["message"] == f'configmaps "{name}" not found'
    assert status.body["details"] == {"name": name, "kind": "configmaps"}


def test_in_a_group_the_resource_is_named_with_it(api: Client, sets: str) -> None:
    name = unique()
    status = fails(api, "GET", f"{sets}/{name}")
    assert status.body["message"] == f'daemonsets.apps "{name}" not found'
    assert status.body["details"] == {"name": name, "group": "apps", "kind": "daemonsets"}


def test_what_exists_cannot_be_created(api: Client, maps: str) -> None:
    made = api.create(maps, config_map())
    name = made["metadata"]["name"]
    status = fails(api, "POST", maps, config_map(name))
    assert (status.code, status.reason) == (409, "AlreadyExists")
    assert status.body["message"] == f'configmaps "{name}" already exists'
    assert status.body["details"] == {"name": name, "kind": "configmaps"}


def test_nothing_is_created_in_an_absent_namespace(api: Client) -> None:
    where = unique("absent")
    status = fails(api, "POST", f"/api/v1/namespaces/{where}/configmaps", config_map())
    assert (status.code, status.reason) == (404, "NotFound")
    assert status.body["message"] == f'namespaces "{where}" not found'
    assert status.body["details"] == {"name": where, "kind": "namespaces"}


def test_an_absent_object_cannot_be_updated_patched_or_deleted(api: Client, maps: str) -> None:
    path = f"{maps}/{unique()}"
    merge = {"Content-Type": "application/merge-patch+json"}
    assert fails(api, "PUT", path, config_map(path.rpartition("/")[2])).code == 404
    assert fails(api, "PATCH", path, {"data": {}}, merge).code == 404
    assert fails(api, "DELETE", path).code == 404


def test_a_name_has_to_be_a_dns_name(api: Client, maps: str) -> None:
    status = fails(api, "POST", maps, config_map("Not_A_Name"))
    assert (status.code, status.reason) == (422, "Invalid")
    assert status.body["details"]["kind"] == "ConfigMap"
    assert cause_fields(status) == {"metadata.name": "FieldValueInvalid"}
    assert status.body["message"].startswith('ConfigMap "Not_A_Name" is invalid: metadata.name:')


def test_an_object_needs_a_name(api: Client, maps: str) -> None:
    status = fails(api, "POST", maps, {"data": {"a": "1"}})
    assert status.code == 422
    assert cause_fields(status) == {"metadata.name": "FieldValueRequired"}


def test_name_and_namespace_agree_with_the_url(api: Client, maps: str) -> None:
    name = api.create(maps, config_map())["metadata"]["name"]
    other = fails(api, "PUT", f"{maps}/{name}", config_map("other"))
    assert (other.code, other.reason) == (400, "BadRequest")
    elsewhere = fails(api, "POST", maps, config_map(namespace="default"))
    assert (elsewhere.code, elsewhere.reason) == (400, "BadRequest")


def test_another_kind_than_the_urls_is_refused(api: Client, maps: str) -> None:
    status = fails(api, "POST", maps, {**config_map(), "kind": "Secret"})
    assert (status.code, status.reason) == (400, "BadRequest")


def test_what_is_not_json_is_refused(api: Client, maps: str) -> None:
    status = fails(api, "POST", maps, b"{not json")
    assert (status.code, status.reason) == (400, "BadRequest")


def test_another_media_type_is_refused(api: Client, maps: str) -> None:
    status = fails(api, "POST", maps, b"x", {"Content-Type": "text/plain"})
    assert (status.code, status.reason) == (415, "UnsupportedMediaType")
    assert "application/json" in status.body["message"]


def test_a_collection_has_no_object_to_post_to(api: Client, maps: str) -> None:
    name = api.create(maps, config_map())["metadata"]["name"]
    assert api.raw("POST", f"{maps}/{name}", config_map(name))[0] == 405


def test_a_replaced_object_keeps_its_uid_and_gets_a_new_version(api: Client, maps: str) -> None:
    made = api.create(maps, config_map(data={"a": "1"}))
    path = f"{maps}/{made['metadata']['name']}"
    changed = api.replace(path, {**made, "data": {"b": "2"}})
    assert changed["data"] == {"b": "2"}
    assert changed["metadata"]["uid"] == made["metadata"]["uid"]
    assert changed["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    assert int(changed["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


def test_a_stale_version_is_a_conflict(api: Client, maps: str) -> None:
    made = api.create(maps, config_map())
    name = made["metadata"]["name"]
    api.replace(f"{maps}/{name}", {**made, "data": {"a": "1"}})
    status = fails(api, "PUT", f"{maps}/{name}", {**made, "data": {"a": "2"}})
    assert (status.code, status.reason) == (409, "Conflict")
    assert "the object has been modified" in status.body["message"]
    assert status.body["details"] == {"name": name, "kind": "configmaps"}
    assert api.get(f"{maps}/{name}")["data"] == {"a": "1"}


def test_a_built_in_object_may_be_replaced_without_a_version(api: Client, maps: str) -> None:
    made = api.create(maps, config_map())
    name = made["metadata"]["name"]
    assert api.replace(f"{maps}/{name}", config_map(name, {"a": "1"}))["data"] == {"a": "1"}


def test_a_custom_object_may_not(api: Client, kinds: None) -> None:
    made = api.create(WIDGETS, widget())
    name = made["metadata"]["name"]
    status = fails(api, "PUT", f"{WIDGETS}/{name}", widget(name, size=4))
    assert (status.code, status.reason) == (422, "Invalid")
    assert "metadata.resourceVersion" in cause_fields(status)


def test_a_change_that_changes_nothing_is_not_written(api: Client, maps: str) -> None:
    made = api.create(maps, config_map(data={"a": "1"}))
    path = f"{maps}/{made['metadata']['name']}"
    assert api.replace(path, made)["metadata"] == made["metadata"]
    assert api.patch(path, {"data": {"a": "1"}})["metadata"] == made["metadata"]


def test_a_deleted_object_is_gone(api: Client, maps: str) -> None:
    made = api.create(maps, config_map())
    path = f"{maps}/{made['metadata']['name']}"
    answer = api.call("DELETE", path)
    assert answer["status"] == "Success"
    assert answer["details"]["uid"] == made["metadata"]["uid"]
    assert api.find(path) is None


def test_a_delete_may_name_the_uid(api: Client, maps: str) -> None:
    path = f"{maps}/{api.create(maps, config_map())['metadata']['name']}"
    status = fails(api, "DELETE", path, {"preconditions": {"uid": "another"}})
    assert (status.code, status.reason) == (409, "Conflict")
    assert api.find(path) is not None


def test_a_collection_is_deleted_by_selector(api: Client, maps: str) -> None:
    mark = unique()
    for _unused in range(2):
        api.create(maps, config_map(labels={"mark": mark}))
    kept = api.create(maps, config_map(labels={"mark": "other"}))
    api.call("DELETE", f"{maps}?labelSelector=mark%3D{mark}")
    assert api.items(maps, labelSelector=f"mark={mark}") == []
    assert api.find(f"{maps}/{kept['metadata']['name']}") is not None


def test_a_finalizer_holds_a_deleted_object(api: Client, maps: str) -> None:
    made = api.create(maps, config_map(finalizers=["contract.k8snet.test/hold"]))
    path = f"{maps}/{made['metadata']['name']}"
    api.call("DELETE", path)
    held = api.get(path)
    assert held["metadata"]["deletionTimestamp"]
    api.patch(path, {"metadata": {"finalizers": None}})
    assert api.find(path) is None


def test_items_of_a_built_in_list_carry_no_kind(api: Client, maps: str) -> None:
    api.create(maps, config_map())
    listed = api.get(maps)
    assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
    assert listed["metadata"]["resourceVersion"]
    assert all("kind" not in item and "apiVersion" not in item for item in listed["items"])


def test_items_of_a_custom_list_do(api: Client, kinds: None) -> None:
    api.create(WIDGETS, widget())
    assert {item["kind"] for item in api.get(WIDGETS)["items"]} == {"Widget"}
