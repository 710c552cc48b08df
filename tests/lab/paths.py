# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the lab keeps things: a cache that outlives it, a run directory that goes with it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.lab.errors import LabError

#: The directory that has to be on PYTHONPATH for `tests.lab` to be importable.
CHECKOUT = Path(__file__).resolve().parents[2]

#: Run directories of all instances. /run because only root runs a lab, a reboot empties it, and
#: the paths of unix sockets must stay under 108 characters.
RUN_BASE = Path("/run/k8snet-lab")


def cache_dir() -> Path:
    """$K8SNET_CACHE, else $XDG_CACHE_HOME/k8snet, else ~/.cache/k8snet."""
    if os.environ.get("K8SNET_CACHE"):
        return Path(os.environ["K8SNET_CACHE"])
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "k8snet"


def instance_name() -> str:
    """The instance this process means: $K8SNET_LAB, or "lab"."""
    return checked_name(os.environ.get("K8SNET_LAB") or "lab")


def checked_name(name: str) -> str:
    """The name itself when it can be a directory name; LabError when not."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", name):
        raise LabError(
            f"K8SNET_LAB={name!r} cannot name a lab",
            "Use 1 to 32 letters, digits, dots, dashes or underscores.",
        )
    return name


def run_dir(name: str) -> Path:
    """The run directory of one instance: sockets, logs, key, inventory, the API's files."""
    return RUN_BASE / name
