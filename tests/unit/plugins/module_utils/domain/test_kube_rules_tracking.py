# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the kernel still tracks connections when kube-proxy's rules have gone."""

from __future__ import annotations

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain._iptables_save import tracks
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_graph import build
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy import NftTable
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_rules_tracking import ends

SEP = f"KUBE-SEP-{'B' * 16}"
NAT = [f":{SEP} - [0:0]", f"-A {SEP} -p tcp -j DNAT --to-destination 10.244.0.1:80"]
FIREWALL = "-A KUBE-FIREWALL ! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP"


def graphs(*rules, family="ip", table="filter"):
    lines = ["*nat", *NAT, "COMMIT", f"*{table}", *rules, "COMMIT"]
    return build("nft", family, lines)[0]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("-A POSTROUTING -s 10.9.0.0/16 -j MASQUERADE --random-fully", True),
        ("-A X -j SNAT --to-source 192.0.2.1", True),
        (FIREWALL, True),
        ("-A X -m state --state NEW -j ACCEPT", True),
        ("-A X -j DROP", False),
        ("-A X -j CTX", False),
        ("-A X -m statistic --mode random -j ACCEPT", False),
        ('-A X -m comment --comment "was -j MASQUERADE" -j ACCEPT', False),
    ],
)
def test_what_needs_tracking(rule, expected):
    assert tracks(rule) is expected


def test_each_family_is_held_by_its_own_rules():
    four, six = graphs(), graphs(family="ip6")
    assert ends(four + six, [], switched=False) == ["ip", "ip6"]
    assert ends(graphs(FIREWALL) + six, [], switched=False) == ["ip6"]


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ([NftTable("ip", "kube-proxy"), NftTable("ip", "nat")], ["ip"]),
        ([NftTable("ip6", "antrea")], ["ip"]),
        ([NftTable("ip", "antrea")], []),
        ([NftTable("inet", "filter")], []),
    ],
)
def test_native_tables_of_others_may_need_it(tables, expected):
    assert ends(graphs(), tables, switched=False) == expected


def test_open_vswitch_may_need_it():
    assert ends(graphs(), [], switched=True) == []


def test_kube_proxys_rules_that_have_to_stay_go_on_translating():
    joined = build("nft", "ip", ["*nat", *NAT, f"-A CNI-DN-abc -j {SEP}", "COMMIT"])[0]
    assert ends(joined, [], switched=False) == []


def test_without_translation_nothing_ends():
    assert ends(build("nft", "ip", ["*filter", "COMMIT"])[0], [], switched=False) == []
