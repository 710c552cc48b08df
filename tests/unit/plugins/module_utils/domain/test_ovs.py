# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What rows of an Open vSwitch database come to."""

from __future__ import annotations

import json

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _ovs
from hypothesis import given
from hypothesis import strategies as st


def as_map(values):
    return ["map", [[k, v] for k, v in values.items()]]


class Database:
    """Rows as OVSDB sends them."""

    def __init__(self, **other_config):
        self.root = {
            "ovs_version": "3.3.0",
            "db_version": ["set", []],
            "other_config": as_map(other_config),
            "cur_cfg": 4,
            "next_cfg": 5,
        }
        self.bridges, self.ports, self.interfaces = [], [], []

    def bridge(self, name, **columns):
        row = {
            "name": name,
            "datapath_type": "",
            "fail_mode": ["set", []],
            "external_ids": as_map({}),
            "ports": ["set", []],
        }
        row.update(columns)
        self.bridges.append(row)
        return self.port(name, "internal")

    def port(self, name, kind="", mac=None, members=None, **marks):
        ids = []
        for member in members or [name]:
            ids.append(["uuid", f"i-{member}"])
            self.interfaces.append(
                {
                    "_uuid": ids[-1],
                    "name": member,
                    "type": kind,
                    "mac_in_use": mac or ["set", []],
                }
            )
        port = ["uuid", f"p-{name}"]
        marks = {k.replace("_", "-"): v for k, v in marks.items()}
        interfaces = ids[0] if len(ids) == 1 else ["set", ids]
        self.ports.append(
            {"_uuid": port, "name": name, "interfaces": interfaces, "external_ids": as_map(marks)}
        )
        # A set of one element travels without its brackets.
        members_now = [*_ovs.decode_uuids(self.bridges[-1]["ports"]), port[1]]
        refs = [["uuid", u] for u in members_now]
        self.bridges[-1]["ports"] = refs[0] if len(refs) == 1 else ["set", refs]
        return self

    def summary(self, links=(), addresses=()):
        tables = [[self.root], self.bridges, self.ports, self.interfaces]
        return _ovs.summarise(tables, dict(links), dict(addresses))


def test_antreas_bridge_with_its_pods_counted():
    db = Database()
    db.bridge("br-int", fail_mode="secure", external_ids=as_map({"roundNum": "7"}))
    db.port("antrea-gw0", "internal", antrea_type="gateway")
    db.port("antrea-tun0", "geneve", antrea_type="tunnel")
    db.port("patch0", "patch")
    db.port("web-1-a1b2c3", "", antrea_type="container")
    db.port("old-4-d4e5f6", "", container_id="abc", pod_name="old")
    db.port("strange")
    assert db.summary()["bridges"] == [
        {
            "name": "br-int",
            "datapath_type": "system",
            "fail_mode": "secure",
            "external_ids": {"roundNum": "7"},
            "ports": 7,
            "port_kinds": {
                "internal": 2,
                "uplink": 0,
                "tunnel": 1,
                "patch": 1,
                "pod": 2,
                "other": 1,
            },
            "uplinks": [],
            "internal_ports": ["antrea-gw0", "br-int"],
        }
    ]


def moved(links=(("eth0~", "physical"),), addresses=(("eth0", ["10.0.0.5/24"]),)):
    db = Database()
    db.bridge("br-ext")
    db.port("eth0~", mac="52:54:00:00:00:01", antrea_type="uplink")
    db.port("eth0", "internal", mac="52:54:00:00:00:01", antrea_type="host")
    return db.summary(links, addresses)["enslaved"]


def test_a_nic_that_antrea_moved_is_told_with_its_heir():
    entry = {"nic": "eth0~", "bridge": "br-ext", "internal_port": "eth0", "addresses_on": "eth0"}
    assert moved() == [{**entry, "by_antrea": True}]


def test_addresses_that_are_nowhere_are_not_invented():
    assert moved(addresses=())[0]["addresses_on"] is None


def test_addresses_still_on_the_nic_are_told():
    found = moved(addresses=(("eth0~", ["10.0.0.5/24"]),))
    assert found[0]["addresses_on"] == "eth0~"


def test_a_renamed_nic_without_its_twin_has_no_heir():
    db = Database()
    db.bridge("br-ext", external_ids=as_map({}))
    db.port("eth0~", mac="52:54:00:00:00:01")
    (found,) = db.summary({"eth0~": "physical"}, {})["enslaved"]
    assert (found["internal_port"], found["addresses_on"]) == (None, None)


def test_antreas_naming_comes_before_the_mac():
    db = Database()
    db.bridge("br-ext")
    db.port("eth0~", mac="52:54:00:00:00:01")
    db.port("twin", "internal", mac="52:54:00:00:00:01")
    (found,) = db.summary({"eth0~": "physical"}, {})["enslaved"]
    assert found["internal_port"] is None
    db.port("eth0", "internal", mac="52:54:00:00:00:02")
    (found,) = db.summary({"eth0~": "physical"}, {})["enslaved"]
    assert found["internal_port"] == "eth0"


def test_a_nic_renamed_for_a_bridge_but_in_none_is_told():
    db = Database()
    db.bridge("br-ext")
    links = {"eth1~": "physical", "veth~": "other", "eth0": "physical"}
    entry = {"nic": "eth1~", "bridge": None, "internal_port": None, "addresses_on": None}
    assert db.summary(links, {})["enslaved"] == [{**entry, "by_antrea": False}]


@pytest.mark.parametrize("kind", ["physical", "bond", "vlan", "team"])
def test_a_plain_uplink_hands_its_address_to_the_bridges_own_port_by_mac(kind):
    db = Database()
    db.bridge("br-ex")
    db.interfaces[0]["mac_in_use"] = "52:54:00:00:00:02"
    db.port("ens4", mac="52:54:00:00:00:02")
    db.port("aaa", "internal", mac="52:54:00:00:00:02")
    found = db.summary({"ens4": kind}, {"br-ex": ["10.0.0.6/24"]})
    entry = {"nic": "ens4", "bridge": "br-ex", "internal_port": "br-ex", "addresses_on": "br-ex"}
    assert found["enslaved"] == [{**entry, "by_antrea": False}]


def test_without_a_twin_the_only_internal_port_with_an_address_carries_it():
    db = Database()
    db.bridge("br-ex").port("ens4", mac="52:54:00:00:00:02").port("mgmt", "internal")
    addresses = {"mgmt": ["10.0.0.7/24"]}
    (found,) = db.summary({"ens4": "physical"}, addresses)["enslaved"]
    assert (found["internal_port"], found["addresses_on"]) == (None, "mgmt")
    addresses["br-ex"] = ["10.0.0.8/24"]
    (found,) = db.summary({"ens4": "physical"}, addresses)["enslaved"]
    assert found["addresses_on"] is None


def test_the_members_of_an_ovs_bond_are_each_an_uplink():
    db = Database()
    db.bridge("br-ex").port("bond0", members=["ens4", "ens5"])
    found = db.summary({"ens4": "physical", "ens5": "physical"}, {})
    assert found["bridges"][0]["uplinks"] == ["ens4", "ens5"]
    assert found["bridges"][0]["ports"] == 2
    assert [e["nic"] for e in found["enslaved"]] == ["ens4", "ens5"]


def test_a_veth_or_a_tap_is_no_uplink():
    db = Database()
    db.bridge("br0").port("tap1").port("veth1")
    found = db.summary({"tap1": "other", "veth1": "other"}, {})
    assert found["bridges"][0]["uplinks"] == []
    assert found["enslaved"] == []


@pytest.mark.parametrize(
    ("value", "held"),
    [("true", True), ("TRUE", True), ("True", True), ("false", False), ("1", False), ("", False)],
)
def test_flow_restore_wait_is_read_as_vswitchd_reads_it(value, held):
    assert Database(**{"flow-restore-wait": value}).summary()["flow_restore_wait"] is held


def test_without_the_key_nothing_is_held_back():
    found = Database(other="x").summary()
    assert found["flow_restore_wait"] is False
    assert (found["cur_cfg"], found["next_cfg"]) == (4, 5)
    assert (found["version"], found["db_version"]) == ("3.3.0", None)


def test_an_empty_database_says_so():
    with pytest.raises(ValueError, match="Open_vSwitch is empty"):
        _ovs.summarise([[], [], [], []], {}, {})


def test_2000_pods_and_2000_internal_ports_stay_small():
    db = Database()
    db.bridge("br-int")
    ids = as_map({f"key{n}": "v" * 5000 for n in range(500)})
    db.bridges[0]["external_ids"] = ids
    refs, ports, interfaces = [], [], []
    for number in range(4000):
        kind = "" if number % 2 else "internal"
        interface = ["uuid", f"i{number}"]
        name = f"port{number:04}"
        interfaces.append({"_uuid": interface, "name": name, "type": kind, "mac_in_use": "m"})
        marks = as_map({"antrea-type": "container"})
        port = {"_uuid": ["uuid", f"p{number}"], "interfaces": interface, "external_ids": marks}
        ports.append(port)
        refs.append(port["_uuid"])
    db.bridges[0]["ports"] = ["set", refs]
    db.ports, db.interfaces = ports, interfaces
    found = db.summary({}, {"port3998": ["10.0.0.9/24"]})
    bridge = found["bridges"][0]
    assert bridge["ports"] == 4000
    assert bridge["port_kinds"]["pod"] == 2000
    assert bridge["port_kinds"]["internal"] == 2000
    assert len(bridge["internal_ports"]) == 32
    assert "port3998" in bridge["internal_ports"]
    assert len(json.dumps(found)) < 12000


def test_the_order_of_rows_changes_nothing():
    def build(reverse):
        db = Database()
        db.bridge("a").port("z").port("y", "internal")
        db.bridge("b").port("x").port("w", "internal")
        if reverse:
            for rows in (db.bridges, db.ports, db.interfaces):
                rows.reverse()
        return db.summary({"x": "physical", "z": "physical"})

    assert build(False) == build(True)


CELL = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda v: (
        st.lists(v, max_size=3)
        | st.tuples(st.sampled_from(["set", "map", "uuid"]), v).map(list)
        | st.dictionaries(st.text(max_size=3), v, max_size=2)
    ),
    max_leaves=6,
)


def rows(index):
    columns = _ovs.SELECTS[index][1]
    return st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(columns, CELL)), max_size=3)


@given(st.tuples(rows(0), rows(1), rows(2), rows(3)))
def test_rows_of_any_shape_never_break_it(tables):
    try:
        found = _ovs.summarise(list(tables), {}, {})
    except ValueError:
        assert not tables[0]
    else:
        json.dumps(found)
        assert set(found) < set(_ovs.nothing())
