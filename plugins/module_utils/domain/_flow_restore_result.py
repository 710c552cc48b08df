# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What came of a run of antrea_flow_restore, and what is left to people. Pure."""

from __future__ import annotations

import re
from typing import Any

Obj = dict[str, Any]

#: Between these an agent ends when its NIC is in the secondary bridge already (#6666).
_ENDS_SINCE, _ENDS_UNTIL = (2, 0, 0), (2, 1, 3)
_SAID = re.compile(r"already attached|attached already", re.IGNORECASE)
_MOST_SAID = 200


def result(
    plan: Obj, outcomes: dict[str, Obj], healed: Obj, access: Obj, antrea: Obj | None = None
) -> Obj:
    """Return ``{lines, left}``.

    ``plan``: of `_flow_restore_plan.plan`. ``outcomes``: host -> what was done: ``at`` (when it
    was cleared), ``gone`` (it was no longer set), ``error``; nothing where nothing was done.
    ``healed``: what antrea_agent said, without ``agents`` if not asked. ``access``: of
    cluster_info. ``antrea``: of cluster_info, if it was seen.

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
        left += _attached(healed.get("agents") or [], antrea or {})
    elif "agents" in healed:
        lines += [_well(agent) for agent in healed["agents"]]
    elif any((outcomes.get(host) or {}).get("at") for host in plan["to_clear"]):
        why = access.get("error") or "these hosts are no Nodes of a cluster with Antrea."
        lines.append(f"NOT SEEN  Whether the agents heal: {why}")
    lines += [f"LEFT TO YOU  {sentence}" for sentence in left]
    return {"lines": lines or ["Nothing was to be done."], "left": left}


def _well(agent: Obj) -> str:
    return f"{agent['node']}: Ready, its agent has reported at {agent['heartbeat']}."


def _attached(agents: list[Obj], antrea: Obj) -> list[str]:
    """Return what is wrong with agents that end at each start because their NIC is in its bridge.

    They say so, or do not come up while the version has that bug and one NIC is in a bridge: of
    several none is renamed, and the agent does not look for its uplink's name.
    """
    version = _numbers(str(antrea.get("version") or ""))
    bridge = next(iter(antrea.get("secondary_bridges") or ()), None) or {}
    nics = bridge.get("interfaces") or []
    prone = version is not None and _ENDS_SINCE <= version < _ENDS_UNTIL and len(nics) == 1
    found = []
    for agent in agents:
        error = str(agent.get("error") or "")
        told = _SAID.search(error) is not None
        ended = bool(error or agent.get("waiting"))
        if agent.get("ready") or not agent.get("pod") or not (told or (prone and ended)):
            continue
        nic = f"{nics[0]} is in bridge {bridge.get('name')}" if nics else "its NIC is in its bridge"
        reason = f"it said: {error[:_MOST_SAID]}" if error else f"its pod is in {agent['waiting']}"
        found.append(
            f"{agent['node']}: flow-restore-wait is cleared, but antrea-agent ends at each start "
            f"({reason}). Antrea v2.0.0 to v2.1.2 does so when {nic} already (#6666)"
            f"{'' if told else ', and this is ' + str(antrea['version'])}. Upgrade Antrea to v2.2 "
            "or newer, or take the secondary bridge away "
            "(k8snet.cni.antrea_secondary_network with antrea_secondary_network_state=absent). "
            f"Its log: kubectl -n {antrea.get('namespace') or 'kube-system'} logs {agent['pod']} "
            "-c antrea-agent --previous"
        )
    return found


def _numbers(version: str) -> tuple[int, ...] | None:
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found else None
