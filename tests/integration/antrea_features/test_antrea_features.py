# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook antrea_features: gates that really run, what is refused, and what goes back."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.antrea_features.clickhouse import ClickHouse
from tests.integration.antrea_features.features import FILE, Features
from tests.lab.antrea_scene import CONFIG_MAP, await_that

pytestmark = pytest.mark.lab

# node1 is the control plane, so that node2 is the canary.
CANARY, OTHER = "node2", "node1"
GATE = {"TrafficControl": True}


def test_check_says_what_is_done_then_and_only_once(features: Features) -> None:
    before = features.state()
    check = features.run(GATE, "--check", "--diff")
    assert check.code == 0, check.said
    check.has("Nothing was changed: this was check mode.")
    assert features.state() == before

    done = features.run(GATE, "--diff", k8snet_run_id="on")
    assert done.code == 0, done.said
    done.has("Every agent that was seen runs with these gates.")
    for node in features.scene.nodes:
        assert "TrafficControl" in features.runs(node)
    assert not features.locked()
    assert check.task("Show the plan") == done.task("Show the plan")
    for task in ("Write Antrea's configuration", "Restart the node's agent"):
        told = [line for line in check.task(task).splitlines() if line[:1] in ("+", "-")]
        made = [line for line in done.task(task).splitlines() if line[:1] in ("+", "-")]
        assert told == made != [], task
    turns = done.task("Ask the node's agent until it runs with these gates")
    assert turns.index(f"localhost -> {CANARY}") < turns.index(f"localhost -> {OTHER}")

    after = features.state()
    again = features.run(GATE)
    assert (again.code, again.changed) == (0, 0), again.said
    assert features.state() == after


def test_a_canary_whose_agent_does_not_start_gets_its_configuration_back(
    features: Features,
) -> None:
    # What no file tells: a NIC that no node has.
    bridge = "    - {bridgeName: br-x, physicalInterfaces: [eth9]}"
    features.write(bridge, "  ovsBridges:\n")
    for node in features.scene.nodes:
        features.scene.restart_agent(node)
    features.scene.await_antrea_settled()
    before = features.state()
    gates = {"SecondaryNetwork": True, "AntreaIPAM": True}
    run = features.run(gates, antrea_features_timeout=15)
    assert run.code != 0
    run.has(
        f"antrea-agent on {CANARY} is not back after 15 s",
        "It said: failed to get link eth9: no such network interface.",
        f"Antrea is configured as before, and {CANARY} runs with that.",
    )
    now = features.state()
    assert (now["conf"], now["runs"], now["locked"]) == (before["conf"], before["runs"], False)
    # It has not spread.
    assert now["pods"][OTHER] == before["pods"][OTHER]
    features.scene.await_antrea_settled()


@pytest.mark.full
def test_what_antrea_would_not_do_is_refused(features: Features) -> None:
    before = features.state()
    layer7 = [{"namespace": "default", "direction": "both"}]
    run = features.run({}, antrea_features_l7_export=layer7)
    assert run.code != 0
    run.has(
        "Nothing was changed.",
        "L7FlowExporter was removed in v2.6, and this is v2.6: Antrea does not start with it.",
    )
    unmet = features.run({"SecondaryNetwork": True})
    assert unmet.code != 0
    unmet.has("SecondaryNetwork needs featureGates.AntreaIPAM: true in antrea-agent.conf")
    assert features.state() == before


@pytest.mark.full
def test_prerequisites_are_set_along_and_all_goes_back_by_the_bundle(features: Features) -> None:
    before = features.conf()
    gates = {"SecondaryNetwork": True, "L7NetworkPolicy": True}
    run = features.run(gates, antrea_features_prerequisites=True, k8snet_run_id="along")
    assert run.code == 0, run.said
    run.has("AntreaIPAM is set too, since SecondaryNetwork needs it.")
    assert "disableTXChecksumOffload: true" in features.conf()
    for node in features.scene.nodes:
        assert features.runs(node) >= {"AntreaIPAM", "SecondaryNetwork", "L7NetworkPolicy"}
    back = features.rollback("along")
    assert back.code == 0, back.said
    assert features.conf() == before
    for node in features.scene.nodes:
        assert not features.runs(node) & {"AntreaIPAM", "SecondaryNetwork", "L7NetworkPolicy"}
    assert not features.locked()


@pytest.mark.full
def test_the_controller_dies_and_the_run_is_gone_on_with(features: Features) -> None:
    run = features.start(GATE, k8snet_run_id="died")
    await_that(
        lambda: features.runs(CANARY), lambda now: "TrafficControl" in now, "the canary runs", 200
    )
    run.process.send_signal(signal.SIGKILL)
    run.process.wait()
    features.scene.await_antrea_settled()
    assert "TrafficControl" not in features.runs(OTHER)
    other = features.run(GATE, k8snet_run_id="other")
    assert other.code != 0
    other.has("died")
    again = features.run(GATE, k8snet_run_id="died")
    assert again.code == 0, again.said
    again.has("has not read antrea-agent.conf yet")
    assert "TrafficControl" in features.runs(OTHER)
    assert not features.locked()


@pytest.mark.full
def test_a_service_gets_its_address_and_theia_its_columns(
    features: Features, clickhouse: ClickHouse
) -> None:
    service = features.offer()
    before = features.state()
    wanted = {
        "antrea_features_external_ips": [{**service, "pool": "offered"}],
        "antrea_features_clickhouse": clickhouse.url,
        "antrea_features_clickhouse_alter": True,
    }
    # Somebody else serves it, and ClickHouse does not answer.
    features.assign("192.0.2.7")
    refused = features.run({}, **{**wanted, "antrea_features_clickhouse": "http://127.0.0.1:9"})
    assert refused.code != 0
    refused.has(
        "Service default/shop has 192.0.2.7 already, and not from a pool of Antrea",
        "Theia's tables were not looked at",
    )
    assert features.annotation() is None
    features.assign()
    check = features.run({}, "--check", **wanted)
    assert check.code == 0, check.said
    check.has("annotation service.antrea.io/external-ip-pool = offered")
    assert (features.annotation(), clickhouse.told) == (None, [])
    running = features.start({}, k8snet_run_id="served", **wanted)
    await_that(features.annotation, lambda now: now == "offered", "the annotation", 300)
    features.assign("10.160.1.200")
    run = running.end(300)
    assert run.code == 0, run.said
    # The gate is on by default, so that nothing has to start anew.
    assert features.state() == before
    assert clickhouse.told == [
        "ALTER TABLE default.flows_local ADD COLUMN IF NOT EXISTS httpVals String",
        "ALTER TABLE default.flows ADD COLUMN IF NOT EXISTS httpVals String",
    ]
    again = features.run({}, **wanted)
    assert (again.code, again.changed) == (0, 0), again.said
    back = features.rollback("served")
    assert back.code == 0, back.said
    assert features.annotation() is None


@pytest.mark.full
def test_what_an_upgrade_would_break_is_named_with_its_line(features: Features) -> None:
    features.upgrade("v1.15.1")
    features.write("  L7FlowExporter: true", "featureGates:\n")
    features.write("proxyAll: true")
    before = features.state()
    run = features.run({}, antrea_features_upgrade_to="v2.6.0")
    assert run.code != 0
    run.has(
        "An upgrade to v2.6.0 fails. antrea-agent.conf line 3 (L7FlowExporter: true): feature gate "
        "L7FlowExporter was removed in v2.6",
        "Take it away (agent: featureGates.L7FlowExporter: null).",
        # What keeps agents of v1.15 from starting, once somebody restarts one.
        "proxyAll is at the wrong place: it is antreaProxy.proxyAll of antrea-agent.conf",
    )
    assert features.state() == before
    features.scene.call(
        "PATCH", CONFIG_MAP, {"data": {FILE: before["conf"].replace("\nproxyAll", "\n#")}}
    )
    mended = features.run({"L7FlowExporter": None}, "--check", antrea_features_upgrade_to="v2.6.0")
    assert mended.code == 0, mended.said
    mended.has("ServiceExternalIP come on by default.")


@pytest.mark.full
def test_a_policy_for_nodes_is_judged_tried_and_applied(features: Features) -> None:
    deny = {"name": "shield", "ingress": [{"name": "all", "action": "Drop"}]}
    before = features.state()
    refused = features.run({}, antrea_features_node_policy=deny)
    assert refused.code != 0
    refused.has(
        "ssh (TCP 22 from 10.160.1.1) would be cut off by ingress rule 1 'all' (Drop)",
        "kubelet (TCP 10250 from 10.160.1.21) would be cut off",
    )
    assert features.state() == before

    ports = [{"protocol": "TCP", "port": 9999}]
    wanted = {"name": "shield", "ingress": [{"action": "Drop", "ports": ports}]}
    run = features.run({}, antrea_features_node_policy=wanted, k8snet_run_id="shield")
    assert run.code == 0, run.said
    assert features.policies() == ["shield"]
    for node in features.scene.nodes:
        assert "NodeNetworkPolicy" in features.runs(node)
        await_that(lambda node=node: features.dropped(node), lambda now: "9999" in now, "the rule")  # type: ignore[misc]
    tried = run.task("Confirm that the node is well")
    assert tried.index(f"[{CANARY}]") < tried.index(f"[{OTHER}]"), tried
    again = features.run({}, antrea_features_node_policy=wanted)
    assert (again.code, again.changed) == (0, 0), again.said

    # A change of it. The name of a run that has ended would put that one's state back.
    former = features.rules()
    more = {**wanted, "egress": [{"action": "Drop", "ports": [{"protocol": "TCP", "port": 9998}]}]}
    reused = features.run({}, antrea_features_node_policy=more, k8snet_run_id="shield")
    assert reused.code != 0
    reused.has("Nothing was changed.")
    assert (features.rules(), features.locked()) == (former, False)
    changed = features.run({}, antrea_features_node_policy=more, k8snet_run_id="more")
    assert changed.code == 0, changed.said
    assert features.rules()[1] == 1
    less = features.rollback("more")
    assert less.code == 0, less.said
    assert features.rules() == former
    back = features.rollback("shield")
    assert back.code == 0, back.said
    assert (features.policies(), features.conf()) == ([], before["conf"])


@pytest.mark.full
def test_a_node_that_a_policy_cuts_off_undoes_it_by_itself(features: Features) -> None:
    # Somebody is mistaken about where nodes are managed from, and the agent hangs once it has
    # written the rules: it does not even learn that the policy is taken back.
    features.scene.at_step(CANARY, "policies", "stop")
    ports = [{"protocol": "TCP", "port": 22}]
    right = [{"ipBlock": {"cidr": "192.0.2.1/32"}}]
    rules = [{"action": "Allow", "from": right, "ports": ports}, {"action": "Drop", "ports": ports}]
    run = features.run(
        {},
        antrea_features_node_policy={"name": "shield", "ingress": rules},
        antrea_features_ssh_from=["192.0.2.1:22"],
        antrea_features_connect_timeout=10,
        k8snet_run_id="cut",
    )
    assert run.code != 0
    run.has(f"The policy is gone, only nodes that were proved had it, and {CANARY} is well.")
    assert features.policies() == []
    assert not features.locked()
    emptied = "Emptied the chain ANTREA-POL-INGRESS-RULES"
    assert emptied in features.scene.on(CANARY, "journalctl --no-pager --output=cat")
    features.scene.await_antrea_settled()
    for node in features.scene.nodes:
        assert "22" not in features.dropped(node)


def cut_short(features: Features) -> dict[str, Any]:
    """Have the controller die while the canary tries a policy; return what was asked for."""
    await_that(lambda: features.dropped(CANARY), lambda now: "9999" not in now, "no rule", 60)
    features.scene.at_step(CANARY, "policies", "stop")
    rules = [{"action": "Drop", "ports": [{"protocol": "TCP", "port": 9999}]}]
    asked = {
        "antrea_features_node_policy": {"name": "shield", "ingress": rules},
        "antrea_features_connect_timeout": 10,
        "k8snet_run_id": "short",
    }
    run = features.start({}, **asked)
    await_that(lambda: features.dropped(CANARY), lambda now: "9999" in now, "the trial", 300)
    run.process.send_signal(signal.SIGKILL)
    run.process.wait()
    assert features.policies() == ["shield-trial"]
    # Nobody else can take the rule away: the agent hangs.
    await_that(lambda: features.dropped(CANARY), lambda now: "9999" not in now, "its end", 180)
    return asked


@pytest.mark.full
def test_a_trial_whose_controller_died_goes_on(features: Features) -> None:
    asked = cut_short(features)
    again = features.run({}, **asked)
    assert again.code == 0, again.said
    assert features.policies() == ["shield"]
    assert not features.locked()
    features.scene.await_antrea_settled()


@pytest.mark.full
def test_a_trial_whose_controller_died_is_rolled_back(features: Features) -> None:
    before = features.conf()
    cut_short(features)
    back = features.rollback("short")
    assert back.code == 0, back.said
    assert (features.policies(), features.conf()) == ([], before)
    assert not features.locked()
    features.scene.await_antrea_settled()


@pytest.mark.full
def test_a_machine_outside_the_cluster(features: Features, tmp_path: Path) -> None:
    features.authorities()
    secret = "s3cr3t-of-the-machine"
    machine = {"namespace": "default", "name": "vm1", "ips": ["172.16.100.3"]}
    wanted = {
        "antrea_features_external_nodes": [machine],
        "antrea_features_external_dir": str(tmp_path / "machines"),
        "antrea_features_external_api": "https://10.160.1.1:6443",
        "antrea_features_external_antrea": "https://10.160.1.21:30349",
        "antrea_features_external_token": secret,
    }
    before = features.state()
    run = features.run({}, "--diff", k8snet_run_id="outside", **wanted)
    assert run.code == 0, run.said
    assert secret not in run.said
    assert features.machines() == {"vm1": ["172.16.100.3"]}
    # The gate is the controller's, so that no agent starts anew.
    assert features.state() == before
    folder = tmp_path / "machines" / "default" / "vm1"
    names = ["antrea-agent.antrea.kubeconfig", "antrea-agent.conf", "antrea-agent.kubeconfig"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert secret not in (folder.parents[2] / "undo" / "outside" / "cluster.json").read_text()
    again = features.run({}, **wanted)
    assert (again.code, again.changed) == (0, 0), again.said
    back = features.rollback("outside")
    assert back.code == 0, back.said
    assert features.machines() == {}
