# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether kube-proxy may go, in which order, and what bars it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.filter.kube_proxy_removal_plan import (
    kube_proxy_removal_plan,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _removal_rules as rules

from tests.unit import removal_world as world


def said(plan: world.Obj, key: str = "refusals") -> str:
    return " ".join(plan[key])


def test_a_cluster_that_is_well() -> None:
    plan = world.decide()
    assert plan["refusals"] == plan["warnings"] == []
    assert plan["order"] == ["node2", "node3", "node1"]
    assert plan["hosts"] == plan["order"]
    assert (plan["pending"], plan["deletes"], plan["unseen"]) == (True, True, [])
    override = {"kubeAPIServerOverride": world.URL}
    assert plan["settings"] == {
        "agent": {**override, "antreaProxy": {"proxyAll": True}},
        "controller": override,
    }
    text = " ".join(" ".join(plan["lines"]).split())
    assert "kube-proxy (iptables mode, kubeadm) is removed; AntreaProxy of Antrea v2.5.0" in text
    assert "3 nodes one after the other, node2 as the canary" in text
    assert "node1 control plane 9 chains and 1 jumps in iptables-nft go" in text
    assert "DaemonSet kube-system/kube-proxy are deleted in the end" in text
    assert max(map(len, plan["lines"])) <= 100


def test_the_order_is_canary_then_what_changes_then_control_planes() -> None:
    names = ("node1", "node2", "node10", "node9")
    proxy = world.kube_proxy(labelled=["node2"])
    clean = world.host("node2")
    clean["facts"]["k8snet_kube_proxy"] = world.facts(None, running=False)
    hosts = [world.host("node1"), clean, world.host("node10"), world.host("node9")]
    for made, name in zip(hosts, names):
        made["node_name"] = name
    plan = world.decide(hosts, names=names, proxy_says=proxy)
    assert plan["order"] == ["node9", "node10", "node2", "node1"]
    assert not plan["nodes"]["node2"]["changes"]
    chosen = world.decide(hosts, names=names, proxy_says=proxy, canary="node1")
    assert chosen["order"][0] == "node1"
    assert "The canary node7 is no node" in said(world.decide(canary="node7"))


def test_a_labelled_node_with_residue_is_taken_up_again() -> None:
    plan = world.decide(proxy_says=world.kube_proxy(labelled=["node2", "node3"]))
    assert plan["nodes"]["node2"]["changes"]


def test_nothing_is_left_to_do() -> None:
    hosts = []
    for name in ("node1", "node2", "node3"):
        hosts.append(world.host(name))
        hosts[-1]["facts"]["k8snet_kube_proxy"] = world.facts(None, running=False)
    proxy = world.kube_proxy(present=False, daemonset=None, objects=[])
    plan = world.decide(hosts, proxy_says=proxy)
    assert (plan["pending"], plan["deletes"], plan["refusals"]) == (False, False, [])
    hosts[0]["facts"]["k8snet_kube_proxy"] = world.facts("iptables", running=False)
    assert world.decide(hosts, proxy_says=proxy)["pending"]


def test_an_unseen_node_bars_everything_or_if_accepted_the_end() -> None:
    hosts = [world.host("node1"), world.host("node2"), world.lost("node3")]
    plan = world.decide(hosts)
    assert "node3 was not visited: unreachable" in said(plan)
    plan = world.decide(hosts, accept_unseen=["node3"])
    assert plan["refusals"] == []
    assert (plan["deletes"], plan["unseen"]) == (False, ["node3"])
    assert "kube-proxy stays on node3, and its objects with it" in said(plan, "warnings")


API = "10.160.1.1"


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("https://10.160.1.1:6443/", "not even a slash"),
        ("https://10.96.0.1:443", "10.96.0.1 is in the Service network"),
        ("https://kubernetes.default.svc:443", "the name of a Service"),
        ("http://10.160.1.1:6443", "does not begin with https"),
    ],
)
def test_urls_that_cannot_be(url: str, wrong: str) -> None:
    assert wrong in said(world.decide(api_server=url))


def test_where_the_url_comes_from() -> None:
    assert world.decide(api_server="https://a.b:1")["override"] == "https://a.b:1"
    own = world.antrea(kube_apiserver_override="https://vip:6443")
    assert world.decide(antrea_says=own)["override"] == "https://vip:6443"
    two = {"source": "endpoints", "addresses": ["10.0.0.1:6443", "10.0.0.2:6443"]}
    plan = world.decide(antrea_says=world.antrea(api_servers=two))
    assert "its servers are 10.0.0.1:6443, 10.0.0.2:6443" in said(plan)


def test_loopback_needs_every_node() -> None:
    hosts = [world.host("node1"), world.host("node2"), world.lost("node3")]
    url = "https://127.0.0.1:6443"
    plan = world.decide(hosts, accept_unseen=["node3"], api_server=url)
    assert "only where each node itself listens, and node3 could not be asked" in said(plan)
    assert "listens" not in said(world.decide(api_server=url))


def changed(name: str, **changes: Any) -> list[world.Obj]:
    hosts = [world.host(n) for n in ("node1", "node2", "node3")]
    for made in hosts:
        if made["name"] == name:
            made["probe"]["api"].update(changes)
    return hosts


def test_every_node_has_to_reach_the_api() -> None:
    plan = world.decide(changed("node3", ok=False, error="its certificate was refused: x"))
    assert "node3 does not reach https://10.160.1.1:6443: its certificate was refused" in said(plan)
    assert "node2" not in said(plan)
    hosts = [world.host("node1"), world.host("node2", probe={}, probe_error="no Python")]
    plan = world.decide(hosts, names=("node1", "node2"))
    assert "node2: it could not be asked whether it reaches" in said(plan)
    assert "no Python" in said(plan)


def test_the_way_to_the_api_does_not_depend_on_a_service() -> None:
    assert "in the Service network" in said(world.decide(changed("node2", addresses=["10.96.7.7"])))
    proxy = world.kube_proxy(external_ips={API: "lb/api"})
    assert "an address of Service lb/api" in said(world.decide(proxy_says=proxy))

    # An address of somebody else is on none of the NICs either.
    hosts = changed("node2")
    hosts[1]["facts"]["k8snet_kube_proxy"] = world.facts("ipvs")
    assert world.decide(hosts)["refusals"] == []
    hosts = changed("node2", local=[API])
    hosts[1]["facts"]["k8snet_kube_proxy"] = world.facts("ipvs")
    assert "node2" in said(world.decide(hosts))
    assert "there 10.160.1.1 is on kube-ipvs0" in said(world.decide(hosts))
    # A control plane's own address is on one of its NICs.
    hosts[1]["facts"]["k8snet_nics"][0]["addresses"].append({"address": API, "prefix": 24})
    assert world.decide(hosts)["refusals"] == []

    hosts = changed("node2")
    hosts[1]["facts"]["k8snet_reach"][API]["interface"] = "antrea-gw0"
    assert "its way there goes over antrea-gw0" in said(world.decide(hosts))


@pytest.mark.parametrize(
    ("version", "refused", "warned"),
    [
        ("v2.0.1", True, False),
        ("v2.1.0", False, True),
        ("v2.4.9", False, True),
        ("v2.5.0", False, False),
        ("v2.8.0-dev", False, False),
        (None, False, True),
    ],
)
def test_versions(version: str | None, refused: bool, warned: bool) -> None:
    plan = world.decide(antrea_says=world.antrea(version=version))
    assert (bool(plan["refusals"]), bool(plan["warnings"])) == (refused, warned)


def test_services_that_antrea_serves_otherwise() -> None:
    limits = ["loadBalancerSourceRanges", "endpoints>800", "affinity>65535", "service-proxy-name"]
    proxy = world.kube_proxy(services=[{"namespace": "a", "name": "b", "limits": limits}])
    plan = world.decide(proxy_says=proxy)
    assert len(plan["refusals"]) == 1
    assert "Service a/b: AntreaProxy lets everybody in" in said(plan)
    assert len(plan["warnings"]) == 3
    plan = world.decide(proxy_says=proxy, accept_services=["a/b"])
    assert (plan["refusals"], len(plan["warnings"])) == ([], 4)


def test_what_brings_kube_proxy_back() -> None:
    proxy = world.kube_proxy(supported=False, reason="k3s runs it", remedy="Set it there.")
    assert "K3s runs it. Set it there." in said(world.decide(proxy_says=proxy))
    assert world.decide(proxy_says=proxy, override_distribution=True)["refusals"] == []
    proxy = world.kube_proxy(managed_by={"manager": "Argo CD", "evidence": "x", "snippet": ""})
    assert "belongs to Argo CD" in said(world.decide(proxy_says=proxy))
    assert world.decide(proxy_says=proxy, override_owner=True)["refusals"] == []


def test_rights_and_an_antrea_that_is_not_whole() -> None:
    proxy = world.kube_proxy(missing_rights=["patch on daemonsets.apps"])
    assert "may not: patch on daemonsets.apps" in said(world.decide(proxy_says=proxy))
    right = {"verb": "patch", "resource": "configmaps", "allowed": False}
    plan = world.decide(antrea_says=world.antrea(permissions=[right]))
    assert "may not: patch configmaps" in said(plan)
    agent = {"node": "node2", "ready": False, "waiting": "CrashLoopBackOff"}
    plan = world.decide(antrea_says=world.antrea(agents=[agent]))
    assert "node2: antrea-agent is not ready (CrashLoopBackOff)" in said(plan)
    plan = world.decide(antrea_says=world.antrea(installed=False, config_map=None))
    assert plan["lines"] == ["REFUSED  Antrea is not installed in this cluster."]
    assert not plan["pending"]


ILL = {"node": "node3", "ready": False, "waiting": "CrashLoopBackOff"}


def test_kube_proxy_may_come_back_whatever_is_wrong_with_antrea_or_a_node() -> None:
    problem = {"path": "trafficMode", "what": "unknown.", "remedy": "Remove it.", "level": "fatal"}
    ill = world.antrea(agents=[ILL], problems=[problem], owner={"by": "Helm", "evidence": "label"})
    hosts = [world.host("node1"), world.host("node2"), world.lost("node3")]
    proxy = world.kube_proxy(labelled=["node2"])
    back = world.decide(hosts, antrea_says=ill, proxy_says=proxy, state="present")
    assert (back["refusals"], back["pending"]) == ([], True)
    for words in ("is not ready", "trafficMode: unknown.", "belongs to Helm", "was not visited"):
        assert words in said(back, "warnings")
        assert words in said(world.decide(hosts, antrea_says=ill, proxy_says=proxy))


def test_the_agent_of_an_accepted_unseen_node_bars_nothing() -> None:
    ill = world.antrea(agents=[ILL])
    hosts = [world.host("node1"), world.host("node2"), world.lost("node3")]
    assert world.decide(hosts, antrea_says=ill, accept_unseen=["node3"])["refusals"] == []
    # One that is seen is looked at, whoever accepts what.
    assert "is not ready" in said(world.decide(antrea_says=ill, accept_unseen=["node3"]))


@pytest.mark.parametrize("path", ["antreaProxy.proxyAll", "featureGates.AntreaProxy"])
def test_an_antrea_proxy_that_would_not_serve_bars_it(path: str) -> None:
    problem = {"path": path, "what": "in vain.", "remedy": "Switch it on.", "level": "vain"}
    plan = world.decide(antrea_says=world.antrea(problems=[problem]))
    assert f"AntreaProxy would not serve as it is configured: {path}" in said(plan)
    other = world.antrea(problems=[{**problem, "path": "egress.snatFullyRandomPorts"}])
    assert world.decide(antrea_says=other)["refusals"] == []


def test_what_is_told() -> None:
    hosts = [world.host(n) for n in ("node1", "node2", "node3")]
    seen = hosts[1]["facts"]["k8snet_kube_proxy"]
    seen["blockers"] = [
        {
            "target": "KUBE-MARK-MASQ",
            "backend": "nft",
            "family": "ip",
            "table": "nat",
            "rules": ["-A CNI-DN-abc -j KUBE-MARK-MASQ"],
        }
    ]
    seen["survivors"].append({"what": "virtual_servers", "count": 1, "sample": ["TCP 10.9.9.9:80"]})
    hosts[2]["probe"]["proxy_mode"] = "ipvs"
    proxy = world.kube_proxy(
        mode="nftables", node_local_dns=True, node_port_addresses=["10.0.0.0/8"]
    )
    warned = said(world.decide(hosts, proxy_says=proxy), "warnings")
    for text in (
        "kube-proxy runs in nftables mode. Until a node is cleaned both serve",
        "NodeLocalDNS runs",
        "kube-proxy opens NodePorts on 10.0.0.0/8 only",
        "node2: KUBE-MARK-MASQ (nft ip nat) stays, since it is used by: -A CNI-DN-abc",
        "node2: 1 virtual servers of IPVS are not the cluster's and stay (TCP 10.9.9.9:80)",
        "node3: kube-proxy runs in ipvs mode there",
    ):
        assert text in warned
    config = {"agent": {"antreaProxy": {"nodePortAddresses": ["10.0.0.0/8"]}}}
    again = world.decide(proxy_says=proxy, antrea_says=world.antrea(config=config))
    assert "opens NodePorts" not in said(again, "warnings")


def test_a_node_on_which_no_service_answers_proves_nothing() -> None:
    hosts = [world.host(n) for n in ("node1", "node2", "node3")]
    for entry in hosts[1]["probe"]["connections"] + hosts[1]["probe"]["dns"]:
        entry["ok"] = entry["pod"]
    hosts[1]["probe"]["problems"] = ["DNS over UDP from the node: no answer"]
    plan = world.decide(hosts)
    assert "node2: no Service answers there even now" in said(plan)
    hosts[2].update(rules={}, rules_error="iptables is missing")
    plan = world.decide(hosts)
    assert "node3: what kube-proxy left could not be planned: iptables is missing" in said(plan)


def test_an_old_kubelets_chains_are_no_residue() -> None:
    hosts = [world.host("node1"), world.host("node2")]
    for made in hosts:
        seen = world.facts("iptables", running=False)
        kinds = {"KUBE-MARK-MASQ": 1, "KUBE-POSTROUTING": 1}
        jumps = ["-A POSTROUTING -j KUBE-POSTROUTING"]
        seen["residue"]["iptables"][0].update(by_kind=kinds, chains=2, jumps=jumps)
        made["facts"]["k8snet_kube_proxy"] = seen
    proxy = world.kube_proxy(present=False, daemonset=None, objects=[])
    names = ("node1", "node2")
    assert not world.decide(hosts, names=names, proxy_says=proxy, kubelet="v1.26.9")["pending"]
    assert world.decide(hosts, names=names, proxy_says=proxy, kubelet="v1.27.0")["pending"]


def test_kubeadms_configuration_is_told() -> None:
    kubeadm = {"api_version": "v1beta4", "config_map": True, "proxy_disabled": None, "advice": None}
    plan = world.decide(proxy_says=world.kube_proxy(kubeadm=kubeadm))
    assert "kubeadm-config gets proxy.disabled: true" in " ".join(" ".join(plan["lines"]).split())
    kubeadm["api_version"] = "v1beta3"
    plan = world.decide(proxy_says=world.kube_proxy(kubeadm={**kubeadm, "advice": "Do this."}))
    assert "proxy.disabled" not in " ".join(plan["lines"])
    assert "ADVICE   Do this." in plan["lines"]


def test_the_filter_refuses_what_it_cannot_mean() -> None:
    good = (world.cluster("node1"), world.antrea(), world.kube_proxy(), [], {"state": "absent"})
    with pytest.raises(AnsibleFilterError, match="cluster_info"):
        kube_proxy_removal_plan({}, *good[1:])
    with pytest.raises(AnsibleFilterError, match="kube_proxy_info"):
        kube_proxy_removal_plan(*good[:2], {}, *good[3:])
    with pytest.raises(AnsibleFilterError, match="must be a list"):
        kube_proxy_removal_plan(*good[:3], {}, {})
    assert "node1 is not in the inventory" in said(kube_proxy_removal_plan(*good))


def test_what_is_there_in_a_few_words() -> None:
    assert rules.summary(world.facts(None)) == ""
    assert rules.summary(world.facts("ipvs")) == (
        "9 chains and 1 jumps in iptables-nft, 1 ipsets (KUBE-CLUSTER-IP), "
        "2 virtual servers of IPVS, kube-ipvs0 with 1 addresses"
    )
    assert rules.summary(world.facts("nftables")) == "nftables ip kube-proxy"
