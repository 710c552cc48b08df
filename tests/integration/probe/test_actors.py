# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lab's calico-node puts into the kernel is real: sessions on port 179, vxlan.calico."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.probe.test_probe import MESH, World

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

HERE, THERE = "10.8.0.1", "10.8.0.2"
LIVE = "ss -Htn state established '( sport = :179 or dport = :179 )'"
CONNECT = f"""
import socket
link = socket.create_connection(({HERE!r}, 179), 5, ("10.8.0.3", 0))
link.settimeout(10)
print(repr(link.recv(100)))
"""
SYNC = """
import json, sys
from tests.lab.actors import calico_node, calico_vxlan
def run(*command):
    changing = {"add", "del", "replace", "append", "set"} & set(command)
    if changing:
        calls.append(" ".join(command))
    return calico_node._run(*command)
def node(name, address, cidr):
    notes = {"projectcalico.org/IPv4Address": address}
    return {"metadata": {"name": name, "annotations": notes}, "spec": {"podCIDR": cidr}}
out = []
for mine, other in json.loads(sys.argv[1]):
    calls = []
    nodes = [node("a", mine, "10.244.1.0/24"), node("b", other, "10.244.2.0/24")]
    calico_vxlan.sync(run, nodes[0], nodes, calico_node.read_nics())
    out.append(calls)
print(json.dumps(out))
"""


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def await_(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def test_one_connection_stays_and_ends_with_the_peer(world: World) -> None:
    world.python(MESH, "4", HERE, THERE)
    world.python(MESH, "4", THERE, HERE, netns="peer")

    def ends() -> list[list[str]]:
        return [line.split()[-2:] for line in world.sh(LIVE).splitlines()]

    def session() -> bool:
        found = ends()
        return len(found) == 1 and ":179" in str(found)

    await_(session, "one session")
    time.sleep(2)  # both have tried by now: not two, and not none
    assert session()
    world.sh("kill -9 $(ip netns pids peer)")
    await_(lambda: ends() == [], "the session ends with the peer's process")


def test_a_stranger_gets_no_session(world: World) -> None:
    world.python(MESH, "4", HERE, THERE)
    world.sh("ip -n peer addr add 10.8.0.3/24 dev eth0")
    await_(lambda: ":179" in world.sh("ss -Htln"), "it listens")
    said, _none = world.python(CONNECT, netns="peer").communicate(timeout=30)
    assert said.strip() == "b''", "closed without a word"


def sync(world: World, *ends: tuple[str, str]) -> list[list[str]]:
    said, _none = world.python(SYNC, json.dumps(ends)).communicate(timeout=30)
    found: list[list[str]] = json.loads(said)
    return found


def test_the_device_is_made_once_and_anew_when_the_address_moves(world: World) -> None:
    world.sh("ip link add eth1 type veth peer name far1; ip addr add 172.31.66.11/24 dev eth1")
    world.sh("ip link set eth1 up")
    mine, moved, other = f"{HERE}/24", "172.31.66.11/24", f"{THERE}/24"
    first, again, peer, gone, own = sync(
        world,
        (mine, other),
        (mine, other),
        (mine, "10.8.0.9/24"),
        ("203.0.113.1/24", other),
        (moved, other),
    )
    assert first
    assert again == []
    assert [call.split()[:3] for call in peer] == [
        ["bridge", "fdb", "del"],
        ["bridge", "fdb", "append"],
    ]
    assert gone == [], "an address that is on no interface leaves all as it is"
    assert own[0] == "ip link del vxlan.calico"
    link: Any = json.loads(world.sh("ip -j -d link show vxlan.calico"))[0]["linkinfo"]["info_data"]
    assert (link["local"], link["link"], link["id"]) == ("172.31.66.11", "eth1", 4096)
    (route,) = json.loads(world.sh("ip -j route show proto 80"))
    assert (route["dst"], route["gateway"]) == ("10.244.2.0/24", "10.244.2.0")
