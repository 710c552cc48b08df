# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs on the node: reads it many times with one back end while interfaces come and go.

usage: hammer.py BACKEND TIMES; prints how often each set of interfaces (without the flapping one)
was seen, as JSON, and fails on any half entry.
"""

from __future__ import annotations

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE + "/tree", HERE + "/pyroute2"]

from ansible_collections.k8snet.cni.plugins.module_utils.node import _nics  # noqa: E402


def main() -> None:
    backend, times = sys.argv[1], int(sys.argv[2])
    seen: dict[str, int] = {}
    flapping = 0
    keys: set[str] = set()
    for _unused in range(times):
        nics = _nics.gather(include_pod_interfaces=True, backend=backend)["nics"]
        keys |= {",".join(sorted(nic)) for nic in nics}
        flapping += any(nic["name"] == "flap" for nic in nics)
        rest = json.dumps([nic for nic in nics if nic["name"] != "flap"])
        seen[rest] = seen.get(rest, 0) + 1
    print(json.dumps({"keys": len(keys), "flapping": flapping, "seen": sorted(seen.values())}))


main()
