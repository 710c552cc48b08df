# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The node lifecycle controller of the lab: a node without heartbeats becomes Unknown."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any

from tests.lab.actors.loop import Actor, stamp
from tests.lab.api.client import STRATEGIC, Client

Obj = dict[str, Any]


def _age(condition: Obj, now: float) -> float:
    read = datetime.strptime(condition["lastHeartbeatTime"], "%Y-%m-%dT%H:%M:%SZ")
    return now - read.replace(tzinfo=timezone.utc).timestamp()


class NodeLifecycle(Actor):
    """Marks a node, and its pods not Ready. The real one waits 40 s (50 s since 1.32)."""

    name = "node-lifecycle"

    def __init__(self, client: Client, grace: float = 8, resync: float = 1.0) -> None:
        super().__init__(client, resync)
        self.grace = grace

    def reconcile(self) -> None:
        for node in self.client.items("/api/v1/nodes"):
            conditions = (node.get("status") or {}).get("conditions") or ()
            ready = next((c for c in conditions if c["type"] == "Ready"), None)
            late = ready is not None and _age(ready, time.time()) > self.grace
            if ready is not None and late and ready["status"] != "Unknown":
                self._lost(node["metadata"]["name"], ready)

    def _lost(self, name: str, ready: Obj) -> None:
        self.say(f"{name} has stopped posting its status")
        unknown = {
            **ready,
            "status": "Unknown",
            "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.",
            "lastTransitionTime": stamp(),
        }
        body = {"status": {"conditions": [unknown]}}
        self.client.patch(f"/api/v1/nodes/{name}/status", body, STRATEGIC)
        for pod in self.client.items("/api/v1/pods", fieldSelector=f"spec.nodeName={name}"):
            meta = pod["metadata"]
            path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status"
            lost = {"type": "Ready", "status": "False", "lastTransitionTime": stamp()}
            self.client.patch(path, {"status": {"conditions": [lost]}}, STRATEGIC)
