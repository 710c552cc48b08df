# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests of feature gates do and see, beside running playbooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.integration.antrea.window import Run, Running, Window
from tests.lab.actors import content
from tests.lab.antrea_scene import CONFIG_MAP, DAEMON_SET, await_that
from tests.lab.errors import LabError
from tests.lab.scene import Scene

Obj = dict[str, Any]
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/k8snet-change"
VERSION = "v2.6.0"
FILE = "antrea-agent.conf"
SERVICES = "/api/v1/namespaces/default/services"
EXTERNAL_NODES = "/apis/crd.antrea.io/v1alpha1/externalnodes"
MAPS = "/api/v1/namespaces/kube-system/configmaps"
PEM = "-----BEGIN CERTIFICATE-----\nof the lab\n-----END CERTIFICATE-----\n"
ACNPS = "/apis/crd.antrea.io/v1beta1/clusternetworkpolicies"
POOLS = "/apis/crd.antrea.io/v1beta1/externalippools"


class Features:
    """The playbook, and the cluster that it changes."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self.scene = scene
        self.window = Window(scene, folder)

    # -- runs -------------------------------------------------------------------------------------

    def start(self, gates: Obj, *arguments: str, **variables: Any) -> Running:
        words: Obj = {"antrea_features_gates": gates, "antrea_features_poll": 1}
        words.update(antrea_features_timeout=60, k8snet_undo_dir=str(self.window.folder / "undo"))
        return self.window.start("antrea_features", *arguments, **{**words, **variables})

    def run(self, gates: Obj, *arguments: str, **variables: Any) -> Run:
        return self.start(gates, *arguments, **variables).end(400)

    def rollback(self, run_id: str) -> Run:
        words = {"k8snet_run_id": run_id, "antrea_features_poll": 1}
        words["k8snet_undo_dir"] = str(self.window.folder / "undo")
        return self.window.start("rollback", **words).end(400)

    # -- what is done to the cluster --------------------------------------------------------------

    def start_over(self) -> None:
        """Has Antrea as it was installed, and nobody with the lock."""
        scene = self.scene
        if self._there(LEASE):
            scene.call("DELETE", LEASE)
        for name in self.policies():
            scene.call("DELETE", f"{ACNPS}/{name}")
        fresh = content.antrea(VERSION)[0]["data"]
        if self.conf() == fresh[FILE] and self.image() == VERSION:
            return
        scene.call("PATCH", CONFIG_MAP, {"data": fresh})
        if self.image() == VERSION:
            for node in scene.nodes:
                scene.restart_agent(node)
        self.upgrade(VERSION)

    def upgrade(self, version: str) -> None:
        """Has every agent of this version."""
        self.scene.set_version(version)
        for node in self.scene.nodes:
            await_that(
                lambda node=node: self.scene.agent_state(node).get("version"),  # type: ignore[misc]
                lambda now: now == version,
                f"{node}'s agent is {version}",
                90,
            )
        self.scene.await_antrea_settled()

    def write(self, line: str, after: str = "") -> None:
        """Put a line into the agents' file, which nobody reads yet."""
        text = self.conf()
        new = text.replace(after, f"{after}{line}\n", 1) if after else f"{text}{line}\n"
        self.scene.call("PATCH", CONFIG_MAP, {"data": {FILE: new}})

    def _there(self, path: str) -> bool:
        try:
            self.scene.call("GET", path)
        except LabError:
            return False
        return True

    def offer(self) -> Obj:
        """Have a pool of addresses and a Service that may get one; return the Service's place."""
        ranges = [{"start": "10.160.1.200", "end": "10.160.1.209"}]
        pool = {
            "apiVersion": "crd.antrea.io/v1beta1",
            "kind": "ExternalIPPool",
            "metadata": {"name": "offered"},
            "spec": {"ipRanges": ranges, "nodeSelector": {}},
        }
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "shop", "namespace": "default"},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "selector": {"app": "shop"}},
        }
        for path, obj in ((POOLS, pool), (SERVICES, service)):
            self.scene.call("POST", path, obj, "application/json")
        return {"namespace": "default", "name": "shop"}

    def authorities(self) -> None:
        """Have the authorities of the API and of Antrea where clusters have them."""
        for name in ("kube-root-ca.crt", "antrea-ca"):
            if not self._there(f"{MAPS}/{name}"):
                obj = content.config_map("kube-system", name, {"ca.crt": PEM})
                self.scene.call("POST", MAPS, obj, "application/json")

    def assign(self, *addresses: str) -> None:
        """Do as Antrea's controller: give the Service its address."""
        status = {"loadBalancer": {"ingress": [{"ip": address} for address in addresses]}}
        self.scene.call("PATCH", f"{SERVICES}/shop/status", {"status": status})

    # -- what is seen -----------------------------------------------------------------------------

    def conf(self) -> str:
        return str(self.scene.call("GET", CONFIG_MAP)["data"][FILE])

    def image(self) -> str:
        containers = self.scene.call("GET", DAEMON_SET)["spec"]["template"]["spec"]["containers"]
        return str(containers[0]["image"].rpartition(":")[2])

    def runs(self, node: str) -> set[str]:
        """The gates that a node's agent runs with, by the process itself."""
        gates = self.scene.agent_state(node).get("gates") or ()
        return {gate["name"] for gate in gates if gate["status"] == "Enabled"}

    def annotation(self) -> str | None:
        """The pool that the Service is to have its address from."""
        meta = self.scene.call("GET", f"{SERVICES}/shop")["metadata"]
        found: str | None = (meta.get("annotations") or {}).get(
            "service.antrea.io/external-ip-pool"
        )
        return found

    def machines(self) -> dict[str, list[str]]:
        """ExternalNodes and their addresses."""
        found = self.scene.call("GET", EXTERNAL_NODES)["items"]
        return {obj["metadata"]["name"]: obj["spec"]["interfaces"][0]["ips"] for obj in found}

    def policies(self) -> list[str]:
        """ClusterNetworkPolicies by name."""
        return sorted(obj["metadata"]["name"] for obj in self.scene.call("GET", ACNPS)["items"])

    def rules(self) -> tuple[int, int]:
        """How many rules of ingress and egress the policy has."""
        spec = self.scene.call("GET", f"{ACNPS}/shield")["spec"]
        return len(spec.get("ingress") or ()), len(spec.get("egress") or ())

    def dropped(self, node: str) -> str:
        """The rules that policies have made on a node."""
        return self.scene.on(
            node, "sh -c 'iptables-nft -S | grep ANTREA-POL-INGRESS-RULES || true'"
        )

    def locked(self) -> bool:
        lease = self.scene.call("GET", LEASE) if self._there(LEASE) else {"spec": {}}
        return bool(lease["spec"].get("holderIdentity"))

    def state(self) -> Obj:
        """All that a run changes."""
        nodes = self.scene.nodes
        return {
            "conf": self.conf(),
            "locked": self.locked(),
            "pods": {node: self.scene.agent_pod(node)["metadata"]["uid"] for node in nodes},
            "runs": {node: self.runs(node) for node in nodes},
        }
