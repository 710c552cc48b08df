# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which chains of one table can go, which rules lead into them, what blocks. Pure.

Deleting a chain that anything still jumps to fails ("Device or resource busy"), and
``iptables-nft-restore --test`` does not notice. So the graph of references is built here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _iptables_save as save
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_chains as names

MASQUERADE_MARK = "KUBE-MARK-MASQ"
MASQUERADE = "KUBE-POSTROUTING"
_SAMPLE = 5


class Graph:
    """One table of one back end and family, as far as kube-proxy's residue needs it.

    Memory grows with kube-proxy's chains and with the rules that point into them, not with the
    rules of others.
    """

    def __init__(self, backend: str, family: str, table: str, complete: bool = True) -> None:
        self.backend = backend
        self.family = family
        self.table = table
        #: False when only the chains are known, not the rules.
        self.complete = complete
        #: kube-proxy's chains, in the order of the save, and the kind of each.
        self.chains: dict[str, str] = {}
        #: How many rules stand in kube-proxy's chains.
        self.rules = 0
        #: kube-proxy's chain to the kube-proxy's chains that it jumps to.
        self.edges: dict[str, set[str]] = {}
        #: kube-proxy's own rules in built-in chains.
        self.jumps: list[save.Rule] = []
        #: Other people's rules that lead into kube-proxy's chains.
        self.foreign: list[save.Rule] = []
        #: Other people's rules that use kube-proxy's sets.
        self.foreign_sets: list[save.Rule] = []
        #: kube-proxy's chain to how often its rules name each ipset and nfacct object.
        self.named: dict[str, Counter[str]] = {}
        #: Whether a rule of others has the kernel track connections.
        self.tracks = False
        self.other_chains: Counter[str] = Counter()
        self.other_rules: Counter[str] = Counter()
        self.samples: dict[tuple[str, str], list[str]] = {}
        self.policies: dict[str, str] = {}

    def add_chain(self, chain: str, policy: str = "-") -> None:
        """Note a chain; built-in ones for their policy."""
        kind = names.kind(self.table, chain)
        if kind is not None:
            self.chains[chain] = kind
        elif chain in names.BUILT_IN:
            self.policies[chain] = policy
        else:
            self._other("chains", names.owner(self.table, chain), chain)

    def add_rule(self, rule: save.Rule) -> None:
        """Note a rule. All chains of the table come before its first rule."""
        into = rule.target if rule.target in self.chains else None
        if rule.chain in self.chains:
            self.rules += 1
            if into is not None:
                self.edges.setdefault(rule.chain, set()).add(into)
            if rule.sets or rule.accounts:
                used = self.named.setdefault(rule.chain, Counter())
                used.update(rule.sets + rule.accounts)
            return
        # A text with a line break cannot be told to iptables-restore: its rest would be a line of
        # its own, a command. kube-proxy writes none.
        own = into is not None and names.own_jump(self.table, rule.chain, into)
        if own and "\n" not in rule.text:
            self.jumps.append(rule)
            return
        if into is not None:
            self.foreign.append(rule)
        self.tracks = self.tracks or save.tracks(rule.text)
        if any(name in names.IPSETS for name in rule.sets):
            self.foreign_sets.append(rule)
        bearer = rule.target or "" if rule.chain in names.BUILT_IN else rule.chain
        self._other("rules", names.owner(self.table, bearer), rule.text)

    def _other(self, what: str, owner: str, sample: str) -> None:
        (self.other_chains if what == "chains" else self.other_rules)[owner] += 1
        kept = self.samples.setdefault((what, owner), [])
        if len(kept) < _SAMPLE:
            kept.append(sample)

    def reachable(self, chain: str) -> set[str]:
        """kube-proxy's chains that must stay when ``chain`` does, itself included."""
        found: set[str] = set()
        waiting = [chain]
        while waiting:
            current = waiting.pop()
            if current in found:
                continue
            found.add(current)
            waiting += self.edges.get(current, ())
            # The mark alone does nothing: it is the POSTROUTING chain that acts on it.
            if current == MASQUERADE_MARK and MASQUERADE in self.chains:
                waiting.append(MASQUERADE)
        return found

    def kept(self) -> set[str]:
        """kube-proxy's chains that have to stay because of other people's rules."""
        found: set[str] = set()
        for target in {str(rule.target) for rule in self.foreign}:
            if target not in found:
                found |= self.reachable(target)
        return found

    def verdict(self) -> tuple[list[str], list[save.Rule]]:
        """(chains to delete, rules in built-in chains to delete), in the order of the save."""
        kept = self.kept()
        chains = [chain for chain in self.chains if chain not in kept]
        masquerade_stays = MASQUERADE_MARK in kept and MASQUERADE in kept
        jumps = [r for r in self.jumps if not (masquerade_stays and r.target == MASQUERADE)]
        return chains, jumps


def build(
    backend: str, family: str, lines: Iterable[str]
) -> tuple[list[Graph], list[str], save.SaveSyntaxError | None]:
    """(one Graph for each complete table, tables iptables cannot show, what stopped the reading).

    A table that ends too early is left out: half of its rules prove nothing.
    """
    graphs: list[Graph] = []
    incompatible: list[str] = []
    try:
        for entry in save.parse(lines):
            if isinstance(entry, save.Rule):
                if not graphs:
                    raise save.SaveSyntaxError(f"a rule outside a table: {entry.text[:60]!r}")
                graphs[-1].add_rule(entry)
            elif isinstance(entry, save.Chain):
                if not graphs:
                    raise save.SaveSyntaxError(f"a chain outside a table: {entry.name[:60]!r}")
                graphs[-1].add_chain(entry.name, entry.policy)
            elif isinstance(entry, save.Table):
                graphs.append(Graph(backend, family, entry.name))
            else:
                incompatible.append(entry.table)
    except save.SaveSyntaxError as exc:
        return graphs[:-1], incompatible, exc
    return graphs, incompatible, None
