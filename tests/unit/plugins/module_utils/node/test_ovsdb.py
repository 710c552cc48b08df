# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The OVSDB client against servers that behave and servers that do not."""

from __future__ import annotations

import json
import os
import socket
import threading
import time

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.node import _ovsdb
from ansible_collections.k8snet.cni.tests.unit.plugins.module_utils.node.scripted_ovsdb import (
    ScriptedServer,
    replies,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SELECT = _ovsdb.select_rows("Bridge", "name")


def ask(server, timeout=5.0, *operations, **options):
    with _ovsdb.Client(server.path, timeout, **options) as client:
        return client.transact("Open_vSwitch", *(operations or (SELECT,)))


def told(exc):
    """The three parts of a message, each there."""
    error = exc.value
    assert error.what
    assert error.where
    assert error.remedy
    assert str(error) == f"{error.what}: {error.where}. {error.remedy}"
    return str(error)


def test_a_transaction_returns_one_result_for_each_operation():
    with ScriptedServer(replies([{"rows": [1]}, {"rows": []}])) as server:
        assert ask(server, 5.0, SELECT, SELECT) == [{"rows": [1]}, {"rows": []}]


def test_the_request_is_a_transact_on_the_named_database():
    def script(peer):
        request = peer.request()
        assert request["method"] == "transact"
        assert request["params"] == ["Open_vSwitch", SELECT]
        assert isinstance(request["id"], int)
        peer.send({"id": request["id"], "error": None, "result": [{"rows": []}]})

    with ScriptedServer(script) as server:
        ask(server)


def test_several_transactions_share_a_connection_with_ids_of_their_own():
    seen = []

    def script(peer):
        for _unused in range(3):
            request = peer.request()
            seen.append(request["id"])
            peer.send({"id": request["id"], "error": None, "result": [{"rows": []}]})

    with ScriptedServer(script) as server, _ovsdb.Client(server.path) as client:
        for _unused in range(3):
            client.transact("Open_vSwitch", SELECT)
    assert len(set(seen)) == 3


def test_echo_requests_are_answered_and_notifications_passed_over():
    def script(peer):
        request = peer.request()
        answer = {"id": request["id"], "error": None, "result": [{"rows": []}]}
        update = {"method": "update", "params": [None, {}], "id": None}
        echo = {"method": "echo", "params": ["x"], "id": "echo"}
        unknown = {"method": "sing", "params": [], "id": 7}
        peer.send(b"".join(json.dumps(m).encode() for m in (update, echo, unknown)))
        assert peer.request() == {"id": "echo", "error": None, "result": ["x"]}
        assert peer.request()["error"] == "unknown method"
        peer.send(answer)

    with ScriptedServer(script) as server:
        assert ask(server) == [{"rows": []}]


def test_a_message_glued_behind_an_answer_is_not_lost():
    def script(peer):
        first = peer.request()
        answer = {"id": first["id"], "error": None, "result": [{"rows": []}]}
        echo = {"method": "echo", "params": [], "id": "echo"}
        peer.send(json.dumps(answer).encode() + json.dumps(echo).encode())
        second = peer.request()
        answer["id"] = second["id"]
        peer.send(answer)
        assert peer.request()["id"] == "echo"

    with ScriptedServer(script) as server, _ovsdb.Client(server.path) as client:
        client.transact("Open_vSwitch", SELECT)
        client.transact("Open_vSwitch", SELECT)


# -- errors of the database -----------------------------------------------------------------


def test_a_failed_operation_is_named_and_says_nothing_was_changed():
    wait = {"op": "wait", "table": "Open_vSwitch"}
    failed = {"error": "timed out", "details": "old value gone"}
    with (
        ScriptedServer(replies([{"rows": []}, failed, None])) as server,
        pytest.raises(_ovsdb.TransactionFailed) as exc,
    ):
        ask(server, 5.0, SELECT, wait, SELECT)
    text = told(exc)
    assert "wait on Open_vSwitch" in text
    assert "timed out: old value gone" in text
    assert exc.value.error == "timed out"


def test_an_error_at_commit_fails_although_every_operation_succeeded():
    with (
        ScriptedServer(replies([{"count": 1}, {"error": "constraint violation"}])) as server,
        pytest.raises(_ovsdb.TransactionFailed, match="at commit"),
    ):
        ask(server)


@pytest.mark.parametrize("error", ["unknown database", {"error": "unknown database"}])
def test_a_refused_request_is_a_failed_transaction(error):
    def script(peer):
        peer.send({"id": peer.request()["id"], "error": error, "result": None})

    with ScriptedServer(script) as server, pytest.raises(_ovsdb.TransactionFailed) as exc:
        ask(server)
    assert "unknown database" in told(exc)


# -- a path that is no OVSDB ----------------------------------------------------------------


def test_an_absent_socket_lists_where_it_was_looked_for(tmp_path):
    looked = (str(tmp_path / "a.sock"), str(tmp_path / "b.sock"))
    with pytest.raises(_ovsdb.SocketAbsent) as exc:
        _ovsdb.find_socket(looked)
    assert told(exc) == (
        f"OVSDB socket not found: looked in {looked[0]}, {looked[1]}. "
        "Set 'socket' if OVS runs elsewhere."
    )


def test_the_first_socket_that_exists_is_taken(tmp_path):
    (tmp_path / "b.sock").touch()
    (tmp_path / "c.sock").touch()
    looked = tuple(str(tmp_path / name) for name in ("a.sock", "b.sock", "c.sock"))
    assert _ovsdb.find_socket(looked) == looked[1]


def test_antrea_comes_before_the_distribution():
    assert _ovsdb.DEFAULT_SOCKETS == (
        "/var/run/antrea/openvswitch/db.sock",
        "/var/run/openvswitch/db.sock",
    )


def test_a_named_socket_that_is_absent(tmp_path):
    with pytest.raises(_ovsdb.SocketAbsent, match="OVSDB socket not found"):
        _ovsdb.Client(str(tmp_path / "db.sock"))


@pytest.mark.parametrize("make", ["file", "directory"])
def test_a_regular_file_and_a_directory_are_not_sockets(tmp_path, make):
    path = tmp_path / "db.sock"
    path.touch() if make == "file" else path.mkdir()
    with pytest.raises(_ovsdb.NotASocket) as exc:
        _ovsdb.Client(str(path))
    assert str(path) in told(exc)


def test_a_path_too_long_for_a_socket(tmp_path):
    directory = tmp_path / ("d" * 100)
    directory.mkdir()
    here = os.open(directory, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(f"/proc/self/fd/{here}/db.sock")
        with pytest.raises(_ovsdb.NotASocket) as exc:
            _ovsdb.Client(str(directory / "db.sock"))
    finally:
        os.close(here)
    assert "longer than 107 bytes" in told(exc)


def test_a_socket_whose_server_is_gone(tmp_path):
    path = str(tmp_path / "db.sock")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
    with pytest.raises(_ovsdb.NobodyListens) as exc:
        _ovsdb.Client(path)
    assert "ovsdb-server" in told(exc)


def test_a_datagram_socket_is_not_ovsdb(tmp_path):
    path = str(tmp_path / "db.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        with pytest.raises(_ovsdb.NotOvsdb) as exc:
            _ovsdb.Client(path)
    told(exc)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_no_permission_asks_for_become(tmp_path):
    tmp_path.chmod(0o755)
    path = str(tmp_path / "db.sock")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()
        os.chmod(path, 0o600)
        os.chmod(tmp_path, 0o700)
        os.seteuid(65534)
        try:
            with pytest.raises(_ovsdb.AccessDenied) as exc:
                _ovsdb.Client(_ovsdb.find_socket((path,)))
        finally:
            os.seteuid(0)
    assert "become" in told(exc)


def test_a_queue_that_is_full_ends_by_the_deadline(tmp_path):
    path = str(tmp_path / "db.sock")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(path)
        listener.listen(0)
        first.connect(path)
        start = time.monotonic()
        with pytest.raises(_ovsdb.TimedOut) as exc:
            _ovsdb.Client(path, 0.3)
    assert 0.2 < time.monotonic() - start < 3
    assert "queue" in told(exc)


# -- servers that misbehave -----------------------------------------------------------------


def misbehave(script, error, timeout=5.0, **options):
    """What the client says of a server that runs ``script``; it never outlives its deadline."""
    start = time.monotonic()
    with ScriptedServer(script) as server:
        with pytest.raises(error) as exc:
            ask(server, timeout, **options)
        assert time.monotonic() - start < timeout + 1
        text = told(exc)
        assert server.path in text
    return text


def test_a_web_server_is_not_ovsdb():
    text = misbehave(lambda p: p.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), _ovsdb.NotOvsdb)
    assert "HTTP/1.1 400" in text


def test_a_greeting_is_read_although_its_server_hung_up_before_the_request():
    hung_up = threading.Event()

    def script(peer):
        peer.send(b"SSH-2.0-OpenSSH\r\n")
        peer.connection.shutdown(socket.SHUT_RDWR)
        hung_up.set()

    with ScriptedServer(script) as server, _ovsdb.Client(server.path, 5.0) as client:
        assert hung_up.wait(5)
        with pytest.raises(_ovsdb.NotOvsdb, match=r"SSH-2\.0"):
            client.transact("Open_vSwitch", SELECT)


def test_a_close_without_a_word():
    text = misbehave(lambda p: p.request(), _ovsdb.ConnectionClosed)
    assert "without an answer" in text


def test_a_close_in_mid_answer():
    def script(peer):
        peer.request()
        peer.send(b'{"id": 1, "error": null, "result": [{"ro')

    assert "in mid-answer" in misbehave(script, _ovsdb.ConnectionClosed)


def test_silence_ends_by_the_deadline():
    def script(peer):
        peer.request()
        peer.connection.recv(1)

    assert "within 0.3 s (no complete answer)" in misbehave(script, _ovsdb.TimedOut, 0.3)


def test_an_answer_for_ever_ends_by_size():
    def script(peer):
        peer.request()
        peer.send(b'{"id": 1, "result": "')
        while True:
            peer.send(b"x" * 65536)

    assert "more than" in misbehave(script, _ovsdb.NotOvsdb, max_bytes=1 << 20)


def test_notifications_for_ever_end_by_the_deadline():
    def script(peer):
        while True:
            peer.send({"method": "update", "params": [], "id": None})

    misbehave(script, _ovsdb.TimedOut, 0.5)


def test_a_trickle_ends_by_the_deadline():
    def script(peer):
        peer.send(b"{")
        while True:
            peer.send(b" ")
            time.sleep(0.01)

    misbehave(script, _ovsdb.TimedOut, 0.5)


def test_a_server_that_does_not_read_ends_by_the_deadline():
    big = {"op": "comment", "comment": "x" * (1 << 23)}
    with ScriptedServer(lambda p: time.sleep(1)) as server:
        start = time.monotonic()
        with pytest.raises(_ovsdb.TimedOut, match="does not read"):
            ask(server, 0.4, big)
        assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        ({"id": 99, "error": None, "result": []}, "request 99"),
        ({"id": None, "error": None, "result": []}, "request None"),
        ({"id": True, "error": None, "result": []}, "request True"),
        ({"id": [1], "error": None, "result": []}, "never made"),
        ({"id": 1, "error": None}, "neither result nor error"),
        ({"id": 1, "error": None, "result": {}}, "not a list"),
        ({"id": 1, "error": None, "result": []}, "lacks results"),
        ({"id": 1, "error": None, "result": [None]}, "lacks results"),
        ({"id": 1, "error": None, "result": [3]}, "lacks results"),
    ],
)
def test_answers_that_make_no_sense_are_not_ovsdb(answer, detail):
    def script(peer):
        peer.request()
        peer.send(answer)
        peer.connection.recv(1)

    assert detail in misbehave(script, _ovsdb.NotOvsdb)


LEAF = st.none() | st.booleans() | st.integers() | st.text(max_size=6)
ANY = st.recursive(
    LEAF,
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=6), v, max_size=3),
    max_leaves=8,
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "id": st.just(1) | ANY,
        "error": st.none() | ANY,
        "result": st.lists(st.fixed_dictionaries({}, optional={"rows": ANY, "error": ANY})) | ANY,
        "method": st.sampled_from(["echo", "update", "steal"]) | ANY,
        "params": ANY,
    },
)
CHUNKS = st.lists(MESSAGES.map(lambda m: json.dumps(m).encode()) | st.binary(max_size=40))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chunks=CHUNKS)
def test_whatever_a_server_says_the_client_returns_results_or_a_typed_error(chunks):
    def script(peer):
        peer.request()
        for chunk in chunks:
            peer.send(chunk)

    start = time.monotonic()
    with ScriptedServer(script) as server:
        try:
            results = ask(server, 2.0)
        except _ovsdb.OvsdbError as exc:
            error = exc
        else:
            error = None
        if error is not None:
            assert error.what
            assert error.where == server.path
            assert error.remedy
        else:
            assert len(results) == 1
            assert all(isinstance(r, dict) and r.get("error") is None for r in results)
    assert time.monotonic() - start < 3.5
