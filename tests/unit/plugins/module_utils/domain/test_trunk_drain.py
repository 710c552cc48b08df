# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which disruption budgets hold the drain of a node, by the rules of the eviction API."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _trunk_drain as drain

Obj = dict[str, Any]
OPTIONS: Obj = {"drain_timeout": 300}
READY = {"type": "Ready", "status": "True"}
WEB = {"matchLabels": {"app": "web"}}
DAEMON, REPLICAS = {"kind": "DaemonSet"}, {"kind": "ReplicaSet"}
_SPEC = ("selector", "minAvailable", "maxUnavailable", "unhealthyPodEvictionPolicy")
EMPTY_DIR = [{"name": "tmp", "emptyDir": {}}]


def pod(name: str = "web-0", **more: Any) -> Obj:
    """A pod that is Ready and belongs to a ReplicaSet, in namespace shop."""
    ready = more.pop("ready", True)
    conditions = [READY] if ready else [{"type": "Ready", "status": "False"}]
    status = {"phase": more.pop("phase", "Running"), "conditions": conditions}
    spec = {"volumes": more.pop("volumes", [])}
    labels, owners = {"app": "web"}, [REPLICAS]
    meta = {"name": name, "namespace": "shop", "labels": labels, "ownerReferences": owners}
    return {"metadata": {**meta, **more}, "spec": spec, "status": status}


def budget(name: str = "web", **more: Any) -> Obj:
    """A budget without room: 2 of 2 pods are needed, and healthy."""
    meta = {"name": name, "namespace": more.pop("namespace", "shop"), "generation": 1}
    spec = {"selector": WEB, "minAvailable": 2}
    status = {"observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": 2}
    status.update(desiredHealthy=2, expectedPods=2)
    spec.update({k: more.pop(k) for k in [*more] if k in _SPEC})
    return {"metadata": meta, "spec": spec, "status": {**status, **more}}


def held(pods: list[Obj], budgets: list[Obj], **options: Any) -> list[str]:
    return drain.held({"node2": pods}, budgets, {**OPTIONS, **options})


def test_a_budget_without_room_is_told_with_all_that_it_holds() -> None:
    pods = {"node2": [pod(), pod("web-1")], "node3": [pod("web-2"), pod("db-0", labels={})]}
    free = budget("free", selector={"matchLabels": {"app": "db"}})
    assert drain.held(pods, [budget(), free], OPTIONS) == [
        "PodDisruptionBudget shop/web has no room (2 of 2 needed pods are healthy), and would hold "
        "the drain of node2 (shop/web-0, shop/web-1), node3 (shop/web-2) until "
        "proxmox_vlan_trunk_drain_timeout (300 s). Scale up what it protects first: waiting gives "
        "it none."
    ]


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ({}, True),
        ({"disruptionsAllowed": 1}, False),
        ({"disruptionsAllowed": -1}, True),
        ({"disruptionsAllowed": 1, "observedGeneration": 0}, True),
        ({"namespace": "other"}, False),
        ({"selector": None}, False),
        ({"selector": {}}, True),
        ({"selector": {"matchLabels": {"app": "db"}}}, False),
        ({"selector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}, True),
        ({"selector": {"matchExpressions": [{"key": "app", "operator": "Odd"}]}}, False),
        ({"unhealthyPodEvictionPolicy": "AlwaysAllow"}, True),
    ],
)
def test_which_budget_keeps_a_pod_that_is_ready(change: Obj, holds: bool) -> None:
    assert bool(held([pod()], [budget(**change)])) is holds


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        # The default: those go while the others are enough.
        ({}, False),
        ({"unhealthyPodEvictionPolicy": "IfHealthyBudget"}, False),
        ({"currentHealthy": 1}, True),
        ({"currentHealthy": 1, "unhealthyPodEvictionPolicy": "IfHealthyBudget"}, True),
        ({"currentHealthy": 0, "desiredHealthy": 0}, True),
        ({"currentHealthy": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"}, False),
        ({"currentHealthy": 1, "disruptionsAllowed": 1}, False),
    ],
)
def test_which_budget_keeps_a_pod_that_is_not_ready(change: Obj, holds: bool) -> None:
    assert bool(held([pod(ready=False)], [budget(**change)])) is holds


@pytest.mark.parametrize(
    ("change", "options", "holds"),
    [
        ({"phase": "Pending"}, {}, False),
        ({"phase": "Succeeded"}, {}, False),
        ({"phase": "Failed"}, {}, False),
        ({"deletionTimestamp": "2026-11-01T08:00:00Z"}, {}, False),
        ({"annotations": {"kubernetes.io/config.mirror": "x"}}, {}, False),
        ({"ownerReferences": [DAEMON]}, {}, False),
        ({"ownerReferences": [DAEMON, REPLICAS]}, {}, True),
        ({"ownerReferences": []}, {}, False),
        ({"ownerReferences": []}, {"drain_force": True}, True),
        ({"volumes": EMPTY_DIR}, {}, False),
        ({"volumes": EMPTY_DIR}, {"drain_delete_emptydir_data": True}, True),
        # The module does not tell these apart.
        (
            {"volumes": EMPTY_DIR, "ownerReferences": [DAEMON]},
            {"drain_delete_emptydir_data": True},
            True,
        ),
    ],
)
def test_which_pods_a_drain_evicts(change: Obj, options: Obj, holds: bool) -> None:
    assert bool(held([pod(**change)], [budget()], **options)) is holds
    two = [budget("a"), budget("b")]
    assert bool(drain.disputed("node2", [pod(**change)], two, {**OPTIONS, **options})) is holds


@pytest.mark.parametrize(
    ("change", "count", "remedy"),
    [
        ({}, "2 of 2 needed pods are healthy", "Scale up what it protects first: waiting"),
        (
            {"expectedPods": 3},
            "2 of 2 needed pods are healthy",
            "Scale up what it protects first, or repair its pods; raise the timeout",
        ),
        ({"maxUnavailable": 0}, "2 of 2", "With maxUnavailable 0 it never has any: raise"),
        ({"maxUnavailable": "0%"}, "2 of 2", "With maxUnavailable 0 it never has any: raise"),
        ({"minAvailable": "100%"}, "2 of 2", "With minAvailable 100% it never has any: lower"),
        ({"observedGeneration": 0}, "its status is older than its spec", "Wait until"),
    ],
)
def test_what_would_give_room(change: Obj, count: str, remedy: str) -> None:
    [text] = held([pod()], [budget(**change)])
    assert f"has no room ({count}" in text
    assert remedy in text


def test_a_pod_with_two_budgets_can_never_be_evicted() -> None:
    roomy = [budget("a", disruptionsAllowed=1), budget("b", disruptionsAllowed=1)]
    assert drain.disputed("node2", [pod(), pod("db-0", labels={})], roomy, OPTIONS) == [
        "node2: more than one PodDisruptionBudget (shop/a, shop/b) selects shop/web-0, and the API "
        "evicts no such pod. Leave each pod to one of them."
    ]
    assert drain.disputed("node2", [pod(ready=False)], roomy, OPTIONS) != []
    assert held([pod()], [budget("a"), budget("b")]) == []


def test_budgets_that_could_not_be_read_are_told() -> None:
    [text] = drain.unread(["node2", "node3"], drain.FORBIDDEN)
    assert "could not be read (it is forbidden)" in text
    assert "the drain of node2, node3 unannounced. Allow to list poddisruptionbudgets" in text
    assert "the cluster has no policy/v1" in drain.unread(["node2"], drain.ABSENT)[0]
    assert drain.unread([], drain.FORBIDDEN) == []
    assert drain.unread(["node2"], "") == []
