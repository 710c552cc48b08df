# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The measurement of a change's API side still measures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_it_measures_every_step_of_a_small_cluster() -> None:
    command = [sys.executable, "-m", "tests.bench.calico_autodetection", "--sizes", "3"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for step in ("cluster_info", "calico_info", "plan (filter)", "all restored"):
        assert step in done.stdout
