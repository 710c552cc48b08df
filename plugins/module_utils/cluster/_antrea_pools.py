# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what concerns ExternalIPPools and Egresses, changes one of them, and awaits its effect."""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _antrea_read, _apply
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._apply import (
    NotEffective,
    Patience,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._calico_read import raise_first
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._kube_proxy_read import (
    KUBEADM,
    SERVICE_CIDRS,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._lister import Lister
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_config as settings
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _egress, _ip_pool
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _external_ips as external
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_config as kubeadm,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_services as services,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_change import (
    Change as Written,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj
from ansible_collections.k8snet.cni.plugins.module_utils.domain._egress_rules import pods_of
from ansible_collections.k8snet.cni.plugins.module_utils.domain._external_ips import (
    EGRESS,
    PATHS,
    POOL,
    Act,
    Change,
    World,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._yaml_text import TextError

Planner = Callable[[World], Change]


class NotAssigned(Exception):
    """The Egress is written, and not in effect in time; ``result`` is the module's."""

    def __init__(self, message: str, result: dict[str, Any]) -> None:
        super().__init__(message)
        self.result = result


def read(api: Api, pods: bool) -> World:
    """Return what a change works with, read anew. Raises `ClusterError`, `Refused`."""
    antrea = _antrea_read.have(api)
    try:
        config = settings.config_of(antrea)
    except TextError as error:
        raise Refused(f"Failed to read Antrea's configuration: {error}. Repair it first.") from None
    lister = Lister(api)
    nodes = lister.read_list("nodes", "/api/v1/nodes", external.trim_node)
    found = lister.read_list("services", "/api/v1/services", external.trim_service)
    running = lister.read_list("pods", "/api/v1/pods", external.trim_pod) if pods else []
    namespaces = lister.read_list("namespaces", "/api/v1/namespaces", dict) if pods else []
    world = World(
        config,
        antrea.version,
        settings.restart_due(antrea, Written(Plan()))["why"],
        _objects(lister, POOL),
        _objects(lister, EGRESS),
        found or (),
        nodes or (),
        _service_cidrs(lister),
        running or (),
        {n["metadata"]["name"]: n["metadata"].get("labels") or {} for n in namespaces or ()},
    )
    raise_first(lister)
    return world


def _objects(lister: Lister, kind: str) -> list[Obj] | None:
    path = PATHS[kind]
    marks = {"apiVersion": external.API_VERSION, "kind": kind}
    return lister.read_list(path.rpartition("/")[2], path, lambda obj: {**obj, **marks})


def _service_cidrs(lister: Lister) -> list[str]:
    listed = lister.read_list("servicecidrs", SERVICE_CIDRS, lambda obj: obj)
    document, _problem = kubeadm.cluster_configuration(lister.read_one("configmaps", KUBEADM))
    return services.cidrs_of(listed, document if isinstance(document, dict) else None, ())


class _Run:
    """A change under way. ``first``: what was planned before the first write."""

    def __init__(self, api: Api, patience: Patience, pods: bool, plan: Planner) -> None:
        self.api = api
        self.patience = patience
        self.wrote = False
        self._pods = pods
        self._plan = plan
        self.world, self.last = self.read()
        self.first = self.last

    def read(self) -> tuple[World, Change]:
        """Read, and plan what is left to do. Raises `ClusterError`, `Refused`."""

        def load() -> Any:
            return read(self.api, self._pods)

        world: Any = _apply.read(load, self.patience)
        return world, self._plan(world)

    def carry_out(self) -> None:
        """Write until nothing is left to do, and read it back."""
        while self.last.act is not None:
            if not self.wrote:
                self.first = self.last
            finished = self._attempt(self.last.act)
            self.world, self.last = self.read()
            if finished and self.last.plan.changed:
                raise NotEffective(_ineffective(self.last))

    def _attempt(self, act: Act) -> bool:
        """Send a request; return whether it was answered with success."""
        try:
            self.api.request(act.method, act.path, None, act.body, act.content_type)
        except ClusterError as error:
            self.wrote = self.wrote or _apply.uncertain(error)
            if act.method != "POST" and error.kind == "not_found":
                # Somebody removed it in between.
                error = ClusterError("conflict", error.message, error.status)
            self.patience.again(error)
            return False
        self.wrote = True
        return True

    def result(self, check_mode: bool) -> dict[str, Any]:
        """Return the keys that both modules return."""
        planned = self.first
        tell = check_mode or self.wrote
        return {
            "changed": planned.plan.changed if check_mode else self.wrote,
            "diff": planned.plan.diff() if tell else [],
            "plan": planned.plan.describe() if tell else [],
            "object": planned.after if check_mode else self.last.after,
            "undo": planned.before,
            "version": self.world.version,
            "advice": list(self.last.advice),
            "retries": self.patience.retries,
            "requests": self.api.requests,
        }


def _ineffective(change: Change) -> str:
    left = "; ".join(f"{step.target}: {step.action}" for step in change.plan.steps)
    return (
        f"Applied but not effective: after all was accepted, this is still to do: {left}. "
        "Something puts the former value back: look for a controller (GitOps, an add-on manager, "
        "a second run) in metadata.managedFields of the object."
    )


def change_pool(
    api: Api, want: _ip_pool.Want, check_mode: bool, patience: Patience
) -> dict[str, Any]:
    """Change what is not so yet; return the result of antrea_ip_pool.

    Raises `ClusterError`, `Refused`, `NotEffective`.
    """
    run = _Run(api, patience, False, lambda world: _ip_pool.plan_pool(world, want))
    if not check_mode:
        run.carry_out()
    result = run.result(check_mode)
    obj, world = result["object"], run.world
    return {
        **result,
        "pool": _ip_pool.facts(obj) if obj else None,
        "used_by": [e["metadata"]["name"] for e in world.egresses_of(want.name)],
        "services": [service["name"] for service in world.services_of(want.name)],
    }


def change_egress(
    api: Api,
    want: _egress.Want,
    check_mode: bool,
    patience: Patience,
    poll: float | None = 1,
) -> dict[str, Any]:
    """Change what is not so yet, await its effect (``poll`` None: not); return the result.

    Raises `ClusterError`, `Refused`, `NotEffective`, `NotAssigned`.
    """
    run = _Run(api, patience, True, lambda world: _egress.plan_egress(world, want))
    if not check_mode:
        run.carry_out()
    applied_to = (run.first.after or run.first.before or {"spec": {}})["spec"].get(
        "appliedTo"
    ) or {}
    pods = pods_of(run.world, applied_to)

    def result(obj: Obj | None) -> dict[str, Any]:
        found = run.result(check_mode)
        obj = obj or found["object"]
        return {**found, "object": obj, "egress": _egress.facts(obj) if obj else None, "pods": pods}

    if check_mode or want.state == "absent" or poll is None:
        return result(None)
    return result(_await(run, want, poll, result))


def _await(
    run: _Run, want: _egress.Want, poll: float, result: Callable[[Obj | None], dict[str, Any]]
) -> Obj:
    """Return the Egress when it is in effect; raise `NotAssigned` that says what it lacks."""
    path = f"{PATHS[EGRESS]}/{want.name}"
    obj: Obj = run.last.after or {}
    while True:
        try:
            obj = run.api.get(path)
            lacks = _egress.missing(run.world, obj)
            if lacks is None:
                return obj
        except ClusterError as error:
            if not _apply.passing(error):
                raise
            lacks = error.message
        if run.patience.left() <= 0:
            raise NotAssigned(
                f"The Egress {want.name} is written, and not in effect after "
                f"{run.patience.seconds:g} s ('wait_timeout'): {lacks}. "
                f"{_egress.where_to_look(run.world, obj)}",
                result(obj),
            )
        run.patience.wait(poll)
