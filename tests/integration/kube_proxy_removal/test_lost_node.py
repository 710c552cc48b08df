# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node that gets lost while kube-proxy is removed, and one that is lost when it comes back."""

from __future__ import annotations

import pytest

from tests.integration.kube_proxy_removal.removal import Removal
from tests.lab.antrea_scene import await_that

pytestmark = [pytest.mark.lab, pytest.mark.full]

# node1 is the control plane and serves DNS.
CANARY, LOST, LAST = "node2", "node3", "node1"
# Three nodes on a machine that may be busy: what does not answer at once may a little later.
PATIENT = {"kube_proxy_removal_settle_timeout": 120, "kube_proxy_removal_probe_timeout": 5}
# A link that goes down would take the node's routes with it for good.
_CUT = (
    "add table ip lost; add chain ip lost in { type filter hook input priority -300; }; "
    "add rule ip lost in iifname eth0 drop; "
    "add chain ip lost out { type filter hook output priority -300; }; "
    "add rule ip lost out oifname eth0 drop"
)


def lose(removal: Removal) -> None:
    removal.scene.lab.ssh(LOST, f"sudo nft '{_CUT}'", oob=True)


def find(removal: Removal) -> None:
    scene = removal.scene
    scene.lab.ssh(LOST, "sudo nft delete table ip lost", oob=True)
    await_that(lambda: scene.node_ready(LOST), lambda now: now == "True", f"{LOST} is Ready", 120)
    scene.await_antrea_settled()
    scene.await_served()


def test_a_node_gets_lost_half_way_and_is_taken_up_later(three: Removal) -> None:
    scene = three.scene
    run = three.start(k8snet_run_id="half", kube_proxy_removal_timeout=90, **PATIENT)
    await_that(three.labelled, lambda now: LOST in now, f"the turn of {LOST}", 500)
    lose(three)
    ended = run.end(500)
    assert ended.code != 0
    ended.has(LOST, "Run it again to go on")
    assert three.gone(CANARY)
    assert three.ruled(LAST)
    assert three.daemonset() is not None
    assert not three.locked()

    find(three)
    again = three.run(**PATIENT)
    assert again.code == 0, again.said
    again.has("every node was proved to serve without it")
    assert all(three.gone(node) for node in scene.nodes)
    assert three.daemonset() is None

    # The second run's bundle leads to how the first one found it, also without that node.
    lose(three)
    await_that(lambda: scene.node_ready(LOST), lambda now: now != "True", f"{LOST} is lost", 60)
    back = three.put_back(k8snet_accept_unseen=[LOST], **PATIENT)
    assert back.code == 0, back.said
    back.has(f"Nobody has seen {LOST}, where the agent reads its configuration at its next start")
    assert three.ruled(CANARY)
    assert three.ruled(LAST)
    assert "proxyAll: true" not in three.conf()
    find(three)
    await_that(lambda: three.ruled(LOST), bool, f"kube-proxy is back on {LOST}", 120)
