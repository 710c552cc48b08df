# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calico's autodetection changed in a window, and back, on nodes with real kernels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.calico_autodetection.window import (
    DNS_NODE,
    INSTALLATION,
    LOCK,
    NEW,
    Cluster,
)
from tests.lab.lab import Lab
from tests.lab.scene import Scene

pytestmark = pytest.mark.lab

INTERNAL = {f"node{n}": f"10.160.1.2{n}/24" for n in (1, 2, 3)}
FIELD = "/spec/calicoNetwork/nodeAddressAutodetectionV4"


@pytest.fixture(scope="module")
def whole(lab: Lab) -> Scene:
    """Calico by operator with first-found, CoreDNS on node1, on the lab's own API."""
    found = Scene(lab, DNS_NODE)
    if not (lab.run / "scene").exists():
        found.set("calico-operator")
    found.await_settled()
    return found


@pytest.fixture
def cluster(whole: Scene, tmp_path: Path) -> Iterator[Cluster]:
    """The lab's cluster, whole, its pods a quarter of an hour old; put back afterwards."""
    found = Cluster(whole, tmp_path)
    found.await_rolled_out()
    found.grow_old()
    yield found
    found.call("DELETE", LOCK)
    spec = found.spec
    body: list[Any] = [{"op": "add", "path": FIELD, "value": {"firstFound": True}}]
    if "calicoNodeDaemonSet" in spec:
        body.append({"op": "remove", "path": "/spec/calicoNodeDaemonSet"})
    found.patch(INSTALLATION, body)
    whole.await_settled()
    found.await_rolled_out()


@pytest.fixture
def incident(cluster: Cluster) -> Iterator[Cluster]:
    """A new NIC on the DNS node a quarter of an hour ago: Calico took its address, DNS is gone."""
    nic = cluster.lab.plug(DNS_NODE, address=NEW, nowhere=True)
    try:
        cluster.scene.await_lost(NEW)
        # BIRD loses its sessions and gets those with the others back: readiness begins anew.
        cluster.await_readiness({node: node != DNS_NODE for node in cluster.scene.nodes})
        cluster.grow_old()
        yield cluster
    finally:
        cluster.lab.unplug(DNS_NODE, str(nic["name"]))


def dns_everywhere(cluster: Cluster) -> bool:
    return all(cluster.scene.dns(node) for node in cluster.scene.nodes)


def test_the_incident_is_repaired_as_check_mode_said_and_only_once(incident: Cluster) -> None:
    before, uids, since = incident.spec, incident.uids(), len(incident.log())
    assert before["calicoNetwork"]["nodeAddressAutodetectionV4"] == {"firstFound": True}

    check = incident.change("--check")
    assert check.code == 0, check.said
    assert incident.writes(since) == []
    assert (incident.spec, incident.uids()) == (before, uids)
    assert incident.annotations()[DNS_NODE] == NEW
    assert not (incident.folder / "undo").exists()
    assert "Held after its first node" in check.said
    assert any(NEW in row and "10.160.1.21/24 (eth0)" in row for row in check.table)
    assert len(check.table) == 3

    since = len(incident.log())
    apply = incident.change()
    assert apply.code == 0, apply.said
    assert (apply.table, apply.diff) == (check.table, check.diff)
    assert '+        "kubernetes": "NodeInternalIP"' in apply.diff
    assert '+    "minReadySeconds": N' in apply.diff
    assert incident.restarts(since) == (1, 2), "one node before the release, the others after it"
    assert incident.annotations() == INTERNAL
    assert dns_everywhere(incident)
    after = incident.spec
    assert "calicoNodeDaemonSet" not in after
    wanted = {"kubernetes": "NodeInternalIP"}
    network = {**before["calicoNetwork"], "nodeAddressAutodetectionV4": wanted}
    assert after == {**before, "calicoNetwork": network}
    assert not incident.locked()

    since, uids = len(incident.log()), incident.uids()
    again = incident.change()
    assert (again.code, again.changed) == (0, 0), again.said
    assert (incident.writes(since), incident.uids()) == ([], uids)


def test_a_first_node_that_fails_is_put_back_and_the_others_never_touched(
    cluster: Cluster,
) -> None:
    before, uids, stored = cluster.spec, cluster.uids(), cluster.annotations()
    first = "node1"  # the controller of the lab begins with it when all are ready
    # Only what is probed: its sessions with the others stand, and so it is ready.
    rule = "sudo ip rule {} to 10.160.1.22 ipproto {} prohibit"

    def cut(op: str) -> None:
        commands = (rule.format(op, "icmp"), rule.format(op, "tcp dport 10250"))
        cluster.lab.ssh(first, " && ".join(commands), check=op == "add")

    since = len(cluster.log())
    try:
        with cluster.at_the_lock(lambda: cut("add")):
            run = cluster.change("-e", "calico_autodetection_verify_retries=1")
    finally:
        cut("del")
    assert run.code != 0, run.said
    assert f"{first}: does not reach 10.160.1.22" in run.said
    assert "Everything was put back as it was" in run.said
    assert "patch installations" in cluster.writes(since)
    assert (cluster.spec, cluster.annotations()) == (before, stored)
    now = cluster.uids()
    assert now.pop(first) != uids.pop(first)
    assert now == uids
    assert not cluster.locked()
