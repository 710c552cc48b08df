# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a ClusterNetworkPolicy for nodes would cut off what nodes live by. Pure.

Antrea writes rules for nodes into iptables, in the policy's order; packets of connections that
stand, and those over lo, pass before. So what counts is who may begin a connection. What cannot be
told (names of ports, groups, pods) is taken for the worse: an Allow is not counted on, and a Drop
is taken to match.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Obj = dict[str, Any]

IN, OUT = "ingress", "egress"
#: Of a policy that says nothing else.
TIER, PRIORITY = "application", 5
_ALLOW, _PASS, _DROPS = "Allow", "Pass", ("Drop", "Reject")
_TUNNELS = {
    "geneve": ("UDP", 6081),
    "vxlan": ("UDP", 4789),
    "stt": ("TCP", 7471),
    "gre": ("GRE", 0),
}
_IPSEC = (("ESP", 0), ("UDP", 500), ("UDP", 4500))
_WIREGUARD = 51820
#: Since then Antrea lets WireGuard pass before it looks at policies.
_WIREGUARD_PASSES = (2, 4)
_KUBELET, _API, _CONTROLLER_API, _AGENT_API, _MEMBERS = 10250, 6443, 10349, 10350, 10351
_ETCD = (2379, 2380)
#: Neighbour solicitation and advertisement. They are no connection, so that no rule of Antrea's own
#: lets them pass, and without them nobody is reached over IPv6. By whom and to whom they go:
_ICMP6, _NEIGHBOURS = "ICMPv6", (135, 136)
_LINK_LOCAL, _SOLICITED = "fe80::1", "ff02::1:ff00:1"
#: What nodes may live by and nobody knows the servers of.
_SERVED = (("UDP", 53, "DNS"), ("TCP", 53, "DNS"), ("UDP", 67, "DHCP"))
#: Ports that a rule is said to be about, when it is about all.
_SHOWN = 3
_SURE, _MAYBE, _NO = True, None, False


@dataclass(frozen=True)
class Flow:
    """A connection that nodes cannot do without, from or to a peer. ``port``: of ICMPv6 the type,
    0 where a protocol has none."""

    direction: str
    protocol: str
    port: int
    peer: str
    what: str


@dataclass(frozen=True)
class World:
    """``nodes``: name, labels, addresses, control_plane. ``ssh``: (address, port) of who manages
    the nodes. ``api``: (address, port) of API servers and of the Service before them.
    ``tunnels``: (protocol, port) of what carries packets between nodes."""

    nodes: tuple[Obj, ...]
    ssh: tuple[tuple[str, int], ...]
    api: tuple[tuple[str, int], ...]
    tunnels: tuple[tuple[str, int], ...] = ()


def tunnels(agent: Obj, version: tuple[int, int] | None) -> list[tuple[str, int]]:
    """Return what carries packets between nodes, of antrea-agent.conf: (protocol, port)."""
    found = []
    encap = str(agent.get("trafficEncapMode") or "encap").lower()
    if encap not in ("noencap", "networkpolicyonly"):
        kind = str(agent.get("tunnelType") or "geneve").lower()
        protocol, port = _TUNNELS.get(kind, _TUNNELS["geneve"])
        found.append((protocol, int(agent.get("tunnelPort") or port) if port else 0))
    crypto = str(agent.get("trafficEncryptionMode") or "none").lower()
    if crypto == "ipsec" or agent.get("enableIPSecTunnel"):
        found += _IPSEC
    if crypto == "wireguard" and (version is None or version < _WIREGUARD_PASSES):
        found.append(("UDP", int((agent.get("wireGuard") or {}).get("port") or _WIREGUARD)))
    return found


def selects(selector: Obj, labels: Obj) -> bool:
    """Tell whether a LabelSelector selects labels."""
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_fits(rule, labels) for rule in selector.get("matchExpressions") or ())


def _fits(rule: Obj, labels: Obj) -> bool:
    key, values = rule["key"], rule.get("values") or ()
    there, operator = key in labels, str(rule["operator"])
    if operator in ("Exists", "DoesNotExist"):
        return there == (operator == "Exists")
    return (there and labels[key] in values) == (operator == "In")


def problems(policy: Obj) -> Iterator[str]:
    """Yield what Antrea refuses, or does not do, in a policy for nodes."""
    for direction in (IN, OUT):
        for number, rule in enumerate(policy.get(direction) or (), 1):
            title = _title(direction, number, rule)
            if rule.get("action") not in (_ALLOW, _PASS, *_DROPS):
                said = f"{title}: action is {rule.get('action')}"
                yield f"{said}; it must be Allow, Drop, Reject or Pass."
            if rule.get("appliedTo"):
                yield f"{title} has an appliedTo of its own, which policies for nodes may not have."
            for key in ("l7Protocols", "toServices"):
                if rule.get(key):
                    yield f"{title} has {key}, which does nothing on nodes."
            if len(str(rule.get("logLabel") or "")) > 12:
                yield f"{title}: logLabel has more than 12 characters, the most that fit on nodes."
            for peer in _peers(direction, rule):
                if peer.get("fqdn"):
                    yield f"{title} has an fqdn, which does nothing on nodes. Name addresses."
    if not policy.get(IN) and not policy.get(OUT):
        yield "The policy has no rule."


def cut_off(policy: Obj, world: World) -> list[str]:
    """Return a sentence for each thing that nodes would lose, with the rule that takes it."""
    subjects = [n for n in world.nodes if selects(policy.get("node_selector") or {}, n["labels"])]
    lost: dict[tuple[str, str, str, int, str], list[str]] = {}
    for flow in flows(world, subjects):
        rule = _verdict(policy, flow, world)
        if rule:
            key = (flow.what, flow.direction, flow.protocol, flow.port, rule)
            lost.setdefault(key, []).append(flow.peer)
    return [
        f"{what} ({_named(protocol, port)} {'from' if direction == IN else 'to'} {_few(peers)}) "
        f"would be cut off by {rule}. Put a rule before it that allows that."
        for (what, direction, protocol, port, rule), peers in lost.items()
    ]


def _named(protocol: str, port: int) -> str:
    if protocol == _ICMP6:
        return f"{protocol} type {port}"
    return f"{protocol} {port}" if port else protocol


def doubtful(policy: Obj) -> list[str]:
    """Return a sentence for each thing that is dropped whoever serves it, and may be needed."""
    found = []
    for protocol, port, what in _SERVED:
        flow = Flow(OUT, protocol, port, "", what)
        for number, rule in enumerate(policy.get(OUT) or (), 1):
            match = _both(_about_port(rule, flow), _anywhere(rule))
            if match is _NO or (match is _MAYBE and rule.get("action") in _DROPS):
                continue
            if rule.get("action") in _DROPS:
                found.append(
                    f"{what} ({protocol} {port}) of the nodes themselves is dropped by "
                    f"{_title(OUT, number, rule)}, whoever serves it."
                )
            break
    return found


def _anywhere(rule: Obj) -> bool | None:
    """Tell whether a rule of egress is about every peer."""
    blocks = [peer.get("ipBlock") or {} for peer in _peers(OUT, rule)]
    whole = [str(b.get("cidr")).endswith("/0") and not b.get("except") for b in blocks]
    return _SURE if not blocks or any(whole) else _MAYBE


def _few(peers: Iterable[str]) -> str:
    names = list(dict.fromkeys(peers))
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def flows(world: World, subjects: list[Obj]) -> Iterator[Flow]:
    """Yield what these nodes cannot do without."""
    everybody = [a for node in world.nodes for a in node["addresses"]]
    masters = [a for node in world.nodes if node["control_plane"] for a in node["addresses"]]
    master = any(node["control_plane"] for node in subjects)
    for address, port in world.ssh:
        yield Flow(IN, "TCP", port, address, "ssh")
    for address in masters:
        yield Flow(IN, "TCP", _KUBELET, address, "kubelet")
        yield Flow(IN, "TCP", _AGENT_API, address, "antrea-agent's API")
    for address, port in world.api:
        yield Flow(OUT, "TCP", port, address, "the API server")
    for address in everybody:
        if master:
            yield Flow(IN, "TCP", _API, address, "the API server")
            yield Flow(OUT, "TCP", _KUBELET, address, "kubelet")
        for direction in (IN, OUT):
            # Any node may be the next to have its pod.
            yield Flow(direction, "TCP", _CONTROLLER_API, address, "antrea-controller")
            for protocol in ("TCP", "UDP"):
                yield Flow(direction, protocol, _MEMBERS, address, "Antrea's memberlist")
            for protocol, port in world.tunnels:
                yield Flow(direction, protocol, port, address, "the tunnel between nodes")
    yield from _etcd(world, subjects)
    yield from _neighbours(world, subjects)


def _etcd(world: World, subjects: list[Obj]) -> Iterator[Flow]:
    """Yield what its members need. Their connections stand for months, so that no trial tells."""
    members = {node["name"] for node in subjects if node["control_plane"]}
    for node in world.nodes:
        if not node["control_plane"] or not members - {node["name"]}:
            continue
        for address in node["addresses"]:
            for port in _ETCD:
                yield Flow(IN, "TCP", port, address, "etcd")
                yield Flow(OUT, "TCP", port, address, "etcd")


def _neighbours(world: World, subjects: list[Obj]) -> Iterator[Flow]:
    if not any(":" in address for node in subjects for address in node["addresses"]):
        return
    there = [a for node in world.nodes for a in node["addresses"] if ":" in a]
    for kind in _NEIGHBOURS:
        for direction, extra in ((IN, ()), (OUT, (_SOLICITED,))):
            for address in (_LINK_LOCAL, *extra, *there):
                yield Flow(direction, _ICMP6, kind, address, "finding neighbours over IPv6")


def _verdict(policy: Obj, flow: Flow, world: World) -> str | None:
    """Return the rule that takes a flow, None if it passes. What no rule is about passes."""
    for number, rule in enumerate(policy.get(flow.direction) or (), 1):
        match = _both(_about_port(rule, flow), _about_peer(rule, flow, world))
        if rule.get("action") in _DROPS and match is not _NO:
            return f"{_title(flow.direction, number, rule)} ({rule['action']})"
        if rule.get("action") == _ALLOW and match is _SURE:
            return None
        if rule.get("action") == _PASS and match is _SURE:
            return None
    return None


def _title(direction: str, number: int, rule: Obj) -> str:
    return f"{direction} rule {number}" + (f" '{rule['name']}'" if rule.get("name") else "")


def _both(one: bool | None, other: bool | None) -> bool | None:
    if one is _NO or other is _NO:
        return _NO
    return _SURE if one is _SURE and other is _SURE else _MAYBE


def _either(found: Iterable[bool | None]) -> bool | None:
    values = list(found)
    if any(value is _SURE for value in values):
        return _SURE
    return _MAYBE if any(value is _MAYBE for value in values) else _NO


def _about_port(rule: Obj, flow: Flow) -> bool | None:
    if rule.get("protocols"):  # ICMP and IGMP only
        return _either(_icmp(entry.get("icmp"), flow) for entry in rule["protocols"])
    ports = rule.get("ports") or ()
    return _either(_port(entry, flow) for entry in ports) if ports else _SURE


def _icmp(entry: Obj | None, flow: Flow) -> bool:
    if entry is None or flow.protocol != _ICMP6:
        return _NO
    kind, code = entry.get("icmpType"), entry.get("icmpCode")
    return kind in (None, flow.port) and code in (None, 0)


def _port(entry: Obj, flow: Flow) -> bool | None:
    if str(entry.get("protocol") or "TCP").upper() != flow.protocol:
        return _NO
    port = entry.get("port")
    if port is None:
        inside = True
    elif isinstance(port, int) or str(port).isdigit():
        inside = int(port) <= flow.port <= int(entry.get("endPort") or port)
    else:
        return _MAYBE  # a name
    if not inside:
        return _NO
    return _MAYBE if entry.get("sourcePort") is not None else _SURE


def _peers(direction: str, rule: Obj) -> list[Obj]:
    return list(rule.get("from" if direction == IN else "to") or ())


def _about_peer(rule: Obj, flow: Flow, world: World) -> bool | None:
    peers = _peers(flow.direction, rule)
    return _either(_peer(peer, flow, world) for peer in peers) if peers else _SURE


def _peer(peer: Obj, flow: Flow, world: World) -> bool | None:
    address = ipaddress.ip_address(flow.peer)
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        if any(_inside(address, cidr) for cidr in block.get("except") or ()):
            return _NO
        return _inside(address, block["cidr"])
    if "nodeSelector" in peer:
        chosen = [n for n in world.nodes if selects(peer["nodeSelector"], n["labels"])]
        return any(flow.peer in node["addresses"] for node in chosen)
    return _MAYBE


def _inside(address: Any, cidr: str) -> bool:
    network = ipaddress.ip_network(cidr, strict=False)
    return address.version == network.version and address in network


def obj(policy: Obj, name: str, selector: Obj) -> Obj:
    """Return the object that applies a policy to the nodes that a selector selects."""
    spec = {
        "priority": policy.get("priority", PRIORITY),
        "tier": policy.get("tier") or TIER,
        "appliedTo": [{"nodeSelector": selector}],
    }
    # Both, for a patch leaves what it does not name.
    rules = {key: policy.get(key) or [] for key in (IN, OUT)}
    return shell(name, {**spec, **rules})


def shell(name: str, spec: Obj) -> Obj:
    """Return the object of that name."""
    return {
        "apiVersion": "crd.antrea.io/v1beta1",
        "kind": "ClusterNetworkPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }
