# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook kube_proxy_removal on nodes whose Services have to go on, and its ways back."""

from __future__ import annotations

import signal

import pytest

from tests.integration.kube_proxy_removal.removal import Removal, Watch, changes, told
from tests.lab.antrea_scene import await_that

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


@pytest.mark.full
def test_check_says_what_is_done_then_and_only_once(removal: Removal) -> None:
    before = removal.state()
    check = removal.run("--check", "--diff")
    assert check.code == 0, check.said
    check.has("Nothing was changed: this was check mode.")
    assert removal.state() == before

    done = removal.run("--diff")
    assert done.code == 0, done.said
    for task in ("Show the plan", "Write Antrea's configuration"):
        assert check.task(task) == done.task(task)
    # In check mode the nodes' labels are told with the affinity.
    for task in ("Remove what it left", "Add the affinity to kube-proxy's DaemonSet"):
        assert told(done, task) <= told(check, task), task
    for task in (
        "Restart the node's agent where that is due",
        "Restart the agent of the first node",
        "Remove kube-proxy's objects",
    ):
        assert told(check, task) == told(done, task), task
    # In check mode no lock was taken that could be given back.
    others = {"Take the node's kube-proxy away", "Give the lock back"}
    assert changes(check) == changes(done) - others

    writes = removal.state()
    again = removal.run("--diff")
    assert (again.code, again.changed) == (0, 0), again.said
    assert removal.state() == writes


@pytest.mark.full
def test_a_canary_that_does_not_serve_gets_its_kube_proxy_back(removal: Removal) -> None:
    scene = removal.scene
    removal.sabotage(CANARY)
    with Watch(scene, OTHER) as watch:
        run = removal.run()
    assert run.code != 0
    run.has(
        f"{CANARY}: default/kubernetes (10.96.0.1:443) does not answer the node",
        f"kube-proxy is back on {CANARY} and serves there.",
    )
    assert watch.lost == []
    assert removal.labelled() == []
    assert not removal.locked()
    assert removal.ruled(CANARY)
    assert removal.ruled(OTHER)
    assert f"localhost -> {OTHER}" not in run.task("Remove what it left")
    assert all(scene.served(CANARY).values())
    # Once that is repaired, it goes on from there.
    removal.mend()
    again = removal.run()
    assert again.code == 0, again.said
    assert removal.gone(CANARY)
    assert removal.gone(OTHER)


@pytest.mark.full
def test_the_controller_dies_and_the_run_is_gone_on_with(removal: Removal) -> None:
    run = removal.start(k8snet_run_id="died")
    await_that(removal.labelled, lambda now: now == [CANARY], "the canary's turn", 300)
    run.process.send_signal(signal.SIGKILL)
    run.process.wait()
    other = removal.run(k8snet_run_id="other")
    assert other.code != 0
    other.has("died")
    again = removal.run(k8snet_run_id="died")
    assert again.code == 0, again.said
    assert removal.gone(CANARY)
    assert removal.gone(OTHER)
    assert not removal.locked()


@pytest.mark.full
def test_what_was_removed_comes_back_by_its_bundle(removal: Removal) -> None:
    scene, before = removal.scene, removal.state()
    removal.add_service("passing")
    done = removal.run(k8snet_run_id="back")
    assert done.code == 0, done.said
    removal.drop_service("passing")
    with Watch(scene, OTHER) as watch:
        back = removal.rollback("back")
    assert back.code == 0, back.said
    back.has("kube-proxy is back, and serves on every node that was seen.")
    back.has("Services that answered when the removal began and are not asked now: default/passing")
    now = removal.state()
    for key in ("template", "kubeadm", "labelled", "locked", "chains"):
        assert now[key] == before[key], key
    assert "proxyAll: true" not in now["conf"]
    assert "kubeAPIServerOverride" in now["conf"]
    assert all(all(scene.served(node).values()) for node in scene.nodes)
    assert watch.lost == []
    again = removal.rollback("back")
    assert (again.code, again.changed) == (0, 0), again.said


@pytest.mark.full
def test_ipvs_mode_leaves_nothing_of_its_own(ipvs_removal: Removal) -> None:
    done = ipvs_removal.run()
    assert done.code == 0, done.said
    done.has("kube-proxy runs in ipvs mode. Until a node is cleaned both serve there")
    for node in ipvs_removal.scene.nodes:
        assert ipvs_removal.gone(node), done.said
    # What cannot be read hides nothing; without a bundle there is no way back.
    elsewhere = str(ipvs_removal.window.folder / "elsewhere")
    lost = ipvs_removal.put_back(k8snet_undo_dir=elsewhere)
    assert lost.code != 0
    lost.has("kube-proxy's DaemonSet is gone, and no undo bundle was found that holds it")
    broken = ipvs_removal.damage_a_bundle()
    back = ipvs_removal.put_back()
    assert back.code == 0, back.said
    back.has(f"Failed to read the undo bundle {broken}")
    assert all(ipvs_removal.ruled(node) for node in ipvs_removal.scene.nodes)
