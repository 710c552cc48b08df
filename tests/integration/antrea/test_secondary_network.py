# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook antrea_secondary_network on nodes that it may cut off, and its rollback."""

from __future__ import annotations

import itertools
import re
import signal
from collections.abc import Iterator

import pytest

from tests.integration.antrea.bridges import (
    ADDRESSES,
    BRIDGE,
    NIC,
    TIMEOUT,
    Bridges,
)
from tests.integration.antrea.outage import Outage
from tests.integration.antrea.window import Window
from tests.lab.actors import antrea_rules
from tests.lab.antrea_scene import CONFIG_MAP, Settings, await_that
from tests.lab.scene import Scene

pytestmark = pytest.mark.lab

FIRST, SECOND = "node1", "node2"
BUG = Settings(behaviour=(antrea_rules.UPLINK_FIRST,))
PRIMARY = {"interfaces": ["eth0"], "allow_primary": True}
#: Seconds that a node may need beyond its timeout: systemd, the restore, a machine that is busy.
MARGIN = 30
#: Where nobody is to be cut off: enough for a machine that is busy.
PATIENT = 240


@pytest.fixture(scope="module")
def plugged(antrea: Scene) -> Iterator[Scene]:
    """A second NIC with an address on each node."""
    for node in antrea.nodes:
        number = node.removeprefix("node")
        antrea.lab.plug(node, name=NIC, address=f"172.31.66.1{number}/24")
    yield antrea
    for node in antrea.nodes:
        antrea.lab.unplug(node, NIC)


@pytest.fixture
def bridges(plugged: Scene, window: Window) -> Iterator[Bridges]:
    """The window's end restarts agents: after that bridges are nobody's, and the next sweeps."""
    found = Bridges(window)
    found.sweep()
    yield found
    found.repair()


def test_check_says_what_is_done_then_and_only_once(bridges: Bridges) -> None:
    scene = bridges.scene
    files = {node: bridges.files(node) for node in scene.nodes}
    before, writes = bridges.state(), bridges.writes()
    check = bridges.set("--check", "--diff")
    assert check.code == 0, check.said
    assert check.changed > 0
    check.has("Nothing was changed: this was check mode.", "would be kept in")
    assert "k8snet.cni.rollback" not in check.said
    assert (bridges.state(), bridges.writes()) == (before, writes)
    assert {node: bridges.files(node) for node in scene.nodes} == files

    done = bridges.set("--diff")
    assert done.code == 0, done.said
    done.has("ansible-playbook k8snet.cni.rollback -i", "-e k8snet_undo_dir=")
    for task in ("Show the plan", "See what differs", "Write Antrea's configuration"):
        assert check.task(task) == done.task(task)
    assert 'physicalInterfaces: ["eth1"]' in done.task("Write Antrea's configuration")
    assert all(bridges.on_bridge(node) for node in scene.nodes)
    bridges.nothing_left()

    writes = bridges.writes()
    again = bridges.set("--diff")
    assert (again.code, again.changed) == (0, 0), again.said
    assert bridges.writes() == writes

    conf = bridges.conf()
    assert conf != before["conf"]


def test_a_node_that_the_change_cuts_off_restores_itself_and_the_rest_goes_back(
    bridges: Bridges,
) -> None:
    scene, before = bridges.scene, bridges.state()
    scene.behave(BUG, [SECOND])
    with (
        Outage(scene.lab, ADDRESSES[FIRST]) as first,
        Outage(scene.lab, ADDRESSES[SECOND]) as second,
    ):
        run = bridges.set(**PRIMARY)
        assert run.code != 0
    print(f"measured: node1, changed and changed back: {first.loss}")
    print(f"measured: node2, cut off with a timeout of {TIMEOUT} s: {second.loss}")
    assert second.loss is not None
    assert TIMEOUT - 30 < second.loss.longest < TIMEOUT + MARGIN
    run.has("antrea-agent on node2 is not back after", "node2 restored itself at ")
    run.has("Everything is as it was before.")
    assert "node1 restored itself" not in run.text
    assert bridges.state() == before
    bridges.nothing_left()


@pytest.mark.full
def test_taken_away_it_is_as_before(bridges: Bridges) -> None:
    before = bridges.state()
    assert bridges.set().code == 0
    gone = bridges.set(state="absent", interfaces=[])
    assert gone.code == 0, gone.said
    gone.has("is a NIC of its own again", "and removed from Open vSwitch")
    assert not any(bridges.there(node) for node in ADDRESSES)
    now = bridges.state()
    assert {node: now[node] for node in ADDRESSES} == {node: before[node] for node in ADDRESSES}
    again = bridges.set(state="absent")
    assert (again.code, again.changed) == (0, 0), again.said
    bridges.nothing_left()


@pytest.mark.full
def test_an_agent_killed_in_mid_move_leaves_nothing(bridges: Bridges) -> None:
    before = bridges.state()
    bridges.scene.at_step(FIRST, "renamed")
    run = bridges.start(run="killed")
    bridges.await_during(run, lambda: bridges.renamed(FIRST), "the NIC is renamed")
    ended = run.end()
    assert ended.code != 0
    ended.has("node1 restored itself at ", "Everything is as it was before.")
    assert "TASK [k8snet.cni.antrea_secondary_network : Restart the node's agent]" in ended.said
    assert bridges.state() == before
    bridges.nothing_left()


@pytest.mark.full
def test_a_change_that_takes_longer_than_the_timeout_goes_back(bridges: Bridges) -> None:
    before = bridges.state()
    bridges.scene.at_step(FIRST, "moved", "stop")
    run = bridges.set(timeout=20)
    assert run.code != 0
    run.has("antrea-agent on node1 is not back after 20 s", "node1 restored itself at ")
    run.has("Everything is as it was before.")
    assert bridges.state() == before
    bridges.nothing_left()


@pytest.mark.full
def test_vswitchd_killed_during_the_change_is_outlived(bridges: Bridges) -> None:
    scene = bridges.scene
    scene.at_step(FIRST, "attached", "stop")
    run = bridges.start(run="vswitchd")
    bridges.await_during(run, lambda: bridges.on_bridge(FIRST), "the NIC is on the bridge")
    scene.kill_vswitchd(FIRST)
    await_that(lambda: scene.flag(FIRST), lambda flag: flag is True, "the watchdog sets the flag")
    scene.kill_agent(FIRST, "CONT")
    ended = run.end()
    assert ended.code == 0, ended.said
    assert all(bridges.on_bridge(node) for node in scene.nodes)
    bridges.nothing_left()


@pytest.mark.full
def test_a_node_that_reboots_in_mid_change_is_held_until_the_cause_is_gone(
    bridges: Bridges,
) -> None:
    scene, before = bridges.scene, bridges.state()
    scene.at_step(FIRST, "moved", "stop")
    run = bridges.start(run="reboot", **PRIMARY)
    bridges.await_during(run, lambda: bridges.renamed(FIRST, "eth0"), "the NIC is renamed")
    scene.lab.kill(FIRST)
    seconds = scene.lab.start(FIRST)
    await_that(lambda: bridges.held(FIRST), bool, "kubelet is held")
    restored, kubelet = (
        scene.on(FIRST, f"journalctl -b -o cat -u {unit} --no-pager")
        for unit in ("k8snet-restore-boot", "kubelet")
    )
    print(f"measured: up again after {seconds:.0f} s: {restored}")
    assert "Started" not in kubelet
    ended = run.end()
    assert ended.code != 0
    ended.has("node1 restored itself at ", "Everything is as it was before.")
    assert bridges.state()["conf"] == before["conf"]
    bridges.nothing_left()


@pytest.mark.full
def test_a_killed_controller_leaves_nodes_that_restore_themselves_and_a_rollback_that_ends_it(
    bridges: Bridges,
) -> None:
    scene, before = bridges.scene, bridges.state()
    scene.behave(BUG)
    with Outage(scene.lab, ADDRESSES[FIRST]) as outage:
        run = bridges.start(run="dead", **PRIMARY)
        bridges.await_during(run, lambda: not scene.answers(FIRST), "node1 is cut off")
        run.process.kill()
        run.process.wait()
        # Flows left in the kernel may carry it on for a while: cut off or not, nobody confirms it.
        await_that(
            lambda: bridges.held(FIRST) and scene.answers(FIRST),
            bool,
            "it restores itself and holds kubelet",
            TIMEOUT + MARGIN,
        )
    print(f"measured: without a controller, with a timeout of {TIMEOUT} s: {outage.loss}")
    assert bridges.conf() != before["conf"], "the cause is still there"

    writes = bridges.writes()
    other = bridges.set(**PRIMARY)
    assert other.code != 0
    other.has("Nothing was changed.")
    other.has("node1: Checkpoint 'dead' ", "k8snet.cni.rollback -i", "-e k8snet_run_id=dead")
    assert bridges.writes() == writes

    back = bridges.roll_back("dead")
    assert back.code == 0, back.said
    back.has("node1 restored itself at ", "Everything is as it was before.")
    assert bridges.state() == before
    bridges.nothing_left()
    scene.behave(Settings())
    scene.await_antrea_settled()
    assert bridges.roll_back("dead").code == 0


@pytest.mark.full
def test_a_foreign_checkpoint_at_the_last_moment_stops_it_before_anything_is_written(
    bridges: Bridges,
) -> None:
    before, writes = bridges.state(), len(bridges.writes())
    run = bridges.start(run="late")
    run.await_said("Take the lock", 120)
    where = bridges.window.folder / "foreign.yml"
    where.write_text(_FOREIGN)
    inventory = ["-i", str(bridges.scene.lab.inventory)]
    # It stands still meanwhile, between its last look at the nodes and its own checkpoints.
    run.process.send_signal(signal.SIGSTOP)
    try:
        foreign = bridges.window.play(str(where), *inventory)
    finally:
        run.process.send_signal(signal.SIGCONT)
    assert foreign.code == 0, foreign.said
    ended = run.end()
    assert ended.code != 0
    ended.has("Checkpoint 'foreign' is armed")
    assert not [w for w in bridges.writes()[writes:] if "configmaps" in w]
    assert bridges.state() == before


@pytest.mark.full
@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"interfaces": ["eth0", "eth1"]}, "with several NICs Antrea moves no addresses"),
        ({"interfaces": ["eth0"]}, "antrea_secondary_network_allow_primary=true"),
        ({"interfaces": ["eth7"]}, "eth7 does not exist on node1, node2"),
    ],
)
def test_what_would_cut_nodes_off_is_refused(
    bridges: Bridges, variables: dict[str, list[str]], words: str
) -> None:
    before, writes = bridges.state(), bridges.writes()
    run = bridges.set(**variables)
    assert run.code != 0
    run.has("REFUSED", "Nothing was changed.", words)
    assert (bridges.state(), bridges.writes()) == (before, writes)


@pytest.mark.full
def test_a_nic_that_one_node_lacks_is_refused_with_its_name(bridges: Bridges) -> None:
    lab = bridges.scene.lab
    lab.plug(FIRST, name="eth9")
    try:
        run = bridges.set(interfaces=["eth9"])
    finally:
        lab.unplug(FIRST, "eth9")
    assert run.code != 0
    run.has("eth9 does not exist on node2: Antrea's agent would not start there")


@pytest.mark.full
def test_versions_with_their_bugs_are_refused(bridges: Bridges) -> None:
    scene = bridges.scene
    try:
        set_version(scene, "v2.6.0")
        run = bridges.set()
        assert run.code != 0
        run.has("AntreaIPAM is off", "(#7556)")
        set_version(scene, "v2.0.1")
        run = bridges.set(**PRIMARY)
        assert run.code != 0
        run.has("v2.0.1 must not be given a primary NIC", "#6448")
    finally:
        set_version(scene, "v2.3.0")


@pytest.mark.full
def test_a_node_that_is_not_reached_blocks_unless_it_is_named(bridges: Bridges) -> None:
    away = bridges.folder / "away.yml"
    away.write_text("k8snet_hosts: {hosts: {node2: {ansible_host: 10.160.1.99}}}\n")
    words = ("-i", str(away))
    writes = bridges.writes()
    run = bridges.set(*words)
    assert run.code != 0
    run.has("node2 was not visited: unreachable", "k8snet_accept_unseen")
    assert bridges.writes() == writes
    run = bridges.set(*words, accept_unseen=[SECOND])
    assert run.code == 0, run.said
    assert (bridges.on_bridge(FIRST), bridges.on_bridge(SECOND)) == (True, False)


@pytest.mark.full
def test_several_nics_become_uplinks_and_are_free_again(bridges: Bridges) -> None:
    scene, nics = bridges.scene, ["eth2", "eth3"]
    # Each in a VLAN of its own: the bridge forwards between them, and two in one would be a loop.
    for tag, (node, nic) in enumerate(itertools.product(scene.nodes, nics), 301):
        scene.lab.plug(node, name=nic, tag=tag)
    try:
        before = bridges.state()
        scene.at_step(SECOND, "settled", "stop")
        run = bridges.start(run="several", interfaces=nics, timeout=PATIENT)
        bridges.await_during(run, lambda: bridges.ports(SECOND) == nics, "node2 has both")
        scene.vsctl(SECOND, f"del-port {BRIDGE} eth3")
        scene.kill_agent(SECOND, "CONT")
        ended = run.end()
        assert ended.code != 0
        # The first node was confirmed by then: it went back through its agent, which leaves both.
        assert "node1 restored itself" not in ended.text
        ended.has("node2: eth3 is not on br-secondary.", "Everything is as it was before.")
        assert bridges.state() == before
        assert not any(bridges.there(node) for node in scene.nodes)
        bridges.nothing_left()

        done = bridges.set(interfaces=nics, timeout=PATIENT)
        assert done.code == 0, done.said
        done.has(f"eth2 none becomes an uplink of {BRIDGE}", "make a loop")
        for node in scene.nodes:
            assert bridges.ports(node) == nics
        again = bridges.set(interfaces=nics)
        assert (again.code, again.changed) == (0, 0), again.said
        gone = bridges.set(state="absent", interfaces=[], timeout=PATIENT)
        assert gone.code == 0, gone.said
        assert not any(bridges.there(node) for node in scene.nodes)
        after = bridges.state()
        assert {n: after[n] for n in scene.nodes} == {n: before[n] for n in scene.nodes}
        bridges.nothing_left()
    finally:
        bridges.repair()
        scene.secondary([])
        for node in scene.nodes:
            scene.restart_agent(node)
        scene.await_antrea_settled()
        bridges.sweep()
        for node, nic in itertools.product(scene.nodes, nics):
            scene.lab.unplug(node, nic)


@pytest.mark.full
def test_from_v2_7_nodes_are_given_to_an_antrea_node_config_one_by_one(bridges: Bridges) -> None:
    scene, former = bridges.scene, bridges.conf()
    try:
        gates(scene, AntreaIPAM=True, SecondaryNetwork=False)
        set_version(scene, "v2.7.0")
        before = bridges.state()
        done = bridges.set(timeout=PATIENT)
        assert done.code == 0, done.said
        done.has(f"{BRIDGE} with {NIC} through AntreaNodeConfig")
        assert bridges.node_configs() == [f"k8snet-{BRIDGE}"]
        for node in scene.nodes:
            assert bridges.on_bridge(node)
            assert bridges.label(node) == BRIDGE

        gone = bridges.set(state="absent", timeout=PATIENT)
        assert gone.code == 0, gone.said
        assert not any(bridges.there(node) for node in scene.nodes)
        assert bridges.node_configs() == []
        assert [bridges.label(node) for node in scene.nodes] == [None, None]
        assert {n: bridges.network(n) for n in scene.nodes} == {n: before[n] for n in scene.nodes}

        # The gate is on from here on, so that no agent restarts; the second one dies in mid-move.
        before = bridges.state()
        scene.at_step(SECOND, "renamed")
        run = bridges.set(timeout=PATIENT)
        assert run.code != 0
        run.has("node2: eth1 is not on br-secondary", "Everything is as it was before.")
        assert bridges.node_configs() == []
        assert [bridges.label(node) for node in scene.nodes] == [None, None]
        assert not any(bridges.there(node) for node in scene.nodes)
        assert bridges.state() == before
        bridges.nothing_left()
    finally:
        bridges.repair()
        scene.call("PATCH", CONFIG_MAP, {"data": former})
        set_version(scene, "v2.3.0")


def gates(scene: Scene, **values: bool) -> None:
    """Set feature gates, and no bridge."""
    scene.secondary([])
    data = scene.call("GET", CONFIG_MAP)["data"]
    new = {}
    for file, known in (
        ("antrea-agent.conf", values),
        ("antrea-controller.conf", {"AntreaIPAM": values["AntreaIPAM"]}),
    ):
        lines = "".join(f"  {name}: {str(value).lower()}\n" for name, value in known.items())
        new[file] = re.sub(
            r"(?m)^featureGates:.*\n", f"featureGates:\n{lines}", data[file], count=1
        )
        assert new[file] != data[file]
    scene.call("PATCH", CONFIG_MAP, {"data": new})


def set_version(scene: Scene, version: str) -> None:
    scene.set_version(version)
    for node in scene.nodes:
        await_that(
            lambda node=node: scene.agent_state(node).get("version"),  # type: ignore[misc]
            lambda now: now == version,
            f"{node} runs {version}",
            120,
        )
    scene.await_antrea_settled()


_FOREIGN = """\
- hosts: node2
  gather_facts: false
  tasks:
    - name: Arm another checkpoint
      k8snet.cni.network_checkpoint:
        state: armed
        id: foreign
        timeout: 600
      become: true
"""
