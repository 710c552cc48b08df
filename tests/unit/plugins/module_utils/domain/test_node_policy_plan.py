# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A policy for nodes: judged by what is known, tried on one node, then given to the rest."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _node_policy_plan as domain

Obj = dict[str, Any]
SSH = ["172.16.0.9 50000 10.0.0.1 22", "172.16.0.9 50001 10.0.0.2 22", "[172.16.0.9]:22"]
HOSTS = {"node2": "h2", "node1": "h1"}
DROP = {"action": "Drop", "ports": [{"protocol": "TCP", "port": 80}]}


def node(number: int, **labels: str) -> Obj:
    labels = {"kubernetes.io/hostname": f"host{number}", **labels}
    address = [{"type": "InternalIP", "address": f"10.0.0.{number}"}]
    return {
        "metadata": {"name": f"node{number}", "labels": labels},
        "status": {"addresses": address},
    }


def antrea(on: bool = True) -> Obj:
    return {
        "gates": {"NodeNetworkPolicy": {"enabled": on}},
        "api_servers": {"addresses": ["10.0.0.1:6443", "[fd00::1]:6443", "api.example.org:6443"]},
        "controller": {"pods": [{"node": "node2"}]},
        "config": {"agent": {}},
    }


def options(policy: Obj | None = None, policies: list[Obj] | None = None, **more: Any) -> Obj:
    master = {"node-role.kubernetes.io/control-plane": ""}
    objects = {"nodes": [node(1, **master), node(2)], "policies": policies or []}
    wanted = {"name": "shield", "ingress": [DROP]} if policy is None else policy
    return {"node_policy": wanted, "objects": objects, "ssh": SSH, **more}


def test_it_is_tried_on_the_first_node_that_it_selects() -> None:
    made, wrong = domain.plan(antrea(), options(), HOSTS)
    assert (wrong, made["changes"], made["trial"]) == ([], True, "shield-trial")
    # And on one control plane, since those need what workers do not.
    places = [(trial["node"], trial["host"]) for trial in made["trials"]]
    assert places == [("node2", "h2"), ("node1", "h1")]
    trial, whole = made["trials"][0]["object"], made["object"]
    chosen = {"matchLabels": {"kubernetes.io/hostname": "host2"}}
    assert trial["metadata"]["name"] == "shield-trial"
    assert trial["spec"] == {**whole["spec"], "appliedTo": [{"nodeSelector": chosen}]}
    assert whole["spec"]["appliedTo"] == [{"nodeSelector": {}}]
    assert "tried on node2 and then node1, which" in domain.words(made)[0]
    more = {**made, "nodes": [*made["nodes"], "node3"]}
    assert "then given to 1 more" in domain.words(more)[0]
    selector = {"matchLabels": {"kubernetes.io/hostname": "host1"}}
    only = {"name": "shield", "node_selector": selector, "ingress": [DROP]}
    alone = domain.plan(antrea(), options(only), HOSTS)[0]["trials"]
    assert [trial["node"] for trial in alone] == ["node1"]


def test_what_is_there_already_is_not_changed() -> None:
    made = domain.plan(antrea(), options(), HOSTS)[0]
    spec = made["object"]["spec"]
    # With what the API server adds.
    there = {"spec": {**spec, "ingress": [{**DROP, "enableLogging": False}]}}
    assert not domain.plan(antrea(), options(policies=[there]), HOSTS)[0]["changes"]
    other = {"spec": {**spec, "ingress": [DROP, DROP]}}
    again = domain.plan(antrea(), options(policies=[other]), HOSTS)[0]
    assert again["changes"]
    assert again["former"]["spec"] == {**other["spec"], "egress": []}


def test_a_former_policy_goes_back_without_the_rules_that_came() -> None:
    # A patch leaves the keys that it does not name.
    spec = {"priority": 5, "appliedTo": [], "egress": [DROP]}
    back = domain.former("shield", {"spec": spec})
    assert back is not None
    assert back["spec"] == {**spec, "ingress": [], "tier": "application"}
    assert domain.former("shield", None) is None


@pytest.mark.parametrize(
    ("had", "wanted", "tried"),
    [
        ({"priority": 5.0, "tier": "application"}, {}, (4.99, "application")),
        # Its tier may come before the new one.
        ({"priority": 9, "tier": "securityops"}, {"priority": 2}, (8.99, "securityops")),
        ({"priority": 1, "tier": "application"}, {}, (1.0, "application")),
        ({"priority": 3, "tier": "baseline"}, {}, (5, "application")),
        ({"priority": 3, "tier": "baseline"}, {"tier": "baseline"}, (2.99, "baseline")),
    ],
)
def test_it_is_tried_ahead_of_the_former_one(had: Obj, wanted: Obj, tried: Obj) -> None:
    policy = {"name": "shield", "ingress": [DROP], **wanted}
    made, wrong = domain.plan(antrea(), options(policy, [{"spec": had}]), HOSTS)
    assert wrong == []
    spec = made["trials"][0]["object"]["spec"]
    assert (spec["priority"], spec["tier"]) == tried
    assert made["object"]["spec"]["priority"] == wanted.get("priority", 5)
    assert ("has priority 1" in " ".join(made["warnings"])) == (had["priority"] == 1)


def test_what_bars_it() -> None:
    def said(found: Obj, hosts: dict[str, str] | None = None) -> str:
        return " ".join(domain.plan(antrea(), found, HOSTS if hosts is None else hosts)[1])

    assert "name is ''" in said(options({"ingress": [DROP]}))
    assert "selects no node that was visited" in said(options(), {})
    deny = options({"name": "shield", "ingress": [{"action": "Drop"}]})
    assert "ClusterNetworkPolicy shield: ssh (TCP 22 from 172.16.0.9) would be cut off" in said(
        deny
    )
    assert "antrea-controller (TCP 10349 from" in said(deny)
    assert "Name the addresses in antrea_features_ssh_from" in said(options(ssh=[]))
    bad = [{"action": "Drop", "from": [{"ipBlock": {"cidr": "10.0.0.0/99"}}]}]
    assert "cannot be read: ValueError" in said(options({"name": "shield", "ingress": bad}))


def test_the_world_that_it_is_judged_by() -> None:
    service = {"namespace": "default", "name": "kubernetes"}
    proxy = {"probes": [{**service, "cluster_ip": "10.96.0.1", "port": 443}]}
    world, wrong = domain.world_of(antrea(), options(kube_proxy=proxy))
    assert world.api == (("10.0.0.1", 6443), ("fd00::1", 6443), ("10.96.0.1", 443))
    assert (world.ssh, world.tunnels, wrong) == ((("172.16.0.9", 22),), (("UDP", 6081),), [])
    wire = {**antrea(), "config": {"agent": {"trafficEncryptionMode": "wireGuard"}}}
    assert ("UDP", 51820) in domain.world_of({**wire, "version": "v2.3.0"}, options())[0].tunnels
    assert len(domain.world_of({**wire, "version": "v2.4.1"}, options())[0].tunnels) == 1
    assert [n["control_plane"] for n in world.nodes] == [True, False]


def test_the_gate_comes_along_where_it_is_off() -> None:
    assert domain.gates(antrea(False), options()) == {"NodeNetworkPolicy": True}
    assert domain.gates(antrea(), options()) == {}
    assert domain.gates(antrea(False), {}) == {}
    assert domain.plan(antrea(), {}, HOSTS) == ({}, [])
