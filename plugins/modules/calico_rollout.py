#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: calico_rollout
short_description: Wait for the roll-out of Calico's autodetection method, and judge each node
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Looks at the DaemonSet, its pods, the addresses that they stored and the operator's TigeraStatus until what O(wait) names
    has come, or cannot come any more, or the time is over.
  - A pod that is ready never counts alone. A node is done when its calico-node runs what the DaemonSet now says, is ready,
    and stored the address of O(expect). TigeraStatus counts by generation, the DaemonSet by observedGeneration.
  - Fails unless what was waited for has come; the failed result has the same keys. What ends the waiting early is seen
    twice before it counts.
  - In check mode it looks once and does not fail.
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.attributes.facts
  - k8snet.cni.cluster
options:
  expect:
    description:
      - Node to the addresses that it shall store, in CIDR form under C(v4) and C(v6). A family that is null or left out
        is not judged.
    type: dict
    default: {}
  wait:
    description:
      - V(canary) waits until the first node is done. With O(canary) that is this node, else every node that goes first. Under
        minReadySeconds that is as many as maxUnavailable says, and each whose pod was not ready.
      - V(all) waits until all are.
      - V(none) looks once and does not fail.
    type: str
    choices: [none, canary, all]
    default: all
  canary:
    description: Node that goes first.
    type: str
  accept_unseen:
    description: Nodes that may stay behind, since they cannot be reached.
    type: list
    elements: str
    default: []
  unready:
    description:
      - Nodes whose calico-node was not ready in the state that is waited for, since that was broken. They have to store the address
        of O(expect), and no more. If the roll-out cannot get past them, the other nodes have to be ready and to store theirs.
    type: list
    elements: str
    default: []
  wait_timeout:
    description: Seconds to wait in all; O(timeout) is for one request.
    type: int
    default: 600
  poll:
    description: Seconds between two looks.
    type: float
    default: 5
seealso:
  - module: k8snet.cni.calico_autodetection
"""

EXAMPLES = r"""
- name: Wait for the first node
  k8snet.cni.calico_rollout:
    wait: canary
    expect:
      node1: {v4: 10.160.1.21/24}
      node2: {v4: 10.160.1.22/24}
    wait_timeout: 300
"""

RETURN = r"""
done:
  description: Whether what was waited for has come.
  type: bool
  returned: always
stop:
  description: Whether waiting longer cannot help, since something is wrong.
  type: bool
  returned: always
waiting_for:
  description: What is missing, null if nothing is.
  type: str
  returned: always
rendered:
  description: Whether the operator has put the Installation's methods into the DaemonSet; true with a manifest.
  type: bool
  returned: always
held:
  description: Whether nodes are left that minReadySeconds or OnDelete holds.
  type: bool
  returned: always
first_nodes:
  description: Nodes whose calico-node runs the new method.
  type: list
  elements: str
  returned: always
nodes:
  description: By name each Linux node that has a pod or is expected to. The values have these keys.
  type: dict
  returned: always
  contains:
    pod: {description: "calico-node's pod, null without one.", type: str, returned: always}
    current: {description: Whether it runs the new method., type: bool, returned: always}
    ready: {description: Whether it is ready., type: bool, returned: always}
    v4: {description: "IPv4 address that the node stored, null without one.", type: str, returned: always}
    v6: {description: IPv6 address likewise., type: str, returned: always}
    as_expected: {description: Whether these are the ones of O(expect)., type: bool, returned: always}
    problem: {description: "What is wrong, null if nothing is or its turn has not come.", type: str, returned: always}
behind:
  description: Nodes of O(accept_unseen) that are not done, those of O(unready) that are not ready, and those that wait behind these.
  type: list
  elements: str
  returned: always
conditions:
  description:
    - "TigeraStatus' Available, Degraded and Progressing: status, reason, message, observed_generation and
      of_this_generation. Empty with a manifest."
  type: dict
  returned: always
daemonset:
  description:
    - "The DaemonSet: namespace, name, generation, observed_generation, desired, updated, available, unavailable,
      min_ready_seconds, at_once (on how many nodes pods are replaced at a time), strategy."
  type: dict
  returned: always
problems:
  description: "What is wrong: node (null: all) and problem. What ends the waiting comes first."
  type: list
  elements: dict
  returned: always
requests:
  description: "Requests sent, retries included."
  type: int
  returned: always
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _apply, _client
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._errors import failing
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._rollout_watch import (
    Looker,
    follow,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._rollout import Asked


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return the last look. Raises ClusterError, Refused."""
    api = _client.reachable(params)
    asked = Asked(
        expect={node: families or {} for node, families in params["expect"].items()},
        accept=frozenset(params["accept_unseen"]),
        canary=params["canary"],
        unready=frozenset(params["unready"]),
    )
    wait = params["wait"]
    patience = _apply.Patience(0 if check_mode else params["wait_timeout"])
    result = follow(Looker(api).raw, asked, wait, patience, params["poll"])
    return {"changed": False, **result, "requests": api.requests}


def failure(result: dict[str, Any], params: dict[str, Any]) -> str:
    """Return why the wait was in vain."""
    said = "; ".join(
        f"{p['node']}: {p['problem']}" if p["node"] else p["problem"] for p in result["problems"]
    )
    if result["stop"]:
        return f"The roll-out goes wrong: {said}."
    more = f" Seen: {said}." if said else ""
    return (
        f"The roll-out is not done after {params['wait_timeout']} s: {result['waiting_for']}.{more} "
        "If it only needs longer, raise 'wait_timeout'."
    )


def main() -> None:
    """Wait, and exit."""
    module = AnsibleModule(
        argument_spec={
            **_client.AUTH_ARGUMENT_SPEC,
            "expect": {"type": "dict", "default": {}},
            "wait": {"type": "str", "choices": ["none", "canary", "all"], "default": "all"},
            "canary": {"type": "str"},
            "accept_unseen": {"type": "list", "elements": "str", "default": []},
            "unready": {"type": "list", "elements": "str", "default": []},
            "wait_timeout": {"type": "int", "default": 600},
            "poll": {"type": "float", "default": 5},
        },
        supports_check_mode=True,
    )
    with failing(module, Refused):
        result = run(module.params, module.check_mode)
    if result["done"] or module.check_mode or module.params["wait"] == "none":
        module.exit_json(**result)
    module.fail_json(msg=failure(result, module.params), **result)


if __name__ == "__main__":
    main()
