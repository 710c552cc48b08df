#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_proxy_facts
short_description: Tell what kube-proxy left on a node, what must stay, and what blocks its removal
version_added: 0.1.0
description:
  - Reads the rules of both iptables back ends (nft and legacy) and both families, ipsets, IPVS virtual servers, the
    C(kube-ipvs0) interface and native nftables tables, and tells what is kube-proxy's.
  - Chains are recognised by their exact names, and per-service ones by prefix and 16 characters of base32; never by a
    comment. Chains of kubelet, CRI-O, kube-router, Calico, Antrea and others are reported as what stays.
  - Rules of others that lead into kube-proxy's chains, or use its ipsets, are reported as what blocks a removal.
  - Changes nothing and loads no kernel module. What is not loaded holds no rules, so it is not asked.
  - The result stays small at any number of Services, because chains are counted by kind and lists are cut.
author:
  - k8snet.cni contributors (@k8snet)
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.attributes.facts
options:
  timeout:
    description: Seconds for all reading together. What was not read by then is told in RV(ansible_facts.k8snet_kube_proxy.errors).
    type: float
    default: 60.0
seealso:
  - module: k8snet.cni.node_facts
    description: These facts and the others of a node in one visit.
"""

EXAMPLES = r"""
- name: See what kube-proxy left
  k8snet.cni.kube_proxy_facts:
  become: true

- name: Name the rules that would block its removal
  ansible.builtin.debug:
    msg: "{{ item.target }} is used by: {{ item.rules | join('; ') }}"
  loop: "{{ k8snet_kube_proxy.blockers }}"
"""

RETURN = r"""
ansible_facts:
  description: Facts that are added to the host's.
  returned: success
  type: dict
  contains:
    k8snet_kube_proxy:
      description: kube-proxy's traces on the node. Every key is always there; what does not apply is null or empty.
      type: dict
      returned: success
      contains:
        residue:
          description: What is kube-proxy's and could go.
          type: dict
          returned: success
          contains:
            iptables:
              description: One entry for each table that holds some of it.
              type: list
              elements: dict
              returned: success
              contains:
                backend:
                  description: V(nft) or V(legacy).
                  type: str
                  returned: success
                family:
                  description: V(ip) or V(ip6).
                  type: str
                  returned: success
                table:
                  description: V(nat), V(filter) or V(mangle).
                  type: str
                  returned: success
                chains:
                  description: How many chains could go.
                  type: int
                  returned: success
                by_kind:
                  description: The same by name, per-service chains by prefix.
                  type: dict
                  returned: success
                  sample: {"KUBE-SERVICES": 1, "KUBE-SVC-*": 120, "KUBE-SEP-*": 310}
                kept:
                  description: How many of kube-proxy's chains have to stay because somebody else uses them.
                  type: int
                  returned: success
                rules:
                  description: How many rules kube-proxy's chains hold.
                  type: int
                  returned: success
                jumps:
                  description: kube-proxy's own rules in built-in chains, at most 20, as C(iptables-save) prints them.
                  type: list
                  elements: str
                  returned: success
                complete:
                  description: V(false) when only the chains could be seen, not the rules.
                  type: bool
                  returned: success
            ipsets:
              description: kube-proxy's sets, with C(name), C(type) and number of C(entries).
              type: list
              elements: dict
              returned: success
            virtual_servers:
              description:
                - The cluster's IPVS virtual servers. RV(ansible_facts.k8snet_kube_proxy.residue.virtual_servers) has their
                  C(count), the C(destinations) behind them, and a C(sample) of at most 20.
                - A server is the cluster's if its address is on C(kube-ipvs0), or if it is one of the node's addresses
                  with a port from a C(KUBE-NODE-PORT-*) set.
              type: dict
              returned: success
              sample: {count: 1, destinations: 2, sample: ["TCP 10.96.0.1:443"]}
            nft_tables:
              description: kube-proxy's native tables, with C(family), C(name) and number of C(chains).
              type: list
              elements: dict
              returned: success
            kube_ipvs0:
              description: How many C(addresses) the interface carries and a C(sample) of them; null when it is absent.
              type: dict
              returned: success
        survivors:
          description: What is somebody else's and stays.
          type: list
          elements: dict
          returned: success
          contains:
            what:
              description: One of V(chains), V(rules), V(policies), V(nft_table), V(ipsets), V(virtual_servers).
              type: str
              returned: success
            owner:
              description:
                - Whose it is, by name, one of V(kubelet), V(cri-o), V(kube-router), V(kubernetes), V(calico), V(antrea),
                  V(cni), V(docker), V(other) and the like.
              type: str
              returned: success
            backend:
              description: V(nft), V(legacy) or null.
              type: str
              returned: success
            family:
              description: The family of the table, or null.
              type: str
              returned: success
            table:
              description: The table, or null.
              type: str
              returned: success
            count:
              description: How many there are.
              type: int
              returned: success
            sample:
              description: At most 5 of them.
              type: list
              elements: str
              returned: success
        blockers:
          description: Chains and sets of kube-proxy that others use, at most 20 chains for each table.
          type: list
          elements: dict
          returned: success
          contains:
            what:
              description: V(chain) or V(ipset).
              type: str
              returned: success
            backend:
              description: V(nft) or V(legacy).
              type: str
              returned: success
            family:
              description: V(ip) or V(ip6).
              type: str
              returned: success
            table:
              description: The table of the rules that use it.
              type: str
              returned: success
            target:
              description: The chain or set that is used.
              type: str
              returned: success
              sample: KUBE-MARK-MASQ
            references:
              description: How many rules use it.
              type: int
              returned: success
            rules:
              description: At most 5 of these rules.
              type: list
              elements: str
              returned: success
              sample: ["-A CNI-DN-0a1b2c -p tcp --dport 8080 -j KUBE-MARK-MASQ"]
            keeps:
              description: At most 20 of the chains that have to stay for it.
              type: list
              elements: str
              returned: success
            keeps_count:
              description: How many have to stay for it.
              type: int
              returned: success
        counts:
          description:
            - Sums over all tables. Chains, rules, jumps, ipsets, virtual_servers, nft_tables and kube_ipvs0_addresses count
              residue; blockers counts the rules of others that refer to it.
          type: dict
          returned: success
        modes:
          description: The modes of kube-proxy whose traces were found, of V(iptables), V(ipvs), V(nftables).
          type: list
          elements: str
          returned: success
        running:
          description: Whether a process named kube-proxy runs. k3s and rke2 hold it inside another process.
          type: bool
          returned: success
        sysctls:
          description: Kernel settings that kube-proxy changes and nothing sets back; null where the kernel has none.
          type: dict
          returned: success
          sample: {"net.ipv4.conf.all.route_localnet": 1, "net.ipv4.vs.conntrack": null}
        errors:
          description: What could not be read, where, and what to do about it.
          type: list
          elements: str
          returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.node import _kube_proxy


def main() -> None:
    module = AnsibleModule(
        argument_spec={"timeout": {"type": "float", "default": 60.0}},
        supports_check_mode=True,
    )
    timeout = module.params["timeout"]
    if not 0 < timeout <= 3600:
        module.fail_json(
            msg=f"timeout must be above 0 and at most 3600 seconds: {timeout:g}. Leave it out for 60 seconds."
        )
    facts = _kube_proxy.gather(timeout)
    module.exit_json(changed=False, ansible_facts={"k8snet_kube_proxy": facts})


if __name__ == "__main__":
    main()
