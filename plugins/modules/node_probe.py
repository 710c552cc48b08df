#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_probe
short_description: See from a node which addresses answer, and whether DNS, BGP sessions and VXLAN are as expected
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Tries from this node whether addresses answer, by ICMP echo, and over TCP where that gets no answer.
  - Asks DNS servers, by default from the network namespaces of pods that run on the node.
  - Tells which BGP sessions stand and whether Calico's VXLAN device sends from the expected address.
  - It sends probes and changes nothing, so it does the same in check mode. What does not answer is returned and does not fail
    the module.
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.attributes.facts
notes:
  - Needs root on the node for raw sockets and for pods' network namespaces. Without, it tries ICMP as an ordinary user may, else TCP.
requirements:
  - for O(vxlan), iproute2 4.20 or later, or the Python package pyroute2, on the node
options:
  targets:
    description: Addresses to try, all at once.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What RV(reachable) calls it. Each name once.
        type: str
        required: true
      address:
        description: IPv4 or IPv6 address. A prefix behind it is ignored.
        type: str
        required: true
  source:
    description:
      - Address of this node to send from, for O(targets) of the same family. Without it the kernel chooses. A prefix behind it is
        ignored.
    type: str
  ports:
    description:
      - TCP ports to try on a target that does not answer ICMP, all at once. An accepted and a refused connection both prove that
        the target is there. C(10250) is kubelet's. Empty for ICMP only.
    type: list
    elements: int
    default: [10250]
  timeout:
    description: Seconds to wait for an answer to each packet.
    type: float
    default: 1
  count:
    description: How often to send an ICMP echo or a DNS question at most.
    type: int
    default: 2
  rate:
    description: Packets a second to O(targets), at most.
    type: int
    default: 1000
  deadline:
    description: Seconds for all of O(targets) together. What has not answered by then is reported as such.
    type: float
    default: 30
  dns:
    description: DNS servers to ask over UDP.
    type: list
    elements: dict
    default: []
    suboptions:
      server:
        description:
          - Address of the server, of a pod or of the Service. A server is asked from its own pod only where there is no other.
        type: str
        required: true
      name:
        description: Name to ask the A records of.
        type: str
        default: kubernetes.default.svc.cluster.local
  pod_dns:
    description:
      - Whether to ask from the network namespaces of pods on this node. They are found under C(/run/netns), and through
        C(/proc) by their control groups. They are entered by a child process only.
      - If V(false), asks from the node itself.
    type: bool
    default: true
  pod_networks:
    description:
      - Networks in which a pod's address lies, so that a network namespace of something else is not taken for a pod's. Without it, any
        namespace found that has a way to the server is taken.
    type: list
    elements: str
    default: []
  pod_limit:
    description: From how many pods to ask at most. A server counts as answering when one of them gets an answer.
    type: int
    default: 3
  bgp:
    description: BGP sessions that are to stand. Read from the table of TCP connections; nothing is sent.
    type: dict
    suboptions:
      local:
        description: This node's end of the sessions. Without it any address of the node will do.
        type: str
      peers:
        description: The other ends.
        type: list
        elements: str
        required: true
  vxlan:
    description: What Calico's VXLAN device of the family of O(vxlan.local) is to be.
    type: dict
    suboptions:
      local:
        description: Address that it is to send from. The interface below it has to hold this address.
        type: str
        required: true
seealso:
  - module: k8snet.cni.node_facts
"""

EXAMPLES = r"""
- name: See whether the other nodes answer over the address that Calico would use
  k8snet.cni.node_probe:
    source: 10.160.1.21
    targets:
      - {name: node2, address: 10.160.1.22}
      - {name: node3, address: 10.160.1.23}
  become: true
  register: probe

- name: Stop where they do not
  ansible.builtin.assert:
    that: probe.problems | length == 0
    fail_msg: "{{ probe.problems | join('; ') }}"

- name: Verify the data plane after a change
  k8snet.cni.node_probe:
    dns:
      - {server: 10.244.1.10}
      - {server: 10.96.0.10}
    pod_networks: [10.244.0.0/16]
    bgp:
      local: 10.160.1.21
      peers: [10.160.1.22, 10.160.1.23]
  become: true
"""

RETURN = r"""
reachable:
  description: For each name in O(targets), whether it answers.
  type: dict
  returned: success
  contains:
    address: {description: The address that was tried., type: str, returned: success, sample: 10.160.1.22}
    ok: {description: Whether it answers., type: bool, returned: success}
    how: {description: "V(icmp) or V(tcp), null if it does not answer.", type: str, returned: success, sample: icmp}
    port: {description: "TCP port that answered, else null.", type: int, returned: success, sample: 10250}
    ms: {description: "Milliseconds to the answer, else null.", type: float, returned: success, sample: 0.412}
    error:
      description: What was tried and what came of it, null if it answers.
      type: str
      returned: success
      sample: no answer to 2 ICMP echo requests; no answer on TCP port 10250
dns:
  description: For each entry of O(dns), in its order, whether the server answers.
  type: list
  elements: dict
  returned: success
  contains:
    server: {description: Its address., type: str, returned: success, sample: 10.244.1.10}
    name: {description: The name asked for., type: str, returned: success, sample: kubernetes.default.svc.cluster.local}
    pod: {description: "Whether it was to be asked from a pod (O(pod_dns)).", type: bool, returned: success}
    ok:
      description:
        - Whether it answers. That a name does not exist is an answer too. Null if there was no pod to ask from; that is not among
          RV(problems).
      type: bool
      returned: success
    rcode: {description: "Response code, null without an answer.", type: str, returned: success, sample: NOERROR}
    ms: {description: "Milliseconds to the answer, else null.", type: float, returned: success, sample: 0.9}
    netns:
      description: Network namespace it was asked from, V(host) for the node's own; null if there was none.
      type: str
      returned: success
      sample: /run/netns/cni-6c1f3b1e
    source: {description: "Address it was asked from, or null.", type: str, returned: success, sample: 10.244.2.7}
    error: {description: "Why it did not answer or could not be asked, else null.", type: str, returned: success}
bgp:
  description: BGP sessions, null without O(bgp).
  type: dict
  returned: success
  contains:
    local: {description: "This node's end that was asked for, or null.", type: str, returned: success, sample: 10.160.1.21}
    established: {description: Peers with a session., type: list, elements: str, returned: success, sample: [10.160.1.22]}
    missing: {description: Peers without., type: list, elements: str, returned: success, sample: []}
    other:
      description: Sessions that nobody asked for, such as one from another address of this node.
      type: list
      elements: dict
      returned: success
      contains:
        local: {description: This node's end., type: str, returned: success, sample: 172.31.66.11}
        peer: {description: The other end., type: str, returned: success, sample: 10.160.1.23}
vxlan:
  description: Calico's VXLAN device, null without O(vxlan).
  type: dict
  returned: success
  contains:
    device: {description: V(vxlan.calico) or V(vxlan-v6.calico)., type: str, returned: success, sample: vxlan.calico}
    present: {description: Whether it exists., type: bool, returned: success}
    local: {description: "Address it sends from, or null.", type: str, returned: success, sample: 10.160.1.21}
    parent: {description: "Interface it sits on, or null.", type: str, returned: success, sample: eth0}
    up: {description: "Whether it is up, null if it does not exist.", type: bool, returned: success}
    expected_parent:
      description: Interface that holds O(vxlan.local), null if none does.
      type: str
      returned: success
      sample: eth0
    as_expected: {description: Whether all of this is as it is to be., type: bool, returned: success}
    error: {description: "What is not, else null.", type: str, returned: success}
problems:
  description: Each thing that is not as asked for, in a sentence. Empty when all is well.
  type: list
  elements: str
  returned: success
  sample: ["node3 (172.31.66.13) is not reachable: no answer to 2 ICMP echo requests; no answer on TCP port 10250"]
"""

import ipaddress
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _probe as words
from ansible_collections.k8snet.cni.plugins.module_utils.node import _probe, _probe_reach
from ansible_collections.k8snet.cni.plugins.module_utils.node._links import ReadError

TARGET = {
    "name": {"type": "str", "required": True},
    "address": {"type": "str", "required": True},
}
DNS = {
    "server": {"type": "str", "required": True},
    "name": {"type": "str", "default": "kubernetes.default.svc.cluster.local"},
}
BGP = {
    "local": {"type": "str"},
    "peers": {"type": "list", "elements": "str", "required": True},
}
ARGUMENTS: dict[str, Any] = {
    "targets": {"type": "list", "elements": "dict", "default": [], "options": TARGET},
    "source": {"type": "str"},
    "ports": {"type": "list", "elements": "int", "default": [10250]},
    "timeout": {"type": "float", "default": 1},
    "count": {"type": "int", "default": 2},
    "rate": {"type": "int", "default": 1000},
    "deadline": {"type": "float", "default": 30},
    "dns": {"type": "list", "elements": "dict", "default": [], "options": DNS},
    "pod_dns": {"type": "bool", "default": True},
    "pod_networks": {"type": "list", "elements": "str", "default": []},
    "pod_limit": {"type": "int", "default": 3},
    "bgp": {"type": "dict", "options": BGP},
    "vxlan": {"type": "dict", "options": {"local": {"type": "str", "required": True}}},
}


def address(option: str, text: str) -> words.Address:
    """Parse an address. Raises ValueError that names the option."""
    try:
        return words.address(text)
    except ValueError as error:
        raise ValueError(f"{option}: {error}. Names are not looked up: give the address.") from None


def targets(params: dict[str, Any]) -> dict[str, words.Address]:
    """Return name -> address. Raises ValueError."""
    found: dict[str, words.Address] = {}
    for number, entry in enumerate(params["targets"]):
        if entry["name"] in found:
            raise ValueError(
                f"targets: the name '{entry['name']}' is there twice. Each needs its own."
            )
        found[entry["name"]] = address(f"targets[{number}].address", entry["address"])
    return found


def check(params: dict[str, Any]) -> None:
    """Refuse what cannot be meant. Raises ValueError."""
    for option in ("timeout", "count", "rate", "deadline", "pod_limit"):
        if params[option] <= 0:
            raise ValueError(f"{option}: must be more than 0, not {params[option]}.")
    for port in params["ports"]:
        if not 0 < port < 65536:
            raise ValueError(f"ports: {port} is no TCP port. They go from 1 to 65535.")
    for network in params["pod_networks"]:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise ValueError(
                f"pod_networks: '{network}' is no network such as 10.244.0.0/16."
            ) from None


def ask_dns(params: dict[str, Any]) -> list[dict[str, Any]]:
    """Return RV(dns). Raises ValueError."""
    if not params["dns"]:
        return []
    from ansible_collections.k8snet.cni.plugins.module_utils.node import _probe_dns

    questions = []
    for number, entry in enumerate(params["dns"]):
        words.dns_question(entry["name"], 0)
        server = address(f"dns[{number}].server", entry["server"])
        questions.append(_probe_dns.Question(server, entry["name"]))
    limits = _probe_dns.Limits(
        params["timeout"], params["count"], params["pod_limit"], tuple(params["pod_networks"])
    )
    ask = _probe_dns.from_pods if params["pod_dns"] else _probe_dns.from_host
    return ask(questions, limits)


def probe(params: dict[str, Any]) -> dict[str, Any]:
    """Return all that the module returns. Raises ValueError, ReadError, OSError."""
    check(params)
    wanted = targets(params)
    source = address("source", params["source"]) if params["source"] else None
    limits = _probe_reach.Limits(
        params["timeout"], params["count"], params["rate"], params["deadline"]
    )
    found: dict[str, Any] = {"bgp": None, "vxlan": None}
    if params["bgp"]:
        local = address("bgp.local", params["bgp"]["local"]) if params["bgp"]["local"] else None
        found["bgp"] = _probe.bgp(local, [address("bgp.peers", p) for p in params["bgp"]["peers"]])
    if params["vxlan"]:
        found["vxlan"] = _probe.vxlan(address("vxlan.local", params["vxlan"]["local"]))
    found["dns"] = ask_dns(params)
    found["reachable"] = _probe.gather(wanted, source, params["ports"], limits)
    found["problems"] = words.problems(found)
    return found


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        found = probe(module.params)
    except (ValueError, ReadError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"Cannot probe from this node: {error}.")
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
