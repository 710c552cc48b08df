# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say in a sentence why a task failed."""

from __future__ import annotations

DOCUMENTATION = r"""
name: failure
short_description: Say in a sentence why a task failed
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - For the C(rescue) of a block. Takes the message where there is one that says something, else the messages of a loop's items, the
    answer of an API server, or the end of what the task printed, and names host and task unless the message is one of this
    collection's own, which do that.
positional: task, action, host
options:
  _input:
    description: C(ansible_failed_result).
    type: dict
    required: true
  task:
    description: C(ansible_failed_task.name).
    type: str
    default: ''
  action:
    description: C(ansible_failed_task.action).
    type: str
    default: ''
  host:
    description: C(inventory_hostname). It is not named if it is V(localhost), or empty.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Change something, and say what went wrong
  block:
    - name: Change something
      ansible.builtin.command: /bin/false
      changed_when: true
  rescue:
    - name: Fail
      ansible.builtin.fail:
        msg: "{{ ansible_failed_result | k8snet.cni.failure(ansible_failed_task.name, ansible_failed_task.action, inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: The sentence.
  type: str
"""

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _failure as domain


def failure(result: Any, task: Any = "", action: Any = "", host: Any = "") -> str:
    """Return the sentence; whatever is not a result is told as it is."""
    found = plain(result)
    if not isinstance(found, dict):
        found = {"msg": found}
    return domain.sentence(found, str(task or ""), str(action or ""), str(host or ""))


class FilterModule:
    """What roles say of failures."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"failure": failure}
