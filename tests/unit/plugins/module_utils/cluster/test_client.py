# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a cluster over HTTPS: what fails is said with the remedy, and never with a secret."""

from __future__ import annotations

import copy
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _client
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import ClusterError
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._lister import Lister
from ansible_collections.k8snet.cni.plugins.modules import cluster_info

from tests.lab.actors.cluster import Seed, seed_cluster
from tests.lab.api import mint
from tests.lab.api.client import Client
from tests.lab.api.providers import Double, Listen

READ = ["get", "list"]
RULES = [
    {"apiGroups": [""], "resources": ["nodes", "pods", "configmaps"], "verbs": READ},
    {"apiGroups": ["apps"], "resources": ["daemonsets"], "verbs": READ},
    {"apiGroups": ["operator.tigera.io"], "resources": ["installations"], "verbs": READ},
    {"apiGroups": ["crd.projectcalico.org"], "resources": ["ippools"], "verbs": READ},
]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Double]:
    """The API double with a cluster of seven nodes and Calico by manifest."""
    server = Double(tmp_path_factory.mktemp("api"), Listen())
    server.start()
    seed_cluster(Client(server.kubeconfig), Seed(nodes=7, cni="calico-manifest"))
    mint.user(server.kubeconfig, "audit", RULES, server.directory / "audit.kubeconfig")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _no_access_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "K8S_AUTH_KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def params(**given: Any) -> dict[str, Any]:
    """Options of cluster_info with their defaults."""
    defaults = {
        "required": True,
        "dns_selector": "k8s-app=kube-dns",
        "page_size": 500,
        "timeout": 5,
    }
    return {**defaults, **{k: str(v) if isinstance(v, Path) else v for k, v in given.items()}}


def config_of(api: Double) -> dict[str, Any]:
    """The auditor's kubeconfig."""
    found: dict[str, Any] = json.loads((api.directory / "audit.kubeconfig").read_text())
    return found


def save(path: Path, config: Any) -> Path:
    """Write a kubeconfig."""
    path.write_text(json.dumps(config))
    return path


def refused(**given: Any) -> ClusterError:
    """The error of reading a cluster."""
    with pytest.raises(ClusterError) as caught:
        cluster_info.read(params(**given))
    return caught.value


def test_a_whole_cluster_is_read_with_one_list_per_kind(api: Double) -> None:
    found = cluster_info.read(params(kubeconfig=api.directory / "audit.kubeconfig"))
    assert [n["name"] for n in found["nodes"]] == [f"node{n}" for n in range(1, 8)]
    assert found["calico"]["install"] == "manifest"
    assert found["calico"]["backend"] == "bird"
    assert found["kube_proxy"]["present"] is True
    assert [p["node"] for p in found["dns_pods"]] == ["node7"]
    assert found["errors"] == []
    # Five LISTs, and the ConfigMaps calico-config and kube-proxy.
    assert found["requests"] == 7
    assert found["kube_proxy"]["mode"] == "iptables"


def test_pages_are_put_together(api: Double) -> None:
    found = cluster_info.read(params(kubeconfig=api.kubeconfig, page_size=2))
    assert [n["name"] for n in found["nodes"]] == [f"node{n}" for n in range(1, 8)]
    assert found["requests"] == 10  # three pages of Nodes more


@pytest.mark.parametrize("times", [1, 3])
def test_a_list_that_expires_between_pages_starts_again(api: Double, times: int) -> None:
    rule = {"path": "^/api/v1/nodes.*continue=", "expire_pages": True, "times": times}
    faults = api.directory / "faults.json"
    faults.write_text(json.dumps([rule]))
    try:
        found = cluster_info.read(params(kubeconfig=api.kubeconfig, page_size=3))
    finally:
        faults.unlink()
    assert [n["name"] for n in found["nodes"]] == [f"node{n}" for n in range(1, 8)]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_stumbles_once_is_asked_again(api: Double, status: int) -> None:
    rule = {"path": "^/api/v1/nodes", "status": status, "times": 1, "retry_after": 0}
    faults = api.directory / "faults.json"
    faults.write_text(json.dumps([rule]))
    try:
        found = cluster_info.read(params(kubeconfig=api.kubeconfig))
    finally:
        faults.unlink()
    assert len(found["nodes"]) == 7
    assert found["requests"] == 8


def test_a_server_that_goes_on_stumbling_is_recorded_and_the_rest_is_read(api: Double) -> None:
    rule = {"path": "^/api/v1/pods", "status": 500, "retry_after": 0}
    faults = api.directory / "faults.json"
    faults.write_text(json.dumps([rule]))
    try:
        found = cluster_info.read(params(kubeconfig=api.kubeconfig))
    finally:
        faults.unlink()
    assert [(e["resource"], e["status"]) for e in found["errors"]] == [("pods", 500)]
    assert len(found["nodes"]) == 7


@pytest.mark.parametrize(
    ("resource", "still"),
    [("nodes", "dns_pods"), ("pods", "nodes"), ("daemonsets", "nodes"), ("configmaps", "nodes")],
)
def test_one_forbidden_resource_is_recorded_and_the_rest_is_read(
    api: Double, tmp_path: Path, resource: str, still: str
) -> None:
    rules = copy.deepcopy(RULES)
    for rule in rules:
        rule["resources"] = [r for r in rule["resources"] if r != resource]
    config = tmp_path / "config"
    mint.user(api.kubeconfig, f"no-{resource}", rules, config)
    found = cluster_info.read(params(kubeconfig=config))
    assert {(e["resource"], e["status"]) for e in found["errors"]} == {(resource, 403)}
    assert "Grant the account" in found["errors"][0]["message"]
    assert [c["resource"] for c in found["could_not_check"]] == [resource]
    assert found[still]


def test_kinds_that_the_server_does_not_know_count_as_not_installed(tmp_path: Path) -> None:
    server = Double(tmp_path / "api", Listen())
    server.start()
    try:
        seed_cluster(Client(server.kubeconfig), Seed(nodes=1, cni="none", kube_proxy=False))
        found = cluster_info.read(params(kubeconfig=server.kubeconfig))
    finally:
        server.stop()
    assert found["errors"] == []
    assert found["calico"]["install"] == "none"
    assert found["calico"]["ip_pools"] is None
    assert found["antrea"]["installed"] is False


def test_a_kubeconfig_that_does_not_exist_is_named(tmp_path: Path) -> None:
    error = refused(kubeconfig=tmp_path / "nowhere")
    assert error.kind == "config"
    assert f"no such file: {tmp_path}/nowhere" in error.message
    assert "k8snet_kubeconfig" in error.message


def test_nothing_configured_is_told_apart_from_something_wrong() -> None:
    error = refused()
    assert error.kind == "none"
    assert "k8snet_kubeconfig" in error.message


def test_an_unknown_context_is_told_with_those_there_are(api: Double) -> None:
    error = refused(kubeconfig=api.kubeconfig, context="prod")
    assert "Failed to find context prod" in error.message
    assert "it has lab" in error.message


def test_a_kubeconfig_without_a_current_context_asks_for_one(api: Double, tmp_path: Path) -> None:
    config = {**config_of(api), "current-context": ""}
    error = refused(kubeconfig=save(tmp_path / "c", config))
    assert "no current-context" in error.message
    assert "one of: lab" in error.message
    found = cluster_info.read(params(kubeconfig=tmp_path / "c", context="lab"))
    assert len(found["nodes"]) == 7


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n",
        "users: [{name: x, user: {token: s3cr3t-t0ken",
        "\x00\xff",
        "token: s3cr3t-t0ken: x",
    ],
)
def test_a_broken_kubeconfig_is_told_without_quoting_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "c").write_text(text)
    error = refused(kubeconfig=tmp_path / "c")
    assert error.kind == "config"
    assert str(tmp_path / "c") in error.message
    assert "s3cr3t" not in error.message


@pytest.mark.parametrize("part", ["cluster", "user"])
def test_a_context_that_names_what_is_not_there_is_told(
    api: Double, tmp_path: Path, part: str
) -> None:
    config = config_of(api)
    config["contexts"][0]["context"][part] = "gone"
    error = refused(kubeconfig=save(tmp_path / "c", config))
    assert error.kind == "config"
    assert config["users"][0]["user"]["token"] not in error.message


def test_an_expired_token_is_told_and_not_shown(api: Double, tmp_path: Path) -> None:
    config = tmp_path / "c"
    mint.user(api.kubeconfig, "leaver", RULES, config)
    token = json.loads(config.read_text())["users"][0]["user"]["token"]
    mint.revoke(api.kubeconfig, "leaver")
    error = refused(kubeconfig=config)
    assert (error.kind, error.status) == ("unauthorized", 401)
    assert "expired" in error.message
    assert "Renew" in error.message
    assert token not in error.message


def test_a_token_of_ones_own_takes_the_place_of_the_kubeconfigs(api: Double) -> None:
    error = refused(kubeconfig=api.kubeconfig, api_key="s3cr3t-t0ken")
    assert error.kind == "unauthorized"
    assert "s3cr3t" not in error.message


def test_host_token_and_ca_are_enough(api: Double) -> None:
    token = config_of(api)["users"][0]["user"]["token"]
    found = cluster_info.read(
        params(host=api.url + "/", api_key=token, ca_cert=api.directory / "ca.crt")
    )
    assert len(found["nodes"]) == 7
    assert found["access"]["source"] == "parameters"


def test_a_certificate_of_an_unknown_ca_is_told(api: Double, tmp_path: Path) -> None:
    config = config_of(api)
    del config["clusters"][0]["cluster"]["certificate-authority-data"]
    error = refused(kubeconfig=save(tmp_path / "c", config))
    assert error.kind == "tls"
    assert "ca_cert" in error.message
    found = cluster_info.read(params(kubeconfig=tmp_path / "c", validate_certs=False))
    assert len(found["nodes"]) == 7


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_unusable_ca_file_is_told(api: Double, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "ca").write_text(content)
    error = refused(kubeconfig=api.kubeconfig, ca_cert=tmp_path / "ca")
    assert error.kind == "config"
    assert "ca_cert" in error.message


def test_a_name_that_the_certificate_does_not_hold_is_told(api: Double) -> None:
    url = api.url.replace("127.0.0.1", "127.0.0.2")
    error = refused(host=url, ca_cert=api.directory / "ca.crt")
    assert error.kind in ("tls", "unreachable")


def test_a_server_that_is_not_there_is_told() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = refused(host=f"https://127.0.0.1:{port}")
    assert error.kind == "unreachable"
    assert error.message.startswith(f"Failed to reach the API server https://127.0.0.1:{port}: ")
    assert "Connection refused" in error.message
    assert "0x" not in error.message


def test_a_name_that_does_not_resolve_is_told() -> None:
    error = refused(host="https://api.k8snet.invalid:6443")
    assert error.kind == "unreachable"
    assert "api.k8snet.invalid" in error.message


def test_credentials_in_a_url_are_not_shown() -> None:
    error = refused(host="https://user:s3cr3t@127.0.0.1:1")
    assert "s3cr3t" not in error.message


def test_an_answer_that_is_no_json_is_told(api: Double) -> None:
    client = _client.connect(params(kubeconfig=api.kubeconfig))
    with pytest.raises(ClusterError, match="not JSON"):
        client.get("/healthz")


def test_without_required_the_access_says_what_is_wrong(tmp_path: Path) -> None:
    found = cluster_info.read(params(kubeconfig=tmp_path / "nowhere", required=False))
    access = found["access"]
    assert (access["available"], access["configured"], access["kind"]) == (False, True, "config")
    assert found["nodes"] == []
    assert len(found["could_not_check"]) == 6
    nothing = cluster_info.read(params(required=False))["access"]
    assert (nothing["configured"], nothing["kind"]) == (False, "none")


def test_a_missing_library_is_no_access_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_client, "IMPORT_ERROR", "Traceback: No module named kubernetes")
    found = cluster_info.read(params(required=False))
    assert "kubernetes" in found["access"]["error"]
    assert "Traceback" not in found["access"]["error"]


def test_the_environment_names_the_kubeconfig(
    api: Double, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/nowhere:{api.kubeconfig}")
    assert len(cluster_info.read(params())["nodes"]) == 7


def test_a_lister_drops_what_is_trimmed_away(api: Double) -> None:
    lister = Lister(_client.connect(params(kubeconfig=api.kubeconfig)), 2)
    odd = lister.read_list(
        "nodes",
        "/api/v1/nodes",
        lambda o: o["metadata"] if o["metadata"]["name"][-1] in "135" else None,
    )
    assert [o["name"] for o in odd or ()] == ["node1", "node3", "node5"]
    assert lister.read_one("configmaps", "/api/v1/namespaces/x/configmaps/y") is None
    assert lister.errors == []


def test_an_account_that_may_read_nothing_is_one_fault(api: Double, tmp_path: Path) -> None:
    mint.user(api.kubeconfig, "nobody", RULES[3:], tmp_path / "c")
    error = refused(kubeconfig=tmp_path / "c")
    assert (error.kind, error.status) == ("forbidden", 403)
    assert "neither Nodes nor DaemonSets nor Pods" in error.message


@pytest.mark.parametrize("command", ["false", "k8snet-no-such-program"])
def test_a_login_program_that_fails_is_told_and_nobody_asks_as_anonymous(
    api: Double, tmp_path: Path, command: str
) -> None:
    config = config_of(api)
    entry = config["users"][0]
    api_version = "client.authentication.k8s.io/v1"
    entry["user"] = {"exec": {"apiVersion": api_version, "command": command, "args": ["s3cret"]}}
    error = refused(kubeconfig=save(tmp_path / "config", config))
    assert error.kind == "config"
    assert f"exec: {command}" in error.message
    assert str(entry["name"]) in error.message
    assert "s3cret" not in error.message
