# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change from the first read to the last node, with an operator and a DaemonSet controller."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _calico_read
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._apply import Patience
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._calico_write import (
    Request,
    change,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._rollout_watch import (
    Looker,
    follow,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Hold, Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._rollout import Asked

from tests.lab.actors.__main__ import make, start
from tests.lab.actors.cluster import Seed, seed_cluster
from tests.lab.actors.loop import Actor
from tests.lab.api.client import STRATEGIC, Client
from tests.lab.api.providers import Double, Listen
from tests.unit import calico_world as world

Obj = dict[str, Any]
METHOD = {4: "kubernetes-internal-ip"}
WRONG = {4: "interface=eth1"}
GOOD = {f"node{n}": {"v4": f"10.160.1.{20 + n}/24"} for n in (1, 2, 3)}
FORMER = {f"node{n}": {"v4": f"192.0.2.{n}/24"} for n in (1, 2, 3)}


class CalicoNodes(Actor):
    """calico-node on all nodes: stores an address by its method, then becomes ready."""

    name = "calico-nodes"
    watched = ("/api/v1/pods",)

    def reconcile(self) -> None:
        for pod in self.client.items("/api/v1/pods", labelSelector="k8s-app=calico-node"):
            phase = (pod.get("status") or {}).get("phase")
            if phase == "Running" and not self._ready(pod):
                self._run(pod)

    def _ready(self, pod: Obj) -> bool:
        return any(
            c["type"] == "Ready" and c["status"] == "True" for c in pod["status"]["conditions"]
        )

    def _run(self, pod: Obj) -> None:
        node, env = pod["spec"]["nodeName"], pod["spec"]["containers"][0]["env"]
        method = {e["name"]: e.get("value") for e in env}.get("IP_AUTODETECTION_METHOD")
        table = GOOD if method == METHOD[4] else FORMER
        stored = {"projectcalico.org/IPv4Address": table[node]["v4"]}
        self.client.patch(f"/api/v1/nodes/{node}", {"metadata": {"annotations": stored}})
        # Ready for long, as pods of a grown cluster are: young ones are replaced all at once.
        long = "2020-01-01T00:00:00Z" if method not in (METHOD[4], WRONG[4]) else self._now()
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": long}
        meta = pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status"
        self.client.patch(path, {"status": {"conditions": [ready]}}, STRATEGIC)

    def _now(self) -> str:
        from tests.lab.actors.loop import stamp

        return stamp()


@pytest.fixture(params=["calico-operator", "calico-manifest"])
def double(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Double]:
    """Three nodes whose calico-node has taken the wrong address, and everything at work."""
    server = Double(tmp_path / "api", Listen())
    server.start()
    seed_cluster(Client(server.kubeconfig), Seed(nodes=3, cni=request.param))
    kinds = ["operator", "daemonset"] if request.param == "calico-operator" else ["daemonset"]
    actors = [
        *make(kinds, server.kubeconfig, ("calico-node",), "v3.28.2"),
        CalicoNodes(Client(server.kubeconfig), 0.2),
    ]
    threads = start(actors)
    yield server
    for actor in actors:
        actor.stop()
    for thread in threads:
        thread.join(5)
    server.stop()


@pytest.fixture
def api(double: Double) -> Api:
    return world.connect(double.kubeconfig)


def watch(api: Api, expect: Any, wait: str = "all", seconds: float = 25, **more: Any) -> Obj:
    """Follow the roll-out; the operator may have to install first."""
    patience = Patience(seconds)
    while True:
        try:
            return follow(Looker(api).raw, Asked(expect, **more), wait, patience, 0.2)
        except Refused:
            if patience.left() <= 0:
                raise
            patience.wait(0.2)


def test_repaired_after_a_canary_and_put_back(api: Api) -> None:
    assert watch(api, FORMER)["done"]
    undo = _calico_read.read(api, {})
    assert {p["ready"] for p in undo["pods"]} == {True}
    hold = Hold("min-ready-seconds", 600)
    assert change(api, Request(methods=METHOD, hold=hold), False)["changed"]

    first = watch(api, GOOD, "canary")
    assert first["done"], first
    assert first["held"]
    assert len(first["first_nodes"]) == 1
    others = [row for name, row in first["nodes"].items() if name not in first["first_nodes"]]
    assert [row["as_expected"] for row in others] == [False, False]

    assert change(api, Request(methods=METHOD, undo=undo), False)["changed"]
    last = watch(api, GOOD)
    assert last["done"], last
    assert not last["held"]

    assert change(api, Request(restore=True, undo=undo), False)["changed"]
    back = watch(api, FORMER)
    assert back["done"], back


def test_a_bad_canary_ends_the_wait_and_the_others_are_not_touched(api: Api) -> None:
    assert watch(api, FORMER)["done"]
    undo = _calico_read.read(api, {})
    before = {p["node"]: p["name"] for p in undo["pods"]}
    change(api, Request(methods=WRONG, hold=Hold("min-ready-seconds", 600)), False)
    found = watch(api, GOOD, "canary")
    assert found["stop"]
    assert not found["done"]
    [canary] = found["first_nodes"]
    assert found["problems"][0]["node"] == canary
    change(api, Request(restore=True, undo=undo), False)
    assert watch(api, FORMER)["done"]
    after = {p["node"]: p["name"] for p in _calico_read.read(api, {})["pods"]}
    assert [n for n in before if before[n] != after[n]] == [canary]


def test_time_is_bounded_and_an_ill_api_is_borne(api: Api, double: Double) -> None:
    assert watch(api, FORMER)["done"]
    with world.faults(double, {"verbs": ["list"], "path": "nodes", "times": 6, "status": 500}):
        assert watch(api, FORMER)["done"]
    found = watch(api, {**FORMER, "node9": {}}, seconds=1)
    assert not found["done"]
    assert not found["stop"]
    with (
        world.faults(double, {"verbs": ["list"], "status": 503}),
        pytest.raises(ClusterError, match="Gave up after 1 s"),
    ):
        watch(api, FORMER, seconds=1)
