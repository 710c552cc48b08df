# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a node's Open vSwitch: one OVSDB transaction, vswitchd's pid file, sysfs."""

from __future__ import annotations

import fcntl
import os
import struct
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _ovs as domain
from ansible_collections.k8snet.cni.plugins.module_utils.node import _nfnetlink, _ovsdb

_FLOCK = "@hhqqi4x"
_HOST_SCOPE = 254
_LINK_SCOPE = 253


def gather(socket: str | None = None, timeout: float = 10.0) -> dict[str, Any]:
    """The fact ``k8snet_ovs``; whatever cannot be read is told in its ``error``.

    :param socket: ovsdb-server's socket; None looks at `_ovsdb.DEFAULT_SOCKETS`.
    :param timeout: seconds for the whole conversation.
    """
    try:
        return read(socket, timeout)
    except _ovsdb.SocketAbsent as exc:
        return {**domain.nothing(), "error": str(exc) if socket else None}
    except _ovsdb.OvsdbError as exc:
        where = exc.where
        return {**domain.nothing(), "present": True, "socket": where, "error": str(exc)}


def read(socket: str | None = None, timeout: float = 10.0) -> dict[str, Any]:
    """As `gather`, but raises `_ovsdb.OvsdbError`, SocketAbsent included."""
    path = socket or _ovsdb.find_socket()
    operations = [_ovsdb.select_rows(table, *columns) for table, columns in domain.SELECTS]
    with _ovsdb.Client(path, timeout) as client:
        results = client.transact(_ovsdb.DATABASE, *operations)
    tables = [_rows(result, path) for result in results]
    try:
        summary = domain.summarise(tables, link_kinds(), global_addresses())
    except ValueError as exc:
        raise _ovsdb.NotOvsdb(
            f"The Open vSwitch database was never initialised ({exc})",
            path,
            "Start vswitchd, or run 'ovs-vsctl init'.",
        ) from exc
    running, uptime = vswitchd(os.path.dirname(path))
    found = {"present": True, "socket": path}
    found.update(vswitchd_running=running, vswitchd_uptime=uptime)
    return {**domain.nothing(), **summary, **found}


def _rows(result: dict[str, Any], path: str) -> list[dict[str, Any]]:
    rows = result.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _ovsdb.NotOvsdb(
            "Not an OVSDB server (a select without rows)", path, "Check the 'socket' option."
        )
    return rows


def link_kinds(sysfs: str = "/sys/class/net") -> dict[str, str]:
    """Each link as physical, bond, vlan, team or other: what decides whether it is an uplink."""
    kinds: dict[str, str] = {}
    try:
        names = os.listdir(sysfs)
    except OSError:
        return kinds
    for name in names:
        base = os.path.join(sysfs, name)
        if os.path.exists(os.path.join(base, "device")):
            kinds[name] = "physical"
            continue
        kind = _devtype(os.path.join(base, "uevent"))
        kinds[name] = kind if kind in domain.UPLINK_KINDS else "other"
    return kinds


def _devtype(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("DEVTYPE="):
                    return line[8:].strip()
    except OSError:
        pass
    return "other"


def global_addresses() -> dict[str, list[str]]:
    """Each link's addresses that others can reach; empty where the kernel does not tell."""
    try:
        links = _nfnetlink.link_addresses()
    except _nfnetlink.NetlinkError:
        return {}
    usable = {
        name: [f"{a}/{p}" for scope, a, p in found if scope not in (_LINK_SCOPE, _HOST_SCOPE)]
        for name, found in links.items()
    }
    return {name: found for name, found in usable.items() if found}


def vswitchd(run_dir: str, proc: str = "/proc") -> tuple[bool | None, int | None]:
    """Whether ovs-vswitchd runs, and for how many seconds; None is what cannot be seen.

    Antrea's vswitchd lives in a container: the number in its pid file means nothing on the host.
    The daemon locks the file, though, and the kernel tells the holder's pid as we see it.
    """
    path = os.path.join(run_dir, "ovs-vswitchd.pid")
    pid = _lock_holder(path)
    if pid is None:
        # Started without a pid file, one that runs cannot be told from another's.
        unknown = not os.path.exists(path) and _named("ovs-vswitchd", proc)
        return (None if unknown else False), None
    return True, _uptime(pid, proc) if pid > 0 else None


def _named(name: str, proc: str) -> bool:
    """Whether any process has this name."""
    for entry in os.listdir(proc) if os.path.isdir(proc) else ():
        if entry.isdigit():
            try:
                with open(f"{proc}/{entry}/comm", "rb") as file:
                    if file.read().strip() == name.encode():
                        return True
            except OSError:
                continue  # It ended while we looked.
    return False


def _lock_holder(path: str) -> int | None:
    """The pid that holds a POSIX lock on ``path``; 0 if it is out of sight, None if nobody."""
    try:
        with open(path, "rb") as file:
            asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            answer = fcntl.fcntl(file, fcntl.F_GETLK, asked)
    except OSError:
        return None
    kind, _whence, _start, _length, pid = struct.unpack(_FLOCK, answer)
    return None if kind == fcntl.F_UNLCK else max(int(pid), 0)


def _uptime(pid: int, proc: str) -> int | None:
    """Seconds since ``pid`` was started. The clock is the kernel's own: dates may jump."""
    try:
        with open(f"{proc}/{pid}/stat", "rb") as file:
            # The command name is in parentheses and may hold anything, these included.
            fields = file.read().rpartition(b")")[2].split()
        with open(f"{proc}/uptime", "rb") as file:
            now = float(file.read().split()[0])
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
    return max(0, int(now - started))
