# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries out what kube_proxy is asked for, and waits for what the cluster makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _apply, _kube_proxy_read
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._apply import (
    NotEffective,
    Patience,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_objects as objects,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_proxy_view as view
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy_change import (
    plan_change,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy_draft import (
    Act,
    Change,
    Want,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy_view import Have


class NotDone(Exception):
    """All was written, and the cluster did not follow in time; ``result`` is the module's."""

    def __init__(self, message: str, result: dict[str, Any]) -> None:
        super().__init__(message)
        self.result = result


@dataclass
class _Run:
    """A change under way. ``first``: what there was and was planned before the first write."""

    api: Api
    want: Want
    patience: Patience
    poll: float
    have: Have = field(default_factory=Have)
    first: tuple[Have, Change] = field(default_factory=lambda: (Have(), Change(Plan())))
    wrote: bool = False
    pods: list[Obj] = field(default_factory=list)

    def load(self) -> Change:
        """Read, and plan what is left to do. Raises `ClusterError`, `Refused`."""
        found: Any = _apply.read(self._read, self.patience)
        self.have = found
        self.pods = list(self.have.pods)
        return plan_change(self.have, self.want)

    def _read(self) -> Any:
        return _kube_proxy_read.have(self.api)

    def result(self, check_mode: bool) -> dict[str, Any]:
        have, planned = self.first
        tell = check_mode or self.wrote
        there = {pod["uid"] for pod in self.pods}
        # What is planned goes in check mode too.
        gone = [
            {key: pod[key] for key in ("node", "name", "uid")}
            for pod in have.pods
            if pod["node"] in planned.gone and (check_mode or pod["uid"] not in there)
        ]
        return {
            "changed": planned.plan.changed if check_mode else self.wrote,
            "diff": planned.plan.diff() if tell else [],
            "plan": planned.plan.describe() if tell else [],
            "advice": list(planned.advice),
            "pods_gone": gone,
            "unseen": sorted(unseen_of(have, self.want)),
            "undo": view.core(have),
            "retries": self.patience.retries,
            "requests": self.api.requests,
        }


def change(
    api: Api,
    want: Want,
    check_mode: bool,
    patience: Patience | None = None,
    poll: float = 1,
) -> dict[str, Any]:
    """Change what is not so yet, await it; return the module's result.

    Raises `ClusterError`, `Refused`, `NotEffective`, `NotDone`.
    """
    if want.state == "absent" and want.nodes and not check_mode:
        raise Refused(
            "Refused to take nodes for stopped with state: absent: that foretells in check mode "
            "only. Stop kube-proxy there by state: stopped first, and leave 'nodes' out here."
        )
    run = _Run(api, want, patience or Patience(300), poll)
    planned = run.load()
    run.first = (run.have, planned)
    while planned.plan.changed and not check_mode:
        if not run.wrote:
            run.first = (run.have, planned)
        finished = _attempt(run, planned)
        planned = run.load()
        if finished and planned.plan.changed:
            raise NotEffective(_ineffective(planned))
    if not check_mode:
        _settle(run, planned)
    return run.result(check_mode)


def _attempt(run: _Run, planned: Change) -> bool:
    """Send the requests of one plan; return whether all were answered with success."""
    try:
        for act in planned.acts:
            if act.rolled:
                _await(run, _rolled(run))
            _send(run, act)
            run.wrote = True
    except ClusterError as error:
        run.wrote = run.wrote or _apply.uncertain(error)
        run.patience.again(error)
        return False
    return True


def _send(run: _Run, act: Act) -> None:
    try:
        run.api.request(act.method, act.path, None, act.body, act.content_type)
    except ClusterError as error:
        if act.method != "DELETE" or error.kind != "not_found":
            raise


@dataclass(frozen=True)
class _Goal:
    """What is awaited: the roll-out, pods that are ready on nodes, pods that are gone from them.

    ``unseen``: nodes of the roll-out that may stay behind, as long as their pods are not ready.
    """

    rolled: bool = False
    ready: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    def missing(self, pods: list[Obj], daemonset: Obj | None) -> list[str]:
        """Return what is still missing, in words."""
        found = []
        well = {pod["node"] for pod in pods if pod["ready"]}
        lost = len([node for node in self.unseen if node not in well])
        behind = objects.behind(daemonset, lost) if self.rolled and daemonset else None
        if behind:
            found.append(f"the roll-out of the DaemonSet is not complete: {behind}")
        lacking = [node for node in self.ready if node not in well]
        if lacking:
            found.append(f"no pod of it is ready on {', '.join(lacking)}")
        there = [pod for pod in pods if pod["node"] in self.gone]
        if there:
            names = ", ".join(f"{pod['name']} on {pod['node']}" for pod in there)
            found.append(f"these pods are still there: {names}")
        return found


def _settle(run: _Run, planned: Change) -> None:
    """Wait for what the last plan is about; also where nothing was written, after a broken run."""
    if run.want.state == "absent":
        return
    goal = _rolled(run) if run.have.daemonset is not None else _Goal()
    ready = planned.ready if run.want.state == "present" else ()
    seen = [node for node in ready if node not in run.want.unseen]
    ready = tuple(dict.fromkeys([*goal.ready, *seen]))
    _await(run, _Goal(goal.rolled, ready, planned.gone, goal.unseen))


def unseen_of(have: Have, want: Want) -> set[str]:
    """Return the Nodes that kube-proxy is to run on, and that nobody is to wait for."""
    served = {
        node["name"]
        for node in have.nodes
        if have.daemonset is None or objects.serves(have.daemonset, node)
    }
    return served & set(want.unseen)


def _rolled(run: _Run) -> _Goal:
    """Return the goal that the template is rolled out; with nodes left out, on each of the others.

    Then the controller may replace no further pods, and one that it has begun with has to be back.
    """
    left = unseen_of(run.have, run.want)
    if not left or run.have.daemonset is None:
        return _Goal(rolled=True)
    others = [
        node["name"]
        for node in run.have.nodes
        if objects.serves(run.have.daemonset, node) and node["name"] not in left
    ]
    return _Goal(rolled=True, ready=tuple(others), unseen=tuple(sorted(left)))


def _await(run: _Run, goal: _Goal) -> None:
    """Return when the goal is reached; raises `NotDone` that says what is missing where."""
    missing: list[str] = []
    while True:
        try:
            nodes = tuple(dict.fromkeys([*goal.ready, *goal.gone, *goal.unseen]))
            pods, daemonset = _kube_proxy_read.pods_and_daemonset(
                run.api, run.have.daemonset, nodes
            )
            run.pods = pods if nodes else run.pods
            missing = goal.missing(pods, daemonset)
            if not missing:
                return
        except ClusterError as error:
            if not _apply.passing(error):
                raise
            missing = [error.message]
        if run.patience.left() <= 0:
            raise NotDone(
                f"Not done after {run.patience.seconds:g} s: {'; '.join(missing)}. Look at these "
                "nodes (kubectl get nodes; kubectl -n kube-system get pods -o wide) and repeat: "
                "what is done is not done again. 'wait_timeout' is how long it may take in all.",
                run.result(False),
            )
        run.patience.wait(run.poll)


def _ineffective(planned: Change) -> str:
    left = "; ".join(f"{step.target}: {step.action}" for step in planned.plan.steps)
    return (
        f"Applied but not effective: after all was accepted, this is still to do: {left}. "
        "Something puts the former value back: look for a controller (GitOps, an add-on manager, "
        "a second run) in metadata.managedFields of the object."
    )
