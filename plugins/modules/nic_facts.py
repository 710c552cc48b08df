#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nic_facts
short_description: Read a node's network interfaces as the kernel lists them
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Reads interfaces, addresses and default routes in the order in which the kernel lists them, which is what Calico's
    autodetection goes by, and compares them with the baseline of M(k8snet.cni.nic_baseline) if there is one.
  - Uses netlink through the Python package pyroute2 where the node has it, else C(ip -j); the result is the same.
  - Reading changes nothing on the node.
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.attributes.facts
requirements:
  - iproute2 4.20 or later, or the Python package pyroute2, on the node
options:
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
  - module: k8snet.cni.node_facts
  - module: k8snet.cni.nic_baseline
"""

EXAMPLES = r"""
- name: Read the node's interfaces
  k8snet.cni.nic_facts:

- name: Show every interface that has an address
  ansible.builtin.debug:
    msg: "{{ item.name }} ({{ item.kind }}, {{ item.role }}): {{ item.addresses | map(attribute='address') | join(', ') }}"
  loop: "{{ ansible_facts.k8snet_nics | selectattr('addresses') | rejectattr('role', 'eq', 'service-proxy') }}"
  loop_control:
    label: "{{ item.name }}"

- name: See which address can-reach would find
  k8snet.cni.nic_facts:
    reach:
      - 192.0.2.53
      - gateway.example.com
"""

RETURN = r"""
ansible_facts:
  description: Facts about the node's interfaces. Every key is always present, null where it does not apply.
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
backend:
  description: What the interfaces were read with, V(pyroute2) or V(iproute2).
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.node import _facts
from ansible_collections.k8snet.cni.plugins.module_utils.node._links import ReadError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "reach": {"type": "list", "elements": "str", "default": []},
            "reach_timeout": {"type": "float", "default": 5},
            "include_pod_interfaces": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        facts, backend = _facts.nics(
            reach=module.params["reach"],
            reach_timeout=module.params["reach_timeout"],
            include_pod_interfaces=module.params["include_pod_interfaces"],
        )
    except ReadError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, ansible_facts=facts, backend=backend)


if __name__ == "__main__":
    main()
