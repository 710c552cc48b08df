# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Evictions of pods: a deletion that a PodDisruptionBudget may refuse.

Source: kubernetes ``pkg/registry/core/pod/storage/eviction.go``. Nobody counts budgets here: what a
budget's status says of ``disruptionsAllowed`` counts.
"""

from __future__ import annotations

import dataclasses
import json

from tests.lab.api import objects
from tests.lab.api.errors import ApiError, Obj
from tests.lab.api.routes import Request
from tests.lab.api.store import Store

PODS = ("", "pods")
_BUDGETS = ("policy", "poddisruptionbudgets")
DONE: Obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def check(store: Store, request: Request) -> None:
    """Raise 429 where a budget of the pod has no room; a pod that is not there is let through."""
    namespace, name = request.ask.namespace, request.ask.name
    found = store.get(PODS, (namespace, name))
    if found is None:
        return
    labels = found.obj["metadata"].get("labels") or {}
    for row in store.rows(_BUDGETS)[1]:
        budget = row.obj
        wanted = (budget["spec"].get("selector") or {}).get("matchLabels") or {}
        here = budget["metadata"]["namespace"] == namespace
        if here and wanted.items() <= labels.items() and not _room(budget):
            why = "Cannot evict pod as it would violate the pod's disruption budget."
            raise ApiError(429, "TooManyRequests", why)


def _room(budget: Obj) -> int:
    return int((budget.get("status") or {}).get("disruptionsAllowed") or 0)


def bare(request: Request) -> Request:
    """Return the deletion that an eviction asks for."""
    body = objects.read_json(request, ["application/json"])
    options = (body.get("deleteOptions") if isinstance(body, dict) else None) or {}
    return dataclasses.replace(request, body=json.dumps(options).encode())
