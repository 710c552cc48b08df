# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change through an API that is ill, busy or forbidding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _calico_read
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._apply import (
    NotEffective,
    Patience,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._calico_write import (
    change,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError

from tests.lab.api import mint
from tests.lab.api.client import Client
from tests.lab.api.providers import Double
from tests.unit import calico_world as world
from tests.unit.calico_world import (
    DEFAULT,
    HELD,
    INTERNAL,
    MANIFEST,
    V4,
)

Obj = dict[str, Any]


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


@pytest.mark.parametrize(
    "fault", [{"disconnect_after": 40}, {"status": 503}, {"status": 429, "retry_after": 0}]
)
def test_a_question_about_rights_changes_nothing_and_is_asked_again(
    operator: Client, api: Api, double: Double, fault: Obj
) -> None:
    right = {"verb": "patch", "group": "operator.tigera.io", "resource": "installations"}
    rule = {"verbs": ["create"], "path": "selfsubjectaccessreviews", "times": 1, **fault}
    with world.faults(double, rule):
        assert _calico_read.allowed(api, right) is True
    assert api.requests == 2
    with world.faults(double, {**rule, "times": 9}), pytest.raises(ClusterError):
        _calico_read.allowed(api, right)


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
