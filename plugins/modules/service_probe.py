#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_probe
short_description: See from a node and from its pods whether the API server and Services answer
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Asks an API server whether it is ready, at C(/readyz), and proves by its certificate that it is the cluster's and that it bears
    the name or address it was asked by.
  - Connects to Services over TCP, and asks DNS servers over UDP and TCP, from the node itself and from the network namespaces of
    pods that run on it. Other than M(k8snet.cni.node_probe), which takes a refused connection as a sign of life, it wants the
    connection to be accepted, since a refused one says that nobody serves.
  - Asks the kube-proxy of the node in which mode it runs.
  - It sends probes and changes nothing, so it does the same in check mode. What does not answer is returned and does not fail
    the module.
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.attributes.facts
notes:
  - Needs root on the node for pods' network namespaces.
options:
  api:
    description: The API server to ask.
    type: dict
    suboptions:
      url:
        description: C(https://host:port), without a path, also without a slash at its end.
        type: str
        required: true
      ca:
        description: The cluster's authority, in PEM. It is no secret.
        type: str
        required: true
  connections:
    description: Addresses and ports that have to accept a TCP connection.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it is called in the results.
        type: str
        required: true
      address:
        description: IPv4 or IPv6 address.
        type: str
        required: true
      port:
        description: TCP port.
        type: int
        required: true
      pod:
        description: Whether to connect from pods, too.
        type: bool
        default: true
  dns:
    description: DNS servers to ask, each over UDP and over TCP, from the node and from pods.
    type: list
    elements: dict
    default: []
    suboptions:
      server:
        description: Address of the server or of the Service.
        type: str
        required: true
      name:
        description: Name to ask the A records of. That it does not exist is an answer, too.
        type: str
        default: kubernetes.default.svc.cluster.local
  main_routes:
    description:
      - Addresses whose way is looked up in the node's main routing table. Other than the kernel's choice, which C(reach) of
        M(k8snet.cni.node_facts) tells, it does not depend on what the node has made an address of its own, as IPVS does.
    type: list
    elements: str
    default: []
  pod_networks:
    description:
      - Networks in which a pod's address lies, so that a network namespace of something else is not taken for a pod's.
    type: list
    elements: str
    default: []
  pod_limit:
    description: From how many pods to ask at most. One that gets an answer is enough.
    type: int
    default: 2
  timeout:
    description: Seconds to wait for each answer.
    type: float
    default: 2
  attempts:
    description: How often to try.
    type: int
    default: 2
seealso:
  - module: k8snet.cni.node_probe
  - module: k8snet.cni.node_facts
    description: Its C(reach) tells over which interface the kernel sends to an address.
"""

EXAMPLES = r"""
- name: See whether a node would find the API server without kube-proxy
  k8snet.cni.service_probe:
    api:
      url: https://10.160.1.10:6443
      ca: "{{ lookup('ansible.builtin.file', '/etc/kubernetes/pki/ca.crt') }}"
    connections:
      - {name: default/kubernetes, address: 10.96.0.1, port: 443}
    dns:
      - {server: 10.96.0.10}
  become: true
  register: probe

- name: Stop where something does not answer
  ansible.builtin.assert:
    that: probe.problems == []
"""

RETURN = r"""
api:
  description: What the API server said, null without O(api).
  type: dict
  returned: success
  contains:
    url: {description: As in O(api.url)., type: str, returned: success, sample: "https://10.160.1.10:6443"}
    host: {description: Its host., type: str, returned: success, sample: 10.160.1.10}
    port: {description: Its port., type: int, returned: success, sample: 6443}
    addresses: {description: The addresses of that host as this node sees them., type: list, elements: str, returned: success}
    local: {description: Those of them that this node itself has., type: list, elements: str, returned: success}
    ok:
      description: Whether its certificate is right and it is ready. One that does not tell strangers (401, 403) counts as ready.
      type: bool
      returned: success
    status: {description: "HTTP status, null without an answer.", type: int, returned: success, sample: 200}
    error: {description: "What is wrong, null if nothing is.", type: str, returned: success}
proxy_mode:
  description: V(iptables), V(ipvs) or V(nftables), null if no kube-proxy says so on this node.
  type: str
  returned: success
connections:
  description: For each of O(connections) one entry from the node, and one from pods.
  type: list
  elements: dict
  returned: success
  contains: &entry
    name: {description: Its name., type: str, returned: success, sample: default/kubernetes}
    address: {description: Its address., type: str, returned: success, sample: 10.96.0.1}
    port: {description: Its port., type: int, returned: success, sample: 443}
    pod: {description: Whether it was tried from pods., type: bool, returned: success}
    ok: {description: Whether it answered. Null if there was no pod to ask from., type: bool, returned: success}
    netns: {description: "Network namespace it was tried from, V(host) for the node's own.", type: str, returned: success}
    error: {description: "Why not, null if it answered.", type: str, returned: success}
dns:
  description:
    - For each of O(dns) an entry over UDP and one over TCP, from the node and from pods, named C(DNS over UDP) and C(DNS over TCP), with
      the server behind it from the second one on.
  type: list
  elements: dict
  returned: success
  contains: *entry
main_routes:
  description: For each address of O(main_routes) the interface it is sent over by that table, null without a route.
  type: dict
  returned: success
  sample: {10.96.0.1: antrea-gw0}
problems:
  description: What does not answer, in sentences. What there was no pod for is not among them.
  type: list
  elements: str
  returned: success
  sample: ["default/web from a pod: no answer within 2 s"]
"""

import ipaddress
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _probe as words
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _service_probe as domain
from ansible_collections.k8snet.cni.plugins.module_utils.node import _probe_dns, _service_probe

API = {"url": {"type": "str", "required": True}, "ca": {"type": "str", "required": True}}
CONNECTION = {
    "name": {"type": "str", "required": True},
    "address": {"type": "str", "required": True},
    "port": {"type": "int", "required": True},
    "pod": {"type": "bool", "default": True},
}
DNS = {
    "server": {"type": "str", "required": True},
    "name": {"type": "str", "default": "kubernetes.default.svc.cluster.local"},
}
ARGUMENTS: dict[str, Any] = {
    "api": {"type": "dict", "options": API},
    "connections": {"type": "list", "elements": "dict", "default": [], "options": CONNECTION},
    "dns": {"type": "list", "elements": "dict", "default": [], "options": DNS},
    "main_routes": {"type": "list", "elements": "str", "default": []},
    "pod_networks": {"type": "list", "elements": "str", "default": []},
    "pod_limit": {"type": "int", "default": 2},
    "timeout": {"type": "float", "default": 2},
    "attempts": {"type": "int", "default": 2},
}


def check(params: dict[str, Any]) -> None:
    """Refuse what cannot be meant. Raises ValueError."""
    for option in ("timeout", "attempts", "pod_limit"):
        if params[option] <= 0:
            raise ValueError(f"{option}: must be more than 0, not {params[option]}.")
    for number, entry in enumerate(params["connections"]):
        if not 0 < entry["port"] < 65536:
            raise ValueError(f"connections[{number}].port: {entry['port']} is no TCP port.")
    for network in params["pod_networks"]:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise ValueError(f"pod_networks: '{network}' is no network.") from None


def address(option: str, text: str) -> words.Address:
    """Parse an address. Raises ValueError that names the option."""
    try:
        return words.address(text)
    except ValueError as error:
        raise ValueError(f"{option}: {error}. Names are not looked up: give the address.") from None


def _names(params: dict[str, Any]) -> list[tuple[str, str]]:
    return domain.dns_names([entry["server"] for entry in params["dns"]])


def over_udp(params: dict[str, Any], limits: _probe_dns.Limits) -> list[dict[str, Any]]:
    """Return RV(dns) over UDP. Raises ValueError."""
    questions = [
        _probe_dns.Question(address(f"dns[{n}].server", entry["server"]), entry["name"])
        for n, entry in enumerate(params["dns"])
    ]
    for question in questions:
        words.dns_question(question.name, 0)
    names = dict(zip((question.server.text for question in questions), _names(params)))
    answers = _probe_dns.from_host(questions, limits) + _probe_dns.from_pods(questions, limits)
    return [
        {
            "name": names[answer["server"]][0],
            "address": answer["server"],
            "port": 53,
            **{key: answer[key] for key in ("pod", "ok", "netns", "error")},
        }
        for answer in answers
    ]


def over_tcp(
    targets: list[_service_probe.Target], limits: _probe_dns.Limits
) -> list[dict[str, Any]]:
    """Return what answers over TCP, from the node and from pods."""
    return _service_probe.from_host(targets, limits) + _service_probe.from_pods(targets, limits)


def probe(params: dict[str, Any]) -> dict[str, Any]:
    """Return all that the module returns. Raises ValueError and OSError."""
    check(params)
    limits = _probe_dns.Limits(
        params["timeout"], params["attempts"], params["pod_limit"], tuple(params["pod_networks"])
    )
    api = params["api"]
    found: dict[str, Any] = {
        "api": _service_probe.readyz(api["url"], api["ca"], params["timeout"]) if api else None,
        "proxy_mode": _service_probe.proxy_mode(params["timeout"]),
    }
    targets, inside = [], []
    for number, entry in enumerate(params["connections"]):
        where = address(f"connections[{number}].address", entry["address"])
        targets.append(_service_probe.Target(entry["name"], where, entry["port"]))
        if entry["pod"]:
            inside.append(targets[-1])
    found["connections"] = _service_probe.from_host(targets, limits)
    found["connections"] += _service_probe.from_pods(inside, limits)
    udp = over_udp(params, limits)
    servers = [
        _service_probe.Target(name, words.address(entry["server"]), 53, entry["name"])
        for entry, (_udp, name) in zip(params["dns"], _names(params))
    ]
    found["dns"] = udp + over_tcp(servers, limits)
    wanted = [address("main_routes", text).text for text in params["main_routes"]]
    routes = _service_probe.main_routes() if wanted else []
    found["main_routes"] = {text: domain.way(routes, text) for text in wanted}
    found["problems"] = domain.problems(found)
    return found


def main() -> None:
    """Probe, and return what was found."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        found = probe(module.params)
    except ValueError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"Cannot probe from this node: {error}.")
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
