# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""AntreaProxy of the lab's agent: pods' ClusterIPs always, and with proxyAll the node's too.

The real one does it with flows, whose connection tracking needs zones that the lab's kernel does
not have. Here an nft table ``ip antrea-flows`` does it, with the same signs outside: the route to
the ClusterIPs leads to antrea-gw0, NodePorts are taken before kube-proxy sees them, and the host's
ClusterIPs only when they really go to antrea-gw0 (not when kube-ipvs0 makes them local). It goes
when OVS does, as flows would. Table ``ip antrea`` masquerades, and stays, as the real one's rules.
Source: antrea-io/antrea ``pkg/agent/route``, ``pkg/agent/proxy``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.lab.actors import antrea_ovs as ovs
from tests.lab.actors.kube_services import Port

Obj = dict[str, Any]

HOST, FLOWS = "antrea", "antrea-flows"
#: No such host: whatever is sent to it leaves by antrea-gw0.
VIRTUAL, VIRTUAL_MAC = "169.254.0.253", "aa:bb:cc:dd:ee:ff"
#: Bit of the mark for connections whose source must become the node's.
_MARK = "0x80000"
#: ovs-vswitchd's process that had the flows: flows end with it.
_OWNER = Path("/run/k8snet-lab/antrea-proxy")


def proxies_all(conf: Obj) -> bool:
    return bool((conf.get("antreaProxy") or {}).get("proxyAll"))


def override(conf: Obj) -> str:
    """Return kubeAPIServerOverride, "" without one."""
    return str(conf.get("kubeAPIServerOverride") or "")


def network(ports: Iterable[Port]) -> str:
    """Return the smallest network that covers every ClusterIP, "" without any."""
    found = [ipaddress.IPv4Network(port.address) for port in ports]
    if not found:
        return ""
    wide = found[0]
    while not all(one.subnet_of(wide) for one in found):
        wide = wide.supernet()
    return str(wide)


def host_table(cidr: str, pods: str) -> str:
    """Return what stays, for ``nft -f``. cidr: of this node's pods; pods: of all nodes'."""
    masquerade = [
        f"meta mark and {_MARK} != 0 masquerade",
        f'ip saddr {cidr} ip daddr != {pods} oifname != "{ovs.GATEWAY}" masquerade',
    ]
    hook = "nat hook postrouting priority srcnat + 5"
    return "\n".join([*_table(HOST), *_body("postrouting", masquerade, hook), "}"]) + "\n"


def flows_table(ports: Sequence[Port], cidr: str, *, everything: bool) -> str:
    """Return what serves, for ``nft -f``; ``everything``: proxyAll."""
    alive = [port for port in ports if port.endpoints]
    services = [f"{p.address} . {p.protocol} . {p.port} : goto svc-{p.hash()}" for p in alive]
    nodes = [f"{p.protocol} . {p.node_port} : goto np-{p.hash()}" for p in alive if p.node_port]
    pairs = sorted({f"{address} . {address}" for p in alive for address, _number in p.endpoints})
    look = "ip daddr . meta l4proto . th dport vmap @services"
    prerouting, output = [f"ip saddr {cidr} {look}"], []
    if everything:
        node = "fib daddr type local meta l4proto . th dport vmap @nodeports"
        prerouting += [node, look]
        output = [f'oifname "{ovs.GATEWAY}" {look}', node]
    lines = [
        *_table(FLOWS),
        *_map("services", "ipv4_addr . inet_proto . inet_service : verdict", services),
        *_map("nodeports", "inet_proto . inet_service : verdict", nodes if everything else []),
        "set hairpin {",
        "type ipv4_addr . ipv4_addr",
        *([f"elements = {{ {', '.join(pairs)} }}"] if pairs else []),
        "}",
    ]
    for port in alive:
        lines += _service(port)
    lines += [
        # Ahead of kube-proxy; of what the host sends, only what it has left.
        *_body("prerouting", prerouting, "nat hook prerouting priority dstnat - 5"),
        *_body("output", output, "nat hook output priority dstnat + 5"),
        *_body(
            "postrouting",
            ["ct status dnat ip saddr . ip daddr @hairpin masquerade"],
            "nat hook postrouting priority srcnat + 4",
        ),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _service(port: Port) -> list[str]:
    picks = [f"{index} : {a} . {number}" for index, (a, number) in enumerate(port.endpoints)]
    pick = f"numgen random mod {len(picks)} map {{ {', '.join(picks)} }}"
    out = _body(f"svc-{port.hash()}", [f"meta l4proto {port.protocol} dnat ip to {pick}"])
    if port.node_port:
        mark = f"meta mark set meta mark or {_MARK}"
        out += _body(f"np-{port.hash()}", [mark, f"goto svc-{port.hash()}"])
    return out


def _table(name: str) -> list[str]:
    return [f"add table ip {name}", f"delete table ip {name}", f"table ip {name} {{"]


def _map(name: str, kind: str, elements: Sequence[str]) -> list[str]:
    body = [f"elements = {{ {', '.join(elements)} }}"] if elements else []
    return [f"map {name} {{", f"type {kind}", *body, "}"]


def _body(name: str, rules: Sequence[str], hook: str = "") -> list[str]:
    return [f"chain {name} {{", *([f"type {hook};"] if hook else []), *rules, "}"]


class AntreaProxy:
    """What of it is in the kernel."""

    def __init__(self) -> None:
        self._text = ""
        self._route = ""
        self._peers: dict[str, str] = {}

    def forget(self) -> None:
        """At an agent's start: what a vswitchd that is gone had served is served no more."""
        owner = _OWNER.read_text(encoding="ascii") if _OWNER.exists() else ""
        if owner != ovs.vswitchd():
            remove()

    def connect(self, wanted: dict[str, str]) -> None:
        """Route to the pods of other nodes."""
        for cidr, address in wanted.items() - self._peers.items():
            ovs.run("ip", "route", "replace", cidr, "via", address)
        self._peers = wanted

    def sync(self, ports: Sequence[Port], cidr: str, pods: str, *, everything: bool) -> None:
        """Serve ``ports``. Raises OSError."""
        text = host_table(cidr, pods) + flows_table(ports, cidr, everything=everything)
        if text != self._text or not {HOST, FLOWS} <= _tables():
            ovs.run("nft", "-f", "-", text=text)
            _OWNER.write_text(ovs.vswitchd(), encoding="ascii")
            self._text = text
        route = network(ports) if everything else ""
        have = _routes()
        if route != self._route or (route and route not in have) or (have and not route):
            if route:
                words = (VIRTUAL, "lladdr", VIRTUAL_MAC, "dev", ovs.GATEWAY, "nud", "permanent")
                ovs.run("ip", "neighbour", "replace", *words)
                via = ("via", VIRTUAL, "dev", ovs.GATEWAY, "onlink")
                ovs.run("ip", "route", "replace", route, *via)
            for old in have:
                if old != route:
                    ovs.run("ip", "route", "del", old, "via", VIRTUAL, "dev", ovs.GATEWAY)
            self._route = route


def peers(nodes: Iterable[Obj], own: str) -> dict[str, str]:
    """Return the pod networks of other nodes, and the address that routes to each (noEncap)."""
    found = {}
    for node in nodes:
        addresses = (node.get("status") or {}).get("addresses") or ()
        address = next((a["address"] for a in addresses if a["type"] == "InternalIP"), "")
        cidr = node["spec"].get("podCIDR")
        if cidr and address and node["metadata"]["name"] != own:
            found[cidr] = address
    return found


def remove() -> None:
    """Serve nothing any more. The route stays, as with the real one."""
    if _OWNER.exists():
        if FLOWS in _tables():
            ovs.run("nft", "delete", "table", "ip", FLOWS)
        _OWNER.unlink()


def _tables() -> set[str]:
    lines = ovs.run("nft", "list", "tables").splitlines()
    return {line.removeprefix("table ip ") for line in lines if line.startswith("table ip ")}


def _routes() -> list[str]:
    if not ovs.exists(ovs.GATEWAY):
        return []
    found = ovs.run("ip", "-4", "route", "show", "via", VIRTUAL, "dev", ovs.GATEWAY).splitlines()
    return [line.split()[0] for line in found]
