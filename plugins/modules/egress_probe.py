#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: egress_probe
short_description: See with which source address pods of this node leave
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Enters the network namespaces of pods on this node, connects from each to a server, and returns what that says. A server that
    tells its clients' address, as an echo service does, so proves the address by which the pods leave.
  - It says what a web client says (C(GET /)), so that web servers answer, too.
  - It sends probes and changes nothing, so it does the same in check mode. What does not answer is returned and does not fail
    the module.
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.attributes.facts
notes:
  - Needs root on the node for pods' network namespaces.
options:
  pods:
    description: Addresses of pods on this node to connect from.
    type: list
    elements: str
    required: true
  address:
    description: IPv4 or IPv6 address of the server.
    type: str
    required: true
  port:
    description: Its TCP port.
    type: int
    required: true
  timeout:
    description: Seconds to wait for each answer.
    type: float
    default: 3
  attempts:
    description: How often to try.
    type: int
    default: 3
seealso:
  - module: k8snet.cni.service_probe
  - module: k8snet.cni.antrea_egress
"""

EXAMPLES = r"""
- name: See how the pod leaves
  k8snet.cni.egress_probe:
    pods: [10.244.1.10]
    address: 172.18.181.1
    port: 7180
  become: true
  register: left

- name: By the Egress's address and no other
  ansible.builtin.assert:
    that: left.pods[0].seen == ['172.18.181.50']
"""

RETURN = r"""
pods:
  description: One for each of O(pods).
  type: list
  elements: dict
  returned: success
  contains:
    pod: {description: Its address., type: str, returned: success, sample: 10.244.1.10}
    netns: {description: "Its network namespace, null if none on this node has the address.", type: str, returned: success}
    ok: {description: "Whether the server took the connection, null if it was not tried.", type: bool, returned: success}
    seen:
      description:
        - The client's address as the server tells it. For that its answer has to be an address and nothing else, or JSON or lines of key
          and value with a key such as V(ip), V(origin), V(client_address) or V(RemoteAddr). Else this is empty.
      type: list
      elements: str
      returned: success
      sample: [172.18.181.50]
    said: {description: "What the server said, 200 characters at most.", type: str, returned: success}
    error: {description: "What is wrong, null if nothing is.", type: str, returned: success}
"""

import ipaddress
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.node import _egress_probe

ARGUMENTS: dict[str, Any] = {
    "pods": {"type": "list", "elements": "str", "required": True},
    "address": {"type": "str", "required": True},
    "port": {"type": "int", "required": True},
    "timeout": {"type": "float", "default": 3},
    "attempts": {"type": "int", "default": 3},
}
MOST_SAID = 200


def address(option: str, text: str) -> str:
    """Return an address in its one spelling. Raises ValueError that names the option."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"{option}: '{text}' is no IP address. Names are not looked up.") from None


def probe(params: dict[str, Any]) -> list[dict[str, Any]]:
    """Return RV(pods). Raises ValueError, OSError."""
    if not 0 < params["port"] < 65536:
        raise ValueError(f"port: {params['port']} is no TCP port.")
    for option in ("timeout", "attempts"):
        if params[option] <= 0:
            raise ValueError(f"{option}: must be more than 0, not {params[option]}.")
    target = _egress_probe.Target(address("address", params["address"]), params["port"])
    pods = list(dict.fromkeys(address("pods", text) for text in params["pods"]))
    found = _egress_probe.from_pods(pods, target, params["timeout"], params["attempts"])
    return [{**entry, "said": entry["said"][:MOST_SAID]} for entry in found]


def main() -> None:
    """Run and exit."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        found = probe(module.params)
    except ValueError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"Cannot ask from pods: {error}.")
    module.exit_json(changed=False, pods=found)


if __name__ == "__main__":
    main()
