#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: antrea_agent
short_description: Restart Antrea's agent on one node, or wait until agents are well
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Antrea reads its configuration at its start only, and only a new pod is sure to find the new one. This module deletes the
    pod of C(antrea-agent) on one node if it was made before C(antrea-agent.conf) was last written, or with O(force).
  - The pod is deleted by its UID, so that never a newer one goes.
  - It then waits until a new pod is ready and its AntreaAgentInfo has a heartbeat of the new process. The API server may be
    out of reach meanwhile, since a restarted agent can move the node's NIC.
  - Which nodes, in which order, with which checkpoint, is for the playbook to say.
  - With O(state=healthy) it changes nothing and waits until, on each of O(nodes), the agent's pod is ready, its AntreaAgentInfo
    has a heartbeat that is no older than O(since), and the Node is Ready. Check mode waits, too.
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - With O(force=true) the agent is restarted each time.
options:
  state:
    description:
      - V(restarted) restarts the agent of O(node) where that is due.
      - V(healthy) awaits the agents of O(nodes).
    type: str
    choices: [restarted, healthy]
    default: restarted
  node:
    description: Name of the Node whose agent is restarted.
    type: str
  nodes:
    description: Names of the Nodes whose agents are awaited.
    type: list
    elements: str
  since:
    description:
      - From when on a heartbeat counts, in UTC as C(2026-01-31T12:00:00Z). By default from the call on.
      - The heartbeat has the node's clock.
    type: str
  force:
    description: Whether to restart an agent that has read what is in the ConfigMap.
    type: bool
    default: false
  wait:
    description: Whether to wait until the new agent has reported itself.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait for that.
    type: int
    default: 300
  poll:
    description: Seconds between two looks.
    type: float
    default: 2
seealso:
  - module: k8snet.cni.antrea_config
  - module: k8snet.cni.antrea_info
"""

EXAMPLES = r"""
- name: Let the agent of one node read its configuration
  k8snet.cni.antrea_agent:
    node: node2
    wait_timeout: 180

- name: See two agents heal
  k8snet.cni.antrea_agent:
    state: healthy
    nodes: [node2, node3]
    wait_timeout: 600
"""

RETURN = r"""
plan:
  description: What is done, or in check mode would be.
  type: list
  elements: dict
  returned: success
  contains:
    action: {description: One line of plain words., type: str, returned: success}
    target: {description: The pod., type: str, returned: success}
    cuts_connectivity: {description: Whether the session may break., type: bool, returned: success}
why:
  description: Why the restart is due, null if it is not.
  type: str
  returned: with O(state=restarted)
before:
  description: The agent's pod before.
  type: dict
  returned: with O(state=restarted)
  contains: &pod
    node: {description: The Node it runs on., type: str, returned: success}
    pod: {description: Name., type: str, returned: success}
    uid: {description: UID., type: str, returned: success}
    ready: {description: Whether it is ready., type: bool, returned: success}
    restarts: {description: How often its process was started again., type: int, returned: success}
    created_at: {description: When the pod was made., type: str, returned: success}
    started_at: {description: "Since when its process runs, null if it does not.", type: str, returned: success}
    waiting: {description: "Why its process does not run, null if it does.", type: str, returned: success, sample: CrashLoopBackOff}
    heartbeat: {description: lastHeartbeatTime of the node's AntreaAgentInfo., type: str, returned: success}
after:
  description: The agent's pod after, the same as RV(before) where none was restarted or awaited.
  type: dict
  returned: with O(state=restarted)
  contains: *pod
agents:
  description: With O(state=healthy), the agents of O(nodes) by name. Failures have them, too.
  type: list
  elements: dict
  returned: with O(state=healthy)
  contains:
    node: {description: The Node., type: str, returned: success}
    pod: {description: "Name of its agent's pod, null without one.", type: str, returned: success}
    ready: {description: Whether that is ready., type: bool, returned: success}
    waiting: {description: "Why its process does not run, null if it does.", type: str, returned: success}
    error: {description: "What its process said when it ended last, null if it is ready or that is untold.", type: str, returned: success}
    heartbeat: {description: lastHeartbeatTime of its AntreaAgentInfo., type: str, returned: success}
    node_ready: {description: "The Node's condition Ready: V(True), V(False) or V(Unknown); null without such a Node.", type: str, returned: success}
seconds:
  description: How long it took.
  type: float
  returned: success
requests:
  description: Requests sent, retries included.
  type: int
  returned: success
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _antrea_healthy, _client
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._antrea_agent import (
    NotBack,
    Request,
    restart,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._errors import failing
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused


def run(api: _client.Api, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Restart the agent, or in check mode tell whether that is due; or await several."""
    if params["state"] == "healthy":
        bounds = {name: params[name] for name in ("since", "wait_timeout", "poll")}
        return _antrea_healthy.await_healthy(
            api, _antrea_healthy.Request(tuple(params["nodes"]), **bounds)
        )
    options = ("node", "force", "wait", "wait_timeout", "poll")
    return restart(api, Request(**{name: params[name] for name in options}), check_mode)


def main() -> None:
    """Run and exit."""
    module = AnsibleModule(
        argument_spec={
            **_client.AUTH_ARGUMENT_SPEC,
            "state": {"type": "str", "choices": ["restarted", "healthy"], "default": "restarted"},
            "node": {"type": "str"},
            "nodes": {"type": "list", "elements": "str"},
            "since": {"type": "str"},
            "force": {"type": "bool", "default": False},
            "wait": {"type": "bool", "default": True},
            "wait_timeout": {"type": "int", "default": 300},
            "poll": {"type": "float", "default": 2},
        },
        required_if=[("state", "restarted", ["node"]), ("state", "healthy", ["nodes"])],
        supports_check_mode=True,
    )
    with failing(module, Refused):
        try:
            api = _client.reachable(module.params)
            module.exit_json(**run(api, module.params, module.check_mode))
        except NotBack as error:
            module.fail_json(msg=str(error), **error.result)


if __name__ == "__main__":
    main()
