# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One node's antrea-agent made anew, and awaited until it has reported."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Callable

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan, Step
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _antrea_read, _apply
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._calico_read import (
    pods_of,
    raise_first,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._lister import Lister
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_view as view
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_tables import AGENT, FILES
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj
from ansible_collections.k8snet.cni.plugins.module_utils.domain._written import unread


@dataclass(frozen=True)
class Request:
    """``force``: also if the agent has read what is in the ConfigMap."""

    node: str
    force: bool = False
    wait: bool = True
    wait_timeout: float = 300
    poll: float = 2


@dataclass(frozen=True)
class Seen:
    """What is there of one node's agent; ``config_map``: what it reads at its start."""

    pods: list[Obj]
    info: Obj | None
    config_map: Obj | None

    @property
    def pod(self) -> Obj | None:
        """The pod that is not going away, else the one that is."""
        alive = [p for p in self.pods if not p["metadata"].get("deletionTimestamp")]
        return next(iter([*alive, *self.pods]), None)

    def facts(self) -> Obj | None:
        """Return pod and heartbeat as antrea_info shows them."""
        if self.pod is None:
            return None
        beat = view.heartbeat(self.info or {})
        return {**view.pod_facts(self.pod, view.AGENT_CONTAINER), "heartbeat": beat}


class NotBack(Exception):
    """The agent was restarted and is not back in time; ``seen`` is what was there at last."""

    def __init__(self, message: str, result: dict[str, Any]) -> None:
        super().__init__(message)
        self.result = result


def restart(
    api: Api,
    request: Request,
    check_mode: bool,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Restart the agent if that is due; return the module's result.

    Raises `ClusterError`, `Refused`, `NotBack`.
    """
    before = look(api, request.node)
    why = reason(before, request.force)
    pod = before.pod
    plan = Plan()
    if why and pod:
        action = (
            f"delete the pod {pod['metadata']['name']}, so that antrea-agent starts anew: {why}"
        )
        target = f"Pod {pod['metadata']['namespace']}/antrea-agent on {request.node}"
        uid = pod["metadata"]["uid"]
        plan = Plan((Step(action, target, f"uid {uid}", "a new pod", True),))
    begun = clock()
    after = before
    result = _result(api, plan, before, after, why)
    if plan.changed and pod and not check_mode:
        _delete(api, pod)
        result = _result(api, plan, before, before, why)
        if request.wait:
            after = _await(api, request, before, clock, sleep, result)
            result = _result(api, plan, before, after, why)
    return {**result, "seconds": round(clock() - begun, 1)}


def _result(api: Api, plan: Plan, before: Seen, after: Seen, why: str | None) -> dict[str, Any]:
    return {
        "changed": plan.changed,
        "plan": plan.describe(),
        "diff": plan.diff(),
        "why": why,
        "before": before.facts(),
        "after": after.facts(),
        "requests": api.requests,
    }


def look(api: Api, node: str) -> Seen:
    """Read one node's agent. Raises `ClusterError`, `Refused`."""
    lister = Lister(api)
    daemonset = _antrea_read.daemonset_of(lister)
    if daemonset is None:
        raise Refused(_antrea_read.nothing(api))
    config_map = _antrea_read.config_map_of(lister, daemonset)
    info = lister.read_one("antreaagentinfos", f"{_antrea_read.AGENT_INFOS}/{node}")
    raise_first(lister)
    pods = pods_of(api, daemonset, node)
    if not pods:
        raise Refused(
            f"Found no pod of {daemonset['metadata']['name']} on {node}. Is that the name of a "
            "Node, and may the DaemonSet run there (taints, nodeSelector)?"
        )
    return Seen(pods, info, config_map)


def reason(seen: Seen, force: bool) -> str | None:
    """Return why a restart is due, None if it is not."""
    pod = seen.pod
    made = str(pod["metadata"].get("creationTimestamp")) if pod else ""
    if pod and pod["metadata"].get("deletionTimestamp"):
        return None
    written = unread(seen.config_map, FILES[AGENT], made)
    if written:
        return f"the pod is of {made}, {FILES[AGENT]} of {written}"
    return "asked for" if force else None


def _delete(api: Api, pod: Obj) -> None:
    try:
        _apply.delete_pod(api, pod["metadata"])
    except ClusterError as error:
        # The pod of this name is another one by now, or the answer was lost: waiting tells.
        if error.kind != "conflict" and not _apply.uncertain(error):
            raise


def _await(
    api: Api,
    request: Request,
    before: Seen,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    result: dict[str, Any],
) -> Seen:
    """Return what is there once the new agent is ready and has reported itself.

    The API server may be out of reach meanwhile: a restarted agent can move the NIC.
    """
    end = clock() + request.wait_timeout
    missing, seen = "nothing was read yet", before
    while clock() < end:
        try:
            seen = _look_again(api, request.node, before)
            found = lacking(before, seen)
            if found is None:
                return seen
            missing = found
        except ClusterError as error:
            if not _apply.passing(error):
                raise
            missing = error.message
        sleep(min(request.poll, max(0.0, end - clock())))
    raise NotBack(
        f"antrea-agent on {request.node} is not back after {request.wait_timeout:g} s: {missing}. "
        f"See its log: kubectl -n {_place(before)} logs {_name(seen)} -c antrea-agent; the "
        "configuration can be put back with antrea_config, state: restored.",
        {**result, "after": seen.facts()},
    )


def _look_again(api: Api, node: str, before: Seen) -> Seen:
    try:
        return look(api, node)
    except Refused:
        return Seen([], before.info, before.config_map)


def lacking(before: Seen, seen: Seen) -> str | None:
    """Return what is still missing until the agent is back, None when it is.

    The heartbeat must be of the new process. Its podRef says so; without one it counts when it is
    no older than the pod (the node's clock against the API server's).
    """
    old = {p["metadata"]["uid"] for p in before.pods}
    pods = [p for p in seen.pods if p["metadata"]["uid"] not in old]
    if not pods:
        return "there is no new pod yet"
    facts = view.pod_facts(pods[0], view.AGENT_CONTAINER)
    if not facts["ready"]:
        waiting = f" ({facts['waiting']})" if facts["waiting"] else ""
        return f"its pod {facts['pod']} is not ready{waiting}, {facts['restarts']} restarts"
    info = seen.info or {}
    beat, reference = view.heartbeat(info), (info.get("podRef") or {}).get("name")
    if beat is None or beat == view.heartbeat(before.info or {}):
        return f"its AntreaAgentInfo has no new heartbeat (the last one: {beat})"
    if reference and reference != facts["pod"]:
        return f"its AntreaAgentInfo is still of pod {reference}"
    if not reference and beat < str(facts["created_at"]):
        return f"its heartbeat {beat} is older than its pod, {facts['created_at']}"
    return None


def _place(seen: Seen) -> str:
    return str(seen.pods[0]["metadata"]["namespace"])


def _name(seen: Seen) -> str:
    return str(seen.pods[0]["metadata"]["name"]) if seen.pods else "POD"
