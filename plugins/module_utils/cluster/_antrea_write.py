# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries out what antrea_config is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _antrea_read, _apply
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_config
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_config import Have, Want
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_change import Change
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj


@dataclass(frozen=True)
class Request:
    """What is asked for. ``undo``: the ConfigMap, whole, as it was before a change."""

    want: Want = field(default_factory=Want)
    restore: bool = False
    undo: Obj | None = None
    override_owner: bool = False
    wait_timeout: float = 120


def change(
    api: Api,
    request: Request,
    check_mode: bool,
    patience: _apply.Patience | None = None,
) -> dict[str, Any]:
    """Change what is not so yet; return the module's result.

    Raises `ClusterError`, `Refused`, `NotEffective`.
    """
    first: list[Have] = []

    def load() -> Any:
        found = _antrea_read.have(api)
        first.append(found)
        return found

    def plan(have: Any) -> Change:
        if request.restore:
            return _antrea_config.plan_restore(have, request.undo or {})
        return _antrea_config.plan_change(have, request.want)

    def admit(planned: Change) -> None:
        # Going back is never refused: the owner wants the former values too.
        if not planned.plan.changed or request.override_owner or request.restore:
            return
        owned = _antrea_config.refusal(first[-1], request.want)
        if owned:
            raise Refused(owned)

    patience = patience or _apply.Patience(request.wait_timeout)
    outcome = _apply.apply(api, load, plan, patience, check_mode, admit)
    planned, wrote = outcome.change, outcome.wrote
    now: Any = outcome.have
    tell = check_mode or wrote
    return {
        "changed": planned.plan.changed if check_mode else wrote,
        "diff": planned.plan.diff() if tell else [],
        "plan": planned.plan.describe() if tell else [],
        "patches": outcome.patches if tell else [],
        "target": now.target,
        "version": now.version,
        "object": planned.writes[0].after if check_mode and planned.writes else now.config_map,
        "undo": planned.writes[0].before if planned.writes and tell else now.config_map,
        "restart_due": _antrea_config.restart_due(now, planned if tell else Change(Plan())),
        "retries": outcome.retries,
        "requests": api.requests,
    }
