# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What kube-proxy left on a node, what stays, and what blocks its removal. Pure.

The result is small whatever the node holds: kinds are counted, lists are cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any, NamedTuple

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_chains as names
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_ipvs as ipvs
from ansible_collections.k8snet.cni.plugins.module_utils.domain._iptables_save import Rule
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_graph import Graph

_FEW = 5
_SOME = 20
_TEXT = 512


class NftTable(NamedTuple):
    """A table of nf_tables. ``chains`` are its chains' names."""

    family: str
    name: str
    chains: tuple[str, ...] = ()


class IpSet(NamedTuple):
    """An ipset without its members."""

    name: str
    type: str
    entries: int
    #: How many rules and lists of the kernel hold it.
    references: int = 0


class Observed(NamedTuple):
    """Everything read from a node."""

    graphs: Sequence[Graph] = ()
    nft_tables: Sequence[NftTable] = ()
    ipsets: Sequence[IpSet] = ()
    virtual_servers: Sequence[ipvs.VirtualServer] = ()
    node_ports: Set[ipvs.NodePort] = frozenset()
    #: Addresses on kube-ipvs0; None when there is no such interface.
    kube_ipvs0: Sequence[str] | None = None
    local_addresses: Set[str] = frozenset()
    sysctls: Mapping[str, int | None] = MappingProxyType({})
    running: bool = False
    errors: Sequence[str] = ()


def facts(observed: Observed) -> dict[str, Any]:
    """The fact ``k8snet_kube_proxy`` (documented key by key in ``kube_proxy_facts``)."""
    ours, theirs = ipvs.divide(
        observed.virtual_servers,
        set(observed.kube_ipvs0 or ()),
        observed.node_ports,
        observed.local_addresses,
    )
    sets = [s for s in observed.ipsets if s.name in names.IPSETS]
    tables = [t for t in observed.nft_tables if _native(t)]
    iptables = [entry for graph in observed.graphs if (entry := _residue(graph))]
    residue = {
        "iptables": iptables,
        "ipsets": [{"name": s.name, "type": s.type, "entries": s.entries} for s in sets],
        "virtual_servers": {
            "count": len(ours),
            "destinations": sum(s.destinations for s in ours),
            "sample": [str(s) for s in ours[:_SOME]],
        },
        "nft_tables": [
            {"family": t.family, "name": t.name, "chains": len(t.chains)} for t in tables
        ],
        "kube_ipvs0": _dummy(observed.kube_ipvs0),
    }
    counts = {
        "chains": sum(entry["chains"] for entry in iptables),
        "rules": sum(entry["rules"] for entry in iptables),
        "jumps": sum(len(graph.verdict()[1]) for graph in observed.graphs),
        "ipsets": len(sets),
        "virtual_servers": len(ours),
        "nft_tables": len(tables),
        "kube_ipvs0_addresses": len(observed.kube_ipvs0 or ()),
    }
    blockers = [b for graph in observed.graphs for b in _blockers(graph)]
    return {
        "residue": residue,
        "survivors": _survivors(observed, theirs),
        "blockers": blockers,
        "counts": {**counts, "blockers": _references(observed.graphs)},
        "modes": _modes(observed.graphs, ours, sets, tables, observed.kube_ipvs0),
        "running": observed.running,
        "sysctls": dict(observed.sysctls),
        "errors": list(observed.errors),
    }


def _native(table: NftTable) -> bool:
    return table.name == names.NFT_TABLE and table.family in ("ip", "ip6")


def _dummy(addresses: Sequence[str] | None) -> dict[str, Any] | None:
    if addresses is None:
        return None
    return {"addresses": len(addresses), "sample": list(addresses[:_SOME])}


def _residue(graph: Graph) -> dict[str, Any] | None:
    """What can go from one table; None when that is nothing."""
    chains, jumps = graph.verdict()
    if not chains and not jumps:
        return None
    kept = graph.kept()
    return {
        "backend": graph.backend,
        "family": graph.family,
        "table": graph.table,
        "chains": len(chains),
        "by_kind": dict(sorted(Counter(graph.chains[c] for c in chains).items())),
        "kept": len(kept),
        "rules": graph.rules,
        "jumps": [_cut(rule.text) for rule in jumps[:_SOME]],
        "complete": graph.complete,
    }


def _blockers(graph: Graph) -> list[dict[str, Any]]:
    """Other people's references into kube-proxy's chains and sets, by what they point at."""
    chains: dict[str, list[Rule]] = {}
    for rule in graph.foreign:
        chains.setdefault(str(rule.target), []).append(rule)
    sets: dict[str, list[Rule]] = {}
    for rule in graph.foreign_sets:
        for name in sorted(set(rule.sets) & names.IPSETS):
            sets.setdefault(name, []).append(rule)
    # One entry for each chain that is pointed at would be 30,000 in the worst case.
    few = list(chains.items())[:_SOME]
    found = [_blocker(graph, "chain", c, r, graph.reachable(c)) for c, r in few]
    return found + [_blocker(graph, "ipset", name, rules, {name}) for name, rules in sets.items()]


def _references(graphs: Sequence[Graph]) -> int:
    return sum(len(graph.foreign) + len(graph.foreign_sets) for graph in graphs)


def _blocker(
    graph: Graph, what: str, target: str, rules: list[Rule], keeps: set[str]
) -> dict[str, Any]:
    return {
        "what": what,
        "backend": graph.backend,
        "family": graph.family,
        "table": graph.table,
        "target": target,
        "references": len(rules),
        "rules": [_cut(rule.text) for rule in rules[:_FEW]],
        "keeps": sorted(keeps)[:_SOME],
        "keeps_count": len(keeps),
    }


def _survivors(observed: Observed, theirs: list[ipvs.VirtualServer]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for graph in observed.graphs:
        where = (graph.backend, graph.family, graph.table)
        for owner, count in sorted(graph.other_chains.items()):
            sample = graph.samples[("chains", owner)]
            found.append(_survivor("chains", owner, count, sample, where))
        for owner, count in sorted(graph.other_rules.items()):
            sample = graph.samples[("rules", owner)]
            found.append(_survivor("rules", owner, count, sample, where))
        strict = [f"{c} {p}" for c, p in sorted(graph.policies.items()) if p not in ("ACCEPT", "-")]
        if strict:
            found.append(_survivor("policies", "other", len(strict), strict, where))
    others = [t for t in observed.nft_tables if not (_native(t) or _of_iptables(t))]
    found += [
        _survivor(
            "nft_table", names.owner("", t.name.upper() + "-"), 1, [t.name], ("nft", t.family)
        )
        for t in others[:_SOME]
    ]
    sets = [s.name for s in observed.ipsets if s.name not in names.IPSETS]
    if sets:
        found.append(_survivor("ipsets", "other", len(sets), sets))
    if theirs:
        found.append(_survivor("virtual_servers", "other", len(theirs), [str(s) for s in theirs]))
    return found


def _of_iptables(table: NftTable) -> bool:
    return table.family in ("ip", "ip6") and table.name in names.IPTABLES_TABLES


def _survivor(
    what: str, owner: str, count: int, sample: list[str], where: tuple[str, ...] = ()
) -> dict[str, Any]:
    backend, family, table = (*where, None, None, None)[:3]
    return {
        "what": what,
        "owner": owner,
        "backend": backend,
        "family": family,
        "table": table,
        "count": count,
        "sample": [_cut(text) for text in sample[:_FEW]],
    }


def _modes(
    graphs: Sequence[Graph],
    servers: list[ipvs.VirtualServer],
    sets: list[IpSet],
    tables: list[NftTable],
    dummy: Sequence[str] | None,
) -> list[str]:
    """Which of kube-proxy's modes left something; several after a change of mode."""
    kinds = {kind for graph in graphs for kind in graph.chains.values()}
    found = []
    if any(kind.endswith("*") or kind == "KUBE-NODEPORTS" for kind in kinds):
        found.append("iptables")
    if servers or sets or dummy is not None or "KUBE-NODE-PORT" in kinds:
        found.append("ipvs")
    if tables:
        found.append("nftables")
    return found


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT else text[: _TEXT - 3] + "..."
