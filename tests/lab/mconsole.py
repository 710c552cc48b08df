# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talks to a running User Mode Linux kernel: NICs are plugged and unplugged this way.

Protocol: one datagram each way on the unix socket `mconsole` of the kernel's umid directory, as in
the kernel's arch/um/drivers/mconsole.h.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from tests.lab.errors import LabError

_MAGIC, _VERSION, _MAX_DATA = 0xCAFEBABE, 2, 512


def command(directory: Path, words: str, timeout: float = 10.0) -> str:
    """Sends one command, e.g. 'remove vec2'; returns the answer's text.

    directory: the kernel's umid directory; timeout in seconds. LabError when the kernel refuses or
    does not answer.
    """
    data = words.encode()
    if len(data) >= _MAX_DATA:
        raise LabError(f"mconsole command is longer than {_MAX_DATA} bytes: {words[:60]}…")
    request = struct.pack(f"=III{_MAX_DATA}s", _MAGIC, _VERSION, len(data), data)
    answer = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(timeout)
        channel.bind("")  # an abstract address, so that the kernel can answer
        try:
            channel.sendto(request, str(directory / "mconsole"))
            more = 1
            while more:
                packet = channel.recv(65536)
                error, more, length = struct.unpack("=III", packet[:12])
                answer += packet[12 : 12 + length]
        except OSError as problem:
            raise LabError(
                f"the kernel of {directory.name} does not answer on its mconsole: {problem}",
                "See its console log ('lab console'); 'lab start' boots it if it is down.",
            ) from problem
    text = answer.decode(errors="replace").strip("\0\n ")
    if error:
        raise LabError(f"the kernel of {directory.name} refused '{words}': {text}")
    return text
