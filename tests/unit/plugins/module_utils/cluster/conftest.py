# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calico on the API double, by operator and by manifest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api

from tests.lab import crds
from tests.lab.actors import content as seeds
from tests.lab.api.client import Client
from tests.lab.api.providers import Double, Listen
from tests.unit import calico_world as world
from tests.unit.calico_world import (
    INSTALLATIONS,
    V4,
)

Obj = dict[str, Any]


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Double]:
    server = Double(tmp_path_factory.mktemp("api"), Listen())
    server.start()
    for namespace in ("calico-system", "kube-system"):
        Client(server.kubeconfig).ensure("/api/v1/namespaces", {"metadata": {"name": namespace}})
    yield server
    server.stop()


@pytest.fixture
def client(double: Double) -> Client:
    return Client(double.kubeconfig)


@pytest.fixture
def api(double: Double) -> Api:
    return world.connect(double.kubeconfig)


@pytest.fixture
def operator(client: Client) -> Iterator[Client]:
    """Calico by operator, after the operator wrote its default back."""
    crds.remove(client, client.items(crds.CRDS))
    crds.load(client, crds.ours("calico"))
    obj = seeds.installation()
    obj["spec"]["calicoNetwork"][V4] = {"firstFound": True}
    client.create(INSTALLATIONS, obj)
    yield client
    world.clear(client)


@pytest.fixture
def manifest(client: Client) -> Iterator[Client]:
    """Calico by manifest: IP=autodetect, the method absent."""
    crds.remove(client, client.items(crds.CRDS))
    for obj in seeds.calico_manifest("v3.28.2"):
        kind = {"DaemonSet": "daemonsets", "ConfigMap": "configmaps"}[obj["kind"]]
        base = "/apis/apps/v1" if obj["kind"] == "DaemonSet" else "/api/v1"
        client.ensure(f"{base}/namespaces/kube-system/{kind}", obj)
    yield client
    world.clear(client)
