# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo tells the incident to its end; killed in the middle, it leaves nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.integration.lab.conftest import Traces, until
from tests.lab.lab import Lab
from tests.lab.paths import CHECKOUT

pytestmark = pytest.mark.lab


@pytest.fixture
def name() -> Iterator[str]:
    name = f"demo-{os.getpid()}"
    yield name
    Lab(name).down()


def demo(name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.demo"],
        env={**os.environ, "K8SNET_LAB": name, "COLUMNS": "200"},
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_demo_finds_the_incident_and_says_where_the_findings_lie(name: str) -> None:
    out, _unused = demo(name).communicate(timeout=300)
    assert re.search(r"node2 asks the cluster's DNS, on node1: an answer", out), out
    assert re.search(r"node2 asks the cluster's DNS, on node1: no answer", out), out
    assert "Calico uses 172.31.66.11/24 (eth1, added since the baseline) on node1" in out
    phases = dict(re.findall(r"^ ?(\S.*?) {2,}(\d+\.\d)\s*$", out, re.MULTILINE))
    assert float(phases["in all"]) > float(phases["Audit"]) > 0
    findings = out.rstrip().splitlines()[-1].removeprefix("The findings lie in ")
    with open(findings, encoding="utf-8") as report:
        assert json.load(report)["counts"]["critical"] == 1
    assert not Lab(name).is_up()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_demo_that_is_killed_leaves_nothing(name: str, number: signal.Signals) -> None:
    running = demo(name)
    lab = Lab(name)
    # In its middle: the actors run, on the controller and on the nodes.
    until((lab.run / "scene").exists, 120, "the demo set no scene")
    traces = Traces(lab)
    try:
        assert traces.left()
        running.send_signal(number)
        running.communicate(timeout=30)
        assert running.returncode == (-9 if number == signal.SIGKILL else 130)
        until(lambda: traces.left() == [], 20, f"left behind: {traces.left()}")
    finally:
        traces.close()
