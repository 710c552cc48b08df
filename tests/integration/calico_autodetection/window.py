# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of a change window see and do: the cluster's objects, the playbooks, faults."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.api.audit import WRITING
from tests.lab.lab import Lab
from tests.lab.scene import Scene, await_that

ROOT = Path(__file__).parents[3]
DNS_NODE, NEW = "node1", "172.31.66.11/24"
INSTALLATION = "/apis/operator.tigera.io/v1/installations/default"
LOCK = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/k8snet-change"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
CALM = 3.0
OURS, CONTROLLER = "k8snet.cni", "kube-controller-manager"
_CALL = """
import json, sys
from pathlib import Path
from tests.lab.api.client import Client
method, path, body, headers = json.loads(sys.argv[2])
print(json.dumps(Client(Path(sys.argv[1]), "k8snet-test").raw(method, path, body, headers)))
"""


@dataclass
class Run:
    """One run of a playbook: exit code and what it printed."""

    code: int
    said: str

    @property
    def run_id(self) -> str:
        found = re.search(r"k8snet_run_id=(\S+?)[\"'\s]", self.said)
        assert found, self.said
        return found.group(1)

    @property
    def changed(self) -> int:
        """Tasks of the controller that changed something, by the recap."""
        found = re.search(r"^localhost .*changed=(\d+)", self.said, re.MULTILINE)
        assert found, self.said
        return int(found.group(1))

    @property
    def diff(self) -> str:
        """The diff of the cluster's object; how long the hold may be depends on the moment."""
        found = re.search(r"^TASK \[[^\n]*Set the method.*?(?=^TASK )", self.said, re.M | re.S)
        assert found, self.said
        shown = re.search(r"^--- before.*(?=^changed)", found.group(0), re.M | re.S)
        return re.sub(r'("minReadySeconds": )\d+', r"\1N", shown.group(0)) if shown else ""

    @property
    def table(self) -> list[str]:
        """Now and then of each node, as the plan shows it."""
        found = re.findall(r"node\d +\S+/\d+ +\S+/\d+ \(\S+\)(?: +changes)?", self.said)
        return list(dict.fromkeys(found))


@dataclass
class Cluster:
    """A cluster of the lab, its API inside the lab's network, and playbooks against it."""

    scene: Scene
    folder: Path

    @property
    def lab(self) -> Lab:
        return self.scene.lab

    def call(self, method: str, path: str, body: Any = None, kind: str = "") -> tuple[int, Any]:
        """Send one request as the administrator; return code and body."""
        headers = {"Content-Type": kind} if kind else {}
        words = json.dumps([method, path, body, headers])
        command = [sys.executable, "-c", _CALL, str(self.scene.kubeconfig), words]
        done = self.lab.exec(
            command, check=True, cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        code, _unused, found = json.loads(done.stdout)
        return code, found

    def get(self, path: str) -> Any:
        code, found = self.call("GET", path)
        assert code == 200, found
        return found

    def patch(self, path: str, body: Any, kind: str = JSON_PATCH) -> Any:
        code, found = self.call("PATCH", path, body, kind)
        assert code == 200, found
        return found

    @property
    def spec(self) -> Any:
        """The spec of the Installation."""
        return self.get(INSTALLATION)["spec"]

    def annotations(self, name: str = "projectcalico.org/IPv4Address") -> dict[str, str | None]:
        nodes = self.get("/api/v1/nodes")["items"]
        return {
            n["metadata"]["name"]: n["metadata"].get("annotations", {}).get(name) for n in nodes
        }

    def agents(self) -> list[Any]:
        """The pods of calico-node."""
        return list(self.get("/api/v1/pods?labelSelector=k8s-app%3Dcalico-node")["items"])

    def uids(self) -> dict[str, str]:
        """Node -> uid of its calico-node."""
        return {pod["spec"]["nodeName"]: pod["metadata"]["uid"] for pod in self.agents()}

    def locked(self) -> bool:
        code, lease = self.call("GET", LOCK)
        return code == 200 and bool((lease.get("spec") or {}).get("holderIdentity"))

    def grow_old(self, seconds: int = 900) -> None:
        """Have each ready calico-node be so for a while, which bounds how long a hold may be.

        A pod whose neighbour was restarted a moment ago may yet lose its readiness, and begin anew:
        it is looked at until none has done so for `CALM` seconds.
        """
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds))
        seen: set[tuple[str, str]] = set()
        calm = time.monotonic()

        def look() -> float:
            nonlocal seen, calm
            now = set()
            for pod in self.agents():
                ready = next(c for c in pod["status"]["conditions"] if c["type"] == "Ready")
                now.add((pod["metadata"]["uid"], ready["status"]))
                if ready["status"] == "True" and ready["lastTransitionTime"] != since:
                    calm = time.monotonic()
                    body = {"status": {"conditions": [{**ready, "lastTransitionTime": since}]}}
                    meta = pod["metadata"]
                    path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status"
                    self.patch(path, body, STRATEGIC)
            calm = calm if now == seen else time.monotonic()
            seen = now
            return time.monotonic() - calm

        await_that(look, lambda quiet: quiet > CALM, "calico-node's readiness has come to rest")

    def await_readiness(self, wanted: dict[str, bool]) -> None:
        """Wait until calico-node is ready on exactly the nodes where it is wanted to be."""

        def look() -> dict[str, bool]:
            return {
                pod["spec"]["nodeName"]: any(
                    (c["type"], c["status"]) == ("Ready", "True")
                    for c in pod["status"].get("conditions") or ()
                )
                for pod in self.agents()
            }

        await_that(look, lambda seen: seen == wanted, f"calico-node is ready: {wanted}")

    def await_rolled_out(self) -> None:
        """Wait until every node runs the newest calico-node and all are ready."""
        path = "/apis/apps/v1/daemonsets"

        def look() -> list[Any]:
            sets = [d for d in self.get(path)["items"] if d["metadata"]["name"] == "calico-node"]
            return [(d["metadata"]["generation"], d.get("status", {})) for d in sets]

        count = len(self.scene.nodes)
        await_that(
            look,
            lambda seen: all(
                status.get("observedGeneration") == generation
                and status.get("updatedNumberScheduled", 0) == count
                and status.get("numberReady", 0) == count
                for generation, status in seen
            ),
            "calico-node is rolled out",
        )

    def play(self, name: str, *arguments: str) -> Run:
        env = {k: v for k, v in os.environ.items() if not k.startswith("K8S_AUTH_")}
        env.pop("KUBECONFIG", None)
        env["ANSIBLE_COLLECTIONS_PATH"] = str(ROOT / ".ansible/collections")
        env["ANSIBLE_NOCOLOR"] = env["ANSIBLE_PIPELINING"] = "1"
        words = [str(Path(sys.executable).with_name("ansible-playbook")), f"k8snet.cni.{name}"]
        words += ["-i", str(self.lab.inventory), "-e", f"k8snet_undo_dir={self.folder}/undo"]
        words += ["-e", f"k8snet_kubeconfig={self.scene.kubeconfig}"]
        words += [
            "-e",
            "calico_autodetection_poll=1",
            "-e",
            "calico_autodetection_canary_timeout=90",
        ]
        words += ["-e", "calico_autodetection_rollout_timeout=150"]
        done = subprocess.run(
            [*words, *arguments],
            capture_output=True,
            text=True,
            env={**env, "HOME": str(self.folder)},
            cwd=self.folder,
            check=False,
            timeout=420,
        )
        said = done.stdout + done.stderr
        assert "Traceback" not in said
        return Run(done.returncode, said)

    def change(self, *arguments: str) -> Run:
        return self.play("calico_autodetection", "--diff", *arguments)

    def log(self) -> list[Any]:
        """The API's audit events so far, with agent, verb, resource and code."""
        text = (self.scene.kubeconfig.parent / "audit.log").read_bytes()
        found = []
        for line in text.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            event = json.loads(line)
            if event["stage"] == "ResponseComplete":
                found.append(event)
        return found

    def writes(self, since: int) -> list[str]:
        """What the collection wrote after event number ``since``, in order: "verb resource"."""
        return [
            f"{e['verb']} {e['objectRef']['resource']}"
            for e in self.log()[since:]
            if e.get("userAgent", "").startswith(OURS)
            and e["verb"] in WRITING
            and not e["objectRef"]["resource"].endswith("reviews")
            and "dryRun=All" not in e["requestURI"]
        ]

    def restarts(self, since: int, resource: str = "installations") -> tuple[int, int]:
        """Pods made between our first write of ``resource`` and our last, and pods made after."""
        events = self.log()[since:]
        patches = [
            i
            for i, e in enumerate(events)
            if e.get("userAgent", "").startswith(OURS)
            and (e["verb"], e["objectRef"].get("resource")) == ("patch", resource)
        ]
        made = [
            i
            for i, e in enumerate(events)
            if e.get("userAgent", "").startswith(CONTROLLER)
            and (e["verb"], (e.get("objectRef") or {}).get("resource")) == ("create", "pods")
        ]
        first, last = patches[0], patches[-1]
        return sum(first < i < last for i in made), sum(i > last for i in made)

    @contextmanager
    def at_the_lock(self, act: Callable[[], object]) -> Iterator[None]:
        """Does something at the moment when a run has taken its lock, before its first change."""
        since, ended = len(self.log()), threading.Event()

        def watch() -> None:
            while not ended.wait(0.2):
                if any(w.endswith(" leases") for w in self.writes(since)):
                    act()
                    return

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


@contextmanager
def another(lab: Lab, folder: Path, cni: str, *extra: str) -> Iterator[Cluster]:
    """Another cluster for the same nodes; they go back to the lab's own afterwards."""
    folder.mkdir()
    serve = [sys.executable, "-m", "tests.lab.api", "serve", "--listen", "10.160.1.1:6444"]
    server = subprocess.Popen(
        lab.inside([*serve, "--dir", str(folder / "api")]),
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    scene = Scene(lab, DNS_NODE, folder / "api" / "kubeconfig")
    try:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("ready ")
        scene.set(cni, 2.0, *extra)
        yield Cluster(scene, folder)
    finally:
        for process in (scene.central, server):
            if process:
                process.terminate()
                process.wait()
        Scene(lab, DNS_NODE).join()
