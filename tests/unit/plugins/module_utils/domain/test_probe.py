# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The probe's words on the wire and its judgements."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _probe as words

TOKEN = b"8 octets"
IP_HEADER = bytes([0x46]) + bytes(23)  # 24 octets: with options


def nic(name: str, *addresses: str, **more: Any) -> dict[str, Any]:
    entries = [{"address": text, "prefix": 24} for text in addresses]
    return {"name": name, "addresses": entries, "tunnel": None, "parent": None, "up": True, **more}


def vxlan(local: str | None = "10.0.0.5", parent: str | None = "eth0", up: bool = True) -> Any:
    tunnel = {"id": 4096, "local": local, "remote": None, "port": 4789}
    return nic("vxlan.calico", "10.244.1.0", tunnel=tunnel, parent=parent, up=up)


@pytest.mark.parametrize(
    ("text", "family", "plain"),
    [
        ("10.0.0.5", 4, "10.0.0.5"),
        ("10.0.0.5/24", 4, "10.0.0.5"),
        ("2001:DB8:0:0::5/64", 6, "2001:db8::5"),
    ],
)
def test_an_address_is_taken_with_and_without_prefix(text: str, family: int, plain: str) -> None:
    assert words.address(text) == (family, plain)


@pytest.mark.parametrize("text", ["node1", "", "10.0.0", "10.0.0.256", "::g", "010.0.0.1"])
def test_what_is_no_address_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' is not an IP address"):
        words.address(text)


def test_an_echo_request_sums_up_to_nothing() -> None:
    packet = words.echo_request(4, 0x1234, TOKEN, 70000)
    assert packet[:2] == b"\x08\0"
    assert struct.unpack_from("!HH", packet, 4) == (0x1234, 70000 & 0xFFFF)
    assert words.checksum(packet) == 0
    assert words.checksum(b"\x01") == 0xFEFF


def test_an_icmpv6_echo_request_leaves_the_sum_to_the_kernel() -> None:
    packet = words.echo_request(6, 1, TOKEN, 2)
    assert packet[:4] == b"\x80\0\0\0"


@pytest.mark.parametrize("family", [4, 6])
def test_a_reply_names_its_target(family: int) -> None:
    request = words.echo_request(family, 1, TOKEN, 70000)
    reply = bytes([words.ECHO_REPLY[family]]) + request[1:]
    assert words.echo_index(family, reply, TOKEN, False) == 70000
    assert words.echo_index(family, request, TOKEN, False) is None
    assert words.echo_index(family, reply, b"another ", False) is None
    assert words.echo_index(family, reply[:-1], TOKEN, False) is None
    assert words.echo_index(family, b"", TOKEN, True) is None


def test_an_ip_header_with_options_is_skipped() -> None:
    reply = b"\0" + words.echo_request(4, 1, TOKEN, 7)[1:]
    assert words.echo_index(4, IP_HEADER + reply, TOKEN, True) == 7
    assert words.echo_index(4, IP_HEADER + reply, TOKEN, False) is None


def test_a_question_names_type_a_class_in() -> None:
    question = words.dns_question("a.example.", 0xABCD)
    assert question[:2] == b"\xab\xcd"
    assert question[12:] == b"\x01a\x07example\0\0\1\0\1"
    assert struct.unpack_from("!H", question, 2)[0] & 0x0100, "recursion desired"


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64, "ü.example"])
def test_what_is_no_dns_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a DNS name"):
        words.dns_question(name, 1)


def test_only_an_answer_to_the_very_question_counts() -> None:
    question = words.dns_question("a.example", 7)

    def answer(rcode: int) -> bytes:
        return question[:2] + bytes([0x85, 0x80 | rcode]) + question[4:]

    assert words.dns_rcode(question, answer(0)) == "NOERROR"
    assert words.dns_rcode(question, answer(3) + b"more") == "NXDOMAIN"
    assert words.dns_rcode(question, answer(9)) == "RCODE9"
    assert words.dns_rcode(question, answer(0).replace(b"example", b"EXAMPLE")) == "NOERROR"
    assert words.dns_rcode(question, b"\0\0" + answer(0)[2:]) is None
    assert words.dns_rcode(question, answer(0).replace(b"example", b"exomple")) is None
    assert words.dns_rcode(question, question) is None, "an echo of the question"
    assert words.dns_rcode(question, answer(0)[:14]) is None


def test_a_name_that_does_not_exist_is_an_answer_and_a_failing_server_is_none() -> None:
    assert words.dns_error("NOERROR") is None
    assert words.dns_error("NXDOMAIN") is None
    assert words.dns_error("SERVFAIL") == "the server answered SERVFAIL"


TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:00B3 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 1501A00A:00B3 1601A00A:93F1 01 00000000:00000000 00:00000000 00000000     0        0 2 1
   2: 1501A00A:E0D1 1701A00A:00B3 01 00000000:00000000 00:00000000 00000000     0        0 3 1
   3: 1501A00A:E0D3 1801A00A:00B3 02 00000000:00000000 00:00000000 00000000     0        0 4 1
   4: 1501A00A:0016 1901A00A:0B30 01 00000000:00000000 00:00000000 00000000     0        0 5 1
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_q
   0: 0000000000000000FFFF00001501A00A:00B3 0000000000000000FFFF00001901A00A:A001 01 0:0 0 0 0
   1: B80D0120000000000000000005000000:00B3 B80D0120000000000000000006000000:A002 01 0:0 0 0 0
"""


def test_sessions_are_established_connections_with_port_179_at_either_end() -> None:
    found = words.sessions(TCP)
    assert found == [("10.160.1.21", "10.160.1.22"), ("10.160.1.21", "10.160.1.23")]


def test_ipv4_inside_an_ipv6_socket_is_ipv4() -> None:
    assert words.sessions(TCP6) == [
        ("10.160.1.21", "10.160.1.25"),
        ("2001:db8::5", "2001:db8::6"),
    ]


def test_a_session_from_another_address_is_not_the_one_wanted() -> None:
    found = [("10.0.0.5", "10.0.0.6"), ("172.31.0.5", "10.0.0.7"), ("10.0.0.5", "10.9.9.9")]
    judged = words.judge_bgp(found, "10.0.0.5", ["10.0.0.6", "10.0.0.7"])
    assert judged["established"] == ["10.0.0.6"]
    assert judged["missing"] == ["10.0.0.7"]
    assert judged["other"] == [
        {"local": "172.31.0.5", "peer": "10.0.0.7"},
        {"local": "10.0.0.5", "peer": "10.9.9.9"},
    ]
    anyhow = words.judge_bgp(found, None, ["10.0.0.6", "10.0.0.7"])
    assert (anyhow["missing"], anyhow["other"]) == ([], [{"local": "10.0.0.5", "peer": "10.9.9.9"}])


WANTED = words.Address(4, "10.0.0.5")


def test_a_device_as_wanted() -> None:
    judged = words.judge_vxlan([nic("eth0", "10.0.0.5"), vxlan()], WANTED)
    assert judged == {
        "device": "vxlan.calico",
        "present": True,
        "local": "10.0.0.5",
        "parent": "eth0",
        "up": True,
        "expected_parent": "eth0",
        "as_expected": True,
        "error": None,
    }


@pytest.mark.parametrize(
    ("nics", "error"),
    [
        ([nic("eth0", "10.0.0.5")], "there is no vxlan.calico"),
        (
            [nic("eth0", "10.0.0.5"), vxlan(local="172.31.0.5")],
            "vxlan.calico sends from 172.31.0.5, not from 10.0.0.5",
        ),
        (
            [nic("eth0", "10.0.0.5"), vxlan(parent="eth1")],
            "vxlan.calico sits on eth1, but eth0 holds 10.0.0.5",
        ),
        ([vxlan()], "vxlan.calico sits on eth0, but no interface holds 10.0.0.5"),
        ([nic("eth0", "10.0.0.5"), vxlan(up=False)], "vxlan.calico is down"),
    ],
)
def test_what_is_wrong_with_a_device_is_said(nics: list[dict[str, Any]], error: str) -> None:
    judged = words.judge_vxlan(nics, WANTED)
    assert (judged["as_expected"], judged["error"]) == (False, error)


def test_ipv6_has_a_device_of_its_own() -> None:
    judged = words.judge_vxlan([vxlan()], words.Address(6, "2001:db8::5"))
    assert judged["error"] == "there is no vxlan-v6.calico"


def found(**parts: Any) -> dict[str, Any]:
    return {"reachable": {}, "dns": [], "bgp": None, "vxlan": None, **parts}


def test_nothing_wrong_is_no_problem() -> None:
    good = {"address": "10.0.0.6", "ok": True, "error": None}
    dns = {"server": "10.0.0.9", "pod": True, "ok": True, "error": None}
    unasked = {"server": "10.0.0.9", "pod": True, "ok": None, "error": "no pod"}
    bgp = {"local": None, "missing": []}
    parts = found(reachable={"b": good}, dns=[dns, unasked], bgp=bgp, vxlan={"error": None})
    assert words.problems(parts) == []


def test_each_thing_that_is_wrong_is_a_sentence() -> None:
    bad = {"address": "10.0.0.6", "ok": False, "error": "no answer"}
    dns = {"server": "10.0.0.9", "pod": True, "ok": False, "error": "no answer"}
    bgp = {"local": None, "missing": ["10.0.0.6", "10.0.0.7"]}
    parts = found(
        reachable={"b": bad},
        dns=[dns, {**dns, "pod": False}],
        bgp=bgp,
        vxlan={"error": "it is down"},
    )
    assert words.problems(parts) == [
        "b (10.0.0.6) is not reachable: no answer",
        "DNS from a pod by 10.0.0.9: no answer",
        "DNS from the node by 10.0.0.9: no answer",
        "no BGP session between this node and 10.0.0.6, 10.0.0.7",
        "it is down",
    ]
