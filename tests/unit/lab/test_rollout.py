# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A DaemonSet is rolled out step by step, as its strategy says."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.lab.actors.rollout import HASH, fits, most_unavailable, plan, template_hash

Obj = dict[str, Any]

NOW = 1_800_000_000.0
LONG_AGO = "2020-01-01T00:00:00Z"
JUST_NOW = "2027-01-15T07:59:58Z"  # two seconds before NOW


def daemonset(image: str = "new", **spec: Any) -> Obj:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"image": image}]}}
    return {"metadata": {"generation": 4}, "spec": {"template": template, **spec}}


def nodes(*names: str) -> list[Obj]:
    return [{"metadata": {"name": name}, "spec": {}} for name in names]


def pod(node: str, image: str = "new", since: str | None = LONG_AGO, **meta: Any) -> Obj:
    mark = template_hash(daemonset(image)["spec"]["template"])
    ready = {"type": "Ready", "status": "True" if since else "False", "lastTransitionTime": since}
    return {
        "metadata": {"name": f"p-{node}", "labels": {HASH: mark}, **meta},
        "spec": {"nodeName": node},
        "status": {"conditions": [ready]},
    }


def test_every_node_gets_a_pod() -> None:
    step = plan(daemonset(), nodes("a", "b"), [pod("a")], NOW)
    assert step.create == ["b"]
    assert step.delete == []
    assert step.status["desiredNumberScheduled"] == 2
    assert step.status["numberUnavailable"] == 1


def test_old_pods_go_one_at_a_time() -> None:
    have = [pod("a", "old"), pod("b", "old"), pod("c", "old")]
    assert plan(daemonset(), nodes("a", "b", "c"), have, NOW).delete == ["p-a"]


def test_nothing_goes_while_one_is_not_available() -> None:
    have = [pod("a", since=None), pod("b", "old")]
    assert plan(daemonset(), nodes("a", "b"), have, NOW).delete == []


def test_a_pod_that_is_ending_still_occupies_its_node() -> None:
    have = [pod("a", "old", deletionTimestamp=LONG_AGO), pod("b", "old")]
    step = plan(daemonset(), nodes("a", "b"), have, NOW)
    assert step.create == []
    assert step.delete == []


def test_an_old_pod_that_is_not_available_goes_at_once() -> None:
    have = [pod("a", "old", since=None), pod("b", "old", since=None), pod("c", "old")]
    assert plan(daemonset(), nodes("a", "b", "c"), have, NOW).delete == ["p-a", "p-b"]


def test_min_ready_seconds_hold_the_roll_out_after_the_first_node() -> None:
    have = [pod("a", since=JUST_NOW), pod("b", "old")]
    held = plan(daemonset(minReadySeconds=600), nodes("a", "b"), have, NOW)
    assert held.delete == []
    assert held.status["numberReady"] == 2
    assert held.status["numberAvailable"] == 1
    assert held.status["numberUnavailable"] == 1
    assert plan(daemonset(minReadySeconds=1), nodes("a", "b"), have, NOW).delete == ["p-b"]


def test_min_ready_seconds_replace_young_pods_all_at_once() -> None:
    """The trap of the hold: old pods ready for less than that count as not available."""
    have = [pod("a", "old", since=JUST_NOW), pod("b", "old", since=JUST_NOW)]
    step = plan(daemonset(minReadySeconds=600), nodes("a", "b"), have, NOW)
    assert step.delete == ["p-a", "p-b"]


def test_on_delete_waits_for_somebody_to_delete() -> None:
    strategy = {"type": "OnDelete"}
    have = [pod("a", "old"), pod("b", "old", since=None)]
    step = plan(daemonset(updateStrategy=strategy), nodes("a", "b"), have, NOW)
    assert step.delete == []
    assert "updatedNumberScheduled" not in step.status
    gone = plan(daemonset(updateStrategy=strategy), nodes("a", "b"), have[1:], NOW)
    assert gone.create == ["a"]


def test_a_pod_on_a_node_that_no_longer_fits_goes() -> None:
    chosen = daemonset()
    chosen["spec"]["template"]["spec"]["nodeSelector"] = {"keep": "yes"}
    step = plan(chosen, nodes("a"), [pod("a")], NOW)
    assert step.delete == ["p-a"]
    assert step.status["desiredNumberScheduled"] == 0
    assert step.status["numberMisscheduled"] == 1


def test_a_finished_roll_out_says_so() -> None:
    status = plan(daemonset(), nodes("a", "b"), [pod("a"), pod("b")], NOW).status
    assert status == {
        "observedGeneration": 4,
        "currentNumberScheduled": 2,
        "desiredNumberScheduled": 2,
        "numberMisscheduled": 0,
        "numberReady": 2,
        "updatedNumberScheduled": 2,
        "numberAvailable": 2,
    }


@pytest.mark.parametrize(
    ("value", "count", "expected"), [(1, 5, 1), (3, 5, 3), ("25%", 5, 2), ("100%", 3, 3)]
)
def test_max_unavailable_is_a_number_or_a_share(value: Any, count: int, expected: int) -> None:
    assert most_unavailable({"rollingUpdate": {"maxUnavailable": value}}, count) == expected


def test_a_taint_keeps_pods_off_unless_tolerated() -> None:
    node = nodes("a")[0]
    node["spec"]["taints"] = [{"key": "x", "value": "1", "effect": "NoSchedule"}]
    template = daemonset()["spec"]["template"]
    assert not fits(template, node)
    tolerant = copy.deepcopy(template)
    tolerant["spec"]["tolerations"] = [{"operator": "Exists", "effect": "NoSchedule"}]
    assert fits(tolerant, node)


def test_affinity_chooses_nodes_by_label() -> None:
    node = nodes("a")[0]
    node["metadata"]["labels"] = {"off": "true"}
    template = daemonset()["spec"]["template"]
    rule = {"key": "off", "operator": "DoesNotExist"}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
    template["spec"]["affinity"] = {"nodeAffinity": required}
    assert not fits(template, node)
    node["metadata"]["labels"] = {}
    assert fits(template, node)


def test_one_term_of_an_affinity_suffices_and_a_pod_whose_node_fits_no_more_goes() -> None:
    labelled, plain = nodes("a", "b")
    labelled["metadata"]["labels"] = {"k8snet.io/kube-proxy": "removed"}
    plain["metadata"]["labels"] = {"zone": "1"}
    out = {"key": "k8snet.io/kube-proxy", "operator": "NotIn", "values": ["removed"]}
    zone = {"key": "zone", "operator": "In", "values": ["1", "2"]}
    named = {"key": "metadata.name", "operator": "In", "values": ["a"]}
    found = daemonset()
    pods = [
        {"metadata": {"name": f"p-{name}"}, "spec": {"nodeName": name}, "status": {}}
        for name in "ab"
    ]
    for terms, gone in (
        ([{"matchExpressions": [out]}], ["p-a"]),
        ([{"matchExpressions": [out, zone]}], ["p-a"]),
        ([{"matchExpressions": [out]}, {"matchFields": [named]}], []),
        ([{"matchFields": [named]}], ["p-b"]),
        ([{}], ["p-a", "p-b"]),
    ):
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        found["spec"]["template"]["spec"]["affinity"] = {"nodeAffinity": required}
        found["spec"]["updateStrategy"] = {"type": "OnDelete"}
        step = plan(found, [labelled, plain], pods, NOW)
        assert step.delete == gone, terms
        assert step.create == []
