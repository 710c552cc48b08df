# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What kube_proxy_info and kube_proxy return is what they document, key by key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _kube_proxy_read
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._kube_proxy_write import change
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy_draft import Want
from ansible_collections.k8snet.cni.plugins.modules import kube_proxy, kube_proxy_info

from tests.lab.api.client import Client
from tests.lab.api.providers import Double, Listen
from tests.unit import calico_world
from tests.unit import kube_proxy_world as world
from tests.unit.plugins.modules.test_fact_documentation import unlike


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A cluster of kubeadm whose kube-proxy Helm owns, with a Service that is limited."""
    double = Double(tmp_path_factory.mktemp("api"), Listen())
    double.start()
    client = Client(double.kubeconfig)
    world.seed(client, nodes=1)
    world.pod(client, "node1")
    mark = {"metadata": {"annotations": {"meta.helm.sh/release-name": "kube-proxy"}}}
    client.patch(world.DAEMONSET, mark)
    spec = {"loadBalancerSourceRanges": ["10.0.0.0/8"], "ports": [{"name": "dns", "port": 53}]}
    meta = {"name": "kube-dns", "labels": {"k8s-app": "kube-dns"}}
    client.create(
        f"{world.SYSTEM}/services",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.10", **spec},
        },
    )
    yield calico_world.connect(double.kubeconfig)
    double.stop()


def problems(module: Any, result: dict[str, Any]) -> list[str]:
    """Where a result's keys are not the documented ones."""
    returned = {k: v for k, v in result.items() if k not in ("changed", "diff")}
    return unlike(returned, {"contains": yaml.safe_load(module.RETURN)}, "result")


def test_kube_proxy_info(api: Api) -> None:
    found = _kube_proxy_read.read(api, review=True)
    assert found["managed_by"]
    assert found["services"]
    assert found["dns"]
    assert found["pods"]
    assert problems(kube_proxy_info, {"kube_proxy": found}) == []


def test_kube_proxy(api: Api) -> None:
    want = Want("stopped", ("node1",), override_owner=True)
    result = change(api, want, True)
    assert result["pods_gone"]
    assert problems(kube_proxy, result) == []
