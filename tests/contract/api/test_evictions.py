# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Evictions: deletions of pods that a disruption budget may refuse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.api.conftest import fails, unique
from tests.lab.api.client import Client
from tests.lab.api.providers import Provider

Obj = dict[str, Any]
PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"


def pod(api: Client, app: str, ready: bool | None = True) -> str:
    """Make a pod on no node, which goes as soon as it is deleted. ``ready`` None: not begun."""
    meta = {"name": unique("pod"), "labels": {"app": app}}
    spec = {"containers": [{"name": "web", "image": "web"}]}
    made = api.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    name = str(made["metadata"]["name"])
    if ready is not None:
        conditions = [{"type": "Ready", "status": str(ready)}]
        status = {"phase": "Running", "conditions": conditions}
        api.patch(f"{PODS}/{name}/status", {"status": status})
    return name


def budget(api: Client, app: str, selector: Obj | None = None, **spec: Any) -> str:
    """Make a budget of an app's pods; return its path."""
    chosen = selector or {"matchLabels": {"app": app}}
    made = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": app}}
    made["spec"] = {"selector": chosen, "minAvailable": 1, **spec}
    return f"{BUDGETS}/{api.create(BUDGETS, made)['metadata']['name']}"


def counted(api: Client, path: str, **status: int) -> None:
    """Play the controller that counts the pods of a budget."""
    seen = api.get(path)["metadata"]["generation"]
    zero = {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
    api.patch(f"{path}/status", {"status": {"observedGeneration": seen, **zero, **status}})


def eviction(name: str) -> Obj:
    meta = {"name": name, "namespace": "default"}
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}


def test_an_evicted_pod_is_gone(api: Client, provider: Provider) -> None:
    name = pod(api, unique("app"))
    assert api.create(f"{PODS}/{name}/eviction", eviction(name))["status"] == "Success"
    status = fails(api, "GET", f"{PODS}/{name}")
    assert status.code == 404
    again = fails(api, "POST", f"{PODS}/{name}/eviction", eviction(name))
    assert (again.code, again.reason) == (404, "NotFound")


def test_a_budget_without_room_keeps_its_pods_and_no_other(api: Client) -> None:
    app = unique("app")
    mine, other = pod(api, app), pod(api, unique("app"))
    path = budget(api, app)
    api.create(f"{PODS}/{other}/eviction", eviction(other))
    counted(api, path, currentHealthy=1, desiredHealthy=1, expectedPods=1)
    status = fails(api, "POST", f"{PODS}/{mine}/eviction", eviction(mine))
    assert (status.code, status.reason) == (429, "TooManyRequests")
    assert "disruption budget" in status.body["message"]
    [cause] = status.body["details"]["causes"]
    assert cause["reason"] == "DisruptionBudget"
    assert f"{app} needs 1 healthy pods and has 1 currently" in cause["message"]
    counted(api, path, disruptionsAllowed=1)
    api.create(f"{PODS}/{mine}/eviction", eviction(mine))
    assert fails(api, "GET", f"{PODS}/{mine}").code == 404
    api.delete(path)


def test_a_budget_that_nobody_has_counted_keeps_its_pods(api: Client) -> None:
    app = unique("app")
    mine, path = pod(api, app), budget(api, app)
    api.patch(f"{path}/status", {"status": {"disruptionsAllowed": 1}})
    status = fails(api, "POST", f"{PODS}/{mine}/eviction", eviction(mine))
    assert (status.code, status.reason) == (429, "TooManyRequests")
    assert "still being processed" in status.body["details"]["causes"][0]["message"]
    api.delete(path)


def test_a_pod_that_has_not_begun_asks_no_budget(api: Client) -> None:
    app = unique("app")
    mine, path = pod(api, app, ready=None), budget(api, app)
    api.create(f"{PODS}/{mine}/eviction", eviction(mine))
    assert fails(api, "GET", f"{PODS}/{mine}").code == 404
    api.delete(path)


def test_a_pod_of_two_budgets_is_never_evicted(api: Client) -> None:
    app = unique("app")
    mine = pod(api, app)
    rule = {"key": "app", "operator": "In", "values": [app]}
    paths = [budget(api, app), budget(api, unique("app"), {"matchExpressions": [rule]})]
    for path in paths:
        counted(api, path, disruptionsAllowed=1)
    status = fails(api, "POST", f"{PODS}/{mine}/eviction", eviction(mine))
    assert status.code == 500
    assert "more than one PodDisruptionBudget" in status.body["message"]
    api.delete(paths[1])
    api.create(f"{PODS}/{mine}/eviction", eviction(mine))
    api.delete(paths[0])


@pytest.mark.parametrize(
    ("healthy", "policy", "goes"),
    [(1, {}, True), (0, {}, False), (0, {"unhealthyPodEvictionPolicy": "AlwaysAllow"}, True)],
)
def test_which_pods_that_are_not_ready_go(
    api: Client, healthy: int, policy: Obj, goes: bool
) -> None:
    app = unique("app")
    mine, path = pod(api, app, ready=False), budget(api, app, **policy)
    counted(api, path, currentHealthy=healthy, desiredHealthy=1, expectedPods=2)
    if goes:
        api.create(f"{PODS}/{mine}/eviction", eviction(mine))
        assert fails(api, "GET", f"{PODS}/{mine}").code == 404
    else:
        assert fails(api, "POST", f"{PODS}/{mine}/eviction", eviction(mine)).code == 429
    api.delete(path)
