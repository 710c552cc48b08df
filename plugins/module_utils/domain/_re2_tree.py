# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tree of a regular expression, with the measures that Go limits.

Source: https://pkg.go.dev/regexp/syntax and the behaviour of Go 1.26.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from . import _re2_classes as classes


@dataclass(frozen=True)
class Sized:
    """What Go limits: height of the tree, number of instructions, product of the counts."""

    height: int
    size: int
    product: int


@dataclass(frozen=True)
class Chars(Sized):
    """One character out of a set."""

    chars: classes.CharSet
    literal: bool | None = None  # None: a class; else: a literal, and whether case is ignored


@dataclass(frozen=True)
class Assertion(Sized):
    """A condition on a position: text_start, text_end, line_start, line_end, word, not_word."""

    kind: str


@dataclass(frozen=True)
class Sequence(Sized):
    """One after the other; of nothing: the empty match."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Choice(Sized):
    """One or another."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Repeat(Sized):
    """*low* to *high* times (high None: without limit)."""

    node: Node
    low: int
    high: int | None


Node = Union[Chars, Assertion, Sequence, Choice, Repeat]


def sequence(items: list[Node]) -> Node:
    """The items one after the other."""
    if len(items) == 1:
        return items[0]
    if not items:
        return Sequence(1, 1, 1, ())
    # A group that captures nothing dissolves into what it stands in.
    items = [part for n in items for part in _parts(n, Sequence)]
    # Neighbouring literals are one node in Go, so a plain word adds no height.
    kinds = {n.literal if isinstance(n, Chars) else None for n in items}
    word = len(kinds) == 1 and None not in kinds
    height = 1 if word else 1 + max(n.height for n in items)
    size = sum(n.size for n in items)
    return Sequence(height, size, max(n.product for n in items), tuple(items))


def choice(branches: list[Node]) -> Node:
    """One of the branches."""
    if len(branches) == 1:
        return branches[0]
    branches = [part for n in branches for part in _parts(n, Choice)]
    size = sum(n.size for n in branches) + len(branches) - 1
    height = 1 + max(n.height for n in branches)
    return Choice(height, size, max(n.product for n in branches), tuple(branches))


def _parts(node: Node, kind: type[Sequence] | type[Choice]) -> tuple[Node, ...]:
    if isinstance(node, (Sequence, Choice)) and isinstance(node, kind) and len(node.nodes) > 1:
        return node.nodes
    return (node,)


def capture(node: Node) -> Node:
    """A capturing group: no more than a level of height here, since nobody asks what it took."""
    return Sequence(node.height + 1, node.size + 2, node.product, (node,))


def repeat(node: Node, char: str, low: int, high: int | None) -> Repeat:
    """*node* repeated by the operator *char*, one of ``*+?{``."""
    product = node.product
    if char != "{":
        size = node.size + (1 if char in "+?" else 2)
    elif high is None:
        size = 1 + low * node.size if low else 2 + node.size
        product *= max(1, low)
    else:
        size = high * node.size + high - low
        product *= high
    return Repeat(node.height + 1, max(1, size), product, node, low, high)
