# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routing rules as clouds make them, in a network namespace of this machine's kernel."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.integration.checkpoint.hands import ROOT

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root"),
]

BASE = "ansible_collections.k8snet.cni.plugins.module_utils"
#: A node with two network cards, one pod behind the second one, and AWS' rules for both.
NODE = """
ip link set lo up
ip link add name nic0 type bridge
ip link add name nic1 type bridge
ip link add name eni0123456789a type veth peer name pod0
for link in nic0 nic1 eni0123456789a pod0; do ip link set $link up; done
ip address add 192.168.20.10/24 dev nic0
ip route add default via 192.168.20.1 dev nic0
ip route add default via 192.168.20.1 dev nic1 onlink table 2
ip route add 192.168.20.11 dev eni0123456789a scope link
ip rule add from all to 192.168.20.11 pref 512 lookup main
ip rule add from all fwmark 0x80/0x80 pref 1024 lookup main
ip rule add from 192.168.20.11 pref 1536 lookup 2
ip rule add from 192.168.20.12 to 10.0.0.0/16 pref 1536 lookup 2
ip rule add not to 10.0.0.0/16 iif eni0123456789a pref 1537 table 2 suppress_prefixlength 0
ip rule add from 192.168.20.10 ipproto tcp sport 22 pref 1538 unreachable
"""
FLUSH = """
ip rule flush
ip rule add pref 32766 lookup main
ip rule add pref 32767 lookup default
"""
PROGRAM = """
import subprocess, sys
from BASE.domain import _checkpoint as domain
from BASE.node import _checkpoint_read as reading
from BASE.node._restore_apply import Restorer

def look():
    told = subprocess.run(["ip", "rule"], capture_output=True, text=True, check=True)
    return sorted(told.stdout.splitlines())

subprocess.run(["sh", "-ec", sys.argv[1]], check=True)
before = look()
saved = domain.scope(reading.gather(None, False), None, False, False)
subprocess.run(["sh", "-ec", sys.argv[2]], check=True)
work = Restorer(saved, None, lambda text, wrong: None)
ok = work.run()
failed = [step for step in work.steps if step["error"]]
print(ok, failed, sep="\\n")
print(*(f"+{line}" for line in look() if line not in before), sep="\\n")
print(*(f"-{line}" for line in before if line not in look()), sep="\\n")
""".replace("BASE", BASE)


def difference(damage: str) -> list[str]:
    """What `ip rule` says otherwise after a restore; whether that said it was complete."""
    words = ["unshare", "--net", sys.executable, "-c", PROGRAM, NODE, damage]
    env = {**os.environ, "PYTHONPATH": str(ROOT / ".ansible/collections")}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    ok, failed, *lines = done.stdout.splitlines()
    assert (ok, failed) == ("True", "[]"), done.stdout
    return [" ".join(line.split()) for line in lines if line]


@pytest.mark.parametrize(
    "damage",
    [
        FLUSH,
        "ip rule del pref 1024; ip rule add pref 50 from all unreachable",
        "ip rule del from 192.168.20.11 pref 1536; ip rule add from 192.168.20.10 pref 9 blackhole",
    ],
)
def test_rules_that_are_gone_come_back_identical_and_new_ones_go(damage: str) -> None:
    assert difference(damage) == []


def test_rules_of_pods_that_came_meanwhile_stay() -> None:
    pod = (
        "ip route add 192.168.20.50 dev eni0123456789a scope link\n"
        "ip rule add from all to 192.168.20.50 pref 512 lookup main\n"
        "ip rule add from 192.168.20.50 pref 1536 lookup 2\n"
    )
    assert difference(pod + "ip rule add from 192.168.20.10 pref 9 blackhole\n") == [
        "+1536: from 192.168.20.50 lookup 2",
        "+512: from all to 192.168.20.50 lookup main",
    ]
