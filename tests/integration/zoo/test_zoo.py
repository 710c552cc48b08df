# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nic_facts on a real kernel with one NIC of every kind, against what the script built."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab.actors.pods import DEVICE

from .conftest import NODE, REMOTE, Read

pytestmark = pytest.mark.lab

PYTHON, OLD_PYTHON = "/usr/bin/python3", "/opt/python3.9/bin/python3.9"

TUNNEL = ("id", "local", "remote", "port")
DUMMIES = ["zd1", "zd2", "zd3", "zd4"]
ODD = ["eth0~", "a'b", 'q"x', "back\\slash", "tic\\'k", "ünï", "fifteen-chars-x", "raw\\x80\\xff"]

# name: kind, role, and whatever else is not null, false or empty.
EXPECTED: dict[str, dict[str, Any]] = {
    "lo": {"kind": "loopback", "role": "other", "up": True},
    "eth0": {
        "kind": "physical",
        "role": "primary",
        "up": True,
        "driver": "uml-vector",
        "bus": "uml-vector.0",
    },
    "oob0": {"kind": "physical", "role": "node", "up": True, "bus": "uml-vector.1"},
    "zd0": {
        "kind": "dummy",
        "role": "other",
        "up": True,
        "carrier": True,
        "mac": "02:00:00:00:0d:00",
        "permanent_mac": None,
        "mtu": 9000,
        "altnames": ["zd0-alternative-name-longer-than-15", "zd0-second"],
    },
    "zd1": {"kind": "dummy", "role": "other", "up": True, "master": "zbond"},
    "zd2": {"kind": "dummy", "role": "other", "up": False, "master": "zbr", "carrier": None},
    "zd3": {"kind": "dummy", "role": "other", "up": False, "master": "zvrf"},
    "zbond": {"kind": "bond", "role": "node", "up": True, "carrier": True, "operstate": "up"},
    "zbr": {"kind": "bridge", "role": "node", "up": False},
    "zvrf": {"kind": "vrf", "role": "node"},
    "zd0.181": {"kind": "vlan", "role": "node", "parent": "zd0", "vlan_id": 181},
    "zd0.181.7": {"kind": "qinq", "role": "node", "parent": "zd0.181", "vlan_id": 7},
    "antrea-ext.182": {"kind": "vlan", "role": "cni", "parent": "zd0", "vlan_id": 182},
    "zfar.9": {"kind": "vlan", "role": "node", "parent": None, "vlan_id": 9},
    "zmac": {"kind": "macvlan", "role": "node", "parent": "zd0"},
    "zveth": {"kind": "veth", "role": "pod", "parent": None},
    "zva": {"kind": "veth", "role": "pod", "parent": None},
    "zvb": {"kind": "veth", "role": "pod", "parent": None},
    "cali0123456789a": {"kind": "veth", "role": "pod"},
    "lxc0123456789": {"kind": "veth", "role": "pod"},
    "zptp": {"kind": "veth", "role": "node"},
    "zvx4": {"kind": "vxlan", "parent": "zd0", "tunnel": (42, "10.97.0.1", "10.97.0.9", 4789)},
    "zvx6": {"kind": "vxlan", "tunnel": (43, "2001:db8:97::1", "ff05::100", 8472)},
    "zvxe": {"kind": "vxlan", "tunnel": (None, None, None, 4790)},
    "zgen4": {"kind": "geneve", "tunnel": (77, None, "10.97.0.9", 6081)},
    "zgen6": {"kind": "geneve", "tunnel": (78, None, "2001:db8:97::9", 6082)},
    "zgene": {"kind": "geneve", "tunnel": (None, None, None, 6083)},
    "zipip": {"kind": "ipip", "tunnel": (None, "10.97.0.1", "10.97.0.9", None)},
    "zsit": {"kind": "sit", "tunnel": (None, "10.97.0.1", "10.97.0.9", None)},
    "zgre": {"kind": "gre", "tunnel": (5, "10.97.0.1", "10.97.0.9", None)},
    "zgretap": {"kind": "gretap", "tunnel": (None, "10.97.0.1", "10.97.0.9", None)},
    "tunl0": {"kind": "ipip", "role": "cni", "mac": None, "tunnel": (None,) * 4},
    "ztun": {"kind": "tun", "role": "other", "mac": None},
    "ztap": {"kind": "tap", "role": "other"},
    "ovs-system": {"kind": "openvswitch", "role": "cni"},
    "zovs-br": {"kind": "openvswitch", "role": "node"},
    "zovs": {"kind": "openvswitch", "role": "node"},
    "kube-ipvs0": {"kind": "dummy", "role": "service-proxy"},
    "z200": {"kind": "dummy", "role": "other"},
    "zv6": {"kind": "dummy", "role": "other", "up": True},
    **{name: {"kind": "dummy", "role": "other", "up": False} for name in ODD},
}

ADDRESSES = {
    "zd0": [
        ("169.254.97.1/16", "link", ["permanent"], None),
        ("10.97.0.1/24", "global", ["permanent"], None),
        ("10.97.0.100/32", "global", ["permanent", "noprefixroute"], None),
        ("10.97.0.2/24", "global", ["secondary", "permanent"], "zd0:vip"),
        ("2001:db8:97::1/64", "global", ["nodad", "permanent"], None),
    ],
    "zd0.181.7": [("10.97.7.1/24", "global", ["permanent"], None)],
    "zptp": [("10.97.3.1/32", "global", ["permanent"], None)],
    "ztun": [("10.97.5.1/32", "global", ["permanent"], None)],
    "zovs": [("10.97.6.1/24", "global", ["permanent"], None)],
}


@pytest.mark.parametrize(
    ("python", "pyroute2"),
    [(PYTHON, False), (PYTHON, True), (OLD_PYTHON, False), (OLD_PYTHON, True)],
    ids=["iproute2", "pyroute2", "iproute2-python3.9", "pyroute2-python3.9"],
)
def test_every_kind_is_read_as_it_was_built(
    python: str, pyroute2: bool, read: Read, zoo: Any
) -> None:
    result = read(python=python, pyroute2=pyroute2)
    assert result["backend"] == ("pyroute2" if pyroute2 else "iproute2")
    facts = result["ansible_facts"]
    nics = {nic["name"]: nic for nic in facts["k8snet_nics"]}
    for name, expected in EXPECTED.items():
        seen = {key: nics[name][key] for key in expected}
        if expected.get("tunnel"):
            expected = {**expected, "tunnel": dict(zip(TUNNEL, expected["tunnel"]))}
        assert seen == expected, name
    node = next(node for node in zoo.status()["nodes"] if node["name"] == NODE)
    for plugged in node["nics"]:
        nic = nics[plugged["name"]]
        assert (nic["mac"], nic["permanent_mac"]) == (plugged["mac"], plugged["mac"])
    indexes = [nic["ifindex"] for nic in facts["k8snet_nics"]]
    assert indexes == sorted(indexes), "modern kernels list by index"
    counts = facts["k8snet_nic_counts"]
    assert counts == {"total": len(indexes), "listed": len(indexes), "unlisted": {}}
    _check_addresses(nics)
    _check_routes(facts)


def _check_addresses(nics: dict[str, Any]) -> None:
    for name, expected in ADDRESSES.items():
        seen = [
            (f"{a['address']}/{a['prefix']}", a["scope"], a["flags"], a["label"])
            for a in nics[name]["addresses"]
            if not a["address"].startswith("fe80")
        ]
        assert seen == expected, name
    many = nics["z200"]["addresses"]
    assert len(many) == 200
    assert [a["address"] for a in many[:150]] == [f"10.98.{n % 7}.{n}" for n in range(1, 151)]
    assert nics["kube-ipvs0"]["addresses"] == [
        "10.96.0.10/32",
        "10.96.0.1/32",
        "2001:db8:96::1/128",
    ]
    flags = {a["address"]: a["flags"] for a in nics["zv6"]["addresses"]}
    assert flags["2001:db8:77::5"] == ["nodad", "permanent", "mngtmpaddr"]
    assert flags["2001:db8:77::6"] == ["nodad", "deprecated", "permanent"]
    assert flags["10.97.8.1"] == ["deprecated", "permanent"]
    temporary = [a for a in nics["zv6"]["addresses"] if "temporary" in a["flags"]]
    assert [a["address"].startswith("2001:db8:77:0:") for a in temporary] == [True]
    assert "permanent" not in temporary[0]["flags"]


def _check_routes(facts: dict[str, Any]) -> None:
    routes = facts["k8snet_default_routes"]
    assert [(r["gateway"], r["interface"], r["metric"], r["source"]) for r in routes["inet"]] == [
        ("10.160.1.1", "eth0", 0, None),
        ("10.97.0.254", "zd0", 5000, "10.97.0.2"),
        ("10.97.0.253", "zd0", 6000, None),
        ("10.97.0.252", "zd0", 6000, None),
        ("fe80::97", "zd0", 7000, None),
    ]
    assert [(r["gateway"], r["metric"]) for r in routes["inet6"]] == [
        ("2001:db8:97::fe", 5000),
        ("2001:db8:97::fd", 6000),
        ("2001:db8:97::fc", 6000),
    ]
    reach = facts["k8snet_reach"]
    assert {name: (entry["source"], entry["interface"]) for name, entry in reach.items()} == {
        "10.97.0.9": ("10.97.0.1", "zd0"),
        "203.0.113.1": (None, None),
        "203.0.113.2": (None, None),
        "203.0.113.3": (None, None),
        "2001:db8:113::3": (None, None),
        "2001:db8:97::9": ("2001:db8:97::1", "zd0"),
        "10.160.1.21": ("10.160.1.21", "lo"),
        "localhost": ("127.0.0.1", "lo"),
        "nosuch.invalid": (None, None),
    }
    assert reach["203.0.113.2"]["error"] == "Permission denied"
    assert reach["2001:db8:113::3"]["error"] == "No route to host"
    assert reach["nosuch.invalid"]["error"].startswith("name resolution")


def test_back_ends_and_pythons_give_identical_results(read: Read) -> None:
    seen = set()
    for python in (PYTHON, OLD_PYTHON):
        for pyroute2 in (False, True):
            facts = read(python=python, pyroute2=pyroute2)["ansible_facts"]
            # Which of two dead servers answers last is not the back end's doing.
            facts["k8snet_reach"].pop("nosuch.invalid")
            seen.add(json.dumps(facts))
    assert len(seen) == 1


def test_pods_are_counted_unless_they_carry_an_address(read: Read) -> None:
    facts = read(pods=False)["ansible_facts"]
    names = {nic["name"] for nic in facts["k8snet_nics"]}
    # A cluster that another test has set on this lab has a pod of its own here.
    everything = read(pods=True)["ansible_facts"]["k8snet_nics"]
    others = sum(nic["name"] == DEVICE for nic in everything)
    assert facts["k8snet_nic_counts"]["unlisted"] == {"veth": 5 + others}
    assert names.isdisjoint({"zveth", "zva", "zvb", "cali0123456789a", "lxc0123456789"})
    assert "zptp" in names


def test_reading_changes_nothing_on_the_node(read: Read, zoo: Any) -> None:
    look = (
        "{ lsmod | sort; ip -d link; ip address | grep -v valid_lft; ip route show table all; }"
        " | cat -v"
    )
    before = zoo.ssh(NODE, look).stdout
    read(pyroute2=False)
    read(pyroute2=True)
    assert zoo.ssh(NODE, look).stdout == before


@pytest.mark.parametrize("backend", ["iproute2", "pyroute2"])
def test_an_interface_that_comes_and_goes_leaves_no_half_entries(
    backend: str, zoo: Any, read: Read
) -> None:
    zoo.ssh(NODE, f"sudo systemd-run --quiet --unit=zoo-flap bash {REMOTE}/zoo.sh flap")
    try:
        done = zoo.ssh(NODE, f"sudo python3 {REMOTE}/hammer.py {backend} 40", timeout=300)
        through_ansible = read(pyroute2=backend == "pyroute2")
    finally:
        zoo.ssh(NODE, "sudo systemctl stop zoo-flap; sudo ip link del flap", check=False)
    told = json.loads(done.stdout)
    assert told["keys"] == 1, "every entry has the same keys"
    assert told["seen"] == [40], "the interfaces that stay look the same every time"
    # Proof that the test bites: it was there in some reads and gone in others.
    assert 0 < told["flapping"] < 40
    names = {nic["name"] for nic in through_ansible["ansible_facts"]["k8snet_nics"]}
    assert set(EXPECTED) <= names


def test_importing_pyroute2_leaves_no_compiled_files(read: Read, zoo: Any) -> None:
    zoo.ssh(NODE, f"sudo find {REMOTE}/pyroute2 -name __pycache__ -prune -exec rm -r {{}} +")
    assert read(pyroute2=True)["backend"] == "pyroute2"
    assert zoo.ssh(NODE, f"find {REMOTE}/pyroute2 -name '*.pyc'").stdout == ""
