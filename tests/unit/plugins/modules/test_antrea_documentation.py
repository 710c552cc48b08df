# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Antrea's modules return is what they document, key by key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _antrea_read
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._antrea_agent import (
    Request,
    restart,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._antrea_write import change
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api
from ansible_collections.k8snet.cni.plugins.modules import (
    antrea_agent,
    antrea_config,
    antrea_info,
)

from tests.lab.actors.cluster import Seed, seed_cluster
from tests.lab.actors.loop import stamp
from tests.lab.api.client import Client
from tests.lab.api.providers import Double, Listen
from tests.unit import antrea_world as world
from tests.unit import calico_world
from tests.unit.plugins.modules.test_fact_documentation import unlike


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A cluster of one node with Antrea, which has a secondary bridge, an error and an object."""
    double = Double(tmp_path_factory.mktemp("api"), Listen())
    double.start()
    client = Client(double.kubeconfig)
    seed_cluster(client, Seed(nodes=1, cni="antrea"))
    world.pod(client, "node1", "antrea-agent-1")
    world.report(client, "node1", stamp(), "antrea-agent-1")
    path, file = f"{world.MAPS}/antrea-config", world.FILES["agent"]
    misplaced = client.get(path)["data"][file] + "proxyAll: true\n"
    client.patch(path, {"data": {file: misplaced}})
    bridge = {"bridgeName": "br-x", "physicalInterfaces": [{"name": "eth1"}]}
    obj = {
        "apiVersion": "crd.antrea.io/v1alpha1",
        "kind": "AntreaNodeConfig",
        "metadata": {"name": "racks"},
        "spec": {"nodeSelector": {}, "secondaryNetwork": {"ovsBridges": [bridge]}},
    }
    client.create("/apis/crd.antrea.io/v1alpha1/antreanodeconfigs", obj)
    yield calico_world.connect(double.kubeconfig)
    double.stop()


def problems(module: Any, result: dict[str, Any]) -> list[str]:
    """Where a result's keys are not the documented ones."""
    returned = {k: v for k, v in result.items() if k not in ("changed", "diff")}
    return unlike(returned, {"contains": yaml.safe_load(module.RETURN)}, "result")


def test_antrea_info(api: Api) -> None:
    found = _antrea_read.read(api, review=True)
    assert found["agents"]
    assert found["problems"]
    assert found["secondary_network"]["node_configs"]
    assert found["permissions"]
    # A gate is documented under the word GATE.
    for gate in found["gates"].values():
        assert problems(antrea_info, {"antrea": {**found, "gates": {"GATE": gate}}}) == []


def test_antrea_config(api: Api) -> None:
    for check_mode in (True, False, False):
        result = change(api, world.want(gates={"Egress": True}), check_mode)
        assert problems(antrea_config, result) == []


def test_antrea_agent(api: Api) -> None:
    result = restart(api, Request("node1", force=True), True)
    documented = yaml.safe_load(antrea_agent.RETURN)
    fitting = {k for k, v in documented.items() if "healthy" not in str(v["returned"])}
    assert {k for k in result if k not in ("changed", "diff")} <= documented.keys()
    assert fitting <= result.keys()
    for side in ("before", "after"):
        assert result[side].keys() == documented[side]["contains"].keys()
