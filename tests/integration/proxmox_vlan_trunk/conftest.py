# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two nodes that are VMs of a Proxmox; node1 has the gateway of a VLAN that node2 lacks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.proxmox_vlan_trunk.world import World
from tests.lab.actors import content
from tests.lab.lab import Lab
from tests.lab.proxmox_scene import GATEWAY, VLAN
from tests.lab.scene import Scene

READY = content.ready_condition("2026-11-01T08:00:00Z")


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    with Lab.up(2, api=True, name=f"proxmox-{os.getpid()}") as lab:
        lab.trunk("node1", [VLAN])
        link = f"sudo ip link add link eth0 name gw type vlan id {VLAN}"
        lab.ssh(
            "node1", f"{link} && sudo ip addr add {GATEWAY}/24 dev gw && sudo ip link set gw up"
        )
        made = Scene(lab)
        for number in (1, 2):
            node = content.node(number)
            made.call("POST", "/api/v1/nodes", node, "application/json")
            path = f"/api/v1/nodes/node{number}/status"
            made.call("PATCH", path, {"status": {**node["status"], "conditions": [READY]}})
        yield made


@pytest.fixture
def world(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Somebody at the controller, with a token."""
    with World(scene, tmp_path) as found:
        for name, value in found.environment().items():
            monkeypatch.setenv(name, value)
        yield found
