#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: calico_interfaces
short_description: Find Calico's interfaces that an earlier cluster left on a node, and remove them by name
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Judges C(vxlan.calico), C(vxlan-v6.calico), C(tunl0) (its addresses), C(wireguard.cali), C(wg-v6.cali) and pods' ends (C(cali...))
    by what is seen - a local address or a parent that is not this node's, addresses that Calico did not store for it, a device that
    this cluster's Calico does not use, a pod's end without a pod and without a process. What is not known speaks for keeping.
  - Felix makes its own devices anew when they are wrong. So removing is only for a node on which calico-node cannot start.
  - Removes nothing that is not named in O(interfaces), and refuses what is named there but no left-over.
  - How each interface was is kept first in C(/var/lib/k8snet/undo/RUN/interface.NAME.json) on the node (0600 in 0700).
extends_documentation_fragment:
  - k8snet.cni.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - An interface of O(interfaces) that is not there any more is no failure.
requirements:
  - iproute2 4.20 or later on the node
options:
  state:
    description:
      - V(listed) only judges.
      - V(absent) removes the left-overs named in O(interfaces).
    type: str
    choices: [listed, absent]
    default: listed
  interfaces:
    description: Names of what to remove, exactly. Required for O(state=absent).
    type: list
    elements: str
    default: []
  run_id:
    description: Name of the run under which the undo bundle is kept. Required for O(state=absent).
    type: str
  uses:
    description:
      - What this cluster's Calico uses, from its IP pools and its FelixConfiguration. A device of anything else is a left-over.
      - Without it, no device is judged by that; an empty list says that it uses none of these.
    type: list
    elements: str
    choices: [vxlan, vxlan-v6, ipip, wireguard, wireguard-v6]
  local_v4:
    description: IPv4 address that Calico has, or is to have, for this node. A prefix behind it is ignored.
    type: str
  local_v6:
    description: The same for IPv6.
    type: str
  tunnel_addresses:
    description:
      - Addresses that Calico stored for this node's tunnels (annotations C(projectcalico.org/IPv4VXLANTunnelAddr) and so on). Any
        other on a tunnel device makes it a left-over. Without it, addresses are not judged.
    type: list
    elements: str
  pods:
    description: The pods of this node that are not on its own network. Without it, no pod's end is judged.
    type: list
    elements: dict
    suboptions:
      namespace:
        description: Namespace.
        type: str
        required: true
      name:
        description: Name.
        type: str
        required: true
      addresses:
        description: Its addresses.
        type: list
        elements: str
        default: []
seealso:
  - module: k8snet.cni.node_probe
  - module: k8snet.cni.nic_facts
"""

EXAMPLES = r"""
- name: See what an earlier cluster left
  k8snet.cni.calico_interfaces:
    local_v4: 10.160.1.21/24
    uses: [vxlan]
  become: true
  register: found

- name: Remove exactly that
  k8snet.cni.calico_interfaces:
    state: absent
    interfaces: "{{ found.leftovers | map(attribute='name') }}"
    run_id: 20260131t021000z
    local_v4: 10.160.1.21/24
    uses: [vxlan]
  become: true
"""

RETURN = r"""
leftovers:
  description: The left-overs that were found, before anything was removed.
  type: list
  elements: dict
  returned: success
  contains:
    name: {description: Name., type: str, returned: success, sample: vxlan.calico}
    kind: {description: Kind as in M(k8snet.cni.nic_facts)., type: str, returned: success, sample: vxlan}
    ifindex: {description: Index in the kernel., type: int, returned: success, sample: 7}
    remove: {description: "V(device), or V(addresses) where the kernel itself owns the device.", type: str, returned: success}
    addresses: {description: Addresses that go., type: list, elements: str, returned: success, sample: [10.244.7.0/32]}
    reason:
      description: What shows that it is one.
      type: str
      returned: success
      sample: it sends from 172.31.66.11, but this node's address is 10.160.1.21
kept:
  description: Calico's interfaces that are none.
  type: list
  elements: dict
  returned: success
  contains:
    name: {description: Name., type: str, returned: success, sample: cali0123456789a}
    reason: {description: Why it stays., type: str, returned: success, sample: belongs to a pod of this node}
blockers:
  description: Interfaces that keep calico-node from making its own and are not Calico's. They are never removed.
  type: list
  elements: dict
  returned: success
  contains:
    name: {description: Name., type: str, returned: success, sample: vxlan100}
    reason: {description: What they block., type: str, returned: success}
    remedy: {description: What to do., type: str, returned: success}
undo:
  description: How each left-over was, by name; with O(state=absent) those of O(interfaces) only.
  type: dict
  returned: success
  contains:
    kind: {description: Kind., type: str, returned: success, sample: vxlan}
    mac: {description: MAC or null., type: str, returned: success}
    mtu: {description: MTU in bytes., type: int, returned: success, sample: 1450}
    up: {description: Whether it was up., type: bool, returned: success}
    parent: {description: Interface it sat on or null., type: str, returned: success, sample: eth1}
    tunnel: {description: "Its end points as in M(k8snet.cni.nic_facts), or null.", type: dict, returned: success}
    addresses: {description: Addresses with prefix., type: list, elements: str, returned: success}
    commands: {description: What makes it so again. Nothing does for a pod's end., type: list, elements: str, returned: success}
undo_path:
  description: Folder on the node that keeps this, null if nothing was removed.
  type: str
  returned: success
  sample: /var/lib/k8snet/undo/20260131t021000z
plan:
  description: What is (or in check mode would be) done.
  type: list
  elements: dict
  returned: success
  contains:
    action: {description: One line of plain words., type: str, returned: success}
    target: {description: The interface., type: str, returned: success}
    cuts_connectivity: {description: Whether the connection may break., type: bool, returned: success}
"""

import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _calico_leftovers as domain
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _probe as words
from ansible_collections.k8snet.cni.plugins.module_utils.node import _calico_interfaces, _nics
from ansible_collections.k8snet.cni.plugins.module_utils.node._calico_interfaces import (
    InterfaceError,
)
from ansible_collections.k8snet.cni.plugins.module_utils.node._links import ReadError

POD = {
    "namespace": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "addresses": {"type": "list", "elements": "str", "default": []},
}
ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["listed", "absent"], "default": "listed"},
    "interfaces": {"type": "list", "elements": "str", "default": []},
    "run_id": {"type": "str"},
    "uses": {"type": "list", "elements": "str", "choices": sorted(domain.DEVICES.values())},
    "local_v4": {"type": "str"},
    "local_v6": {"type": "str"},
    "tunnel_addresses": {"type": "list", "elements": "str"},
    "pods": {"type": "list", "elements": "dict", "options": POD},
}


def plain(option: str, text: str) -> str:
    """Return an address without prefix. Raises InterfaceError that names the option."""
    try:
        return words.address(text).text
    except ValueError as error:
        raise InterfaceError(f"{option}: {error}.") from None


def wanted(params: dict[str, Any]) -> domain.Want:
    """Return what this cluster has here. Raises InterfaceError."""
    families = {"inet": "local_v4", "inet6": "local_v6"}
    pods, tunnels = params["pods"], params["tunnel_addresses"]
    return domain.Want(
        uses=None if params["uses"] is None else frozenset(params["uses"]),
        locals={f: plain(o, params[o]) for f, o in families.items() if params[o]},
        tunnels=None
        if tunnels is None
        else frozenset(plain("tunnel_addresses", t) for t in tunnels),
        pods=None if pods is None else tuple((pod["namespace"], pod["name"]) for pod in pods),
        pod_addresses=frozenset(
            plain("pods.addresses", text) for pod in pods or () for text in pod["addresses"]
        ),
    )


def judge(want: domain.Want) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return what was found, and the interfaces by name. Raises ReadError, InterfaceError."""
    nics = _nics.gather(include_pod_interfaces=True)["nics"]
    found = domain.judge(nics, _calico_interfaces.pod_ends(nics), want)
    return found, {nic["name"]: nic for nic in nics}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Judge, and remove what is asked for. Raises ReadError, InterfaceError."""
    removing = params["state"] == "absent"
    if removing and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", params["run_id"]):
        raise InterfaceError(
            f"run_id: '{params['run_id']}' is no name of a run: letters, digits, '.', '_' and '-' only."
        )
    want = wanted(params)
    found, nics = judge(want)
    refused = domain.refusals(params["interfaces"], found) if removing else []
    if refused:
        raise InterfaceError(" ".join(["Refused, and nothing was removed:", *refused]))
    going = [e for e in found["leftovers"] if not removing or e["name"] in params["interfaces"]]
    before = {entry["name"]: _calico_interfaces.snapshot(nics[entry["name"]]) for entry in going}
    plan = domain.plan(going if removing else [], before)
    path = None
    if plan.changed and not check_mode:
        path = _calico_interfaces.keep(params["run_id"], before)
        for entry in going:
            _calico_interfaces.remove(entry)
        left = [e for e in judge(want)[0]["leftovers"] if e["name"] in before]
        if left:
            names = ", ".join(f"{entry['name']} ({entry['reason']})" for entry in left)
            raise InterfaceError(
                f"Applied but not effective: {names} is there again. Something makes it anew: is an "
                "agent of the earlier cluster still running on this node?"
            )
    return {
        "changed": plan.changed,
        **found,
        "undo": before,
        "undo_path": path,
        "plan": plan.describe(),
        "diff": plan.diff(),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_if=[("state", "absent", ("interfaces", "run_id"))],
        supports_check_mode=True,
    )
    try:
        result = run(module.params, module.check_mode)
    except (InterfaceError, ReadError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
