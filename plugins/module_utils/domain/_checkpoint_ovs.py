# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a checkpoint keeps of Open vSwitch, and the one transaction that makes it so again.

``{socket, other_config, bridges: {name: {columns, ports: {name: {columns, interfaces: {name:
columns}}}}}, uuids: {root, bridges, ports}}``; columns hold values as OVSDB gives them (RFC 7047).

In scope is a bridge that has, or had, a NIC, bond or VLAN of the checkpoint, and on it every port
that is no pod's. Of the other bridges nothing is touched: their ports come and go with pods.
"""

from __future__ import annotations

from typing import Any

from .._plan import Step
from ._checkpoint_world import OVS_KIND, Action, Restore, State
from ._ovs import decode_map, decode_set, decode_uuids, flow_restore_wait

BRIDGE_COLUMNS = ("datapath_type", "fail_mode", "mcast_snooping_enable", "other_config")
PORT_COLUMNS = ("tag", "trunks", "vlan_mode", "bond_mode", "lacp", "other_config")
INTERFACE_COLUMNS = ("type", "options", "mac", "mtu_request", "ofport_request", "other_config")
#: Kept to make a row anew; an agent writes its own into rows that stand (Antrea: roundNum).
_MARKS = "external_ids"
_FLAG = "flow-restore-wait"
_UPLINKS = frozenset({"bond", "vlan", "team"})
_POD_MARKS = ("container-id", "pod-name", "ip-address")

SELECTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Open_vSwitch", ("_uuid", "other_config", "bridges")),
    ("Bridge", ("_uuid", "name", "ports", _MARKS, *BRIDGE_COLUMNS)),
    ("Port", ("_uuid", "name", "interfaces", _MARKS, *PORT_COLUMNS)),
    ("Interface", ("_uuid", "name", _MARKS, *INTERFACE_COLUMNS)),
)


def read(tables: list[list[dict[str, Any]]], socket: str) -> dict[str, Any] | None:
    """Return the shape above from the rows of `SELECTS`, or None of an empty database."""
    roots, bridges, ports, interfaces = tables
    if not roots:
        return None
    by_id = [
        {key: row for row in rows for key in decode_uuids(row.get("_uuid"))}
        for rows in (ports, interfaces)
    ]
    found: dict[str, Any] = {}
    uuids: dict[str, Any] = {"root": decode_uuids(roots[0].get("_uuid"))[0]}
    uuids.update(bridges={}, ports={})
    for row in sorted(bridges, key=lambda entry: str(entry.get("name"))):
        name = str(row.get("name"))
        uuids["bridges"][name] = decode_uuids(row.get("_uuid"))[0]
        found[name] = {"columns": _columns(row, BRIDGE_COLUMNS), "ports": {}}
        for key in decode_uuids(row.get("ports")):
            port = by_id[0].get(key)
            if port is not None:
                uuids["ports"][str(port["name"])] = key
                found[name]["ports"][str(port["name"])] = _port(port, by_id[1])
    other = decode_map(roots[0].get("other_config"))
    return {"socket": socket, "other_config": other, "bridges": found, "uuids": uuids}


def _port(row: dict[str, Any], interfaces: dict[str, dict[str, Any]]) -> dict[str, Any]:
    members = [interfaces[key] for key in decode_uuids(row.get("interfaces")) if key in interfaces]
    return {
        "columns": _columns(row, PORT_COLUMNS),
        "interfaces": {str(m["name"]): _columns(m, INTERFACE_COLUMNS) for m in members},
    }


def _columns(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The columns of a row that this schema has; a set or map in one order."""
    return {name: _ordered(row[name]) for name in (*names, _MARKS) if name in row}


def _ordered(value: Any) -> Any:
    if isinstance(value, list) and len(value) == 2 and value[0] in ("set", "map"):
        return [value[0], sorted(value[1], key=repr)]
    return value


def _settings(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in columns.items() if name != _MARKS}


def _pods(port: dict[str, Any]) -> bool:
    marks = decode_map(port["columns"].get(_MARKS))
    return marks.get("antrea-type") == "container" or any(mark in marks for mark in _POD_MARKS)


def uplinks(saved: State, now: State, found: dict[str, int]) -> set[str]:
    """Names under which the checkpoint's NICs, bonds and VLANs stand in the database."""
    hosts = [
        link["name"] for link in saved["links"] if link["physical"] or link["kind"] in _UPLINKS
    ]
    indexes = {found[name] for name in hosts if name in found}
    current = {link["name"] for link in now["links"] if link["ifindex"] in indexes}
    return {*hosts, *(f"{name}~" for name in hosts), *current}


def _scoped(ovs: dict[str, Any], hosts: set[str]) -> set[str]:
    return {
        name
        for name, bridge in ovs["bridges"].items()
        if any(hosts & set(port["interfaces"]) for port in bridge["ports"].values())
    }


def restore(saved: State, now: State, found: dict[str, int], todo: Restore) -> None:
    """Add the one transaction that makes what is in scope as it was, or say why there is none."""
    want, have = saved["ovs"], now["ovs"]
    if have is None:
        if want is not None:
            todo.cannot.append(
                f"the Open vSwitch database at {want['socket']} does not answer: what it holds is "
                "left as it is, and acts again when Open vSwitch is started"
            )
        return
    want = want or {**have, "bridges": {}, "other_config": have["other_config"]}
    hosts = uplinks(saved, now, found)
    scope = _scoped(have, hosts) | _scoped(want, hosts)
    operations = _Operations(have["uuids"])
    for name in sorted(scope & set(have["bridges"]) - set(want["bridges"])):
        operations.leave("Open_vSwitch", "bridges", have["uuids"]["root"], [name], "bridges")
        operations.say(f"bridge {name}: {', '.join(have['bridges'][name]['ports'])}", None)
    for name in sorted(scope & set(want["bridges"])):
        if name in have["bridges"]:
            _bridge(name, want["bridges"][name], have["bridges"][name], operations)
        else:
            operations.add_bridge(name, want["bridges"][name])
    _other_config(want, have, bool(_scoped(want, hosts)), operations)
    operations.finish(have["socket"], todo)


def drops(saved: State, now: State, found: dict[str, int]) -> set[str]:
    """Names of internal ports whose rows `restore` takes away: vswitchd removes their links."""
    have, want = now["ovs"], saved["ovs"] or {"bridges": {}}
    if have is None:
        return set()
    hosts = uplinks(saved, now, found)
    scope = _scoped(have, hosts) | _scoped(want, hosts)
    before, after = (
        {port for name in scope & set(side["bridges"]) for port in side["bridges"][name]["ports"]}
        for side in (have, want)
    )
    kinds = {link["name"] for link in now["links"] if link["kind"] == OVS_KIND}
    return (before - after) & kinds


def _bridge(name: str, want: dict[str, Any], have: dict[str, Any], operations: _Operations) -> None:
    uuid = operations.uuids["bridges"][name]
    operations.update("Bridge", uuid, f"bridge {name}", want["columns"], have["columns"])
    mine = {p for p, port in have["ports"].items() if not _pods(port)}
    wanted = {p for p, port in want["ports"].items() if not _pods(port)}
    changed = {p for p in mine & wanted if _differs(want["ports"][p], have["ports"][p])}
    gone = sorted((mine - wanted) | changed)
    if gone:
        operations.leave("Bridge", "ports", uuid, gone, "ports")
    for port in gone:
        operations.say(f"bridge {name}: port {port}", None)
    for port in sorted((wanted - mine) | changed):
        operations.add_port(name, port, want["ports"][port])


def _differs(want: dict[str, Any], have: dict[str, Any]) -> bool:
    """Whether a port has other settings or interfaces: it is made anew then."""
    interfaces = [
        {name: _settings(columns) for name, columns in side["interfaces"].items()}
        for side in (want, have)
    ]
    return _settings(want["columns"]) != _settings(have["columns"]) or (
        interfaces[0] != interfaces[1]
    )


def _other_config(
    want: dict[str, Any], have: dict[str, Any], carries: bool, operations: _Operations
) -> None:
    """Settings of the whole switch. The flag is vswitchd's own passing state: never set here, and
    taken away only where the node itself hangs on a bridge."""
    before = {k: v for k, v in have["other_config"].items() if k != _FLAG}
    after = {k: v for k, v in want["other_config"].items() if k != _FLAG}
    gone = sorted(key for key, value in before.items() if after.get(key) != value)
    stuck = flow_restore_wait(have["other_config"]) and not flow_restore_wait(want["other_config"])
    if carries and stuck:
        gone.append(_FLAG)
    new = sorted([key, value] for key, value in after.items() if before.get(key) != value)
    mutations: list[Any] = []
    if gone:
        mutations.append(["other_config", "delete", ["set", gone]])
    if new:
        mutations.append(["other_config", "insert", ["map", new]])
    if mutations:
        operations.mutate("Open_vSwitch", operations.uuids["root"], mutations)
        for key in gone:
            operations.say(f"other_config: {key}={have['other_config'][key]}", None)
        for key, value in new:
            operations.say(None, f"other_config: {key}={value}")


class _Operations:
    """Operations of one transaction, and the lines of its diff."""

    def __init__(self, uuids: dict[str, Any]) -> None:
        self.uuids = uuids
        self._operations: list[dict[str, Any]] = []
        self._before: list[str] = []
        self._after: list[str] = []

    def say(self, before: str | None, after: str | None) -> None:
        for line, lines in ((before, self._before), (after, self._after)):
            if line is not None:
                lines.append(line)

    def mutate(self, table: str, uuid: str, mutations: list[Any]) -> None:
        where = [["_uuid", "==", ["uuid", uuid]]]
        operation = {"op": "mutate", "table": table, "where": where, "mutations": mutations}
        self._operations.append(operation)

    def leave(self, table: str, column: str, uuid: str, names: list[str], kind: str) -> None:
        gone = [["uuid", self.uuids[kind][name]] for name in names]
        self.mutate(table, uuid, [[column, "delete", ["set", gone]]])

    def update(
        self, table: str, uuid: str, what: str, want: dict[str, Any], have: dict[str, Any]
    ) -> None:
        row = {k: v for k, v in _settings(want).items() if have.get(k) != v}
        if row:
            where = [["_uuid", "==", ["uuid", uuid]]]
            self._operations.append({"op": "update", "table": table, "where": where, "row": row})
            for key, value in row.items():
                self.say(f"{what}: {key} {_text(have.get(key))}", f"{what}: {key} {_text(value)}")

    def add_bridge(self, name: str, bridge: dict[str, Any]) -> None:
        ports = [
            self._insert_port(n, port) for n, port in bridge["ports"].items() if not _pods(port)
        ]
        row = {**bridge["columns"], "name": name, "ports": ["set", ports]}
        self._join("Open_vSwitch", "bridges", ["uuid", self.uuids["root"]], "Bridge", row)
        self.say(None, f"bridge {name}: {', '.join(bridge['ports'])}")

    def add_port(self, bridge: str, name: str, port: dict[str, Any]) -> None:
        target = self.uuids["bridges"][bridge]
        self.mutate(
            "Bridge", target, [["ports", "insert", ["set", [self._insert_port(name, port)]]]]
        )
        self.say(None, f"bridge {bridge}: port {name}")

    def _insert_port(self, name: str, port: dict[str, Any]) -> list[str]:
        members = [
            self._insert("Interface", {**columns, "name": member})
            for member, columns in port["interfaces"].items()
        ]
        return self._insert(
            "Port", {**port["columns"], "name": name, "interfaces": ["set", members]}
        )

    def _insert(self, table: str, row: dict[str, Any]) -> list[str]:
        name = f"row{len(self._operations)}"
        self._operations.append({"op": "insert", "table": table, "row": row, "uuid-name": name})
        return ["named-uuid", name]

    def _join(
        self, table: str, column: str, uuid: list[str], child: str, row: dict[str, Any]
    ) -> None:
        self.mutate(table, uuid[1], [[column, "insert", ["set", [self._insert(child, row)]]]])

    def finish(self, socket: str, todo: Restore) -> None:
        if not self._operations:
            return
        # What ovs-vsctl does: vswitchd answers by raising cur_cfg to this number.
        self.mutate("Open_vSwitch", self.uuids["root"], [["next_cfg", "+=", 1]])
        text = "Make Open vSwitch's settings as they were."
        before, after = "\n".join(self._before) or None, "\n".join(self._after) or None
        step = Step(text, f"Open vSwitch at {socket}", before, after, cuts_connectivity=True)
        todo.actions.append(Action(step, "ovsdb", (socket,), self._operations))


def _text(value: Any) -> str:
    pairs = decode_map(value)
    if pairs:
        return " ".join(f"{key}={pairs[key]}" for key in sorted(pairs))
    return " ".join(map(str, decode_set(value))) or "(empty)"
