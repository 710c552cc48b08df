#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vlan_probe
short_description: See whether a VLAN really reaches a NIC of this node
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Sends tagged questions (ARP, for IPv6 neighbour solicitation) for addresses on the VLAN from a raw socket, and listens to
    what comes in. No interface is made and no address is set.
  - The questions have no sender address, as in RFC 5227 and RFC 4862, so that nobody's neighbour table takes them.
  - Run on several nodes at the same time with O(peers), nodes hear each other's questions. So a VLAN is proved between nodes
    that have no address on it, and a gateway that is silent is told from a trunk that is missing.
  - It changes nothing, so it does the same in check mode. What does not answer is returned and does not fail the module.
  - The NIC is in promiscuous mode while it listens, since hardware may drop tags that nobody has registered.
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.attributes.facts
notes:
  - Needs CAP_NET_RAW, and nothing else of root's.
options:
  interface:
    description: The NIC, bond or other Ethernet interface to ask through. Not a VLAN interface, and not a bond's member.
    type: str
    required: true
  vlan:
    description: The VLAN, 1 to 4094; 0 asks untagged.
    type: int
    required: true
  targets:
    description: IPv4 and IPv6 addresses to ask for, such as the gateway's. At most 64.
    type: list
    elements: str
    default: []
  peers:
    description:
      - Other nodes that do the same at the same time, by name, each with the MAC address of its NIC there.
      - With any, it asks and listens for the whole of O(listen).
    type: dict
    default: {}
  listen:
    description: Seconds to listen at most, 0.5 to 60. Without O(peers) it ends when all has been answered.
    type: float
    default: 3
  interval:
    description: Seconds between two rounds of questions, 0.1 at least.
    type: float
    default: 0.3
seealso:
  - module: k8snet.cni.node_probe
    description: Sees which addresses answer from this node with the network as it is.
"""

EXAMPLES = r"""
- name: See whether VLAN 181 reaches the NIC
  k8snet.cni.vlan_probe:
    interface: eth0
    vlan: 181
    targets: [172.18.181.1]
  become: true
  register: vlan

- name: Refuse to go on without it
  ansible.builtin.assert:
    that: vlan.verdict == 'reached'
    fail_msg: "{{ vlan.explanation }}"

- name: Between nodes, none of which has an address there; all at once, so that they hear each other
  k8snet.cni.vlan_probe:
    interface: eth0
    vlan: 181
    targets: [172.18.181.1]
    peers: "{{ macs | dict2items | rejectattr('key', 'equalto', inventory_hostname) | items2dict }}"
    listen: 10
  become: true
  vars:
    macs: {node1: '02:00:00:00:00:01', node2: '02:00:00:00:00:02'}
"""

RETURN = r"""
verdict:
  description:
    - V(reached) - a target answered with the tag.
    - V(peers-only) - no target answered, but a peer was heard with the tag.
    - V(tag-stripped) - answers came back without the tag.
    - V(wrong-vlan) - answers came back with another tag.
    - V(nothing-heard) - nothing with the tag came in, other frames did. Most likely the trunk lacks the VLAN.
    - V(no-answer) - nobody answered, and nothing tells why.
  type: str
  returned: success
  sample: nothing-heard
explanation:
  description: What would explain what is missing, with the evidence. Null when nothing is.
  type: str
  returned: success
missing:
  description: Targets that did not answer with the tag.
  type: list
  elements: str
  returned: success
unheard:
  description: Peers that were not heard with the tag.
  type: list
  elements: str
  returned: success
answers:
  description: Who answered. A target that two MAC addresses answer for is there twice.
  type: list
  elements: dict
  returned: success
  contains:
    target: {description: The address., type: str, returned: success, sample: 172.18.181.1}
    mac: {description: Who has it., type: str, returned: success}
    tag: {description: The answer's VLAN; null for none., type: int, returned: success, sample: 181}
    ms: {description: "Milliseconds since it was first asked for.", type: float, returned: success}
heard:
  description: Peers that were heard at all, each with the VLANs of its frames; null stands for untagged.
  type: dict
  returned: success
  sample: {node2: [181]}
frames:
  description: How many frames came in by VLAN, those of others included.
  type: list
  elements: dict
  returned: success
  contains:
    tag: {description: The VLAN; null for none., type: int, returned: success}
    count: {description: How many., type: int, returned: success}
mac:
  description: The NIC's MAC address, which others hear.
  type: str
  returned: success
sent:
  description: How many frames were sent.
  type: int
  returned: success
"""

import ipaddress
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _vlan_frames as frames
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _vlan_verdict as domain
from ansible_collections.k8snet.cni.plugins.module_utils.node import _vlan_probe
from ansible_collections.k8snet.cni.plugins.module_utils.node._vlan_probe import VlanProbeError

ARGUMENTS: dict[str, Any] = {
    "interface": {"type": "str", "required": True},
    "vlan": {"type": "int", "required": True},
    "targets": {"type": "list", "elements": "str", "default": []},
    "peers": {"type": "dict", "default": {}},
    "listen": {"type": "float", "default": 3},
    "interval": {"type": "float", "default": 0.3},
}
MOST_TARGETS = 64


def targets_of(params: dict[str, Any]) -> list[frames.Address]:
    """Return the targets, each once. Raises VlanProbeError that names the option."""
    found: dict[frames.Address, None] = {}
    for text in params["targets"]:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise VlanProbeError(f"targets: '{text}' is no IP address.") from None
        if address.is_multicast or address.is_unspecified:
            raise VlanProbeError(f"targets: '{text}' is no address that a host has.")
        found[address] = None
    if len(found) > MOST_TARGETS:
        raise VlanProbeError(
            f"targets: {len(found)} addresses, and at most {MOST_TARGETS} are asked for."
        )
    return list(found)


def peers_of(params: dict[str, Any]) -> dict[str, bytes]:
    """Return name -> MAC. Raises VlanProbeError that names the option."""
    try:
        return {str(name): frames.mac_bytes(str(mac)) for name, mac in params["peers"].items()}
    except ValueError as error:
        raise VlanProbeError(f"peers: {error}.") from None


def probe(params: dict[str, Any]) -> dict[str, Any]:
    """Return all that the module returns. Raises VlanProbeError, OSError."""
    if not 0 <= params["vlan"] <= 4094:
        raise VlanProbeError(f"vlan: {params['vlan']} is none of 1 to 4094, nor 0 for untagged.")
    if not 0.5 <= params["listen"] <= 60:
        raise VlanProbeError(f"listen must be from 0.5 to 60 seconds: {params['listen']}.")
    if not 0.1 <= params["interval"] <= 60:
        raise VlanProbeError(f"interval must be from 0.1 to 60 seconds: {params['interval']}.")
    targets, peers = targets_of(params), peers_of(params)
    if not targets:
        raise VlanProbeError(
            "targets: name one at least; nodes hear each other's questions for it."
        )
    vlan = params["vlan"] or None
    limits = _vlan_probe.Limits(params["listen"], params["interval"])
    asked = _vlan_probe.ask(params["interface"], vlan, targets, peers, limits)
    verdict = domain.judge(params["interface"], vlan, map(str, targets), peers, asked.heard)
    by_tag = sorted(asked.heard.frames.items(), key=lambda entry: entry[0] or 0)
    return {
        "verdict": verdict.verdict,
        "explanation": verdict.explanation,
        "missing": list(verdict.missing),
        "unheard": list(verdict.unheard),
        "answers": [answer._asdict() for answer in asked.heard.answers],
        "heard": {
            name: sorted(tags, key=lambda t: t or 0) for name, tags in asked.heard.peers.items()
        },
        "frames": [{"tag": tag, "count": count} for tag, count in by_tag],
        "mac": asked.mac,
        "sent": asked.sent,
    }


def main() -> None:
    """Run and exit."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        found = probe(module.params)
    except VlanProbeError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"Cannot ask through {module.params['interface']}: {error}.")
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
