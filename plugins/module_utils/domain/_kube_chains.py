# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which names are kube-proxy's, and whose the others are. Pure.

Read from Kubernetes 1.36 ``pkg/proxy/{iptables,ipvs,nftables}``; names that only older releases
used are marked. Names are matched exactly; a prefix counts only with kube-proxy's own 16
characters of base32 behind it, so ``KUBE-SERVICES-CUSTOM`` and ``KUBE-SVC-MINE`` are somebody
else's.
"""

from __future__ import annotations

import re

BUILT_IN = frozenset({"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"})

_EXACT: dict[str, frozenset[str]] = {
    "nat": frozenset(
        {"KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"}
        | {"KUBE-PROXY-CANARY", "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER"}
    ),
    "filter": frozenset(
        {"KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD", "KUBE-NODEPORTS"}
        | {"KUBE-PROXY-FIREWALL", "KUBE-PROXY-CANARY", "KUBE-NODE-PORT"}
        | {"KUBE-SOURCE-RANGES-FIREWALL", "KUBE-IPVS-FILTER", "KUBE-IPVS-OUT-FILTER"}
    ),
    "mangle": frozenset({"KUBE-PROXY-CANARY"}),
}
# KUBE-XLB is from before 1.24.
_PER_SERVICE = re.compile(r"(KUBE-(?:SVC|SVL|SEP|FW|EXT|XLB)-)[A-Z2-7]{16}\Z")

#: The rules in built-in chains that kube-proxy itself writes: (table, chain, target).
_JUMPS = frozenset(
    {
        ("nat", "PREROUTING", "KUBE-SERVICES"),
        ("nat", "OUTPUT", "KUBE-SERVICES"),
        ("nat", "POSTROUTING", "KUBE-POSTROUTING"),
        ("filter", "INPUT", "KUBE-PROXY-FIREWALL"),
        ("filter", "FORWARD", "KUBE-PROXY-FIREWALL"),
        ("filter", "OUTPUT", "KUBE-PROXY-FIREWALL"),
        ("filter", "INPUT", "KUBE-EXTERNAL-SERVICES"),
        ("filter", "FORWARD", "KUBE-EXTERNAL-SERVICES"),
        ("filter", "INPUT", "KUBE-SERVICES"),  # 1.6 to 1.9
        ("filter", "FORWARD", "KUBE-SERVICES"),
        ("filter", "OUTPUT", "KUBE-SERVICES"),
        ("filter", "INPUT", "KUBE-NODEPORTS"),
        ("filter", "FORWARD", "KUBE-FORWARD"),
        ("filter", "INPUT", "KUBE-NODE-PORT"),
        ("filter", "INPUT", "KUBE-IPVS-FILTER"),
        ("filter", "OUTPUT", "KUBE-IPVS-OUT-FILTER"),
    }
)

_SETS = [
    "LOOP-BACK",
    "CLUSTER-IP",
    "EXTERNAL-IP",
    "EXTERNAL-IP-LOCAL",
    "LOAD-BALANCER",
    "LOAD-BALANCER-LOCAL",
    "LOAD-BALANCER-FW",
    "LOAD-BALANCER-SOURCE-IP",
    "LOAD-BALANCER-SOURCE-CIDR",
    "NODE-PORT-TCP",
    "NODE-PORT-LOCAL-TCP",
    "NODE-PORT-UDP",
    "NODE-PORT-LOCAL-UDP",
    "NODE-PORT-SCTP-HASH",
    "NODE-PORT-LOCAL-SCTP-HASH",
    "HEALTH-CHECK-NODE-PORT",
    "IPVS-IPS",
]
_LONGEST_SET = 31
IPSETS = frozenset(
    [f"KUBE-{name}" for name in _SETS] + [f"KUBE-6-{name}"[:_LONGEST_SET] for name in _SETS]
)
#: The sets that say which ports of the node's own addresses are Services.
NODE_PORT_SETS = frozenset(name for name in IPSETS if re.match(r"KUBE-(6-)?NODE-PORT-", name))

NFT_TABLE = "kube-proxy"
#: Tables that iptables-nft keeps its rules in; they are judged as iptables' tables.
IPTABLES_TABLES = frozenset({"filter", "nat", "mangle", "raw", "security"})

_KUBELET = {
    ("mangle", "KUBE-IPTABLES-HINT"),
    ("mangle", "KUBE-KUBELET-CANARY"),
    ("nat", "KUBE-KUBELET-CANARY"),
    ("filter", "KUBE-KUBELET-CANARY"),
    ("filter", "KUBE-FIREWALL"),
    ("nat", "KUBE-MARK-DROP"),  # kubelet up to 1.26
}
_OWNERS = (
    ("KUBE-HOSTPORTS", "cri-o"),
    ("KUBE-HP-", "cri-o"),
    ("KUBE-ROUTER-", "kube-router"),
    ("KUBE-NWPLCY-", "kube-router"),
    ("KUBE-POD-FW-", "kube-router"),
    ("KUBE-", "kubernetes"),
    ("cali-", "calico"),
    ("ANTREA-", "antrea"),
    ("CNI-", "cni"),
    ("DOCKER", "docker"),
)


def kind(table: str, chain: str) -> str | None:
    """kube-proxy's kind of chain (``KUBE-SERVICES``, ``KUBE-SVC-*``), None if not its own."""
    if chain in _EXACT.get(table, ()):
        return chain
    found = _PER_SERVICE.match(chain) if table == "nat" else None
    return found.group(1) + "*" if found else None


def table_owner(table: str) -> str:
    """Whose a native nftables table is, by its name."""
    word = table.lower().partition("-")[0]
    return word if word in ("antrea", "calico", "docker", "firewalld", "libvirt") else "other"


def own_jump(table: str, chain: str, target: str) -> bool:
    """Whether a rule in a built-in chain that leads to ``target`` is one that kube-proxy writes."""
    return (table, chain, target) in _JUMPS


def owner(table: str, chain: str) -> str:
    """Whose a chain is that is not kube-proxy's; ``other`` when its name does not tell."""
    if (table, chain) in _KUBELET:
        return "kubelet"
    for prefix, name in _OWNERS:
        if chain.startswith(prefix):
            return name
    return "other"
