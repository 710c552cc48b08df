# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab that the tests of a file share: three nodes and the API."""

from __future__ import annotations

import os
import time
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with another file each time where not all are reached, so that each has its turn."""
    files = list(dict.fromkeys(item.path for item in items))
    turn = int(os.environ.get("K8SNET_TURN", 0))
    place = {path: (number - turn) % len(files) for number, path in enumerate(files)}
    items.sort(key=lambda item: place[item.path])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """After K8SNET_UNTIL, seconds since 1970, begin none of those that `make test` leaves out."""
    until = float(os.environ.get("K8SNET_UNTIL", "inf"))
    if item.get_closest_marker("full") and time.time() > until:
        pytest.skip("not reached before K8SNET_UNTIL")


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
