# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether connections are still tracked when kube-proxy's rules have gone. Pure.

The kernel tracks a family's connections while some rule in the network namespace needs it. With
the last such rule the translation of connections that are open ends too, and they break.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_chains as names
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_proxy as facts
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_graph import Graph

#: Families of nftables whose tables see a family's packets.
_SEES = {"ip": ("ip", "inet"), "ip6": ("ip6", "inet")}


def ends(
    graphs: Sequence[Graph], nft_tables: Iterable[facts.NftTable], switched: bool
) -> list[str]:
    """Return the families (ip, ip6) whose tracking ends with kube-proxy's rules.

    :param graphs: every table of iptables.
    :param nft_tables: every table of nf_tables. What native ones of others need is not known, so
        that they count as if they needed it.
    :param switched: whether Open vSwitch's datapath is there, which may track by itself.
    """
    tables = list(nft_tables)
    found = []
    for family, sees in _SEES.items():
        own = [graph for graph in graphs if graph.family == family]
        held = any(graph.tracks or (graph.table == "nat" and graph.kept()) for graph in own)
        unknown = switched or any(t.family in sees and _native(t) for t in tables)
        if any(g.table == "nat" and g.rules for g in own) and not held and not unknown:
            found.append(family)
    return found


def _native(table: facts.NftTable) -> bool:
    """Whether a table is neither kube-proxy's nor one that iptables shows."""
    return table.family == "inet" or table.name not in {names.NFT_TABLE, *names.IPTABLES_TABLES}
