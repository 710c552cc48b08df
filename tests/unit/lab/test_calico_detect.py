# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's calico-node detects as the facts say."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from tests.lab.actors.calico_detect import (
    InvalidMethod,
    detect,
    on_link,
    routes_wanted,
    wanted_address,
)

Obj = dict[str, Any]


def nics(text: str) -> list[Obj]:
    """Read "eth0 a b; eth1 c": interfaces in kernel order, addresses with prefix."""
    out = []
    for part in text.split(";"):
        name, *addresses = part.split()
        out.append({"name": name, "addresses": addresses})
    return out


@pytest.mark.parametrize(
    ("interfaces", "method", "expected"),
    [
        ("eth0 10.0.2.15/24; eth1 192.168.56.11/24", "first-found", "192.168.56.11/24"),
        (
            "eth0 10.0.0.5/24; ibmveth2 10.9.0.2/24; veth9 172.31.0.1/16",
            "first-found",
            "10.9.0.2/24",
        ),
        ("eth0 10.0.0.5/24; eth1 10.1.0.5/24", "first-found", "10.1.0.5/24"),
        ("eth0 10.0.0.100/32 10.0.0.5/24", "cidr=10.0.0.0/24", "10.0.0.100/32"),
        ("eth0 10.0.0.5/24; eth1 169.254.10.1/16", "first-found", "10.0.0.5/24"),
        ("eth0 10.0.0.5/24; eth1 10.1.0.5/24", "interface=eth0,eth1", "10.1.0.5/24"),
        ("eth0 10.0.0.5/24; eth0.100 10.1.100.5/24", "interface=eth0", "10.1.100.5/24"),
        ("eth0 10.0.0.5/24; eth0.100 10.1.100.5/24", "interface=^eth0$", "10.0.0.5/24"),
        ("eth0 10.0.0.5/24; vxlan.calico 10.244.7.0/32", "cidr=10.0.0.0/8", "10.244.7.0/32"),
        (
            "eth0 10.0.0.5/24; eth1 10.1.0.5/24; eth10 10.2.0.5/24",
            "skip-interface=eth1",
            "10.0.0.5/24",
        ),
        ("lo 127.0.0.1/8; eth0 10.0.0.5/24", "can-reach=127.0.0.1", "127.0.0.1/8"),
        ("eth1 192.168.1.10/24", "kubernetes-internal-ip", None),
    ],
    ids=["1", "2", "3", "4", "5", "6", "7", "7b", "8", "9", "10", "11"],
)
def test_a_vector_of_the_facts(interfaces: str, method: str, expected: str | None) -> None:
    found = detect(
        nics(interfaces), method, 4, ("192.168.1.1",), source=lambda target, family: target
    )
    assert found == expected


def test_vector_12_takes_a_temporary_address() -> None:
    interfaces = nics("eth0 2001:db8::aaaa/64 2001:db8::5/64 fe80::1/64")
    assert detect(interfaces, "first-found", 6) == "2001:db8::aaaa/64"


def test_the_second_internal_ip_is_not_looked_at() -> None:
    interfaces = nics("eth0 10.0.0.5/24")
    assert detect(interfaces, "kubernetes-internal-ip", 4, ("10.9.9.9", "10.0.0.5")) is None
    found = detect(interfaces, "kubernetes-internal-ip,x", 4, ("2001:db8::1", "10.0.0.5"))
    assert found == "10.0.0.5/24"


def test_one_bad_cidr_gives_nothing() -> None:
    interfaces = nics("eth0 10.0.0.5/24")
    assert detect(interfaces, "cidr=10.0.0.0/8,nonsense") is None
    assert detect(interfaces, "cidr=10.0.0.5") is None


def test_a_pattern_that_is_no_re2_matches_nothing() -> None:
    interfaces = nics("eth0 10.0.0.5/24; wan1 10.1.0.5/24")
    assert detect(interfaces, "interface=eth(?!1)") is None
    assert detect(interfaces, "interface=eth0{1,2}") is None


def test_another_word_is_fatal() -> None:
    with pytest.raises(InvalidMethod):
        detect([], "fastest")


@pytest.mark.parametrize(
    ("env", "family", "stored", "expected"),
    [
        ({"IP": "autodetect"}, 4, None, "10.0.0.5/24"),
        ({"IP": "autodetect"}, 4, "10.0.0.9/24", "10.0.0.5/24"),
        (
            {"IP": "autodetect", "IP_AUTODETECTION_METHOD": "interface=no"},
            4,
            "1.2.3.4/8",
            "1.2.3.4/8",
        ),
        ({"IP": "autodetect", "IP_AUTODETECTION_METHOD": "interface=no"}, 4, None, None),
        ({"IP": ""}, 4, "10.0.0.9/24", "10.0.0.9/24"),
        ({}, 4, None, "10.0.0.5/24"),
        ({"IP": "none"}, 4, "10.0.0.9/24", "10.0.0.9/24"),
        ({"IP": "none"}, 4, None, None),
        ({"IP": "10.0.0.5"}, 4, None, "10.0.0.5/24"),
        ({"IP": "10.7.7.7"}, 4, None, "10.7.7.7/32"),
        ({"IP": "10.7.7.7/16"}, 4, None, "10.7.7.7/16"),
        ({}, 6, None, None),
        ({"IP6": "autodetect"}, 6, None, "2001:db8::5/64"),
        ({"IP6": "2001:db8::5"}, 6, None, "2001:db8::5/128"),
    ],
)
def test_what_is_stored_follows_the_environment(
    env: dict[str, str], family: int, stored: str | None, expected: str | None
) -> None:
    interfaces = nics("eth0 10.0.0.5/24 2001:db8::5/64")
    assert wanted_address(env, family, stored, interfaces, ()) == expected


def node(name: str, address: str | None, cidr: str) -> Obj:
    notes = {"projectcalico.org/IPv4Address": address} if address else {}
    return {"metadata": {"name": name, "annotations": notes}, "spec": {"podCIDR": cidr}}


def test_pods_are_reached_over_the_stored_address() -> None:
    nodes = [
        node("a", "10.160.1.21/24", "10.244.1.0/24"),
        node("b", "10.160.1.22/24", "10.244.2.0/24"),
        node("c", "198.51.100.3/24", "10.244.3.0/24"),
        node("d", None, "10.244.4.0/24"),
    ]
    interfaces = nics("lo 127.0.0.1/8; eth0 10.160.1.21/24; oob0 192.0.2.11/24")
    reached = {"10.160.1.22", "198.51.100.3"}
    wanted = {"10.244.2.0/24": ("10.160.1.22", "eth0")}
    assert routes_wanted("a", nodes, interfaces, reached) == wanted


def test_pods_behind_a_peer_without_a_session_are_not_reached() -> None:
    nodes = [
        node("a", "10.160.1.21/24", "10.244.1.0/24"),
        node("b", "10.160.1.22/24", "10.244.2.0/24"),
    ]
    assert routes_wanted("a", nodes, nics("eth0 10.160.1.21/24"), set()) == {}


def test_the_moved_node_loses_its_routes_too() -> None:
    nodes = [
        node("a", "10.160.1.21/24", "10.244.1.0/24"),
        node("c", "198.51.100.3/24", "10.244.3.0/24"),
    ]
    interfaces = nics("eth0 10.160.1.23/24; eth1 198.51.100.3/24")
    assert routes_wanted("c", nodes, interfaces, {"10.160.1.21"}) == {}


def test_the_way_to_a_peer_needs_both_ends_in_one_subnet() -> None:
    interfaces = nics("eth0 10.0.0.5/24; lo 10.0.0.6/32")
    assert on_link("10.0.0.5/24", "10.0.0.6/24", interfaces) == "eth0"
    assert on_link("10.0.0.5/24", "10.0.1.6/24", interfaces) is None
    assert on_link("10.0.0.5/24", None, interfaces) is None
    assert ipaddress.ip_interface("10.0.0.6/32").network.num_addresses == 1
