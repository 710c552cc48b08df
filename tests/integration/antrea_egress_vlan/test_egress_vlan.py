# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook antrea_egress_vlan, from a trunk that lacks the VLAN to the way back."""

from __future__ import annotations

import pytest

from tests.integration.antrea_egress_vlan.leaving import CONTROL_PLANE, NOTHING, SECRET, Leaving
from tests.lab.antrea_scene import await_that
from tests.lab.egress_scene import GATEWAY, RANGE, VLAN

pytestmark = pytest.mark.lab

FIRST = RANGE["start"]
LABELLED = "Label the nodes that may hold the address"
MADE = "Make the Egress, and wait until a node has its address"


def test_a_port_without_the_vlan_is_named_and_nothing_written(leaving: Leaving) -> None:
    leaving.scene.lab.trunk("node2", [])
    run = leaving.run()
    assert run.code != 0
    run.has(
        f"Nothing was changed. node2: on VLAN {VLAN} it neither hears anybody nor is heard",
        "node1 has the VLAN: its port lacks it.",
        "playbook k8snet.cni.proxmox_vlan_trunk",
    )
    assert leaving.state() == NOTHING
    assert not any(leaving.left().values())


def test_pods_leave_with_the_address_on_the_vlan(leaving: Leaving) -> None:
    scene = leaving.scene
    done = leaving.run()
    assert done.code == 0, done.said
    holder = scene.state()["node"]
    done.has(
        f"Pods of Egress shop leave with {FIRST} on VLAN {VLAN} by {holder}.",
        "was asked from 2 pod(s) and saw that address.",
    )
    assert scene.addresses(holder) == [f"{FIRST}/24"]
    with scene.outside.watch(holder) as wire:
        assert [scene.leaves_as(node) for node in scene.nodes] == [FIRST, FIRST]
        await_that(lambda: wire.tags(FIRST), bool, "the wire shows it")
    assert wire.tags(FIRST) == {VLAN}
    assert leaving.state()["labelled"] == scene.nodes
    assert not leaving.state()["locked"]


@pytest.mark.full
def test_check_says_what_is_done_then_and_only_once(leaving: Leaving) -> None:
    check = leaving.run("--check", "--diff")
    assert check.code == 0, check.said
    check.has("Nothing was changed: this was check mode.")
    assert leaving.state() == NOTHING
    done = leaving.run("--diff")
    assert done.code == 0, done.said
    for task in ("Show the plan", "Make the pool", MADE):
        told, did = (_diff(run.task(task)) for run in (check, done))
        assert told == did, task
    assert check.task(LABELLED).count("changed:") == 2
    assert done.task(LABELLED).count("changed:") == 2
    before = leaving.state()
    again = leaving.run("--diff")
    assert (again.code, again.changed) == (0, 0), again.said
    assert leaving.state() == before


def _diff(text: str) -> list[str]:
    """Lines of a diff, or of what is shown."""
    return [line for line in text.splitlines() if line[:1] in "+-PLWN" and line]


@pytest.mark.full
def test_the_drill_moves_the_address_and_ranges_stay(leaving: Leaving) -> None:
    scene = leaving.scene
    done = leaving.run(antrea_egress_vlan_drill="label")
    assert done.code == 0, done.said
    done.has("Drill: the address moved from node")
    assert leaving.state()["labelled"] == scene.nodes
    assert scene.leaves_as("node1") == FIRST

    before = leaving.state()
    other = {"start": "172.18.181.70", "end": "172.18.181.79"}
    refused = leaving.run(antrea_egress_vlan_ranges=[other])
    assert refused.code != 0
    refused.has("its ranges are fixed")
    assert leaving.state() == before

    lost = leaving.run(*leaving.lost_in_the_drill(), antrea_egress_vlan_drill="label")
    assert lost.code != 0
    lost.has("which has the address of Egress shop, is out of reach", "stay as they were made")
    assert leaving.state() == before


@pytest.mark.full
def test_power_is_cut_with_consent_and_comes_back(leaving: Leaving) -> None:
    scene = leaving.scene
    assert leaving.run().code == 0
    before, holder = leaving.state(), scene.state()["node"]
    with leaving.worker(holder):
        scene.label(holder, CONTROL_PLANE, "")
        barred = leaving.run(**leaving.power_off(""))
        assert barred.code != 0
        barred.has(
            f"Nothing was changed. The drill cuts the power of {holder}, which has the address",
            f"{holder} is a control plane, and no member of its etcd is seen there",
        )
        scene.label(holder, CONTROL_PLANE, None)
        check = leaving.run("--check", **leaving.power_off(holder))
        assert check.code == 0, check.said
        check.has(f"In the end the power of {holder} is cut by bmc, until another node has")
        assert (leaving.state(), leaving.switched()) == (before, [])

        done = leaving.run("-v", **leaving.power_off(holder))
        assert done.code == 0, done.said
        (heir,) = set(scene.nodes) - {holder}
        done.has(
            f"Drill: the power of {holder} was cut, and the address moved to {heir} within",
            f"{holder} was powered on, and was well",
        )
        assert "seen" in done.task("Ask from pods")
        assert leaving.switched() == [f"kill {holder}", f"start {holder}"]
        assert SECRET not in done.said
        assert leaving.state() == before


@pytest.mark.full
def test_a_node_that_stays_off_is_not_forgotten(leaving: Leaving) -> None:
    scene = leaving.scene
    assert leaving.run().code == 0
    before, holder = leaving.state(), scene.state()["node"]
    with leaving.worker(holder):
        leaving.break_power_on(True)
        lost = leaving.run("-v", k8snet_run_id="dark", **leaving.power_off(holder))
        assert lost.code != 0
        lost.has(
            f"{holder} IS OFF, or does not answer: antrea_egress_vlan_power_on_command was run, "
            "and it ended with 1: bad password ***. Power it on by hand now",
            "dark-power/cluster.json",
        )
        assert SECRET not in lost.said
        assert leaving.switched() == [f"kill {holder}", *[f"start {holder}"] * 3]
        assert leaving.state() == {**before, "locked": True}

        refused = leaving.run()
        assert refused.code != 0
        refused.has(
            f"Run dark, which still has the lock, has cut the power of {holder}, which is not back",
            "ansible-playbook k8snet.cni.rollback",
        )

        leaving.break_power_on(False)
        back = leaving.rollback("dark")
        assert back.code == 0, back.said
        back.has(f"{holder} was powered on, and was well", "Run dark is undone.")
        assert leaving.switched() == [f"start {holder}"]
        assert leaving.state() == before


@pytest.mark.full
def test_what_is_not_proven_goes_again(leaving: Leaving) -> None:
    silent = {"antrea_egress_vlan_probe": f"{GATEWAY}:9"}
    run = leaving.run(k8snet_run_id="night", **silent)
    assert run.code != 0
    run.has(f"does not reach {GATEWAY}:9", "Everything is as it was before.")
    assert leaving.state() == NOTHING

    again = leaving.run(k8snet_run_id="night")
    assert again.code != 0
    again.has("Nothing was changed.", "named night, too, and has ended (of role antrea_egress_vlan")
    assert leaving.state() == NOTHING

    kept = leaving.run(antrea_egress_vlan_keep_unproven=True, **silent)
    assert kept.code != 0
    kept.has("stay as they were made")
    state = leaving.state()
    assert (len(state["egresses"]), state["locked"]) == (1, False)


@pytest.mark.full
def test_what_was_made_is_taken_away(leaving: Leaving) -> None:
    assert leaving.run(k8snet_run_id="made").code == 0
    back = leaving.rollback("made")
    assert back.code == 0, back.said
    assert leaving.state() == NOTHING

    assert leaving.run().code == 0
    before = leaving.state()
    leaving.own_pool("Helm")
    owned = leaving.run(antrea_egress_vlan_state="absent")
    assert owned.code != 0
    owned.has("Helm")
    assert leaving.state() == before
    leaving.own_pool(None)
    gone = leaving.run(antrea_egress_vlan_state="absent", k8snet_run_id="gone")
    assert gone.code == 0, gone.said
    gone.has("Egress shop, its pool and its labels are gone.")
    assert leaving.state() == NOTHING
    await_that(leaving.left, lambda now: not any(now.values()), "nothing is left on nodes")
    again = leaving.run(antrea_egress_vlan_state="absent")
    assert (again.code, again.changed) == (0, 0), again.said

    back = leaving.rollback("gone")
    assert back.code == 0, back.said
    leaving.scene.await_assigned()
    await_that(lambda: leaving.scene.leaves_as("node1"), lambda seen: seen == FIRST, "it is back")


@pytest.mark.full
def test_a_gateway_that_is_silent_is_told_from_a_trunk(leaving: Leaving) -> None:
    leaving.scene.outside.silent(True)
    run = leaving.run()
    assert run.code != 0
    run.has(
        f"node1: {GATEWAY} does not answer at eth0, though node2 is heard there on VLAN {VLAN}."
    )
    assert leaving.state() == NOTHING
