# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab that the tests of a file share: three nodes and the API."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab

#: What a test prints that begins so is shown in the end, also when the test passed.
MEASURED = "measured: "


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Three nodes with real kernels and the Kubernetes API.

    Leave them as you found them: unplug what you plugged, and delete what you created. It goes down
    with the file's last test, also when pytest is killed: nodes that idle take a twentieth of a
    core each, from those that are tested.
    """
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    with Lab.up(3, api=True, name=f"pytest-{os.getpid()}", say=print) as running:
        yield running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests measured: outages, seconds until a node was back."""
    found = [
        (report.nodeid.rpartition("::")[2], line.removeprefix(MEASURED))
        for report in terminalreporter.stats.get("passed", [])
        if report.when == "call"
        for line in report.capstdout.splitlines()
        if line.startswith(MEASURED)
    ]
    if found:
        terminalreporter.section("measured")
        for test, line in found:
            terminalreporter.write_line(f"{test}: {line}")
