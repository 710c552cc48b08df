# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The restore program: run by a timer, at boot, by the module, or by hand at a console.

``python3 -I FILE --restore ID`` restores; ``--boot`` restores whatever was armed when the node
went down; ``--show ID`` prints in words what a restore would do now. It needs neither network nor
Ansible.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from datetime import datetime, timezone
from typing import Any

from ..domain import _checkpoint as domain
from . import _checkpoint_read as reading
from . import _checkpoint_store as storing
from . import _checkpoint_units as units
from . import _restore_chains as chains
from ._checkpoint_store import CheckpointError, Store
from ._links import ReadError
from ._restore_apply import Restorer

#: Every module of the program, for node._program.build.
MODULES = (
    "_plan",
    "domain._checkpoint",
    "domain._checkpoint_links",
    "domain._checkpoint_make",
    "domain._checkpoint_ovs",
    "domain._checkpoint_routes",
    "domain._checkpoint_world",
    "domain._nics",
    "domain._ovs",
    "node._checkpoint_read",
    "node._checkpoint_store",
    "node._checkpoint_units",
    "node._iproute",
    "node._jsonframes",
    "node._links",
    "node._nfnetlink",
    "node._ovs",
    "node._ovsdb",
    "node._program",
    "node._restore",
    "node._restore_apply",
    "node._restore_chains",
    "node._restore_datapath",
    "node._restore_ip",
)
_USAGE = "usage: python3 -I FILE --restore ID | --boot | --show ID"
_LOCK_SECONDS = 60.0
_STOP_SECONDS = 30.0
_END_SECONDS = 10.0
_LINKS_SECONDS = 30.0
_POLL = 0.1


def say(text: str, wrong: bool = False) -> None:
    """One line for the journal, or a console. A journal that is gone must not end a restore."""
    level = ("<3>" if wrong else "<5>") if _to_journal() else ""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(f"{level}{text}\n")
        sys.stdout.flush()


def _to_journal() -> bool:
    """Whether systemd reads the output, and takes the level off again."""
    try:
        out = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{out.st_dev}:{out.st_ino}"


def main() -> int:
    """Return the exit code: 0 restored or nothing to do, 1 not restored, 2 wrong usage."""
    words = sys.argv[1:]
    store = Store()
    try:
        if words == ["--boot"]:
            return boot(store)
        if len(words) == 2 and words[0] == "--restore":
            return restore(store, words[1])
        if len(words) == 2 and words[0] == "--show":
            return show(store, words[1])
    except CheckpointError as error:
        say(str(error), wrong=True)
        return 1
    say(_USAGE, wrong=True)
    return 2


def show(store: Store, name: str) -> int:
    """Print what a restore would do now, and change nothing."""
    content = store.load(name)
    saved = content["saved"]
    state = store.state(name)
    say(f"Checkpoint {name}: {state}, armed at {content['armed_at']}.")
    if state == storing.ARMED:
        say(f"Its timer is {units.timer_state(name)}.")
    say(f"Saved: {domain.counted(saved)}.")
    hold = store.hold_settings(name)
    if hold is not None:
        emptied = f", empty {', '.join(hold['chains'])}" if hold.get("chains") else ""
        say(f"1. Stop and hold {', '.join([*hold['units'], *hold['processes']])}{emptied}.")
    try:
        todo = domain.restore_plan(saved, reading.gather(content["socket"], saved["with_ovs"]))
    except ReadError as error:
        say(str(error))
        return 1
    for number, action in enumerate(todo.actions, 2 if hold is not None else 1):
        say(f"{number}. {action.step.action}")
    for text in todo.cannot:
        say(f"Not possible: {text}.")
    if not todo.actions:
        say("The network is as it was saved: nothing to restore.")
    return 0


def boot(store: Store) -> int:
    """Restore what was armed, or half restored, when the node went down."""
    name = store.armed()
    if name is None:
        say("No checkpoint is armed: nothing to restore.")
        units.remove_boot()
        return 0
    say(f"The node booted while checkpoint {name} was not confirmed.")
    with contextlib.suppress(CheckpointError):
        _await_links(store.load(name)["saved"])
    return restore(store, name)


def _await_links(saved: dict[str, Any]) -> None:
    """Wait until the NICs are there: their drivers may be slower than this."""
    deadline = time.monotonic() + _LINKS_SECONDS
    macs = {link["mac"] for link in saved["links"] if link["physical"]}
    while time.monotonic() < deadline:
        try:
            if macs <= {link.get("address") for link in reading.json_of("link", "show")}:
                return
        except ReadError:
            return
        time.sleep(_POLL)
    say("Not all NICs that were saved have appeared; going on without them.")


def restore(store: Store, name: str) -> int:
    """Hold the actor if that was asked, restore, verify, report."""
    with store.lock(_LOCK_SECONDS) as mine:
        if not mine:
            say(f"Checkpoint {name} is being changed by another process, which does not end.", True)
            return 1
        state = store.state(name)
        if state not in (*storing.OPEN, storing.FAILED):
            say(f"Checkpoint {name} is {state or 'not there'}: nothing to restore.")
            return 0
        return _locked(store, name)


def _locked(store: Store, name: str) -> int:
    started = time.monotonic()
    report: dict[str, Any] = {
        "id": name,
        "started_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "started_monotonic": round(started, 3),
        "boot_id": reading.boot_id(),
        "steps": [],
        "left": [],
        "cannot": [],
        "held": [],
    }
    _mark(store, name, storing.RESTORING)
    say(f"Restoring the network as checkpoint {name} saved it.")
    ok = False
    try:
        # Before all else, but nothing that befalls it may keep the network from being restored.
        report["held"] = hold(store, name)
    except Exception as error:
        say(f"The actor cannot be held: {type(error).__name__}: {error}.", wrong=True)
    try:
        content = store.load(name)
        work = Restorer(content["saved"], content.get("socket"), say)
        # A surprise in one part must not hide what was done, nor the report.
        try:
            ok = work.run()
        finally:
            report.update(steps=work.steps, left=work.left, cannot=work.cannot)
    except CheckpointError as error:
        report["left"] = [str(error)]
    except Exception as error:
        report["left"] = [*report["left"], f"unforeseen: {type(error).__name__}: {error}"]
    return _finish(store, name, report, ok, started)


def _finish(store: Store, name: str, report: dict[str, Any], ok: bool, started: float) -> int:
    word = storing.ROLLED_BACK if ok else storing.FAILED
    report.update(state=word, seconds=round(time.monotonic() - started, 3))
    for text in (*report["left"], *report["cannot"]):
        say(f"Left: {text}", wrong=True)
    try:
        store.save_report(name, report)
    except OSError as error:
        say(f"The report cannot be written: {error}.", wrong=True)
    _mark(store, name, word)
    units.remove_boot()
    end = "The network is as it was saved" if ok else "The network is NOT as it was saved"
    say(f"{end}; this took {report['seconds']} s.", wrong=not ok)
    if report["held"]:
        say(
            f"Held: {', '.join(report['held'])}. Remove the cause, then lift the hold: "
            f"network_checkpoint with state absent and id {name}, or by hand: rm {store.hold_file}"
            f" && systemctl start {' '.join(report['held'])}"
        )
    return 0 if ok else 1


def _mark(store: Store, name: str, word: str) -> None:
    try:
        store.set_state(name, word)
    except OSError as error:
        say(f"The state of checkpoint {name} cannot be written ({error}); going on.", wrong=True)


def hold(store: Store, name: str) -> list[str]:
    """Keep the actor from undoing the restore; the units that are held. Nothing was asked: none."""
    settings = store.hold_settings(name)
    if settings is None:
        return []
    try:
        store.hold(name)
    except OSError as error:
        say(f"The hold cannot be kept over a boot: {error}.", wrong=True)
    for unit in settings["units"]:
        code, said = units.run("systemctl", "stop", units.full(unit), timeout=_STOP_SECONDS)
        say(f"Stopped {unit}." if code == 0 else f"{unit} does not stop: {said}", code != 0)
    end_processes(settings["processes"])
    # When nobody is left to fill them again.
    chains.empty(settings.get("chains") or [], say)
    return list(settings["units"])


def end_processes(names: list[str], proc: str = "/proc") -> None:
    """End the processes of these names: asked first, for an agent may put back what it moved."""
    for number, seconds in ((signal.SIGTERM, _END_SECONDS), (signal.SIGKILL, 3.0)):
        found = _named(names, proc)
        for pid, name in found.items():
            say(f"Sending {number.name} to {name} ({pid}).")
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while found.keys() & _named(names, proc).keys() and time.monotonic() < deadline:
            time.sleep(_POLL)
    for pid, name in _named(names, proc).items():
        say(f"{name} ({pid}) runs on.", wrong=True)


def _named(names: list[str], proc: str) -> dict[int, str]:
    """Living processes by the kernel's name for them, which is cut at 15 characters."""
    wanted = {name[:15] for name in names}
    found: dict[int, str] = {}
    for entry in os.listdir(proc):
        if entry.isdigit():
            try:
                with open(f"{proc}/{entry}/stat", encoding="utf-8", errors="replace") as file:
                    head, _end, tail = file.read().rpartition(")")
            except OSError:
                continue  # It ended while we looked.
            name = head.partition("(")[2]
            if name in wanted and tail.split()[:1] not in (["Z"], ["X"]):
                found[int(entry)] = name
    return found
