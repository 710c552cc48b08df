# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two nodes with Antrea; each test finds the configuration as it was installed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.antrea_features.clickhouse import ClickHouse
from tests.integration.antrea_features.features import Features
from tests.lab import netfilter
from tests.lab.image import ensure_image
from tests.lab.lab import Lab
from tests.lab.scene import Scene


class FilteredScene(Scene):
    """Nodes that have iptables, for policies."""

    def prepare_node(self, node: str) -> None:
        archive = netfilter.ensure(ensure_image(print), print)
        netfilter.install(self.lab, node, archive)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    with Lab.up(2, api=True, name=f"features-{os.getpid()}") as lab:
        made = FilteredScene(lab)
        made.set("antrea", version="v2.6.0")
        yield made


@pytest.fixture
def features(scene: Scene, tmp_path: Path) -> Features:
    """Somebody at the controller."""
    found = Features(scene, tmp_path)
    found.start_over()
    return found


@pytest.fixture
def clickhouse(scene: Scene, tmp_path: Path) -> Iterator[ClickHouse]:
    """Theia's ClickHouse, whose tables lack a column."""
    found = ClickHouse(scene.lab, tmp_path)
    yield found
    found.end()
