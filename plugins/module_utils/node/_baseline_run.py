# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ``nic_baseline`` does: have, plan, apply, read back."""

from __future__ import annotations

import json
import time
from typing import Any

from .._plan import Plan, Step
from ..domain import _baseline
from ..domain import _nics as domain
from . import _baseline_file, _nics


def run(state: str, check_mode: bool, root: str = _baseline_file.ROOT) -> dict[str, Any]:
    """Return what the module exits with. Raises BaselineError and `_links.ReadError`."""
    path = _baseline_file.path(root)
    if state == "absent":
        steps = _absent(path, root)
        if steps and not check_mode:
            _baseline_file.remove(root)
            if _baseline_file.exists(root):
                raise _ineffective(path, "it is still there")
        return _result(path, Plan(steps))
    nics = _nics.gather()["nics"]
    recorded = _baseline_file.load(root)
    facts = {"fingerprint": domain.fingerprint(nics), "drift": drift(recorded, nics)}
    if state == "compared":
        return {**_result(path, Plan()), **facts}
    want = domain.identity(nics)
    have = recorded["nics"] if recorded else None
    plan = Plan(_record(path, have, want, _baseline_file.loose(root)))
    if plan.changed and not check_mode:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        _baseline_file.save(want, now, root)
        written = _baseline_file.load(root)
        if written is None or written["nics"] != want:
            raise _ineffective(path, "it reads differently")
    return {**_result(path, plan), **facts}


def _absent(path: str, root: str) -> tuple[Step, ...]:
    if not _baseline_file.exists(root):
        return ()
    try:
        recorded = _baseline_file.load(root)
    except _baseline_file.BaselineError:
        # Removing an unusable baseline is what the error text of all other states asks for.
        recorded = None
    before = _text(recorded["nics"]) if recorded else "(unusable)\n"
    return (Step(action="Remove the baseline of the NICs", target=path, before=before),)


def _record(
    path: str, have: list[dict[str, Any]] | None, want: list[dict[str, Any]], loose: list[str]
) -> tuple[Step, ...]:
    """Plan the write. The time of recording is no difference, so it is in no diff either."""
    if have != want:
        action = "Record the NICs" if have is None else "Record the NICs again"
        before = None if have is None else _text(have)
        return (Step(action=action, target=path, before=before, after=_text(want)),)
    if loose:
        places = ", ".join(loose)
        return (
            Step(
                action=f"Take away others' access to {places}",
                target=path,
                before="access: others\n",
                after="access: owner only\n",
            ),
        )
    return ()


def _text(nics: list[dict[str, Any]]) -> str:
    return json.dumps(nics, indent=1, sort_keys=True) + "\n"


def _result(path: str, plan: Plan) -> dict[str, Any]:
    return {
        "changed": plan.changed,
        "path": path,
        "plan": plan.describe(),
        "diff": plan.diff(),
    }


def _ineffective(path: str, seen: str) -> _baseline_file.BaselineError:
    return _baseline_file.BaselineError(
        f"Applied but not effective: after the change of {path} {seen}. Something else changes it; "
        "look for other jobs on this node."
    )


def drift(recorded: dict[str, Any] | None, current: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return ``k8snet_nic_drift`` of a loaded baseline against ``k8snet_nics``."""
    if recorded is None:
        return None
    return {
        "recorded_at": recorded["recorded_at"],
        "changes": _baseline.compare(recorded["nics"], domain.identity(current)),
        "error": None,
    }
