# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back: by the bundle, in a cluster that has gone on since."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.k8snet.cni.plugins.module_utils.domain._version import VERSION

from tests.unit import removal_world as world

GONE = world.kube_proxy(present=False, daemonset=None, objects=[])
ROOT = Path(__file__).parents[5]


def bundle(**changes: world.Obj) -> world.Obj:
    """What a removal of the world's three nodes has kept."""
    kept = {"kube_proxy": world.kube_proxy(mode="ipvs"), "antrea_proxy": {"proxyAll": None}}
    return {"collection": VERSION, **kept, "plan": world.decide(), **changes}


def said(plan: world.Obj, key: str = "refusals") -> str:
    return " ".join(plan[key])


def test_the_way_back() -> None:
    plan = world.decide(state="present", proxy_says=GONE)
    assert "no undo bundle was found that holds it" in said(plan)
    plan = world.decide(state="present", proxy_says=GONE, former=bundle())
    assert (plan["refusals"], plan["pending"], plan["restores"]) == ([], True, True)
    assert plan["warnings"] == []
    assert plan["settings"] == {"agent": {"antreaProxy": {"proxyAll": None}}, "controller": {}}
    there = world.kube_proxy()
    assert not world.decide(state="present", proxy_says=there, former=bundle())["pending"]
    there["labelled"] = ["node2"]
    assert world.decide(state="present", proxy_says=there, former=bundle())["pending"]
    # Neither an owner nor a distribution that brings it back bars the way back.
    there.update(supported=False, reason="x", remedy="y")
    assert world.decide(state="present", proxy_says=there, former=bundle())["refusals"] == []


def test_a_bundle_without_a_daemonset_brings_nothing_back() -> None:
    other = [{"kind": "ConfigMap", "namespace": "kube-system", "name": "kube-proxy"}]
    empty = bundle(kube_proxy=world.kube_proxy(objects=other))
    plan = world.decide(state="present", proxy_says=GONE, former=empty)
    assert "no undo bundle was found that holds it" in said(plan)


def test_a_node_that_is_gone_bars_nothing() -> None:
    names = ("node1", "node2")
    plan = world.decide(names=names, state="present", proxy_says=GONE, former=bundle())
    assert (plan["refusals"], plan["order"]) == ([], ["node2", "node1"])
    assert "No Nodes any more, so nothing is done there: node3" in said(plan, "warnings")


def test_a_service_that_is_gone_does_not_have_to_answer_and_is_told() -> None:
    former = bundle()
    for node in former["plan"]["nodes"].values():
        node["answered"] += [["default/shop", False], ["default/shop (NodePort 30080)", False]]
    plan = world.decide(state="present", proxy_says=GONE, former=former)
    assert "not asked now: default/shop." in said(plan, "warnings")
    assert ["default/shop", False] not in plan["nodes"]["node2"]["answered"]


def test_what_answered_before_the_removal_has_to_answer_also_if_it_does_not_now() -> None:
    hosts = [world.host(name) for name in ("node1", "node2", "node3")]
    for entry in hosts[1]["probe"]["connections"] + hosts[1]["probe"]["dns"]:
        entry["ok"] = False
    plan = world.decide(hosts, state="present", proxy_says=GONE)
    assert plan["nodes"]["node2"]["answered"] == []
    plan = world.decide(hosts, state="present", proxy_says=GONE, former=bundle())
    held = plan["nodes"]["node2"]["answered"]
    assert ["default/kubernetes", False] in held
    assert ["DNS over TCP", True] in held
    assert len(held) == len(plan["nodes"]["node1"]["answered"])


def test_without_objects_the_bundle_tells_the_mode() -> None:
    assert world.decide(state="present", proxy_says=GONE, former=bundle())["mode"] == "ipvs"
    there = world.kube_proxy(mode="nftables")
    assert world.decide(state="present", proxy_says=there, former=bundle())["mode"] == "nftables"


def test_nodes_that_may_go_unseen_are_told_from_others() -> None:
    hosts = [world.host("node1"), world.lost("node2"), world.lost("node3")]
    accept = {"accept_unseen": ["node3", "node9"], "former": bundle()}
    plan = world.decide(hosts, state="present", proxy_says=GONE, **accept)
    assert (plan["unseen"], plan["accepted"]) == (["node2", "node3"], ["node3"])
    assert plan["refusals"] == []
    assert "node2 was not visited" in said(plan, "warnings")
    text = " ".join(" ".join(plan["lines"]).split())
    assert "node2 unseen kube-proxy is awaited there" in text
    assert "node3 unseen nobody waits for it" in text


def test_kube_proxy_comes_back_where_antrea_is_gone() -> None:
    none = world.antrea(installed=False, config_map=None, config=None, version=None)
    plan = world.decide(state="present", proxy_says=GONE, antrea_says=none, former=bundle())
    assert (plan["refusals"], plan["pending"], plan["antrea"]) == ([], True, False)
    assert plan["settings"] == {"agent": {}, "controller": {}}
    assert "Antrea is not installed" in said(plan, "warnings")


@pytest.mark.parametrize("version", [None, "0.0.9"])
def test_a_bundle_of_another_version_warns(version: str | None) -> None:
    # Which may have kept less.
    other = bundle(collection=version, plan={"nodes": {"node2": {}}})
    plan = world.decide(state="present", proxy_says=GONE, former=other)
    assert plan["refusals"] == []
    assert f"by version {version or 'unknown'} of the collection, and this is {VERSION}" in said(
        plan, "warnings"
    )


def test_the_version_is_the_collections() -> None:
    assert yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"] == VERSION


@pytest.mark.parametrize(
    ("signs", "words"),
    [
        ({"labelled": ["node3"]}, "labelled are node3"),
        ({"daemonset": {"node_affinity_removed": True}}, "its DaemonSet has the affinity"),
        ({"present": False, "daemonset": None}, "its DaemonSet is gone"),
    ],
)
def test_a_removal_that_has_begun_needs_its_bundle(signs: world.Obj, words: str) -> None:
    proxy = world.kube_proxy(**signs)
    refused = said(world.decide(proxy_says=proxy))
    assert f"has begun here ({words}), and no undo bundle" in refused
    assert "k8snet_undo_dir" in refused
    assert world.decide(proxy_says=proxy, former=bundle())["refusals"] == []
    assert world.decide(proxy_says=proxy, without_undo=True)["refusals"] == []
    clean = [world.host(name) for name in ("node1", "node2", "node3")]
    for host in clean:
        host["facts"]["k8snet_kube_proxy"] = world.facts(None, running=False)
    gone = world.kube_proxy(**{**signs, "present": False, "daemonset": None, "objects": []})
    assert world.decide(clean, proxy_says=gone)["refusals"] == [], "nothing is left to do"
