# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether flow-restore-wait is stuck on a node, and whether it may be cleared. Pure.

While the key is set, ovs-vswitchd touches no packet. Antrea's ``start_ovs`` sets it, its agent
deletes it once the flows are installed; an agent that cannot reach the API over the very bridge
that waits for it never does (antrea issue 6448).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan, Step

KEY = "flow-restore-wait"
TARGET = f"Open_vSwitch other_config:{KEY}"

#: What flows say about a bridge: Antrea's cookie is there, is not, or they could not be read.
ANTREA, NONE, UNREADABLE = "antrea", "none", "unreadable"

#: Every word that `Verdict.code` can be, with its meaning.
CODES = {
    "unknown": "the node could not be judged",
    "no_ovs": "there is no Open vSwitch",
    "not_set": "the key is not set",
    "vswitchd_down": "ovs-vswitchd does not run",
    "vswitchd_unseen": "the age of ovs-vswitchd cannot be seen",
    "vswitchd_young": "ovs-vswitchd has just been started",
    "agent_young": "antrea-agent has just been started",
    "refused": "stuck, but clearing would turn network policies off on a node that is reachable",
    "policies_kept": "stuck, and Antrea's flows are there",
    "cut_off": "stuck, without Antrea's flows, and the node is cut off by it",
    "forced": "cleared because of force",
}

_RESERVED = 0x0000_00FF_0000_0000


def is_antrea(cookie: int) -> bool:
    """Whether a flow's cookie is one of Antrea's.

    From the highest bit: 16 bits round, counted from 1 at each start of the agent; 8 bits category;
    8 bits reserved, 0; 32 bits object (antrea ``pkg/agent/openflow/cookie/allocator.go``). The
    round that the bridge's ``roundNum`` holds is written 10 s after the flows, so that any does.
    """
    return cookie >> 48 != 0 and cookie & _RESERVED == 0


@dataclass(frozen=True)
class Flows:
    """What was read of one bridge's flows. ``state`` is ANTREA, NONE or UNREADABLE."""

    bridge: str
    state: str
    count: int = 0
    error: str | None = None

    def shown(self) -> dict[str, Any]:
        return {
            "bridge": self.bridge,
            "state": self.state,
            "flows": self.count,
            "error": self.error,
        }


@dataclass(frozen=True)
class Seen:
    """A node as it was found.

    Ages in seconds. ``agent_age`` is None when antrea-agent does not run. ``flows`` has one entry
    for each bridge that carries pods. ``own_on_bridge`` names the OVS port that holds the node's
    own address. ``set_for`` is how long somebody who keeps watch has seen the key set.
    """

    is_set: bool
    vswitchd_running: bool | None = None
    vswitchd_uptime: int | None = None
    agent_age: int | None = None
    flows: tuple[Flows, ...] = ()
    own_on_bridge: str | None = None
    set_for: int | None = None

    def evidence(self) -> dict[str, Any]:
        return {
            "vswitchd_running": self.vswitchd_running,
            "vswitchd_uptime": self.vswitchd_uptime,
            "agent_age": self.agent_age,
            "flows": [flows.shown() for flows in self.flows],
            "own_address_on": self.own_on_bridge,
        }


@dataclass(frozen=True)
class Options:
    """``min_age`` and ``agent_min_age`` in seconds."""

    min_age: int = 300
    agent_min_age: int = 120
    force: bool = False


@dataclass(frozen=True)
class Verdict:
    """``wait``: in how many seconds to ask again, None when time changes nothing."""

    act: bool
    stuck: bool
    code: str
    reason: str
    warnings: tuple[str, ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict)
    wait: int | None = None

    def shown(self) -> dict[str, Any]:
        return {
            "act": self.act,
            "stuck": self.stuck,
            "code": self.code,
            "reason": self.reason,
            "warnings": list(self.warnings),
            "evidence": self.evidence,
            "wait": self.wait,
        }


#: Before anything was seen.
UNKNOWN = Verdict(False, False, "unknown", "The node could not be judged.")


def judge(seen: Seen, options: Options) -> Verdict:
    """Return whether the key is stuck and is to be cleared, and why."""
    evidence = seen.evidence()
    if not seen.is_set:
        return Verdict(False, False, "not_set", f"{KEY} is not set.", evidence=evidence)
    if seen.vswitchd_running is False:
        reason = (
            f"ovs-vswitchd does not run: clearing {KEY} would forward nothing, and its start sets "
            "the key again. Start it first (container antrea-ovs)."
        )
        return Verdict(False, False, "vswitchd_down", reason, evidence=evidence)
    early = _too_early(seen, options)
    warnings = tuple(_warnings(seen))
    if options.force:
        over = (f"Forced although: {early[1]}",) if early else ()
        reason = f"{KEY} is cleared because force was given."
        return Verdict(True, not early, "forced", reason, over + warnings, evidence)
    if early:
        code, reason, wait = early
        return Verdict(False, False, code, reason, evidence=evidence, wait=wait)
    return _stuck(seen, warnings, evidence)


def _too_early(seen: Seen, options: Options) -> tuple[str, str, int | None] | None:
    """Why the key cannot be called stuck yet: code, reason, seconds to wait."""
    uptime, agent = seen.vswitchd_uptime, seen.agent_age
    if uptime is None:
        return "vswitchd_unseen", "How long ovs-vswitchd has been running cannot be seen.", None
    if uptime < options.min_age:
        wait = options.min_age - uptime
        reason = (
            f"ovs-vswitchd has been running for {uptime} s; not before {options.min_age} s is "
            f"{KEY} called stuck."
        )
        return "vswitchd_young", reason, wait
    # An agent that dies and is started again and again is always young: somebody who has watched
    # that for long enough does not wait for it.
    watched = seen.set_for is not None and seen.set_for >= options.min_age + options.agent_min_age
    if agent is not None and agent < options.agent_min_age and not watched:
        reason = (
            f"antrea-agent was started {agent} s ago and may clear {KEY} itself; it is given "
            f"{options.agent_min_age} s."
        )
        return "agent_young", reason, options.agent_min_age - agent
    return None


def _stuck(seen: Seen, warnings: tuple[str, ...], evidence: dict[str, Any]) -> Verdict:
    since = f"{KEY} is set, and ovs-vswitchd has been running for {seen.vswitchd_uptime} s"
    if _policies_kept(seen):
        reason = f"{since}. Antrea's flows are there, so that network policies stay in force."
        return Verdict(True, True, "policies_kept", reason, warnings, evidence)
    if seen.own_on_bridge:
        reason = (
            f"{since}. The node's own address is on {seen.own_on_bridge}, a port of Open vSwitch: "
            "the node is cut off."
        )
        return Verdict(True, True, "cut_off", reason, warnings, evidence)
    reason = (
        f"{since}, but clearing it would make {_without(seen)} a learning switch without network "
        "policies, and the node's own address is not on a bridge: it is not cut off. See why "
        "antrea-agent does not install its flows, or set force."
    )
    return Verdict(False, True, "refused", reason, evidence=evidence)


def _policies_kept(seen: Seen) -> bool:
    return bool(seen.flows) and all(flows.state == ANTREA for flows in seen.flows)


def _without(seen: Seen) -> str:
    names = [flows.bridge for flows in seen.flows if flows.state != ANTREA]
    return ", ".join(names) if names else "the bridges"


def _warnings(seen: Seen) -> list[str]:
    """What clearing brings about that people should know."""
    found = [
        f"The flows of {flows.bridge} could not be read ({flows.error}): taken as not Antrea's."
        for flows in seen.flows
        if flows.state == UNREADABLE
    ]
    if not _policies_kept(seen):
        found.append(
            f"Network policies are off on {_without(seen)} until antrea-agent is back: it has no "
            "flows of Antrea's and works as a learning switch."
        )
    return found


def plan(verdict: Verdict, was: str | None) -> Plan:
    """What the verdict asks for."""
    if not verdict.act:
        return Plan()
    return Plan(
        (
            Step(
                f"Clear {KEY}, so that ovs-vswitchd forwards again",
                TARGET,
                {KEY: was},
                {},
                # Flows left in the kernel give way to whatever the bridge has.
                cuts_connectivity=bool(verdict.warnings),
            ),
        )
    )


def pod_bridges(bridges: Sequence[dict[str, Any]]) -> list[str]:
    """The bridges of ``k8snet_ovs`` on which network policies live; all where none is known.

    A secondary bridge has no flows of Antrea's, ever.
    """
    return [str(b["name"]) for b in bridges if _carries_pods(b)] or [
        str(b["name"]) for b in bridges
    ]


def _carries_pods(bridge: dict[str, Any]) -> bool:
    ids, kinds = bridge.get("external_ids") or {}, bridge.get("port_kinds") or {}
    if ids.get("antrea-type") == "secondary-bridge":
        return False
    named = "roundNum" in ids or bridge.get("name") == "br-int"
    gateway = "antrea-gw0" in (bridge.get("internal_ports") or ())
    return named or gateway or bool(kinds.get("tunnel"))


def own_port(
    facts: dict[str, Any],
    default_devices: Iterable[str],
    addresses: dict[str, list[str]],
    own: Iterable[str] = (),
) -> str | None:
    """The OVS port that holds the node's own address, None when the node is not cut off by OVS.

    The node's own addresses are ``own``; without any, those of the device of the default route;
    without one, those that came from a NIC in a bridge. Only ports of bridges with an uplink count:
    the address of antrea-gw0 is the pods' gateway.

    :param facts: ``k8snet_ovs``.
    :param addresses: link name to addresses with prefix.
    """
    ports = _uplinked_ports(facts)
    wanted = {text.partition("/")[0] for text in own}
    devices = [
        name for name, held in addresses.items() if wanted & {a.partition("/")[0] for a in held}
    ]
    if not wanted:
        devices = list(default_devices)
        heirs = {str(e["addresses_on"]) for e in facts.get("enslaved") or () if e["bridge"]}
        devices = devices or sorted(name for name in heirs if addresses.get(name))
    return next((name for name in devices if name in ports), None)


def _uplinked_ports(facts: dict[str, Any]) -> set[str]:
    """Internal ports, and the NICs themselves, of bridges that have a NIC in them."""
    found: set[str] = set()
    for bridge in facts.get("bridges") or ():
        if bridge["uplinks"]:
            found.update(bridge["internal_ports"], bridge["uplinks"])
    return found - {"antrea-gw0"}
