# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What came of a run of antrea_flow_restore, and what is left to people. Pure."""

from __future__ import annotations

from typing import Any

Obj = dict[str, Any]


def result(plan: Obj, outcomes: dict[str, Obj], healed: Obj, access: Obj) -> Obj:
    """Return ``{lines, left}``.

    ``plan``: of `_flow_restore_plan.plan`. ``outcomes``: host -> what was done: ``at`` (when it
    was cleared), ``gone`` (it was no longer set), ``error``; nothing where nothing was done.
    ``healed``: what antrea_agent said, without ``agents`` if not asked. ``access``: of
    cluster_info.

    ``left``: what people have to see to, in sentences; ``lines``: that and what was done, to print.
    """
    left = list(plan["left"])
    lines: list[str] = []
    first = next((host for host in plan["to_clear"] if outcomes.get(host, {}).get("error")), None)
    for host in plan["to_clear"]:
        outcome = outcomes.get(host) or {}
        if outcome.get("at"):
            lines.append(f"{host}: cleared at {outcome['at']}.")
        elif outcome.get("gone"):
            lines.append(f"{host}: no longer set, nothing was done.")
        if outcome.get("error"):
            left.append(f"{host}: {outcome['error']}")
        elif not outcome.get("at") and not outcome.get("gone"):
            left.append(f"{host} was not touched, because {first or 'one before it'} failed.")
    if healed.get("failed"):
        left.append(f"The agents have not healed. {healed.get('msg')}")
    elif "agents" in healed:
        lines += [_well(agent) for agent in healed["agents"]]
    elif any((outcomes.get(host) or {}).get("at") for host in plan["to_clear"]):
        why = access.get("error") or "these hosts are no Nodes of a cluster with Antrea."
        lines.append(f"NOT SEEN  Whether the agents heal: {why}")
    lines += [f"LEFT TO YOU  {sentence}" for sentence in left]
    return {"lines": lines or ["Nothing was to be done."], "left": left}


def _well(agent: Obj) -> str:
    return f"{agent['node']}: Ready, its agent has reported at {agent['heartbeat']}."
