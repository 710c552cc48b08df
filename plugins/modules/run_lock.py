#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: run_lock
short_description: Let only one run at a time change the cluster's networking
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Keeps the Lease C(k8snet-change) in namespace C(kube-system). A second run is refused, with the holder's
    name and the lock's age; the same O(run_id) goes on.
  - A lock that has expired was left by a run that was interrupted. It is refused too, naming that run, unless
    O(take_over=true).
  - Expiry is judged by this controller's clock.
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows holder and duration, not the times.
  idempotent:
    support: full
    details:
      - Asked again by the same run, the lock is written only when half of its time is over.
options:
  state:
    description:
      - V(held) takes or keeps the lock.
      - V(released) gives it back, if O(run_id) has it; another run's is left alone.
      - V(read) only looks.
    type: str
    choices: [held, released, read]
    default: held
  run_id:
    description: Name of the run. Required unless O(state=read).
    type: str
  ttl:
    description: Seconds after which the lock of a run that no longer renews it expires.
    type: int
    default: 3600
  take_over:
    description: Whether to take an expired lock of another run. That run's change may be half done.
    type: bool
    default: false
  cluster:
    description:
      - RV(cluster) of an earlier run. A cluster that is not the same is refused, so that nothing is put back in the wrong one.
    type: str
  wait_timeout:
    description: Seconds that all attempts together may take; O(timeout) is for one request.
    type: int
    default: 60
seealso:
  - module: k8snet.cni.calico_autodetection
  - module: k8snet.cni.undo_bundle
"""

EXAMPLES = r"""
- name: Take the lock
  k8snet.cni.run_lock:
    run_id: "{{ k8snet_run_id }}"

- name: Give it back
  k8snet.cni.run_lock:
    run_id: "{{ k8snet_run_id }}"
    state: released
"""

RETURN = r"""
holder:
  description: Who holds the lock afterwards (in check mode, before), null if nobody.
  type: dict
  returned: success
  contains:
    run_id: {description: Name of the run., type: str, returned: success}
    acquired: {description: "When it took the lock, RFC 3339 in UTC.", type: str, returned: success}
    renewed: {description: When it last renewed it., type: str, returned: success}
    age: {description: Seconds since it took it., type: int, returned: success}
    expires_in: {description: Seconds until it expires; negative once it has., type: int, returned: success}
    expired: {description: Whether it has expired., type: bool, returned: success}
former:
  description: The run whose expired lock this run took over, null if it was free.
  type: str
  returned: success
cluster:
  description:
    - UID of the namespace C(kube-system), by which a cluster is known again. Null unless O(state=read) or O(cluster) is set, and
      where the account may not read it.
  type: str
  returned: success
plan:
  description: "What is done, or in check mode would be: action, target, cuts_connectivity."
  type: list
  elements: dict
  returned: success
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _apply, _client, _lease
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._errors import failing
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _run_lock


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Take, keep, give back or read the lock. Raises ClusterError, LockError."""
    run_id, state = params["run_id"], params["state"]
    problem = _run_lock.check_run_id(run_id) if state != "read" else None
    if problem:
        raise _run_lock.LockError(problem)

    def decide(lease: Any) -> _run_lock.Decision:
        now = _lease.utc_now()
        if state == "held":
            return _run_lock.hold(lease, run_id, params["ttl"], now, params["take_over"])
        if state == "released":
            return _run_lock.release(lease, run_id, now)
        return _run_lock.Decision(Plan())

    api = _client.reachable(params)
    cluster = _cluster_of(api, state, params["cluster"])
    patience = _apply.Patience(params["wait_timeout"])
    return {**_lease.run(api, decide, check_mode, patience), "cluster": cluster}


def _cluster_of(api: _client.Api, state: str, kept: str | None) -> str | None:
    """Return the cluster's UID where it is asked for. Raises LockError if it is another one."""
    if not kept and state != "read":
        return None
    found = _lease.cluster_uid(api, needed=bool(kept))
    problem = _run_lock.other_cluster(kept, found, api.server)
    if problem:
        raise _run_lock.LockError(problem)
    return found


def main() -> None:
    """Run and exit."""
    module = AnsibleModule(
        argument_spec={
            **_client.AUTH_ARGUMENT_SPEC,
            "state": {"type": "str", "choices": ["held", "released", "read"], "default": "held"},
            "run_id": {"type": "str"},
            "ttl": {"type": "int", "default": 3600},
            "take_over": {"type": "bool", "default": False},
            "cluster": {"type": "str"},
            "wait_timeout": {"type": "int", "default": 60},
        },
        required_if=[("state", "held", ("run_id",)), ("state", "released", ("run_id",))],
        supports_check_mode=True,
    )
    with failing(module, _run_lock.LockError):
        module.exit_json(**run(module.params, module.check_mode))


if __name__ == "__main__":
    main()
