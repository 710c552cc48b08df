# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's one exception: what failed, where, and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Callable


class LabError(Exception):
    """Anything a user of the lab can be told in a sentence; the CLI prints it without a traceback.

    what:   what failed, and where ("node2 did not answer ssh within 120 s")
    remedy: what to do about it, as an imperative sentence; may be empty
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what}. {remedy}" if remedy else what)
        self.what = what
        self.remedy = remedy


def exit_code(work: Callable[[], object]) -> int:
    """Do a program's work; return its exit code, 1 when it failed with what is then printed."""
    try:
        work()
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0
