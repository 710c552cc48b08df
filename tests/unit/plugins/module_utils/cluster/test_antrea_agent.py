# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When one node's agent is restarted, and when it counts as back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Callable

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _antrea_agent
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._antrea_agent import (
    NotBack,
    Request,
    Seen,
    lacking,
    restart,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._antrea_write import change
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused

from tests.lab.actors.loop import stamp
from tests.lab.api.client import Client
from tests.lab.api.providers import Double
from tests.unit import antrea_world as world
from tests.unit import calico_world
from tests.unit.antrea_world import new_second, want

Obj = dict[str, Any]
PODS = "/api/v1/namespaces/kube-system/pods"
OLD, NEW = "antrea-agent-old", "antrea-agent-new"


@pytest.fixture
def antrea(client: Client) -> Iterator[Client]:
    world.seed(client)
    yield client
    world.clear(client)


class Hands:
    """A clock that does what the cluster does while somebody sleeps, one step per sleep."""

    def __init__(self, *steps: Callable[[], Any]) -> None:
        self.steps = list(steps)
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.steps:
            self.steps.pop(0)()


def test_an_agent_that_has_read_its_file_is_left_alone(antrea: Client, api: Api) -> None:
    new_second()
    world.pod(antrea, "node1", OLD)
    result = restart(api, Request("node1"), False)
    assert not result["changed"]
    assert result["why"] is None
    assert result["before"]["pod"] == result["after"]["pod"] == OLD


def test_an_agent_older_than_its_file_is_restarted_and_awaited(antrea: Client, api: Api) -> None:
    new_second()
    world.pod(antrea, "node1", OLD)
    world.report(antrea, "node1", stamp(), OLD)
    change(api, want(gates={"Egress": False}), False)
    request = Request("node1", wait_timeout=60)
    planned = restart(api, request, True)
    assert planned["changed"]
    assert antrea.get(f"{PODS}/{OLD}")["metadata"].get("deletionTimestamp") is None
    beat = new_second()
    hands = Hands(
        lambda: antrea.delete(f"{PODS}/{OLD}", gracePeriodSeconds=0),
        lambda: world.pod(antrea, "node1", NEW, ready=False),
        lambda: antrea.delete(f"{PODS}/{NEW}", gracePeriodSeconds=0),
        lambda: world.pod(antrea, "node1", NEW),
        lambda: world.report(antrea, "node1", beat, OLD),
        lambda: world.report(antrea, "node1", new_second(), NEW),
    )
    result = restart(api, request, False, hands.clock, hands.sleep)
    assert (result["plan"], result["diff"]) == (planned["plan"], planned["diff"])
    assert hands.steps == [], "it came back too early"
    assert result["after"]["pod"] == NEW
    assert result["seconds"] == 12
    assert not restart(api, request, False)["changed"]


def test_an_agent_that_does_not_come_back_is_told_with_what_was_seen(
    antrea: Client, api: Api
) -> None:
    world.pod(antrea, "node1", OLD)
    hands = Hands(
        lambda: antrea.delete(f"{PODS}/{OLD}", gracePeriodSeconds=0),
        lambda: world.pod(antrea, "node1", NEW, ready=False),
    )
    with pytest.raises(
        NotBack, match=r"not back after 20 s.*not ready .CrashLoopBackOff"
    ) as caught:
        restart(api, Request("node1", force=True, wait_timeout=20), False, hands.clock, hands.sleep)
    assert f"logs {NEW}" in str(caught.value)
    assert caught.value.result["changed"]
    assert caught.value.result["after"]["waiting"] == "CrashLoopBackOff"


def test_the_api_may_be_out_of_reach_while_the_agent_restarts(
    antrea: Client, api: Api, double: Double
) -> None:
    world.pod(antrea, "node1", OLD)
    sick = {"verbs": ["list"], "path": "/apis/apps/v1/daemonsets", "status": 503}
    ill = ExitStack()

    def fall_ill() -> None:
        ill.enter_context(calico_world.faults(double, sick))
        with pytest.raises(ClusterError, match="503"):
            _antrea_agent.look(api, "node1")

    def recover() -> None:
        ill.close()
        antrea.delete(f"{PODS}/{OLD}", gracePeriodSeconds=0)
        world.pod(antrea, "node1", NEW)
        world.report(antrea, "node1", new_second(), NEW)

    hands = Hands(fall_ill, recover)
    with ill:
        request = Request("node1", force=True, wait_timeout=60)
        assert restart(api, request, False, hands.clock, hands.sleep)["changed"]
    assert hands.now == 4, "one look failed, the next one found it"


def test_a_pod_of_the_same_name_that_is_newer_is_not_deleted(antrea: Client, api: Api) -> None:
    world.pod(antrea, "node1", OLD)
    before = _antrea_agent.look(api, "node1")
    antrea.delete(f"{PODS}/{OLD}", gracePeriodSeconds=0)
    made = world.pod(antrea, "node1", OLD)
    assert before.pod
    _antrea_agent._delete(api, before.pod)
    assert antrea.get(f"{PODS}/{OLD}")["metadata"]["uid"] == made["metadata"]["uid"]


def test_a_node_without_an_agent_is_told(antrea: Client, api: Api) -> None:
    with pytest.raises(Refused, match="no pod of antrea-agent on node9"):
        restart(api, Request("node9"), True)


def seen(pod: str, beat: str | None = None, of: str | None = None, ready: bool = True) -> Seen:
    info: Obj = {"agentConditions": [{"lastHeartbeatTime": beat}]} if beat else {}
    if of:
        info["podRef"] = {"name": of}
    meta = {"name": pod, "uid": pod, "namespace": "n", "creationTimestamp": "2026-01-01T00:00:10Z"}
    status = {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    return Seen([{"metadata": meta, "spec": {}, "status": status}], info or None, None)


@pytest.mark.parametrize(
    ("now", "missing"),
    [
        (seen("old"), "no new pod"),
        (seen("new", ready=False), "is not ready"),
        (seen("new"), "no new heartbeat"),
        (seen("new", "2026-01-01T00:00:00Z", "new"), "no new heartbeat"),
        (seen("new", "2026-01-01T00:01:00Z", "old"), "still of pod old"),
        (seen("new", "2026-01-01T00:00:09Z"), "older than its pod"),
        (seen("new", "2026-01-01T00:00:10Z"), None),
        # The node's clock may be behind: podRef decides.
        (seen("new", "2026-01-01T00:00:09Z", "new"), None),
    ],
)
def test_an_agent_is_back_when_its_new_process_has_reported(now: Seen, missing: str | None) -> None:
    found = lacking(seen("old", "2026-01-01T00:00:00Z", "old"), now)
    assert (found is None) == (missing is None)
    assert missing is None or missing in str(found)
