# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests of kube-proxy's removal do and see, beside running playbooks."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Any

from tests.integration.antrea.window import Run, Running, Window
from tests.lab.actors import content_services
from tests.lab.actors.cluster import collection
from tests.lab.antrea_scene import CONFIG_MAP, await_that
from tests.lab.errors import LabError
from tests.lab.scene import Scene
from tests.lab.service_scene import API_ADDRESS, PROXY_SET

Obj = dict[str, Any]

LABEL = "k8snet.io/kube-proxy"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/k8snet-change"
KUBEADM = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
GATEWAY = "antrea-gw0"
SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
#: Between kube-proxy's chain (-100) and AntreaProxy's (-95): what the one has not taken gets lost.
_SABOTAGE = (
    "add table ip sabotage; add chain ip sabotage out { type nat hook output priority -98; }; "
    "add rule ip sabotage out ip daddr 10.96.0.0/16 dnat to 192.0.2.1"
)


class Removal:
    """The playbook, and the cluster that it changes."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self.scene = scene
        self.window = Window(scene, folder)

    # -- runs -------------------------------------------------------------------------------------

    def start(self, *arguments: str, **variables: Any) -> Running:
        words: Obj = {"kube_proxy_removal_api_server": API_ADDRESS, "kube_proxy_removal_poll": 1}
        words.update(k8snet_undo_dir=str(self.window.folder / "undo"))
        words["kube_proxy_removal_settle_timeout"] = 20
        return self.window.start("kube_proxy_removal", *arguments, **{**words, **variables})

    def run(self, *arguments: str, **variables: Any) -> Run:
        return self.start(*arguments, **variables).end(500)

    def put_back(self, **variables: Any) -> Run:
        return self.run(kube_proxy_removal_state="present", **variables)

    def rollback(self, run_id: str) -> Run:
        folder = str(self.window.folder / "undo")
        words = {"k8snet_run_id": run_id, "k8snet_undo_dir": folder, "kube_proxy_removal_poll": 1}
        return self.window.start("rollback", **words).end(500)

    # -- what is done to the cluster --------------------------------------------------------------

    def sabotage(self, node: str) -> None:
        """Has AntreaProxy serve nothing to the node itself, which shows once kube-proxy is gone."""
        self.scene.on(node, f"nft '{_SABOTAGE}'")

    def add_service(self, name: str) -> None:
        """Makes one more Service of the pods of default/web."""
        spec = {"clusterIP": "10.96.0.81", "selector": {"app": "web"}}
        spec["ports"] = [{"name": "http", "port": 80, "targetPort": 8080}]
        meta = {"name": name, "namespace": "default"}
        body = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
        self.scene.call("POST", SERVICES, body, "application/json")
        for node in self.scene.nodes:
            await_that(
                lambda node=node: self.scene.web(node, "10.96.0.81:80"),  # type: ignore[misc]
                bool,
                f"{name} is served on {node}",
                90,
            )

    def drop_service(self, name: str) -> None:
        self._forget(f"{SERVICES}/{name}")
        self._forget(f"{SLICES}/{name}-lab")

    def damage_a_bundle(self) -> Path:
        """Leaves an undo bundle that cannot be read, the last one by its name."""
        broken = self.window.folder / "undo" / "zz-broken" / "cluster.json"
        broken.parent.mkdir(parents=True)
        broken.write_text("{")
        return broken

    def mend(self) -> None:
        """Takes back what tests broke, in order that nodes can be reached and serve."""
        for node in self.scene.nodes:
            self.scene.on(node, "nft 'add table ip sabotage; delete table ip sabotage'")

    def start_over(self) -> None:
        """Has kube-proxy as kubeadm left it, and Antrea without proxyAll."""
        scene = self.scene
        for node in scene.nodes:
            scene.label(node, LABEL, None)
        self._forget(LEASE)
        if self.daemonset() is None or LABEL in str(self.daemonset()):
            self._forget(PROXY_SET)
            for obj in content_services.kube_proxy("v1.33.5", scene.kube_proxy):
                path = collection(obj)
                if obj["metadata"]["name"] == "kubeadm-config":
                    scene.call("PATCH", f"{path}/kubeadm-config", {"data": obj["data"]})
                elif not self._there(f"{path}/{obj['metadata']['name']}"):
                    scene.call("POST", path, obj, "application/json")
        if "proxyAll: true" in self.conf():
            scene.proxy_all(False, "")
            for node in scene.nodes:
                scene.restart_agent(node)
            scene.await_antrea_settled()
        for node in scene.nodes:
            await_that(
                lambda node=node: self.ruled(node),  # type: ignore[misc]
                bool,
                f"kube-proxy serves on {node}",
                90,
            )
        scene.await_served()

    def _there(self, path: str) -> bool:
        try:
            self.scene.call("GET", path)
        except LabError:
            return False
        return True

    def _forget(self, path: str) -> None:
        if self._there(path):
            self.scene.call("DELETE", path)

    # -- what is seen -----------------------------------------------------------------------------

    def daemonset(self) -> Obj | None:
        if not self._there(PROXY_SET):
            return None
        found: Obj = self.scene.call("GET", PROXY_SET)
        return found

    def labelled(self) -> list[str]:
        nodes = self.scene.call("GET", "/api/v1/nodes")["items"]
        return sorted(
            node["metadata"]["name"]
            for node in nodes
            if LABEL in node["metadata"].get("labels", {})
        )

    def conf(self) -> str:
        return str(self.scene.call("GET", CONFIG_MAP)["data"]["antrea-agent.conf"])

    def kubeadm(self) -> str:
        return str(self.scene.call("GET", KUBEADM)["data"]["ClusterConfiguration"])

    def locked(self) -> bool:
        lease = self.scene.call("GET", LEASE) if self._there(LEASE) else {"spec": {}}
        return bool(lease["spec"].get("holderIdentity"))

    def chains(self, node: str) -> int:
        """How many of kube-proxy's per-service chains a node has."""
        said = self.scene.on(node, "iptables-nft-save -t nat")
        return said.count(":KUBE-SVC-") + said.count(":KUBE-SEP-")

    def ruled(self, node: str) -> bool:
        """Whether kube-proxy runs on a node and has written its rules there."""
        servers = self.scene.on(node, "cat /proc/net/ip_vs 2>/dev/null || true").count("TCP ")
        return bool(self.scene.proxy_pid(node)) and bool(self.chains(node) or servers)

    def gone(self, node: str) -> bool:
        """Whether nothing of kube-proxy is on a node, and AntreaProxy serves it."""
        scene = self.scene
        left = scene.on(node, "ip link show kube-ipvs0 2>/dev/null || true")
        left += scene.on(node, "cat /proc/net/ip_vs 2>/dev/null | grep -E 'TCP|UDP' || true")
        left += scene.on(node, "iptables-nft-save | grep KUBE-S || true")
        left += scene.on(node, "ipset list -n 2>/dev/null | grep KUBE || true")
        served = all(scene.served(node).values())
        return not left and not scene.proxy_pid(node) and served and scene.route(node) == GATEWAY

    def state(self) -> Obj:
        """All that a run changes, but for the agents' processes."""
        daemonset = self.daemonset() or {}
        return {
            "template": (daemonset.get("spec") or {}).get("template"),
            "conf": self.conf(),
            "kubeadm": self.kubeadm(),
            "labelled": self.labelled(),
            "locked": self.locked(),
            "chains": {node: self.chains(node) for node in self.scene.nodes},
            "pods": {node: self.pod_uid(node) for node in self.scene.nodes},
        }

    def pod_uid(self, node: str) -> str | None:
        pod = self.scene.proxy_pod(node)
        return pod["metadata"]["uid"] if pod else None


def changes(run: Run) -> set[str]:
    """The tasks that have changed something, or in check mode would."""
    blocks = re.findall(r"^TASK \[([^\n]*)\] \*+$(.*?)(?=^(?:TASK|PLAY) )", run.said, re.M | re.S)
    return {
        name.rpartition(" : ")[2] for name, said in blocks if re.search(r"^changed: ", said, re.M)
    }


def told(run: Run, task: str) -> set[str]:
    """What a task has shown of its changes; a pod that is another by then counts as the same."""
    lines = [line for line in run.task(task).splitlines() if line[:1] in "+-" and line]
    return {re.sub(r"uid [0-9a-f-]+", "uid U", line) for line in lines}


class Watch:
    """Asks a Service from a node over and over; ``lost``: the times at which nobody answered."""

    def __init__(self, scene: Scene, node: str) -> None:
        self.scene = scene
        self.node = node
        self.asked = 0
        self.lost: list[float] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._end.is_set():
            self.asked += 1
            if not self.scene.web(self.node):
                self.lost.append(time.monotonic())
            self._end.wait(0.3)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join()
