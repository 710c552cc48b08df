# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""IPVS ownership, the graph of references, and a result that stays small."""

from __future__ import annotations

import contextlib
import json

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _iptables_save as save
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_graph
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_ipvs as ipvs
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_proxy as domain
from hypothesis import given
from hypothesis import strategies as st

IP_VS = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A600001:01BB rr
  -> 0AA00115:192B      Masq    1      0          0
  -> 0AA00116:192B      Masq    1      2          3
UDP  0A60000A:0035 rr ops
TCP  0AA00115:7580 rr persistent 10800 FFFFFFFF
TCP  [fd00:0000:0000:0000:0000:0000:0000:0001]:0050 wlc
  -> [fd00:0000:0000:0000:0000:0000:0000:0099]:0050      Masq    1      0          0
FWM  0000002A wlc persistent 300
  -> C0000201:0000      Route   1      0          0
SCTP C6336401:1F90 rr
"""


def test_the_kernels_table_is_read_in_hexadecimal():
    found = list(ipvs.parse(IP_VS.splitlines()))
    assert [(str(s), s.scheduler, s.destinations) for s in found] == [
        ("TCP 10.96.0.1:443", "rr", 2),
        ("UDP 10.96.0.10:53", "rr", 0),
        ("TCP 10.160.1.21:30080", "rr", 0),
        ("TCP [fd00::1]:80", "wlc", 1),
        ("fwmark 42", "wlc", 1),
        ("SCTP 198.51.100.1:8080", "rr", 0),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "TCP  0A60:0050 rr",
        "TCP  0A600001 rr",
        "TCP  zzzzzzzz:0050 rr",
        "TCP",
        "FWM  xyz rr",
        "ICMP 0A600001:0050 rr",
        "  -> 0AA00115:192B      Masq    1      0          0",
        "TCP  [fd00]:0050 rr",
    ],
)
def test_a_line_that_is_no_server_is_refused(line):
    with pytest.raises(ValueError, match="virtual server"):
        list(ipvs.parse([line]))


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(ValueError):
        list(ipvs.parse(text.split("\n")))


def divide(node_ports=(), local=("10.160.1.21",), vips=("10.96.0.1", "10.96.0.10", "fd00::1")):
    servers = ipvs.parse(IP_VS.splitlines())
    ours, theirs = ipvs.divide(servers, set(vips), set(node_ports), set(local))
    return [str(s) for s in ours], [str(s) for s in theirs]


def test_a_server_whose_address_is_on_kube_ipvs0_is_the_clusters():
    ours, theirs = divide()
    assert ours == ["TCP 10.96.0.1:443", "UDP 10.96.0.10:53", "TCP [fd00::1]:80"]
    assert theirs == ["TCP 10.160.1.21:30080", "fwmark 42", "SCTP 198.51.100.1:8080"]


def test_a_node_port_is_the_clusters_when_a_set_holds_it_for_its_protocol():
    assert "TCP 10.160.1.21:30080" in divide({ipvs.NodePort("TCP", 30080)})[0]
    assert "TCP 10.160.1.21:30080" in divide({ipvs.NodePort("TCP", 30080, "10.160.1.21")})[0]
    assert "TCP 10.160.1.21:30080" not in divide({ipvs.NodePort("UDP", 30080)})[0]
    assert "TCP 10.160.1.21:30080" not in divide({ipvs.NodePort("TCP", 30080, "10.0.0.1")})[0]


def test_a_node_port_on_an_address_that_is_not_the_nodes_is_somebody_elses():
    assert "TCP 10.160.1.21:30080" in divide({ipvs.NodePort("TCP", 30080)}, local=())[1]


def test_without_kube_ipvs0_nothing_is_the_clusters():
    assert divide(vips=())[0] == []


def test_foreign_servers_survive_by_name():
    observed = domain.Observed(virtual_servers=list(ipvs.parse(IP_VS.splitlines())))
    found = domain.facts(observed)
    assert found["residue"]["virtual_servers"]["count"] == 0
    (survivor,) = found["survivors"]
    assert (survivor["what"], survivor["count"]) == ("virtual_servers", 6)


# -- shape and size -------------------------------------------------------------------------


def large(services, endpoints=2):
    """The nat table of that many services, as lines, without ever being in memory."""
    yield "*nat"
    yield ":PREROUTING ACCEPT [0:0]"
    for name in ("KUBE-SERVICES", "KUBE-MARK-MASQ"):
        yield f":{name} - [0:0]"
    for number in range(services):
        yield f":KUBE-SVC-{label(number)} - [0:0]"
        for each in range(endpoints):
            yield f":KUBE-SEP-{label(number * endpoints + each)} - [0:0]"
    yield '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
    for number in range(services):
        svc = f"KUBE-SVC-{label(number)}"
        text = f'-m comment --comment "default/web-{number}:http cluster IP"'
        yield f"-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp {text} -m tcp --dport 80 -j {svc}"
        for each in range(endpoints):
            sep = f"KUBE-SEP-{label(number * endpoints + each)}"
            yield f"-A {svc} {text} -m statistic --mode random --probability 0.5 -j {sep}"
            yield f"-A {sep} -s 10.244.0.1/32 {text} -j KUBE-MARK-MASQ"
            yield f"-A {sep} -p tcp {text} -m tcp -j DNAT --to-destination 10.244.0.1:80"
    yield "COMMIT"


def label(number):
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    found = ""
    for _unused in range(16):
        number, rest = divmod(number, 32)
        found += alphabet[rest]
    return found


def test_20_000_chains_are_a_few_hundred_bytes():
    graphs, _unused, stopped = _kube_graph.build("nft", "ip", large(7000))
    assert stopped is None
    found = domain.facts(domain.Observed(graphs=graphs))
    (entry,) = found["residue"]["iptables"]
    assert entry["by_kind"] == {
        "KUBE-MARK-MASQ": 1,
        "KUBE-SEP-*": 14000,
        "KUBE-SERVICES": 1,
        "KUBE-SVC-*": 7000,
    }
    assert entry["rules"] == 7000 * 7
    assert len(json.dumps(found)) < 2048


def test_a_node_full_of_other_peoples_things_stays_small():
    def lines():
        yield "*filter"
        for number in range(5000):
            yield f":cali-tw-{number} - [0:0]"
            yield f":mine{number} - [0:0]"
        for name in range(50):
            yield f":KUBE-SVC-{label(name)} - [0:0]"
        yield ":KUBE-FORWARD - [0:0]"
        for number in range(5000):
            yield f'-A mine{number} -m comment --comment "{"c" * 600}" -j KUBE-FORWARD'
        yield "COMMIT"

    graphs, _unused, _unused = _kube_graph.build("nft", "ip", lines())
    sets = [domain.IpSet(f"set{n}", "hash:ip", 1) for n in range(5000)]
    servers = [ipvs.VirtualServer("TCP", f"10.0.0.{n}", 1, None, "rr", 1) for n in range(250)]
    tables = [domain.NftTable("inet", f"t{n}") for n in range(500)]
    found = domain.facts(
        domain.Observed(graphs=graphs, ipsets=sets, virtual_servers=servers, nft_tables=tables)
    )
    assert found["blockers"][0]["references"] == 5000
    assert found["counts"]["blockers"] == 5000
    assert all(len(rule) == 512 for rule in found["blockers"][0]["rules"])
    assert max(map(len, graphs[0].samples.values())) == 5
    assert len(json.dumps(found)) < 16384


def test_foreign_references_to_thousands_of_chains_are_cut_and_counted():
    def lines():
        yield "*nat"
        yield ":MINE - [0:0]"
        for number in range(3000):
            yield f":KUBE-SVC-{label(number)} - [0:0]"
        for number in range(3000):
            yield f"-A MINE -j KUBE-SVC-{label(number)}"
        yield "COMMIT"

    graphs, _unused, _unused = _kube_graph.build("legacy", "ip6", lines())
    found = domain.facts(domain.Observed(graphs=graphs))
    assert len(found["blockers"]) == 20
    assert found["counts"]["blockers"] == 3000
    assert found["residue"]["iptables"] == []


def test_every_key_is_there_on_a_clean_node():
    found = domain.facts(domain.Observed())
    assert found == {
        "residue": {
            "iptables": [],
            "ipsets": [],
            "virtual_servers": {"count": 0, "destinations": 0, "sample": []},
            "nft_tables": [],
            "kube_ipvs0": None,
        },
        "survivors": [],
        "blockers": [],
        "counts": {
            "chains": 0,
            "rules": 0,
            "jumps": 0,
            "ipsets": 0,
            "virtual_servers": 0,
            "nft_tables": 0,
            "kube_ipvs0_addresses": 0,
            "blockers": 0,
        },
        "modes": [],
        "running": False,
        "sysctls": {},
        "errors": [],
    }


def test_an_empty_kube_ipvs0_is_residue_all_the_same():
    found = domain.facts(domain.Observed(kube_ipvs0=[]))
    assert found["residue"]["kube_ipvs0"] == {"addresses": 0, "sample": []}
    assert found["modes"] == ["ipvs"]


def test_a_save_that_breaks_off_leaves_its_last_table_unjudged():
    lines = ["*mangle", ":KUBE-PROXY-CANARY - [0:0]", "COMMIT", "*nat", ":KUBE-SERVICES - [0:0]"]
    graphs, _unused, stopped = _kube_graph.build("nft", "ip", lines)
    assert [graph.table for graph in graphs] == ["mangle"]
    assert "table 'nat'" in str(stopped)


@pytest.mark.parametrize("line", ["-A X -j Y", ":X - [0:0]"])
def test_rules_and_chains_outside_a_table_are_refused(line):
    _unused, _unused, stopped = _kube_graph.build("nft", "ip", [line])
    assert isinstance(stopped, save.SaveSyntaxError)


# -- the graph ------------------------------------------------------------------------------

OURS = ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"]
OURS += [f"KUBE-{p}-{label(n)}" for p in ("SVC", "SEP") for n in range(4)]
THEIRS = ["PREROUTING", "OUTPUT", "POSTROUTING", "INPUT", "CNI-X", "cali-y", "KUBE-MARK-DROP"]
RULES = st.lists(st.tuples(st.sampled_from(OURS + THEIRS), st.sampled_from(OURS + THEIRS)))


@given(RULES)
def test_nothing_that_goes_is_pointed_at_by_anything_that_stays(rules):
    graph = _kube_graph.Graph("nft", "ip", "nat")
    for chain in OURS + THEIRS:
        graph.add_chain(chain)
    for chain, target in rules:
        graph.add_rule(save.Rule(chain, target, (), f"-A {chain} -j {target}"))
    chains, jumps = graph.verdict()
    gone, cut = set(chains), {rule.text for rule in jumps}
    assert gone | graph.kept() == set(OURS)
    assert not gone & graph.kept()
    for chain, target in rules:
        if target in gone:
            assert chain in gone or f"-A {chain} -j {target}" in cut
    for rule in jumps:
        assert rule.chain in THEIRS
        assert rule.target in OURS


@given(RULES)
def test_without_foreign_references_everything_of_kube_proxys_goes(rules):
    graph = _kube_graph.Graph("nft", "ip", "nat")
    for chain in OURS + THEIRS:
        graph.add_chain(chain)
    for chain, target in rules:
        if chain in OURS:
            graph.add_rule(save.Rule(chain, target, (), ""))
    assert set(graph.verdict()[0]) == set(OURS)
