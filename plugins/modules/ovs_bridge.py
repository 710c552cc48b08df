#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_bridge
short_description: Remove a secondary bridge that Antrea has left in Open vSwitch
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Up to 2.6 Antrea leaves its secondary bridge in Open vSwitch when that is no longer configured, and with several NICs they stay on it.
  - Removes that bridge in one OVSDB transaction, which fails if a port has come meanwhile, and waits until C(ovs-vswitchd) has taken it
    over. No C(ovs-vsctl) is needed.
  - Refuses while anything hangs on the bridge - a pod's port, a tunnel, a NIC whose addresses Antrea has moved, an uplink that is not
    in O(uplinks) or that Antrea has not marked, an address of the bridge's own interface.
  - A bridge that is configured is made anew by C(antrea-agent). Take it out of the configuration and restart the agent before.
extends_documentation_fragment:
  - k8snet.cni.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description: Name of the bridge.
    type: str
    required: true
  state:
    description: V(absent) removes it. There is nothing else - a bridge is made by Antrea.
    type: str
    choices: [absent]
    default: absent
  uplinks:
    description: NICs that may be on the bridge, and are free afterwards.
    type: list
    elements: str
    default: []
  socket:
    description:
      - Path of ovsdb-server's unix socket.
      - If not set, C(/var/run/antrea/openvswitch/db.sock) and then C(/var/run/openvswitch/db.sock) are looked for. A node that has
        neither has no bridge.
    type: path
  wait_timeout:
    description: Seconds within which C(ovs-vswitchd) must have taken it over.
    type: int
    default: 30
seealso:
  - module: k8snet.cni.ovs_facts
"""

EXAMPLES = r"""
- name: Remove what Antrea 2.6 has left
  k8snet.cni.ovs_bridge:
    name: br-secondary
    uplinks: [eth1, eth2]
  become: true
"""

RETURN = r"""
ports:
  description: The ports that the bridge had, its own aside; empty without a bridge.
  type: list
  elements: str
  returned: success
  sample: [eth1, eth2]
plan:
  description: What is (or in check mode would be) done.
  type: list
  elements: dict
  returned: success
  contains:
    action: {description: One line of plain words., type: str, returned: success}
    target: {description: The bridge., type: str, returned: success}
    cuts_connectivity: {description: Whether connections may break., type: bool, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _ovs_bridge as domain
from ansible_collections.k8snet.cni.plugins.module_utils.node import _ovs_bridge, _ovsdb

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["absent"], "default": "absent"},
    "uplinks": {"type": "list", "elements": "str", "default": []},
    "socket": {"type": "path"},
    "wait_timeout": {"type": "int", "default": 30},
}


def main() -> None:
    """Run and exit."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    asked = module.params
    if not 1 <= asked["wait_timeout"] <= 3600:
        module.fail_json(
            msg=f"wait_timeout must be from 1 to 3600 seconds: {asked['wait_timeout']}."
        )
    try:
        bridge = _ovs_bridge.absent(
            asked["name"],
            asked["uplinks"],
            asked["socket"],
            asked["wait_timeout"],
            write=not module.check_mode,
        )
    except _ovs_bridge.BridgeError as error:
        module.fail_json(msg=str(error), changed=error.changed)
    except _ovsdb.OvsdbError as error:
        module.fail_json(msg=str(error))
    plan = domain.plan(bridge)
    module.exit_json(
        changed=plan.changed,
        ports=bridge.others if bridge else [],
        plan=plan.describe(),
        diff=plan.diff(),
    )


if __name__ == "__main__":
    main()
