# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Drift between a recorded baseline and the present."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _baseline
from hypothesis import given
from hypothesis import strategies as st


def nic(
    name: str,
    mac: str | None = None,
    bus: str | None = None,
    *addresses: str,
    kind: str = "physical",
) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "permanent_mac": mac,
        "bus": bus,
        "addresses": list(addresses),
    }


def told(changes: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(c["change"], c["name"], c["was"], c["matched_by"]) for c in changes]


A, B, C = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0c"
ETH0 = nic("eth0", A, "0000:00:03.0", "10.0.0.5/24")
ETH1 = nic("eth1", B, "0000:00:04.0")


def test_nothing_changed_is_an_empty_list() -> None:
    assert _baseline.compare([ETH0, ETH1], [ETH0, ETH1]) == []


def test_a_hot_plugged_nic_is_added_and_an_unplugged_one_removed() -> None:
    changes = _baseline.compare([ETH0], [ETH0, ETH1])
    assert told(changes) == [("added", "eth1", None, None)]
    assert (changes[0]["before"], changes[0]["after"]) == (None, ETH1)
    changes = _baseline.compare([ETH0, ETH1], [ETH0])
    assert told(changes) == [("removed", "eth1", None, None)]
    assert (changes[0]["before"], changes[0]["after"]) == (ETH1, None)


def test_swapped_names_are_two_renames() -> None:
    now = [{**ETH1, "name": "eth0"}, {**ETH0, "name": "eth1"}]
    assert told(_baseline.compare([ETH0, ETH1], now)) == [
        ("renamed", "eth0", "eth1", "permanent_mac"),
        ("renamed", "eth1", "eth0", "permanent_mac"),
    ]


def test_a_nic_taken_into_a_bridge_is_renamed_and_loses_its_address() -> None:
    now = [
        nic("eth0", None, None, "10.0.0.5/24", kind="openvswitch"),
        nic("eth0~", A, "0000:00:03.0"),
    ]
    assert told(_baseline.compare([ETH0], now)) == [
        ("added", "eth0", None, None),
        ("renamed", "eth0~", "eth0", "permanent_mac"),
        ("readdressed", "eth0~", "eth0", "permanent_mac"),
    ]


def test_a_replaced_card_in_the_same_slot_is_recognised_by_the_slot() -> None:
    now = [{**ETH0, "permanent_mac": C}]
    assert told(_baseline.compare([ETH0], now)) == [("readdressed", "eth0", None, "bus")]


def test_a_card_moved_to_another_slot_is_recognised_by_its_mac() -> None:
    now = [nic("ens9", A, "0000:00:09.0", "10.0.0.5/24")]
    assert told(_baseline.compare([ETH0], now)) == [
        ("renamed", "ens9", "eth0", "permanent_mac"),
        ("readdressed", "ens9", "eth0", "permanent_mac"),
    ]


def test_other_hardware_of_the_same_name_is_other_hardware() -> None:
    now = [nic("eth0", C, "0000:00:07.0", "10.0.0.5/24")]
    assert told(_baseline.compare([ETH0], now)) == [
        ("removed", "eth0", None, None),
        ("added", "eth0", None, None),
    ]


def test_virtual_interfaces_are_recognised_by_name_and_kind() -> None:
    was = [nic("bond0", None, None, "10.0.0.5/24", kind="bond")]
    moved = [nic("bond0", None, None, "10.0.0.6/24", kind="bond")]
    assert told(_baseline.compare(was, moved)) == [("readdressed", "bond0", None, "name")]
    other = [nic("bond0", None, None, "10.0.0.5/24", kind="dummy")]
    assert [c["change"] for c in _baseline.compare(was, other)] == ["removed", "added"]


def test_cloned_macs_recognise_nobody_but_mac_and_slot_together_do() -> None:
    was = [nic("a", A, "slot1"), nic("b", A, "slot2")]
    now = [nic("b", A, "slot1"), nic("a", A, "slot2")]
    assert told(_baseline.compare(was, now)) == [
        ("renamed", "b", "a", "permanent_mac"),
        ("renamed", "a", "b", "permanent_mac"),
    ]
    now = [nic("x", A, "slot1"), nic("y", A, "slot2"), nic("z", A, "slot3")]
    assert [c["change"] for c in _baseline.compare([nic("a", A, None)], now)] == [
        "removed", "added", "added", "added",
    ]  # fmt: skip


entries = st.lists(
    st.builds(
        nic,
        st.sampled_from(["a", "b", "c", "d"]),
        st.sampled_from([None, A, B, C]),
        st.sampled_from([None, "s1", "s2", "s3"]),
        st.sampled_from(["10.0.0.1/24", "10.0.0.2/24"]),
        kind=st.sampled_from(["physical", "vlan"]),
    ),
    unique_by=lambda entry: entry["name"],
    max_size=4,
)


@given(entries, entries)
def test_there_are_changes_exactly_when_something_differs(was: Any, now: Any) -> None:
    def ordered(nics: Any) -> Any:
        return sorted(nics, key=lambda entry: entry["name"])

    assert bool(_baseline.compare(was, now)) is (ordered(was) != ordered(now))


@given(entries, entries)
def test_every_interface_is_accounted_for_once(was: Any, now: Any) -> None:
    changes = _baseline.compare(was, now)
    added = [c["name"] for c in changes if c["change"] == "added"]
    removed = [c["name"] for c in changes if c["change"] == "removed"]
    assert len(set(added)) == len(added)
    assert len(set(removed)) == len(removed)
    assert len(was) - len(removed) == len(now) - len(added)


GOOD = {"version": 1, "recorded_at": "2026-01-31T02:10:00Z", "nics": [ETH0]}


def test_a_good_baseline_passes_the_check() -> None:
    assert _baseline.check(GOOD) is None


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ([], "no JSON object"),
        ({**GOOD, "version": 2}, "version is 2"),
        ({**GOOD, "recorded_at": None}, "recorded_at"),
        ({**GOOD, "nics": {}}, "list 'nics'"),
        ({**GOOD, "nics": ["eth0"]}, "entry 0 of 'nics' is no object"),
        ({**GOOD, "nics": [{**ETH0, "name": 1}]}, "'name'"),
        ({**GOOD, "nics": [{**ETH0, "bus": 1}]}, "'bus'"),
        ({**GOOD, "nics": [{k: v for k, v in ETH0.items() if k != "bus"}]}, "'bus'"),
        ({**GOOD, "nics": [ETH0, {**ETH0, "addresses": [1]}]}, "entry 1"),
    ],
)
def test_a_bad_baseline_is_told_what_is_wrong_with_it(bad: Any, says: str) -> None:
    assert says in (_baseline.check(bad) or "")
