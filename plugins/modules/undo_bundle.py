#!/usr/bin/python
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: undo_bundle
short_description: Keep how the cluster was before a run, and read it back
version_added: 0.1.0
author:
  - k8snet.cni contributors (@k8snet)
description:
  - Keeps a dictionary under the name of a run, on the controller (C(DIR/RUN/cluster.json), 0600 in 0700, written at once or
    not at all, through no symbolic link) or in the cluster (an immutable Secret C(k8snet-undo-RUN)).
  - What is kept is never overwritten. A run that is resumed gets back what was kept at first.
extends_documentation_fragment:
  - k8snet.cni.attributes
  - k8snet.cni.cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the keys and the digest of what is kept, not the objects.
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) keeps O(content), unless something is kept already.
      - V(read) returns what is kept, and fails if there is nothing.
      - V(listed) returns the runs that have something kept. What cannot be read is passed over with a warning that names it.
    type: str
    choices: [present, read, listed]
    default: present
  run_id:
    description: Name of the run. Required unless O(state=listed).
    type: str
  dir:
    description: Folder on the controller. Exactly one of O(dir) and O(namespace) is needed.
    type: path
  namespace:
    description: Namespace of the Secret. Only then the API server is asked.
    type: str
  content:
    description: What to keep. Required for O(state=present).
    type: dict
  resumed:
    description:
      - Whether the run has begun before and is gone on with, as the lock tells that it still has. V(false) fails where something is kept
        already, since that is of a run of the same name which has ended, and would be put back.
    type: bool
    default: true
  same:
    description: Keys of O(content), such as role and options, in which it has to be like what is kept already. Else the name is another run's.
    type: list
    elements: str
    default: []
  wait_timeout:
    description: Seconds that all attempts together may take; O(timeout) is for one request.
    type: int
    default: 60
seealso:
  - module: k8snet.cni.calico_info
  - module: k8snet.cni.calico_autodetection
"""

EXAMPLES = r"""
- name: Keep how everything is
  k8snet.cni.undo_bundle:
    run_id: "{{ k8snet_run_id }}"
    dir: "{{ k8snet_undo_dir }}"
    content:
      role: mine
      options: "{{ options }}"
      calico: "{{ before.calico }}"
    resumed: "{{ (lock.holder or {}).run_id | default('') == k8snet_run_id }}"
    same: [role, options]
  register: bundle

- name: Read it in a later run
  k8snet.cni.undo_bundle:
    run_id: "{{ k8snet_run_id }}"
    dir: "{{ k8snet_undo_dir }}"
    state: read
  register: bundle
"""

RETURN = r"""
where:
  description: Path of the file or name of the Secret, null with O(state=listed).
  type: str
  returned: success
content:
  description: What is kept; in check mode what would be. Null with O(state=listed).
  type: dict
  returned: success
digest:
  description: SHA-256 over it, null with O(state=listed).
  type: str
  returned: success
kept_former:
  description: Whether something else than O(content) was kept already, and stays.
  type: bool
  returned: success
run_ids:
  description: The runs that have something kept, readable or not. Null unless O(state=listed).
  type: list
  elements: str
  returned: success
bundles:
  description: What is kept and can be read, null unless O(state=listed).
  type: list
  elements: dict
  returned: success
  contains:
    run_id: {description: Name of the run., type: str, returned: success}
    where: {description: Path of the file or name of the Secret., type: str, returned: success}
    about:
      description: Of what is kept the texts, numbers and truth values, such as role, cluster and at.
      type: dict
      returned: success
unreadable:
  description: Why the others cannot be read, null unless O(state=listed).
  type: list
  elements: str
  returned: success
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan, Step
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _apply, _bundle, _client
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._errors import failing
from ansible_collections.k8snet.cni.plugins.module_utils.domain._run_lock import check_run_id


def store_of(params: dict[str, Any]) -> _bundle.Store:
    """Return where bundles are kept. Raises ClusterError."""
    if params["dir"]:
        return _bundle.Files(params["dir"])
    api = _client.reachable(params)
    return _bundle.Secrets(api, params["namespace"], _apply.Patience(params["wait_timeout"]))


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Keep, read or list. Raises BundleError, ClusterError."""
    store = store_of(params)
    if params["state"] == "listed":
        return _listed(store)
    run_id: str = params["run_id"]
    problem = check_run_id(run_id)
    if problem:
        raise _bundle.BundleError(problem)
    where = store.where(run_id)
    former = store.load(run_id)
    if params["state"] == "read":
        if former is None:
            raise _bundle.BundleError(
                f"Failed to read the undo bundle {where}: there is none. state=listed tells which "
                "runs have one; a run that wrote nothing has none."
            )
        return _result(where=where, content=former, digest=_bundle.digest(former))
    content: dict[str, Any] = params["content"]
    if former is None and not check_mode and not store.create(run_id, content):
        former = store.load(run_id)
    if former is not None:
        _refuse_other(former, params, where)
    kept = content if former is None else former
    digest = _bundle.digest(kept)
    plan = Plan()
    if former is None:
        shown = {"digest": digest, "keys": sorted(content)}
        plan = Plan((Step(f"Keep how things were before run {run_id}", where, None, shown),))
    return _result(
        changed=plan.changed,
        diff=plan.diff(),
        where=where,
        content=kept,
        digest=digest,
        kept_former=former is not None and former != content,
    )


def _refuse_other(former: dict[str, Any], params: dict[str, Any], where: str) -> None:
    """Raise BundleError if what is kept is not of the run that asks."""
    run_id, content = params["run_id"], params["content"]
    whose = f"of role {former.get('role') or '?'}, {former.get('at') or 'who knows when'}"
    if not params["resumed"]:
        raise _bundle.BundleError(
            f"{where} was kept by a run that was named {run_id}, too, and has ended ({whose}). It "
            "would be put back if this one failed. Give this run another name."
        )
    others = [key for key in params["same"] if former.get(key) != content.get(key)]
    if others:
        raise _bundle.BundleError(
            f"{where} was kept by a run that was named {run_id}, too ({whose}), but differs in "
            f"{' and '.join(others)}. To go on with that run, ask for what it was asked for; else "
            "give this run another name."
        )


def _listed(store: _bundle.Store) -> dict[str, Any]:
    names, bundles, unreadable = store.names(), [], []
    for name in names:
        try:
            content = store.load(name)
        except _bundle.BundleError as error:
            unreadable.append(str(error))
            continue
        if content is not None:
            about = {k: v for k, v in content.items() if isinstance(v, (str, int, float))}
            bundles.append({"run_id": name, "where": store.where(name), "about": about})
    return _result(run_ids=names, bundles=bundles, unreadable=unreadable)


def _result(**given: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(
        ("where", "content", "digest", "run_ids", "bundles", "unreadable"), None
    )
    return {"changed": False, "kept_former": False, **nothing, **given}


def main() -> None:
    """Run and exit."""
    module = AnsibleModule(
        argument_spec={
            **_client.AUTH_ARGUMENT_SPEC,
            "state": {
                "type": "str",
                "choices": ["present", "read", "listed"],
                "default": "present",
            },
            "run_id": {"type": "str"},
            "dir": {"type": "path"},
            "namespace": {"type": "str"},
            "content": {"type": "dict"},
            "resumed": {"type": "bool", "default": True},
            "same": {"type": "list", "elements": "str", "default": []},
            "wait_timeout": {"type": "int", "default": 60},
        },
        required_if=[("state", "present", ("run_id", "content")), ("state", "read", ("run_id",))],
        required_one_of=[("dir", "namespace")],
        mutually_exclusive=[("dir", "namespace")],
        supports_check_mode=True,
    )
    with failing(module, _bundle.BundleError):
        result = run(module.params, module.check_mode)
        for text in result["unreadable"] or ():
            module.warn(text)
        module.exit_json(**result)


if __name__ == "__main__":
    main()
