# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole decision on a secondary bridge: Antrea's state, the nodes, what is written."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _secondary_decision as domain

OPTIONS = {"state": "present", "bridge": "br-sec", "interfaces": ["eth1"], "timeout": 90}
AGENT = {"node": "w1", "ready": True, "waiting": None}


def gate(enabled: bool) -> dict[str, Any]:
    return {"enabled": enabled}


def antrea(**more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "installed": True,
        "version": "v2.3.0",
        "config_map": {"object": {}},
        "error": None,
        "config": {"agent": {}},
        "ovs_bridge": "br-int",
        "gates": {"AntreaIPAM": gate(True), "SecondaryNetwork": gate(False)},
        "secondary_network": {"bridges": [], "node_configs": None},
        "served": {"node_configs": False, "attachments": True},
        "problems": [],
        "agents": [AGENT],
        "owner": {"by": None, "evidence": None},
        "permissions": [{"verb": "patch", "resource": "configmaps", "allowed": True}],
    }
    return {**found, **more}


def nic(name: str, address: str | None, role: str) -> dict[str, Any]:
    entry = {"address": address, "prefix": 24, "scope": "global", "flags": ["permanent"]}
    base = {"kind": "physical", "master": None, "parent": None, "altnames": []}
    return {"name": name, "role": role, **base, "addresses": [entry] if address else []}


def switch(*uplinks: str) -> dict[str, Any]:
    ports = [{"nic": n, "bridge": "br-sec", "internal_port": "eth1"} for n in uplinks]
    bridge = {"name": "br-sec", "uplinks": list(uplinks), "external_ids": {}}
    base: dict[str, Any] = {"present": True, "error": None, "flow_restore_wait": False}
    enslaved = [{**port, "addresses_on": None} for port in ports]
    return {**base, "bridges": [bridge] if uplinks else [], "enslaved": enslaved}


def host(number: int, *uplinks: str, **more: Any) -> dict[str, Any]:
    ip = f"10.0.0.{number}"
    nics = [nic("eth0", ip, "primary"), nic("eth1", f"10.7.0.{number}", "node")]
    if uplinks:
        nics.append(nic("eth1~", None, "node"))
    facts = {
        "k8snet_nics": nics,
        "k8snet_ovs": switch(*uplinks),
        "k8snet_reach": {"10.0.0.9": {"interface": "eth0"}},
    }
    base = {"name": f"host{number}", "state": "visited", "error": None, "node_name": None}
    return {**base, "address": ip, "facts": facts, **more}


def cluster(count: int) -> dict[str, Any]:
    nodes = [
        {"name": f"w{n}", "internal_ips": [f"10.0.0.{n}"], "os": "linux", "hostname": f"w{n}"}
        for n in range(1, count + 1)
    ]
    return {"nodes": nodes}


def decide(count: int = 1, hosts: Any = None, options: Any = None, **more: Any) -> dict[str, Any]:
    wanted = {**OPTIONS, **(options or {})}
    everybody = [host(n) for n in range(1, count + 1)] if hosts is None else hosts
    return domain.decide(cluster(count), antrea(**more), everybody, wanted)


def test_what_is_written_and_how_long_checkpoints_last() -> None:
    plan = decide(3)
    assert plan["refusals"] == []
    bridge = {"bridgeName": "br-sec", "physicalInterfaces": ["eth1"]}
    assert plan["settings"] == {
        "agent": {"secondaryNetwork": {"ovsBridges": [bridge]}},
        "feature_gates": {"SecondaryNetwork": True},
    }
    assert plan["hosts"] == ["host1", "host2", "host3"]
    assert plan["nodes"]["w2"]["node"] == "w2"
    assert plan["object"] is None
    assert plan["armed_for"] == 90 * 4 + 120, "longer than the turns of all three"


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "not there": ({"installed": False}, "Antrea is not installed"),
    "not readable": ({"config_map": None}, "could not be read: no ConfigMap"),
    "not parsed": ({"error": "tab in line 3"}, "could not be read: tab in line 3"),
    "an agent that is ill": (
        {"agents": [{"node": "w1", "ready": False, "waiting": "CrashLoopBackOff"}]},
        "w1: antrea-agent is not ready (CrashLoopBackOff)",
    ),
    "a configuration that no agent takes": (
        {"problems": [{"level": "fatal", "path": "egress.x", "what": "Unknown.", "remedy": "Go."}]},
        "would not start again as they are configured: egress.x: Unknown. Go.",
    ),
    "an owner": ({"owner": {"by": "helm", "evidence": "label"}}, "belongs to helm (label)"),
    "a right that is missing": (
        {"permissions": [{"verb": "patch", "resource": "configmaps", "allowed": False}]},
        "may not patch configmaps",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_an_antrea_that_is_not_whole_is_not_changed(case: str) -> None:
    more, words = BROKEN[case]
    plan = decide(**more)
    assert len(plan["refusals"]) == 1
    assert words in plan["refusals"][0]
    assert any(line.startswith("REFUSED") for line in plan["lines"])


def test_rights_for_node_configs_are_asked_for_where_those_are_written() -> None:
    lacking = [{"verb": "patch", "resource": "nodes", "allowed": False}]
    assert decide(permissions=lacking)["refusals"] == []
    gates = {name: gate(True) for name in ("AntreaIPAM", "SecondaryNetwork", "AntreaNodeConfig")}
    new = {"version": "v2.7.0", "gates": gates, "permissions": lacking}
    plan = decide(served={"node_configs": True, "attachments": True}, **new)
    assert plan["via"] == "nodeconfig"
    assert "may not patch nodes" in plan["refusals"][0]


def test_an_owner_is_overridden_when_that_is_asked_for() -> None:
    owner = {"by": "helm", "evidence": "label"}
    assert decide(options={"override_owner": True}, owner=owner)["refusals"] == []


def test_what_only_has_no_effect_or_is_a_note_is_no_refusal() -> None:
    note = {"level": "note", "path": "x", "what": "Odd.", "remedy": "None."}
    assert decide(problems=[note])["refusals"] == []


def test_a_node_that_was_not_seen_blocks_unless_it_is_named() -> None:
    hosts = [host(1), host(2, state="unreachable", facts={})]
    assert "w2 was not visited: unreachable" in decide(2, hosts)["refusals"][0]
    accepted = decide(2, hosts, {"accept_unseen": "w2"})
    assert accepted["refusals"] == []
    assert accepted["hosts"] == ["host1"]


def test_taken_away_it_has_the_nics_that_are_configured() -> None:
    configured = {"ovsBridges": [{"bridgeName": "br-sec", "physicalInterfaces": ["eth1"]}]}
    known = {"bridges": [{"name": "br-sec", "interfaces": ["eth1"]}], "node_configs": None}
    away = {"state": "absent", "interfaces": []}
    plan = decide(
        hosts=[host(1, "eth1~")],
        options=away,
        agent={"secondaryNetwork": configured},
        secondary_network=known,
    )
    assert plan["refusals"] == []
    assert plan["nodes"]["w1"]["changes"] is True
    assert plan["settings"]["agent"] == {"secondaryNetwork": {"ovsBridges": None}}


def test_the_newest_gets_an_object_and_a_label() -> None:
    gates = {name: gate(True) for name in ("AntreaIPAM", "SecondaryNetwork", "AntreaNodeConfig")}
    served = {"node_configs": True, "attachments": True}
    plan = decide(version="v2.7.0", gates=gates, served=served)
    assert plan["via"] == "nodeconfig"
    assert plan["settings"] == {"agent": {}, "feature_gates": {"SecondaryNetwork": True}}
    assert plan["object"]["spec"]["nodeSelector"]["matchLabels"] == {
        plan["label"]["key"]: plan["label"]["value"]
    }


def test_a_node_is_judged_again_by_the_same_plan() -> None:
    plan = decide()
    wanted = {**OPTIONS, "allow_primary": False}
    assert domain.problems(plan, cluster(1), host(1, "eth1~"), wanted) == []
    assert domain.problems(plan, cluster(1), host(1), wanted) == ["w1: eth1 is not on br-sec."]
    back = {**wanted, "state": "absent"}
    assert domain.problems(plan, cluster(1), host(1), back) == []
    unseen = host(1, state="unreachable", facts={}, error="timed out")
    assert "host1 could not be seen" in domain.problems(plan, cluster(1), unseen, wanted)[0]
