#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_facts
short_description: Tell what Open vSwitch on a node does and which NICs it took
version_added: 0.1.0
description:
  - Reads a node's Open vSwitch over OVSDB (RFC 7047) on its unix socket, in one transaction. No C(ovs-vsctl) is needed,
    which nodes under Antrea usually do not have.
  - Tells whether C(flow-restore-wait) holds C(ovs-vswitchd) back, whether it applies what the database says, which
    bridges there are, and where the addresses of each NIC in a bridge went.
  - Changes nothing. Per-pod ports are counted, not listed.
author:
  - k8snet.cni contributors (@k8snet)
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.attributes.facts
options:
  socket:
    description:
      - Path of ovsdb-server's unix socket.
      - If not set, C(/var/run/antrea/openvswitch/db.sock) and then C(/var/run/openvswitch/db.sock) are looked for,
        and a node that has neither is reported with RV(ansible_facts.k8snet_ovs.present) set to V(false).
      - If set, it must be readable, or the module fails.
    type: path
  timeout:
    description: Seconds within which OVSDB must have answered.
    type: float
    default: 10.0
seealso:
  - module: k8snet.cni.node_facts
    description: These facts and the others of a node in one visit.
"""

EXAMPLES = r"""
- name: Read Open vSwitch wherever it is
  k8snet.cni.ovs_facts:
  become: true

- name: Say so when a node's flows are held back
  ansible.builtin.debug:
    msg: "flow-restore-wait is still set on {{ inventory_hostname }}"
  when:
    - k8snet_ovs.present
    - k8snet_ovs.flow_restore_wait

- name: Read an Open vSwitch that runs elsewhere
  k8snet.cni.ovs_facts:
    socket: /run/ovs/db.sock
  become: true
"""

RETURN = r"""
ansible_facts:
  description: Facts that are added to the host's.
  returned: success
  type: dict
  contains:
    k8snet_ovs:
      description: The node's Open vSwitch. Every key is always there; what does not apply is null or empty.
      type: dict
      returned: success
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
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.node import _ovs, _ovsdb


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path"},
            "timeout": {"type": "float", "default": 10.0},
        },
        supports_check_mode=True,
    )
    socket, timeout = module.params["socket"], module.params["timeout"]
    if not 0 < timeout <= 3600:
        module.fail_json(
            msg=f"timeout must be above 0 and at most 3600 seconds: {timeout:g}. Leave it out for 10 seconds."
        )
    if not socket:
        facts = _ovs.gather(timeout=timeout)
    else:
        try:
            facts = _ovs.read(socket, timeout)
        except _ovsdb.OvsdbError as exc:
            module.fail_json(msg=str(exc))
    module.exit_json(changed=False, ansible_facts={"k8snet_ovs": facts})


if __name__ == "__main__":
    main()
