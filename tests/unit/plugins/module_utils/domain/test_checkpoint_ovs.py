# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a restore does to a database of Open vSwitch that is small enough to be looked through."""

from __future__ import annotations

import copy
import itertools

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _checkpoint as domain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _checkpoint_ovs as ovs
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.checkpoint_world import link

SOCKET = "/run/db.sock"
TABLES = ("Open_vSwitch", "Bridge", "Port", "Interface")
POD = {"antrea-type": "container"}


def mapped(values):
    return ["map", [[k, v] for k, v in values.items()]]


class Database:
    """Tables by uuid, and the operations of RFC 7047, 5.2 that a restore uses."""

    def __init__(self):
        self.ids = map(str, itertools.count(1))
        self.rows = {table: {} for table in TABLES}
        self.root = self.insert("Open_vSwitch", {"other_config": {}, "bridges": [], "next_cfg": 0})

    def insert(self, table, row):
        uuid = next(self.ids)
        self.rows[table][uuid] = dict(row)
        return uuid

    def named(self, table, name):
        return next(u for u, row in self.rows[table].items() if row["name"] == name)

    def add_bridge(self, name, **columns):
        row = {"name": name, "ports": [], "other_config": {}, "external_ids": {}}
        row.update({"fail_mode": [], **columns})
        bridge = self.insert("Bridge", row)
        self.rows["Open_vSwitch"][self.root]["bridges"].append(bridge)
        self.add_port(name, name, "internal")

    def add_port(self, bridge, name, kind="", **ids):
        interface = self.insert("Interface", {"name": name, "type": kind, "external_ids": {}})
        row = {"name": name, "interfaces": [interface], "external_ids": ids, "tag": []}
        port = self.insert("Port", row)
        self.rows["Bridge"][self.named("Bridge", bridge)]["ports"].append(port)

    def del_port(self, bridge, name):
        ports = self.rows["Bridge"][self.named("Bridge", bridge)]["ports"]
        ports.remove(self.named("Port", name))
        self.collect()

    def del_bridge(self, name):
        self.rows["Open_vSwitch"][self.root]["bridges"].remove(self.named("Bridge", name))
        self.collect()

    def collect(self):
        """Rows that nobody refers to go, as in a real database."""
        ties = (("Open_vSwitch", "bridges", "Bridge"), ("Bridge", "ports", "Port"))
        for parent, column, child in (*ties, ("Port", "interfaces", "Interface")):
            used = {u for row in self.rows[parent].values() for u in row[column]}
            self.rows[child] = {u: r for u, r in self.rows[child].items() if u in used}

    def selected(self):
        """The rows as a select tells them."""
        told = []
        for table in TABLES:
            told.append([])
            for uuid, row in self.rows[table].items():
                entry = {"_uuid": ["uuid", uuid]}
                for key, value in row.items():
                    if isinstance(value, dict):
                        value = mapped(value)
                    elif isinstance(value, list):
                        value = ["set", [["uuid", u] for u in value]]
                    entry[key] = value
                told[-1].append(entry)
        return told

    def transact(self, operations):
        fresh = {op["uuid-name"]: next(self.ids) for op in operations if op["op"] == "insert"}

        def plain(value):
            if not isinstance(value, list):
                return value
            kind, inner = value
            if kind == "map":
                return dict(inner)
            if kind == "set":
                return [plain(v) for v in inner]
            return fresh[inner] if kind == "named-uuid" else inner

        for op in operations:
            if op["op"] == "insert":
                row = {k: plain(v) for k, v in op["row"].items()}
                self.rows[op["table"]][fresh[op["uuid-name"]]] = row
                continue
            row = self.rows[op["table"]][op["where"][0][2][1]]
            if op["op"] == "update":
                row.update({k: plain(v) for k, v in op["row"].items()})
            for column, how, value in op.get("mutations", ()):
                self.mutate(row, column, how, plain(value))
        self.collect()

    @staticmethod
    def mutate(row, column, how, value):
        if how == "+=":
            row[column] += value
        elif isinstance(row[column], dict):
            for key in value:
                row[column].pop(key, None) if how == "delete" else row[column].setdefault(
                    key, value[key]
                )
        elif how == "delete":
            assert set(value) <= set(row[column])
            row[column] = [u for u in row[column] if u not in value]
        else:
            row[column] = row[column] + value


def antrea(nic_in_bridge=False):
    database = Database()
    database.add_bridge("br-int", fail_mode="secure", external_ids={"roundNum": "3"})
    database.add_port("br-int", "antrea-gw0", "internal")
    database.add_port("br-int", "web-1", "", **POD)
    if nic_in_bridge:
        database.add_bridge("br-nic", datapath_type="system")
        database.add_port("br-nic", "eth0~")
        database.add_port("br-nic", "eth0", "internal")
        database.add_port("br-nic", "web-2", "", **POD)
    return database


def state(database, *links):
    read = ovs.read(database.selected(), SOCKET)
    base = {"addresses": {}, "routes": [], "rules": []}
    dns = {"target": None, "content": None, "links": {}}
    return {**base, "boot_id": "a", "links": list(links), "dns": dns, "ovs": read}


def saved_of(now):
    return copy.deepcopy(domain.scope(now, None, with_ovs=True, with_dns=False))


def operations(saved, now):
    found = [a for a in domain.restore_plan(saved, now).actions if a.op == "ovsdb"]
    assert len(found) <= 1
    return found[0].data if found else []


NIC = link("eth0", 2)


def shape(read):
    """Bridges without pods' ports and without what agents write into rows that stand."""
    told = {}
    for name, bridge in read["bridges"].items():
        ports = {n: p for n, p in bridge["ports"].items() if not ovs._pods(p)}
        told[name] = repr((ovs._settings(bridge["columns"]), sorted(ports.items())))
    other = {k: v for k, v in read["other_config"].items() if k != "flow-restore-wait"}
    return told, other


def change_port(database):
    database.rows["Port"][database.named("Port", "eth0~")]["tag"] = 7


CHANGES = [
    lambda db: (db.add_bridge("br-secondary"), db.add_port("br-secondary", "eth0")),
    lambda db: db.del_port("br-nic", "eth0~"),
    lambda db: db.add_port("br-nic", "strange", "internal"),
    lambda db: db.del_bridge("br-nic"),
    change_port,
    lambda db: db.rows["Bridge"][db.named("Bridge", "br-nic")].update(fail_mode="standalone"),
    lambda db: db.rows["Open_vSwitch"][db.root]["other_config"].update({"hw-offload": "true"}),
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(CHANGES), max_size=4, unique=True), st.booleans())
def test_the_database_is_as_it_was_after_one_transaction(changes, nic_in_bridge):
    database = antrea(nic_in_bridge)
    saved = saved_of(state(database, NIC))
    for change in changes:
        try:
            change(database)
        except StopIteration:
            continue  # There is no such row in this state.
    todo = operations(saved, state(database, NIC))
    assert bool(todo) == (shape(ovs.read(database.selected(), SOCKET)) != shape(saved["ovs"]))
    database.transact(todo)
    assert shape(ovs.read(database.selected(), SOCKET)) == shape(saved["ovs"])
    assert operations(saved, state(database, NIC)) == []


def test_bridges_of_pods_are_left_alone():
    database = antrea()
    saved = saved_of(state(database, NIC))
    database.add_port("br-int", "strange", "internal")
    database.add_bridge("br-pods")
    database.rows["Bridge"][database.named("Bridge", "br-int")]["external_ids"] = {"roundNum": "9"}
    assert operations(saved, state(database, NIC)) == []


def test_ports_of_pods_on_the_nics_bridge_stay():
    database = antrea(nic_in_bridge=True)
    saved = saved_of(state(database, NIC))
    database.add_port("br-nic", "web-3", "", **POD)
    database.del_port("br-nic", "web-2")
    assert operations(saved, state(database, NIC)) == []


@pytest.mark.parametrize(
    ("before", "carries", "cleared"),
    [({}, True, True), ({}, False, False), ({"flow-restore-wait": "true"}, True, False)],
)
def test_the_flag_goes_only_where_the_node_hangs_on_a_bridge(before, carries, cleared):
    database = antrea(nic_in_bridge=carries)
    config = database.rows["Open_vSwitch"][database.root]["other_config"]
    config.update(before)
    saved = saved_of(state(database, NIC))
    config["flow-restore-wait"] = "true"
    database.transact(operations(saved, state(database, NIC)))
    assert ("flow-restore-wait" not in config) == cleared


def test_a_flag_that_was_set_is_never_set_again():
    database = antrea(nic_in_bridge=True)
    config = database.rows["Open_vSwitch"][database.root]["other_config"]
    config["flow-restore-wait"] = "true"
    saved = saved_of(state(database, NIC))
    del config["flow-restore-wait"]
    assert operations(saved, state(database, NIC)) == []


def test_vswitchd_is_asked_to_say_when_it_has_acted():
    database = antrea()
    saved = saved_of(state(database, NIC))
    database.add_bridge("br-x")
    database.add_port("br-x", "eth0~")
    last = operations(saved, state(database, NIC))[-1]
    assert last["mutations"] == [["next_cfg", "+=", 1]]


def test_a_database_that_does_not_answer_is_said():
    database = antrea(nic_in_bridge=True)
    now = state(database, NIC)
    saved = saved_of(now)
    todo = domain.restore_plan(saved, {**now, "ovs": None})
    assert todo.actions == []
    assert f"the Open vSwitch database at {SOCKET} does not answer" in todo.cannot[0]


def test_an_empty_database_is_none():
    assert ovs.read([[], [], [], []], SOCKET) is None
