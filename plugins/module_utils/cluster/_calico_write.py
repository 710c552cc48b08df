# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries out what calico_autodetection is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _apply, _calico_read
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _calico_change, _ownership
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_change import (
    Change,
    Have,
    Want,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Hold, Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_install import reason
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj


@dataclass(frozen=True)
class Request:
    """What is asked for. ``undo``: calico_info's result of before the change."""

    restore: bool = False
    methods: dict[int, str] = field(default_factory=dict)
    hold: Hold | None = None
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
    want = Want(request.methods, request.hold, request.undo)

    def load() -> Have:
        install, have = _calico_read.have(api, request.hold)
        if have is None:
            raise Refused(f"Refused to change Calico's autodetection: {reason(install)}")
        return have

    def plan(have: Have) -> Change:
        if request.restore:
            return _calico_change.plan_restore(have, request.undo or {})
        return _calico_change.plan_change(have, want)

    def admit(planned: Change) -> None:
        # Going back is never refused: the owner wants the former values too.
        if request.override_owner or request.restore or not (request.methods or request.hold):
            return
        for write in planned.writes:
            owned = _ownership.refusal(write.before, write.target, request.methods)
            if owned:
                raise Refused(owned)

    patience = patience or _apply.Patience(request.wait_timeout)
    outcome = _apply.apply(api, load, plan, patience, check_mode, admit)
    return _result(api, outcome, check_mode)


def _result(api: Api, outcome: _apply.Outcome, check_mode: bool) -> dict[str, Any]:
    have, planned = outcome.have, outcome.change
    operated = have.target["kind"] == "Installation"
    after = {
        "default": have.installation if operated else have.daemonset,
        "overlay": have.overlay,
    }
    for write in planned.writes if check_mode else ():
        after["overlay" if write.target["name"] == "overlay" and operated else "default"] = (
            write.after
        )
    return {
        "changed": planned.plan.changed if check_mode else outcome.wrote,
        "diff": planned.plan.diff() if check_mode or outcome.wrote else [],
        "plan": planned.plan.describe() if check_mode or outcome.wrote else [],
        "patches": outcome.patches if check_mode or outcome.wrote else [],
        "install": "operator" if operated else "manifest",
        "target": have.target,
        "object": after["default"],
        "overlay": after["overlay"],
        "retries": outcome.retries,
        "requests": api.requests,
    }
