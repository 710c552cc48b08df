# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lab node's kernel has modules to load: looking loads none. And IPVS for real."""

from __future__ import annotations

import pytest

from tests.integration.kube_proxy import residue
from tests.integration.ovs.node import PYTHON_3_9, LabNode

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def node():
    with LabNode("kubefacts") as node:
        yield node


def kube_proxy(node, **options):
    before = node.modules()
    found = node.fact("kube_proxy_facts", **options)
    assert "ansible_facts" in found, found
    assert node.modules() == before
    fact = found["ansible_facts"]["k8snet_kube_proxy"]
    assert fact["errors"] == []
    return fact


def test_looking_loads_no_module_where_the_tools_would(node):
    found = kube_proxy(node)
    assert not any(found["counts"].values())
    assert found["survivors"] == []
    assert found["sysctls"]["net.ipv4.vs.conntrack"] is None
    before = node.modules()
    node.sh("iptables-nft-save; ipset list; ipvsadm -Ln", check=False)
    # So the comparison above can see a module being loaded.
    assert {"nf_tables", "ip_set", "ip_vs"} & (node.modules() - before)


def test_empty_modules_hold_nothing(node):
    node.sh("modprobe -a ip_vs ip_set nf_tables nf_conntrack")
    found = kube_proxy(node)
    assert not any(found["counts"].values())
    assert found["sysctls"]["net.ipv4.vs.conntrack"] == 0
    assert isinstance(found["sysctls"]["net.netfilter.nf_conntrack_max"], int)


IPVS = """
ip link add kube-ipvs0 type dummy
ip address add 10.96.0.1/32 dev kube-ipvs0
ip address add fd00:96::1/128 dev kube-ipvs0
ipvsadm -A -t 10.96.0.1:443 -s rr
ipvsadm -a -t 10.96.0.1:443 -r 10.160.1.21:6443 -m
ipvsadm -a -t 10.96.0.1:443 -r 10.160.1.22:6443 -m
ipvsadm -A -u 10.96.0.1:53 -s rr
ipvsadm -A -t [fd00:96::1]:443 -s wlc -p 10800
ipvsadm -a -t [fd00:96::1]:443 -r [fd00::9]:6443 -m
ipvsadm -A -t 10.160.1.21:30080 -s rr
ipvsadm -A -t 10.160.1.21:8080 -s rr
ipvsadm -A -u 10.160.1.21:30080 -s rr
ipvsadm -A -t 192.0.2.200:30080 -s sh
ipvsadm -A -f 42 -s rr
"""


def test_ipvs_servers_are_told_apart_by_kube_ipvs0_and_the_node_port_sets(node):
    node.lab.ssh("node1", "sudo ipset restore", input=residue.ipsets(), stdin=None)
    node.sh(IPVS)
    found = kube_proxy(node)
    assert found["residue"]["virtual_servers"] == {
        "count": 4,
        "destinations": 3,
        "sample": found["residue"]["virtual_servers"]["sample"],
    }
    assert sorted(found["residue"]["virtual_servers"]["sample"]) == [
        "TCP 10.160.1.21:30080",
        "TCP 10.96.0.1:443",
        "TCP [fd00:96::1]:443",
        "UDP 10.96.0.1:53",
    ]
    (foreign,) = [s for s in found["survivors"] if s["what"] == "virtual_servers"]
    assert foreign["count"] == 4
    assert sorted(foreign["sample"]) == [
        "TCP 10.160.1.21:8080",
        "TCP 192.0.2.200:30080",
        "UDP 10.160.1.21:30080",
        "fwmark 42",
    ]
    assert found["residue"]["kube_ipvs0"] == {
        "addresses": 2,
        "sample": ["10.96.0.1", "fd00:96::1"],
    }
    names = node.sh("ipset list -name").split()
    assert [s["name"] for s in found["residue"]["ipsets"]] == names
    assert found["modes"] == ["ipvs"]

    assert kube_proxy(node, python=PYTHON_3_9) == found


def test_a_kube_proxy_that_runs_is_seen(node):
    node.sh("cp /bin/sleep /tmp/kube-proxy; systemd-run --unit=kp /tmp/kube-proxy 1000")
    assert kube_proxy(node)["running"] is True
    node.sh("systemctl stop kp")
    assert kube_proxy(node)["running"] is False


def test_without_become_what_needs_root_is_told(node):
    node.sh("ls -l /proc/net/ip_vs")
    found = node.fact("kube_proxy_facts", become=False)
    errors = found["ansible_facts"]["k8snet_kube_proxy"]["errors"]
    assert errors
    assert all("become: true" in text for text in errors)
