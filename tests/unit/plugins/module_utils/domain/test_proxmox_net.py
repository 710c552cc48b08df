# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The line netN of a Proxmox VM: what it passes, and that nothing of it gets lost."""

from __future__ import annotations

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain._proxmox_net import (
    HIGHEST,
    MODELS,
    TAGGED,
    UNTAGGED,
    NetLineError,
    parse,
)
from hypothesis import assume, given
from hypothesis import strategies as st

MAC = "BC:24:11:0A:A0:21"
FULL = (
    f"virtio={MAC},bridge=vmbr0,firewall=1,link_down=0,mtu=1,queues=4,rate=12.5,tag=216,"
    "trunks=2-4;181,host-tunnel=1,new-thing=x y"
)
VLANS = st.integers(1, HIGHEST)


@st.composite
def trunks(draw: st.DrawFn) -> str:
    pairs = draw(st.lists(st.tuples(VLANS, VLANS), min_size=1, max_size=5))
    dashed = draw(st.lists(st.booleans(), min_size=5, max_size=5))
    texts = []
    for (a, b), dash in zip(pairs, dashed):
        low, high = min(a, b), max(a, b)
        texts.append(f"{low}-{high}" if low != high or dash else str(low))
    return ";".join(texts)


@st.composite
def lines(draw: st.DrawFn) -> str:
    mac = draw(st.sampled_from([MAC, MAC.lower()]))
    model = draw(st.sampled_from(sorted(MODELS)))
    forms = ([f"{model}={mac}"], [f"model={model}", f"macaddr={mac}"], [model, f"macaddr={mac}"])
    parts = list(draw(st.sampled_from([*forms, [f"model={model}"]])))
    parts += draw(st.lists(st.sampled_from(["bridge=vmbr0"]), max_size=1))
    parts += [f"tag={vlan}" for vlan in draw(st.lists(VLANS, max_size=1))]
    parts += [f"trunks={text}" for text in draw(st.lists(trunks(), max_size=1))]
    more = ["firewall=1", "queues=4", "mtu=1", "rate=1.5", "link_down=1", "zz-new=a=b", " "]
    parts += draw(st.lists(st.sampled_from(more), max_size=4, unique=True))
    return ",".join(draw(st.permutations(parts)))


@given(lines())
def test_what_is_read_is_given_back_byte_for_byte(text: str) -> None:
    assert str(parse(text)) == text


@given(lines(), VLANS, VLANS)
def test_an_added_vlan_passes_and_nothing_else_changes(text: str, vlan: int, other: int) -> None:
    line = parse(text)
    assume(line.passes(vlan) != UNTAGGED)
    made = line.add([vlan])
    assert made.passes(vlan) == TAGGED
    assume(other != vlan)
    assert made.passes(other) == line.passes(other)
    kept = {key: value for key, value in made.options.items() if key != "trunks"}
    assert kept == {key: value for key, value in line.options.items() if key != "trunks"}
    assert parse(str(made)) == made
    assert (made == line) == (line.passes(vlan) is not None)
    assert made.add([vlan]) is made


@given(lines(), VLANS, VLANS)
def test_what_was_added_is_taken_off_again(text: str, vlan: int, other: int) -> None:
    line = parse(text)
    assume(line.passes(vlan) is None)
    assert str(line.add([vlan]).remove([vlan])) == text
    assert line.remove([vlan]) is line
    made = line.add([vlan, other]) if line.passes(other) != UNTAGGED else line.add([vlan])
    assert made.remove([vlan]).passes(other) == made.passes(other) or other == vlan


@given(trunks(), VLANS, VLANS, st.data())
def test_a_vlan_is_taken_out_of_a_range(
    text: str, tag: int, other: int, data: st.DataObject
) -> None:
    line = parse(f"virtio={MAC},tag={tag},trunks={text}")
    low, high = data.draw(st.sampled_from(line.trunks or ()))
    vlan = data.draw(st.integers(low, high))
    assume(vlan not in (tag, other))
    made = line.remove([vlan])
    assert made.passes(vlan) is None
    assert made.passes(other) == line.passes(other)


def test_the_parts_of_a_line() -> None:
    line = parse(FULL)
    assert (line.mac, line.bridge, line.tag) == (MAC.lower(), "vmbr0", 216)
    assert line.trunks == ((2, 4), (181, 181))
    assert line.options["new-thing"] == "x y"
    assert parse(f"model=e1000,macaddr={MAC},bridge=vmbr0").mac == MAC.lower()
    assert parse("virtio,bridge=vmbr0").mac is None


@pytest.mark.parametrize(
    ("rest", "passing"),
    [
        ("", {1: UNTAGGED, 2: TAGGED, 181: TAGGED}),
        (",tag=216", {1: None, 181: None, 216: UNTAGGED}),
        (",trunks=2-4;181", {1: UNTAGGED, 3: TAGGED, 5: None, 181: TAGGED}),
        (",tag=216,trunks=181;216", {1: None, 181: TAGGED, 182: None, 216: UNTAGGED}),
    ],
)
def test_what_a_port_passes(rest: str, passing: dict[int, str | None]) -> None:
    line = parse(f"virtio={MAC},bridge=vmbr0{rest}")
    assert {vlan: line.passes(vlan) for vlan in passing} == passing


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("tag=216,firewall=1", "tag=216,trunks=181;182,firewall=1"),
        ("trunks=2-4,tag=216,firewall=1", "trunks=2-4;181;182,tag=216,firewall=1"),
        ("trunks=2-4;181,mtu=1", "trunks=2-4;181;182,mtu=1"),
        ("firewall=1", "firewall=1"),
    ],
)
def test_vlans_are_added_where_trunks_are_or_behind_the_tag(before: str, after: str) -> None:
    start = f"virtio={MAC},bridge=vmbr0,"
    assert str(parse(start + before).add([181, 182, 181])) == start + after


@pytest.mark.parametrize(
    ("before", "gone", "after"),
    [
        ("tag=216,trunks=181", [181], "tag=216"),
        ("tag=216,trunks=2-9;181", [5, 181], "tag=216,trunks=2-4;6-9"),
        ("tag=216,trunks=7-8", [7], "tag=216,trunks=8"),
        ("tag=216,trunks=181;180-182", [181], "tag=216,trunks=180;182"),
        ("tag=216", [181], "tag=216"),
    ],
)
def test_vlans_are_taken_off(before: str, gone: list[int], after: str) -> None:
    start = f"virtio={MAC},bridge=vmbr0,"
    assert str(parse(start + before).remove(gone)) == start + after


def test_nothing_that_would_open_the_port_is_done() -> None:
    start = f"virtio={MAC},bridge=vmbr0"
    with pytest.raises(NetLineError, match="passes every VLAN"):
        parse(f"{start},trunks=181").remove([181])
    with pytest.raises(NetLineError, match="passes since every VLAN does"):
        parse(start).remove([181])


@pytest.mark.parametrize("rest", [",tag=181", ",tag=181,trunks=181"])
def test_the_untagged_vlan_is_neither_added_nor_taken_off(rest: str) -> None:
    line = parse(f"virtio={MAC},bridge=vmbr0{rest}")
    for change in (line.add, line.remove):
        with pytest.raises(NetLineError, match="VLAN 181 is the port's untagged VLAN"):
            change([181])
    with pytest.raises(NetLineError, match="without a tag"):
        parse(f"virtio={MAC},bridge=vmbr0").add([1])


def test_lines_are_the_same_in_another_order() -> None:
    line = parse(f"virtio={MAC},tag=216,bridge=vmbr0")
    assert line.same(parse(f"bridge=vmbr0,macaddr={MAC.lower()},model=virtio,tag=216"))
    assert not line.same(parse(f"virtio={MAC},tag=216,bridge=vmbr0,firewall=1"))
    assert not line.same(parse(f"virtio={MAC},tag=217,bridge=vmbr0"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "names no NIC model"),
        ("bridge=vmbr0", "names no NIC model"),
        (f"virtio={MAC},e1000={MAC}", "model twice"),
        (f"virtio={MAC},macaddr={MAC}", "macaddr twice"),
        (f"virtio={MAC},tag=1,tag=2", "tag twice"),
        ("virtio=01:00:00:00:00:00", "no MAC address"),
        (f"virtio={MAC},tag=4095", "none of 1 to 4094"),
        (f"virtio={MAC},tag=x", "none of 1 to 4094"),
        (f"virtio={MAC},trunks=1;", "no list of VLANs"),
        (f"virtio={MAC},trunks=9-2", "no VLANs of 1 to 4094"),
        (f"virtio={MAC},trunks=4095", "no VLANs of 1 to 4094"),
        (f"virtio={MAC},=x", "no option with a value"),
        (f"virtio={MAC},tag=", "no option with a value"),
    ],
)
def test_what_is_no_line_is_refused(text: str, why: str) -> None:
    with pytest.raises(NetLineError, match=why):
        parse(text)


def test_a_vlan_that_is_none_is_refused() -> None:
    line = parse(f"virtio={MAC},bridge=vmbr0,tag=216")
    for vlan in (0, 4095):
        with pytest.raises(NetLineError, match="none of 1 to 4094"):
            line.add([vlan])
