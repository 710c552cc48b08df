# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which pods a drain evicts, what bars that, and which disruption budgets hold it. Pure.

Source: kubernetes.core ``plugins/modules/k8s_drain.py`` (which pods), kubernetes
``pkg/registry/core/pod/storage/eviction.go`` (which of them a budget keeps). To older ones an empty
selector is none (issue 119731); as policy/v1 has it, it selects all pods of its namespace.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._label_selector import matches

Obj = dict[str, Any]
_MIRROR = "kubernetes.io/config.mirror"
_ENDED = ("Succeeded", "Failed")
FORBIDDEN, ABSENT = "forbidden", "absent"


def _kind(pod: Obj) -> str:
    """Return what the module takes a pod for: mirror, ended, local, bare, daemon or other."""
    meta, spec = pod["metadata"], pod.get("spec") or {}
    owners = meta.get("ownerReferences") or ()
    if _MIRROR in (meta.get("annotations") or {}):
        return "mirror"
    if _phase(pod) in _ENDED:
        return "ended"
    if any("emptyDir" in volume for volume in spec.get("volumes") or ()):
        return "local"
    if not owners:
        return "bare"
    return "daemon" if all(owner.get("kind") == "DaemonSet" for owner in owners) else "other"


def evicted(pods: list[Obj], options: Obj) -> list[Obj]:
    """Return which pods of a Node a drain evicts."""
    kinds = {"other", "ended"}
    kinds |= {"bare"} if options.get("drain_force") else set()
    kinds |= {"local"} if options.get("drain_delete_emptydir_data") else set()
    return [pod for pod in pods if _kind(pod) in kinds]


def barring(name: str, pods: list[Obj], options: Obj) -> list[str]:
    """Return what the module would refuse on a Node."""
    bare = [_who(pod) for pod in pods if _kind(pod) == "bare"]
    local = [_who(pod) for pod in pods if _kind(pod) == "local"]
    found = []
    if bare and not options.get("drain_force"):
        found.append(
            f"{name}: nobody makes these pods again when they are deleted: {', '.join(bare)}. Move "
            "them, or set proxmox_vlan_trunk_drain_force."
        )
    if local and not options.get("drain_delete_emptydir_data"):
        found.append(
            f"{name}: these pods have emptyDir volumes, whose data goes with them: "
            f"{', '.join(local)}. Set proxmox_vlan_trunk_drain_delete_emptydir_data if it may."
        )
    return found


def disputed(name: str, pods: list[Obj], budgets: list[Obj], options: Obj) -> list[str]:
    """Return which pods on a Node have several budgets: the API evicts no such pod, ever."""
    found: dict[str, list[str]] = {}
    for pod in evicted(pods, options):
        mine = _of(pod, budgets)
        if len(mine) > 1:
            found.setdefault(", ".join(map(_who, mine)), []).append(_who(pod))
    return [
        f"{name}: more than one PodDisruptionBudget ({mine}) selects {', '.join(whose)}, and the "
        "API evicts no such pod. Leave each pod to one of them."
        for mine, whose in found.items()
    ]


def held(pods: dict[str, list[Obj]], budgets: list[Obj], options: Obj) -> list[str]:
    """Return which budgets hold the drain of Nodes (``pods``: Node to its pods)."""
    keeps: dict[str, dict[str, list[str]]] = {}
    for name, found in pods.items():
        for pod in evicted(found, options):
            mine = _of(pod, budgets)
            if len(mine) == 1 and _keeps(mine[0], pod):
                keeps.setdefault(_who(mine[0]), {}).setdefault(name, []).append(_who(pod))
    by_name = {_who(budget): budget for budget in budgets}
    return [_told(by_name[who], nodes, options) for who, nodes in sorted(keeps.items())]


def unread(names: list[str], why: str) -> list[str]:
    """Return that budgets could not be read, though these Nodes are to be drained."""
    if not why or not names:
        return []
    reason, remedy = (
        ("the cluster has no policy/v1", "Look for them yourself.")
        if why == ABSENT
        else ("it is forbidden", "Allow to list poddisruptionbudgets, as docs/rbac/audit.yml does.")
    )
    return [
        f"PodDisruptionBudgets could not be read ({reason}), so that one may hold the drain of "
        f"{', '.join(names)} unannounced. {remedy}"
    ]


def _of(pod: Obj, budgets: list[Obj]) -> list[Obj]:
    """Return the budgets that the API asks before it evicts a pod."""
    meta = pod["metadata"]
    if _phase(pod) in (*_ENDED, "Pending") or meta.get("deletionTimestamp"):
        return []
    return [
        budget
        for budget in budgets
        for selector in [(budget.get("spec") or {}).get("selector")]
        if selector is not None
        and budget["metadata"]["namespace"] == meta["namespace"]
        and matches(selector, meta.get("labels") or {})
    ]


def _keeps(budget: Obj, pod: Obj) -> bool:
    """Return whether the only budget of a pod keeps it now."""
    status = budget.get("status") or {}
    needed = status.get("desiredHealthy") or 0
    conditions = (pod.get("status") or {}).get("conditions") or ()
    if not any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
        if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
            return False
        if (status.get("currentHealthy") or 0) >= needed > 0:
            return False
    return _stale(budget) or (status.get("disruptionsAllowed") or 0) <= 0


def _stale(budget: Obj) -> bool:
    seen = (budget.get("status") or {}).get("observedGeneration") or 0
    return bool(seen < (budget["metadata"].get("generation") or 0))


def _told(budget: Obj, nodes: dict[str, list[str]], options: Obj) -> str:
    """Return one budget's warning, with what would give it room."""
    status = budget.get("status") or {}
    needed, healthy = status.get("desiredHealthy") or 0, status.get("currentHealthy") or 0
    where = ", ".join(f"{name} ({', '.join(pods)})" for name, pods in nodes.items())
    count = f"{healthy} of {needed} needed pods are healthy"
    if _stale(budget):
        count = "its status is older than its spec"
    return (
        f"PodDisruptionBudget {_who(budget)} has no room ({count}), and would hold the drain of "
        f"{where} until proxmox_vlan_trunk_drain_timeout ({options.get('drain_timeout') or 0} s). "
        + _remedy(budget)
    )


def _remedy(budget: Obj) -> str:
    spec, status = budget.get("spec") or {}, budget.get("status") or {}
    needed, expected = status.get("desiredHealthy") or 0, status.get("expectedPods") or 0
    if _stale(budget):
        return "Wait until the controller manager has counted its pods, and run this again."
    if str(spec.get("maxUnavailable")) in ("0", "0%"):
        return "With maxUnavailable 0 it never has any: raise that for the time of the run."
    if str(spec.get("minAvailable")) == "100%":
        return "With minAvailable 100% it never has any: lower that for the time of the run."
    if needed >= expected:
        return "Scale up what it protects first: waiting gives it none."
    return (
        "Scale up what it protects first, or repair its pods; raise the timeout if they only need "
        "longer to come up."
    )


def _phase(pod: Obj) -> Any:
    return (pod.get("status") or {}).get("phase")


def _who(obj: Obj) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"
