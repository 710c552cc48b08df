# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""See what of the controller matters before a node's power is cut."""

from __future__ import annotations

DOCUMENTATION = r"""
name: antrea_egress_vlan_controller
short_description: See what of the controller matters before a node's power is cut
version_added: 0.2.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Looks whether the programs of the commands are there, at which addresses the API server is, and whether one of the node's addresses, or
    of its pods, is the controller's own. It sends nothing, but for what a look-up of a name sends.
positional: commands
options:
  _input:
    description: C(egress), C(nodes), C(pods) and C(server), as P(k8snet.cni.antrea_egress_vlan_power#filter) takes them.
    type: dict
    required: true
  commands:
    description: The commands C(off) and C(on), lists of words.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Look
  ansible.builtin.set_fact:
    controller: "{{ seen | k8snet.cni.antrea_egress_vlan_controller({'off': ['virsh', 'destroy', 'vm2'], 'on': ['virsh', 'start', 'vm2']}) }}"
"""

RETURN = r"""
_value:
  description:
    - C(server), the API server's addresses; C(own), those of the node that are the controller's; C(off) and C(on), the names of the programs;
      C(problems), sentences about the commands. It holds no word of them else.
  type: dict
"""

import shutil
import socket
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.k8snet.cni.plugins.module_utils._plain import plain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _egress_vlan_command as command,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _egress_vlan_power as domain
from ansible_collections.k8snet.cni.plugins.module_utils.node._probe_reach import is_own


def _addresses(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:  # behind a proxy, which knows the name
        return []
    return sorted({str(entry[4][0]) for entry in found})


def antrea_egress_vlan_controller(seen: Any, commands: Any) -> dict[str, Any]:
    """Return server, own, off, on, problems."""
    facts, given = plain(seen), plain(commands)
    off, on = given.get("off"), given.get("on")
    host = urlsplit(str(facts.get("server") or "")).hostname
    problems = list(command.problems(off, on))
    for key, words in (("off", off), ("on", on)):
        if not problems and not shutil.which(str(words[0])):
            problems.append(command.missing(key, words))
    return {
        "server": _addresses(host) if host else [],
        "own": [address for address in domain.addresses(facts) if is_own(address)],
        "off": command.program(off),
        "on": command.program(on),
        "problems": problems,
    }


class FilterModule:
    """Filters of the role antrea_egress_vlan."""

    def filters(self) -> dict[str, Any]:
        """Return name -> filter."""
        return {"antrea_egress_vlan_controller": antrea_egress_vlan_controller}
