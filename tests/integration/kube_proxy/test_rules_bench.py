# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The measurement of the removal still measures."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.kube_proxy.test_real_rules import backend

pytestmark = [
    pytest.mark.netns,
    pytest.mark.full,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make network namespaces"),
]
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", [backend("nft"), backend("legacy")])
def test_it_measures_a_small_node(name):
    command = [sys.executable, "-m", "tests.bench.kube_proxy_rules", "--sizes", "30"]
    command += ["--backends", name]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lock = "no lock" if name == "nft" else r"[0-9.]+ s"
    measured = re.search(rf"{name} .* 30 .* ≈ .* {lock} .* (\d+) of (\d+) ", done.stdout)
    assert measured, done.stdout
    assert int(measured[2]) > 0
