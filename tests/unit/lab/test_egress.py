# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lab's antrea-agent and antrea-controller make of Egresses and their pools."""

from __future__ import annotations

import struct

from tests.lab import outside
from tests.lab.actors import antrea_egress_rules as rules

POOL = {
    "metadata": {"name": "vlan181"},
    "spec": {
        "ipRanges": [
            {"cidr": "172.18.181.48/30"},
            {"start": "172.18.181.60", "end": "172.18.181.61"},
        ],
        "nodeSelector": {"matchLabels": {"egress": "true"}},
        "subnetInfo": {"gateway": "172.18.181.1", "prefixLength": 24, "vlan": 181},
    },
}
SUBNET = rules.Subnet("172.18.181.1", 24, 181)


def node(name, **labels):
    return {"metadata": {"name": name, "labels": labels}}


def egress(name="shop", applied_to=None, **spec):
    found = {"externalIPPool": "vlan181", "egressIP": "172.18.181.60", **spec}
    return {"metadata": {"name": name}, "spec": {"appliedTo": applied_to or {}, **found}}


def pod(address, namespace="shop", host_network=False, **labels):
    meta = {"namespace": namespace, "labels": labels}
    return {"metadata": meta, "spec": {"hostNetwork": host_network}, "status": {"podIP": address}}


def test_the_gate_and_the_version_decide_on_subnets():
    off = {"featureGates": {"EgressSeparateSubnet": False}}
    on = {"featureGates": {"EgressSeparateSubnet": True}}
    asked = {
        (2, 3, 0): [({}, True), (off, False)],
        (2, 2, 9): [({}, False), (on, True), ({"featureGates": {"AllBeta": True}}, False)],
        (1, 14, 3): [(on, False)],
    }
    for version, cases in asked.items():
        for conf, wanted in cases:
            assert rules.separates(conf, version) is wanted, (version, conf)
    assert rules.subnet_of(POOL, True) == SUBNET
    assert rules.subnet_of(POOL, False) is None
    assert rules.plays({"trafficEncapMode": "noEncap"}, (2, 3, 0)) is False


def test_foreign_vlan_interfaces_are_taken_until_2_7():
    asked = [(1, 14, 9), (1, 15, 0), (2, 6, 3), (2, 7, 0)]
    assert [rules.takes_foreign(version) for version in asked] == [False, True, True, False]


def test_a_cidr_gives_neither_its_first_nor_its_last_address():
    given = ["172.18.181.49", "172.18.181.50", "172.18.181.60", "172.18.181.61"]
    assert rules.addresses(POOL) == given


def test_an_address_stays_where_it_is_while_that_node_lives():
    nodes = [node("node1", egress="true"), node("node2", egress="true"), node("node3")]
    pools = {"vlan181": POOL}
    everybody = ["node1", "node2", "node3"]
    first = rules.schedule([egress()], pools, nodes, everybody)["shop"]
    assert first in ("node1", "node2")
    other = {"node1": "node2", "node2": "node1"}[first]
    assert rules.schedule([egress()], pools, nodes, [other, "node3"])["shop"] == other
    assert rules.schedule([egress()], pools, nodes, [first, "node3"])["shop"] == first
    assert rules.schedule([egress()], pools, nodes, ["node3"])["shop"] is None
    assert rules.schedule([egress(egressIP="")], pools, nodes, everybody) == {}


def test_both_selectors_have_to_take_a_pod():
    pods = [
        pod("10.244.1.10", app="web"),
        pod("10.244.1.11"),
        pod("10.244.1.12", "other", app="web"),
        pod("10.160.1.21", host_network=True, app="web"),
    ]
    namespaces = {name: {"metadata": {"labels": {"name": name}}} for name in ("shop", "other")}
    web, shop = {"matchLabels": {"app": "web"}}, {"matchLabels": {"name": "shop"}}

    def taken(**applied_to):
        return rules.pods_of(egress(applied_to=applied_to), pods, namespaces)

    assert taken(podSelector=web) == ["10.244.1.10", "10.244.1.12"]
    assert taken(namespaceSelector=shop) == ["10.244.1.10", "10.244.1.11"]
    assert taken(podSelector=web, namespaceSelector=shop) == ["10.244.1.10"]
    assert taken(podSelector={}) == ["10.244.1.10", "10.244.1.11", "10.244.1.12"]
    assert taken() == []


def test_flows_mark_pods_and_give_them_their_address():
    local = [rules.Local("172.18.181.60", 3, SUBNET)]
    marks = {"10.244.1.10": (3, rules.MASK), "10.244.1.11": (0x100, rules.FAR_MASK)}
    text = rules.flows(local, marks, ["egf-1"], ["10.96.0.0/12"], "10.244.1.0/24")
    lines = text.splitlines()
    assert "ip saddr 10.244.1.10 meta mark set meta mark and 0xffffff00 or 0x3" in lines
    assert "ip saddr 10.244.1.11 meta mark set meta mark and 0xffff00ff or 0x100" in lines
    assert 'iifname "egn-ac12b53c" meta mark set 0x3' in lines
    wanted = 'oifname != "antrea-gw0" meta mark and 0xff == 0x3 snat to 172.18.181.60'
    assert wanted in lines
    assert lines.index("ip daddr { 10.96.0.0/12 } return") < lines.index(
        "ip saddr 10.244.1.10 meta mark set meta mark and 0xffffff00 or 0x3"
    )


def test_a_condition_that_says_the_same_is_not_written_again():
    said = rules.condition("IPAssigned", True, "Assigned", "ok", "1")
    other = rules.condition("IPAllocated", True, "Allocated", "ok", "1")
    assert rules.with_condition([other], said) == [said, other]
    assert rules.with_condition([said, other], {**said, "lastTransitionTime": "2"}) is None
    bad = rules.condition("IPAssigned", False, "AssignmentError", "no", "2")
    assert rules.with_condition([said, other], bad) == [bad, other]


def test_a_frame_tells_its_vlan_and_its_addresses():
    addresses = bytes([172, 18, 181, 60, 172, 18, 181, 1])
    packet = b"\x45" + bytes(8) + b"\x06" + bytes(2) + addresses
    head = bytes(12)
    tagged = head + struct.pack("!HHH", 0x8100, 181, 0x0800) + packet
    wanted = {"tag": 181, "kind": "tcp", "from": "172.18.181.60", "to": "172.18.181.1"}
    assert outside.read(tagged, None) == wanted
    assert outside.read(head + b"\x08\x00" + packet, 181) == wanted
    assert outside.read(head + b"\x08\x00" + packet, None) == {**wanted, "tag": None}
    arp = bytes(14) + addresses[:4] + bytes(6) + addresses[4:]
    assert outside.read(head + b"\x08\x06" + arp, 181) == {**wanted, "kind": "arp"}
    assert outside.read(head + b"\x86\xdd" + packet, 181) is None
