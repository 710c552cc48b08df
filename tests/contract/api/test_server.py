# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server as such: health, version, discovery, the request log, clients of other make."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.contract.api.conftest import WIDGETS, config_map, unique, widget
from tests.lab.api import audit
from tests.lab.api.client import ApiStatus, Client
from tests.lab.api.providers import Provider

Obj = dict[str, Any]


def test_it_says_that_it_is_ready(api: Client) -> None:
    assert api.raw("GET", "/readyz")[::2] == (200, "ok")


def test_it_says_its_version(api: Client) -> None:
    version = api.get("/version")
    assert version["gitVersion"].startswith("v1.")
    assert version["major"] == "1"


def test_it_lists_the_core_resources(api: Client) -> None:
    assert api.get("/api")["versions"] == ["v1"]
    listed = {resource["name"]: resource for resource in api.get("/api/v1")["resources"]}
    assert listed["nodes"]["kind"] == "Node"
    assert listed["nodes"]["namespaced"] is False
    assert listed["configmaps"]["namespaced"] is True
    assert listed["configmaps"]["shortNames"] == ["cm"]
    assert {"get", "list", "watch", "create", "patch"} <= set(listed["configmaps"]["verbs"])
    assert "nodes/status" in listed


def test_it_lists_its_groups(api: Client) -> None:
    groups = {group["name"] for group in api.get("/apis")["groups"]}
    wanted = {"apps", "rbac.authorization.k8s.io", "apiextensions.k8s.io", "discovery.k8s.io"}
    assert wanted <= groups
    assert api.get("/apis/apps")["preferredVersion"]["groupVersion"] == "apps/v1"


def test_a_client_that_prefers_tables_understands_the_answer(api: Client, maps: str) -> None:
    """kubectl asks for a Table first; whatever it gets has to be of a kind it was told to take."""
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    code, _headers, body = api.raw("GET", maps, None, {"Accept": accept})
    assert code == 200
    assert body["kind"] in ("Table", "ConfigMapList")


def test_the_python_client_discovers_and_writes(provider: Provider, kinds: None) -> None:
    kubernetes = pytest.importorskip("kubernetes")
    from kubernetes.dynamic import DynamicClient

    kubernetes.config.load_kube_config(str(provider.kubeconfig))
    client = DynamicClient(kubernetes.client.ApiClient())
    widgets = client.resources.get(api_version="contract.k8snet.test/v1", kind="Widget")
    body = widget()
    name = body["metadata"]["name"]
    assert widgets.create(body=body).spec.size == 3
    change = {"spec": {"size": 7}}
    widgets.patch(name=name, body=change, content_type="application/merge-patch+json")
    assert widgets.get(name=name).spec.size == 7
    nodes = client.resources.get(api_version="v1", kind="Node")
    assert nodes.get().kind == "NodeList"
    core = kubernetes.client.CoreV1Api(client.client)
    with pytest.raises(kubernetes.client.ApiException) as caught:
        core.read_namespaced_config_map(unique(), "default")
    assert caught.value.status == 404
    widgets.delete(name=name)


@pytest.fixture(scope="module")
def log(provider: Provider) -> Path:
    if provider.audit_log is None:
        pytest.skip("a cluster named by KUBECONFIG keeps its request log to itself")
    return provider.audit_log


def logged(log: Path, agent: str, count: int) -> list[audit.Entry]:
    """Return the requests of a client; a real server writes the last a moment after it answers."""
    until = time.monotonic() + 5
    while True:
        mine = [entry for entry in audit.read(log) if entry.agent.startswith(agent)]
        if len(mine) >= count or time.monotonic() > until:
            return mine
        time.sleep(0.05)


def test_every_request_is_logged_with_user_and_code(api: Client, maps: str, log: Path) -> None:
    name = unique()
    agent = Client(Path(log).parent / "kubeconfig", f"agent-{name}")
    agent.create(maps, config_map(name))
    agent.raw("GET", f"{maps}/{name}-absent")
    agent.get(maps, limit=5)
    mine = logged(log, f"agent-{name}", 3)
    assert [(entry.verb, entry.code) for entry in mine] == [
        ("create", 201),
        ("get", 404),
        ("list", 200),
    ]
    assert mine[1].name == f"{name}-absent"
    assert {entry.resource for entry in mine} == {"configmaps"}
    assert mine[0].user
    assert mine[2].path.endswith("/configmaps?limit=5")


def test_the_log_tells_writes_from_dry_runs(api: Client, maps: str, log: Path) -> None:
    name = unique()
    agent = Client(Path(log).parent / "kubeconfig", f"agent-{name}")
    agent.create(f"{maps}?dryRun=All", config_map(name))
    agent.get(maps)
    review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    agent.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    mine = logged(log, f"agent-{name}", 3)
    assert len(mine) == 3
    assert not any(entry.wrote for entry in mine)
    agent.create(maps, config_map(name))
    mine = logged(log, f"agent-{name}", 4)
    assert [entry.wrote for entry in mine] == [False, False, False, True]


def test_serve_says_ready_and_ends_cleanly(tmp_path: Path, own_server: Provider) -> None:
    command = [sys.executable, "-m", "tests.lab.api", "serve", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(
        [*command, "--dir", str(tmp_path / "d")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready https://127.0.0.1:")
        client = Client(tmp_path / "d" / "kubeconfig")
        assert client.get("/api/v1/namespaces/default")["kind"] == "Namespace"
    finally:
        process.terminate()
        assert process.wait(60) == 0
    secret = (tmp_path / "d" / "kubeconfig").stat().st_mode & 0o777
    assert secret == 0o600


def test_many_clients_at_once_lose_no_update(api: Client, kinds: None) -> None:
    """Optimistic locking under load: each of the 60 additions arrives."""
    name = api.create(WIDGETS, widget(free={"count": 0}))["metadata"]["name"]

    def add() -> None:
        for _unused in range(10):
            while True:
                have = api.get(f"{WIDGETS}/{name}")
                have["spec"]["free"]["count"] += 1
                try:
                    api.replace(f"{WIDGETS}/{name}", have)
                    break
                except ApiStatus as error:
                    if error.reason != "Conflict":
                        raise

    threads = [threading.Thread(target=add) for _unused in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert api.get(f"{WIDGETS}/{name}")["spec"]["free"]["count"] == 60
