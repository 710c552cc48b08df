# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists nf_tables' tables and chains, by netlink: nodes often have no ``nft``."""

from __future__ import annotations

from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy import NftTable
from ansible_collections.k8snet.cni.plugins.module_utils.node import _nfnetlink as nl

_GET_TABLE = nl.SUBSYS_NFTABLES << 8 | 1
_GET_CHAIN = nl.SUBSYS_NFTABLES << 8 | 4
_TABLE_NAME = 1
_CHAIN_TABLE = 1
_CHAIN_NAME = 3
_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}


def tables(timeout: float = 10.0) -> list[NftTable]:
    """Every table with its chains; none where nf_tables is not loaded. Raises NetlinkError."""
    if not nl.may_ask("nf_tables"):
        return []
    try:
        found = nl.dump(nl.NETLINK_NETFILTER, _GET_TABLE, nl.netfilter(0), timeout)
        chains = nl.dump(nl.NETLINK_NETFILTER, _GET_CHAIN, nl.netfilter(0), timeout)
    except nl.NetlinkError as exc:
        if exc.code in nl.NOT_THERE:
            return []
        raise
    members: dict[tuple[int, str], list[str]] = {}
    for body in chains:
        values = dict(nl.attributes(body, 4))
        if _CHAIN_TABLE in values and _CHAIN_NAME in values:
            key = (body[0], nl.text(values[_CHAIN_TABLE]))
            members.setdefault(key, []).append(nl.text(values[_CHAIN_NAME]))
    result = []
    for body in found:
        name = nl.text(dict(nl.attributes(body, 4)).get(_TABLE_NAME, b""))
        family = _FAMILIES.get(body[0], str(body[0]))
        result.append(NftTable(family, name, tuple(members.get((body[0], name), ()))))
    return result
