# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each autodetection method would give on each node, and which give all their InternalIP."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ._autodetection import (
    Detection,
    NodeView,
    detect,
    parse_internal_ips,
    parse_method,
    parse_reach,
)
from ._exclusions import default_exclusions
from ._go_net import Address, parse_ip
from ._nic_input import InputError, Nic, is_list, parse_family, parse_nics
from ._re2 import compile_regex


class _Host(NamedTuple):
    """A node: what is known of it (None: not visited) and its first InternalIP of the family."""

    view: NodeView | None
    internal_ip: Address | None

    def holder(self) -> tuple[Nic, Address] | None:
        """The interface that has the InternalIP, and the address with that prefix."""
        for nic in reversed(self.view.nics if self.view else ()):
            for found in nic.addresses:
                if self.internal_ip and found.address.same_ip(self.internal_ip):
                    return nic, found.address
        return None


def whatif(
    hosts: Any,
    methods: Any = None,
    family: Any = 4,
    calico_version: str | None = None,
    current: str | None = None,
) -> dict[str, Any]:
    """A table of nodes and methods, as ``{family, methods, nodes, good}``.

    *hosts*: by node name ``{nics, internal_ips, reach}``, see ``autodetect``; ``nics`` None is a
    node that was not visited. *methods*: those to try; None derives them from the nodes, after
    *current*, the one in force.

    ``nodes``: by name ``{internal_ip, results}``; a result, by method, is what ``autodetect``
    returns and ``right``: whether it is the InternalIP (None: cannot be said). ``methods``: in
    their order ``{method, good, right, wrong, none, unknown, duplicates}``: node names, and the
    addresses that several nodes would get. ``good``: the methods that are right on every node.

    :raises InputError: the input has the wrong shape.
    """
    family = parse_family(family)
    nodes = _parse_hosts(hosts, family)
    exclusions = default_exclusions(calico_version)
    if methods is None:
        tried = _unique([*([] if current is None else [current]), *candidates(nodes, exclusions)])
    elif is_list(methods):
        tried = _unique(parse_method(method) for method in methods)
    else:
        raise InputError(
            f"methods: expected a list of methods, got {methods!r}. Write [method, ...]."
        )
    table = {
        name: {method: _detect(name, host, method, family, exclusions) for method in tried}
        for name, host in nodes.items()
    }
    columns = [_column(method, nodes, table) for method in tried]
    return {
        "family": family,
        "methods": columns,
        "nodes": {name: _row(host, table[name]) for name, host in nodes.items()},
        "good": [column["method"] for column in columns if column["good"]],
    }


def _parse_hosts(hosts: Any, family: int) -> dict[str, _Host]:
    if not isinstance(hosts, Mapping):
        raise InputError(
            f"hosts: expected a dictionary by node name, got {type(hosts).__name__}."
            " Give each node's nics, internal_ips and, for can-reach=, reach."
        )
    return {str(name): _parse_host(name, facts, family) for name, facts in hosts.items()}


def _parse_host(name: Any, facts: Any, family: int) -> _Host:
    if not isinstance(facts, Mapping):
        raise InputError(
            f"hosts[{name!r}]: expected a dictionary, got {type(facts).__name__}."
            " Give the node's nics, internal_ips and, for can-reach=, reach."
        )
    try:
        ips = parse_internal_ips(facts.get("internal_ips"))
        nics = facts.get("nics")
        reach = parse_reach(facts.get("reach"))
        view = None if nics is None else NodeView(parse_nics(nics), ips, reach)
    except InputError as problem:
        raise InputError(f"hosts[{name!r}]: {problem}") from None
    parsed = [ip for ip in (parse_ip(text) for text in ips) if ip]
    return _Host(view, next((ip for ip in parsed if ip.version == family), None))


def _detect(
    name: str, host: _Host, method: str, family: int, exclusions: Sequence[str]
) -> Detection:
    if host.view is not None:
        return detect(host.view, method, family, exclusions)
    error = f"The interfaces of {name} are not known. Gather them with nic_facts."
    return Detection("unknown", None, None, "No address: see error.", error)


def _right(host: _Host, detection: Detection) -> bool | None:
    if detection.outcome == "unknown" or host.internal_ip is None:
        return None
    return detection.address is not None and detection.address.same_ip(host.internal_ip)


def _row(host: _Host, results: Mapping[str, Detection]) -> dict[str, Any]:
    return {
        "internal_ip": host.internal_ip.ip if host.internal_ip else None,
        "results": {
            method: {**detection.as_dict(), "right": _right(host, detection)}
            for method, detection in results.items()
        },
    }


def _column(
    method: str, nodes: Mapping[str, _Host], table: Mapping[str, Mapping[str, Detection]]
) -> dict[str, Any]:
    found = {name: table[name][method] for name in nodes}
    right = {name: _right(host, found[name]) for name, host in nodes.items()}
    holders: dict[str, list[str]] = {}
    for name, detection in found.items():
        if detection.address:
            holders.setdefault(detection.address.ip, []).append(name)
    empty = [name for name, d in found.items() if d.outcome in ("none", "exit")]
    return {
        "method": method,
        "good": bool(nodes) and all(right.values()),
        "right": [name for name in nodes if right[name]],
        "wrong": [name for name in nodes if right[name] is False and name not in empty],
        "none": empty,
        "unknown": [name for name in nodes if right[name] is None and name not in empty],
        "duplicates": [
            {"address": ip, "nodes": names} for ip, names in holders.items() if len(names) > 1
        ],
    }


def candidates(nodes: Mapping[str, _Host], exclusions: Sequence[str]) -> list[str]:
    """The methods worth a try on these nodes, the simplest first."""
    reachable = _unique(
        str(destination)
        for host in nodes.values()
        if host.view
        for destination in host.view.reach or ()
    )
    holders = [holder for holder in (host.holder() for host in nodes.values()) if holder]
    return [
        "first-found",
        "kubernetes-internal-ip",
        *(f"can-reach={destination}" for destination in reachable),
        *_cidr_candidate(holders),
        *_interface_candidate(holders),
        *_skip_candidate(nodes, exclusions),
    ]


def _cidr_candidate(holders: Sequence[tuple[Nic, Address]]) -> list[str]:
    import ipaddress

    texts = [address.network for _nic, address in holders]
    four = [ipaddress.IPv4Network(text) for text in texts if ":" not in text]
    six = [ipaddress.IPv6Network(text) for text in texts if ":" in text]
    networks = [
        *map(str, ipaddress.collapse_addresses(four)),
        *map(str, ipaddress.collapse_addresses(six)),
    ]
    return [f"cidr={','.join(networks)}"] if networks else []


def _interface_candidate(holders: Sequence[tuple[Nic, Address]]) -> list[str]:
    names = {nic.name for nic, _address in holders}
    return [f"interface={_exactly(name)}" for name in names if "," not in name and len(names) == 1]


def _skip_candidate(nodes: Mapping[str, _Host], exclusions: Sequence[str]) -> list[str]:
    """Skips the interfaces that first-found takes before the one with the InternalIP."""
    skipped = compile_regex("(" + ")|(".join(exclusions) + ")")
    offenders: list[str] = []
    wanted: set[str] = set()
    for host in nodes.values():
        holder = host.holder()
        if holder is None or host.view is None:
            continue
        wanted.add(holder[0].name)
        for nic in reversed(host.view.nics):
            if nic.name == holder[0].name:
                break
            usable = any(a.address.unusable() is None for a in nic.of(holder[1].version))
            if usable and not skipped.search(nic.name):
                offenders.append(nic.name)
    offenders = _unique(offenders)
    # A name that is right on one node and wrong on another cannot be skipped, nor one with a comma.
    if not offenders or wanted & set(offenders) or any("," in name for name in offenders):
        return []
    return [f"skip-interface={','.join(_exactly(name) for name in offenders)}"]


def _exactly(name: str) -> str:
    return "^" + re.sub(r"([^0-9A-Za-z_-])", r"\\\1", name) + "$"


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
