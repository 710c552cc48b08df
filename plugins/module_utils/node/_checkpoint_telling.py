# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a checkpoint stands, for people and for roles."""

from __future__ import annotations

import time
from typing import Any

from . import _checkpoint_read as reading
from . import _checkpoint_store as storing
from . import _checkpoint_units as units
from ._checkpoint_store import CheckpointError, Store

Result = dict[str, Any]

#: So much of a list is told in one message; the report has all of it.
_MOST = 8
NOTHING: Result = {
    "state": "absent",
    "armed_at": None,
    "timeout": None,
    "timer": None,
    "deadline": None,
    "hold": False,
    "held": False,
    "program": None,
    "report": None,
}


def describe(store: Store, name: str) -> Result | None:
    """Return how the checkpoint ``name`` stands, None when there is none."""
    state = store.state(name)
    timer = units.timer_state(name) if state == storing.ARMED else None
    if timer == units.GONE:
        # It may have gone off between the two questions, and have restored by now.
        state = store.state(name)
        timer = timer if state == storing.ARMED else None
    if state is None:
        return None
    try:
        content = store.load(name)
    except CheckpointError:
        content = {}
    held = store.held()
    return {
        "id": name,
        "state": state,
        "armed_at": content.get("armed_at"),
        "timeout": content.get("timeout"),
        "timer": timer,
        "deadline": _deadline(content) if content and timer not in (None, units.GONE) else None,
        "hold": store.hold_settings(name) is not None,
        "held": held is not None and held.get("id") == name,
        "program": content.get("program"),
        "report": store.report(name),
    }


def _deadline(content: Result) -> Result:
    at = content["armed_monotonic"] + content["timeout"]
    boot = content["saved"]["boot_id"]
    left = round(at - time.monotonic(), 1) if boot == reading.boot_id() else None
    return {"monotonic": round(at, 3), "boot_id": boot, "seconds_left": left}


def without_timer(name: str, then: str) -> str:
    """Say that nothing counted the time of a checkpoint that is armed."""
    unit = units.name_of(name)
    return (
        f"Checkpoint '{name}' was armed, but its timer ({unit}.timer) was gone: somebody stopped "
        "it, the node was booted, or its program could not be started. Until the next boot nothing "
        f"would have restored this node. {then} See 'journalctl -u {unit}.timer -u {unit}.service' "
        "on it."
    )


def told(name: str, report: Result) -> str:
    """Say what a restore did."""
    when, seconds = report.get("started_at", "an unknown time"), report.get("seconds", "?")
    text = f"the node was rolled back to checkpoint '{name}' at {when}, in {seconds} s."
    left = [*report.get("left", []), *report.get("cannot", [])]
    if left:
        text += f" It could not restore: {some(left)}."
    if report.get("state") == storing.FAILED:
        text += f" To try that again: state: rolled_back and id: {name}."
    if report.get("held"):
        text += (
            f" {', '.join(report['held'])} is held: remove the cause, then lift the hold with "
            f"state: absent and id: {name}."
        )
    return text


def some(texts: list[str]) -> str:
    """The first of them in one line, and how many more there are."""
    more = f" and {len(texts) - _MOST} more, see the report" if len(texts) > _MOST else ""
    return "; ".join(text.rstrip(".") for text in texts[:_MOST]) + more
