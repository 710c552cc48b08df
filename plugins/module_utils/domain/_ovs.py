# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an Open vSwitch database says about a node, in few words. Pure."""

from __future__ import annotations

from typing import Any

#: What one transaction has to select, in this order: table, columns.
SELECTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Open_vSwitch", ("ovs_version", "db_version", "other_config", "cur_cfg", "next_cfg")),
    ("Bridge", ("name", "datapath_type", "fail_mode", "external_ids", "ports")),
    ("Port", ("_uuid", "name", "interfaces", "external_ids")),
    ("Interface", ("_uuid", "name", "type", "mac_in_use")),
)

#: Link kinds (from sysfs) that connect a node to the outside when they are bridge ports.
UPLINK_KINDS = frozenset({"physical", "bond", "vlan", "team"})
PORT_KINDS = ("internal", "uplink", "tunnel", "patch", "pod", "other")

_TUNNELS = frozenset(
    {"geneve", "vxlan", "gre", "ip6gre", "stt", "lisp", "erspan", "ip6erspan", "gtpu", "bareudp"}
    | {"srv6"}
)
_POD_MARKS = ("container-id", "pod-name", "ip-address")
_SAMPLE = 32
_TEXT = 256


def nothing() -> dict[str, Any]:
    """The ``k8snet_ovs`` of a node without Open vSwitch: every key, no values."""
    return {
        "present": False,
        "socket": None,
        "version": None,
        "db_version": None,
        "flow_restore_wait": None,
        "cur_cfg": None,
        "next_cfg": None,
        "vswitchd_running": None,
        "vswitchd_uptime": None,
        "bridges": [],
        "enslaved": [],
        "error": None,
    }


def decode_map(value: Any) -> dict[str, str]:
    """An OVSDB ``["map", [[k, v], ...]]`` of strings as a dict; anything else is empty."""
    if not (_tagged(value, "map") and isinstance(value[1], list)):
        return {}
    pairs = (pair for pair in value[1] if isinstance(pair, list) and len(pair) == 2)
    return {k: v for k, v in pairs if isinstance(k, str) and isinstance(v, str)}


def decode_set(value: Any) -> list[Any]:
    """An OVSDB set as a list. A set of one element travels as that element (RFC 7047, 5.1)."""
    if _tagged(value, "set"):
        return list(value[1]) if isinstance(value[1], list) else []
    return [] if value is None else [value]


def decode_uuids(value: Any) -> list[str]:
    """The UUIDs in an OVSDB set of references."""
    return [v[1] for v in decode_set(value) if _tagged(v, "uuid") and isinstance(v[1], str)]


def optional(value: Any) -> str | None:
    """An OVSDB optional string: the empty set is None."""
    for element in decode_set(value):
        if isinstance(element, str):
            return element
    return None


def flow_restore_wait(other_config: dict[str, str]) -> bool:
    """Whether vswitchd holds back. Any case of "true" counts (Open vSwitch lib/smap.c)."""
    return other_config.get("flow-restore-wait", "").lower() == "true"


def summarise(
    tables: list[list[dict[str, Any]]],
    links: dict[str, str],
    addresses: dict[str, list[str]],
) -> dict[str, Any]:
    """Turn the rows of `SELECTS` into ``version`` ... ``next_cfg``, ``bridges``, ``enslaved``.

    :param tables: one list of rows for each of `SELECTS`.
    :param links: kernel link name to physical, bond, vlan, team or other.
    :param addresses: kernel link name to its addresses, link-local ones left out.
    :raises ValueError: when the database holds no Open_vSwitch row.
    """
    switch, bridge_rows, port_rows, interface_rows = tables
    if not switch:
        raise ValueError("table Open_vSwitch is empty")
    root = switch[0]
    interfaces = {u: row for row in interface_rows for u in decode_uuids(row.get("_uuid"))}
    ports = {u: row for row in port_rows for u in decode_uuids(row.get("_uuid"))}
    bridges: list[dict[str, Any]] = []
    enslaved: list[dict[str, Any]] = []
    for row in sorted(bridge_rows, key=lambda r: str(r.get("name"))):
        members = _members(row, ports, interfaces, links)
        bridges.append(_bridge(row, members, addresses))
        enslaved += _enslaved(str(row.get("name")), members, addresses)
    enslaved += _left_over(enslaved, links, addresses)
    return {
        "version": optional(root.get("ovs_version")),
        "db_version": optional(root.get("db_version")),
        "flow_restore_wait": flow_restore_wait(decode_map(root.get("other_config"))),
        "cur_cfg": _integer(root.get("cur_cfg")),
        "next_cfg": _integer(root.get("next_cfg")),
        "bridges": bridges,
        "enslaved": enslaved,
    }


def _tagged(value: Any, tag: str) -> bool:
    return isinstance(value, list) and len(value) == 2 and value[0] == tag


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _members(
    bridge: dict[str, Any],
    ports: dict[str, dict[str, Any]],
    interfaces: dict[str, dict[str, Any]],
    links: dict[str, str],
) -> list[dict[str, Any]]:
    """The bridge's interfaces: {name, kind (of PORT_KINDS), mac, antrea}, sorted by name."""
    found = []
    for port_id in decode_uuids(bridge.get("ports")):
        port = ports.get(port_id, {})
        marks = decode_map(port.get("external_ids"))
        for interface_id in decode_uuids(port.get("interfaces")):
            interface = interfaces.get(interface_id, {})
            name = str(interface.get("name") or port.get("name"))
            kind = _port_kind(name, str(interface.get("type") or ""), marks, links)
            mac = optional(interface.get("mac_in_use"))
            mark = marks.get("antrea-type")
            found.append({"name": name, "kind": kind, "mac": mac, "port": port_id, "antrea": mark})
    return sorted(found, key=lambda m: str(m["name"]))


def _port_kind(name: str, kind: str, marks: dict[str, str], links: dict[str, str]) -> str:
    antrea = marks.get("antrea-type")
    if kind in _TUNNELS:
        return "tunnel"
    if kind in ("internal", "patch"):
        return kind
    if antrea == "container" or any(mark in marks for mark in _POD_MARKS):
        return "pod"
    # 'eth0~' is what Antrea calls the NIC whose name and addresses went to an internal port.
    if antrea == "uplink" or links.get(name) in UPLINK_KINDS or name.endswith("~"):
        return "uplink"
    return "other"


def _bridge(
    row: dict[str, Any], members: list[dict[str, Any]], addresses: dict[str, list[str]]
) -> dict[str, Any]:
    kinds = dict.fromkeys(PORT_KINDS, 0)
    for member in members:
        kinds[member["kind"]] += 1
    internal = [m["name"] for m in members if m["kind"] == "internal"]
    # Those that carry addresses first: a cut must not hide where an address lives.
    internal.sort(key=lambda name: not addresses.get(name))
    ids = sorted(decode_map(row.get("external_ids")).items())[:_SAMPLE]
    return {
        "name": str(row.get("name")),
        "datapath_type": optional(row.get("datapath_type")) or "system",
        "fail_mode": optional(row.get("fail_mode")),
        "external_ids": {k[:_TEXT]: v[:_TEXT] for k, v in ids},
        "ports": len(decode_uuids(row.get("ports"))),
        "port_kinds": kinds,
        "uplinks": [m["name"] for m in members if m["kind"] == "uplink"],
        "internal_ports": sorted(internal[:_SAMPLE]),
    }


def _enslaved(
    bridge: str, members: list[dict[str, Any]], addresses: dict[str, list[str]]
) -> list[dict[str, Any]]:
    internal = {m["name"]: m["mac"] for m in members if m["kind"] == "internal"}
    found = []
    for member in members:
        if member["kind"] != "uplink":
            continue
        nic = member["name"]
        heir = _heir(nic, member["mac"], bridge, internal)
        carriers = [name for name in (heir, nic) if name and addresses.get(name)]
        if not carriers:
            others = [name for name in sorted(internal) if addresses.get(name)]
            carriers = others if len(others) == 1 else []
        found.append(
            {
                "nic": nic,
                "bridge": bridge,
                "internal_port": heir,
                "addresses_on": carriers[0] if carriers else None,
                "by_antrea": member["antrea"] == "uplink",
            }
        )
    return found


def _heir(nic: str, mac: str | None, bridge: str, internal: dict[str, str | None]) -> str | None:
    """The internal port that took the NIC's place: by Antrea's naming, else by MAC."""
    if nic.endswith("~"):
        return nic[:-1] if nic[:-1] in internal else None
    twins = [name for name, other in sorted(internal.items()) if mac and other == mac]
    return bridge if bridge in twins else (twins[0] if twins else None)


def _left_over(
    enslaved: list[dict[str, Any]], links: dict[str, str], addresses: dict[str, list[str]]
) -> list[dict[str, Any]]:
    """NICs renamed for a bridge that are in none: an agent was killed in mid-move."""
    known = {entry["nic"] for entry in enslaved}
    return [
        {
            "nic": name,
            "bridge": None,
            "internal_port": None,
            "addresses_on": name if addresses.get(name) else None,
            "by_antrea": False,
        }
        for name in sorted(links)
        if name.endswith("~") and links[name] in UPLINK_KINDS and name not in known
    ]
