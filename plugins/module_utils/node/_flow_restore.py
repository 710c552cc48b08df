# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clears a flow-restore-wait that is stuck on this node: look, judge, write, see it work."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _flow_restore as domain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _ovs as rows
from ansible_collections.k8snet.cni.plugins.module_utils.node import (
    _flow_restore_net,
    _openflow,
    _ovs,
    _ovsdb,
)

#: Seconds for one conversation with ovsdb-server, and for one bridge's flows.
_ONE_TALK = 10.0
#: Bytes that an answer about the one row may have.
_ONE_ROW = 1024 * 1024
_PAUSE = 0.2
#: Seconds for reading the flows of all bridges together.
_FLOWS = 10.0
#: What ovsdb-server's restart looks like from here.
_PASSES = (
    _ovsdb.SocketAbsent,
    _ovsdb.NobodyListens,
    _ovsdb.ConnectionClosed,
    _ovsdb.TimedOut,
)


class FlowRestoreError(Exception):
    """The key could not be cleared, or clearing it did not help. ``changed``: it was cleared."""

    def __init__(
        self, text: str, changed: bool = False, verdict: domain.Verdict | None = None
    ) -> None:
        super().__init__(text)
        self.changed = changed
        self.verdict = verdict


@dataclass(frozen=True)
class Root:
    """The one row of table Open_vSwitch. ``value`` is the key as it is written, None: not there."""

    uuid: str
    value: str | None
    is_set: bool
    cur_cfg: int
    next_cfg: int


@dataclass(frozen=True)
class Look:
    """A node as it was found, with what is needed to write."""

    root: Root
    seen: domain.Seen
    facts: dict[str, Any]


@dataclass
class Outcome:
    """What was done. ``forwarding``: {proven: bool or None, how: text}."""

    verdict: domain.Verdict
    was: str | None = None
    cleared: bool = False
    cur_cfg: int | None = None
    next_cfg: int | None = None
    forwarding: dict[str, Any] = field(default_factory=lambda: {"proven": None, "how": None})


@dataclass(frozen=True)
class Request:
    """What the caller asks for. ``wait_timeout`` in seconds is for everything together."""

    options: domain.Options
    socket: str | None = None
    wait_timeout: float = 60.0
    node_addresses: tuple[str, ...] = ()
    #: How long the caller has seen the key set, in seconds.
    set_for: int | None = None


def run(request: Request, write: bool) -> Outcome:
    """Judge, and where ``write`` is true clear the key if the verdict says so.

    Raises FlowRestoreError, `_ovsdb.OvsdbError`.
    """
    deadline = time.monotonic() + request.wait_timeout
    try:
        socket = _patiently(lambda: _socket(request), deadline, _somebody_needs_it(request))
    except _ovsdb.SocketAbsent as exc:
        if request.socket or _somebody_needs_it(request):
            raise
        reason = f"There is no Open vSwitch here ({exc.where})."
        return Outcome(domain.Verdict(False, False, "no_ovs", reason))
    first: Outcome | None = None
    while True:
        # Somebody may write while we judge: each attempt judges anew.
        look = _patiently(lambda: observe(socket, request), deadline, True)
        verdict = domain.judge(look.seen, request.options)
        outcome = Outcome(verdict, look.root.value, False, look.root.cur_cfg, look.root.next_cfg)
        if first is not None and verdict.code == "not_set":
            # Our own transaction went through, and only its answer was lost.
            first.cleared = True
            return _effective(socket, first, look.root.next_cfg, look, deadline)
        if not verdict.act or not write:
            return outcome
        try:
            target = _clear(socket, look.root)
        except _ovsdb.TransactionFailed as exc:
            if exc.error != "timed out":
                raise
            first = None
        except _PASSES:
            first = outcome
        else:
            outcome.cleared = True
            return _effective(socket, outcome, target, look, deadline)
        if time.monotonic() >= deadline:
            raise FlowRestoreError(
                f"{domain.KEY} was not cleared within {request.wait_timeout:g} s: ovsdb-server "
                f"comes and goes, or somebody writes the key all the time ({socket}). See its log.",
                verdict=verdict,
            )
        time.sleep(_PAUSE)


def _socket(request: Request) -> str:
    return _ovsdb.find_socket((request.socket,) if request.socket else ())


def _somebody_needs_it(request: Request) -> bool:
    """Whether ovs-vswitchd runs where the socket should be: then it is only being restarted."""
    places = (request.socket,) if request.socket else _ovsdb.DEFAULT_SOCKETS
    return any(_ovs.vswitchd(os.path.dirname(path))[0] for path in places)


def observe(socket: str, request: Request) -> Look:
    """Read the node. Raises `_ovsdb.OvsdbError`."""
    root = read_root(socket)
    facts = _ovs.read(socket, _ONE_TALK)
    daemons = {
        "vswitchd_running": facts["vswitchd_running"],
        "vswitchd_uptime": facts["vswitchd_uptime"],
        "agent_age": age_of("antrea-agent"),
    }
    if not root.is_set:
        return Look(root, domain.Seen(False, **daemons), facts)
    addresses = _ovs.global_addresses()
    own = domain.own_port(
        facts, _flow_restore_net.default_devices(), addresses, request.node_addresses
    )
    seen = domain.Seen(
        is_set=True,
        **daemons,
        flows=flows(os.path.dirname(socket), domain.pod_bridges(facts["bridges"])),
        own_on_bridge=own,
        set_for=request.set_for,
    )
    return Look(root, seen, facts)


def read_root(socket: str) -> Root:
    """Read the row that holds the key. Raises `_ovsdb.OvsdbError`."""
    columns = ("_uuid", "other_config", "cur_cfg", "next_cfg")
    with _ovsdb.Client(socket, _ONE_TALK, _ONE_ROW) as client:
        answer = client.transact(_ovsdb.DATABASE, _ovsdb.select_rows("Open_vSwitch", *columns))
    found = answer[0].get("rows")
    row = found[0] if isinstance(found, list) and len(found) == 1 else None
    uuids = rows.decode_uuids(row.get("_uuid")) if isinstance(row, dict) else []
    if not isinstance(row, dict) or not uuids:
        raise _ovsdb.NotOvsdb(
            "The Open vSwitch database has not exactly one row in table Open_vSwitch",
            socket,
            "Start vswitchd, or run 'ovs-vsctl init'.",
        )
    config = rows.decode_map(row.get("other_config"))
    return Root(
        uuids[0],
        config.get(domain.KEY),
        rows.flow_restore_wait(config),
        _number(row.get("cur_cfg")),
        _number(row.get("next_cfg")),
    )


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def flows(run_dir: str, bridges: Sequence[str]) -> tuple[domain.Flows, ...]:
    """What the flows of each bridge say; whatever cannot be read says so itself."""
    deadline = time.monotonic() + _FLOWS
    found = []
    for bridge in bridges:
        path = os.path.join(run_dir, f"{bridge}.mgmt")
        left = max(0.5, deadline - time.monotonic())
        try:
            has, count = _openflow.find(path, domain.is_antrea, min(left, 5.0))
        except _openflow.OpenFlowError as exc:
            found.append(domain.Flows(bridge, domain.UNREADABLE, error=str(exc)))
        else:
            found.append(domain.Flows(bridge, domain.ANTREA if has else domain.NONE, count))
    return tuple(found)


def age_of(name: str, proc: str = "/proc") -> int | None:
    """Seconds since the youngest process called ``name`` was started, None without any.

    By the name in /proc: the agent runs in a container, its pid file means nothing here.
    """
    try:
        with open(f"{proc}/uptime", "rb") as file:
            now = float(file.read().split()[0])
        entries = os.listdir(proc)
    except (OSError, ValueError, IndexError):
        return None
    ticks = os.sysconf("SC_CLK_TCK")
    starts = [_started(f"{proc}/{entry}", name) for entry in entries if entry.isdigit()]
    latest = max((start for start in starts if start is not None), default=None)
    return None if latest is None else max(0, int(now - latest / ticks))


def _started(folder: str, name: str) -> int | None:
    """When the process was started, in ticks since boot; None for another one, or a dead one."""
    try:
        with open(f"{folder}/comm", "rb") as file:
            if file.read().strip() != name.encode():
                return None
        with open(f"{folder}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None  # It ended while we looked.


def _patiently(read: Any, deadline: float, comes_back: bool) -> Any:
    """``read()``, again while ovsdb-server is being restarted. Raises `_ovsdb.OvsdbError`."""
    while True:
        try:
            return read()
        except _ovsdb.SocketAbsent:
            # A restart takes the file away for a moment; one that never was is a wrong path.
            if not comes_back or time.monotonic() >= deadline:
                raise
        except _PASSES:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_PAUSE)


def _clear(socket: str, root: Root) -> int:
    """Delete the key if it still is what was read, in one transaction; the next_cfg to wait for.

    ``next_cfg`` is counted up as ovs-vsctl does it: ovs-vswitchd writes the number that it has
    taken over into ``cur_cfg``, whoever asked. Raises `_ovsdb.OvsdbError`.
    """
    here = ["_uuid", "==", ["uuid", root.uuid]]
    pair = ["map", [[domain.KEY, root.value]]]
    table = {"table": "Open_vSwitch"}
    wait = {
        **table,
        "op": "wait",
        "timeout": 0,
        # The key alone is compared: others may write their own keys meanwhile.
        "where": [here, ["other_config", "includes", pair]],
        "columns": ["_uuid"],
        "until": "==",
        "rows": [{"_uuid": ["uuid", root.uuid]}],
    }
    mutations = [["other_config", "delete", pair], ["next_cfg", "+=", 1]]
    mutate = {**table, "op": "mutate", "where": [here], "mutations": mutations}
    select = {**table, "op": "select", "where": [here], "columns": ["next_cfg"]}
    with _ovsdb.Client(socket, _ONE_TALK, _ONE_ROW) as client:
        answer = client.transact(_ovsdb.DATABASE, wait, mutate, select)
    found = answer[2].get("rows")
    first = found[0] if isinstance(found, list) and found else None
    if not isinstance(first, dict):
        raise FlowRestoreError(f"{socket} answered without the row that was written.", True)
    return _number(first.get("next_cfg"))


def _effective(socket: str, outcome: Outcome, target: int, look: Look, deadline: float) -> Outcome:
    """Read back, and wait until ovs-vswitchd has caught up and packets pass.

    Raises FlowRestoreError.
    """
    cleared_at = time.monotonic()
    failed = f"{domain.KEY} was cleared, but not effective:"
    while True:
        try:
            root = _patiently(lambda: read_root(socket), deadline, True)
        except _ovsdb.OvsdbError as exc:
            raise FlowRestoreError(f"{failed} {exc}", True, outcome.verdict) from exc
        outcome.cur_cfg, outcome.next_cfg = root.cur_cfg, root.next_cfg
        if root.is_set:
            raise FlowRestoreError(
                f"{failed} the key is set again. Who sets it? Antrea's start_ovs does whenever it "
                "finds ovs-vswitchd dead: see the log of container antrea-ovs.",
                True,
                outcome.verdict,
            )
        if root.cur_cfg >= target:
            break
        if time.monotonic() >= deadline:
            raise FlowRestoreError(
                f"{failed} ovs-vswitchd has not taken it over in time (cur_cfg {root.cur_cfg}, "
                f"next_cfg {root.next_cfg}). Does it hang? See the log of container antrea-ovs.",
                True,
                outcome.verdict,
            )
        time.sleep(_PAUSE)
    proof = _flow_restore_net.prove(look.facts, cleared_at, deadline)
    outcome.forwarding = {"proven": proof.proven, "how": proof.how}
    if proof.proven is False:
        raise FlowRestoreError(f"{failed} {proof.how}", True, outcome.verdict)
    return outcome
