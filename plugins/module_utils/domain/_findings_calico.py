# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about the address that Calico stored, and the one it would choose next. Pure.

One cause is told once: nodes that share one address are not also told that it is wrong; a NIC
whose arrival moved the address is evidence of that finding and no drift of its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _remedies
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_case import (
    Case,
    Family,
    judged,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._findings_model import (
    CRITICAL,
    WARNING,
    Finding,
    Remedy,
    finding,
    names,
    plural,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import bare


def calico(both: dict[int, Family]) -> list[Finding]:
    """Return the findings CAL001 to CAL005 and CAL008, both families."""
    found: list[Finding] = []
    for group in both.values():
        if not judged(group.calico, group.number):
            continue
        told: set[str] = set()
        for rule in (_duplicates, _missing, _elsewhere, _moving, _nothing, _first_found):
            for entry in rule(group, told):
                found.append(entry)
                told.update(entry.evidence["nodes"])
    return found


def explained_nics(findings: list[Finding]) -> set[tuple[str, str]]:
    """Return (node, NIC) whose drift is already evidence of one of ``findings``."""
    pairs = set()
    for entry in findings:
        if entry.id in ("CAL001", "CAL002"):
            nics = (entry.evidence.get("nic"), (entry.evidence.get("next") or {}).get("interface"))
            pairs |= {(node, nic) for node in entry.evidence["nodes"] for nic in nics if nic}
    return pairs


def _duplicates(family: Family, told: set[str]) -> list[Finding]:
    found = []
    for address, group in family.holders.items():
        if len(group) < 2:
            continue
        nodes = [c.name for c in group]
        rightful = [c.name for c in group if address in c.internal]
        summary = f"{names(nodes)} share the Calico address {address}"
        if len(rightful) == 1:
            summary += f", the InternalIP of {rightful[0]}"
        summary += "; the one that starts next clears its own and calico-node exits."
        evidence = {
            "family": group[0].family,
            "address": address,
            "method": family.settings["method"],
            "per_node": {c.name: _addresses(c) for c in group},
            "candidates": {c.name: family.table(c) for c in group},
        }
        remedy = _remedy(family)
        since = max((c.since for c in group if c.since), default=None)
        found.append(finding("CAL004", nodes, summary, remedy, evidence, since=since))
    return found


def _addresses(case: Case) -> dict[str, Any]:
    return {"stored": case.stored, "internal_ips": case.internal, "next": case.next}


def _missing(family: Family, told: set[str]) -> list[Finding]:
    """One finding per node whose address cannot be found, one for all that do not store theirs."""
    found, silent = [], []
    for case in family.cases:
        if case.stored or not case.detects or case.name in told:
            continue
        if case.next is None or (case.next_ip and not _holder(family, case)):
            silent.append(case)
        elif case.family == 4 or case.internal or case.next_ip:
            # Without any IPv6 on a node of a dual-stack cluster, CAL008 tells.
            found.append(_addressless(family, case))
    return [*([_not_stored(family, silent)] if silent else []), *found]


def _addressless(family: Family, case: Case) -> Finding:
    holder = _holder(family, case)
    prediction = case.next or {}
    summary = f"{case.name} has no Calico IPv{case.family} address stored"
    if holder:
        chosen = prediction["address"]
        summary += f"; {case.method} chooses {chosen}, which {holder} holds, so it is cleared"
    elif not prediction.get("error"):
        summary += f", and {case.method} finds none: {prediction.get('reason')}"
    evidence = {
        "family": case.family,
        "method": case.method,
        "internal_ips": case.internal,
        "next": case.next,
        "held_by": holder,
        "candidates": family.table(case),
    }
    return finding("CAL005", [case.name], summary.rstrip(". ") + ".", _remedy(family), evidence)


def _not_stored(family: Family, cases: list[Case]) -> Finding:
    nodes = [c.name for c in cases]
    case = cases[0]
    summary = f"No Calico IPv{case.family} address is stored for {names(nodes)}"
    if case.next_ip:
        summary += f"; detection would choose {case.next_text}"
        summary += f" on {case.name}" if len(nodes) > 1 else ""
    summary += ": calico-node does not run there, or cannot write it."
    evidence = {
        "family": case.family,
        "method": case.method,
        "per_node": {c.name: _addresses(c) for c in cases},
    }
    pods = f"kubectl -n {_namespace(family.calico)} get pods -o wide"
    if len(nodes) == 1:
        pods += f" --field-selector spec.nodeName={case.name}"
    remedy = Remedy("See why calico-node does not run there.", (pods,))
    return finding("CAL005", nodes, summary, remedy, evidence)


def _holder(family: Family, case: Case) -> str | None:
    """Return another Node that has stored what detection would choose for this one."""
    others = (c for c in family.holders.get(case.next_ip, ()) if c is not case)
    return next((c.name for c in others), None)


def _namespace(calico_facts: dict[str, Any]) -> str:
    daemonset = calico_facts["daemonset"]
    return str(daemonset["namespace"]) if daemonset else "kube-system"


def _elsewhere(family: Family, told: set[str]) -> list[Finding]:
    """Stored address is no InternalIP: critical, or a warning where the method means it."""
    wrong = [
        c
        for c in family.cases
        if c.stored and c.internal and bare(c.stored) not in c.internal and c.name not in told
    ]
    meant = [c for c in wrong if c.deliberate(family.mixed)]
    chosen = {c.name for c in meant}
    found = [_incident(family, c) for c in wrong if c.name not in chosen]
    if meant:
        found.append(_deliberate(family, meant))
    return found


def _deliberate(family: Family, meant: list[Case]) -> Finding:
    case = meant[0]
    unseen = [c.name for c in meant if c.next is None]
    summary = (
        f"{case.method} gives {plural(len(meant), 'node')} an address that is not the InternalIP "
        f"(e.g. {case.name}: {case.stored}); it was set on purpose, so check that it is meant."
    )
    evidence = {
        "family": case.family,
        "method": case.method,
        "source": family.settings["source"],
        "per_node": {c.name: _addresses(c) for c in meant},
        "not_verified": unseen,
    }
    remedy = _remedy(family)
    text = remedy.text.replace("Set the", "Else set the", 1)
    nothing = "Nothing, if Calico is meant to use another network than kubelet."
    remedy = replace(remedy, text=f"{nothing} {text}")
    return finding("CAL001", [c.name for c in meant], summary, remedy, evidence, severity=WARNING)


def _incident(family: Family, case: Case) -> Finding:
    right = case.internal_text
    summary = (
        f"Calico uses {case.stored}{_on(case)} on {case.name} instead of its InternalIP {right}"
    )
    if case.stored_nic is None and case.view.nics is not None:
        summary += "; the address is no longer on the node, Calico keeps it silently"
    elif case.next_ip in case.internal:
        summary += "; the next detection would set it right"
    evidence = _evidence(family, case)
    return finding(
        "CAL001",
        [case.name],
        f"{summary}.{_impact_words(evidence)}",
        _remedy(family),
        evidence,
        since=case.since,
    )


def _moving(family: Family, told: set[str]) -> list[Finding]:
    found = []
    for case in family.cases:
        if not (case.stored and case.repeats and case.next_ip) or case.name in told:
            continue
        if case.next_ip == bare(case.stored):
            continue
        evidence = _evidence(family, case)
        summary = (
            f"Calico's next detection on {case.name} ({_when(family.calico)}) would move its "
            f"address from {case.stored}{_on(case)} to {case.next_text}.{_impact_words(evidence)}"
        )
        severity = WARNING if case.next_ip in case.internal else CRITICAL
        remedy = _remedy(family)
        found.append(finding("CAL002", [case.name], summary, remedy, evidence, severity))
    return found


def _when(facts: dict[str, Any]) -> str:
    """Return when calico-node detects again: with backend none it does not poll (since v3.26)."""
    if facts["backend"] == "none" or not facts["poll_interval"]:
        return "when calico-node restarts"
    return f"within {facts['poll_interval']:g} s"


def _on(case: Case) -> str:
    if not case.stored_nic:
        return ""
    drift = case.drift_of(case.stored_nic)
    how = {"added": "added", "renamed": "renamed", "readdressed": "changed"}
    return f" ({case.stored_nic}{f', {how[drift]} since the baseline' if drift in how else ''})"


def _impact_words(evidence: dict[str, Any]) -> str:
    pods = evidence["dns_pods"]
    if not pods:
        return ""
    return f" {plural(len(pods), 'DNS pod')} on it: pods on other nodes lose DNS."


def _evidence(family: Family, case: Case) -> dict[str, Any]:
    changes = case.changes
    return {
        "family": case.family,
        "host": (case.view.host or {}).get("name"),
        "method": case.method,
        "method_source": family.settings["source"],
        "stored": case.stored,
        "nic": case.stored_nic,
        "internal_ips": case.internal,
        "internal_address": case.internal_address,
        "internal_nic": case.internal_nic,
        "next": case.next,
        "poll_interval": family.calico["poll_interval"],
        "candidates": family.table(case),
        "nic_changes": [c for c in changes if c["name"] in (case.stored_nic, case.next_nic)],
        "baseline_recorded_at": case.baseline_recorded_at,
        "dns_pods": [p for p in family.cluster["dns_pods"] if p["node"] == case.name],
    }


def _nothing(family: Family, told: set[str]) -> list[Finding]:
    """The method matches nothing, and only what is stored keeps the node going."""
    blank = [
        c
        for c in family.cases
        if c.repeats and c.next and c.next["outcome"] == "none" and not c.next["error"]
    ]
    blank = [c for c in blank if c.name not in told]
    if not blank:
        return []
    case = blank[0]
    nodes = [c.name for c in blank]
    why = str((case.next or {}).get("reason") or "").rstrip(". ")
    summary = (
        f"{case.method} finds no IPv{case.family} address on {names(nodes)} ({why}); calico-node "
        "keeps the stored one, and would not start on a node that has none."
    )
    evidence = {
        "family": case.family,
        "method": case.method,
        "per_node": {c.name: _addresses(c) for c in blank},
        "candidates": {c.name: family.table(c) for c in blank},
    }
    return [finding("CAL008", nodes, summary, _remedy(family), evidence)]


def _first_found(family: Family, told: set[str]) -> list[Finding]:
    risky = [c for c in family.cases if c.repeats and c.name not in told and len(c.choices) > 1]
    if not risky or risky[0].method != "first-found":
        return []
    case = risky[0]
    summary = (
        f"first-found chooses among {len(case.choices)} NICs on {case.name}"
        + (f" and {plural(len(risky) - 1, 'other node')}" if len(risky) > 1 else "")
        + f" ({', '.join(case.choices)}; the first wins): a new or re-ordered NIC moves it."
    )
    evidence = {
        "family": case.family,
        "per_node": {c.name: {**_addresses(c), "choices": c.choices} for c in risky},
    }
    remedy = _remedy(family)
    return [finding("CAL003", [c.name for c in risky], summary, remedy, evidence)]


def _remedy(family: Family) -> Remedy:
    method, why = family.recommended
    return _remedies.autodetection(family.calico, family.number, method, why)
