# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A write that is planned again whenever the API server says no or says nothing.

- 409: somebody wrote in between. Read, plan again.
- 429, 5xx: wait as long as the server asks, then read and plan again.
- No answer: the write may have happened or not. Reading tells; what has happened is not in the new
  plan, and a patch that carries the old resourceVersion cannot be applied a second time.
- Everything else is for the caller.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Callable

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_change import Change, Have
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj

JSON_PATCH = "application/json-patch+json"
CONFLICTS = 5
_BACK_OFF = (0.2, 0.5, 1.0, 2.0, 4.0)


class Patience:
    """A deadline for all attempts together, with the waits between them."""

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._until = clock() + seconds
        self._failures = 0
        self.seconds = seconds
        self.conflicts = 0
        self.retries = 0

    def left(self) -> float:
        """Return the seconds that are left."""
        return self._until - self._clock()

    def wait(self, seconds: float) -> None:
        """Wait, but not beyond the deadline."""
        self._sleep(max(0.0, min(seconds, self.left())))

    def again(self, error: ClusterError) -> None:
        """Return when it is time to try again; raise ``error`` if that makes no sense any more."""
        self.retries += 1
        if error.kind == "conflict":
            self.conflicts += 1
            if self.conflicts > CONFLICTS:
                raise ClusterError(
                    "conflict",
                    f"{error.message} Somebody else keeps writing this object: {CONFLICTS} "
                    "attempts met a newer version. Find out who, then repeat.",
                    error.status,
                )
            return
        if not passing(error):
            raise error
        asked = error.retry_after
        wait = asked if asked is not None else _BACK_OFF[min(self._failures, len(_BACK_OFF) - 1)]
        self._failures += 1
        if wait >= self.left():
            raise ClusterError(
                error.kind,
                f"{error.message} Gave up after {self.seconds:g} s and {self.retries} attempts; "
                "'wait_timeout' is how long it may take in all.",
                error.status,
            )
        self._sleep(wait)


def passing(error: ClusterError) -> bool:
    """Tell whether the same request may succeed later."""
    return error.kind == "unreachable" or error.status in (429, 500, 502, 503, 504)


def uncertain(error: ClusterError) -> bool:
    """Tell whether a write that failed like this may have happened all the same."""
    return error.kind == "unreachable" or error.status in (500, 502, 503, 504)


@dataclass
class Outcome:
    """What was done. ``change`` is what was planned when the first write was sent."""

    change: Change
    have: Have
    wrote: bool = False
    retries: int = 0

    @property
    def patches(self) -> list[Obj]:
        """The JSON patches with the objects they are of."""
        return [{**w.target, "patch": list(w.operations)} for w in self.change.writes]


class NotEffective(Exception):
    """Everything was written, and still the cluster is not as planned; the text says what."""


def read(load: Callable[[], Have], patience: Patience) -> Have:
    """Return ``load()``, tried again while the server stumbles. Raises `ClusterError`."""
    while True:
        try:
            return load()
        except ClusterError as error:
            patience.again(error)


def apply(
    api: Api,
    load: Callable[[], Have],
    plan: Callable[[Have], Change],
    patience: Patience,
    check_mode: bool = False,
    admit: Callable[[Change], None] = lambda change: None,
) -> Outcome:
    """Write what ``plan`` says until nothing is left of it, and read it back.

    ``admit`` may raise to refuse a change before its first write. Raises `ClusterError`, or
    `NotEffective` when a change that was accepted is gone again.
    """
    have = read(load, patience)
    outcome = Outcome(plan(have), have)
    admit(outcome.change)
    change = outcome.change
    while change.plan.changed and not check_mode:
        if not outcome.wrote:
            outcome.change = change
        finished = _attempt(api, change, outcome, patience, load)
        outcome.have = read(load, patience)
        change = plan(outcome.have)
        if finished and change.plan.changed:
            raise NotEffective(_ineffective(change.plan))
    outcome.retries = patience.retries
    return outcome


def _attempt(
    api: Api, change: Change, outcome: Outcome, patience: Patience, load: Callable[[], Have]
) -> bool:
    """Send the writes of one plan; return whether all were answered with success."""
    try:
        for write in change.writes:
            api.request("PATCH", write.path, write.query, list(write.operations), JSON_PATCH)
            outcome.wrote = True
        if change.delete_pod:
            _observed(load, patience)
            delete_pod(api, change.delete_pod)
            outcome.wrote = True
    except ClusterError as error:
        outcome.wrote = outcome.wrote or uncertain(error)
        patience.again(error)
        return False
    return True


def delete_pod(api: Api, pod: Obj) -> None:
    """Delete this pod, and no other of its name. Raises `ClusterError`."""
    path = f"/api/v1/namespaces/{pod['namespace']}/pods/{pod['name']}"
    body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": pod["uid"]}}
    try:
        api.request("DELETE", path, body=body)
    except ClusterError as error:
        if error.kind != "not_found":
            raise


def _observed(load: Callable[[], Have], patience: Patience) -> None:
    """Wait until the DaemonSet controller knows the new template: else the old one comes again."""
    while True:
        daemonset = read(load, patience).daemonset or {}
        seen = (daemonset.get("status") or {}).get("observedGeneration")
        if seen == daemonset["metadata"].get("generation"):
            return
        if patience.left() <= 0:
            raise ClusterError(
                "http",
                "Failed to roll out: the DaemonSet controller has not observed the change after "
                f"{patience.seconds:g} s. Is kube-controller-manager running?",
            )
        patience.wait(0.2)


def _ineffective(plan: Plan) -> str:
    left = "; ".join(f"{step.target}: {step.action}" for step in plan.steps)
    return (
        f"Applied but not effective: after the write was accepted, this is still to do: {left}. "
        "Something puts the former value back: look for a controller (GitOps, an add-on manager, "
        "a second run) in metadata.managedFields of the object."
    )
