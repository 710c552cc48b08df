# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Interfaces of an earlier cluster: listed, and removed with consent only, on real kernels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.calico_autodetection.window import INSTALLATION, Cluster, Run
from tests.lab.actors import content
from tests.lab.actors.pods import pod_address
from tests.lab.lab import Lab
from tests.lab.scene import Scene

pytestmark = [pytest.mark.lab, pytest.mark.full]

STUCK, FINE = "node3", "node2"
OLD = "172.31.66.11"
PODS = "/api/v1/namespaces/default/pods"
#: The tunnel of an earlier cluster, from an address that is not this node's.
LEFT = f"""
ip link add dummy0 type dummy; ip addr add {OLD}/24 dev dummy0; ip link set dummy0 up
ip link add vxlan.calico type vxlan id 4096 dstport 4789 local {OLD} dev dummy0 nolearning
ip addr add 10.250.3.0/32 dev vxlan.calico; ip link set vxlan.calico up
"""
#: Its routes lead this cluster's BGP into that tunnel, and go when the device does.
BLOCK = """
ip route add 10.160.1.16/29 dev vxlan.calico table 250
ip rule add ipproto tcp dport 179 lookup 250; ip rule add ipproto tcp sport 179 lookup 250
"""
GONE = """
while ip rule del lookup 250; do :; done; ip link del vxlan.calico; ip link del dummy0
rm -rf /var/lib/k8snet/undo
"""


def on(cluster: Cluster, node: str, script: str, check: bool = True) -> str:
    words = f"sudo sh -{'e' if check else ''}c '{script}'"
    return str(cluster.lab.ssh(node, words, check=check).stdout)


def left(cluster: Cluster, node: str) -> bool:
    return "vxlan.calico" in on(cluster, node, "ip -br link")


def removal(run: Run) -> str:
    """What the run told of the removal, diff included."""
    found = re.search(r"^TASK \[[^\n]*Remove exactly.*?(?=^TASK )", run.said, re.M | re.S)
    assert found, run.said
    return found.group(0)


@pytest.fixture
def stuck(lab: Lab, tmp_path: Path) -> Iterator[Cluster]:
    """Two nodes carry a tunnel of an earlier cluster; on one calico-node gets no session for it."""
    scene = Scene(lab, "node1")
    if not (lab.run / "scene").exists():
        scene.set("calico-operator")
    scene.await_settled()
    cluster = Cluster(scene, tmp_path)
    cluster.await_rolled_out()
    address = pod_address(content.pod_cidr(3))
    spec = {"nodeName": STUCK, "containers": [{"name": "web", "image": "web"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec}
    assert cluster.call("POST", PODS, pod)[0] == 201
    status = {"status": {"podIP": address, "podIPs": [{"ip": address}]}}
    cluster.patch(f"{PODS}/web/status", status, "application/merge-patch+json")
    try:
        on(cluster, FINE, LEFT)
        on(cluster, STUCK, LEFT + BLOCK)
        cluster.await_readiness({node: node != STUCK for node in scene.nodes})
        cluster.grow_old()
        yield cluster
    finally:
        for node in (FINE, STUCK):
            on(cluster, node, GONE, check=False)
        cluster.call("DELETE", f"{PODS}/web")
        path = "/spec/calicoNetwork/nodeAddressAutodetectionV4"
        cluster.patch(INSTALLATION, [{"op": "add", "path": path, "value": {"firstFound": True}}])
        scene.await_settled()
        cluster.await_rolled_out()


def test_a_left_over_goes_with_consent_only_and_calico_node_heals(stuck: Cluster) -> None:
    consent = ("-e", "calico_autodetection_clean_interfaces=true")
    reason = f"{STUCK}: vxlan.calico: it sends from {OLD}, but this node's address is 10.160.1.23"

    since = len(stuck.log())
    without = stuck.change("-e", "calico_autodetection_method_v4=first-found")
    assert without.code == 2, without.said
    said = " ".join(without.said.split())
    assert f"{reason}. It stays; calico_autodetection_clean_interfaces=true removes it." in said
    assert f"{STUCK}: calico-node is not ready" in said
    assert stuck.writes(since) == []
    assert left(stuck, STUCK)

    check = stuck.change("--check", *consent)
    assert check.code == 0, check.said
    said = " ".join(check.said.split())
    assert f"{reason}. It is removed." in said
    assert said.count("Left ") == 1, "neither a pod's end nor what is on a node that is fine"
    assert left(stuck, STUCK)
    assert not (stuck.folder / "undo").exists()

    apply = stuck.change(*consent)
    assert apply.code == 0, apply.said
    assert (removal(apply), apply.diff) == (removal(check), check.diff)
    assert "before: interface vxlan.calico" in removal(apply)
    assert not left(stuck, STUCK)
    assert left(stuck, FINE), "its calico-node is fine"
    stuck.await_readiness(dict.fromkeys(stuck.scene.nodes, True))
    assert all(stuck.scene.dns(node) for node in stuck.scene.nodes)
    bundle = json.loads((stuck.folder / "undo" / apply.run_id / "cluster.json").read_text())
    (entry,) = bundle["leftovers"][STUCK]["leftovers"]
    assert entry["name"] == "vxlan.calico"
    (command, *_rest) = bundle["leftovers"][STUCK]["undo"]["vxlan.calico"]["commands"]
    assert f"local {OLD}" in command
    kept = f"/var/lib/k8snet/undo/{apply.run_id}/interface.vxlan.calico.json"
    assert f"local {OLD}" in on(stuck, STUCK, f"cat {kept}")

    since = len(stuck.log())
    again = stuck.change(*consent)
    assert (again.code, again.changed) == (0, 0), again.said
    assert stuck.writes(since) == []
    assert left(stuck, FINE)
