# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far the roll-out of a new autodetection method is, and whether it goes well. Pure.

"Ready" alone never counts. A node is as expected when its calico-node runs what the DaemonSet now
says, is ready, and the address it stored is the predicted one.

Sources: Kubernetes ``pkg/controller/daemon/update.go`` (what the DaemonSet's status means),
tigera/operator ``pkg/controller/status`` (conditions of TigeraStatus; observedGeneration since
v1.30).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _calico_fields as fields
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_change import (
    detection,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._cluster_calico import method_words
from ansible_collections.k8snet.cni.plugins.module_utils.domain._daemonset import at_once
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj, title

_STORED = {"v4": "projectcalico.org/IPv4Address", "v6": "projectcalico.org/IPv6Address"}
_CONDITIONS = ("Available", "Degraded", "Progressing")


@dataclass(frozen=True)
class Asked:
    """What is waited for.

    ``expect``: Node -> {v4, v6} in CIDR form; None or a family left out is not judged.
    ``accept``: Nodes that may stay behind (unreachable, and knowingly so). ``canary``: the Node
    that goes first, None for any. ``unready``: Nodes whose calico-node was not ready in the state
    that is waited for: they have to store what is expected, and no more.
    """

    expect: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    accept: frozenset[str] = frozenset()
    canary: str | None = None
    unready: frozenset[str] = frozenset()


def look(raw: Obj, asked: Asked) -> Obj:
    """Return one look at the roll-out, as calico_rollout documents it.

    ``raw``: target, installation, overlay, daemonset, pods (whole), nodes (trimmed: name, os,
    annotations), tigerastatus. Pods have to be read before nodes: an address that a pod stored
    before it became ready is then seen.
    """
    daemonset = raw["daemonset"]
    problems: list[Obj] = []
    fatal: list[Obj] = []
    nodes = {n["name"]: n for n in raw["nodes"]}
    rows = _rows(detection(daemonset), raw["pods"], nodes, asked)
    for name, row in rows.items():
        if row["problem"] and name not in asked.accept:
            (fatal if row["bad"] else problems).append({"node": name, "problem": row["problem"]})
    rendered = _rendered(raw)
    if rendered:
        problems.append({"node": None, "problem": rendered})
    conditions, degraded = _conditions(raw)
    if degraded:
        fatal.append({"node": None, "problem": degraded})
    counts = _counts(daemonset)
    held = _held(daemonset, rows)
    first = [name for name, row in rows.items() if row["current"]]
    behind = _behind(rows, counts, asked)
    all_problem = _unfinished(raw, rows, counts, conditions, behind, asked)
    return {
        "rendered": rendered is None,
        "held": held,
        "first_nodes": sorted(first),
        "nodes": {name: {k: v for k, v in row.items() if k != "bad"} for name, row in rows.items()},
        "conditions": conditions,
        "daemonset": counts,
        "behind": behind,
        "problems": [*fatal, *problems],
        "fatal": bool(fatal),
        "canary_done": rendered is None and not fatal and _canary_done(rows, first, counts, asked),
        "all_done": rendered is None and not fatal and all_problem is None,
        "waiting_for": rendered or all_problem,
        "stalled": _stalled(rows, counts),
    }


def _rows(
    wanted: Obj, pods: Iterable[Obj], nodes: Mapping[str, Obj], asked: Asked
) -> dict[str, Obj]:
    """Return a row per Linux Node that has a pod or is expected to have one."""
    by_node: dict[str, list[Obj]] = {}
    for pod in pods:
        by_node.setdefault(str((pod.get("spec") or {}).get("nodeName")), []).append(pod)
    names = [n for n in nodes if n in by_node or n in asked.expect]
    return {name: _row(wanted, by_node.get(name, []), nodes[name], asked) for name in sorted(names)}


def _row(wanted: Obj, pods: list[Obj], node: Obj, asked: Asked) -> Obj:
    expect = asked.expect.get(node["name"]) or {}
    alive = [p for p in pods if not p["metadata"].get("deletionTimestamp")]
    pod = alive[0] if alive else None
    current = pod is not None and detection({"spec": {"template": pod}}) == wanted
    ready = pod is not None and _ready(pod)
    stored = {f: (node.get("annotations") or {}).get(key) for f, key in _STORED.items()}
    wrong = [f for f in ("v4", "v6") if expect.get(f) and stored[f] != expect[f]]
    problem, bad = _problem(pod, current, ready, wrong, stored, expect)
    if node["name"] in asked.unready and not ready:
        problem, bad = None, False  # so it was
    return {
        "pod": pod["metadata"]["name"] if pod else None,
        "current": current,
        "ready": ready,
        "v4": stored["v4"],
        "v6": stored["v6"],
        "as_expected": not wrong,
        "problem": problem,
        "bad": bad,
    }


def _problem(
    pod: Obj | None,
    current: bool,
    ready: bool,
    wrong: list[str],
    stored: Mapping[str, str | None],
    expect: Mapping[str, str | None],
) -> tuple[str | None, bool]:
    """Return what is wrong on a node, and whether waiting cannot help."""
    if pod is None or not current:
        return None, False  # its turn has not come
    crash = _crash(pod)
    if crash:
        return crash, True
    if not ready:
        return f"calico-node is not ready: {_why_not_ready(pod)}", False
    if wrong:
        said = ", ".join(f"{stored[f] or 'nothing'} instead of {expect[f]}" for f in wrong)
        return f"calico-node is ready and stored {said}", True
    return None, False


def _ready(pod: Obj) -> bool:
    found = (pod.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in found)


def _status(pod: Obj) -> Obj:
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if status.get("name") == fields.CONTAINER:
            found: Obj = status
            return found
    return {}


def _crash(pod: Obj) -> str | None:
    """Return why calico-node keeps ending, None if it does not: it ends with 1 without address."""
    status = _status(pod)
    state = status.get("state") or {}
    waiting = (state.get("waiting") or {}).get("reason")
    ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    if waiting == "CrashLoopBackOff" or (ended.get("exitCode") and not status.get("ready")):
        code = ended.get("exitCode")
        said = f", exit code {code}" if code is not None else ""
        count = status.get("restartCount", 0)
        return (
            f"calico-node cannot start (restarted {count} times{said}); see `kubectl -n "
            f"{pod['metadata']['namespace']} logs {pod['metadata']['name']} -c calico-node -p`"
        )
    return None


def _why_not_ready(pod: Obj) -> str:
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready" and condition.get("message"):
            return str(condition["message"])
    waiting = ((_status(pod).get("state") or {}).get("waiting") or {}).get("reason")
    return str(waiting or (pod.get("status") or {}).get("phase") or "not started")


def _good(row: Obj) -> bool:
    return bool(row["current"] and row["ready"] and row["as_expected"] and not row["problem"])


def _rendered(raw: Obj) -> str | None:
    """Return what the operator has not yet put into the DaemonSet, None if nothing."""
    installation, daemonset = raw["installation"], raw["daemonset"]
    if raw["target"]["kind"] != "Installation" or installation is None:
        return None
    env = detection(daemonset)
    for family in fields.FAMILIES:
        path = fields.field(family)
        name = fields.holder(installation, raw["overlay"], path)
        network = (installation if name == "default" else raw["overlay"])["spec"]
        wanted = method_words((network.get("calicoNetwork") or {}).get(path[-1]))
        variable = fields.variables(family)[1]
        runs_now = (env.get(variable) or {}).get("value")
        if wanted != runs_now:
            return (
                f"the operator has not put the Installation's IPv{family} method ({wanted}) into "
                f"{title({'kind': 'DaemonSet', **_place(daemonset)})} yet, which has {runs_now}"
            )
    return None


def _place(daemonset: Obj) -> Obj:
    return {k: daemonset["metadata"].get(k) for k in ("namespace", "name")}


def _conditions(raw: Obj) -> tuple[dict[str, Obj], str | None]:
    """Return TigeraStatus' conditions, and why the operator gave up on this generation."""
    if raw["target"]["kind"] != "Installation":
        return {}, None
    generation = ((raw["installation"] or {}).get("metadata") or {}).get("generation")
    found: dict[str, Obj] = {}
    for entry in ((raw["tigerastatus"] or {}).get("status") or {}).get("conditions") or ():
        if entry.get("type") in _CONDITIONS:
            seen = entry.get("observedGeneration")
            found[entry["type"]] = {
                "status": entry.get("status"),
                "reason": entry.get("reason"),
                "message": entry.get("message"),
                "observed_generation": seen,
                # Before v1.30 the operator did not tell: then the DaemonSet has to.
                "of_this_generation": seen is None or seen == generation,
            }
    degraded = found.get("Degraded") or {}
    told = degraded.get("observed_generation") is not None and degraded["of_this_generation"]
    invalid = degraded.get("reason") == "InvalidConfigurationError"
    if degraded.get("status") == "True" and told and invalid:
        return found, f"TigeraStatus calico is Degraded: {degraded['message']}"
    return found, None


def _counts(daemonset: Obj) -> Obj:
    meta, status = daemonset["metadata"], daemonset.get("status") or {}
    strategy = (daemonset["spec"].get("updateStrategy") or {}).get("type") or "RollingUpdate"
    return {
        **_place(daemonset),
        "generation": meta.get("generation"),
        "observed_generation": status.get("observedGeneration"),
        "desired": status.get("desiredNumberScheduled", 0),
        "updated": status.get("updatedNumberScheduled", 0),
        "available": status.get("numberAvailable", 0),
        "unavailable": status.get("numberUnavailable", 0),
        "min_ready_seconds": daemonset["spec"].get("minReadySeconds", 0),
        "at_once": at_once(daemonset, status.get("desiredNumberScheduled", 0)),
        "strategy": strategy,
    }


def _behind(rows: Mapping[str, Obj], counts: Obj, asked: Asked) -> list[str]:
    """Return the Nodes that may stay behind and do.

    A node that is not ready takes the place of one that could be restarted. If as many as that may
    not be ready, the roll-out ends with them, and the others keep what they store.
    """
    behind = {n for n in asked.accept if n in rows and not _good(rows[n])}
    stuck = {n for n in asked.unready if n in rows and rows[n]["current"] and not rows[n]["ready"]}
    behind |= {n for n in stuck if rows[n]["as_expected"]}
    if len(stuck) >= counts["at_once"]:
        waiting = {n for n, row in rows.items() if not row["current"] and row["ready"]}
        behind |= {n for n in waiting if rows[n]["as_expected"]}
    return sorted(behind)


def _held(daemonset: Obj, rows: Mapping[str, Obj]) -> bool:
    """Tell whether something holds the roll-out, and nodes are left to be held."""
    counts = _counts(daemonset)
    left = any(not row["current"] for row in rows.values())
    return left and bool(counts["min_ready_seconds"] or counts["strategy"] == "OnDelete")


def _canary_done(rows: Mapping[str, Obj], first: list[str], counts: Obj, asked: Asked) -> bool:
    if asked.canary:
        return asked.canary in rows and _good(rows[asked.canary])
    judged = [name for name in first if name not in asked.accept]
    if not judged or not all(_good(rows[name]) for name in judged):
        return False
    return not counts["min_ready_seconds"] or _come_to_rest(rows, counts, asked)


def _come_to_rest(rows: Mapping[str, Obj], counts: Obj, asked: Asked) -> bool:
    """Tell whether all that go first have gone: maxUnavailable at a time, the unready always."""
    old = {name: row for name, row in rows.items() if not row["current"]}
    taken = len(rows) - len(old)
    for name, row in old.items():
        if row["ready"]:
            continue
        if name not in asked.accept:
            return False  # its pod is being replaced
        taken += 1
    least: int = counts["at_once"]
    return taken >= min(least, len(rows))


def _unfinished(
    raw: Obj,
    rows: Mapping[str, Obj],
    counts: Obj,
    conditions: Mapping[str, Obj],
    behind: list[str],
    asked: Asked,
) -> str | None:
    """Return what is missing until the roll-out is complete, None if nothing is."""
    where = title({"kind": "DaemonSet", **_place(raw["daemonset"])})
    if counts["observed_generation"] != counts["generation"]:
        return f"{where}: the controller has seen generation {counts['observed_generation']} only"
    missing = sorted(n for n in asked.expect if n not in rows and n not in asked.accept)
    if missing:
        return f"no Node is called {', '.join(missing)}"
    waiting = [n for n, row in rows.items() if n not in behind and not _good(row)]
    if waiting:
        return f"nodes not yet as expected: {_some(waiting)}"
    if counts["updated"] < counts["desired"] - len(behind) or counts["unavailable"] > len(behind):
        return (
            f"{where}: {counts['updated']} of {counts['desired']} updated, "
            f"{counts['unavailable']} unavailable"
        )
    for kind, wanted in (("Available", "True"), ("Degraded", "False"), ("Progressing", "False")):
        condition = conditions.get(kind)
        if raw["target"]["kind"] != "Installation" or (behind and kind != "Degraded"):
            continue  # with a node knowingly left behind the operator never calls it available
        if asked.unready.intersection(behind):
            continue  # and one that cannot start is what it calls degraded
        if condition is None or not condition["of_this_generation"]:
            return f"TigeraStatus calico does not tell {kind} of this generation yet"
        if condition["status"] != wanted:
            return f"TigeraStatus calico: {kind} is {condition['status']} ({condition['message']})"
    return None


def _stalled(rows: Mapping[str, Obj], counts: Obj) -> str | None:
    """Return what keeps the roll-out from going on although nobody holds it, None if nothing."""
    left = [name for name, row in rows.items() if not row["current"]]
    if counts["strategy"] != "OnDelete" or not left:
        return None
    return (
        f"updateStrategy is OnDelete: the pods on {_some(left)} keep the former method until "
        "they are deleted"
    )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"


def verdict(seen: Obj, wait: str) -> dict[str, Any]:
    """Return calico_rollout's result of a look.

    ``done``: what was waited for has come. ``stop``: waiting longer cannot help.
    """
    hidden = ("canary_done", "all_done", "waiting_for", "stalled", "fatal")
    result = {k: v for k, v in seen.items() if k not in hidden}
    if wait == "canary":
        done, stop = seen["canary_done"], seen["fatal"]
        waiting = seen["waiting_for"] or "no node has the new method yet"
    else:
        done, stop = seen["all_done"], bool(seen["fatal"] or seen["stalled"])
        waiting = seen["waiting_for"]
        if seen["stalled"]:
            result["problems"] = [*result["problems"], {"node": None, "problem": seen["stalled"]}]
    return {"done": done, "stop": stop, "waiting_for": None if done else waiting, **result}
