# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests of antrea_egress_vlan do and see, beside running playbooks."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.integration.antrea.window import Run, Window
from tests.lab.antrea_scene import await_that
from tests.lab.egress_scene import EGRESSES, GATEWAY, NAMESPACE, POOLS, RANGE, VLAN, EgressScene
from tests.lab.paths import CHECKOUT

Obj = dict[str, Any]

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
LABEL = f"k8snet.io/egress-{VLAN}"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
SECRET = "hunter22"
NOTHING: Obj = {"labelled": [], "pools": [], "egresses": [], "locked": False}


class Leaving:
    """The playbook, and the cluster that it changes."""

    def __init__(self, scene: EgressScene, folder: Path) -> None:
        self.scene = scene
        self.window = Window(scene, folder)

    def run(self, *arguments: str, **more: Any) -> Run:
        role = {
            "name": "shop",
            "vlan": VLAN,
            "ranges": [RANGE],
            "gateway": GATEWAY,
            "nodes": self.scene.nodes,
            "applied_to": {
                "namespace_selector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}
            },
            "probe": self.scene.outside.target,
            "listen": 6,
        }
        words = {f"antrea_egress_vlan_{key}": value for key, value in role.items()}
        words["k8snet_undo_dir"] = self.undo
        return self.window.play("antrea_egress_vlan", *arguments, **{**words, **more})

    def rollback(self, run_id: str) -> Run:
        return self.window.play("rollback", k8snet_run_id=run_id, k8snet_undo_dir=self.undo)

    @property
    def undo(self) -> str:
        return str(self.window.folder / "undo")

    def lost_in_the_drill(self) -> list[str]:
        """Arguments with which no node can be reached once the drill has taken the label off."""
        begun = "hostvars['localhost'].__antrea_egress_vlan_begun is defined"
        port = f"{{{{ 9 if {begun} else 22 }}}}"
        hosts = {node: {"ansible_port": port} for node in self.scene.nodes}
        file = self.window.folder / "lost.yml"
        file.write_text(json.dumps({"all": {"hosts": hosts}}))
        return ["-i", str(file)]

    @contextlib.contextmanager
    def worker(self, node: str) -> Iterator[None]:
        """Has a node that is no control plane, so that it may lose its power, and mends it."""
        scene = self.scene
        labels = scene.call("GET", f"/api/v1/nodes/{node}")["metadata"]["labels"]
        scene.label(node, CONTROL_PLANE, None)
        # As on every node of Kubernetes; in the lab it comes with the pod, and goes with a boot.
        setting = "echo net.ipv4.ip_forward=1 >/etc/sysctl.d/forward.conf && sync"
        scene.on(node, f'sh -c "{setting}"')
        try:
            yield
        finally:
            states = {each["name"]: each["state"] for each in scene.lab.status()["nodes"]}
            if states[node] != "up":
                scene.lab.start(node)
            scene.wire_pod(node)
            scene.await_antrea_settled()
            scene.label(node, CONTROL_PLANE, labels.get(CONTROL_PLANE))

    def power_off(self, consent: str) -> Obj:
        """Variables for the drill that cuts power, by a program that writes down what it does."""
        folder = self.window.folder
        program = folder / "bmc"
        lab = shlex.join([sys.executable, "-m", "tests.lab"])
        lines = [
            "#!/bin/sh",
            f"cd {folder} && echo $1 $2 >>switched",
            '[ $1 = start ] && [ -e broken ] && { echo "bad password $3" >&2; exit 1; }',
            f"export PYTHONPATH={CHECKOUT} K8SNET_LAB={self.scene.lab.name}",
            f"exec {lab} $1 $2",
        ]
        program.write_text("\n".join(lines) + "\n")
        program.chmod(0o700)
        words = {
            "drill": "power-off",
            "accept_power_off": consent,
            "power_off_command": [str(program), "kill", "{node}", SECRET],
            "power_on_command": [str(program), "start", "{host}", SECRET],
        }
        return {f"antrea_egress_vlan_{key}": value for key, value in words.items()}

    def switched(self) -> list[str]:
        """What that program was asked for since."""
        file = self.window.folder / "switched"
        found = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return found

    def break_power_on(self, broken: bool) -> None:
        """Has nodes stay off, or not."""
        file = self.window.folder / "broken"
        file.touch() if broken else file.unlink()

    def own_pool(self, owner: str | None) -> None:
        """Has somebody own the pool, or nobody."""
        pool = f"{POOLS}/vlan{VLAN}"
        labels = {"app.kubernetes.io/managed-by": owner}
        notes = {"meta.helm.sh/release-name": owner and "net"}
        self.scene.call("PATCH", pool, {"metadata": {"labels": labels, "annotations": notes}})

    def start_over(self) -> None:
        """Has no Egress, and nothing of one on any node."""
        self.mend()
        self.scene.clean()
        for obj in self.scene.call("GET", LEASE)["items"]:
            self.scene.call("DELETE", f"{LEASE}/{obj['metadata']['name']}")
        await_that(self.left, lambda now: not any(now.values()), "nothing is left of Egresses")

    def mend(self) -> None:
        for node in self.scene.nodes:
            self.scene.lab.trunk(node, [VLAN])
        self.scene.outside.silent(False)

    def left(self) -> dict[str, str]:
        return {node: self.scene.left(node) for node in self.scene.nodes}

    def state(self) -> Obj:
        """All that a run changes in the cluster."""
        nodes = self.scene.call("GET", "/api/v1/nodes")["items"]
        leases = self.scene.call("GET", LEASE)["items"]
        return {
            "labelled": sorted(
                n["metadata"]["name"] for n in nodes if LABEL in n["metadata"].get("labels", {})
            ),
            "pools": [pool["spec"] for pool in self.scene.call("GET", POOLS)["items"]],
            "egresses": [egress["spec"] for egress in self.scene.call("GET", EGRESSES)["items"]],
            "locked": any(lease["spec"].get("holderIdentity") for lease in leases),
        }
