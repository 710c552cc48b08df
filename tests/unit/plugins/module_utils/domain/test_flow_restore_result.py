# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of a run, and what is left to people."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain._flow_restore_result import result

AT = {"at": "2026-01-31T12:00:00Z"}
HEARD = {"agents": [{"node": "w1", "heartbeat": "2026-01-31T12:00:30Z"}]}
ACCESS: dict[str, Any] = {"available": True, "error": None}


def plan(*hosts: str, left: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"to_clear": list(hosts), "left": list(left)}


def test_a_node_that_heals_is_left_to_nobody() -> None:
    found = result(plan("h1"), {"h1": AT}, HEARD, ACCESS)
    assert found["left"] == []
    assert found["lines"] == [
        "h1: cleared at 2026-01-31T12:00:00Z.",
        "w1: Ready, its agent has reported at 2026-01-31T12:00:30Z.",
    ]


def test_what_the_plan_left_stays_left() -> None:
    found = result(plan(left=("w3: Policies.",)), {}, {}, ACCESS)
    assert found == {"lines": ["LEFT TO YOU  w3: Policies."], "left": ["w3: Policies."]}


def test_a_failure_is_told_and_who_was_not_touched_for_it() -> None:
    outcomes = {"h1": {**AT, "error": "It is set again."}, "h2": {}}
    found = result(plan("h1", "h2"), outcomes, HEARD, ACCESS)
    untouched = "h2 was not touched, because h1 failed."
    assert found["left"] == ["h1: It is set again.", untouched]
    assert found["lines"][0] == "h1: cleared at 2026-01-31T12:00:00Z."


def test_a_key_that_went_by_itself_is_no_failure() -> None:
    found = result(plan("h1"), {"h1": {"gone": True}}, {}, ACCESS)
    assert found == {"lines": ["h1: no longer set, nothing was done."], "left": []}


def test_agents_that_do_not_heal_are_left() -> None:
    healed = {"failed": True, "msg": "Not well after 600 s: w1: no pod."}
    found = result(plan("h1"), {"h1": AT}, healed, ACCESS)
    assert found["left"] == ["The agents have not healed. Not well after 600 s: w1: no pod."]


def test_what_was_not_seen_is_told() -> None:
    access = {"available": False, "error": "Nobody answers."}
    found = result(plan("h1"), {"h1": AT}, {"changed": False, "skipped": True}, access)
    assert found["lines"][1] == "NOT SEEN  Whether the agents heal: Nobody answers."
    assert found["left"] == []


def test_nothing_to_do_is_said() -> None:
    assert result(plan(), {}, {}, ACCESS) == {"lines": ["Nothing was to be done."], "left": []}


# -- agents that end at each start -------------------------------------------------------------

SAID = "eth0: attached already, no name for its uplink"
ENDS = {"node": "w1", "pod": "antrea-agent-x", "ready": False, "waiting": "CrashLoopBackOff"}
PRONE = {
    "version": "v2.0.1",
    "namespace": "kube-system",
    "secondary_bridges": [{"name": "br-secondary", "interfaces": ["eth0"]}],
}


def left_of(agent: dict[str, Any], **antrea: Any) -> list[str]:
    healed = {"failed": True, "msg": "Not well.", "agents": [{"error": None, **agent}]}
    left: list[str] = result(plan("w1"), {"w1": AT}, healed, ACCESS, {**PRONE, **antrea})["left"]
    assert left[0] == "The agents have not healed. Not well."
    return left[1:]


def test_an_agent_that_cannot_start_with_its_nic_attached_is_told_with_evidence_and_remedy() -> (
    None
):
    (told,) = left_of({**ENDS, "error": SAID})
    assert "w1: flow-restore-wait is cleared, but antrea-agent ends at each start" in told
    assert f"it said: {SAID}" in told
    assert "when eth0 is in bridge br-secondary already (#6666)" in told
    assert "Upgrade Antrea to v2.2 or newer, or take the secondary bridge away" in told
    assert "kubectl -n kube-system logs antrea-agent-x -c antrea-agent --previous" in told


def test_one_that_says_nothing_is_told_by_its_version() -> None:
    (told,) = left_of(ENDS)
    assert "its pod is in CrashLoopBackOff" in told
    assert "(#6666), and this is v2.0.1." in told


@pytest.mark.parametrize(
    ("agent", "antrea"),
    [
        ({"waiting": None}, {}),
        ({"ready": True}, {}),
        ({"pod": None}, {}),
        ({}, {"version": "v2.1.3"}),
        ({}, {"version": "v1.15.1"}),
        ({}, {"version": None}),
        ({}, {"secondary_bridges": None}),
        ({}, {"secondary_bridges": [{"name": "br-secondary", "interfaces": ["eth1", "eth2"]}]}),
    ],
)
def test_what_is_not_that_is_not_told_as_that(
    agent: dict[str, Any], antrea: dict[str, Any]
) -> None:
    assert left_of({**ENDS, **agent}, **antrea) == []


def test_what_an_agent_says_itself_counts_in_any_version() -> None:
    assert len(left_of({**ENDS, "error": "eth0 is already attached"}, version=None)) == 1


def test_without_the_cluster_nothing_is_guessed() -> None:
    healed = {"failed": True, "msg": "Not well.", "agents": [ENDS]}
    assert len(result(plan("w1"), {"w1": AT}, healed, ACCESS)["left"]) == 1
