# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands that cut a node's power and give it back: what is wrong, and how they end. Pure.

Their words may be secrets, so that nothing here tells more of them than the program's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

Obj = dict[str, Any]
OPTIONS = {
    "off": "antrea_egress_vlan_power_off_command",
    "on": "antrea_egress_vlan_power_on_command",
}
_LONGEST = 200


def problems(off: Any, on: Any) -> Iterator[str]:
    """Return what is wrong with the two commands."""
    for key, words in (("off", off), ("on", on)):
        option = OPTIONS[key]
        if not isinstance(words, list) or not words or not str(words[0]).strip():
            yield f"Set {option}, which the drill needs: a list of words."
        elif len(words) == 1 and len(str(words[0]).split()) > 1:
            yield f"{option} is one word with spaces in it, and has to be a list of words."
    if off and off == on:
        yield f"{OPTIONS['off']} and {OPTIONS['on']} are the same."


def missing(key: str, words: list[Any]) -> str:
    """Return that a program is not there."""
    return f"{OPTIONS[key]}: there is no program {program(words)} on this controller."


def program(words: Any) -> str:
    """Return what of a command is told: its program's name."""
    first = str(words[0]) if isinstance(words, list) and words else ""
    return first.split()[0].rpartition("/")[2] if first.strip() else ""


def filled(words: Iterable[Any], node: str, host: str) -> list[str]:
    """Return a command for a node; braces around anything else stay."""
    return [str(word).replace("{node}", node).replace("{host}", host) for word in words]


def said(result: Obj, words: list[str], plain: Iterable[str]) -> str:
    """Return how a command ended, without its own words but ``plain``: they may be secrets."""
    period = (result.get("timedout") or {}).get("period")
    if period:
        why = f"it did not end within {period} seconds"
    elif result.get("rc") is None:
        why = str(result.get("msg") or "it did not end")
    else:
        text = str(result.get("stderr") or result.get("stdout") or result.get("msg") or "")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        why = f"it ended with {result['rc']}" + (f": {lines[-1]}" if lines else "")
    why = masked(why, words, {*plain, program(words)})
    return why if len(why) <= _LONGEST else f"{why[:_LONGEST]}..."


def masked(text: str, words: list[str], plain: Iterable[str]) -> str:
    """Return a text without the words of a command, and without what those are made of."""
    pieces = set(words[1:])
    for word in words[1:]:
        pieces.update(re.split(r"[\s=:@/,;'\"{}\[\]]+", word))
        if re.match(r"-[A-Za-z]", word):  # -pSECRET
            pieces.add(word[2:])
    hidden = sorted((p for p in pieces - set(plain) if len(p) > 2), key=len, reverse=True)
    return re.sub("|".join(map(re.escape, hidden)), "***", text) if hidden else text
