# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which policies for nodes would cut off what nodes live by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _node_policy as domain

Obj = dict[str, Any]
CONTROL = "node-role.kubernetes.io/control-plane"
MANAGER = "172.16.0.9"


def node(number: int, master: bool = False) -> Obj:
    labels = {"kubernetes.io/hostname": f"node{number}", **({CONTROL: ""} if master else {})}
    return {
        "name": f"node{number}",
        "labels": labels,
        "addresses": [f"10.0.0.{number}"],
        "control_plane": master,
    }


WORLD = domain.World(
    (node(1, True), node(2), node(3)),
    ((MANAGER, 22),),
    (("10.0.0.1", 6443), ("10.96.0.1", 443)),
    (("UDP", 6081),),
)
NODES = [{"ipBlock": {"cidr": "10.0.0.0/24"}}]
MANAGERS = [{"ipBlock": {"cidr": "172.16.0.0/16"}}]


def lost(selector: Obj | None = None, world: domain.World = WORLD, **rules: Any) -> str:
    return "\n".join(domain.cut_off({"node_selector": selector or {}, **rules}, world))


def six(number: int, master: bool = False) -> Obj:
    return {**node(number, master), "addresses": [f"10.0.0.{number}", f"fd00::{number}"]}


def drop(**more: Any) -> Obj:
    return {"action": "Drop", **more}


def allow(**more: Any) -> Obj:
    return {"action": "Allow", **more}


def test_a_default_deny_cuts_off_everything() -> None:
    said = lost(ingress=[drop(name="all")], egress=[{"action": "Reject"}])
    for words in (
        f"ssh (TCP 22 from {MANAGER}) would be cut off by ingress rule 1 'all' (Drop)",
        "kubelet (TCP 10250 from 10.0.0.1)",
        "the API server (TCP 6443 from 10.0.0.1, 10.0.0.2, 10.0.0.3)",
        "the API server (TCP 443 to 10.96.0.1) would be cut off by egress rule 1 (Reject)",
        # Any node may be the next to have it.
        "antrea-controller (TCP 10349 to 10.0.0.1, 10.0.0.2, 10.0.0.3)",
        "antrea-controller (TCP 10349 from",
        "antrea-agent's API (TCP 10350 from 10.0.0.1)",
        "Antrea's memberlist (UDP 10351 from",
        "the tunnel between nodes (UDP 6081 to",
    ):
        assert words in said, words


def test_what_is_allowed_before_is_left() -> None:
    rules = [allow(**{"from": NODES}), allow(**{"from": MANAGERS}), drop()]
    assert lost(ingress=rules) == ""
    # In the other order it is not.
    assert "ssh" in lost(ingress=[rules[2], *rules[:2]])
    out = [allow(to=[*NODES, {"ipBlock": {"cidr": "10.96.0.0/16"}}]), drop()]
    assert lost(egress=out) == ""
    assert "TCP 443 to 10.96.0.1" in lost(egress=[allow(to=NODES), drop()])


@pytest.mark.parametrize(
    ("rule", "cuts"),
    [
        (drop(ports=[{"protocol": "TCP", "port": 80}]), False),
        (drop(ports=[{"protocol": "UDP", "port": 22}]), False),
        (drop(ports=[{"port": 22}]), True),
        (drop(ports=[{"port": 20, "endPort": 25}]), True),
        (drop(ports=[{"port": 20, "endPort": 21}]), False),
        (drop(ports=[{"protocol": "TCP"}]), True),
        # What a name stands for is not known, so that the worse is assumed.
        (drop(ports=[{"port": "ssh"}]), True),
        (drop(protocols=[{"icmp": {}}]), False),
        (drop(ports=[{"port": 22}], **{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}), False),
        (drop(ports=[{"port": 22}], **{"from": [{"podSelector": {}}]}), True),
        (drop(ports=[{"port": 22}], **{"from": [{"nodeSelector": {}}]}), False),
        ({"action": "Pass"}, False),
    ],
)
def test_rules_about_ssh(rule: Obj, cuts: bool) -> None:
    assert ("ssh" in lost(ingress=[rule])) == cuts


def test_an_allow_of_what_is_unknown_is_not_counted_on() -> None:
    ports = [{"port": 22}]
    for peer in ({"group": "admins"}, {"podSelector": {}}):
        assert "ssh" in lost(ingress=[allow(ports=ports, **{"from": [peer]}), drop(ports=ports)])
    named = [allow(ports=[{"port": "ssh"}]), drop(ports=ports)]
    assert "ssh" in lost(ingress=named)
    block = {"cidr": "172.16.0.0/16", "except": [f"{MANAGER}/32"]}
    excepted = [allow(ports=ports, **{"from": [{"ipBlock": block}]}), drop(ports=ports)]
    assert "ssh" in lost(ingress=excepted)


def test_only_nodes_that_the_policy_selects_count() -> None:
    worker = {"matchLabels": {"kubernetes.io/hostname": "node3"}}
    said = lost(worker, ingress=[drop(ports=[{"port": 6443}])])
    assert said == ""
    none = {"matchExpressions": [{"key": CONTROL, "operator": "Exists"}]}
    assert "the API server" in lost(none, ingress=[drop(ports=[{"port": 6443}])])
    assert domain.selects({"matchExpressions": [{"key": "a", "operator": "NotIn"}]}, {})
    assert not domain.selects(
        {"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {"a": "2"}
    )


def test_a_node_peer_is_known_by_its_labels() -> None:
    masters = {"matchExpressions": [{"key": CONTROL, "operator": "Exists"}]}
    ports = [{"port": 10250}]
    rules = [allow(ports=ports, **{"from": [{"nodeSelector": masters}]}), drop(ports=ports)]
    assert lost(ingress=rules) == ""


@pytest.mark.parametrize(
    ("agent", "found"),
    [
        ({}, [("UDP", 6081)]),
        ({"tunnelType": "vxlan"}, [("UDP", 4789)]),
        ({"tunnelPort": 7000}, [("UDP", 7000)]),
        ({"tunnelType": "gre", "tunnelPort": 7000}, [("GRE", 0)]),
        ({"trafficEncapMode": "noEncap"}, []),
        (
            {"trafficEncryptionMode": "ipsec"},
            [("UDP", 6081), ("ESP", 0), ("UDP", 500), ("UDP", 4500)],
        ),
        ({"trafficEncryptionMode": "wireGuard"}, [("UDP", 6081), ("UDP", 51820)]),
        (
            {"trafficEncryptionMode": "wireGuard", "wireGuard": {"port": 5}},
            [("UDP", 6081), ("UDP", 5)],
        ),
    ],
)
def test_what_carries_packets_between_nodes(agent: Obj, found: Any) -> None:
    assert domain.tunnels(agent, (2, 3)) == found


def test_since_2_4_antrea_itself_lets_wireguard_pass() -> None:
    agent = {"trafficEncryptionMode": "wireGuard"}
    assert domain.tunnels(agent, (2, 4)) == [("UDP", 6081)]
    assert ("UDP", 51820) in domain.tunnels(agent, None)


def test_a_protocol_without_ports_is_cut_off_by_rules_about_all() -> None:
    world = replace(WORLD, tunnels=(("ESP", 0),))
    assert "the tunnel between nodes (ESP from" in lost(world=world, ingress=[drop()])
    assert "ESP" not in lost(world=world, ingress=[drop(ports=[{"protocol": "UDP"}])])


def test_members_of_etcd_need_each_other() -> None:
    peers = replace(WORLD, nodes=(node(1, True), node(2, True), node(3)))
    ports = [{"port": 2380}]
    said = lost(world=peers, ingress=[drop(ports=ports)])
    assert "etcd (TCP 2380 from 10.0.0.1, 10.0.0.2) would be cut off" in said
    assert "etcd (TCP 2380 to" in lost(world=peers, egress=[drop(ports=ports)])
    # One alone has nobody to ask, and the others are not selected.
    first = {"matchLabels": {"kubernetes.io/hostname": "node1"}}
    assert "etcd (TCP 2380 from 10.0.0.2)" in lost(first, peers, ingress=[drop(ports=ports)])
    assert lost(ingress=[drop(ports=ports)]) == ""
    third = {"matchLabels": {"kubernetes.io/hostname": "node3"}}
    assert lost(third, peers, ingress=[drop(ports=ports)]) == ""


def test_neighbours_over_ipv6_are_found_by_packets_that_no_rule_of_antrea_lets_pass() -> None:
    world = replace(WORLD, nodes=(six(1, True), six(2), six(3)))
    everybody = [{"ipBlock": {"cidr": "10.0.0.0/8"}}, {"ipBlock": {"cidr": "fd00::/64"}}]
    rules = [allow(**{"from": [*everybody, *MANAGERS]}), drop()]
    said = lost(world=world, ingress=rules)
    assert "finding neighbours over IPv6 (ICMPv6 type 135 from fe80::1) would be cut off" in said
    out = [allow(to=[*everybody, {"ipBlock": {"cidr": "fe80::/10"}}]), drop()]
    assert "ICMPv6 type 135 to ff02::1:ff00:1)" in lost(world=world, egress=out)
    icmp = allow(protocols=[{"icmp": {}}])
    assert lost(world=world, ingress=[icmp, *rules]) == ""
    kind = allow(protocols=[{"icmp": {"icmpType": 135}}, {"igmp": {}}])
    said = lost(world=world, ingress=[kind, *rules])
    assert "ICMPv6 type 136" in said
    assert "ICMPv6 type 135" not in said
    # Where nodes have no such address there is nothing to lose.
    assert lost(ingress=rules) == ""


@pytest.mark.parametrize(
    ("egress", "found"),
    [
        ([drop()], ["DNS (UDP 53)", "DNS (TCP 53)", "DHCP (UDP 67)"]),
        ([drop(to=[{"ipBlock": {"cidr": "0.0.0.0/0"}}], ports=[{"port": 53}])], ["DNS (TCP 53)"]),
        # Somebody has thought of it.
        ([allow(ports=[{"protocol": "UDP", "port": 53}], to=NODES), drop()], ["TCP 53", "UDP 67"]),
        ([drop(to=NODES)], []),
        ([allow(), drop()], []),
    ],
)
def test_what_may_be_needed_and_nobody_knows_from_whom(egress: list[Obj], found: list[str]) -> None:
    said = domain.doubtful({"egress": egress})
    assert len(said) == len(found)
    assert all(words in text for words, text in zip(found, said))


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({}, "The policy has no rule."),
        ({"ingress": [{"action": "Deny"}]}, "action is Deny"),
        ({"ingress": [drop(appliedTo=[{}])]}, "appliedTo of its own"),
        ({"egress": [drop(to=[{"fqdn": "x.org"}])]}, "fqdn, which does nothing on nodes"),
        ({"ingress": [drop(l7Protocols=[{}])]}, "l7Protocols"),
        ({"ingress": [drop(logLabel="thirteen-char")]}, "more than 12 characters"),
    ],
)
def test_what_antrea_does_not_do_on_nodes(policy: Obj, words: str) -> None:
    assert words in " ".join(domain.problems(policy))


def test_the_object() -> None:
    selector = {"matchLabels": {"a": "b"}}
    made = domain.obj({"ingress": [drop()], "egress": []}, "shield", selector)
    assert made["spec"] == {
        "priority": 5,
        "tier": "application",
        "appliedTo": [{"nodeSelector": selector}],
        "ingress": [drop()],
        "egress": [],
    }
