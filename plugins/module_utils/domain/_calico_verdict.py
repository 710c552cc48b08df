# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a change of Calico's autodetection may go on, by what the nodes and the API say. Pure.

Before the change every node probes the addresses that the others would have: that is the last
refusal. After it the same probes are read again. The canary may be no worse than before, since on a
cluster that is half down the fault may sit on a node that is not repaired yet; at the end
everything has to work.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._findings_model import names
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import bare

Probe = dict[str, Any]


def judge_before(decision: dict[str, Any], visits: dict[str, Probe]) -> list[str]:
    """Return a refusal for each address that another node cannot reach.

    ``decision``: what `_calico_decision.decide` returns; ``visits``: Node -> what node_probe
    returned there. A Node that should have probed and is missing counts as not reaching.
    """
    owners = _owners(decision["expect"])
    lost: dict[str, list[str]] = {}
    errors: dict[str, set[str]] = {}
    for node, asked in decision["probes"].items():
        reachable = (visits.get(node) or {}).get("reachable") or {}
        for target in asked["targets"]:
            answer = reachable.get(target["name"]) or {"ok": False, "error": "did not probe"}
            if not answer["ok"]:
                lost.setdefault(target["address"], []).append(node)
                errors.setdefault(target["address"], set()).add(str(answer.get("error")))
    return [
        f"{owners.get(address, 'a node')} would get {address}, which {names(nodes)} cannot "
        f"reach ({'; '.join(sorted(errors[address]))})."
        for address, nodes in sorted(lost.items())
    ]


def judge_after(
    decision: dict[str, Any],
    rollout: dict[str, Any],
    before: dict[str, Probe],
    after: dict[str, Probe],
    only: list[str] | None = None,
) -> list[str]:
    """Return what is wrong after the change, one sentence each; [] is a pass.

    ``rollout``: what calico_rollout returned; ``before`` and ``after``: Node -> node_probe's
    results. ``only``: the Nodes that have been restarted so far (the canary), None for all: then
    nothing is forgiven for having been broken before.
    """
    problems: list[str] = []
    for node, expected in decision["expect"].items():
        if only is not None and node not in only:
            continue
        state = rollout["nodes"].get(node)
        if node not in decision["probes"] and not (state and state["current"] and state["ready"]):
            continue  # it was accepted that nobody sees this node: it may be off
        if state is None or not state["current"]:
            problems.append(f"{node}: calico-node does not run with the new method yet.")
            continue
        problems += _addresses(node, expected, state)
        if node in decision["probes"]:
            problems += _from_node(node, before.get(node), after.get(node), strict=only is None)
    if only is None:
        # Those of a node are told above, in the words of what was predicted for it.
        problems += [str(p["problem"]) for p in rollout["problems"] if not p["node"]]
    return problems


def _owners(expect: dict[str, dict[str, str | None]]) -> dict[str, str]:
    return {bare(a): node for node, both in expect.items() for a in both.values() if a}


def _addresses(node: str, expected: dict[str, str | None], state: dict[str, Any]) -> list[str]:
    problems = []
    for key, wanted in expected.items():
        stored = state[key]
        # Of a node that was not visited the prefix is not known.
        same = stored == wanted if wanted and "/" in wanted else bare(stored) == bare(wanted)
        if wanted and not same:
            problems.append(f"{node}: Calico stores {stored or 'no address'}, predicted {wanted}.")
    if not state["ready"]:
        problems.append(f"{node}: {state['problem'] or 'calico-node is not ready'}.")
    return problems


def _from_node(node: str, before: Probe | None, after: Probe | None, strict: bool) -> list[str]:
    if after is None:
        return [f"{node}: could not be reached after the change, so nothing is known of it."]
    known = before or {}
    problems = []
    for name, answer in after["reachable"].items():
        worked = (known.get("reachable") or {}).get(name, {}).get("ok")
        if not answer["ok"] and (strict or worked):
            problems.append(f"{node}: does not reach {name}: {answer['error']}.")
    answered = {entry["server"]: entry["ok"] for entry in known.get("dns") or ()}
    for entry in after["dns"]:
        # None: there was no pod to ask from.
        if entry["ok"] is False and (strict or answered.get(entry["server"])):
            problems.append(
                f"{node}: a pod gets no answer from DNS at {entry['server']}: {entry['error']}."
            )
    problems += _sessions(node, known.get("bgp"), after.get("bgp"), strict)
    tunnel = after.get("vxlan")
    if tunnel and not tunnel["as_expected"]:
        problems.append(
            f"{node}: the VXLAN device has local {tunnel['local']} on {tunnel['parent']}."
        )
    return problems


def _sessions(node: str, before: Probe | None, after: Probe | None, strict: bool) -> list[str]:
    if not after or not after["missing"]:
        return []
    had = set((before or {}).get("established") or ())
    lost = [peer for peer in after["missing"] if strict or peer in had]
    return [f"{node}: no BGP session with {', '.join(lost)}."] if lost else []
