# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests of proxmox_vlan_trunk do and see: a Proxmox whose lines are ports of the lab."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.integration.antrea.window import Run, Running, Window
from tests.lab.errors import LabError
from tests.lab.proxmox import Proxmox
from tests.lab.proxmox_scene import (
    BUDGETS,
    GATEWAY,
    PODS,
    VLAN,
    LabWire,
    remove_web_pod,
    vms_of,
    web_pod,
)
from tests.lab.scene import Scene

Obj = dict[str, Any]
NODE = "node2"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/k8snet-change"


class World:
    """Proxmox, the cluster, and runs of the playbook, on node2 unless it is told otherwise."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self.scene = scene
        self.window = Window(scene, folder)
        self.wire = LabWire(scene)
        (folder / "proxmox").mkdir()
        vms = vms_of(scene.lab)
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
        if self.there(LEASE):
            self.scene.call("DELETE", LEASE)
        self.faults([])
        if self.there(f"{BUDGETS}/second"):
            self.scene.call("DELETE", f"{BUDGETS}/second")
        remove_web_pod(self.scene)
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
        web_pod(self.scene, NODE, allowed, grace)

    def second_budget(self) -> None:
        """Has another disruption budget of the pod."""
        budget = self.scene.call("GET", f"{BUDGETS}/web")
        meta = {"name": "second", "namespace": "default"}
        made = {key: budget[key] for key in ("apiVersion", "kind", "spec")}
        self.scene.call("POST", BUDGETS, {**made, "metadata": meta}, "application/json")

    def faults(self, rules: list[Obj]) -> None:
        """Has the cluster's API answer as these say."""
        (self.scene.kubeconfig.parent / "faults.json").write_text(json.dumps(rules))

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
