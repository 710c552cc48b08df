# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reader of flows against switches that behave and switches that do not."""

from __future__ import annotations

import struct
import time

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _flow_restore as domain
from ansible_collections.k8snet.cni.plugins.module_utils.node import _openflow
from ansible_collections.k8snet.cni.tests.unit.plugins.module_utils.node.scripted_ovsdb import (
    ScriptedServer,
)
from hypothesis import given, settings
from hypothesis import strategies as st

TIMEOUT = 0.3
SLACK = 3.0
ANTREA = 0x3_0100_0000_0000


def message(version, kind, xid, body=b""):
    return struct.pack("!BBHI", version, kind, 8 + len(body), xid) + body


def hello(version, bitmap=None):
    body = b"" if bitmap is None else struct.pack("!HHI", 1, 8, bitmap)
    return message(version, 0, 1, body)


def entry(version, cookie):
    """One flow as each version lays it out."""
    if version == 1:
        return struct.pack("!H62xQ16x", 88, cookie)
    if version == 6:
        return struct.pack("!H14xQ16x", 40, cookie)
    return struct.pack("!H22xQ24x", 56, cookie)


def reply(version, cookies, more=False, xid=2):
    head = struct.pack("!HH", 1, int(more)) + (b"" if version == 1 else b"\0" * 4)
    kind = 17 if version == 1 else 19
    return message(version, kind, xid, head + b"".join(entry(version, c) for c in cookies))


def switch(version, *answers, greeting=None):
    """A switch that agrees on ``version`` and sends ``answers`` to the first request."""

    def script(peer):
        peer.send(hello(version, 1 << version) if greeting is None else greeting)
        received = b""
        while len(received) < 16 + 8:
            received += peer.connection.recv(4096)
        asked = received[16:]
        assert asked[0] == version
        assert asked[1] == (16 if version == 1 else 18)
        assert struct.unpack_from("!H", asked, 2)[0] == len(asked)
        for answer in answers:
            peer.send(answer)
        peer.connection.recv(1)

    return script


def read(script, timeout=5.0):
    with ScriptedServer(script) as server:
        return list(_openflow.cookies(server.path, timeout))


def refused(script, timeout=5.0):
    with pytest.raises(_openflow.OpenFlowError) as exc:
        read(script, timeout)
    return str(exc.value)


@pytest.mark.parametrize("version", [1, 3, 4, 5, 6])
def test_cookies_are_read_in_each_version_over_several_parts(version):
    parts = [reply(version, [0, ANTREA], more=True), reply(version, [7])]
    assert read(switch(version, *parts)) == [0, ANTREA, 7]


def test_a_switch_with_an_old_greeting_gets_its_own_version():
    assert read(switch(4, reply(4, [5]), greeting=hello(4))) == [5]


def test_a_bridge_without_flows():
    assert read(switch(6, reply(6, []))) == []


def test_it_stops_at_the_first_cookie_that_is_wanted():
    parts = reply(6, [0, ANTREA, 0], more=True)  # and no end
    with ScriptedServer(switch(6, parts)) as server:
        assert _openflow.find(server.path, domain.is_antrea, 5.0) == (True, 2)


def test_a_default_flow_is_none_of_antreas():
    with ScriptedServer(switch(6, reply(6, [0]))) as server:
        assert _openflow.find(server.path, domain.is_antrea, 5.0) == (False, 1)


def test_a_keepalive_is_answered_and_news_are_passed_over():
    def script(peer):
        peer.send(hello(6, 1 << 6))
        peer.connection.recv(4096)
        peer.send(message(6, 2, 9, b"abc") + message(6, 12, 0, b"x" * 8))
        got = b""
        while message(6, 3, 9, b"abc") not in got:
            got += peer.connection.recv(4096)
        peer.send(reply(6, [1]))
        peer.connection.recv(1)

    assert read(script) == [1]


@pytest.mark.parametrize(
    ("script", "word"),
    [
        (switch(6, message(6, 1, 2, b"\0\1\0\2")), "refused (error 1, 2)"),
        (switch(6, message(6, 19, 2, b"")), "not about flows"),
        (switch(6, message(6, 19, 2, b"\0\2\0\0\0\0\0\0")), "not about flows"),
        (switch(6, message(6, 7, 2, b"")), "type 7"),
        (switch(6, reply(6, [1])[:-1] + b""), "within 0.3 s"),
        (switch(6, reply(6, [1], more=True)), "within 0.3 s"),
        (lambda peer: peer.send(hello(2, 1 << 2)), "no version"),
        (lambda peer: peer.send(message(6, 5, 1)), "greeting of type 5"),
        (lambda peer: peer.send(b'{"method":"echo"}'), "not OpenFlow"),
        (lambda peer: peer.send(b"\x06\x00\x00\x04\0\0\0\0"), "not OpenFlow"),
        (lambda peer: peer.send(message(6, 0, 1, b"\0\1\0\2")), "broken greeting"),
        (lambda peer: None, "hung up"),
    ],
)
def test_what_a_switch_does_wrong_is_said(script, word):
    assert word in refused(script, TIMEOUT)


def test_flows_that_end_in_the_middle_are_not_read_as_flows():
    broken = struct.pack("!HH4x", 1, 0) + struct.pack("!H14x", 99)
    assert "broken list" in refused(switch(6, message(6, 19, 2, broken)))
    short = struct.pack("!HH4x", 1, 0) + struct.pack("!H6x", 8)
    assert "broken list" in refused(switch(6, message(6, 19, 2, short)))


def test_flows_without_end_are_bounded(monkeypatch):
    monkeypatch.setattr(_openflow, "MAX_FLOWS", 1000)
    assert "more than 1000 flows" in refused(switch(6, *[reply(6, [0] * 500, more=True)] * 3))
    monkeypatch.setattr(_openflow, "MAX_BYTES", 10_000)
    assert "10000 bytes" in refused(switch(6, *[reply(6, [0] * 300, more=True)] * 3))


def test_a_switch_that_is_not_there(tmp_path):
    with pytest.raises(_openflow.OpenFlowError, match=r"br-int\.mgmt: No such file"):
        _openflow.find(str(tmp_path / "br-int.mgmt"), bool)
    with pytest.raises(_openflow.OpenFlowError):
        _openflow.find(str(tmp_path / ("x" * 200)), bool)


bodies = st.binary(max_size=80) | st.integers(0, 2**64 - 1).map(
    lambda c: struct.pack("!HH4x", 1, 0) + entry(6, c)
)
parts = st.tuples(
    st.sampled_from([0, 1, 4, 6, 99]), st.integers(0, 30), st.integers(0, 3), bodies
).map(lambda p: message(*p))
blobs = parts | st.binary(max_size=40) | st.tuples(parts, st.integers(0, 60)).map(
    lambda p: p[0][: p[1]]
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(blobs, max_size=6), st.booleans(), st.booleans())
def test_bytes_of_any_kind_end_in_cookies_or_in_one_error(data, greet, stay):
    def script(peer):
        if greet:
            peer.send(hello(6, 1 << 6))
        for blob in data:
            peer.send(blob)
        if stay:
            while peer.connection.recv(4096):
                pass

    start = time.monotonic()
    try:
        cookies = read(script, TIMEOUT)
    except _openflow.OpenFlowError:
        cookies = []
    assert all(0 <= cookie < 2**64 for cookie in cookies)
    assert time.monotonic() - start < TIMEOUT + SLACK


def test_a_switch_that_drips_is_cut_off_by_the_deadline():
    def script(peer):
        for byte in hello(6, 1 << 6):
            peer.send(bytes([byte]))
            time.sleep(0.5)

    start = time.monotonic()
    assert "within 0.3 s" in refused(script, TIMEOUT)
    assert time.monotonic() - start < 15
