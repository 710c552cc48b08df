# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules that change a cluster return is what they document, key by key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._calico_write import change
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.modules import (
    calico_autodetection,
    calico_info,
    calico_rollout,
    run_lock,
    undo_bundle,
)

from tests.lab.actors.cluster import Seed, seed_cluster
from tests.lab.api.client import Client
from tests.lab.api.providers import Double, Listen
from tests.unit import calico_world as world
from tests.unit.plugins.modules.test_fact_documentation import unlike

#: Whole objects of the cluster, and what Ansible itself documents.
WHOLE = ("installation", "overlay", "daemonset", "tigerastatus", "object", "content")
COMMON = {"changed", "diff"}


@pytest.fixture(scope="module", params=["calico-manifest", "calico-operator"])
def access(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """Options that lead to a cluster of two nodes."""
    double = Double(tmp_path_factory.mktemp("api"), Listen())
    double.start()
    seed_cluster(Client(double.kubeconfig), Seed(nodes=2, cni=request.param))
    yield {"kubeconfig": str(double.kubeconfig), "timeout": 5, "wait_timeout": 5}
    double.stop()


def problems(module: Any, result: dict[str, Any], free: tuple[str, ...] = WHOLE) -> list[str]:
    """Where a result's keys are not the documented ones."""
    documented = yaml.safe_load(module.RETURN)
    for fields in (documented, (documented.get("calico") or {}).get("contains") or {}):
        for name in free:
            if name in fields:
                fields[name].pop("contains", None)
    returned = {k: v for k, v in result.items() if k not in COMMON}
    return unlike(returned, {"contains": documented}, "result")


def test_calico_info(access: dict[str, Any]) -> None:
    options = {"method_v4": "first-found", "method_v6": None, "review": True}
    options.update(bundle_namespace="kube-system", dns_selector="k8s-app=kube-dns", page_size=500)
    result = calico_info.run({**access, **options})
    assert problems(calico_info, result) == []
    assert result["calico"]["permissions"]
    assert all(p["allowed"] for p in result["calico"]["permissions"])


def test_calico_info_refuses_what_is_no_method(access: dict[str, Any]) -> None:
    options = {"method_v4": "internal", "method_v6": None}
    with pytest.raises(Refused, match="no method of Calico"):
        calico_info.run({**access, **options})


@pytest.mark.parametrize("check_mode", [True, False])
def test_calico_autodetection(access: dict[str, Any], check_mode: bool) -> None:
    hold = {"mode": "min-ready-seconds", "min_ready_seconds": 60, "canary": None}
    options = {
        "state": "present",
        "method_v4": "kubernetes-internal-ip",
        "method_v6": None,
        "hold": hold,
        "undo": None,
        "override_owner": False,
    }
    request = calico_autodetection.request_of({**access, **options})
    result = change(world.connect(Path(access["kubeconfig"])), request, check_mode)
    assert result["changed"]
    assert problems(calico_autodetection, result) == []


def test_calico_rollout(access: dict[str, Any], request: pytest.FixtureRequest) -> None:
    if "operator" in request.node.name:
        pytest.skip("the DaemonSet is made by the operator, which does not run here")
    options = {"expect": {"node1": {"v4": "10.0.0.1/24"}, "node2": None}, "accept_unseen": []}
    options.update(canary=None, unready=[], wait="none", poll=1)
    result = calico_rollout.run({**access, **options}, False)
    assert sorted(result["nodes"]) == ["node1", "node2"]
    result["nodes"] = result["nodes"]["node1"]
    assert problems(calico_rollout, result) == []


def test_calico_rollout_tells_what_it_waited_for() -> None:
    result = {
        "stop": False,
        "problems": [
            {"node": "node1", "problem": "is sad"},
            {"node": None, "problem": "so are all"},
        ],
        "waiting_for": "better times",
    }
    text = calico_rollout.failure(result, {"wait_timeout": 9})
    assert text.startswith("The roll-out is not done after 9 s: better times.")
    assert "node1: is sad; so are all" in text
    assert "goes wrong" in calico_rollout.failure({**result, "stop": True}, {})


def test_run_lock(access: dict[str, Any]) -> None:
    options = {"state": "held", "run_id": "a", "ttl": 60, "take_over": False, "cluster": None}
    result = run_lock.run({**access, **options}, False)
    assert result["holder"]
    assert problems(run_lock, result) == []


@pytest.mark.parametrize("state", ["present", "read", "listed"])
def test_undo_bundle(tmp_path: Path, state: str) -> None:
    options = {"dir": str(tmp_path), "namespace": None, "run_id": "a", "content": {"a": 1}}
    options = {**options, "resumed": True, "same": []}
    undo_bundle.run({**options, "state": "present"}, False)
    result = undo_bundle.run({**options, "state": state}, False)
    assert problems(undo_bundle, result) == []
