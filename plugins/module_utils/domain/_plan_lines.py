# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of which a plan that a person reads is made. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

_LABEL = 8
_MOST_ROWS = 60
_MOST_WORDS = 40


def labelled(label: str, text: str, width: int) -> list[str]:
    """Return a text behind its label, in lines of ``width`` that stand below each other."""
    margin = " " * (_LABEL + 1)
    wrapped = textwrap.wrap(
        text, width, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
    )
    return [f"{label:{_LABEL}} {wrapped[0].lstrip()}", *wrapped[1:]]


def listed(label: str, texts: Sequence[str], width: int) -> list[str]:
    """Return texts that have the same label, as many as a reader takes in."""
    found = [line for text in texts[:_MOST_WORDS] for line in labelled(label, text, width)]
    if len(texts) > _MOST_WORDS:
        found.append(f"{label:{_LABEL}} ... and {len(texts) - _MOST_WORDS} more")
    return found


def table(rows: Sequence[tuple[str, ...]], most: int = _MOST_ROWS) -> list[str]:
    """Return rows below their heading, the first, in columns; as many as a reader takes in."""
    shown = rows[: most + 1]
    wide = [max(len(row[column]) for row in shown) for column in range(len(rows[0]) - 1)]
    made = [
        "  ".join([*(f"{cell:{size}}" for cell, size in zip(row, wide)), row[-1]]) for row in shown
    ]
    if len(rows) > len(shown):
        made.append(f"... and {len(rows) - len(shown)} more")
    return made


def natural(name: str) -> list[tuple[int, str]]:
    """Return a key by which node2 comes before node10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
