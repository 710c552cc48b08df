# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a node's Open vSwitch, up to the fact."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _ovs as domain
from ansible_collections.k8snet.cni.plugins.module_utils.node import _nfnetlink, _ovs, _ovsdb
from ansible_collections.k8snet.cni.tests.unit.plugins.module_utils.node.scripted_ovsdb import (
    ScriptedServer,
    replies,
)

ROOT = {"ovs_version": "3.3.0", "other_config": ["map", [["flow-restore-wait", "true"]]]}
ANSWER = [{"rows": [ROOT]}, {"rows": []}, {"rows": []}, {"rows": []}]


def test_everything_is_selected_in_one_transaction():
    def script(peer):
        request = peer.request()
        database, *operations = request["params"]
        assert database == "Open_vSwitch"
        assert [(o["op"], o["table"]) for o in operations] == [
            ("select", "Open_vSwitch"),
            ("select", "Bridge"),
            ("select", "Port"),
            ("select", "Interface"),
        ]
        peer.send({"id": request["id"], "error": None, "result": ANSWER})
        assert peer.connection.recv(1) == b""

    with ScriptedServer(script) as server:
        found = _ovs.gather(server.path)
    assert found["present"] is True
    assert found["socket"] == server.path
    assert found["flow_restore_wait"] is True
    assert found["error"] is None
    assert set(found) == set(domain.nothing())


def test_no_socket_anywhere_means_no_open_vswitch(monkeypatch, tmp_path):
    monkeypatch.setattr(_ovsdb, "DEFAULT_SOCKETS", (str(tmp_path / "db.sock"),))
    assert _ovs.gather() == domain.nothing()


def test_a_named_socket_that_is_absent_is_an_error_in_the_fact(tmp_path):
    found = _ovs.gather(str(tmp_path / "db.sock"))
    assert found["present"] is False
    assert "OVSDB socket not found" in found["error"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (lambda p: p.send(b"SSH-2.0-OpenSSH\r\n"), "Not an OVSDB server"),
        (lambda p: p.request(), "closed without an answer"),
        (replies([{"rows": []}] * 4), "never initialised"),
        (replies([{}] * 4), "select without rows"),
        (replies([{"rows": 3}] * 4), "select without rows"),
        (replies([{"rows": [3]}] * 4), "select without rows"),
        (replies([{"error": "unknown table", "details": "x"}]), "unknown table"),
    ],
)
def test_what_is_there_and_cannot_be_read_is_told_in_the_fact(script, message):
    with ScriptedServer(script) as server:
        found = _ovs.gather(server.path, 3.0)
    assert found["present"] is True
    assert found["socket"] == server.path
    assert message in found["error"]
    assert found["bridges"] == []


def test_a_pid_file_without_its_daemon_is_no_daemon(tmp_path):
    (tmp_path / "ovs-vswitchd.pid").write_text(f"{os.getpid()}\n")
    assert _ovs.vswitchd(str(tmp_path)) == (False, None)
    proc = tmp_path / "proc"
    (proc / "7").mkdir(parents=True)
    (proc / "7" / "comm").write_text("ovs-vswitchd\n")
    (proc / "8").mkdir()
    assert _ovs.vswitchd(str(tmp_path), str(proc)) == (False, None)


def test_without_a_pid_file_a_daemon_of_that_name_is_not_declared_dead(tmp_path):
    proc = tmp_path / "proc"
    assert _ovs.vswitchd(str(tmp_path), str(proc)) == (False, None)
    (proc / "7").mkdir(parents=True)
    (proc / "7" / "comm").write_text("bash\n")
    assert _ovs.vswitchd(str(tmp_path), str(proc)) == (False, None)
    (proc / "7" / "comm").write_text("ovs-vswitchd\n")
    assert _ovs.vswitchd(str(tmp_path), str(proc)) == (None, None)


HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "w")
file.write("35\\n")  # what a daemon in a container's pid namespace would write
file.flush()
fcntl.lockf(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


def test_the_daemon_is_who_holds_the_lock_whatever_number_the_file_says(tmp_path):
    path = tmp_path / "ovs-vswitchd.pid"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"locked\n"
        started = time.monotonic()
        running, uptime = _ovs.vswitchd(str(tmp_path))
        assert running
        assert 0 <= uptime <= 5
        while time.monotonic() - started < 1.1:
            time.sleep(0.1)
        assert _ovs.vswitchd(str(tmp_path))[1] >= 1
        proc = tmp_path / "proc"
        assert _ovs.vswitchd(str(tmp_path), str(proc)) == (True, None)
        stat = proc / str(holder.pid)
        stat.mkdir(parents=True)
        fields = " ".join(["S", *["0"] * 18, str(100 * os.sysconf("SC_CLK_TCK")), "0"])
        (stat / "stat").write_text(f"{holder.pid} (odd) name (x) {fields}\n")
        (proc / "uptime").write_text("1000.50 2000.00\n")
        assert _ovs.vswitchd(str(tmp_path), str(proc)) == (True, 900)
        holder.stdin.close()
    assert _ovs.vswitchd(str(tmp_path)) == (False, None)


def test_looking_at_the_lock_takes_none(tmp_path):
    path = tmp_path / "ovs-vswitchd.pid"
    path.touch()
    _ovs.vswitchd(str(tmp_path))
    code = "import fcntl,sys; fcntl.lockf(open(sys.argv[1], 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


def test_links_are_told_apart_by_sysfs(tmp_path):
    for name, devtype, device in [
        ("eth0", None, True),
        ("bond0", "bond", False),
        ("eth0.181", "vlan", False),
        ("team0", "team", False),
        ("br0", "bridge", False),
        ("veth1", None, False),
    ]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "uevent").write_text(
            (f"DEVTYPE={devtype}\n" if devtype else "") + f"INTERFACE={name}\n"
        )
        if device:
            (tmp_path / name / "device").mkdir()
    (tmp_path / "bonding_masters").touch()
    assert _ovs.link_kinds(str(tmp_path)) == {
        "eth0": "physical",
        "bond0": "bond",
        "eth0.181": "vlan",
        "team0": "team",
        "br0": "other",
        "veth1": "other",
        "bonding_masters": "other",
    }
    assert _ovs.link_kinds(str(tmp_path / "nowhere")) == {}


def test_only_addresses_that_others_can_reach_count(monkeypatch):
    found = {
        "lo": [(254, "127.0.0.1", 8)],
        "eth0": [(0, "10.0.0.5", 24), (253, "fe80::1", 64), (200, "fd00::5", 64)],
        "eth1": [(253, "169.254.1.1", 16)],
    }
    monkeypatch.setattr(_nfnetlink, "link_addresses", lambda: found)
    assert _ovs.global_addresses() == {"eth0": ["10.0.0.5/24", "fd00::5/64"]}


def test_without_addresses_open_vswitch_is_told_all_the_same(monkeypatch):
    def refuse():
        raise _nfnetlink.NetlinkError("no")

    monkeypatch.setattr(_nfnetlink, "link_addresses", refuse)
    assert _ovs.global_addresses() == {}
