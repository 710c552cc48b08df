# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisor's switch, NICs that come and go, and a node that locks itself out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.lab.conftest import until
from tests.lab.errors import LabError
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

OVSDB = "--db=unix:/var/run/antrea/openvswitch/db.sock"

#: What Antrea's SecondaryNetwork does to a node's only NIC; a bug of it does so before the switch
#: has been told to forward (flow-restore-wait).
MOVE_NIC_INTO_BRIDGE = f"""
set -e
systemctl start lab-ovs
address=$(cat /sys/class/net/eth0/address)
ip address flush dev eth0
ip link set eth0 down
ip link set eth0 name eth0~
ovs-vsctl {OVSDB} add-br br-secondary -- add-port br-secondary eth0~ \
    -- add-port br-secondary eth0 -- set interface eth0 type=internal "mac=\\"$address\\""
ip link set eth0~ up
ip address add 10.160.1.21/24 dev eth0
ip link set eth0 up
ip route add default via 10.160.1.1 dev eth0
"""


def answers(lab: Lab, address: str) -> bool:
    """Whether a node accepts TCP connections, as seen from the lab's host."""
    connect = f"exec 3<>/dev/tcp/{address}/22"
    return lab.exec(["timeout", "1", "bash", "-c", connect], capture_output=True).returncode == 0


def devices(lab: Lab, node: str) -> dict[str, dict[str, Any]]:
    """The node's network devices by name, as `ip` shows them there."""
    shown = lab.ssh(node, "ip -j address", oob=True).stdout
    return {device["ifname"]: device for device in json.loads(shown)}


def test_nodes_reach_the_host_and_each_other_and_nothing_else(own_lab: Lab) -> None:
    own_lab.ssh("n1", "ping -c 1 -W 2 10.160.1.1 && ping -c 1 -W 2 10.160.1.22")
    assert own_lab.ssh("n1", "ping -c 1 -W 1 169.254.77.77", check=False).returncode == 1
    assert own_lab.ssh("n1", "ping -c 1 -W 1 10.160.1.77", check=False).returncode == 1


def test_a_vlan_passes_only_with_the_trunk_on_both_ports(own_lab: Lab) -> None:
    for number in (1, 2):
        script = "ip link add link eth0 name eth0.181 type vlan id 181"
        script += f" && ip address add 172.18.181.1{number}/24 dev eth0.181"
        own_lab.ssh(f"n{number}", f"sudo sh -c '{script} && ip link set eth0.181 up'")

    def ping() -> bool:
        done = own_lab.ssh("n1", "ping -c 1 -W 1 172.18.181.12", check=False)
        return done.returncode == 0

    assert ping()
    own_lab.trunk("n2", [])
    assert not ping()
    assert answers(own_lab, "10.160.1.22"), "the untagged VLAN goes on"
    own_lab.trunk("n2", [181, 182])
    until(ping, 5, "VLAN 181 does not pass with the trunk back")
    for node in ("n1", "n2"):
        own_lab.ssh(node, "sudo ip link delete eth0.181")


def test_a_hot_plugged_nic_appears_on_the_running_node_and_unplugging_removes_it(
    own_lab: Lab,
) -> None:
    nic = own_lab.plug("n1", address="172.31.66.11/24", name="ens19", nowhere=True)
    found = devices(own_lab, "n1")["ens19"]
    assert (found["address"], found["operstate"]) == (nic["mac"], "UNKNOWN")
    assert "LOWER_UP" in found["flags"]
    assert found["addr_info"][0]["local"] == "172.31.66.11"
    newest = max(devices(own_lab, "n1").values(), key=lambda device: device["ifindex"])
    assert newest["ifname"] == "ens19"
    own_lab.unplug("n1", "ens19")
    assert "ens19" not in devices(own_lab, "n1")


def test_a_nic_plugged_into_a_vlan_meets_its_peer_there_and_nowhere_meets_nobody(
    own_lab: Lab,
) -> None:
    for number, where in ((1, {"tag": 30}), (2, {"tag": 30})):
        own_lab.plug(f"n{number}", address=f"10.30.0.{number}/24", **where)
        own_lab.plug(f"n{number}", address=f"10.31.0.{number}/24", nowhere=True)
    own_lab.ssh("n1", "ping -c 1 -W 2 10.30.0.2")
    assert own_lab.ssh("n1", "ping -c 1 -W 1 10.31.0.2", check=False).returncode == 1
    for node in ("n1", "n2"):
        for name in ("eth2", "eth1"):
            own_lab.unplug(node, name)


def test_what_cannot_be_plugged_is_refused_with_the_reason(own_lab: Lab) -> None:
    with pytest.raises(LabError, match="node1 has a NIC eth0 already"):
        own_lab.plug("n1", name="eth0")
    with pytest.raises(LabError, match=r"node1 has no NIC eth7\. It has eth0, oob0"):
        own_lab.unplug("n1", "eth7")
    with pytest.raises(LabError, match=r"has no node9\. It has node1, node2"):
        own_lab.plug("n9")


def test_a_reboot_comes_back_with_the_nics_plugged_meanwhile(own_lab: Lab) -> None:
    own_lab.ssh("n2", "sudo touch /run/before-reboot /var/tmp/kept && sync")
    own_lab.plug("n2", address="10.30.0.2/24")
    own_lab.reboot("n2")
    own_lab.ssh("n2", "test -e /var/tmp/kept -a ! -e /run/before-reboot")
    assert devices(own_lab, "n2")["eth1"]["addr_info"][0]["local"] == "10.30.0.2"
    own_lab.unplug("n2", "eth1")


@pytest.mark.full
def test_a_node_can_be_stopped_killed_and_started(own_lab: Lab) -> None:
    def state() -> str:
        return str(own_lab.status()["nodes"][1]["state"])

    own_lab.stop("n2")
    assert state() == "stopped"
    with pytest.raises(LabError, match=r"node2 is stopped\. 'lab start node2' boots it"):
        own_lab.reboot("n2")
    own_lab.start("n2")
    own_lab.kill("n2")
    assert state() == "stopped"
    assert not answers(own_lab, "10.160.1.22")
    own_lab.start("n2")
    assert own_lab.ssh("n2", "hostname").stdout == "node2\n"
    own_lab.ssh("n2", "sudo systemd-run --on-active=0 systemctl reboot")
    until(lambda: state() == "booting", 10, "the node did not reboot by itself")
    own_lab.await_node("n2")


def test_flow_restore_wait_locks_a_node_out_until_it_is_cleared_out_of_band(own_lab: Lab) -> None:
    def at_console(script: str) -> None:
        own_lab.ssh("n1", "sudo bash -s", oob=True, stdin=None, input=script)

    at_console(
        f"systemctl start lab-ovsdb && ovs-vsctl {OVSDB} --no-wait set Open_vSwitch ."
        " other_config:flow-restore-wait=true"
    )
    at_console(MOVE_NIC_INTO_BRIDGE)
    assert not answers(own_lab, "10.160.1.21")
    assert answers(own_lab, "169.254.77.11"), "out of band it must be reachable"
    at_console(f"ovs-vsctl {OVSDB} --no-wait remove Open_vSwitch . other_config flow-restore-wait")
    until(lambda: answers(own_lab, "10.160.1.21"), 5, "the node is still locked out")
    own_lab.ssh("n1", "hostname")
