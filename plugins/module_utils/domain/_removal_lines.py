# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan about kube-proxy as a person reads it. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._plan_lines import (
    labelled,
    listed,
    table,
)

Obj = dict[str, Any]


def lines(plan: Obj, width: int) -> list[str]:
    """Return what happens, in which order, what goes on each node, what warns and what bars it."""
    found = labelled("PLAN", _what(plan), width)
    if plan["state"] == "absent":
        found += labelled("API", f"Agents and controller use {plan['override'] or '?'}", width)
    found += labelled("Order", _order(plan), width)
    if plan["deletes"]:
        text = f"{', '.join(plan['objects'])} are deleted in the end"
        if plan["disables"]:
            text += "; ConfigMap kube-system/kubeadm-config gets proxy.disabled: true"
        found += labelled("Objects", text, width)
    found += ["", *_table(plan)]
    for text in plan["advice"]:
        found += labelled("ADVICE", text, width)
    for label, key in (("WARNING", "warnings"), ("REFUSED", "refusals")):
        found += listed(label, plan[key], width)
    return found


def refused(refusals: list[str], width: int) -> list[str]:
    """Return the lines of a plan that could not be made."""
    return [line for text in refusals for line in labelled("REFUSED", text, width)]


def _what(plan: Obj) -> str:
    who = f"kube-proxy ({plan['mode']} mode, {plan['distribution']})"
    antrea = f"Antrea {plan['version'] or ''}".rstrip()
    if plan["state"] == "present":
        return f"{who} comes back. AntreaProxy of {antrea} leaves Services to it again in the end."
    return f"{who} is removed; AntreaProxy of {antrea} serves Services instead"


def _order(plan: Obj) -> str:
    changing = [name for name in plan["order"] if plan["nodes"][name]["changes"]]
    if plan["state"] == "present":
        return (
            "Labels are taken off and objects made again; kube-proxy writes its own rules; every "
            "node is verified; then agents are restarted one by one."
        )
    if not changing:
        return "Nothing is left to do on the nodes that were seen."
    return (
        "Agents are restarted one by one and have to serve, while kube-proxy still runs. The "
        "affinity that is added to its DaemonSet restarts its pods once. Then "
        f"{len(changing)} nodes one after the other, {changing[0]} as the canary: its pod goes, "
        "what it left is removed, every kind of Service is tried. The first failure stops: "
        "kube-proxy comes back on that node."
    )


def _table(plan: Obj) -> list[str]:
    rows = [("Node", "role", "then")]
    for name in plan["order"]:
        node = plan["nodes"][name]
        role = "control plane" if node["control_plane"] else "worker"
        rows.append((name, role, _then(node, plan["state"])))
    rows += [(name, "unseen", _unseen(plan, name)) for name in plan["unseen"]]
    return table(rows)


def _then(node: Obj, state: str) -> str:
    if state == "present":
        return "kube-proxy comes back" if node["changes"] else "stays"
    if not node["changes"]:
        return "is free of kube-proxy"
    return f"{node['goes']} go" if node["goes"] else "its pod goes; nothing is left there"


def _unseen(plan: Obj, name: str) -> str:
    if plan["state"] == "absent":
        return "keeps its kube-proxy" if plan["present"] else "stays as it is"
    return "nobody waits for it" if name in plan["accepted"] else "kube-proxy is awaited there"
