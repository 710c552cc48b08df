# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why the autodetection picks what it picks, in words an engineer can act on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ._go_net import Address
from ._nic_input import Nic, NicAddress
from ._re2 import RegexSyntaxError

_SHOWN = 5  # so many interfaces are named in a sentence, the others counted
_KEEPS = "Calico keeps a stored address; with none stored calico-node exits with 1."
# Flags that make people expect an address to be passed over.
_TELLING = ("temporary", "deprecated", "tentative", "dadfailed", "secondary")


class Verdict(NamedTuple):
    """An interface as the walk sees it: the addresses that match, or why none does."""

    nic: Nic
    problem: str | None
    matches: tuple[NicAddress, ...] = ()


def judge(nic: Nic, family: int, networks: Sequence[Address]) -> Verdict:
    """Which addresses of an interface Calico would take; the name has passed already."""
    addresses = nic.of(family)
    if not addresses:
        return Verdict(nic, f"has no IPv{family} address")
    usable = [a for a in addresses if a.address.unusable() is None]
    if not usable:
        kinds = sorted({a.address.unusable() or "" for a in addresses})
        return Verdict(nic, f"has only {' and '.join(kinds)} addresses")
    if networks:
        usable = [a for a in usable if any(net.contains(a.address) for net in networks)]
        if not usable:
            return Verdict(nic, "has no address in the CIDR")
    return Verdict(nic, None, tuple(usable))


def first_of(walk: Sequence[Verdict], winner: Verdict, family: int) -> str:
    """Why *winner* of the walk (last interface first) is the one."""
    at = walk.index(winner)
    name = winner.nic.name
    others = [v for v in walk[at + 1 :] if v.matches]
    says = [f"{name} is the only interface that matches."]
    if others:
        named = [f"{v.nic.name} ({v.matches[0].address})" for v in others]
        says = [
            f"{name} before {_some([v.nic.name for v in others])}: Calico walks interfaces in"
            f" reverse kernel order; {_some(named)} would match too."
        ]
    if winner.nic.up is False:
        says.append(f"{name} is DOWN; Calico does not look at the link.")
    chosen = winner.matches[0]
    if len(winner.matches) > 1:
        rest = _some([str(a.address) for a in winner.matches[1:]])
        says.append(f"On {name} the first in kernel order counts, {rest} would match too.")
    flags = [flag for flag in chosen.flags if flag in _TELLING]
    if flags:
        says.append(f"{chosen.address.ip} is {', '.join(flags)}; Calico does not look at that.")
    passed = [f"{v.nic.name} {v.problem}" for v in walk[:at] if _worth_saying(v, family)]
    if passed:
        says.append(f"Passed over: {_some(passed, '; ')}.")
    return " ".join(says)


def _worth_saying(verdict: Verdict, family: int) -> bool:
    # An interface without any address surprises nobody.
    return bool(verdict.nic.of(family)) and verdict.problem != "its name does not match"


def nothing(walk: Sequence[Verdict], family: int, include: Sequence[str]) -> str:
    """Why no interface of the walk gives an address."""
    if not walk:
        return f"The node has no interface at all. {_KEEPS}"
    with_address = [v for v in walk if v.nic.of(family)]
    says = f"No interface has an IPv{family} address." if not with_address else ""
    if with_address:
        says = f"None matches: {_some([f'{v.nic.name} {v.problem}' for v in with_address], '; ')}."
    if any("{" in part and "}" not in part for part in include):
        says += (
            " The value is split at commas, also inside {1,2}: write such a regex without comma."
        )
    return f"{says} {_KEEPS}"


def bad_regex(kind: str, value: str, problem: RegexSyntaxError) -> str:
    """The regex does not compile."""
    hint = ""
    if re.search(r"\(\?(=|!|<=|<!)", value):
        hint = " Go has no look-ahead and no look-behind."
    elif "," in value:
        hint = " Calico splits the value at every comma."
    says = f"{kind}={value}: Go refuses the regex ({problem}), which counts as no match."
    return f"{says}{hint} {_KEEPS}"


def bad_cidr(text: str) -> str:
    """One entry of ``cidr=`` cannot be read."""
    hint = f" Write {text}/{128 if ':' in text else 32}." if text and "/" not in text else ""
    return f"{text!r} is not a CIDR, and one bad entry voids the whole list.{hint} {_KEEPS}"


def unknown_method(method: str) -> str:
    """Calico knows no such method."""
    return (
        f"Invalid IP autodetection method: {method!r}. calico-node exits with 1. Use first-found,"
        " kubernetes-internal-ip, can-reach=, interface=, skip-interface= or cidr=, without spaces"
        " around it."
    )


def no_lookup(destination: str) -> str:
    """The route to the destination was not asked for on the node."""
    return (
        f"can-reach={destination} depends on the node's route to it, which was not looked up there."
        f" Gather it: nic_facts with 'reach: [{destination!r}]'."
    )


def lookup_of_other_family(destination: str, source: str, family: int) -> str:
    """The look-up that is known is of the other family."""
    return (
        f"can-reach={destination}: the look-up at hand has the source {source}, not IPv{family}."
        f" Gather one for IPv{family}, for example with an address in place of the name."
    )


def other_family(destination: str, family: int) -> str:
    """The destination is an address of the other family."""
    return f"{destination} is not an IPv{family} address. {_KEEPS}"


def unreachable(destination: str, problem: object) -> str:
    """The node has no route there, or cannot resolve the name."""
    why = f" ({problem})" if problem else ""
    return f"The node has no route to {destination}{why}. {_KEEPS}"


def source_not_here(destination: str, source: str) -> str:
    """The route's source address is on no interface."""
    return f"The route to {destination} has the source {source}, which no interface has. {_KEEPS}"


def source_here(destination: str, source: str, holders: Sequence[tuple[str, Address]]) -> str:
    """The route's source address was found."""
    name = holders[0][0]
    return (
        f"The route to {destination or 'this host'} has the source {source}, on {name}."
        + _several(holders)
    )


def no_internal_ip(family: int, given: Sequence[str]) -> str:
    """The Node has no InternalIP of the family."""
    has = f" (it has {_some(given)})" if given else ""
    return f"The Node has no InternalIP of IPv{family}{has}. {_KEEPS}"


def internal_ip_not_here(ip: str, others: Sequence[str]) -> str:
    """The first InternalIP is on no interface."""
    more = f" Only the first InternalIP counts, not {_some(others)}." if others else ""
    return f"The Node's InternalIP {ip} is on no interface of the node.{more} {_KEEPS}"


def internal_ip_here(ip: str, holders: Sequence[tuple[str, Address]]) -> str:
    """The first InternalIP was found."""
    return f"The Node's first InternalIP, {ip}, is on {holders[0][0]}." + _several(holders)


def _several(holders: Sequence[tuple[str, Address]]) -> str:
    others = [f"{name} ({address})" for name, address in holders[1:]]
    if not others:
        return ""
    return f" {_some(others)} has it too; the last in kernel order gives the prefix."


def _some(items: Sequence[str], separator: str = ", ") -> str:
    shown = separator.join(items[:_SHOWN])
    return shown if len(items) <= _SHOWN else f"{shown}{separator}and {len(items) - _SHOWN} more"
