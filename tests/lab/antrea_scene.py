# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Antrea on the nodes of a lab, and what tests do to it and ask of it.

Nodes are always reached out-of-band: that is what is left when a scenario has cut them off.
"""

from __future__ import annotations

import calendar
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.lab.actors import antrea_api, bundle
from tests.lab.api import tls
from tests.lab.api.client import JSON_PATCH, MERGE
from tests.lab.errors import LabError
from tests.lab.lab import Lab

Obj = dict[str, Any]
Found = TypeVar("Found")

#: Where the actors lie on a node.
PROGRAM, KUBECONFIG = "/opt/k8snet-actors.pyz", "/etc/k8snet-actors.kubeconfig"
SETTINGS = "/etc/k8snet-lab.json"
FOLDER = "/run/k8snet-lab"
AGENT_UNIT, OVS_UNIT = "k8snet-antrea-agent.service", "k8snet-antrea-ovs.service"
SOCKET = "/run/antrea/openvswitch/db.sock"
CONFIG_MAP = "/api/v1/namespaces/kube-system/configmaps/antrea-config"
DAEMON_SET = "/apis/apps/v1/namespaces/kube-system/daemonsets/antrea-agent"
PODS = "/api/v1/namespaces/kube-system/pods"
INFOS = "/apis/crd.antrea.io/v1beta1/antreaagentinfos"

#: What ``antrea`` says of a node and an agent in order.
WELL = {"node": "True", "pod": "True", "heartbeat": True, "flag": False}

_UNITS = "/etc/systemd/system"
_KUBELET = f"""\
[Unit]
Description=kubelet of the lab
After=labnet.service
[Service]
ExecStart=/usr/bin/python3 {PROGRAM} kubelet --kubeconfig {KUBECONFIG} --node %H
Restart=always
RestartSec=1
[Install]
WantedBy=multi-user.target
"""
# As on Antrea's nodes the database lies in /run: it outlives the pod, and not a reboot.
_OVSDB = f"""\
[Service]
RuntimeDirectoryPreserve=yes
ExecStartPre=
ExecStartPre=/bin/sh -c 'cd /run/antrea/openvswitch && {{ test -e conf.db || \
ovsdb-tool create conf.db /usr/share/openvswitch/vswitch.ovsschema; }}'
ExecStart=
ExecStart=/usr/sbin/ovsdb-server /run/antrea/openvswitch/conf.db --remote=punix:{SOCKET} \
--pidfile=/run/antrea/openvswitch/ovsdb-server.pid -vconsole:warn
"""
# start_ovs does it: whoever starts vswitchd, the flag is there before.
_OVS = f"""\
[Service]
ExecStartPre=/usr/bin/ovs-vsctl --db=unix:{SOCKET} --timeout=10 --no-wait \
set Open_vSwitch . other_config:flow-restore-wait=true
"""
_FILES = {
    f"{_UNITS}/kubelet.service": _KUBELET,
    f"{_UNITS}/lab-ovsdb.service.d/antrea.conf": _OVSDB,
    f"{_UNITS}/lab-ovs.service.d/antrea.conf": _OVS,
}


@dataclass(frozen=True)
class Settings:
    """How agents behave. ``behaviour``: bugs of ``antrea_rules``; None for those of the version.

    Seconds: between two heartbeats (60 in reality), until an agent without API gives up (60 or so),
    between two looks of the watchdog at vswitchd (30).
    """

    behaviour: tuple[str, ...] | None = None
    heartbeat: float = 2
    api_wait: float = 5
    watchdog: float = 5


class AntreaScene:
    """The part of a scene that is Antrea's.

    ``kube_proxy``: its mode, in a scene where pods and Services are played: "" is none, or the mode
    of the scene that is there.
    """

    def __init__(
        self,
        lab: Lab,
        kubeconfig: Path | None = None,
        kube_proxy: str = "",
        dns_node: str = "node1",
    ) -> None:
        self.lab = lab
        self.dns_node = dns_node
        self._mode_file = lab.run / "scene-kube-proxy"
        if kube_proxy:
            self._mode_file.write_text(kube_proxy)
        self.kube_proxy = self._mode_file.read_text() if self._mode_file.exists() else ""
        self.kubeconfig = kubeconfig or lab.kubeconfig
        self._asker: subprocess.Popen[str] | None = None
        self._asking = threading.Lock()
        self.nodes = [str(node["name"]) for node in lab.status()["nodes"]]

    # -- setting it up ----------------------------------------------------------------------------

    def start_antrea(self, settings: Settings) -> None:
        """Starts kubelet on every node, and waits until the cluster works."""

        def start(node: str) -> None:
            self.prepare_node(node)
            program = bundle.build(self.lab.run / f"{node}.pyz").read_bytes()
            self.copy(node, program, PROGRAM)
            self.copy(node, self.kubeconfig.read_bytes(), KUBECONFIG)
            self.copy(node, tls.make_pair("antrea-agent"), str(antrea_api.CERTIFICATE))
            for path, text in _FILES.items():
                self.copy(node, text.encode(), path)
            self.behave(settings, [node])
            self.on(node, "systemctl daemon-reload")
            self.on(node, "systemctl enable --quiet kubelet")
            self.on(node, "sync")  # scenarios pull the plug
            self.on(node, "systemctl restart kubelet")

        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(start, self.nodes))
        self.await_antrea_settled()

    def prepare_node(self, node: str) -> None:
        """What a scene with Services needs on a node before kubelet starts."""

    def behave(self, settings: Settings, nodes: Iterable[str] = ()) -> None:
        """Sets how agents (of all nodes) behave from their next start on."""
        services = {"dns": self.dns_node} if self.kube_proxy else None
        text = json.dumps({**asdict(settings), "services": services})
        for node in nodes or self.nodes:
            self.copy(node, text.encode(), SETTINGS)

    def secondary(self, nics: Sequence[str], bridge: str = "br-secondary") -> None:
        """Writes secondaryNetwork and its gates into antrea-config; no NICs: takes them away.

        Nothing restarts, as in reality: agents read it when they start.
        """
        old = self.call("GET", CONFIG_MAP)["data"]["antrea-agent.conf"]
        new = with_secondary(old, nics, bridge)
        self.call("PATCH", CONFIG_MAP, {"data": {"antrea-agent.conf": new}})

    def set_version(self, version: str) -> None:
        """Has the DaemonSet roll out another version, node by node."""
        containers = self.call("GET", DAEMON_SET)["spec"]["template"]["spec"]["containers"]
        path = "/spec/template/spec/containers/{}/image"
        images = [c["image"].rpartition(":")[0] + f":{version}" for c in containers]
        body = [
            {"op": "replace", "path": path.format(index), "value": image}
            for index, image in enumerate(images)
        ]
        self.call("PATCH", DAEMON_SET, body, JSON_PATCH)

    # -- what tests do to it ----------------------------------------------------------------------

    def restart_agent(self, node: str) -> None:
        """Deletes the node's agent pod and waits until there is a new one (not until it is ready).

        Both containers end with it, so OVS restarts, too: flow-restore-wait is set.
        """
        old = self.agent_pod(node)
        self.call("DELETE", f"{PODS}/{old['metadata']['name']}")
        uid = old["metadata"]["uid"]
        await_that(
            lambda: self.find_agent_pod(node),
            lambda pod: pod is not None and pod["metadata"]["uid"] != uid,
            f"{node} has a new agent pod",
        )

    def kill_agent(self, node: str, signal: str = "KILL") -> None:
        """Sends the agent a signal; kubelet starts it again, in the same pod."""
        self.on(node, f"kill -{signal} {self.agent_pid(node)}")

    def kill_vswitchd(self, node: str) -> None:
        """Kills ovs-vswitchd; the watchdog starts it again, with flow-restore-wait set."""
        self.on(node, "kill -KILL $(cat /run/antrea/openvswitch/ovs-vswitchd.pid)")

    def stick(self, node: str) -> None:
        """Cuts a node off whose primary NIC is on the bridge, as any version can be.

        The agent is killed, OVS restarts with the flag, and the kernel's flows, which go on
        forwarding over a restart, are lost; no agent clears the flag without the API.
        """
        self.on(node, "systemctl stop kubelet")
        self.kill_agent(node)
        self.on(node, "systemctl restart lab-ovs")
        self.on(node, "env OVS_RUNDIR=/run/antrea/openvswitch ovs-appctl dpctl/del-flows")
        self.on(node, "systemctl start kubelet")

    def at_step(self, node: str, step: str, do: str = "die") -> None:
        """Has the node's next agent die (SIGKILL) or stop (SIGSTOP) once, at a step of its start.

        Steps: as ``actors/antrea_agent.py`` names them; kill_agent(node, "CONT") ends a stop.
        """
        self.on(node, f"sh -c 'mkdir -p {FOLDER} && echo {step} >{FOLDER}/antrea-{do}-at'")

    # -- what tests ask ---------------------------------------------------------------------------

    def await_antrea_settled(self, nodes: Iterable[str] = (), timeout: float = 180) -> None:
        """Waits until nodes (all) are Ready, and their agents, with the flag cleared."""
        for node in nodes or self.nodes:
            await_that(
                lambda node=node: self.antrea(node),  # type: ignore[misc]
                lambda now: now == WELL,
                f"{node} and its agent are well",
                timeout,
            )

    def antrea(self, node: str) -> Obj:
        """The node's and its agent's health: node, pod, heartbeat (fresh), flag."""
        pod = self.find_agent_pod(node) or {}
        info = self.agent_info(node)
        name = (info.get("podRef") or {}).get("name")
        mine = name is not None and name == pod.get("metadata", {}).get("name")
        return {
            "node": self.node_ready(node),
            "pod": _condition(pod, "Ready"),
            "heartbeat": mine and _age(info) < 15,
            "flag": self.flag(node),
        }

    def flag(self, node: str) -> bool | None:
        """Whether flow-restore-wait is true; None when OVSDB does not answer."""
        words = "--if-exists get Open_vSwitch . other_config:flow-restore-wait"
        done = self.vsctl(node, words, check=False)
        return None if done is None else done == '"true"'

    def vsctl(self, node: str, words: str, check: bool = True) -> str | None:
        """What ovs-vsctl says on a node, without waiting for vswitchd; None when it failed."""
        command = f"sudo ovs-vsctl --db=unix:{SOCKET} --timeout=5 --no-wait {words}"
        done = self.lab.ssh(node, command, oob=True, check=check)
        return None if done.returncode else done.stdout.strip()

    def agent_pid(self, node: str) -> int | None:
        """The process id of the node's antrea-agent, None when none runs."""
        found = self.lab.ssh(node, "pgrep -x antrea-agent", oob=True, check=False).stdout.split()
        return int(found[0]) if found else None

    def agent_state(self, node: str) -> Obj:
        """What the process says of itself: pid, pod, version, gates, ready, why it ended."""
        said = self.lab.ssh(node, f"cat {FOLDER}/antrea-agent.json", oob=True, check=False).stdout
        found: Obj = json.loads(said or "{}")
        return found

    def agent_log(self, node: str) -> str:
        command = f"sudo journalctl --no-pager --output=cat -u {AGENT_UNIT}"
        return self.lab.ssh(node, command, oob=True).stdout

    def agent_info(self, node: str) -> Obj:
        """The node's AntreaAgentInfo, {} when there is none."""
        found = (i for i in self.call("GET", INFOS)["items"] if i["metadata"]["name"] == node)
        return next(found, {})

    def heartbeat_age(self, node: str) -> float:
        """Seconds since the agent's last heartbeat."""
        return _age(self.agent_info(node))

    def node_ready(self, node: str) -> str:
        """The status of the Node's condition Ready."""
        return _condition(self.call("GET", f"/api/v1/nodes/{node}"), "Ready")

    def agent_pod(self, node: str) -> Obj:
        """The node's living agent pod. LabError when there is none."""
        pod = self.find_agent_pod(node)
        if pod is None:
            raise LabError(f"{node} has no antrea-agent pod")
        return pod

    def find_agent_pod(self, node: str) -> Obj | None:
        path = f"{PODS}?labelSelector=component%3Dantrea-agent&fieldSelector=spec.nodeName%3D{node}"
        pods = self.call("GET", path)["items"]
        return next((p for p in pods if "deletionTimestamp" not in p["metadata"]), None)

    def answers(self, node: str) -> bool:
        """Whether the node answers ping on its own address within a second."""
        address = f"10.160.1.2{node.removeprefix('node')}"
        ping = ["ping", "-c", "1", "-W", "1", "-q", address]
        return self.lab.exec(ping, capture_output=True).returncode == 0

    # -- hands ------------------------------------------------------------------------------------

    def call(self, method: str, path: str, body: Any = None, media: str = MERGE) -> Any:
        """One request to the API; LabError with its message when it is refused."""
        asked = {"method": method, "path": path, "body": body, "media": media}
        with self._asking:
            if self._asker is None or self._asker.poll() is not None:
                self._asker = self._start_asker()
            to, back = self._asker.stdin, self._asker.stdout
            if to is None or back is None:
                raise LabError("the asker has no pipes")
            to.write(json.dumps(asked) + "\n")
            to.flush()
            said = back.readline()
        answer = json.loads(said or '{"error": "the process that asks has ended"}')
        if "error" in answer:
            raise LabError(f"{method} {path}: {answer['error']}")
        return answer["body"]

    def _start_asker(self) -> subprocess.Popen[str]:
        """A process that asks the API; it ends when this one does, or the lab."""
        command = [sys.executable, "-m", "tests.lab.actors.ask", *self.api_words()]
        pipe = subprocess.PIPE
        return subprocess.Popen(self.lab.inside(command), stdin=pipe, stdout=pipe, text=True)

    def on(self, node: str, command: str) -> str:
        """Runs a command on a node as root, out-of-band; LabError when it fails."""
        return self.lab.ssh(node, f"sudo {command}", oob=True, timeout=120).stdout

    def api_words(self) -> list[str]:
        return ["--kubeconfig", str(self.kubeconfig)]

    def inside(self, module: str, *arguments: str) -> str:
        """Runs a module inside the lab's network and returns what it prints."""
        command = [sys.executable, "-m", module, *arguments]
        done = self.lab.exec(command, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise LabError(f"{module} {' '.join(arguments)}: {done.stderr.strip()[-2000:]}")
        return str(done.stdout)

    def copy(self, node: str, content: bytes, path: str) -> None:
        """Writes a file on a node, readable by root only, so that it outlives a pulled plug."""
        install = f"sudo install -D -m 600 /dev/stdin {path} && sudo sync {path}"
        command = self.lab.ssh_command(node, [install], True)
        done = self.lab.exec(command, input=content, capture_output=True, timeout=60)
        if done.returncode:
            raise LabError(f"{node}: cannot write {path}: {done.stderr.decode().strip()}")


def with_secondary(conf: str, nics: Sequence[str], bridge: str) -> str:
    """antrea-agent.conf with the secondary bridge and its gates, or without; comments stay."""
    conf = re.sub(r"(?m)^ +(SecondaryNetwork|AntreaIPAM):.*\n", "", conf)
    conf = re.sub(r"(?m)^secondaryNetwork:.*\n(?:[ ].*\n|\n(?=[ ]))*", "", conf)
    if not nics:
        return conf.rstrip("\n") + "\nsecondaryNetwork:\n  ovsBridges:\n"
    gates = "featureGates:\n  SecondaryNetwork: true\n  AntreaIPAM: true\n"
    conf = re.sub(r"(?m)^featureGates:.*\n", gates, conf, count=1)
    listed = ", ".join(nics)
    block = f"  ovsBridges:\n  - bridgeName: {bridge}\n    physicalInterfaces: [{listed}]\n"
    return f"{conf.rstrip()}\nsecondaryNetwork:\n{block}"


def await_that(
    look: Callable[[], Found], good: Callable[[Found], bool], what: str, timeout: float = 60
) -> Found:
    """Looks until it is good; LabError with what was seen last after ``timeout`` seconds."""
    end = time.monotonic() + timeout
    while not good(found := look()):
        if time.monotonic() > end:
            raise LabError(f"waited {timeout:.0f} s in vain until {what}; last seen: {found}")
        time.sleep(0.2)
    return found


def _condition(obj: Obj, kind: str) -> str:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return str(next((c["status"] for c in conditions if c["type"] == kind), ""))


def _age(info: Obj) -> float:
    times = [c["lastHeartbeatTime"] for c in info["agentConditions"]]
    return time.time() - calendar.timegm(time.strptime(max(times), "%Y-%m-%dT%H:%M:%SZ"))
