# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every playbook must obey on the controller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PLAYS = [
    pytest.param(play, id=f"{file.stem}: {play['name']}")
    for file in sorted((ROOT / "playbooks").glob("*.yml"))
    for play in yaml.safe_load(file.read_text())
    if play["hosts"] == "localhost" or "':localhost'" in play["hosts"]
]


@pytest.mark.parametrize("play", PLAYS)
def test_an_inventory_that_says_become_for_all_does_not_make_it_root(play: dict[str, Any]) -> None:
    assert play.get("vars", {}).get("ansible_become") is False
