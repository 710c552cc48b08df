# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks on the wire, tagged, who is there; listens to all that comes in. CAP_NET_RAW is enough.

No interface is made and no address is set. A NIC that filters VLANs in hardware drops tags that
nobody has registered, so the socket joins promiscuous mode while it listens; the kernel takes that
back when the socket closes, however the program ends.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..domain import _vlan_frames as frames
from ..domain import _vlan_verdict as verdict

_SYS = "/sys/class/net"
_ETHERNET = "1"
# linux/if_packet.h
_SOL_PACKET, _ADD_MEMBERSHIP, _AUXDATA = 263, 1, 8
_PROMISCUOUS = 1
_MEMBERSHIP = struct.Struct("iHH8s")
_AUX = struct.Struct("IIIHHHH")
_VLAN_VALID = 1 << 4
_ALL = 0x0003
_LONGEST = 2048


class VlanProbeError(Exception):
    """What, where, remedy."""


class Limits(NamedTuple):
    """Seconds to listen, and between two rounds of asking."""

    listen: float = 3.0
    interval: float = 0.3


class Asked(NamedTuple):
    """``heard``, the NIC's own MAC, and how many frames were sent."""

    heard: verdict.Heard
    mac: str
    sent: int


def ask(
    interface: str,
    vlan: int | None,
    targets: Sequence[frames.Address],
    peers: Mapping[str, bytes],
    limits: Limits,
) -> Asked:
    """Ask for each target until it answers or the time is over, and listen.

    With peers it listens to the end: they may be heard last. Raises VlanProbeError.
    """
    mac = _mac(interface)
    try:
        with _open(interface) as wire:
            return _Round(wire, mac, vlan, targets, peers).run(limits)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES):
            raise VlanProbeError(
                f"Not allowed to open a raw socket on {interface}: use 'become: true', or give the "
                "user CAP_NET_RAW."
            ) from None
        if error.errno in (errno.ENETDOWN, errno.ENODEV, errno.ENXIO):
            raise VlanProbeError(f"{interface} went down while it was probed.") from None
        raise


class _Round:
    def __init__(
        self,
        wire: socket.socket,
        mac: bytes,
        vlan: int | None,
        targets: Sequence[frames.Address],
        peers: Mapping[str, bytes],
    ) -> None:
        self._wire = wire
        self._mac = mac
        self._vlan = vlan
        self._targets = targets
        self._names = {address: name for name, address in peers.items()}
        self._asked: dict[frames.Address, float] = {}
        self._answers: dict[tuple[str, str, int | None], verdict.Answer] = {}
        self._peers: dict[str, set[int | None]] = {}
        self._frames: Counter[int | None] = Counter()
        self._sent = 0

    def run(self, limits: Limits) -> Asked:
        now = time.monotonic()
        end, following = now + limits.listen, now
        while now < end and (self._names or self._left()):
            if now >= following:
                self._send()
                following = now + limits.interval
            left = max(0.0, min(end, following) - time.monotonic())
            if select.select([self._wire], [], [], left)[0]:
                self._take(time.monotonic())
            now = time.monotonic()
        peers = {name: frozenset(tags) for name, tags in self._peers.items()}
        heard = verdict.Heard(tuple(self._answers.values()), peers, dict(self._frames))
        return Asked(heard, frames.mac_text(self._mac), self._sent)

    def _left(self) -> list[frames.Address]:
        there = {target for target, _mac, tag in self._answers if tag == self._vlan}
        return [target for target in self._targets if str(target) not in there]

    def _send(self) -> None:
        # Peers listen for what this node asks, so that it goes on when all has been answered.
        for target in self._targets if self._names else self._left():
            self._asked.setdefault(target, time.monotonic())
            self._wire.send(frames.probe(self._mac, self._vlan, target))
            self._sent += 1

    def _take(self, now: float) -> None:
        data, extra, _flags, sender = self._wire.recvmsg(_LONGEST, 256)
        if sender[2] == socket.PACKET_OUTGOING:
            return
        seen = frames.read(data, _stripped(extra))
        if seen is None:
            return
        self._frames[seen.tag] += 1
        if seen.mac in self._names:
            self._peers.setdefault(self._names[seen.mac], set()).add(seen.tag)
        if seen.kind == "answer" and seen.address in self._asked:
            target, mac = str(seen.address), frames.mac_text(seen.mac)
            spent = round((now - self._asked[seen.address]) * 1000, 1)
            answer = verdict.Answer(target, mac, seen.tag, spent)
            self._answers.setdefault((target, mac, seen.tag), answer)


def _stripped(extra: Sequence[tuple[int, int, bytes]]) -> int | None:
    """The VLAN whose tag the kernel has taken off a frame, from PACKET_AUXDATA."""
    for level, kind, data in extra:
        if (level, kind) == (_SOL_PACKET, _AUXDATA) and len(data) >= _AUX.size:
            status, _len, _snap, _mac, _net, tci, _tpid = _AUX.unpack_from(data)
            if status & _VLAN_VALID:
                return int(tci & 0xFFF)
    return None


def _open(interface: str) -> socket.socket:
    """A raw socket that hears all that comes in at the NIC. Raises OSError."""
    # Protocol 0 first: nothing of other NICs gets in before it is bound.
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        wire.setsockopt(_SOL_PACKET, _AUXDATA, 1)
        index = socket.if_nametoindex(interface)
        wanted = _MEMBERSHIP.pack(index, _PROMISCUOUS, 0, b"")
        wire.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, wanted)
        wire.bind((interface, _ALL))
        wire.setblocking(False)
    except OSError:
        wire.close()
        raise
    return wire


def _mac(interface: str) -> bytes:
    """The NIC's MAC. Raises VlanProbeError for a NIC that cannot be asked through."""
    path = f"{_SYS}/{interface}"
    if not interface or "/" in interface or not os.path.exists(path):
        raise VlanProbeError(
            f"No such interface on this node: '{interface}'. 'ip link' lists them."
        )
    if _read(f"{path}/type") != _ETHERNET:
        raise VlanProbeError(f"{interface} is no Ethernet interface, so that it has no VLANs.")
    if "DEVTYPE=vlan" in _read(f"{path}/uevent").split():
        raise VlanProbeError(f"{interface} is a VLAN interface itself: name the NIC below it.")
    if os.path.exists(f"{path}/bonding_slave"):
        raise VlanProbeError(f"{interface} is a member of a bond: name the bond.")
    if not int(_read(f"{path}/flags"), 16) & 1:
        raise VlanProbeError(f"{interface} is down: 'ip link set {interface} up' sets it up.")
    if _read(f"{path}/carrier") != "1":
        raise VlanProbeError(f"{interface} has no carrier: its cable or virtual port is unplugged.")
    return frames.mac_bytes(_read(f"{path}/address"))


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read().strip()
