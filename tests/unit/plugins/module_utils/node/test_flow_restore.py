# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clearing the key while the database fails, restarts, or is written by others."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _flow_restore as domain
from ansible_collections.k8snet.cni.plugins.module_utils.node import (
    _flow_restore,
    _flow_restore_net,
    _ovs,
    _ovsdb,
)
from ansible_collections.k8snet.cni.tests.unit.plugins.module_utils.node.fake_ovsdb import (
    FAULTS,
    FakeOvsdb,
)
from hypothesis import given, settings
from hypothesis import strategies as st

KEY = domain.KEY
SET = {KEY: "true", "hw-offload": "false"}
FORCED = domain.Options(force=True)
WAIT = 4.0
SLACK = 4.0


@pytest.fixture(autouse=True, scope="module")
def node():
    """A node whose vswitchd runs, and short pauses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_ovs, "vswitchd", lambda _run_dir: (True, 4000))
        patch.setattr(_ovs, "global_addresses", dict)
        patch.setattr(_flow_restore_net, "default_devices", list)
        patch.setattr(_flow_restore, "_PAUSE", 0.01)
        patch.setattr(_flow_restore, "_ONE_TALK", 0.2)
        yield


def run(server, write=True, options=FORCED, wait=WAIT):
    return _flow_restore.run(_flow_restore.Request(options, server.path, wait), write)


def test_it_is_cleared_and_counted_like_ovs_vsctl_does():
    with FakeOvsdb(SET) as server:
        outcome = run(server)
    assert outcome.cleared
    assert outcome.was == "true"
    assert server.config == {"hw-offload": "false"}
    assert (outcome.cur_cfg, outcome.next_cfg, server.next_cfg) == (8, 8, 8)
    assert outcome.forwarding["proven"] is None
    assert "Nobody is known" in outcome.forwarding["how"]


def test_looking_writes_nothing():
    with FakeOvsdb(SET) as server:
        outcome = run(server, write=False)
        assert outcome.verdict.act
        assert (server.config, server.writes, server.next_cfg) == (SET, 0, 7)


def test_what_is_not_stuck_is_not_written():
    with FakeOvsdb(SET) as server:
        assert run(server, options=domain.Options()).verdict.code == "refused"
        assert server.writes == 0
    with FakeOvsdb({KEY: "false"}) as server:
        outcome = run(server)
        assert (outcome.verdict.code, outcome.was) == ("not_set", "false")
        assert server.config == {KEY: "false"}


def test_the_key_is_cleared_as_it_is_written():
    with FakeOvsdb({KEY: "TRUE"}) as server:
        assert run(server).was == "TRUE"
        assert server.config == {}


def test_other_keys_that_change_meanwhile_stay():
    with FakeOvsdb(SET, between=lambda s: s.config.update(other="1")) as server:
        assert run(server).cleared
        assert server.config == {"hw-offload": "false", "other": "1"}


def test_an_agent_that_clears_it_first_is_no_change_of_ours():
    with FakeOvsdb(SET, between=lambda s: s.config.pop(KEY, None)) as server:
        outcome = run(server)
        assert (outcome.cleared, outcome.verdict.code) == (False, "not_set")
        assert server.writes == 0


def test_a_key_that_is_written_anew_is_judged_anew():
    values = iter(["TRUE", "True"])

    def between(server):
        server.config[KEY] = next(values, server.config[KEY])

    with FakeOvsdb(SET, between=between) as server:
        outcome = run(server)
        assert outcome.cleared
        assert outcome.was == "True"
        assert server.writes == 1


def test_somebody_who_writes_it_all_the_time_ends_by_the_time_given():
    count = iter(range(10**9))

    def between(server):
        server.config[KEY] = ("true", "TRUE")[next(count) % 2]

    with (
        FakeOvsdb({KEY: "TRUE"}, between=between) as server,
        pytest.raises(_flow_restore.FlowRestoreError, match="comes and goes") as exc,
    ):
        run(server, wait=0.5)
    assert not exc.value.changed
    assert server.writes == 0


def test_a_vswitchd_that_does_not_catch_up_is_a_failure():
    with (
        FakeOvsdb(SET, catches_up=False) as server,
        pytest.raises(_flow_restore.FlowRestoreError, match="cleared, but not effective") as exc,
    ):
        run(server, wait=0.5)
    assert exc.value.changed
    assert "cur_cfg 7, next_cfg 8" in str(exc.value)
    assert KEY not in server.config


def test_a_key_that_comes_back_at_once_is_a_failure():
    class Stubborn(FakeOvsdb):
        def _run(self, params):
            results = super()._run(params)
            if self.writes:
                self.config[KEY] = "true"
            return results

    with (
        Stubborn(SET) as server,
        pytest.raises(_flow_restore.FlowRestoreError, match="the key is set again"),
    ):
        run(server)


def test_a_gateway_that_does_not_answer_is_a_failure(monkeypatch):
    def silent(_facts, _since, _deadline):
        return _flow_restore_net.Proof(False, "nobody answers behind Open vSwitch")

    monkeypatch.setattr(_flow_restore_net, "prove", silent)
    with (
        FakeOvsdb(SET) as server,
        pytest.raises(_flow_restore.FlowRestoreError, match="not effective: nobody answers"),
    ):
        run(server)


@pytest.mark.parametrize("faults", [["ok", "ok", fault] for fault in FAULTS if fault != "garbage"])
def test_a_transaction_whose_answer_is_lost_is_found_out_about(faults):
    with FakeOvsdb(SET, faults) as server:
        outcome = run(server)
        assert outcome.cleared
        assert server.writes == 1
        assert server.config == {"hw-offload": "false"}


@settings(max_examples=60)
@given(st.lists(st.sampled_from(FAULTS), max_size=7), st.sampled_from([{}, SET]))
def test_whatever_fails_the_answer_is_true_and_no_write_is_half(faults, config):
    start = time.monotonic()
    failure, outcome = None, None
    with FakeOvsdb(config, faults) as server:
        try:
            outcome = run(server)
        except (_ovsdb.OvsdbError, _flow_restore.FlowRestoreError) as exc:
            failure = exc
        assert time.monotonic() - start < WAIT + SLACK
        # Both or neither: the key gone, and counted.
        assert server.writes == server.next_cfg - 7 <= 1
        assert (KEY in config and KEY not in server.config) == (server.writes == 1)
        if outcome is not None:
            assert outcome.cleared == (server.writes == 1)
        elif isinstance(failure, _flow_restore.FlowRestoreError) and failure.changed:
            assert server.writes == 1


def test_a_database_that_is_restarted_is_waited_for():
    with FakeOvsdb(SET, ["ok", "ok", "lost before", "close", "close", "ok"]) as server:
        away = f"{server.path}.away"

        # For a moment there is no socket at all.
        def vanish():
            os.rename(server.path, away)
            time.sleep(0.3)
            os.rename(away, server.path)

        thread = threading.Thread(target=vanish)
        original = _flow_restore._clear

        def clear(socket, root):
            if not thread.ident:
                thread.start()
                thread.join(0.05)
            return original(socket, root)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_flow_restore, "_clear", clear)
            assert run(server).cleared
        thread.join()
        assert server.writes == 1


def test_a_socket_that_is_just_not_there_is_waited_for_where_vswitchd_runs(monkeypatch, tmp_path):
    path = str(tmp_path / "db.sock")
    monkeypatch.setattr(_ovsdb, "DEFAULT_SOCKETS", (path,))
    start = time.monotonic()
    with pytest.raises(_ovsdb.SocketAbsent, match="OVSDB socket not found"):
        _flow_restore.run(_flow_restore.Request(FORCED, None, 0.5), True)
    assert time.monotonic() - start >= 0.5
    with FakeOvsdb(SET) as server:
        timer = threading.Timer(0.3, os.symlink, (server.path, path))
        timer.start()
        assert _flow_restore.run(_flow_restore.Request(FORCED, None, WAIT), True).cleared
        timer.join()


def test_a_node_without_open_vswitch_has_nothing_to_clear(monkeypatch, tmp_path):
    monkeypatch.setattr(_ovs, "vswitchd", lambda _run_dir: (False, None))
    monkeypatch.setattr(_ovsdb, "DEFAULT_SOCKETS", (str(tmp_path / "db.sock"),))
    outcome = _flow_restore.run(_flow_restore.Request(FORCED), True)
    assert (outcome.verdict.code, outcome.cleared) == ("no_ovs", False)
    assert str(tmp_path) in outcome.verdict.reason


def test_a_socket_that_was_named_and_is_not_there_fails_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(_ovs, "vswitchd", lambda _run_dir: (False, None))
    request = _flow_restore.Request(FORCED, str(tmp_path / "db.sock"), 60.0)
    start = time.monotonic()
    with pytest.raises(_ovsdb.SocketAbsent):
        _flow_restore.run(request, True)
    assert time.monotonic() - start < 10


def test_the_age_of_the_youngest_process_of_a_name(tmp_path):
    code = "import ctypes,sys; ctypes.CDLL(None).prctl(15, b'antrea-agent'); print(flush=True);"
    code += "sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as agent:
        agent.stdout.readline()
        age = _flow_restore.age_of("antrea-agent")
        assert age is not None
        assert age < 60
        agent.stdin.close()
    assert _flow_restore.age_of("no-such-process") is None
    assert _flow_restore.age_of("antrea-agent", str(tmp_path)) is None


def test_flows_that_cannot_be_read_say_why(tmp_path):
    (found,) = _flow_restore.flows(str(tmp_path), ["br-int"])
    assert found == replace(found, state=domain.UNREADABLE, bridge="br-int")
    assert "No such file" in found.error
