# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All measurements: ``python -m tests.bench``; one alone: ``python -m tests.bench.node_facts``."""

from __future__ import annotations

import sys

from tests.bench import calico_autodetection, kube_proxy_rules, node_facts

if __name__ == "__main__":
    sys.exit(node_facts.main([]) or calico_autodetection.main([]) or kube_proxy_rules.main([]))
