# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real ovsdb-server and ovs-vswitchd, in a namespace of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.node import _ovs, _ovsdb

from tests.integration.ovs.netns import Namespace, ansible

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make network namespaces"),
    pytest.mark.skipif(not shutil.which("ovs-vswitchd"), reason="openvswitch-switch is missing"),
]
SCHEMAS = "/usr/share/openvswitch"


class Switch:
    """Open vSwitch in a namespace, all its files in one short-named folder."""

    def __init__(self, namespace, folder):
        self.namespace = namespace
        self.folder = folder
        self.socket = f"{folder}/db.sock"
        # Whatever has no option of its own (bridge sockets, lock files) follows these.
        names = ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR")
        self.env = dict.fromkeys(names, folder)

    def run(self, *command):
        return self.namespace.run(*command, env=self.env)

    def serve(self, schema="vswitch"):
        database = f"{self.folder}/{schema}.db"
        self.run("ovsdb-tool", "create", database, f"{SCHEMAS}/{schema}.ovsschema")
        managers = "--remote=db:Open_vSwitch,Open_vSwitch,manager_options"
        self._daemon("ovsdb-server", database, f"--remote=punix:{self.socket}", managers)

    def switch(self):
        self._daemon("ovs-vswitchd", f"unix:{self.socket}")

    def _daemon(self, name, *arguments):
        pid = f"--pidfile={self.folder}/{name}.pid"
        self.run(name, *arguments, pid, "--detach", "--no-chdir", "-vconsole:off")

    def vsctl(self, *arguments, wait=True):
        more = [] if wait else ["--no-wait"]
        return self.run("ovs-vsctl", f"--db=unix:{self.socket}", *more, *arguments)

    def gather(self):
        return self.namespace.gather("_ovs", self.socket)

    def kill(self, name, number=signal.SIGKILL):
        with open(f"{self.folder}/{name}.pid", encoding="ascii") as file:
            pid = file.read().strip()
        script = f"kill -{int(number)} {pid}"
        if number == signal.SIGKILL:
            # Nobody in the namespace buries it, so that it is dead and stays a zombie.
            script += f"; while grep -q '^State:.[^ZX]' /proc/{pid}/status 2>/dev/null; do :; done"
        self.namespace.run("sh", "-c", script)


@pytest.fixture
def switch():
    with tempfile.TemporaryDirectory(prefix="ovs") as folder, Namespace() as namespace:
        switch = Switch(namespace, folder)
        switch.serve()
        switch.vsctl("init", wait=False)
        yield switch


@pytest.fixture
def antrea(switch):
    """Antrea's two bridges, with eth1 moved into the second as its agent does it."""
    switch.switch()
    switch.vsctl("set", "Open_vSwitch", ".", "ovs-version=3.1.0", "db-version=8.3.1")
    run = switch.namespace.run
    run("ip", "link", "add", "eth1~", "type", "veth", "peer", "name", "wire")
    run("ip", "link", "add", "web-1-a1b2c3", "type", "veth", "peer", "name", "pod")
    switch.vsctl("add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev")
    switch.vsctl("set", "bridge", "br-int", "fail_mode=secure", "external_ids:roundNum=3")
    for name, options in {
        "antrea-gw0": "type=internal",
        "antrea-tun0": "type=geneve options:remote_ip=flow options:key=flow",
        "web-1-a1b2c3": "",
    }.items():
        words = ["--", "set", "interface", name, *options.split()] if options else []
        switch.vsctl("add-port", "br-int", name, *words)
    switch.vsctl("set", "port", "web-1-a1b2c3", "external_ids:antrea-type=container")
    switch.vsctl("add-br", "br-ext", "--", "set", "bridge", "br-ext", "datapath_type=netdev")
    switch.vsctl("add-port", "br-ext", "eth1~")
    switch.vsctl("set", "port", "eth1~", "external_ids:antrea-type=uplink")
    switch.vsctl("add-port", "br-ext", "eth1", "--", "set", "interface", "eth1", "type=internal")
    run("ip", "addr", "add", "192.0.2.7/24", "dev", "eth1")
    run("ip", "link", "set", "eth1", "up")
    return switch


def test_an_antrea_node_is_told_as_it_is(antrea):
    found = antrea.gather()
    assert found["error"] is None
    assert found["present"] is True
    assert (found["version"], found["db_version"]) == ("3.1.0", "8.3.1")
    assert found["flow_restore_wait"] is False
    assert found["cur_cfg"] == found["next_cfg"]
    assert found["next_cfg"] == int(antrea.vsctl("get", "Open_vSwitch", ".", "next_cfg"))
    assert found["vswitchd_running"] is True
    assert 0 <= found["vswitchd_uptime"] < 60
    ext, internal = found["bridges"]
    assert ext["name"] == "br-ext"
    assert ext["uplinks"] == ["eth1~"]
    assert ext["internal_ports"] == ["br-ext", "eth1"]
    assert internal["datapath_type"] == "netdev"
    assert internal["fail_mode"] == "secure"
    assert internal["external_ids"] == {"roundNum": "3"}
    assert internal["ports"] == 4
    assert internal["port_kinds"]["pod"] == 1
    assert internal["port_kinds"]["tunnel"] == 1
    entry = {"nic": "eth1~", "bridge": "br-ext", "internal_port": "eth1", "addresses_on": "eth1"}
    assert found["enslaved"] == [{**entry, "by_antrea": True}]


def test_flow_restore_wait_is_seen_and_its_removal_too(antrea):
    antrea.vsctl("set", "Open_vSwitch", ".", "other_config:flow-restore-wait=true")
    assert antrea.gather()["flow_restore_wait"] is True
    antrea.vsctl("remove", "Open_vSwitch", ".", "other_config", "flow-restore-wait")
    assert antrea.gather()["flow_restore_wait"] is False


def test_an_address_that_went_away_is_nowhere(antrea):
    antrea.namespace.run("ip", "addr", "flush", "dev", "eth1")
    assert antrea.gather()["enslaved"][0]["addresses_on"] is None


def test_a_dead_vswitchd_is_seen_as_dead_and_behind(antrea):
    antrea.kill("ovs-vswitchd")
    vsctl = ["ovs-vsctl", f"--db=unix:{antrea.socket}", "--timeout=1", "add-br", "br-late"]
    antrea.namespace.run(*vsctl, check=False)  # It waits for vswitchd in vain.
    found = antrea.gather()
    assert (found["vswitchd_running"], found["vswitchd_uptime"]) == (False, None)
    assert found["cur_cfg"] < found["next_cfg"]
    assert "br-late" in [bridge["name"] for bridge in found["bridges"]]


def test_a_vswitchd_in_another_process_namespace_is_seen_from_outside(antrea):
    with open(f"{antrea.folder}/ovs-vswitchd.pid", encoding="ascii") as file:
        inside = int(file.read())
    assert _ovs.vswitchd(antrea.folder)[0] is True
    outside = _ovs._lock_holder(f"{antrea.folder}/ovs-vswitchd.pid")
    assert outside != inside
    with open(f"/proc/{outside}/comm", encoding="ascii") as file:
        assert file.read() == "ovs-vswitchd\n"


def test_reading_writes_nothing(antrea):
    dump = ["ovsdb-client", "dump", f"unix:{antrea.socket}", "Open_vSwitch"]
    tables = ["Open_vSwitch", "Bridge", "Port"]
    before = [antrea.run(*dump, table) for table in tables]
    antrea.gather()
    assert [antrea.run(*dump, table) for table in tables] == before


def test_2000_pods_take_little_time_and_little_room(switch):
    operations, ports = [], []
    for number in range(2000):
        name = f"pod{number}-a1b2c3"
        marks = [["antrea-type", "container"], ["pod-name", f"web-{number}"]]
        interface = {"op": "insert", "table": "Interface", "uuid-name": f"i{number}"}
        port = {"op": "insert", "table": "Port", "uuid-name": f"p{number}"}
        interface["row"] = {"name": name}
        port["row"] = {"name": name, "interfaces": ["named-uuid", f"i{number}"]}
        port["row"]["external_ids"] = ["map", marks]
        operations += [interface, port]
        ports.append(["named-uuid", f"p{number}"])
    mutate = {"op": "mutate", "table": "Bridge", "where": []}
    mutate["mutations"] = [["ports", "insert", ["set", ports]]]
    switch.vsctl("add-br", "br-int", wait=False)
    with _ovsdb.Client(switch.socket, 30) as client:
        client.transact(_ovsdb.DATABASE, *operations, mutate)
    start = time.monotonic()
    found = _ovs.gather(switch.socket)
    assert time.monotonic() - start < 5
    assert found["error"] is None
    assert found["bridges"][0]["ports"] == 2001
    assert found["bridges"][0]["port_kinds"]["pod"] == 2000
    assert len(json.dumps(found)) < 1500


def test_a_socket_that_outlived_its_server(switch):
    switch.kill("ovsdb-server")
    found = _ovs.gather(switch.socket)
    assert found["present"] is True
    assert "No process listens" in found["error"]


def test_a_stopped_server_ends_by_the_deadline(switch):
    switch.kill("ovsdb-server", signal.SIGSTOP)
    start = time.monotonic()
    found = _ovs.gather(switch.socket, 0.5)
    assert time.monotonic() - start < 3
    assert "within 0.5 s" in found["error"]


def test_a_database_that_was_never_initialised():
    with tempfile.TemporaryDirectory(prefix="ovs") as folder, Namespace() as namespace:
        switch = Switch(namespace, folder)
        switch.serve()
        assert "never initialised" in _ovs.gather(switch.socket)["error"]


def test_another_kind_of_database():
    with tempfile.TemporaryDirectory(prefix="ovs") as folder, Namespace() as namespace:
        switch = Switch(namespace, folder)
        schema = {"name": "Other", "version": "1.0.0", "tables": {}}
        schema["tables"]["T"] = {"columns": {"c": {"type": "string"}}}
        path = f"{folder}/other.ovsschema"
        with open(path, "w", encoding="ascii") as file:
            json.dump(schema, file)
        database = f"{folder}/other.db"
        switch.run("ovsdb-tool", "create", database, path)
        switch._daemon("ovsdb-server", database, f"--remote=punix:{switch.socket}")
        assert "unknown database" in _ovs.gather(switch.socket)["error"].lower()


def test_a_write_goes_through_the_same_client_and_a_lost_race_changes_nothing(switch):
    """What later roles need: a wait on the old value and a mutation, in one transaction."""
    switch.vsctl("set", "Open_vSwitch", ".", "other_config:flow-restore-wait=true", wait=False)
    old = ["map", [["flow-restore-wait", "true"]]]
    wait = {"op": "wait", "table": "Open_vSwitch", "where": [], "until": "==", "timeout": 0}
    wait.update(columns=["other_config"], rows=[{"other_config": old}])
    keys = ["set", ["flow-restore-wait"]]
    clear = {"op": "mutate", "table": "Open_vSwitch", "where": []}
    clear["mutations"] = [["other_config", "delete", keys]]
    with _ovsdb.Client(switch.socket) as client:
        _waited, mutated = client.transact(_ovsdb.DATABASE, wait, clear)
        assert mutated == {"count": 1}
        with pytest.raises(_ovsdb.TransactionFailed) as exc:
            client.transact(_ovsdb.DATABASE, wait, clear)
    assert exc.value.error == "timed out"
    assert _ovs.gather(switch.socket)["flow_restore_wait"] is False


def test_a_server_that_probes_its_idle_clients_is_answered(switch):
    """It sends an echo after a second, and hangs up on who has not answered a second later."""
    probing = f"{switch.folder}/probing.sock"
    manager = ["set-manager", f"punix:{probing}", "--"]
    switch.vsctl(*manager, "set", "manager", ".", "inactivity_probe=1000", wait=False)
    wait = {"op": "wait", "table": "Open_vSwitch", "where": [], "until": "==", "timeout": 3500}
    wait.update(columns=["cur_cfg"], rows=[{"cur_cfg": 12345}])
    served = []
    with _ovsdb.Client(probing, 30) as client:
        serve = client._serve
        client._serve = lambda request: (served.append(request["method"]), serve(request))
        with pytest.raises(_ovsdb.TransactionFailed, match="timed out"):
            client.transact(_ovsdb.DATABASE, wait)
    assert "echo" in served


# -- through Ansible ------------------------------------------------------------------------


def test_the_module_returns_the_fact(antrea):
    found = ansible("ovs_facts", socket=antrea.socket)
    assert found["changed"] is False
    fact = found["ansible_facts"]["k8snet_ovs"]
    assert fact["enslaved"][0]["nic"] == "eth1~"
    assert [bridge["name"] for bridge in fact["bridges"]] == ["br-ext", "br-int"]


@pytest.mark.parametrize(
    ("socket", "message"),
    [
        ("/nowhere/db.sock", "OVSDB socket not found: looked in /nowhere/db.sock. Set 'socket'"),
        ("/etc/hostname", "Not a unix socket: /etc/hostname."),
    ],
)
def test_the_module_fails_clearly_on_a_bad_socket(socket, message):
    assert message in ansible("ovs_facts", socket=socket)["msg"]


@pytest.mark.parametrize("timeout", [0, -1, "nan", "inf"])
def test_a_timeout_that_is_none_is_refused(timeout):
    assert "timeout must be" in ansible("ovs_facts", timeout=timeout)["msg"]
