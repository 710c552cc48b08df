# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard against a stuck flow-restore-wait: its settings, its units, when it acts. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan, Step

NAME = "k8snet-flow-restore-guard"
#: No node has been up for so many seconds; not-a-number is not below it either.
_LATEST = 1e12
UNIT_DIR = "/etc/systemd/system"
SERVICE = f"{NAME}.service"
TIMER = f"{NAME}.timer"

# Nothing that systemd or a shell would read as more than a word.
_PATH = re.compile(r"/[A-Za-z0-9/_.@+-]+")
_SERVER = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})"
)
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]+")


@dataclass(frozen=True)
class Settings:
    """What the guard goes by.

    ``minutes``: how long the key must have been seen set. ``interval``: seconds between two looks.
    ``agent_min_age`` in seconds, as in `_flow_restore.Options`. ``api_servers``: host:port.
    """

    minutes: int = 10
    interval: int = 60
    socket: str | None = None
    api_servers: tuple[str, ...] = ()
    node_addresses: tuple[str, ...] = ()
    agent_min_age: int = 120


def problem(settings: Settings) -> str | None:
    """What is wrong with the settings, None if nothing is."""
    if not 1 <= settings.minutes <= 1440:
        return f"minutes must be from 1 to 1440: {settings.minutes}."
    if not 5 <= settings.interval <= 3600:
        return f"interval must be from 5 to 3600 seconds: {settings.interval}."
    if not 0 <= settings.agent_min_age <= 86400:
        return f"agent_min_age must be from 0 to 86400 seconds: {settings.agent_min_age}."
    if settings.socket is not None and not _PATH.fullmatch(settings.socket):
        return f"socket is not an absolute path of plain characters: {settings.socket!r}."
    if not settings.api_servers:
        return (
            "api_servers is empty: without an address to try, the guard cannot tell that the API "
            "is unreachable. Name it as antrea-agent reaches it, host:port."
        )
    for server in settings.api_servers:
        found = _SERVER.fullmatch(server)
        if not found or not 1 <= int(found[1]) <= 65535:
            return f"api_servers: not host:port or [IPv6]:port: {server!r}."
    for address in settings.node_addresses:
        if not _ADDRESS.fullmatch(address):
            return f"node_addresses: not an address: {address!r}."
    return None


def arguments(settings: Settings) -> list[str]:
    """The command line of the guard's program."""
    words = [f"--minutes={settings.minutes}", f"--agent-min-age={settings.agent_min_age}"]
    words += [f"--socket={settings.socket}"] if settings.socket else []
    words += [f"--api-server={server}" for server in settings.api_servers]
    words += [f"--node-address={address}" for address in settings.node_addresses]
    return words


def service(settings: Settings, python: str, program: str) -> str:
    """The text of the service. It may open root's sockets and nothing else."""
    command = " ".join([python, "-I", program, *arguments(settings)])
    return f"""\
# Written by k8snet.cni.flow_restore_guard; removed by its state=absent.
[Unit]
Description=Clears a flow-restore-wait that is stuck while the API is unreachable
Documentation=https://github.com/k8snet/k8snet.cni

[Service]
Type=oneshot
ExecStart={command}
SyslogIdentifier=k8snet
# What has no level of its own is a surprise: a traceback, a Python that does not start.
SyslogLevel=err
# Neither each start nor each end is worth a line.
LogLevelMax=notice
TimeoutStartSec=180
# Since when the key has been seen set; the OVSDB keeps no history.
RuntimeDirectory={NAME}
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
UMask=0077
MemoryMax=128M
TasksMax=64
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
"""


def timer(settings: Settings) -> str:
    """The text of the timer. Its times count from the boot: clocks may jump."""
    return f"""\
# Written by k8snet.cni.flow_restore_guard; removed by its state=absent.
[Unit]
Description=Looks for a flow-restore-wait that is stuck

[Timer]
OnBootSec=30
OnUnitInactiveSec={settings.interval}
AccuracySec=1

[Install]
WantedBy=timers.target
"""


@dataclass(frozen=True)
class Installed:
    """What is on the node. ``programs``: the paths of the guard's programs."""

    service: str | None = None
    timer: str | None = None
    programs: tuple[str, ...] = ()
    running: bool = False
    enabled: bool = False


def plan(have: Installed, want: Installed | None) -> Plan:
    """How to come from ``have`` to ``want`` (None: nothing of the guard is left)."""
    goal = want or Installed()
    steps = []
    verb = "Install" if want else "Remove"
    for target, before, after in (
        (f"{UNIT_DIR}/{SERVICE}", have.service, goal.service),
        (f"{UNIT_DIR}/{TIMER}", have.timer, goal.timer),
    ):
        if before != after:
            words = "Change" if before and after else verb
            steps.append(Step(f"{words} a unit of systemd", target, before, after))
    for path in goal.programs:
        if path not in have.programs:
            steps.append(Step("Install the guard's program", path, None, "present\n"))
    for path in have.programs:
        if path not in goal.programs:
            steps.append(Step("Remove a program of the guard's", path, "present\n", None))
    state = {"running": have.running, "enabled": have.enabled}
    wanted = {"running": goal.running, "enabled": goal.enabled}
    if state != wanted:
        steps.append(Step("Start the guard" if want else "Stop the guard", TIMER, state, wanted))
    return Plan(tuple(steps))


@dataclass(frozen=True)
class Memory:
    """What one look leaves for the next: since when the key has been seen set, what was said last.

    ``since`` in seconds of the boot clock, None while the key is not set.
    """

    since: float | None = None
    said: str | None = None


def remember(memory: Memory, is_set: bool, now: float) -> tuple[Memory, int]:
    """The new memory, and for how many seconds the key has been seen set.

    A time that lies ahead is none of this boot's.
    """
    if not is_set:
        return Memory(), 0
    since = memory.since
    if since is None or not 0 <= since <= now:
        return Memory(now, None), 0
    return Memory(since, memory.said), int(now - since)


def memory_from(value: Any) -> Memory:
    """A memory out of what a file held; an empty one if that is broken."""
    if not isinstance(value, dict):
        return Memory()
    since, said = value.get("since", -1), value.get("said")
    number = isinstance(since, (int, float)) and not isinstance(since, bool)
    kept = since if number and 0 <= since < _LATEST else None
    return Memory(kept, said if isinstance(said, str) else None)


def server_address(server: str) -> tuple[str, int]:
    """Host and port of one of `Settings.api_servers`."""
    host, _colon, port = server.rpartition(":")
    return host.strip("[]"), int(port)


def lines(reason: str, warnings: Sequence[str]) -> list[str]:
    """What is written to the journal, with systemd's levels in front."""
    return [f"<5>{reason}", *(f"<4>{warning}" for warning in warnings)]
