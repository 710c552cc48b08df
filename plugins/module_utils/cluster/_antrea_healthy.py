# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The agents of several nodes, awaited until each is ready, has reported, and its Node is Ready."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any, Callable

from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _antrea_read, _apply
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._antrea_agent import NotBack
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._calico_read import (
    pods_of,
    raise_first,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._lister import Lister
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_view as view
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True)
class Request:
    """``since``: RFC 3339 in UTC; heartbeats from then on count, None for those from now on."""

    nodes: tuple[str, ...]
    since: str | None = None
    wait_timeout: float = 300
    poll: float = 2


def await_healthy(
    api: Api,
    request: Request,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Return the module's result once every node is well.

    Raises `NotBack` that names each node and what is missing, `ClusterError`, `Refused`.
    """
    since = request.since or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if not _TIME.fullmatch(since):
        raise Refused(f"since is no time in UTC like 2026-01-31T12:00:00Z: {since!r}.")
    begun = clock()
    agents: list[Obj] = []
    missing = "nothing was read yet"
    while True:
        try:
            agents = look(api, request.nodes)
            ill = {agent["node"]: lacking(agent, since) for agent in agents}
            missing = "; ".join(f"{node}: {', '.join(ill[node])}" for node in ill if ill[node])
        except ClusterError as error:
            if not _apply.passing(error):
                raise
            missing = error.message
        spent = clock() - begun
        result = {
            "changed": False,
            "plan": [],
            "diff": [],
            "agents": agents,
            "seconds": round(spent, 1),
            "requests": api.requests,
        }
        if not missing:
            return result
        if spent >= request.wait_timeout:
            raise NotBack(f"Not well after {request.wait_timeout:g} s: {missing}.", result)
        sleep(min(request.poll, request.wait_timeout - spent))


def look(api: Api, nodes: tuple[str, ...]) -> list[Obj]:
    """Return each node's agent, by name. Raises `ClusterError`, `Refused`."""
    lister = Lister(api)
    daemonset = _antrea_read.daemonset_of(lister)
    if daemonset is None:
        raise Refused(_antrea_read.nothing(api))
    infos = lister.read_list("antreaagentinfos", _antrea_read.AGENT_INFOS, lambda obj: obj) or []
    found = lister.read_list("nodes", "/api/v1/nodes", lambda obj: obj) or []
    raise_first(lister)
    beats = {view.node_of(info): view.heartbeat(info) for info in infos}
    ready = {obj["metadata"]["name"]: _condition(obj) for obj in found}
    pods: dict[Any, Obj] = {}
    for pod in pods_of(api, daemonset):
        facts = view.pod_facts(pod, view.AGENT_CONTAINER)
        # A pod that goes away is not ready: the one that takes its place counts.
        if facts["node"] not in pods or not pod["metadata"].get("deletionTimestamp"):
            pods[facts["node"]] = {**facts, "error": _last_words(pod)}
    return [
        {
            "node": name,
            "pod": (pods.get(name) or {}).get("pod"),
            "ready": (pods.get(name) or {}).get("ready", False),
            "waiting": (pods.get(name) or {}).get("waiting"),
            "error": (pods.get(name) or {}).get("error"),
            "heartbeat": beats.get(name),
            "node_ready": ready.get(name),
        }
        for name in sorted(nodes)
    ]


def _last_words(pod: Obj) -> str | None:
    """Return what the agent said when it ended last; that of an earlier life is no error now."""
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if status.get("name") == view.AGENT_CONTAINER and not status.get("ready"):
            ended = (status.get("lastState") or {}).get("terminated") or {}
            return str(ended.get("message") or "").strip() or None
    return None


def _condition(node: Obj) -> str:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return next((str(c.get("status")) for c in conditions if c.get("type") == "Ready"), "Unknown")


def lacking(agent: Obj, since: str) -> list[str]:
    """Return what is missing on one node."""
    found = []
    if agent["node_ready"] is None:
        return ["there is no such Node"]
    if agent["node_ready"] != "True":
        found.append(f"the Node's condition Ready is {agent['node_ready']}")
    if agent["pod"] is None:
        return [*found, "it has no pod of antrea-agent"]
    if not agent["ready"]:
        waiting = f" ({agent['waiting']})" if agent["waiting"] else ""
        found.append(f"the pod {agent['pod']} is not ready{waiting}")
    if agent["heartbeat"] is None:
        found.append("there is no AntreaAgentInfo with a heartbeat")
    elif agent["heartbeat"] < since:
        found.append(f"the last heartbeat is of {agent['heartbeat']}, before {since}")
    return found
