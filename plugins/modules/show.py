#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: show
short_description: Print lines as they are
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Prints lines for a person to read, tables and commands included, where M(ansible.builtin.debug) would print them as JSON.
  - It runs on the controller and does nothing else.
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.attributes.facts
attributes:
  action:
    description: Runs on the controller only.
    support: full
options:
  lines:
    description: The lines.
    type: list
    elements: str
    required: true
seealso:
  - module: ansible.builtin.debug
"""

EXAMPLES = r"""
- name: Show the plan
  k8snet.cni.show:
    lines: "{{ decision.lines }}"
"""

RETURN = r""" # """
