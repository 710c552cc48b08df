# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A VLAN beside the lab's nodes: its gateway, and what passes on the hypervisor's switch.

python -m tests.lab.outside gateway --address A --port P    answers each with his address
python -m tests.lab.outside wire --device tap101i0           prints a line of JSON for each frame

Both run inside the lab's network, until they are ended.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from tests.lab.lab import Lab
from tests.lab.node import SHARED
from tests.lab.switch import BRIDGE, run

Obj = dict[str, Any]

_AUXDATA, _TAGGED = 8, 1 << 4
_ARP, _IPV4 = 0x0806, 0x0800
_VLANS = (0x8100, 0x88A8)


def answer(address: str, port: int) -> None:
    """Tell each who connects what address he has from here."""
    try:
        listener = socket.create_server((address, port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        print("ready", flush=True)  # another, started before, answers
        return
    with listener as server:
        print("ready", flush=True)
        while True:
            link, (client, _port) = server.accept()
            threading.Thread(target=_tell, args=(link, client), daemon=True).start()


def _tell(link: socket.socket, client: str) -> None:
    link.settimeout(2)
    with link, contextlib.suppress(OSError):
        link.sendall(f"{client}\n".encode())
        link.shutdown(socket.SHUT_WR)
        while link.recv(4096):  # what is unread would make a reset of the end
            pass


def frames(device: str) -> Iterator[Obj]:
    """Yield what passes a port of the switch: tag, kind, and its addresses."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as link:
        link.setsockopt(263, _AUXDATA, 1)  # SOL_PACKET
        link.bind((device, 0))
        print(json.dumps({"ready": device}), flush=True)
        while True:
            data, more, _flags, _from = link.recvmsg(2048, 256)
            tag = None
            for _level, _kind, aux in more:
                status, *_lengths, tci, _tpid = struct.unpack_from("IIIHHHH", aux)
                tag = tci & 0xFFF if status & _TAGGED else tag
            found = read(data, tag)
            if found:
                yield found


def read(data: bytes, tag: int | None) -> Obj | None:
    """Return what a frame says, None for neither ARP nor IPv4; ``tag`` was taken out of it."""
    (kind,) = struct.unpack_from("!H", data, 12)
    at = 14
    if kind in _VLANS:
        tag, at = struct.unpack_from("!H", data, 14)[0] & 0xFFF, 18
        (kind,) = struct.unpack_from("!H", data, 16)
    if kind == _ARP:
        source, target = data[at + 14 : at + 18], data[at + 24 : at + 28]
        word = "arp"
    elif kind == _IPV4:
        source, target = data[at + 12 : at + 16], data[at + 16 : at + 20]
        word = {1: "icmp", 4: "ipip", 6: "tcp", 17: "udp"}.get(data[at + 9], "ip")
    else:
        return None
    return {
        "tag": tag,
        "kind": word,
        "from": socket.inet_ntoa(source),
        "to": socket.inet_ntoa(target),
    }


class Outside:
    """The router between the nodes' network and a VLAN, with somebody who answers on it."""

    def __init__(
        self, lab: Lab, vlan: int, address: str, prefix: int = 24, port: int = 7180
    ) -> None:
        self.lab = lab
        self.vlan = vlan
        self.address = address
        self.prefix = prefix
        self.port = port
        self._answering: subprocess.Popen[str] | None = None

    def __enter__(self) -> Outside:
        self.up()
        return self

    def __exit__(self, *_error: object) -> None:
        self.down()

    def up(self) -> None:
        """Makes the router's port on the VLAN; returns when somebody answers there."""
        device = self.device
        words = (
            f"add-port {BRIDGE} {device} tag={self.vlan} -- set interface {device} type=internal"
        )
        self._vsctl("--may-exist", *words.split())
        self._inside("ip", "address", "replace", f"{self.address}/{self.prefix}", "dev", device)
        self._inside("ip", "link", "set", "dev", device, "up")
        self._inside("sysctl", "-qw", "net.ipv4.ip_forward=1")
        command = ["gateway", "--address", self.address, "--port", str(self.port)]
        self._answering = self._start(command)
        if self._answering.stdout is None or not self._answering.stdout.readline():
            raise RuntimeError(f"nobody answers at {self.address}")

    def down(self) -> None:
        if self._answering:
            _end(self._answering)
        self._vsctl("--if-exists", "del-port", BRIDGE, self.device)

    def silent(self, silent: bool) -> None:
        """Has the gateway not answer, as when it is down."""
        self._inside("ip", "link", "set", "dev", self.device, "down" if silent else "up")

    @property
    def device(self) -> str:
        return f"gw{self.vlan}"

    @property
    def target(self) -> str:
        return f"{self.address}:{self.port}"

    def watch(self, node: str) -> Wire:
        """Watches a node's port of the switch."""
        tap = f"tap{100 + int(node.removeprefix('node'))}i0"
        return Wire(self._start(["wire", "--device", tap]))

    def _vsctl(self, *words: str) -> None:
        self._inside("ovs-vsctl", f"--db=unix:{SHARED}/ovs/db.sock", "--timeout=20", *words)

    def _inside(self, *words: str) -> None:
        run(*self.lab.inside(words))

    def _start(self, words: Sequence[str]) -> subprocess.Popen[str]:
        command = self.lab.inside([sys.executable, "-u", "-m", "tests.lab.outside", *words])
        # It outlives the command that sets the scene, and its terminal.
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )


class Wire:
    """Frames of one port, collected until it ends."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.seen: list[Obj] = []
        self._process = process
        if process.stdout is None or not process.stdout.readline():
            raise RuntimeError("nobody watches the port")
        self._thread = threading.Thread(target=self._collect, daemon=True)

    def _collect(self) -> None:
        for line in self._process.stdout or ():
            self.seen.append(json.loads(line))

    def __enter__(self) -> Wire:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        _end(self._process)
        self._thread.join(10)

    def tags(self, source: str) -> set[int | None]:
        """The tags of what was sent from an address."""
        return {frame["tag"] for frame in self.seen if frame["from"] == source}


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.outside", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    gateway = commands.add_parser("gateway")
    gateway.add_argument("--address", required=True)
    gateway.add_argument("--port", type=int, required=True)
    wire = commands.add_parser("wire")
    wire.add_argument("--device", required=True)
    words = parser.parse_args()
    if words.command == "gateway":
        answer(words.address, words.port)
    else:
        for found in frames(words.device):
            print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
