# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""node_probe on the lab's nodes: what the founding incident looks like from each of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lab.lab import Lab
from tests.lab.scene import POLL, Scene, await_that

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[3]
DNS_NODE, NEW = "node1", "172.31.66.11"
ADDRESSES = {f"node{number}": f"10.160.1.2{number}" for number in (1, 2, 3)}
PYTHON39 = "/opt/python3.9/bin/python3.9"


def probe(lab: Lab, folder: Path, node: str, **options: Any) -> dict[str, Any]:
    """One run of the module on a node, by Ansible."""
    program = str(Path(sys.executable).with_name("ansible"))
    words = ["-i", str(lab.inventory), node, "--become", "--check", "-m", "k8snet.cni.node_probe"]
    words += ["-a", json.dumps(options), "-e", f"ansible_python_interpreter={PYTHON39}"]
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible/collections"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal",
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true",
        "ANSIBLE_NOCOLOR": "1",
        "HOME": str(folder),
    }
    done = subprocess.run(
        [program, *words],
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
        cwd=folder,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return answer


def wanted(scene: Scene, node: str) -> dict[str, Any]:
    """What has to be so on a node of a cluster that works."""
    others = {name: address for name, address in ADDRESSES.items() if name != node}
    return {
        "source": ADDRESSES[node],
        "targets": [{"name": name, "address": address} for name, address in others.items()],
        "dns": [{"server": scene.dns_pod}],
        "pod_networks": ["10.244.0.0/16"],
    }


def sessions(node: str) -> dict[str, Any]:
    peers = [address for name, address in ADDRESSES.items() if name != node]
    return {"bgp": {"local": ADDRESSES[node], "peers": peers}}


def test_the_incident_as_the_nodes_see_it(lab: Lab, tmp_path: Path) -> None:
    scene = Scene(lab, DNS_NODE)
    if not (lab.run / "scene").exists():
        scene.set("calico-operator")
    scene.await_settled()

    def seen(node: str) -> dict[str, Any]:
        return probe(lab, tmp_path, node, **wanted(scene, node), **sessions(node))

    for node in ADDRESSES:
        found = await_that(
            lambda node=node: seen(node),  # type: ignore[misc]
            lambda found: not found["problems"],
            f"{node} has no problems",
        )
        assert {entry["how"] for entry in found["reachable"].values()} == {"icmp"}
        assert found["dns"][0]["netns"] == "/run/netns/k8snet-pod"

    nic = lab.plug(DNS_NODE, address=f"{NEW}/24", nowhere=True)
    try:
        # Before Calico moves: would the others reach the address that it is about to choose?
        new = probe(lab, tmp_path, "node2", targets=[{"name": DNS_NODE, "address": NEW}])
        assert new["reachable"][DNS_NODE]["ok"] is False
        back = probe(lab, tmp_path, DNS_NODE, **{**wanted(scene, DNS_NODE), "source": NEW})
        assert [entry["ok"] for entry in back["reachable"].values()] == [False, False]

        scene.await_lost(f"{NEW}/24")
        found = seen("node2")
        assert found["bgp"]["missing"] == [ADDRESSES[DNS_NODE]]
        assert found["bgp"]["established"] == [ADDRESSES["node3"]]
        assert found["dns"][0]["ok"] is False
        assert all(entry["ok"] for entry in found["reachable"].values()), "the nodes themselves do"
        assert seen(DNS_NODE)["bgp"]["established"] == []
    finally:
        lab.unplug(DNS_NODE, str(nic["name"]))
    scene.await_settled()


@pytest.mark.full
def test_with_vxlan_everything_is_ready_and_only_the_device_tells(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    with Lab.up(3, api=True, name=f"pytest-vxlan-{os.getpid()}") as lab:
        scene = Scene(lab, DNS_NODE)
        scene.set("calico-operator", POLL, "--backend", "vxlan")

        def seen(node: str) -> dict[str, Any]:
            device = {"vxlan": {"local": ADDRESSES[node]}}
            return probe(lab, tmp_path, node, **wanted(scene, node), **device)

        for node in ADDRESSES:
            found = seen(node)
            assert found["problems"] == []
            assert found["vxlan"]["parent"] == "eth0"
        lab.plug(DNS_NODE, address=f"{NEW}/24", nowhere=True)
        scene.await_lost(f"{NEW}/24")
        assert _ready(scene) == ["True"] * 3, "Felix does not know better"
        moved = seen(DNS_NODE)["vxlan"]
        assert (moved["as_expected"], moved["local"], moved["parent"]) == (False, NEW, "eth1")
        assert seen("node3")["dns"][0]["ok"] is False


def _ready(scene: Scene) -> list[str]:
    """Status of Ready of each calico-node pod."""
    pods = scene.call("GET", "/api/v1/namespaces/calico-system/pods")["items"]
    found = [c for pod in pods for c in pod["status"]["conditions"] if c["type"] == "Ready"]
    return [condition["status"] for condition in found]
