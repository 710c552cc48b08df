# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What antrea-agent makes of its configuration, by version: the lab's own reading of it. Pure.

Source: antrea-io/antrea ``cmd/antrea-agent/options.go``, ``pkg/agent/secondarynetwork``; its issues
#6448, #6504, #6666, #7556.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

Obj = dict[str, Any]
Version = tuple[int, ...]

#: The uplink goes into its bridge before flow-restore-wait is cleared (#6448).
UPLINK_FIRST = "uplink-first"
#: A restart with the uplink in its bridge already ends the agent (#6666).
CRASH_ATTACHED = "crash-attached"
BEHAVIOURS = (UPLINK_FIRST, CRASH_ATTACHED)


class Fatal(Exception):
    """The agent logs this and exits."""


@dataclass(frozen=True)
class Bridge:
    """A secondary bridge as configured."""

    name: str
    nics: tuple[str, ...] = ()

    @property
    def moves(self) -> bool:
        """Whether the NIC's addresses move to an internal port: only with exactly one."""
        return len(self.nics) == 1


def version_of(text: str) -> Version:
    """Return "v2.1.3" or "repo/image:v2.1.3" as numbers; what names no version is new."""
    found = re.search(r"v(\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else (99, 0, 0)


def behaviours(version: Version) -> tuple[str, ...]:
    """Return the bugs of a version."""
    out = []
    if version < (2, 1, 0):
        out.append(UPLINK_FIRST)
    if (2, 0, 0) <= version < (2, 1, 3):
        out.append(CRASH_ATTACHED)
    return tuple(out)


def gate(conf: Obj, name: str, default: bool = False) -> bool:
    """Return whether a feature gate is on; those asked for here are alpha, or beta with default."""
    gates = conf.get("featureGates") or {}
    group = "AllBeta" if default else "AllAlpha"
    return bool(gates.get(name, gates.get(group, default)))


def _bridge(entry: Obj, conf: Obj, version: Version) -> Bridge:
    name, nics = entry.get("bridgeName") or "", tuple(entry.get("physicalInterfaces") or ())
    most = 1 if version < (2, 0, 0) else 8
    if not name:
        raise Fatal("secondary network: bridgeName of an OVS bridge is empty")
    if name == (conf.get("ovsBridge") or "br-int"):
        raise Fatal(f"secondary network: OVS bridge {name} is the one of ovsBridge")
    if len(nics) > most:
        raise Fatal(f"secondary network: {len(nics)} physical interfaces, at most {most} supported")
    return Bridge(name, nics)


def secondary(conf: Obj, version: Version) -> Bridge | None:
    """Return the bridge of agent.conf, None without one or with the gate off. Raises Fatal."""
    if not gate(conf, "SecondaryNetwork"):
        return None
    if version >= (2, 5, 0) and not gate(conf, "AntreaIPAM"):
        raise Fatal("feature gate SecondaryNetwork needs feature gate AntreaIPAM")
    bridges = (conf.get("secondaryNetwork") or {}).get("ovsBridges") or []
    if len(bridges) > 1:
        raise Fatal(f"secondary network: {len(bridges)} OVS bridges, at most one is supported")
    return _bridge(bridges[0], conf, version) if bridges else None


def follows_node_configs(conf: Obj, version: Version) -> bool:
    """Return whether AntreaNodeConfigs count: what agent.conf says wins over them."""
    new = version >= (2, 7, 0) and gate(conf, "AntreaNodeConfig", True)
    static = (conf.get("secondaryNetwork") or {}).get("ovsBridges")
    return new and gate(conf, "SecondaryNetwork") and not static


def selects(selector: Obj, labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    for rule in selector.get("matchExpressions") or ():
        there, value = rule["key"] in labels, labels.get(rule["key"])
        inside = there and value in (rule.get("values") or ())
        fits = {"In": inside, "NotIn": not inside, "Exists": there, "DoesNotExist": not there}
        if not fits[rule["operator"]]:
            return False
    return True


def node_config(configs: list[Obj], labels: dict[str, str], conf: Obj) -> Bridge | None:
    """Return the bridge of the oldest AntreaNodeConfig that selects a node with these labels."""
    mine = [c for c in configs if selects(c["spec"].get("nodeSelector") or {}, labels)]
    if not mine:
        return None
    oldest = min(mine, key=lambda c: (c["metadata"]["creationTimestamp"], c["metadata"]["name"]))
    bridges = (oldest["spec"].get("secondaryNetwork") or {}).get("ovsBridges") or []
    if not bridges:
        return None
    # Unlike in agent.conf a NIC is an object here.
    names = [nic["name"] for nic in bridges[0].get("physicalInterfaces") or ()]
    return _bridge({**bridges[0], "physicalInterfaces": names}, conf, (99, 0, 0))
