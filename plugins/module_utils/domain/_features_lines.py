# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan about feature gates as a person reads it. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._plan_lines import (
    labelled,
    listed,
    table,
)

Obj = dict[str, Any]


def lines(plan: Obj, width: int) -> list[str]:
    """Return what changes and why, in which order, what an upgrade breaks, what bars it."""
    found = _labelled("PLAN", _what(plan), width)
    for text in plan["steps"]:
        found += _labelled("Change", text, width)
    for text in plan["pulled"]:
        found += _labelled("Along", f"{text}.", width)
    order = _order(plan) if plan["pending"] else ""
    if order:
        found += _labelled("Order", order, width)
        found += ["", *_table(plan)]
    for label, key in (("UPGRADE", "upgrade"), ("WARNING", "warnings"), ("REFUSED", "refusals")):
        found += listed(label, [" ".join(text.split()) for text in plan[key]], width)
    return found


def _what(plan: Obj) -> str:
    words = {True: "on", False: "off", None: "as by default"}
    gates = plan["settings"]["feature_gates"]
    said = ", ".join(f"{name} {words[value]}" for name, value in gates.items())
    return f"Feature gates of Antrea {plan['version'] or ''}".rstrip() + f": {said or 'none'}."


def _order(plan: Obj) -> str:
    changing = [name for name in plan["order"] if plan["nodes"][name]["changes"]]
    parts = ["The configuration is written."] if plan["writes"] else []
    if plan["controller"]:
        parts.append("Antrea's controller is started anew.")
    if changing:
        parts.append(
            f"{len(changing)} agents are started anew one by one, {changing[0]} first. Each has to "
            "run with these gates and to report itself before the next one's turn."
        )
    if plan["canary"]:
        parts.append(
            f"If {plan['canary']} fails, the configuration goes back. No other has read it."
        )
    elif changing:
        parts.append("The first that fails stops; others run with the change already.")
    if plan["marks"] or plan["strict_arp"]:
        parts.append("When all run with these gates, annotations are set.")
    return " ".join(parts)


def _table(plan: Obj) -> list[str]:
    rows = [("Node", "role", "its agent")]
    for name in plan["order"]:
        node = plan["nodes"][name]
        role = "control plane" if node["control_plane"] else "worker"
        rows.append((name, role, node["why"] or "stays"))
    return table(rows)


def _labelled(label: str, text: str, width: int) -> list[str]:
    # What an agent said last has lines of its own.
    return labelled(label, " ".join(text.split()), width)
