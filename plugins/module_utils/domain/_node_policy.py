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
_ALLOW, _PASS, _DROPS = "Allow", "Pass", ("Drop", "Reject")
_TUNNELS = {"geneve": ("UDP", 6081), "vxlan": ("UDP", 4789), "stt": ("TCP", 7471)}
_KUBELET, _API, _CONTROLLER_API, _AGENT_API, _MEMBERS = 10250, 6443, 10349, 10350, 10351
#: Ports that a rule is said to be about, when it is about all.
_SHOWN = 3
_SURE, _MAYBE, _NO = True, None, False


@dataclass(frozen=True)
class Flow:
    """A connection that nodes cannot do without, from or to a peer."""

    direction: str
    protocol: str
    port: int
    peer: str
    what: str


@dataclass(frozen=True)
class World:
    """``nodes``: name, labels, addresses, control_plane. ``ssh``: (address, port) of who manages
    the nodes. ``api``: (address, port) of API servers and of the Service before them.
    ``controller``: Node of antrea-controller. ``tunnel``: (protocol, port)."""

    nodes: tuple[Obj, ...]
    ssh: tuple[tuple[str, int], ...]
    api: tuple[tuple[str, int], ...]
    controller: str | None = None
    tunnel: tuple[str, int] | None = None


def tunnel(agent: Obj) -> tuple[str, int] | None:
    """Return what carries packets between nodes, of antrea-agent.conf."""
    if str(agent.get("trafficEncapMode") or "encap").lower() in ("noencap", "networkpolicyonly"):
        return None
    protocol, port = _TUNNELS.get(str(agent.get("tunnelType") or "geneve").lower(), ("", 0))
    return (protocol, int(agent.get("tunnelPort") or port)) if protocol else None


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
        f"{what} ({protocol} {port} {'from' if direction == IN else 'to'} {_few(peers)}) would be "
        f"cut off by {rule}. Put a rule before it that allows that."
        for (what, direction, protocol, port, rule), peers in lost.items()
    ]


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
    home = [a for n in world.nodes if n["name"] == world.controller for a in n["addresses"]]
    for address in home:
        yield Flow(OUT, "TCP", _CONTROLLER_API, address, "antrea-controller")
    serves = any(node["name"] == world.controller for node in subjects)
    for address in everybody:
        if master:
            yield Flow(IN, "TCP", _API, address, "the API server")
            yield Flow(OUT, "TCP", _KUBELET, address, "kubelet")
        if serves:
            yield Flow(IN, "TCP", _CONTROLLER_API, address, "antrea-controller")
        for direction in (IN, OUT):
            for protocol in ("TCP", "UDP"):
                yield Flow(direction, protocol, _MEMBERS, address, "Antrea's memberlist")
            if world.tunnel:
                yield Flow(direction, *world.tunnel, address, "the tunnel between nodes")


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
        return _NO
    ports = rule.get("ports") or ()
    return _either(_port(entry, flow) for entry in ports) if ports else _SURE


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
        "priority": policy.get("priority", 5),
        "tier": policy.get("tier") or "application",
        "appliedTo": [{"nodeSelector": selector}],
    }
    # Both, for a patch leaves what it does not name.
    rules = {key: policy.get(key) or [] for key in (IN, OUT)}
    return {
        "apiVersion": "crd.antrea.io/v1beta1",
        "kind": "ClusterNetworkPolicy",
        "metadata": {"name": name},
        "spec": {**spec, **rules},
    }
