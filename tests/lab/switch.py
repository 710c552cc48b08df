# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisor's networks: a switch with Proxmox-like ports, an out-of-band one, and a dead end.

Runs in the lab's network namespace. The switch `vmbr0` is Open vSwitch with the userspace datapath
(the machine's kernel needs no module), with its own database and run directory.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.errors import LabError

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
HOST_ADDRESS = "10.160.1.1"
#: Link-local, so that no autodetection of a node address takes the out-of-band NIC for a candidate.
OOB_HOST_ADDRESS = "169.254.77.1"
NATIVE_TAG = 216

BRIDGE, OOB, NOWHERE = "vmbr0", "oob", "nowhere"


def run(*argv: str | Path) -> str:
    """Runs a program and returns what it printed; LabError with its complaint when it fails."""
    words = [str(word) for word in argv]
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise LabError(f"'{' '.join(words)}' failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


@dataclass
class Switch:
    """The networks of one lab; `directory` holds the database, sockets and logs."""

    directory: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Starts the switch and the host's addresses on it; returns when it forwards."""
        self.directory.mkdir()
        database = self.directory / "conf.db"
        run("ovsdb-tool", "create", database, SCHEMA)
        self._daemon("ovsdb-server", f"--remote=punix:{self._socket}", str(database))
        # TCP checksums of nodes would stay unfinished without it: ping would work, ssh would not.
        # It is read once, when ovs-vswitchd starts.
        tso = "other_config:userspace-tso-enable=true"
        self.vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".", tso)
        self._daemon("ovs-vswitchd", f"unix:{self._socket}")
        words = f"add-br {BRIDGE} -- set bridge {BRIDGE} datapath_type=netdev"
        words += f" -- add-port {BRIDGE} host0 tag={NATIVE_TAG} -- set interface host0"
        self.vsctl(*words.split(), "type=internal")
        script = [
            "link set lo up",
            f"address add {HOST_ADDRESS}/24 dev host0",
            "link set host0 up",
            f"link add {OOB} type bridge",
            f"address add {OOB_HOST_ADDRESS}/24 dev {OOB}",
            f"link set {OOB} up",
            # Never set up: a port of it has a link and nobody at the other end.
            f"link add {NOWHERE} type bridge",
        ]
        self._ip(script)

    def plug(self, tap: str, network: str, tag: int | None, trunks: Sequence[int]) -> None:
        """Makes a tap and puts it on a network: vmbr0 (with tag and trunks), oob or nowhere."""
        script = [f"tuntap add dev {tap} mode tap"]
        if network != BRIDGE:
            script.append(f"link set {tap} master {network}")
        self._ip([*script, f"link set {tap} up"])
        if network == BRIDGE:
            self.vsctl("add-port", BRIDGE, tap, *_vlans(tap, tag, trunks))

    def unplug(self, tap: str, network: str) -> None:
        """Takes the tap from its network and removes it."""
        if network == BRIDGE:
            self.vsctl("--if-exists", "del-port", BRIDGE, tap)
        self._ip([f"link delete {tap}"])

    def set_vlans(self, tap: str, tag: int | None, trunks: Sequence[int]) -> None:
        """Changes what a port of vmbr0 carries."""
        clear = ["clear", "port", tap, "tag", "trunks", "vlan_mode"]
        self.vsctl(*clear, *_vlans(tap, tag, trunks))

    def vsctl(self, *words: str) -> str:
        """Runs ovs-vsctl on the switch's database and returns its output."""
        return run("ovs-vsctl", f"--db=unix:{self._socket}", "--timeout=20", "--retry", *words)

    @property
    def _socket(self) -> Path:
        return self.directory / "db.sock"

    def _daemon(self, program: str, *words: str) -> None:
        command = [program, f"--unixctl={self.directory}/{program}.ctl", *words]
        env = {"OVS_RUNDIR": str(self.directory), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        with open(self.directory / f"{program}.log", "ab") as log:
            self.processes.append(
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
            )

    @staticmethod
    def _ip(script: Sequence[str]) -> None:
        for line in script:
            run("ip", *line.split())


def _vlans(tap: str, tag: int | None, trunks: Sequence[int]) -> list[str]:
    """A Proxmox port: `tag` untagged, and `trunks` tagged beside it."""
    words = ["--", "set", "port", tap]
    if tag is not None:
        words.append(f"tag={tag}")
    if trunks:
        carried = sorted({*trunks, *([tag] if tag is not None else [])})
        words.append(f"trunks={','.join(map(str, carried))}")
        words.append(f"vlan_mode={'trunk' if tag is None else 'native-untagged'}")
    return words if len(words) > 4 else []
