#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_flow_restore_wait
short_description: Clear a flow-restore-wait that is stuck on an Antrea node
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - While C(other_config:flow-restore-wait) is set, C(ovs-vswitchd) touches no packet. Antrea sets it whenever it starts
    Open vSwitch, and its agent deletes it once its flows are installed. An agent that cannot reach the API over the very
    bridge that waits never does.
  - Judges by what is on the node whether the key is stuck, and deletes it in one OVSDB transaction that fails if the key
    has been changed meanwhile. No C(ovs-vsctl) and no C(ovs-ofctl) is needed.
  - It is stuck when C(ovs-vswitchd) has been running for O(min_age), and C(antrea-agent) is not in its first
    O(agent_min_age).
  - A stuck key is cleared when Antrea's flows are on every bridge that carries pods, or when the node's own address sits on a
    port of a bridge with a NIC in it - the node is cut off then, and network policies are off until the agent is back.
    Otherwise the module fails, unless O(force) is given.
  - After that it waits until C(ovs-vswitchd) has taken the change over and somebody behind the bridge has answered, a
    gateway or a known neighbour. If that does not happen, it fails and says so.
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
  state:
    description:
      - V(absent) clears the key if it is stuck. A key that is not stuck is left alone, which is no failure; RV(verdict.reason)
        says why, and RV(verdict.wait) when to ask again.
      - V(read) only judges.
    type: str
    choices: [absent, read]
    default: absent
  socket:
    description:
      - Path of ovsdb-server's unix socket.
      - If not set, C(/var/run/antrea/openvswitch/db.sock) and then C(/var/run/openvswitch/db.sock) are looked for. A node
        that has neither has nothing to clear.
    type: path
  min_age:
    description: Seconds for which C(ovs-vswitchd) must have been running. OVSDB keeps no history of the key.
    type: int
    default: 300
  agent_min_age:
    description: Seconds that an C(antrea-agent) which has been started is given to clear the key itself.
    type: int
    default: 120
  node_addresses:
    description:
      - The node's own addresses, its InternalIPs for example. If one of them sits on a port of a bridge with a NIC in it, the
        node is cut off.
      - If not set, the device of the default route tells; without one, any address that came from a NIC in a bridge.
    type: list
    elements: str
    default: []
  force:
    description:
      - Clears the key whatever the ages are and whether Antrea's flows are there or not. RV(verdict.warnings) says what that
        brings about.
      - Does nothing where C(ovs-vswitchd) does not run.
    type: bool
    default: false
  wait_timeout:
    description: Seconds for everything, ovsdb-server being restarted meanwhile included.
    type: int
    default: 60
seealso:
  - module: k8snet.cni.ovs_facts
  - module: k8snet.cni.flow_restore_guard
"""

EXAMPLES = r"""
- name: Clear the key if it is stuck
  k8snet.cni.ovs_flow_restore_wait:
    node_addresses: "{{ node_internal_ips }}"
  become: true
  register: cleared

- name: Say why nothing was done
  ansible.builtin.debug:
    msg: "{{ cleared.verdict.reason }}"
  when: not cleared.verdict.act

- name: Wait until the key is gone or known to be stuck, and clear it then
  k8snet.cni.ovs_flow_restore_wait:
  become: true
  register: cleared
  until: cleared is failed or cleared.verdict.wait is none
  retries: 20
  delay: 30
"""

RETURN = r"""
verdict:
  description: What was found. Failures have it too.
  type: dict
  returned: always
  contains:
    act: {description: Whether the key is to be cleared., type: bool, returned: always}
    stuck: {description: Whether it is stuck., type: bool, returned: always}
    code:
      description:
        - One word for the reason.
        - Not stuck - V(no_ovs), V(not_set), V(vswitchd_down), V(vswitchd_unseen), V(vswitchd_young), V(agent_young).
        - Stuck - V(policies_kept) and V(cut_off) are cleared, V(refused) is not.
        - V(forced) is cleared because of O(force).
        - V(unknown) in a failure before the node could be judged.
      type: str
      returned: always
    reason:
      description: The reason in a sentence.
      type: str
      returned: always
      sample: >-
        flow-restore-wait is set, and ovs-vswitchd has been running for 4211 s. The node's own address is on eth0, a port of
        Open vSwitch: the node is cut off.
    warnings: {description: What clearing brings about., type: list, elements: str, returned: always}
    wait:
      description: In how many seconds to ask again; null when time changes nothing.
      type: int
      returned: always
    evidence:
      description: What was judged; empty without Open vSwitch.
      type: dict
      returned: always
      contains:
        vswitchd_running: {description: Whether C(ovs-vswitchd) runs; null if that cannot be seen., type: bool, returned: success}
        vswitchd_uptime: {description: For how many seconds., type: int, returned: success}
        agent_age: {description: Seconds since the youngest C(antrea-agent) was started; null without one., type: int, returned: success}
        own_address_on: {description: The port that holds the node's own address; null on a node that is not cut off., type: str, returned: success}
        flows:
          description: The bridges that carry pods.
          type: list
          elements: dict
          returned: success
          contains:
            bridge: {description: Name., type: str, returned: success, sample: br-int}
            state: {description: "V(antrea), V(none) (no flow with Antrea's cookie), or V(unreadable).", type: str, returned: success}
            flows: {description: Flows looked at until that was known., type: int, returned: success}
            error: {description: Why they could not be read., type: str, returned: success}
was:
  description: The key as it was; null if it was not there.
  type: str
  returned: success
  sample: "true"
cur_cfg:
  description: The configuration that C(ovs-vswitchd) has taken over.
  type: int
  returned: success
next_cfg:
  description: The configuration that was last asked for.
  type: int
  returned: success
forwarding:
  description: Whether packets pass again.
  type: dict
  returned: success
  contains:
    proven: {description: True if somebody answered; null if nobody was asked or none but former neighbours could be., type: bool, returned: success}
    how: {description: "Who answered, or why nobody was asked.", type: str, returned: success, sample: 10.160.1.1 answered on eth0.}
plan:
  description: What is (or in check mode would be) done.
  type: list
  elements: dict
  returned: success
  contains:
    action: {description: One line of plain words., type: str, returned: success}
    target: {description: The key., type: str, returned: success}
    cuts_connectivity: {description: Whether connections may break., type: bool, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _flow_restore as domain
from ansible_collections.k8snet.cni.plugins.module_utils.node import _flow_restore, _ovsdb

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["absent", "read"], "default": "absent"},
    "socket": {"type": "path"},
    "min_age": {"type": "int", "default": 300},
    "agent_min_age": {"type": "int", "default": 120},
    "node_addresses": {"type": "list", "elements": "str", "default": []},
    "force": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 60},
}


def request_of(params: dict[str, Any]) -> _flow_restore.Request:
    """Return what is asked for. Raises FlowRestoreError that names the option."""
    for option, least in (("min_age", 0), ("agent_min_age", 0), ("wait_timeout", 1)):
        if not least <= params[option] <= 86400:
            raise _flow_restore.FlowRestoreError(
                f"{option} must be from {least} to 86400 seconds: {params[option]}."
            )
    return _flow_restore.Request(
        domain.Options(params["min_age"], params["agent_min_age"], params["force"]),
        params["socket"],
        params["wait_timeout"],
        tuple(params["node_addresses"]),
    )


def shown(outcome: _flow_restore.Outcome, state: str) -> dict[str, Any]:
    """Return the module's result."""
    plan = domain.plan(outcome.verdict, outcome.was) if state == "absent" else Plan()
    return {
        "changed": plan.changed,
        "verdict": outcome.verdict.shown(),
        "was": outcome.was,
        "cur_cfg": outcome.cur_cfg,
        "next_cfg": outcome.next_cfg,
        "forwarding": outcome.forwarding,
        "plan": plan.describe(),
        "diff": plan.diff(),
    }


def main() -> None:
    """Run and exit."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    state = module.params["state"]
    try:
        request = request_of(module.params)
        write = state == "absent" and not module.check_mode
        outcome = _flow_restore.run(request, write)
    except _flow_restore.FlowRestoreError as error:
        judged = error.verdict or domain.UNKNOWN
        module.fail_json(msg=str(error), changed=error.changed, verdict=judged.shown())
    except _ovsdb.OvsdbError as error:
        module.fail_json(msg=str(error), verdict=domain.UNKNOWN.shown())
    verdict = outcome.verdict
    if state == "absent" and verdict.code == "refused":
        module.fail_json(msg=verdict.reason, verdict=verdict.shown())
    for warning in verdict.warnings if state == "absent" else ():
        module.warn(warning)
    module.exit_json(**shown(outcome, state))


if __name__ == "__main__":
    main()
