# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The OVSDB client against whatever bytes a server may send, at whatever pace."""

from __future__ import annotations

import json
import time

from ansible_collections.k8snet.cni.plugins.module_utils.node import _ovs, _ovsdb
from ansible_collections.k8snet.cni.tests.unit.plugins.module_utils.node.scripted_ovsdb import (
    ScriptedServer,
    replies,
)
from hypothesis import given, settings
from hypothesis import strategies as st

TIMEOUT = 0.3
#: What a loaded machine may add; far below what a client without a deadline would take.
SLACK = 3.0
SELECT = _ovsdb.select_rows("Bridge", "name")

scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)
rows = st.dictionaries(st.sampled_from(["error", "details", "rows", "count", "uuid"]), values)
ids = st.just(1) | st.sampled_from([0, 2, -1, "1", None, True, 1.0, [1]])
answers = st.fixed_dictionaries(
    {}, optional={"id": ids, "result": values | st.lists(rows | st.none()), "error": values}
)
requests = st.fixed_dictionaries(
    {"method": values, "id": values}, optional={"params": values, "result": values}
)


def encoded(message):
    return json.dumps(message).encode()


def cut(draw_from):
    data, at = draw_from
    return data[: at % (len(data) + 1)]


def bent(draw_from):
    data, at, byte = draw_from
    at %= len(data)
    return data[:at] + bytes([byte]) + data[at + 1 :]


good = st.just(encoded({"id": 1, "error": None, "result": [{"rows": []}]}))
messages = answers.map(encoded) | requests.map(encoded) | good
deep = st.integers(1, 3000).map(lambda n: b'{"id":1,"result":' + b"[" * n + b"]" * n + b"}")
digits = st.integers(1, 400_000).map(lambda n: b'{"id":1,"result":' + b"9" * n + b"}")
blobs = (
    messages
    | messages.flatmap(lambda data: st.tuples(st.just(data), st.integers(0, 500))).map(cut)
    | st.tuples(messages, st.integers(0, 500), st.integers(0, 255)).map(bent)
    | st.binary(max_size=64)
    | deep
    | digits
)


@settings(max_examples=150)
@given(st.lists(blobs, max_size=5), st.integers(1, 400), st.booleans())
def test_bytes_of_any_kind_end_in_an_answer_or_in_one_error(parts, piece, stay):
    data = b"".join(parts)

    def script(peer):
        peer.request()
        for start in range(0, len(data), max(piece, len(data) // 40)):
            peer.send(data[start : start + max(piece, len(data) // 40)])
        if stay:
            peer.connection.recv(1)

    failure, answer = None, None
    start = time.monotonic()
    with ScriptedServer(script) as server:
        try:
            with _ovsdb.Client(server.path, TIMEOUT, 300_000) as client:
                answer = client.transact("Open_vSwitch", SELECT)
        except _ovsdb.OvsdbError as exc:
            failure = exc
        assert time.monotonic() - start < TIMEOUT + SLACK
    if failure is None:
        assert len(answer) == 1
        assert isinstance(answer[0], dict)
        assert answer[0].get("error") is None
    else:
        assert failure.what
        assert failure.where == server.path
        assert failure.remedy


@settings(max_examples=80)
@given(st.lists(st.fixed_dictionaries({"rows": st.lists(values | st.dictionaries(
    st.sampled_from(["_uuid", "name", "ports", "interfaces", "other_config", "external_ids",
                     "type", "cur_cfg", "next_cfg", "mac_in_use", "ovs_version"]),
    values | st.tuples(st.sampled_from(["map", "set", "uuid"]), values).map(list)), max_size=3)}),
    min_size=4, max_size=4))  # fmt: skip
def test_rows_of_any_shape_are_facts_or_one_error(results):
    with ScriptedServer(replies(results)) as server:
        try:
            found = _ovs.read(server.path, 5.0)
        except _ovsdb.OvsdbError:
            return
    json.dumps(found)


def pace(seconds):
    """A server that drips its answer, a byte each time, and would need ``seconds`` for it."""
    data = encoded({"id": 1, "error": None, "result": [{"rows": []}]})

    def script(peer):
        peer.request()
        for byte in data:
            peer.send(bytes([byte]))
            time.sleep(seconds / len(data))

    return script


def took(script):
    start = time.monotonic()
    with ScriptedServer(script) as server:
        try:
            with _ovsdb.Client(server.path, TIMEOUT) as client:
                client.transact("Open_vSwitch", SELECT)
                failure = None
        except _ovsdb.OvsdbError as exc:
            failure = exc
        return failure, time.monotonic() - start


def test_a_server_that_drips_is_cut_off_by_the_deadline():
    failure, seconds = took(pace(20.0))
    assert isinstance(failure, _ovsdb.TimedOut)
    assert TIMEOUT * 0.9 < seconds < TIMEOUT + SLACK


def test_a_server_that_talks_without_end_is_cut_off_by_the_deadline():
    def script(peer):
        peer.request()
        while True:
            peer.send({"method": "update", "params": [], "id": None})

    failure, seconds = took(script)
    assert isinstance(failure, _ovsdb.TimedOut)
    assert seconds < TIMEOUT + SLACK


def test_a_server_that_asks_and_does_not_listen_is_cut_off_by_the_deadline():
    def script(peer):
        echo = encoded({"method": "echo", "params": ["x" * 60_000], "id": 5})
        while True:
            peer.send(echo)

    failure, seconds = took(script)
    assert isinstance(failure, _ovsdb.TimedOut)
    assert seconds < TIMEOUT + SLACK


def test_an_integer_of_a_million_digits_costs_no_time():
    def script(peer):
        peer.request()
        peer.send(b'{"id":1,"error":null,"result":' + b"9" * 1_000_000 + b"}")
        peer.connection.recv(1)

    failure, seconds = took(script)
    assert isinstance(failure, _ovsdb.NotOvsdb)
    assert "an integer of more than 100 digits" in failure.what
    assert seconds < TIMEOUT + SLACK
