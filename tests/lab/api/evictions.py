# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Evictions of pods: a deletion that a PodDisruptionBudget may refuse.

Source: kubernetes ``pkg/registry/core/pod/storage/eviction.go``. Nobody counts budgets here: what a
budget's status says counts, and it stays so.
"""

from __future__ import annotations

import dataclasses
import json

from tests.lab.api import objects, selectors
from tests.lab.api.errors import ApiError, Obj
from tests.lab.api.routes import Request
from tests.lab.api.store import Store

PODS = ("", "pods")
_BUDGETS = ("policy", "poddisruptionbudgets")
DONE: Obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def check(store: Store, request: Request) -> None:
    """Raise 429 where the budget of a pod has no room, 500 where it has more than one.

    A pod that is not there is let through, and one that has not begun, has ended, or is ending.
    """
    namespace, name = request.ask.namespace, request.ask.name
    found = store.get(PODS, (namespace, name))
    if found is None or _unasked(found.obj):
        return
    rows = store.rows(_BUDGETS, namespace)[1]
    budgets = [row.obj for row in rows if _selects(row.obj, found.obj)]
    if len(budgets) > 1:
        why = "This pod has more than one PodDisruptionBudget"
        raise ApiError(500, "", f"{why}, which the eviction subresource does not support.")
    if budgets and not _ill(found.obj, budgets[0]):
        _check_room(budgets[0])


def _unasked(pod: Obj) -> bool:
    phase = (pod.get("status") or {}).get("phase")
    return bool(pod["metadata"].get("deletionTimestamp")) or phase in (
        "Pending",
        "Succeeded",
        "Failed",
    )


def _selects(budget: Obj, pod: Obj) -> bool:
    selector = (budget.get("spec") or {}).get("selector")
    if selector is None:
        return False
    words = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for rule in selector.get("matchExpressions") or ():
        key, values = rule["key"], ",".join(rule.get("values") or ())
        words.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }[rule["operator"]]
        )
    return selectors.labels(",".join(words))(pod)


def _ill(pod: Obj, budget: Obj) -> bool:
    """Tell whether a pod that is not Ready may go without taking room."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    if any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
        return False
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    return int(status.get("currentHealthy") or 0) >= int(status.get("desiredHealthy") or 0) > 0


def _check_room(budget: Obj) -> None:
    status, meta = budget.get("status") or {}, budget["metadata"]
    why = f"The disruption budget {meta['name']} is still being processed by the server."
    if int(status.get("observedGeneration") or 0) >= meta["generation"]:
        if status.get("disruptionsAllowed"):
            return
        needed, healthy = status.get("desiredHealthy") or 0, status.get("currentHealthy") or 0
        why = f"The disruption budget {meta['name']} needs {needed} healthy pods"
        why += f" and has {healthy} currently"
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    causes = [{"reason": "DisruptionBudget", "message": why}]
    raise ApiError(429, "TooManyRequests", message, {"causes": causes})


def bare(request: Request) -> Request:
    """Return the deletion that an eviction asks for."""
    body = objects.read_json(request, ["application/json"])
    options = (body.get("deleteOptions") if isinstance(body, dict) else None) or {}
    return dataclasses.replace(request, body=json.dumps(options).encode())
