# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Egresses: what is written, what is refused before, and when one is in effect."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _egress
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._egress import (
    Want,
    missing,
    plan_egress,
    where_to_look,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._egress_rules import quantity
from ansible_collections.k8snet.cni.plugins.module_utils.domain._external_ips import Change, World
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.pools_world import SPAN, egress, pool, service
from tests.unit.pools_world import world as make

Obj = dict[str, Any]

APP = {"matchLabels": {"app": "shop"}}
TEN = {"rate": "10M", "burst": "20M"}
SHAPING = {"featureGates": {"EgressTrafficShaping": True}}


def world(version: str | None = "v2.7.0", agent: Obj | None = None, **more: Any) -> World:
    pods = [{"namespace": "web", "name": "shop-1", "labels": {"app": "shop"}}]
    return make(version, agent, **{"pools": [pool()], "pods": pods, **more})


def want(**options: Any) -> Want:
    return Want(**{"name": "shop", "pod_selector": APP, "pool": "vlan181", **options})


def refusal(have: World, **options: Any) -> str:
    with pytest.raises(Refused) as refused:
        plan_egress(have, want(**options))
    return str(refused.value)


def actions(change: Change) -> list[str]:
    return [step.action for step in change.plan.steps]


def spec(change: Change) -> Obj:
    found: Obj = (change.after or {})["spec"]
    return found


# -- what is written ----------------------------------------------------------------------


def test_an_egress_is_made_whole() -> None:
    labels = {"matchLabels": {"team": "web"}}
    options = {"egress_ip": "172.18.181.10", "bandwidth": TEN, "namespace_selector": labels}
    change = plan_egress(world(agent=SHAPING, namespaces={"web": {"team": "web"}}), want(**options))
    assert change.act is not None
    assert change.act.body["spec"] == {
        "appliedTo": {"podSelector": APP, "namespaceSelector": labels},
        "egressIP": "172.18.181.10",
        "externalIPPool": "vlan181",
        "bandwidth": TEN,
    }
    assert actions(change) == [
        "Create the Egress: pods with app=shop in namespaces with team=web leave with "
        "172.18.181.10 of the pool vlan181, at 10M with bursts of 20M"
    ]
    assert change.advice == ()


def test_an_address_that_antrea_gave_stays() -> None:
    have = world(egresses=[egress("shop", "172.18.181.11")])
    assert not plan_egress(have, want()).plan.changed
    assert not plan_egress(have, want(egress_ip="172.18.181.11")).plan.changed


def test_selectors_are_compared_each_for_itself() -> None:
    one = egress("shop", "172.18.181.11")
    one["spec"]["appliedTo"]["podSelector"]["matchExpressions"] = []
    assert not plan_egress(world(egresses=[one]), want()).plan.changed
    assert actions(plan_egress(world(egresses=[one]), want(namespace_selector={}))) == [
        "Apply it to pods with app=shop in all namespaces; other pods lose its address"
    ]
    one["spec"]["appliedTo"]["namespaceSelector"] = {"matchLabels": {"team": "web"}}
    assert plan_egress(world(egresses=[one]), want(namespace_selector={})).plan.changed


def test_an_address_may_be_of_any_range() -> None:
    have = world(pools=[pool("vlan181", SPAN, {"cidr": "172.18.181.32/28"})])
    for address in ("172.18.181.20", "172.18.181.33", "172.18.181.46"):
        assert plan_egress(have, want(egress_ip=address)).plan.changed
    for address in ("172.18.181.32", "172.18.181.47"):
        assert "is none that the pool" in refusal(have, egress_ip=address)


def test_an_address_is_written_as_antrea_would_write_it() -> None:
    six = pool("six", {"cidr": "2001:db8::/120"}, subnetInfo=None)
    options = {"pool": "six", "egress_ip": "2001:DB8::0a"}
    made = plan_egress(world(pools=[six]), want(**options))
    assert spec(made)["egressIP"] == "2001:db8::a"
    again = world(pools=[six], egresses=[egress("shop", "2001:db8::a", of="six")])
    assert not plan_egress(again, want(**options)).plan.changed
    other = plan_egress(again, want(**{**options, "egress_ip": "2001:DB8::0b"}))
    assert spec(other)["egressIP"] == "2001:db8::b"


def test_another_pool_gives_the_former_address_back() -> None:
    pools = [pool(), pool("new", {"cidr": "172.18.181.64/28"})]
    have = world(pools=pools, egresses=[egress("shop", "172.18.181.11")])
    change = plan_egress(have, want(pool="new"))
    assert actions(change) == [
        "Take its address of the pool new; connections by its former address break",
        "Give 172.18.181.11 back",
    ]
    assert "egressIP" not in spec(change)
    named = plan_egress(have, want(pool="new", egress_ip="172.18.181.66"))
    assert spec(named)["egressIP"] == "172.18.181.66"
    # A static address that the pool has is adopted.
    pools = [pool("vlan181", SPAN, {"cidr": "172.18.181.32/28"})]
    have = world(pools=pools, egresses=[egress("shop", "172.18.181.11", of=None)])
    adopted = plan_egress(have, want())
    assert (spec(adopted)["egressIP"], spec(adopted)["externalIPPool"]) == (
        "172.18.181.11",
        "vlan181",
    )


def test_pods_address_and_bandwidth_change_each_for_itself() -> None:
    one = egress("shop", "172.18.181.11")
    have = world(agent=SHAPING, egresses=[one])
    change = plan_egress(have, want(pod_selector=None, namespace_selector={}, bandwidth=TEN))
    assert actions(change) == [
        "Apply it to all pods in all namespaces; other pods lose its address",
        "Limit it to 10M with bursts of 20M",
    ]
    assert spec(change)["appliedTo"] == {"namespaceSelector": {}}
    one["spec"]["bandwidth"] = TEN
    assert actions(plan_egress(have, want())) == ["Take its limit of bandwidth away"]
    assert actions(plan_egress(have, want(bandwidth=TEN, egress_ip="172.18.181.12"))) == [
        "Let pods leave with 172.18.181.12; connections by its former address break"
    ]
    static = plan_egress(
        world(egresses=[egress("shop", "192.0.2.7")]), want(pool=None, egress_ip="192.0.2.7")
    )
    assert actions(static) == [
        "Take its address of no pool any more (was vlan181); connections by its former "
        "address break"
    ]


# -- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pod_selector": None}, "applied_to: it selects nothing"),
        ({"pod_selector": {"match": 1}}, "applied_to.pod_selector: match"),
        ({"namespace_selector": {"match": 1}}, "applied_to.namespace_selector: match"),
        ({"pool": "gone"}, "no ExternalIPPool gone; there is vlan181, gate, full, other. Make it"),
        ({"egress_ip": "shop.example"}, "egress_ip: shop.example is no IP address"),
        ({"egress_ip": "172.18.181.21"}, r"172.18.181.21 is none that the pool vlan181 gives out"),
        ({"pool": "gate", "egress_ip": "172.18.181.1"}, "is the gateway of the pool gate"),
        ({"pool": "full"}, "all 2 addresses of full are in use"),
        ({"egress_ip": "172.18.181.12"}, "the Egress bank has 172.18.181.12"),
        ({"egress_ip": "172.18.181.13"}, "the Service web/a has 172.18.181.13"),
        ({"pool": None, "egress_ip": "172.18.181.14"}, "Set 'pool: vlan181' too"),
        ({"pool": None, "egress_ip": "172.18.181.12"}, "the Egress bank has 172.18.181.12"),
        ({"pool": None, "egress_ip": "192.0.2.9"}, "the Service web/b has 192.0.2.9"),
        ({"bandwidth": {"rate": "ten", "burst": "1M"}}, "bandwidth.rate: ten is no quantity"),
        ({"bandwidth": {"rate": "1M", "burst": "999"}}, "bandwidth.burst: 999 is not in 1k to"),
        ({"bandwidth": {"rate": "4294967296k", "burst": "1M"}}, "rate: 4294967296k is not in 1k"),
    ],
)
def test_what_would_be_refused_or_in_vain_is_refused(options: Obj, words: str) -> None:
    full = pool("full", {"cidr": "172.18.181.64/30"})
    full["status"] = {"usage": {"total": 2, "used": 2}}
    gate = pool("gate", {"cidr": "172.18.181.0/29"})
    pools = [
        pool("vlan181", SPAN, {"cidr": "172.18.181.32/28"}),
        gate,
        full,
        pool("other", {"cidr": "172.18.182.0/28"}, subnetInfo=None),
    ]
    have = world(
        agent=SHAPING,
        pools=pools,
        egresses=[egress("bank", "172.18.181.12")],
        services=[service("a", "10.96.0.9", "172.18.181.13"), service("b", "192.0.2.9")],
    )
    assert re.search(words, refusal(have, **options))


@pytest.mark.parametrize(
    ("version", "agent", "options", "words"),
    [
        ("v2.7.0", {"featureGates": {"Egress": False}}, {}, "feature gate Egress is off"),
        ("v2.7.0", {"trafficEncapMode": "noEncap"}, {}, "trafficEncapMode is noEncap"),
        ("v1.15.1", {}, {}, "EgressSeparateSubnet is off"),
        ("v2.7.0", {}, {"bandwidth": TEN}, "bandwidth: feature gate EgressTrafficShaping is off"),
        ("v1.13.4", {}, {"bandwidth": TEN, "pool": "flat"}, "v1.13.4 cannot limit it; v1.14 can"),
    ],
)
def test_an_egress_needs_gates_and_a_mode(
    version: str, agent: Obj, options: Obj, words: str
) -> None:
    flat = pool("flat", {"cidr": "10.160.1.64/28"}, subnetInfo=None)
    assert re.search(words, refusal(world(version, agent, pools=[pool(), flat]), **options))


def test_the_least_and_the_most_of_bandwidth() -> None:
    bandwidth = {"rate": "1k", "burst": "4294967295k"}
    assert plan_egress(world(agent=SHAPING), want(bandwidth=bandwidth)).plan.changed


def test_without_pools_two_egresses_may_share_an_address() -> None:
    others = [egress("bank", "192.0.2.7", of=None), egress("far", "192.0.2.8", of=None)]
    change = plan_egress(world(egresses=others), want(pool=None, egress_ip="192.0.2.7"))
    assert change.advice == (
        "Without a pool nothing puts 192.0.2.7 on a node: set it up on one by hand; nothing moves "
        "it when that node dies.",
        "The Egress bank has 192.0.2.7 too.",
    )


def test_a_full_pool_is_no_matter_for_an_egress_that_has_its_address() -> None:
    full = pool()
    full["status"] = {"usage": {"total": 11, "used": 11}}
    have = world(pools=[full], egresses=[egress("shop", "172.18.181.10")])
    assert plan_egress(have, want(pod_selector={})).plan.changed
    assert "all 11 addresses" in refusal(world(pools=[full]))
    # One that waits for an address may change otherwise.
    waiting = plan_egress(world(pools=[full], egresses=[egress()]), want(pod_selector={}))
    assert waiting.plan.changed
    assert "all 11 addresses" in waiting.advice[0]
    full["status"] = {"usage": {"total": 11, "used": 10}}
    assert plan_egress(world(pools=[full]), want()).plan.changed


def test_an_old_sin_is_told_and_hinders_no_change_of_something_else() -> None:
    pair = [egress("bank", "172.18.181.12"), egress("shop", "172.18.181.12")]
    change = plan_egress(world(egresses=pair), want(pod_selector={}))
    assert change.plan.changed
    assert "egress_ip: the Egress bank has 172.18.181.12. Take another." in change.advice
    assert not plan_egress(world(egresses=pair), want()).plan.changed
    assert "the Egress bank" in refusal(world(egresses=pair), pool=None, egress_ip="172.18.181.12")


def test_what_is_good_to_know() -> None:
    lonely = pool(nodeSelector={"matchLabels": {"zone": "z"}})
    have = world(pools=[lonely], pods=[], waiting="a pod is older")
    assert plan_egress(have, want()).advice == (
        "It selects no pod that runs now (pods of the host's network have no Egress).",
        "No Node has the labels of its pool's nodeSelector (zone=z): its address goes to no node "
        "until one has.",
        "Antrea runs with another configuration than its ConfigMap's: a pod is older.",
    )


# -- removal and owners ----------------------------------------------------------------------


def test_a_removal_says_which_pods_lose_the_address() -> None:
    pods = [
        {"namespace": "web", "name": name, "labels": {"app": app}}
        for name, app in (("shop-2", "shop"), ("bank-1", "bank"), ("shop-1", "shop"))
    ]
    have = world(pods=pods, egresses=[egress("shop", "172.18.181.10"), egress("bank")])

    def said(name: str) -> list[str]:
        return actions(plan_egress(have, Want(name, state="absent")))

    assert said("shop") == [
        "Remove the Egress; web/shop-1, web/shop-2 lose the address 172.18.181.10"
    ]
    assert said("bank") == ["Remove the Egress; web/bank-1 loses the address (none yet)"]
    assert said("none") == []
    nothing = egress("shop")
    nothing["spec"]["appliedTo"] = {}
    change = plan_egress(world(egresses=[nothing]), Want("shop", state="absent"))
    assert actions(change) == ["Remove the Egress; no pod loses an address"]
    empty = world(pods=[], egresses=[egress("shop", "172.18.181.10")])
    assert actions(plan_egress(empty, Want("shop", state="absent"))) == [
        "Remove the Egress; no pod loses 172.18.181.10"
    ]


def test_an_egress_of_somebody_else_is_refused_with_what_to_commit() -> None:
    owned = egress()
    owned["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": "x"}
    have = world(egresses=[owned])
    said = refusal(have, egress_ip="172.18.181.10")
    assert "belongs to Argo CD" in said
    assert "egressIP: 172.18.181.10" in said
    options = {"egress_ip": "172.18.181.10", "override_owner": True}
    assert plan_egress(have, want(**options)).plan.changed
    assert not plan_egress(have, want()).plan.changed


def test_a_pool_that_the_run_would_have_made_is_judged_as_if_it_were_there() -> None:
    planned = pool("new", {"cidr": "172.18.181.64/28"})
    options = {"pool": "new", "planned_pool": planned}
    change = plan_egress(world(), want(**options, egress_ip="172.18.181.66"))
    assert change.plan.changed
    assert "none that the pool new" in refusal(world(), **options, egress_ip="172.18.181.10")
    # One that is there is the one that counts.
    other = pool("new", {"cidr": "172.18.181.96/28"})
    have = world(pools=[pool(), other])
    assert [p["metadata"]["name"] for p in have.ahead(planned, ()).pools or ()] == [
        "vlan181",
        "new",
    ]
    assert "none that the pool new" in refusal(have, **options, egress_ip="172.18.181.66")


# -- in effect ----------------------------------------------------------------------


def told(node: str = "node1", address: str = "172.18.181.10", **conditions: str) -> Obj:
    found = [
        {"type": kind, "status": status, "message": f"{kind} says so"}
        for kind, status in conditions.items()
    ]
    status = {"egressNode": node, "egressIP": address, "conditions": found}
    return {**egress("shop", "172.18.181.10"), "status": status}


WELL = {"IPAllocated": "True", "IPAssigned": "True"}


@pytest.mark.parametrize(
    ("version", "obj", "words"),
    [
        ("v2.7.0", told(**WELL), None),
        ("v1.14.0", told(**WELL), None),
        ("v1.13.0", told(), None),
        (None, told(), None),
        (None, told(**{**WELL, "IPAssigned": "False"}), "IPAssigned is False: IPAssigned says so"),
        ("v2.7.0", told(), "IPAllocated is not reported yet; IPAssigned is not reported yet"),
        ("v2.7.0", told(IPAllocated="True"), "IPAssigned is not reported yet"),
        (
            "v2.7.0",
            told(**{**WELL, "IPAllocated": "False"}),
            "IPAllocated is False: IPAllocated says so",
        ),
        ("v2.7.0", told(address="172.18.181.9", **WELL), "node1 still has 172.18.181.9"),
        ("v2.7.0", told(node="", **WELL), "no node has 172.18.181.10"),
        ("v2.7.0", {**told(**WELL), "spec": egress()["spec"]}, "it has no address yet"),
        ("v2.7.0", {**told(), "spec": egress("x", "172.18.181.10", of=None)["spec"]}, None),
    ],
)
def test_an_egress_is_in_effect(version: str | None, obj: Obj, words: str | None) -> None:
    assert missing(world(version), obj) == words


def test_facts_of_an_egress() -> None:
    facts = _egress.facts(told(IPAllocated="True", IPAssigned="False"))
    conditions = facts.pop("conditions")
    assert len(conditions) == 2
    assert facts == {
        "name": "shop",
        "ip": "172.18.181.10",
        "node": "node1",
        "pool": "vlan181",
        "allocated": True,
        "assigned": False,
        "message": "IPAssigned says so",
    }
    assert _egress.facts(egress())["assigned"] is None
    assert _egress.facts(told(**WELL))["message"] is None


def test_where_to_look_names_the_nodes_that_could_have_the_address() -> None:
    there = pool("vlan181", SPAN)
    there["status"] = {"usage": {"total": 11, "used": 3}}
    have = world(pools=[there], waiting="a pod is older")
    have.nodes[1]["ready"] = False
    said = where_to_look(have, told())
    assert "has given 3 of 11 addresses, for all nodes, of which are ready: node1;" in said
    assert "Antrea has not read its ConfigMap: a pod is older" in said
    assert "kubectl get egress shop -o yaml" in said
    assert "by hand" in where_to_look(have, egress("x", "192.0.2.7", of=None))


# -- quantities ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("300k", 300_000),
        ("10M", 10_000_000),
        ("1Ki", 1024),
        ("2Mi", 2 * 1024**2),
        ("1.5G", 1_500_000_000),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1E", 10**18),
        (".5k", 500),
        ("1500m", Decimal("1.5")),
        ("10", 10),
        ("ki", None),
        ("1ki", None),
        ("1KB", None),
        ("1K", None),
        ("10 M", None),
        ("", None),
        (None, None),
        ("1e999", None),
    ],
)
def test_a_quantity_is_read_as_kubernetes_reads_it(text: Any, number: Any) -> None:
    assert quantity(text) == number


@given(st.text(max_size=8))
def test_any_text_is_a_quantity_or_none(text: str) -> None:
    assert quantity(text) is None or quantity(text) == quantity(text)
