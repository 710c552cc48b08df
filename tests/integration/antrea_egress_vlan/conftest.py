# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two nodes with Antrea and a pod each, and a VLAN with its gateway; each test finds no Egress."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.antrea_egress_vlan.leaving import Leaving
from tests.lab.egress_scene import EgressScene
from tests.lab.lab import Lab


@pytest.fixture(scope="module")
def scene() -> Iterator[EgressScene]:
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    with Lab.up(2, api=True, name=f"egress-{os.getpid()}") as lab:
        made = EgressScene(lab)
        made.start()
        yield made


@pytest.fixture
def leaving(scene: EgressScene, tmp_path: Path) -> Iterator[Leaving]:
    """Somebody at the controller."""
    found = Leaving(scene, tmp_path)
    found.start_over()
    yield found
    found.mend()
