# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of kube-proxy's residue goes, in which order, and the text that takes it away. Pure.

The order matters. nat goes before filter: a node that still translates but no longer accepts what
it translated would drop it. Virtual servers go before kube-ipvs0 and the sets, which are what tells
whose they are, so that a run that was cut short can be begun again. Sets and counters go after the
rules that hold them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, NamedTuple

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan, Step
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_chains as names
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_ipvs as ipvs
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_proxy as facts
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_graph import Graph
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_rules_flows import Flow, stale

#: kube-proxy's counters (``pkg/proxy/metrics``).
ACCOUNTS = frozenset({"ct_state_invalid_dropped_pkts", "localhost_nps_accepted_pkts"})
#: What a kernel begins with. ip_forward and conntrack_max are not here: others rely on them.
KERNEL_DEFAULTS = {
    "net.ipv4.conf.all.arp_announce": 0,
    "net.ipv4.conf.all.arp_ignore": 0,
    "net.ipv4.conf.all.route_localnet": 0,
    "net.ipv4.vs.conn_reuse_mode": 1,
    "net.ipv4.vs.conntrack": 0,
    "net.ipv4.vs.expire_nodest_conn": 0,
    "net.ipv4.vs.expire_quiescent_template": 0,
}
_ORDER = {"nat": 0, "filter": 1, "mangle": 2}
_SOME = 20
_TOOLS = {"ip": "iptables", "ip6": "ip6tables"}


class Account(NamedTuple):
    """An nfacct object and how many rules count in it."""

    name: str
    uses: int


class Request(NamedTuple):
    """What is asked for beyond the residue that tells by itself."""

    service_cidrs: tuple[IPv4Network | IPv6Network, ...] = ()
    reset_sysctls: tuple[str, ...] = ()
    #: Whether entries of the connection tracking go, and which ports are NodePorts.
    stale_conntrack: bool = False
    node_ports: range = range(30000, 32768)


class Seen(NamedTuple):
    """Everything a decision needs."""

    observed: facts.Observed = facts.Observed()
    accounts: Sequence[Account] = ()
    flows: Sequence[Flow] = ()
    #: Whether Open vSwitch's datapath is there.
    switched: bool = False


class TableChange(NamedTuple):
    """What goes from one table, in the order of the save."""

    backend: str
    family: str
    table: str
    chains: tuple[str, ...]
    jumps: tuple[str, ...]
    kinds: tuple[tuple[str, int], ...]

    @property
    def where(self) -> str:
        return f"{_TOOLS[self.family]}-{self.backend} {self.table}"


class Kept(NamedTuple):
    """A set or counter that stays since somebody else holds it."""

    what: str
    name: str
    reason: str


class Removal(NamedTuple):
    """Everything that goes."""

    tables: tuple[TableChange, ...] = ()
    servers: tuple[ipvs.VirtualServer, ...] = ()
    #: The addresses of kube-ipvs0; None when there is nothing to remove.
    kube_ipvs0: tuple[str, ...] | None = None
    sets: tuple[facts.IpSet, ...] = ()
    accounts: tuple[str, ...] = ()
    nft_tables: tuple[facts.NftTable, ...] = ()
    sysctls: tuple[tuple[str, int, int], ...] = ()
    flows: tuple[Flow, ...] = ()
    kept: tuple[Kept, ...] = ()


def decide(seen: Seen, request: Request) -> Removal:
    """Return what goes."""
    observed = seen.observed
    going, staying = _uses(observed.graphs)
    sets = [s for s in observed.ipsets if s.name in names.IPSETS]
    accounts = [a for a in seen.accounts if a.name in ACCOUNTS]
    held = {s.name: s.references for s in sets} | {a.name: a.uses for a in accounts}
    kept = {
        name: _reason(held[name] - going[name], staying[name])
        for name in held
        if held[name] > going[name] or staying[name]
    }
    return Removal(
        tables=tables(observed.graphs),
        servers=tuple(_servers(observed, request)),
        kube_ipvs0=None if observed.kube_ipvs0 is None else tuple(observed.kube_ipvs0),
        sets=tuple(s for s in sets if s.name not in kept),
        accounts=tuple(a.name for a in accounts if a.name not in kept),
        nft_tables=tuple(
            t
            for t in observed.nft_tables
            if t.name == names.NFT_TABLE and t.family in ("ip", "ip6")
        ),
        sysctls=tuple(_sysctls(observed.sysctls, request.reset_sysctls)),
        flows=tuple(_stale(seen, request)),
        kept=tuple(
            Kept("nfacct" if name in ACCOUNTS else "ipset", name, why) for name, why in kept.items()
        ),
    )


def again(seen: Seen, done: Removal, request: Request) -> Removal:
    """Return what is still there after ``done``, from which a virtual server is known by itself.

    What told whose it is has gone with kube-ipvs0 and the sets.
    """
    left = decide(seen, request)
    former = {server[:4] for server in done.servers}
    servers = [s for s in seen.observed.virtual_servers if s[:4] in former or s in left.servers]
    return left._replace(servers=tuple(servers))


def tables(graphs: Iterable[Graph]) -> tuple[TableChange, ...]:
    """Return what goes from each table, back end by back end, nat first."""
    found = []
    for graph in graphs:
        chains, jumps = graph.verdict()
        if chains or jumps:
            kinds = Counter(graph.chains[chain] for chain in chains)
            texts = tuple(rule.text for rule in jumps)
            where = (graph.backend, graph.family, graph.table)
            found.append(TableChange(*where, tuple(chains), texts, tuple(sorted(kinds.items()))))
    found.sort(key=lambda c: (c.backend == "legacy", c.family, _ORDER.get(c.table, 3)))
    return tuple(found)


def transaction(change: TableChange) -> str:
    """Return what one ``iptables-restore --noflush`` reads to make ``change``, whole or not at all.

    ``:CHAIN`` empties a chain, so that after the jumps are gone nothing holds it; it also makes
    ``-X`` succeed for one that has gone meanwhile. A jump that is not there any more, and a new
    rule of somebody else into a chain, make the kernel refuse it all.
    """
    lines = [f"*{change.table}", *(f":{chain} - [0:0]" for chain in change.chains)]
    lines += [f"-D {text[len('-A ') :]}" for text in change.jumps]
    lines += [*(f"-X {chain}" for chain in change.chains), "COMMIT", ""]
    return "\n".join(lines)


def plan(removal: Removal) -> Plan:
    """Return the steps in the order in which they are done."""
    steps = [table_step(change) for change in removal.tables]
    if removal.servers:
        shown = _some([str(server) for server in removal.servers])
        steps.append(
            Step(
                f"Delete {len(removal.servers)} IPVS virtual servers of the cluster", "IPVS", shown
            )
        )
    if removal.kube_ipvs0 is not None:
        shown = _some(removal.kube_ipvs0)
        text = f"Delete the interface with its {len(removal.kube_ipvs0)} addresses"
        steps.append(Step(text, "kube-ipvs0", shown))
    if removal.sets:
        text = f"Destroy {len(removal.sets)} ipsets"
        steps.append(Step(text, "ipsets", _lines(s.name for s in removal.sets)))
    if removal.accounts:
        text = f"Delete {len(removal.accounts)} nfacct objects"
        steps.append(Step(text, "nfacct", _lines(removal.accounts)))
    for table in removal.nft_tables:
        text = f"Delete the table with its {len(table.chains)} chains"
        target = f"nft {table.family} {table.name}"
        steps.append(Step(text, target, _lines([table.name])))
    for key, before, after in removal.sysctls:
        steps.append(Step(f"Set {key} to {after}", key, f"{before}\n", f"{after}\n"))
    if removal.flows:
        seen = _some([str(flow) for flow in removal.flows])
        text = f"Delete {len(removal.flows)} stale UDP entries of the connection tracking"
        steps.append(Step(text, "conntrack", seen))
    return Plan(tuple(steps))


def table_step(change: TableChange) -> Step:
    """Return the step of one table."""
    before = {"jumps": [shown(text) for text in change.jumps], "chains": dict(change.kinds)}
    text = f"Delete {len(change.chains)} chains and {len(change.jumps)} jumps of kube-proxy"
    return Step(text, change.where, before)


def shown(text: str) -> str:
    """Return a rule with the bytes that are no UTF-8 written out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def clean(value: Any) -> Any:
    """Return a result with every text as `shown` gives it."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, dict):
        return {key: clean(entry) for key, entry in value.items()}
    return [clean(entry) for entry in value] if isinstance(value, list) else value


def _lines(entries: Iterable[str]) -> str:
    return "".join(f"{entry}\n" for entry in entries)


def _some(entries: Sequence[str]) -> dict[str, Any]:
    return {"count": len(entries), "sample": list(entries[:_SOME])}


def _uses(graphs: Iterable[Graph]) -> tuple[Counter[str], Counter[str]]:
    """(how often the rules that go name each set and counter, how often those that stay do)."""
    going: Counter[str] = Counter()
    staying: Counter[str] = Counter()
    for graph in graphs:
        chains, jumps = graph.verdict()
        gone = set(chains)
        for chain, used in graph.named.items():
            (going if chain in gone else staying).update(used)
        for rule in jumps:
            going.update(rule.sets + rule.accounts)
        for rule in graph.foreign_sets:
            staying.update(rule.sets + rule.accounts)
    return going, staying


def _reason(others: int, staying: int) -> str:
    if staying:
        return f"{staying} rules that stay use it"
    return f"the kernel counts {others} more references than kube-proxy's rules make"


def _servers(observed: facts.Observed, request: Request) -> list[ipvs.VirtualServer]:
    ours, theirs = ipvs.divide(
        observed.virtual_servers,
        set(observed.kube_ipvs0 or ()),
        observed.node_ports,
        observed.local_addresses,
    )
    return ours + [server for server in theirs if _within(server.address, request.service_cidrs)]


def _within(address: str | None, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    return address is not None and any(ip_address(address) in network for network in networks)


def _stale(seen: Seen, request: Request) -> list[Flow]:
    if not request.stale_conntrack:
        return []
    local = seen.observed.local_addresses
    return stale(seen.flows, request.service_cidrs, request.node_ports, local)


def _sysctls(
    now: Mapping[str, int | None], wanted: Iterable[str]
) -> Iterable[tuple[str, int, int]]:
    for key in wanted:
        value, default = now.get(key), KERNEL_DEFAULTS[key]
        if value is not None and value != default:
            yield key, value, default
