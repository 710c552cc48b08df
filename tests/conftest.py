# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of all tests."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# A busy machine makes an example slow, not wrong. In CI the same examples run each time, so that a
# submission is red for what it changed; elsewhere new ones are tried.
settings.register_profile(
    "k8snet",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("CI") == "true",
)
settings.load_profile("k8snet")
