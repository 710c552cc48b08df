# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests of a secondary bridge see of nodes and cluster, and how they are put back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.integration.antrea.window import Run, Running, Window
from tests.lab.antrea_scene import CONFIG_MAP, await_that
from tests.lab.api import audit
from tests.lab.errors import LabError

BRIDGE, NIC = "br-secondary", "eth1"
ADDRESSES = {"node1": "10.160.1.21", "node2": "10.160.1.22"}
TIMEOUT = 45
NODE_CONFIGS = "/apis/crd.antrea.io/v1alpha1/antreanodeconfigs"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/k8snet-change"
LABEL = "k8snet.cni/secondary-bridge"

#: By hand what the tests prove that the playbooks do: whatever a test left behind.
_REPAIR = """
systemctl stop 'k8snet-restore-*.timer'
rm -rf /var/lib/k8snet /etc/systemd/system/kubelet.service.d
rm -f /etc/systemd/system/k8snet-restore-boot.service
rm -f /etc/systemd/system/multi-user.target.wants/k8snet*
rm -f /run/k8snet-lab/antrea-*-at
systemctl daemon-reload
pkill -CONT -x antrea-agent
systemctl start kubelet
"""
_FREE = f"""
if ip link show {NIC}~; then ip link set {NIC}~ down; ip link set {NIC}~ name {NIC}; fi
ip link set {NIC} up
"""


class Bridges:
    """Somebody who sets up secondary bridges on the lab's two nodes."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.scene = window.scene
        self.folder = window.folder
        self._log = self.scene.kubeconfig.parent / "audit.log"
        self._runs = 0
        self._started: list[Running] = []

    def settings(self, **variables: Any) -> dict[str, Any]:
        named = {f"antrea_secondary_network_{key}": value for key, value in variables.items()}
        return {
            "k8snet_undo_dir": str(self.folder / "undo"),
            "antrea_secondary_network_interfaces": [NIC],
            "antrea_secondary_network_timeout": TIMEOUT,
            "antrea_secondary_network_connect_timeout": 20,
            "antrea_secondary_network_poll": 1,
            **named,
        }

    def start(self, *arguments: str, run: str, **variables: Any) -> Running:
        settings = {"k8snet_run_id": run, **self.settings(**variables)}
        found = self.window.start("antrea_secondary_network", *arguments, **settings)
        self._started.append(found)
        return found

    def set(self, *arguments: str, **variables: Any) -> Run:
        self._runs += 1
        return self.start(*arguments, run=f"run{self._runs}", **variables).end()

    @staticmethod
    def await_during(run: Running, look: Callable[[], bool], what: str) -> None:
        """Wait for something that happens while a playbook is under way."""

        def seen() -> bool:
            found = look()
            assert found or run.process.poll() is None, run.output.read_text()[-8000:]
            return found

        await_that(seen, bool, what, 600)

    def roll_back(self, run: str) -> Run:
        """As the run says that it is to be done: with the run's name and nothing else."""
        undo = {"k8snet_undo_dir": str(self.folder / "undo"), "k8snet_run_id": run}
        return self.window.play("rollback", **undo)

    # -- what is there ----------------------------------------------------------------------------

    def conf(self) -> dict[str, str]:
        found: dict[str, str] = self.scene.call("GET", CONFIG_MAP)["data"]
        return found

    def network(self, node: str) -> list[str]:
        """The node's own links with their addresses, and its routes."""
        shown = "ip -br -4 address; ip -br link; ip route"
        lines = self.scene.on(node, f"sh -c '{shown}'").splitlines()
        # Order and counters apart; what OVS and the pods have of their own is not looked at.
        own = ("eth", "oob", "default", "10.", "169.")
        return sorted(" ".join(line.split()) for line in lines if line.startswith(own))

    def state(self) -> dict[str, Any]:
        """All that a run that failed has to put back."""
        return {"conf": self.conf(), **{node: self.network(node) for node in self.scene.nodes}}

    def there(self, node: str) -> bool:
        """Whether Open vSwitch has the bridge."""
        return BRIDGE in (self.scene.vsctl(node, "list-br") or "").split()

    def ports(self, node: str) -> list[str]:
        return (self.scene.vsctl(node, f"list-ports {BRIDGE}", check=False) or "").split()

    def on_bridge(self, node: str, nic: str = NIC) -> bool:
        return {nic, f"{nic}~"} <= set(self.ports(node))

    def renamed(self, node: str, nic: str = NIC) -> bool:
        return any(line.startswith(f"{nic}~") for line in self.network(node))

    def files(self, node: str) -> str:
        """Names and times of all that a run may write on a node."""
        places = "/var/lib/k8snet /etc/systemd/system /run/systemd/transient"
        found = f"find {places} -printf '%p %T@\\n' 2>/dev/null"
        lines = self.scene.lab.ssh(node, f"sudo {found}", oob=True, check=False).stdout
        return "\n".join(sorted(x for x in lines.splitlines() if "ssh" not in x))

    def held(self, node: str) -> bool:
        """Whether kubelet is kept stopped."""
        look = "test -e /var/lib/k8snet/hold && ! systemctl -q is-active kubelet"
        return (
            self.scene.lab.ssh(node, f"sudo sh -c '{look}'", oob=True, check=False).returncode == 0
        )

    def nothing_left(self) -> None:
        """See that no node keeps a checkpoint or a hold, kubelet runs, and the lock is free."""
        for node in self.scene.nodes:
            found = self.scene.on(node, "sh -c 'ls /var/lib/k8snet/checkpoint 2>/dev/null || true'")
            assert found == "", f"{node}: {found}"
            assert not self.held(node)
            assert self.scene.on(node, "systemctl is-active kubelet").strip() == "active"
            timers = self.scene.on(node, "systemctl list-timers --all --no-legend 'k8snet-*'")
            assert timers == "", f"{node}: {timers}"
        assert not self.lock()

    def lock(self) -> str:
        """The run that has the lock, "" when nobody has."""
        try:
            lease = self.scene.call("GET", LEASE)
        except LabError:
            return ""
        return str((lease.get("spec") or {}).get("holderIdentity") or "")

    def label(self, node: str) -> str | None:
        labels = self.scene.call("GET", f"/api/v1/nodes/{node}")["metadata"].get("labels") or {}
        found: str | None = labels.get(LABEL)
        return found

    def node_configs(self) -> list[str]:
        return [obj["metadata"]["name"] for obj in self.scene.call("GET", NODE_CONFIGS)["items"]]

    def writes(self) -> list[str]:
        """What playbooks have written to the API so far."""
        entries = audit.read(self._log)
        ours = [e for e in entries if e.wrote and e.agent.startswith(("k8snet.cni", "OpenAPI"))]
        return [f"{e.agent} {e.verb} {e.path}" for e in ours]

    # -- afterwards -------------------------------------------------------------------------------

    def repair(self) -> None:
        """Have everything as before, whatever a test has left."""
        lab = self.scene.lab
        for run in self._started:
            run.process.kill()
            run.process.wait()
        for node in self.scene.nodes:
            lab.ssh(node, "sudo bash", oob=True, check=False, input=_REPAIR, stdin=None)
        if self.lock():
            self.scene.call("DELETE", LEASE)
        for node in self.scene.nodes:
            self.scene.call(
                "PATCH", f"/api/v1/nodes/{node}", {"metadata": {"labels": {LABEL: None}}}
            )
        for name in self.node_configs():
            self.scene.call("DELETE", f"{NODE_CONFIGS}/{name}")

    def sweep(self) -> None:
        """Remove the bridge that Antrea leaves behind, once agents are without it."""
        for node in self.scene.nodes:
            self.scene.vsctl(node, f"--if-exists del-br {BRIDGE}", check=False)
            self.scene.lab.ssh(node, "sudo bash", oob=True, check=False, input=_FREE, stdin=None)
