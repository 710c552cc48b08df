# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From objects of the API to cluster facts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _cluster
from ansible_collections.k8snet.cni.plugins.module_utils.domain._cluster_calico import (
    duration_seconds,
    image_version,
    method_words,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._remedies import operator_value

from tests.unit.audit_world import (
    SINCE,
    antrea,
    calico_ds,
    cluster,
    daemonset,
    env,
    installation,
    node_object,
)

REAL = os.environ.get("K8SNET_REAL_DATA")
real_data = pytest.mark.skipif(not REAL, reason="K8SNET_REAL_DATA names no real manifests")


def real(path: str) -> dict[str, Any]:
    """Cluster facts of a real release manifest."""
    documents = [d for d in yaml.safe_load_all((Path(str(REAL)) / path).read_text()) if d]
    maps = {
        f"{d['metadata']['namespace']}/{d['metadata']['name']}": d["data"]
        for d in documents
        if d["kind"] == "ConfigMap"
    }
    found = [d for d in documents if d["kind"] == "DaemonSet"]
    trimmed = [d for d in map(_cluster.trim_daemonset, found) if d]
    wanted = {f"{ns}/{name}" for ns, name in _cluster.config_maps_wanted(trimmed)}
    assert wanted <= set(maps)
    return cluster([], found, [], config_maps=maps)


def test_a_node_is_cut_down_to_what_the_audit_needs() -> None:
    found = _cluster.trim_node(node_object(1, stored6="2001:db8::1/64"))
    assert found["name"] == found["hostname"] == "node1"
    assert found["internal_ips"] == ["10.160.1.21"]
    assert found["ready"] is True
    assert found["calico"]["ipv4_address"] == "10.160.1.21/24"
    assert found["calico"]["ipv4_since"] == SINCE
    assert found["calico"]["ipv6_address"] == "2001:db8::1/64"


def test_an_absent_annotation_has_no_time() -> None:
    found = _cluster.trim_node(node_object(1, stored=None))
    assert found["calico"]["ipv4_address"] is None
    assert found["calico"]["ipv4_since"] is None


def test_the_last_writer_of_an_annotation_tells_since_when() -> None:
    obj = node_object(1)
    fields = obj["metadata"]["managedFields"][0]["fieldsV1"]
    late = {"manager": "kubectl", "time": "2026-04-01T00:00:00Z", "fieldsV1": fields}
    obj["metadata"]["managedFields"].insert(0, late)
    assert _cluster.trim_node(obj)["calico"]["ipv4_since"] == "2026-04-01T00:00:00Z"


@pytest.mark.parametrize("empty", [{}, {"metadata": {"name": "x"}, "status": {}, "spec": None}])
def test_a_node_without_anything_does_not_disturb(empty: dict[str, Any]) -> None:
    found = _cluster.trim_node(empty)
    assert found["internal_ips"] == []
    assert found["ready"] is None


def test_finished_pods_and_pods_without_a_node_are_left_out() -> None:
    def pod(node: str | None, phase: str) -> dict[str, Any]:
        meta = {"name": "a", "namespace": "b"}
        return {"metadata": meta, "spec": {"nodeName": node}, "status": {"phase": phase}}

    assert _cluster.trim_pod(pod(None, "Pending")) is None
    assert _cluster.trim_pod(pod("node1", "Failed")) is None
    running = _cluster.trim_pod(pod("node1", "Running"))
    assert running == {"namespace": "b", "name": "a", "node": "node1", "ip": None}


@pytest.mark.parametrize(
    ("daemonsets", "installations", "install"),
    [
        ([calico_ds()], [installation()], "operator"),
        ([], [installation()], "operator"),
        ([calico_ds(namespace="kube-system")], [], "manifest"),
        ([calico_ds(), calico_ds(namespace="kube-system")], [installation()], "migration"),
        ([calico_ds(namespace="kube-system")], [installation()], "migration"),
        ([calico_ds(namespace="kube-system", containers=("kube-flannel",))], [], "canal"),
        ([], [], "none"),
    ],
)
def test_the_way_of_install_is_told(daemonsets: Any, installations: Any, install: str) -> None:
    assert cluster([], daemonsets, installations)["calico"]["install"] == install


def test_without_installations_the_namespace_tells_the_operator() -> None:
    errors = [{"resource": "installations", "status": 403, "message": "no"}]
    assert cluster([], [calico_ds()], [], errors=errors)["calico"]["install"] == "operator"
    found = cluster([], [calico_ds(namespace="kube-system")], [], errors=errors)
    assert found["calico"]["install"] == "manifest"


def test_the_environment_tells_absent_from_empty() -> None:
    found = cluster([], [calico_ds(method="", ip=None)], [installation()])["calico"]
    assert found["env"]["IP_AUTODETECTION_METHOD"]["state"] == "empty"
    assert found["env"]["IP"]["state"] == "absent"
    assert found["methods"]["v4"]["method"] == "first-found"
    assert found["methods"]["v4"]["mode"] == "once"
    assert "default" in found["methods"]["v4"]["source"]


def test_the_last_of_two_variables_of_one_name_counts() -> None:
    ds = calico_ds("first-found", extra=env(IP_AUTODETECTION_METHOD="interface=eth1"))
    assert cluster([], [ds], [])["calico"]["methods"]["v4"]["method"] == "interface=eth1"


def from_map(name: str, key: str) -> list[dict[str, Any]]:
    """A variable that a ConfigMap gives."""
    ref = {"configMapKeyRef": {"name": "calico-config", "key": key}}
    return [{"name": name, "valueFrom": ref}]


def test_a_variable_from_a_configmap_is_resolved() -> None:
    ds = calico_ds(namespace="kube-system", extra=from_map("IP_AUTODETECTION_METHOD", "m"))
    maps = {"kube-system/calico-config": {"m": "can-reach=192.0.2.1"}}
    found = cluster([], [ds], [], config_maps=maps)["calico"]["methods"]["v4"]
    assert found["method"] == "can-reach=192.0.2.1"


def test_a_variable_from_an_unreadable_configmap_is_unknown_and_nothing_is_predicted() -> None:
    ds = calico_ds(namespace="kube-system", extra=from_map("IP_AUTODETECTION_METHOD", "m"))
    found = cluster([], [ds], [])["calico"]
    assert found["env"]["IP_AUTODETECTION_METHOD"]["state"] == "unknown"
    assert found["methods"]["v4"]["detects"] is False


def test_the_overlay_replaces_a_familys_object_wholesale() -> None:
    both = [
        installation({"firstFound": True}, {"interface": "eth0"}),
        installation({"cidrs": ["10.0.0.0/8"]}, name="overlay"),
    ]
    found = cluster([], [], both)["calico"]["installation"]
    assert found["v4"] == {"cidrs": ["10.0.0.0/8"]}
    assert (found["from_v4"], found["from_v6"]) == ("overlay", "default")
    assert found["v6"] == {"interface": "eth0"}


def test_without_the_daemonset_only_what_the_installation_asks_for_is_told() -> None:
    def methods(*words: Any) -> tuple[str | None, str | None]:
        found = cluster([], [], [installation(*words)])["calico"]["methods"]
        return found["v4"]["method"], found["v6"]["method"]

    assert methods() == ("first-found", None)
    assert methods({"firstFound": True}, {"interface": "eth0"}) == ("first-found", "interface=eth0")
    assert methods({}, {"firstFound": False}) == (None, None)


def test_null_and_absent_fields_of_an_installation_are_told_apart() -> None:
    absent = cluster([], [], [installation()])["calico"]["installation"]
    null = cluster([], [], [installation(None)])["calico"]["installation"]
    assert (absent["present_v4"], absent["v4"]) == (False, None)
    assert (null["present_v4"], null["v4"]) == (True, None)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"firstFound": True}, "first-found"),
        ({"kubernetes": "NodeInternalIP"}, "kubernetes-internal-ip"),
        ({"interface": "eth.*"}, "interface=eth.*"),
        ({"skipInterface": "br-.*"}, "skip-interface=br-.*"),
        ({"canReach": "8.8.8.8"}, "can-reach=8.8.8.8"),
        ({"cidrs": ["10.0.0.0/8", "192.0.2.0/24"]}, "cidr=10.0.0.0/8,192.0.2.0/24"),
    ],
)
def test_methods_go_from_the_operators_words_to_calicos_and_back(value: Any, words: str) -> None:
    assert method_words(value) == words
    assert operator_value(words) == value


@pytest.mark.parametrize("value", [None, {}, {"firstFound": False}])
def test_no_method_has_no_words(value: Any) -> None:
    assert method_words(value) is None


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("registry.example/calico/node:v3.28.2", "v3.28.2"),
        ("registry:5000/calico/node:v3.28.2@sha256:00ff", "v3.28.2"),
        ("registry:5000/calico/node", None),
        ("antrea/antrea-agent-ubuntu:latest", None),
        (None, None),
    ],
)
def test_the_version_comes_from_the_image(image: str | None, version: str | None) -> None:
    assert image_version(image) == version


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60),
        ("1m30s", 90),
        ("500ms", 0.5),
        ("1.5h", 5400),
        ("0", 0),
        ("60", None),
        ("", None),
    ],
)
def test_durations_are_read_as_go_does(text: str, seconds: float | None) -> None:
    assert duration_seconds(text) == seconds


def test_antreas_settings_survive_blocks_that_are_all_comments() -> None:
    ds, maps = antrea(extra="egress:\nsecondaryNetwork:\n")
    found = cluster([], [ds], [], config_maps=maps)["antrea"]
    assert (found["installed"], found["proxy_all"]) == (True, True)
    assert found["feature_gates"] == {}
    assert found["secondary_bridges"] == []


@pytest.mark.parametrize(
    "conf",
    [
        "featureGates: {AntreaProxy: false}\nantreaProxy: {proxyAll: true}",
        "antreaProxy: {enable: false, proxyAll: true}",
        "antreaProxy:\n",
        "# nothing\n",
    ],
)
def test_proxy_all_needs_antrea_proxy(conf: str) -> None:
    ds, maps = antrea()
    maps["kube-system/antrea-config"]["antrea-agent.conf"] = conf
    assert cluster([], [ds], [], config_maps=maps)["antrea"]["proxy_all"] is False


def test_a_broken_antrea_config_is_told_by_line_and_nothing_is_assumed() -> None:
    ds, maps = antrea()
    maps["kube-system/antrea-config"]["antrea-agent.conf"] = "a: 1\nb: [\n"
    found = cluster([], [ds], [], config_maps=maps)["antrea"]
    assert found["proxy_all"] is None
    assert "line 3" in found["error"]


def test_a_missing_antrea_config_is_told_by_name_and_nothing_is_assumed() -> None:
    found = cluster([], [antrea()[0]], [], config_maps={})["antrea"]
    assert found["proxy_all"] is None
    assert "antrea-config" in found["error"]


def test_canals_interface_comes_from_its_configmap() -> None:
    ds = calico_ds(ip="", name="canal", namespace="kube-system", containers=("kube-flannel",))
    ref = {"configMapKeyRef": {"name": "canal-config", "key": "canal_iface"}}
    flannel = ds["spec"]["template"]["spec"]["containers"][1]
    flannel["env"] = [{"name": "FLANNELD_IFACE", "valueFrom": ref}]
    maps = {"kube-system/canal-config": {"canal_iface": "eth1"}}
    found = cluster([], [ds], [], config_maps=maps)["calico"]
    assert (found["canal_interface"], found["methods"]["v4"]["method"]) == ("eth1", None)
    plain = calico_ds(namespace="kube-system")
    assert cluster([], [plain], [], config_maps=maps)["calico"]["canal_interface"] is None


def test_the_mode_of_kube_proxy_may_come_from_its_command_line() -> None:
    container = {"name": "kube-proxy", "command": ["kube-proxy", "--proxy-mode=ipvs"]}
    found = cluster([], [daemonset("kube-proxy", "kube-system", [container])], [])["kube_proxy"]
    assert (found["present"], found["mode"]) == (True, "ipvs")


def test_without_access_nothing_is_claimed() -> None:
    found = cluster(available=False)
    assert found["calico"]["install"] is None
    assert found["antrea"]["installed"] is None
    assert found["kube_proxy"]["present"] is None


@real_data
@pytest.mark.parametrize("version", ["v3.24.5", "v3.28.2", "v3.32.1"])
def test_real_calico_manifests(version: str) -> None:
    found = real(f"calico/{version}/calico.yaml")["calico"]
    assert (found["install"], found["version"], found["backend"]) == ("manifest", version, "bird")
    assert found["methods"]["v4"]["method"] == "first-found"
    assert found["methods"]["v4"]["mode"] == "autodetect"
    assert found["methods"]["v6"]["mode"] == "off"
    canal = real(f"calico/{version}/canal.yaml")["calico"]
    assert (canal["install"], canal["canal_interface"]) == ("canal", "")


@real_data
@pytest.mark.parametrize("version", ["v1.6.0", "v1.15.1", "v2.0.1", "v2.3.0", "v2.7.0"])
def test_real_antrea_manifests(version: str) -> None:
    found = real(f"antrea/{version}/antrea.yml")["antrea"]
    assert found["installed"] is True
    assert found["error"] is None
    assert found["config_map"].startswith("antrea-config")
    assert found["proxy_all"] is False
    assert found["feature_gates"] == {}
