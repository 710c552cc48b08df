# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``kube_proxy_rules`` beside the bare iptables-restore of its own transaction: the floor.

And beside deleting rule by rule, one command each, as scripts do: a few are measured, the rest is
reckoned (≈). "CPU" is module by floor in seconds of the processors, which tell also where others
work beside. In network namespaces of this machine, Services with three end points each. While the
module works, a ping a millisecond goes through the node. What Ansible adds (starting a process,
and copying) is in no number. Nothing passes or fails here.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.integration.kube_proxy import residue
from tests.integration.kube_proxy.router import SERVER, Router
from tests.integration.ovs.netns import COLLECTIONS

ENDPOINTS = 3
SAMPLE = 10
LOCK = Path("/run/xtables.lock")
TRANSACTION = "/var/lib/transaction"

# Prints the seconds of a command, of the processors, and the megabytes of its largest process.
_MEASURED = """
import json, resource, subprocess, sys, time
start = time.monotonic()
done = subprocess.run(sys.argv[2:], stdin=open(sys.argv[1]), capture_output=True, text=True)
spent = time.monotonic() - start
if done.returncode:
    sys.exit(done.stderr)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([spent, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""
_FROM = "from ansible_collections.k8snet.cni.plugins.module_utils"
# What the module does; with a path, it writes each table's transaction there and changes nothing.
_MODULE = f"""
import sys
{_FROM}.domain import _kube_rules_plan as domain
{_FROM}.node import _kube_rules_apply, _kube_rules_read
if len(sys.argv) == 1:
    outcome = _kube_rules_apply.run(domain.Request(), "bench", 3600, True, True)
    sys.exit(None if outcome.plan.changed and not outcome.retries else "nothing changed")
removal = domain.decide(_kube_rules_read.read(3600).seen, domain.Request())
with open(sys.argv[1], "wb") as file:
    for change in removal.tables:
        file.write(domain.transaction(change).encode("utf-8", "surrogateescape"))
"""


class Spent(NamedTuple):
    """Seconds by the clock and of the processors, megabytes of the largest process."""

    seconds: float
    processors: float
    megabytes: float


@dataclass
class Found:
    """What was spent; of the module's run also what it did to others."""

    floor: Spent
    module: Spent
    each: float
    rules: int
    locked: float | None
    lost: int
    sent: int


class Node(Router):
    """A node with residue in one back end."""

    def __init__(self, backend: str, services: int) -> None:
        self.backend = backend
        self.services = services
        self.rules = 0

    def fill(self) -> None:
        text = residue.iptables("ip", self.services, ENDPOINTS)
        self.rules = text.count("\n-A ")
        self.node.run(f"iptables-{self.backend}-restore", "--noflush", stdin=text)

    def measured(self, source: str, *command: str) -> Spent:
        """What a command inside spends, with ``source`` as its input."""
        wrapped = [sys.executable, "-c", _MEASURED, source, *command]
        said = self.node.run(*wrapped, env={"PYTHONPATH": COLLECTIONS})
        return Spent(*json.loads(said))

    def floor(self) -> Spent:
        """Write the module's transaction, then give it to the bare tool."""
        self.measured(os.devnull, sys.executable, "-c", _MODULE, TRANSACTION)
        tool = f"iptables-{self.backend}-restore"
        return self.measured(TRANSACTION, tool, "--noflush", "--counters", "--wait=3600")

    def module(self) -> Spent:
        return self.measured(os.devnull, sys.executable, "-c", _MODULE)

    def one_rule(self) -> float:
        """Seconds to delete one rule by a command of its own, the mean of a few."""
        start = time.monotonic()
        for _each in range(SAMPLE):
            command = ["-w", "-t", "nat", "-D", "KUBE-SERVICES", "1"]
            self.node.run(f"iptables-{self.backend}", *command)
        return (time.monotonic() - start) / SAMPLE

    @contextlib.contextmanager
    def pinged(self) -> Iterator[list[int]]:
        """Ping through the node every millisecond; sent and received are in the list after it."""
        counted: list[int] = []
        command = ["nsenter", "-t", str(self.client.pid), "-n", "ping", "-q", "-i", "0.001"]
        ping = subprocess.Popen([*command, SERVER], stdout=subprocess.PIPE, text=True)
        try:
            yield counted
        finally:
            ping.send_signal(signal.SIGINT)
            said = ping.communicate()[0]
        numbers = re.search(r"(\d+) packets transmitted, (\d+) received", said)
        if not numbers or numbers[2] == "0":
            raise SystemExit(f"bench: no ping went through the node: {said}")
        counted += [int(number) for number in numbers.groups()]


class LockWatch(threading.Thread):
    """The longest time for which somebody held the xtables lock, read from /proc/locks."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.longest = 0.0
        self._ended = threading.Event()

    def run(self) -> None:
        since: float | None = None
        while not self._ended.is_set():
            now = time.monotonic()
            if not self._held():
                since = None
            elif since is None:
                since = now
            else:
                self.longest = max(self.longest, now - since)
            time.sleep(0.001)  # between two looks

    @staticmethod
    def _held() -> bool:
        try:
            inode = f":{LOCK.stat().st_ino} "
        except FileNotFoundError:
            return False
        return inode in Path("/proc/locks").read_text(encoding="ascii")

    def __enter__(self) -> LockWatch:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self.join()


def measure(backend: str, services: int, told: Callable[[], None]) -> Found:
    """The floor, the module and one rule, each on a node of its own; ``told`` after each."""
    with Node(backend, services) as node:
        node.fill()
        floor = node.floor()
    told()
    with Node(backend, services) as node:
        node.fill()
        with node.pinged() as pings, LockWatch() as lock:
            module = node.module()
    told()
    with Node(backend, services) as node:
        node.fill()
        each = node.one_rule()
    told()
    sent, received = pings
    locked = lock.longest if backend == "legacy" else None
    return Found(floor, module, each, node.rules, locked, sent - received, sent)


HEADS = ("", "Services", "floor", "", "module", "", "/ floor", "CPU", "rule by rule", "/ floor")
HEADS += ("lock held", "pings lost")


def row(found: Found) -> list[str]:
    reckoned = found.each * found.rules
    return [
        *(f"{found.floor.seconds:.2f} s", f"{found.floor.megabytes:.0f} MB"),
        *(f"{found.module.seconds:.2f} s", f"{found.module.megabytes:.0f} MB"),
        f"{found.module.seconds / found.floor.seconds:.2f}",
        f"{found.module.processors / found.floor.processors:.2f}",
        *(f"≈ {reckoned:,.0f} s", f"≈ {reckoned / found.floor.seconds:,.0f}"),
        "no lock" if found.locked is None else f"{found.locked:.2f} s",
        f"{found.lost} of {found.sent}",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    program = "python -m tests.bench.kube_proxy_rules"
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    parser.add_argument(
        "--sizes", default="100,1000,10000", help="numbers of Services (100,1000,10000)"
    )
    parser.add_argument("--backends", default="nft,legacy", help="back ends (nft,legacy)")
    options = parser.parse_args(arguments)
    sizes = [int(size) for size in options.sizes.split(",")]
    backends = options.backends.split(",")
    console = Console(width=120) if not sys.stdout.isatty() else Console()
    result = Table(title=f"Removing kube-proxy's rules, {ENDPOINTS} end points a Service")
    for head in HEADS:
        result.add_column(head, justify="right" if head else "left", no_wrap=True)
    with Progress(console=console) as progress:
        task = progress.add_task("measuring", total=3 * len(sizes) * len(backends))
        for backend in backends:
            for size in sizes:
                found = measure(backend, size, lambda: progress.advance(task))
                result.add_row(backend, f"{size:,}", *row(found))
            result.add_section()
    console.print(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
