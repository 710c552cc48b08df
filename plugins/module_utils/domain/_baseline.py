# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What changed on a node since its NICs were recorded."""

from __future__ import annotations

from typing import Any

_KEYS = {"name": str, "kind": str, "addresses": list}
_Entry = dict[str, Any]


def check(data: Any) -> str | None:
    """Return what is wrong with a recorded baseline read from JSON, or None if it is usable."""
    if not isinstance(data, dict):
        return "it holds no JSON object"
    if data.get("version") != 1:
        return f"its version is {data.get('version')!r}, known is 1"
    if not isinstance(data.get("recorded_at"), str):
        return "it lacks 'recorded_at'"
    if not isinstance(data.get("nics"), list):
        return "it lacks the list 'nics'"
    for number, entry in enumerate(data["nics"]):
        problem = _entry_problem(entry)
        if problem:
            return f"entry {number} of 'nics' {problem}"
    return None


def _entry_problem(entry: Any) -> str | None:
    if not isinstance(entry, dict):
        return "is no object"
    for key, kind in _KEYS.items():
        if not isinstance(entry.get(key), kind):
            return f"lacks a valid '{key}'"
    for key in ("permanent_mac", "bus"):
        if key not in entry or not isinstance(entry[key], (str, type(None))):
            return f"lacks a valid '{key}'"
    if not all(isinstance(address, str) for address in entry["addresses"]):
        return "has an address that is no text"
    return None


def compare(recorded: list[_Entry], current: list[_Entry]) -> list[dict[str, Any]]:
    """Return the changes from one `_nics.identity` to another; empty exactly when they are equal.

    A NIC is recognised by its permanent MAC and bus position, then by the MAC, then by the bus
    position, and only then by name, so that a renamed or swapped NIC is called that. Each change:
    ``{change: added|removed|renamed|readdressed, name, was, matched_by, before, after}``.
    ``readdressed`` covers IP addresses, the hardware address and the position on the bus.
    """
    pairs = _match(recorded, current)
    matched = {id(old) for old, _new, _by in pairs}
    changes = [
        _change("removed", old["name"], before=old) for old in recorded if id(old) not in matched
    ]
    partner = {id(new): (old, by) for old, new, by in pairs}
    for new in current:
        if id(new) not in partner:
            changes.append(_change("added", new["name"], after=new))
            continue
        old, by = partner[id(new)]
        if old["name"] != new["name"]:
            changes.append(_change("renamed", new["name"], old["name"], by, old, new))
        if any(old[key] != new[key] for key in ("kind", "permanent_mac", "bus", "addresses")):
            was = old["name"] if old["name"] != new["name"] else None
            changes.append(_change("readdressed", new["name"], was, by, old, new))
    return changes


def _change(
    change: str,
    name: str,
    was: str | None = None,
    matched_by: str | None = None,
    before: _Entry | None = None,
    after: _Entry | None = None,
) -> dict[str, Any]:
    return {
        "change": change,
        "name": name,
        "was": was,
        "matched_by": matched_by,
        "before": before,
        "after": after,
    }


def _match(recorded: list[_Entry], current: list[_Entry]) -> list[tuple[_Entry, _Entry, str]]:
    pairs: list[tuple[_Entry, _Entry, str]] = []
    olds, news = list(recorded), list(current)
    for by, key in (
        ("", _all_but_addresses),
        ("permanent_mac", _mac_and_bus),
        ("permanent_mac", _mac),
        ("bus", _bus),
        ("name", _name),
    ):
        table = _unique(news, key)
        for value, old in _unique(olds, key).items():
            new = table.get(value)
            if new is None or (by == "name" and not _may_be_same(old, new)):
                continue
            pairs.append((old, new, by or _best(old)))
        taken = {id(entry) for old, new, _by in pairs for entry in (old, new)}
        olds = [entry for entry in olds if id(entry) not in taken]
        news = [entry for entry in news if id(entry) not in taken]
    return pairs


def _unique(entries: list[_Entry], key: Any) -> dict[Any, _Entry]:
    """Index entries by a key; a value that two share (cloned MACs) recognises neither."""
    table: dict[Any, _Entry | None] = {}
    for entry in entries:
        value = key(entry)
        if value is not None:
            table[value] = None if value in table else entry
    return {value: entry for value, entry in table.items() if entry is not None}


def _best(entry: _Entry) -> str:
    return next((key for key in ("permanent_mac", "bus") if entry[key] is not None), "name")


def _all_but_addresses(entry: _Entry) -> tuple[Any, ...]:
    # First of all, so that of several with one MAC those that did not change are left in peace.
    return entry["name"], entry["kind"], entry["permanent_mac"], entry["bus"]


def _mac_and_bus(entry: _Entry) -> tuple[str, str] | None:
    if entry["permanent_mac"] is None or entry["bus"] is None:
        return None
    return entry["permanent_mac"], entry["bus"]


def _mac(entry: _Entry) -> Any:
    return entry["permanent_mac"]


def _bus(entry: _Entry) -> Any:
    return entry["bus"]


def _name(entry: _Entry) -> Any:
    return entry["name"]


def _may_be_same(old: _Entry, new: _Entry) -> bool:
    """Hardware that differs in MAC and position is other hardware, whatever it is called."""
    if old["kind"] != new["kind"]:
        return False
    return all(
        old[key] is None or new[key] is None or old[key] == new[key]
        for key in ("permanent_mac", "bus")
    )
