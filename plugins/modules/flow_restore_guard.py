#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: flow_restore_guard
short_description: Put a guard on an Antrea node that clears a stuck flow-restore-wait by itself
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - A node whose own NIC is in a bridge that waits for its flows can be reached by nobody. The guard is a timer of systemd on
    the node that needs neither network nor Ansible.
  - It clears C(flow-restore-wait) when it has seen it set for O(minutes), none of O(api_servers) takes a connection, and the
    rules of M(k8snet.cni.ovs_flow_restore_wait) are met, which is without O(k8snet.cni.ovs_flow_restore_wait#module:force).
  - What it does is in the journal (C(journalctl -t k8snet)).
  - Installs C(k8snet-flow-restore-guard.timer) and C(.service), the latter without any capability, and one program in
    C(/var/lib/k8snet/programs).
extends_documentation_fragment:
  - k8snet.cni.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - systemd on the node
options:
  state:
    description:
      - V(present) installs the guard, or changes one that is there.
      - V(absent) removes all of it.
    type: str
    choices: [present, absent]
    default: present
  minutes:
    description: For how many minutes the key must have been seen set, and C(ovs-vswitchd) must have been running.
    type: int
    default: 10
  interval:
    description: Seconds between two looks.
    type: int
    default: 60
  agent_min_age:
    description:
      - Seconds that an C(antrea-agent) which has been started is given to clear the key itself.
      - One that is started again and again is waited for no longer when the key has been seen set for O(minutes) and this.
    type: int
    default: 120
  socket:
    description: Path of ovsdb-server's unix socket. If not set, it is looked for where Antrea and distributions have it.
    type: path
  api_servers:
    description:
      - Where C(antrea-agent) reaches the API, as C(host:port). If one of them takes a TCP connection, nothing is done.
      - Required for O(state=present). Addresses are better than names, as a node that is cut off has no DNS.
    type: list
    elements: str
    default: []
  node_addresses:
    description: The node's own addresses, as in M(k8snet.cni.ovs_flow_restore_wait).
    type: list
    elements: str
    default: []
seealso:
  - module: k8snet.cni.ovs_flow_restore_wait
"""

EXAMPLES = r"""
- name: Guard the node
  k8snet.cni.flow_restore_guard:
    minutes: 10
    api_servers: [10.160.1.10:6443]
  become: true

- name: Guard it no longer
  k8snet.cni.flow_restore_guard:
    state: absent
  become: true
"""

RETURN = r"""
program:
  description: The program's path; null if the guard is to be absent.
  type: str
  returned: success
  sample: /var/lib/k8snet/programs/flow-restore-guard-0a1b2c3d4e5f.pyz
plan:
  description: What is (or in check mode would be) done.
  type: list
  elements: dict
  returned: success
  contains:
    action: {description: One line of plain words., type: str, returned: success}
    target: {description: The file or the unit., type: str, returned: success}
    cuts_connectivity: {description: Always false., type: bool, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _flow_guard as domain
from ansible_collections.k8snet.cni.plugins.module_utils.node import _flow_guard_units

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "minutes": {"type": "int", "default": 10},
    "interval": {"type": "int", "default": 60},
    "agent_min_age": {"type": "int", "default": 120},
    "socket": {"type": "path"},
    "api_servers": {"type": "list", "elements": "str", "default": []},
    "node_addresses": {"type": "list", "elements": "str", "default": []},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Install or remove. Raises GuardError."""
    want, data = None, b""
    if params["state"] == "present":
        settings = domain.Settings(
            minutes=params["minutes"],
            interval=params["interval"],
            socket=params["socket"],
            api_servers=tuple(params["api_servers"]),
            node_addresses=tuple(params["node_addresses"]),
            agent_min_age=params["agent_min_age"],
        )
        want, data = _flow_guard_units.wanted(settings)
    have = _flow_guard_units.installed()
    plan = domain.plan(have, want)
    if plan.changed:
        _flow_guard_units.require()
    if not check_mode:
        _flow_guard_units.apply(plan, want, data, have)
    return {
        "changed": plan.changed,
        "program": want.programs[0] if want else None,
        "plan": plan.describe(),
        "diff": plan.diff(),
    }


def main() -> None:
    """Run and exit."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        module.exit_json(**run(module.params, module.check_mode))
    except _flow_guard_units.GuardError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
