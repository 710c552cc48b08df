# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab: real kernels as test nodes, the hypervisor's switch, the Kubernetes API.

`python -m tests.lab --help` tells how to use it from a shell; `tests.lab.lab.Lab` from Python.
"""

from __future__ import annotations
