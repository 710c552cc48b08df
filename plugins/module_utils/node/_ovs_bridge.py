# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removes a bridge that is left behind, over OVSDB."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _ovs_bridge as domain
from ansible_collections.k8snet.cni.plugins.module_utils.node import _ovs, _ovsdb

_ONE_TALK = 10.0
_PAUSE = 0.2


class BridgeError(Exception):
    """The bridge was not removed, or not to the end. ``changed``: whether it was begun."""

    def __init__(self, text: str, changed: bool = False) -> None:
        super().__init__(text)
        self.changed = changed


def absent(
    name: str, uplinks: list[str], socket: str | None, timeout: float, write: bool
) -> domain.Bridge | None:
    """Remove a bridge if ``write``; return it as it was, None if there was none.

    Raises BridgeError, `_ovsdb.OvsdbError`.
    """
    try:
        path = socket or _ovsdb.find_socket()
    except _ovsdb.SocketAbsent:
        return None
    deadline = time.monotonic() + timeout
    bridge, _cfg = _read(path, name)
    if bridge is None:
        return None
    reason = domain.refusal(bridge, uplinks, _ovs.global_addresses().get(name, []))
    if reason:
        raise BridgeError(reason)
    if write:
        _await_effect(path, name, _remove(path, bridge), deadline)
    return bridge


def _read(path: str, name: str) -> tuple[domain.Bridge | None, int]:
    """Return the bridge and cur_cfg."""
    operations = [_ovsdb.select_rows(table, *columns) for table, columns in domain.SELECTS]
    with _ovsdb.Client(path, _ONE_TALK) as client:
        tables = [_rows(r, path) for r in client.transact(_ovsdb.DATABASE, *operations)]
    current = tables[0][0].get("cur_cfg") if tables[0] else None
    return domain.find(tables, name), current if isinstance(current, int) else 0


def _rows(result: dict[str, Any], path: str) -> list[dict[str, Any]]:
    rows = result.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _ovsdb.NotOvsdb(
            "Not an OVSDB server (a select without rows)", path, "Check the 'socket' option."
        )
    return rows


def _remove(path: str, bridge: domain.Bridge) -> int:
    """Return the next_cfg to wait for."""
    with _ovsdb.Client(path, _ONE_TALK) as client:
        try:
            answer = client.transact(_ovsdb.DATABASE, *domain.removal(bridge))
        except _ovsdb.TransactionFailed as error:
            if error.error != "timed out":
                raise
            raise BridgeError(
                f"A port came to bridge {bridge.name} or left it at the same moment ({path}). "
                "Nothing was changed. Run it again."
            ) from error
    rows = _rows(answer[2], path)
    target = rows[0].get("next_cfg") if rows else None
    return target if isinstance(target, int) else 0


def _await_effect(path: str, name: str, target: int, deadline: float) -> None:
    """See that the bridge is gone and ovs-vswitchd has taken that over."""
    removed = f"Bridge {name} was removed from the database, but"
    while True:
        try:
            bridge, current = _read(path, name)
        except _ovsdb.OvsdbError as error:
            raise BridgeError(f"{removed} that could not be read back: {error}", True) from error
        if bridge is not None:
            raise BridgeError(f"{removed} it is there again. Is it still configured?", True)
        if current >= target:
            return
        if time.monotonic() >= deadline:
            raise BridgeError(
                f"{removed} ovs-vswitchd has not taken it over in time (cur_cfg {current}, "
                f"next_cfg {target}). Does it run? See the log of container antrea-ovs.",
                True,
            )
        time.sleep(_PAUSE)
