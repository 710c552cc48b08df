# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The actors together, against the double: a cluster comes up and is repaired, without nodes."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.actors import bundle, dns
from tests.lab.actors import tigera_render as render
from tests.lab.actors.__main__ import make, start
from tests.lab.actors.calico_detect import ANNOTATION, stored_of
from tests.lab.actors.calico_node import CalicoNode
from tests.lab.actors.cluster import Seed, seed_cluster
from tests.lab.api.client import STRATEGIC, Client
from tests.lab.api.providers import Double, Listen

Obj = dict[str, Any]

INSTALLATION = "/apis/operator.tigera.io/v1/installations/default"
STATUS = "/apis/operator.tigera.io/v1/tigerastatuses/calico"
CALICO = "/apis/apps/v1/namespaces/calico-system/daemonsets/calico-node"
PODS = "/api/v1/namespaces/calico-system/pods"


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "the condition did not come true"
        time.sleep(0.05)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Client]:
    """A double with three nodes, an operator install of Calico, and the central actors at work."""
    double = Double(tmp_path / "api", Listen())
    double.start()
    client = Client(double.kubeconfig, "test")
    seed_cluster(client, Seed(nodes=3, dns_node="node1"))
    actors = make(["operator", "daemonset"], double.kubeconfig, (), "v3.28.2")
    threads = start(actors)
    yield client
    for actor in actors:
        actor.stop()
    for thread in threads:
        thread.join(5)
    double.stop()


def env(client: Client) -> dict[str, str | None]:
    found = client.find(CALICO)
    if found is None:
        return {}
    container = found["spec"]["template"]["spec"]["containers"][0]
    return {e["name"]: e.get("value") for e in container["env"]}


def states(client: Client) -> dict[str, str]:
    found = client.find(STATUS) or {}
    conditions = (found.get("status") or {}).get("conditions") or []
    generation = client.get(INSTALLATION)["metadata"]["generation"]
    return {c["type"]: c["status"] for c in conditions if c["observedGeneration"] == generation}


def is_done(client: Client) -> bool:
    return states(client) == {"Available": "True", "Progressing": "False", "Degraded": "False"}


def test_calico_comes_up_and_its_method_is_changed(api: Client) -> None:
    eventually(lambda: is_done(api))
    network = api.get(INSTALLATION)["spec"]["calicoNetwork"]
    assert network[render.V4] == {"firstFound": True}
    assert env(api)["IP_AUTODETECTION_METHOD"] == "first-found"
    assert len(api.items(PODS)) == 3
    before = {pod["metadata"]["name"] for pod in api.items(PODS)}

    trap = {"spec": {"calicoNetwork": {render.V4: {"kubernetes": "NodeInternalIP"}}}}
    api.patch(INSTALLATION, trap)
    eventually(lambda: states(api).get("Degraded") == "True")
    assert env(api)["IP_AUTODETECTION_METHOD"] == "first-found"

    api.patch(INSTALLATION, {"spec": {"calicoNetwork": {render.V4: {"firstFound": None}}}})
    eventually(lambda: is_done(api))
    assert env(api)["IP_AUTODETECTION_METHOD"] == "kubernetes-internal-ip"
    assert not before & {pod["metadata"]["name"] for pod in api.items(PODS)}


def test_an_edit_of_the_daemonset_is_reverted(api: Client) -> None:
    eventually(lambda: is_done(api))
    change = {"name": "calico-node", "env": [{"name": "IP", "value": "none"}]}
    body = {"spec": {"template": {"spec": {"containers": [change]}}}}
    api.patch(CALICO, body, STRATEGIC)
    eventually(lambda: env(api)["IP"] == "autodetect" and is_done(api))


def test_a_roll_out_is_held_after_its_first_node(api: Client) -> None:
    eventually(lambda: is_done(api))
    for pod in api.items(PODS):  # pods of long standing: younger ones are replaced all at once
        ready = {"type": "Ready", "lastTransitionTime": "2020-01-01T00:00:00Z"}
        path = f"{PODS}/{pod['metadata']['name']}/status"
        api.patch(path, {"status": {"conditions": [ready]}}, STRATEGIC)
    hold = {"calicoNodeDaemonSet": {"spec": {"minReadySeconds": 3600}}}
    method = {"calicoNetwork": {render.V4: {"firstFound": None, "interface": "eth0"}}}
    api.patch(INSTALLATION, {"spec": {**hold, **method}})

    def held() -> bool:
        status = api.get(CALICO)["status"]
        seen = status["observedGeneration"] == api.get(CALICO)["metadata"]["generation"]
        return bool(seen and status.get("updatedNumberScheduled") == 1)

    eventually(lambda: env(api)["IP_AUTODETECTION_METHOD"] == "interface=eth0" and held())
    api.patch(INSTALLATION, {"spec": {"calicoNodeDaemonSet": None}})
    eventually(lambda: is_done(api))
    assert "minReadySeconds" not in api.get(CALICO)["spec"]


def test_a_seed_can_be_sown_twice(api: Client) -> None:
    assert seed_cluster(api, Seed(nodes=3, dns_node="node1")) == "10.244.1.10"
    dns_pod = api.get("/api/v1/namespaces/kube-system/pods/coredns-lab-0")
    assert dns_pod["spec"]["nodeName"] == "node1"
    assert dns_pod["status"]["podIP"] == "10.244.1.10"


# -- calico-node on this machine, without routes -------------------------------------------------

LOOP = {"name": "IP_AUTODETECTION_METHOD", "value": "can-reach=127.0.0.1"}


@pytest.fixture
def manifest(tmp_path: Path) -> Iterator[Client]:
    """A double with two nodes and a manifest install whose method finds 127.0.0.1/8."""
    double = Double(tmp_path / "api", Listen())
    double.start()
    client = Client(double.kubeconfig, "test")
    seed_cluster(client, Seed(nodes=2, cni="calico-manifest"))
    change = {"name": "calico-node", "env": [LOOP]}
    body = {"spec": {"template": {"spec": {"containers": [change]}}}}
    path = "/apis/apps/v1/namespaces/kube-system/daemonsets/calico-node"
    client.patch(path, body, STRATEGIC)
    actors = make(["daemonset"], double.kubeconfig, ("calico-node",), "")
    threads = start(actors)
    yield client
    for actor in actors:
        actor.stop()
    for thread in threads:
        thread.join(5)
    double.stop()


def stored(client: Client, node: str) -> str | None:
    return stored_of(client.get(f"/api/v1/nodes/{node}"), 4)


def ready(client: Client, node: str) -> str:
    """Return Ready of the calico-node pod on a node, with its message."""
    pods = client.items("/api/v1/pods", labelSelector="k8s-app=calico-node")
    pod = next((p for p in pods if p["spec"]["nodeName"] == node), None)
    conditions = ((pod or {}).get("status") or {}).get("conditions") or []
    found = next((c for c in conditions if c["type"] == "Ready"), {})
    return f"{found.get('status')} {found.get('message', '')}".strip()


def test_calico_node_stores_what_it_detects(manifest: Client) -> None:
    agent = CalicoNode(manifest, "node1", 0, data_plane=False)
    eventually(lambda: ready(manifest, "node1") == "False")
    agent.step()
    assert stored(manifest, "node1") == "127.0.0.1/8"
    eventually(lambda: ready(manifest, "node1") == "True")


def test_the_later_of_two_nodes_clears_its_own_address(manifest: Client) -> None:
    eventually(lambda: ready(manifest, "node1") == ready(manifest, "node2") == "False")
    CalicoNode(manifest, "node1", 0, data_plane=False).step()
    late = CalicoNode(manifest, "node2", 0, data_plane=False)
    late.step()
    assert stored(manifest, "node1") == "127.0.0.1/8"
    assert stored(manifest, "node2") is None
    assert ready(manifest, "node2") == "False 127.0.0.1 is already in use by another node"


def test_an_address_is_kept_when_nothing_matches_any_more(manifest: Client) -> None:
    note = {"metadata": {"annotations": {ANNOTATION[4]: "10.9.9.9/24"}}}
    manifest.patch("/api/v1/nodes/node1", note)
    change = {"name": "calico-node", "env": [{**LOOP, "value": "interface=^none$"}]}
    body = {"spec": {"template": {"spec": {"containers": [change]}}}}
    manifest.patch("/apis/apps/v1/namespaces/kube-system/daemonsets/calico-node", body, STRATEGIC)
    agent = CalicoNode(manifest, "node1", 0, data_plane=False)

    def replaced() -> bool:
        pods = manifest.items("/api/v1/pods", fieldSelector="spec.nodeName=node1")
        env = [e for p in pods for e in p["spec"]["containers"][0].get("env") or ()]
        return {**LOOP, "value": "interface=^none$"} in env and LOOP not in env

    eventually(replaced)

    def settled() -> bool:
        agent.step()
        return ready(manifest, "node1") == "True"

    eventually(settled)
    assert stored(manifest, "node1") == "10.9.9.9/24"


# -- what runs on nodes --------------------------------------------------------------------------


def test_the_bundle_runs_alone(tmp_path: Path) -> None:
    path = bundle.build(tmp_path / bundle.NAME)
    for words in (["calico-node", "--help"], ["pods", "dns-probe", "--help"]):
        command = [sys.executable, "-I", str(path), *words]
        assert subprocess.run(command, cwd="/", capture_output=True, check=False).returncode == 0


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def test_dns_answers_over_udp_and_tcp() -> None:
    port, ended = free_port(), threading.Event()
    server = threading.Thread(target=dns.serve, args=("127.0.0.1", port, ended))
    server.start()
    try:
        eventually(lambda: dns.ask("127.0.0.1", port, tcp=True) is not None)
        assert dns.ask("127.0.0.1", port) == dns.ANSWER
        assert dns.ask("127.0.0.1", port, tcp=True) == dns.ANSWER
    finally:
        ended.set()
        server.join(5)
    assert dns.ask("127.0.0.1", port, timeout=0.2) is None


@pytest.mark.parametrize("packet", [b"", b"x" * 11, b"\0" * 12, dns.question("a.b", 1)[:-3]])
def test_dns_answers_no_noise(packet: bytes) -> None:
    with pytest.raises(ValueError, match=r"header|question"):
        dns.reply(packet)


def test_dns_has_addresses_only() -> None:
    asked = dns.question("a.example", 7)[:-4] + b"\0\x1c\0\x01"  # AAAA
    assert io.BytesIO(dns.reply(asked)).read(12)[6:8] == b"\0\0"
