# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets a cluster on a running lab: objects, central actors, a pod and its CNI's agent on each node.

python -m tests.lab.scene calico-operator --dns-node node1     on the lab that K8SNET_LAB names
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from tests.lab.actors import bundle, content
from tests.lab.errors import LabError
from tests.lab.lab import Lab

Say = Callable[[str], None]
Found = TypeVar("Found")

#: Where the actors lie on a node.
PROGRAM, KUBECONFIG = "/opt/k8snet-actors.pyz", "/etc/k8snet-actors.kubeconfig"
AGENT_UNIT = "k8snet-calico-node"

#: Seconds between two of calico-node's detections. The real one takes 60.
POLL = 2.0
ADDRESS = "projectcalico.org/IPv4Address"


class Scene:
    """A cluster on a lab. Every node has one pod; that of ``dns_node`` answers DNS.

    ``kubeconfig``: of another API inside the lab's network; None for the lab's own. The nodes
    follow the cluster that was set or joined last.
    """

    def __init__(self, lab: Lab, dns_node: str = "node1", kubeconfig: Path | None = None) -> None:
        self.lab = lab
        self.dns_node = dns_node
        self.kubeconfig = kubeconfig or lab.kubeconfig
        self.central: subprocess.Popen[bytes] | None = None
        self.nodes = [str(node["name"]) for node in lab.status()["nodes"]]

    def set(self, cni: str = "calico-operator", poll: float = POLL, *extra: str) -> None:
        """Seeds the API, starts every actor, and waits until the cluster works.

        cni: as ``tests.lab.actors.cluster`` knows them; ``extra`` are its other options.
        LabError when something does not come up.
        """
        seed = ["seed", "--nodes", str(len(self.nodes)), "--cni", cni, "--dns-node", self.dns_node]
        self._inside("tests.lab.actors.cluster", *seed, *self._kubeconfig(), *extra)
        self._start_central_actors()
        detects = cni in ("calico-operator", "calico-manifest")
        self.join(poll if detects else None)
        if detects:
            self.await_settled()
        if self.kubeconfig == self.lab.kubeconfig:
            (self.lab.run / "scene").write_text(cni)

    def join(self, poll: float | None = POLL) -> None:
        """Makes the lab's nodes those of this cluster; ``poll`` None: without calico-node."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(lambda node: self._start_node(node, poll), self.nodes))

    def stored(self) -> dict[str, str | None]:
        """Returns node -> Calico's stored IPv4 address with its prefix, None where it has none."""
        path = "/api/v1/nodes"
        said = self._inside("tests.lab.scene", "--get", path, *self._kubeconfig())
        return {
            node["metadata"]["name"]: node["metadata"].get("annotations", {}).get(ADDRESS)
            for node in json.loads(said)["items"]
        }

    def dns(self, node: str) -> bool:
        """Whether the pod of a node gets an answer from the cluster's DNS."""
        command = f"sudo python3 {PROGRAM} pods dns-probe --timeout 1 --server {self.dns_pod}"
        return self.lab.ssh(node, command, check=False).returncode == 0

    @property
    def dns_pod(self) -> str:
        """The address of the pod that answers DNS."""
        number = int(self.dns_node.removeprefix("node"))
        return content.pod_cidr(number).replace(".0/24", ".10")

    def await_settled(self) -> None:
        """Waits until every node's stored address is its InternalIP and every pod has DNS."""
        wanted = {
            f"node{number}": f"{content.node_address(number)}/24"
            for number in range(1, len(self.nodes) + 1)
        }
        await_that(self.stored, lambda now: now == wanted, "every node stores its InternalIP")
        for node in self.nodes:
            await_that(lambda node=node: self.dns(node), bool, f"the pod on {node} has DNS")  # type: ignore[misc]

    def await_lost(self, address: str) -> None:
        """Waits until the DNS node stores ``address`` and every other node's pod has lost DNS."""
        await_that(
            self.stored,
            lambda now: now.get(self.dns_node) == address,
            f"{self.dns_node} stores {address}",
        )
        for node in self.nodes:
            if node != self.dns_node:
                await_that(
                    lambda node=node: self.dns(node),  # type: ignore[misc]
                    lambda answers: not answers,
                    f"the pod on {node} has lost DNS",
                )

    def _kubeconfig(self) -> list[str]:
        return ["--kubeconfig", str(self.kubeconfig)]

    def _inside(self, module: str, *arguments: str) -> str:
        command = [sys.executable, "-m", module, *arguments]
        done = self.lab.exec(command, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise LabError(f"{module} {' '.join(arguments)}: {done.stderr.strip()[-2000:]}")
        return str(done.stdout)

    def _start_central_actors(self) -> None:
        """Starts operator and controllers inside the lab: they end with it."""
        command = [sys.executable, "-u", "-m", "tests.lab.actors", "run", "operator", "daemonset"]
        with open(self.lab.run / "actors.log", "ab") as log:
            self.central = subprocess.Popen(
                self.lab.inside([*command, *self._kubeconfig()]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _start_node(self, node: str, poll: float | None) -> None:
        number = int(node.removeprefix("node"))
        self._copy(node, bundle.build(self.lab.run / f"{node}.pyz").read_bytes(), PROGRAM)
        self._copy(node, self.kubeconfig.read_bytes(), KUBECONFIG)
        pods = f"pods up --pod-cidr {content.pod_cidr(number)}"
        pods += " --dns" if node == self.dns_node else ""
        self.lab.ssh(node, f"sudo python3 {PROGRAM} {pods}")
        running = f"systemctl is-active --quiet {AGENT_UNIT}"
        self.lab.ssh(node, f"if {running}; then sudo systemctl stop {AGENT_UNIT}; fi")
        if poll is not None:
            agent = f"calico-node --kubeconfig {KUBECONFIG} --node {node} --poll {poll} --sync 0.5"
            unit = f"sudo systemd-run --quiet --collect --unit {AGENT_UNIT}"
            self.lab.ssh(node, f"{unit} python3 {PROGRAM} {agent}")

    def _copy(self, node: str, content_: bytes, path: str) -> None:
        """Writes a file on a node, readable by root only."""
        command = self.lab.ssh_command(node, [f"sudo install -m 600 /dev/stdin {path}"])
        done = self.lab.exec(command, input=content_, capture_output=True, timeout=60)
        if done.returncode:
            raise LabError(f"{node}: cannot write {path}: {done.stderr.decode().strip()}")


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


def _get(kubeconfig: Path, path: str) -> Any:
    from tests.lab.api.client import Client

    return Client(kubeconfig, "k8snet-scene").get(path)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.scene", description=__doc__)
    parser.add_argument("cni", nargs="?", default="calico-operator")
    parser.add_argument("--dns-node", default="node1")
    parser.add_argument("--poll", type=float, default=POLL, help="seconds between detections")
    parser.add_argument("--get", help=argparse.SUPPRESS)  # run inside the lab's network
    parser.add_argument("--kubeconfig", type=Path, help=argparse.SUPPRESS)
    words, extra = parser.parse_known_args()
    if words.get:
        print(json.dumps(_get(words.kubeconfig, words.get)))
        return 0
    try:
        Scene(Lab(), words.dns_node).set(words.cni, words.poll, *extra)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
