# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kube-proxy's nftables mode as text for ``nft -f``: one transaction for each family. Pure.

Source: Kubernetes ``pkg/proxy/nftables/proxier.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.lab.actors.kube_services import Port

TABLE = "kube-proxy"


def table(ports: Iterable[Port], family: str, cidr: str = "") -> str:
    """Return the table of a family, made anew."""
    served = list(ports)
    kind = "ipv6_addr" if family == "ip6" else "ipv4_addr"
    ips = [f"{p.address} . {p.protocol} . {p.port} : goto {_chain(p)}" for p in _alive(served)]
    refused = [
        f"{p.address} . {p.protocol} . {p.port} : goto reject-chain"
        for p in served
        if not p.endpoints
    ]
    nodes = [
        f"{p.protocol} . {p.node_port} : goto {_chain(p, 'external')}"
        for p in _alive(served)
        if p.node_port
    ]
    lines = [
        f"add table {family} {TABLE}",
        f"delete table {family} {TABLE}",
        f"table {family} {TABLE} {{",
        'comment "rules for kube-proxy"',
        *_map("service-ips", f"{kind} . inet_proto . inet_service : verdict", ips),
        *_map("service-nodeports", "inet_proto . inet_service : verdict", nodes),
        *_map("no-endpoint-services", f"{kind} . inet_proto . inet_service : verdict", refused),
        *_body("mark-for-masquerade", ["mark set mark or 0x4000"]),
        *_body("reject-chain", ["reject"]),
        *_body(
            "masquerading",
            ["mark and 0x4000 == 0 return", "mark set mark xor 0x4000", "masquerade fully-random"],
        ),
    ]
    for port in _alive(served):
        lines += _service(port, family, cidr)
    look = f"{family} daddr . meta l4proto . th dport vmap"
    services = [f"{look} @service-ips"]
    if nodes:  # the lab's kernel has no fib expression for IPv6, where there are none
        services.append("fib daddr type local meta l4proto . th dport vmap @service-nodeports")
    refuse = [f"ct state new {look} @no-endpoint-services"]
    lines += [
        *_body("services", services),
        *_body("nat-prerouting", ["jump services"], "nat hook prerouting priority dstnat"),
        *_body("nat-output", ["jump services"], "nat hook output priority dstnat"),
        *_body("nat-postrouting", ["jump masquerading"], "nat hook postrouting priority srcnat"),
        *_body("filter-forward", refuse, "filter hook forward priority -110"),
        *_body("filter-output", refuse, "filter hook output priority -110"),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _alive(ports: Iterable[Port]) -> list[Port]:
    return [port for port in ports if port.endpoints]


def _chain(port: Port, what: str = "service") -> str:
    name = f"{port.namespace}/{port.service}/{port.protocol}/{port.name}"
    return f"{what}-{port.hash()[:8]}-{name}"


def _service(port: Port, family: str, cidr: str) -> list[str]:
    out: list[str] = []
    picks = []
    for index, (address, number) in enumerate(port.endpoints):
        name = f"endpoint-{port.hash(f'{address}:{number}')[:8]}-{port.namespace}/{port.service}/"
        name += f"{port.protocol}/{port.name}__{address}/{number}"
        rules = [f"{family} saddr {address} jump mark-for-masquerade"]
        rules.append(f"meta l4proto {port.protocol} dnat to {address}:{number}")
        out += _body(name, rules)
        picks.append(f"{index} : goto {name}")
    rules = [f"numgen random mod {len(picks)} vmap {{ {', '.join(picks)} }}"]
    if cidr:
        to = f"{family} daddr {port.address} {port.protocol} dport {port.port}"
        rules.insert(0, f"{to} {family} saddr != {cidr} jump mark-for-masquerade")
    out += _body(_chain(port), rules)
    if port.node_port:
        out += _body(_chain(port, "external"), ["jump mark-for-masquerade", f"goto {_chain(port)}"])
    return out


def _map(name: str, kind: str, elements: Sequence[str]) -> list[str]:
    body = [f"type {kind}"]
    if elements:
        body.append(f"elements = {{ {', '.join(elements)} }}")
    return [f"map {name} {{", *body, "}"]


def _body(name: str, rules: Sequence[str], hook: str = "") -> list[str]:
    return [f"chain {name} {{", *([f"type {hook};"] if hook else []), *rules, "}"]
