# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small kubelet: this node's heartbeats, and the pods of ``kubelet_pods``.

Where Services are served (settings), it also wires the node's other pod, which answers for
default/web and, on one node, DNS.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tests.lab.actors.kubelet_pods import (
    FAULTS,
    FOLDER,
    AgentPod,
    NodePod,
    ProxyPod,
    settings,
    stamp,
)
from tests.lab.actors.pods import pod_address
from tests.lab.actors.rollout import is_ready
from tests.lab.api.client import STRATEGIC, Client

Obj = dict[str, Any]

REQUEST_SECONDS = 3
#: As Antrea calls the node's end of a pod's veth.
DEVICE = "web-lab-c0ffee"


class Kubelet:
    """One node's."""

    def __init__(self, api: Client, kubeconfig: str, node: str) -> None:
        self.api = api
        self.node = node
        self.ended = threading.Event()
        self._said: dict[str, str] = {}
        self._wired = ""
        kinds: list[type[NodePod]] = [AgentPod]
        if settings().get("services"):
            kinds.append(ProxyPod)
        self.pods = [kind(api, kubeconfig, node, self.say) for kind in kinds]

    def say(self, text: str) -> None:
        name = threading.current_thread().name
        if text != self._said.get(name):
            print(text, flush=True)
            self._said[name] = text

    def beat(self) -> None:
        """Say that the node is ready."""
        path = f"/api/v1/nodes/{self.node}"
        have = (self.api.get(path).get("status") or {}).get("conditions") or ()
        old: Obj = next((c for c in have if c["type"] == "Ready"), {})
        now = stamp()
        since = old.get("lastTransitionTime") if old.get("status") == "True" else now
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "kubelet is posting ready status",
            "lastHeartbeatTime": now,
            "lastTransitionTime": since or now,
        }
        self.api.patch(f"{path}/status", {"status": {"conditions": [ready]}}, STRATEGIC)
        self.say("the API has the node's heartbeat")

    def sync(self) -> None:
        """Bring the node's pods one step closer to what the API wants, or wanted last."""
        for pod in self.pods:
            pod.sync()
        services = settings().get("services")
        if services:
            try:
                self._other_pod(services)
            except FAULTS as error:
                self.say(f"pods unknown, kept as they are: {error}")

    def _other_pod(self, services: Obj) -> None:
        """Wire it once in a boot, and say that it is ready."""
        if not self._wired:
            cidr = self.api.get(f"/api/v1/nodes/{self.node}")["spec"]["podCIDR"]
            words = ["pods", "up", "--pod-cidr", cidr, "--device", DEVICE, "--web", self.node]
            words += ["--dns"] if services["dns"] == self.node else []
            bundle = str(Path(sys.argv[0]).resolve())
            done = subprocess.run([sys.executable, bundle, *words], check=False)
            if done.returncode:
                return
            self._wired = pod_address(cidr)
        for pod in self.api.items("/api/v1/pods", fieldSelector=f"spec.nodeName={self.node}"):
            meta, status = pod["metadata"], pod.get("status") or {}
            if status.get("podIP") == self._wired and not is_ready(pod):
                path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status"
                now = stamp()
                kinds = ("Initialized", "PodScheduled", "ContainersReady", "Ready")
                conditions = [
                    {"type": kind, "status": "True", "lastTransitionTime": now} for kind in kinds
                ]
                body = {"status": {"phase": "Running", "conditions": conditions}}
                self.api.patch(path, body, STRATEGIC)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="kubelet", description=__doc__)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--node", required=True)
    parser.add_argument("--period", type=float, default=1, help="seconds between two heartbeats")
    options = parser.parse_args(arguments)
    FOLDER.mkdir(exist_ok=True)
    api = Client(Path(options.kubeconfig), "kubelet", REQUEST_SECONDS)
    kubelet = Kubelet(api, options.kubeconfig, options.node)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: kubelet.ended.set())

    def heartbeats() -> None:
        while not kubelet.ended.is_set():
            try:
                kubelet.beat()
            except FAULTS as error:
                kubelet.say(f"no heartbeat: {error}")
            kubelet.ended.wait(options.period)

    threading.Thread(target=heartbeats, name="heartbeats", daemon=True).start()
    while not kubelet.ended.is_set():
        kubelet.sync()
        kubelet.ended.wait(options.period)
    return 0


if __name__ == "__main__":
    sys.exit(main())
