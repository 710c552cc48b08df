# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module audit_report, then prints the summary as plain lines.

A task's result is printed as JSON, in which quotes are escaped: no command in it could be pasted.
"""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

_COLOURS = {"CRITICAL": "red", "WARNING": "bright yellow", "INFO": "cyan"}


class ActionModule(ActionBase):
    """Action of k8snet.cni.audit_report."""

    TRANSFERS_FILES = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Run the module; print the summary even if the report could not be written."""
        super().run(tmp, task_vars)
        report = self._task.args.get("report")
        result: dict[str, Any] = self._execute_module(task_vars=task_vars)
        lines = report.get("summary") if isinstance(report, dict) else None
        if lines and self._task.args.get("print_summary", True) not in (False, "false", "no"):
            display = Display()
            display.display("")
            for line in lines:
                display.display(str(line), color=_COLOURS.get(str(line).split(" ", maxsplit=1)[0]))
            if result.get("path"):
                display.display(f"Report   {result['path']}")
            display.display("")
        return result
