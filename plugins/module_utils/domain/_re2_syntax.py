# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a Go regular expression (RE2 syntax) into a tree, or says why Go would not compile it.

Every restriction of Go is kept, since a pattern that Go refuses means "no match" to Calico:
no look-around, no back-references, counts up to 1000, bounded nesting and size.

Source: https://pkg.go.dev/regexp/syntax and the behaviour of Go 1.26.
"""

from __future__ import annotations

from . import _re2_classes as classes
from . import _re2_tree as tree
from ._re2_tree import Assertion, Chars, Node

_MAX_COUNT = 1000
_MAX_HEIGHT = 1000
_MAX_SIZE = (128 << 20) // 40
_HEX = "0123456789abcdefABCDEF"
_OCTAL = "01234567"
_C_ESCAPES = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_FLAG_LETTERS = "imsU"


class RegexSyntaxError(ValueError):
    """Go refuses the pattern. ``kind`` is Go's name of the mistake, ``part`` where it is."""

    def __init__(self, kind: str, part: str) -> None:
        super().__init__(f"error parsing regexp: {kind}: `{part}`")
        self.kind = kind
        self.part = part


class _Group:
    """An open parenthesis, or the whole pattern: what was read of it so far."""

    def __init__(self, flags: frozenset[str], captures: bool) -> None:
        self.flags = flags  # those in force before it, restored when it closes
        self.captures = captures
        self.branches: list[Node] = []
        self.items: list[Node] = []

    def close_branch(self) -> None:
        self.branches.append(tree.sequence(self.items))
        self.items = []

    def node(self) -> Node:
        self.close_branch()
        return tree.choice(self.branches)


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.text = pattern
        self.at = 0
        self.flags: frozenset[str] = frozenset()
        self.groups = [_Group(self.flags, captures=False)]

    def fail(self, kind: str, start: int, end: int | None = None) -> RegexSyntaxError:
        return RegexSyntaxError(kind, self.text[start : self.at if end is None else end])

    def peek(self, ahead: int = 0) -> str:
        return self.text[self.at + ahead : self.at + ahead + 1]

    def within_limits(self, node: Node) -> Node:
        if node.size > _MAX_SIZE:
            raise RegexSyntaxError("expression too large", self.text)
        if node.height > _MAX_HEIGHT:
            raise RegexSyntaxError("expression nests too deeply", self.text)
        return node

    def push(self, node: Node) -> None:
        self.groups[-1].items.append(self.within_limits(node))

    def push_literal(self, char: str) -> None:
        fold = "i" in self.flags
        self.push(Chars(1, 1, 1, classes.literal(ord(char), fold), fold))

    def parse(self) -> Node:
        repeat_from: int | None = None  # where the repetition just read began
        while self.at < len(self.text):
            start = self.at
            char = self.text[start]
            again = None
            if char in "*+?" or (char == "{" and self.counts() is not None):
                self.repetition(char, repeat_from)
                again = start
            else:
                self.item(char)
            repeat_from = again
        if len(self.groups) != 1:
            raise RegexSyntaxError("missing closing )", self.text)
        return self.within_limits(self.groups[0].node())

    def item(self, char: str) -> None:
        if char == "(":
            self.open_group()
        elif char == ")":
            self.close_group()
        elif char == "[":
            self.push(Chars(1, 1, 1, self.bracket()))
        elif char == "\\":
            self.escape()
        else:
            self.at += 1
            if char == "|":
                self.groups[-1].close_branch()
            elif char == "^":
                self.assertion("line_start" if "m" in self.flags else "text_start")
            elif char == "$":
                self.assertion("line_end" if "m" in self.flags else "text_end")
            elif char == ".":
                anything = classes.ANY if "s" in self.flags else classes.ANY_BUT_NEWLINE
                self.push(Chars(1, 1, 1, anything))
            else:
                self.push_literal(char)

    def assertion(self, kind: str) -> None:
        self.push(Assertion(1, 1, 1, kind))

    # Groups and flags

    def open_group(self) -> None:
        if self.peek(1) == "?":
            self.special_group()
            return
        self.at += 1
        self.groups.append(_Group(self.flags, captures=True))

    def close_group(self) -> None:
        if len(self.groups) == 1:
            raise RegexSyntaxError("unexpected )", self.text)
        self.at += 1
        group = self.groups.pop()
        node = group.node()
        self.flags = group.flags
        if group.captures:
            node = tree.capture(node)
        self.push(node)

    def special_group(self) -> None:
        start = self.at
        rest = self.text[start:]
        named = rest.startswith("(?<") or (rest.startswith("(?P<") and len(rest) > 4)
        if named and len(rest) > 3:
            end = self.text.find(">", start)
            if end < 0:
                raise self.fail("invalid named capture", start, len(self.text))
            name = self.text[start + (4 if rest[2] == "P" else 3) : end]
            if not name or not all(c == "_" or (c.isascii() and c.isalnum()) for c in name):
                raise self.fail("invalid named capture", start, end + 1)
            self.at = end + 1
            self.groups.append(_Group(self.flags, captures=True))
            return
        self.at = start + 2
        self.flag_group(start)

    def flag_group(self, start: int) -> None:
        flags = set(self.flags)
        negative = seen = False
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char in _FLAG_LETTERS:
                flags.discard(char) if negative else flags.add(char)
                seen = True
            elif char == "-" and not negative:
                negative, seen = True, False
            elif char in ":)" and (seen or not negative):
                if char == ":":
                    self.groups.append(_Group(self.flags, captures=False))
                self.flags = frozenset(flags)
                return
            else:
                break
        raise self.fail("invalid or unsupported Perl syntax", start)

    # Repetition

    def counts(self) -> tuple[int, int | None, int] | None:
        """(low, high, position after it) of ``{n}``, ``{n,}``, ``{n,m}``; None: not a count."""
        end = self.text.find("}", self.at)
        if end < 0:
            return None
        low, comma, high = self.text[self.at + 1 : end].partition(",")
        if not _is_number(low) or (high and not _is_number(high)):
            return None
        first = _number(low)
        if not comma:
            return first, first, end + 1
        return first, (_number(high) if high else None), end + 1

    def repetition(self, char: str, repeat_from: int | None) -> None:
        start = self.at
        low, high = 0, None
        if char == "{":
            counts = self.counts()
            if counts is None:
                raise self.fail("missing argument to repetition operator", start)
            low, high, self.at = counts
            if low > _MAX_COUNT or (high is not None and not low <= high <= _MAX_COUNT):
                raise self.fail("invalid repeat count", start)
        else:
            self.at += 1
            low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
        if self.peek() == "?":
            self.at += 1
        if repeat_from is not None:
            raise self.fail("invalid nested repetition operator", repeat_from)
        items = self.groups[-1].items
        if not items:
            raise self.fail("missing argument to repetition operator", start)
        node = tree.repeat(items.pop(), char, low, high)
        if node.product > _MAX_COUNT:
            raise self.fail("invalid repeat count", start)
        self.push(node)

    # Escapes

    def escape(self) -> None:
        char = self.peek(1)
        kind = {"A": "text_start", "z": "text_end", "b": "word", "B": "not_word"}.get(char)
        if kind is not None:
            self.at += 2
            self.assertion(kind)
        elif char == "Q":
            end = self.text.find("\\E", self.at + 2)
            quoted = self.text[self.at + 2 : len(self.text) if end < 0 else end]
            self.at = len(self.text) if end < 0 else end + 2
            for literal in quoted:
                self.push_literal(literal)
        else:
            part = self.class_escape()
            if part is not None:
                self.push(Chars(1, 1, 1, classes.CharSet((part,))))
            else:
                self.push_literal(chr(self.char_escape()))

    def class_escape(self) -> object | None:
        """``\\d`` and its like, or ``\\p{...}``, at this position; None: something else."""
        char = self.peek(1)
        fold = "i" in self.flags
        if self.peek() != "\\":
            return None
        if char and char in classes.PERL:
            self.at += 2
            negated, ranges = classes.PERL[char]
            return classes.Span(ranges, fold, negated)
        if char not in ("p", "P"):
            return None
        start = self.at
        negated = char == "P"
        if self.peek(2) == "{":
            end = self.text.find("}", start)
            if end < 0:
                raise self.fail("invalid character class range", start, len(self.text))
            name = self.text[start + 3 : end]
            self.at = end + 1
        else:
            name = self.peek(2)
            self.at = min(start + 3, len(self.text))
        if name.startswith("^"):
            negated, name = not negated, name[1:]
        known = classes.canonical_property(name)
        if known is None:
            raise self.fail("invalid character class range", start)
        return classes.Property(known, fold, negated)

    def char_escape(self) -> int:
        start = self.at
        self.at += 1
        char = self.peek()
        if not char:
            raise RegexSyntaxError("trailing backslash at end of expression", "")
        self.at += 1
        if char in _OCTAL and (char == "0" or (self.peek() and self.peek() in _OCTAL)):
            while self.at < start + 4 and self.peek() and self.peek() in _OCTAL:
                self.at += 1
            return int(self.text[start + 1 : self.at], 8)
        if char == "x":
            return self.hex_escape(start)
        if char in _C_ESCAPES:
            return _C_ESCAPES[char]
        if char.isascii() and not char.isalnum():
            return ord(char)
        raise self.fail("invalid escape sequence", start)

    def hex_escape(self, start: int) -> int:
        braces = self.peek() == "{"
        self.at += braces
        first = self.at
        value = 0
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if braces and char == "}" and self.at > first + 1:
                return value
            if char not in _HEX:
                # Go has taken both characters of \xHH before it judges them.
                self.at = max(self.at, min(first + 2, len(self.text))) if not braces else self.at
                break
            value = value * 16 + int(char, 16)
            if value > classes.MAX_RUNE:
                break
            if not braces and self.at == first + 2:
                return value
        raise self.fail("invalid escape sequence", start)

    # Bracket expressions

    def bracket(self) -> classes.CharSet:
        start = self.at
        self.at += 1
        negated = self.peek() == "^"
        self.at += negated
        parts: list[object] = []
        while not (self.peek() == "]" and parts):
            parts.append(self.posix_class() or self.class_escape() or self.char_range(start))
        self.at += 1
        return classes.CharSet(tuple(parts), negated)

    def posix_class(self) -> object | None:
        end = self.text.find(":]", self.at + 2)
        if self.text[self.at : self.at + 2] != "[:" or end < 0:
            return None
        start = self.at
        self.at = end + 2
        name = self.text[start + 2 : end]
        negated = name.startswith("^")
        ranges = classes.POSIX.get(name[negated:])
        if ranges is None:
            raise self.fail("invalid character class range", start)
        return classes.Span(ranges, "i" in self.flags, negated)

    def char_range(self, bracket: int) -> object:
        start = self.at
        low = high = self.class_char(bracket)
        if self.peek() == "-" and self.peek(1) not in ("", "]"):
            self.at += 1
            high = self.class_char(bracket)
            if high < low:
                raise self.fail("invalid character class range", start)
        return classes.Span(((low, high),), "i" in self.flags)

    def class_char(self, bracket: int) -> int:
        char = self.peek()
        if not char:
            raise self.fail("missing closing ]", bracket, len(self.text))
        if char == "\\":
            return self.char_escape()
        self.at += 1
        return ord(char)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")


def _number(text: str) -> int:
    # Go gives up beyond nine digits; so long a count is refused anyway.
    return int(text) if len(text) < 10 else _MAX_COUNT + 1


def parse(pattern: str) -> Node:
    """The tree of a pattern.

    :raises RegexSyntaxError: Go would refuse it; the text is Go's.
    """
    if any(0xD800 <= ord(c) <= 0xDFFF for c in pattern):
        raise RegexSyntaxError("invalid UTF-8", pattern)
    return _Parser(pattern).parse()
