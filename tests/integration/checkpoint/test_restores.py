# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a restore brings back on a node with a real kernel, whatever was done to its only NIC."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.integration.checkpoint.hands import ADDRESS, GATEWAY, MOVE, OVS, Node

pytestmark = pytest.mark.lab

KILL = "kill -9 $(cat /run/antrea/openvswitch/{}.pid)"
WITHOUT_VSWITCHD = KILL.format("ovs-vswitchd")
CUTS = {
    "the NIC's address moved to a port of a bridge": MOVE + f"{OVS} set bridge br-secondary "
    "fail_mode=secure\novs-ofctl del-flows /run/antrea/openvswitch/br-secondary.mgmt",
    "flow-restore-wait is set while the NIC is in a bridge": MOVE
    + f"{OVS} set Open_vSwitch . other_config:flow-restore-wait=true\nsystemctl restart lab-ovs",
    "vswitchd died with the NIC in its datapath": MOVE + WITHOUT_VSWITCHD,
    "vswitchd hangs with the NIC in its datapath": MOVE
    + "kill -STOP $(cat /run/antrea/openvswitch/ovs-vswitchd.pid)",
    "vswitchd and ovsdb-server died": MOVE + WITHOUT_VSWITCHD + "\n" + KILL.format("ovsdb-server"),
    "the agent was killed in mid-move": "ip link set eth0 down; ip link set eth0 name eth0~; "
    "ip link set eth0~ up",
    "the address moved to another link": "ip link add k8snet-test type dummy; ip link set "
    f"k8snet-test up; ip address del {ADDRESS}/24 dev eth0; ip address add {ADDRESS}/24 dev "
    "k8snet-test",
    "the address is gone and another is there": f"ip address del {ADDRESS}/24 dev eth0; "
    "ip address add 10.160.1.99/24 dev eth0",
    "another address became the first": f"ip address del {ADDRESS}/24 dev eth0; ip address add "
    f"10.160.1.99/24 dev eth0; ip address add {ADDRESS}/24 dev eth0",
    "the default route is gone": "ip route del default",
    "the default route leads another way": "ip route replace default via 169.254.77.1 dev oob0",
    "the link is down": "ip link set eth0 down",
    "the NIC is in a bridge of the kernel": "ip link add br0 type bridge; ip address flush dev "
    "eth0; ip link set eth0 master br0; ip link set br0 up",
    "MTU, rules and DNS are others": "ip link set eth0 mtu 1300; ip rule add pref 100 from "
    f"{ADDRESS} unreachable; echo nameserver 192.0.2.1 > /etc/resolv.conf",
}
USUAL = ("vswitchd died with the NIC in its datapath",)


def restored(node: Node, cut: str, before: str) -> dict[str, Any]:
    """Roll back, see that all is as it was and that it says so; what the module returned."""
    node.sh(cut)
    started = time.monotonic()
    done = node.checkpoint(state="rolled_back", id="cut")
    node.await_reachable(10)
    spent = time.monotonic() - started
    assert done.get("changed") is True, done
    report = done["checkpoint"]["report"]
    assert (report["state"], report["left"]) == ("rolled_back", [])
    print(f"measured: restored in {report['seconds']} s, {spent:.1f} s as seen from outside")
    assert node.look() == before
    return done


@pytest.mark.parametrize(
    "name", [name if name in USUAL else pytest.param(name, marks=pytest.mark.full) for name in CUTS]
)
def test_the_node_is_as_it_was_after(node: Node, name: str) -> None:
    node.sh(
        "ip -6 address add 2001:db8::21/64 dev eth0 nodad; ip route add 198.51.100.0/24 via "
        f"{GATEWAY} dev eth0 proto static metric 50 mtu 1400 onlink"
    )
    before = node.look()
    assert node.checkpoint(state="armed", id="cut", timeout=600)["changed"] is True
    restored(node, CUTS[name], before)
    if "ovsdb-server died" not in name:
        assert node.sh(f"{OVS} list-br") == ""


def test_check_mode_foretells_a_roll_back_and_a_second_one_changes_nothing(node: Node) -> None:
    before = node.look()
    assert node.checkpoint(state="armed", id="cut", timeout=600)["changed"] is True
    node.sh(MOVE)
    moved = node.look()
    foreseen = node.checkpoint("--check", state="rolled_back", id="cut")
    assert node.look() == moved
    done = restored(node, ":", before)
    assert done["plan"] == foreseen["plan"]
    again = node.checkpoint(state="rolled_back", id="cut")
    assert (again["changed"], again["plan"]) == (False, [])


@pytest.mark.full
def test_a_node_that_lived_on_a_bridge_is_freed_from_a_stuck_switch(node: Node) -> None:
    node.sh(MOVE)
    before = node.look()
    assert node.checkpoint(state="armed", id="cut", timeout=600)["changed"] is True
    node.sh(f"{OVS} set Open_vSwitch . other_config:flow-restore-wait=true")
    stuck = "systemctl restart lab-ovs; ip link set eth0 up; ip address replace "
    node.sh(f"{stuck}{ADDRESS}/24 dev eth0; ip route replace default via {GATEWAY} dev eth0")
    assert not node.reachable()
    restored(node, ":", before)
    assert "flow-restore-wait" not in node.sh(f"{OVS} get Open_vSwitch . other_config")


@pytest.mark.full
def test_what_has_no_part_in_it_is_left_alone(node: Node) -> None:
    node.sh("ip link add k8snet-test type dummy; ip link set k8snet-test up")
    assert node.checkpoint(state="armed", id="cut", timeout=600, scope={"links": ["eth0"]})[
        "changed"
    ]
    node.sh(
        "ip link set eth0 down; ip address add 192.0.2.9/24 dev k8snet-test; ip route add "
        f"203.0.113.0/24 dev k8snet-test\n{OVS} add-br br-int -- add-port br-int web-1 "
        "-- set interface web-1 type=internal -- set port web-1 external_ids:antrea-type=container"
    )
    bridges = node.sh(f"{OVS} show")
    done = node.checkpoint(state="rolled_back", id="cut")
    assert done["checkpoint"]["report"]["state"] == "rolled_back", done
    node.await_reachable(10)
    assert "192.0.2.9/24" in node.sh("ip -o address show dev k8snet-test")
    assert "203.0.113.0/24" in node.sh("ip route show dev k8snet-test")
    assert node.sh(f"{OVS} show") == bridges
