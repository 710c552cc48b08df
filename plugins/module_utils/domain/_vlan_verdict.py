# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the frames that came in, and those that did not, say of a VLAN's way to a NIC. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Answer(NamedTuple):
    """``target`` answered with ``tag`` (None: untagged) after ``ms`` milliseconds."""

    target: str
    mac: str
    tag: int | None
    ms: float


class Heard(NamedTuple):
    """All that came in while it listened: answers; of each peer the tags (None: untagged) of its
    frames; how many frames of each tag."""

    answers: tuple[Answer, ...] = ()
    peers: Mapping[str, frozenset[int | None]] = {}
    frames: Mapping[int | None, int] = {}


class Verdict(NamedTuple):
    """``missing``: targets without an answer on the VLAN. ``unheard``: peers not heard on it."""

    verdict: str
    missing: tuple[str, ...]
    unheard: tuple[str, ...]
    explanation: str | None


def judge(
    interface: str, vlan: int | None, targets: Iterable[str], peers: Iterable[str], heard: Heard
) -> Verdict:
    """Return what is proved, and for what is not, what would explain it, with the evidence.

    ``reached``: a target answered. ``peers-only``: none did, but a peer was heard on the VLAN.
    ``tag-stripped``, ``wrong-vlan``: answers came back without the tag, or with another one.
    ``nothing-heard``: other frames came in, of the VLAN none. ``no-answer``: anything else.

    :param vlan: the VLAN asked for, None for untagged.
    """
    there = {answer.target for answer in heard.answers if answer.tag == vlan}
    missing = tuple(target for target in targets if target not in there)
    near = sorted(name for name, tags in heard.peers.items() if vlan in tags)
    unheard = tuple(name for name in peers if name not in near)
    explanation = None
    if there:
        verdict = "reached"
        if missing:
            explanation = f"Others than {', '.join(missing)} answered: these are down or silent."
    elif near:
        verdict = "peers-only"
        if missing:
            explanation = (
                f"{_name(vlan)} reaches {interface}, since {', '.join(near)} was heard on it. "
                f"{', '.join(missing)} is silent: down, not of this address, or its own port lacks "
                "the VLAN."
            )
    else:
        verdict, explanation = _silence(interface, vlan, heard)
    return Verdict(verdict, missing, unheard, explanation)


def _silence(interface: str, vlan: int | None, heard: Heard) -> tuple[str, str]:
    name = _name(vlan)
    tags = sorted({answer.tag for answer in heard.answers}, key=_order)
    if None in tags:
        return "tag-stripped", (
            f"Answers came back without a tag: the port of {interface} hands {name} out untagged, "
            "as its native or access VLAN. Make the VLAN a tagged member (trunk) of the port, or "
            "use the NIC untagged."
        )
    if tags:
        return "wrong-vlan", (
            f"Answers came back on {' and '.join(map(_name, tags))}, not on {name}: the switch "
            "changes the tag, or another VLAN is meant."
        )
    if heard.frames.get(vlan):
        return "no-answer", (
            f"Frames of {name} come in at {interface} ({heard.frames[vlan]} did), so that it is "
            "carried towards the node. Nobody answered: the targets are down, or the port drops "
            "what the node sends."
        )
    if any(heard.frames.values()):
        seen = ", ".join(f"{_name(t)}: {heard.frames[t]}" for t in sorted(heard.frames, key=_order))
        return "nothing-heard", (
            f"Of {name} nothing came in at {interface}, while other frames did ({seen}). Most "
            "likely the port of the hypervisor or switch lacks the VLAN in its trunk, or the "
            "bridge is not VLAN-aware. A VLAN without any host looks the same."
        )
    return "no-answer", (
        f"Nothing at all came in at {interface}. Silence proves nothing: a trunk that lacks the "
        "VLAN, targets that are down and an idle network look the same."
    )


def _name(vlan: int | None) -> str:
    return "untagged" if vlan is None else f"VLAN {vlan}"


def _order(tag: int | None) -> int:
    return -1 if tag is None else tag
