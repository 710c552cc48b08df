# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard's program: looks once, and clears a flow-restore-wait that is stuck.

Runs on the node from a timer of systemd, as a zip-app, without Ansible and without network. Acts
only when the key has been seen set for long enough, no API server can be reached, and the same
judge that the module asks says so. Its standard output goes to the journal.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _flow_guard as domain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _flow_restore as judge
from ansible_collections.k8snet.cni.plugins.module_utils.node import _flow_restore, _ovsdb

#: All that the program is made of, for `_program.build`.
ENTRY = "node._flow_guard:main"
MODULES = (
    "_plan",
    "domain._flow_guard",
    "domain._flow_restore",
    "domain._ovs",
    "node._flow_guard",
    "node._flow_restore",
    "node._flow_restore_net",
    "node._jsonframes",
    "node._nfnetlink",
    "node._openflow",
    "node._ovs",
    "node._ovsdb",
)
_CONNECT = 5.0
#: Below TimeoutStartSec of the unit, with what goes before it.
_CLEAR = 120.0


def main() -> int:
    """Look once; the exit status."""
    settings = _settings(sys.argv[1:])
    wrong = domain.problem(settings)
    if wrong:
        _print(f"<3>{wrong}")
        return 2
    path = os.path.join(os.environ.get("RUNTIME_DIRECTORY", f"/run/{domain.NAME}"), "memory.json")
    try:
        return look(settings, path)
    except (_ovsdb.OvsdbError, _flow_restore.FlowRestoreError, OSError) as exc:
        _print(f"<3>{exc}")
        return 1


def _print(text: str) -> None:
    """Write to the journal, at once: what comes next may take long."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _settings(words: Sequence[str]) -> domain.Settings:
    parser = argparse.ArgumentParser(prog=domain.NAME, allow_abbrev=False)
    parser.add_argument("--minutes", type=int, required=True)
    parser.add_argument("--agent-min-age", type=int, required=True)
    parser.add_argument("--socket")
    parser.add_argument("--api-server", action="append", default=[])
    parser.add_argument("--node-address", action="append", default=[])
    given = parser.parse_args(words)
    return domain.Settings(
        minutes=given.minutes,
        socket=given.socket,
        api_servers=tuple(given.api_server),
        node_addresses=tuple(given.node_address),
        agent_min_age=given.agent_min_age,
    )


def look(settings: domain.Settings, path: str) -> int:
    """Look once and keep in ``path`` what the next look needs. Raises OvsdbError and others."""
    try:
        where = settings.socket or _ovsdb.find_socket()
        is_set = _flow_restore.read_root(where).is_set
    except _ovsdb.SocketAbsent:
        is_set = False
    memory, set_for = domain.remember(_load(path), is_set, time.clock_gettime(time.CLOCK_BOOTTIME))
    if is_set:
        memory = _when_set(settings, memory, set_for)
    _save(path, memory)
    return 0


def _when_set(settings: domain.Settings, memory: domain.Memory, set_for: int) -> domain.Memory:
    """Judge, clear if that says so, and say what is new."""
    long = settings.minutes * 60
    if set_for < long:
        text = f"{judge.KEY} is set. If it still is in {settings.minutes} min, it will be judged."
        return _say(memory, "waiting", [f"<5>{text}"])
    reached = reachable(settings.api_servers)
    if reached:
        text = f"{judge.KEY} has been set for long, but the API answers at {reached}: left alone."
        return _say(memory, "reachable", [f"<5>{text}"])
    request = _flow_restore.Request(
        judge.Options(long, settings.agent_min_age),
        settings.socket,
        _CLEAR,
        settings.node_addresses,
        set_for,
    )
    verdict = _flow_restore.run(request, write=False).verdict
    if not verdict.act:
        return _say(memory, verdict.code, domain.lines(verdict.reason, ()))
    # Said before it is done: whatever happens then, the journal tells who did it.
    for line in domain.lines(f"Clearing it. {verdict.reason}", verdict.warnings):
        _print(line)
    outcome = _flow_restore.run(request, write=True)
    if not outcome.cleared:
        return _say(memory, outcome.verdict.code, domain.lines(outcome.verdict.reason, ()))
    _print(f"<5>Cleared: ovs-vswitchd has taken it over. {outcome.forwarding['how']}")
    return domain.Memory()


def _say(memory: domain.Memory, word: str, text: list[str]) -> domain.Memory:
    """Print ``text`` unless the same was said last time: the journal is no drum."""
    if memory.said != word:
        _print("\n".join(text))
    return domain.Memory(memory.since, word)


def reachable(servers: Sequence[str], timeout: float = _CONNECT) -> str | None:
    """The first of ``servers`` that takes a TCP connection, None when none does in time."""
    found: list[str] = []
    threads = []
    for server in servers:
        # A daemon: a resolver that hangs must not keep the program from ending.
        thread = threading.Thread(target=_connect, args=(server, timeout, found), daemon=True)
        thread.start()
        threads.append(thread)
    deadline = time.monotonic() + timeout
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return found[0] if found else None


def _connect(server: str, timeout: float, found: list[str]) -> None:
    try:
        with socket.create_connection(domain.server_address(server), timeout):
            found.append(server)
    except (OSError, ValueError):
        pass


def _load(path: str) -> domain.Memory:
    try:
        with open(path, encoding="utf-8") as file:
            return domain.memory_from(json.load(file))
    except (OSError, ValueError):
        return domain.Memory()


def _save(path: str, memory: domain.Memory) -> None:
    temporary = f"{path}.new"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump({"since": memory.since, "said": memory.said}, file)
    os.replace(temporary, path)
