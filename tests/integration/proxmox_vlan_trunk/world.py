# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests of proxmox_vlan_trunk do and see: a Proxmox whose lines are ports of the lab."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from tests.integration.antrea.window import Run, Running, Window
from tests.lab.errors import LabError
from tests.lab.proxmox import Proxmox, Vm, Wire
from tests.lab.proxmox_lines import vlans_of
from tests.lab.scene import Scene

Obj = dict[str, Any]
VLAN, GATEWAY = 181, "172.18.181.1"
OTHER, NODE = "node1", "node2"
PODS = "/api/v1/namespaces/default/pods"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/k8snet-change"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
JSON = "application/json"


class LabWire(Wire):
    """Lines are ports of the lab's switch, VMs its nodes. ``cuts``: VLANs that break the NIC."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.cuts: set[int] = set()

    def plug(self, vm: Vm, net: str, options: dict[str, str]) -> None:
        lab, vlans = self.scene.lab, vlans_of(options)
        lab.trunk(vm.name, vlans, {"net0": "eth0"}[net])
        if vm.status == "running" and self.cuts:
            way = "down" if self.cuts & set(vlans) else "up"
            lab.ssh(vm.name, f"sudo ip link set eth0 {way}", oob=True)

    def unplug(self, vm: Vm, net: str) -> None:
        self.cut(vm)

    def stop(self, vm: Vm) -> None:
        self.scene.lab.stop(vm.name)
        self._ready(vm, "Unknown")

    def start(self, vm: Vm) -> None:
        self.scene.lab.start(vm.name)
        self._ready(vm, "True")

    def cut(self, vm: Vm) -> None:
        self.scene.lab.ssh(vm.name, "sudo ip link set eth0 down", oob=True)

    def _ready(self, vm: Vm, ready: str) -> None:
        """Play its kubelet, which beats when it has started, and who misses it."""
        path = f"/api/v1/nodes/{vm.name}"
        conditions = self.scene.call("GET", path)["status"]["conditions"]
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        beat = {"lastHeartbeatTime": now} if ready == "True" else {}
        said = [{**each, **beat, "status": ready} for each in conditions if each["type"] == "Ready"]
        rest = [each for each in conditions if each["type"] != "Ready"]
        self.scene.call("PATCH", f"{path}/status", {"status": {"conditions": [*said, *rest]}})


class World:
    """Proxmox, the cluster, and runs of the playbook, on node2 unless it is told otherwise."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self.scene = scene
        self.window = Window(scene, folder)
        self.wire = LabWire(scene)
        (folder / "proxmox").mkdir()
        vms = [Vm(101, OTHER, {}), Vm(102, NODE, {})]
        for vm in vms:
            mac = scene.lab.ssh(vm.name, "cat /sys/class/net/eth0/address").stdout.strip().upper()
            vm.config["net0"] = f"virtio={mac},bridge=vmbr0,firewall=1,tag=216"
        vms[0].config["net0"] += f",trunks={VLAN}"
        self.api = Proxmox(folder / "proxmox", vms, self.wire)
        self.vm = self.api.vms[102]
        self.run_id = "window"

    def __enter__(self) -> World:
        self.scene.lab.trunk(NODE, [])
        self.api.start(inside=self.scene.lab.first_process)
        return self

    def __exit__(self, *_error: object) -> None:
        if self.vm.status != "running":
            self.wire.start(self.vm)
        self.api.stop()
        for path in (LEASE, f"{PODS}/web", f"{BUDGETS}/web"):
            if self.there(path):
                self.scene.call("DELETE", f"{path}?gracePeriodSeconds=0")
        self.scene.call("PATCH", f"/api/v1/nodes/{NODE}", {"spec": {"unschedulable": None}})

    def environment(self) -> dict[str, str]:
        """What the token's owner has in the environment."""
        api = self.api
        found = {"HOST": "127.0.0.1", "PORT": str(api.port), "USER": api.user}
        found.update(TOKEN_ID=api.token_id, TOKEN_SECRET=api.secret)
        return {f"PROXMOX_{name}": value for name, value in found.items()}

    # -- runs -------------------------------------------------------------------------------------

    def run(self, *arguments: str, **variables: Any) -> Run:
        return self._silent(self.start(*arguments, **variables).end(400))

    def start(self, *arguments: str, **variables: Any) -> Running:
        words: Obj = {"vlans": [VLAN], "gateways": {VLAN: GATEWAY}, "nodes": [NODE]}
        words.update(self._hurry(), probe_timeout=1, **variables)
        return self.window.start(
            "proxmox_vlan_trunk",
            *arguments,
            k8snet_undo_dir=str(self.window.folder / "undo"),
            k8snet_run_id=self.run_id,
            **{f"proxmox_vlan_trunk_{name}": value for name, value in words.items()},
        )

    def rollback(self) -> Run:
        words = {f"proxmox_vlan_trunk_{name}": value for name, value in self._hurry().items()}
        words.update(k8snet_run_id=self.run_id, k8snet_undo_dir=str(self.window.folder / "undo"))
        return self._silent(self.window.start("rollback", **words).end(400))

    def _hurry(self) -> Obj:
        ca = str(self.api.ca)
        return {"ca_path": ca, "poll": 1, "settle_timeout": 30, "timeout": 120, "drain_timeout": 20}

    def _silent(self, run: Run) -> Run:
        assert self.api.secret not in run.said
        return run

    # -- what is done and seen --------------------------------------------------------------------

    def there(self, path: str) -> bool:
        try:
            self.scene.call("GET", path)
        except LabError:
            return False
        return True

    def pod(self, allowed: int | None = None, grace: int = 0) -> None:
        """Has a pod on the node; ``allowed``: what its disruption budget has room for.

        ``grace``: seconds that it takes to end. Nobody ends one here that takes any.
        """
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1"}
        meta = {"name": "web", "namespace": "default", "labels": {"app": "web"}}
        spec = {"nodeName": NODE, "terminationGracePeriodSeconds": grace}
        spec["containers"] = [{"name": "web", "image": "web"}]  # type: ignore[assignment]
        pod = {"apiVersion": "v1", "kind": "Pod", "spec": spec}
        pod["metadata"] = {**meta, "ownerReferences": [owner]}
        self.scene.call("POST", PODS, pod, JSON)
        if allowed is not None:
            budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget"}
            wanted = {"selector": {"matchLabels": {"app": "web"}}, "minAvailable": 1}
            self.scene.call("POST", BUDGETS, {**budget, "metadata": meta, "spec": wanted}, JSON)
            said = {"status": {"disruptionsAllowed": allowed}}
            self.scene.call("PATCH", f"{BUDGETS}/web/status", said)

    def cordoned(self) -> bool:
        node = self.scene.call("GET", f"/api/v1/nodes/{NODE}")
        return bool(node["spec"].get("unschedulable"))

    def locked(self) -> bool:
        lease = self.scene.call("GET", LEASE) if self.there(LEASE) else {"spec": {}}
        return bool(lease["spec"].get("holderIdentity"))

    def state(self) -> str:
        """All that a run changes."""
        vm = self.vm
        seen = [vm.config, vm.pending, vm.status, self.cordoned(), self.locked()]
        return json.dumps([*seen, self.there(f"{PODS}/web"), self.api.written()])
