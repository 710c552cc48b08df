# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a change of Calico's method, as a person reads it before saying yes. Pure."""

from __future__ import annotations

import textwrap
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_probes import probes_text

_LABEL = 8
_MOST_NODES = 60


def plan_lines(decision: dict[str, Any], calico: dict[str, Any], width: int = 100) -> list[str]:
    """Return the lines of a plan: what is changed, each node's address before and after, refusals.

    ``decision``: see `_calico_decision.decide`; ``calico``: what calico_info returned.
    """
    target = calico["target"] or {"kind": "nothing", "namespace": None, "name": ""}
    place = f"{target['namespace']}/" if target["namespace"] else ""
    methods = [f"IPv{key[1]} {method}" for key, method in decision["methods"].items() if method]
    wanted = ", ".join(methods) or "no family to change"
    lines = _labelled("PLAN", f"{target['kind']} {place}{target['name']}: {wanted}", width)
    lines += _labelled("Window", decision["hold"]["text"], width)
    lines += _labelled("Probes", probes_text(decision["probes"]), width)
    lines += ["", *_table(decision["table"])]
    for node in decision["unverified"]:
        lines += _labelled("Unseen", f"{node}: its address cannot be predicted.", width)
    for refusal in decision["refusals"]:
        lines += _labelled("REFUSED", refusal, width)
    return lines


def leftover_lines(found: dict[str, dict[str, Any]], clean: bool, width: int = 100) -> list[str]:
    """Return the lines about interfaces that an earlier cluster left, and those that block.

    ``found``: Node -> what calico_interfaces returned there; ``clean``: whether they are to go.
    """
    lines: list[str] = []
    fate = "It is removed." if clean else "It stays; calico_autodetection_clean_interfaces=true"
    fate += "" if clean else " removes it."
    for node, seen in sorted(found.items()):
        for entry in seen["leftovers"]:
            what = entry["name"]
            if entry["remove"] == "addresses":
                what = f"{', '.join(entry['addresses'])} on {what}"
            lines += _labelled("Left", f"{node}: {what}: {entry['reason']}. {fate}", width)
        for entry in seen["blockers"]:
            text = f"{node}: {entry['name']}: {entry['reason']}. {entry['remedy']}"
            lines += _labelled("Blocked", text, width)
    return lines


def _table(rows: list[dict[str, Any]]) -> list[str]:
    """Return before and after of each node, those that change first."""
    shown = sorted(rows, key=lambda row: (not row["changes"], row["node"], row["family"]))
    cells = [("Node", "now", "then", "")]
    for row in shown[:_MOST_NODES]:
        nic = f" ({row['interface']})" if row["interface"] else ""
        note = "changes" if row["changes"] else ""
        cells.append((row["node"], row["before"] or "none", f"{row['after'] or '?'}{nic}", note))
    wide = [max(len(line[i]) for line in cells) for i in range(3)]
    lines = [f"{a:{wide[0]}}  {b:{wide[1]}}  {c:{wide[2]}}  {d}".rstrip() for a, b, c, d in cells]
    if len(rows) > _MOST_NODES:
        same = sum(not row["changes"] for row in shown[_MOST_NODES:])
        lines.append(f"... and {len(rows) - _MOST_NODES} more, {same} of them unchanged")
    return lines


def _labelled(label: str, text: str, width: int) -> list[str]:
    margin = " " * (_LABEL + 1)
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        lines += textwrap.wrap(
            paragraph,
            width,
            initial_indent=margin,
            subsequent_indent=margin,
            break_long_words=False,
            break_on_hyphens=False,
            drop_whitespace=True,
        )
    return [f"{label:{_LABEL}} {lines[0].lstrip()}", *lines[1:]]
