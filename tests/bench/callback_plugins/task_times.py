# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes how long each task took, as lines of JSON, to the file that BENCH_TIMES names."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: task_times
type: aggregate
short_description: Writes how long each task took
description:
  - Writes one line of JSON per finished task to the file that C(BENCH_TIMES) names.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_times"

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self.began = time.monotonic()

    def v2_runner_on_ok(self, result: Any) -> None:
        entry = {"task": result.task.get_name(), "seconds": time.monotonic() - self.began}
        with open(os.environ["BENCH_TIMES"], "a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")
