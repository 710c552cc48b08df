# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What nodes are asked, in each IP family."""

from __future__ import annotations

from ansible_collections.k8snet.cni.plugins.filter.kube_proxy_removal_probes import (
    kube_proxy_removal_probes,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _removal_probes as domain

from tests.unit import removal_world as world

Asked = list[tuple[str, str, int]]


def connections(asked: world.Obj) -> Asked:
    return [(c["name"], c["address"], c["port"]) for c in asked["connections"]]


def with_web(ips: list[str], balancers: list[str]) -> world.Obj:
    """kube-proxy of a cluster that has a Service with NodePort beside kubernetes."""
    web = {"namespace": "default", "name": "web", "port": 80, "node_port": 30080}
    more = {"cluster_ip": ips[0], "cluster_ips": ips}
    lb = {"load_balancer": next(iter(balancers), None), "load_balancers": balancers}
    proxy = world.kube_proxy()
    return {**proxy, "probes": [*proxy["probes"], {**web, **more, **lb}]}


def test_what_a_node_is_asked() -> None:
    proxy = with_web(["10.96.0.80"], ["192.0.2.9", "192.0.2.10"])
    both = world.cluster("node1", "node2")
    asked = kube_proxy_removal_probes(proxy, both, world.host("node2"), world.antrea())
    assert connections(asked) == [
        ("default/kubernetes", "10.96.0.1", 443),
        ("default/web", "10.96.0.80", 80),
        ("default/web (LoadBalancer)", "192.0.2.9", 80),
        ("default/web (NodePort 30080)", "10.160.1.22", 30080),
    ]
    assert asked["dns"] == [{"server": world.DNS_IP}]
    assert (asked["url"], asked["api"]) == (world.URL, True)
    assert asked["reach"] == [world.CLUSTER_IP, world.DNS_IP, "10.160.1.1"]
    bad = kube_proxy_removal_probes(proxy, both, {}, world.antrea(), "https://a/")
    assert (bad["api"], bad["reach"]) == (False, [world.CLUSTER_IP, world.DNS_IP])
    assert "connections" not in bad


def test_a_dual_stack_cluster_is_asked_in_both_families() -> None:
    proxy = with_web(["10.96.0.80", "fd00:10:96::80"], ["192.0.2.9", "2001:db8::9"])
    proxy["dns"]["ips"] = [world.DNS_IP, "fd00:10:96::a"]
    cluster = world.cluster("node1")
    cluster["nodes"][0]["internal_ips"] += ["fd00:10:160::21"]
    asked = domain.probes(proxy, cluster, world.host("node1"))
    assert connections(asked)[1:] == [
        ("default/web", "10.96.0.80", 80),
        ("default/web (IPv6)", "fd00:10:96::80", 80),
        ("default/web (LoadBalancer)", "192.0.2.9", 80),
        ("default/web (LoadBalancer, IPv6)", "2001:db8::9", 80),
        ("default/web (NodePort 30080)", "10.160.1.21", 30080),
        ("default/web (NodePort 30080, IPv6)", "fd00:10:160::21", 30080),
    ]
    assert asked["dns"] == [{"server": world.DNS_IP}, {"server": "fd00:10:96::a"}]
    assert domain.routed(proxy) == ["10.96.0.1", "fd00:10:96::80", world.DNS_IP, "fd00:10:96::a"]
    assert "DNS over TCP at fd00:10:96::a" in domain.names(asked)
    assert len(domain.names(asked)) == len(connections(asked)) + 4


def test_a_family_that_a_service_has_not_is_not_asked() -> None:
    cluster = world.cluster("node1")
    cluster["nodes"][0]["internal_ips"] += ["fd00:10:160::21"]
    asked = domain.probes(with_web(["10.96.0.80"], []), cluster, world.host("node1"))
    assert not [c for c in connections(asked) if ":" in c[1]]
    only = domain.probes(with_web(["fd00:10:96::80"], []), cluster, world.host("node1"))
    assert connections(only)[1:] == [
        ("default/web", "fd00:10:96::80", 80),
        ("default/web (NodePort 30080)", "fd00:10:160::21", 30080),
    ]
