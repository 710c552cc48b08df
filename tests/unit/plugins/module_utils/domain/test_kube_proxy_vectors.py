# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes and what stays, case by case."""

from __future__ import annotations

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_chains as names
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_graph
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_proxy as domain

A, B = "A" * 16, "B" * 16
PORTALS = '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES'


def graph(table, text, backend="nft", family="ip"):
    """The graph of one table; chains that rules name are declared as a save declares them."""
    lines = [line.strip() for line in text.strip().splitlines()]
    rules = [line for line in lines if "-A " in line]
    declared = [line[1:].split()[0] for line in lines if line.startswith(":")]
    for line in rules:
        words = line.split()
        declared.append(words[words.index("-A") + 1])
        jump = words[-1] if words[-2] in ("-j", "-g") else ""
        if "-" in jump:
            declared.append(jump)
    given = [line for line in lines if line.startswith(":")]
    known = {line[1:].split()[0] for line in given}
    more = [f":{c} - [0:0]" for c in dict.fromkeys(declared) if c not in known]
    save = [f"*{table}", *(g if g.endswith("]") else f"{g} - [0:0]" for g in given), *more]
    graphs, incompatible, stopped = _kube_graph.build(backend, family, [*save, *rules, "COMMIT"])
    assert not incompatible
    assert stopped is None
    return graphs[0]


def judged(table, text, **where):
    """(chains that go, jumps that go, blocking rules) of one table."""
    found = graph(table, text, **where)
    chains, jumps = found.verdict()
    return set(chains), [rule.text for rule in jumps], [rule.text for rule in found.foreign]


def stays(table, text, owner, rules=0, chains=0):
    """Nothing goes, nothing blocks, and the owner is told."""
    found = graph(table, text)
    assert found.verdict() == ([], [])
    assert not found.foreign
    assert found.other_rules[owner] == rules
    assert found.other_chains[owner] == chains


# -- 1: nat ---------------------------------------------------------------------------------


def test_1_nat_portals_and_service_chains_go():
    chains, jumps, blockers = judged(
        "nat",
        f"""-A PREROUTING {PORTALS}
        -A KUBE-SVC-{A} -j KUBE-SEP-{B}""",
    )
    assert chains == {"KUBE-SERVICES", f"KUBE-SVC-{A}", f"KUBE-SEP-{B}"}
    assert jumps == [f"-A PREROUTING {PORTALS}"]
    assert not blockers


def test_1_antrea_and_docker_stay():
    stays("nat", "-A PREROUTING -m comment --comment x -j ANTREA-PREROUTING", "antrea", 1, 1)
    text = """:DOCKER
    [3:180] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"""
    stays("nat", text, "docker", 1, 1)


# -- 2: filter ------------------------------------------------------------------------------


def test_2_filter_forward_goes_with_the_rules_inside():
    jump = '-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD'
    found = graph(
        "filter",
        f"""{jump}
        -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP""",
    )
    assert found.verdict()[0] == ["KUBE-FORWARD"]
    assert [rule.text for rule in found.verdict()[1]] == [jump]
    assert found.rules == 1


def test_2_kubelets_firewall_stays_with_its_jump_and_the_policy():
    text = """:FORWARD DROP [0:0]
    -A INPUT -j KUBE-FIREWALL
    -A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -j DROP"""
    stays("filter", text, "kubelet", 2, 1)
    assert graph("filter", text).policies["FORWARD"] == "DROP"


# -- 3: mangle ------------------------------------------------------------------------------


def test_3_of_three_canaries_one_is_kube_proxys():
    found = graph("mangle", ":KUBE-PROXY-CANARY\n:KUBE-KUBELET-CANARY\n:KUBE-IPTABLES-HINT")
    assert found.verdict() == (["KUBE-PROXY-CANARY"], [])
    assert found.other_chains["kubelet"] == 2


# -- 4: IPVS --------------------------------------------------------------------------------


def test_4_ipvs_chains_go():
    chains, jumps, _unused = judged(
        "filter",
        """-A INPUT -m comment --comment "kube-proxy firewall rules" -j KUBE-PROXY-FIREWALL
        -A KUBE-PROXY-FIREWALL -m set --match-set KUBE-X dst -j KUBE-SOURCE-RANGES-FIREWALL
        -A KUBE-SOURCE-RANGES-FIREWALL -j DROP""",
    )
    assert chains == {"KUBE-PROXY-FIREWALL", "KUBE-SOURCE-RANGES-FIREWALL"}
    assert len(jumps) == 1
    chains, jumps, blockers = judged("nat", "-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ")
    assert chains == {"KUBE-LOAD-BALANCER", "KUBE-MARK-MASQ"}
    assert not jumps
    assert not blockers


def test_4_a_set_used_inside_kube_proxys_chains_does_not_block():
    found = graph("nat", "-A KUBE-SERVICES -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT")
    assert not found.foreign_sets


# -- 5, 6: others with KUBE in their names --------------------------------------------------


def test_5_cri_o_stays():
    text = f""":KUBE-HP-{"Z" * 16}
    -A PREROUTING -m addrtype --dst-type LOCAL -j KUBE-HOSTPORTS"""
    stays("nat", text, "cri-o", 1, 2)


def test_6_kube_router_stays():
    text = """:KUBE-NWPLCY-DEFAULT
    -A INPUT -m comment --comment kube-router -j KUBE-ROUTER-INPUT"""
    stays("filter", text, "kube-router", 1, 2)


# -- 7: blocker -----------------------------------------------------------------------------

MASQ = '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING'
PORTMAP = "-A CNI-DN-abc -s 10.244.0.0/16 -p tcp -m tcp --dport 8080 -j KUBE-MARK-MASQ"
BLOCKED = f"""-A PREROUTING {PORTALS}
{MASQ}
-A KUBE-SVC-{A} -j KUBE-MARK-MASQ
-A KUBE-SVC-{A} -j KUBE-SEP-{B}
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
{PORTMAP}"""


def test_7_a_foreign_reference_keeps_the_mark_and_its_postrouting_and_nothing_else():
    chains, jumps, blockers = judged("nat", BLOCKED)
    assert chains == {"KUBE-SERVICES", f"KUBE-SVC-{A}", f"KUBE-SEP-{B}"}
    assert jumps == [f"-A PREROUTING {PORTALS}"]
    assert blockers == [PORTMAP]


def test_7_the_report_names_the_rule_and_what_it_keeps():
    found = domain.facts(domain.Observed(graphs=[graph("nat", BLOCKED)]))
    assert found["blockers"] == [
        {
            "what": "chain",
            "backend": "nft",
            "family": "ip",
            "table": "nat",
            "target": "KUBE-MARK-MASQ",
            "references": 1,
            "rules": [PORTMAP],
            "keeps": ["KUBE-MARK-MASQ", "KUBE-POSTROUTING"],
            "keeps_count": 2,
        }
    ]
    entry = found["residue"]["iptables"][0]
    assert (entry["chains"], entry["kept"]) == (3, 2)
    assert entry["jumps"] == [f"-A PREROUTING {PORTALS}"]


def test_7_a_reference_from_a_built_in_chain_that_kube_proxy_never_makes_blocks_too():
    mine = "-A PREROUTING -s 203.0.113.0/24 -j KUBE-MARK-MASQ"
    chains, jumps, blockers = judged("nat", f"{mine}\n-A KUBE-MARK-MASQ -j MARK")
    assert chains == set()
    assert jumps == []
    assert blockers == [mine]


def test_7_a_foreign_reference_to_a_service_keeps_all_that_it_leads_to():
    text = f"""{BLOCKED.replace(PORTMAP, "")}
    -A MINE-X -j KUBE-SVC-{A}"""
    chains, jumps, _unused = judged("nat", text)
    assert chains == {"KUBE-SERVICES"}
    assert jumps == [f"-A PREROUTING {PORTALS}"]


def test_7_a_foreign_rule_that_uses_a_set_blocks_the_set():
    mine = "-A INPUT -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT"
    found = domain.facts(domain.Observed(graphs=[graph("filter", mine)]))
    (blocker,) = found["blockers"]
    assert (blocker["what"], blocker["target"]) == ("ipset", "KUBE-CLUSTER-IP")
    assert blocker["rules"] == [mine]


# -- 8: decoys ------------------------------------------------------------------------------


def test_8_a_comment_that_names_a_chain_is_a_comment():
    rule = '-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "was KUBE-SERVICES" -j ACCEPT'
    stays("filter", f":KUBE-SERVICES-CUSTOM\n{rule}", "other", 1, 0)


@pytest.mark.parametrize(
    ("table", "chain"),
    [
        ("nat", "KUBE-SERVICES-CUSTOM"),
        ("nat", "KUBE-SVC-MINE"),
        ("nat", f"KUBE-SVC-{A}A"),
        ("nat", f"KUBE-SVC-{A[1:]}"),
        ("nat", f"KUBE-SVC-{A[1:]}1"),
        ("nat", f"KUBE-SVC-{A[1:]}a"),
        ("nat", f"KUBE-SVC-{A}\n"),
        ("nat", f"KUBE-HP-{A}"),
        ("nat", f"XKUBE-SVC-{A}"),
        ("nat", "KUBE-IPTABLES-HINT"),
        ("nat", "KUBE-MARK-DROP"),
        ("nat", "kube-services"),
        ("filter", "KUBE-FIREWALL"),
        ("filter", f"KUBE-SVC-{A}"),
        ("mangle", "KUBE-SERVICES"),
        ("raw", "KUBE-SERVICES"),
    ],
)
def test_8_exact_names_in_their_own_tables_only(table, chain):
    assert names.kind(table, chain) is None


@pytest.mark.parametrize("prefix", ["SVC", "SVL", "SEP", "FW", "EXT", "XLB"])
def test_8_the_prefixes_with_16_characters_of_base32_are_kube_proxys(prefix):
    assert names.kind("nat", f"KUBE-{prefix}-ABCDEFGHIJ234567") == f"KUBE-{prefix}-*"


# -- 9: old kubelet -------------------------------------------------------------------------


def test_9_an_old_kubelets_drop_mark_stays():
    stays("nat", "-A KUBE-MARK-DROP -j MARK --set-xmark 0x8000/0x8000", "kubelet", 1, 1)
    text = "-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP"
    stays("filter", text, "kubelet", 1, 1)


# -- 10: split back ends --------------------------------------------------------------------


def test_10_each_back_end_is_judged_by_itself():
    legacy = graph("nat", f":KUBE-SEP-{B}", backend="legacy")
    nft = graph("mangle", ":KUBE-IPTABLES-HINT")
    found = domain.facts(
        domain.Observed(
            graphs=[nft, legacy],
            nft_tables=[
                domain.NftTable("ip", "mangle", ("KUBE-IPTABLES-HINT",)),
                domain.NftTable("ip", "kube-proxy", ("services", "nat-output")),
                domain.NftTable("ip", "antrea"),
            ],
        )
    )
    (entry,) = found["residue"]["iptables"]
    assert (entry["backend"], entry["by_kind"]) == ("legacy", {"KUBE-SEP-*": 1})
    assert found["residue"]["nft_tables"] == [{"family": "ip", "name": "kube-proxy", "chains": 2}]
    stay = [(s["what"], s["owner"], s["sample"]) for s in found["survivors"]]
    assert stay == [
        ("chains", "kubelet", ["KUBE-IPTABLES-HINT"]),
        ("nft_table", "antrea", ["antrea"]),
    ]
    assert found["modes"] == ["iptables", "nftables"]


@pytest.mark.parametrize(("family", "name"), [("inet", "kube-proxy"), ("ip", "kube-proxy2")])
def test_10_only_the_exact_native_tables_are_kube_proxys(family, name):
    found = domain.facts(domain.Observed(nft_tables=[domain.NftTable(family, name)]))
    assert found["residue"]["nft_tables"] == []
    assert found["survivors"][0]["sample"] == [name]


# -- sets -----------------------------------------------------------------------------------


def test_the_names_of_ipv6_sets_are_cut_at_31_characters():
    assert "KUBE-6-LOAD-BALANCER-SOURCE-CID" in names.IPSETS
    assert "KUBE-6-NODE-PORT-LOCAL-SCTP-HAS" in names.IPSETS
    assert "KUBE-6-LOAD-BALANCER-SOURCE-CIDR" not in names.IPSETS
    assert max(map(len, names.IPSETS)) == 31
    assert len(names.IPSETS) == 34


def test_sets_of_others_are_not_kube_proxys():
    sets = [domain.IpSet(n, "hash:ip", 1) for n in ("KUBE-CLUSTER-IP", "KUBE-SRC-X", "mine")]
    found = domain.facts(domain.Observed(ipsets=sets))
    assert [s["name"] for s in found["residue"]["ipsets"]] == ["KUBE-CLUSTER-IP"]
    assert found["survivors"][0]["sample"] == ["KUBE-SRC-X", "mine"]
