# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lab's nodes as VMs of a Proxmox: lines are ports of the switch, VMs are nodes.

python -m tests.lab.proxmox_scene up        on the lab that K8SNET_LAB names, beside what is there
python -m tests.lab.proxmox_scene down      as it was before

The last node lacks VLAN 181, whose gateway is on the hypervisor's switch. It has a pod with a
disruption budget that lets it go. Proxmox serves at 127.0.0.1:8006 inside the lab's network, its
authority is RUN/proxmox/ca.crt.
"""

from __future__ import annotations

import datetime
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tests.lab import lock
from tests.lab.errors import LabError, exit_code
from tests.lab.lab import Lab, end_process
from tests.lab.outside import Outside
from tests.lab.proxmox import Proxmox, Vm, Wire
from tests.lab.proxmox_lines import vlans_of
from tests.lab.scene import Scene

Obj = dict[str, Any]
VLAN, GATEWAY, PORT = 181, "172.18.181.1", 8006
PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
_JSON = "application/json"


class LabWire(Wire):
    """``cuts``: VLANs that break the NIC."""

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


def vms_of(lab: Lab) -> list[Vm]:
    """Return the VM of each node, 101 being node1; no VLAN passes tagged."""
    found = []
    for number, node in enumerate(lab.status()["nodes"], 101):
        mac = next(nic["mac"] for nic in node["nics"] if nic["name"] == "eth0").upper()
        line = f"virtio={mac},bridge=vmbr0,firewall=1,tag=216"
        found.append(Vm(number, node["name"], {"net0": line}))
    return found


def web_pod(scene: Scene, node: str, allowed: int | None = None, grace: int = 0) -> None:
    """Make default/web on a node, running and Ready.

    ``allowed``: what its disruption budget has room for. ``grace``: seconds that it takes to end;
    nobody ends one that takes any.
    """
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1"}
    meta = {"name": "web", "namespace": "default", "labels": {"app": "web"}}
    spec: Obj = {"nodeName": node, "terminationGracePeriodSeconds": grace}
    spec["containers"] = [{"name": "web", "image": "web"}]
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": spec}
    scene.call("POST", PODS, {**pod, "metadata": {**meta, "ownerReferences": [owner]}}, _JSON)
    status: Obj = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    scene.call("PATCH", f"{PODS}/web/status", {"status": status})
    if allowed is None:
        return
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta}
    selector = {"matchLabels": {"app": "web"}}
    wanted = {**budget, "spec": {"selector": selector, "minAvailable": 1}}
    scene.call("POST", BUDGETS, wanted, _JSON)
    counted = {"observedGeneration": 1, "disruptionsAllowed": allowed, "desiredHealthy": 1}
    counted.update(currentHealthy=1 + allowed, expectedPods=1 + allowed)
    scene.call("PATCH", f"{BUDGETS}/web/status", {"status": counted})


def remove_web_pod(scene: Scene) -> None:
    for path in (PODS, BUDGETS):
        if any(found["metadata"]["name"] == "web" for found in scene.call("GET", path)["items"]):
            scene.call("DELETE", f"{path}/web?gracePeriodSeconds=0")


def up(lab: Lab) -> None:
    """Set the scene; the double outlives this process, and not the lab."""
    node, folder = _node(lab), _folder(lab)
    if lock.holder(folder) is not None:
        raise LabError("Proxmox serves already", "'python -m tests.lab.proxmox_scene down' ends it")
    lab.trunk(node, [])
    Outside(lab, VLAN, GATEWAY).up()
    web_pod(Scene(lab), node, allowed=1)
    with open(lab.run / "proxmox.log", "ab") as log:
        serving = subprocess.Popen(
            lab.inside([sys.executable, "-u", "-m", "tests.lab.proxmox_scene", "serve"]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    if serving.stdout is None or not serving.stdout.readline():
        raise LabError(f"Proxmox does not serve: see {lab.run / 'proxmox.log'}")


def serve(lab: Lab) -> None:
    """Serve until this process is ended, inside the lab."""
    if not lock.take(_folder(lab)):
        raise LabError("Proxmox serves already")
    Proxmox(_folder(lab), vms_of(lab), LabWire(Scene(lab))).start(port=PORT)
    print("ready", flush=True)
    threading.Event().wait()


def down(lab: Lab) -> None:
    """End the double, and have ports and objects as they were."""
    node, process = _node(lab), lock.holder(_folder(lab))
    if process is not None:
        end_process(process)
    Outside(lab, VLAN, GATEWAY).down()
    remove_web_pod(Scene(lab))
    lab.trunk(node, [VLAN])


def _folder(lab: Lab) -> Path:
    folder = lab.run / "proxmox"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _node(lab: Lab) -> str:
    return str(lab.status()["nodes"][-1]["name"])


def main() -> int:
    ways = {"up": up, "serve": serve, "down": down}
    if len(sys.argv) != 2 or sys.argv[1] not in ways:
        print(__doc__, file=sys.stderr)
        return 2
    return exit_code(lambda: ways[sys.argv[1]](Lab()))


if __name__ == "__main__":
    sys.exit(main())
