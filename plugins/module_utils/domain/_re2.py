# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Does a Go regular expression match a name? The answer is Go's, without Go.

Python's ``re`` is another language in small ways (``$``, ``\\d``, ``\\z``, ``\\pL``, look-ahead,
where a flag ends), so patterns are read and followed here. Following keeps the set of positions
that the pattern can have reached, as bits of an integer: there is no backtracking, and the time
is bounded for every pattern.

For ASCII names the answer is always complete. Two questions need Unicode tables that Python lacks:
scripts (``\\p{Greek}``), and ignoring the case of letters beyond ASCII. There google-re2 is asked
when it is installed; without it :class:`UndecidedError` is raised, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from . import _re2_tree as tree
from ._re2_syntax import RegexSyntaxError, parse

__all__ = ["Regex", "RegexSyntaxError", "UndecidedError", "compile_regex"]

# Deeper patterns would exhaust Python's stack. No pattern for interface names comes near.
_MAX_RECURSION = 100
_WORD = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")


class UndecidedError(RuntimeError):
    """What Go would say cannot be known here. The text names the remedy."""


class Regex:
    """A compiled pattern; make it with :func:`compile_regex`."""

    def __init__(self, pattern: str, root: tree.Node) -> None:
        self.pattern = pattern
        self._root = root
        self._search: Callable[[str], bool] = lru_cache(maxsize=4096)(self._search_uncached)

    def search(self, name: str) -> bool:
        """Whether the pattern matches anywhere in *name*, as Go's MatchString says.

        Bytes of a name that are not UTF-8, as Python's surrogate escapes, count as U+FFFD each.

        :raises UndecidedError: it takes Unicode tables that are not here.
        """
        return self._search(name)

    def _search_uncached(self, name: str) -> bool:
        text = "".join("\ufffd" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in name)
        if self._root.height > _MAX_RECURSION:
            return _ask_google(self.pattern, text, f"nests {self._root.height} levels deep")
        try:
            return bool(_Walk(text).follow(self._root, (2 << len(text)) - 1))
        except _Unknown as unknown:
            why = f"needs Unicode tables to judge the character {chr(unknown.rune)!r}"
            return _ask_google(self.pattern, text, why)


@lru_cache(maxsize=1024)
def compile_regex(pattern: str) -> Regex:
    """Compile a pattern as Go would.

    :raises RegexSyntaxError: Go refuses the pattern; the text is Go's.
    """
    return Regex(pattern, parse(pattern))


class _Unknown(Exception):
    def __init__(self, rune: int) -> None:
        super().__init__(rune)
        self.rune = rune


class _Walk:
    """One pattern followed through one text. Positions 0..len(text) are bits of an integer."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.places: dict[str, int] = {}
        self.repeats: dict[tuple[int, int], int] = {}

    def follow(self, node: tree.Node, start: int) -> int:
        """The positions where *node* can end, of those where it may begin."""
        if not start:
            return 0
        if isinstance(node, tree.Chars):
            return self._step(node, start)
        if isinstance(node, tree.Sequence):
            for part in node.nodes:
                start = self.follow(part, start)
                if not start:
                    break
            return start
        if isinstance(node, tree.Choice):
            reached = 0
            for part in node.nodes:
                reached |= self.follow(part, start)
            return reached
        if isinstance(node, tree.Repeat):
            return self._repeat(node, start)
        return start & self._where(node.kind)

    def _step(self, node: tree.Chars, start: int) -> int:
        reached = 0
        for at, char in enumerate(self.text):
            if start >> at & 1:
                answer = node.chars.has(ord(char))
                if answer is None:
                    raise _Unknown(ord(char))
                reached |= answer << (at + 1)
        return reached

    def _repeat(self, node: tree.Repeat, start: int) -> int:
        # Remembered for each position, or nested repetitions would double the work at each level.
        reached = 0
        while start:
            bit = start & -start
            start ^= bit
            key = (id(node), bit)
            if key not in self.repeats:
                self.repeats[key] = self._repeat_from(node, bit)
            reached |= self.repeats[key]
        return reached

    def _repeat_from(self, node: tree.Repeat, start: int) -> int:
        for _count in range(node.low):
            start = self.follow(node.node, start)
        seen = new = start
        more = node.high - node.low if node.high is not None else -1
        while new and more:
            new = self.follow(node.node, new) & ~seen
            seen |= new
            more -= 1
        return seen

    def _where(self, kind: str) -> int:
        places = self.places.get(kind)
        if places is None:
            places = sum(1 << at for at in range(len(self.text) + 1) if self._holds(kind, at))
            self.places[kind] = places
        return places

    def _holds(self, kind: str, at: int) -> bool:
        before, after = self.text[at - 1 : at] if at else "", self.text[at : at + 1]
        if kind == "text_start":
            return at == 0
        if kind == "text_end":
            return not after
        if kind == "line_start":
            return before in ("", "\n")
        if kind == "line_end":
            return after in ("", "\n")
        return ((before in _WORD) != (after in _WORD)) == (kind == "word")


def _ask_google(pattern: str, text: str, why: str) -> bool:
    """The answer of google-re2, for the few questions that need it."""
    try:
        import re2
    except ImportError:
        raise UndecidedError(
            f"Cannot judge the regex {pattern!r} on {text!r}: it {why}. Install the Python package"
            " google-re2 on the controller, or use a simpler regex."
        ) from None
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options).search(text) is not None
    except re2.error as error:
        raise UndecidedError(
            f"Cannot judge the regex {pattern!r} on {text!r}: it {why}, and google-re2 does not"
            f" read it ({error}). Use a simpler regex."
        ) from None
