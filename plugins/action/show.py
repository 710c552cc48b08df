# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prints lines as they are."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

#: Colour of a line that begins with the word.
_COLOURS = {"CRITICAL": "red", "REFUSED": "red", "FAILED": "red", "WARNING": "bright yellow"}


class ActionModule(ActionBase):
    """Action of k8snet.cni.show."""

    TRANSFERS_FILES = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Print the lines. Returns no result but that nothing changed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        lines = self._task.args.get("lines")
        if not isinstance(lines, list) or set(self._task.args) != {"lines"}:
            return {
                **result,
                "failed": True,
                "msg": "show: give 'lines', a list, and nothing else.",
            }
        display = Display()
        display.display("")
        for line in lines:
            display.display(str(line), color=_COLOURS.get(str(line).split(" ", maxsplit=1)[0]))
        display.display("")
        return {**result, "changed": False}
