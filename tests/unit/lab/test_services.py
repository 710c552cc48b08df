# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lab's kube-proxy and AntreaProxy make of Services, as text for the kernel's tools."""

from __future__ import annotations

from tests.lab.actors import (
    antrea_proxy,
    content_services,
    endpoint_slices,
    kube_proxy_iptables,
    kube_proxy_ipvs,
    kube_proxy_nftables,
    kube_services,
)
from tests.lab.service_scene import with_proxy_all

PODS = "10.244.0.0/16"
WEB = kube_services.Port(
    "default", "web", "http", "tcp", "10.96.0.80", 80, 30080, (("10.244.1.10", 8080),)
)
API = kube_services.Port(
    "default", "kubernetes", "https", "tcp", "10.96.0.1", 443, 0, (("10.160.1.1", 6443),)
)


def pod(name, address, ready="True", **labels):
    condition = {"type": "Ready", "status": ready}
    return {
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {"nodeName": "node1"},
        "status": {"podIP": address, "conditions": [condition]},
    }


def test_chains_are_named_as_in_every_cluster():
    dns = kube_services.Port("kube-system", "kube-dns", "dns", "udp", "10.96.0.10", 53)
    assert API.hash() == "NPX46M4PTMTKRN6Y"
    assert dns.hash() == "TCOU7JCQXEZGVUNU"


def test_ports_have_the_ready_endpoints_of_their_slices():
    objects = content_services.services("10.160.1.1:6443")
    kubernetes, own, web = objects
    pods = [
        pod("a", "10.244.1.10", app="web"),
        pod("b", "10.244.2.10", ready="False", app="web"),
        pod("c", "10.244.3.10", app="other"),
    ]
    slices = [own, endpoint_slices.slice_of(web, pods)]
    assert kube_services.ports([web, kubernetes], slices) == [API, WEB]
    web["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "other"}
    assert kube_services.ports([web, kubernetes], slices) == [API]


def test_iptables_adds_only_the_jumps_that_lack_and_drops_stale_chains():
    wanted = kube_proxy_iptables.tables([WEB], PODS)
    _chains, jumps, rules = wanted["nat"]
    text = kube_proxy_iptables.restore(
        wanted, {"nat": jumps[:2]}, {"nat": ["KUBE-SVC-AAAAAAAAAAAAAAAA"]}
    )
    nat = text[text.index("*nat") :]
    assert [line for line in nat.splitlines() if line.startswith("-I")] == [
        '-I POSTROUTING 1 -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING'
    ]
    assert nat.endswith("-X KUBE-SVC-AAAAAAAAAAAAAAAA\nCOMMIT\n")
    assert any("-j DNAT --to-destination 10.244.1.10:8080" in rule for rule in rules)
    assert f"-A KUBE-SVC-{WEB.hash()} ! -s {PODS} -d 10.96.0.80/32" in text


def test_a_service_without_endpoints_is_refused_in_filter():
    empty = kube_services.Port("default", "none", "", "udp", "10.96.0.9", 5, 0)
    text = "\n".join(kube_proxy_iptables.tables([empty])["filter"][2])
    assert 'has no endpoints" -m udp --dport 5 -j REJECT' in text


def test_what_iptables_save_prints_is_read_back():
    saved = "*nat\n:PREROUTING ACCEPT [1:2]\n:KUBE-X - [0:0]\n-A KUBE-X -j RETURN\nCOMMIT\n"
    assert kube_proxy_iptables.parse(saved) == (
        {"nat": ["PREROUTING", "KUBE-X"]},
        {"nat": ["-A KUBE-X -j RETURN"]},
    )


def test_ipvs_changes_only_what_is_its_own():
    wanted = kube_proxy_ipvs.servers([WEB], ["10.160.1.21"])
    assert sorted(wanted) == ["-t 10.160.1.21:30080", "-t 10.96.0.80:80"]
    have = kube_proxy_ipvs.parse(
        "-A -t 10.96.0.80:80 -s rr\n-a -t 10.96.0.80:80 -r 10.244.9.9:8080 -m -w 1\n"
        "-A -t 10.96.0.7:1 -s rr\n-A -t 192.0.2.1:1 -s rr\n"
    )
    text = kube_proxy_ipvs.commands(wanted, have, {"10.96.0.7", "10.160.1.21"})
    assert text.splitlines() == [
        "-d -t 10.96.0.80:80 -r 10.244.9.9:8080",
        "-D -t 10.96.0.7:1",
        "-a -t 10.96.0.80:80 -r 10.244.1.10:8080 -m",
        "-A -t 10.160.1.21:30080 -s rr",
        "-a -t 10.160.1.21:30080 -r 10.244.1.10:8080 -m",
    ]


def test_the_kernel_cuts_the_names_of_ipv6_sets():
    assert kube_proxy_ipvs.set_name("LOAD-BALANCER-SOURCE-CIDR", "ip6") == (
        "KUBE-6-LOAD-BALANCER-SOURCE-CID"
    )
    assert "KUBE-6-" not in kube_proxy_ipvs.sets([WEB], "ip")


def test_nftables_is_one_transaction_that_asks_for_local_addresses_only_with_node_ports():
    text = kube_proxy_nftables.table([WEB], "ip", PODS)
    assert text.startswith("add table ip kube-proxy\ndelete table ip kube-proxy\n")
    assert "fib daddr type local" in text
    assert "fib" not in kube_proxy_nftables.table([API], "ip", PODS)


def test_antrea_serves_the_host_only_with_proxy_all_and_only_what_goes_to_its_gateway():
    some = antrea_proxy.flows_table([WEB], "10.244.1.0/24", everything=False)
    assert "ip saddr 10.244.1.0/24 ip daddr . meta l4proto" in some
    assert "antrea-gw0" not in some
    whole = antrea_proxy.flows_table([WEB], "10.244.1.0/24", everything=True)
    assert 'oifname "antrea-gw0" ip daddr . meta l4proto' in whole
    assert "tcp . 30080" in whole
    assert "tcp . 30080" not in some


def test_the_route_covers_every_cluster_ip():
    assert antrea_proxy.network([]) == ""
    assert antrea_proxy.network([API]) == "10.96.0.1/32"
    assert antrea_proxy.network([API, WEB]) == "10.96.0.0/25"


def test_proxy_all_is_written_beside_the_comments():
    conf = "antreaProxy:\n  # ProxyAll tells\n  proxyAll: false\n"
    on = with_proxy_all(conf, on=True, override="https://10.160.1.1:6443")
    assert on == conf.replace("false", "true") + (
        'kubeAPIServerOverride: "https://10.160.1.1:6443"\n'
    )
    assert with_proxy_all(on, on=False, override="") == conf
