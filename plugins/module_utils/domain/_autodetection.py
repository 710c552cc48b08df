# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Predicts which address Calico's autodetection picks on a node.

Nothing is asked of the node: the interfaces come from ``k8snet_nics`` (kernel order), the Node's
InternalIPs from the API, and for ``can-reach=`` the kernel's route look-up from ``k8snet_reach``.

Source: projectcalico/calico, node/pkg/lifecycle/startup/autodetection (master, and the tags v3.24
to v3.32), which differs between those releases only in the interfaces skipped by default.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from . import _detection_words as words
from ._exclusions import default_exclusions
from ._go_net import Address, parse_ip, parse_network
from ._nic_input import InputError, Nic, is_list, parse_family, parse_nics
from ._node_address import next_address
from ._re2 import RegexSyntaxError, UndecidedError, compile_regex

__all__ = ["InputError", "autodetect", "detect", "first_found_order", "next_address"]

_COMMA = re.compile(r"[\t\n\f\r ]*,[\t\n\f\r ]*")
_LOCAL = {4: "127.0.0.1", 6: "::1"}
_FAMILY = {4: "inet", 6: "inet6"}


class Detection(NamedTuple):
    """What the method gives on one node.

    *outcome*: ``address`` (found), ``none`` (nothing matches: a stored address is kept), ``exit``
    (calico-node exits with 1), ``unknown`` (cannot be predicted from what is known).
    """

    outcome: str
    address: Address | None
    interface: str | None
    reason: str
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """With the address as text, e.g. ``10.0.0.5/24``."""
        return {**self._asdict(), "address": str(self.address) if self.address else None}


def autodetect(
    nics: Any,
    method: Any,
    family: Any = 4,
    internal_ips: Any = (),
    reach: Any = None,
    calico_version: str | None = None,
) -> dict[str, Any]:
    """What Calico's autodetection finds, as ``{address, interface, reason, error, outcome}``.

    *nics*: interfaces in kernel order, see :func:`_nic_input.parse_nics`. *method*: the value of
    IP_AUTODETECTION_METHOD; None and "" are first-found. *internal_ips*: the Node's addresses of
    type InternalIP, both families, in the order of its status. *reach*: for ``can-reach=``, by
    destination, the source address of the route, or a dictionary with ``source``.
    *calico_version*: decides which interfaces are skipped by default.

    ``address`` is e.g. ``10.0.0.5/24``, None when nothing is found. ``reason`` says why, in a
    sentence or two; ``error`` what is wrong with the method, and what Calico does about it.

    :raises InputError: the input has the wrong shape. No text of *method* raises.
    """
    known = default_exclusions(calico_version)
    node = NodeView(parse_nics(nics), parse_internal_ips(internal_ips), parse_reach(reach))
    return detect(node, parse_method(method), parse_family(family), known).as_dict()


class NodeView(NamedTuple):
    """What is known of one node, read once and asked many times."""

    nics: tuple[Nic, ...]
    internal_ips: tuple[str, ...] = ()
    reach: Mapping[str, Any] | None = None


def parse_method(method: Any) -> str:
    """The method as text; None is the empty one.

    :raises InputError: it is no text.
    """
    if method is None or isinstance(method, str):
        return method or ""
    raise InputError(
        f"method: expected a string, got {method!r}. Write it as in IP_AUTODETECTION_METHOD,"
        " for example 'first-found' or 'cidr=10.0.0.0/24'."
    )


def parse_internal_ips(value: Any) -> tuple[str, ...]:
    """The InternalIPs of a Node in their order.

    :raises InputError: it is no list of strings.
    """
    if value is None:
        return ()
    if not is_list(value) or not all(isinstance(ip, str) for ip in value):
        raise InputError(
            f"internal_ips: expected a list of addresses, got {value!r}."
            " Pass the Node's status.addresses of type InternalIP, in their order."
        )
    return tuple(value)


def parse_reach(value: Any) -> Mapping[str, Any] | None:
    """Route look-ups by destination.

    :raises InputError: it is no dictionary of addresses or dictionaries.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise InputError(f"reach: expected a dictionary, got {value!r}. Pass k8snet_reach.")
    for destination, entry in value.items():
        source = entry.get("source") if isinstance(entry, Mapping) else entry
        if source is not None and not (isinstance(source, str) and parse_ip(source)):
            raise InputError(
                f"reach[{destination!r}]: {source!r} is not an address."
                " Give the source address that the node's kernel chooses, or null without a route."
            )
    return value


def detect(node: NodeView, method: str, family: int, exclusions: Sequence[str]) -> Detection:
    """As :func:`autodetect`, for input that was read already."""
    kind, _equals, value = method.partition("=")
    try:
        if method in ("", "first-found"):
            return _first(node, family, exclude=exclusions)
        if not _equals:
            pass
        elif kind == "interface":
            return _first(node, family, include=_COMMA.split(value))
        elif kind == "skip-interface":
            return _first(node, family, exclude=(*exclusions, *_COMMA.split(value)), own=value)
        elif kind == "cidr":
            return _by_cidr(node, family, _COMMA.split(value))
        elif kind == "can-reach":
            return _by_reach(node, family, value)
        if method.startswith("kubernetes-internal-ip"):
            return _by_internal_ip(node, family)
    except RegexSyntaxError as problem:
        return _failed("none", words.bad_regex(kind, value, problem))
    except UndecidedError as problem:
        return _failed("unknown", str(problem))
    return _failed("exit", words.unknown_method(method))


def _failed(outcome: str, error: str) -> Detection:
    return Detection(outcome, None, None, "No address: see error.", error)


def _joined(regexes: Iterable[str]) -> str:
    # Compiled as one, as Calico does: a flag or a bracket left open reaches into the next.
    return "(" + ")|(".join(regexes) + ")"


def _walk(
    node: NodeView,
    family: int,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    networks: Sequence[Address] = (),
    own: str | None = None,
) -> list[words.Verdict]:
    """Each interface with its usable addresses or why it has none, walking them backwards."""
    included = compile_regex(_joined(include)) if include else None
    excluded = compile_regex(_joined(exclude)) if exclude else None
    walk: list[words.Verdict] = []
    for nic in reversed(node.nics):
        if included and not included.search(nic.name):
            walk.append(words.Verdict(nic, "its name does not match"))
        elif excluded and excluded.search(nic.name):
            walk.append(words.Verdict(nic, _who_excludes(nic.name, exclude, own)))
        else:
            walk.append(words.judge(nic, family, networks))
    return walk


def _first(
    node: NodeView,
    family: int,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    networks: Sequence[Address] = (),
    own: str | None = None,
) -> Detection:
    """The first usable address on the interfaces that pass."""
    walk = _walk(node, family, include, exclude, networks, own)
    winner = next((v for v in walk if v.matches), None)
    if winner is None:
        return Detection("none", None, None, words.nothing(walk, family, include))
    reason = words.first_of(walk, winner, family)
    return Detection("address", winner.matches[0].address, winner.nic.name, reason)


def first_found_order(node: NodeView, family: int, exclusions: Sequence[str]) -> list[str]:
    """The interfaces that ``first-found`` could take, in the order in which it would.

    Each is what it takes when those before it are gone; [] where that cannot be said.
    """
    try:
        walk = _walk(node, family, exclude=exclusions)
    except UndecidedError:
        return []
    return list(dict.fromkeys(verdict.nic.name for verdict in walk if verdict.matches))


def _who_excludes(name: str, regexes: Sequence[str], own: str | None) -> str:
    defaults = regexes[: len(regexes) - len(_COMMA.split(own))] if own is not None else regexes
    for regex in defaults:
        if compile_regex(regex).search(name):
            return f"skipped by default ({regex})"
    every = own is not None and "" in _COMMA.split(own)
    return f"skipped by skip-interface={own}" + (" (an empty regex matches all)" if every else "")


def _by_cidr(node: NodeView, family: int, texts: Sequence[str]) -> Detection:
    networks = []
    for text in texts:
        network = parse_network(text)
        if network is None:
            return _failed("none", words.bad_cidr(text))
        networks.append(network)
    return _first(node, family, networks=networks)


def _holders(node: NodeView, wanted: Address) -> list[tuple[Nic, Address]]:
    """Who has the address, backwards; the first is the one that Calico takes the prefix from."""
    return [
        (nic, found.address)
        for nic in reversed(node.nics)
        for found in nic.addresses
        if found.address.same_ip(wanted)
    ]


def _by_reach(node: NodeView, family: int, destination: str) -> Detection:
    literal = parse_ip(destination)
    entry = (node.reach or {}).get(destination)
    if destination == "" or (literal and not literal.number and literal.version >= family):
        # Go takes no destination, and the unspecified address, for this host.
        entry = entry or _LOCAL[family]
    elif literal and literal.version != family:
        return Detection("none", None, None, words.other_family(destination, family))
    elif entry is None:
        return _failed("unknown", words.no_lookup(destination))
    if isinstance(entry, Mapping) and isinstance(entry.get("by_family"), Mapping):
        # A name has addresses of both families, of one, or of none: k8snet_reach tells each.
        entry = entry["by_family"].get(_FAMILY[family]) or {}
    source = entry.get("source") if isinstance(entry, Mapping) else entry
    address = parse_ip(source) if source else None
    if address is None:
        problem = entry.get("error") if isinstance(entry, Mapping) else None
        return Detection("none", None, None, words.unreachable(destination, problem))
    if address.version != family:
        return _failed("unknown", words.lookup_of_other_family(destination, address.ip, family))
    holders = _holders(node, address)
    if not holders:
        return Detection("none", None, None, words.source_not_here(destination, address.ip))
    nic, found = holders[0]
    reason = words.source_here(destination, address.ip, [(n.name, a) for n, a in holders])
    return Detection("address", found, nic.name, reason)


def _by_internal_ip(node: NodeView, family: int) -> Detection:
    parsed = [ip for ip in (parse_ip(text) for text in node.internal_ips) if ip]
    candidates = [ip for ip in parsed if ip.version == family]
    if not candidates:
        return Detection("none", None, None, words.no_internal_ip(family, node.internal_ips))
    holders = _holders(node, candidates[0])
    if not holders:
        others = [ip.ip for ip in candidates[1:]]
        return Detection("none", None, None, words.internal_ip_not_here(candidates[0].ip, others))
    nic, found = holders[0]
    reason = words.internal_ip_here(found.ip, [(n.name, a) for n, a in holders])
    return Detection("address", found, nic.name, reason)
