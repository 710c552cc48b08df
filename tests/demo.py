# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The incident that this project was born from, on three nodes with real kernels.

Someone adds a network device to the VM that runs CoreDNS; Calico's autodetection moves to it; every
pod elsewhere loses DNS. The audit finds it. However this ends, nothing of the lab is left.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.lab.errors import LabError
from tests.lab.lab import Lab
from tests.lab.paths import cache_dir
from tests.lab.scene import POLL, Scene

DNS_NODE = "node1"
NEW_ADDRESS = "172.31.66.11/24"

console = Console(highlight=False, soft_wrap=True)


class Demo:
    """The story, a method per phase; ``seconds`` holds what each phase took."""

    def __init__(self, lab: Lab, reports: Path) -> None:
        self.lab = lab
        self.scene = Scene(lab, DNS_NODE)
        self.reports = reports

    def playbook(self, name: str, *arguments: str, expect: int = 0) -> str:
        """Runs a playbook of the collection as a user would; returns what it printed."""
        command = ["ansible-playbook", f"k8snet.cni.{name}", "-i", str(self.lab.inventory)]
        console.print(f"  [dim]$ {' '.join([*command, *arguments])}[/]")
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        log = self.reports / f"{name}.log"
        log.write_text(done.stdout + done.stderr)
        if done.returncode != expect:
            raise LabError(f"{name}: exit code {done.returncode}, expected {expect}; see {log}")
        return str(done.stdout)

    def audit(self, expect: int) -> dict[str, Any]:
        """Audits, prints the summary, and returns the report."""
        said = self.playbook(
            "audit",
            "-e",
            f"k8snet_kubeconfig={self.lab.kubeconfig}",
            "-e",
            f"k8snet_report_dir={self.reports}",
            expect=expect,
        )
        summary = said[said.index("AUDIT ") : said.index("Report   ")]
        for line in summary.rstrip().splitlines():
            console.print(f"  {line}".rstrip(), markup=False)
        report: dict[str, Any] = json.loads((self.reports / "findings.json").read_text())
        return report

    def tell_dns(self) -> None:
        for node in self.scene.nodes:
            answer = "an answer" if self.scene.dns(node) else "[bold red]no answer[/]"
            console.print(f"  a pod on {node} asks the cluster's DNS, on {DNS_NODE}: {answer}")

    def clean(self) -> None:
        self.tell_dns()
        report = self.audit(expect=0)
        expect_findings(report, critical=0, warning=0)

    def baseline(self) -> None:
        self.playbook("baseline")
        console.print("  each node remembers its NICs, in /var/lib/k8snet/baseline/nics.json")

    def strike(self) -> None:
        self.lab.plug(DNS_NODE, address=NEW_ADDRESS, nowhere=True)
        console.print(
            f"  {DNS_NODE} has a new NIC, eth1, {NEW_ADDRESS}, on a network that routes nowhere"
        )
        self.scene.await_lost(NEW_ADDRESS)
        for node, address in self.scene.stored().items():
            console.print(f"  Calico's address of {node} is now {address}")
        self.tell_dns()

    def found(self) -> None:
        report = self.audit(expect=2)
        expect_findings(report, critical=1, warning=0)
        [finding] = [each for each in report["findings"] if each["severity"] == "critical"]
        seen = json.dumps(finding)
        for word in (DNS_NODE, "eth1", NEW_ADDRESS, "10.160.1.21/24", "kubernetes-internal-ip"):
            if word not in seen:
                raise LabError(f"the audit does not name {word}: {seen}")


def expect_findings(report: dict[str, Any], **wanted: int) -> None:
    counts = {severity: report["counts"][severity] for severity in wanted}
    if counts != wanted:
        raise LabError(f"the audit counts {counts}, not {wanted}: {report['findings']}")


@contextmanager
def phase(title: str, seconds: dict[str, float]) -> Iterator[None]:
    console.print(f"\n[bold]==> {title}[/]")
    started = time.monotonic()
    yield
    seconds[title] = time.monotonic() - started


def tell(seconds: dict[str, float]) -> None:
    table = Table("phase", "seconds", box=None)
    table.columns[1].justify = "right"
    for title, took in [*seconds.items(), ("in all", sum(seconds.values()))]:
        table.add_row(title, f"{took:.1f}")
    console.print()
    console.print(table)


def run() -> None:
    os.environ.setdefault("K8SNET_LAB", "demo")
    reports = cache_dir() / "reports" / os.environ["K8SNET_LAB"]
    reports.mkdir(mode=0o700, parents=True, exist_ok=True)
    seconds: dict[str, float] = {}
    with phase("Three nodes with kernels of their own, a hypervisor's switch, an API", seconds):
        lab = Lab.up(3, owner=True, api=True, say=lambda line: console.print(f"  {line}"))
    with lab:
        demo = Demo(lab, reports)
        with phase("Calico by operator, method firstFound; CoreDNS on node1", seconds):
            demo.scene.set("calico-operator", POLL)
            console.print(
                f"  autodetection runs every {POLL:.0f} s here; every 60 s in a real cluster"
            )
        with phase("Audit of the healthy cluster", seconds):
            demo.clean()
        with phase("Baseline of every node's NICs", seconds):
            demo.baseline()
        with phase("Someone adds a network device to the VM that runs CoreDNS", seconds):
            demo.strike()
        with phase("Audit", seconds):
            demo.found()
        with phase("Lab down", seconds):
            lab.down()
    tell(seconds)
    console.print(f"\nThe findings lie in {reports / 'findings.json'}")


def interrupted(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    try:
        run()
    except (LabError, subprocess.SubprocessError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted; nothing is left of it", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
