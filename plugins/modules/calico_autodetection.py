#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: calico_autodetection
short_description: Set the method by which Calico finds each node's address, or put the former one back
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Changes one thing in the object that holds it, by a JSON patch that replaces the resourceVersion. With an operator that is
    the Installation (or its C(overlay), where that decides); with a manifest the variables of container C(calico-node).
  - With an operator exactly one method per family remains, whatever was there.
  - On a conflict the object is read, planned and written anew. On 429, a server error or a lost answer it is read first, so
    that nothing is applied twice. In the end everything is read back.
  - Objects that Helm, Argo CD, Flux or an add-on manager owns are refused, with what to commit there.
  - This module does not judge whether the method is right and does not wait for the roll-out; the playbook
    C(calico_autodetection) does both around it.
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows each changed field before and after; an absent field is shown as nothing, so that it differs from null.
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) sets the methods and the hold.
      - V(restored) puts back what O(undo) holds. Null, C({}) and absent are told apart.
    type: str
    choices: [present, restored]
    default: present
  method_v4:
    description:
      - Method for IPv4 in Calico's words, for example V(kubernetes-internal-ip) or V(interface=^eth0$).
      - Without it, IPv4 is left alone.
    type: str
  method_v6:
    description: The same for IPv6.
    type: str
  hold:
    description:
      - How the roll-out is held after its first node.
      - Without it, a former hold is released if O(undo) is given (the values there are put back), else left alone.
    type: dict
    suboptions:
      mode:
        description:
          - V(min-ready-seconds) sets minReadySeconds, of the Installation where its CRD has it or of a manifest's DaemonSet.
          - V(on-delete) sets a manifest's update strategy to OnDelete, and deletes the pod on O(hold.canary).
          - V(watch) holds nothing.
        type: str
        required: true
        choices: [min-ready-seconds, on-delete, watch]
      min_ready_seconds:
        description:
          - Seconds for V(min-ready-seconds). The roll-out goes on by itself when they are over.
          - More than the least RV(k8snet.cni.calico_info#module:calico.pods[].ready_seconds) would hold nothing, and is refused.
        type: int
        default: 3600
      canary:
        description: Name of the Node for V(on-delete).
        type: str
  undo:
    description:
      - What RV(k8snet.cni.calico_info#module:calico) was before the change; of it C(target), C(installation), C(overlay) and
        C(daemonset) are used.
      - Required for O(state=restored).
    type: dict
  override_owner:
    description: Whether to change an object that Helm, Argo CD, Flux or an add-on manager owns. For emergencies.
    type: bool
    default: false
  wait_timeout:
    description: Seconds that all attempts together may take; O(timeout) is for one request.
    type: int
    default: 120
seealso:
  - module: k8snet.cni.calico_info
  - module: k8snet.cni.calico_rollout
"""

EXAMPLES = r"""
- name: Remember how everything was
  k8snet.cni.calico_info:
  register: before

- name: Set the method, and hold the roll-out after its first node
  k8snet.cni.calico_autodetection:
    method_v4: kubernetes-internal-ip
    hold:
      mode: min-ready-seconds
      min_ready_seconds: 1800

- name: Release the roll-out
  k8snet.cni.calico_autodetection:
    method_v4: kubernetes-internal-ip
    undo: "{{ before.calico }}"

- name: Put everything back
  k8snet.cni.calico_autodetection:
    state: restored
    undo: "{{ before.calico }}"
"""

RETURN = r"""
plan:
  description: What is done, or in check mode would be, in this order.
  type: list
  elements: dict
  returned: success
  contains:
    action: {description: One line of plain words., type: str, returned: success}
    target: {description: Object and field., type: str, returned: success}
    cuts_connectivity: {description: Whether the session may break., type: bool, returned: success}
patches:
  description: The JSON patches.
  type: list
  elements: dict
  returned: success
  contains:
    kind: {description: "V(Installation) or V(DaemonSet).", type: str, returned: success}
    namespace: {description: Namespace or null., type: str, returned: success}
    name: {description: Name., type: str, returned: success}
    patch: {description: Its operations., type: list, elements: dict, returned: success}
install:
  description: V(operator) or V(manifest).
  type: str
  returned: success
target:
  description: "The object that holds the method: kind, namespace, name."
  type: dict
  returned: success
object:
  description: That object, whole, after the change; in check mode as it would be.
  type: dict
  returned: success
overlay:
  description: The Installation C(overlay) after the change, null without one.
  type: dict
  returned: success
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
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._calico_write import (
    Request,
    change,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._errors import failing
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import (
    MODES,
    Hold,
    Refused,
)


def request_of(params: dict[str, Any]) -> Request:
    """Return the options as a request."""
    hold = params["hold"]
    return Request(
        restore=params["state"] == "restored",
        methods={n: params[f"method_v{n}"] for n in (4, 6) if params[f"method_v{n}"]},
        hold=Hold(hold["mode"], hold["min_ready_seconds"], hold["canary"]) if hold else None,
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
            "method_v4": {"type": "str"},
            "method_v6": {"type": "str"},
            "hold": {
                "type": "dict",
                "options": {
                    "mode": {"type": "str", "required": True, "choices": list(MODES)},
                    "min_ready_seconds": {"type": "int", "default": 3600},
                    "canary": {"type": "str"},
                },
            },
            "undo": {"type": "dict"},
            "override_owner": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 120},
        },
        required_if=[("state", "restored", ("undo",))],
        supports_check_mode=True,
    )
    with failing(module, Refused, _apply.NotEffective):
        api = _client.reachable(module.params)
        module.exit_json(**change(api, request_of(module.params), module.check_mode))


if __name__ == "__main__":
    main()
