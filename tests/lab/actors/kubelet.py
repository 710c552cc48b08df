# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small kubelet: this node's heartbeats, and the containers of its antrea-agent pod.

Containers are transient units of their own, so they outlive it. What runs is known from the API; in
an outage it keeps what it knew, also over a restart of its own, but not over a reboot of the node.
"""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.lab.api.client import STRATEGIC, ApiStatus, Client

Obj = dict[str, Any]

FOLDER = Path("/run/k8snet-lab")
POD = FOLDER / "pod.json"
AGENT_STATE = FOLDER / "antrea-agent.json"
#: Antrea's options on this node: behaviour, heartbeat, api_wait, watchdog. Read at each start.
SETTINGS = Path("/etc/k8snet-lab.json")
AGENT, OVS = "k8snet-antrea-agent.service", "k8snet-antrea-ovs.service"
COMPONENT = "antrea-agent"
FAULTS = (ApiStatus, OSError, http.client.HTTPException)
REQUEST_SECONDS = 3
BACK_OFF = (0.5, 1.0, 2.0)
_GRACE = 30


def stamp() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _systemctl(*words: str) -> bool:
    return subprocess.run(("systemctl", *words), check=False).returncode == 0


def _active(unit: str) -> bool:
    """Whether a unit runs, or has not ended yet."""
    command = ("systemctl", "show", "--property=ActiveState", "--value", unit)
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return said not in ("inactive", "failed", "")


def _start(unit: str, after: str, *words: str) -> None:
    """Start a command of the bundle as a process of that name."""
    program = FOLDER / words[0]  # a process is called what was executed, from its first moment on
    if not program.exists():
        program.symlink_to(sys.executable)
    command = ["systemd-run", "--quiet", "--collect", f"--unit={unit}", f"--property=After={after}"]
    command += [f"--property=TimeoutStopSec={_GRACE}", "--property=KillMode=mixed"]
    bundle = str(Path(sys.argv[0]).resolve())
    subprocess.run([*command, str(program), bundle, *words], check=False)


class Kubelet:
    """One node's."""

    def __init__(self, api: Client, kubeconfig: str, node: str) -> None:
        self.api = api
        self.kubeconfig = kubeconfig
        self.node = node
        self.ended = threading.Event()
        self.pod: Obj = json.loads(POD.read_text(encoding="utf-8")) if POD.exists() else {}
        self._starts = 0
        self._not_before = 0.0
        self._started = 0.0
        self._reported = ""
        self._said: dict[str, str] = {}

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
            labelSelector=f"component={COMPONENT}",
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
                POD.write_text(json.dumps(self.pod), encoding="utf-8")
                self._starts, self._not_before, self._reported = 0, 0.0, ""
                self.say(f"pod {meta['name']} is this node's")

    def _says_so(self, pod: Obj) -> bool:
        """Whether the pod's status is still what was reported: a lost node's is set by others."""
        conditions = (pod.get("status") or {}).get("conditions") or ()
        ready = next((c["status"] for c in conditions if c["type"] == "Ready"), "False")
        return self._reported.startswith(f"{ready} ")

    def _stop_containers(self) -> None:
        self.say(f"pod {self.pod['name']} goes: stopping its containers")
        for unit in (AGENT, OVS):
            if _active(unit):
                _systemctl("stop", unit)
        POD.unlink(missing_ok=True)
        self.pod = {}

    def _keep_running(self) -> None:
        settings = json.loads(SETTINGS.read_text(encoding="utf-8"))
        if not _active(OVS):
            period = str(settings["watchdog"])
            # Not after lab-ovs, which it stops when it is stopped: systemd would wait for both.
            _start(OVS, "labnet.service", "antrea-ovs", "--period", period)
        now = time.monotonic()
        if _active(AGENT):
            if now - self._started > 10:
                self._starts = min(self._starts, 1)
            return
        if not self._not_before and self._starts:
            self._not_before = now + BACK_OFF[min(self._starts - 1, len(BACK_OFF) - 1)]
        if now < self._not_before:
            return
        words = ["antrea-agent", "--kubeconfig", self.kubeconfig, "--node", self.node]
        words += ["--pod", f"{self.pod['namespace']}/{self.pod['name']}"]
        words += ["--heartbeat", str(settings["heartbeat"])]
        words += ["--api-wait", str(settings["api_wait"])]
        if settings.get("behaviour") is not None:
            words += [f"--behaviour={','.join(settings['behaviour'])}"]
        self.say(f"starting {COMPONENT}, start {self._starts + 1} of {self.pod['name']}")
        AGENT_STATE.unlink(missing_ok=True)
        _start(AGENT, f"{OVS} lab-ovs.service lab-ovsdb.service", *words)
        self._starts, self._started, self._not_before = self._starts + 1, now, 0.0

    def _report(self) -> None:
        """Write the pod's status when it has changed."""
        about: Obj = {}
        if AGENT_STATE.exists():
            about = json.loads(AGENT_STATE.read_text(encoding="utf-8"))
        running = _active(AGENT)
        ready = bool(running and about.get("ready"))
        restarts = max(0, self._starts - 1)
        text = f"{ready} {running} {restarts} {about.get('why', '')}"
        if text == self._reported:
            return
        try:
            self._write(ready, running, restarts, str(about.get("why", "")))
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
            agent = container["name"] == COMPONENT
            state: Obj = {"running": {"startedAt": now}}
            if agent and not running:
                state = {"waiting": {"reason": "CrashLoopBackOff", "message": why}}
            last: Obj = {"terminated": {"exitCode": 1, "message": why}} if agent and why else {}
            count = restarts if agent else 0
            states.append(
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "",
                    "ready": ready or not agent,
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


def _path(meta: Obj) -> str:
    return f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"


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
