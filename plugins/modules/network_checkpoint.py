#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: network_checkpoint
short_description: Make a node undo a change of its network by itself unless the change is confirmed
version_added: 0.2.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - With O(state=armed) saves links (name, master, up or down, MTU, MAC, other names), addresses, routes of all tables, routing rules,
    DNS and Open vSwitch's settings, and starts a timer on the node. Make the change, reach the node again on a new connection, and say
    O(state=confirmed). Without that the node restores itself when the timer ends, or after a reboot.
  - The restore touches only what differs from what was saved. It takes a NIC back out of a bridge also when C(ovs-vswitchd) or
    C(ovsdb-server) is dead, puts back names, addresses, routes and rules, looks again until nothing is left, and reports.
  - The restore program is one file of Python on the node. It needs neither the network nor Ansible. At a console,
    C(python3 -I /var/lib/k8snet/programs/restore-*.pyz --show ID) says what it would do, C(--restore ID) does it.
  - The way out comes back first - the links that carry the default routes and what O(scope.reach) names, with all that they lie on -
    and is looked at again before the rest is begun. After two minutes no further step is begun; the report says what is left.
  - The timer counts by a clock that nobody can set, so that a jump of the date neither fires nor delays it.
  - Where the cause lies in the cluster, an agent would read it again and cut the node off a second time. With O(hold=true) the restore
    stops O(hold_units), ends O(hold_processes), and keeps the units stopped, over reboots too, until O(state=absent) lifts that.
extends_documentation_fragment:
  - k8snet.cni.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - O(state=armed) refuses while any checkpoint is armed, the same one included, unless O(renew=true) begins its time anew.
      - The other states change nothing the second time.
notes:
  - A bond, bridge, VLAN, VRF, macvlan or dummy that is gone is made again with its own settings; other kinds are told in RV(checkpoint.report).
  - Not saved are the VLANs of a bridge's ports (C(bridge vlan)), and settings that were changed on a bond or bridge which still stands.
requirements:
  - systemd on the node
  - iproute2 4.20 or later on the node
options:
  state:
    description:
      - V(armed) saves and starts the timer. Refuses when a checkpoint is armed or holds something, without systemd, and when the disk
        is full or read-only, before anything is changed.
      - V(confirmed) disarms. Fails when the node was rolled back, with the report. Where the timer is gone (stopped by hand, say), the
        change is kept as asked, and a warning tells that nothing watched over it.
      - V(rolled_back) restores now.
      - V(absent) lifts the hold, disarms without restoring, and removes all of O(id) but the program.
    type: str
    required: true
    choices: [armed, confirmed, rolled_back, absent]
  id:
    description: Name of the checkpoint. Letters, digits, C(.), C(_) and C(-), up to 64.
    type: str
    required: true
  timeout:
    description:
      - Seconds until the node restores itself. Longer than the change and its confirmation.
      - Between 20 and 86400.
    type: int
    default: 300
  renew:
    description:
      - With O(state=armed) begins the time of the checkpoint O(id) anew with O(timeout); what was saved, and O(hold), stay as they are.
      - Fails unless it is armed.
    type: bool
    default: false
  scope:
    description: What is saved and restored.
    type: dict
    default: {}
    suboptions:
      links:
        description: Names of the links. Without it, all but those of pods, of the CNI and of kube-proxy.
        type: list
        elements: str
      reach:
        description:
          - IP addresses of what the node must reach again before all else besides its gateways, such as the API server or the controller
            where another link leads there than the default route. Fails when nothing leads there now.
        type: list
        elements: str
      ovs:
        description:
          - Whether Open vSwitch is looked after - bridges that have one of these links, their ports but those of pods, and
            C(other_config). A C(flow-restore-wait) that was not set is taken away when the node itself hung on a bridge.
        type: bool
        default: true
      ovs_socket:
        description: C(ovsdb-server)'s socket. Without it, the usual places are looked at, Antrea's first.
        type: path
      dns:
        description: Whether C(/etc/resolv.conf) and C(systemd-resolved)'s servers per link are looked after.
        type: bool
        default: true
  hold:
    description: Whether a restore holds the actor that made the change.
    type: bool
    default: false
  hold_units:
    description: Units to stop and to keep stopped.
    type: list
    elements: str
    default: [kubelet]
  hold_processes:
    description: Names of processes to end (C(/proc/PID/comm)), asked first, then by force. Containers outlive kubelet.
    type: list
    elements: str
    default: [antrea-agent]
  hold_chains:
    description:
      - Chains of the table C(filter), of both families, that the restore empties once the actor is held. Rules that the actor wrote stay
        behind when it ends, and would keep the node cut off.
      - For Antrea's policies for nodes, C(ANTREA-POL-INGRESS-RULES) and C(ANTREA-POL-EGRESS-RULES). They are not put back; the actor
        writes them again when the hold is lifted.
    type: list
    elements: str
    default: []
seealso:
  - module: k8snet.cni.undo_bundle
  - module: k8snet.cni.ovs_facts
"""

EXAMPLES = r"""
- name: The node restores itself in five minutes
  k8snet.cni.network_checkpoint:
    state: armed
    id: 20260131t021000z
    timeout: 300
  become: true

- name: The change
  ansible.builtin.command: /usr/local/sbin/move-the-nic
  become: true

- name: Prove that the node can be reached anew
  ansible.builtin.meta: reset_connection

- name: Keep the change
  k8snet.cni.network_checkpoint:
    state: confirmed
    id: 20260131t021000z
  become: true

- name: Armed before an object is written that every agent reads
  k8snet.cni.network_checkpoint:
    state: armed
    id: 20260131t021000z
    timeout: 600
    hold: true
  become: true

- name: Let kubelet go again once the object is reverted
  k8snet.cni.network_checkpoint:
    state: absent
    id: 20260131t021000z
  become: true
"""

RETURN = r"""
checkpoint:
  description: How the checkpoint stands after the module ran, in check mode before.
  type: dict
  returned: success
  contains:
    id: {description: Its name., type: str, returned: success, sample: 20260131t021000z}
    state:
      description: armed, restoring, confirmed, rolled_back, failed (restored in part) or absent.
      type: str
      returned: success
      sample: armed
    armed_at: {description: When it was armed by the node's clock or null., type: str, returned: success}
    timeout: {description: Seconds from then or null., type: int, returned: success, sample: 300}
    timer:
      description:
        - While it is armed, what systemd says of its timer - waiting, fired, gone, or unknown when systemd does not answer. Null otherwise.
        - Gone means that only a boot restores the node. Confirm, roll back, or begin the time anew with O(renew=true).
      type: str
      returned: success
      sample: waiting
    deadline:
      description: When the node restores itself, null unless it is armed and its timer is there.
      type: dict
      returned: success
      contains:
        monotonic: {description: Seconds on the kernel's monotonic clock., type: float, returned: success}
        boot_id: {description: The boot whose clock that is., type: str, returned: success}
        seconds_left: {description: "Seconds from now, null after a reboot.", type: float, returned: success}
    hold: {description: Whether a restore holds the actor., type: bool, returned: success}
    held: {description: Whether it is held now., type: bool, returned: success}
    program: {description: Command of the restore program or null., type: list, elements: str, returned: success}
    report:
      description: What a restore did, null without one.
      type: dict
      returned: success
      contains:
        state: {description: rolled_back or failed., type: str, returned: success}
        started_at: {description: When by the node's clock., type: str, returned: success}
        started_monotonic: {description: When by the monotonic clock., type: float, returned: success}
        boot_id: {description: The boot in which it ran., type: str, returned: success}
        seconds: {description: How long it took., type: float, returned: success, sample: 0.8}
        steps: {description: "Each step with action, seconds and error.", type: list, elements: dict, returned: success}
        left: {description: What is not as it was., type: list, elements: str, returned: success}
        cannot: {description: What was seen and cannot be restored., type: list, elements: str, returned: success}
        held: {description: Units that are held., type: list, elements: str, returned: success}
plan:
  description: What is (or in check mode would be) done.
  type: list
  elements: dict
  returned: success
  contains:
    action: {description: One line of plain words., type: str, returned: success}
    target: {description: What it touches., type: str, returned: success}
    cuts_connectivity: {description: Whether the connection may break., type: bool, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.node import _checkpoint

ARGUMENTS: dict[str, Any] = {
    "state": {
        "type": "str",
        "required": True,
        "choices": ["armed", "confirmed", "rolled_back", "absent"],
    },
    "id": {"type": "str", "required": True},
    "timeout": {"type": "int", "default": 300},
    "renew": {"type": "bool", "default": False},
    "scope": {
        "type": "dict",
        "default": {},
        "options": {
            "links": {"type": "list", "elements": "str"},
            "reach": {"type": "list", "elements": "str"},
            "ovs": {"type": "bool", "default": True},
            "ovs_socket": {"type": "path"},
            "dns": {"type": "bool", "default": True},
        },
    },
    "hold": {"type": "bool", "default": False},
    "hold_units": {"type": "list", "elements": "str", "default": ["kubelet"]},
    "hold_processes": {"type": "list", "elements": "str", "default": ["antrea-agent"]},
    "hold_chains": {"type": "list", "elements": "str", "default": []},
}
SCOPE = {"links": None, "reach": None, "ovs": True, "ovs_socket": None, "dns": True}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Do what ``state`` asks for. Raises what `_checkpoint.ERRORS` names."""
    checkpoint = _checkpoint.Checkpoint(params["id"], check_mode)
    if params["state"] == "armed" and params["renew"]:
        return checkpoint.renew(params["timeout"])
    if params["state"] == "armed":
        hold = {word: params[f"hold_{word}"] for word in ("units", "processes", "chains")}
        scope = {**SCOPE, **params["scope"]}
        return checkpoint.arm(params["timeout"], scope, hold if params["hold"] else None)
    if params["state"] == "confirmed":
        return checkpoint.confirm()
    if params["state"] == "rolled_back":
        return checkpoint.roll_back()
    return checkpoint.remove()


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(module.params, module.check_mode)
    except _checkpoint.ERRORS as error:
        module.fail_json(msg=str(error))
    for text in result.pop("warnings"):
        module.warn(text)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
