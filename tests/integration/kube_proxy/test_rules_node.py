# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""IPVS for real, which a lab node's kernel has: the cluster's servers go, those of others stay."""

from __future__ import annotations

import pytest

from tests.integration.kube_proxy import residue
from tests.integration.kube_proxy.test_node_rules import IPVS
from tests.integration.ovs.node import PYTHON_3_9, LabNode

pytestmark = pytest.mark.lab
FOREIGN = ["-A -f 42 -s rr", "-A -t 10.160.1.21:8080 -s rr", "-A -t 192.0.2.200:30080 -s sh"]
FOREIGN += ["-A -u 10.160.1.21:30080 -s rr"]


@pytest.fixture(scope="module")
def node():
    with LabNode("kuberules") as node:
        yield node


def rules(node, python=None, **options):
    return node.fact("kube_proxy_rules", python=python, run_id="run", **options)


def test_a_fresh_node_has_nothing_and_gets_no_module_by_asking(node):
    before = node.modules()
    found = rules(node)
    assert (found["changed"], found["plan"]) == (False, [])
    assert node.modules() == before


def test_ipvs_mode_goes_and_the_servers_of_others_stay(node):
    node.sh("modprobe -a ip_vs ip_set")
    node.lab.ssh("node1", "sudo ipset restore", input=residue.ipsets(), stdin=None)
    node.sh(IPVS + "ipvsadm -A -t 10.96.7.7:443 -s rr\n")
    found = rules(node, python=PYTHON_3_9)

    assert found["changed"] is True, found
    assert [s["target"] for s in found["plan"]] == ["IPVS", "kube-ipvs0", "ipsets"]
    assert found["kept"] == []
    unproven = "-A -t 10.96.7.7:443 -s rr"
    assert servers(node) == sorted([*FOREIGN, unproven])
    assert "kube-ipvs0" not in node.sh("ip -o link")
    assert node.sh("ipset list -name") == ""
    kept = node.sh("cat /var/lib/k8snet/undo/run/kube-proxy.ip_vs")
    assert "0A600001:01BB" in kept
    assert rules(node)["changed"] is False
    # Told the cluster's networks, the server that nothing on the node speaks for goes too.
    assert rules(node, service_cidrs=["10.96.0.0/12"])["changed"] is True
    assert servers(node) == sorted(FOREIGN)


def servers(node):
    return sorted(line.strip() for line in node.sh("ipvsadm -Sn").splitlines() if line)


def test_an_interface_of_that_name_that_kube_proxy_did_not_make_stops_it(node):
    node.sh("ip link add kube-ipvs0 type bridge")
    found = rules(node)
    assert "did not make it" in found["msg"]
    assert "kube-ipvs0" in node.sh("ip -o link")
    node.sh("ip link del kube-ipvs0")
