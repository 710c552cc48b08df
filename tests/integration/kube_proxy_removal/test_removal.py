# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook kube_proxy_removal on nodes whose Services have to go on, and its ways back."""

from __future__ import annotations

import pytest

from tests.integration.kube_proxy_removal.removal import Removal, Watch

pytestmark = pytest.mark.lab

# node1 is the control plane, so that node2 is the canary.
CANARY, OTHER = "node2", "node1"


def test_kube_proxy_goes_and_services_stay(removal: Removal) -> None:
    scene = removal.scene
    with Watch(scene, OTHER) as watch:
        done = removal.run(k8snet_run_id="gone")
    assert done.code == 0, done.said
    done.has("kube-proxy is gone, and every node was proved to serve without it.")
    print(f"measured: {len(watch.lost)} of {watch.asked} questions to a Service were lost")
    assert (watch.lost, watch.asked > 5) == ([], True)
    for node in scene.nodes:
        assert removal.gone(node), done.said
    assert removal.daemonset() is None
    assert "disabled: true" in removal.kubeadm()
    assert not removal.locked()
    order = done.task("Remove what it left")
    assert order.index(f"localhost -> {CANARY}") < order.index(f"localhost -> {OTHER}")


def test_a_way_to_the_api_that_is_a_service_is_refused(removal: Removal) -> None:
    before = removal.state()
    run = removal.run(kube_proxy_removal_api_server="https://10.96.0.1:443")
    assert run.code != 0
    run.has("Nothing was changed.", "10.96.0.1 is in the Service network")
    other = removal.run(kube_proxy_removal_api_server="https://10.160.1.1:6444")
    assert other.code != 0
    other.has("node1 does not reach https://10.160.1.1:6444: no answer: Connection refused")
    assert removal.state() == before
