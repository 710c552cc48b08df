# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Molecule run leaves nothing of its lab, also when it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.integration.lab.conftest import Traces, until
from tests.lab.lab import Lab
from tests.lab.paths import CHECKOUT, cache_dir

pytestmark = pytest.mark.lab


@contextmanager
def molecule(name: str, home: Path) -> Iterator[subprocess.Popen[str]]:
    """The shortest scenario under way; the lab has a node that boots. Its home is its own."""
    env = {k: v for k, v in os.environ.items() if k not in ("K8SNET_INVENTORY", "MOLECULE_GLOB")}
    env.update(K8SNET_LAB=name, K8SNET_CACHE=str(cache_dir()))
    env.update(HOME=str(home), PYTHONPATH=str(CHECKOUT))
    env["ANSIBLE_COLLECTIONS_PATH"] = str(CHECKOUT / ".ansible/collections")
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    words = [str(CHECKOUT / "tests/molecule.sh"), "baseline"]
    script = subprocess.Popen(
        words,
        env=env,
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        node = Lab(name).run / "console/node1.log"
        until(lambda: node.exists() or script.poll() is not None, 120, "no node was started")
        assert script.poll() is None, script.communicate()[0]
        yield script
    finally:
        with suppress(ProcessLookupError):  # all of it has ended
            os.killpg(script.pid, signal.SIGKILL)
        script.communicate()


@pytest.mark.full
def test_a_molecule_run_leaves_nothing(
    lab_name: str, traces_of: Callable[[Lab], Traces], tmp_path: Path
) -> None:
    with molecule(lab_name, tmp_path) as script:
        traces = traces_of(Lab(lab_name))
        assert traces.left(), "the test sees what is there while the lab is up"
        said, _unused = script.communicate(timeout=400)
        assert script.returncode == 0, said  # it fails too when Molecule's destroy left the lab
        assert traces.left() == []


def test_a_killed_molecule_run_leaves_nothing(
    lab_name: str, traces_of: Callable[[Lab], Traces], tmp_path: Path
) -> None:
    with molecule(lab_name, tmp_path) as script:
        traces = traces_of(Lab(lab_name))
        script.kill()  # without its trap; what it has started goes on
        until(lambda: traces.left() == [], 20, f"left behind: {traces.left()}")
