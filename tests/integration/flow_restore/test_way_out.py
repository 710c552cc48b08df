# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which device leads out, and who answers there: asked of this machine's own kernel."""

from __future__ import annotations

import json
import os
import sys

import pytest

from tests.integration.ovs.netns import COLLECTIONS, Namespace

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make network namespaces"),
]
CODE = """
import dataclasses, json, sys, time
from ansible_collections.k8snet.cni.plugins.module_utils.node import _flow_restore_net as net
port = {"bridges": [{"internal_ports": ["port"]}]}
print(json.dumps({
    "defaults": [dataclasses.astuple(route)[1:] for route in net.defaults()],
    "devices": net.default_devices(),
    "proof": dataclasses.asdict(net.prove(port, time.monotonic(), time.monotonic() + WAIT)),
}))
"""

PEER = """
unshare --net sleep 600 >/dev/null 2>&1 &
until test "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/self/ns/net)"; do sleep 0.1; done
there() { nsenter -t $! -n "$@"; }
ip link set wire netns $!
there ip addr add 192.0.2.1/24 dev wire
there ip addr add 2001:db8::1/64 dev wire nodad
there ip link set wire up
"""


@pytest.fixture
def space():
    with Namespace() as space:
        space.run("ip", "link", "add", "port", "type", "veth", "peer", "name", "wire")
        space.run("ip", "link", "add", "free", "type", "veth", "peer", "name", "other")
        for name in ("port", "wire", "free", "other"):
            space.run("ip", "link", "set", name, "up")
        space.run("ip", "addr", "add", "192.0.2.5/24", "dev", "port")
        space.run("ip", "addr", "add", "2001:db8::5/64", "dev", "port", "nodad")
        space.run("ip", "addr", "add", "198.51.100.5/24", "dev", "free")
        yield space


def look(space, wait=1.0):
    code = CODE.replace("WAIT", str(wait))
    return json.loads(space.run(sys.executable, "-c", code, env={"PYTHONPATH": COLLECTIONS}))


def test_the_best_default_route_of_each_family(space):
    assert look(space)["devices"] == []
    route = ("ip", "route", "add", "default", "via")
    space.run(*route, "198.51.100.1", "dev", "free", "metric", "200")
    space.run(*route, "192.0.2.1", "dev", "port", "metric", "100")
    space.run("ip", "-6", "route", "add", "default", "via", "2001:db8::1", "dev", "port")
    space.run("ip", "route", "add", "default", "dev", "free", "table", "99")
    space.run("ip", "route", "add", "203.0.113.0/24", "dev", "free")
    found = look(space)
    assert found["devices"] == ["port"]
    assert [d[:2] for d in found["defaults"]] == [
        ["port", "192.0.2.1"],
        ["free", "198.51.100.1"],
        ["port", "2001:db8::1"],
    ]


def test_a_route_over_two_ways_names_both(space):
    hops = ["nexthop", "via", "198.51.100.1", "dev", "free"]
    hops += ["nexthop", "via", "192.0.2.1", "dev", "port"]
    space.run("ip", "route", "add", "default", *hops)
    found = [d[:2] for d in look(space)["defaults"]]
    assert sorted(found) == [["free", "198.51.100.1"], ["port", "192.0.2.1"]]


@pytest.mark.parametrize("gateway", ["192.0.2.1", "2001:db8::1"])
def test_a_gateway_answers_or_does_not(space, gateway):
    space.run("ip", "route", "add", "default", "via", gateway, "dev", "port")
    silent = look(space)["proof"]
    assert silent["proven"] is False
    assert f"{gateway} on port" in silent["how"]
    # Somebody at the other end of the wire, in a namespace that ends with this one.
    space.run("sh", "-ec", PEER)
    found = look(space, 20)["proof"]
    assert found == {"proven": True, "how": f"{gateway} answered on port."}


def test_nobody_to_ask_is_neither(space):
    proof = look(space)["proof"]
    assert proof["proven"] is None
    assert "Nobody is known" in proof["how"]
