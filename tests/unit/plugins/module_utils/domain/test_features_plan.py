# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan about feature gates: which agents start anew, in which order, and what bars it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.filter.antrea_features_plan import antrea_features_plan
from ansible_collections.k8snet.cni.plugins.filter.antrea_features_wanted import (
    antrea_features_wanted,
)

Obj = dict[str, Any]
OLD, WRITTEN, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"
RUNS = {"reached": True, "error": None, "differing": []}
OFF = {**RUNS, "differing": [{"name": "TrafficControl", "expected": True, "running": False}]}


def antrea(agent: str = "featureGates:\n", **changes: Any) -> Obj:
    """antrea_info's answer of a well cluster; agents are newer than what was written."""
    fields = {"f:data": {"f:antrea-agent.conf": {}, "f:antrea-controller.conf": {}}}
    entry = {"time": WRITTEN, "fieldsV1": fields}
    meta: Obj = {"namespace": "kube-system", "name": "antrea-config", "resourceVersion": "1"}
    meta["managedFields"] = [entry]
    data = {"antrea-agent.conf": agent, "antrea-controller.conf": ""}
    pods = [{"pod": "antrea-controller-1", "created_at": NEW}]
    found = {
        "installed": True,
        "version": "v2.6.0",
        "config_map": {"object": {"kind": "ConfigMap", "metadata": meta, "data": data}},
        "config": {"agent": {}, "controller": {}},
        "served": {"attachments": True},
        "gates": {},
        "error": None,
        "problems": [],
        "owner": None,
        "permissions": [],
        "controller": {"pods": pods},
        "agents": [agent_pod(f"node{n}") for n in (1, 2, 10)],
    }
    return {**found, **changes}


def agent_pod(node: str, created: str = NEW, ready: bool = True) -> Obj:
    return {"node": node, "created_at": created, "ready": ready, "waiting": None}


def cluster() -> Obj:
    def node(number: int) -> Obj:
        return {
            "name": f"node{number}",
            "hostname": f"node{number}",
            "os": "linux",
            "internal_ips": [f"10.0.0.{number}"],
            "kubelet_version": "v1.29.1",
            "ready": True,
        }

    return {"nodes": [node(n) for n in (1, 2, 10)]}


def hosts(gates: Obj | None = None, **others: Obj) -> list[Obj]:
    return [
        {
            "name": name,
            "state": "visited",
            "error": "",
            "node_name": name,
            "address": "",
            "facts": {"k8snet_node": {"hostname": name}, "k8snet_nics": []},
            "gates": others.get(name, RUNS if gates is None else gates),
        }
        for name in ("node1", "node2", "node10")
    ]


def plan(seen: Obj | None = None, visits: list[Obj] | None = None, **options: Any) -> Obj:
    asked = {"gates": {"TrafficControl": True}, "control_planes": ["node1"], **options}
    return antrea_features_plan(cluster(), seen or antrea(), visits or hosts(OFF), asked)


def test_workers_first_and_the_canary_takes_all_back() -> None:
    found = plan()
    assert (found["refusals"], found["writes"], found["pending"]) == ([], True, True)
    assert found["order"] == ["node2", "node10", "node1"]
    assert (found["canary"], found["controller"]) == ("node2", False)
    assert found["expected"] == {"TrafficControl": True}
    text = " ".join(" ".join(found["lines"]).split())
    assert "If node2 fails, the configuration goes back" in text
    assert plan(canary="node10")["order"][0] == "node10"


def test_nothing_is_left_to_do() -> None:
    done = antrea("featureGates:\n  TrafficControl: true\n")
    found = plan(done, hosts(RUNS))
    assert (found["writes"], found["pending"], found["canary"]) == (False, False, "")


def test_a_run_that_was_interrupted_goes_on_with_the_rest() -> None:
    stale = [agent_pod("node1", OLD), agent_pod("node2"), agent_pod("node10", OLD)]
    done = antrea("featureGates:\n  TrafficControl: true\n", agents=stale)
    found = plan(done, hosts(OFF, node2=RUNS))
    changing = [name for name in found["order"] if found["nodes"][name]["changes"]]
    assert changing == ["node10", "node1"]
    # One runs with it, so that it is not taken back any more.
    assert (found["writes"], found["pending"], found["canary"]) == (False, True, "")
    # Also where its gates happen to be the same: what else was written it has not read either.
    same = plan(done, hosts(RUNS))
    assert [n for n in same["order"] if same["nodes"][n]["changes"]] == ["node10", "node1"]
    # An agent that is new enough and has other gates is restarted, too.
    done = antrea("featureGates:\n  TrafficControl: true\n")
    odd = plan(done, hosts(RUNS, node2=OFF))
    assert [n for n in odd["order"] if odd["nodes"][n]["changes"]] == ["node2"]


def test_a_gate_of_the_controller_restarts_no_agent() -> None:
    ipam = antrea()
    controller = "nodeIPAM:\n  enableNodeIPAM: true\n  clusterCIDRs: [10.1.0.0/16]\n"
    ipam["config_map"]["object"]["data"]["antrea-controller.conf"] = controller
    found = plan(ipam, hosts(), gates={"NodeIPAM": True})
    assert (found["writes"], found["controller"], found["canary"]) == (True, True, "")
    assert not any(node["changes"] for node in found["nodes"].values())
    waiting = antrea(controller={"pods": [{"pod": "x", "created_at": OLD}]})
    assert plan(waiting, hosts(), gates={})["controller"]


@pytest.mark.parametrize(
    ("changes", "visits", "words"),
    [
        ({"installed": False}, None, "Antrea is not installed"),
        (
            {"permissions": [{"verb": "patch", "resource": "configmaps", "allowed": False}]},
            None,
            "may not patch configmaps",
        ),
        ({"agents": [agent_pod("node1", ready=False)]}, None, "node1: antrea-agent is not ready"),
        ({}, hosts(OFF, node2={"error": "It is deaf."}), "node2: It is deaf."),
        ({}, hosts(OFF)[:2], "node10 is not in the inventory"),
    ],
)
def test_what_bars_a_change(changes: Obj, visits: list[Obj] | None, words: str) -> None:
    assert words in " ".join(plan(antrea(**changes), visits)["refusals"])


def test_nodes_that_may_go_unseen() -> None:
    found = plan(None, hosts(OFF)[:2], accept_unseen="node10")
    assert (found["refusals"], found["unseen"]) == ([], ["node10"])


def test_what_a_person_should_know() -> None:
    misplaced = {
        "component": "agent",
        "path": "proxyAll",
        "what": "proxyAll is at the wrong place",
        "remedy": "Move it",
        "level": "vain",
    }
    found = plan(antrea(problems=[misplaced]), gates={"PreferSameTrafficDistribution": True})
    said = " ".join(found["warnings"])
    assert "does nothing before Kubernetes 1.33, and a node runs 1.29" in said
    assert "antrea-agent.conf: proxyAll is at the wrong place. Move it." in said


def test_an_upgrade_is_refused_with_its_lines() -> None:
    old = antrea("featureGates:\n  L7FlowExporter: true\n", version="v1.15.1")
    found = plan(old, hosts(), gates={}, upgrade_to="v2.6.0")
    assert (
        "An upgrade to v2.6.0 fails. antrea-agent.conf line 2 (L7FlowExporter: true)"
        in " ".join(found["refusals"])
    )
    mended = plan(old, hosts(), gates={"L7FlowExporter": None}, upgrade_to="v2.6.0")
    assert mended["refusals"] == []
    assert any("come on by default" in text for text in mended["upgrade"])
    assert "no version" in plan(old, hosts(), upgrade_to="next")["refusals"][-1]


def test_gates_are_known_before_agents_are_asked() -> None:
    seen = antrea(config={"agent": {"apiPort": 11350}, "controller": {}})
    wanted = antrea_features_wanted(seen, {"gates": {"TrafficControl": True, "NodeIPAM": None}})
    assert wanted == {"expected": {"TrafficControl": True}, "port": 11350}
    nothing = antrea_features_wanted(antrea(installed=False), {"gates": {"Egress": True}})
    assert nothing == {"expected": {}, "port": 10350}


def test_a_database_that_does_not_answer() -> None:
    said = "Theia's tables were not looked at: no answer"
    told = plan(clickhouse_error="no answer")
    assert (told["refusals"], said in told["warnings"]) == ([], True)
    assert said in plan(clickhouse_error="no answer", clickhouse_alter=True)["refusals"]


def test_what_restarts_nobody_is_shown_all_the_same() -> None:
    machine = {"namespace": "vms", "name": "vm1", "ips": ["172.16.100.3"]}
    on = {"ExternalNode": {"effective": {"controller": True}}}
    found = plan(antrea(gates=on), hosts(RUNS), gates={}, external_nodes=[machine])
    assert (found["refusals"], found["pending"]) == ([], True)
    assert any("ExternalNode vms/vm1 is made" in line for line in found["lines"])
    assert not any("Order" in line for line in found["lines"])


def test_a_policy_that_takes_dns_from_nodes_is_told() -> None:
    def node(number: int) -> Obj:
        address = [{"type": "InternalIP", "address": f"10.0.0.{number}"}]
        return {"metadata": {"name": f"node{number}"}, "status": {"addresses": address}}

    ports = [{"protocol": "UDP", "port": 53}]
    found = plan(
        node_policy={"name": "shield", "egress": [{"action": "Drop", "ports": ports}]},
        objects={"nodes": [node(1), node(2)]},
        ssh=["172.16.0.9:22"],
    )
    assert found["refusals"] == []
    assert "DNS (UDP 53) of the nodes themselves is dropped by egress rule 1" in " ".join(
        found["warnings"]
    )


def test_wrong_input() -> None:
    with pytest.raises(AnsibleFilterError, match="cluster_info"):
        antrea_features_plan({}, antrea(), [], {})
    with pytest.raises(AnsibleFilterError, match="'hosts' must be a list"):
        antrea_features_plan(cluster(), antrea(), {}, {})
    with pytest.raises(AnsibleFilterError, match="antrea_info"):
        antrea_features_wanted({}, {})
