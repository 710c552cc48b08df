# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services in the lab: kube-proxy's rules are real in each mode, and AntreaProxy takes over."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.lab.antrea_scene import WELL, await_that
from tests.lab.lab import Lab
from tests.lab.scene import Scene
from tests.lab.service_scene import REMOVED

pytestmark = pytest.mark.lab

#: One node suffices: everything that answers is on it, or on the lab's host.
NODE = "node1"


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    with Lab.up(1, api=True, name=f"services-{os.getpid()}") as lab:
        found = Scene(lab, kube_proxy="iptables")
        found.set("antrea", version="v2.5.0")
        yield found


def kube_rules(scene: Scene, table: str = "nat") -> list[str]:
    saved = scene.on(NODE, f"iptables-save -t {table}").splitlines()
    return [line for line in saved if line.startswith("-A") and "KUBE-" in line]


def sh(scene: Scene, script: str) -> str:
    return scene.on(NODE, f"sh -c '{script}'").strip()


def page(scene: Scene, port: int, path: str) -> str:
    """What a process of the node answers there; "" when none does."""
    url = f"http://127.0.0.1:{port}{path}"
    code = f"import urllib.request as u; print(u.urlopen('{url}').read())"
    done = scene.lab.ssh(NODE, "python3 -", oob=True, check=False, input=code, stdin=None)
    return done.stdout.strip().removeprefix("b'").removesuffix("'")


def wipe(scene: Scene) -> None:
    """As a user would, who has read a blog."""
    again = "grep -v KUBE | $kind-restore"
    sh(scene, f"for kind in iptables ip6tables; do $kind-save | {again}; done")


def clean(scene: Scene) -> None:
    """Takes away what any mode has made."""
    wipe(scene)
    sh(scene, "for f in ip ip6; do nft delete table $f kube-proxy; done; true")
    sh(
        scene,
        "ipvsadm -C; ip link del kube-ipvs0; ipset list -name | xargs -rn1 ipset destroy; true",
    )


def await_reached(scene: Scene, **wanted: bool) -> None:
    """Waits until all is served that ``wanted`` does not say otherwise of."""
    await_that(
        lambda: scene.served(NODE),
        lambda now: now == {**dict.fromkeys(now, True), **wanted},
        "Services are served as wanted",
        90,
    )


def unlabel(scene: Scene) -> None:
    scene.label(NODE, REMOVED[0], None)
    await_that(lambda: scene.proxy_ready(NODE), bool, "kube-proxy is back")


def test_rules_serve_are_made_again_and_are_left_behind(scene: Scene) -> None:
    assert scene.web(NODE) == scene.web(NODE, pod=True) == NODE
    assert scene.web(NODE, scene.node_port(NODE)) == NODE
    assert scene.resolves(NODE, tcp=True, pod=True)
    # The best known chain of all clusters: the hash is the real one's.
    assert any("-j KUBE-SVC-NPX46M4PTMTKRN6Y" in line for line in kube_rules(scene))
    assert page(scene, 10249, "/proxyMode") == "iptables"
    assert "lastUpdated" in page(scene, 10256, "/healthz")
    before = kube_rules(scene), kube_rules(scene, "filter")

    wipe(scene)
    await_that(
        lambda: (kube_rules(scene), kube_rules(scene, "filter")),
        lambda now: now == before,
        "its rules are back",
    )
    scene.exclude_removed()
    pid = await_that(lambda: scene.proxy_pid(NODE), bool, "it runs with the affinity")
    assert pid
    scene.label(NODE, *REMOVED)
    await_that(lambda: scene.proxy_pid(NODE), lambda now: now is None, "it has ended")
    assert scene.proxy_pod(NODE) is None
    assert (kube_rules(scene), kube_rules(scene, "filter")) == before
    unlabel(scene)


@pytest.mark.full
def test_rules_follow_services_and_endpoints(scene: Scene) -> None:
    path = "/api/v1/namespaces/default/services"
    port = {"name": "http", "port": 8000, "targetPort": 8080, "nodePort": 30081}
    spec = {"type": "NodePort", "clusterIP": "10.96.0.81", "ports": [port]}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "late"}}
    whole = {**body, "spec": {**spec, "selector": {"app": "web"}}}
    scene.call("POST", path, whole, "application/json")
    place = scene.node_port(NODE).replace("30080", "30081")
    await_that(lambda: scene.web(NODE, place), lambda name: name == NODE, "it is served")
    scene.call("PATCH", f"{path}/late", {"spec": {"selector": {"app": "nobody"}}})
    await_that(lambda: scene.web(NODE, place), lambda name: not name, "it is served no more")
    assert any("default/late:http has no endpoints" in r for r in kube_rules(scene, "filter"))
    scene.call("DELETE", f"{path}/late")
    await_that(
        lambda: [r for r in kube_rules(scene) + kube_rules(scene, "filter") if "late" in r],
        lambda left: not left,
        "its rules are gone",
    )


@pytest.mark.full
def test_antrea_proxy_takes_over_and_without_override_the_agent_needs_somebody(
    scene: Scene,
) -> None:
    assert scene.route(NODE) == "eth0"
    scene.proxy_all(True)
    scene.restart_agent(NODE)
    scene.await_antrea_settled()
    await_that(lambda: scene.route(NODE), lambda device: device == "antrea-gw0", "the route")
    scene.exclude_removed()
    scene.label(NODE, *REMOVED)
    await_that(lambda: scene.proxy_pid(NODE), lambda now: now is None, "kube-proxy has ended")
    wipe(scene)
    await_reached(scene)
    assert kube_rules(scene) == []
    await_that(lambda: page(scene, 10256, "/healthz"), bool, "the agent answers there")

    scene.proxy_all(True, override="")
    scene.restart_agent(NODE)
    await_that(
        lambda: scene.agent_state(NODE).get("why", ""),
        lambda why: "no API" in why,
        "the agent does not find the API",
    )
    assert scene.served(NODE)["web"] is False
    scene.label(NODE, REMOVED[0], None)  # kube-proxy comes back, and by it the agent
    scene.await_antrea_settled()
    await_reached(scene)

    scene.proxy_all(False, override="")
    scene.restart_agent(NODE)
    scene.await_antrea_settled()
    await_that(lambda: scene.route(NODE), lambda device: device == "eth0", "the route is gone")
    await_reached(scene)
    assert scene.antrea(NODE) == WELL


@pytest.mark.full
@pytest.mark.parametrize("mode", ["ipvs", "nftables"])
def test_other_modes_serve_and_leave_what_they_made(scene: Scene, mode: str) -> None:
    look = {
        "ipvs": "ipvsadm -Sn; ipset list -name; ip -br -4 address show dev kube-ipvs0; true",
        "nftables": "nft list table ip kube-proxy; nft list table ip6 kube-proxy; true",
    }[mode]
    drop = {
        "ipvs": "ipvsadm -C; ip link del kube-ipvs0",
        "nftables": "nft delete table ip kube-proxy",
    }[mode]
    scene.set_mode(mode)
    clean(scene)
    await_reached(scene)
    if mode == "ipvs":
        assert scene.route(NODE) == "lo"
    before = sh(scene, look)
    assert {"ipvs": "KUBE-CLUSTER-IP", "nftables": "service-nodeports"}[mode] in before
    sh(scene, drop)
    await_that(lambda: sh(scene, look), lambda now: now == before, "it is made again")
    scene.exclude_removed()
    scene.label(NODE, *REMOVED)
    await_that(lambda: scene.proxy_pid(NODE), lambda now: now is None, "kube-proxy has ended")
    assert sh(scene, look) == before
    clean(scene)
    assert scene.served(NODE)["web"] is False
    unlabel(scene)
    await_reached(scene)
