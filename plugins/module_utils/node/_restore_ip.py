# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many commands of ``ip`` in few processes: starting them is what costs."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence

from ..domain._checkpoint_world import Action
from . import _iproute
from ._links import ReadError

#: So many at a time: between two processes it is seen whether there is time left.
_MOST = 100
_MOST_WORDS = 200
# What a batch reads as a word: it knows quotes, comments and lines that go on.
_PLAIN = re.compile(r"[A-Za-z0-9@%+=:,./_~^-]+")
_FAILED = re.compile(r"Command failed .*:(\d+)\s*")
_FAMILIES = ("-4", "-6")


class Unclear(Exception):
    """``ip`` ended in the middle: which of the commands it did is not known."""


def together(actions: Sequence[Action]) -> Iterator[list[Action]]:
    """Yield the actions in their order, those together that one process can do."""
    group: list[Action] = []
    for action in actions:
        if group and not (_fits(action) and _option(action) == _option(group[0])):
            yield group
            group = []
        group.append(action)
        if not _fits(action) or len(group) == _MOST:
            yield group
            group = []
    if group:
        yield group


def _fits(action: Action) -> bool:
    few = len(action.words) <= _MOST_WORDS
    return action.op == "ip" and few and all(map(_PLAIN.fullmatch, action.words))


def _option(action: Action) -> str:
    """The family, which is an option of the whole process."""
    return action.words[0] if action.words[:1] and action.words[0] in _FAMILIES else ""


def batch(actions: Sequence[Action], timeout: float) -> list[str | None]:
    """Do what `together` put together; each one's error, None where it went well.

    Raises ReadError when ``ip`` is not there or does not end, `Unclear`.
    """
    program = _iproute.find()
    if program is None:
        raise ReadError("The program 'ip' was not found. Install iproute2 on the node.")
    option = _option(actions[0])
    lines = [" ".join(action.words[1 if option else 0 :]) for action in actions]
    try:
        done = subprocess.run(
            [program, *([option] if option else []), "-force", "-batch", "-"],
            input="".join(f"{line}\n" for line in lines).encode(),
            capture_output=True,
            check=False,
            timeout=timeout,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ReadError(f"Running 'ip -batch' failed: {error}.") from None
    return _errors(done.stderr.decode("utf-8", "backslashreplace"), done.returncode, len(lines))


def _errors(text: str, code: int, number: int) -> list[str | None]:
    found: list[str | None] = [None] * number
    said: list[str] = []
    for line in text.splitlines():
        failed = _FAILED.fullmatch(line)
        if failed and 0 < int(failed[1]) <= number:
            found[int(failed[1]) - 1] = " ".join(said) or "failed"
            said = []
        elif line.strip() and not line.startswith("Warning:"):
            said.append(line.strip().replace("RTNETLINK answers: ", ""))
    if code not in (0, 1) or (code and (said or not any(found))):
        raise Unclear(" ".join(said) or f"exit code {code}")
    return found
