# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The change of Calico's autodetection: what to write, in which order, and the way back. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan, Step
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _calico_fields as fields
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Hold, Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import (
    Edit,
    Obj,
    Write,
    absent,
    look,
    title,
)


@dataclass(frozen=True)
class Have:
    """What the cluster holds: raw objects, None where there is none.

    ``target``: kind, namespace, name of what is written. ``canary_pod``: calico-node's pod on the
    canary, only read for a hold by on-delete. ``min_ready_seconds``: whether the CRD has it, and
    ``longest_hold``: for how many seconds it can hold at most (None: no pod is ready), only read
    for that hold.
    """

    target: Obj
    installation: Obj | None = None
    overlay: Obj | None = None
    daemonset: Obj | None = None
    min_ready_seconds: bool | None = None
    canary_pod: Obj | None = None
    longest_hold: int | None = None


@dataclass(frozen=True)
class Want:
    """Methods per family (a family that is not named is left alone), and the hold.

    ``hold`` None with ``undo``: the hold is released, to the values that ``undo`` has.
    """

    methods: dict[int, str] = field(default_factory=dict)
    hold: Hold | None = None
    undo: Obj | None = None


@dataclass(frozen=True)
class Change:
    """The plan, and what carries it out: patches in order, then the canary's pod to delete."""

    plan: Plan
    writes: tuple[Write, ...] = ()
    delete_pod: Obj | None = None


def plan_change(have: Have, want: Want) -> Change:
    """Return what turns ``have`` into ``want``. Raises `Refused`."""
    for family, method in want.methods.items():
        fields.check_method(family, method)
    problem = undo_problem(want.undo, have) if want.undo is not None else None
    if problem:
        raise Refused(problem)
    if have.target["kind"] == "Installation":
        edits = _operator_edits(have)
        _operator_change(edits, have, want)
        for edit in edits.values():
            _check_hold(edit, have, want)
        # Held first: two objects are written one after the other.
        return _change(sorted(edits.values(), key=lambda e: not e.holds))
    edit = _manifest_edit(have)
    for family, method in want.methods.items():
        fields.put_manifest_method(edit, family, method)
    _check_hold(edit, have, want)
    _manifest_hold(edit, want)
    return _with_canary(_change([edit]), edit, have, want)


def plan_restore(have: Have, undo: Obj) -> Change:
    """Return what puts ``undo``'s former values back (see `undo_problem`). Raises `Refused`."""
    problem = undo_problem(undo, have)
    if problem:
        raise Refused(problem)
    if have.target["kind"] == "Installation":
        edits = _operator_edits(have)
        for name, edit in edits.items():
            former = undo["installation" if name == "default" else "overlay"]
            for family in fields.FAMILIES:
                fields.restore_operator_method(edit, family, former)
            _restore_hold(edit, former)
        # Methods first: a hold that is gone would let the roll-out go on.
        return _change(sorted(edits.values(), key=lambda e: e.holds))
    edit = _manifest_edit(have)
    fields.restore_manifest_methods(edit, undo["daemonset"])
    _restore_manifest_hold(edit, undo["daemonset"])
    return _change([edit])


def undo_problem(undo: Obj, have: Have) -> str | None:
    """Return why a bundle cannot be restored here, None if it can.

    A bundle holds what calico_info returned: ``target``, and the whole former ``installation``,
    ``overlay`` and ``daemonset``.
    """
    missing = [k for k in ("target", "installation", "overlay", "daemonset") if k not in undo]
    if missing:
        return (
            f"Failed to read 'undo': it has no {', '.join(missing)}. Give what k8snet.cni."
            "calico_info returned before the change."
        )
    if undo["target"] != have.target:
        now, then = title(have.target), title(undo["target"]) if undo["target"] else "nothing"
        return (
            f"Failed to restore: the bundle is of {then}, but Calico is now installed by {now}. "
            "Was it re-installed since, or is this another cluster?"
        )
    for name in ("installation", "overlay", "daemonset"):
        kept, now_there = undo[name], getattr(have, name)
        if name == "daemonset" and have.target["kind"] == "Installation":
            continue
        if kept and now_there is None:
            return (
                f"Failed to restore: the {name} of the bundle no longer exists. Create it again "
                "from the bundle, then repeat."
            )
        if kept and kept["metadata"].get("uid") != now_there["metadata"].get("uid"):
            return (
                f"Failed to restore: the {name} was deleted and created again since the bundle was "
                "written (its uid differs). Compare both, and set the method by hand."
            )
    for family in fields.FAMILIES if have.overlay and not undo["overlay"] else ():
        if not absent(look(have.overlay, fields.field(family))):
            return (
                f"Failed to restore: an Installation 'overlay' that sets the IPv{family} method "
                "has appeared since the bundle was written. Remove the field there, then repeat."
            )
    return None


# -- operator -----------------------------------------------------------------------------------


def _operator_edits(have: Have) -> dict[str, Edit]:
    found = {}
    whole = tuple(fields.field(family) for family in fields.FAMILIES)
    for name, obj in (("default", have.installation), ("overlay", have.overlay)):
        if obj is not None:
            target = {"kind": "Installation", "namespace": None, "name": name}
            found[name] = Edit(obj, target, f"{fields.INSTALLATIONS}/{name}", whole)
    return found


def _operator_change(edits: dict[str, Edit], have: Have, want: Want) -> None:
    installation = have.installation or {}
    if want.hold is not None and want.hold.mode == "min-ready-seconds":
        if not have.min_ready_seconds:
            raise Refused(
                "Failed to plan: the roll-out cannot be held by min-ready-seconds, since this "
                "operator's CRD has no spec.calicoNodeDaemonSet.spec.minReadySeconds. Use "
                "hold.mode=watch, and revert at the first bad node."
            )
        edit = edits[fields.holder(installation, have.overlay, fields.OWN_SET)]
        _put_hold(edit, fields.OPERATOR_HOLD, want.hold.min_ready_seconds)
        edit.holds = True
    elif want.hold is not None and want.hold.mode == "on-delete":
        raise Refused(
            "Failed to plan: the operator refuses OnDelete for calico-node. Use "
            "hold.mode=min-ready-seconds, or watch."
        )
    for family, method in want.methods.items():
        edit = edits[fields.holder(installation, have.overlay, fields.field(family))]
        fields.put_operator_method(edit, family, method)
    if want.hold is None and want.undo is not None:
        for name, edit in edits.items():
            former = want.undo.get("installation" if name == "default" else "overlay")
            if former:
                _restore_hold(edit, former)


def _check_hold(edit: Edit, have: Have, want: Want) -> None:
    """Refuse a minReadySeconds that would replace young pods at once, in place of holding them."""
    hold, longest = want.hold, have.longest_hold
    methods = [s for s in edit.steps if not s.target.endswith("minReadySeconds")]
    if hold is None or hold.mode != "min-ready-seconds" or longest is None or not methods:
        return
    if hold.min_ready_seconds > longest:
        raise Refused(
            f"Failed to plan: the youngest calico-node pod has been ready for {longest} s, and "
            f"minReadySeconds {hold.min_ready_seconds} makes it unavailable. Kubernetes replaces "
            "unavailable pods all at once, so that nothing would be held. Use "
            f"hold.min_ready_seconds below {longest}, wait until the pods are older, or use "
            "hold.mode=watch. The playbook chooses anew when it is run again."
        )


def _put_hold(edit: Edit, path: tuple[str, ...], seconds: int) -> None:
    now = edit.get(path)
    if (now or 0) < seconds:
        said = "not set" if now is None else now
        action = f"Hold the roll-out after its first node: minReadySeconds {seconds} (now {said})"
        edit.put(path, seconds, action)


def _restore_hold(edit: Edit, former: Obj) -> None:
    was = look(former, fields.OPERATOR_HOLD)
    edit.restore(fields.OPERATOR_HOLD, former, _released("minReadySeconds", was))
    if edit.steps and edit.steps[-1].target.endswith("minReadySeconds"):
        edit.holds = True


def _released(name: str, was: Any) -> str:
    return f"Release the roll-out: {name} back to {'absent' if absent(was) else was}"


# -- manifest -----------------------------------------------------------------------------------


def _manifest_edit(have: Have) -> Edit:
    if have.daemonset is None:
        raise Refused(
            f"Failed to plan: {title(have.target)} does not exist. Run k8snet.cni.calico_info to "
            "see how Calico is installed."
        )
    place = f"/apis/apps/v1/namespaces/{have.target['namespace']}/daemonsets/{have.target['name']}"
    return Edit(have.daemonset, have.target, place, (fields.STRATEGY,))


def _manifest_hold(edit: Edit, want: Want) -> None:
    hold = want.hold
    if hold is None:
        if want.undo is not None:
            _restore_manifest_hold(edit, want.undo["daemonset"])
    elif hold.mode == "min-ready-seconds":
        _put_hold(edit, fields.SET_HOLD, hold.min_ready_seconds)
    elif hold.mode == "on-delete":
        if not hold.canary:
            raise Refused("Failed to plan: hold.mode=on-delete needs hold.canary, a Node's name.")
        now = (edit.get(fields.STRATEGY) or {}).get("type") or "RollingUpdate"
        action = f"Hold the roll-out: no pod is replaced until it is deleted (now {now})"
        if now != "OnDelete":
            edit.put(fields.STRATEGY, {"type": "OnDelete"}, action)


def _restore_manifest_hold(edit: Edit, former: Obj) -> None:
    kept = {"spec": {k: v for k, v in former["spec"].items() if k != "minReadySeconds"}}
    seconds = former["spec"].get("minReadySeconds")
    if seconds:  # the API server keeps no 0 there
        kept["spec"]["minReadySeconds"] = seconds
    was = look(kept, fields.SET_HOLD)
    edit.restore(fields.SET_HOLD, kept, _released("minReadySeconds", was))
    strategy = (former["spec"].get("updateStrategy") or {}).get("type") or "RollingUpdate"
    edit.restore(fields.STRATEGY, kept, _released("updateStrategy", strategy))


def _with_canary(change: Change, edit: Edit, have: Have, want: Want) -> Change:
    """Add the deletion of the canary's pod if it runs anything else than what is wanted."""
    hold, pod = want.hold, have.canary_pod
    if hold is None or hold.mode != "on-delete":
        return change
    if pod is None or pod["metadata"].get("deletionTimestamp") or runs(pod, edit.after):
        return change
    meta = pod["metadata"]
    shown = {"pod": f"{meta['namespace']}/{meta['name']}", "node": hold.canary}
    action = f"Delete calico-node's pod on {hold.canary}: a new one starts with the new method"
    step = Step(action, f"Pod {meta['namespace']}/{meta['name']}", shown, {})
    delete = {k: meta[k] for k in ("namespace", "name", "uid")}
    return replace(change, plan=Plan((*change.plan.steps, step)), delete_pod=delete)


def runs(pod: Obj, daemonset: Obj) -> bool:
    """Tell whether a pod's calico-node detects as the DaemonSet now says."""
    return detection({"spec": {"template": pod}}) == detection(daemonset)


def detection(daemonset: Obj) -> dict[str, Obj]:
    """Return the detection variables of calico-node; the last of several of a name counts."""
    names = {name for family in fields.FAMILIES for name in fields.variables(family)}
    for container in daemonset["spec"]["template"]["spec"]["containers"]:
        if container.get("name") == fields.CONTAINER:
            env = container.get("env") or ()
            return {entry["name"]: entry for entry in env if entry.get("name") in names}
    return {}


def _change(edits: Any) -> Change:
    steps = [step for edit in edits for step in edit.steps]
    writes = [write for edit in edits if (write := edit.write()) is not None]
    return Change(Plan(tuple(steps)), tuple(writes))
