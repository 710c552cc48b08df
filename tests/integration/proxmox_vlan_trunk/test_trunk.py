# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook proxmox_vlan_trunk: a VLAN that the hypervisor keeps from a node, and its ways."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.integration.proxmox_vlan_trunk.world import NODE, PODS, VLAN, World
from tests.lab.antrea_scene import await_that

pytestmark = pytest.mark.lab

Obj = dict[str, Any]
LINE = "nodes/pve1/qemu/102/config"


def test_a_missing_trunk_is_added_and_the_gateway_answers(world: World) -> None:
    world.pod(allowed=1)
    former, before = world.vm.config["net0"], world.state()
    check = world.run("--check", "--diff")
    assert check.code == 0, check.said
    check.has("Nothing was changed: this was check mode.")
    assert "WARNING" not in check.task("Show the plan")
    assert world.state() == before

    done = world.run("-vvv")
    assert done.code == 0, done.said
    done.has("The lines are as wanted, and every gateway answers.")
    assert f"  - {former}\n  + {former},trunks={VLAN}\n" in done.task("Show the plan")
    assert world.vm.config["net0"] == f"{former},trunks={VLAN}"
    assert world.api.written() == [("PUT", LINE)]
    given = [parameters for method, _path, parameters in world.api.requests if method == "PUT"]
    assert sorted(given[0]) == ["digest", "net0"]
    assert (world.there(f"{PODS}/web"), world.cordoned(), world.locked()) == (False,) * 3

    again = world.run("--diff")
    assert (again.code, again.changed) == (0, 0), again.said
    assert world.api.written() == [("PUT", LINE)]


def test_a_bridge_that_is_not_vlan_aware_yet_is_refused(world: World) -> None:
    """Somebody has ticked it, and not applied that: what Proxmox shows is not what is."""
    world.api.edited = [dict(bridge) for bridge in world.api.bridges]
    world.api.bridges[0].pop("bridge_vlan_aware")
    before = world.state()
    run = world.run()
    assert run.code != 0
    run.has("Nothing was changed.", "pve1 has a network configuration that is not applied yet")
    assert world.state() == before


@pytest.mark.full
def test_a_bridge_that_is_not_vlan_aware_is_refused(world: World) -> None:
    world.api.bridges[0].pop("bridge_vlan_aware")
    before = world.state()
    run = world.run()
    assert run.code != 0
    run.has("Nothing was changed.", "bridge vmbr0 of Proxmox node pve1 is not VLAN-aware")
    assert world.state() == before


def test_another_vms_nic_is_refused(world: World) -> None:
    before = world.state()
    run = world.run(vms={NODE: {"vmid": 101}})
    assert run.code != 0
    run.has("Nothing was changed.", f"{NODE}: net0 of VM 101 has MAC")
    assert world.state() == before


@pytest.mark.full
def test_check_shows_what_is_done_then_and_the_bundle_takes_it_back(world: World) -> None:
    former = world.vm.config["net0"]
    check = world.run("--check", "--diff")
    done = world.run("--diff")
    assert done.code == 0, done.said
    assert check.task("Show the plan") == done.task("Show the plan")
    back = world.rollback()
    assert back.code == 0, back.said
    assert world.vm.config["net0"] == former
    again = world.rollback()
    assert again.code == 0, again.said
    assert world.api.written() == [("PUT", LINE)] * 2
    assert (world.cordoned(), world.locked()) == (False, False)


@pytest.mark.full
def test_a_line_that_waits_is_told_and_the_vm_is_switched_only_when_asked(world: World) -> None:
    world.vm.held = True
    run = world.run()
    assert run.code == 0, run.said
    run.has("wait for a power cycle", "VM 102 needs a power cycle")
    assert "trunks" not in world.vm.config["net0"]
    assert world.api.written() == [("PUT", LINE)]

    # What the first has kept would be put back where the second fails.
    used = world.run(power_cycle="when_due")
    assert used.code != 0
    used.has("Nothing was changed.", "was kept by a run that was named window, too, and has ended")
    assert (world.cordoned(), world.locked()) == (False, False)
    world.run_id = "second"
    done = world.run(power_cycle="when_due")
    assert done.code == 0, done.said
    done.has("The lines are as wanted, and every gateway answers.")
    status = "nodes/pve1/qemu/102/status"
    switched = [("POST", f"{status}/shutdown"), ("POST", f"{status}/start")]
    assert world.api.written() == [("PUT", LINE), *switched]
    assert (world.vm.pending, world.cordoned(), world.locked()) == ({}, False, False)
    again = world.run(power_cycle="when_due")
    assert (again.code, again.changed) == (0, 0), again.said


@pytest.mark.full
def test_a_disruption_budget_keeps_the_node_as_it_is(world: World) -> None:
    world.pod(allowed=0)
    run = world.run(drain_timeout=2)
    assert run.code != 0
    told = " ".join(run.task("Show the plan").split())
    assert "WARNING PodDisruptionBudget default/web has no room (1 of 1 needed pods" in told
    assert f"would hold the drain of {NODE} (default/web) until" in told
    run.has("violate the pod's disruption budget", "kubectl get pdb -A")
    assert world.api.written() == []
    assert (world.there(f"{PODS}/web"), world.cordoned(), world.locked()) == (True, False, False)


@pytest.mark.full
def test_a_pod_of_two_disruption_budgets_is_refused(world: World) -> None:
    world.pod(allowed=1)
    world.second_budget()
    before = world.state()
    run = world.run("--check")
    assert run.code != 0
    two = "more than one PodDisruptionBudget (default/second, default/web) selects default/web"
    run.has(f"Nothing was changed. {NODE}: {two}")
    assert world.state() == before


@pytest.mark.full
def test_budgets_that_may_not_be_read_are_told_and_no_more(world: World) -> None:
    rule = {"path": "^/apis/policy/v1/poddisruptionbudgets", "status": 403, "reason": "Forbidden"}
    world.faults([rule])
    run = world.run("--check")
    assert run.code == 0, run.said
    run.has("WARNING PodDisruptionBudgets could not be read (it is forbidden)", NODE)


@pytest.mark.full
def test_a_node_that_does_not_answer_gets_its_line_back(world: World) -> None:
    former = world.vm.config["net0"]
    world.wire.cuts = {VLAN}
    run = world.run(timeout=8)
    assert run.code != 0
    run.has(f"Its line is as it was, and {NODE} takes pods as before.")
    assert world.vm.config["net0"] == former
    assert world.api.written() == [("PUT", LINE)] * 2
    assert (world.cordoned(), world.locked()) == (False, False)


@pytest.mark.full
def test_a_node_that_goes_out_of_reach_gets_its_line_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While its gateway is asked for: not where a task fails, but where a host drops out."""
    former = world.vm.config["net0"]
    world.wire.cuts = {VLAN + 1}
    tell, told = world.api._get_nodes_qemu_pending, []

    def cut(found: Obj, given: Obj) -> list[Obj]:
        told.append(world.vm.config["net0"] != former)
        if told.count(True) == 2:
            world.wire.cut(world.vm)
        return tell(found, given)

    monkeypatch.setattr(world.api, "_get_nodes_qemu_pending", cut)
    run = world.run()
    assert run.code != 0
    run.has(f"{NODE} is out of reach", f"Its line is as it was, and {NODE} takes pods as before.")
    assert world.vm.config["net0"] == former
    assert (world.cordoned(), world.locked()) == (False, False)


@pytest.mark.full
def test_a_write_that_fails_leaves_the_node_as_it_was(world: World) -> None:
    former, before = world.vm.config["net0"], world.state()
    world.api.rights.discard("VM.Config.Network")
    told = world.run()
    assert told.code != 0
    told.has("Nothing was changed.", "the token lacks VM.Config.Network on /vms/102")
    assert world.state() == before

    world.api.rights.add("VM.Config.Network")
    world.api.denied["PUT", "nodes/{node}/qemu/{vmid}/config"] = "got no quorum"
    run = world.run()
    assert run.code != 0
    run.has("got no quorum", f"Its line is as it was, and {NODE} takes pods as before.")
    assert world.vm.config["net0"] == former
    assert (world.cordoned(), world.locked()) == (False, False)


@pytest.mark.full
def test_a_guest_that_shuts_down_late_is_started_again(world: World) -> None:
    former = world.vm.config["net0"]
    world.vm.held = world.vm.slow = True
    run = world.run(power_cycle="when_due", timeout=60)
    assert run.code != 0
    run.has("got timeout", f"Its line is as it was, and {NODE} takes pods as before.")
    assert (world.vm.status, world.vm.config["net0"], world.vm.pending) == ("running", former, {})
    assert (world.cordoned(), world.locked()) == (False, False)


@pytest.mark.full
@pytest.mark.parametrize("way", ["go on", "go back"])
def test_a_vm_that_a_run_left_switched_off_is_started(world: World, way: str) -> None:
    former = world.vm.config["net0"]
    world.vm.held = True
    start = ("POST", "nodes/{node}/qemu/{vmid}/status/start")
    world.api.denied[start] = "got no quorum"
    run = world.run(power_cycle="when_due")
    assert run.code != 0
    run.has("It was not brought back either, and stays cordoned", "-e k8snet_run_id=window")
    assert (world.vm.status, world.cordoned(), world.locked()) == ("stopped", True, True)

    world.api.denied.clear()
    done = world.run(power_cycle="when_due") if way == "go on" else world.rollback()
    assert done.code == 0, done.said
    done.has("switched off by an interrupted run, and started")
    wanted = former if way == "go back" else f"{former},trunks={VLAN}"
    assert (world.vm.status, world.vm.config["net0"]) == ("running", wanted)
    assert (world.cordoned(), world.locked()) == (False, False)


@pytest.mark.full
def test_a_vlan_is_taken_off_again(world: World) -> None:
    former = world.vm.config["net0"]
    world.vm.config["net0"] = f"{former},trunks=180-182"
    world.scene.lab.trunk(NODE, [180, 181, 182])
    run = world.run(state="absent")
    assert run.code == 0, run.said
    assert world.vm.config["net0"] == f"{former},trunks=180;182"
    again = world.run(state="absent")
    assert (again.code, again.changed) == (0, 0), again.said


@pytest.mark.full
def test_a_pod_that_does_not_end_keeps_the_line_as_it_is(world: World) -> None:
    world.pod(grace=30)
    run = world.run(drain_timeout=2)
    assert run.code != 0
    run.has(f"Pods on {NODE} have not ended within 2 seconds.")
    assert world.api.written() == []
    assert (world.cordoned(), world.locked()) == (False, False)


@pytest.mark.full
def test_an_api_that_does_not_answer_as_it_should(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.state()
    strange = world.run(ca_path="")
    assert strange.code != 0
    strange.has("CERTIFICATE_VERIFY_FAILED")
    world.api.denied["GET", "nodes/{node}/network"] = "Permission check failed"
    denied = world.run()
    assert denied.code != 0
    denied.has("nodes/pve1/network: HTTP Error 403: Permission check failed", "VM.Audit")
    monkeypatch.delenv("PROXMOX_TOKEN_SECRET")
    nameless = world.run()
    assert nameless.code != 0
    nameless.has("Proxmox is asked with an API token: set proxmox_vlan_trunk_api_token_secret")
    assert world.state() == before


@pytest.mark.full
def test_the_controller_dies_and_the_run_is_gone_on_with(world: World) -> None:
    run = world.start()
    await_that(world.api.written, bool, "the line is written", 120)
    run.process.send_signal(signal.SIGKILL)
    run.process.wait()
    assert (world.cordoned(), world.locked()) == (True, True)
    done = world.run()
    assert done.code == 0, done.said
    done.has("left cordoned by an interrupted run, and let go")
    assert world.api.written() == [("PUT", LINE)]
    assert (world.cordoned(), world.locked()) == (False, False)
