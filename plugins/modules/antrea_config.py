#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: antrea_config
short_description: Set options and feature gates of Antrea, or put the former configuration back
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Changes C(antrea-agent.conf) and C(antrea-controller.conf) in Antrea's ConfigMap, which are YAML kept as text. Lines that
    are not concerned stay as they are, byte by byte.
  - "What stands there only as a comment (C(#  Egress: true)) is set on a line of its own below that comment, and that line
    goes when the option is taken away."
  - The ConfigMap is the one that Antrea's DaemonSet mounts, also where its name bears a hash (up to v1.6).
  - What would be written is judged by the running version first. Unknown, removed and misplaced keys, gates that are unknown,
    locked or of the other component, unmet prerequisites and impossible values are refused, each with its line and the remedy.
  - Antrea reads its configuration at its start only. This module restarts nothing; RV(restart_due) says what is due, and
    M(k8snet.cni.antrea_agent) restarts one agent.
  - On a conflict the ConfigMap is read, planned and written anew. In the end it is read back.
  - A ConfigMap that Helm, Argo CD, Flux or an add-on manager owns is refused, with what to commit there.
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows each file, whole, before and after.
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) sets the options.
      - V(restored) puts both files back as they are in O(undo), byte by byte.
    type: str
    choices: [present, restored]
    default: present
  agent:
    description:
      - Options of C(antrea-agent.conf), nested as there; merged into what is set. A list replaces the former list.
      - Null takes a line away, so that Antrea's default holds.
    type: dict
    default: {}
  controller:
    description: The same for C(antrea-controller.conf).
    type: dict
    default: {}
  feature_gates:
    description:
      - Feature gates by name, V(true) or V(false), put into the file of each component that has the gate.
      - Null takes the line away.
    type: dict
    default: {}
  validate:
    description:
      - Whether to refuse what the running version would not take. Without it, what is to be written must only be YAML.
      - Needed with a build of Antrea that has options of its own.
    type: bool
    default: true
  undo:
    description:
      - The ConfigMap, whole, as it was before a change - RV(undo) of that run, or
        RV(k8snet.cni.antrea_info#module:antrea.config_map.object).
      - Required for O(state=restored).
    type: dict
  override_owner:
    description: Whether to change a ConfigMap that Helm, Argo CD, Flux or an add-on manager owns. For emergencies.
    type: bool
    default: false
  wait_timeout:
    description: Seconds that all attempts together may take; O(timeout) is for one request.
    type: int
    default: 120
seealso:
  - module: k8snet.cni.antrea_info
  - module: k8snet.cni.antrea_agent
"""

EXAMPLES = r"""
- name: Set up a secondary bridge and the gates that it needs
  k8snet.cni.antrea_config:
    agent:
      secondaryNetwork:
        ovsBridges:
          - bridgeName: br-secondary
            physicalInterfaces: [eth1]
    feature_gates:
      SecondaryNetwork: true
      AntreaIPAM: true
  register: change

- name: Take the transport interface away again
  k8snet.cni.antrea_config:
    agent:
      transportInterface: null

- name: Put everything back
  k8snet.cni.antrea_config:
    state: restored
    undo: "{{ change.undo }}"
"""

RETURN = r"""
plan:
  description: What is done, or in check mode would be, one line per file.
  type: list
  elements: dict
  returned: success
  contains:
    action: {description: One line of plain words., type: str, returned: success}
    target: {description: Object and file., type: str, returned: success}
    cuts_connectivity: {description: Whether the session may break., type: bool, returned: success}
patches:
  description: The JSON patches.
  type: list
  elements: dict
  returned: success
  contains:
    kind: {description: V(ConfigMap)., type: str, returned: success}
    namespace: {description: Namespace., type: str, returned: success}
    name: {description: Name., type: str, returned: success}
    patch: {description: Its operations., type: list, elements: dict, returned: success}
target:
  description: "The ConfigMap: kind, namespace, name."
  type: dict
  returned: success
version:
  description: Antrea's version, from the DaemonSet's image or what agents report; null if untold.
  type: str
  returned: success
  sample: v2.7.0
object:
  description: The ConfigMap, whole, after the change; in check mode as it would be.
  type: dict
  returned: success
undo:
  description: The ConfigMap, whole, as it was before; for O(undo).
  type: dict
  returned: success
restart_due:
  description: Which processes have not read what is in the files, or would not have.
  type: dict
  returned: success
  contains:
    agent: {description: Whether an agent's pod must be made anew., type: bool, returned: success}
    controller: {description: Whether the controller's pod must be made anew., type: bool, returned: success}
    why: {description: "Why, null if none is due.", type: str, returned: success}
retries:
  description: How often an attempt failed and was made again.
  type: int
  returned: success
requests:
  description: Requests sent, retries included.
  type: int
  returned: success
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _apply, _client
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._antrea_write import (
    Request,
    change,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_config import Want
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused


def request_of(params: dict[str, Any]) -> Request:
    """Return the options as a request."""
    files = {"agent": params["agent"], "controller": params["controller"]}
    return Request(
        want=Want(files, params["feature_gates"], params["validate"]),
        restore=params["state"] == "restored",
        undo=params["undo"],
        override_owner=params["override_owner"],
        wait_timeout=params["wait_timeout"],
    )


def main() -> None:
    """Change, or in check mode tell what would be changed."""
    module = AnsibleModule(
        argument_spec={
            **_client.AUTH_ARGUMENT_SPEC,
            "state": {"type": "str", "choices": ["present", "restored"], "default": "present"},
            "agent": {"type": "dict", "default": {}},
            "controller": {"type": "dict", "default": {}},
            "feature_gates": {"type": "dict", "default": {}},
            "validate": {"type": "bool", "default": True},
            "undo": {"type": "dict"},
            "override_owner": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 120},
        },
        required_if=[("state", "restored", ("undo",))],
        supports_check_mode=True,
    )
    try:
        api = _client.reachable(module.params)
        module.exit_json(**change(api, request_of(module.params), module.check_mode))
    except _client.ClusterError as error:
        module.fail_json(msg=error.message, kind=error.kind, status=error.status)
    except (Refused, _apply.NotEffective) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
