# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster with Calico by operator, an account with the rights of docs/rbac, a former state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.calico_autodetection.hands import (
    INSTALLATION,
    Cluster,
    Obj,
    Operator,
    User,
    await_pods,
    settled,
)
from tests.lab.lab import Lab
from tests.lab.scene import Scene

LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/k8snet-change"
FORMER_HOLD = 3


@pytest.fixture
def operator(lab: Lab, tmp_path: Path) -> Operator:
    return Operator(lab, tmp_path)


@pytest.fixture(scope="module")
def scene(lab: Lab) -> Scene:
    """Calico by operator with first-found, CoreDNS on node1, on the lab's own API."""
    found = Scene(lab, "node1")
    if not (lab.run / "scene").exists():
        found.set("calico-operator")
    found.await_settled()
    return found


@pytest.fixture(scope="module")
def cluster(scene: Scene) -> Cluster:
    return Cluster(scene.lab, scene.lab.run / "api")


@pytest.fixture(scope="module")
def user(cluster: Cluster) -> User:
    """An account with just the rights that docs/rbac grants."""
    return cluster.user("remedy")


@pytest.fixture
def former(cluster: Cluster, scene: Scene) -> Iterator[Obj]:
    """First-found, and a minReadySeconds of the user's own; put back afterwards."""
    own = {"calicoNodeDaemonSet": {"spec": {"minReadySeconds": FORMER_HOLD}}}
    method = {"nodeAddressAutodetectionV4": {"firstFound": True, "kubernetes": None}}
    cluster.ask("patch", INSTALLATION, {"spec": {"calicoNetwork": method, **own}})
    await_pods(cluster, settled)
    yield cluster.installation()
    cluster.ask("patch", INSTALLATION, {"metadata": {"labels": None}})
    spec = {"calicoNetwork": method, "calicoNodeDaemonSet": None}
    cluster.ask("patch", INSTALLATION, {"spec": spec})
    if cluster.ask("find", LEASE):
        cluster.ask("delete", LEASE)
    await_pods(cluster, settled)
    scene.await_settled()
