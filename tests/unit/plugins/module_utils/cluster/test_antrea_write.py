# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What antrea_config writes, and what it refuses to write, against an API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _antrea_read
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._antrea_write import change
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused

from tests.lab.api.client import Client
from tests.lab.api.providers import Double
from tests.unit import antrea_world as world
from tests.unit import calico_world
from tests.unit.antrea_world import MAPS, new_second, real_data, want

Obj = dict[str, Any]

BRIDGE = {"bridgeName": "br-secondary", "physicalInterfaces": ["eth1"]}
SECONDARY = {"secondaryNetwork": {"ovsBridges": [BRIDGE]}}
GATES = {"SecondaryNetwork": True, "AntreaIPAM": True}


@pytest.fixture
def antrea(client: Client) -> Iterator[Client]:
    world.seed(client)
    yield client
    world.clear(client)


def test_a_secondary_bridge_is_written_and_put_back(antrea: Client, api: Api) -> None:
    before = antrea.get(f"{MAPS}/antrea-config")
    result = world.both(api, want(SECONDARY, gates=GATES))
    assert result["restart_due"]["agent"]
    assert result["restart_due"]["controller"], "AntreaIPAM is the controller's gate too"
    assert [d["before"] for d in result["diff"]] == [
        before["data"][file] for file in world.FILES.values()
    ]
    read = _antrea_read.read(api)
    assert read["secondary_network"]["bridges"] == [
        {"name": "br-secondary", "interfaces": ["eth1"]}
    ]
    assert read["secondary_network"]["source"] == "static"
    assert read["gates"]["SecondaryNetwork"]["enabled"]
    assert result["plan"][0]["action"] == (
        "Set featureGates.AntreaIPAM: true; set featureGates.SecondaryNetwork: true; "
        "set secondaryNetwork.ovsBridges: "
        '[{bridgeName: "br-secondary", physicalInterfaces: ["eth1"]}]'
    )
    undo = json.loads(json.dumps(result["undo"]))
    world.both(api, want(restore=True, undo=undo))
    assert antrea.get(f"{MAPS}/antrea-config")["data"] == before["data"]


@real_data
@pytest.mark.parametrize("release", world.RELEASES)
def test_a_real_release_of_antrea(client: Client, api: Api, release: str) -> None:
    before = world.load(client, release)
    read = _antrea_read.read(api)
    assert read["version"] == release
    assert read["config_map"]["name"] == before["metadata"]["name"]
    assert [p for p in read["problems"] if p["level"] != "note"] == []
    assert read["errors"] == []
    # What a user sets most, in every release.
    options = {"antreaProxy": {"proxyAll": True}, "kubeAPIServerOverride": "10.0.0.10:6443"}
    result = world.both(api, want(options, gates={"Egress": True, "AntreaPolicy": True}))
    assert result["target"]["name"] == before["metadata"]["name"]
    read = _antrea_read.read(api)
    assert read["proxy_all"] is True
    assert read["kube_apiserver_override"] == "10.0.0.10:6443"
    assert read["gates"]["Egress"]["configured"] == {"agent": True, "controller": True}
    world.both(api, want(restore=True, undo=result["undo"]))
    assert client.get(f"{MAPS}/{before['metadata']['name']}")["data"] == before["data"]
    world.clear(client)


def test_somebody_who_writes_in_between_is_not_overwritten(
    antrea: Client, api: Api, double: Double
) -> None:
    path = f"{MAPS}/antrea-config"
    file = world.FILES["agent"]

    class Racing(Api):
        """Writes to the same ConfigMap just before the first PATCH."""

        raced = 0

        def request(self, method: str, *args: Any, **more: Any) -> Obj:
            if method == "PATCH" and not self.raced:
                self.raced += 1
                text = antrea.get(path)["data"][file]
                antrea.patch(path, {"data": {file: text + "# somebody was here\n"}})
            return super().request(method, *args, **more)

    racing = Racing(api._configuration, api.source, api.context, 5)
    result = change(racing, want(gates={"Egress": False}), False)
    assert result["retries"] == 1
    text = antrea.get(path)["data"][file]
    assert "# somebody was here" in text
    assert "  Egress: false" in text


@pytest.mark.parametrize(
    ("meta", "owner", "commit"),
    [
        (
            {"annotations": {"meta.helm.sh/release-name": "antrea"}},
            "Helm",
            "featureGates:\n  Egress: false\novs:\n  bridgeName: br-x",
        ),
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "net:x"}},
            "Argo CD",
            "antrea-agent.conf:\n  featureGates:\n    Egress: false\n  ovsBridge: br-x",
        ),
    ],
)
def test_a_config_map_of_somebody_else_is_refused_with_what_to_commit(
    antrea: Client, api: Api, meta: Obj, owner: str, commit: str
) -> None:
    antrea.patch(f"{MAPS}/antrea-config", {"metadata": meta})
    options: Obj = {"agent": {"ovsBridge": "br-x"}, "gates": {"Egress": False}}
    for check_mode in (True, False):
        with pytest.raises(Refused, match=f"belongs to {owner}") as caught:
            change(api, want(**options), check_mode)
        assert commit in str(caught.value)
    result = change(api, want(**options, override_owner=True), False)
    assert result["changed"]
    assert not change(api, want(**options), False)["changed"], "nothing to do, nothing to refuse"
    assert change(api, want(restore=True, undo=result["undo"]), False)["changed"]


def test_a_restart_stays_due_until_the_pods_are_new(antrea: Client, api: Api) -> None:
    new_second()
    world.pod(antrea, "node1", "antrea-agent-old")
    result = change(api, want(gates={"SupportBundleCollection": True}), False)
    assert result["restart_due"]["agent"]
    again = change(api, want(gates={"SupportBundleCollection": True}), False)
    assert not again["changed"]
    assert again["restart_due"]["agent"], "the old pod is still there"
    assert not again["restart_due"]["controller"], "there is no pod of it"
    assert "antrea-agent pod is of" in again["restart_due"]["why"]


def test_a_write_of_one_file_does_not_make_the_other_look_new(antrea: Client, api: Api) -> None:
    written = change(api, want(gates={"AntreaIPAM": True}), False)["restart_due"]
    assert (written["agent"], written["controller"]) == (True, True)
    new_second()
    world.pod(antrea, "node1", "antrea-agent-new")
    metrics = want(controller={"enablePrometheusMetrics": False})
    written = change(api, metrics, False)["restart_due"]
    assert (written["agent"], written["controller"]) == (False, True), written
    assert not change(api, metrics, False)["restart_due"]["agent"]


def test_undo_of_another_object_is_refused(antrea: Client, api: Api) -> None:
    undo = {"metadata": {"namespace": "kube-system", "name": "antrea-config-abc"}, "data": {}}
    with pytest.raises(Refused, match="'undo' holds ConfigMap kube-system/antrea-config-abc"):
        change(api, want(restore=True, undo=undo), False)


def test_a_cluster_without_antrea_is_told(client: Client, api: Api) -> None:
    world.clear(client)
    with pytest.raises(Refused, match="Found no Antrea"):
        change(api, want(gates={"Egress": False}), True)
    assert _antrea_read.read(api)["installed"] is False


def test_a_server_that_stumbles_is_asked_again(antrea: Client, api: Api, double: Double) -> None:
    fault = {"id": "w", "verbs": ["patch"], "path": "/configmaps/", "status": 503, "times": 1}
    with calico_world.faults(double, fault):
        result = change(api, want(gates={"Egress": False}), False)
    assert result["changed"]
    assert result["retries"] == 1
    assert "  Egress: false" in antrea.get(f"{MAPS}/antrea-config")["data"][world.FILES["agent"]]


def test_what_is_wrong_is_refused_with_its_line_before_anything_is_written(
    antrea: Client, api: Api
) -> None:
    path = f"{MAPS}/antrea-config"
    before = antrea.get(path)
    with pytest.raises(Refused, match=r"proxyAll is at the wrong place.*antreaProxy.proxyAll"):
        change(api, want({"proxyAll": True}), False)
    with pytest.raises(Refused, match=r"no feature gate of v2.7.*Meant is perhaps Egress"):
        change(api, want(gates={"Egres": True}), False)
    with pytest.raises(Refused, match=r"needs featureGates.AntreaIPAM: true"):
        change(api, want(gates={"SecondaryNetwork": True}), False)
    assert antrea.get(path) == before


def test_without_the_right_to_write_the_right_is_named(antrea: Client, api: Api) -> None:
    class Forbidden(Api):
        def request(self, method: str, *args: Any, **more: Any) -> Obj:
            if method == "PATCH":
                raise ClusterError("forbidden", "patch on configmaps", 403)
            return super().request(method, *args, **more)

    forbidden = Forbidden(api._configuration, api.source, api.context, 5)
    with pytest.raises(ClusterError, match="patch on configmaps"):
        change(forbidden, want(gates={"Egress": False}), False)
