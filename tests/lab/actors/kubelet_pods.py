# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pods that the lab's kubelet runs: antrea-agent's two containers, and kube-proxy's one.

Containers are transient units of their own, so they outlive kubelet. What runs is known from the
API; in an outage it keeps what it knew, also over a restart of its own, but not over a reboot.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.lab.api.client import ApiStatus, Client

Obj = dict[str, Any]

FOLDER = Path("/run/k8snet-lab")
#: Antrea's options on this node: behaviour, heartbeat, api_wait, watchdog. Read at each start.
SETTINGS = Path("/etc/k8snet-lab.json")
AGENT, OVS = "k8snet-antrea-agent.service", "k8snet-antrea-ovs.service"
PROXY = "k8snet-kube-proxy.service"
_CGROUPS = Path("/sys/fs/cgroup/system.slice")
FAULTS = (ApiStatus, OSError, http.client.HTTPException)
BACK_OFF = (0.5, 1.0, 2.0)
_GRACE = 30


def stamp() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def settings() -> Obj:
    found: Obj = json.loads(SETTINGS.read_text(encoding="utf-8"))
    return found


def _systemctl(*words: str) -> bool:
    return subprocess.run(("systemctl", *words), check=False).returncode == 0


def _active(unit: str) -> bool:
    """Whether a unit runs, or has not ended yet: systemd keeps its control group until then.

    Asking systemd instead costs an idle node a tenth of its time.
    """
    return _CGROUPS.joinpath(unit).exists()


def _start(unit: str, after: str, *words: str) -> None:
    """Start a command of the bundle as a process of that name."""
    program = FOLDER / words[0]  # a process is called what was executed, from its first moment on
    if not program.exists():
        program.symlink_to(sys.executable)
    command = ["systemd-run", "--quiet", "--collect", f"--unit={unit}", f"--property=After={after}"]
    command += [f"--property=TimeoutStopSec={_GRACE}", "--property=KillMode=mixed"]
    bundle = str(Path(sys.argv[0]).resolve())
    subprocess.run([*command, str(program), bundle, *words], check=False)


class NodePod:
    """The pod of one DaemonSet on this node. Its main container has its name."""

    name = ""
    label = ""
    units: tuple[str, ...] = ()
    after = "labnet.service"

    def __init__(self, api: Client, kubeconfig: str, node: str, say: Callable[[str], None]) -> None:
        self.api = api
        self.kubeconfig = kubeconfig
        self.node = node
        self.say = say
        self.file = FOLDER / f"pod-{self.name}.json"
        have = self.file.exists()
        self.pod: Obj = json.loads(self.file.read_text(encoding="utf-8")) if have else {}
        self._starts = 0
        self._not_before = 0.0
        self._started = 0.0
        self._reported = ""
        #: Why the main container ended last; a start does not take it back.
        self._why = ""
        self._state = FOLDER / f"{self.name}.json"

    def words(self) -> list[str]:
        """What of the main container's command is its own."""
        return []

    def keep_others(self) -> None:
        """Start the containers that the main one needs: none."""

    def sync(self) -> None:
        """Bring the containers one step closer to what the API wants, or wanted last."""
        try:
            self._follow(self._pods())
        except FAULTS as error:
            self.say(f"pods unknown, kept as they are: {error}")
        if self.pod:
            self._keep_running()
            self._report()

    def _pods(self) -> list[Obj]:
        return self.api.items(
            "/api/v1/pods",
            labelSelector=f"{self.label}={self.name}",
            fieldSelector=f"spec.nodeName={self.node}",
        )

    def _follow(self, pods: list[Obj]) -> None:
        mine = next((p for p in pods if p["metadata"]["uid"] == self.pod.get("uid")), None)
        going = mine is not None and "deletionTimestamp" in mine["metadata"]
        if mine is not None and not going and not self._says_so(mine):
            self._reported = ""
        if self.pod and (mine is None or going):
            self._stop_containers()
        for pod in pods:
            if "deletionTimestamp" in pod["metadata"]:
                self.api.delete(_path(pod["metadata"]), gracePeriodSeconds=0)
            elif not self.pod:
                meta = pod["metadata"]
                self.pod = {key: meta[key] for key in ("uid", "name", "namespace")}
                self.file.write_text(json.dumps(self.pod), encoding="utf-8")
                self._starts, self._not_before, self._reported, self._why = 0, 0.0, "", ""
                self.say(f"pod {meta['name']} is this node's")

    def _says_so(self, pod: Obj) -> bool:
        """Whether the pod's status is still what was reported: a lost node's is set by others."""
        conditions = (pod.get("status") or {}).get("conditions") or ()
        ready = next((c["status"] for c in conditions if c["type"] == "Ready"), "False")
        return self._reported.startswith(f"{ready} ")

    def _stop_containers(self) -> None:
        self.say(f"pod {self.pod['name']} goes: stopping its containers")
        for unit in self.units:
            if _active(unit):
                _systemctl("stop", unit)
        self.file.unlink(missing_ok=True)
        self.pod = {}

    def _keep_running(self) -> None:
        self.keep_others()
        now = time.monotonic()
        if _active(self.units[0]):
            if now - self._started > 10:
                self._starts = min(self._starts, 1)
            return
        if not self._not_before and self._starts:
            self._not_before = now + BACK_OFF[min(self._starts - 1, len(BACK_OFF) - 1)]
        if now < self._not_before:
            return
        words = [self.name, "--kubeconfig", self.kubeconfig, "--node", self.node]
        words += ["--pod", f"{self.pod['namespace']}/{self.pod['name']}", *self.words()]
        self.say(f"starting {self.name}, start {self._starts + 1} of {self.pod['name']}")
        self._state.unlink(missing_ok=True)
        _start(self.units[0], self.after, *words)
        self._starts, self._started, self._not_before = self._starts + 1, now, 0.0

    def _report(self) -> None:
        """Write the pod's status when it has changed."""
        about: Obj = {}
        if self._state.exists():
            about = json.loads(self._state.read_text(encoding="utf-8"))
        running = _active(self.units[0])
        ready = bool(running and about.get("ready"))
        restarts = max(0, self._starts - 1)
        self._why = str(about.get("why") or self._why)
        text = f"{ready} {running} {restarts} {self._why}"
        if text == self._reported:
            return
        try:
            self._write(ready, running, restarts, self._why)
            self._reported = text
        except FAULTS as error:
            self.say(f"cannot report the pod: {error}")

    def _write(self, ready: bool, running: bool, restarts: int, why: str) -> None:
        path = _path(self.pod)
        pod = self.api.find(path)
        if pod is None or pod["metadata"]["uid"] != self.pod["uid"]:
            return
        now, word = stamp(), "True" if ready else "False"
        states: list[Obj] = []
        for container in pod["spec"]["containers"]:
            main = container["name"] == self.name
            state: Obj = {"running": {"startedAt": now}}
            if main and not running:
                state = {"waiting": {"reason": "CrashLoopBackOff", "message": why}}
            last: Obj = {"terminated": {"exitCode": 1, "message": why}} if main and why else {}
            count = restarts if main else 0
            states.append(
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "",
                    "ready": ready or not main,
                    "restartCount": count,
                    "started": True,
                    "state": state,
                    "lastState": last,
                }
            )
        kinds = {"Initialized": "True", "PodScheduled": "True", "Ready": word}
        status = {
            "phase": "Running",
            "startTime": now,
            "conditions": [
                {"type": kind, "status": value, "lastTransitionTime": now}
                for kind, value in {**kinds, "ContainersReady": word}.items()
            ],
            "containerStatuses": states,
        }
        body = {"metadata": {"uid": self.pod["uid"]}, "status": status}
        self.api.patch(f"{path}/status", body)


class AgentPod(NodePod):
    """antrea-agent, and antrea-ovs beside it."""

    name, label = "antrea-agent", "component"
    units = (AGENT, OVS)
    after = f"{OVS} lab-ovs.service lab-ovsdb.service"

    def keep_others(self) -> None:
        if not _active(OVS):
            period = str(settings()["watchdog"])
            # Not after lab-ovs, which it stops when it is stopped: systemd would wait for both.
            _start(OVS, "labnet.service", "antrea-ovs", "--period", period)

    def words(self) -> list[str]:
        now = settings()
        out = ["--heartbeat", str(now["heartbeat"]), "--api-wait", str(now["api_wait"])]
        if now.get("behaviour") is not None:
            out.append(f"--behaviour={','.join(now['behaviour'])}")
        return [*out, "--services"] if now.get("services") else out


class ProxyPod(NodePod):
    """kube-proxy, in scenes that have it."""

    name, label = "kube-proxy", "k8s-app"
    units = (PROXY,)


def _path(meta: Obj) -> str:
    return f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
