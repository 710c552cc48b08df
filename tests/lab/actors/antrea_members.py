# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which agents are alive, as each of them sees it: memberlist, played with questions over UDP.

Source: antrea-io/antrea ``pkg/agent/memberlist``. A node whose agent does not answer for a few
seconds is gone; no API is asked about that.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable
from typing import Any

Obj = dict[str, Any]

PORT = 10351
PERIOD, PATIENCE = 0.5, 3.0
_ASK, _SAY = b"k8snet-lab ask ", b"k8snet-lab say "


class Members:
    """Asks and answers in a thread of its own until ``ended``."""

    def __init__(self, node: str, ended: threading.Event) -> None:
        self.node = node
        self._ended = ended
        self._since = time.monotonic()
        self._where: dict[str, str] = {}
        self._heard: dict[str, float] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("0.0.0.0", PORT))
        self._socket.settimeout(PERIOD)
        for work in (self._listen, self._ask):
            threading.Thread(target=work, daemon=True).start()

    def know(self, nodes: Iterable[Obj]) -> None:
        """Take the cluster's nodes for the members that may be there."""
        found = {}
        for node in nodes:
            addresses = (node.get("status") or {}).get("addresses") or ()
            own = [entry["address"] for entry in addresses if entry["type"] == "InternalIP"]
            if own and node["metadata"]["name"] != self.node:
                found[node["metadata"]["name"]] = own[0]
        self._where = found

    def ready(self) -> bool:
        """Whether it has had the time to hear the others: until then it claims nothing."""
        return len(self.alive()) > len(self._where) or time.monotonic() - self._since > PATIENCE

    def alive(self) -> list[str]:
        since = time.monotonic() - PATIENCE
        there = [name for name, at in self._heard.items() if at > since and name in self._where]
        return sorted([self.node, *there])

    def _ask(self) -> None:
        while not self._ended.is_set():
            for address in self._where.values():
                self._send(_ASK, address, PORT)
            self._ended.wait(PERIOD)

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                said, (address, port) = self._socket.recvfrom(512)
            except OSError:
                continue
            if said.startswith(_ASK):
                self._send(_SAY, address, port)
            if said.startswith((_ASK, _SAY)):
                self._heard[said[len(_SAY) :].decode()] = time.monotonic()

    def _send(self, word: bytes, address: str, port: int) -> None:
        try:
            self._socket.sendto(word + self.node.encode(), (address, port))
        except OSError:  # no way there now: the same as no answer
            return
