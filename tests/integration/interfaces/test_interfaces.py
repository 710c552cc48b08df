# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""calico_interfaces on this machine's kernel, in a network namespace of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.k8snet.cni.plugins.modules import calico_interfaces

from tests.integration.ovs.netns import Namespace

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

ROOT = Path(__file__).parents[3]
#: An earlier cluster's devices: two VXLANs of which one fits, tunnels, pods' ends with and without
#: somebody at the other end.
SETUP = """
mount -t tmpfs none /run; mkdir -p /run/netns; mount -t tmpfs none /var/lib
ip link add eth0 type veth peer name far0
ip addr add 10.160.1.21/24 dev eth0; ip link set eth0 up
ip link add eth1 type veth peer name far1
ip addr add 172.31.66.11/24 dev eth1; ip link set eth1 up
ip link add vxlan.calico type vxlan id 4096 dstport 4789 local 172.31.66.11 dev eth1 nolearning
ip addr add 10.250.0.0/32 dev vxlan.calico; ip link set vxlan.calico up
ip netns add empty; ip netns add lived
ip link add cali00000000001 type veth peer name eth0 netns empty
ip link add cali00000000002 type veth peer name eth0 netns lived
ip link set cali00000000001 up
ip route add 10.244.1.77/32 dev cali00000000001
"""
CODE = """
import json, sys
from ansible_collections.k8snet.cni.plugins.modules import calico_interfaces as module
params = {name: option.get("default") for name, option in module.ARGUMENTS.items()}
params.update(json.loads(sys.argv[1]))
try:
    print(json.dumps(module.run(params, params.pop("check"))))
except module.InterfaceError as error:
    print(json.dumps({"msg": str(error)}))
"""
WANT: dict[str, Any] = {"local_v4": "10.160.1.21/24", "uses": ["vxlan"], "pods": []}


class World:
    def __init__(self, space: Namespace) -> None:
        self.space = space
        self.sh(SETUP)
        # Somebody lives in one of the two pods' namespaces, as a container does.
        enter = ["nsenter", "-t", str(space.pid), "-n", "-m", "-p", "ip", "netns", "exec", "lived"]
        self.tenant = subprocess.Popen(
            [*enter, "sh", "-c", "echo up; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.tenant.stdout is not None
        assert self.tenant.stdout.readline() == b"up\n"

    def sh(self, script: str) -> str:
        said: str = self.space.run("sh", "-ec", script)
        return said

    def run(self, check: bool = False, **params: Any) -> dict[str, Any]:
        given = json.dumps({**WANT, **params, "check": check})
        path = {"PYTHONPATH": str(ROOT / ".ansible/collections")}
        answer: dict[str, Any] = json.loads(
            self.space.run(sys.executable, "-c", CODE, given, env=path)
        )
        return answer

    def names(self) -> set[str]:
        return {link["ifname"] for link in json.loads(self.sh("ip -j link"))}


@pytest.fixture
def world() -> Iterator[World]:
    with Namespace() as space:
        made = World(space)
        yield made
        made.tenant.communicate()


def absent(*names: str, **more: Any) -> dict[str, Any]:
    return {"state": "absent", "interfaces": list(names), "run_id": "run-1", **more}


def test_left_overs_are_told_from_what_belongs_here(world: World) -> None:
    found = world.run()
    reasons = {entry["name"]: entry["reason"] for entry in found["leftovers"]}
    assert reasons == {
        "vxlan.calico": "it sends from 172.31.66.11, but this node's address is 10.160.1.21",
        "cali00000000001": "no pod of this node has it, and nothing runs at its other end",
    }
    assert found["kept"] == [
        {"name": "cali00000000002", "reason": "a process runs at its other end"}
    ]
    assert set(found["undo"]) == set(reasons), "how they were, before anybody asks to remove them"
    assert (found["changed"], found["plan"], found["undo_path"]) == (False, [], None)
    routed = {"namespace": "x", "name": "y", "addresses": ["10.244.1.77"]}
    (left,) = world.run(pods=[routed])["leftovers"]
    assert left["name"] == "vxlan.calico", "the way to a pod of this node speaks for its end"


def test_exactly_what_is_named_goes_and_check_mode_says_the_same(world: World) -> None:
    before = world.names()
    check = world.run(check=True, **absent("vxlan.calico"))
    assert world.names() == before
    assert world.sh("ls /var/lib") == ""
    applied = world.run(**absent("vxlan.calico"))
    assert world.names() == before - {"vxlan.calico"}
    for key in ("changed", "diff", "plan", "undo", "leftovers"):
        assert check[key] == applied[key]
    assert applied["changed"]
    assert applied["diff"][0]["after"] == ""
    again = world.run(**absent("vxlan.calico"))
    assert (again["changed"], again["diff"]) == (False, [])


def test_the_bundle_makes_the_device_again_and_is_for_root_only(world: World) -> None:
    show = "ip -j -d link show vxlan.calico; ip -j addr show vxlan.calico"
    was = world.sh(show)
    path = world.run(**absent("vxlan.calico"))["undo_path"]
    assert path == "/var/lib/k8snet/undo/run-1"
    modes = world.sh("find /var/lib/k8snet -printf '%m %y\\n' | sort -u").split("\n")
    assert modes == ["600 f", "700 d", ""]
    kept = json.loads(world.sh(f"cat {path}/interface.vxlan.calico.json"))
    world.sh("; ".join(kept["commands"]))

    def essence(text: str) -> Any:
        link, address = [json.loads(line)[0] for line in text.strip().split("\n")]
        data = {k: link["linkinfo"]["info_data"].get(k) for k in ("id", "link", "local", "port")}
        local = [a["local"] for a in address["addr_info"] if a["scope"] == "global"]
        return link["address"], link["mtu"], data, local

    assert essence(world.sh(show)) == essence(was)


def test_what_is_no_left_over_is_refused_and_nothing_goes(world: World) -> None:
    before = world.names()
    for name in ("cali00000000002", "eth1"):
        said = world.run(**absent("vxlan.calico", name))["msg"]
        assert said.startswith(f"Refused, and nothing was removed: {name} is no")
    assert world.names() == before
    assert "no name of a run" in world.run(**absent("vxlan.calico", run_id="../x"))["msg"]


def test_a_second_attempt_keeps_what_the_first_had_seen(world: World) -> None:
    world.run(**absent("vxlan.calico"))
    world.sh("ip link add vxlan.calico type vxlan id 4096 dstport 4789 local 172.31.66.12 dev eth1")
    path = world.run(**absent("vxlan.calico", "cali00000000001"))["undo_path"]
    kept = json.loads(world.sh(f"cat {path}/interface.vxlan.calico.json"))
    assert kept["tunnel"]["local"] == "172.31.66.11"
    assert "interface.cali00000000001.json" in world.sh(f"ls -A {path}").split()
    assert world.names() & {"vxlan.calico", "cali00000000001"} == set()


def test_a_planted_link_is_not_followed(world: World) -> None:
    world.sh("mkdir -p /var/lib/elsewhere; ln -s /var/lib/elsewhere /var/lib/k8snet")
    said = world.run(**absent("vxlan.calico"))["msg"]
    assert "Nothing was removed" in said
    assert "vxlan.calico" in world.names()
    assert world.sh("ls /var/lib/elsewhere") == ""


def test_every_key_is_documented_and_there(world: World) -> None:
    found = world.run(check=True, **absent("vxlan.calico"))
    described = yaml.safe_load(calico_interfaces.RETURN)
    assert set(found) - {"changed", "diff"} == set(described)
    for key in ("leftovers", "kept", "plan"):
        assert set(found[key][0]) == set(described[key]["contains"])
    assert set(found["undo"]["vxlan.calico"]) == set(described["undo"]["contains"])
