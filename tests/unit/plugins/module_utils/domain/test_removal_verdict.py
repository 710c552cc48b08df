# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a node serves as it is to: beside kube-proxy, without, and with it again."""

from __future__ import annotations

import copy

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.filter.kube_proxy_removal_verdict import (
    kube_proxy_removal_verdict,
)

from tests.unit import removal_world as world

PLAN = world.decide()


def look(mode: str | None = None, running: bool = False, way: str = "antrea-gw0") -> world.Obj:
    """A node looked at again: by default clean."""
    return {
        "facts": {
            "k8snet_kube_proxy": world.facts(mode, running),
            "k8snet_reach": world.reach(way),
        },
        "probe": world.probe(),
    }


def said(seen: world.Obj, phase: str, plan: world.Obj = PLAN) -> str:
    return " ".join(kube_proxy_removal_verdict(plan, "node2", seen, phase))


def test_well_in_each_phase() -> None:
    assert said(look(), "removed") == ""
    assert said(look("iptables", running=True), "beside") == ""
    assert said(look("iptables", running=True), "returned") == ""


def test_what_is_left() -> None:
    assert "left of kube-proxy: iptables-nft ip nat: 9 chains" in said(look("iptables"), "removed")
    assert "kube-proxy still runs" in said(look(None, running=True), "removed")
    found = said(look("ipvs"), "removed")
    assert "kube-ipvs0 with 1 addresses" in found
    assert "2 virtual servers" in found
    assert "1 ipsets (KUBE-CLUSTER-IP)" in found
    held = look("ipvs")
    held["rules"] = {"kept": [{"what": "ipset", "name": "KUBE-CLUSTER-IP"}]}
    assert "ipsets" not in said(held, "removed")
    assert "nftables ip kube-proxy" in said(look("nftables"), "removed")


def test_what_others_hold_on_a_node_that_is_done_is_by_its_own_look() -> None:
    node = PLAN["nodes"]["node2"]
    done = {**PLAN, "nodes": {"node2": {**node, "changes": False, "kept": ["KUBE-CLUSTER-IP"]}}}
    assert "ipsets" not in said(look("ipvs"), "removed", done)
    # What was kept on the node before it says nothing of this one.
    other = look("ipvs")
    other["rules"] = {"kept": [{"what": "ipset", "name": "KUBE-CLUSTER-IP"}]}
    bare = {**PLAN, "nodes": {"node2": {**node, "changes": False, "kept": []}}}
    assert "1 ipsets (KUBE-CLUSTER-IP)" in said(other, "removed", bare)


def test_ways() -> None:
    assert "the way to 10.96.0.1 goes over eth0, not over antrea-gw0" in said(
        look(way="eth0"), "removed"
    )
    assert "goes over eth0" in said(look("iptables", True, "eth0"), "beside")
    ipvs = {**PLAN, "mode": "ipvs"}
    assert said(look("ipvs", True, "lo"), "beside", ipvs) == ""
    assert "goes over lo" in said(look(way="lo"), "removed", ipvs)
    assert said(look("iptables", True, "eth0"), "returned") == ""


@pytest.mark.parametrize("mode", ["iptables", "ipvs", "nftables"])
def test_kube_proxy_does_not_hide_that_antrea_proxy_is_missing(mode: str) -> None:
    plan = {**PLAN, "mode": mode}
    seen = look(mode, running=True)
    assert said(seen, "beside", plan) == ""
    seen["probe"]["main_routes"][world.CLUSTER_IP] = "eth0"
    found = said(seen, "beside", plan)
    assert "nothing shows that AntreaProxy serves there" in found
    assert "10.96.0.1 to eth0, not to antrea-gw0" in found
    del seen["probe"]["main_routes"]
    assert f"{world.DNS_IP} to nowhere" in said(seen, "beside", plan)
    assert said(seen, "returned", plan) == ""


@pytest.mark.parametrize("phase", ["beside", "removed", "returned"])
def test_what_answered_before_has_to_answer(phase: str) -> None:
    seen = look("iptables" if phase != "removed" else None, running=phase != "removed")
    seen["probe"]["dns"][2].update(ok=False, error="Connection refused")
    found = said(seen, phase)
    assert "DNS over TCP (10.96.0.1:443) does not answer the node: Connection refused" in found
    plan = copy.deepcopy(PLAN)
    plan["nodes"]["node2"]["answered"].remove(["DNS over TCP", False])
    assert said(seen, phase, plan) == ""
    # Where there is no pod any more, nothing is shown.
    seen = look("iptables" if phase != "removed" else None, running=phase != "removed")
    seen["probe"]["connections"][1].update(ok=None, error="no pod")
    assert said(seen, phase) == ""


def test_the_api_and_kubelets_firewall() -> None:
    seen = look()
    seen["probe"]["api"].update(ok=False, error="no answer")
    seen["facts"]["k8snet_kube_proxy"]["survivors"] = []
    seen["facts"]["k8snet_kube_proxy"]["errors"] = ["nft: no"]
    found = said(seen, "removed")
    for text in ("6443: no answer", "kubelet's KUBE-FIREWALL is gone", "nft: no"):
        assert text in found


def test_kube_proxy_is_back_only_with_its_rules() -> None:
    assert "kube-proxy does not run" in said(look("iptables"), "returned")
    assert "has not written its rules yet" in said(look(None, running=True), "returned")
    assert said(look("ipvs", True), "returned", {**PLAN, "mode": "ipvs"}) == ""
    assert "not written" in said(look("iptables", True), "returned", {**PLAN, "mode": "ipvs"})


def test_answers_alone() -> None:
    seen = {"probe": world.probe()}
    assert said(seen, "answers") == ""
    seen["probe"]["dns"][0].update(ok=False, error="no answer")
    assert "DNS over UDP" in said(seen, "answers")


def test_a_node_that_cannot_be_looked_at() -> None:
    found = said({"error": "timed out"}, "removed")
    assert found == "node2 could not be looked at: timed out"
    with pytest.raises(AnsibleFilterError, match="no phase"):
        kube_proxy_removal_verdict(PLAN, "node2", look(), "later")
