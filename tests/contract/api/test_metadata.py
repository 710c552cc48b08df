# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Generation, status, managedFields, dry run: what tells who changed what, and whether."""

from __future__ import annotations

from typing import Any

from tests.contract.api.conftest import (
    GADGETS,
    WIDGETS,
    cause_fields,
    config_map,
    daemonset,
    fails,
    gadget,
    unique,
    widget,
)
from tests.lab.api.client import JSON_PATCH, Client

Obj = dict[str, Any]


def generation(obj: Obj) -> int:
    found: int = obj["metadata"]["generation"]
    return found


def test_generation_counts_changes_of_the_spec_only(api: Client, sets: str) -> None:
    made = api.create(sets, daemonset())
    path = f"{sets}/{made['metadata']['name']}"
    assert generation(made) == 1
    labelled = api.patch(path, {"metadata": {"labels": {"a": "b"}}})
    assert generation(labelled) == 1
    changed = api.patch(path, {"spec": {"minReadySeconds": 5}})
    assert generation(changed) == 2
    assert generation(api.patch(path, {"spec": {"minReadySeconds": 5}})) == 2


def test_a_config_map_has_no_generation(api: Client, maps: str) -> None:
    assert "generation" not in api.create(maps, config_map(data={"a": "1"}))["metadata"]


def test_status_has_a_door_of_its_own(api: Client, kinds: None) -> None:
    made = api.create(WIDGETS, {**widget(), "status": {"seen": 1}})
    path = f"{WIDGETS}/{made['metadata']['name']}"
    assert "status" not in made
    spoken = api.patch(path, {"status": {"seen": 2}})
    assert "status" not in spoken
    shown = api.patch(f"{path}/status", {"status": {"seen": 3}, "spec": {"size": 9}})
    assert shown["status"] == {"seen": 3}
    assert shown["spec"]["size"] == 3
    assert generation(shown) == 1
    assert api.patch(path, {"spec": {"size": 5}})["status"] == {"seen": 3}
    assert api.get(f"{path}/status")["status"] == {"seen": 3}


def test_metadata_does_not_pass_through_a_custom_status(api: Client, kinds: None) -> None:
    path = f"{WIDGETS}/{api.create(WIDGETS, widget())['metadata']['name']}"
    body = {"metadata": {"labels": {"a": "b"}}, "status": {"seen": 1}}
    assert "labels" not in api.patch(f"{path}/status", body)["metadata"]


def test_without_the_subresource_status_is_a_field(
    api: Client, kinds: None, namespace: str
) -> None:
    gadgets = f"{GADGETS}/namespaces/{namespace}/gadgets"
    made = api.create(gadgets, {**gadget(size=1), "status": {"seen": 1}})
    path = f"{gadgets}/{made['metadata']['name']}"
    assert made["status"] == {"seen": 1}
    assert generation(api.patch(path, {"status": {"seen": 2}})) == 2
    assert api.raw("GET", f"{path}/status")[0] == 404


def test_the_status_of_a_new_daemonset_is_its_controllers(api: Client, sets: str) -> None:
    made = api.create(sets, {**daemonset(), "status": {"numberReady": 7}})
    assert made["status"]["numberReady"] == 0


def entry(obj: Obj, manager: str) -> Obj:
    found = [e for e in obj["metadata"]["managedFields"] if e["manager"] == manager]
    assert len(found) == 1, obj["metadata"]["managedFields"]
    return found[0]


def test_managed_fields_name_the_writer(api: Client, maps: str) -> None:
    made = api.create(f"{maps}?fieldManager=first", config_map(data={"a": "1"}))
    mine = entry(made, "first")
    assert mine["operation"] == "Update"
    assert mine["apiVersion"] == "v1"
    assert mine["fieldsType"] == "FieldsV1"
    assert mine["time"].endswith("Z")
    assert "f:a" in mine["fieldsV1"]["f:data"]


def test_without_a_name_the_writer_is_the_user_agent(api: Client, maps: str) -> None:
    made = api.create(maps, config_map(data={"a": "1"}))
    assert entry(made, "k8snet-contract")


def test_a_changed_field_changes_hands(api: Client, kinds: None) -> None:
    made = api.create(f"{WIDGETS}?fieldManager=first", widget(size=4, code="abc"))
    path = f"{WIDGETS}/{made['metadata']['name']}"
    changed = api.patch(f"{path}?fieldManager=second", {"spec": {"size": 5}})
    assert set(entry(changed, "second")["fieldsV1"]["f:spec"]) == {"f:size"}
    left = entry(changed, "first")["fieldsV1"]["f:spec"]
    assert "f:size" not in left
    assert {"f:color", "f:code"} <= set(left)


def test_a_write_to_status_is_told_apart(api: Client, kinds: None) -> None:
    path = f"{WIDGETS}/{api.create(WIDGETS, widget())['metadata']['name']}"
    body = {"status": {"seen": 1}}
    changed = api.patch(f"{path}/status?fieldManager=watcher", body)
    assert entry(changed, "watcher")["subresource"] == "status"


def test_env_is_owned_by_the_name_of_the_variable(api: Client, sets: str) -> None:
    env = [{"name": "IP", "value": "autodetect"}]
    made = api.create(f"{sets}?fieldManager=first", daemonset(env=env))
    spec = entry(made, "first")["fieldsV1"]["f:spec"]["f:template"]["f:spec"]
    container = spec["f:containers"]['k:{"name":"main"}']
    assert "f:value" in container["f:env"]['k:{"name":"IP"}']


# -- dry run ---------------------------------------------------------------------------------------


def test_a_dry_run_answers_and_writes_nothing(api: Client, maps: str) -> None:
    name = unique()
    code, _headers, made = api.raw("POST", f"{maps}?dryRun=All", config_map(name, {"a": "1"}))
    assert code == 201
    assert made["data"] == {"a": "1"}
    assert made["metadata"]["uid"]
    assert api.find(f"{maps}/{name}") is None


def test_a_dry_run_shows_the_change(api: Client, maps: str) -> None:
    made = api.create(maps, config_map(data={"a": "1"}))
    path = f"{maps}/{made['metadata']['name']}"
    assert api.patch(f"{path}?dryRun=All", {"data": {"a": "2"}})["data"] == {"a": "2"}
    assert api.replace(f"{path}?dryRun=All", {**made, "data": {"b": "3"}})["data"] == {"b": "3"}
    operations = [{"op": "remove", "path": "/data/a"}]
    assert "data" not in api.patch(f"{path}?dryRun=All", operations, JSON_PATCH)
    api.call("DELETE", f"{path}?dryRun=All")
    assert api.get(path) == made


def test_a_dry_run_applies_defaults(api: Client, kinds: None) -> None:
    shown = api.create(f"{WIDGETS}?dryRun=All", widget())
    assert shown["spec"]["size"] == 3


def test_a_dry_run_refuses_what_a_run_would(api: Client, maps: str, kinds: None) -> None:
    made = api.create(maps, config_map())
    again = config_map(made["metadata"]["name"])
    assert fails(api, "POST", f"{maps}?dryRun=All", again).reason == "AlreadyExists"
    assert fails(api, "POST", f"{WIDGETS}?dryRun=All", widget(size=99)).code == 422
    stale = {**made, "metadata": {**made["metadata"], "resourceVersion": "1"}, "data": {"a": "1"}}
    path = f"{maps}/{made['metadata']['name']}"
    assert fails(api, "PUT", f"{path}?dryRun=All", stale).reason == "Conflict"


def test_there_is_only_one_kind_of_dry_run(api: Client, maps: str) -> None:
    status = fails(api, "POST", f"{maps}?dryRun=Some", config_map())
    assert (status.code, status.reason) == (422, "Invalid")
    assert cause_fields(status) == {"dryRun": "FieldValueNotSupported"}
