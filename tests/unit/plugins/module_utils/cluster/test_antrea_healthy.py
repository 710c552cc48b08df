# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Agents are awaited until each is ready, has reported since, and its Node is Ready."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._antrea_agent import NotBack
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._antrea_healthy import (
    Request,
    await_healthy,
    lacking,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused

from tests.lab.api.client import STRATEGIC, Client
from tests.unit import antrea_world as world

OLD, SINCE, NEW = "2026-01-31T11:59:59Z", "2026-01-31T12:00:00Z", "2026-01-31T12:00:01Z"
WELL = {
    "node": "node1",
    "pod": "agent-1",
    "ready": True,
    "waiting": None,
    "error": None,
    "heartbeat": SINCE,
    "node_ready": "True",
}


def ready(client: Client, node: str, status: str) -> None:
    client.ensure("/api/v1/nodes", {"metadata": {"name": node}})
    body = {"status": {"conditions": [{"type": "Ready", "status": status}]}}
    client.patch(f"/api/v1/nodes/{node}/status", body, STRATEGIC)


@pytest.fixture
def antrea(client: Client) -> Iterator[Client]:
    """Two nodes: node1 is well, node2 is stuck."""
    world.seed(client)
    for number, beat in ((1, NEW), (2, OLD)):
        world.pod(client, f"node{number}", f"agent-{number}", ready=number == 1)
        world.report(client, f"node{number}", beat, f"agent-{number}")
        ready(client, f"node{number}", "True" if number == 1 else "Unknown")
    yield client
    for number in (1, 2):
        client.delete(f"/api/v1/nodes/node{number}")
    world.clear(client)


class Clock:
    """Seconds that pass with each sleep; something may happen then."""

    def __init__(self, act: Any = None) -> None:
        self.now, self.act = 0.0, act

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.act:
            self.act()
            self.act = None

    def await_healthy(self, api: Api, *nodes: str, **options: Any) -> dict[str, Any]:
        options = {"since": SINCE, "wait_timeout": 6, **options}
        return await_healthy(api, Request(nodes, **options), lambda: self.now, self.sleep)


def test_a_node_that_is_well_is_not_waited_for(antrea: Client, api: Api) -> None:
    found = Clock().await_healthy(api, "node1")
    assert (found["changed"], found["seconds"]) == (False, 0)
    assert found["agents"] == [{**WELL, "heartbeat": NEW}]


def test_what_is_missing_is_told_for_each_node(antrea: Client, api: Api) -> None:
    with pytest.raises(NotBack) as raised:
        Clock().await_healthy(api, "node3", "node2", "node1")
    assert str(raised.value) == (
        "Not well after 6 s: node2: the Node's condition Ready is Unknown, the pod agent-2 is not "
        f"ready (CrashLoopBackOff), the last heartbeat is of {OLD}, before {SINCE}; node3: there "
        "is no such Node."
    )
    assert [a["node"] for a in raised.value.result["agents"]] == ["node1", "node2", "node3"]


def test_a_node_that_heals_is_waited_for(antrea: Client, api: Api) -> None:
    def heal() -> None:
        antrea.delete("/api/v1/namespaces/kube-system/pods/agent-2", gracePeriodSeconds=0)
        world.pod(antrea, "node2", "agent-2")
        world.report(antrea, "node2", NEW, "agent-2")
        ready(antrea, "node2", "True")

    found = Clock(heal).await_healthy(api, "node1", "node2")
    assert [a["ready"] for a in found["agents"]] == [True, True]
    assert found["seconds"] == 2


def test_without_a_time_only_a_heartbeat_of_now_counts(antrea: Client, api: Api) -> None:
    with pytest.raises(NotBack, match=f"the last heartbeat is of {NEW}"):
        Clock().await_healthy(api, "node1", since=None)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"heartbeat": OLD}, f"the last heartbeat is of {OLD}"),
        ({"heartbeat": None}, "no AntreaAgentInfo"),
        ({"ready": False}, "the pod agent-1 is not ready"),
        ({"pod": None}, "it has no pod of antrea-agent"),
        ({"node_ready": "False"}, "the Node's condition Ready is False"),
        ({"node_ready": None}, "no such Node"),
    ],
)
def test_each_of_its_signs_is_needed(change: dict[str, Any], why: str) -> None:
    assert lacking(WELL, SINCE) == []
    (found,) = lacking({**WELL, **change}, SINCE)
    assert why in found


def test_a_time_that_is_none_is_refused(antrea: Client, api: Api) -> None:
    with pytest.raises(Refused, match="since is no time in UTC"):
        Clock().await_healthy(api, "node1", since="12:00")
