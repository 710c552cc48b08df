# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ranges of pools, held against every single address of theirs."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _ip_ranges as ip
from ansible_collections.k8snet.cni.plugins.module_utils.domain._go_net import Address
from hypothesis import given
from hypothesis import strategies as st

Obj = dict[str, Any]

#: Small numbers behind a prefix, so that ranges meet often and can be counted out.
BASES = {4: int(ipaddress.ip_address("10.9.8.0")), 6: int(ipaddress.ip_address("2001:db8::"))}
BITS = {4: 32, 6: 128}


def text(version: int, low: int) -> str:
    kind = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    return str(kind(BASES[version] + low))


@st.composite
def items(draw: Any) -> Obj:
    version = draw(st.sampled_from([4, 6]))
    if draw(st.booleans()):
        low, size = draw(st.integers(0, 63)), draw(st.integers(0, 6))
        return {"cidr": f"{text(version, low)}/{BITS[version] - size}"}
    low, more = draw(st.integers(0, 63)), draw(st.integers(0, 63))
    return {"start": text(version, low), "end": text(version, low + more)}


def whole(item: Obj) -> set[Any]:
    if "cidr" in item:
        return set(ipaddress.ip_network(item["cidr"], strict=False))
    first, last = (ipaddress.ip_address(item[key]) for key in ("start", "end"))
    return {first + n for n in range(int(last) - int(first) + 1)}


def usable(item: Obj) -> set[Any]:
    found = whole(item)
    if "cidr" in item:
        found -= {min(found)} | ({max(found)} if min(found).version == 4 else set())
    return found


def address(one: Any) -> Address:
    return Address(one.version, int(one), 0)


@given(items(), items())
def test_two_ranges_overlap_when_they_share_an_address(one: Obj, other: Obj) -> None:
    first, second = ip.parse_range(one), ip.parse_range(other)
    assert first.overlaps(second) == bool(whole(one) & whole(other))
    assert first.overlaps(second) == second.overlaps(first)
    assert first.within(second) == (whole(one) <= whole(other))


@given(items(), items())
def test_antrea_gives_out_what_is_usable(one: Obj, other: Obj) -> None:
    found = ip.parse_range(one)
    assert found.count == len(usable(one))
    assert {a for a in whole(one) | whole(other) if found.gives(address(a))} == usable(one)


@given(items())
def test_a_spelling_is_the_same_range(item: Obj) -> None:
    again = ip.canonical(item)
    assert ip.parse_range(again).key == ip.parse_range(item).key
    assert ip.canonical(again) == again
    shouted = {key: value.upper() for key, value in item.items()}
    assert ip.canonical(shouted) == again


def test_a_network_is_not_its_first_to_its_last_address() -> None:
    network = ip.parse_range({"cidr": "10.0.0.0/30"})
    span = ip.parse_range({"start": "10.0.0.0", "end": "10.0.0.3"})
    assert network.key != span.key
    assert (network.count, span.count) == (2, 4)


def test_of_a_huge_range_antrea_gives_out_the_first_65536() -> None:
    found = ip.parse_range({"cidr": "2001:db8::/64"})
    assert (found.count, found.capped) == (65536, True)
    low = BASES[6]
    assert found.gives(Address(6, low + 65536, 0))
    assert not found.gives(Address(6, low + 65537, 0))
    assert found.usable(Address(6, low + 65537, 0))
    assert not ip.parse_range({"start": "10.0.0.0", "end": "10.0.255.255"}).capped
    assert ip.parse_range({"start": "10.0.0.0", "end": "10.1.0.0"}).capped


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({}, "either 'cidr'"),
        ({"start": "10.0.0.1"}, "either 'cidr'"),
        ({"cidr": "10.0.0.0/24", "start": "10.0.0.1", "end": "10.0.0.2"}, "either 'cidr'"),
        ({"cidr": "10.0.0.0"}, "is no CIDR"),
        ({"cidr": "10.0.0.0/33"}, "is no CIDR"),
        ({"cidr": "10.0.0.0/255.255.255.0"}, "is no CIDR"),
        ({"cidr": "::ffff:10.0.0.0/120"}, "is no CIDR"),
        ({"start": "10.0.0.256", "end": "10.0.1.1"}, "10.0.0.256 is no IP address"),
        ({"start": "010.0.0.1", "end": "10.0.1.1"}, "is no IP address"),
        ({"start": "::ffff:10.0.0.1", "end": "::ffff:10.0.0.2"}, "is no IP address"),
        ({"start": "fe80::1%eth0", "end": "fe80::2"}, "is no IP address"),
        ({"start": "10.0.0.1", "end": "2001:db8::1"}, "different families"),
        ({"start": "10.0.0.9", "end": "10.0.0.8"}, "Swap them"),
    ],
)
def test_what_is_no_range_is_told(item: Obj, words: str) -> None:
    with pytest.raises(ip.BadRange, match=words):
        ip.parse_range(item)


def test_an_address_is_the_same_in_any_spelling() -> None:
    assert ip.same_address("2001:DB8::0:1", "2001:db8::1")
    assert not ip.same_address("10.0.0.1", "10.0.0.2")
    assert not ip.same_address(None, None)
    assert not ip.same_address(None, "10.0.0.1")
    assert ip.same_address("a name", "a name")
    assert not ip.same_address("a name", "10.0.0.1")
    assert ip.plain("2001:DB8::0:1") == "2001:db8::1"
    assert ip.plain("a name") == "a name"
