# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what ``iptables-save`` prints, line by line. Pure.

Only what a decision needs is taken out of a rule: the chain it is in, the chain or target it
jumps to, the ipsets it names. Comments never count: they are anybody's text, and kube-proxy's
differ between its modes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

#: Options whose value is free text, so that it may look like ``-j``.
_TEXT_OPTIONS = frozenset(
    {"--comment", "--log-prefix", "--nflog-prefix", "--ulog-prefix", "--string", "--hex-string"}
    | {"--name", "--hashlimit-name", "--nfacct-name", "--rateest-name", "--led-trigger-id"}
    | {"--match-set", "--add-set", "--del-set", "--map-set", "--bytecode", "--path", "--helper"}
    | {"--timeout", "--label", "--uid-owner", "--gid-owner", "-i", "-o"}
)
_SET_OPTIONS = frozenset({"--match-set", "--add-set", "--del-set", "--map-set"})
_ACCOUNT_OPTION = frozenset({"--nfacct-name"})
_QUOTED = "\0"
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
#: Printed for a table with native rules, and for one with base chains of a foreign kind.
_INCOMPATIBLE = re.compile(r"^# Table `(?P<table>[^']*)' (?:is|contains) incompatible\b")
_LONGEST_RULE = 1 << 16
_TRACKING = re.compile(
    r" -j (?:MASQUERADE|[SD]NAT|REDIRECT|NETMAP|CT|CONNMARK|CONNSECMARK|SYNPROXY)\b"
    r"| -m (?:conntrack|state|connmark|connlabel|connlimit|connbytes|helper)\b"
)


class SaveSyntaxError(ValueError):
    """The text is not what ``iptables-save`` prints."""


class Table(NamedTuple):
    """``*nat``: what follows belongs to this table."""

    name: str


class Chain(NamedTuple):
    """``:KUBE-SERVICES - [0:0]``. The policy is ``-`` for a chain that is not built in."""

    name: str
    policy: str


class Rule(NamedTuple):
    """``-A chain ... -j target``; ``text`` is the rule as printed, without its counters."""

    chain: str
    target: str | None
    sets: tuple[str, ...]
    text: str
    #: The nfacct objects that it counts in.
    accounts: tuple[str, ...] = ()


class Incompatible(NamedTuple):
    """A table that holds nftables objects which iptables cannot show."""

    table: str


def parse(lines: Iterable[str]) -> Iterator[Table | Chain | Rule | Incompatible]:
    """The entries of one save, in its order; memory stays that of the longest line.

    Raises SaveSyntaxError for a line that cannot be read and for an end in mid-table.
    """
    table: str | None = None
    number = 0
    source = iter(lines)
    for line in source:
        number += 1
        line = line.rstrip("\n")
        first = line[:1]
        if first in ("-", "["):
            if first == "[":
                line = line.partition("] ")[2]
            bare = line
            if '"' in line:
                line, bare, more = _whole(line, source, number)
                number += more
            yield _rule(line, bare, number)
        elif first == ":":
            yield _chain(line, number)
        elif first == "*":
            table = line[1:].strip()
            yield Table(table)
        elif line.strip() == "COMMIT":
            table = None
        elif first == "#":
            found = _INCOMPATIBLE.match(line)
            if found:
                yield Incompatible(found.group("table"))
        elif line.strip():
            raise _unreadable(line, number)
    if table is not None:
        raise SaveSyntaxError(f"it ends in the middle of table '{table}' (line {number})")


def _whole(line: str, source: Iterator[str], number: int) -> tuple[str, str, int]:
    """(the rule, the rule with every quotation made one word that is no option, more lines).

    A quoted comment may hold a line break, and then what looks like a rule.
    """
    # One quotation without an escape, as nearly all of kube-proxy's rules have: ten times as fast.
    head, _open, rest = line.partition('"')
    text, closed, tail = rest.partition('"')
    if closed and '"' not in tail and "\\" not in text:
        return line, f"{head}{_QUOTED}{tail}", 0
    more = 0
    bare = _STRING.sub(_QUOTED, line)
    while '"' in bare:
        following = next(source, None)
        if following is None or len(line) > _LONGEST_RULE:
            raise SaveSyntaxError(f"a quotation that never ends (line {number}): {line[:60]!r}")
        line += "\n" + following.rstrip("\n")
        bare = _STRING.sub(_QUOTED, line)
        more += 1
    return line, bare, more


def tracks(rule: str) -> bool:
    """Tell whether a rule, as printed, has the kernel track connections."""
    return _TRACKING.search(_STRING.sub(_QUOTED, rule)) is not None


def _chain(line: str, number: int) -> Chain:
    parts = line[1:].rsplit(" ", 2)
    if len(parts) != 3 or not parts[0]:
        raise _unreadable(line, number)
    return Chain(parts[0], parts[1])


def _rule(line: str, bare: str, number: int) -> Rule:
    words = bare.split()
    if len(words) < 2 or words[0] != "-A":
        raise _unreadable(line, number)
    sets: tuple[str, ...] = ()
    if "-set " in bare:
        sets = _values(words, _SET_OPTIONS)
    accounts: tuple[str, ...] = ()
    if "--nfacct-name " in bare:
        accounts = _values(words, _ACCOUNT_OPTION)
    return Rule(words[1], _target(words), sets, line, accounts)


def _target(words: list[str]) -> str | None:
    for option in ("-j", "-g"):
        try:
            place = words.index(option, 2)
        except ValueError:
            continue
        if words[place - 1] not in _TEXT_OPTIONS:
            return words[place + 1] if place + 1 < len(words) else None
        found = _values(words, frozenset({"-j", "-g"}))
        return found[0] if found else None
    return None


def _values(words: list[str], options: frozenset[str]) -> tuple[str, ...]:
    """The values of ``options``, read in order so that no value is taken for an option."""
    found = []
    place = 2
    while place < len(words) - 1:
        word = words[place]
        if word in options:
            found.append(words[place + 1])
        place += 2 if word in options or word in _TEXT_OPTIONS else 1
    return tuple(found)


def _unreadable(line: str, number: int) -> SaveSyntaxError:
    return SaveSyntaxError(f"line {number} is not iptables-save output: {line[:60]!r}")
