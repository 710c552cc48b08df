# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kinds: those of CRDs with their schemas, the built-in ones with their defaults."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.contract.api.conftest import (
    GROUP,
    WIDGETS,
    cause_fields,
    config_map,
    daemonset,
    fails,
    unique,
    widget,
    widget_crd,
)
from tests.lab import crds
from tests.lab.api.client import JSON_PATCH, STRATEGIC, Client
from tests.lab.api.providers import Provider

Obj = dict[str, Any]


def refused(api: Client, spec: Obj) -> dict[str, str]:
    body = {**widget(), "spec": spec}
    status = fails(api, "POST", WIDGETS, body)
    assert (status.code, status.reason) == (422, "Invalid")
    assert status.body["details"]["kind"] == "Widget"
    assert status.body["details"]["group"] == GROUP
    name = body["metadata"]["name"]
    assert status.body["message"].startswith(f'Widget.{GROUP} "{name}" is invalid: ')
    return cause_fields(status)


@pytest.mark.parametrize(
    ("spec", "field", "reasons"),
    [
        ({}, "spec.color", {"FieldValueRequired"}),
        ({"color": "blue"}, "spec.color", {"FieldValueNotSupported"}),
        (
            {"color": "red", "size": "big"},
            "spec.size",
            {"FieldValueInvalid", "FieldValueTypeInvalid"},
        ),
        ({"color": "red", "size": 0}, "spec.size", {"FieldValueInvalid"}),
        ({"color": "red", "size": 11}, "spec.size", {"FieldValueInvalid"}),
        ({"color": "red", "code": "ABC"}, "spec.code", {"FieldValueInvalid"}),
        ({"color": "red", "parts": ["a", "b", "c"]}, "spec.parts", {"FieldValueTooMany"}),
        (
            {"color": "red", "parts": ["a", 1]},
            "spec.parts[1]",
            {"FieldValueInvalid", "FieldValueTypeInvalid"},
        ),
        (
            {"color": "red", "parts": [None]},
            "spec.parts[0]",
            {"FieldValueInvalid", "FieldValueTypeInvalid"},
        ),
    ],
)
def test_a_schema_is_enforced(
    api: Client, kinds: None, spec: Obj, field: str, reasons: set[str]
) -> None:
    assert refused(api, spec)[field] in reasons


def test_every_fault_is_named_at_once(api: Client, kinds: None) -> None:
    found = refused(api, {"size": 99, "parts": ["a", "b", "c"]})
    assert {"spec.color", "spec.size", "spec.parts"} <= set(found)


def test_defaults_are_filled_in(api: Client, kinds: None) -> None:
    made = api.create(WIDGETS, widget())
    assert made["spec"] == {"color": "red", "size": 3}
    assert api.create(WIDGETS, widget(nested={}))["spec"]["nested"] == {"on": True}


def test_unknown_fields_are_dropped_with_a_warning(api: Client, kinds: None) -> None:
    code, headers, made = api.raw("POST", WIDGETS, widget(bogus=1, free={"any": {"thing": 1}}))
    assert code == 201
    assert "bogus" not in made["spec"]
    assert made["spec"]["free"] == {"any": {"thing": 1}}
    assert 'unknown field \\"spec.bogus\\"' in headers["warning"]


def test_unknown_fields_are_refused_when_asked(api: Client, kinds: None) -> None:
    status = fails(api, "POST", f"{WIDGETS}?fieldValidation=Strict", widget(bogus=1))
    assert (status.code, status.reason) == (400, "BadRequest")
    assert 'unknown field "spec.bogus"' in status.body["message"]


def test_a_nullable_field_keeps_its_null(api: Client, kinds: None) -> None:
    assert api.create(WIDGETS, widget(note=None))["spec"]["note"] is None


def test_another_null_is_as_if_it_were_not_there(api: Client, kinds: None) -> None:
    made = api.create(WIDGETS, widget(code=None, size=None, nested={"on": None}))
    assert made["spec"] == {"color": "red", "size": 3, "nested": {"on": True}}


def test_an_amount_is_a_number_or_a_percentage(api: Client, kinds: None) -> None:
    assert api.create(WIDGETS, widget(amount=1))["spec"]["amount"] == 1
    assert api.create(WIDGETS, widget(amount="25%"))["spec"]["amount"] == "25%"
    assert "spec.amount" in refused(api, {"color": "red", "amount": 1.5})


def test_a_crd_is_listed_among_the_resources(api: Client, kinds: None) -> None:
    listed = api.get(f"/apis/{GROUP}/v1")
    assert listed["groupVersion"] == f"{GROUP}/v1"
    by_name = {resource["name"]: resource for resource in listed["resources"]}
    assert by_name["widgets"]["kind"] == "Widget"
    assert by_name["widgets"]["namespaced"] is False
    assert by_name["gadgets"]["namespaced"] is True
    assert "widgets/status" in by_name
    assert "gadgets/status" not in by_name
    groups = {group["name"]: group for group in api.get("/apis")["groups"]}
    assert groups[GROUP]["preferredVersion"]["version"] == "v1"


def test_a_crd_says_that_it_is_served(api: Client, kinds: None) -> None:
    crd = api.get(f"{crds.CRDS}/widgets.{GROUP}")
    states = {c["type"]: c["status"] for c in crd["status"]["conditions"]}
    assert states["Established"] == "True"
    assert states["NamesAccepted"] == "True"
    assert crd["status"]["storedVersions"] == ["v1"]


def test_a_crd_is_named_after_its_resource(api: Client) -> None:
    crd = widget_crd()
    crd["metadata"]["name"] = f"others.{GROUP}"
    status = fails(api, "POST", crds.CRDS, crd)
    assert (status.code, status.reason) == (422, "Invalid")
    assert "metadata.name" in cause_fields(status)


def test_a_schema_has_to_be_structural(api: Client) -> None:
    crd = widget_crd()
    crd["spec"]["names"] = {"kind": "Loose", "plural": "looses", "singular": "loose"}
    crd["metadata"]["name"] = f"looses.{GROUP}"
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["code"]["type"]
    status = fails(api, "POST", crds.CRDS, crd)
    assert (status.code, status.reason) == (422, "Invalid")
    assert any(field.endswith(".type") for field in cause_fields(status))


def test_a_version_that_was_stored_cannot_be_dropped(api: Client, kinds: None) -> None:
    path = f"{crds.CRDS}/gadgets.{GROUP}"
    spec = api.get(path)["spec"]
    spec["versions"][0]["name"] = "v2"
    body = [{"op": "replace", "path": "/spec", "value": spec}]
    status = fails(api, "PATCH", f"{path}?dryRun=All", body, {"Content-Type": JSON_PATCH})
    assert (status.code, status.reason) == (422, "Invalid")
    assert "status.storedVersions[0]" in cause_fields(status)


def test_an_unknown_kind_is_404(api: Client, kinds: None) -> None:
    assert api.raw("GET", "/apis/unknown.k8snet.test/v1/things")[0] == 404
    assert api.raw("GET", f"/apis/{GROUP}/v1/things")[0] == 404
    assert api.raw("GET", f"/apis/{GROUP}/v2/widgets")[0] == 404
    assert api.raw("GET", "/api/v1/things")[0] == 404


# -- built-in kinds --------------------------------------------------------------------------------


def test_a_daemonset_gets_its_defaults(api: Client, sets: str) -> None:
    made = api.create(sets, daemonset())
    strategy = made["spec"]["updateStrategy"]
    assert strategy == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
    }
    pod = made["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Always"
    assert pod["dnsPolicy"] == "ClusterFirst"
    assert pod["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert pod["containers"][0]["resources"] == {}
    assert made["metadata"]["annotations"]["deprecated.daemonset.template.generation"] == "1"


def test_what_was_read_can_be_written_back(api: Client, sets: str) -> None:
    made = api.create(sets, daemonset(env=[{"name": "A", "value": "1"}]))
    assert api.replace(f"{sets}/{made['metadata']['name']}", made) == made


def test_an_empty_variable_keeps_its_name_only(api: Client, sets: str) -> None:
    """An entry with value "" comes back without ``value``; its name tells it from an absent one."""
    env = [{"name": "IP", "value": ""}, {"name": "IP6", "value": "none"}]
    made = api.create(sets, daemonset(env=env))
    shown = made["spec"]["template"]["spec"]["containers"][0]["env"]
    assert shown == [{"name": "IP"}, {"name": "IP6", "value": "none"}]


def test_a_variable_is_a_string(api: Client, sets: str) -> None:
    status = fails(api, "POST", sets, daemonset(env=[{"name": "A", "value": 1}]))
    assert (status.code, status.reason) == (400, "BadRequest")


def test_a_selector_matches_its_template_and_stays(api: Client, sets: str) -> None:
    body = daemonset()
    body["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    status = fails(api, "POST", sets, body)
    assert status.code == 422
    assert "spec.template.metadata.labels" in cause_fields(status)
    made = api.create(sets, daemonset())
    labels = {"app": "contract", "more": "x"}
    made["spec"]["selector"]["matchLabels"] = labels
    made["spec"]["template"]["metadata"]["labels"] = labels
    status = fails(api, "PUT", f"{sets}/{made['metadata']['name']}", made)
    assert "spec.selector" in cause_fields(status)


def test_a_container_needs_an_image(api: Client, sets: str) -> None:
    body = daemonset()
    del body["spec"]["template"]["spec"]["containers"][0]["image"]
    status = fails(api, "POST", sets, body)
    assert status.code == 422
    assert "spec.template.spec.containers[0].image" in cause_fields(status)


def test_a_config_map_holds_strings_under_plain_keys(api: Client, maps: str) -> None:
    assert fails(api, "POST", maps, config_map(data={"a": 1})).code == 400
    status = fails(api, "POST", maps, config_map(data={"not/allowed": "1"}))
    assert (status.code, status.reason) == (422, "Invalid")
    assert cause_fields(status) == {"data[not/allowed]": "FieldValueInvalid"}


def test_text_in_a_config_map_comes_back_byte_by_byte(api: Client, maps: str) -> None:
    text = '# Ä comment\n\tTab: "quoted" \\ \u2028\n\n#  Gate: false\n'
    made = api.create(maps, config_map(data={"agent.conf": text}))
    assert api.get(f"{maps}/{made['metadata']['name']}")["data"]["agent.conf"] == text


def test_a_secret_is_written_as_text_and_read_as_base64(api: Client, namespace: str) -> None:
    body = {"metadata": {"name": unique()}, "stringData": {"a": "secret"}}
    made = api.create(f"/api/v1/namespaces/{namespace}/secrets", body)
    assert made["type"] == "Opaque"
    assert base64.b64decode(made["data"]["a"]) == b"secret"
    assert "stringData" not in made


def test_a_service_gets_an_address(api: Client, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/services"
    spec = {"ports": [{"port": 80}]}
    made = api.create(path, {"metadata": {"name": unique("s")}, "spec": spec})
    assert made["spec"]["type"] == "ClusterIP"
    assert made["spec"]["clusterIPs"] == [made["spec"]["clusterIP"]]
    assert made["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]


def test_a_namespace_carries_its_name_as_a_label(api: Client, namespace: str) -> None:
    found = api.get(f"/api/v1/namespaces/{namespace}")
    assert found["metadata"]["labels"]["kubernetes.io/metadata.name"] == namespace
    assert found["status"]["phase"] == "Active"


def test_a_namespace_that_ends_takes_nothing_new(api: Client) -> None:
    name = unique("ending")
    api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    maps = f"/api/v1/namespaces/{name}/configmaps"
    api.create(maps, config_map(finalizers=["contract.k8snet.test/hold"]))
    api.delete(f"/api/v1/namespaces/{name}")
    assert api.get(f"/api/v1/namespaces/{name}")["status"]["phase"] == "Terminating"
    status = fails(api, "POST", maps, config_map())
    assert (status.code, status.reason) == (403, "Forbidden")
    assert "because it is being terminated" in status.body["message"]
    for item in api.items(maps):
        path = f"{maps}/{item['metadata']['name']}"
        api.patch(path, {"metadata": {"finalizers": None}})


def test_a_new_node_is_not_ready_and_keeps_its_status(own_server: Provider, api: Client) -> None:
    address = {"type": "InternalIP", "address": "192.0.2.1"}
    body = {"metadata": {"name": unique("n")}, "status": {"addresses": [address]}}
    made = api.create("/api/v1/nodes", body)
    assert made["status"]["addresses"] == [address]
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    assert taint in made["spec"]["taints"]
    path = f"/api/v1/nodes/{made['metadata']['name']}"
    for state in ("False", "True"):
        condition = {"type": "Ready", "status": state, "reason": "Test", "message": "m"}
        shown = api.patch(f"{path}/status", {"status": {"conditions": [condition]}}, STRATEGIC)
    assert [c["status"] for c in shown["status"]["conditions"]] == ["True"]
    assert shown["status"]["addresses"] == [address]
    note = {"metadata": {"annotations": {"projectcalico.org/IPv4Address": "192.0.2.1/24"}}}
    assert api.patch(path, note)["metadata"]["annotations"] == note["metadata"]["annotations"]
    api.delete(path)


def test_a_pod_on_a_node_waits_for_its_kubelet(
    own_server: Provider, api: Client, namespace: str
) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    containers = [{"name": "main", "image": "example.invalid/none:1"}]
    body = {"metadata": {"name": unique("p")}, "spec": {"containers": containers}}
    body["spec"]["nodeName"] = "somewhere"
    made = api.create(pods, body)
    path = f"{pods}/{made['metadata']['name']}"
    assert made["status"]["phase"] == "Pending"
    running = api.patch(f"{path}/status", {"status": {"phase": "Running"}}, STRATEGIC)
    assert running["status"]["phase"] == "Running"
    found = api.items("/api/v1/pods", fieldSelector="spec.nodeName=somewhere,status.phase=Running")
    assert made["metadata"]["name"] in [pod["metadata"]["name"] for pod in found]
    api.delete(path)
    assert api.get(path)["metadata"]["deletionGracePeriodSeconds"] == 30
    api.delete(path, gracePeriodSeconds=0)
    assert api.find(path) is None


def test_a_system_namespace_cannot_be_deleted(own_server: Provider, api: Client) -> None:
    status = fails(api, "DELETE", "/api/v1/namespaces/kube-system")
    assert (status.code, status.reason) == (403, "Forbidden")
