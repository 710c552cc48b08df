# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make the files with which Antrea's agent is started on a machine outside the cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
name: antrea_features_external_files
short_description: Make the files with which Antrea's agent is started on a machine outside the cluster
version_added: 0.2.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - It writes nothing. What it returns holds the token.
positional: options, authorities
options:
  _input:
    description: The machine, with C(namespace).
    type: dict
    required: true
  options:
    description: "C(external_api), C(external_antrea), C(external_token), C(external_bypass), as P(k8snet.cni.antrea_features_plan#filter) takes them."
    type: dict
    required: true
  authorities:
    description: "PEM of the authorities of C(api) and C(antrea)."
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: See how the agent is configured
  k8snet.cni.show:
    lines: "{{ (machine | k8snet.cni.antrea_features_external_files(options, authorities))['antrea-agent.conf'].splitlines() }}"
"""

RETURN = r"""
_value:
  description: Name to text.
  type: dict
"""

import json
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _external_node as domain


def antrea_features_external_files(entry: Any, options: Any, authorities: Any) -> dict[str, str]:
    """Return the files. Raises AnsibleFilterError on wrong input."""
    # Text of a template is a type of its own, of which YAML makes nothing.
    entry, options, authorities = json.loads(
        json.dumps([plain(entry), plain(options), plain(authorities)])
    )
    try:
        return domain.files(entry, options, authorities)
    except (KeyError, TypeError, AttributeError) as error:
        # Without the words of the error, which may quote what is secret.
        raise AnsibleFilterError(
            f"antrea_features_external_files: the input is not complete ({type(error).__name__})."
        ) from None


class FilterModule:
    """Filters of the role antrea_features."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"antrea_features_external_files": antrea_features_external_files}
