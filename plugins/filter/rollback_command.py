# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command that takes a run back."""

from __future__ import annotations

DOCUMENTATION = r"""
name: rollback_command
short_description: Tell the command that takes a run back
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - A command line for a shell that runs the playbook C(k8snet.cni.rollback), complete enough to be typed in any folder. It holds no
    secret.
positional: settings
options:
  _input:
    description: Name of the run.
    type: str
    required: true
  settings:
    description: What the run goes by.
    type: dict
    required: true
    suboptions:
      inventories:
        description: The variable C(ansible_inventory_sources).
        type: list
        elements: str
      where:
        description: RV(k8snet.cni.undo_bundle#module:where).
        type: str
      namespace:
        description: C(k8snet_undo_namespace), if bundles are kept as Secrets.
        type: str
      kubeconfig:
        description: C(k8snet_kubeconfig), if set.
        type: str
      context:
        description: C(k8snet_context), if set.
        type: str
      hosts:
        description: C(k8snet_hosts), if set.
        type: str
seealso:
  - module: k8snet.cni.undo_bundle
"""

EXAMPLES = r"""
- name: Tell how to go back
  k8snet.cni.show:
    lines:
      - "{{ run | k8snet.cni.rollback_command({'inventories': ansible_inventory_sources, 'where': bundle.where}) }}"
"""

RETURN = r"""
_value:
  description: The command line.
  type: str
  sample: ansible-playbook k8snet.cni.rollback -i /etc/ansible/hosts -e k8snet_run_id=night-1 -e k8snet_undo_dir=/srv/undo
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _way_back


def rollback_command(run_id: Any, settings: Any) -> str:
    """Return the command line. Raises AnsibleFilterError on wrong input."""
    if not isinstance(run_id, str) or not isinstance(settings, Mapping):
        raise AnsibleFilterError(
            "rollback_command: the input must be the name of a run, and 'settings' a dict."
        )
    return _way_back.rollback_command(str(plain(run_id)), plain(settings))


class FilterModule:
    """Filters of all roles that change something."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"rollback_command": rollback_command}
