# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services' addresses and flows of layer 7 where kube-proxy runs in IPVS mode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.integration.antrea_features.features import Features
from tests.integration.kube_proxy_removal.conftest import scene as served
from tests.lab.antrea_scene import await_that
from tests.lab.scene import Scene
from tests.lab.service_scene import PROXY_MAP

pytestmark = [pytest.mark.lab, pytest.mark.full]

NAMESPACE = "/api/v1/namespaces/default"
EXPORT = "visibility.antrea.io/l7-export"


@pytest.fixture(scope="module")
def ipvs() -> Iterator[Scene]:
    yield from served("ipvs")


def strict(scene: Scene) -> tuple[bool, set[str]]:
    """Whether kube-proxy is told so, and what its nodes' kernels do: arp_ignore, arp_announce."""
    conf = yaml.safe_load(scene.call("GET", PROXY_MAP)["data"]["config.conf"])
    read = "sysctl -n net.ipv4.conf.all.arp_ignore net.ipv4.conf.all.arp_announce"
    kernels = {" ".join(scene.on(node, read).split()) for node in scene.nodes}
    return conf["ipvs"]["strictARP"], kernels


def exported(scene: Scene) -> str | None:
    meta = scene.call("GET", NAMESPACE)["metadata"]
    found: str | None = (meta.get("annotations") or {}).get(EXPORT)
    return found


def test_arp_is_strict_before_a_service_has_its_address(ipvs: Scene, tmp_path: Path) -> None:
    features = Features(ipvs, tmp_path)
    before = features.conf()
    assert strict(ipvs) == (False, {"0 0"})
    wanted = {
        "antrea_features_external_ips": [{**features.offer(), "pool": "offered"}],
        "antrea_features_l7_export": [{"namespace": "default", "direction": "both"}],
        "antrea_features_accept_deprecated": ["L7FlowExporter"],
        "antrea_features_prerequisites": True,
    }
    running = features.start({}, k8snet_run_id="ipvs", **wanted)
    await_that(features.annotation, lambda now: now == "offered", "the annotation", 300)
    assert strict(ipvs) == (True, {"1 2"}), "before anybody answers for the address"
    features.assign("10.160.1.200")
    run = running.end(300)
    assert run.code == 0, run.said
    assert exported(ipvs) == "both"
    gates = {"ServiceExternalIP", "L7FlowExporter", "FlowExporter"}
    assert [gates - features.runs(node) for node in ipvs.nodes] == [set(), set()]
    again = features.run({}, **wanted)
    assert (again.code, again.changed) == (0, 0), again.said
    back = features.rollback("ipvs")
    assert back.code == 0, back.said
    assert (features.annotation(), exported(ipvs), features.conf()) == (None, None, before)
    assert [gates & features.runs(node) for node in ipvs.nodes] == [{"ServiceExternalIP"}] * 2
    assert strict(ipvs)[0], "it does no harm, and somebody else may rely on it"
