# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hands of the lab's antrea-agent on a node: OVSDB, flows, and the move of a NIC.

It uses ``ovs-vsctl`` and ``ovs-ofctl``, which real nodes do not have: what is tested may not.
Source: antrea-io/antrea ``pkg/agent/util/net_linux.go``, ``pkg/agent/openflow/cookie``.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Obj = dict[str, Any]

RUN = "/run/antrea/openvswitch"
SOCKET = f"unix:{RUN}/db.sock"
FLAG = "flow-restore-wait"
INTEGRATION, GATEWAY = "br-int", "antrea-gw0"

# A cookie: 16 bits of round, 8 bits of category (0 default, 1 pods, 2 policies, 3 services).
_FLOWS = (
    (0, "priority=200,arp actions=NORMAL"),
    (0, f"priority=190,ip,in_port={GATEWAY} actions=resubmit(,10)"),
    (0, "priority=0 actions=drop"),
    (1, "table=10,priority=200,ip actions=resubmit(,20)"),
    (2, "table=20,priority=64990,ip,tcp,tp_dst=179 actions=resubmit(,30)"),
    (2, "table=20,priority=0 actions=resubmit(,30)"),
    (3, "table=30,priority=0 actions=NORMAL"),
)


def run(*command: str, text: str | None = None) -> str:
    """Return what a program prints. Raises OSError with its message when it fails."""
    env = {**os.environ, "OVS_RUNDIR": RUN}
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, check=False, env=env, timeout=60
    )
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def vsctl(*words: str) -> str:
    return run(
        "ovs-vsctl", "--no-syslog", "--retry", f"--db={SOCKET}", "--timeout=10", *words
    ).strip()


def vswitchd() -> str:
    """Return the process id of a living ovs-vswitchd, "" without one."""
    try:
        pid = Path(RUN, "ovs-vswitchd.pid").read_text(encoding="ascii").strip()
        return pid if Path("/proc", pid, "comm").read_text().strip() == "ovs-vswitchd" else ""
    except OSError:
        return ""


def clear_flag() -> None:
    vsctl("--no-wait", "remove", "Open_vSwitch", ".", "other_config", FLAG)


def flag() -> bool:
    got = vsctl("--no-wait", "--if-exists", "get", "Open_vSwitch", ".", f"other_config:{FLAG}")
    return got == '"true"'


def exists(device: str) -> bool:
    return Path("/sys/class/net", device).exists()


def ports(bridge: str) -> list[str]:
    """Return a bridge's ports; none when there is no such bridge."""
    have = vsctl("--no-wait", "list-br").split()
    return vsctl("--no-wait", "list-ports", bridge).split() if bridge in have else []


def make_integration(gateway: str) -> int:
    """Make br-int with its gateway where absent, and begin a round; return its number."""
    vsctl("--may-exist", "add-br", INTEGRATION)
    old = vsctl("br-get-external-id", INTEGRATION, "roundNum") or "0"
    number = int(old) % 65535 + 1
    vsctl(
        *("br-set-external-id", INTEGRATION, "roundNum", str(number)),
        *("--", "--may-exist", "add-port", INTEGRATION, GATEWAY),
        *("--", "set", "interface", GATEWAY, "type=internal"),
        *("--", "set", "port", GATEWAY, "external_ids:antrea-type=gateway"),
    )
    run("ip", "address", "replace", gateway, "dev", GATEWAY)
    run("ip", "link", "set", "dev", GATEWAY, "up")
    return number


def install_flows(number: int) -> None:
    """Make br-int's flows those of a round."""
    lines = [f"cookie={number << 48 | kind << 40:#x},{flow}\n" for kind, flow in _FLOWS]
    run("ovs-ofctl", "-O", "OpenFlow13", "replace-flows", INTEGRATION, "-", text="".join(lines))


def make_bridge(name: str, *, marked: bool) -> None:
    vsctl("--may-exist", "add-br", name)
    if marked:
        vsctl("br-set-external-id", name, "antrea-type", "secondary-bridge")


def delete_bridge(name: str) -> None:
    vsctl("--if-exists", "del-br", name)


def attach(bridge: str, device: str) -> None:
    """Add a device to a bridge as its uplink."""
    kind = ("set", "port", device, "external_ids:antrea-type=uplink")
    vsctl("--may-exist", "add-port", bridge, device, "--", *kind)


def detach(bridge: str, device: str) -> None:
    vsctl("--if-exists", "del-port", bridge, device)


@dataclass
class Identity:
    """What moves with a NIC's name."""

    mac: str
    addresses: list[str]
    routes: list[list[str]]


def identity(nic: str) -> Identity:
    """Read it from the kernel. Raises OSError when there is no such device."""
    link = json.loads(run("ip", "-j", "address", "show", "dev", nic))[0]
    found = [a for a in link["addr_info"] if a.get("scope") != "link" or a["family"] == "inet"]
    routes = []
    for family in ("-4", "-6"):
        for line in run("ip", family, "route", "show", "dev", nic).splitlines():
            if "proto kernel" not in line:
                routes.append([family, *line.replace(" linkdown", "").split()])
    routes.sort(key=lambda route: "via" in route)  # a gateway has to be reachable first
    return Identity(link["address"], [f"{a['local']}/{a['prefixlen']}" for a in found], routes)


def give(nic: str, who: Identity) -> None:
    """Give a device that is up addresses and routes."""
    for address in who.addresses:
        run("ip", "address", "replace", address, "dev", nic)
    for family, *route in who.routes:
        run("ip", family, "route", "replace", *route, "dev", nic)


def rename(old: str, new: str) -> None:
    run("ip", "link", "set", "dev", old, "down")
    run("ip", "link", "set", "dev", old, "name", new)
    run("ip", "link", "set", "dev", new, "up")


def move(bridge: str, nic: str, reached: Callable[[str], None]) -> None:
    """Put a NIC into a bridge; an internal port takes its name, MAC, addresses and routes."""
    who = identity(nic)
    rename(nic, f"{nic}~")
    reached("renamed")
    kind = ("set", "interface", nic, "type=internal", f'mac="{who.mac}"')
    host = ("set", "port", nic, "external_ids:antrea-type=host")
    vsctl("add-port", bridge, nic, "--", *kind, "--", *host)
    reached("port")
    run("ip", "address", "flush", "dev", f"{nic}~", "scope", "global")
    run("ip", "link", "set", "dev", nic, "up")
    give(nic, who)
    reached("moved")
    attach(bridge, f"{nic}~")
    reached("attached")


def move_back(bridge: str, nic: str) -> None:
    """Undo ``move``."""
    who = identity(nic)
    detach(bridge, f"{nic}~")
    detach(bridge, nic)
    rename(f"{nic}~", nic)
    give(nic, who)
