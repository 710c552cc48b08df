# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which policies for nodes would cut off what nodes live by."""

from __future__ import annotations

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
    "node2",
    ("UDP", 6081),
)
NODES = [{"ipBlock": {"cidr": "10.0.0.0/24"}}]
MANAGERS = [{"ipBlock": {"cidr": "172.16.0.0/16"}}]


def lost(selector: Obj | None = None, world: domain.World = WORLD, **rules: Any) -> str:
    return "\n".join(domain.cut_off({"node_selector": selector or {}, **rules}, world))


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
        "antrea-controller (TCP 10349 to 10.0.0.2)",
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
    said = lost(worker, ingress=[drop(ports=[{"port": 6443}, {"port": 10349}])])
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
        ({}, ("UDP", 6081)),
        ({"tunnelType": "vxlan"}, ("UDP", 4789)),
        ({"tunnelPort": 7000}, ("UDP", 7000)),
        ({"tunnelType": "gre"}, None),
        ({"trafficEncapMode": "noEncap"}, None),
    ],
)
def test_the_tunnel(agent: Obj, found: Any) -> None:
    assert domain.tunnel(agent) == found


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
