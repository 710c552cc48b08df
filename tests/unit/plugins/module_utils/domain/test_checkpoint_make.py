# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a bond, bridge or VLAN is made again with: its own settings, and no word too many."""

from __future__ import annotations

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain._checkpoint_make import words

#: As "ip -j -d link" of iproute2 6.15 says it of a bond that was just made.
BOND = {
    "mode": "balance-rr",
    "miimon": 0,
    "updelay": 0,
    "downdelay": 0,
    "peer_notify_delay": 0,
    "use_carrier": 1,
    "arp_interval": 0,
    "arp_missed_max": 2,
    "arp_validate": None,
    "arp_all_targets": "any",
    "primary_reselect": "always",
    "fail_over_mac": "none",
    "xmit_hash_policy": "layer2",
    "resend_igmp": 1,
    "num_peer_notif": 1,
    "all_slaves_active": 0,
    "min_links": 0,
    "lp_interval": 1,
    "packets_per_slave": 1,
    "ad_lacp_active": "on",
    "ad_lacp_rate": "slow",
    "coupled_control": True,
    "ad_select": "stable",
    "tlb_dynamic_lb": 1,
}
LACP = {"ad_lacp_rate": "fast", "ad_select": "bandwidth", "ad_actor_system": "02:00:00:00:00:07"}
BRIDGE = {"forward_delay": 1500, "ageing_time": 30000, "stp_state": 0, "priority": 32768}


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        ("bond", BOND, "mode balance-rr miimon 0"),
        (
            "bond",
            {**BOND, **LACP, "mode": "802.3ad", "miimon": 100, "min_links": 1, "updelay": 200},
            "mode 802.3ad miimon 100 updelay 200 min_links 1 lacp_rate fast ad_select bandwidth "
            "ad_actor_system 02:00:00:00:00:07",
        ),
        # Left over from another mode: the kernel would refuse the whole bond.
        ("bond", {**BOND, **LACP, "packets_per_slave": 2, "mode": "802.3ad"}, None),
        (
            "bond",
            {**BOND, **LACP, "mode": "active-backup", "miimon": 50, "primary": "eth0"},
            "mode active-backup miimon 50 primary eth0",
        ),
        (
            "bond",
            {
                **BOND,
                "mode": "active-backup",
                "arp_interval": 250,
                "arp_ip_target": ["10.0.0.1", "10.0.0.2"],
                "arp_validate": "active",
                "num_peer_notif": 3,
            },
            "mode active-backup arp_interval 250 arp_ip_target 10.0.0.1,10.0.0.2 "
            "arp_validate active num_grat_arp 3",
        ),
        ("bridge", BRIDGE, ""),
        (
            "bridge",
            {**BRIDGE, "stp_state": 2, "priority": 4096, "vlan_filtering": 1, "mcast_snooping": 0},
            "stp_state 1 priority 4096 vlan_filtering 1 mcast_snooping 0",
        ),
        ("vrf", {"table": 10}, "table 10"),
        ("dummy", {}, ""),
    ],
)
def test_the_words_are_those_that_differ_from_what_the_kernel_does_by_itself(kind, data, text):
    found = words(kind, None, data)
    if text is None:
        assert "packets_per_slave" not in found
    else:
        assert " ".join(found) == f"type {kind} {text}".strip()


def test_a_vlan_has_its_flags():
    plain = words("vlan", "eth0", {"protocol": "802.1Q", "id": 5, "flags": ["REORDER_HDR"]})
    assert " ".join(plain) == "link eth0 type vlan protocol 802.1Q id 5"
    other = words("vlan", "eth0", {"protocol": "802.1ad", "id": 6, "flags": ["LOOSE_BINDING"]})
    assert " ".join(other).endswith("protocol 802.1ad id 6 reorder_hdr off loose_binding on")


@pytest.mark.parametrize("kind", ["veth", "tun", "vxlan", "openvswitch", "", "vlan", "macvlan"])
def test_what_somebody_else_makes_has_no_words(kind):
    assert words(kind, None, {}) is None
