# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Character sets of Go regular expressions: which characters a class, an escape or a literal takes.

Membership is three-valued: yes, no, or not known to this program. What Go says about ASCII is
stable and known here in full. For characters beyond ASCII, categories come from Python's own
tables; scripts, and upper and lower case that are to be treated alike, are left undecided.

Source: package regexp/syntax of Go 1.26 and its tests; Unicode 15.0 as package unicode has it.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

MAX_RUNE = 0x10FFFF
_KELVIN = 0x212A
_LONG_S = 0x017F
# The only characters beyond ASCII that fold to an ASCII letter.
_EXTRA_FOLD = {ord("k"): _KELVIN, ord("K"): _KELVIN, ord("s"): _LONG_S, ord("S"): _LONG_S}

Ranges = tuple[tuple[int, int], ...]

_DIGIT: Ranges = ((0x30, 0x39),)
_SPACE: Ranges = ((0x09, 0x0A), (0x0C, 0x0D), (0x20, 0x20))
_WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))

PERL: dict[str, tuple[bool, Ranges]] = {
    "d": (False, _DIGIT),
    "D": (True, _DIGIT),
    "s": (False, _SPACE),
    "S": (True, _SPACE),
    "w": (False, _WORD),
    "W": (True, _WORD),
}
POSIX: dict[str, Ranges] = {
    "alnum": ((0x30, 0x39), (0x41, 0x5A), (0x61, 0x7A)),
    "alpha": ((0x41, 0x5A), (0x61, 0x7A)),
    "ascii": ((0x00, 0x7F),),
    "blank": ((0x09, 0x09), (0x20, 0x20)),
    "cntrl": ((0x00, 0x1F), (0x7F, 0x7F)),
    "digit": _DIGIT,
    "graph": ((0x21, 0x7E),),
    "lower": ((0x61, 0x7A),),
    "print": ((0x20, 0x7E),),
    "punct": ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)),
    "space": ((0x09, 0x0D), (0x20, 0x20)),
    "upper": ((0x41, 0x5A),),
    "word": _WORD,
    "xdigit": ((0x30, 0x39), (0x41, 0x46), (0x61, 0x66)),
}

_CATEGORIES = frozenset(
    [
        "C",
        "Cc",
        "Cf",
        "Cn",
        "Co",
        "Cs",
        "L",
        "Lc",
        "Ll",
        "Lm",
        "Lo",
        "Lt",
        "Lu",
        "M",
        "Mc",
        "Me",
        "Mn",
        "N",
        "Nd",
        "Nl",
        "No",
        "P",
        "Pc",
        "Pd",
        "Pe",
        "Pf",
        "Pi",
        "Po",
        "Ps",
        "S",
        "Sc",
        "Sk",
        "Sm",
        "So",
        "Z",
        "Zl",
        "Zp",
        "Zs",
    ]
)
_ALIASES = {
    "Casedletter": "Lc",
    "Closepunctuation": "Pe",
    "Combiningmark": "M",
    "Connectorpunctuation": "Pc",
    "Control": "Cc",
    "Cntrl": "Cc",
    "Currencysymbol": "Sc",
    "Dashpunctuation": "Pd",
    "Decimalnumber": "Nd",
    "Digit": "Nd",
    "Enclosingmark": "Me",
    "Finalpunctuation": "Pf",
    "Format": "Cf",
    "Initialpunctuation": "Pi",
    "Letter": "L",
    "Letternumber": "Nl",
    "Lineseparator": "Zl",
    "Lowercaseletter": "Ll",
    "Mark": "M",
    "Mathsymbol": "Sm",
    "Modifierletter": "Lm",
    "Modifiersymbol": "Sk",
    "Nonspacingmark": "Mn",
    "Number": "N",
    "Openpunctuation": "Ps",
    "Other": "C",
    "Otherletter": "Lo",
    "Othernumber": "No",
    "Otherpunctuation": "Po",
    "Othersymbol": "So",
    "Paragraphseparator": "Zp",
    "Privateuse": "Co",
    "Punct": "P",
    "Punctuation": "P",
    "Separator": "Z",
    "Spaceseparator": "Zs",
    "Spacingmark": "Mc",
    "Surrogate": "Cs",
    "Symbol": "S",
    "Titlecaseletter": "Lt",
    "Unassigned": "Cn",
    "Uppercaseletter": "Lu",
}
# Scripts whose name is one word. Go 1.25 and 1.26 do not find the others (Old_Italic, ...): they
# look them up under a name without the underscore, which their table does not have.
_SCRIPTS = frozenset(
    [
        "Adlam",
        "Ahom",
        "Arabic",
        "Armenian",
        "Avestan",
        "Balinese",
        "Bamum",
        "Batak",
        "Bengali",
        "Bhaiksuki",
        "Bopomofo",
        "Brahmi",
        "Braille",
        "Buginese",
        "Buhid",
        "Carian",
        "Chakma",
        "Cham",
        "Cherokee",
        "Chorasmian",
        "Common",
        "Coptic",
        "Cuneiform",
        "Cypriot",
        "Cyrillic",
        "Deseret",
        "Devanagari",
        "Dogra",
        "Duployan",
        "Elbasan",
        "Elymaic",
        "Ethiopic",
        "Georgian",
        "Glagolitic",
        "Gothic",
        "Grantha",
        "Greek",
        "Gujarati",
        "Gurmukhi",
        "Han",
        "Hangul",
        "Hanunoo",
        "Hatran",
        "Hebrew",
        "Hiragana",
        "Inherited",
        "Javanese",
        "Kaithi",
        "Kannada",
        "Katakana",
        "Kawi",
        "Kharoshthi",
        "Khmer",
        "Khojki",
        "Khudawadi",
        "Lao",
        "Latin",
        "Lepcha",
        "Limbu",
        "Lisu",
        "Lycian",
        "Lydian",
        "Mahajani",
        "Makasar",
        "Malayalam",
        "Mandaic",
        "Manichaean",
        "Marchen",
        "Medefaidrin",
        "Miao",
        "Modi",
        "Mongolian",
        "Mro",
        "Multani",
        "Myanmar",
        "Nabataean",
        "Nandinagari",
        "Newa",
        "Nko",
        "Nushu",
        "Ogham",
        "Oriya",
        "Osage",
        "Osmanya",
        "Palmyrene",
        "Phoenician",
        "Rejang",
        "Runic",
        "Samaritan",
        "Saurashtra",
        "Sharada",
        "Shavian",
        "Siddham",
        "Sinhala",
        "Sogdian",
        "Soyombo",
        "Sundanese",
        "Syriac",
        "Tagalog",
        "Tagbanwa",
        "Takri",
        "Tamil",
        "Tangsa",
        "Tangut",
        "Telugu",
        "Thaana",
        "Thai",
        "Tibetan",
        "Tifinagh",
        "Tirhuta",
        "Toto",
        "Ugaritic",
        "Vai",
        "Vithkuqi",
        "Wancho",
        "Yezidi",
        "Yi",
    ]
)


def canonical_property(name: str) -> str | None:
    """The canonical name of the property in ``\\p{name}``, or None when Go knows none of that name.

    Case, underscores, hyphens and spaces do not count, as in Go since 1.25.
    """
    stripped = "".join(c for c in name if c not in "_- ")
    if not stripped.isascii():
        return None
    key = stripped[:1].upper() + stripped[1:].lower()
    key = _ALIASES.get(key, key)
    if key in ("Any", "Ascii", "Assigned") or key in _CATEGORIES or key in _SCRIPTS:
        return key
    return None


def _orbit(rune: int) -> tuple[int, ...] | None:
    """All characters that are *rune* when case is ignored; None when this program cannot say."""
    if rune < 0x80:
        char = chr(rune)
        both = tuple({rune, ord(char.lower()), ord(char.upper())})
        extra = _EXTRA_FOLD.get(rune)
        return (*both, extra) if extra is not None else both
    if rune == _KELVIN:
        return (_KELVIN, ord("k"), ord("K"))
    if rune == _LONG_S:
        return (_LONG_S, ord("s"), ord("S"))
    return None


@dataclass(frozen=True)
class Span:
    """Ranges of code points, possibly negated, possibly with upper and lower case alike."""

    ranges: Ranges
    fold: bool = False
    negated: bool = False

    def has(self, rune: int) -> bool | None:
        """Whether the character is a member; None when undecided."""
        found = self._plain(rune)
        if self.fold and not found:
            orbit = _orbit(rune)
            if orbit is not None:
                found = any(self._plain(other) for other in orbit)
            elif any(high >= 0x80 for _low, high in self.ranges):
                return None
        return found != self.negated

    def _plain(self, rune: int) -> bool:
        return any(low <= rune <= high for low, high in self.ranges)


@dataclass(frozen=True)
class Property:
    """A Unicode category or script, by its canonical name."""

    name: str
    fold: bool = False
    negated: bool = False

    def has(self, rune: int) -> bool | None:
        """Whether the character is a member; None when undecided."""
        found = self._plain(rune)
        if self.fold and found is not True and self.name not in ("Any", "Assigned"):
            orbit = _orbit(rune)
            if orbit is None:
                return self.negated if self.name == "Ascii" else None
            answers = [self._plain(other) for other in orbit]
            found = True if True in answers else None if None in answers else False
        return None if found is None else found != self.negated

    def _plain(self, rune: int) -> bool | None:
        if self.name == "Any":
            return True
        if self.name == "Ascii":
            return rune < 0x80
        if self.name in _SCRIPTS:
            return self._script(rune)
        category = unicodedata.category(chr(rune))
        if category == "Cn" and rune >= 0x80:
            return None  # perhaps assigned in the Unicode version that Go knows
        if self.name == "Assigned":
            return category != "Cn"
        if self.name == "Lc":
            return category in ("Lu", "Ll", "Lt")
        return category.startswith(self.name)

    def _script(self, rune: int) -> bool | None:
        if rune in (_KELVIN, _LONG_S):
            return self.name == "Latin"
        if rune >= 0x80:
            return None
        return self.name == ("Latin" if chr(rune).isalpha() else "Common")


@dataclass(frozen=True)
class CharSet:
    """A union of parts, possibly negated as a whole: ``[...]``, ``\\d``, ``.`` or one literal."""

    parts: tuple[object, ...]
    negated: bool = False

    def has(self, rune: int) -> bool | None:
        """Whether the character is a member; None when undecided."""
        found: bool | None = False
        for part in self.parts:
            if not isinstance(part, (Span, Property)):
                raise TypeError(f"no part of a class: {part!r}")
            answer = part.has(rune)
            if answer:
                found = True
                break
            if answer is None:
                found = None
        return None if found is None else found != self.negated


def literal(rune: int, fold: bool) -> CharSet:
    """The set of one character, or of it and its other cases."""
    return CharSet((Span(((rune, rune),), fold),))


ANY = CharSet((Span(((0, MAX_RUNE),)),))
ANY_BUT_NEWLINE = CharSet((Span(((10, 10),)),), negated=True)
