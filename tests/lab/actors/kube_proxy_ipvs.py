# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kube-proxy's IPVS mode: sets for ipset, virtual servers for ipvsadm, rules for iptables. Pure.

Source: Kubernetes ``pkg/proxy/ipvs`` (``ipset.go``, ``proxier.go``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.lab.actors.kube_proxy_iptables import FORWARD, MASQUERADE, Tables, jump
from tests.lab.actors.kube_services import Port

DEVICE = "kube-ipvs0"
#: Name without "KUBE-" -> type.
_SETS = {
    "LOOP-BACK": "hash:ip,port,ip",
    "CLUSTER-IP": "hash:ip,port",
    "EXTERNAL-IP": "hash:ip,port",
    "EXTERNAL-IP-LOCAL": "hash:ip,port",
    "LOAD-BALANCER": "hash:ip,port",
    "LOAD-BALANCER-LOCAL": "hash:ip,port",
    "LOAD-BALANCER-FW": "hash:ip,port",
    "LOAD-BALANCER-SOURCE-IP": "hash:ip,port,ip",
    "LOAD-BALANCER-SOURCE-CIDR": "hash:ip,port,net",
    "NODE-PORT-TCP": "bitmap:port",
    "NODE-PORT-LOCAL-TCP": "bitmap:port",
    "NODE-PORT-UDP": "bitmap:port",
    "NODE-PORT-LOCAL-UDP": "bitmap:port",
    "NODE-PORT-SCTP-HASH": "hash:ip,port",
    "NODE-PORT-LOCAL-SCTP-HASH": "hash:ip,port",
    "HEALTH-CHECK-NODE-PORT": "bitmap:port",
    "IPVS-IPS": "hash:ip",
}

_FILTER_JUMPS = [
    jump("INPUT", "kubernetes ipvs access filter", "KUBE-IPVS-FILTER"),
    jump("INPUT", "kube-proxy firewall rules", "KUBE-PROXY-FIREWALL"),
    jump("INPUT", "kubernetes health check rules", "KUBE-NODE-PORT"),
    jump("FORWARD", "kube-proxy firewall rules", "KUBE-PROXY-FIREWALL"),
    jump("FORWARD", "kubernetes forwarding rules", "KUBE-FORWARD"),
    jump("OUTPUT", "kubernetes ipvs access filter", "KUBE-IPVS-OUT-FILTER"),
]
_NAT_JUMPS = [
    jump("PREROUTING", "kubernetes service portals", "KUBE-SERVICES"),
    jump("OUTPUT", "kubernetes service portals", "KUBE-SERVICES"),
    jump("POSTROUTING", "kubernetes postrouting rules", "KUBE-POSTROUTING"),
]
#: Sets of what may be reached on kube-ipvs0's addresses.
_REACHED = ("LOAD-BALANCER", "CLUSTER-IP", "EXTERNAL-IP", "EXTERNAL-IP-LOCAL")


def set_name(name: str, family: str) -> str:
    """The kernel's limit cuts IPv6 names at 31 characters."""
    return (f"KUBE-6-{name}" if family == "ip6" else f"KUBE-{name}")[:31]


def sets(ports: Iterable[Port], family: str) -> str:
    """Return the text for ``ipset restore -exist``."""
    out = []
    for name, kind in _SETS.items():
        net = "inet6" if family == "ip6" else "inet"
        more = "range 0-65535" if kind == "bitmap:port" else f"family {net}"
        out += [f"create {set_name(name, family)} {kind} {more}", f"flush {set_name(name, family)}"]
    for port in ports:
        out += [
            f"add {set_name('CLUSTER-IP', family)} {port.address},{port.protocol}:{port.port}",
            f"add {set_name('IPVS-IPS', family)} {port.address}",
        ]
        if port.node_port and port.protocol in ("tcp", "udp"):
            name = set_name(f"NODE-PORT-{port.protocol.upper()}", family)
            out.append(f"add {name} {port.node_port}")
        out += [
            f"add {set_name('LOOP-BACK', family)} {a},{port.protocol}:{number},{a}"
            for a, number in port.endpoints
        ]
    return "\n".join(out) + "\n"


def servers(ports: Iterable[Port], local: Sequence[str]) -> dict[str, list[str]]:
    """Return virtual server ("-t 10.96.0.1:443") -> its real servers ("10.160.1.1:6443")."""
    found: dict[str, list[str]] = {}
    for port in ports:
        flag = {"tcp": "-t", "udp": "-u"}[port.protocol]
        places = [f"{port.address}:{port.port}"]
        places += [f"{address}:{port.node_port}" for address in local if port.node_port]
        for place in places:
            found[f"{flag} {place}"] = [f"{a}:{number}" for a, number in port.endpoints]
    return found


def commands(wanted: dict[str, list[str]], have: dict[str, list[str]], own: set[str]) -> str:
    """Return the text for ``ipvsadm -R``; of what is there only ``own`` addresses are dropped."""
    out = []
    for server, real in have.items():
        if server not in wanted and server.split()[1].rpartition(":")[0] in own:
            out.append(f"-D {server}")
        elif server in wanted:
            out += [f"-d {server} -r {one}" for one in real if one not in wanted[server]]
    for server, real in wanted.items():
        if server not in have:
            out.append(f"-A {server} -s rr")
        out += [f"-a {server} -r {one} -m" for one in real if one not in have.get(server, [])]
    return "".join(f"{line}\n" for line in out)


def parse(saved: str) -> dict[str, list[str]]:
    """Return what ``ipvsadm -Sn`` printed as ``servers`` does."""
    found: dict[str, list[str]] = {}
    for line in saved.splitlines():
        words = line.split()
        if words[0] == "-A":
            found[" ".join(words[1:3])] = []
        elif words[0] == "-a":
            found[" ".join(words[1:3])].append(words[4])
    return found


def tables(family: str, cidr: str) -> Tables:
    """Return the rules as ``kube_proxy_iptables.tables`` does."""

    def match(name: str, how: str) -> str:
        return f"-m set --match-set {set_name(name, family)} {how}"

    masq = '-m comment --comment "Kubernetes {}"'
    cluster = masq.format("service cluster ip + port for masquerade purpose")
    node = masq.format("nodeport {} port for masquerade purpose")
    loop = masq.format("endpoints dst ip:port, source ip for solving hairpin purpose")
    source = f"! -s {cidr} " if cidr else ""
    nat = [
        "-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ",
        f"-A KUBE-POSTROUTING {loop} {match('LOOP-BACK', 'dst,dst,src')} -j MASQUERADE",
        *MASQUERADE,
        *(
            f"-A KUBE-NODE-PORT -p {p.lower()} {node.format(p)} "
            f"{match(f'NODE-PORT-{p}', 'dst')} -j KUBE-MARK-MASQ"
            for p in ("TCP", "UDP")
        ),
        f"-A KUBE-SERVICES {source}{cluster} {match('CLUSTER-IP', 'dst,dst')} -j KUBE-MARK-MASQ",
        "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT",
        f"-A KUBE-SERVICES {match('CLUSTER-IP', 'dst,dst')} -j ACCEPT",
    ]
    reject = "icmp6-port-unreachable" if family == "ip6" else "icmp-port-unreachable"
    filters = [
        *FORWARD,
        f"-A KUBE-NODE-PORT {masq.format('health check node port')} "
        f"{match('HEALTH-CHECK-NODE-PORT', 'dst')} -j ACCEPT",
        "-A KUBE-SOURCE-RANGES-FIREWALL -j DROP",
        *(f"-A KUBE-IPVS-FILTER {match(name, 'dst,dst')} -j RETURN" for name in _REACHED),
        f"-A KUBE-IPVS-FILTER -m conntrack --ctstate NEW {match('IPVS-IPS', 'dst')} "
        f"-j REJECT --reject-with {reject}",
    ]
    chains = ["KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER"]
    more = ["KUBE-FORWARD", "KUBE-NODE-PORT", "KUBE-PROXY-FIREWALL", "KUBE-SOURCE-RANGES-FIREWALL"]
    return {
        "filter": (
            [*more, "KUBE-IPVS-FILTER", "KUBE-IPVS-OUT-FILTER"],
            _FILTER_JUMPS,
            filters,
        ),
        "nat": (
            [*chains, "KUBE-MARK-MASQ"],
            _NAT_JUMPS,
            nat,
        ),
    }
