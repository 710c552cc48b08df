# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""vlan_probe on a cable between two namespaces; at the other end somebody answers as told."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.integration.ovs.netns import COLLECTIONS, Namespace, ansible

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make network namespaces"),
]
GATEWAY = "172.18.181.1"
# Answers ARP for any address, with the tag that its first argument names; "none" for none.
_ANSWERS = """
import socket, struct, sys
tag = b"" if sys.argv[1] == "none" else struct.pack("!HH", 0x8100, int(sys.argv[1]))
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)
wire.bind(("far", 3))
mac = wire.getsockname()[4]
print("ready", flush=True)
while True:
    frame, sender = wire.recvfrom(2048)
    at = frame.find(bytes.fromhex("0001080006040001"))
    if sender[2] == socket.PACKET_OUTGOING or at < 0:
        continue
    asker, target = frame[at + 8 : at + 14], frame[at + 24 : at + 28]
    body = bytes.fromhex("0001080006040002") + mac + target + asker + bytes(4)
    wire.send(asker + mac + tag + b"\\x08\\x06" + body)
"""
# Sends frames with a tag of their own, which nobody asked for.
_CHATTERS = """
import socket, struct, sys, time
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
wire.bind(("far", 0))
tag = b"" if sys.argv[1] == "none" else struct.pack("!HH", 0x8100, int(sys.argv[1]))
print("ready", flush=True)
while True:
    wire.send(b"\\xff" * 6 + wire.getsockname()[4] + tag + b"\\x88\\xb5" + bytes(46))
    time.sleep(0.05)  # the pace of the chatter
"""


@pytest.fixture
def near():
    with Namespace() as near, Namespace() as far:
        for space in (near, far):  # or the kernels talk by themselves
            space.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        link = ["ip", "link", "add", "near", "type", "veth", "peer", "name", "far"]
        entered = ["nsenter", "-t", str(near.pid), "-n", *link, "netns", str(far.pid)]
        subprocess.run(entered, check=True)
        near.run("ip", "link", "set", "near", "up")
        far.run("ip", "link", "set", "far", "up")
        near.far = far
        yield near


def there(near, code, tag):
    """Have ``code`` run at the other end until the test ends."""
    entered = ["nsenter", "-t", str(near.far.pid), "-n", "setpriv", "--pdeathsig", "KILL"]
    command = [*entered, sys.executable, "-c", code, str(tag)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def probe(near, **options):
    enter = ["nsenter", "-t", str(near.pid), "-n", "-m", "-p"]
    wanted = {"interface": "near", "vlan": 181, "targets": [GATEWAY], "listen": 1.5, **options}
    return ansible("vlan_probe", enter, **wanted)


@pytest.mark.parametrize(
    ("code", "tag", "verdict"),
    [
        (_ANSWERS, 181, "reached"),
        (_ANSWERS, "none", "tag-stripped"),
        (_ANSWERS, 182, "wrong-vlan"),
        (_CHATTERS, 182, "nothing-heard"),
        (_CHATTERS, 181, "no-answer"),
    ],
)
def test_what_comes_back_is_told_apart(near, code, tag, verdict):
    process = there(near, code, tag)
    try:
        found = probe(near)
    finally:
        process.kill()
        process.communicate()
    assert found["verdict"] == verdict, found
    expected = None if tag == "none" else tag
    if code is _ANSWERS:
        (answer,) = found["answers"]
        assert (answer["target"], answer["tag"]) == (GATEWAY, expected)
        assert 0 <= answer["ms"] < 1500
    assert next(e for e in found["frames"] if e["tag"] == expected)["count"] > 0
    assert (found["explanation"] is None) == (verdict == "reached")


def links(near):
    shown = json.loads(near.run("ip", "-d", "-j", "addr"))
    return [(link["ifname"], link["promiscuity"], link["addr_info"]) for link in shown]


def test_a_quiet_cable_proves_nothing_and_nothing_stays(near):
    before = links(near)
    found = probe(near, targets=[GATEWAY, "fd00::1"])
    assert (found["verdict"], found["missing"]) == ("no-answer", [GATEWAY, "fd00::1"])
    assert found["sent"] >= 2
    assert links(near) == before


_LISTENS = """
import sys
from ansible_collections.k8snet.cni.plugins.module_utils.node import _vlan_probe
with _vlan_probe._open("near"):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_the_nic_takes_every_tag_while_it_listens_and_no_longer(near):
    command = ["nsenter", "-t", str(near.pid), "-n", sys.executable, "-c", _LISTENS]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    environment = {**os.environ, "PYTHONPATH": COLLECTIONS}
    listening = subprocess.Popen(command, text=True, env=environment, **pipes)
    assert listening.stdout.readline() == "open\n"
    assert "promiscuity 1" in near.run("ip", "-d", "link", "show", "near")
    listening.kill()
    listening.communicate()
    assert "promiscuity 0" in near.run("ip", "-d", "link", "show", "near")


def test_a_nic_that_is_down_or_unplugged_is_told(near):
    near.far.run("ip", "link", "set", "far", "down")
    assert "has no carrier" in probe(near)["msg"]
    near.run("ip", "link", "set", "near", "down")
    assert "is down: 'ip link set near up'" in probe(near)["msg"]


_ASKS = """
import json, sys
from ansible_collections.k8snet.cni.plugins.modules import vlan_probe
try:
    print(vlan_probe.probe(json.loads(sys.argv[1]))["verdict"])
except vlan_probe.VlanProbeError as error:
    print(error)
"""


def test_one_capability_is_enough_and_without_it_the_remedy_is_named(near):
    wanted = {"interface": "near", "vlan": 181, "targets": [GATEWAY], "peers": {}}
    asked = json.dumps({**wanted, "listen": 0.5, "interval": 0.2})
    for capabilities, words in (("-all,+net_raw", "no-answer"), ("-all", "CAP_NET_RAW")):
        command = ["setpriv", f"--bounding-set={capabilities}", sys.executable, "-c", _ASKS, asked]
        assert words in near.run(*command, env={"PYTHONPATH": COLLECTIONS})
