# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Antrea's layout on a lab node: the kernel's datapath, the socket where the DaemonSet puts it."""

from __future__ import annotations

import pytest

from tests.integration.ovs.node import PYTHON_3_9, LabNode

pytestmark = pytest.mark.lab
SOCKET = "/var/run/antrea/openvswitch/db.sock"
VSCTL = f"ovs-vsctl --db=unix:{SOCKET}"

# What the agent does with one physicalInterface (pkg/agent/util/net_linux.go): the NIC is renamed
# and becomes the uplink, an internal port takes its name, its MAC and its addresses.
MOVE = f"""
mac=$(cat /sys/class/net/eth1/address)
ip link set eth1 down
ip link set eth1 name eth1~
ip link set eth1~ up
{VSCTL} add-br br-secondary
{VSCTL} add-port br-secondary eth1~ -- set port eth1~ external_ids:antrea-type=uplink
{VSCTL} add-port br-secondary eth1 -- set interface eth1 type=internal mac=\\"$mac\\" \\
  -- set port eth1 external_ids:antrea-type=host
ip address flush dev eth1~
ip address add 10.160.1.99/24 dev eth1
ip link set eth1 up
"""
INT = f"""
{VSCTL} add-br br-int -- set bridge br-int fail_mode=secure external_ids:roundNum=1
{VSCTL} add-port br-int antrea-gw0 -- set interface antrea-gw0 type=internal
{VSCTL} add-port br-int antrea-tun0 -- set interface antrea-tun0 type=geneve options:remote_ip=flow
"""


@pytest.fixture(scope="module")
def node():
    with LabNode("ovsfacts") as node:
        yield node


def ovs(node, **options):
    found = node.fact("ovs_facts", **options)
    assert "ansible_facts" in found, found
    return found["ansible_facts"]["k8snet_ovs"]


def test_a_node_from_before_to_after_antrea(node):
    before = node.modules()
    found = ovs(node)
    assert (found["present"], found["error"]) == (False, None)
    assert node.modules() == before

    node.lab.plug("node1", name="eth1", address="10.160.1.99/24")
    node.sh("systemctl start lab-ovs")
    node.sh(INT + MOVE)
    before = node.modules()
    found = ovs(node)
    assert node.modules() == before
    assert found["socket"] == SOCKET
    assert found["vswitchd_running"] is True
    assert found["cur_cfg"] == found["next_cfg"]
    assert found["flow_restore_wait"] is False
    assert [(b["name"], b["datapath_type"], b["uplinks"]) for b in found["bridges"]] == [
        ("br-int", "system", []),
        ("br-secondary", "system", ["eth1~"]),
    ]
    moved = {"nic": "eth1~", "bridge": "br-secondary", "internal_port": "eth1"}
    assert found["enslaved"] == [{**moved, "addresses_on": "eth1", "by_antrea": True}]

    # The same from the oldest Python that nodes may have.
    old = ovs(node, python=PYTHON_3_9)
    assert {**old, "vswitchd_uptime": 0} == {**found, "vswitchd_uptime": 0}


def test_flow_restore_wait_left_on_after_a_restart(node):
    node.sh(f"{VSCTL} --no-wait set Open_vSwitch . other_config:flow-restore-wait=true")
    uptime = ovs(node)["vswitchd_uptime"]
    node.sh("systemctl restart lab-ovs")
    found = ovs(node)
    assert found["flow_restore_wait"] is True
    assert found["vswitchd_running"] is True
    assert found["vswitchd_uptime"] <= uptime + 60
    node.sh(f"{VSCTL} remove Open_vSwitch . other_config flow-restore-wait")
    assert ovs(node)["flow_restore_wait"] is False


def test_an_agent_killed_in_mid_move_leaves_a_nic_without_a_bridge(node):
    node.sh(f"{VSCTL} del-br br-secondary")
    (left,) = ovs(node)["enslaved"]
    nowhere = {"bridge": None, "internal_port": None, "addresses_on": None}
    assert left == {"nic": "eth1~", **nowhere, "by_antrea": False}


def test_a_database_without_its_switch_and_a_socket_without_its_database(node):
    node.sh("systemctl stop lab-ovs")
    found = ovs(node)
    assert (found["vswitchd_running"], found["error"]) == (False, None)
    node.sh("systemctl kill -s KILL lab-ovsdb; while systemctl -q is-active lab-ovsdb; do :; done")
    node.sh(f"mkdir -p {SOCKET.rpartition('/')[0]}; rm -f {SOCKET}; touch {SOCKET}")
    found = ovs(node)
    assert found["present"] is True
    assert "Not a unix socket" in found["error"]
    assert "Not a unix socket" in node.fact("ovs_facts", socket=SOCKET)["msg"]
