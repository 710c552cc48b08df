# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kinds, roles, listing, fingerprint."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _nics
from hypothesis import given
from hypothesis import strategies as st


def address(text: str, **more: Any) -> dict[str, Any]:
    ip, prefix = text.split("/")
    family = "inet6" if ":" in ip else "inet"
    entry = {"address": ip, "prefix": int(prefix), "family": family, "scope": "global"}
    return {**entry, "flags": ["permanent"], "label": None, **more}


def link(name: str, *addresses: Any, **more: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": name,
        "ifindex": 2,
        "mac": "02:00:00:00:00:01",
        "permanent_mac": None,
        "mtu": 1500,
        "up": True,
        "lower_up": True,
        "operstate": "up",
        "master": None,
        "link": None,
        "loopback": name == "lo",
        "info_kind": None,
        "vlan_id": None,
        "tun_type": None,
        "tunnel": None,
        "altnames": [],
        "driver": None,
        "bus": None,
        "addresses": [address(a) if isinstance(a, str) else a for a in addresses],
    }
    entry.update(more)
    return entry


def built(*links: dict[str, Any], routes: Any = None, pods: bool = False) -> dict[str, Any]:
    return _nics.build(list(links), routes or {"inet": [], "inet6": []}, pods)


def via(interface: str, metric: int = 0) -> dict[str, Any]:
    return {"gateway": "10.0.0.1", "interface": interface, "metric": metric, "source": None}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.5", True),
        ("100.64.0.1", True),
        ("192.168.1.1", True),
        ("169.254.20.10", False),
        ("127.0.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", True),
        ("0.0.0.0", False),
        ("255.255.255.255", False),
        ("2001:db8::1", True),
        ("fd00::1", True),
        ("fe80::1", False),
        ("febf::1", False),
        ("fec0::1", True),
        ("ff02::1", False),
        ("::1", False),
        ("::", False),
        ("::ffff:169.254.1.1", False),
        ("::ffff:10.0.0.1", True),
        ("nonsense", False),
    ],
)
def test_global_unicast_is_what_go_calls_so(text: str, expected: bool) -> None:
    assert _nics.is_global_unicast(text) is expected


@given(st.ip_addresses())
def test_global_unicast_agrees_with_its_definition_for_any_address(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    plain: Any = getattr(ip, "ipv4_mapped", None) or ip
    refused = plain.is_unspecified or plain.is_loopback or plain.is_multicast or plain.is_link_local
    limited = str(plain) == "255.255.255.255"
    assert _nics.is_global_unicast(str(ip)) is not (refused or limited)


@pytest.mark.parametrize(
    ("given_link", "kind"),
    [
        (link("lo"), "loopback"),
        (link("eth0", bus="0000:00:03.0"), "physical"),
        (link("odd0"), "other"),
        (link("eth0.5", info_kind="vlan", link="eth0"), "vlan"),
        (link("eth0.5.6", info_kind="vlan", link="eth0.5"), "qinq"),
        (link("v", info_kind="vlan", link=None), "vlan"),
        (link("tun0", info_kind="tun", tun_type="tun"), "tun"),
        (link("tap0", info_kind="tun", tun_type="tap"), "tap"),
        (link("br-int", info_kind="openvswitch"), "openvswitch"),
    ],
)
def test_the_kind_is_the_kernels_word_where_it_has_one(
    given_link: dict[str, Any], kind: str
) -> None:
    kinds = {"eth0": None, "eth0.5": "vlan"}
    assert _nics.kind_of(given_link, kinds) == kind


@pytest.mark.parametrize(
    ("name", "kind", "has_global", "role"),
    [
        ("eth0", "physical", True, "primary"),
        ("eth1", "physical", False, "node"),
        ("bond0.181", "vlan", True, "node"),
        ("antrea-ext.181", "vlan", True, "cni"),
        ("antrea-gw0", "openvswitch", True, "cni"),
        ("genev_sys_6081", "geneve", False, "cni"),
        ("ovs-system", "openvswitch", False, "cni"),
        ("br-secondary", "openvswitch", True, "node"),
        ("vxlan.calico", "vxlan", True, "cni"),
        ("vxlan-6784", "vxlan", False, "cni"),
        ("vxlan-blue", "bridge", False, "node"),
        ("kube-ipvs0", "dummy", True, "service-proxy"),
        ("nodelocaldns", "dummy", False, "service-proxy"),
        ("cali12345678901", "veth", False, "pod"),
        ("lxc_health", "veth", True, "pod"),
        ("coredns-5-4e1a2b", "veth", False, "pod"),
        ("eni0123456789ab", "veth", True, "node"),
        ("eni0123456789a", "veth", True, "pod"),
        ("eth1", "veth", True, "node"),
        ("nk0", "netkit", False, "pod"),
        ("docker0", "bridge", True, "other"),
        ("br-0123456789ab", "bridge", True, "other"),
        ("br-lan", "bridge", True, "node"),
        ("dummy0", "dummy", True, "other"),
        ("lo", "loopback", False, "other"),
    ],
)
def test_the_role_follows_name_and_kind(name: str, kind: str, has_global: bool, role: str) -> None:
    assert _nics.role_of(name, kind, has_global, "eth0") == role


def test_the_primary_interface_is_that_of_the_best_ipv4_default_route() -> None:
    routes = {"inet": [via("bond0", 5), via("eth9", 10)], "inet6": [via("eth1")]}
    assert _nics.primary_of(routes) == "bond0"
    assert _nics.primary_of({"inet": [], "inet6": [via("eth1")]}) == "eth1"
    assert _nics.primary_of({"inet": [], "inet6": []}) is None


def test_pod_interfaces_are_counted_by_kind_and_listed_on_request() -> None:
    links = [link("eth0"), link("cali1", info_kind="veth"), link("nk1", info_kind="netkit")]
    links.append(link("cali2", info_kind="veth"))
    short = built(*links)
    assert [nic["name"] for nic in short["nics"]] == ["eth0"]
    assert short["counts"] == {"total": 4, "listed": 1, "unlisted": {"veth": 2, "netkit": 1}}
    full = built(*links, pods=True)
    assert [nic["name"] for nic in full["nics"]] == ["eth0", "cali1", "nk1", "cali2"]
    assert full["counts"] == {"total": 4, "listed": 4, "unlisted": {}}
    assert full["fingerprint"] == short["fingerprint"]


def test_any_interface_with_a_global_address_is_listed_since_calico_may_pick_it() -> None:
    facts = built(
        link("veth1", "172.31.0.1/16", info_kind="veth"),
        link("veth2", "169.254.1.1/32", "fe80::1/64", info_kind="veth"),
    )
    assert [nic["name"] for nic in facts["nics"]] == ["veth1"]


def test_the_kernels_order_is_kept() -> None:
    names = ["eth9", "eth1", "lo", "a"]
    addresses = ["10.0.0.9/24", "10.0.0.1/24"]
    facts = built(*(link(name, *addresses) for name in names))
    assert [nic["name"] for nic in facts["nics"]] == names
    assert [a["address"] for a in facts["nics"][0]["addresses"]] == ["10.0.0.9", "10.0.0.1"]


def test_kube_ipvs0_lists_its_addresses_compactly_in_order() -> None:
    facts = built(link("kube-ipvs0", "10.96.0.10/32", "10.96.0.1/32", info_kind="dummy"))
    assert facts["nics"][0]["addresses"] == ["10.96.0.10/32", "10.96.0.1/32"]


def test_an_interface_that_is_down_has_no_carrier_to_speak_of() -> None:
    facts = built(link("a", up=False, lower_up=False), link("b", lower_up=False), link("c"))
    assert [nic["carrier"] for nic in facts["nics"]] == [None, False, True]


def test_the_peer_of_a_veth_is_no_parent() -> None:
    facts = built(
        link("eth0"),
        link("v", "10.0.0.1/24", info_kind="veth", link="w"),
        link("m", info_kind="macvlan", link="eth0"),
    )
    assert [nic["parent"] for nic in facts["nics"]] == [None, None, "eth0"]


def test_two_hundred_pods_leave_the_facts_small() -> None:
    pods = [link(f"cali{n:011x}", info_kind="veth") for n in range(200)]
    facts = built(link("lo"), link("eth0", "10.0.0.5/24"), *pods)
    assert len(json.dumps(facts["nics"])) < 8192


@pytest.mark.parametrize(
    "volatile",
    [
        link("cali1", "10.1.1.1/32", info_kind="veth"),
        link("vxlan.calico", "10.244.7.0/32", info_kind="vxlan"),
        link("kube-ipvs0", "10.96.0.1/32", info_kind="dummy"),
    ],
)
def test_the_fingerprint_ignores_interfaces_that_come_and_go(volatile: dict[str, Any]) -> None:
    node = link("eth0", "10.0.0.5/24")
    assert built(node)["fingerprint"] == built(volatile, node)["fingerprint"]


@pytest.mark.parametrize(
    "volatile",
    [
        address("2001:db8::aaaa/64", flags=["temporary"]),
        address("2001:db8::bbbb/64", flags=["deprecated", "permanent"]),
        address("fe80::1/64", scope="link"),
        address("169.254.3.4/16", scope="link"),
    ],
)
def test_the_fingerprint_ignores_addresses_that_change_by_themselves(
    volatile: dict[str, Any],
) -> None:
    plain = built(link("eth0", "10.0.0.5/24"))
    assert built(link("eth0", "10.0.0.5/24", volatile))["fingerprint"] == plain["fingerprint"]


@pytest.mark.parametrize(
    "changed",
    [
        link("eth1", "10.0.0.5/24"),
        link("eth0", "10.0.0.6/24"),
        link("eth0", "10.0.0.5/25"),
        link("eth0", "10.0.0.5/24", permanent_mac="02:00:00:00:00:02"),
        link("eth0", "10.0.0.5/24", bus="0000:00:04.0"),
        link("eth0", address("10.0.0.5/24"), address("10.0.0.7/24", flags=["deprecated"])),
    ],
)
def test_the_fingerprint_changes_with_what_a_baseline_keeps(changed: dict[str, Any]) -> None:
    plain = built(link("eth0", "10.0.0.5/24"))["fingerprint"]
    assert plain.startswith("sha256:")
    assert len(plain) == 71
    assert built(changed)["fingerprint"] != plain


def test_state_that_is_no_wiring_leaves_the_fingerprint_alone() -> None:
    plain = built(link("eth0", "10.0.0.5/24"))["fingerprint"]
    other = link("eth0", "10.0.0.5/24", up=False, mtu=9000, ifindex=77, operstate="down")
    assert built(other)["fingerprint"] == plain


def test_reach_for_gives_the_sources_of_one_family() -> None:
    both = {"inet": {"source": "10.0.0.5"}, "inet6": {"source": None}}
    reach = {"gw.example": {"by_family": both}, "10.0.0.1": {"by_family": {**both, "inet6": None}}}
    assert _nics.reach_for(reach, "inet") == {"gw.example": "10.0.0.5", "10.0.0.1": "10.0.0.5"}
    assert _nics.reach_for(reach, "inet6") == {"gw.example": None, "10.0.0.1": None}
