# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard's program, as the file that a node gets."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.node import _flow_guard, _program
from ansible_collections.k8snet.cni.tests.unit.plugins.module_utils.node.fake_ovsdb import FakeOvsdb

KEY = "flow-restore-wait"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "guard.pyz"
    path.write_bytes(_program.build(_flow_guard.ENTRY, _flow_guard.MODULES))
    return path


@pytest.fixture
def closed():
    """A port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{sock.getsockname()[1]}"


@pytest.fixture
def opened():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield f"127.0.0.1:{sock.getsockname()[1]}"


class Guard:
    """Looks by the program, with a memory of its own."""

    def __init__(self, program, folder):
        self._program = program
        self._folder = folder
        self.memory = folder / "memory.json"

    def look(self, *servers, socket_path="/nowhere/db.sock", minutes=1):
        words = [f"--minutes={minutes}", "--agent-min-age=0", f"--socket={socket_path}"]
        words += [f"--api-server={server}" for server in servers]
        return subprocess.run(
            [sys.executable, "-I", str(self._program), *words],
            env={**os.environ, "RUNTIME_DIRECTORY": str(self._folder)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def has_seen_it_for(self, seconds):
        since = time.clock_gettime(time.CLOCK_BOOTTIME) - seconds
        self.memory.write_text(json.dumps({"since": since, "said": None}))

    def since(self):
        return json.loads(self.memory.read_text())["since"]


@pytest.fixture
def guard(program, tmp_path):
    return Guard(program, tmp_path)


def test_it_runs_without_the_collection_and_without_a_switch(guard, closed):
    done = guard.look(closed)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert guard.since() is None


def test_wrong_settings_are_said(guard, closed):
    done = guard.look(closed, minutes=0)
    assert done.returncode == 2
    assert "minutes must be" in done.stdout
    assert "api_servers is empty" in guard.look().stdout


def test_it_counts_from_the_first_look_and_says_so_once(guard, closed):
    with FakeOvsdb({KEY: "true"}) as server:
        first = guard.look(closed, socket_path=server.path)
        since = guard.since()
        second = guard.look(closed, socket_path=server.path)
        assert server.writes == 0
    assert "is set. If it still is in 1 min" in first.stdout
    assert second.stdout == ""
    assert guard.since() == since


def test_it_forgets_when_the_key_has_gone(guard, closed):
    guard.has_seen_it_for(500)
    with FakeOvsdb({}) as server:
        assert guard.look(closed, socket_path=server.path).stdout == ""
    assert guard.since() is None


def test_an_api_that_answers_keeps_it_still_and_is_said_once(guard, closed, opened):
    guard.has_seen_it_for(500)
    with FakeOvsdb({KEY: "true"}) as server:
        first = guard.look(closed, opened, socket_path=server.path)
        second = guard.look(closed, opened, socket_path=server.path)
        assert server.writes == 0
    assert f"the API answers at {opened}: left alone" in first.stdout
    assert second.stdout == ""


def test_it_goes_by_the_rules_of_the_module(guard, closed):
    # The folder of this switch has no pid file: how long vswitchd runs cannot be seen.
    guard.has_seen_it_for(500)
    with FakeOvsdb({KEY: "true"}) as server:
        done = guard.look(closed, socket_path=server.path)
        assert server.writes == 0
    assert done.returncode == 0
    assert "ovs-vswitchd" in done.stdout


def test_a_broken_database_is_one_line_and_a_failure(guard, closed):
    with FakeOvsdb({KEY: "true"}, ["garbage"]) as server:
        done = guard.look(closed, socket_path=server.path)
    assert done.returncode == 1
    assert "Not an OVSDB server" in done.stdout
    assert done.stderr == ""


def test_a_broken_memory_is_begun_anew(guard, closed):
    guard.memory.write_text("{")
    with FakeOvsdb({KEY: "true"}) as server:
        assert guard.look(closed, socket_path=server.path).returncode == 0
    assert guard.since() > 0


def test_servers_are_tried_together_and_names_do_not_hold_it(opened, closed):
    start = time.monotonic()
    silent = [f"192.0.2.{n}:6443" for n in range(1, 6)]
    assert _flow_guard.reachable([*silent, closed, opened], 5.0) == opened
    assert time.monotonic() - start < 20
    assert _flow_guard.reachable([closed], 1.0) is None
    assert _flow_guard.reachable([], 1.0) is None
