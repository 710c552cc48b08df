# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A DNS responder of the smallest kind, and a question to it: what CoreDNS is to the lab's pods.

It answers every A question with one address and everything else with no data, over UDP and TCP.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import socketserver
import struct
import threading

PORT = 53
ANSWER = "10.96.0.1"
NAME = "kubernetes.default.svc.cluster.local"
_HEAD = struct.Struct("!HHHHHH")
_A, _IN = 1, 1


def question(name: str, number: int) -> bytes:
    """Return the packet that asks for the A record of ``name``."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return _HEAD.pack(number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", _A, _IN)


def reply(packet: bytes) -> bytes:
    """Return the answer to a question packet. Raises ValueError on what is none."""
    if len(packet) < _HEAD.size:
        raise ValueError("shorter than a DNS header")
    number, _flags, count = _HEAD.unpack_from(packet)[:3]
    end = packet.find(b"\0", _HEAD.size) + 5
    if count != 1 or end < _HEAD.size + 5 or end > len(packet):
        raise ValueError("not one question")
    asked = packet[_HEAD.size : end]
    kind = struct.unpack_from("!H", packet, end - 4)[0]
    if kind != _A:
        return _HEAD.pack(number, 0x8580, 1, 0, 0, 0) + asked
    address = ipaddress.IPv4Address(ANSWER).packed
    record = b"\xc0\x0c" + struct.pack("!HHIH", _A, _IN, 5, len(address)) + address
    return _HEAD.pack(number, 0x8580, 1, 1, 0, 0) + asked + record


class _Udp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        packet, sender = self.request
        try:
            sender.sendto(reply(packet), self.client_address)
        except ValueError:
            return  # noise gets no answer


class _Tcp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        head = self.rfile.read(2)
        if len(head) == 2:
            packet = self.rfile.read(struct.unpack("!H", head)[0])
            try:
                answer = reply(packet)
            except ValueError:
                return
            self.wfile.write(struct.pack("!H", len(answer)) + answer)


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def serve(address: str, port: int, ended: threading.Event) -> None:
    """Answer on UDP and TCP until ``ended`` is set."""
    udp = socketserver.ThreadingUDPServer((address, port), _Udp)
    with udp, _TcpServer((address, port), _Tcp) as tcp:
        for server in (udp, tcp):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        ended.wait()
        udp.shutdown()
        tcp.shutdown()


def ask(server: str, port: int, *, tcp: bool = False, timeout: float = 2) -> str | None:
    """Ask for the A record of kubernetes.default; return its address, None without an answer."""
    number = int.from_bytes(os.urandom(2), "big")
    packet = question(NAME, number)
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as link:
        link.settimeout(timeout)
        try:
            link.connect((server, port))
            link.sendall(struct.pack("!H", len(packet)) + packet if tcp else packet)
            answer = link.recv(4096)
        except OSError:
            return None
    answer = answer[2:] if tcp else answer
    if len(answer) < len(packet) + 16 or answer[:2] != packet[:2]:
        return None
    return str(ipaddress.IPv4Address(answer[-4:]))
