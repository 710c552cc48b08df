# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changing Calico's autodetection through an API that may be ill, busy or forbidding."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _calico_read
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._apply import (
    NotEffective,
    Patience,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._calico_write import (
    Request,
    change,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Hold, Refused

from tests.lab import crds
from tests.lab.actors import content as seeds
from tests.lab.api import mint
from tests.lab.api.client import Client
from tests.lab.api.providers import Double, Listen
from tests.unit import calico_world as world
from tests.unit.calico_world import DEFAULT, INSTALLATIONS, MANIFEST, OVERLAY, V4, V6, real_data

Obj = dict[str, Any]

INTERNAL = Request(methods={4: "kubernetes-internal-ip"})
HELD = Request(
    methods={4: "kubernetes-internal-ip"}, hold=Hold("min-ready-seconds", min_ready_seconds=900)
)


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Double]:
    server = Double(tmp_path_factory.mktemp("api"), Listen())
    server.start()
    for namespace in ("calico-system", "kube-system"):
        Client(server.kubeconfig).ensure("/api/v1/namespaces", {"metadata": {"name": namespace}})
    yield server
    server.stop()


@pytest.fixture
def client(double: Double) -> Client:
    return Client(double.kubeconfig)


@pytest.fixture
def api(double: Double) -> Api:
    return world.connect(double.kubeconfig)


@pytest.fixture
def operator(client: Client) -> Iterator[Client]:
    """Calico by operator, after the operator wrote its default back."""
    crds.remove(client, client.items(crds.CRDS))
    crds.load(client, crds.ours("calico"))
    obj = seeds.installation()
    obj["spec"]["calicoNetwork"][V4] = {"firstFound": True}
    client.create(INSTALLATIONS, obj)
    yield client
    world.clear(client)


@pytest.fixture
def manifest(client: Client) -> Iterator[Client]:
    """Calico by manifest: IP=autodetect, the method absent."""
    crds.remove(client, client.items(crds.CRDS))
    for obj in seeds.calico_manifest("v3.28.2"):
        kind = {"DaemonSet": "daemonsets", "ConfigMap": "configmaps"}[obj["kind"]]
        base = "/apis/apps/v1" if obj["kind"] == "DaemonSet" else "/api/v1"
        client.ensure(f"{base}/namespaces/kube-system/{kind}", obj)
    yield client
    world.clear(client)


def before(api: Api) -> Obj:
    """What calico_info says, as a bundle keeps it: through JSON."""
    found: Obj = json.loads(json.dumps(_calico_read.read(api, {})))
    return found


def restore(api: Api, undo: Obj, check_mode: bool = False) -> Obj:
    return change(api, Request(restore=True, undo=undo), check_mode)


def both(api: Api, request: Request) -> Obj:
    """Check, apply, apply again: check tells what apply does, and that is all."""
    planned = change(api, request, True)
    result = change(api, request, False)
    again = change(api, request, False)
    for key in ("changed", "diff", "plan", "patches", "target"):
        assert planned[key] == result[key], key
    for name in ("object", "overlay"):
        if planned[name]:
            assert world.content(planned[name]) == world.content(result[name])
    assert not again["changed"]
    assert again["diff"] == again["plan"] == again["patches"] == []
    return result


# -- what is written ------------------------------------------------------------------------------


def test_the_default_that_the_operator_wrote_back_is_replaced(operator: Client, api: Api) -> None:
    former = operator.get(DEFAULT)
    result = both(api, INTERNAL)
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
    result = both(api, INTERNAL)
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
    both(api, Request(methods={4: method, 6: method}))
    network = operator.get(DEFAULT)["spec"]["calicoNetwork"]
    assert (network[V4], network[V6]) == (value, value)


def test_an_overlay_that_sets_the_family_is_what_is_written(operator: Client, api: Api) -> None:
    operator.create(INSTALLATIONS, world.installation("overlay", **{V4: {"canReach": "8.8.8.8"}}))
    default = operator.get(DEFAULT)
    result = both(api, Request(methods={4: "kubernetes-internal-ip", 6: "first-found"}))
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
    undo = before(api)
    result = both(api, HELD)
    assert [p["name"] for p in result["patches"]] == ["default", "overlay"]
    assert operator.get(DEFAULT)["spec"]["calicoNodeDaemonSet"]["spec"]["minReadySeconds"] == 900
    back = restore(api, undo)
    assert [p["name"] for p in back["patches"]] == ["overlay", "default"]


def test_a_manifest_gets_a_variable_and_nothing_else(manifest: Client, api: Api) -> None:
    former = manifest.get(MANIFEST)
    both(api, INTERNAL)
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
    undo = before(api)
    result = both(api, INTERNAL)
    assert world.entries(result["object"], "IP") == [{"name": "IP", "value": "autodetect"}]
    restore(api, undo)
    assert world.content(manifest.get(MANIFEST)) == world.content(undo["daemonset"])


def test_of_several_entries_of_one_variable_one_remains(manifest: Client, api: Api) -> None:
    name = "IP_AUTODETECTION_METHOD"
    daemonset = manifest.get(MANIFEST)
    world.env_of(daemonset).insert(0, {"name": name, "value": "can-reach=10.0.0.1"})
    world.env_of(daemonset).append({"name": name, "value": "interface=eth.*"})
    manifest.replace(MANIFEST, daemonset)
    undo = before(api)
    result = both(api, INTERNAL)
    assert world.entries(result["object"], name) == [
        {"name": name, "value": "kubernetes-internal-ip"}
    ]
    restore(api, undo)
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


# -- hold and release -----------------------------------------------------------------------------


@pytest.mark.parametrize("own", [None, 0, 7, 3600])
def test_a_hold_is_released_to_the_value_that_was_there(
    operator: Client, api: Api, own: int | None
) -> None:
    if own is not None:
        operator.patch(
            DEFAULT, {"spec": {"calicoNodeDaemonSet": {"spec": {"minReadySeconds": own}}}}
        )
    undo = before(api)
    held = both(api, HELD)["object"]["spec"]["calicoNodeDaemonSet"]["spec"]
    assert held == {"minReadySeconds": max(own or 0, 900)}
    released = both(api, Request(methods=HELD.methods, undo=undo))["object"]
    wanted = copy.deepcopy(undo["installation"])
    wanted["spec"]["calicoNetwork"][V4] = {"kubernetes": "NodeInternalIP"}
    assert world.content(released) == world.content(wanted)


@pytest.mark.parametrize("own", [None, 5])
def test_a_manifest_is_held_by_its_own_min_ready_seconds(
    manifest: Client, api: Api, own: int | None
) -> None:
    if own:
        manifest.patch(MANIFEST, {"spec": {"minReadySeconds": own}})
    undo = before(api)
    assert both(api, HELD)["object"]["spec"]["minReadySeconds"] == 900
    released = both(api, Request(methods=HELD.methods, undo=undo))["object"]
    assert released["spec"].get("minReadySeconds") == own
    restore(api, undo)
    assert world.content(manifest.get(MANIFEST)) == world.content(undo["daemonset"])


def test_without_a_bundle_nobodys_min_ready_seconds_is_taken_away(
    manifest: Client, api: Api
) -> None:
    manifest.patch(MANIFEST, {"spec": {"minReadySeconds": 5}})
    assert both(api, INTERNAL)["object"]["spec"]["minReadySeconds"] == 5


def pod(client: Client, node: str, env: list[Obj], daemonset: Obj) -> Obj:
    """A pod of the DaemonSet on a node, with the given variables."""
    owner = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "name": "calico-node",
        "uid": daemonset["metadata"]["uid"],
        "controller": True,
    }
    body = {
        "metadata": {
            "name": f"calico-node-{node}",
            "labels": daemonset["spec"]["selector"]["matchLabels"],
            "ownerReferences": [owner],
        },
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "calico-node", "image": "x", "env": env}],
        },
    }
    return world.put(client, "/api/v1/namespaces/kube-system/pods", body)


def observe(client: Client) -> None:
    """Be the DaemonSet controller that has seen the newest template."""
    daemonset = client.get(MANIFEST)
    status = {"observedGeneration": daemonset["metadata"]["generation"]}
    numbers = (
        "currentNumberScheduled",
        "desiredNumberScheduled",
        "numberMisscheduled",
        "numberReady",
    )
    body = {**daemonset, "status": {**dict.fromkeys(numbers, 0), **status}}
    client.replace(f"{MANIFEST}/status", body)


def ready_since(client: Client, node: str, seconds: float) -> None:
    """Make a pod ready for so long."""
    since = datetime.now(timezone.utc) - timedelta(seconds=seconds)
    condition = {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": since.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    path = f"/api/v1/namespaces/kube-system/pods/calico-node-{node}/status"
    client.patch(path, {"status": {"phase": "Running", "conditions": [condition]}})


def test_a_hold_that_would_replace_young_pods_at_once_is_refused(
    manifest: Client, api: Api
) -> None:
    """Younger than minReadySeconds is unavailable, and all unavailable pods are replaced."""
    daemonset = manifest.get(MANIFEST)
    for node in ("node1", "node2", "node3"):
        pod(manifest, node, world.env_of(daemonset), daemonset)
    ready_since(manifest, "node1", 5000)
    ready_since(manifest, "node2", 600)  # node3 is not ready at all, whatever the hold
    for check_mode in (True, False):
        with pytest.raises(Refused, match=r"ready for 60. s, and minReadySeconds 900"):
            change(api, HELD, check_mode)
    change(api, Request(methods=HELD.methods, hold=Hold("min-ready-seconds", 500)), False)
    ready_since(manifest, "node1", 1)  # the canary's new pod: going on is no new decision
    assert not change(
        api, Request(methods=HELD.methods, hold=Hold("min-ready-seconds", 500)), False
    )["changed"]
    for node in ("node1", "node2", "node3"):
        manifest.delete(f"/api/v1/namespaces/kube-system/pods/calico-node-{node}")


class Controller:
    """Observes the DaemonSet whenever the change waits for that."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        observe(self.client)


def test_on_delete_replaces_the_pod_of_the_chosen_node_only(manifest: Client, api: Api) -> None:
    daemonset = manifest.get(MANIFEST)
    for node in ("node1", "node2"):
        pod(manifest, node, world.env_of(daemonset), daemonset)
    undo = before(api)
    request = Request(methods=INTERNAL.methods, hold=Hold("on-delete", canary="node2"))
    planned = change(api, request, True)
    controller = Controller(manifest)
    result = change(api, request, False, Patience(10, sleep=controller.sleep))
    assert controller.waits, "deleted before the controller knew the new template"
    assert planned["plan"] == result["plan"]
    assert planned["diff"] == result["diff"]
    assert result["plan"][-1]["action"].startswith("Delete calico-node's pod on node2")
    assert manifest.get(MANIFEST)["spec"]["updateStrategy"] == {"type": "OnDelete"}
    names = [p["metadata"]["name"] for p in manifest.items("/api/v1/namespaces/kube-system/pods")]
    assert names == ["calico-node-node1"]
    pod(manifest, "node2", world.env_of(manifest.get(MANIFEST)), daemonset)
    assert not change(api, request, False)["changed"]
    restore(api, undo)
    assert world.content(manifest.get(MANIFEST))["spec"] == undo["daemonset"]["spec"]
    world.clear(manifest)
    for name in ("calico-node-node1", "calico-node-node2"):
        manifest.delete(f"/api/v1/namespaces/kube-system/pods/{name}")


def test_what_an_install_cannot_hold_with_is_refused(operator: Client, api: Api) -> None:
    on_delete = Request(methods=INTERNAL.methods, hold=Hold("on-delete", canary="node1"))
    with pytest.raises(Refused, match="refuses OnDelete"):
        change(api, on_delete, False)
    crd = f"{crds.CRDS}/installations.operator.tigera.io"
    schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties"
    drop = [{"op": "remove", "path": f"{schema}/calicoNodeDaemonSet"}]
    operator.patch(crd, drop, "application/json-patch+json")
    with pytest.raises(Refused, match="mode=watch"):
        change(api, HELD, False)


# -- the way back ---------------------------------------------------------------------------------


@pytest.mark.parametrize("former", ["absent", {}, {"firstFound": False}, {"canReach": "10.0.0.1"}])
@pytest.mark.parametrize("family", [4, 6])
def test_a_family_goes_back_to_exactly_what_it_was(
    operator: Client, api: Api, family: int, former: Any
) -> None:
    obj = operator.get(DEFAULT)
    network = obj["spec"]["calicoNetwork"]
    network.pop(V4)
    if former != "absent":
        network[V4 if family == 4 else V6] = former
    operator.replace(DEFAULT, obj)
    undo = before(api)
    change(api, Request(methods={family: "kubernetes-internal-ip"}, hold=HELD.hold), False)
    assert restore(api, undo, check_mode=True)["changed"]
    assert restore(api, undo)["changed"]
    assert world.content(operator.get(DEFAULT)) == world.content(undo["installation"])
    assert not restore(api, undo)["changed"]


def test_null_is_kept_where_the_api_keeps_it(operator: Client, api: Api) -> None:
    """No CRD of Calico allows null there so far; the bundle would not lose it."""
    crd = f"{crds.CRDS}/installations.operator.tigera.io"
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/calicoNetwork"
    add = [{"op": "add", "path": f"{path}/properties/{V4}/nullable", "value": True}]
    operator.patch(crd, add, "application/json-patch+json")
    edit = [{"op": "replace", "path": f"/spec/calicoNetwork/{V4}", "value": None}]
    operator.patch(DEFAULT, edit, "application/json-patch+json")
    undo = before(api)
    assert undo["installation"]["spec"]["calicoNetwork"][V4] is None
    assert V4 in undo["installation"]["spec"]["calicoNetwork"]
    change(api, INTERNAL, False)
    restore(api, undo)
    assert world.content(operator.get(DEFAULT)) == world.content(undo["installation"])


def test_what_the_operator_would_write_again_is_not_removed_again(
    operator: Client, api: Api
) -> None:
    operator.patch(DEFAULT, {"spec": {"calicoNetwork": {V4: None}}})
    undo = before(api)
    operator.patch(DEFAULT, {"spec": {"calicoNetwork": {V4: {"firstFound": True}}}})
    assert not restore(api, undo)["changed"]
    operator.patch(DEFAULT, {"spec": {"calicoNetwork": {V4: {"canReach": "10.0.0.1"}}}})
    assert restore(api, undo)["changed"]


@pytest.mark.parametrize(
    "former",
    [
        None,
        {"name": "IP_AUTODETECTION_METHOD"},
        {"name": "IP_AUTODETECTION_METHOD", "value": "can-reach=1.1.1.1"},
    ],
)
def test_a_variable_goes_back_to_absent_empty_or_its_value(
    manifest: Client, api: Api, former: Obj | None
) -> None:
    if former:
        world.put_env(manifest, former)
    undo = before(api)
    change(api, HELD, False)
    both(api, Request(restore=True, undo=undo))
    assert world.content(manifest.get(MANIFEST)) == world.content(undo["daemonset"])


def test_what_others_changed_meanwhile_stays(manifest: Client, api: Api) -> None:
    undo = before(api)
    change(api, HELD, False)
    world.put_env(manifest, {"name": "FELIX_LOGSEVERITYSCREEN", "value": "info"})
    manifest.patch(MANIFEST, {"metadata": {"annotations": {"example.com/who": "somebody"}}})
    restore(api, undo)
    now = manifest.get(MANIFEST)
    assert now["metadata"]["annotations"]["example.com/who"] == "somebody"
    assert world.entries(now, "FELIX_LOGSEVERITYSCREEN")
    assert not world.entries(now, "IP_AUTODETECTION_METHOD")
    assert "minReadySeconds" not in now["spec"]


def test_a_bundle_of_something_else_is_refused(operator: Client, api: Api) -> None:
    undo = before(api)
    with pytest.raises(Refused, match="has no target, installation"):
        restore(api, {"overlay": None, "daemonset": None})
    other = {**undo, "target": {"kind": "DaemonSet", "namespace": "kube-system", "name": "x"}}
    with pytest.raises(Refused, match="bundle is of DaemonSet kube-system/x"):
        restore(api, other)
    operator.create(INSTALLATIONS, world.installation("overlay", **{V4: {}}))
    with pytest.raises(Refused, match="has appeared since"):
        restore(api, undo)
    with_overlay = before(api)
    operator.delete(OVERLAY)
    with pytest.raises(Refused, match="overlay of the bundle no longer exists"):
        restore(api, with_overlay)
    world.put(operator, INSTALLATIONS, seeds.installation())
    with pytest.raises(Refused, match="uid differs"):
        restore(api, undo)


# -- an API that is ill, busy or forbidding -------------------------------------------------------


def patches_sent(double: Double, since: int) -> list[Obj]:
    """PATCH requests in the request log after its first ``since`` lines."""
    lines = (double.directory / "audit.log").read_text().splitlines()[since:]
    found = [json.loads(line) for line in lines]
    return [e for e in found if e["verb"] == "patch" and "status" not in e["requestURI"]]


def log_length(double: Double) -> int:
    return len((double.directory / "audit.log").read_text().splitlines())


def quick(seconds: float = 20) -> tuple[Patience, list[float]]:
    """A patience that remembers its waits instead of waiting."""
    waits: list[float] = []
    now = [0.0]

    def sleep(wait: float) -> None:
        waits.append(wait)
        now[0] += wait

    return Patience(seconds, clock=lambda: now[0], sleep=sleep), waits


def test_somebody_else_writes_in_between(
    operator: Client, api: Api, double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first PATCH meets a newer object; what the other one wrote stays."""
    send = api.request
    others = iter(["one", "two"])

    def slow(method: str, *args: Any, **kwargs: Any) -> Any:
        name = next(others, None) if method == "PATCH" else None
        if name:
            operator.patch(DEFAULT, {"metadata": {"annotations": {f"example.com/{name}": "x"}}})
        return send(method, *args, **kwargs)

    monkeypatch.setattr(api, "request", slow)
    result = change(api, INTERNAL, False)
    assert result["retries"] == 2
    assert result["changed"]
    now = operator.get(DEFAULT)
    assert now["spec"]["calicoNetwork"][V4] == {"kubernetes": "NodeInternalIP"}
    assert set(now["metadata"]["annotations"]) == {"example.com/one", "example.com/two"}


def test_somebody_who_keeps_writing_is_not_fought_for_ever(
    operator: Client, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, count = api.request, iter(range(100))

    def slow(method: str, *args: Any, **kwargs: Any) -> Any:
        if method == "PATCH":
            mark = {"example.com/n": str(next(count))}
            operator.patch(DEFAULT, {"metadata": {"annotations": mark}})
        return send(method, *args, **kwargs)

    monkeypatch.setattr(api, "request", slow)
    with pytest.raises(ClusterError, match="Somebody else keeps writing") as caught:
        change(api, INTERNAL, False)
    assert caught.value.kind == "conflict"
    assert next(count) == 6


def test_somebody_else_makes_the_same_change_first(
    operator: Client, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = api.request

    def slow(method: str, *args: Any, **kwargs: Any) -> Any:
        if method == "PATCH":
            value = {V4: {"firstFound": None, "kubernetes": "NodeInternalIP"}}
            operator.patch(DEFAULT, {"spec": {"calicoNetwork": value}})
        return send(method, *args, **kwargs)

    monkeypatch.setattr(api, "request", slow)
    result = change(api, INTERNAL, False)
    assert not result["changed"]
    assert result["diff"] == []


def test_a_server_that_is_busy_is_left_alone_as_long_as_it_asks(
    operator: Client, api: Api, double: Double
) -> None:
    patience, waits = quick()
    with world.faults(double, {"verbs": ["patch"], "status": 429, "retry_after": 3, "times": 2}):
        result = change(api, INTERNAL, False, patience)
    assert waits == [3.0, 3.0]
    assert result["changed"]
    assert result["retries"] == 2


def test_a_server_that_stays_busy_ends_the_attempts_at_the_deadline(
    operator: Client, api: Api, double: Double
) -> None:
    patience, waits = quick(10)
    with (
        world.faults(double, {"verbs": ["patch"], "status": 429, "retry_after": 4}),
        pytest.raises(ClusterError, match="Gave up after 10 s and 3 attempts"),
    ):
        change(api, INTERNAL, False, patience)
    assert waits == [4.0, 4.0]
    assert operator.get(DEFAULT)["spec"]["calicoNetwork"][V4] == {"firstFound": True}


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_error_is_tried_again(
    operator: Client, api: Api, double: Double, status: int
) -> None:
    patience, waits = quick()
    with world.faults(double, {"verbs": ["patch"], "status": status, "times": 2}):
        result = change(api, INTERNAL, False, patience)
    assert result["changed"]
    assert len(waits) == 2
    assert waits[0] < waits[1]


@pytest.mark.parametrize("cut", [0, 1, 400])
def test_an_answer_that_is_lost_is_read_back_and_not_applied_twice(
    operator: Client, api: Api, double: Double, cut: int
) -> None:
    since = log_length(double)
    patience, _waits = quick()
    with world.faults(double, {"verbs": ["patch"], "disconnect_after": cut, "times": 1}):
        result = change(api, HELD, False, patience)
    assert len(patches_sent(double, since)) == 1
    assert result["changed"]
    assert result["retries"] == 1
    assert len(result["diff"]) == 2
    assert result["object"]["spec"]["calicoNetwork"][V4] == {"kubernetes": "NodeInternalIP"}
    assert not change(api, HELD, False)["changed"]


@pytest.mark.parametrize("path", ["installations", "daemonsets"])
@pytest.mark.parametrize(
    "fault", [{"disconnect_after": 40}, {"status": 500}, {"status": 429, "retry_after": 0}]
)
def test_a_read_that_fails_in_the_middle_is_made_again(
    operator: Client, api: Api, double: Double, path: str, fault: Obj
) -> None:
    with world.faults(double, {"verbs": ["list"], "path": path, "times": 5, **fault}):
        assert change(api, INTERNAL, False)["changed"]
        assert not change(api, INTERNAL, False)["changed"]


def test_a_manifest_with_a_lost_answer_is_not_restarted_twice(
    manifest: Client, api: Api, double: Double
) -> None:
    generation = manifest.get(MANIFEST)["metadata"]["generation"]
    with world.faults(double, {"verbs": ["patch"], "disconnect_after": 10, "times": 1}):
        assert change(api, INTERNAL, False)["changed"]
    assert manifest.get(MANIFEST)["metadata"]["generation"] == generation + 1


def test_a_change_that_somebody_reverts_at_once_is_told(
    operator: Client, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = api.request

    def reverted(method: str, *args: Any, **kwargs: Any) -> Any:
        answer = send(method, *args, **kwargs)
        if method == "PATCH":
            value = {V4: {"firstFound": True, "kubernetes": None}}
            operator.patch(DEFAULT, {"spec": {"calicoNetwork": value}})
        return answer

    monkeypatch.setattr(api, "request", reverted)
    with pytest.raises(NotEffective, match=r"Applied but not effective.*managedFields"):
        change(api, INTERNAL, False)


READ = [
    {"apiGroups": ["apps"], "resources": ["daemonsets"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["configmaps", "nodes"], "verbs": ["get", "list"]},
    {
        "apiGroups": ["operator.tigera.io"],
        "resources": ["installations", "tigerastatuses"],
        "verbs": ["get", "list"],
    },
    {
        "apiGroups": ["apiextensions.k8s.io"],
        "resources": ["customresourcedefinitions"],
        "verbs": ["get"],
    },
]


def test_a_missing_right_is_named(operator: Client, double: Double, tmp_path: Path) -> None:
    mint.user(double.kubeconfig, "reader", READ, tmp_path / "reader")
    api = world.connect(tmp_path / "reader")
    with pytest.raises(ClusterError, match=r"patch on installations\.operator") as caught:
        change(api, INTERNAL, False)
    assert caught.value.kind == "forbidden"
    assert change(api, INTERNAL, True)["changed"], "check mode needs no right to write"
    calico = _calico_read.read(api, {}, review=True)
    missing = [p for p in calico["permissions"] if not p["allowed"]]
    assert ("patch", "installations", "default") in [
        (p["verb"], p["resource"], p["name"]) for p in missing
    ]
    assert ("get", "installations", "default") not in [
        (p["verb"], p["resource"], p["name"]) for p in missing
    ]


def test_a_crd_that_may_not_be_read_is_no_crd_without_the_field(
    operator: Client, double: Double, tmp_path: Path
) -> None:
    mint.user(double.kubeconfig, "no-crds", READ[:3], tmp_path / "config")
    api = world.connect(tmp_path / "config")
    with pytest.raises(ClusterError, match="get on customresourcedefinitions"):
        change(api, HELD, True)
    assert change(api, INTERNAL, True)["changed"]
    assert _calico_read.read(api, {})["crd_min_ready_seconds"] is None


@pytest.mark.parametrize("resource", ["nodes", "daemonsets", "installations"])
def test_what_cannot_be_read_is_named(
    operator: Client, double: Double, tmp_path: Path, resource: str
) -> None:
    rules = [
        {**rule, "resources": [r for r in rule["resources"] if r != resource] or ["nothing"]}
        for rule in READ
    ]
    mint.user(double.kubeconfig, f"without-{resource}", rules, tmp_path / "config")
    with pytest.raises(ClusterError, match=f"list on {resource}"):
        _calico_read.read(world.connect(tmp_path / "config"), {})


# -- whose object it is ---------------------------------------------------------------------------


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
    undo = before(api)
    assert undo["owner"]["by"]
    override = Request(methods=INTERNAL.methods, override_owner=True)
    assert change(api, override, False)["changed"]
    assert change(api, INTERNAL, False)["changed"] is False, "nothing to do, nothing to refuse"
    assert restore(api, undo)["changed"], "the way back is never refused"


# -- real releases --------------------------------------------------------------------------------


@real_data
@pytest.mark.parametrize("release", world.RELEASES)
def test_a_real_operator_release(client: Client, api: Api, release: str) -> None:
    world.load_operator(client, release)
    client.patch(DEFAULT, {"spec": {"calicoNetwork": {V4: {"firstFound": True}}}})
    undo = before(api)
    holds = release != "v3.24.5"
    assert undo["install"] == "operator"
    assert undo["crd_min_ready_seconds"] is holds
    request = HELD if holds else Request(methods=HELD.methods, hold=Hold("watch"))
    if not holds:
        with pytest.raises(Refused, match="mode=watch"):
            change(api, HELD, False)
    both(api, request)
    wanted = copy.deepcopy(undo["installation"])
    wanted["spec"]["calicoNetwork"][V4] = {"kubernetes": "NodeInternalIP"}
    released = both(api, Request(methods=HELD.methods, undo=undo)) if holds else {}
    if holds:
        assert world.content(released["object"]) == world.content(wanted)
    for method in ("first-found", "can-reach=10.0.0.1", "cidr=10.0.0.0/8", "skip-interface=^ens"):
        change(api, Request(methods={4: method, 6: "first-found"}), False)
    restore(api, undo)
    assert world.content(client.get(DEFAULT)) == world.content(undo["installation"])
    world.clear(client)


@real_data
@pytest.mark.parametrize("release", world.RELEASES)
def test_a_real_manifest_release(client: Client, api: Api, release: str) -> None:
    crds.remove(client, client.items(crds.CRDS))
    made = world.load_manifest(client, release)
    undo = before(api)
    assert undo["install"] == "manifest"
    assert undo["backend"] == "bird"
    assert undo["daemonset"]["metadata"]["managedFields"]
    both(api, HELD)
    wanted = copy.deepcopy(made)
    env = world.env_of(wanted)
    place = next(n for n, e in enumerate(env) if e["name"] == "IP") + 1
    env.insert(place, {"name": "IP_AUTODETECTION_METHOD", "value": "kubernetes-internal-ip"})
    released = both(api, Request(methods=HELD.methods, undo=undo))["object"]
    assert world.content(released) == world.content(wanted)
    both(api, Request(methods={4: "cidr=10.0.0.0/8", 6: "first-found"}))
    restore(api, undo)
    assert world.content(client.get(MANIFEST)) == world.content(made)
    world.clear(client)


@real_data
@pytest.mark.parametrize("release", world.RELEASES)
def test_a_real_canal_release_is_refused(client: Client, api: Api, release: str) -> None:
    crds.remove(client, client.items(crds.CRDS))
    world.load_manifest(client, release, "canal.yaml")
    calico = before(api)
    assert calico["install"] == "canal"
    assert calico["target"] is None
    assert "canal_iface" in calico["reason"]
    with pytest.raises(Refused, match="flannel does"):
        change(api, INTERNAL, False)
    world.clear(client)


def test_nothing_and_a_migration_are_refused(operator: Client, api: Api) -> None:
    daemonset = next(o for o in seeds.calico_manifest("v3.28.2") if o["kind"] == "DaemonSet")
    operator.create("/apis/apps/v1/namespaces/kube-system/daemonsets", daemonset)
    with pytest.raises(Refused, match="Finish the migration"):
        change(api, INTERNAL, False)
    world.clear(operator)
    with pytest.raises(Refused, match="no calico-node DaemonSet"):
        change(api, INTERNAL, False)


def test_everything_is_read_once_and_nodes_in_pages(operator: Client, api: Api) -> None:
    for number in range(1, 4):
        operator.ensure("/api/v1/nodes", seeds.node(number))
    calico = _calico_read.read(api, {}, page_size=2)
    assert [n["name"] for n in calico["nodes"]] == ["node1", "node2", "node3"]
    assert calico["nodes"][0]["internal_ips"] == {"v4": ["10.160.1.21"], "v6": []}
    # LISTs of daemonsets, installations, DNS pods and two pages of nodes; TigeraStatus, CRD,
    # BGPConfiguration. There is no calico-node yet whose pods could be listed.
    assert calico["requests"] == 8
