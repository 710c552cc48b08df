# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lock on a cluster-wide change, kept in a Lease: who holds it, since when, is it over. Pure.

Source: Kubernetes API reference, Lease (coordination.k8s.io/v1). Times are MicroTime, in UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan, Step

Obj = dict[str, Any]

NAME = "k8snet-change"
NAMESPACE = "kube-system"
FORMER = "k8snet.cni/former-run"
_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
_RUN_ID = re.compile(r"[a-z0-9]([-a-z0-9.]{0,98}[a-z0-9])?")


class LockError(Exception):
    """The lock is held by somebody else, or the request makes no sense; the text says so."""


@dataclass(frozen=True)
class Holder:
    """Who holds the lock. ``age`` and ``left`` are seconds; ``left`` is negative once it is over.

    ``former``: the run whose expired lock this one took over, None if it was free.
    """

    run_id: str
    acquired: str | None
    renewed: str | None
    age: float
    left: float
    former: str | None

    @property
    def expired(self) -> bool:
        return self.left <= 0

    def as_dict(self) -> dict[str, Any]:
        """Return what run_lock returns as ``holder``."""
        return {
            "run_id": self.run_id,
            "acquired": self.acquired,
            "renewed": self.renewed,
            "age": round(self.age),
            "expires_in": round(self.left),
            "expired": self.expired,
        }


@dataclass(frozen=True)
class Decision:
    """``action``: create, replace, delete or None; ``lease`` is what is written."""

    plan: Plan
    action: str | None = None
    lease: Obj | None = None
    former: str | None = None


def check_run_id(run_id: str) -> str | None:
    """Return why a run's id can be no name of a file and of a Secret, None if it can."""
    if _RUN_ID.fullmatch(run_id) and ".." not in run_id:
        return None
    return (
        f"Failed to use run_id {run_id!r}: it names files and Secrets. Use at most 100 lower-case "
        "letters, digits, '-' and '.', with a letter or digit at both ends."
    )


def holder_of(lease: Obj | None, now: datetime) -> Holder | None:
    """Return who holds a lease, None if nobody does."""
    spec = (lease or {}).get("spec") or {}
    run_id = spec.get("holderIdentity")
    if not lease or not run_id:
        return None
    acquired, renewed = _time(spec.get("acquireTime")), _time(spec.get("renewTime"))
    last = renewed or acquired or now
    until = last + timedelta(seconds=int(spec.get("leaseDurationSeconds") or 0))
    annotations = lease["metadata"].get("annotations") or {}
    return Holder(
        run_id=run_id,
        acquired=spec.get("acquireTime"),
        renewed=spec.get("renewTime"),
        age=(now - (acquired or last)).total_seconds(),
        left=(until - now).total_seconds(),
        former=annotations.get(FORMER),
    )


def hold(lease: Obj | None, run_id: str, ttl: int, now: datetime, take_over: bool) -> Decision:
    """Return how ``run_id`` gets or keeps the lock. Raises `LockError` if another run has it.

    It is renewed when half of its time is over, so that asking twice writes once.
    """
    holder = holder_of(lease, now)
    if lease is None:
        wanted = _lease(None, run_id, ttl, now, now, None)
        return Decision(_plan(f"Take the lock for run {run_id}", None, wanted), "create", wanted)
    if holder is not None and holder.run_id == run_id:
        if holder.left > ttl / 2 and (lease["spec"].get("leaseDurationSeconds") == ttl):
            return Decision(Plan(), former=holder.former)
        acquired = _time(holder.acquired) or now
        wanted = _lease(lease, run_id, ttl, acquired, now, holder.former)
        action = f"Renew the lock of run {run_id}"
        return Decision(_plan(action, lease, wanted), "replace", wanted, holder.former)
    if holder is not None and not holder.expired:
        raise LockError(_busy(holder))
    if holder is not None and not take_over:
        raise LockError(_orphaned(holder))
    former = holder.run_id if holder else None
    wanted = _lease(lease, run_id, ttl, now, now, former)
    text = f" over from run {former}, which expired" if former else ""
    action = f"Take the lock{text} for run {run_id}"
    return Decision(_plan(action, lease, wanted), "replace", wanted, former)


def release(lease: Obj | None, run_id: str, now: datetime) -> Decision:
    """Return how ``run_id`` gives the lock back; another run's is left alone."""
    holder = holder_of(lease, now)
    if lease is None or holder is None or holder.run_id != run_id:
        return Decision(Plan())
    return Decision(_plan(f"Give back the lock of run {run_id}", lease, None), "delete", lease)


def other_cluster(kept: str | None, found: str | None, server: str) -> str | None:
    """Return why a cluster is not the one that an earlier run was about, None if it may be.

    ``kept``, ``found``: UID of kube-system at that run and now; a bundle of an older version of the
    collection has kept none.
    """
    if not kept or kept == found:
        return None
    return (
        f"Refused: {server} is another cluster than that of the run: its namespace {NAMESPACE} has "
        f"UID {found}, and the run's had {kept}. Nothing was changed, and no lock taken. Name the "
        "run's cluster with k8snet_kubeconfig and k8snet_context."
    )


def _busy(holder: Holder) -> str:
    return (
        f"Refused: run {holder.run_id} holds the lock {NAMESPACE}/{NAME} since {holder.acquired} "
        f"({_span(holder.age)} ago, last renewed {holder.renewed}). Wait for it to end; if it was "
        f"killed, its lock expires in {_span(holder.left)}. To go on with that run, use its run id "
        f"(k8snet_run_id={holder.run_id}); to undo it, run playbooks/rollback.yml with that."
    )


def _orphaned(holder: Holder) -> str:
    return (
        f"Refused: run {holder.run_id} took the lock {NAMESPACE}/{NAME} {_span(holder.age)} ago "
        f"and never gave it back; it expired {_span(-holder.left)} ago. That run was interrupted, "
        f"and its change may be half done. Go on with it (k8snet_run_id={holder.run_id}), or undo "
        "it with playbooks/rollback.yml and the same run id; only if both make no sense any more, "
        "take the lock over with take_over=true."
    )


def _span(seconds: float) -> str:
    seconds = max(0, round(seconds))
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"


def _plan(action: str, before: Obj | None, after: Obj | None) -> Plan:
    target = f"Lease {NAMESPACE}/{NAME}"
    return Plan((Step(action, target, _shown(before), _shown(after)),))


def _shown(lease: Obj | None) -> Obj | None:
    """Return the lock without its times, which differ between check and apply."""
    if lease is None:
        return None
    spec = lease.get("spec") or {}
    return {k: spec.get(k) for k in ("holderIdentity", "leaseDurationSeconds")}


def _lease(
    have: Obj | None,
    run_id: str,
    ttl: int,
    acquired: datetime,
    now: datetime,
    former: str | None,
) -> Obj:
    meta: Obj = {"name": NAME, "namespace": NAMESPACE}
    spec = (have or {}).get("spec") or {}
    changes = int(spec.get("leaseTransitions") or 0)
    if have:
        meta["resourceVersion"] = have["metadata"]["resourceVersion"]
        meta["uid"] = have["metadata"]["uid"]
        changes += spec.get("holderIdentity") != run_id
    if former:
        meta["annotations"] = {FORMER: former}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": meta,
        "spec": {
            "holderIdentity": run_id,
            "leaseDurationSeconds": ttl,
            "acquireTime": acquired.astimezone(timezone.utc).strftime(_FORMAT),
            "renewTime": now.astimezone(timezone.utc).strftime(_FORMAT),
            "leaseTransitions": changes,
        },
    }


def _time(text: str | None) -> datetime | None:
    """Read a MicroTime; the API server may leave out the fraction."""
    for form in (_FORMAT, "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return datetime.strptime(text or "", form).replace(tzinfo=timezone.utc)
        except ValueError:
            continue
    return None
