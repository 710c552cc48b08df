# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counts what a node's users lose: pings from the lab's host while something happens to it."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from types import TracebackType

from tests.lab.lab import Lab

INTERVAL = 0.2
_REPLY = re.compile(r"^\[(\d+\.\d+)\] \d+ bytes from .* icmp_seq=\d+", re.MULTILINE)
_SILENCE = re.compile(r"^\[(\d+\.\d+)\] no answer yet for icmp_seq=\d+", re.MULTILINE)


@dataclass(frozen=True)
class Loss:
    """``sent`` and ``lost`` pings; ``longest``: seconds without an answer, of the longest gap."""

    sent: int
    lost: int
    longest: float

    def __str__(self) -> str:
        return f"{self.lost} of {self.sent} pings lost, {self.longest:.1f} s without an answer"


def measure(text: str, interval: float = INTERVAL) -> Loss:
    """Return what ping's output says (with -D and -O: times, and what was not answered in time)."""
    times = [float(stamp) for stamp in _REPLY.findall(text)]
    silent = [float(stamp) for stamp in _SILENCE.findall(text)]
    # What still was silent when the counting ended counts up to there.
    ends = [*times, *silent[-1:]] if silent and times and silent[-1] > times[-1] else times
    gaps = [later - earlier - interval for earlier, later in zip(ends, ends[1:], strict=False)]
    return Loss(len(times) + len(silent), len(silent), max([0.0, *gaps]))


class Outage:
    """Pings an address as long as the block lasts; ``loss`` afterwards.

    Await the node's return inside the block: the counting ends with it.
    """

    def __init__(self, lab: Lab, address: str) -> None:
        self.lab, self.address = lab, address
        self.loss: Loss | None = None

    def __enter__(self) -> Outage:
        self._output = tempfile.TemporaryFile("w+")
        command = ["ping", "-D", "-O", "-n", "-i", str(INTERVAL), self.address]
        self._ping = subprocess.Popen(self.lab.inside(command), stdout=self._output, text=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ping.terminate()
        self._ping.wait(timeout=20)
        self._output.seek(0)
        text = self._output.read()
        self._output.close()
        if kind is None:
            self.loss = measure(text)
