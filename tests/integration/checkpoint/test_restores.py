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


#: With more settings of their own than a change of names and addresses would need.
MADE = """
ip link add name bond7 type bond mode 802.3ad miimon 100 lacp_rate fast xmit_hash_policy layer3+4 \\
    min_links 1 ad_select bandwidth updelay 200
ip link add name k8snet-d7 type dummy; ip link set k8snet-d7 master bond7; ip link set bond7 up
ip link add name bond8 type bond mode active-backup arp_interval 250 \\
    arp_ip_target 10.0.0.1,10.0.0.2 arp_validate active num_grat_arp 3 fail_over_mac active
ip link add name br7 type bridge stp_state 1 priority 4096 vlan_filtering 1 forward_delay 400 \\
    vlan_default_pvid 5 mcast_snooping 0 ageing_time 1000
ip link add link bond7 name bond7.9 type vlan id 9 loose_binding on
udevadm settle
"""
SETTINGS = (
    "ip -j -d link show | python3 -c 'import json, sys\n"
    'drop = ("timer", "root_", "bridge_id", "topology", "ad_info", "fdb_n")\n'
    "for link in json.load(sys.stdin):\n"
    '    if link["ifname"] in ("bond7", "bond8", "br7", "bond7.9"):\n'
    '        data = link["linkinfo"]["info_data"]\n'
    "        kept = {k: v for k, v in data.items() if not any(d in k for d in drop)}\n"
    '        print(link["ifname"], link["address"], json.dumps(kept, sort_keys=True))\n\''
)


@pytest.mark.full
def test_bonds_bridges_and_vlans_that_are_gone_come_back_with_their_settings(node: Node) -> None:
    node.sh(MADE)
    before = node.sh(SETTINGS)
    assert '"ad_lacp_rate": "fast"' in before
    assert node.checkpoint(state="armed", id="cut", timeout=600)["changed"] is True
    node.sh("for link in bond7.9 bond7 bond8 br7; do ip link del $link; done")
    assert node.sh(SETTINGS) == ""
    done = node.checkpoint(state="rolled_back", id="cut")
    assert done["checkpoint"]["report"]["left"] == [], done
    assert [s for s in done["checkpoint"]["report"]["steps"] if s["error"]] == []
    assert sorted(node.sh(SETTINGS).splitlines()) == sorted(before.splitlines())
    assert "master bond7" in node.sh("ip link show dev k8snet-d7")
    node.sh("for link in bond7.9 bond7 bond8 br7 k8snet-d7; do ip link del $link; done")
