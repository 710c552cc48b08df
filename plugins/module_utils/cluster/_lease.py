# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock of a run, as a Lease in the cluster."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Callable

from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _apply
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _run_lock
from ansible_collections.k8snet.cni.plugins.module_utils.domain._run_lock import Decision, Obj

LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{_run_lock.NAMESPACE}/leases"
_ONE = f"{LEASES}/{_run_lock.NAME}"
_HOME = f"/api/v1/namespaces/{_run_lock.NAMESPACE}"


def utc_now() -> datetime:
    """Return the controller's time."""
    return datetime.now(timezone.utc)


def read(api: Api) -> Obj | None:
    """Return the lease, None if there is none. Raises `ClusterError`."""
    try:
        return api.get(_ONE)
    except ClusterError as error:
        if error.kind != "not_found":
            raise
        return None


def cluster_uid(api: Api, needed: bool) -> str | None:
    """Return the UID of kube-system, by which a cluster is known again.

    None where it may not be read, unless it is ``needed``. Raises `ClusterError`.
    """
    try:
        return str(api.get(_HOME)["metadata"]["uid"])
    except ClusterError as error:
        if needed or error.kind not in ("forbidden", "not_found"):
            raise
        return None


def run(
    api: Api,
    decide: Callable[[Obj | None], Decision],
    check_mode: bool,
    patience: _apply.Patience,
    clock: Callable[[], datetime] = utc_now,
) -> dict[str, Any]:
    """Do what ``decide`` says of the lease, again when somebody else was faster.

    Returns run_lock's result. Raises `ClusterError`, and `LockError` from ``decide``.
    """
    wrote = False
    first: Decision | None = None
    while True:
        try:
            lease = read(api)
            decision = decide(lease)
            first = first if wrote and first else decision
            if not check_mode and decision.action is not None:
                _write(api, decision)
                wrote = True
                lease = decision.lease if decision.action != "delete" else None
            break
        except ClusterError as error:
            wrote = wrote or _apply.uncertain(error)
            patience.again(error)
    shown = first if wrote or check_mode else None
    holder = _run_lock.holder_of(lease, clock())
    return {
        "changed": bool(first.plan.changed) if check_mode else wrote,
        "diff": shown.plan.diff() if shown else [],
        "plan": shown.plan.describe() if shown else [],
        "holder": holder.as_dict() if holder else None,
        "former": first.former or (holder.former if holder else None),
    }


def _write(api: Api, decision: Decision) -> None:
    lease = decision.lease or {}
    if decision.action == "create":
        api.request("POST", LEASES, body=lease)
    elif decision.action == "replace":
        _gone(lambda: api.request("PUT", _ONE, body=lease))
    else:
        meta = lease["metadata"]
        guard = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": guard}
        _gone(lambda: api.request("DELETE", _ONE, body=body))


def _gone(request: Callable[[], Any]) -> None:
    """Send a request about an object that was just read; if it is gone, somebody was faster."""
    try:
        request()
    except ClusterError as error:
        if error.kind != "not_found":
            raise
        raise ClusterError("conflict", error.message, error.status) from None
