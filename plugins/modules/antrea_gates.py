#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: antrea_gates
short_description: Read the feature gates of the antrea-agent that runs on this node
version_added: 0.2.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Antrea reads its configuration at its start only. What the ConfigMap says, as M(k8snet.cni.antrea_info) returns it, may not run
    yet. This module asks the process itself, on the node, over C(GET /featuregates) of its API.
  - It shows itself with the token that the agent leaves for programs of its own node, which only root may read, and which is
    never returned. Only the loopback device is asked.
  - The controller has no such answer. Asked for gates, it reads the ConfigMap.
  - It changes nothing. With O(wait=true) check mode waits, too.
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.attributes.facts
options:
  expected:
    description: Gates that shall be on (V(true)) or off (V(false)), by name. Those of the agent only.
    type: dict
    default: {}
  wait:
    description:
      - Whether to wait until the agent answers and all of O(expected) is so, and to fail where it is not.
      - Without it nothing fails; RV(reached) and RV(differing) tell.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait.
    type: int
    default: 60
  poll:
    description: Seconds between two looks.
    type: float
    default: 1
  port:
    description: C(apiPort) of C(antrea-agent.conf).
    type: int
    default: 10350
  token_file:
    description: The file that the agent leaves its token in.
    type: path
    default: /var/run/antrea/apiserver/loopback-client-token
seealso:
  - module: k8snet.cni.antrea_info
  - module: k8snet.cni.antrea_config
  - module: k8snet.cni.antrea_agent
"""

EXAMPLES = r"""
- name: See which gates run
  k8snet.cni.antrea_gates:
  become: true
  register: running

- name: Wait until the restarted agent has read the change
  k8snet.cni.antrea_gates:
    expected: {Egress: true, L7NetworkPolicy: true}
    wait: true
  become: true
"""

RETURN = r"""
reached:
  description: Whether the agent answered.
  type: bool
  returned: always
error:
  description: Why it did not, null if it did.
  type: str
  returned: always
gates:
  description: Its gates as it says them, by name.
  type: list
  elements: dict
  returned: always
  contains:
    component: {description: V(agent)., type: str, returned: always}
    name: {description: The gate., type: str, returned: always, sample: Egress}
    status: {description: "V(Enabled) or V(Disabled).", type: str, returned: always}
    version: {description: Its stage., type: str, returned: always, sample: BETA}
differing:
  description: Those of O(expected) that do not run so; all of them if the agent did not answer.
  type: list
  elements: dict
  returned: always
  contains:
    name: {description: The gate., type: str, returned: always}
    expected: {description: What it shall be., type: bool, returned: always}
    running: {description: "What it is, null if the agent does not know it or did not answer.", type: bool, returned: always}
seconds:
  description: How long it took.
  type: float
  returned: always
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.k8snet.cni.plugins.module_utils.node import _antrea_gates
from ansible_collections.k8snet.cni.plugins.module_utils.node._antrea_gates import (
    GatesError,
    NotSo,
    Request,
)


def request_of(params: dict[str, Any]) -> Request:
    """Return the options as a request. Raises GatesError that names the option."""
    expected = {}
    for name, value in params["expected"].items():
        try:
            expected[str(name)] = boolean(value)
        except TypeError:
            raise GatesError(f"expected: {name} is {value!r}; it must be true or false.") from None
    options = {name: params[name] for name in ("wait", "wait_timeout", "poll", "port")}
    return Request(expected, token=params["token_file"], **options)


def main() -> None:
    """Run and exit."""
    module = AnsibleModule(
        argument_spec={
            "expected": {"type": "dict", "default": {}},
            "wait": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 60},
            "poll": {"type": "float", "default": 1},
            "port": {"type": "int", "default": _antrea_gates.PORT},
            "token_file": {"type": "path", "default": _antrea_gates.TOKEN, "no_log": False},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(changed=False, **_antrea_gates.run(request_of(module.params)))
    except NotSo as error:
        module.fail_json(msg=str(error), **error.result)
    except GatesError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
