# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a secondary bridge in words, and what of a node is not as planned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _secondary_lines as domain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _secondary_network as rules
from ansible_collections.k8snet.cni.plugins.module_utils.domain._secondary_nic import Seen, Uplinks

ANTREA = rules.Antrea((2, 3, 0), "br-int", {"AntreaIPAM": True})
ADDRESS = {"address": "10.7.0.1", "prefix": 24, "scope": "global", "flags": ["permanent"]}


def nic(name: str, *addresses: dict[str, Any], **more: Any) -> dict[str, Any]:
    default = {"kind": "physical", "role": "node", "master": None, "parent": None, "altnames": []}
    return {"name": name, **default, "addresses": list(addresses), **more}


def ovs(*enslaved: str, wait: bool = False, bridge: bool = True) -> dict[str, Any]:
    told = {"internal_port": "eth1", "by_antrea": True}
    ports = [{"nic": n, "bridge": "br-sec", **told} for n in enslaved]
    made = {"name": "br-sec", "uplinks": list(enslaved), "external_ids": {}, "port_kinds": {}}
    return {
        "present": True,
        "error": None,
        "flow_restore_wait": wait,
        "bridges": [made] if bridge else [],
        "enslaved": [{**port, "addresses_on": None} for port in ports],
    }


def want(state: str = rules.PRESENT, *nics: str) -> rules.Want:
    return rules.Want(state, Uplinks("br-sec", nics or ("eth1",), allow_primary=True))


BEFORE = Seen("w1", (), (nic("eth1", ADDRESS),), {"10.0.0.9": "eth1"}, ovs())
PLANNED = rules.decide(ANTREA, want(), [BEFORE]).nodes["w1"]
MOVED = (nic("eth1~"), nic("eth1", ADDRESS, kind="openvswitch"))


def seen(*nics: dict[str, Any], switch: dict[str, Any] | None = None, api: Any = "eth1") -> Seen:
    return Seen("w1", (), nics or MOVED, {"10.0.0.9": api}, switch or ovs("eth1~"))


def test_a_node_that_became_what_was_planned_has_no_problem() -> None:
    assert domain.problems(PLANNED, seen(), want()) == []


WRONG: dict[str, tuple[Seen, str]] = {
    "not on the bridge": (seen(*MOVED, switch=ovs()), "eth1 is not on br-sec"),
    "address lost": (seen(nic("eth1~"), nic("eth1")), "eth1 has lost 10.7.0.1/24"),
    "NIC gone": (seen(nic("eth1~")), "eth1 has lost 10.7.0.1/24"),
    "stuck": (seen(*MOVED, switch=ovs("eth1~", wait=True)), "flow-restore-wait is set"),
    "no way to the API": (seen(api=None), "no route to the API server (10.0.0.9)"),
    "not readable": (seen(switch={**ovs(), "error": "hung"}), "could not be read: hung"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_as_planned_is_named(case: str) -> None:
    now, words = WRONG[case]
    found = domain.problems(PLANNED, now, want())
    assert len(found) == 1
    assert found[0].startswith("w1: ")
    assert words in found[0]


def test_taken_away_it_has_to_be_a_nic_again_and_the_bridge_gone() -> None:
    away = want(rules.ABSENT)
    planned = rules.decide(ANTREA, away, [seen()]).nodes["w1"]
    stays = "w1: bridge br-sec is still in Open vSwitch."
    assert domain.problems(planned, seen(), away) == ["w1: eth1 is still on br-sec.", stays]
    free = nic("eth1", ADDRESS)
    assert domain.problems(planned, seen(free, switch=ovs()), away) == [stays]
    assert domain.problems(planned, seen(free, switch=ovs(bridge=False)), away) == []


def test_put_back_a_node_is_what_it_was_with_its_bridge_or_without() -> None:
    free, gone = nic("eth1", ADDRESS), ovs(bridge=False)
    for_nothing = rules.decide(ANTREA, want(), [replace(BEFORE, ovs=gone)]).nodes["w1"]
    back = domain.problems(for_nothing, seen(free, switch=ovs()), want(), back=True)
    assert back == ["w1: bridge br-sec is still in Open vSwitch."]
    assert domain.problems(for_nothing, seen(free, switch=gone), want(), back=True) == []
    # One was there before, empty, and another run was to take it away.
    assert domain.problems(PLANNED, seen(free, switch=ovs()), want(), back=True) == []
    away = want(rules.ABSENT)
    planned = rules.decide(ANTREA, away, [seen()]).nodes["w1"]
    assert domain.problems(planned, seen(), away, back=True) == []
    lost = domain.problems(planned, seen(free, switch=gone), away, back=True)
    assert lost == ["w1: eth1 is not on br-sec."]


def test_who_removes_the_bridge_is_told() -> None:
    away = want(rules.ABSENT)
    first = domain.lines(rules.decide(ANTREA, away, [seen()]), ANTREA, away, 90, 100)
    text = " ".join(" ".join(first).split())
    assert "br-sec is taken away through Antrea's ConfigMap, and removed from Open vSwitch" in text
    assert "where Antrea v2.3.0 leaves it" in text
    later = replace(ANTREA, version=(2, 7, 0))
    assert "leaves it" not in " ".join(
        domain.lines(rules.decide(later, away, [seen()]), later, away, 90, 100)
    )


def test_the_plan_says_what_moves_and_how_it_is_guarded() -> None:
    decision = rules.decide(ANTREA, want(), [BEFORE])
    lines = domain.lines(decision, ANTREA, want(), 90, 100)
    text = " ".join(" ".join(lines).split())
    assert lines[0] == "PLAN     br-sec with eth1 through Antrea's ConfigMap"
    assert "confirmed from outside within 90 s, or restores itself" in text
    assert "The NIC that carries the node moves on w1." in text
    row = "w1 eth1 10.7.0.1/24 becomes eth1~ on br-sec; an internal port eth1 takes its addresses"
    assert row in text
    assert "one after the other: its agent is restarted, and" in text
    decision.via = rules.NODE_CONFIG
    by_label = " ".join(" ".join(domain.lines(decision, ANTREA, want(), 90, 100)).split())
    assert "one after the other: its label is changed, and" in by_label


def test_refusals_and_warnings_are_marked() -> None:
    decision = rules.decide(ANTREA, want(rules.PRESENT, "eth9"), [BEFORE])
    lines = domain.lines(decision, ANTREA, want(rules.PRESENT, "eth9"), 90, 100)
    assert any(line.startswith("REFUSED  eth9 does not exist on w1") for line in lines)


def test_a_long_list_is_cut() -> None:
    nodes = [Seen(f"w{n}", (), BEFORE.nics, BEFORE.api, ovs()) for n in range(100)]
    lines = domain.lines(rules.decide(ANTREA, want(), nodes), ANTREA, want(), 90, 100)
    assert "... and 40 more" in lines
