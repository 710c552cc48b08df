# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a roll-out of calico-node is held after its first node, or its first maxUnavailable. Pure.

A DaemonSet cannot be paused. With a large minReadySeconds the first new pod does not count as
available, so no second node is touched, until the setting is taken back. But an old pod that has
been ready for less than minReadySeconds does not count as available either, and those are replaced
at once, all of them (kubernetes, pkg/controller/daemon/update.go, rollingUpdate). So the setting
must stay below the age of the youngest pod.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._daemonset import at_once

MIN_READY_SECONDS, ON_DELETE, WATCH = "min-ready-seconds", "on-delete", "watch"

#: Seconds between the plan and its first write, in which nobody's pod may become too young, and
#: between the canary's verdict and the release.
_MARGIN = 15


def hold_mode(calico: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return ``{mode, min_ready_seconds, canary, text, refusal}``.

    ``min-ready-seconds``: held after whichever node comes first. ``on-delete``: only the chosen
    node's pod is replaced (manifest installs). ``watch``: not held, but reverted at the first bad
    node. ``options``: canary, hold_seconds (3600), canary_seconds (300); ``calico``: install,
    crd_min_ready_seconds, nodes, daemonset, pods (``{node, ready, ready_seconds}``).
    """
    canary = options.get("canary")
    if canary and calico["install"] == "operator":
        refusal = (
            f"calico_autodetection_canary is {canary}, but with an operator install the DaemonSet "
            "controller chooses which node goes first. Leave it unset."
        )
        return {**_held(calico, options), "refusal": refusal}
    if canary:
        known = {node["name"] for node in calico["nodes"]}
        return {
            "mode": ON_DELETE,
            "min_ready_seconds": None,
            "canary": canary,
            "text": f"{canary} alone is restarted (OnDelete); the others once it is verified.",
            "refusal": None
            if canary in known
            else f"calico_autodetection_canary: no Node {canary}.",
        }
    return {**_held(calico, options), "refusal": None}


def _held(calico: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Hold by minReadySeconds if the object has the field and the pods are old enough."""
    if calico["install"] == "operator" and not calico["crd_min_ready_seconds"]:
        return _watched(
            "this operator's Installation has no calicoNodeDaemonSet.spec.minReadySeconds.",
            _at_once(calico),
        )
    needed = int(options.get("canary_seconds") or 300) + _MARGIN
    ready = [pod for pod in calico["pods"] if pod["ready"]]
    if not ready:
        why = "no pod of calico-node is ready, and those are replaced all at once."
        return _watched(why, max(1, len(calico["pods"])))
    youngest = min(ready, key=lambda pod: float(pod["ready_seconds"]))
    age = float(youngest["ready_seconds"]) - _MARGIN
    longest = float(options.get("hold_seconds") or 3600)
    seconds = int(min(longest, age))
    if longest < needed:
        why = (
            f"a hold has to last {needed} s, and calico_autodetection_hold_seconds is "
            f"{int(longest)}. Raise it, or lower calico_autodetection_canary_timeout."
        )
        return _watched(why, _at_once(calico))
    if seconds < needed:
        return _watched(
            f"a hold has to last {needed} s, and pods that are ready for less are replaced all at "
            f"once (the youngest is that of {youngest['node']}, ready for "
            f"{int(youngest['ready_seconds'])} s). Run this again in {needed - seconds} s, or "
            "lower calico_autodetection_canary_timeout.",
            _at_once(calico),
        )
    field = {
        "operator": "the Installation's calicoNodeDaemonSet.spec.minReadySeconds",
        "manifest": "the DaemonSet's minReadySeconds",
    }.get(calico["install"], "minReadySeconds")
    waiting = [pod["node"] for pod in calico["pods"] if not pod["ready"]]
    text = _first_words(_at_once(calico), len(waiting), f"for up to {seconds} s by {field}")
    if waiting:
        text += f" Not ready, and therefore replaced at once: {', '.join(sorted(waiting))}."
    return {"mode": MIN_READY_SECONDS, "min_ready_seconds": seconds, "canary": None, "text": text}


def _at_once(calico: dict[str, Any]) -> int:
    return at_once(calico.get("daemonset"), len(calico["pods"]))


def _first_words(together: int, waiting: int, how: str) -> str:
    """Return how many nodes go first, and what has to be seen of them."""
    first = max(together, waiting)
    if first == 1:
        return f"Held after its first node {how}; released once it is verified."
    why = f"maxUnavailable {together}" if together >= waiting else "those not ready"
    return (
        f"Held after its first {first} nodes ({why}), restarted together, {how}; released once "
        "each of them is verified."
    )


def _watched(why: str, together: int) -> dict[str, Any]:
    number = f", {together} nodes at a time" if together > 1 else ""
    text = (
        f"Not held: {why} The roll-out is watched{number}, and reverted at the first bad node; "
        "nodes after it may have been restarted by then."
    )
    return {"mode": WATCH, "min_ready_seconds": None, "canary": None, "text": text}
