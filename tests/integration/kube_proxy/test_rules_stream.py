# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection that runs through a node's NAT outlives the rules that made it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading

import pytest

from tests.integration.kube_proxy import residue
from tests.integration.kube_proxy.router import Router
from tests.integration.kube_proxy.test_real_rules import backend, restore
from tests.integration.kube_proxy.test_rules_netns import rules

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make network namespaces"),
]
VIP, POD = residue.address("ip", 0, 0), residue.address("ip", 1, 0)
# Connections are tracked while any rule needs it; on a node, the network plugin's do.
TRACKING = "*nat\n-A POSTROUTING -s 10.9.0.0/16 -j MASQUERADE\nCOMMIT\n"
_SERVER = """
import socket
listening = socket.create_server(("", 8080))
print("ready", flush=True)
while True:
    connection, _peer = listening.accept()
    while data := connection.recv(64):
        connection.sendall(data)
"""
_CLIENT = """
import socket, sys
connection = socket.create_connection((sys.argv[1], 80), timeout=20)
for line in sys.stdin:
    connection.sendall(line.encode())
    print(connection.recv(64).decode(), end="", flush=True)
"""


def start(space, code, *arguments):
    command = ["nsenter", "-t", str(space.pid), "-n", sys.executable, "-c", code, *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **pipes)


def end(process):
    process.kill()
    process.communicate()


def echoed(client, text):
    with contextlib.suppress(BrokenPipeError):
        client.stdin.write(f"{text}\n")
        client.stdin.flush()
    return client.stdout.readline() == f"{text}\n"


class Talk(threading.Thread):
    """Sends and hears without a break, until told to stop."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self._client = client
        self._stopped = threading.Event()
        self.heard = self.sent = 0

    def run(self):
        while not self._stopped.is_set():
            self.sent += 1
            self.heard += echoed(self._client, self.sent)

    def stop(self):
        self._stopped.set()
        self.join(30)
        assert not self.is_alive()


@pytest.fixture(params=[backend("nft"), backend("legacy")])
def name(request):
    return request.param


@pytest.fixture
def lab(name):
    """A client's stream to a Service's address, which kube-proxy's rules lead to a pod."""
    with Router() as lab, contextlib.ExitStack() as stack:
        lab.server.run("ip", "addr", "add", f"{POD}/32", "dev", "lo")
        lab.node.run("ip", "route", "add", f"{POD}/32", "via", "192.0.2.2")
        restore(lab.node, name, "ip", residue.iptables("ip", services=1, endpoints=1))
        server = start(lab.server, _SERVER)
        stack.callback(end, server)
        assert server.stdout.readline() == "ready\n"
        lab.stream = start(lab.client, _CLIENT, VIP)
        stack.callback(end, lab.stream)
        assert echoed(lab.stream, "before"), lab.stream.stderr.read()
        yield lab


def test_a_stream_survives_and_a_new_one_finds_no_service(lab, name):
    restore(lab.node, name, "ip", TRACKING)
    talk = Talk(lab.stream)
    talk.start()
    found = rules(lab.node)
    talk.stop()
    assert (found["changed"], found["untracked"]) == (True, [])
    assert talk.heard == talk.sent > 100
    assert echoed(lab.stream, "after")
    fresh = start(lab.client, _CLIENT, VIP)
    _said, complaint = fresh.communicate("hello\n", timeout=60)
    assert fresh.returncode != 0
    assert "Error" in complaint


def test_where_nothing_else_tracks_connections_the_break_is_foretold(lab, name):
    assert rules(lab.node, check=True)["untracked"] == ["ip"]
    assert echoed(lab.stream, "still")
    assert rules(lab.node)["untracked"] == ["ip"]
    assert not echoed(lab.stream, "after")
