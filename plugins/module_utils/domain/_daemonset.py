# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a DaemonSet's updateStrategy means for a number of nodes. Pure.

Source: Kubernetes ``pkg/controller/daemon/util/daemonset_util.go`` (percentages round up).
"""

from __future__ import annotations

import math
from typing import Any


def at_once(daemonset: dict[str, Any] | None, nodes: int) -> int:
    """Return on how many of ``nodes`` nodes a roll-out replaces pods at a time, at least 1."""
    spec = (daemonset or {}).get("spec") or {}
    rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
    unavailable = _share(rolling.get("maxUnavailable", 1), nodes)
    most = unavailable or _share(rolling.get("maxSurge", 0), nodes)
    return max(1, min(most, nodes))


def _share(value: int | str, nodes: int) -> int:
    if isinstance(value, str) and value.endswith("%"):
        return math.ceil(int(value[:-1]) * nodes / 100)
    return int(value)
