# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster of each kind that the shipped roles are for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.rbac.cluster import Cluster, grant
from tests.lab import crds
from tests.lab.actors.__main__ import make, start
from tests.lab.actors.cluster import Seed, seed_cluster
from tests.lab.api.providers import Listen, choose
from tests.unit import kube_proxy_world


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Cluster]]:
    made: dict[str, Cluster] = {}
    for cni in ("calico-operator", "calico-manifest", "antrea", "canal", "kubeadm"):
        folder = tmp_path_factory.mktemp(cni)
        provider = choose(folder / "api", Listen())
        if provider.name == "cluster":
            pytest.skip("an existing cluster has no request log for us, and is not ours to seed")
        provider.start()
        cluster = made[cni] = Cluster(provider, folder, cni)
        if cni == "kubeadm":
            kube_proxy_world.seed(cluster.admin, nodes=3)
            grant(cluster.admin)
            cluster.actors = make(["daemonset"], provider.kubeconfig, (), "v3.28.2")
            cluster.threads = start(cluster.actors)
            continue
        seed_cluster(cluster.admin, Seed(nodes=3, cni=cni, dns_node="node1"))
        if cni in ("antrea", "canal"):
            continue
        crds.load(cluster.admin, crds.ours("calico"))
        grant(cluster.admin)
        cluster.actors = make(["operator", "daemonset"], provider.kubeconfig, (), "v3.28.2")
        if cni == "calico-manifest":
            cluster.actors = cluster.actors[1:]
        cluster.threads = start(cluster.actors)
        cluster.settle()
        cluster.stored(node1="10.160.1.21", node2="10.160.1.22", node3="10.160.1.23")
    grant(made["antrea"].admin)
    grant(made["canal"].admin)
    yield made
    for cluster in made.values():
        for actor in cluster.actors:
            actor.stop()
        for thread in cluster.threads:
            thread.join(5)
        cluster.provider.stop()
