# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two nodes with Antrea; each test finds them well and with their own NICs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.antrea.window import Window
from tests.lab.actors import antrea_rules
from tests.lab.antrea_scene import Settings, await_that
from tests.lab.lab import Lab
from tests.lab.scene import Scene


@pytest.fixture(scope="module")
def antrea() -> Iterator[Scene]:
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    with Lab.up(2, api=True, name=f"antrea2-{os.getpid()}") as lab:
        scene = Scene(lab)
        scene.set("antrea", version="v2.3.0")
        yield scene


@pytest.fixture
def window(antrea: Scene, tmp_path: Path) -> Iterator[Window]:
    """Somebody at the controller. Afterwards everything is as before, whatever was done."""
    yield Window(antrea, tmp_path)
    antrea.behave(Settings())
    antrea.secondary([])
    for node in antrea.nodes:
        antrea.on(node, "sh -c 'pkill -CONT -x antrea-agent || true'")
        antrea.vsctl(node, "remove Open_vSwitch . other_config flow-restore-wait")
        antrea.restart_agent(node)
    antrea.await_antrea_settled()


def cut_off(scene: Scene, *nodes: str) -> None:
    """The founding incident: an agent with v2.0's bug takes the primary NIC into its bridge.

    Of v2.0's two bugs the one: by the other no restarted agent would heal (antrea issue 6666).
    """
    scene.behave(Settings(behaviour=(antrea_rules.UPLINK_FIRST,)))
    scene.secondary(["eth0"])
    for node in nodes:
        scene.restart_agent(node)
        await_that(
            lambda node=node: scene.answers(node),  # type: ignore[misc]
            lambda answers: not answers,
            f"{node} is cut off",
            120,
        )
