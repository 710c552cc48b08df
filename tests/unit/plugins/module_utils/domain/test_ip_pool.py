# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ExternalIPPools: what is written, and what is refused before."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _ip_pool
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._external_ips import Change, World
from ansible_collections.k8snet.cni.plugins.module_utils.domain._ip_pool import Want, plan_pool

from tests.unit import pools_world
from tests.unit.pools_world import SPAN, egress, pool, service, world

Obj = dict[str, Any]

SUBNET = {"gateway": "172.18.181.1", "prefix_length": 24, "vlan": 181}
MORE = {"cidr": "172.18.181.32/28"}


def want(*ranges: Obj, **options: Any) -> Want:
    given = {"name": "vlan181", "subnet": SUBNET, "ip_ranges": list(ranges or (SPAN,)), **options}
    return Want(**given)


def refusal(have: World, *ranges: Obj, **options: Any) -> str:
    with pytest.raises(Refused) as refused:
        plan_pool(have, want(*ranges, **options))
    return str(refused.value)


def body(change: Change) -> Any:
    assert change.act is not None
    return change.act.body


# -- what is written ----------------------------------------------------------------------


def test_a_pool_is_made_whole() -> None:
    selector = {"matchLabels": {"k8snet.io/egress-181": True}}
    change = plan_pool(world(), want(SPAN, MORE, node_selector=selector))
    assert body(change)["spec"] == {
        "ipRanges": [SPAN, MORE],
        "nodeSelector": {"matchLabels": {"k8snet.io/egress-181": "true"}},
        "subnetInfo": {"gateway": "172.18.181.1", "prefixLength": 24, "vlan": 181},
    }
    assert change.before is None
    assert [s.action for s in change.plan.steps] == [
        "Create the pool: 172.18.181.10-172.18.181.20, 172.18.181.32/28 (25 addresses) on VLAN 181 "
        "by gateway 172.18.181.1/24, for nodes with k8snet.io/egress-181=true"
    ]
    assert change.advice == (
        "No Node has the labels k8snet.io/egress-181=true: addresses of the pool go to no node "
        "until one has.",
    )


def test_what_is_there_in_another_spelling_is_no_change() -> None:
    six = pool(
        "vlan181",
        {"cidr": "2001:db8::/120"},
        {"start": "2001:db8::1:1", "end": "2001:db8::1:9"},
        subnetInfo={"gateway": "2001:db8::2:1", "prefixLength": 64, "vlan": 0},
        nodeSelector={"matchLabels": {}},
    )
    same = want(
        {"start": "2001:DB8::1:01", "end": "2001:db8:0::1:9"},
        {"cidr": "2001:db8::5/120"},
        subnet={"gateway": "2001:DB8::2:1", "prefix_length": 64},
    )
    change = plan_pool(world(pools=[six]), same)
    assert (change.plan.changed, change.act) == (False, None)


def test_a_new_range_is_written_as_antrea_would_write_it() -> None:
    change = plan_pool(
        world(),
        want(
            {"start": "2001:DB8::01", "end": "2001:DB8::f"},
            {"cidr": "2001:DB8::77/124"},
            subnet=None,
        ),
    )
    assert body(change)["spec"]["ipRanges"] == [
        {"start": "2001:db8::1", "end": "2001:db8::f"},
        {"cidr": "2001:db8::70/124"},
    ]


def test_ranges_are_added_behind_those_that_are_there() -> None:
    change = plan_pool(world(pools=[pool("vlan181", MORE)]), want(SPAN, MORE))
    assert [s.action for s in change.plan.steps] == ["Add 172.18.181.10-172.18.181.20 to the pool"]
    assert body(change) == [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "replace", "path": "/spec/ipRanges", "value": [MORE, SPAN]},
    ]
    assert change.advice == ()


def test_subnet_and_selector_change_and_say_whom_they_break() -> None:
    zone = {"matchLabels": {"zone": "a"}}
    have = world(pools=[pool()], egresses=[egress("shop", "172.18.181.10")])
    options = {"node_selector": zone, "subnet": {**SUBNET, "gateway": "172.18.181.254"}}
    change = plan_pool(have, want(**options))
    assert [s.action for s in change.plan.steps] == [
        "Give the pool's addresses to nodes with zone=a; addresses move off nodes that have not "
        "these labels",
        "Set the pool's subnet on VLAN 181 by gateway 172.18.181.254/24; connections by its "
        "addresses break",
    ]
    change = plan_pool(world(pools=[pool()]), want(subnet=None))
    assert [s.action for s in change.plan.steps] == ["Take the pool's subnet away"]
    assert "subnetInfo" not in (change.after or {})["spec"]


def test_facts_of_a_pool() -> None:
    one = {**pool("vlan181", SPAN, MORE), "status": {"usage": {"total": 25, "used": 3}}}
    assert _ip_pool.facts(one) == {
        "name": "vlan181",
        "ranges": [SPAN, MORE],
        "subnet": {"gateway": "172.18.181.1", "prefix_length": 24, "vlan": 181},
        "node_selector": {},
        "total": 25,
        "used": 3,
    }
    assert _ip_pool.facts(pool(subnetInfo=None))["subnet"] is None


# -- ranges that are there ----------------------------------------------------------------------


def test_ranges_that_are_there_stay_and_the_refusal_says_the_way_around() -> None:
    users = {"egresses": [egress()], "services": [service("a", of="vlan181")]}
    said = refusal(world(pools=[pool("vlan181", SPAN, MORE)], **users), SPAN)
    assert "ip_ranges lacks 172.18.181.32/28" in said
    assert "make a new pool with the ranges that you want" in said
    assert "(Egress shop, Service web/a;" in said
    assert "A new pool may not overlap this one while it exists" in said
    said = refusal(world(pools=[pool("vlan181", SPAN, MORE)]), SPAN)
    assert "remove the pool, which nothing uses" in said


def test_a_range_cannot_be_replaced_by_one_of_the_same_addresses() -> None:
    cut = {"start": "172.18.181.33", "end": "172.18.181.46"}
    assert "lacks 172.18.181.32/28" in refusal(world(pools=[pool("vlan181", MORE)]), cut)


# -- what is refused ----------------------------------------------------------------------

FAR = {"cidr": "172.18.182.0/28"}
TWENTY = [
    pool(f"p{n}", {"cidr": f"172.19.{n}.0/28"}, subnetInfo={**pools_world.SUBNET, "vlan": n + 1})
    for n in range(20)
]


@pytest.mark.parametrize(
    ("ranges", "options", "words"),
    [
        ([{"cidr": "172.18.181.0/33"}], {}, "is no CIDR"),
        ([{"cidr": "127.0.0.0/24"}], {"subnet": None}, "is a loopback range"),
        ([{"start": "223.0.0.1", "end": "224.0.0.1"}], {"subnet": None}, "is a multicast range"),
        ([{"cidr": "172.18.181.7/32"}], {}, "has no address to give out"),
        ([SPAN, {"cidr": "2001:db8::/120"}], {"subnet": None}, "different families"),
        ([SPAN, {"cidr": "172.18.181.16/28"}], {}, "16/28 overlaps 172.18.181.10-172.18.181.20"),
        ([SPAN, SPAN], {}, "overlaps"),
        ([FAR], {}, r"is not in the subnet 172.18.181.0/24 of the gateway"),
        ([{"cidr": "172.18.181.0/28"}], {}, "has the gateway 172.18.181.1 in it"),
        (
            [{"start": "172.18.181.250", "end": "172.18.181.255"}],
            {},
            "has the first or the last address",
        ),
        ([SPAN], {"subnet": {**SUBNET, "gateway": "router"}}, "router is no IP address"),
        ([SPAN], {"subnet": {**SUBNET, "gateway": "172.18.181.0"}}, "the network's own"),
        ([SPAN], {"subnet": {**SUBNET, "gateway": "172.18.181.255"}}, "the network's own"),
        ([SPAN], {"subnet": {**SUBNET, "gateway": "224.0.0.1"}}, "is a multicast address"),
        ([SPAN], {"subnet": {**SUBNET, "prefix_length": 32}}, "32 is not in 1 to 31"),
        ([SPAN], {"subnet": {**SUBNET, "prefix_length": 0}}, "0 is not in 1 to 31"),
        ([SPAN], {"subnet": {**SUBNET, "vlan": 4095}}, "4095 is not in 0 to 4094"),
        ([SPAN], {"subnet": {**SUBNET, "vlan": -1}}, "-1 is not in 0 to 4094"),
        ([SPAN], {"node_selector": {"matchLabel": {}}}, "node_selector: matchLabel"),
        ([SPAN], {"taken": {"172.18.181.20": "aa:bb"}}, r"172.18.181.20 in it.* in use \(aa:bb\)"),
        ([{"cidr": "10.160.1.0/27"}], {"subnet": None}, "is an address of node node1"),
        ([{"cidr": "10.244.1.128/28"}], {"subnet": None}, "the pods' network of node node1"),
        ([{"cidr": "10.100.0.0/28"}], {"subnet": None}, "the network of Services"),
        (
            [{"cidr": "10.0.0.0/28"}],
            {"subnet": None},
            r"10.0.0.3 in it, .* Service web/b",
        ),
        ([{"cidr": "10.0.1.0/28"}], {"subnet": None}, "of the ExternalIPPool other"),
    ],
)
def test_what_would_do_harm_is_refused(ranges: list[Obj], options: Obj, words: str) -> None:
    others = [pool("other", {"start": "10.0.1.15", "end": "10.0.1.20"}, subnetInfo=None)]
    services = [service("b", "10.0.0.3")]
    assert re.search(words, refusal(world(pools=others, services=services), *ranges, **options))


@pytest.mark.parametrize(
    ("item", "gateway", "prefix"),
    [
        ({"start": "172.18.181.3", "end": "172.18.181.3"}, "172.18.181.2", 31),
        ({"start": "172.18.181.10", "end": "172.18.181.20"}, "172.18.181.1", 1),
        ({"start": "2001:db8::", "end": "2001:db8::9"}, "2001:db8::ffff", 64),
        ({"start": "2001:db8::3", "end": "2001:db8::3"}, "2001:db8::2", 127),
    ],
)
def test_the_longest_and_the_widest_subnet(item: Obj, gateway: str, prefix: int) -> None:
    subnet = {"gateway": gateway, "prefix_length": prefix, "vlan": 4094}
    assert plan_pool(world(), want(item, subnet=subnet)).plan.changed


def test_what_is_no_network_hinders_nobody() -> None:
    assert plan_pool(world(service_cidrs=["none", "10.96.0.0/12"]), want()).plan.changed


def test_a_pool_needs_a_range() -> None:
    with pytest.raises(Refused, match="needs a range"):
        plan_pool(world(), Want("vlan181"))


def test_what_a_cidr_does_not_give_out_hinders_nobody() -> None:
    ranges = [{"cidr": "10.160.1.21/32"}, {"cidr": "172.18.181.0/29"}]
    have = world()
    # The first is no range at all; the second gives out neither .0 nor .7.
    said = refusal(have, ranges[1], subnet={**SUBNET, "gateway": "172.18.181.6"})
    assert "has the gateway 172.18.181.6" in said
    subnet = {**SUBNET, "gateway": "172.18.181.7"}
    assert plan_pool(have, want(ranges[1], subnet=subnet)).plan.changed


def test_at_most_twenty_subnets_have_route_tables() -> None:
    assert "route tables for 20 (101 to 120)" in refusal(world(pools=TWENTY))
    shared = {**SUBNET, "vlan": 5}
    assert plan_pool(world(pools=TWENTY), want(subnet=shared)).plan.changed
    assert plan_pool(world(pools=TWENTY[:19]), want()).plan.changed
    # The pool's own former subnet does not count.
    have = world(pools=[*TWENTY[:19], pool()])
    assert plan_pool(have, want(subnet={**SUBNET, "vlan": 99})).plan.changed


def test_addresses_of_its_own_users_are_no_offence() -> None:
    have = world(
        egresses=[egress("shop", "172.18.181.12")],
        services=[service("a", "172.18.181.13", of="vlan181")],
    )
    taken = {"172.18.181.12": "aa", "172.18.181.13": "bb"}
    assert plan_pool(have, want(taken=taken)).plan.changed


# -- versions, gates, modes ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "agent", "words"),
    [
        ("v1.14.3", {}, "Antrea v1.14.3 knows no subnet of its own"),
        ("v1.15.1", {}, "EgressSeparateSubnet is off in antrea-agent"),
        (
            "v2.7.0",
            {"featureGates": {"EgressSeparateSubnet": False}},
            "Separate.*antrea_features",
        ),
        ("v2.7.0", {"featureGates": {"Egress": False}}, r"Egress is off in antrea-agent, so"),
        ("v2.7.0", {"trafficEncapMode": "noEncap"}, "trafficEncapMode is noEncap"),
        ("v2.7.0", {"trafficEncapMode": "networkPolicyOnly"}, "encap and hybrid only"),
    ],
)
def test_a_subnet_needs_a_version_gates_and_a_mode(version: str, agent: Obj, words: str) -> None:
    assert re.search(words, refusal(world(version, agent)))


@pytest.mark.parametrize(
    ("version", "agent"),
    [
        ("v1.15.1", {"featureGates": {"EgressSeparateSubnet": True}}),
        ("v2.3.0", {}),
        ("v2.7.0", {"trafficEncapMode": "Hybrid"}),
        (None, {"featureGates": {"EgressSeparateSubnet": True}}),
    ],
)
def test_a_subnet_is_taken(version: str | None, agent: Obj) -> None:
    assert plan_pool(world(version, agent), want()).plan.changed


def test_without_a_subnet_services_alone_may_use_the_pool() -> None:
    off = {"featureGates": {"Egress": False}}
    assert plan_pool(world("v2.7.0", off), want(subnet=None)).plan.changed
    assert "gate Egress is off" in refusal(world("v2.0.1", off), subnet=None)
    assert plan_pool(world("v1.13.0"), want(subnet=None)).plan.changed


def test_before_v1_13_nothing_is_served() -> None:
    said = refusal(world("v1.12.0", pools=None))
    assert "does not serve it. Antrea v1.12.0 runs; it is served since v1.13" in said


# -- what a change leaves as it is -----------------------------------------------------------------


def test_an_old_sin_is_told_and_hinders_no_change_of_something_else() -> None:
    have = world(pools=[pool("vlan181", {"cidr": "172.18.181.0/28"})])
    same = plan_pool(have, want({"cidr": "172.18.181.0/28"}))
    assert not same.plan.changed
    assert any("has the gateway 172.18.181.1 in it" in line for line in same.advice)
    zone = {"matchLabels": {"zone": "a"}}
    moved = plan_pool(have, want({"cidr": "172.18.181.0/28"}, node_selector=zone))
    assert moved.plan.changed
    assert any("has the gateway 172.18.181.1 in it" in line for line in moved.advice)
    grown = plan_pool(have, want({"cidr": "172.18.181.0/28"}, MORE))
    assert grown.plan.changed


@pytest.mark.parametrize(
    "options",
    [
        {"subnet": {**SUBNET, "gateway": "172.18.181.33"}},
        {"ranges": [SPAN, {"cidr": "172.18.181.0/28"}]},
    ],
)
def test_a_new_sin_is_refused_in_a_pool_that_is_there(options: Obj) -> None:
    ranges = [*options.pop("ranges", [SPAN]), MORE]
    have = world(pools=[pool("vlan181", SPAN, MORE)])
    assert "has the gateway" in refusal(have, *ranges, **options)


def test_what_is_good_to_know() -> None:
    huge = {"cidr": "2001:db8::/64"}
    egresses = [
        egress("old", "2001:db8::7", of=None),
        egress("new", "2001:db8::8", of="six"),
        egress("far", "192.0.2.7", of=None),
        egress("none", of=None),
    ]
    nodes = [pools_world.node(n, f"10.160.1.2{n}", "10.244.1.0/24", zone=f"z{n}") for n in (1, 2)]
    have = world(egresses=egresses, waiting="a pod is older", nodes=nodes)
    zone = {"matchLabels": {"zone": "z2"}}
    assert plan_pool(have, want(huge, subnet=None, node_selector=zone)).advice == (
        "Antrea gives out only the first 65536 addresses of 2001:db8::/64.",
        "The Egress old has 2001:db8::7 without a pool: Antrea may give that address to another. "
        "Set its pool.",
        "Antrea runs with another configuration than its ConfigMap's: a pod is older.",
    )


# -- removal and owners ----------------------------------------------------------------------


def test_a_pool_in_use_is_not_removed() -> None:
    gone = Want("vlan181", state="absent")
    for more, who in (
        ({"egresses": [egress("shop"), egress("bank")]}, "Egress shop, Egress bank"),
        ({"services": [service("a", of="vlan181"), service("b")]}, "Service web/a."),
    ):
        with pytest.raises(Refused, match=f"are used by {who}"):
            plan_pool(world(pools=[pool()], **more), gone)
    change = plan_pool(world(pools=[pool()], egresses=[egress("x", of="other")]), gone)
    assert change.act is not None
    assert change.act.method == "DELETE"
    assert body(change)["preconditions"] == {"uid": "u-vlan181", "resourceVersion": "7"}
    assert change.plan.steps[0].before == pool()["spec"]
    assert not plan_pool(world(), gone).plan.changed


def test_egresses_that_the_run_would_have_removed_hinder_nothing() -> None:
    have = world(pools=[pool()], egresses=[egress("shop"), egress("bank")])
    both = ("shop", "bank")
    assert plan_pool(have, Want("vlan181", state="absent", egresses_gone=both)).plan.changed
    with pytest.raises(Refused, match="are used by Egress bank"):
        plan_pool(have, Want("vlan181", state="absent", egresses_gone=("shop",)))


def test_a_pool_of_somebody_else_is_refused_with_what_to_commit() -> None:
    owned = pool()
    owned["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "Helm"}
    said = refusal(world(pools=[owned]), SPAN, MORE)
    assert "belongs to Helm" in said
    assert "cidr: 172.18.181.32/28" in said
    assert plan_pool(world(pools=[owned]), want(SPAN, MORE, override_owner=True)).plan.changed
    assert not plan_pool(world(pools=[owned]), want()).plan.changed
    with pytest.raises(Refused, match="remove it there"):
        plan_pool(world(pools=[owned]), Want("vlan181", state="absent"))
