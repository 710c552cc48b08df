# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one type every change is made of.

A module reads what it has, plans, and shows the plan in check mode; apply performs the same plan
and nothing else. The diff, the undo bundle and the list a person reads all come from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """One change to one object.

    ``action`` is a line of plain words; ``target`` names the object; ``before`` and ``after`` are
    what ``--diff`` shows (None: the object is absent); ``cuts_connectivity`` says that the path
    carrying the session may break.
    """

    action: str
    target: str
    before: Any = None
    after: Any = None
    cuts_connectivity: bool = False


@dataclass(frozen=True)
class Plan:
    """Steps in the order in which they are applied. An empty plan is no change."""

    steps: tuple[Step, ...] = ()

    @property
    def changed(self) -> bool:
        return bool(self.steps)

    @property
    def cuts_connectivity(self) -> bool:
        return any(step.cuts_connectivity for step in self.steps)

    def diff(self) -> list[dict[str, Any]]:
        """Return Ansible's diff: one entry per step, absent objects as empty text."""
        return [
            {
                "before_header": step.target,
                "after_header": step.target,
                "before": "" if step.before is None else step.before,
                "after": "" if step.after is None else step.after,
            }
            for step in self.steps
        ]

    def describe(self) -> list[dict[str, Any]]:
        """Return what a module returns as ``plan``: action, target, cuts_connectivity per step."""
        return [
            {
                "action": step.action,
                "target": step.target,
                "cuts_connectivity": step.cuts_connectivity,
            }
            for step in self.steps
        ]
