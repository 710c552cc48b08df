# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What probes on several nodes say together of a VLAN."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _egress_reach as reach

ASKED = reach.Asked(181, "172.18.181.1")
NAMES = ("node1", "node2", "node3")


def probe(heard: str = "", gateway: Any = "silent", **more: Any) -> dict[str, Any]:
    """A node that hears others on the VLAN; all are heard on the native VLAN, too."""
    names = heard.split()
    answers = [] if gateway == "silent" else [{"target": ASKED.gateway, "mac": "m", "tag": gateway}]
    tags = {name: [None, 181] if name in names else [None] for name in NAMES}
    found = {"answers": answers, "heard": tags, "explanation": "Nobody answered."}
    return {"interface": "eth0", "result": {**found, **more}, "error": ""}


def verdicts(**probes: dict[str, Any]) -> dict[str, str]:
    return {n: f["verdict"] for n, f in reach.judge(probes, ASKED)["nodes"].items()}


def test_a_node_whose_port_lacks_the_vlan_is_named() -> None:
    probes = {
        "node1": probe("node2", 181),
        "node2": probe(""),
        "node3": probe("node1", 181),
    }
    probes["node1"] = probe("node3", 181)
    found = reach.judge(probes, ASKED)
    assert {n: f["verdict"] for n, f in found["nodes"].items()} == {
        "node1": "reached",
        "node2": "trunk-missing",
        "node3": "reached",
    }
    (refusal,) = found["refusals"]
    assert refusal.startswith("node2: on VLAN 181 it neither hears anybody nor is heard")
    assert "node1 and node3 have the VLAN" in refusal
    assert "port of eth0" in refusal
    assert "k8snet.cni.proxmox_vlan_trunk" in refusal


def test_one_other_that_reaches_the_gateway_is_proof_enough() -> None:
    assert verdicts(node1=probe("", 181), node2=probe("")) == {
        "node1": "reached",
        "node2": "trunk-missing",
    }


def test_a_gateway_that_answers_nobody_is_no_trunk() -> None:
    found = reach.judge({"node1": probe("node2"), "node2": probe("node1")}, ASKED)
    assert [f["verdict"] for f in found["nodes"].values()] == ["gateway-silent"] * 2
    assert "node2 is heard there on VLAN 181" in found["refusals"][0]
    assert "It is down" in found["refusals"][0]


def test_a_gateway_that_answers_others_points_to_the_way_between() -> None:
    found = reach.judge({"node1": probe("node2"), "node2": probe("node1", 181)}, ASKED)
    assert [f["verdict"] for f in found["nodes"].values()] == ["gateway-silent", "reached"]
    assert "It answers node2" in found["refusals"][0]


@pytest.mark.parametrize(
    ("hearing", "words"), [("node1", "nothing comes in"), ("node2", "nobody hears what eth0 sends")]
)
def test_one_direction_alone_is_told(hearing: str, words: str) -> None:
    other = {"node1": "node2", "node2": "node1"}[hearing]
    probes = {hearing: probe(other), other: probe("")}
    found = reach.judge(probes, ASKED)["nodes"]
    assert found["node2"]["verdict"] == "one-way"
    assert words in found["node2"]["evidence"]


@pytest.mark.parametrize(("tag", "verdict"), [(None, "tag-stripped"), (99, "wrong-vlan")])
def test_the_gateways_tag_tells(tag: int | None, verdict: str) -> None:
    assert verdicts(node1=probe("node2", tag), node2=probe("node1", 181))["node1"] == verdict


def test_silence_everywhere_proves_nothing() -> None:
    found = reach.judge({"node1": probe(""), "node2": probe("")}, ASKED)
    assert [f["verdict"] for f in found["nodes"].values()] == ["unknown", "unknown"]
    assert "Nobody answered." in found["refusals"][0]


def test_a_node_that_could_not_be_asked_is_unknown_and_no_proof_against_others() -> None:
    failed = {"interface": "eth0", "result": None, "error": "unreachable."}
    found = reach.judge({"node1": failed, "node2": probe("", 181)}, ASKED)
    assert [f["verdict"] for f in found["nodes"].values()] == ["unknown", "reached"]
    assert found["refusals"] == ["node1: VLAN 181 was not tried: unreachable. Repair that."]


def test_others_on_the_vlan_are_told() -> None:
    answers = [
        {"target": ASKED.gateway, "mac": "m", "tag": 181},
        {"target": "172.18.181.50", "mac": "02:00:00:00:00:01", "tag": 181},
        {"target": "172.18.181.51", "mac": "02:00:00:00:00:02", "tag": None},
    ]
    found = reach.judge({"node1": probe(answers=answers)}, ASKED)
    assert found["taken"] == {"172.18.181.50": "02:00:00:00:00:01"}
