#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nic_baseline
short_description: Record a node's network interfaces, and tell what changed since
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Keeps a baseline of the node's own interfaces in C(/var/lib/k8snet/baseline/nics.json) on the node. A NIC is recognised by its
    permanent MAC and bus position before its name, so that renamed and swapped NICs are called that.
  - Left out, because they change every day - pod and CNI interfaces, kube-ipvs0, temporary and deprecated IPv6 addresses, addresses
    that are not global unicast.
  - The file is written atomically, mode 0600 in directories of mode 0700; no symbolic link is followed.
extends_documentation_fragment:
  - k8snet.cni.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - iproute2 4.20 or later, or the Python package pyroute2, on the node
options:
  state:
    description:
      - V(compared) only compares; without a baseline RV(drift) is null.
      - V(recorded) writes the baseline unless it already says the same.
      - V(absent) removes the baseline, also an unusable one.
    type: str
    choices: [compared, recorded, absent]
    default: compared
seealso:
  - module: k8snet.cni.nic_facts
"""

EXAMPLES = r"""
- name: Record how the NICs are now
  k8snet.cni.nic_baseline:
    state: recorded
  become: true

- name: Compare with it later
  k8snet.cni.nic_baseline:
  become: true
  register: baseline

- name: Stop when a NIC was added
  ansible.builtin.assert:
    that: baseline.drift.changes | selectattr('change', 'eq', 'added') | length == 0
    fail_msg: "{{ baseline.drift.changes | map(attribute='name') | join(', ') }}"

- name: Forget it
  k8snet.cni.nic_baseline:
    state: absent
  become: true
"""

RETURN = r"""
path:
  description: The baseline file on the node.
  type: str
  returned: success
  sample: /var/lib/k8snet/baseline/nics.json
fingerprint:
  description: Hash over the present interfaces, as RV(k8snet.cni.nic_facts#module:ansible_facts.k8snet_nic_fingerprint).
  type: str
  returned: O(state=compared) or O(state=recorded)
drift:
  description: What changed since the baseline was recorded (before it is written again); null if there is none.
  type: dict
  returned: O(state=compared) or O(state=recorded)
  contains:
    recorded_at: {description: When it was recorded (UTC)., type: str, returned: success, sample: "2026-01-31T02:10:00Z"}
    error: {description: Always null; an unusable baseline fails the module., type: str, returned: success}
    changes:
      description: The changes, as in RV(k8snet.cni.nic_facts#module:ansible_facts.k8snet_nic_drift.changes).
      type: list
      elements: dict
      returned: success
      contains:
        change: {description: "V(added), V(removed), V(renamed) or V(readdressed).", type: str, returned: success}
        name: {description: "Present name, of a removed interface its last one.", type: str, returned: success}
        was: {description: "Former name if it was renamed, else null.", type: str, returned: success}
        matched_by: {description: "V(permanent_mac), V(bus), V(name) or null.", type: str, returned: success}
        before: {description: The interface as recorded or null., type: dict, returned: success}
        after: {description: The interface now or null., type: dict, returned: success}
plan:
  description: What is (or in check mode would be) done.
  type: list
  elements: dict
  returned: success
  contains:
    action: {description: One line of plain words., type: str, returned: success}
    target: {description: The object., type: str, returned: success}
    cuts_connectivity: {description: Whether the connection may break; never here., type: bool, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils.node import _baseline_run
from ansible_collections.k8snet.cni.plugins.module_utils.node._baseline_file import BaselineError
from ansible_collections.k8snet.cni.plugins.module_utils.node._links import ReadError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["compared", "recorded", "absent"], "default": "compared"},
        },
        supports_check_mode=True,
    )
    try:
        result = _baseline_run.run(module.params["state"], check_mode=module.check_mode)
    except (BaselineError, ReadError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
