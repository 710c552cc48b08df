#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_proxy_rules
short_description: Remove what kube-proxy left on a node, and nothing else
version_added: 0.1.0
description:
  - Removes kube-proxy's chains and jumps from both iptables back ends and both families, the cluster's IPVS virtual servers,
    C(kube-ipvs0), kube-proxy's ipsets, nftables tables and nfacct objects; on request also kernel settings and stale
    entries of the connection tracking.
  - Chains are recognised by their exact names, and per-service ones by prefix and 16 characters of base32; never by a
    comment. Rules of kubelet, CRI-O, kube-router, Calico, Antrea and others stay, and keep their counters. The legacy tools
    zero the counters of the built-in chains' policies with whatever they do, here too.
  - A rule of somebody else that leads into a chain of kube-proxy keeps that chain and those it leads to, and is
    reported in RV(blockers). Ipsets that others use stay too.
  - Each table is changed by one transaction, whole or not at all, nat first. If the rules change between reading and
    writing, the table is read again and tried anew, at most three times. After a failure the module can be run again, and
    goes on from there.
  - Connections that are open outlive the rules that translate them, as long as some other rule has the kernel track
    connections, as those of kubelet, network plugins and container runtimes do. Where none does, a warning says so.
  - Refuses while kube-proxy runs on the node.
  - First keeps how it was in C(/var/lib/k8snet/undo/RUN/kube-proxy.*) on the node (0600 in 0700). That is evidence, not to
    be restored, since its end points get stale. The way back is to let kube-proxy run, which builds its own rules.
author:
  - k8snet.cni contributors (@k8snet)
extends_documentation_fragment:
  - k8snet.cni.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description: V(absent) removes what is there.
    type: str
    choices: [absent]
    default: absent
  run_id:
    description: Name of the run, under which it is kept how it was. Letters, digits, C(.), C(_) and C(-).
    type: str
    required: true
  service_cidrs:
    description:
      - The cluster's Service networks. IPVS virtual servers in them are the cluster's.
      - Without them, a virtual server is the cluster's if its address is on C(kube-ipvs0), or if it is one of the node's
        addresses with a port from a C(KUBE-NODE-PORT-*) set.
    type: list
    elements: str
    default: []
  reset_sysctls:
    description:
      - Kernel settings to set to what a kernel begins with, of those that kube-proxy changed and nothing sets back.
      - Something else on the node may rely on them, so none is reset unless it is named.
    type: list
    elements: str
    choices:
      - net.ipv4.conf.all.arp_announce
      - net.ipv4.conf.all.arp_ignore
      - net.ipv4.conf.all.route_localnet
      - net.ipv4.vs.conn_reuse_mode
      - net.ipv4.vs.conntrack
      - net.ipv4.vs.expire_nodest_conn
      - net.ipv4.vs.expire_quiescent_template
    default: []
  stale_conntrack:
    description:
      - Also deletes the host's UDP entries of the connection tracking that still lead a Service of O(service_cidrs) or a
        NodePort to one of kube-proxy's end points. TCP connections are never cut.
      - Run it after the rules have gone and when another proxy serves; until then new entries of the kind are made.
    type: bool
    default: false
  node_ports:
    description: The cluster's range of NodePorts, for O(stale_conntrack).
    type: str
    default: 30000-32767
  allow_running:
    description:
      - Goes on although a process named kube-proxy runs in the node's network. It will make its rules again.
      - k3s and rke2 can hold kube-proxy inside another process, which is not seen beforehand.
    type: bool
    default: false
  timeout:
    description: Seconds for the reading, and for each table's transaction with its wait for the xtables lock.
    type: int
    default: 300
seealso:
  - module: k8snet.cni.kube_proxy_facts
    description: Only looks, and loads no kernel module.
"""

EXAMPLES = r"""
- name: See what would go
  k8snet.cni.kube_proxy_rules:
    run_id: 20260131t021000z
  check_mode: true
  diff: true
  become: true
  register: residue

- name: Name the rules that keep some of it
  ansible.builtin.debug:
    msg: "{{ item.target }} is used by: {{ item.rules | join('; ') }}"
  loop: "{{ residue.blockers }}"

- name: Remove it
  k8snet.cni.kube_proxy_rules:
    run_id: 20260131t021000z
    service_cidrs: [10.96.0.0/12]
  become: true
"""

RETURN = r"""
plan:
  description: What is (or in check mode would be) done, in that order.
  type: list
  elements: dict
  returned: always
  contains:
    action: {description: One line of plain words., type: str, returned: always, sample: Delete 412 chains and 3 jumps of kube-proxy}
    target: {description: The table or object., type: str, returned: always, sample: iptables-nft nat}
    cuts_connectivity: {description: Whether connections may break., type: bool, returned: always}
blockers:
  description: >-
    Chains and sets of kube-proxy that rules of others use, as RV(k8snet.cni.kube_proxy_facts#module:ansible_facts.k8snet_kube_proxy.blockers).
    They stay.
  type: list
  elements: dict
  returned: success
kept:
  description: Ipsets and nfacct objects that stay since somebody else holds them.
  type: list
  elements: dict
  returned: success
  contains:
    what: {description: "V(ipset) or V(nfacct).", type: str, returned: success}
    name: {description: Its name., type: str, returned: success, sample: KUBE-CLUSTER-IP}
    reason: {description: What shows that it is held., type: str, returned: success, sample: 1 rules that stay use it}
survivors:
  description: >-
    What is somebody else's and stays, as RV(k8snet.cni.kube_proxy_facts#module:ansible_facts.k8snet_kube_proxy.survivors).
  type: list
  elements: dict
  returned: success
sysctls:
  description: Kernel settings that kube-proxy changes, as they were found; null where the kernel has none.
  type: dict
  returned: success
untracked:
  description:
    - Families (V(ip), V(ip6)) in which no rule of others has the kernel track connections. Those that are open through
      kube-proxy's translation break when its rules go. A warning says so too.
  type: list
  elements: str
  returned: success
retries:
  description: How often a table was read again since it had changed meanwhile.
  type: int
  returned: success
undo_path:
  description: Folder on the node that keeps how it was, null if nothing was removed.
  type: str
  returned: success
  sample: /var/lib/k8snet/undo/20260131t021000z
"""

import ipaddress
import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_rules_plan as domain
from ansible_collections.k8snet.cni.plugins.module_utils.node import _kube_rules_apply
from ansible_collections.k8snet.cni.plugins.module_utils.node._kube_rules_read import RulesError

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["absent"], "default": "absent"},
    "run_id": {"type": "str", "required": True},
    "service_cidrs": {"type": "list", "elements": "str", "default": []},
    "reset_sysctls": {
        "type": "list",
        "elements": "str",
        "choices": sorted(domain.KERNEL_DEFAULTS),
        "default": [],
    },
    "stale_conntrack": {"type": "bool", "default": False},
    "node_ports": {"type": "str", "default": "30000-32767"},
    "allow_running": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 300},
}


def request_of(params: dict[str, Any]) -> domain.Request:
    """Return what is asked for. Raises RulesError that names the option."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", params["run_id"]):
        raise RulesError(
            f"run_id: '{params['run_id']}' is no name of a run: letters, digits, '.', '_' and '-' only."
        )
    if not 1 <= params["timeout"] <= 3600:
        raise RulesError(f"timeout must be from 1 to 3600 seconds: {params['timeout']}.")
    networks = []
    for text in params["service_cidrs"]:
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:
            raise RulesError(f"service_cidrs: '{text}' is no network ({error}).") from None
        if network.prefixlen == 0:
            raise RulesError(f"service_cidrs: '{text}' is every address, so everybody's server.")
        networks.append(network)
    if params["stale_conntrack"] and not networks:
        raise RulesError("stale_conntrack needs service_cidrs: without them no Service is known.")
    settings = tuple(dict.fromkeys(params["reset_sysctls"]))
    ports = range_of(params["node_ports"])
    return domain.Request(tuple(networks), settings, params["stale_conntrack"], ports)


def range_of(text: str) -> range:
    """Return a range of ports. Raises RulesError."""
    found = re.fullmatch(r"([0-9]{1,5})-([0-9]{1,5})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]) <= 65535:
        raise RulesError(f"node_ports: '{text}' is no range of ports such as 30000-32767.")
    return range(int(found[1]), int(found[2]) + 1)


def shown(outcome: _kube_rules_apply.Outcome) -> dict[str, Any]:
    """Return the module's result."""
    return {
        "changed": outcome.plan.changed,
        "plan": outcome.plan.describe(),
        "diff": outcome.plan.diff(),
        "blockers": outcome.facts["blockers"],
        "survivors": outcome.facts["survivors"],
        "sysctls": outcome.facts["sysctls"],
        "kept": [kept._asdict() for kept in outcome.kept],
        "untracked": list(outcome.untracked),
        "retries": outcome.retries,
        "undo_path": outcome.undo_path,
    }


def main() -> None:
    """Run and exit."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    try:
        request = request_of(params)
        outcome = _kube_rules_apply.run(
            request,
            params["run_id"],
            params["timeout"],
            write=not module.check_mode,
            allow_running=params["allow_running"],
        )
    except _kube_rules_apply.PartlyDone as error:
        module.fail_json(
            msg=str(error),
            changed=error.done.changed,
            plan=error.done.describe(),
            diff=error.done.diff(),
            undo_path=error.undo_path,
        )
    except RulesError as error:
        module.fail_json(msg=str(error), plan=[])
    result = shown(outcome)
    for blocker in result["blockers"]:
        module.warn(
            f"{blocker['target']} ({blocker['backend']} {blocker['family']} {blocker['table']}) stays, "
            f"since it is used by: {blocker['rules'][0]}"
        )
    for family in outcome.untracked:
        name = {"ip": "IPv4", "ip6": "IPv6"}[family]
        module.warn(
            f"{name} connections that run through kube-proxy's translation break when its rules go: no other rule on "
            "this node has the kernel track connections. A rule with '-m conntrack' of your own keeps them."
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
