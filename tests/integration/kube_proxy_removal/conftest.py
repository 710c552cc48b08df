# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes with Antrea and kube-proxy; each test finds kube-proxy serving as kubeadm left it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.kube_proxy_removal.removal import Removal
from tests.lab.lab import Lab
from tests.lab.scene import Scene


@pytest.fixture(scope="module")
def iptables() -> Iterator[Scene]:
    yield from scene("iptables")


@pytest.fixture(scope="module")
def ipvs() -> Iterator[Scene]:
    yield from scene("ipvs")


def scene(mode: str, nodes: int = 2) -> Iterator[Scene]:
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    with Lab.up(nodes, api=True, name=f"{mode}-{os.getpid()}") as lab:
        made = Scene(lab, kube_proxy=mode)
        made.set("antrea", version="v2.5.0")
        yield made


@pytest.fixture
def removal(iptables: Scene, tmp_path: Path) -> Iterator[Removal]:
    """Somebody at the controller."""
    found = Removal(iptables, tmp_path)
    found.start_over()
    yield found
    found.mend()


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Removal]:
    """The same with three nodes, of which one may get lost."""
    for made in scene("iptables", 3):
        yield Removal(made, tmp_path)


@pytest.fixture
def ipvs_removal(ipvs: Scene, tmp_path: Path) -> Removal:
    """The same where kube-proxy runs in IPVS mode."""
    return Removal(ipvs, tmp_path)
