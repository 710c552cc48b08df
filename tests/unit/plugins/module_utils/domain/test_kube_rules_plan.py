# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is removed, case by case; and against a small iptables for whatever rules there may be."""

from __future__ import annotations

import ipaddress
import resource
import time

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _iptables_save as save
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_chains as names
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_graph
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_ipvs as ipvs
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_proxy as facts
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_rules_plan as domain
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_rules_flows import Flow
from hypothesis import given, settings
from hypothesis import strategies as st

A, B = "A" * 16, "B" * 16
PORTALS = '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'


def graph(text, table="nat", backend="nft", family="ip"):
    graphs, incompatible, stopped = _kube_graph.build(
        backend, family, [f"*{table}", *text.strip().split("\n"), "COMMIT"]
    )
    assert not incompatible
    assert stopped is None
    return graphs[0]


def decided(*graphs, **observed):
    seen = domain.Seen(facts.Observed(graphs=graphs, **observed))
    return domain.decide(seen, domain.Request())


# -- section 8 of the facts, as transactions ------------------------------------------------


def test_one_transaction_empties_deletes_the_jumps_and_removes():
    found = graph(
        f":KUBE-SERVICES - [0:0]\n:KUBE-SVC-{A} - [0:0]\n:DOCKER - [0:0]\n"
        f"[3:180] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n[9:9] {PORTALS}\n"
        f"-A KUBE-SERVICES -j KUBE-SVC-{A}"
    )
    (change,) = domain.tables([found])
    assert domain.transaction(change) == (
        f"*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-SVC-{A} - [0:0]\n{PORTALS.replace('-A', '-D', 1)}\n"
        f"-X KUBE-SERVICES\n-X KUBE-SVC-{A}\nCOMMIT\n"
    )


def test_the_same_jump_twice_is_deleted_twice():
    found = graph(f":KUBE-SERVICES - [0:0]\n{PORTALS}\n{PORTALS}")
    assert domain.transaction(domain.tables([found])[0]).count("\n-D ") == 2


def test_nat_goes_first_and_nft_before_legacy():
    graphs = [
        graph(":KUBE-PROXY-CANARY - [0:0]", table, backend, family)
        for backend in ("legacy", "nft")
        for family in ("ip6", "ip")
        for table in ("mangle", "filter", "nat")
    ]
    assert [change.where for change in domain.tables(graphs)] == [
        f"{tool}-{backend} {table}"
        for backend in ("nft", "legacy")
        for tool in ("iptables", "ip6tables")
        for table in ("nat", "filter", "mangle")
    ]


def test_what_others_have_and_decoys_make_no_change():
    text = (
        ":KUBE-SERVICES-CUSTOM - [0:0]\n:KUBE-FIREWALL - [0:0]\n:KUBE-ROUTER-INPUT - [0:0]\n"
        ":KUBE-KUBELET-CANARY - [0:0]\n:FORWARD DROP [0:0]\n-A INPUT -j KUBE-FIREWALL\n"
        '-A INPUT -p tcp --dport 22 -m comment --comment "was KUBE-SERVICES" -j ACCEPT'
    )
    assert domain.tables([graph(text, "filter")]) == ()


def test_a_jump_with_a_line_break_blocks_since_it_cannot_be_told():
    found = graph(
        ':KUBE-SERVICES - [0:0]\n-A PREROUTING -m comment --comment "a\n-F INPUT" -j KUBE-SERVICES'
    )
    assert domain.tables([found]) == ()
    assert [rule.target for rule in found.foreign] == ["KUBE-SERVICES"]


# -- sets and counters ----------------------------------------------------------------------

USES = ":KUBE-SERVICES - [0:0]\n-A KUBE-SERVICES -m set --match-set KUBE-CLUSTER-IP dst -j ACCEPT"


@pytest.mark.parametrize(("references", "goes"), [(0, True), (1, True), (2, False)])
def test_a_set_goes_when_the_kernel_counts_no_more_references_than_the_rules_that_go(
    references, goes
):
    sets = [facts.IpSet("KUBE-CLUSTER-IP", "hash:ip", 1, references)]
    found = decided(graph(USES), ipsets=sets)
    assert bool(found.sets) == goes
    assert [kept.name for kept in found.kept] == ([] if goes else ["KUBE-CLUSTER-IP"])


def test_a_set_that_a_rule_of_others_uses_stays_and_one_of_others_is_not_ours():
    text = "-A INPUT -m set --match-set KUBE-CLUSTER-IP dst -j ACCEPT"
    sets = [facts.IpSet("KUBE-CLUSTER-IP", "hash:ip", 1, 1), facts.IpSet("mine", "hash:ip", 1)]
    found = decided(graph(text, "filter"), ipsets=sets)
    assert found.sets == ()
    assert [kept.name for kept in found.kept] == ["KUBE-CLUSTER-IP"]


def test_a_counter_in_a_chain_that_goes_goes_with_it():
    name = "ct_state_invalid_dropped_pkts"
    rule = f"-A KUBE-FORWARD -m nfacct --nfacct-name {name} -j DROP"
    observed = facts.Observed(graphs=[graph(f":KUBE-FORWARD - [0:0]\n{rule}", "filter")])
    for uses, goes in ((1, (name,)), (2, ())):
        accounts = [domain.Account(name, uses), domain.Account("mine", 0)]
        assert domain.decide(domain.Seen(observed, accounts), domain.Request()).accounts == goes


# -- IPVS and settings ----------------------------------------------------------------------


def test_virtual_servers_are_the_clusters_by_evidence_or_by_its_networks():
    def server(address, port=80, fwmark=None):
        return ipvs.VirtualServer("TCP", address, port, fwmark, "rr", 0)

    servers = [server("10.96.0.1"), server("10.97.0.1"), server("192.0.2.1"), server(None, None, 4)]
    servers.append(server("fd00:96::1"))
    observed = facts.Observed(virtual_servers=servers, kube_ipvs0=["10.96.0.1"])
    seen = domain.Seen(observed)
    assert [s.address for s in domain.decide(seen, domain.Request()).servers] == ["10.96.0.1"]
    networks = tuple(map(ipaddress.ip_network, ("10.96.0.0/12", "fd00:96::/112")))
    found = domain.decide(seen, domain.Request(networks)).servers
    assert [s.address for s in found] == ["10.96.0.1", "10.97.0.1", "fd00:96::1"]


def test_servers_go_before_what_tells_whose_they_are():
    observed = facts.Observed(
        graphs=[graph(":KUBE-SERVICES - [0:0]")],
        virtual_servers=[ipvs.VirtualServer("TCP", "10.96.0.1", 80, None, "rr", 0)],
        kube_ipvs0=["10.96.0.1"],
        ipsets=[facts.IpSet("KUBE-NODE-PORT-TCP", "bitmap:port", 1)],
    )
    plan = domain.plan(domain.decide(domain.Seen(observed), domain.Request()))
    assert [s.target for s in plan.steps] == ["iptables-nft nat", "IPVS", "kube-ipvs0", "ipsets"]


def test_a_server_that_is_still_there_is_seen_though_nothing_tells_whose_it_is():
    server = ipvs.VirtualServer("TCP", "10.96.0.1", 80, None, "rr", 3)
    seen = domain.Seen(facts.Observed(virtual_servers=[server._replace(destinations=0)]))
    done = domain.Removal(servers=(server,))
    assert len(domain.again(seen, done, domain.Request()).servers) == 1
    assert domain.again(domain.Seen(), done, domain.Request()).servers == ()


def test_only_named_settings_are_reset_and_ip_forward_never():
    now = {"net.ipv4.conf.all.route_localnet": 1, "net.ipv4.vs.conntrack": None}
    seen = domain.Seen(facts.Observed(sysctls={**now, "net.ipv4.ip_forward": 1}))
    assert not domain.plan(domain.decide(seen, domain.Request())).changed
    found = domain.decide(seen, domain.Request(reset_sysctls=tuple(now)))
    assert found.sysctls == (("net.ipv4.conf.all.route_localnet", 1, 0),)
    assert "net.ipv4.ip_forward" not in domain.KERNEL_DEFAULTS


def flow(destination, port, answerer, protocol=17, zone=0):
    return Flow(2, protocol, zone, destination, port, answerer, 5353, b"", b"")


@pytest.mark.parametrize(
    ("entry", "goes"),
    [
        (flow("10.96.0.10", 53, "10.244.1.5"), True),
        (flow("fd00:96::a", 53, "fd00:244::5"), True),
        (flow("10.96.0.10", 53, "10.244.1.5", zone=65520), False),
        (flow("10.96.0.10", 53, "10.244.1.5", protocol=6), False),
        (flow("10.96.0.10", 53, "10.96.0.10"), False),
        (flow("192.0.2.1", 30053, "10.244.1.5"), True),
        (flow("192.0.2.1", 32767, "10.244.1.5"), True),
        (flow("192.0.2.1", 32768, "10.244.1.5"), False),
        (flow("192.0.2.1", 30053, "169.254.0.252"), False),
        (flow("fd00::1", 30053, "fc01::aabb:ccdd:eeff"), False),
        (flow("198.51.100.7", 30053, "10.244.1.5"), False),
    ],
)
def test_stale_entries_are_the_hosts_udp_that_is_led_elsewhere(entry, goes):
    observed = facts.Observed(local_addresses={"192.0.2.1", "fd00::1"})
    networks = tuple(map(ipaddress.ip_network, ("10.96.0.0/12", "fd00:96::/112")))
    seen = domain.Seen(observed, flows=[entry])
    assert domain.decide(seen, domain.Request(networks)).flows == ()
    asked = domain.Request(networks, stale_conntrack=True)
    assert bool(domain.decide(seen, asked).flows) == goes


def test_bytes_that_are_no_text_are_shown_and_told_as_they_were():
    rule = b'-A PREROUTING -m comment --comment "\xff" -j KUBE-SERVICES'
    text = rule.decode("utf-8", "surrogateescape")
    (change,) = domain.tables([graph(f":KUBE-SERVICES - [0:0]\n{text}")])
    told = domain.transaction(change).encode("utf-8", "surrogateescape")
    assert rule.replace(b"-A", b"-D", 1) in told
    domain.plan(domain.Removal((change,))).diff()[0]["before"]["jumps"][0].encode("utf-8")
    assert domain.clean({"a": [text]})["a"][0].encode("utf-8")


# -- whatever there may be ------------------------------------------------------------------


class Refused(Exception):
    """The kernel would not commit."""


def commit(world, text):
    """What iptables-restore --noflush makes of one table: all, or Refused."""
    chains = {name: list(rules) for name, rules in world.items()}
    for line in text.split("\n")[1:-2]:
        word, _space, rest = line.partition(" ")
        if line.startswith(":"):
            chains[word[1:]] = []
        elif word == "-D":
            chain = rest.partition(" ")[0]
            chains[chain].remove("-A " + rest)
        elif word == "-X":
            if chains.pop(rest):
                raise Refused(f"{rest} is not empty")
        else:
            raise Refused(line)
    for rules in chains.values():
        for rule in rules:
            (entry,) = save.parse([rule])
            if entry.target in world and entry.target not in chains:
                raise Refused(f"{entry.target} is held by {rule}")
    return chains


OURS = ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"]
OURS += [f"KUBE-SVC-{A}", f"KUBE-SVC-{B}", f"KUBE-SEP-{A}", f"KUBE-EXT-{B}"]
THEIRS = ["DOCKER", "KUBE-MARK-DROP", "KUBE-HOSTPORTS", "KUBE-SERVICES-CUSTOM", "CNI-DN-abc"]
BUILT_IN = ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]
COMMENTS = ["", "-m comment --comment KUBE-SERVICES ", '-m comment --comment "-j KUBE-SERVICES" ']
COMMENTS += ["! -s 10.0.0.0/8 ", '-m comment --comment "a \\" -j X" ']


@st.composite
def worlds(draw):
    chains = BUILT_IN + draw(st.lists(st.sampled_from(OURS + THEIRS), unique=True))
    rule = st.tuples(
        st.sampled_from(chains),
        st.sampled_from(COMMENTS),
        st.sampled_from([c for c in chains if c not in BUILT_IN] + ["ACCEPT", "MASQUERADE"]),
    )
    world = {chain: [] for chain in chains}
    for chain, comment, target in draw(st.lists(rule, max_size=30)):
        world[chain].append(f"-A {chain} {comment}-j {target}")
    return world


def text_of(world):
    lines = [f":{c} {'ACCEPT' if c in BUILT_IN else '-'} [0:0]" for c in world]
    return "\n".join([*lines, *(rule for rules in world.values() for rule in rules)])


@settings(max_examples=400, deadline=None)
@given(worlds())
def test_the_kernel_takes_every_plan_nothing_foreign_changes_and_nothing_is_left_to_do(world):
    found = graph(text_of(world))
    after = world
    for change in domain.tables([found]):
        after = commit(world, domain.transaction(change))
    for chain, rules in world.items():
        if names.kind("nat", chain) is None:
            foreign = [r for r in rules if not own(chain, r)]
            assert [r for r in after[chain] if not own(chain, r)] == foreign
    assert domain.tables([graph(text_of(after))]) == ()
    # What stays of kube-proxy's is what somebody else's rule leads to, and no more.
    stays = {chain for chain in after if names.kind("nat", chain)}
    assert stays == (found.kept() & set(world))
    if not found.foreign:
        assert not stays


def own(chain, rule):
    (entry,) = save.parse([rule])
    return names.own_jump("nat", chain, entry.target or "")


@given(st.text(max_size=200))
def test_any_text_is_planned_or_refused(text):
    graphs, _incompatible, _stopped = _kube_graph.build("nft", "ip", text.split("\n"))
    for change in domain.tables(graphs):
        assert domain.transaction(change).endswith("COMMIT\n")


@pytest.mark.full
def test_a_million_lines_are_planned_in_bounded_time_and_memory():
    def lines():
        yield "*nat"
        for number in range(150_000):
            yield f":KUBE-SEP-{label(number)} - [0:0]"
        for number in range(850_000):
            chain = f"KUBE-SEP-{label(number % 150_000)}" if number % 2 else "DOCKER"
            yield f'[1:60] -A {chain} -p tcp -m comment --comment "ns/web:http" -j DNAT'
        yield "COMMIT"

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.process_time()
    graphs, _incompatible, stopped = _kube_graph.build("nft", "ip", lines())
    (change,) = domain.tables(graphs)
    text = domain.transaction(change)
    assert stopped is None
    assert text.count("\n-X ") == 150_000
    assert time.process_time() - begun < 60
    # KiB: the rules of others are counted, not kept.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 250_000


def label(number):
    found = ""
    for _unused in range(16):
        number, rest = divmod(number, 32)
        found += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[rest]
    return found
