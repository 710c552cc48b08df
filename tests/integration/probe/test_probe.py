# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""node_probe between network namespaces of this machine's kernel."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.k8snet.cni.plugins.modules import node_probe

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

ROOT = Path(__file__).parents[3]
PYTHONPATH = f"{ROOT / '.ansible/collections'}:{ROOT}"
#: eth0 here leads to a neighbour that has every address of 10.9.0.0/20 and of 2001:db8:9::/64,
#: but for those that it drops silently.
NEIGHBOUR = """
mount -t tmpfs none /run && mkdir -p /run/netns && mount -t sysfs none /sys
ip link set lo up
ip netns add peer
ip link add eth0 type veth peer name eth0 netns peer
ip addr add 10.8.0.1/24 dev eth0
ip addr add 2001:db8:8::1/64 dev eth0 nodad
ip link set eth0 up
ip -n peer link set lo up
ip -n peer link set eth0 up
ip -n peer addr add 10.8.0.2/24 dev eth0
ip -n peer addr add 2001:db8:8::2/64 dev eth0 nodad
ip -n peer route add local 10.9.0.0/20 dev lo
ip -n peer route add local 2001:db8:9::/64 dev lo
ip -n peer route add blackhole 10.9.12.0/22
ip route add 10.9.0.0/20 via 10.8.0.2
ip -6 route add 2001:db8:9::/64 via 2001:db8:8::2
ip netns exec peer sysctl -qw net.ipv4.icmp_ratelimit=0
echo up
exec cat
"""
PROBE = """
import json, os, sys, time
from ansible_collections.k8snet.cni.plugins.modules import node_probe as module
given = json.loads(sys.argv[1])
if "user" in given:
    os.setresuid(given["user"], given["user"], given["user"])
params = {name: option.get("default") for name, option in module.ARGUMENTS.items()}
params.update(given["params"])
for entry in params["dns"]:
    entry.setdefault("name", module.DNS["name"]["default"])
before, start = os.readlink("/proc/self/ns/net"), time.monotonic()
found = module.probe(params)
found["seconds"] = time.monotonic() - start
found["stayed"] = os.readlink("/proc/self/ns/net") == before
print(json.dumps(found))
"""
DNS = """
import sys, threading
from tests.lab.actors import dns
dns.serve(sys.argv[1], dns.PORT, threading.Event())
"""
LISTEN = """
import socket, sys, time
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
time.sleep(600)
"""
MESH = """
import sys, time
from tests.lab.actors.calico_bgp import Mesh
mesh = Mesh(int(sys.argv[1]))
mesh.want(sys.argv[2], {sys.argv[3]})
time.sleep(600)
"""


class World:
    """The namespaces. Everything ends with the first process, whose input this test holds."""

    def __init__(self) -> None:
        command = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-ec"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.holder = subprocess.Popen([*command, NEIGHBOUR], **pipes, text=True)  # type: ignore[call-overload]
        assert self.holder.stdout.readline() == "up\n"
        children = Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children")
        self.pid = children.read_text().split()[0]

    def close(self) -> None:
        self.holder.stdin.close()
        self.holder.wait(10)

    def inside(self, *command: str) -> list[str]:
        return ["nsenter", "-t", self.pid, "-n", "-m", "-p", *command]

    def sh(self, script: str) -> str:
        done = subprocess.run(
            self.inside("sh", "-ec", script), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def python(self, code: str, *words: str, netns: str = "") -> subprocess.Popen[str]:
        enter = ("ip", "netns", "exec", netns) if netns else ()
        return subprocess.Popen(
            self.inside(*enter, sys.executable, "-c", code, *words),
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": PYTHONPATH},
        )

    def probe(self, user: int | None = None, **params: Any) -> dict[str, Any]:
        given = {"params": params, **({} if user is None else {"user": user})}
        process = self.python(PROBE, json.dumps(given))
        said, _none = process.communicate(timeout=60)
        assert process.returncode == 0
        answer: dict[str, Any] = json.loads(said)
        return answer

    def pod(self, name: str, address: str) -> None:
        """A pod: its address on eth0, and the node's way to it."""
        self.sh(
            f"ip netns add {name}; ip link add cali{name} type veth peer name eth0 netns {name}; "
            f"ip -n {name} link set lo up; ip -n {name} addr add {address}/32 dev eth0; "
            f"ip -n {name} link set eth0 up; ip link set cali{name} up; "
            f"ip -n {name} route add 169.254.1.1 dev eth0; "
            f"ip -n {name} route add default via 169.254.1.1 dev eth0; "
            f"sysctl -qw net.ipv4.conf.cali{name}.proxy_arp=1 net.ipv4.ip_forward=1 "
            f"net.ipv4.neigh.cali{name}.proxy_delay=0; "
            f"ip route add {address}/32 dev cali{name}; ip route replace default via 10.8.0.2"
        )

    def await_dns(self, server: str) -> None:
        end = time.monotonic() + 20
        while not self.probe(dns=[{"server": server}], pod_dns=False)["dns"][0]["ok"]:
            assert time.monotonic() < end, "DNS did not come up"


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def targets(network: str, count: int) -> list[dict[str, str]]:
    return [
        {"name": f"n{number}", "address": f"{network}.{number // 250}.{1 + number % 250}"}
        for number in range(count)
    ]


def hows(found: dict[str, Any]) -> set[Any]:
    return {entry["how"] for entry in found["reachable"].values()}


def test_a_thousand_targets_answer_within_a_few_seconds(world: World) -> None:
    found = world.probe(targets=targets("10.9", 1000))
    assert hows(found) == {"icmp"}
    assert all(0 < entry["ms"] < 5000 for entry in found["reachable"].values())
    assert found["problems"] == []
    assert found["seconds"] < 5


def test_a_thousand_silent_targets_cost_no_more_than_their_time_outs(world: World) -> None:
    silent = [
        {"name": f"n{n}", "address": f"10.9.{12 + n // 250}.{1 + n % 250}"} for n in range(1000)
    ]
    found = world.probe(targets=silent, timeout=0.5)
    assert hows(found) == {None}
    assert len(found["problems"]) == 1000
    assert found["seconds"] < 8


def test_the_rate_is_kept(world: World) -> None:
    found = world.probe(targets=targets("10.9", 300), rate=200)
    assert hows(found) == {"icmp"}
    assert found["seconds"] > 1.3


def test_both_families_at_once_and_a_prefix_behind_the_address(world: World) -> None:
    both = [
        {"name": "four", "address": "10.9.0.1/24"},
        {"name": "six", "address": "2001:db8:9::1/64"},
    ]
    found = world.probe(targets=both)["reachable"]
    assert {name: entry["how"] for name, entry in found.items()} == {"four": "icmp", "six": "icmp"}


def test_where_icmp_is_filtered_tcp_proves_that_somebody_is_there(world: World) -> None:
    ignore = "net.ipv4.icmp_echo_ignore_all=1"
    world.sh(f"ip netns exec peer sysctl -qw {ignore}")
    listener = world.python(LISTEN, "10.9.0.1", "10250", netns="peer")
    assert listener.stdout is not None
    assert listener.stdout.readline() == "ready\n"
    found = world.probe(targets=targets("10.9", 2), timeout=0.5)["reachable"]
    assert [(e["how"], e["port"]) for e in found.values()] == [("tcp", 10250), ("tcp", 10250)]
    without = world.probe(targets=targets("10.9", 1), timeout=0.5, ports=[])["reachable"]["n0"]
    assert without["error"] == "no answer to 2 ICMP echo requests"


def test_no_way_there_is_said_at_once(world: World) -> None:
    found = world.probe(targets=[{"name": "far", "address": "203.0.113.1"}], timeout=10)
    assert found["reachable"]["far"]["error"].startswith("Network is unreachable")
    assert found["seconds"] < 5


def test_a_source_that_is_not_on_the_node_is_named_as_the_reason(world: World) -> None:
    target = [{"name": "a", "address": "10.9.0.1"}]
    assert world.probe(targets=target, source="10.8.0.1/24")["problems"] == []
    found = world.probe(targets=target, source="10.8.0.77")["reachable"]["a"]
    assert not found["ok"]
    assert "Cannot assign requested address" in found["error"]


def test_the_answer_has_to_come_back_to_the_source(world: World) -> None:
    """The founding incident, before it happens: nobody has a way back to the new address."""
    world.sh("ip addr add 172.31.66.11/24 dev eth0; ip -n peer route add blackhole 172.31.66.0/24")
    target = [{"name": "a", "address": "10.9.0.1"}]
    assert world.probe(targets=target)["reachable"]["a"]["ok"]
    assert not world.probe(targets=target, source="172.31.66.11", timeout=0.3)["reachable"]["a"][
        "ok"
    ]


def test_what_is_not_known_in_time_is_said_so(world: World) -> None:
    found = world.probe(targets=[{"name": "a", "address": "10.9.12.1"}], timeout=20, deadline=0.5)
    assert "0.5 s, the time for all targets" in found["reachable"]["a"]["error"]
    assert found["seconds"] < 3


def test_without_rights_tcp_is_left(world: World) -> None:
    world.sh("sysctl -qw net.ipv4.ping_group_range='1 0'")
    found = world.probe(user=65534, targets=[{"name": "a", "address": "10.9.0.1"}])
    assert found["reachable"]["a"]["how"] == "tcp"
    asked = world.probe(user=65534, dns=[{"server": "10.9.0.1"}])["dns"][0]
    assert asked["ok"] is None
    assert "Run the module as root (become)" in asked["error"]


def test_dns_is_asked_from_a_pod_and_the_module_stays_where_it_is(world: World) -> None:
    world.pod("one", "10.244.1.10")
    world.pod("two", "10.244.1.11")
    world.python(DNS, "10.244.1.10", netns="one")
    world.await_dns("10.244.1.10")
    found = world.probe(dns=[{"server": "10.244.1.10"}, {"server": "10.244.1.99"}], timeout=0.5)
    good, silent = found["dns"]
    assert good == {
        "server": "10.244.1.10",
        "name": "kubernetes.default.svc.cluster.local",
        "pod": True,
        "ok": True,
        "rcode": "NOERROR",
        "ms": good["ms"],
        "netns": "/run/netns/two",
        "source": "10.244.1.11",
        "error": None,
    }, "and not from the server's own pod"
    assert (silent["ok"], silent["rcode"]) == (False, None)
    assert found["problems"] == [f"DNS from a pod by 10.244.1.99: {silent['error']}"]
    assert found["stayed"]
    # Cut the second pod off: the node itself still gets an answer, its pods do not.
    world.sh("ip link set calitwo down")
    cut = {"dns": [{"server": "10.244.1.10"}], "timeout": 0.3}
    assert world.probe(**cut, pod_dns=False)["dns"][0]["netns"] == "host"
    assert world.probe(**cut)["dns"][0]["ok"] is False


def test_only_a_pods_namespace_is_asked_from(world: World) -> None:
    server = [{"server": "10.8.0.2"}]
    elsewhere = world.probe(dns=server, pod_networks=["10.244.0.0/16"], timeout=0.3)["dns"][0]
    assert (elsewhere["ok"], elsewhere["netns"]) == (None, None), "'peer' is no pod"
    assert "no pod" in elsewhere["error"]
    world.sh("ip netns add bare")
    world.pod("one", "10.244.1.10")
    asked = world.probe(dns=server, pod_networks=["10.244.0.0/16"], timeout=0.3)["dns"][0]
    assert (asked["ok"], asked["netns"]) == (False, "/run/netns/one")


def test_a_session_is_seen_with_its_ends(world: World) -> None:
    ends = {"4": ("10.8.0.1", "10.8.0.2"), "6": ("2001:db8:8::1", "2001:db8:8::2")}
    for family, (here, there) in ends.items():
        world.python(MESH, family, here, there)
        world.python(MESH, family, there, here, netns="peer")
        end = time.monotonic() + 20
        while True:
            found = world.probe(bgp={"local": here, "peers": [there, "192.0.2.9"]})["bgp"]
            if found["established"]:
                break
            assert time.monotonic() < end, "no session"
        assert (found["established"], found["missing"]) == ([there], ["192.0.2.9"])
    moved = world.probe(bgp={"local": "10.8.0.77", "peers": ["10.8.0.2"]})["bgp"]
    assert moved["missing"] == ["10.8.0.2"]
    assert {"local": "10.8.0.1", "peer": "10.8.0.2"} in moved["other"]


def test_the_vxlan_device_is_read_from_the_kernel(world: World) -> None:
    world.sh(
        "ip link add vxlan.calico type vxlan id 4096 dstport 4789 local 10.8.0.1 dev eth0; "
        "ip link set vxlan.calico up"
    )
    good = world.probe(vxlan={"local": "10.8.0.1/24"})
    assert (good["vxlan"]["parent"], good["problems"]) == ("eth0", [])
    bad = world.probe(vxlan={"local": "10.8.0.77"})
    assert bad["problems"] == ["vxlan.calico sends from 10.8.0.1, not from 10.8.0.77"]


def test_every_key_is_documented_and_there(world: World) -> None:
    found = world.probe(
        targets=targets("10.9", 1),
        dns=[{"server": "10.9.0.1"}],
        bgp={"local": None, "peers": ["10.9.0.1"]},
        vxlan={"local": "10.8.0.1"},
        timeout=0.3,
    )
    described = yaml.safe_load(node_probe.RETURN)
    assert set(found) - {"seconds", "stayed"} == set(described)
    assert set(found["reachable"]["n0"]) == set(described["reachable"]["contains"])
    assert set(found["dns"][0]) == set(described["dns"]["contains"])
    for key in ("bgp", "vxlan"):
        assert set(found[key]) == set(described[key]["contains"])


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"targets": [{"name": "a", "address": "node1"}]}, "targets[0].address: 'node1' is not"),
        ({"targets": targets("10.9", 1) * 2}, "the name 'n0' is there twice"),
        ({"timeout": 0}, "timeout: must be more than 0"),
        ({"ports": [0]}, "0 is no TCP port"),
        ({"pod_networks": ["x"]}, "'x' is no network"),
        ({"dns": [{"server": "x", "name": "a.b"}]}, "dns[0].server: 'x' is not"),
        ({"dns": [{"server": "10.0.0.1", "name": "a..b"}]}, "'a..b' is not a DNS name"),
    ],
)
def test_what_cannot_be_meant_is_refused(params: dict[str, Any], said: str) -> None:
    defaults = {name: option.get("default") for name, option in node_probe.ARGUMENTS.items()}
    with pytest.raises(ValueError, match=re.escape(said)):
        node_probe.probe({**defaults, **params})
