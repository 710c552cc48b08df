# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a bridge that Antrea has left behind may leave Open vSwitch, and how it does. Pure.

Source: antrea-io/antrea pkg/agent/secondarynetwork: up to 2.6 a bridge that is no longer configured
stays, and with several NICs they stay on it as ports marked ``antrea-type=uplink``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._plan import Plan, Step
from ._ovs import decode_map, decode_uuids

#: What one transaction has to select, in this order: table, columns.
SELECTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Open_vSwitch", ("_uuid", "cur_cfg", "next_cfg")),
    ("Bridge", ("_uuid", "name", "ports")),
    ("Port", ("_uuid", "name", "external_ids")),
)
_SHOWN = 8


@dataclass(frozen=True)
class Bridge:
    """A bridge as found. ``ports``: name -> whether Antrea marked it as an uplink.

    ``root``, ``uuid``, ``rows``: what the transaction that removes it names.
    """

    name: str
    ports: dict[str, bool]
    root: str
    uuid: str
    rows: Any

    @property
    def others(self) -> list[str]:
        """Names of its ports but for the one that every bridge has."""
        return sorted(name for name in self.ports if name != self.name)


def find(tables: list[list[dict[str, Any]]], name: str) -> Bridge | None:
    """Return the bridge of that name from the rows of `SELECTS`, None if there is none."""
    roots, bridges, ports = tables
    row = next((bridge for bridge in bridges if bridge.get("name") == name), None)
    if row is None or not roots:
        return None
    by_id = {key: port for port in ports for key in decode_uuids(port.get("_uuid"))}
    found = [by_id[key] for key in decode_uuids(row.get("ports")) if key in by_id]
    return Bridge(
        name,
        {str(p["name"]): _marks(p).get("antrea-type") == "uplink" for p in found},
        decode_uuids(roots[0].get("_uuid"))[0],
        decode_uuids(row.get("_uuid"))[0],
        row.get("ports"),
    )


def _marks(port: dict[str, Any]) -> dict[str, str]:
    return decode_map(port.get("external_ids"))


def refusal(bridge: Bridge, uplinks: list[str], addresses: list[str]) -> str | None:
    """Return why the bridge has to stay, None if nothing hangs on it.

    ``uplinks``: ports that may go with it; ``addresses``: those of the bridge's own interface.
    """
    foreign = [name for name in bridge.others if name not in uplinks or not bridge.ports[name]]
    if foreign:
        shown = ", ".join(foreign[:_SHOWN])
        more = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
        return (
            f"Bridge {bridge.name} has ports that are no uplinks of Antrea's to be removed with "
            f"it: {shown}{more}. Nothing was changed. Pods that still use the bridge have to go "
            "first; a NIC whose addresses were moved comes back when antrea-agent is restarted."
        )
    if addresses:
        return (
            f"Interface {bridge.name} of the bridge itself carries {', '.join(addresses)}. Nothing "
            "was changed. Take them off first if nobody needs them."
        )
    return None


def plan(bridge: Bridge | None) -> Plan:
    """Return the one step, or none."""
    if bridge is None:
        return Plan()
    freed = f" and free {', '.join(bridge.others)}" if bridge.others else ""
    text = f"Remove bridge {bridge.name} from Open vSwitch{freed}."
    before = f"bridge {bridge.name}: {', '.join(bridge.others) or 'no ports'}\n"
    return Plan((Step(text, f"bridge {bridge.name}", before, None),))


def removal(bridge: Bridge) -> list[dict[str, Any]]:
    """Return the transaction: it fails if a port came or went meanwhile. The last one selects."""
    here = [["_uuid", "==", ["uuid", bridge.uuid]]]
    root = [["_uuid", "==", ["uuid", bridge.root]]]
    unchanged = {
        "op": "wait",
        "table": "Bridge",
        "timeout": 0,
        "where": here,
        "columns": ["ports"],
        "until": "==",
        "rows": [{"ports": bridge.rows}],
    }
    # vswitchd answers by raising cur_cfg to next_cfg.
    leave: list[Any] = [
        ["bridges", "delete", ["set", [["uuid", bridge.uuid]]]],
        ["next_cfg", "+=", 1],
    ]
    mutate = {"op": "mutate", "table": "Open_vSwitch", "where": root, "mutations": leave}
    select = {"op": "select", "table": "Open_vSwitch", "where": root, "columns": ["next_cfg"]}
    return [unchanged, mutate, select]
