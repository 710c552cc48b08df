# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a DaemonSet is rolled out: which pods to make and to delete next, and its status. Pure.

Source: Kubernetes ``pkg/controller/daemon`` (``update.go``, ``daemon_controller.go``).
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

Obj = dict[str, Any]

HASH = "controller-revision-hash"
# What the controller itself adds to a daemon pod's tolerations.
_TOLERATED = (
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/unschedulable",
)


@dataclass
class Step:
    """What to do next: nodes that get a pod, pods to delete, the DaemonSet's status."""

    create: list[str] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)
    status: Obj = field(default_factory=dict)


def template_hash(template: Obj) -> str:
    """Return the hash that tells templates apart; the same template, the same hash."""
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _expression(rule: Obj, labels: dict[str, str]) -> bool:
    key, values = rule["key"], rule.get("values") or []
    operator = rule["operator"]
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    inside = labels.get(key) in values
    return inside if operator == "In" else not inside


def _affinity(spec: Obj, node: Obj) -> bool:
    required = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms = (required.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get(
        "nodeSelectorTerms"
    )
    if not terms:
        return True
    labels = node["metadata"].get("labels") or {}
    names = {"metadata.name": node["metadata"]["name"]}
    return any(
        bool(term)  # an empty term selects nothing
        and all(_expression(rule, labels) for rule in term.get("matchExpressions") or ())
        and all(_expression(rule, names) for rule in term.get("matchFields") or ())
        for term in terms
    )


def _tolerates(spec: Obj, taint: Obj) -> bool:
    if taint["key"] in _TOLERATED or taint.get("effect") == "PreferNoSchedule":
        return True
    for toleration in spec.get("tolerations") or ():
        if toleration.get("effect") not in (None, "", taint.get("effect")):
            continue
        if toleration.get("key") in (None, "") and toleration.get("operator") == "Exists":
            return True
        if toleration.get("key") == taint["key"] and (
            toleration.get("operator") == "Exists"
            or toleration.get("value", "") == taint.get("value", "")
        ):
            return True
    return False


def fits(template: Obj, node: Obj) -> bool:
    """Tell whether a node is to run the template's pod."""
    spec = template.get("spec") or {}
    labels = node["metadata"].get("labels") or {}
    selector = spec.get("nodeSelector") or {}
    taints = (node.get("spec") or {}).get("taints") or ()
    return (
        all(labels.get(key) == value for key, value in selector.items())
        and _affinity(spec, node)
        and all(_tolerates(spec, taint) for taint in taints)
    )


def _condition(pod: Obj, kind: str) -> Obj:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    found: Obj = next((c for c in conditions if c["type"] == kind), {})
    return found


def _seconds(stamp: str) -> float:
    read = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")
    return read.replace(tzinfo=timezone.utc).timestamp()


def is_ready(pod: Obj) -> bool:
    return _condition(pod, "Ready").get("status") == "True"


def is_available(pod: Obj, least: int, now: float) -> bool:
    """Tell whether a pod has been ready for ``least`` seconds (minReadySeconds)."""
    if not is_ready(pod):
        return False
    since = _condition(pod, "Ready").get("lastTransitionTime")
    return not least or (since is not None and _seconds(since) + least <= now)


def most_unavailable(strategy: Obj, nodes: int) -> int:
    """Return maxUnavailable as a number of nodes; a percentage is rounded up."""
    value = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1)
    if isinstance(value, str) and value.endswith("%"):
        return math.ceil(int(value[:-1]) * nodes / 100)
    return int(value)


def plan(daemonset: Obj, nodes: list[Obj], pods: list[Obj], now: float) -> Step:
    """Return the next step. ``pods`` are the DaemonSet's own; ``now`` is in seconds since 1970."""
    spec = daemonset["spec"]
    current = template_hash(spec["template"])
    least = int(spec.get("minReadySeconds") or 0)
    wanted = [n["metadata"]["name"] for n in nodes if fits(spec["template"], n)]
    live: dict[str, list[Obj]] = {}
    for pod in pods:
        if "deletionTimestamp" not in pod["metadata"]:
            live.setdefault(pod["spec"].get("nodeName", ""), []).append(pod)
    busy = {pod["spec"].get("nodeName", "") for pod in pods}
    step = Step(create=[name for name in wanted if name not in busy])
    step.delete = [_name(p) for n, ps in live.items() if n not in wanted for p in ps]
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") == "RollingUpdate":
        step.delete += _outdated(live, wanted, current, least, now, strategy)
    step.status = _status(daemonset, wanted, live, current, now)
    return step


def _name(pod: Obj) -> str:
    name: str = pod["metadata"]["name"]
    return name


def _hash(pod: Obj) -> str:
    return str((pod["metadata"].get("labels") or {}).get(HASH, ""))


def _outdated(
    live: dict[str, list[Obj]],
    wanted: list[str],
    current: str,
    least: int,
    now: float,
    strategy: Obj,
) -> list[str]:
    """Return the old pods to delete now: those not available at once, others as room allows."""
    unavailable = 0
    broken: list[str] = []
    candidates: list[str] = []
    for name in wanted:
        pods = live.get(name) or []
        good = [pod for pod in pods if is_available(pod, least, now)]
        unavailable += not good
        for pod in pods:
            if _hash(pod) != current:
                (candidates if pod in good else broken).append(_name(pod))
    room = max(0, most_unavailable(strategy, len(wanted)) - unavailable)
    return broken + candidates[:room]


def _status(
    daemonset: Obj, wanted: list[str], live: dict[str, list[Obj]], current: str, now: float
) -> Obj:
    least = int(daemonset["spec"].get("minReadySeconds") or 0)
    first = [pods[0] for name in wanted if (pods := live.get(name))]
    updated = sum(_hash(pod) == current for pod in first)
    available = sum(is_available(pod, least, now) for pod in first)
    status = {
        "observedGeneration": daemonset["metadata"].get("generation", 0),
        "currentNumberScheduled": len(first),
        "desiredNumberScheduled": len(wanted),
        "numberMisscheduled": sum(bool(pods) for name, pods in live.items() if name not in wanted),
        "numberReady": sum(is_ready(pod) for pod in first),
    }
    maybe = {
        "updatedNumberScheduled": updated,
        "numberAvailable": available,
        "numberUnavailable": len(wanted) - available,
    }
    return {**status, **{key: value for key, value in maybe.items() if value}}
