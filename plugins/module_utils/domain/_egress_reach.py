# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What probes of a VLAN on several nodes say together: whose port lacks it, who is silent. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Obj = dict[str, Any]

REACHED, TRUNK_MISSING, ONE_WAY = "reached", "trunk-missing", "one-way"
GATEWAY_SILENT, TAG_STRIPPED, WRONG_VLAN = "gateway-silent", "tag-stripped", "wrong-vlan"
UNKNOWN = "unknown"
_PLAYBOOK = "the playbook k8snet.cni.proxmox_vlan_trunk does that on Proxmox VE"


class Asked(NamedTuple):
    """What was asked for on every node."""

    vlan: int
    gateway: str


class Ears(NamedTuple):
    """Of one node: which others it heard on the VLAN, and which heard it."""

    hears: list[str]
    heard_by: list[str]
    gateway: list[Any]


def judge(probes: Mapping[str, Obj], asked: Asked) -> Obj:
    """Return ``{nodes, refusals, taken}``.

    ``probes``: Node -> {interface, result (what vlan_probe returned there, with the others as
    peers by their names), error (instead of a result)}. ``nodes``: Node -> {verdict, evidence,
    remedy (None where it is reached)}. ``taken``: address -> who answered for it, the gateway's
    not among them.
    """
    ears = {name: _ears(name, probes, asked) for name in probes}
    answered = [name for name, found in ears.items() if asked.vlan in found.gateway]
    linked = [name for name, found in ears.items() if found.hears or found.heard_by]
    alive = [name for name in probes if name in answered or name in linked]
    nodes = {name: _of(name, probes[name], ears, answered, alive, asked) for name in probes}
    return {
        "nodes": nodes,
        "refusals": [
            f"{name}: {found['evidence']} {found['remedy']}"
            for name, found in nodes.items()
            if found["verdict"] != REACHED
        ],
        "taken": _taken(probes, asked),
    }


def _result(probe: Obj) -> Obj:
    found: Obj = probe.get("result") or {}
    return found


def _ears(name: str, probes: Mapping[str, Obj], asked: Asked) -> Ears:
    def hears(one: str, other: str) -> bool:
        return asked.vlan in ((_result(probes[one]).get("heard") or {}).get(other) or ())

    others = [other for other in probes if other != name]
    answers = _result(probes[name]).get("answers") or ()
    return Ears(
        [other for other in others if hears(name, other)],
        [other for other in others if hears(other, name)],
        [answer["tag"] for answer in answers if answer["target"] == asked.gateway],
    )


def _of(
    name: str,
    probe: Obj,
    ears: Mapping[str, Ears],
    answered: list[str],
    alive: list[str],
    asked: Asked,
) -> Obj:
    vlan, nic, mine = f"VLAN {asked.vlan}", probe.get("interface") or "its NIC", ears[name]
    trunk = f"Let {vlan} pass tagged on the port of {nic} at the hypervisor or switch ({_PLAYBOOK})"
    if name in answered:
        return _verdict(REACHED, f"{asked.gateway} answers on {vlan}.", None)
    if not _result(probe):
        why = str(probe.get("error") or "it was not asked").rstrip(".")
        return _verdict(UNKNOWN, f"{vlan} was not tried: {why}.", "Repair that.")
    strange = sorted({tag for tag in mine.gateway if tag is not None})
    if None in mine.gateway:
        evidence = f"{asked.gateway} answers without a tag at {nic}: its port hands {vlan} out so."
        return _verdict(TAG_STRIPPED, evidence, f"{trunk}, not as its native or access VLAN.")
    if strange:
        evidence = f"{asked.gateway} answers on VLAN {strange[0]} at {nic}, not on {asked.vlan}."
        return _verdict(WRONG_VLAN, evidence, "Set that VLAN, or see where the tag is changed.")
    if mine.hears and mine.heard_by:
        return _silent(mine, answered, asked, nic)
    if mine.hears or mine.heard_by:
        return _one_way(mine, vlan, nic, trunk)
    return _deaf(name, probe, alive, vlan, trunk)


def _silent(mine: Ears, answered: list[str], asked: Asked, nic: str) -> Obj:
    evidence = (
        f"{asked.gateway} does not answer at {nic}, though {_and(mine.hears)} "
        f"{'is' if len(mine.hears) == 1 else 'are'} heard there on VLAN {asked.vlan}"
    )
    if answered:
        remedy = (
            f"It answers {_and(answered)}: see what lies between this node's hypervisor and the "
            "gateway, its uplink's trunk for example."
        )
    else:
        remedy = (
            "It is down, has another address, or the port of its own lacks the VLAN: see that it "
            "answers ARP there."
        )
    return _verdict(GATEWAY_SILENT, f"{evidence}.", remedy)


def _one_way(mine: Ears, vlan: str, nic: str, trunk: str) -> Obj:
    if mine.hears:
        evidence = f"{_and(mine.hears)} can be heard on {vlan}, but nobody hears what {nic} sends."
    else:
        evidence = f"{_and(mine.heard_by)} can hear it on {vlan}, but at {nic} nothing comes in."
    return _verdict(ONE_WAY, evidence, f"{trunk}, in both directions.")


def _deaf(name: str, probe: Obj, alive: list[str], vlan: str, trunk: str) -> Obj:
    others = [other for other in alive if other != name]
    if others:
        evidence = (
            f"on {vlan} it neither hears anybody nor is heard, while {_and(others)} "
            f"{'has' if len(others) == 1 else 'have'} the VLAN: its port lacks it."
        )
        return _verdict(TRUNK_MISSING, evidence, f"{trunk}.")
    why = str(_result(probe).get("explanation") or "nobody answered.")
    return _verdict(
        UNKNOWN, f"nobody answers on {vlan}, and no node hears another: {why}", f"{trunk}."
    )


def _taken(probes: Mapping[str, Obj], asked: Asked) -> dict[str, str]:
    found: dict[str, str] = {}
    for probe in probes.values():
        for answer in _result(probe).get("answers") or ():
            if answer["tag"] == asked.vlan and answer["target"] != asked.gateway:
                found.setdefault(answer["target"], answer["mac"])
    return found


def _verdict(verdict: str, evidence: str, remedy: str | None) -> Obj:
    return {"verdict": verdict, "evidence": evidence, "remedy": remedy}


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
