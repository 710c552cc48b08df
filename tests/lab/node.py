# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node: a User Mode Linux process, its disk, its NICs."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import mconsole
from tests.lab.errors import LabError
from tests.lab.image import Image
from tests.lab.switch import BRIDGE, HOST_ADDRESS, NATIVE_TAG, OOB

MEMORY = "512M"
SHARED = Path("/dev/shm")  # private to the lab: its memory, sockets and the ssh masters' sockets
DEFAULT_TRUNKS = (181,)
_MAX_NODES = 9


def node_name(word: str) -> str:
    """'node1' for n1, node1 or 1; LabError for anything that cannot be a node's name."""
    digits = word.removeprefix("node").removeprefix("n")
    if not digits.isdigit() or not 1 <= int(digits) <= _MAX_NODES:
        raise LabError(f"no node is called {word!r}", "Nodes are n1, n2, … (or node1, node2, …).")
    return f"node{int(digits)}"


@dataclass
class Nic:
    """A NIC of a node as the hypervisor sees it: number `slot`, attached to `network`."""

    slot: int
    name: str
    mac: str
    tap: str
    network: str
    address: str | None = None
    gateway: str | None = None
    tag: int | None = None
    trunks: Sequence[int] = ()

    @property
    def device(self) -> str:
        """How User Mode Linux is told of it."""
        options = f"transport=tap,ifname={self.tap},depth=64,gro=1,mac={self.mac}"
        return f"vec{self.slot}:{options}"

    @property
    def setting(self) -> str:
        """How the node's own labnet is told of it."""
        words = f"lab.nic={self.mac},{self.name},{self.address or '-'}"
        return words + (f",{self.gateway}" if self.gateway else "")


def new_nic(index: int, slot: int, name: str, network: str, address: str | None) -> Nic:
    """A NIC with a MAC and tap of its own; taps are named as Proxmox does, VM 101 being node1."""
    mac = f"02:00:0a:a0:{slot:02x}:{0x20 + index:02x}"
    return Nic(slot, name, mac, f"tap{100 + index}i{slot}", network, address)


def first_nics(index: int) -> list[Nic]:
    """eth0 on the switch and oob0 on the out-of-band network."""
    eth0 = new_nic(index, 0, "eth0", BRIDGE, f"10.160.1.{20 + index}/24")
    eth0.gateway, eth0.tag, eth0.trunks = HOST_ADDRESS, NATIVE_TAG, DEFAULT_TRUNKS
    return [eth0, new_nic(index, 1, "oob0", OOB, f"169.254.77.{10 + index}/24")]


@dataclass
class Node:
    """A node and its process. `state`: booting, up, stopping, stopped, crashed."""

    index: int
    image: Image
    console: Path
    nics: list[Nic]
    state: str = "stopped"
    seconds: float | None = None
    _disk: int = -1
    _process: subprocess.Popen[bytes] | None = None
    _wanted: str = "up"
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def name(self) -> str:
        return f"node{self.index}"

    def start(self) -> None:
        """Boots it with the NICs it has now; it keeps its disk."""
        if self._process is not None:
            raise LabError(f"{self.name} is running already")
        if self._disk < 0:
            self._disk = _new_disk(self.image)
        self._wanted = "up"
        self._boot()

    def await_up(self, timeout: float) -> float:
        """Waits until ssh answers; returns the seconds from power-on to there."""
        with self._changed:
            self._changed.wait_for(lambda: self.state != "booting", timeout)
            if self.state == "up" and self.seconds is not None:
                return self.seconds
        last = "\n  ".join(self.console.read_text(errors="replace").splitlines()[-15:])
        raise LabError(
            f"{self.name} did not answer ssh within {timeout:.0f} s (it is {self.state}); the end "
            f"of its console:\n  {last}\n "
        )

    def await_stopped(self, timeout: float) -> None:
        """Waits until its process has ended."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._process is None, timeout):
                raise LabError(
                    f"{self.name} did not stop within {timeout:.0f} s",
                    f"'lab kill {self.name}' pulls its plug.",
                )

    def shut_down(self, then: str) -> None:
        """Asks its init for an orderly shutdown. then: 'stopped', or 'up' to boot again."""
        self._need_process()
        with self._changed:
            self._wanted, self.state = then, "stopping" if then == "stopped" else "booting"
        mconsole.command(self._umid, "cad")

    def kill(self) -> None:
        """Pulls the plug."""
        process = self._need_process()
        self._wanted = "stopped"
        os.killpg(process.pid, signal.SIGKILL)
        self.await_stopped(10)

    def attach(self, nic: Nic) -> None:
        """Hot-plugs a NIC whose tap is there already."""
        if self._process is not None:
            mconsole.command(self._umid, f"config {nic.device}")
        self.nics.append(nic)

    def detach(self, nic: Nic) -> None:
        """Hot-unplugs a NIC."""
        if self._process is not None:
            mconsole.command(self._umid, f"remove vec{nic.slot}")
        self.nics.remove(nic)

    def nic(self, name: str) -> Nic:
        """The NIC of that name; LabError when it has none."""
        for nic in self.nics:
            if nic.name == name:
                return nic
        known = ", ".join(nic.name for nic in self.nics)
        raise LabError(f"{self.name} has no NIC {name}", f"It has {known}.")

    @property
    def _umid(self) -> Path:
        return SHARED / ".uml" / self.name

    def _need_process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise LabError(f"{self.name} is {self.state}", f"'lab start {self.name}' boots it.")
        return self._process

    def _boot(self) -> None:
        started = time.monotonic()
        root = self.image.kernel_root
        with open(self.console, "ab") as console:
            self._process = subprocess.Popen(
                self._command_line(),
                executable="/usr/bin/linux.uml",
                preexec_fn=lambda: os.chroot(root),
                cwd="/",
                env={"HOME": str(SHARED), "TMPDIR": str(SHARED), "PATH": "/usr/bin"},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        with self._changed:
            self.state, self.seconds = "booting", None
        threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()
        threading.Thread(target=self._await_ssh, args=(self._process, started), daemon=True).start()

    def _command_line(self) -> list[str]:
        # To reboot, the kernel executes argv[0] with the same arguments. `false` exits with 1, by
        # which the lab knows that it has to boot it again, with the NICs it has by then.
        words = ["/usr/bin/false", "seccomp=on", f"umid={self.name}", f"mem={MEMORY}"]
        # Its 256 BSD terminals would cost udev and systemd more than all the rest of a boot.
        words += ["pty.legacy_count=0"]
        words += [f"ubd0=/proc/{os.getpid()}/fd/{self._disk}", "root=/dev/ubda", "rw"]
        words += ["con=null", "con0=null,fd:1", "console=tty0", "loglevel=4", "selinux=0"]
        # Random numbers are alike in all nodes so early: without these ids, MACs would be too.
        words += [f"systemd.machine_id={0xC0FFEE + self.index:032x}"]
        words += [f"systemd.hostname={self.name}", "systemd.show_status=false"]
        for nic in self.nics:
            words += [nic.device, nic.setting]
        return words

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        with self._changed:
            self._process = None
            again = code == 1 and self._wanted == "up"
            if not again:
                self.state = "stopped" if code == 0 or self._wanted == "stopped" else "crashed"
            self._changed.notify_all()
        if again:
            self._boot()

    def _await_ssh(self, process: subprocess.Popen[bytes], started: float) -> None:
        address = next((n.address for n in self.nics if n.name == "oob0" and n.address), None)
        while address and process.poll() is None:
            try:
                with socket.create_connection((address.split("/")[0], 22), timeout=1) as channel:
                    if channel.recv(4) == b"SSH-":
                        break
            except OSError:
                time.sleep(0.1)
        with self._changed:
            if process is self._process and self.state == "booting":
                self.state, self.seconds = "up", round(time.monotonic() - started, 1)
                self._changed.notify_all()


def _new_disk(image: Image) -> int:
    """An empty copy-on-write file over the image, without a name: it goes with this process.

    Format: struct cow_header_v3 of the kernel's arch/um/drivers/cow_user.c, big-endian, then a
    bitmap with one bit per sector, then the data.
    """
    size, sector, page = image.disk.stat().st_size, 512, 4096
    header = struct.pack(
        ">IIIQIII4096s",
        0x4F4F4F4D,
        3,
        int(image.disk.stat().st_mtime),
        size,
        sector,
        page,
        0,
        b"/lab/base.ext4",
    )
    data_at = -(-(len(header) + (size + sector - 1) // (8 * sector)) // page) * page
    fd = os.open(image.directory.parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    os.write(fd, header)
    os.ftruncate(fd, data_at + size)
    return fd
