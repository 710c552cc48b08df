# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Holding a roll-out after its first node, and letting it go on."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._apply import (
    Patience,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._calico_write import (
    Request,
    change,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Hold, Refused

from tests.lab import crds
from tests.lab.api.client import Client
from tests.unit import calico_world as world
from tests.unit.calico_world import (
    DEFAULT,
    HELD,
    INTERNAL,
    MANIFEST,
    V4,
)

Obj = dict[str, Any]


@pytest.mark.parametrize("own", [None, 0, 7, 3600])
def test_a_hold_is_released_to_the_value_that_was_there(
    operator: Client, api: Api, own: int | None
) -> None:
    if own is not None:
        operator.patch(
            DEFAULT, {"spec": {"calicoNodeDaemonSet": {"spec": {"minReadySeconds": own}}}}
        )
    undo = world.before(api)
    held = world.both(api, HELD)["object"]["spec"]["calicoNodeDaemonSet"]["spec"]
    assert held == {"minReadySeconds": max(own or 0, 900)}
    released = world.both(api, Request(methods=HELD.methods, undo=undo))["object"]
    wanted = copy.deepcopy(undo["installation"])
    wanted["spec"]["calicoNetwork"][V4] = {"kubernetes": "NodeInternalIP"}
    assert world.content(released) == world.content(wanted)


@pytest.mark.parametrize("own", [None, 5])
def test_a_manifest_is_held_by_its_own_min_ready_seconds(
    manifest: Client, api: Api, own: int | None
) -> None:
    if own:
        manifest.patch(MANIFEST, {"spec": {"minReadySeconds": own}})
    undo = world.before(api)
    assert world.both(api, HELD)["object"]["spec"]["minReadySeconds"] == 900
    released = world.both(api, Request(methods=HELD.methods, undo=undo))["object"]
    assert released["spec"].get("minReadySeconds") == own
    world.restore(api, undo)
    assert world.content(manifest.get(MANIFEST)) == world.content(undo["daemonset"])


def test_without_a_bundle_nobodys_min_ready_seconds_is_taken_away(
    manifest: Client, api: Api
) -> None:
    manifest.patch(MANIFEST, {"spec": {"minReadySeconds": 5}})
    assert world.both(api, INTERNAL)["object"]["spec"]["minReadySeconds"] == 5


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


def test_a_pod_is_as_old_as_the_cluster_says_where_the_controllers_clock_is_ahead(
    manifest: Client, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a pod seems older than it is, and the hold replaces all of them at once."""
    send = api._send

    def dated(*arguments: Any) -> Any:
        answer = send(*arguments)
        then = datetime.now(timezone.utc) - timedelta(seconds=600)
        answer.headers["Date"] = format_datetime(then, usegmt=True)
        return answer

    monkeypatch.setattr(api, "_send", dated)
    daemonset = manifest.get(MANIFEST)
    pod(manifest, "node1", world.env_of(daemonset), daemonset)
    ready_since(manifest, "node1", 600 + 100)  # 100 s by the cluster's clock
    try:
        seconds = world.before(api)["pods"][0]["ready_seconds"]
        assert 100 <= seconds < 110
        with pytest.raises(Refused, match=r"ready for 10. s, and minReadySeconds 500"):
            change(api, Request(methods=HELD.methods, hold=Hold("min-ready-seconds", 500)), True)
    finally:
        manifest.delete("/api/v1/namespaces/kube-system/pods/calico-node-node1")


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
    undo = world.before(api)
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
    world.restore(api, undo)
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
