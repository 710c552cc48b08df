# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What antrea_info says of a cluster, read once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _antrea_read
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_view as view

from tests.lab.actors.loop import stamp
from tests.lab.api.client import Client
from tests.lab.api.providers import Double
from tests.unit import antrea_world as world
from tests.unit import calico_world

Obj = dict[str, Any]
NODE_CONFIGS = "/apis/crd.antrea.io/v1alpha1/antreanodeconfigs"


@pytest.fixture
def antrea(client: Client) -> Iterator[Client]:
    world.seed(client)
    yield client
    world.clear(client)


def put_text(client: Client, text: str) -> None:
    path = f"{world.MAPS}/antrea-config"
    client.patch(path, {"data": {world.FILES["agent"]: text}})


def test_agents_are_shown_with_their_heartbeats(antrea: Client, api: Api) -> None:
    for number, ready in ((1, True), (2, False)):
        world.pod(antrea, f"node{number}", f"antrea-agent-{number}", ready)
    world.report(antrea, "node1", stamp(), "antrea-agent-1")
    world.report(antrea, "node2", "2026-01-01T00:00:00Z")
    one, two = _antrea_read.read(api)["agents"]
    assert (one["node"], one["ready"], one["waiting"]) == ("node1", True, None)
    assert (two["node"], two["ready"], two["waiting"]) == ("node2", False, "CrashLoopBackOff")
    assert 0 <= one["heartbeat_age_seconds"] < 60
    assert two["heartbeat_age_seconds"] > 86400
    assert two["conditions"]["AgentHealthy"] is True, "it says so always"
    assert one["ovs"]["bridge"] == "br-int"
    assert one["version"] == "v2.7.0"


def test_a_version_that_no_image_tells_is_what_agents_report(antrea: Client, api: Api) -> None:
    path = "/apis/apps/v1/namespaces/kube-system/daemonsets/antrea-agent"
    daemonset = antrea.get(path)
    for container in daemonset["spec"]["template"]["spec"]["containers"]:
        container["image"] = "mirror/antrea@sha256:" + "0" * 64
    antrea.replace(path, daemonset)
    assert _antrea_read.read(api)["version"] is None
    world.report(antrea, "node1", stamp())
    assert _antrea_read.read(api)["version"] == "v2.7.0"
    assert _antrea_read.have(api).version == "v2.7.0"


def test_bridges_come_from_the_file_or_from_objects(antrea: Client, api: Api) -> None:
    found = _antrea_read.read(api)["secondary_network"]
    assert (found["bridges"], found["source"], found["node_configs"]) == ([], None, [])
    bridge = {"bridgeName": "br-x", "physicalInterfaces": [{"name": "eth1"}]}
    obj = {
        "apiVersion": "crd.antrea.io/v1alpha1",
        "kind": "AntreaNodeConfig",
        "metadata": {"name": "racks"},
        "spec": {"nodeSelector": {}, "secondaryNetwork": {"ovsBridges": [bridge]}},
    }
    antrea.create(NODE_CONFIGS, obj)
    found = _antrea_read.read(api)["secondary_network"]
    assert (found["bridges"], found["source"]) == ([], "nodeconfig")
    assert found["node_configs"][0]["bridges"] == [{"name": "br-x", "interfaces": ["eth1"]}]
    put_text(antrea, "secondaryNetwork:\n  ovsBridges: [{bridgeName: br-y}]\n")
    found = _antrea_read.read(api)["secondary_network"]
    assert (found["bridges"], found["source"]) == ([{"name": "br-y", "interfaces": []}], "static")


def test_gates_are_joined_from_files_and_defaults(antrea: Client, api: Api) -> None:
    put_text(antrea, "featureGates:\n  AntreaIPAM: true\n  Mystery: true\n  Egress: false\n")
    gates = _antrea_read.read(api)["gates"]
    assert gates["AntreaIPAM"] == {
        "known": True,
        "components": ["agent", "controller"],
        "stage": "alpha",
        "default": False,
        "locked": False,
        "configured": {"agent": True, "controller": None},
        "effective": {"agent": True, "controller": False},
        "enabled": False,
    }
    assert gates["Mystery"]["known"] is gates["Mystery"]["enabled"] is False
    assert gates["Egress"]["effective"] == {"agent": False, "controller": True}
    assert "L7FlowExporter" not in gates, "removed in v2.6"


def test_the_files_are_read_and_the_controller_is_seen(antrea: Client, api: Api) -> None:
    found = _antrea_read.read(api)
    assert found["config"]["agent"]["trafficEncapMode"] == "encap"
    assert found["config"]["controller"]["nodeIPAM"] == {"serviceCIDR": "10.96.0.0/16"}
    assert found["controller"]["name"] == "antrea-controller"
    assert found["controller"]["version"] == "v2.7.0"
    assert found["controller"]["ready"] is False
    path = "/apis/apps/v1/namespaces/kube-system/deployments/antrea-controller/status"
    antrea.patch(path, {"status": {"replicas": 1, "readyReplicas": 1}})
    assert _antrea_read.read(api)["controller"]["ready"] is True


def test_problems_of_the_file_are_told_with_their_lines(antrea: Client, api: Api) -> None:
    put_text(antrea, "# a\nproxyAll: true\n")
    found = [p for p in _antrea_read.read(api)["problems"] if p["component"] == "agent"]
    assert [(p["path"], p["line"], p["text"], p["level"]) for p in found] == [
        ("proxyAll", 2, "proxyAll: true", "vain")
    ]


@pytest.mark.parametrize("text", ["a: [", "a: 1\na: 2\n", "- 1\n"])
def test_a_file_that_cannot_be_read_is_told_and_no_traceback(
    antrea: Client, api: Api, text: str
) -> None:
    put_text(antrea, text)
    found = _antrea_read.read(api)
    assert found["error"]
    assert found["config"] == {"agent": None, "controller": None}
    assert found["gates"] == {}
    assert found["installed"]


def test_what_may_not_be_read_is_told_and_the_rest_is_read(
    antrea: Client, api: Api, double: Double
) -> None:
    rules = [
        {"path": f"/{resource}", "status": 403}
        for resource in ("configmaps/", "antreaagentinfos", "deployments")
    ]
    world.pod(antrea, "node1", "antrea-agent-1")
    with calico_world.faults(double, *rules):
        found = _antrea_read.read(api)
    assert {e["resource"] for e in found["errors"]} == {
        "configmaps",
        "antreaagentinfos",
        "deployments",
    }
    assert found["installed"]
    assert found["config_map"] is found["controller"] is found["restart_due"] is None
    assert found["agents"][0]["heartbeat"] is None
    denied = {"path": "/daemonsets", "status": 403}
    with calico_world.faults(double, denied), pytest.raises(ClusterError, match="daemonsets"):
        _antrea_read.read(api)


def test_agents_are_read_in_pages(antrea: Client, api: Api) -> None:
    for number in range(1, 6):
        world.pod(antrea, f"node{number}", f"antrea-agent-{number}")
    assert len(_antrea_read.read(api, page_size=2)["agents"]) == 5


def test_without_its_crds_nothing_is_an_error(antrea: Client, api: Api) -> None:
    world.crds.remove(antrea, antrea.items(world.crds.CRDS))
    found = _antrea_read.read(api)
    assert found["errors"] == []
    assert found["served"] == {"node_configs": None, "attachments": False}
    assert found["secondary_network"]["node_configs"] is None


def test_the_volume_says_which_config_map_it_is() -> None:
    volumes = [
        {"name": "host", "hostPath": {"path": "/"}},
        {"name": "other", "configMap": {"name": "antrea-config"}},
        {"name": "antrea-config", "configMap": {"name": "antrea-config-hkhbh5gf99"}},
    ]
    workload = {"spec": {"template": {"spec": {"volumes": volumes}}}}
    assert view.config_map_names(workload)[0] == "antrea-config-hkhbh5gf99"
