# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""However a lab ends, nothing of it is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.lab.conftest import Traces, until
from tests.lab.lab import Lab
from tests.lab.paths import CHECKOUT

pytestmark = pytest.mark.lab

TakeTraces = Callable[[Lab], Traces]


def command(*words: str, name: str) -> subprocess.Popen[str]:
    """`python -m tests.lab …` in the background."""
    # A shell's background job, such as a CI's, has its children ignore SIGINT.
    heeds = ["env", "--default-signal=INT"]
    return subprocess.Popen(
        [*heeds, sys.executable, "-m", "tests.lab", *words],
        env={**os.environ, "K8SNET_LAB": name},
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def begun(name: str) -> Lab:
    """The lab as soon as it has a node that boots: in the middle of `up`."""
    lab = Lab(name)
    until(lambda: any(lab.run.glob("console/node1.log")), 30, "no node was started")
    return lab


def test_down_leaves_nothing(lab_name: str, traces_of: TakeTraces) -> None:
    lab = Lab.up(1, name=lab_name)
    traces = traces_of(lab)
    assert traces.left(), "the test sees what is there while the lab is up"
    assert lab.down()
    assert traces.left() == []
    assert not lab.down(), "the second one finds nothing to do"


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.full),
        pytest.param(signal.SIGTERM, marks=pytest.mark.full),
        signal.SIGKILL,
    ],
)
def test_an_interrupted_up_leaves_nothing(
    lab_name: str, traces_of: TakeTraces, number: signal.Signals
) -> None:
    up = command("up", "--nodes", "2", name=lab_name)
    traces = traces_of(begun(lab_name))
    up.send_signal(number)
    up.communicate(timeout=90)
    assert up.returncode == (-9 if number == signal.SIGKILL else 130)
    until(lambda: traces.left() == [], 30, f"left behind: {traces.left()}")


def test_a_killed_keeper_leaves_nothing_but_files_that_the_next_up_removes(
    lab_name: str, traces_of: TakeTraces
) -> None:
    lab = Lab.up(1, name=lab_name)
    traces = traces_of(lab)
    children = Path(f"/proc/{lab.first_process}/task/{lab.first_process}/children").read_text()
    os.kill(int(children.split()[0]), signal.SIGKILL)
    until(lambda: traces.left(run_dir=False) == [], 10, f"left behind: {traces.left()}")
    assert not lab.is_up()
    with lab.console("n1").open("a") as old:
        old.write(mark := "of the lab that was killed")
    with Lab.up(1, name=lab_name) as again:
        assert mark not in again.console("n1").read_text()
        again_traces = traces_of(again)
    assert again_traces.left() == []


@pytest.mark.full
def test_a_killed_first_process_leaves_nothing(lab_name: str, traces_of: TakeTraces) -> None:
    lab = Lab.up(1, name=lab_name)
    traces = traces_of(lab)
    os.kill(lab.first_process, signal.SIGKILL)
    until(lambda: traces.left(run_dir=False) == [], 10, f"left behind: {traces.left()}")


def test_a_lab_goes_down_with_its_owner_and_what_runs_inside_too(
    lab_name: str, traces_of: TakeTraces
) -> None:
    owner = subprocess.Popen(["sleep", "600"])
    lab = Lab.up(1, name=lab_name, owner=owner.pid)
    traces = traces_of(lab)
    inside = subprocess.Popen(lab.inside(["sleep", "600"]))
    owner.kill()
    owner.wait()
    until(lambda: traces.left() == [], 10, f"left behind: {traces.left()}")
    assert inside.wait(10) != 0


@pytest.mark.full
def test_a_lab_without_owner_stays_after_the_up_that_started_it(lab_name: str) -> None:
    up = command("up", "--nodes", "1", "--json", name=lab_name)
    out, errors = up.communicate(timeout=120)
    assert up.returncode == 0, errors
    assert json.loads(out)["nodes"][0]["state"] == "up"
    assert Lab(lab_name).ssh("n1", "hostname").stdout == "node1\n"
    down = command("down", name=lab_name)
    assert down.communicate(timeout=20)[0] == f"lab '{lab_name}' is down\n"


@pytest.mark.full
def test_a_second_up_of_the_same_name_is_refused_and_harms_nothing(lab_name: str) -> None:
    with Lab.up(1, name=lab_name) as lab:
        second = command("up", "--nodes", "1", name=lab_name)
        _unused, errors = second.communicate(timeout=20)
        assert second.returncode == 1
        assert "is up already. 'lab down' ends it" in errors
        assert lab.ssh("n1", "hostname").stdout == "node1\n"


@pytest.mark.full
def test_an_up_killed_while_it_builds_the_image_leaves_no_process_and_no_mount(
    lab_name: str, tmp_path: Path
) -> None:
    environment = {**os.environ, "K8SNET_CACHE": str(tmp_path), "K8SNET_LAB": lab_name}
    words = [sys.executable, "-m", "tests.lab", "up", "--nodes", "1"]
    up = subprocess.Popen(words, env=environment, cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    try:
        until(lambda: list(tmp_path.glob("images/.building-*/root/*")), 60, "no root is built")
    finally:
        up.kill()
        up.wait()

    def left() -> list[str]:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        found = [line for line in mounts if str(tmp_path) in line]
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_text()
            except OSError:  # it ended while we looked
                continue
            if str(tmp_path) in words:
                found.append(words.replace("\0", " "))
        return found

    until(lambda: not left(), 10, f"left behind: {left()}")
