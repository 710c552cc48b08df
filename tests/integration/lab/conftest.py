# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab of their own for the tests of the lab, and what a lab may not leave behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.paths import RUN_BASE

KINDS = ("net", "mnt", "pid")


def until(true: Callable[[], object], seconds: float, what: str) -> None:
    """Waits for a condition; fails with `what` when it has not come true in time."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"after {seconds} s: {what}"
        time.sleep(0.05)


class Traces:
    """What tells a lab's processes and networks from everybody else's on this machine.

    Holds the lab's namespaces open, or the kernel would give their numbers to the next lab's.
    """

    def __init__(self, lab: Lab) -> None:
        self.run = lab.run
        process = Path("/proc") / str(lab.first_process)
        self.held = [os.open(process / "ns" / kind, os.O_RDONLY) for kind in KINDS]
        self.namespaces = {os.readlink(f"/proc/self/fd/{fd}") for fd in self.held}
        assert not self.namespaces & _namespaces(Path("/proc/self"))

    def close(self) -> None:
        while self.held:
            os.close(self.held.pop())

    def left(self, run_dir: bool = True) -> list[str]:
        """What is left of the lab: processes, mounts, devices, shared memory, its run directory."""
        found = [f"process {p}" for p in _processes() if _namespaces(p) & self.namespaces]
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        found += [line for line in mounts if " - nsfs " in line or "k8snet" in line]
        taken = ("tap101", "host0", "oob", "nowhere", "vmbr0", "ovs-netdev")
        found += [n for n in os.listdir("/sys/class/net") if n.startswith(taken)]
        found += [f"/dev/shm/{n}" for n in os.listdir("/dev/shm") if n in (".uml", "ovs")]
        if run_dir and self.run.exists():
            found.append(str(self.run))
        return found


def _processes() -> list[Path]:
    return [p for p in Path("/proc").iterdir() if p.name.isdigit()]


def _namespaces(process: Path) -> set[str]:
    found = set()
    for kind in KINDS:
        try:
            found.add(os.readlink(process / "ns" / kind))
        except OSError:  # it ended while we looked, or is a zombie, which has none
            continue
    return found


@pytest.fixture(scope="module")
def own_lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Two nodes, for one module alone."""
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    name = f"{request.module.__name__.rpartition('.')[2][:20]}-{os.getpid()}"
    with Lab.up(2, name=name) as running:
        yield running


@pytest.fixture
def traces_of() -> Iterator[Callable[[Lab], Traces]]:
    """Takes down what tells a running lab, to look for it when it has ended."""
    taken: list[Traces] = []

    def take(lab: Lab) -> Traces:
        taken.append(Traces(lab))
        return taken[-1]

    yield take
    for traces in taken:
        traces.close()


@pytest.fixture
def lab_name() -> Iterator[str]:
    """A name for a lab that the test starts itself; whatever the test does, it goes down."""
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    name = f"own-{os.getpid()}"
    yield name
    Lab(name).down()
    assert not (RUN_BASE / name).exists()
