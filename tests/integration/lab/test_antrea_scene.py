# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Antrea in the lab plays its part: the founding incident, the NIC move, its end in every way."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.lab.actors import antrea_rules
from tests.lab.antrea_scene import WELL, Settings, await_that
from tests.lab.lab import Lab
from tests.lab.scene import Scene

pytestmark = pytest.mark.lab

#: One node suffices: what is cut off is seen from the lab's host.
NODE = "node1"
FIXED = "v2.3.0"
ADDRESS = "172.31.66.11/24"


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    with Lab.up(1, api=True, name=f"antrea-{os.getpid()}") as lab:
        found = Scene(lab)
        found.set("antrea", version=FIXED)
        yield found


@pytest.fixture
def plugged(scene: Scene) -> Iterator[str]:
    """A second NIC, with an address and a route."""
    nic = str(scene.lab.plug(NODE, address=ADDRESS, nowhere=True)["name"])
    scene.on(NODE, f"ip route add 172.31.77.0/24 via 172.31.66.1 dev {nic}")
    try:
        yield nic
    finally:
        scene.secondary([])
        scene.restart_agent(NODE)
        scene.lab.unplug(NODE, nic)
        scene.await_antrea_settled()


def links(scene: Scene) -> dict[str, str]:
    """Device -> its IPv4 address, "" without one."""
    out = scene.on(NODE, "ip -br link").splitlines()
    found = dict.fromkeys((line.split()[0].partition("@")[0] for line in out), "")
    for line in scene.on(NODE, "ip -br -4 address").splitlines():
        name, _state, *addresses = line.split()
        found[name.partition("@")[0]] = " ".join(addresses)
    return found


def routes(scene: Scene, device: str) -> set[str]:
    out = scene.on(NODE, f"ip route show dev {device}").splitlines()
    return {line.replace("linkdown", "").strip() for line in out}


def test_an_agent_is_a_process_of_that_name_with_flows_and_heartbeats(scene: Scene) -> None:
    assert scene.antrea(NODE) == WELL
    pid = scene.agent_pid(NODE)
    assert scene.agent_state(NODE)["pid"] == pid
    assert scene.agent_info(NODE)["version"] == FIXED
    flows = "env OVS_RUNDIR=/run/antrea/openvswitch ovs-ofctl dump-flows br-int"
    number = int(str(scene.vsctl(NODE, "br-get-external-id br-int roundNum")))
    assert f"cookie={number << 48 | 2 << 40:#x}" in scene.on(NODE, flows)
    scene.kill_agent(NODE)
    await_that(lambda: scene.agent_pid(NODE), lambda now: now not in (None, pid), "a new process")
    scene.await_antrea_settled()


def test_kubelet_may_stop_while_the_agent_goes_on_and_the_node_becomes_unknown(
    scene: Scene,
) -> None:
    pid = scene.agent_pid(NODE)
    scene.on(NODE, "systemctl stop kubelet")
    await_that(lambda: scene.node_ready(NODE), lambda now: now == "Unknown", "it is Unknown")
    assert scene.agent_pid(NODE) == pid
    assert scene.heartbeat_age(NODE) < 5
    scene.on(NODE, "systemctl start kubelet")
    scene.await_antrea_settled()
    assert scene.agent_pid(NODE) == pid


def test_a_living_agent_clears_the_flag_of_a_killed_vswitchd(scene: Scene) -> None:
    pid = scene.agent_pid(NODE)
    scene.kill_vswitchd(NODE)
    await_that(
        lambda: scene.agent_log(NODE),
        lambda log: "flows replayed" in log,
        "the flows are replayed",
    )
    scene.await_antrea_settled()
    assert scene.agent_pid(NODE) == pid


def test_a_nic_moves_into_the_bridge_and_back_when_the_pod_goes(scene: Scene, plugged: str) -> None:
    before = links(scene), routes(scene, plugged)
    scene.secondary([plugged])
    scene.restart_agent(NODE)
    scene.await_antrea_settled()
    assert set(str(scene.vsctl(NODE, "list-ports br-secondary")).split()) == {
        plugged,
        f"{plugged}~",
    }
    kind = scene.vsctl(NODE, f"get port {plugged}~ external_ids:antrea-type")
    assert kind == "uplink"
    now = links(scene)
    assert (now[plugged], now[f"{plugged}~"]) == (ADDRESS, "")
    assert routes(scene, plugged) == before[1]

    scene.secondary([])
    scene.restart_agent(NODE)
    scene.await_antrea_settled()
    now = links(scene)
    del now["br-secondary"]
    assert (now, routes(scene, plugged)) == before


def test_killed_in_mid_move_it_leaves_the_renamed_nic_and_never_starts_again(
    scene: Scene, plugged: str
) -> None:
    scene.secondary([plugged])
    scene.at_step(NODE, "renamed")
    scene.restart_agent(NODE)
    await_that(
        lambda: scene.agent_state(NODE).get("why", ""),
        lambda why: f"failed to get link {plugged}" in why,
        "it does not find its NIC",
    )
    found = links(scene)
    assert plugged not in found
    assert f"{plugged}~" in found
    assert scene.flag(NODE) is False
    # By hand, as a user would.
    scene.on(NODE, f"ip link set {plugged}~ down")
    scene.on(NODE, f"ip link set {plugged}~ name {plugged}")
    scene.on(NODE, f"ip link set {plugged} up")
    scene.await_antrea_settled()


def test_bad_configuration_ends_the_agent_with_its_reason(scene: Scene) -> None:
    scene.secondary(["eth1"], bridge="br-int")
    scene.restart_agent(NODE)
    await_that(
        lambda: scene.agent_state(NODE).get("why", ""),
        lambda why: "br-int is the one of ovsBridge" in why,
        "it says why",
    )
    scene.secondary([])
    scene.await_antrea_settled()


def test_the_founding_incident(scene: Scene) -> None:
    """v2.0's order cuts the node off for good; the key removed by hand brings it back."""
    assert antrea_rules.UPLINK_FIRST in antrea_rules.behaviours((2, 0, 1))
    # Of v2.0.1's two bugs the one: by the other no restarted agent would heal (#6666).
    scene.behave(Settings(behaviour=(antrea_rules.UPLINK_FIRST,)))
    scene.secondary(["eth0"])
    scene.set_version("v2.0.1")
    await_that(lambda: scene.answers(NODE), lambda answers: not answers, "the node is cut off")
    await_that(lambda: scene.node_ready(NODE), lambda now: now == "Unknown", "it is Unknown")
    first = scene.agent_pid(NODE)
    await_that(
        lambda: scene.agent_pid(NODE), lambda now: now not in (None, first), "it restarts in vain"
    )
    ssh = scene.lab.ssh(NODE, "true", check=False)
    assert ssh.returncode != 0
    assert scene.flag(NODE) is True
    assert not scene.answers(NODE)
    assert scene.on(NODE, "hostname").strip() == NODE

    scene.vsctl(NODE, "remove Open_vSwitch . other_config flow-restore-wait")
    await_that(lambda: scene.answers(NODE), bool, "the node answers", 10)
    scene.await_antrea_settled()
    assert links(scene)["eth0"] == "10.160.1.21/24"

    scene.secondary([])
    scene.behave(Settings())
    scene.set_version(FIXED)
    await_that(lambda: scene.agent_state(NODE).get("version"), lambda v: v == FIXED, "it is fixed")
    scene.await_antrea_settled()
    assert scene.answers(NODE)


def test_a_later_version_can_be_cut_off_too_and_all_is_back_after_a_reboot(scene: Scene) -> None:
    scene.secondary(["eth0"])
    scene.restart_agent(NODE)
    scene.await_antrea_settled()
    scene.stick(NODE)
    await_that(lambda: scene.answers(NODE), lambda answers: not answers, "the node is cut off")
    await_that(lambda: scene.node_ready(NODE), lambda now: now == "Unknown", "it is Unknown")
    assert scene.flag(NODE) is True
    scene.vsctl(NODE, "remove Open_vSwitch . other_config flow-restore-wait")
    await_that(lambda: scene.answers(NODE), bool, "the node answers", 10)
    scene.await_antrea_settled()

    pod = scene.agent_pod(NODE)["metadata"]["uid"]
    scene.lab.kill(NODE)
    await_that(lambda: scene.node_ready(NODE), lambda now: now == "Unknown", "it is Unknown")
    scene.lab.start(NODE)
    scene.await_antrea_settled()
    assert scene.agent_pod(NODE)["metadata"]["uid"] == pod
    assert {"eth0", "eth0~"} <= set(links(scene))
    assert scene.answers(NODE)
    scene.secondary([])
    scene.restart_agent(NODE)
    scene.await_antrea_settled()
    assert "eth0~" not in links(scene)
