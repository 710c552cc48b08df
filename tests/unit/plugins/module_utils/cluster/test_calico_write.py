# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written to change the method, to which object, and whose objects are refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._calico_write import (
    Request,
    change,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused

from tests.lab.api.client import Client
from tests.unit import calico_world as world
from tests.unit.calico_world import (
    DEFAULT,
    HELD,
    INSTALLATIONS,
    INTERNAL,
    MANIFEST,
    OVERLAY,
    V4,
    V6,
)

Obj = dict[str, Any]


def test_the_default_that_the_operator_wrote_back_is_replaced(operator: Client, api: Api) -> None:
    former = operator.get(DEFAULT)
    result = world.both(api, INTERNAL)
    assert result["patches"][0]["patch"] == [
        {
            "op": "replace",
            "path": "/metadata/resourceVersion",
            "value": former["metadata"]["resourceVersion"],
        },
        {
            "op": "replace",
            "path": f"/spec/calicoNetwork/{V4}",
            "value": {"kubernetes": "NodeInternalIP"},
        },
    ]
    wanted = copy.deepcopy(former)
    wanted["spec"]["calicoNetwork"][V4] = {"kubernetes": "NodeInternalIP"}
    assert world.content(operator.get(DEFAULT)) == world.content(wanted)


def test_two_methods_become_one(operator: Client, api: Api) -> None:
    two = {"firstFound": True, "kubernetes": "NodeInternalIP"}
    operator.patch(DEFAULT, {"spec": {"calicoNetwork": {V4: two}}})
    result = world.both(api, INTERNAL)
    assert result["object"]["spec"]["calicoNetwork"][V4] == {"kubernetes": "NodeInternalIP"}
    assert "removing firstFound beside it" in result["plan"][0]["action"]


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("first-found", {"firstFound": True}),
        ("interface=^eth0$", {"interface": "^eth0$"}),
        ("skip-interface=^ens19$,^br-.*", {"skipInterface": "^ens19$,^br-.*"}),
        ("can-reach=10.0.0.1", {"canReach": "10.0.0.1"}),
        ("cidr=10.0.0.0/8, 10.9.0.0/16", {"cidrs": ["10.0.0.0/8", "10.9.0.0/16"]}),
    ],
)
def test_each_method_has_its_field_in_either_family(
    operator: Client, api: Api, method: str, value: Obj
) -> None:
    operator.patch(DEFAULT, {"spec": {"calicoNetwork": {V4: {"firstFound": None}}}})
    world.both(api, Request(methods={4: method, 6: method}))
    network = operator.get(DEFAULT)["spec"]["calicoNetwork"]
    assert (network[V4], network[V6]) == (value, value)


def test_an_overlay_that_sets_the_family_is_what_is_written(operator: Client, api: Api) -> None:
    operator.create(INSTALLATIONS, world.installation("overlay", **{V4: {"canReach": "8.8.8.8"}}))
    default = operator.get(DEFAULT)
    result = world.both(api, Request(methods={4: "kubernetes-internal-ip", 6: "first-found"}))
    assert [p["name"] for p in result["patches"]] == ["default", "overlay"]
    overlay = operator.get(OVERLAY)["spec"]["calicoNetwork"]
    assert overlay == {V4: {"kubernetes": "NodeInternalIP"}}
    now = operator.get(DEFAULT)["spec"]["calicoNetwork"]
    assert now[V4] == default["spec"]["calicoNetwork"][V4]
    assert now[V6] == {"firstFound": True}


def test_the_hold_is_written_before_the_method_when_two_objects_hold_them(
    operator: Client, api: Api
) -> None:
    operator.create(INSTALLATIONS, world.installation("overlay", **{V4: {"canReach": "8.8.8.8"}}))
    undo = world.before(api)
    result = world.both(api, HELD)
    assert [p["name"] for p in result["patches"]] == ["default", "overlay"]
    assert operator.get(DEFAULT)["spec"]["calicoNodeDaemonSet"]["spec"]["minReadySeconds"] == 900
    back = world.restore(api, undo)
    assert [p["name"] for p in back["patches"]] == ["overlay", "default"]


def test_a_manifest_gets_a_variable_and_nothing_else(manifest: Client, api: Api) -> None:
    former = manifest.get(MANIFEST)
    world.both(api, INTERNAL)
    wanted = copy.deepcopy(former)
    env = world.env_of(wanted)
    place = next(n for n, e in enumerate(env) if e["name"] == "IP") + 1
    env.insert(place, {"name": "IP_AUTODETECTION_METHOD", "value": "kubernetes-internal-ip"})
    assert world.content(manifest.get(MANIFEST)) == world.content(wanted)


@pytest.mark.parametrize(
    "variable",
    [
        {"name": "IP"},
        {"name": "IP", "value": "none"},
        {
            "name": "IP",
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.hostIP"}},
        },
    ],
)
def test_detection_is_switched_on_with_the_method(
    manifest: Client, api: Api, variable: Obj
) -> None:
    world.put_env(manifest, variable)
    undo = world.before(api)
    result = world.both(api, INTERNAL)
    assert world.entries(result["object"], "IP") == [{"name": "IP", "value": "autodetect"}]
    world.restore(api, undo)
    assert world.content(manifest.get(MANIFEST)) == world.content(undo["daemonset"])


def test_of_several_entries_of_one_variable_one_remains(manifest: Client, api: Api) -> None:
    name = "IP_AUTODETECTION_METHOD"
    daemonset = manifest.get(MANIFEST)
    world.env_of(daemonset).insert(0, {"name": name, "value": "can-reach=10.0.0.1"})
    world.env_of(daemonset).append({"name": name, "value": "interface=eth.*"})
    manifest.replace(MANIFEST, daemonset)
    undo = world.before(api)
    result = world.both(api, INTERNAL)
    assert world.entries(result["object"], name) == [
        {"name": name, "value": "kubernetes-internal-ip"}
    ]
    world.restore(api, undo)
    assert world.content(manifest.get(MANIFEST)) == world.content(undo["daemonset"])


@pytest.mark.parametrize("now", [None, {"name": "IP_AUTODETECTION_METHOD"}])
def test_first_found_is_what_an_absent_or_empty_variable_means(
    manifest: Client, api: Api, now: Obj | None
) -> None:
    if now:
        world.put_env(manifest, now)
    former = manifest.get(MANIFEST)
    assert not change(api, Request(methods={4: "first-found"}), False)["changed"]
    assert manifest.get(MANIFEST) == former


def test_a_method_that_calico_does_not_know_is_refused(manifest: Client, api: Api) -> None:
    for method in ("internal-ip", "interface=", "cidr= ", "Kubernetes-internal-ip"):
        with pytest.raises(Refused, match="no method of Calico"):
            change(api, Request(methods={4: method}), False)


@pytest.mark.parametrize(
    ("meta", "owner"),
    [
        ({"annotations": {"meta.helm.sh/release-name": "calico"}}, "Helm"),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "net:x"}}, "Argo CD"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "net"}}, "Flux"),
        ({"labels": {"addonmanager.kubernetes.io/mode": "Reconcile"}}, "an add-on manager"),
    ],
)
def test_an_object_of_somebody_else_is_refused_with_what_to_commit(
    operator: Client, api: Api, meta: Obj, owner: str
) -> None:
    operator.patch(DEFAULT, {"metadata": meta})
    for check_mode in (True, False):
        with pytest.raises(Refused, match=f"belongs to {owner} .*Commit this") as caught:
            change(api, INTERNAL, check_mode)
        assert "kubernetes: NodeInternalIP" in str(caught.value)
    undo = world.before(api)
    assert undo["owner"]["by"]
    override = Request(methods=INTERNAL.methods, override_owner=True)
    assert change(api, override, False)["changed"]
    assert change(api, INTERNAL, False)["changed"] is False, "nothing to do, nothing to refuse"
    back = Request(restore=True, undo=undo, methods=INTERNAL.methods)
    assert change(api, back, False)["changed"], "the way back is never refused"
