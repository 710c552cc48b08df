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
    another,
)
from tests.lab.lab import Lab
from tests.lab.scene import Scene, await_that

pytestmark = pytest.mark.lab

INTERNAL = {f"node{n}": f"10.160.1.2{n}/24" for n in (1, 2, 3)}
FIELD = "/spec/calicoNetwork/nodeAddressAutodetectionV4"
MANIFEST = "/apis/apps/v1/namespaces/kube-system/daemonsets/calico-node"


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


@pytest.mark.full
def test_a_run_is_rolled_back_to_what_was_even_if_that_was_broken(incident: Cluster) -> None:
    before, stored = incident.spec, incident.annotations()
    run = incident.change()
    assert run.code == 0, run.said
    assert incident.annotations() == INTERNAL
    back = incident.play("rollback", "-e", f"k8snet_run_id={run.run_id}", "--diff")
    assert back.code == 0, back.said
    assert (incident.spec, incident.annotations()) == (before, stored)
    assert not incident.locked()
    again = incident.play("rollback", "-e", f"k8snet_run_id={run.run_id}")
    assert again.code == 0, again.said
    assert (incident.spec, incident.annotations()) == (before, stored)


@pytest.mark.full
def test_where_two_nodes_go_first_both_are_verified(cluster: Cluster) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}}
    where = "/spec/nodeUpdateStrategy"
    cluster.patch(INSTALLATION, [{"op": "add", "path": where, "value": strategy}])
    cluster.await_rolled_out()
    # The second of both no longer reaches its neighbour; the first has nothing to complain of.
    rule = "sudo ip rule {} to 10.160.1.23 ipproto {} prohibit"

    def cut(op: str) -> None:
        commands = (rule.format(op, "icmp"), rule.format(op, "tcp dport 10250"))
        cluster.lab.ssh("node2", " && ".join(commands), check=op == "add")

    before, uids = cluster.spec, cluster.uids()
    try:
        try:
            with cluster.at_the_lock(lambda: cut("add")):
                bad = cluster.change("-e", "calico_autodetection_verify_retries=1")
        finally:
            cut("del")
        assert bad.code != 0, bad.said
        assert "node2: does not reach 10.160.1.23" in bad.said
        assert (cluster.spec, cluster.uids()["node3"]) == (before, uids["node3"])

        cluster.await_rolled_out()
        cluster.grow_old()
        since = len(cluster.log())
        run = cluster.change()
        assert run.code == 0, run.said
        said = " ".join(run.said.split())
        assert "Held after its first 2 nodes (maxUnavailable 2), restarted together" in said
        assert "each of them is verified" in said
        assert cluster.restarts(since) == (2, 1), "two before the release"
        for node in ("node1", "node2"):
            assert f"localhost -> {node}" in said.partition("Release the roll-out")[0]
    finally:
        cluster.patch(INSTALLATION, [{"op": "remove", "path": where}])


@pytest.mark.full
def test_without_the_field_the_roll_out_is_watched(cluster: Cluster) -> None:
    name = (
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/installations.operator.tigera.io"
    )
    crd = cluster.get(name)
    where = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/calicoNodeDaemonSet"
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    field = schema["properties"]["calicoNodeDaemonSet"]
    cluster.patch(name, [{"op": "remove", "path": where}])
    try:
        run = cluster.change()
        assert run.code == 0, run.said
        assert "Not held: this operator's Installation has no calicoNodeDaemonSet" in " ".join(
            run.said.split()
        )
        assert cluster.spec["calicoNetwork"]["nodeAddressAutodetectionV4"] == {
            "kubernetes": "NodeInternalIP"
        }
        assert cluster.annotations() == INTERNAL
        assert dns_everywhere(cluster)
    finally:
        cluster.patch(name, [{"op": "add", "path": where, "value": field}])


@pytest.mark.full
def test_a_manifest_install_is_held_by_its_own_field_or_on_a_chosen_node(
    whole: Scene, tmp_path: Path
) -> None:
    with another(whole.lab, tmp_path / "manifest", "calico-manifest") as cluster:
        cluster.await_rolled_out()
        cluster.grow_old()
        before, since = cluster.get(MANIFEST)["spec"], len(cluster.log())
        run = cluster.change("-e", "calico_autodetection_canary=node2")
        assert run.code == 0, run.said
        assert "node2 alone is restarted (OnDelete)" in run.said
        assert cluster.restarts(since, "daemonsets") == (1, 2)
        after = cluster.get(MANIFEST)["spec"]
        env = after["template"]["spec"]["containers"][0]["env"]
        added = {"name": "IP_AUTODETECTION_METHOD", "value": "kubernetes-internal-ip"}
        assert added in env
        env.remove(added)
        assert after == before
        assert cluster.annotations() == INTERNAL
        assert dns_everywhere(cluster)

        back = cluster.play("rollback", "-e", f"k8snet_run_id={run.run_id}")
        assert back.code == 0, back.said
        assert cluster.get(MANIFEST)["spec"] == before
        cluster.await_rolled_out()
        cluster.grow_old()
        since = len(cluster.log())
        held = cluster.change()
        assert held.code == 0, held.said
        assert "by the DaemonSet's minReadySeconds" in " ".join(held.said.split())
        assert cluster.restarts(since, "daemonsets") == (1, 2)
        spec = cluster.get(MANIFEST)["spec"]
        assert spec["updateStrategy"] == before["updateStrategy"]
        assert spec.get("minReadySeconds") == before.get("minReadySeconds")


@pytest.mark.full
def test_both_families_are_changed_at_once(whole: Scene, tmp_path: Path) -> None:
    lab, six = whole.lab, "projectcalico.org/IPv6Address"
    wanted = {node: f"fd00:160::{node[-1]}/64" for node in whole.nodes}
    with another(lab, tmp_path / "dual", "calico-operator") as cluster:
        try:
            for node, address in wanted.items():
                lab.ssh(node, f"sudo ip address add {address} dev eth0 nodad")
                path = f"/api/v1/nodes/{node}/status"
                entry = {"type": "InternalIP", "address": address.partition("/")[0]}
                addresses = cluster.get(f"/api/v1/nodes/{node}")["status"]["addresses"]
                body = [
                    {"op": "replace", "path": "/status/addresses", "value": [*addresses, entry]}
                ]
                cluster.patch(path, body)
            pool = {
                "name": "default-ipv6-ippool",
                "cidr": "fd00:244::/64",
                "blockSize": 122,
                "encapsulation": "None",
                "natOutgoing": "Disabled",
                "nodeSelector": "all()",
            }
            body = [{"op": "add", "path": "/spec/calicoNetwork/ipPools/-", "value": pool}]
            cluster.patch(INSTALLATION, body)
            await_that(
                lambda: cluster.annotations(six),
                lambda now: all(now.values()),
                "every node stores an IPv6 address",
            )
            cluster.await_rolled_out()
            cluster.grow_old()
            run = cluster.change()
            assert run.code == 0, run.said
            network = cluster.spec["calicoNetwork"]
            for family in ("V4", "V6"):
                assert network[f"nodeAddressAutodetection{family}"] == {
                    "kubernetes": "NodeInternalIP"
                }
            assert (cluster.annotations(), cluster.annotations(six)) == (INTERNAL, wanted)
            assert len(run.table) == 6
            assert dns_everywhere(cluster)
        finally:
            for node, address in wanted.items():
                lab.ssh(node, f"sudo ip address del {address} dev eth0", check=False)
