# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takes a port out of Open vSwitch's kernel datapath without asking vswitchd.

A dead vswitchd leaves the datapath as it was: the NIC stays a port whose packets nobody handles,
and neither ``ip link set … nomaster`` nor ``ip link del`` works on it (tried: not supported).
Its generic netlink family is: include/uapi/linux/openvswitch.h, net/openvswitch/datapath.c.
"""

from __future__ import annotations

import os
import socket
import struct

_NETLINK_GENERIC, _GENL_CTRL = 16, 16
_CTRL_GETFAMILY, _CTRL_ATTR_FAMILY_ID, _CTRL_ATTR_FAMILY_NAME = 3, 1, 2
_VPORT_DEL, _VPORT_ATTR_NAME = 2, 3
_REQUEST, _ACK, _ERROR = 1, 4, 2
_TIMEOUT = 5.0


def remove_port(name: str) -> None:
    """Remove the port ``name`` from whichever datapath has it.

    Raises OSError: ENOENT without the openvswitch module, ENODEV without such a port.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_GENERIC) as channel:
        channel.settimeout(_TIMEOUT)
        channel.bind((0, 0))
        family = _family(channel, "ovs_vport")
        # Interface index 0 stands for any datapath.
        _ask(channel, family, _VPORT_DEL, struct.pack("=i", 0) + _text(_VPORT_ATTR_NAME, name))


def _family(channel: socket.socket, name: str) -> int:
    answer = _ask(channel, _GENL_CTRL, _CTRL_GETFAMILY, _text(_CTRL_ATTR_FAMILY_NAME, name))
    offset = 4
    while offset + 4 <= len(answer):
        length, kind = struct.unpack_from("=HH", answer, offset)
        if kind & 0x3FFF == _CTRL_ATTR_FAMILY_ID:
            return int(struct.unpack_from("=H", answer, offset + 4)[0])
        offset += max((length + 3) & ~3, 4)
    raise OSError(2, f"the kernel does not say which number '{name}' has")


def _text(kind: int, text: str) -> bytes:
    value = os.fsencode(text) + b"\0"
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def _ask(channel: socket.socket, family: int, command: int, body: bytes) -> bytes:
    """Send one request and return the payload that came before its acknowledgement."""
    payload = struct.pack("=BBH", command, 1, 0) + body
    channel.send(struct.pack("=IHHII", 16 + len(payload), family, _REQUEST | _ACK, 1, 0) + payload)
    answer = b""
    while True:
        data = channel.recv(1 << 16)
        offset = 0
        while offset + 16 <= len(data):
            length, kind = struct.unpack_from("=IH", data, offset)
            if kind == _ERROR:
                code = -struct.unpack_from("=i", data, offset + 16)[0]
                if code:
                    raise OSError(code, os.strerror(code))
                return answer
            answer = data[offset + 16 : offset + length]
            offset += max((length + 3) & ~3, 16)
