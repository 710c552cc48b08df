# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook antrea_flow_restore on nodes that flow-restore-wait has cut off, or may have."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.antrea.conftest import cut_off
from tests.integration.antrea.outage import Outage
from tests.integration.antrea.window import Run, Window
from tests.lab.actors import antrea_rules
from tests.lab.antrea_scene import WELL, Settings, await_that

pytestmark = pytest.mark.lab

NODE, OTHER = "node1", "node2"
ADDRESS, OTHERS = "10.160.1.21", "10.160.1.22"
OOB = ["{{ lab_oob_address }}"]
CLEARED = '"flow-restore-wait": "true"'

#: The lab's watchdog looks every 5 s, its agents live a few seconds without the API.
QUICK: dict[str, Any] = {
    "antrea_flow_restore_min_age": 5,
    "antrea_flow_restore_agent_min_age": 2,
    "antrea_flow_restore_patience": 40,
    "antrea_flow_restore_watch": 10,
    "antrea_flow_restore_poll": 2,
    "antrea_flow_restore_wait_timeout": 30,
    "antrea_flow_restore_heal_timeout": 90,
}


def restore(window: Window, *arguments: str, oob: bool = True, **variables: Any) -> Run:
    return window.play("antrea_flow_restore", *arguments, **settings(oob, **variables))


def settings(oob: bool = True, **variables: Any) -> dict[str, Any]:
    named = {f"antrea_flow_restore_{key}": value for key, value in variables.items()}
    return {**QUICK, "antrea_flow_restore_addresses": OOB if oob else [], **named}


def shown(run: Run) -> list[str]:
    """The plan as printed, without what differs from moment to moment."""
    lines = run.task("Show the plan").splitlines()[1:]
    return [re.sub(r"\d+ s", "N s", line) for line in lines if line and "localhost" not in line]


@pytest.fixture
def node(window: Window) -> Iterator[str]:
    """The node of the founding incident, and how long its users were without it."""
    with Outage(window.scene.lab, ADDRESS) as outage:
        cut_off(window.scene, NODE)
        yield NODE
        await_that(lambda: window.scene.answers(NODE), bool, "the node answers", 10)
    print(f"measured: {outage.loss}")


def test_a_node_that_is_cut_off_is_found_and_repaired_over_out_of_band(
    window: Window, node: str
) -> None:
    scene = window.scene
    other = window.folder / "oob.yml"
    by_oob = {"ansible_host": "{{ lab_oob_address }}"}
    other.write_text(json.dumps({"k8snet_hosts": {"hosts": dict.fromkeys(scene.nodes, by_oob)}}))
    audit = window.play("audit", "-i", str(other), audit_flow_restore_min_age=1)
    assert audit.code != 0
    audit.has("CRITICAL OVS001 node1", "the node's own NIC eth0~ is on a bridge: it may be cut off")
    audit.has("ansible-playbook k8snet.cni.antrea_flow_restore -i <inventory>")

    check = restore(window, "--check", "--diff")
    assert check.code == 0
    assert scene.flag(node) is True
    done = restore(window, "--diff")
    assert done.code == 0, done.said
    assert shown(check) == shown(done)
    assert re.search(rf"{node} +169\.254\.77\.11 +set +clear$", done.said, re.MULTILINE)
    assert re.search(rf"{OTHER} +{OTHERS} +not set$", done.said, re.MULTILINE)
    assert CLEARED in check.task("Clear flow-restore-wait")
    assert check.task("Clear flow-restore-wait") == done.task("Clear flow-restore-wait")
    assert (check.changed, done.changed) == (1, 1)
    done.has(f"{node}: cleared at ", f"{node}: Ready, its agent has reported at ")
    assert scene.antrea(node) == WELL

    again = restore(window)
    assert (again.code, again.changed) == (0, 0)
    again.has("Nothing is to be done.", "Nothing was to be done.")


def test_a_node_that_nobody_reaches_gets_a_page_whose_commands_clear_it(
    window: Window, node: str
) -> None:
    scene = window.scene
    run = restore(window, oob=False)
    assert run.code != 0
    run.has("NODE node1 CANNOT BE REACHED", f"Tried {ADDRESS}: ")
    run.has(
        "LEFT TO YOU node1 cannot be reached, though its agent reported ",
        "its page says what to type at its console.",
    )
    assert scene.flag(node) is True
    path = window.folder / "k8snet-consoles" / "node1.txt"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    page = path.read_text()
    assert page.strip() in run.said
    run.has(f"This page is kept in {path}")

    def typed(line: str) -> str:
        """What a line of the page, as it stands there, prints on the node's shell."""
        done = scene.lab.ssh(node, "sudo bash -e", oob=True, input=line, stdin=None)
        return done.stdout

    see, clear = re.findall(r"^   (python3 -c .*)$", page, re.MULTILINE)
    assert '"flow-restore-wait","true"' in typed(see)
    assert re.search(rf"^eth0 .*{ADDRESS}", typed("ip -br address"), re.MULTILINE)
    assert re.search(r"^eth0~ [^.]*$", typed("ip -br -4 address; ip -br link"), re.MULTILINE)
    assert f"eth0 with {ADDRESS}, and beside it eth0~" in page
    assert '"count":1' in typed(clear)
    assert "flow-restore-wait" not in typed(see)
    (ping,) = re.findall(r"^   (ping .*)$", page, re.MULTILINE)
    typed(ping)  # fails when nobody answers
    scene.await_antrea_settled([node])


@pytest.mark.full
def test_the_guard_brings_a_node_back_by_itself_and_leaves_nothing(window: Window) -> None:
    scene = window.scene
    guard = {"guard": "present", "guard_minutes": 1, "guard_interval": 5}
    check = restore(window, "--check", **guard)
    assert (check.code, check.changed) == (0, 2)
    check.has("Guard present: on 2 nodes.")
    for changed in (2, 0):
        run = restore(window, **guard)
        assert (run.code, run.changed) == (0, changed), run.said
    unit = scene.on(NODE, "systemctl cat k8snet-flow-restore-guard.service")
    assert "--api-server=10.160.1.1:6443 " in unit
    assert f"--node-address={ADDRESS}\n" in unit
    with Outage(scene.lab, ADDRESS) as outage:
        cut_off(scene, NODE)
        await_that(lambda: scene.answers(NODE), bool, "the node comes back by itself", 240)
        scene.await_antrea_settled([NODE])
    print(f"measured: with the guard, after one minute: {outage.loss}")
    run = restore(window, guard="absent")
    assert (run.code, run.changed) == (0, 2)
    for node in scene.nodes:
        assert scene.on(node, "find / /run -xdev -name '*flow-restore-guard*'") == ""
    assert restore(window, guard="absent").changed == 0


@pytest.mark.full
def test_a_node_that_is_not_cut_off_keeps_its_policies_unless_forced(window: Window) -> None:
    scene = window.scene
    scene.at_step(NODE, "config", "stop")
    scene.restart_agent(NODE)
    await_that(lambda: scene.flag(NODE), lambda flag: flag is True, "the flag is set")
    run = restore(window, "--diff")
    assert run.code != 0
    assert run.changed == 0
    assert re.search(rf"{NODE} +{ADDRESS} +set +REFUSED$", run.said, re.MULTILINE)
    run.has("LEFT TO YOU node1: flow-restore-wait is set", "without network policies")
    assert scene.flag(NODE) is True

    forced = window.start("antrea_flow_restore", **settings(force=True))
    await_that(lambda: scene.flag(NODE), lambda flag: flag is False, "it is cleared", 120)
    scene.kill_agent(NODE, "CONT")
    run = forced.end()
    assert run.code == 0, run.said
    assert run.changed == 1
    run.has("WARNING node1: Network policies are off on br-int until antrea-agent is back")


@pytest.mark.full
def test_a_flag_that_the_living_agent_clears_is_left_to_it(window: Window) -> None:
    scene = window.scene
    scene.kill_agent(NODE, "STOP")
    scene.kill_vswitchd(NODE)
    await_that(lambda: scene.flag(NODE), lambda flag: flag is True, "the watchdog sets the flag")
    run = window.start("antrea_flow_restore", **settings(min_age=120, patience=150))
    run.await_said("RETRYING: [node1]: Look at flow-restore-wait")
    scene.kill_agent(NODE, "CONT")
    ended = run.end()
    assert (ended.code, ended.changed) == (0, 0), ended.said
    assert re.search(rf"{NODE} +{ADDRESS} +not set$", ended.said, re.MULTILINE)


@pytest.mark.full
def test_a_flag_that_comes_back_is_told_and_the_next_node_is_not_touched(window: Window) -> None:
    scene = window.scene
    cut_off(scene, NODE, OTHER)
    run = window.start("antrea_flow_restore", **settings())
    run.await_said("See whether the flag stays away")
    scene.vsctl(NODE, "set Open_vSwitch . other_config:flow-restore-wait=true")
    ended = run.end()
    assert ended.code != 0
    assert ended.changed == 1
    ended.has("clear first", "LEFT TO YOU node1: flow-restore-wait was cleared and is set again.")
    ended.has("LEFT TO YOU node2 was not touched, because node1 failed.")
    assert scene.flag(OTHER) is True


@pytest.mark.full
def test_without_the_api_the_node_is_repaired_and_what_was_not_seen_is_told(
    window: Window, node: str
) -> None:
    run = restore(window, "--limit", f"{node},localhost", kubeconfig="/nonexistent/kubeconfig")
    assert run.code == 0, run.said
    run.has("NOT SEEN The cluster: ", "/nonexistent/kubeconfig", "NOT SEEN Whether the agents heal")
    run.has(f"{node}: cleared at ")
    window.scene.await_antrea_settled([node])


@pytest.mark.full
def test_a_limit_without_the_controller_is_refused(window: Window) -> None:
    run = restore(window, "--limit", NODE)
    assert run.code != 0
    run.has("Nothing was changed. Name the controller too: -l node1,localhost")


@pytest.mark.full
def test_an_agent_that_cannot_start_with_its_nic_attached_is_told_with_the_remedy(
    window: Window,
) -> None:
    scene = window.scene
    cut_off(scene, NODE)
    scene.behave(Settings(behaviour=antrea_rules.BEHAVIOURS), [NODE])
    try:
        run = restore(window, heal_timeout=75)
        assert run.code != 0
        assert scene.flag(NODE) is False
        assert scene.answers(NODE)
        run.has(
            f"{NODE}: cleared at ",
            f"LEFT TO YOU {NODE}: flow-restore-wait is cleared, but antrea-agent ends at each",
            "it said: eth0: attached already",
            "when eth0 is in bridge br-secondary already (#6666)",
            "Upgrade Antrea to v2.2 or newer, or take the secondary bridge away",
        )
    finally:
        # One that starts gives the NIC back when it ends.
        scene.behave(Settings(), [NODE])
        scene.await_antrea_settled([NODE])
