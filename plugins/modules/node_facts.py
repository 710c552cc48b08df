#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_facts
short_description: Read everything k8snet.cni wants to know of a node in one visit
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Returns what M(k8snet.cni.nic_facts), M(k8snet.cni.ovs_facts) and M(k8snet.cni.kube_proxy_facts) return, by one module run.
  - What cannot be read of Open vSwitch or kube-proxy is said in C(k8snet_ovs.error) and
    C(k8snet_kube_proxy.errors) and does not fail the module.
  - Reading changes nothing on the node; no kernel module is loaded by looking.
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.attributes.facts
requirements:
  - iproute2 4.20 or later, or the Python package pyroute2, on the node
options:
  gather_subset:
    description: What to read. RV(ansible_facts.k8snet_node) is always returned.
    type: list
    elements: str
    choices: [nics, ovs, kube_proxy]
    default: [nics, ovs, kube_proxy]
  reach:
    description:
      - Destinations (addresses or names) for which to report which source address and interface the kernel would choose, as
        Calico's C(can-reach) does. No packet is sent to them; names are resolved on the node.
      - A destination without a route or address has an error text in its entry; the module does not fail.
    type: list
    elements: str
    default: []
  reach_timeout:
    description: Seconds for resolving all names of O(reach) together.
    type: float
    default: 5
  include_pod_interfaces:
    description: Whether to list pod-side interfaces without a global address too, instead of only counting them.
    type: bool
    default: false
seealso:
  - module: k8snet.cni.nic_facts
  - module: k8snet.cni.ovs_facts
  - module: k8snet.cni.kube_proxy_facts
"""

EXAMPLES = r"""
- name: Read everything
  k8snet.cni.node_facts:
  become: true

- name: Read interfaces and Open vSwitch only
  k8snet.cni.node_facts:
    gather_subset: [nics, ovs]
  become: true

- name: Name the NICs that were added since the baseline
  ansible.builtin.debug:
    msg: "{{ ansible_facts.k8snet_nic_drift.changes | selectattr('change', 'eq', 'added') | map(attribute='name') }}"
  when: ansible_facts.k8snet_nic_drift is not none
"""

RETURN = r"""
ansible_facts:
  description: Facts about the node. The keys of a subset that was not asked for are absent; all others are always present.
  type: dict
  returned: success
  contains:
    k8snet_nics:
      description:
        - The interfaces in kernel dump order. Pod-side interfaces without a global-unicast address are left out unless
          O(include_pod_interfaces=true); any interface that carries a global-unicast address is listed.
      type: list
      elements: dict
      returned: success
      contains:
        name: {description: Name., type: str, returned: success, sample: eth0}
        ifindex: {description: Index in the kernel., type: int, returned: success, sample: 2}
        mac: {description: "Present MAC, null where there is none.", type: str, returned: success, sample: "02:00:0a:a0:01:21"}
        permanent_mac:
          description: MAC that the hardware came with, also inside a bond; null for virtual interfaces.
          type: str
          returned: success
          sample: "02:00:0a:a0:01:21"
        kind:
          description:
            - V(physical) (it sits on a bus), V(loopback), V(qinq) (a VLAN on a VLAN), V(tap), or the kernel's own word, such as
              V(vlan), V(bridge), V(bond), V(dummy), V(veth), V(vxlan), V(geneve), V(macvlan), V(vrf), V(openvswitch) (internal port),
              V(tun), V(ipip), V(sit), V(gre); V(other) where the kernel has none.
          type: str
          returned: success
          sample: physical
        role:
          description:
            - V(primary) (best default route, IPv4 before IPv6), V(node), V(cni), V(service-proxy) (kube-ipvs0, nodelocaldns),
              V(pod) or V(other).
          type: str
          returned: success
          sample: primary
        driver: {description: "Driver of a physical interface, else null.", type: str, returned: success, sample: virtio_net}
        bus:
          description: Position of a physical interface on its bus, for virtio that of its PCI slot; else null.
          type: str
          returned: success
          sample: "0000:00:12.0"
        mtu: {description: MTU in bytes., type: int, returned: success, sample: 1500}
        up: {description: Whether it is administratively up (IFF_UP)., type: bool, returned: success}
        carrier: {description: "Whether it has a carrier, null while it is down.", type: bool, returned: success}
        operstate:
          description: V(up), V(down), V(unknown), V(dormant), V(lowerlayerdown), V(testing) or V(notpresent).
          type: str
          returned: success
          sample: up
        master: {description: "Bond, bridge, VRF or OVS datapath it belongs to, or null.", type: str, returned: success}
        parent:
          description:
            - Interface it sits on (of a VLAN, macvlan, VXLAN, ...), null without one, for one in another network namespace, and for a
              veth, whose peer is no parent.
          type: str
          returned: success
          sample: bond0
        vlan_id: {description: "VLAN id of a VLAN interface, else null.", type: int, returned: success, sample: 181}
        altnames: {description: Alternative names., type: list, elements: str, returned: success, sample: [enp0s18]}
        tunnel:
          description: End points of a tunnel interface, null for others.
          type: dict
          returned: success
          contains:
            id: {description: "VNI or key, null if set by flow rules.", type: int, returned: success, sample: 4096}
            local: {description: Local address or null., type: str, returned: success}
            remote: {description: "Remote or multicast address, or null.", type: str, returned: success}
            port: {description: UDP port or null., type: int, returned: success, sample: 4789}
        addresses:
          description:
            - Its addresses in kernel dump order. Those of kube-ipvs0 are plain strings such as V(10.96.0.1/32).
          type: list
          elements: raw
          returned: success
          contains:
            address:
              description: The local address, also of a point-to-point interface.
              type: str
              returned: success
              sample: 10.160.1.21
            prefix: {description: Prefix length., type: int, returned: success, sample: 24}
            family: {description: V(inet) or V(inet6)., type: str, returned: success, sample: inet}
            scope:
              description: V(global), V(site), V(link), V(host), V(nowhere) or a number.
              type: str
              returned: success
              sample: global
            flags:
              description:
                - Any of V(secondary), V(temporary), V(nodad), V(optimistic), V(dadfailed), V(home), V(deprecated), V(tentative),
                  V(permanent), V(mngtmpaddr), V(noprefixroute), V(autojoin), V(stable-privacy).
              type: list
              elements: str
              returned: success
              sample: [permanent]
            label:
              description: Label of an IPv4 address where it is not the interface's name, else null.
              type: str
              returned: success
              sample: eth0:vip
    k8snet_nic_counts:
      description: How many interfaces there are.
      type: dict
      returned: success
      contains:
        total: {description: All interfaces., type: int, returned: success, sample: 207}
        listed: {description: "Those in RV(ansible_facts.k8snet_nics).", type: int, returned: success, sample: 7}
        unlisted: {description: The others by kind., type: dict, returned: success, sample: {veth: 200}}
    k8snet_default_routes:
      description: Default routes of the main table by family, lowest metric first, multipath routes expanded.
      type: dict
      returned: success
      contains:
        inet:
          description: IPv4 default routes.
          type: list
          elements: dict
          returned: success
          contains:
            gateway: {description: "Next hop, null if on link.", type: str, returned: success, sample: 10.160.1.1}
            interface: {description: Outgoing interface., type: str, returned: success, sample: eth0}
            metric: {description: Metric; lower wins., type: int, returned: success, sample: 100}
            source: {description: "Preferred source address, or null.", type: str, returned: success}
        inet6:
          description: IPv6 default routes.
          type: list
          elements: dict
          returned: success
          contains:
            gateway: {description: "Next hop, null if on link.", type: str, returned: success, sample: 10.160.1.1}
            interface: {description: Outgoing interface., type: str, returned: success, sample: eth0}
            metric: {description: Metric; lower wins., type: int, returned: success, sample: 100}
            source: {description: "Preferred source address, or null.", type: str, returned: success}
    k8snet_reach:
      description:
        - For each destination of O(reach), as it was written, the way that the kernel would choose.
        - The entry is the IPv4 answer where there is one, else the IPv6 answer; both are under C(by_family).
      type: dict
      returned: success
      contains:
        address: {description: "The destination's address, null if its name has none.", type: str, returned: success}
        family: {description: V(inet) or V(inet6)., type: str, returned: success}
        source: {description: "Source address chosen by the kernel, null without a route.", type: str, returned: success}
        interface: {description: Outgoing interface., type: str, returned: success}
        gateway: {description: "Next hop, null if on link.", type: str, returned: success}
        error: {description: "Why there is no source address, else null.", type: str, returned: success}
        by_family:
          description: The same keys but C(family) under V(inet) and V(inet6); null for the family that a literal address is not of.
          type: dict
          returned: success
    k8snet_nic_fingerprint:
      description:
        - Hash over names, kinds, permanent MACs, bus positions and lasting global addresses of the node's own interfaces. It changes
          exactly when a comparison would find drift.
      type: str
      returned: success
      sample: "sha256:6c1f3b..."
    k8snet_nic_drift:
      description: What changed since M(k8snet.cni.nic_baseline) recorded the interfaces; null without a baseline.
      type: dict
      returned: success
      contains:
        recorded_at: {description: "When it was recorded (UTC), null if it is unreadable.", type: str, returned: success, sample: "2026-01-31T02:10:00Z"}
        error: {description: "Why the baseline could not be read, with the remedy, else null.", type: str, returned: success}
        changes:
          description: The changes.
          type: list
          elements: dict
          returned: success
          contains:
            change:
              description: V(added), V(removed), V(renamed) or V(readdressed) (IP addresses, permanent MAC or bus position).
              type: str
              returned: success
            name: {description: "Present name, of a removed interface its last one.", type: str, returned: success}
            was: {description: "Former name if it was renamed, else null.", type: str, returned: success}
            matched_by: {description: "V(permanent_mac), V(bus), V(name) or null.", type: str, returned: success}
            before: {description: "Name, kind, permanent_mac, bus and addresses as recorded, or null.", type: dict, returned: success}
            after: {description: "The same now, or null.", type: dict, returned: success}
    k8snet_node:
      description: The node itself.
      type: dict
      returned: success
      contains:
        hostname: {description: Host name., type: str, returned: success, sample: node1}
        fqdn: {description: "Full name from host name or hosts file, never from DNS.", type: str, returned: success}
        kernel: {description: Kernel release., type: str, returned: success, sample: 6.12.48}
        system: {description: V(Linux)., type: str, returned: success, sample: Linux}
    k8snet_ovs:
      description: The node's Open vSwitch. Every key is always there; what does not apply is null or empty.
      type: dict
      returned: when asked for with O(gather_subset)
      contains:
        present:
          description: Whether a socket was found, readable or not.
          type: bool
          returned: success
        socket:
          description: The socket that was found.
          type: str
          returned: success
          sample: /var/run/antrea/openvswitch/db.sock
        version:
          description: Open vSwitch's version, as its start script wrote it into the database.
          type: str
          returned: success
          sample: 3.3.0
        db_version:
          description: Version of the database's schema, likewise.
          type: str
          returned: success
          sample: 8.5.0
        flow_restore_wait:
          description: Whether C(ovs-vswitchd) is told not to touch the datapath until flows are restored.
          type: bool
          returned: success
        cur_cfg:
          description: The configuration that C(ovs-vswitchd) has applied. Behind C(next_cfg), it is not applying.
          type: int
          returned: success
        next_cfg:
          description: The configuration that clients last asked for.
          type: int
          returned: success
        vswitchd_running:
          description:
            - Whether a process holds the lock on C(ovs-vswitchd.pid) beside the socket.
            - Null when there is no such file, yet a process of that name.
          type: bool
          returned: success
        vswitchd_uptime:
          description: Seconds since that process was started; null when it cannot be seen.
          type: int
          returned: success
        bridges:
          description: The bridges, by name.
          type: list
          elements: dict
          returned: success
          contains:
            name:
              description: The bridge's name.
              type: str
              returned: success
            datapath_type:
              description: V(system) for the kernel's datapath, V(netdev) for the one in user space.
              type: str
              returned: success
            fail_mode:
              description: V(standalone), V(secure), or null.
              type: str
              returned: success
            external_ids:
              description: What others noted about the bridge, Antrea's C(roundNum) for example.
              type: dict
              returned: success
            ports:
              description: How many ports the bridge has.
              type: int
              returned: success
            port_kinds:
              description: How many interfaces there are of the kinds internal, uplink, tunnel, patch, pod, other.
              type: dict
              returned: success
              sample: {internal: 2, uplink: 0, tunnel: 1, patch: 0, pod: 110, other: 0}
            uplinks:
              description: NICs, bonds and VLAN devices in the bridge.
              type: list
              elements: str
              returned: success
            internal_ports:
              description: Internal ports, at most 32, those that carry addresses first among them.
              type: list
              elements: str
              returned: success
        enslaved:
          description: Each uplink, and where its addresses are now.
          type: list
          elements: dict
          returned: success
          contains:
            nic:
              description: The NIC's present name. Antrea renames C(eth0) to C(eth0~).
              type: str
              returned: success
            bridge:
              description: Its bridge; null for a NIC with such a name that is in none, as a killed agent leaves it.
              type: str
              returned: success
            internal_port:
              description: The internal port that took its name, or its MAC address.
              type: str
              returned: success
            addresses_on:
              description: The interface that carries global addresses now; null when none of these does.
              type: str
              returned: success
            by_antrea:
              description: Whether Antrea has marked the port as its uplink. False for a NIC in no bridge.
              type: bool
              returned: success
        error:
          description: Why Open vSwitch could not be read; null when it could, or is not there.
          type: str
          returned: success
      sample:
        present: true
        socket: /var/run/antrea/openvswitch/db.sock
        version: 3.3.0
        db_version: 8.5.0
        flow_restore_wait: true
        cur_cfg: 7
        next_cfg: 9
        vswitchd_running: true
        vswitchd_uptime: 86400
        bridges: []
        enslaved:
          - nic: eth0~
            bridge: br-secondary
            internal_port: eth0
            addresses_on: eth0
            by_antrea: true
        error:
    k8snet_kube_proxy:
      description: kube-proxy's traces on the node. Every key is always there; what does not apply is null or empty.
      type: dict
      returned: when asked for with O(gather_subset)
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
backend:
  description: What the interfaces were read with, V(pyroute2) or V(iproute2); null without V(nics) in O(gather_subset).
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.node import _facts
from ansible_collections.k8snet.cni.plugins.module_utils.node._links import ReadError

SUBSETS = ["nics", "ovs", "kube_proxy"]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "gather_subset": {
                "type": "list",
                "elements": "str",
                "choices": SUBSETS,
                "default": SUBSETS,
            },
            "reach": {"type": "list", "elements": "str", "default": []},
            "reach_timeout": {"type": "float", "default": 5},
            "include_pod_interfaces": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        facts, backend = _facts.node(
            subsets=module.params["gather_subset"],
            reach=module.params["reach"],
            reach_timeout=module.params["reach_timeout"],
            include_pod_interfaces=module.params["include_pod_interfaces"],
        )
    except ReadError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, ansible_facts=facts, backend=backend)


if __name__ == "__main__":
    main()
