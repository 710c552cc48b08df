# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kube-proxy's iptables mode as text for iptables-restore. Pure.

Source: Kubernetes ``pkg/proxy/iptables/proxier.go``. Lines are as iptables-save prints them.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.lab.actors.kube_services import Port

Tables = dict[str, tuple[list[str], list[str], list[str]]]

_CANARY = "KUBE-PROXY-CANARY"
_NEW = "-m conntrack --ctstate NEW "
_REJECT = "-j REJECT --reject-with icmp-port-unreachable"


def jump(chain: str, comment: str, target: str, match: str = "") -> str:
    return f'-A {chain} {match}-m comment --comment "{comment}" -j {target}'


_NAT_JUMPS = [
    jump("PREROUTING", "kubernetes service portals", "KUBE-SERVICES"),
    jump("OUTPUT", "kubernetes service portals", "KUBE-SERVICES"),
    jump("POSTROUTING", "kubernetes postrouting rules", "KUBE-POSTROUTING"),
]
_FIREWALL = "kubernetes load balancer firewall"
_EXTERNAL = "kubernetes externally-visible service portals"
_PORTALS = "kubernetes service portals"
_FILTER_JUMPS = [
    jump("INPUT", _FIREWALL, "KUBE-PROXY-FIREWALL", _NEW),
    jump("INPUT", "kubernetes health check service ports", "KUBE-NODEPORTS"),
    jump("INPUT", _EXTERNAL, "KUBE-EXTERNAL-SERVICES", _NEW),
    jump("FORWARD", _FIREWALL, "KUBE-PROXY-FIREWALL", _NEW),
    jump("FORWARD", "kubernetes forwarding rules", "KUBE-FORWARD"),
    jump("FORWARD", _PORTALS, "KUBE-SERVICES", _NEW),
    jump("FORWARD", _EXTERNAL, "KUBE-EXTERNAL-SERVICES", _NEW),
    jump("OUTPUT", _FIREWALL, "KUBE-PROXY-FIREWALL", _NEW),
    jump("OUTPUT", _PORTALS, "KUBE-SERVICES", _NEW),
]
#: Masquerading, in nat of every mode that uses iptables.
MASQUERADE = [
    "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
    "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
    "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
    '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" '
    "-j MASQUERADE --random-fully",
]
FORWARD = [
    '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" '
    "-m mark --mark 0x4000/0x4000 -j ACCEPT",
    '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" '
    "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
]


def tables(ports: Iterable[Port], cidr: str = "") -> Tables:
    """Return table -> (chains, jumps into them, rules). No ports: what IPv6 has in a v4 cluster."""
    chains = ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ", _CANARY]
    rules = list(MASQUERADE)
    refused = []
    for port in ports:
        if not port.endpoints:
            refused.append(
                f"-A KUBE-SERVICES -d {port.address}/32 -p {port.protocol} "
                f'-m comment --comment "{port.label} has no endpoints" '
                f"-m {port.protocol} --dport {port.port} {_REJECT}"
            )
            continue
        made, more = _service(port, cidr)
        chains += made
        rules += more
    rules.append(
        '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must '
        'be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS'
    )
    filters = ["KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD", "KUBE-NODEPORTS"]
    invalid = "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP"
    return {
        "mangle": ([_CANARY], [], []),
        "filter": (
            [*filters, "KUBE-PROXY-FIREWALL", _CANARY],
            _FILTER_JUMPS,
            [invalid, *FORWARD, *refused],
        ),
        "nat": (chains, _NAT_JUMPS, rules),
    }


def _service(port: Port, cidr: str) -> tuple[list[str], list[str]]:
    """Return the chains of one port and their rules."""
    text = f'-m comment --comment "{port.label}'
    match = f"-m {port.protocol} --dport"
    svc, ext = f"KUBE-SVC-{port.hash()}", f"KUBE-EXT-{port.hash()}"
    to = f'-d {port.address}/32 -p {port.protocol} {text} cluster IP" {match} {port.port}'
    chains, rules = [svc], [f"-A KUBE-SERVICES {to} -j {svc}"]
    if cidr:
        rules.append(f"-A {svc} ! -s {cidr} {to} -j KUBE-MARK-MASQ")
    if port.node_port:
        chains.append(ext)
        rules += [
            f'-A KUBE-NODEPORTS -p {port.protocol} {text}" {match} {port.node_port} -j {ext}',
            f'-A {ext} -m comment --comment "masquerade traffic for {port.label} external '
            'destinations" -j KUBE-MARK-MASQ',
            f"-A {ext} -j {svc}",
        ]
    for index, (address, number) in enumerate(port.endpoints):
        target = f"{address}:{number}"
        sep = f"KUBE-SEP-{port.hash(target)}"
        chains.append(sep)
        left = len(port.endpoints) - index
        pick = f"-m statistic --mode random --probability {1 / left:.11f} " if left > 1 else ""
        rules += [
            f'-A {svc} {text} -> {target}" {pick}-j {sep}',
            f'-A {sep} -s {address}/32 {text}" -j KUBE-MARK-MASQ',
            f'-A {sep} -p {port.protocol} {text}" -m {port.protocol} '
            f"-j DNAT --to-destination {target}",
        ]
    return chains, rules


def restore(wanted: Tables, saved: dict[str, list[str]], stale: dict[str, list[str]]) -> str:
    """Return the text for ``iptables-restore --noflush``.

    saved: table -> rules as iptables-save prints them, for the jumps that are there.
    stale: table -> chains to drop.
    """
    out: list[str] = []
    for table, (chains, jumps, rules) in wanted.items():
        have = saved.get(table, [])
        gone = stale.get(table, [])
        out += [f"*{table}", *(f":{chain} - [0:0]" for chain in [*chains, *gone])]
        # As kube-proxy does: its jumps go to the front, each before the one of before.
        out += [_first(line) for line in jumps if line not in have]
        out += [*rules, *(f"-X {chain}" for chain in gone), "COMMIT"]
    return "\n".join(out) + "\n"


def _first(line: str) -> str:
    chain, _space, rest = line.removeprefix("-A ").partition(" ")
    return f"-I {chain} 1 {rest}"


def parse(saved: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return what iptables-save printed as table -> chains, and table -> rules."""
    chains: dict[str, list[str]] = {}
    rules: dict[str, list[str]] = {}
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
            chains[table], rules[table] = [], []
        elif line.startswith(":"):
            chains[table].append(line[1:].split()[0])
        elif line.startswith("-A"):
            rules[table].append(line)
    return chains, rules
