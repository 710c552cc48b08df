# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say which columns Theia's tables lack for flows with their layer 7."""

from __future__ import annotations

DOCUMENTATION = r"""
name: antrea_features_columns
short_description: Say which columns Theia's tables lack for flows with their layer 7
version_added: 0.2.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - It asks nobody.
positional: _input
options:
  _input:
    description: "Rows of C(system.columns) of ClickHouse, database C(default): C(table), C(name)."
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the statements
  k8snet.cni.show:
    lines: "{{ ((answer.content | from_json).data | k8snet.cni.antrea_features_columns).statements }}"
"""

RETURN = r"""
_value:
  description: C(statements) in the order in which they are to be run, and C(missing), those of Theia's tables that are not there.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _feature_marks as domain


def antrea_features_columns(rows: Any) -> dict[str, list[str]]:
    """Return statements and missing tables. Raises AnsibleFilterError on wrong input."""
    rows = plain(rows)
    if not isinstance(rows, list) or not all(isinstance(r, dict) and "table" in r for r in rows):
        raise AnsibleFilterError("antrea_features_columns: the input must be rows {table, name}.")
    statements, missing = domain.statements(rows)
    return {"statements": statements, "missing": missing}


class FilterModule:
    """Filters of the role antrea_features."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"antrea_features_columns": antrea_features_columns}
