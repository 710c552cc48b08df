# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Does the steps of a restore on the node, reads again, and plans again until nothing is left."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..domain import _checkpoint as domain
from ..domain._checkpoint_world import OVS_KIND, OVS_MASTER, Action, Restore
from . import _checkpoint_read as reading
from . import _checkpoint_units as units
from . import _ovs, _ovsdb, _program, _restore_datapath, _restore_ip
from ._links import ReadError

_ROUNDS = 6
_SECONDS = 120.0
_STEP_SECONDS = 10.0
_BATCH_SECONDS = 30.0
_OVS_SECONDS = 5.0
_POLL = 0.1

#: A line for the journal, and whether it tells of something wrong.
Say = Callable[[str, bool], None]


class StepError(Exception):
    """A step that the node refused."""


class Restorer:
    """One restore: bounded in rounds and in time, whatever the node does."""

    def __init__(self, saved: dict[str, Any], ovs_socket: str | None, say: Say) -> None:
        self._saved = saved
        self._socket = ovs_socket
        self._say = say
        self._deadline = time.monotonic() + _SECONDS
        self._switched = False
        self.steps: list[dict[str, Any]] = []
        self.left: list[str] = []
        self.cannot: list[str] = []

    def run(self) -> bool:
        """Restore; whether the node is as it was. What is not: `left` and `cannot`.

        The way out comes first and is looked at again, before anything else is begun.
        """
        for number in range(_ROUNDS + 1):
            if number:
                time.sleep(min(0.25 * 2**number, max(0.0, self._left())))
            todo = self._look()
            if todo is None:
                continue
            if not todo.actions or number == _ROUNDS or self._late():
                break
            if todo.first:
                self._do(todo.actions[: todo.first])
                announce(self._saved)
                todo = self._look()
            if todo is not None:
                self._do(todo.actions)
        announce(self._saved)
        return not self.left

    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _late(self) -> bool:
        return self._left() <= 0

    def _look(self) -> Restore | None:
        """What is to be done as the node is now; None when that cannot be seen."""
        try:
            now = reading.gather(self._socket, self._saved["with_ovs"])
        except (ReadError, OSError) as error:
            self.left = [f"the network cannot be read: {error}"]
            self._say(self.left[0], True)
            return None
        todo = domain.restore_plan(self._saved, now)
        self.cannot = todo.cannot
        self.left = [action.step.action for action in todo.actions]
        return todo

    def _do(self, actions: Sequence[Action]) -> None:
        done = 0
        for group in _restore_ip.together(actions):
            if self._late():
                self._say(f"The time is up: {len(actions) - done} steps are not done.", True)
                return
            if len(group) > 1:
                self._batch(group)
            else:
                self._one(group[0])
            done += len(group)

    def _batch(self, group: list[Action]) -> None:
        started = time.monotonic()
        errors: list[str | None]
        try:
            errors = _restore_ip.batch(group, min(_BATCH_SECONDS, max(_STEP_SECONDS, self._left())))
        except ReadError as problem:
            errors = [str(problem)] * len(group)
        except _restore_ip.Unclear:
            # Once more, one by one: what was done already is found done.
            for action in group:
                if self._late():
                    return
                self._one(action, again=True)
            return
        spent = (time.monotonic() - started) / len(group)
        for action, error in zip(group, errors):
            self._note(action, None if error and _stands(action, error) else error, spent)

    def _one(self, action: Action, again: bool = False) -> None:
        started = time.monotonic()
        error = None
        try:
            getattr(self, f"_{action.op}")(action)
        except (StepError, ReadError, OSError, _ovsdb.OvsdbError) as problem:
            if not _stands(action, str(problem), again):
                error = str(problem)
        self._note(action, error, time.monotonic() - started)

    def _note(self, action: Action, error: str | None, spent: float) -> None:
        self._say(action.step.action + (f" FAILED: {error}" if error else ""), bool(error))
        self.steps.append(
            {"action": action.step.action, "seconds": round(spent, 3), "error": error}
        )

    def _ip(self, action: Action) -> None:
        reading.ip(*action.words, timeout=_STEP_SECONDS)

    def _ovsdb(self, action: Action) -> None:
        path = action.words[0]
        with _ovsdb.Client(path, _OVS_SECONDS) as client:
            client.transact(_ovsdb.DATABASE, *action.data)
        alive = _ovs.vswitchd(os.path.dirname(path))[0]
        self._switched = alive is not False and self._await(lambda: caught_up(path))
        if not self._switched:
            raise StepError(
                "it is in the database, but vswitchd does not act on it: the kernel is told itself"
            )

    def _port(self, action: Action) -> None:
        name = action.words[0]
        if self._switched and self._await(lambda: not is_port(name)):
            return
        if is_port(name):
            _restore_datapath.remove_port(name)

    def _file(self, action: Action) -> None:
        saved = action.data
        target = saved["target"]
        path = reading.RESOLV_CONF
        if target is not None and os.path.islink(path) and os.readlink(path) == target:
            path = os.path.realpath(path)
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if target is not None and path == reading.RESOLV_CONF:
                temporary = f".resolv.conf.{os.getpid()}"
                os.symlink(target, temporary, dir_fd=folder)
                os.rename(temporary, "resolv.conf", src_dir_fd=folder, dst_dir_fd=folder)
            elif saved["content"] is not None:
                data = saved["content"].encode("utf-8", "surrogateescape")
                _program.write(folder, os.path.basename(path), data, mode=0o644)
        finally:
            os.close(folder)

    def _resolvectl(self, action: Action) -> None:
        code, said = units.run("resolvectl", *action.words, timeout=_STEP_SECONDS)
        if code:
            raise StepError(said)

    def _await(self, test: Callable[[], bool]) -> bool:
        deadline = min(self._deadline, time.monotonic() + _OVS_SECONDS)
        while not test():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL)
        return True


def _stands(action: Action, error: str, again: bool = False) -> bool:
    """Whether an error of ``ip`` says that it stands already, or is gone already: the plan foresees
    too darkly.

    :param again: whether it may have been done a moment ago.
    """
    if action.op != "ip":
        return False
    done = {"append": "File exists", "del": "No such process"}
    if again:
        done["add"] = "File exists"
    return any(word in action.words and text in error for word, text in done.items())


def caught_up(path: str) -> bool:
    """Whether vswitchd has acted on all that is in its database."""
    try:
        with _ovsdb.Client(path, _OVS_SECONDS) as client:
            asked = _ovsdb.select_rows("Open_vSwitch", "cur_cfg", "next_cfg")
            row = client.transact(_ovsdb.DATABASE, asked)[0]["rows"][0]
        return bool(row["cur_cfg"] >= row["next_cfg"])
    except (_ovsdb.OvsdbError, LookupError, TypeError):
        return False


def is_port(name: str) -> bool:
    """Whether a link is a port of the kernel datapath: a NIC in it, or an internal port."""
    try:
        links = reading.json_of("link", "show", "dev", name)
    except ReadError:
        return False
    link = links[0] if links else {}
    kind = (link.get("linkinfo") or {}).get("info_kind")
    return bool(link.get("master") == OVS_MASTER or kind == OVS_KIND)


def announce(saved: dict[str, Any]) -> None:
    """Tell the neighbours where the IPv4 addresses are: they remember another MAC otherwise."""
    for name, held in saved["addresses"].items():
        for address in held:
            if address["family"] == "inet" and address["scope"] == "global":
                try:
                    _gratuitous_arp(name, address["local"])
                except OSError:
                    continue  # No Ethernet, or the link is down: nobody to tell.


def _gratuitous_arp(link: str, address: str) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as channel:
        channel.bind((link, 0))
        mac = channel.getsockname()[4]
        if len(mac) != 6:
            return
        packed = socket.inet_aton(address)
        head = b"\xff" * 6 + mac + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1)
        channel.send(head + mac + packed + bytes(6) + packed)
