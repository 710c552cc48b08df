# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The what-if table says what each method gives on each node, and which is right everywhere."""

from __future__ import annotations

import time

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain._autodetection import InputError
from ansible_collections.k8snet.cni.plugins.module_utils.domain._whatif import whatif
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# A busy machine is no failure of ours.
PROPERTY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def host(internal_ips, reach=None, **nics):
    """A node whose interfaces are keyword arguments; ``_`` in a name stands for a point."""
    listed = [{"name": n.replace("_", "."), "addresses": a.split()} for n, a in nics.items()]
    return {"nics": listed, "internal_ips": internal_ips.split(), "reach": reach}


def hosts(extra="node2"):
    """Three nodes, one of which got a second NIC."""
    found = {}
    for i in (1, 2, 3):
        nics = {"lo": "127.0.0.1/8", "eth0": f"10.0.0.{i}/24 2001:db8::{i}/64"}
        if extra == f"node{i}":
            nics["eth1"] = f"192.168.56.{i}/24"
        found[f"node{i}"] = host(f"10.0.0.{i} 2001:db8::{i}", {"10.0.0.254": f"10.0.0.{i}"}, **nics)
    return found


def columns(said):
    return {column["method"]: column for column in said["methods"]}


def test_the_hot_plugged_nic_shows_under_first_found_and_the_right_methods_are_named():
    said = whatif(hosts(), ["first-found", "kubernetes-internal-ip", "interface=^eth0$"])
    assert said["family"] == 4
    assert said["good"] == ["kubernetes-internal-ip", "interface=^eth0$"]
    first = columns(said)["first-found"]
    assert first == {
        "method": "first-found",
        "good": False,
        "right": ["node1", "node3"],
        "wrong": ["node2"],
        "none": [],
        "unknown": [],
        "duplicates": [],
    }
    node2 = said["nodes"]["node2"]
    assert node2["internal_ip"] == "10.0.0.2"
    assert node2["results"]["first-found"]["address"] == "192.168.56.2/24"
    assert node2["results"]["first-found"]["right"] is False
    assert node2["results"]["interface=^eth0$"]["right"] is True
    assert "reverse kernel order" in node2["results"]["first-found"]["reason"]


def test_methods_are_derived_from_the_nodes_when_none_are_given():
    said = whatif(hosts(), current="can-reach=8.8.8.8")
    assert list(columns(said)) == [
        "can-reach=8.8.8.8",
        "first-found",
        "kubernetes-internal-ip",
        "can-reach=10.0.0.254",
        "cidr=10.0.0.0/24",
        "interface=^eth0$",
        "skip-interface=^eth1$",
    ]
    assert said["good"] == list(columns(said))[2:]
    assert columns(said)["can-reach=8.8.8.8"]["unknown"] == ["node1", "node2", "node3"]


def test_the_method_in_force_is_not_tried_twice():
    said = whatif(hosts(), current="first-found")
    assert [c["method"] for c in said["methods"]].count("first-found") == 1
    assert said["methods"][0]["method"] == "first-found"
    assert list(columns(whatif(hosts(), ["", None, "first-found"]))) == ["", "first-found"]


def test_derived_methods_are_of_the_family_asked_for():
    said = whatif(hosts(), family=6)
    assert "cidr=2001:db8::/64" in said["good"]
    assert all("10.0.0.0" not in method for method in columns(said))
    assert said["nodes"]["node1"]["internal_ip"] == "2001:db8::1"


def test_neighbouring_and_nested_networks_are_joined_into_the_fewest():
    said = whatif(
        {
            "a": host("10.0.0.1", eth0="10.0.0.1/24"),
            "b": host("10.0.1.1", eth0="10.0.1.1/24"),
            "c": host("10.0.1.130", eth0="10.0.1.130/25"),
            "d": host("10.9.0.1", eth0="10.9.0.1/16"),
        }
    )
    assert "cidr=10.0.0.0/23,10.9.0.0/16" in said["good"]


def test_no_interface_method_is_derived_when_the_names_differ():
    said = whatif(
        {"a": host("10.0.0.1", eth0="10.0.0.1/24"), "b": host("10.0.0.2", ens3="10.0.0.2/24")}
    )
    assert not [m for m in columns(said) if m.startswith(("interface=", "skip-interface="))]


def test_an_interface_name_is_taken_literally():
    said = whatif(
        {"a": host("10.0.0.1", eth0="10.9.0.1/24", eth0_7="10.0.0.1/24", ethx7="10.8.0.1/24")}
    )
    assert "interface=^eth0\\.7$" in said["good"]
    assert "skip-interface=^ethx7$" in said["good"]


def test_no_method_is_derived_from_a_name_with_a_comma_which_calico_would_split():
    said = whatif({"a": host("10.0.0.1", **{"a,b": "10.0.0.1/24", "c,d": "10.1.0.1/24"})})
    assert not [m for m in columns(said) if m.startswith(("interface=", "skip-interface="))]


def test_a_nic_that_is_right_on_one_node_is_never_proposed_to_be_skipped():
    said = whatif(
        {
            "a": host("10.0.0.1", eth0="10.0.0.1/24", eth1="10.1.0.1/24"),
            "b": host("10.0.0.2", eth0="10.1.0.2/24", eth1="10.0.0.2/24"),
        }
    )
    assert not [m for m in columns(said) if m.startswith("skip-interface=")]
    assert "cidr=10.0.0.0/24" in said["good"]


def test_what_is_skipped_by_default_is_no_offender():
    said = whatif({"a": host("10.0.0.1", eth0="10.0.0.1/24", docker0="172.17.0.1/16")})
    assert not [m for m in columns(said) if m.startswith("skip-interface=")]
    old = whatif({"a": host("10.0.0.1", eth0="10.0.0.1/24", podman0="10.88.0.1/16")})
    assert not [m for m in columns(old) if m.startswith("skip-interface=")]
    old = whatif(
        {"a": host("10.0.0.1", eth0="10.0.0.1/24", podman0="10.88.0.1/16")},
        calico_version="v3.24.5",
    )
    assert "skip-interface=^podman0$" in old["good"]


def test_an_address_that_two_nodes_would_get_is_told():
    nodes = hosts(extra=None)
    for name in ("node1", "node3"):
        nodes[name]["nics"].append({"name": "vip0", "addresses": ["10.0.0.100/32"]})
    first = columns(whatif(nodes, ["first-found"]))["first-found"]
    assert first["duplicates"] == [{"address": "10.0.0.100", "nodes": ["node1", "node3"]}]
    assert first["wrong"] == ["node1", "node3"]


def test_a_node_without_an_address_is_not_counted_as_wrong():
    column = columns(whatif(hosts(), ["interface=^eth1$"]))["interface=^eth1$"]
    assert (column["wrong"], column["none"]) == (["node2"], ["node1", "node3"])
    assert columns(whatif(hosts(), ["what"]))["what"]["none"] == ["node1", "node2", "node3"]


def test_a_node_that_was_not_visited_is_unknown_and_spoils_good():
    nodes = {**hosts(extra=None), "node4": {"nics": None, "internal_ips": ["10.0.0.4"]}}
    said = whatif(nodes)
    assert said["good"] == []
    assert columns(said)["first-found"]["unknown"] == ["node4"]
    result = said["nodes"]["node4"]["results"]["first-found"]
    assert (result["outcome"], result["right"]) == ("unknown", None)
    assert "node4 are not known. Gather them" in result["error"]


def test_without_an_internal_ip_nothing_can_be_called_right():
    said = whatif({"a": host("", eth0="10.0.0.1/24")})
    assert said["good"] == []
    assert columns(said)["first-found"]["unknown"] == ["a"]
    assert said["nodes"]["a"]["results"]["first-found"]["address"] == "10.0.0.1/24"


def test_no_node_at_all_makes_no_method_good():
    assert whatif({})["good"] == []
    assert whatif({}, [])["methods"] == []


@pytest.mark.parametrize(
    ("nodes", "methods", "says"),
    [
        ([], None, "hosts: expected a dictionary by node name, got list"),
        ({"a": []}, None, r"hosts\['a'\]: expected a dictionary, got list"),
        ({"a": {"nics": 7}}, None, r"hosts\['a'\]: nics: expected a list"),
        ({"a": {"nics": [], "internal_ips": "x"}}, None, r"hosts\['a'\]: internal_ips"),
        ({"a": {"nics": [], "reach": 7}}, None, r"hosts\['a'\]: reach"),
        ({}, "first-found", "methods: expected a list"),
        ({}, [7], "method: expected a string"),
    ],
)
def test_input_of_the_wrong_shape_says_where(nodes, methods, says):
    with pytest.raises(InputError, match=says):
        whatif(nodes, methods)


NAMES = st.sampled_from(["eth0", "eth1", "ens3", "bond0.7", "docker0", "a,b", "x{1,2}"])
IPS = st.integers(1, 250).map(lambda i: f"10.{i % 3}.0.{i}/24")
NODE = st.lists(st.tuples(NAMES, st.lists(IPS, max_size=2)), max_size=4, unique_by=lambda t: t[0])


@PROPERTY
@given(st.lists(NODE, min_size=1, max_size=4), st.data())
def test_a_method_called_good_gives_every_node_its_internal_ip(nodes, data):
    facts = {}
    for i, nics in enumerate(nodes):
        addresses = [a.split("/")[0] for _name, listed in nics for a in listed]
        ip = data.draw(st.sampled_from(addresses)) if addresses else "10.0.0.251"
        listed = [{"name": name, "addresses": listed} for name, listed in nics]
        facts[f"n{i}"] = {"nics": listed, "internal_ips": [ip]}
    said = whatif(facts)
    for method in said["good"]:
        for row in said["nodes"].values():
            address = row["results"][method]["address"]
            assert address.split("/")[0] == row["internal_ip"]
    on_hosts = all(
        row["results"]["kubernetes-internal-ip"]["address"] for row in said["nodes"].values()
    )
    assert ("kubernetes-internal-ip" in said["good"]) == on_hosts


def test_a_thousand_nodes_take_seconds():
    nodes = {
        f"n{i}": host(
            f"10.{i // 250}.0.{i % 250}", eth0=f"10.{i // 250}.0.{i % 250}/16", eth1="9.9.9.9/8"
        )
        for i in range(1000)
    }
    began = time.process_time()
    assert "interface=^eth0$" in whatif(nodes)["good"]
    assert time.process_time() - began < 10
