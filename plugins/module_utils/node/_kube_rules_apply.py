# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removes kube-proxy's residue: evidence first, then table by table, then what the rules held."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NoReturn

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan, Step
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_proxy as facts
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_rules_plan as domain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_rules_tracking as tracking,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_rules_flows import Flow
from ansible_collections.k8snet.cni.plugins.module_utils.node import (
    _iptables,
    _ipvs,
    _kube_proxy,
    _kube_rules_conntrack,
    _kube_rules_netlink,
    _kube_rules_read,
    _nfnetlink,
    _program,
)
from ansible_collections.k8snet.cni.plugins.module_utils.node._kube_rules_read import (
    Reading,
    RulesError,
)

UNDO = "/var/lib/k8snet/undo"
_TRIES = 4
_NOTE = (
    "What kube-proxy had left on this node before it was removed. Evidence only: never restore "
    "these saves, their end points are stale. The way back is to let kube-proxy run again; it "
    "builds its own rules."
)


class Outcome(NamedTuple):
    """What was, or in check mode would be, done."""

    plan: Plan
    facts: dict[str, Any]
    kept: tuple[domain.Kept, ...]
    undo_path: str | None
    retries: int = 0
    #: Families whose connections are no longer tracked when the rules have gone.
    untracked: tuple[str, ...] = ()


class PartlyDone(RulesError):
    """Stopped on the way. ``done`` are the steps that were done, ``undo_path`` the evidence."""

    def __init__(self, text: str, done: Plan, undo_path: str) -> None:
        super().__init__(text)
        self.done = done
        self.undo_path = undo_path


def run(
    request: domain.Request, run_id: str, timeout: float, write: bool, allow_running: bool
) -> Outcome:
    """Read, decide, and with ``write`` remove. Raises RulesError, PartlyDone."""
    reading = _kube_rules_read.read(timeout, request.stale_conntrack)
    observed = reading.seen.observed
    removal = domain.decide(reading.seen, request)
    plan = domain.plan(removal)
    if plan.changed and observed.running and not allow_running:
        raise RulesError(
            "Refused: a process named kube-proxy runs on this node and would make its rules again "
            "within seconds. Remove its pod from the node first (label and node affinity), or set "
            "'allow_running' to true. Nothing was changed."
        )
    told = domain.clean(facts.facts(observed))
    untracked = tuple(tracking.ends(observed.graphs, observed.nft_tables, reading.seen.switched))
    if not (plan.changed and write):
        return Outcome(plan, told, removal.kept, None, untracked=untracked)
    path = keep(run_id, reading, plan, removal)
    work = _Work(request, timeout, path)
    work.remove(removal)
    work.verify(removal)
    done = Plan(tuple(work.done))
    return Outcome(done, told, removal.kept, path, work.retries, untracked)


class _Work:
    """One removal, and what of it is done."""

    def __init__(self, request: domain.Request, timeout: float, path: str) -> None:
        self._request = request
        self._timeout = timeout
        self._path = path
        self.done: list[Step] = []
        self.retries = 0

    def remove(self, removal: domain.Removal) -> None:
        """Do the steps of `domain.plan`, in its order. Raises PartlyDone."""
        for change in removal.tables:
            self._table(change)
        rest = removal._replace(tables=())
        steps = list(domain.plan(rest).steps)
        for action in _actions(rest):
            step = steps.pop(0)
            try:
                action()
            except (_nfnetlink.NetlinkError, OSError) as exc:
                self._stop(f"{step.action} failed ({exc}): {step.target}.")
            self.done.append(step)

    def _table(self, change: domain.TableChange) -> None:
        """Commit one table; when the kernel refuses, read it again and decide anew."""
        current: domain.TableChange | None = change
        refusal = ""
        for attempt in range(_TRIES):
            if attempt:
                self.retries += 1
                current = self._anew(change)
            if current is None:
                return
            try:
                _restore(current, self._timeout)
            except _iptables.ToolError as exc:
                refusal = str(exc)
                continue
            self.done.append(domain.table_step(current))
            return
        self._stop(f"{refusal} It was read and tried {_TRIES} times.")

    def _anew(self, change: domain.TableChange) -> domain.TableChange | None:
        deadline = time.monotonic() + self._timeout
        try:
            graphs, save = _kube_rules_read.read_save(change.backend, change.family, [], deadline)
            save.close()
        except RulesError as exc:
            self._stop(str(exc).replace(" Nothing was changed.", ""))
        return next((c for c in domain.tables(graphs) if c.table == change.table), None)

    def verify(self, removal: domain.Removal) -> None:
        """Look whether it is gone. Raises PartlyDone."""
        try:
            seen = _kube_rules_read.read(self._timeout).seen
        except RulesError as exc:
            self._stop(str(exc).replace(" Nothing was changed.", ""))
        steps = domain.plan(domain.again(seen, removal, self._request)).steps
        if steps:
            what = ", ".join(sorted({step.target for step in steps}))
            self._stop(
                f"Applied but not effective: {what} has some again. Something makes it anew: does "
                "kube-proxy run in this node's network, perhaps inside k3s or rke2?"
            )

    def _stop(self, text: str) -> NoReturn:
        done = Plan(tuple(self.done))
        gone = ", ".join(step.target for step in done.steps) or "nothing yet"
        raise PartlyDone(
            f"{text} Removed by then: {gone}. Each table was changed whole or not at all; run it "
            f"again to go on from there. How it was: {self._path}.",
            done,
            self._path,
        )


def _actions(removal: domain.Removal) -> list[Callable[[], None]]:
    """What does each step of `domain.plan`, in its order."""
    nl = _kube_rules_netlink
    actions: list[Callable[[], None]] = []
    if removal.servers:
        actions.append(lambda: nl.delete_servers(removal.servers))
    if removal.kube_ipvs0 is not None:
        actions.append(lambda: nl.delete_link(_kube_proxy.DUMMY))
    if removal.sets:
        actions.append(lambda: _each(nl.delete_set, [s.name for s in removal.sets]))
    if removal.accounts:
        actions.append(lambda: _each(nl.delete_account, list(removal.accounts)))
    for table in removal.nft_tables:
        actions.append(lambda t=table: nl.delete_table(t.family, t.name))  # type: ignore[misc]
    for key, _before, after in removal.sysctls:
        actions.append(lambda k=key, v=after: _set(k, v))  # type: ignore[misc]
    if removal.flows:
        actions.append(lambda: _forget(removal.flows))
    return actions


def _forget(flows: tuple[Flow, ...]) -> None:
    for flow in flows:
        try:
            _kube_rules_conntrack.delete(flow)
        except _nfnetlink.NetlinkError as exc:
            if exc.code != errno.ENOENT:  # it ran out meanwhile
                raise


def _each(delete: Callable[[str], None], names: list[str]) -> None:
    for name in names:
        delete(name)


def _set(key: str, value: int) -> None:
    with open("/proc/sys/" + key.replace(".", "/"), "w", encoding="ascii") as file:
        file.write(f"{value}\n")


def _restore(change: domain.TableChange, timeout: float) -> None:
    """Have iptables-restore commit one table's transaction. Raises ToolError."""
    tool = next(tool for name, tool, _legacy in _iptables.FAMILIES if name == change.family)
    command = _iptables.find(change.backend, tool, "restore")
    command += ["--noflush", "--counters", f"--wait={max(1, int(timeout))}"]
    with tempfile.TemporaryFile("w+b") as text, tempfile.TemporaryFile("w+b") as output:
        text.write(domain.transaction(change).encode("utf-8", "surrogateescape"))
        text.seek(0)
        deadline = time.monotonic() + timeout
        _iptables.run(command, output, deadline, f"iptables-restore for {change.where}", text)


def keep(run_id: str, reading: Reading, plan: Plan, removal: domain.Removal) -> str:
    """Write how it was into the run's undo folder (0700, files 0600); return the folder.

    What a former attempt of the run kept stays. Raises RulesError; nothing was changed then.
    """
    path = f"{UNDO}/{run_id}"
    try:
        folder = _program.open_folder(path)
        try:
            there = set(os.listdir(folder))
            for name, data in _evidence(reading, plan, removal):
                if name not in there:
                    _program.write(folder, name, data)
        finally:
            os.close(folder)
    except OSError as exc:
        raise RulesError(
            f"The undo folder {path} cannot be written: {exc.strerror or exc}. Free space there, "
            "make it writable, and use 'become: true'. Nothing was changed."
        ) from None
    return path


def _evidence(reading: Reading, plan: Plan, removal: domain.Removal) -> Iterator[tuple[str, bytes]]:
    """The files of the undo folder: name and content, one at a time."""
    for (backend, family), save in reading.saves.items():
        save.seek(0)
        tool = "iptables" if family == "ip" else "ip6tables"
        yield f"kube-proxy.{tool}-{backend}.save", save.read()
    with contextlib.suppress(FileNotFoundError), open(_ipvs.PATH, "rb") as file:
        yield "kube-proxy.ip_vs", file.read()
    tools = [["ipset", "save"]] if removal.sets else []
    tools += [["nft", "list", "table", t.family, t.name] for t in removal.nft_tables]
    for command in tools:
        program = _iptables.which(command[0])
        if program:
            name = "-".join(["kube-proxy", *command]).replace("-list-table", "")
            yield f"{name}.save", _output([program, *command[1:]])
    observed = reading.seen.observed
    content = {
        "note": _NOTE,
        "steps": [
            {"action": step.action, "target": step.target, "before": step.before}
            for step in plan.steps
        ],
        "sysctls": dict(observed.sysctls),
        "kube_ipvs0": None if observed.kube_ipvs0 is None else list(observed.kube_ipvs0),
        "virtual_servers": [str(server) for server in removal.servers],
        "ipsets": [{"name": s.name, "type": s.type, "entries": s.entries} for s in removal.sets],
        "kept": [kept._asdict() for kept in removal.kept],
    }
    yield "kube-proxy.json", json.dumps(content, indent=1).encode() + b"\n"


def _output(command: list[str]) -> bytes:
    """What a tool prints; its complaint where it cannot. Evidence only, so that is no failure."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        return f"# {exc}\n".encode()
    return done.stdout or done.stderr
