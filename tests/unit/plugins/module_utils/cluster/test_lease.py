# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock in a cluster: two runs at once, lost answers, an interrupted run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _lease
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError
from ansible_collections.k8snet.cni.plugins.module_utils.domain._run_lock import LockError
from ansible_collections.k8snet.cni.plugins.modules import run_lock

from tests.lab.api import mint
from tests.lab.api.client import Client
from tests.lab.api.providers import Double, Listen
from tests.unit import calico_world as world

LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/k8snet-change"


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Double]:
    server = Double(tmp_path_factory.mktemp("api"), Listen())
    server.start()
    Client(server.kubeconfig).ensure("/api/v1/namespaces", {"metadata": {"name": "kube-system"}})
    yield server
    server.stop()


@pytest.fixture
def client(double: Double) -> Iterator[Client]:
    found = Client(double.kubeconfig)
    yield found
    found.delete(LEASE)


def lock(double: Double, check_mode: bool = False, **given: Any) -> dict[str, Any]:
    params = {
        "kubeconfig": str(double.kubeconfig),
        "timeout": 5,
        "state": "held",
        "run_id": "night-1",
        "ttl": 600,
        "take_over": False,
        "cluster": None,
        "wait_timeout": 10,
    }
    return run_lock.run({**params, **given}, check_mode)


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(
        _lease, "utc_now", lambda: datetime.now(timezone.utc) + timedelta(seconds=seconds)
    )


def test_another_cluster_is_refused_before_its_lock_is_taken(
    double: Double, client: Client
) -> None:
    uid = lock(double, state="read")["cluster"]
    assert uid == client.find("/api/v1/namespaces/kube-system")["metadata"]["uid"]  # type: ignore[index]
    for state in ("held", "read", "released"):
        with pytest.raises(LockError, match="another cluster"):
            lock(double, state=state, cluster="of-another")
    assert client.find(LEASE) is None
    assert lock(double, cluster=uid)["cluster"] == uid
    assert client.find(LEASE) is not None


def test_an_account_that_may_not_see_the_cluster_may_lock_but_not_go_back(
    double: Double, client: Client, tmp_path: Path
) -> None:
    rule = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get"]}
    poor = tmp_path / "config"
    mint.user(double.kubeconfig, "poor", [rule], poor)
    assert lock(double, kubeconfig=str(poor), state="read")["cluster"] is None
    with pytest.raises(ClusterError, match="get on namespaces"):
        lock(double, kubeconfig=str(poor), cluster="a")
    assert client.find(LEASE) is None


def test_taken_kept_and_given_back(double: Double, client: Client) -> None:
    planned = lock(double, check_mode=True)
    assert client.find(LEASE) is None
    taken = lock(double)
    assert planned["changed"]
    assert taken["changed"]
    assert planned["diff"] == taken["diff"]
    assert taken["holder"]["run_id"] == "night-1"
    version = client.get(LEASE)["metadata"]["resourceVersion"]
    assert not lock(double)["changed"]
    assert client.get(LEASE)["metadata"]["resourceVersion"] == version
    assert lock(double, state="read", run_id=None)["holder"]["run_id"] == "night-1"
    assert lock(double, state="released", check_mode=True)["changed"]
    assert lock(double, state="released")["changed"]
    assert client.find(LEASE) is None
    assert not lock(double, state="released")["changed"]
    assert lock(double, state="read", run_id=None)["holder"] is None


def test_of_two_runs_at_once_one_gets_it(double: Double, client: Client) -> None:
    results: list[str] = []
    barrier = threading.Barrier(8)

    def attempt(number: int) -> None:
        barrier.wait()
        try:
            lock(double, run_id=f"run-{number}")
            results.append("held")
        except LockError:
            results.append("refused")

    threads = [threading.Thread(target=attempt, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["held", *["refused"] * 7]


def test_another_runs_lock_is_neither_taken_nor_given_back(double: Double, client: Client) -> None:
    lock(double)
    for check_mode in (True, False):
        with pytest.raises(LockError, match="run night-1 holds the lock"):
            lock(double, run_id="night-2", check_mode=check_mode)
    assert not lock(double, run_id="night-2", state="released")["changed"]
    assert client.get(LEASE)["spec"]["holderIdentity"] == "night-1"


def test_an_interrupted_run_is_named(
    double: Double, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock(double)
    later(monkeypatch, 700)
    with pytest.raises(LockError, match="k8snet_run_id=night-1"):
        lock(double, run_id="night-2")
    assert lock(double)["changed"], "the same run goes on"
    later(monkeypatch, 1400)
    taken = lock(double, run_id="night-2", take_over=True)
    assert taken["former"] == "night-1"
    assert lock(double, run_id="night-2")["former"] == "night-1"


@pytest.mark.parametrize("verb", ["create", "update", "delete"])
@pytest.mark.parametrize(
    "fault", [{"disconnect_after": 5}, {"status": 500}, {"status": 429, "retry_after": 0}]
)
def test_a_lost_answer_is_read_back(
    double: Double,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    fault: dict[str, Any],
) -> None:
    state = "released" if verb == "delete" else "held"
    if verb != "create":
        lock(double)
    if verb == "update":
        later(monkeypatch, 400)
    with world.faults(double, {"verbs": [verb], "path": "leases", "times": 1, **fault}):
        result = lock(double, state=state)
    assert result["changed"]
    assert result["plan"]
    assert result["diff"]
    found = client.find(LEASE)
    assert (found is None) == (verb == "delete")


def test_a_lease_that_changes_in_between_is_read_again(
    double: Double, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock(double)
    later(monkeypatch, 400)
    send = Api.request
    others = iter(
        [
            lambda: client.patch(LEASE, {"metadata": {"labels": {"a": "b"}}}),
            lambda: client.delete(LEASE),
        ]
    )

    def slow(self: Api, method: str, *args: Any, **kwargs: Any) -> Any:
        other = next(others, None) if method == "PUT" else None
        if other:
            other()
        return send(self, method, *args, **kwargs)

    monkeypatch.setattr(Api, "request", slow)
    assert lock(double)["changed"]
    assert client.get(LEASE)["spec"]["holderIdentity"] == "night-1"


def test_a_missing_right_is_named(double: Double, client: Client, tmp_path: Path) -> None:
    rules = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get"]}]
    mint.user(double.kubeconfig, "locker", rules, tmp_path / "config")
    with pytest.raises(ClusterError, match=r"create on leases\.coordination"):
        lock(double, kubeconfig=str(tmp_path / "config"))


def test_a_name_that_is_no_file_name_is_refused(double: Double) -> None:
    with pytest.raises(LockError, match="run_id"):
        lock(double, run_id="../x")
