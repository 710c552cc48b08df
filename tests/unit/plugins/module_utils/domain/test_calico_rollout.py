# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judging a roll-out: what each node stored counts, "Ready" alone never does."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain._rollout import (
    Asked,
    look,
    verdict,
)

Obj = dict[str, Any]
NEW, OLD = "kubernetes-internal-ip", "first-found"
EXPECT = {f"node{n}": {"v4": f"10.0.0.{n}/24", "v6": None} for n in (1, 2, 3)}
ASKED = Asked(expect=EXPECT)


def template(method: str) -> Obj:
    env = [
        {"name": "NODENAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "IP", "value": "autodetect"},
        {"name": "IP_AUTODETECTION_METHOD", "value": method},
    ]
    return {"containers": [{"name": "calico-node", "env": env}]}


def pod(number: int, method: str = NEW, ready: bool = True, **status: Any) -> Obj:
    state = {"name": "calico-node", "ready": ready, "restartCount": 0, "state": {}, **status}
    return {
        "metadata": {"name": f"calico-node-{number}", "namespace": "calico-system"},
        "spec": {"nodeName": f"node{number}", **template(method)},
        "status": {
            "conditions": [{"type": "Ready", "status": str(ready), "message": "not this"}],
            "containerStatuses": [state],
        },
    }


def node(number: int, stored: str | None = "as expected", **more: str) -> Obj:
    stored = f"10.0.0.{number}/24" if stored == "as expected" else stored
    annotations = {"projectcalico.org/IPv4Address": stored} if stored else {}
    return {"name": f"node{number}", "os": "linux", "annotations": {**annotations, **more}}


def conditions(generation: int | None = 2, **changed: str) -> Obj:
    wanted = {"Available": "True", "Degraded": "False", "Progressing": "False", **changed}
    entries = [{"type": k, "status": v, "reason": "x", "message": "m"} for k, v in wanted.items()]
    for entry in entries if generation else ():
        entry["observedGeneration"] = generation  # type: ignore[assignment]
    return {"status": {"conditions": entries}}


def world(**changed: Any) -> Obj:
    """An operator install that is done."""
    status = {
        "observedGeneration": 5,
        "desiredNumberScheduled": 3,
        "updatedNumberScheduled": 3,
        "numberAvailable": 3,
    }
    raw = {
        "target": {"kind": "Installation", "namespace": None, "name": "default"},
        "installation": {
            "metadata": {"name": "default", "generation": 2},
            "spec": {
                "calicoNetwork": {"nodeAddressAutodetectionV4": {"kubernetes": "NodeInternalIP"}}
            },
        },
        "overlay": None,
        "daemonset": {
            "metadata": {"namespace": "calico-system", "name": "calico-node", "generation": 5},
            "spec": {"template": {"spec": template(NEW)}},
            "status": status,
        },
        "pods": [pod(n) for n in (1, 2, 3)],
        "nodes": [node(n) for n in (1, 2, 3)],
        "tigerastatus": conditions(),
    }
    return {**raw, **changed}


def seen(raw: Obj, wait: str = "all", asked: Asked = ASKED) -> Obj:
    return verdict(look(raw, asked), wait)


def test_all_done() -> None:
    found = seen(world())
    assert found["done"]
    assert not found["stop"]
    assert found["problems"] == []
    assert found["waiting_for"] is None
    assert found["first_nodes"] == ["node1", "node2", "node3"]
    assert found["nodes"]["node1"] == {
        "pod": "calico-node-1",
        "current": True,
        "ready": True,
        "v4": "10.0.0.1/24",
        "v6": None,
        "as_expected": True,
        "problem": None,
    }


@pytest.mark.parametrize("stored", [None, "10.9.0.2/24", "10.0.0.2/32"])
def test_ready_with_another_address_is_wrong(stored: str | None) -> None:
    raw = world(nodes=[node(1), node(2, stored), node(3)])
    for wait in ("all", "canary"):
        found = seen(raw, wait)
        assert not found["done"]
        assert found["stop"]
        assert found["problems"][0]["node"] == "node2"
        assert "instead of 10.0.0.2/24" in found["problems"][0]["problem"]


def test_a_node_whose_turn_has_not_come_has_no_problem() -> None:
    raw = world(
        pods=[pod(1), pod(2, OLD), pod(3, OLD)], nodes=[node(1), node(2, "x"), node(3, "x")]
    )
    found = seen(raw)
    assert not found["done"]
    assert not found["stop"]
    assert found["first_nodes"] == ["node1"]
    assert "node2, node3" in found["waiting_for"]
    assert seen(raw, "canary")["done"]


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 3}, "3 times"),
        ({"lastState": {"terminated": {"exitCode": 1}}, "restartCount": 1}, "exit code 1"),
        ({"state": {"terminated": {"exitCode": 1}}}, "exit code 1"),
    ],
)
def test_a_calico_node_that_cannot_start_is_bad(status: Obj, word: str) -> None:
    found = seen(world(pods=[pod(1, ready=False, **status), pod(2, OLD), pod(3, OLD)]), "canary")
    assert found["stop"]
    assert word in found["problems"][0]["problem"]
    assert "logs calico-node-1" in found["problems"][0]["problem"]


def test_not_ready_yet_is_waited_for() -> None:
    found = seen(world(pods=[pod(1, ready=False), pod(2, OLD), pod(3, OLD)]), "canary")
    assert not found["done"]
    assert not found["stop"]
    assert "not this" in found["problems"][0]["problem"]


def test_no_node_yet_is_no_canary() -> None:
    found = seen(world(pods=[pod(n, OLD) for n in (1, 2, 3)]), "canary")
    assert not found["done"]
    assert found["waiting_for"]


def test_the_chosen_canary_is_the_one_that_counts() -> None:
    raw = world(pods=[pod(1), pod(2, OLD), pod(3, OLD)])
    assert not seen(raw, "canary", Asked(EXPECT, canary="node2"))["done"]
    assert seen(raw, "canary", Asked(EXPECT, canary="node1"))["done"]


def test_a_pod_on_its_way_out_does_not_count() -> None:
    going = pod(1)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    found = seen(world(pods=[going, pod(2), pod(3)]))
    assert found["nodes"]["node1"]["pod"] is None
    assert not found["done"]


def test_until_the_operator_has_acted_nothing_is_done() -> None:
    raw = world(pods=[pod(n, OLD) for n in (1, 2, 3)])
    raw["daemonset"]["spec"]["template"]["spec"] = template(OLD)
    for wait in ("all", "canary"):
        found = seen(raw, wait)
        assert not found["rendered"]
        assert not found["done"]
        assert "kubernetes-internal-ip" in found["waiting_for"]


def test_a_method_that_is_to_go_has_to_be_gone() -> None:
    raw = world()
    variable = {"name": "IP6_AUTODETECTION_METHOD", "value": OLD}
    raw["daemonset"]["spec"]["template"]["spec"]["containers"][0]["env"].append(variable)
    assert not seen(raw)["rendered"]


def test_an_overlay_decides_what_has_to_be_rendered() -> None:
    network = {"nodeAddressAutodetectionV4": {"firstFound": True}}
    overlay = {"metadata": {"name": "overlay"}, "spec": {"calicoNetwork": network}}
    assert not seen(world(overlay=overlay))["rendered"]


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (conditions(generation=1), "of this generation"),
        (conditions(Available="False"), "Available is False"),
        (conditions(Progressing="True"), "Progressing is True"),
        (conditions(Degraded="True"), "Degraded is True"),
        (None, "does not tell Available"),
    ],
)
def test_tigerastatus_counts_by_generation(status: Any, word: str) -> None:
    found = seen(world(tigerastatus=status))
    assert not found["done"]
    assert word in found["waiting_for"]
    assert seen(world(tigerastatus=status), "canary")["done"], "a held roll-out is not available"


def test_an_operator_that_tells_no_generation_is_believed_with_the_daemonset() -> None:
    assert seen(world(tigerastatus=conditions(generation=None)))["done"]


def test_an_installation_that_the_operator_refuses_ends_the_wait() -> None:
    status = conditions(Degraded="True")
    status["status"]["conditions"][1]["reason"] = "InvalidConfigurationError"
    assert seen(world(tigerastatus=status))["stop"]
    status = copy.deepcopy(status)
    status["status"]["conditions"][1]["observedGeneration"] = 1
    assert not seen(world(tigerastatus=status))["stop"], "that is of the former Installation"


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ({"observedGeneration": 4}, "seen generation 4 only"),
        ({"updatedNumberScheduled": 2}, "2 of 3 updated"),
        ({"numberUnavailable": 1}, "1 unavailable"),
    ],
)
def test_the_daemonset_counts_by_its_generation(status: Obj, word: str) -> None:
    raw = world()
    raw["daemonset"]["status"].update(status)
    found = seen(raw)
    assert not found["done"]
    assert word in found["waiting_for"]


def test_a_node_that_nobody_knows_is_waited_for() -> None:
    asked = Asked({**EXPECT, "node9": {"v4": "10.0.0.9/24"}})
    assert "node9" in seen(world(), asked=asked)["waiting_for"]


def test_a_node_may_knowingly_stay_behind() -> None:
    raw = world(
        pods=[pod(1), pod(2), pod(3, OLD, ready=False)],
        tigerastatus=conditions(Available="False", Progressing="True"),
    )
    raw["daemonset"]["status"].update(updatedNumberScheduled=2, numberUnavailable=1)
    assert not seen(raw)["done"]
    found = seen(raw, asked=Asked(EXPECT, accept=frozenset({"node3"})))
    assert found["done"]
    assert found["behind"] == ["node3"]
    other = Asked(EXPECT, accept=frozenset({"node2"}))
    assert not seen(raw, asked=other)["done"], "another one stayed behind"


def test_what_is_wrong_on_a_node_left_behind_ends_nothing() -> None:
    crash = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    raw = world(pods=[pod(1), pod(2), pod(3, ready=False, **crash)])
    raw["daemonset"]["status"].update(numberUnavailable=1)
    assert seen(raw)["stop"]
    found = seen(raw, asked=Asked(EXPECT, accept=frozenset({"node3"})))
    assert not found["stop"]
    assert found["done"]
    assert found["nodes"]["node3"]["problem"]


def test_what_holds_is_told() -> None:
    raw = world(pods=[pod(1), pod(2, OLD), pod(3, OLD)])
    assert not seen(raw)["held"]
    raw["daemonset"]["spec"]["minReadySeconds"] = 600
    assert seen(raw)["held"]
    assert not seen(world())["held"], "nobody is left to be held"


def held(most: Any = 1, **changed: Any) -> Obj:
    """An operator install whose roll-out is held, maxUnavailable at a time."""
    raw = world(**changed)
    raw["daemonset"]["spec"]["minReadySeconds"] = 600
    raw["daemonset"]["spec"]["updateStrategy"] = {"rollingUpdate": {"maxUnavailable": most}}
    return raw


@pytest.mark.parametrize("most", [2, "50%"])
def test_all_nodes_that_go_first_are_waited_for(most: Any) -> None:
    one = held(most, pods=[pod(1), pod(2, OLD), pod(3, OLD)])
    assert not seen(one, "canary")["done"], "the second is about to go"
    two = held(most, pods=[pod(1), pod(2), pod(3, OLD)])
    found = seen(two, "canary")
    assert found["done"]
    assert found["first_nodes"] == ["node1", "node2"]
    assert found["daemonset"]["at_once"] == 2
    assert not seen(held(most, pods=[pod(1), pod(2, ready=False), pod(3, OLD)]), "canary")["done"]
    assert seen(held(1, pods=one["pods"]), "canary")["done"]


def test_a_pod_that_is_being_replaced_is_waited_for() -> None:
    raw = held(1, pods=[pod(1), pod(2, OLD, ready=False), pod(3, OLD)])
    assert not seen(raw, "canary")["done"], "those not ready are replaced at once"
    assert seen(raw, "canary", Asked(EXPECT, accept=frozenset({"node2"})))["done"]
    assert not seen(held(1, pods=[pod(1), pod(3, OLD)]), "canary")["done"]


def broken(*pods: Obj, stored: str = "as expected") -> Obj:
    """An operator install put back to where node1's calico-node is not ready."""
    status = conditions(Available="False", Progressing="True", Degraded="True")
    raw = world(pods=[*pods], nodes=[node(1, stored), node(2), node(3)], tigerastatus=status)
    new = sum(p["spec"]["containers"] == template(NEW)["containers"] for p in pods)
    raw["daemonset"]["status"].update(updatedNumberScheduled=new, numberUnavailable=1)
    return raw


def test_what_was_not_ready_has_to_store_what_it_stored_and_no_more() -> None:
    asked = Asked(EXPECT, unready=frozenset({"node1"}))
    crash = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    for more in ({}, crash):
        raw = broken(pod(1, ready=False, **more), pod(2), pod(3))
        assert not seen(raw)["done"]
        found = seen(raw, asked=asked)
        assert (found["done"], found["behind"], found["problems"]) == (True, ["node1"], [])
    raw = broken(pod(1, ready=False), pod(2), pod(3), stored="10.9.0.1/24")
    assert not seen(raw, asked=asked)["done"]
    other = Asked(EXPECT, unready=frozenset({"node2"}))
    assert not seen(raw, asked=other)["done"], "it is another one that is not ready"


def test_a_roll_out_that_cannot_pass_what_was_not_ready_ends_there() -> None:
    asked = Asked(EXPECT, unready=frozenset({"node1"}))
    raw = broken(pod(1, ready=False), pod(2, OLD), pod(3, OLD))
    found = seen(raw, asked=asked)
    assert (found["done"], found["behind"]) == (True, ["node1", "node2", "node3"])
    raw["daemonset"]["spec"]["updateStrategy"] = {"rollingUpdate": {"maxUnavailable": 2}}
    assert not seen(raw, asked=asked)["done"], "there is room for another one"
    moved = broken(pod(1, ready=False), pod(2, OLD), pod(3, OLD))
    moved["nodes"][1] = node(2, "10.9.0.2/24")
    assert not seen(moved, asked=asked)["done"], "node2 does not store what it stored"


def test_on_delete_holds_a_canary_and_ends_a_wait_for_all() -> None:
    raw = world(pods=[pod(1), pod(2, OLD), pod(3, OLD)])
    raw["daemonset"]["spec"]["updateStrategy"] = {"type": "OnDelete"}
    canary = seen(raw, "canary")
    assert canary["done"]
    assert canary["held"]
    assert canary["problems"] == []
    found = seen(raw)
    assert found["stop"]
    assert "OnDelete" in found["problems"][0]["problem"]


def test_a_manifest_has_no_tigerastatus() -> None:
    target = {"kind": "DaemonSet", "namespace": "kube-system", "name": "calico-node"}
    found = seen(world(target=target, installation=None, tigerastatus=None))
    assert found["done"]
    assert found["conditions"] == {}


def test_a_family_that_is_not_asked_for_is_not_judged() -> None:
    raw = world(
        nodes=[node(n, **{"projectcalico.org/IPv6Address": "fd00::1/64"}) for n in (1, 2, 3)]
    )
    assert seen(raw)["done"]
    asked = Asked({"node1": {"v4": "10.0.0.1/24", "v6": "fd00::2/64"}})
    assert "fd00::1/64 instead of fd00::2/64" in seen(raw, asked=asked)["problems"][0]["problem"]


def test_a_thousand_nodes_are_judged_quickly() -> None:
    import time

    nodes = [{"name": f"node{n}", "os": "linux", "annotations": {}} for n in range(1000)]
    pods = [pod(n, OLD) for n in range(1000)]
    start = time.process_time()
    seen(world(nodes=nodes, pods=pods), asked=Asked())
    assert time.process_time() - start < 2
