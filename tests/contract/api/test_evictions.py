# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Evictions: deletions of pods that a disruption budget may refuse."""

from __future__ import annotations

from typing import Any

from tests.contract.api.conftest import fails, unique
from tests.lab.api.client import Client
from tests.lab.api.providers import Provider

Obj = dict[str, Any]
PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"


def pod(api: Client, app: str) -> str:
    """Make a pod on no node, which goes as soon as it is deleted."""
    meta = {"name": unique("pod"), "labels": {"app": app}}
    spec = {"containers": [{"name": "web", "image": "web"}]}
    made = api.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    return str(made["metadata"]["name"])


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
    spec = {"selector": {"matchLabels": {"app": app}}, "minAvailable": 1}
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "spec": spec}
    name = api.create(BUDGETS, {**budget, "metadata": {"name": app}})["metadata"]["name"]
    status = fails(api, "POST", f"{PODS}/{mine}/eviction", eviction(mine))
    assert (status.code, status.reason) == (429, "TooManyRequests")
    assert "disruption budget" in status.body["message"]
    api.create(f"{PODS}/{other}/eviction", eviction(other))
    api.patch(f"{BUDGETS}/{name}/status", {"status": {"disruptionsAllowed": 1}})
    api.create(f"{PODS}/{mine}/eviction", eviction(mine))
    assert fails(api, "GET", f"{PODS}/{mine}").code == 404
