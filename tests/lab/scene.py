# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets a cluster on a running lab: objects, central actors, a pod and its CNI's agent on each node.

python -m tests.lab.scene calico-operator --dns-node node1     on the lab that K8SNET_LAB names
python -m tests.lab.scene antrea --antrea-version v2.0.1 --behaviour uplink-first --watchdog 30
python -m tests.lab.scene antrea --kube-proxy iptables
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab.actors import bundle, content
from tests.lab.antrea_scene import KUBECONFIG, PROGRAM, Settings, await_that
from tests.lab.errors import LabError, exit_code
from tests.lab.lab import Lab
from tests.lab.service_scene import ServiceScene

Say = Callable[[str], None]

AGENT_UNIT = "k8snet-calico-node"

#: Seconds between two of calico-node's detections. The real one takes 60.
POLL = 2.0
ADDRESS = "projectcalico.org/IPv4Address"


class Scene(ServiceScene):
    """A cluster on a lab. Every node has one pod; that of ``dns_node`` answers DNS.

    ``kubeconfig``: of another API inside the lab's network; None for the lab's own. The nodes
    follow the cluster that was set or joined last. ``kube_proxy``: with antrea, its mode; pods and
    Services are played then.
    """

    def __init__(
        self,
        lab: Lab,
        dns_node: str = "node1",
        kubeconfig: Path | None = None,
        kube_proxy: str = "",
    ) -> None:
        super().__init__(lab, kubeconfig, kube_proxy, dns_node)
        self.central: subprocess.Popen[bytes] | None = None

    def set(
        self,
        cni: str = "calico-operator",
        poll: float = POLL,
        *extra: str,
        version: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        """Seeds the API, starts every actor, and waits until the cluster works.

        cni: as ``tests.lab.actors.cluster`` knows them; ``extra`` are its other options.
        version, settings: Antrea's, and how its agents behave.
        LabError when something does not come up.
        """
        if version:
            extra += ("--antrea-version", version)
        if self.kube_proxy:
            extra += ("--kube-proxy-mode", self.kube_proxy)
        seed = ["seed", "--nodes", str(len(self.nodes)), "--cni", cni, "--dns-node", self.dns_node]
        self.inside("tests.lab.actors.cluster", *seed, *self.api_words(), *extra)
        self._start_central_actors(antrea=cni == "antrea")
        detects = cni in ("calico-operator", "calico-manifest")
        if cni == "antrea":
            self.start_antrea(settings or Settings())
            if self.kube_proxy:
                self.await_served()
        else:
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
        return {
            node["metadata"]["name"]: node["metadata"].get("annotations", {}).get(ADDRESS)
            for node in self.call("GET", path)["items"]
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

    def _start_central_actors(self, antrea: bool = False) -> None:
        """Starts operator and controllers inside the lab: they end with it."""
        command = [sys.executable, "-u", "-m", "tests.lab.actors", "run", "daemonset"]
        if antrea:
            kubelets = "antrea-agent,kube-proxy" if self.kube_proxy else "antrea-agent"
            more = ["endpoints"] if self.kube_proxy else []
            command += ["nodes", "egress", *more, "--kubelets", kubelets]
        else:
            command.append("operator")
        with open(self.lab.run / "actors.log", "ab") as log:
            self.central = subprocess.Popen(
                self.lab.inside([*command, *self.api_words()]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _start_node(self, node: str, poll: float | None) -> None:
        number = int(node.removeprefix("node"))
        self.copy(node, bundle.build(self.lab.run / f"{node}.pyz").read_bytes(), PROGRAM)
        self.copy(node, self.kubeconfig.read_bytes(), KUBECONFIG)
        pods = f"pods up --pod-cidr {content.pod_cidr(number)}"
        pods += " --dns" if node == self.dns_node else ""
        self.lab.ssh(node, f"sudo python3 {PROGRAM} {pods}")
        running = f"systemctl is-active --quiet {AGENT_UNIT}"
        self.lab.ssh(node, f"if {running}; then sudo systemctl stop {AGENT_UNIT}; fi")
        if poll is not None:
            agent = f"calico-node --kubeconfig {KUBECONFIG} --node {node} --poll {poll} --sync 0.5"
            unit = f"sudo systemd-run --quiet --collect --unit {AGENT_UNIT}"
            self.lab.ssh(node, f"{unit} python3 {PROGRAM} {agent}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.scene", description=__doc__)
    parser.add_argument("cni", nargs="?", default="calico-operator")
    parser.add_argument("--dns-node", default="node1")
    parser.add_argument("--poll", type=float, default=POLL, help="seconds between detections")
    parser.add_argument("--antrea-version", help="v2.3.0 unless given")
    parser.add_argument("--behaviour", help="an agent's bugs, separated by commas, or none")
    parser.add_argument("--heartbeat", type=float, default=Settings.heartbeat)
    parser.add_argument("--api-wait", type=float, default=Settings.api_wait)
    parser.add_argument("--watchdog", type=float, default=Settings.watchdog)
    parser.add_argument(
        "--kube-proxy",
        choices=("iptables", "ipvs", "nftables"),
        default="",
        help="with antrea: play Services, and kube-proxy in this mode",
    )
    words, extra = parser.parse_known_args()
    bugs = words.behaviour
    behaviour = None if bugs is None else tuple(b for b in bugs.split(",") if b not in ("", "none"))
    settings = Settings(
        behaviour=behaviour,
        heartbeat=words.heartbeat,
        api_wait=words.api_wait,
        watchdog=words.watchdog,
    )

    def work() -> None:
        if words.kube_proxy and words.cni != "antrea":
            raise LabError(f"--kube-proxy is played with antrea, not with {words.cni}")
        scene = Scene(Lab(), words.dns_node, kube_proxy=words.kube_proxy)
        version = words.antrea_version
        scene.set(words.cni, words.poll, *extra, version=version, settings=settings)

    return exit_code(work)


if __name__ == "__main__":
    sys.exit(main())
