# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an Egress on a VLAN may be made or taken away."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _egress_vlan as domain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _egress_vlan_nodes as nodes,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _egress_vlan_others as others,
)
from ansible_collections.k8snet.cni.plugins.module_utils.node import _egress_probe

Obj = dict[str, Any]

GATEWAY = "172.18.181.1"
LABEL = "k8snet.io/egress-181"
ALL = ("node1", "node2", "node3")
CLUSTER = {
    "nodes": [
        {"name": name, "os": "linux", "hostname": name, "internal_ips": [f"10.160.1.2{name[-1]}"]}
        for name in ALL
    ]
}


def antrea(**more: Any) -> Obj:
    on = {"enabled": True}
    return {
        "installed": True,
        "version": "v2.3.0",
        "traffic_encap_mode": "encap",
        "gates": {"Egress": on, "EgressSeparateSubnet": on},
        "restart_due": {"agent": False, "controller": False, "why": None},
        "transport_interface": None,
        "transport_interface_cidrs": [],
        "agents": [{"node": name, "ready": True, "waiting": None} for name in ALL],
        **more,
    }


def nic(name: str, **more: Any) -> Obj:
    found = {"name": name, "kind": "physical", "mtu": 1500, "mac": f"mac-{name}", "up": True}
    return {**found, "parent": None, "vlan_id": None, "addresses": [], **more}


def host(name: str, *extra: Obj, **more: Any) -> Obj:
    own = {"address": f"10.160.1.2{name[-1]}", "prefix": 24, "family": "inet"}
    facts = {"k8snet_nics": [nic("lo"), nic("eth0", addresses=[own]), *extra], "k8snet_reach": {}}
    answers = [{"target": GATEWAY, "mac": "m", "tag": 181}]
    return {
        "name": f"{name}.example",
        "state": "visited",
        "error": "",
        "node_name": "",
        "address": None,
        "facts": facts,
        "probe": {"answers": answers, "heard": {}, "explanation": None},
        "probe_error": "",
        "filters": [],
        **more,
    }


def plan(*hosts: Obj, world: Obj | None = None, of: Obj | None = None, **more: Any) -> Obj:
    options = {
        "state": "present",
        "egress": "shop",
        "pool": "vlan181",
        "vlan": 181,
        "ranges": [{"start": "172.18.181.50", "end": "172.18.181.59"}],
        "gateway": GATEWAY,
        "prefix_length": 24,
        "nodes": ["node2", "node3"],
        "label": {"key": LABEL, "value": "true"},
        "applied_to": {"namespace_selector": {}},
        "egress_ip": "",
        "drill": "none",
        "accept_power_off": "",
        "forks": 5,
        "width": 100,
        **more,
    }
    found = {"labels": {name: {} for name in ALL}, "pools": [], "egresses": [], **(world or {})}
    visited = list(hosts) or [host(name) for name in ALL]
    return domain.decide(CLUSTER, of or antrea(), found, visited, options)


def pool(name: str, key: str = LABEL, **subnet: Any) -> Obj:
    info = {"gateway": GATEWAY, "prefixLength": 24, "vlan": 181, **subnet}
    spec = {"nodeSelector": {"matchLabels": {key: "true"}}, "subnetInfo": info}
    return {"metadata": {"name": name}, "spec": spec}


def egress(name: str, **spec: Any) -> Obj:
    return {"metadata": {"name": name}, "spec": {"externalIPPool": "vlan181", **spec}}


def test_nodes_get_the_label_and_others_lose_it() -> None:
    labels = {"node1": {LABEL: "true"}, "node2": {LABEL: "true"}, "node3": {"other": "x"}}
    found = plan(world={"labels": labels})
    assert (found["refusals"], found["warnings"]) == ([], [])
    assert (found["adds"], found["drops"]) == (["node3"], ["node1"])
    assert found["labels_before"] == {"node1": "true", "node2": "true", "node3": None}
    text = " ".join(" ".join(found["lines"]).split())
    assert "node1 loses k8snet.io/egress-181=true" in text
    assert "PLAN Pods of all namespaces leave with an address of the pool on VLAN 181" in text
    assert "node2 reached 172.18.181.1 answers on VLAN 181." in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": "v1.14.2"}, "came with v1.15"),
        ({"traffic_encap_mode": "noEncap"}, "trafficEncapMode is noEncap"),
        ({"gates": {"Egress": {"enabled": True}}}, "gate EgressSeparateSubnet is off"),
        ({"restart_due": {"agent": True, "why": "it is new"}}, "Restart them one by one"),
        ({"installed": False}, "not installed"),
        ({"transport_interface": "bond9"}, "it has no bond9"),
        ({"agents": []}, "antrea-agent is not ready"),
    ],
)
def test_antrea_has_to_be_able_to(change: Obj, words: str) -> None:
    assert words in " ".join(plan(of=antrea(**change))["refusals"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nodes": []}, "names no node"),
        ({"nodes": ["node9"]}, "node9: there is no such Node"),
        ({"nodes": ["node2"], "drill": "label"}, "The drill moves"),
        ({"forks": 1}, "--forks 2"),
        ({"vlan": 4095}, "not from 1 to 4094"),
        ({"probe": "172.18.181.1"}, "antrea_egress_vlan_probe is '172.18.181.1': not ADDRESS:PORT"),
        ({"probe": "gateway:80"}, "not ADDRESS:PORT"),
        ({"probe": "172.18.181.1:0"}, "not ADDRESS:PORT"),
        ({"probe": "2001:db8::1:80"}, "not ADDRESS:PORT"),
        ({"probe": "[172.18.181.1]:80"}, "not ADDRESS:PORT"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: Obj, words: str) -> None:
    assert words in " ".join(plan(**options)["refusals"])


@pytest.mark.parametrize("target", ["", "172.18.181.1:7180", "[2001:db8::1]:80"])
def test_a_target_of_the_probe_is_taken(target: str) -> None:
    assert plan(probe=target)["refusals"] == []


def test_a_node_that_was_not_seen_bars_it_only_if_it_may_hold_the_address() -> None:
    lost = host("node1", state="unreachable", error="no route", facts={}, node_name="node1")
    assert plan(lost, host("node2"), host("node3"))["refusals"] == []
    found = plan(lost, host("node2"), nodes=["node1", "node2"])["refusals"]
    (refusal,) = found
    assert refusal.startswith("node1: it could not be examined (no route).")


def test_a_node_that_the_vlan_does_not_reach_bars_it() -> None:
    deaf = host("node3", probe={"answers": [], "heard": {}, "explanation": None})
    (refusal,) = plan(host("node2"), deaf)["refusals"]
    assert refusal.startswith("node3: on VLAN 181 it neither hears anybody nor is heard")
    failed = host("node3", probe=None, probe_error="no such interface")
    (refusal,) = plan(host("node2"), failed)["refusals"]
    assert refusal == "node3: VLAN 181 was not tried: no such interface. Repair that."


def test_a_vlan_interface_of_others_bars_it() -> None:
    other = nic("eth0.181", kind="vlan", parent="eth0", vlan_id=181)
    own = {**other, "name": "antrea-ext.181"}
    elsewhere = {**other, "parent": "eth1"}
    (refusal,) = plan(host("node2", other), host("node3", own, elsewhere))["refusals"]
    assert refusal.startswith("node2: eth0.181 is VLAN 181 on eth0 already")


def test_a_transport_interface_that_is_a_vlan_bars_it() -> None:
    own = {"address": "10.160.1.22", "prefix": 24, "family": "inet"}
    bad = host("node2")
    bad["facts"]["k8snet_nics"] = [
        nic("eth0"),
        nic("eth0.216", kind="vlan", parent="eth0", vlan_id=216, addresses=[own]),
    ]
    assert "tag frames twice" in " ".join(plan(bad, host("node3"))["refusals"])


def test_the_transport_interface_is_found_by_network_too() -> None:
    own = {"address": "192.0.2.7", "prefix": 24, "family": "inet"}
    seen = host("node2", nic("eth7", addresses=[own]))
    told = antrea(transport_interface_cidrs=["192.0.2.0/24"])
    assert nodes.nic(seen, CLUSTER, told, ["node2"])["interface"] == "eth7"
    assert nodes.nic(seen, CLUSTER, antrea(), ["node2"]) == {
        "node": "node2",
        "interface": "eth0",
        "mac": "mac-eth0",
    }
    assert nodes.nic(seen, CLUSTER, antrea(), ["node3"])["interface"] is None


@pytest.mark.parametrize(
    ("lines", "strict"),
    [
        (["net.ipv4.conf.*.rp_filter = 1"], True),
        (["-net/ipv4/conf/*/rp_filter=1"], True),
        (["net.ipv4.conf.*.rp_filter = 2"], False),
        (["net.ipv4.conf.all.rp_filter = 1", "net.ipv4.conf.default.rp_filter = 1"], False),
        (["net.ipv4.conf.eth*.rp_filter = 1"], False),
        (["net.ipv4.conf.antrea-ext/181.rp_filter = 2", "net.ipv4.conf.*.rp_filter = 1"], False),
        (["net/ipv4/conf/antrea-ext.181/rp_filter = 1"], True),
    ],
)
def test_what_makes_rp_filter_strict_is_told(lines: list[str], strict: bool) -> None:
    assert bool(nodes.strict_filters(lines, 181)) is strict
    found = plan(host("node2", filters=lines), host("node3"))
    assert (found["refusals"], bool(found["warnings"])) == ([], strict)


def test_mtus_that_differ_and_nodes_without_a_way_are_told() -> None:
    small = host("node3")
    small["facts"]["k8snet_nics"][1]["mtu"] = 1400
    far = host("node1")
    far["facts"]["k8snet_reach"] = {GATEWAY: {"error": "no route"}}
    told = " ".join(plan(far, host("node2"), small)["warnings"])
    assert "MTUs differ (1500 on node2, 1400 on node3)" in told
    assert "node1 has no route to 172.18.181.1" in told


def test_removal_is_refused_while_others_use_the_pool() -> None:
    world = {"pools": [pool("vlan181")], "egresses": [egress("shop"), egress("other")]}
    (refusal,) = plan(state="absent", world=world)["refusals"]
    assert "ExternalIPPool vlan181 is used by Egress other, too" in refusal


def test_a_label_that_another_pool_goes_by_stays() -> None:
    labels = {"node2": {LABEL: "true"}}
    alone = plan(state="absent", world={"labels": labels, "pools": [pool("vlan181")]})
    assert alone["drops"] == ["node2"]
    both = {"labels": labels, "pools": [pool("vlan181"), pool("second")]}
    found = plan(state="absent", world=both)
    assert (found["drops"], "goes by it" in found["warnings"][0]) == ([], True)


def test_a_label_whose_name_only_begins_alike_is_another() -> None:
    labels = {"node2": {"k8snet.io/egress-18": "true"}}
    world = {"labels": labels, "pools": [pool("vlan18", "k8snet.io/egress-18"), pool("second")]}
    label = {"key": "k8snet.io/egress-18", "value": "true"}
    assert plan(state="absent", pool="vlan18", label=label, world=world)["drops"] == ["node2"]
    rules = [{"key": "k8snet.io/egress-18", "operator": "Exists"}]
    world["pools"][1]["spec"]["nodeSelector"] = {"matchExpressions": rules}
    assert plan(state="absent", pool="vlan18", label=label, world=world)["drops"] == []


LABELLED = {"node1": {LABEL: "true"}, "node2": {LABEL: "true"}, "node3": {LABEL: "true"}}
SERVICE = {
    "name": "web",
    "namespace": "shop",
    "annotations": {"service.antrea.io/external-ip-pool": "vlan181"},
}


@pytest.mark.parametrize(
    ("world", "options", "words"),
    [
        ({"egresses": [egress("other")]}, {}, "node1 would lose the label"),
        ({"services": [SERVICE]}, {}, "by which go Service shop/web, too"),
        ({"pools": [pool("second")]}, {}, "by which go ExternalIPPool second, too"),
        (
            {"egresses": [egress("other")]},
            {"nodes": list(ALL), "drill": "label"},
            "The drill may move addresses of Egress other, too",
        ),
        (
            {"egresses": [egress("other")], "pools": [pool("vlan181", "old")]},
            {"nodes": list(ALL)},
            "its nodes become those with k8snet.io/egress-181=true, not those with old=true",
        ),
        (
            {"egresses": [egress("other")], "pools": [pool("vlan181", gateway="172.18.181.9")]},
            {"nodes": list(ALL)},
            "and was VLAN 181 by 172.18.181.9/24",
        ),
        (
            {"labels": {name: {} for name in ALL}, "pools": [pool("second")]},
            {},
            "node2, node3 would get addresses of ExternalIPPool second, too",
        ),
    ],
)
def test_what_moves_others_needs_consent(world: Obj, options: Obj, words: str) -> None:
    whole = {"labels": LABELLED, **world}
    (refusal,) = plan(world=whole, **options)["refusals"]
    assert words in refusal
    assert "antrea_egress_vlan_accept_others" in refusal
    found = plan(world=whole, accept_others=True, **options)
    assert found["refusals"] == []
    assert words in found["warnings"][0]


def test_a_pool_of_its_own_may_change_and_the_plan_says_so() -> None:
    world = {"labels": LABELLED, "egresses": [egress("shop")], "pools": [pool("vlan181", "old")]}
    found = plan(world=world, drill="label")
    assert (found["refusals"], found["drops"]) == ([], ["node1"])
    text = " ".join(" ".join(found["lines"]).split())
    assert "its nodes become those with k8snet.io/egress-181=true" in text
    same = {"labels": LABELLED, "egresses": [egress("shop")], "pools": [pool("vlan181")]}
    assert plan(world=same)["pool_changes"] == []


def test_the_bundle_tells_how_it_was_and_who_was_there() -> None:
    labels = {"node1": {LABEL: "true"}, "node2": {}, "node3": {}}
    world = {"labels": labels, "pools": [pool("vlan181")], "egresses": [egress("other")]}
    undo = plan(world=world, accept_others=True)["undo"]
    assert undo == {
        "pool": pool("vlan181"),
        "egress": None,
        "labels": {"node1": "true", "node2": None, "node3": None},
        "changed": ["node2", "node3", "node1"],
        "others": ["Egress other"],
    }
    former = {**undo, "options": {"egress": "shop", "pool": "vlan181", "label": {"key": LABEL}}}
    assert others.newcomers(former, world) == []
    later = {**world, "egresses": [egress("shop"), egress("other"), egress("new")]}
    assert others.newcomers(former, later) == ["Egress new"]


def test_targets_are_the_gateway_and_what_is_not_given_out_yet() -> None:
    options = {"gateway": GATEWAY, "ranges": [{"cidr": "172.18.181.48/30"}], "egress_ip": ""}
    world = {"egresses": [egress("shop", egressIP="172.18.181.49")]}
    assert domain.targets(options, world) == [GATEWAY, "172.18.181.50"]
    wide = {**options, "ranges": [{"cidr": "172.18.0.0/16"}, {"cidr": "nonsense"}]}
    assert len(domain.targets(wide, {"egresses": []})) == domain.MOST_TARGETS


def held(**more: Any) -> list[str]:
    own = {"address": "172.18.181.50", "prefix": 24, "family": "inet"}
    there = nic("antrea-ext.181", kind="vlan", vlan_id=181, addresses=[own], **more)
    facts = {"k8snet_nics": [there]}
    return nodes.held({"facts": facts, "rp_filter": ["0", "2"]}, 181, "172.18.181.50")


def test_the_holder_has_the_address_on_the_vlan() -> None:
    assert held() == []
    assert "is down" in held(up=False)[0]
    there = nic("antrea-ext.181", vlan_id=99)
    wrong = {"facts": {"k8snet_nics": [there]}, "rp_filter": ["1", "0"]}
    told = " ".join(nodes.held(wrong, 181, "172.18.181.50"))
    for words in ("not VLAN 181 but 99", "does not have 172.18.181.50", "rp_filter is strict"):
        assert words in told
    assert "has no antrea-ext.181" in nodes.held({"facts": {}}, 181, "172.18.181.50")[0]


def test_pods_have_to_leave_with_the_address() -> None:
    def probe(**more: Any) -> Obj:
        return {"pod": "10.244.1.10", "ok": True, "seen": [], "error": None, **more}

    def told(**more: Any) -> list[str]:
        return nodes.left([probe(**more)], "172.18.181.50", "172.18.181.1:80")

    assert told() == told(seen=["172.18.181.50"]) == []
    assert "leaves as 10.160.1.21" in told(seen=["10.160.1.21"])[0]
    assert "does not reach 172.18.181.1:80: refused" in told(ok=False, error="refused")[0]


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ("172.18.181.50\n", ["172.18.181.50"]),
        ('{"ip": "172.18.181.50:4711"}', ["172.18.181.50"]),
        ('{"origin":"2001:db8::1", "at":"12:30"}', ["2001:db8::1"]),
        ("HTTP/1.0 200 OK\r\nServer: 1.2.3.4\r\n\r\n10.0.0.1:4711", ["10.0.0.1"]),
        ("[2001:db8::1]:4711", ["2001:db8::1"]),
        ("::ffff:10.0.0.1", ["10.0.0.1"]),
        ("Hostname: a\nIP: 10.9.9.9\nRemoteAddr: 10.0.0.1:4711\nHost: 10.8.8.8", ["10.0.0.1"]),
        ("fl=1\nip=10.0.0.1\nts=1.2", ["10.0.0.1"]),
        ('{"args": {}, "origin": "10.0.0.1, 10.0.0.2"}', ["10.0.0.1", "10.0.0.2"]),
        ('[{"client_address": "10.0.0.1", "ip": "10.9.9.9", "port": 1}]', ["10.0.0.1"]),
        ("<style>p::before{}</style> v1.2.3.4", []),
        ("nginx/1.2.3.4 at 12:30:00", []),
        ("Version: 1.2.3.4\nServer: 10.0.0.9", []),
        ('{"version": "1.2.3.4"}', []),
        ("4711", []),
    ],
)
def test_addresses_are_read_from_what_a_server_says(said: str, seen: list[str]) -> None:
    assert _egress_probe.addresses(said) == seen
