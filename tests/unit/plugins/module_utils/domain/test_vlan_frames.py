# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Frames as RFC 5227 and RFC 4862 have them, and any bytes as answers."""

from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _vlan_frames as frames
from hypothesis import given
from hypothesis import strategies as st

MAC = frames.mac_bytes("02:00:00:00:00:01")
OTHER = frames.mac_bytes("02:00:00:00:00:02")
ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
TAGS = st.one_of(st.none(), st.integers(1, 4094))


def test_an_arp_probe_has_no_sender_address():
    frame = frames.probe(MAC, 181, ipaddress.ip_address("172.18.181.1"))
    assert frame.hex() == (
        "ffffffffffff" "020000000001" "810000b5" "0806" "0001" "0800" "06" "04" "0001"
        "020000000001" "00000000" "000000000000" "ac12b501"
    ).ljust(120, "0")  # fmt: skip


def test_a_solicitation_comes_from_nobody_and_goes_to_those_with_the_same_end():
    frame = frames.probe(MAC, None, ipaddress.ip_address("fd00::12:3456"))
    assert frame[:14].hex() == "3333ff12345602000000000186dd"
    header, message = frame[14:54], frame[54:]
    assert header[7] == 255
    assert header[8:24] == bytes(16)
    assert ipaddress.IPv6Address(header[24:40]) == ipaddress.ip_address("ff02::1:ff12:3456")
    assert len(message) == 24
    pseudo = header[8:40] + len(message).to_bytes(4, "big") + bytes([0, 0, 0, 58])
    words = pseudo + message
    total = sum(int.from_bytes(words[i : i + 2], "big") for i in range(0, len(words), 2))
    assert total % 0xFFFF == 0


@given(TAGS, ADDRESSES)
def test_a_probe_is_read_as_one_whoever_took_the_tag_off(tag, address):
    frame = frames.probe(MAC, tag, address)
    expected = frames.Seen(MAC, tag, "probe", address)
    assert frames.read(frame, None) == expected
    if tag is not None:
        assert frames.read(frame[:12] + frame[16:], tag) == expected


def reply(address, tag=b""):
    asked = ipaddress.ip_address(address)
    body = bytes.fromhex("0001080006040002") + OTHER + asked.packed + MAC + bytes(4)
    return MAC + OTHER + tag + b"\x08\x06" + body


def advertisement(address):
    asked = ipaddress.ip_address(address).packed
    header = bytes.fromhex("6000000000183aff") + asked + ipaddress.ip_address("ff02::1").packed
    return MAC + OTHER + b"\x86\xdd" + header + bytes([136, 0, 0, 0, 0x20, 0, 0, 0]) + asked


@pytest.mark.parametrize(
    ("frame", "tag", "address"),
    [
        (reply("192.0.2.1"), None, "192.0.2.1"),
        (reply("192.0.2.1", b"\x81\x00\x20\xb5"), 181, "192.0.2.1"),
        (reply("192.0.2.1", b"\x81\x00\xe0\x00"), None, "192.0.2.1"),
        (reply("192.0.2.1", b"\x88\xa8\x00\x0a\x81\x00\x00\xb5"), 10, "192.0.2.1"),
        (advertisement("fd00::1"), None, "fd00::1"),
    ],
)
def test_answers_are_read(frame, tag, address):
    expected = frames.Seen(OTHER, tag, "answer", ipaddress.ip_address(address))
    assert frames.read(frame, None) == expected


def test_the_outer_tag_is_the_one_that_the_kernel_took_off():
    inner = reply("192.0.2.1", b"\x81\x00\x00\x0a")
    assert frames.read(inner, 181).tag == 181


@given(st.binary(max_size=200), TAGS)
def test_any_bytes_are_read_or_left(data, stripped):
    found = frames.read(data, stripped)
    assert (found is None) == (len(data) < 14)
    if found and found.kind == "other":
        assert found.address is None


@pytest.mark.parametrize(
    "text", ["", "02:00:00:00:00", "02:00:00:00:00:0g", "2:0:0:0:0:1", "x" * 17]
)
def test_what_is_no_mac_is_refused(text):
    with pytest.raises(ValueError, match="is no MAC address"):
        frames.mac_bytes(text)


@given(st.binary(min_size=6, max_size=6))
def test_a_mac_is_the_same_there_and_back(mac):
    assert frames.mac_bytes(frames.mac_text(mac)) == mac
