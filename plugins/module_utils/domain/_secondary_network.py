# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether, and how, a secondary bridge may be set up through Antrea, or taken away. Pure.

Sources: antrea-io/antrea docs/secondary-network.md, pkg/agent/secondarynetwork, cmd/antrea-agent
options; issues #6108, #6448, #6504, #6666, #7556.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _secondary_nic as nic_rules
from ansible_collections.k8snet.cni.plugins.module_utils.domain._secondary_nic import Seen, Uplinks

PRESENT, ABSENT = "present", "absent"
CONFIG_MAP, NODE_CONFIG, AUTO = "configmap", "nodeconfig", "auto"
#: Label by which nodes are given to our AntreaNodeConfig one at a time.
LABEL = "k8snet.cni/secondary-bridge"

_LONGEST_NAME = 15
_MOST_NICS = 8
#: First versions that have the bridge, several NICs, a moved primary NIC; whose bugs are mended.
_SINCE_BRIDGES, _SINCE_SEVERAL, _SINCE_PRIMARY = (1, 15), (2, 0), (2, 0)
_MENDED = (2, 2)
_NEEDS_IPAM, _NODE_CONFIGS, _SNOOPING = (2, 5), (2, 7), (2, 4)


@dataclass(frozen=True)
class Antrea:
    """What is known of Antrea. ``bridges``: secondaryNetwork.ovsBridges of its ConfigMap.

    ``gates``: what is in force with the ConfigMap as it is; ``node_configs``: AntreaNodeConfigs,
    whole; ``has_node_configs``, ``has_attachments``: whether the CRDs are there.
    """

    version: tuple[int, ...]
    ovs_bridge: str
    gates: dict[str, bool]
    bridges: tuple[dict[str, Any], ...] = ()
    node_configs: tuple[dict[str, Any], ...] = ()
    has_node_configs: bool = False
    has_attachments: bool = True

    @property
    def shown(self) -> str:
        return "v" + ".".join(str(part) for part in self.version)


@dataclass(frozen=True)
class Want:
    """What is asked for. ``via``: configmap, nodeconfig, or auto."""

    state: str
    uplinks: Uplinks
    snooping: bool = False
    via: str = AUTO


@dataclass
class Decision:
    """What was decided: it may be done if ``refusals`` is empty. ``nodes``: see `decide`."""

    via: str
    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)


def decide(antrea: Antrea, want: Want, nodes: list[Seen]) -> Decision:
    """Judge everything that is known before anything is written; see `Decision`.

    A node: ``{changes, bridge, interfaces: [{name, addresses, on_bridge}], lifeline}``; ``bridge``:
    whether Open vSwitch has it now.
    """
    decision = Decision(_via(antrea, want))
    decision.refusals += _of_names(antrea, want)
    decision.refusals += _of_version(antrea, want, decision.via)
    decision.refusals += _of_config(antrea, want, decision.via)
    lifelines = False
    for seen in nodes:
        here = _node(seen, want)
        decision.nodes[seen.node] = here
        lifelines = lifelines or here["lifeline"]
        if want.state == PRESENT:
            decision.refusals += nic_rules.refusals(seen, want.uplinks)
            decision.warnings += _leases(seen, want.uplinks)
        else:
            decision.refusals += nic_rules.foreign(seen, want.uplinks)
            if decision.via == CONFIG_MAP:
                decision.refusals += nic_rules.pods(seen, want.uplinks)
    if want.state == PRESENT:
        decision.refusals += _absent(nodes, want.uplinks)
        decision.refusals += _of_primary(antrea, lifelines)
        decision.warnings += _loops(want)
    return decision


def leaves_bridge(antrea: Antrea, want: Want) -> bool:
    """Whether Antrea leaves the bridge in Open vSwitch, with several NICs on it, when told to."""
    return want.state == ABSENT and antrea.version < _NODE_CONFIGS


def _via(antrea: Antrea, want: Want) -> str:
    if want.via != AUTO:
        return want.via
    if antrea.bridges or not _can_node_configs(antrea):
        return CONFIG_MAP
    # A bridge without a configuration is what an older Antrea has left.
    ours = any(c["metadata"]["name"] == object_name(want) for c in antrea.node_configs)
    return NODE_CONFIG if want.state == PRESENT or ours else CONFIG_MAP


def _can_node_configs(antrea: Antrea) -> bool:
    on = antrea.gates.get("AntreaNodeConfig", False)
    return antrea.version >= _NODE_CONFIGS and antrea.has_node_configs and on


def _of_names(antrea: Antrea, want: Want) -> list[str]:
    bridge, nics = want.uplinks.bridge, want.uplinks.interfaces
    found = []
    if not bridge or len(bridge) > _LONGEST_NAME:
        found.append(f"antrea_secondary_network_bridge '{bridge}' has to have 1 to 15 characters.")
    if bridge == antrea.ovs_bridge:
        found.append(f"{bridge} is Antrea's own bridge (ovsBridge). Choose another name.")
    if want.state == ABSENT:
        return found
    if not nics:
        found.append("antrea_secondary_network_interfaces is empty: name the NICs.")
    if len(set(nics)) < len(nics):
        found.append("antrea_secondary_network_interfaces names a NIC twice.")
    most = _MOST_NICS if antrea.version >= _SINCE_SEVERAL else 1
    if len(nics) > most:
        found.append(
            f"Antrea {antrea.shown} takes at most {most} NIC{'s' * (most > 1)} on the bridge, not "
            f"{len(nics)}: its agents would not start."
        )
    return found


def _of_version(antrea: Antrea, want: Want, via: str) -> list[str]:
    found = []
    if antrea.version < _SINCE_BRIDGES:
        found.append(
            f"Antrea {antrea.shown} does not make secondary bridges: it needs v1.15 or newer."
        )
    if want.state == PRESENT and antrea.version >= _NEEDS_IPAM and not _on(antrea, "AntreaIPAM"):
        found.append(
            f"Feature gate AntreaIPAM is off, and without it the agents of Antrea {antrea.shown} "
            "do not start with a secondary bridge (#7556). Turn it on for agent and controller "
            "first."
        )
    if want.state == PRESENT and want.snooping and antrea.version < _SNOOPING:
        found.append(f"Antrea {antrea.shown} has no enableMulticastSnooping: it came with v2.4.")
    if want.state == PRESENT and not antrea.has_attachments:
        found.append(
            "The CRD network-attachment-definitions.k8s.cni.cncf.io is not installed, and Antrea's "
            "agents need it for secondary networks. Install it first."
        )
    if via == NODE_CONFIG and not _can_node_configs(antrea):
        found.append(
            f"AntreaNodeConfig cannot be used: it needs v2.7 (this is {antrea.shown}), its CRD and "
            "its feature gate. Set antrea_secondary_network_via=configmap."
        )
    return found


def _on(antrea: Antrea, gate: str) -> bool:
    return antrea.gates.get(gate, False)


def _of_config(antrea: Antrea, want: Want, via: str) -> list[str]:
    """Refuse a second bridge, and what another configuration would override."""
    found = []
    for bridge in antrea.bridges:
        if bridge.get("bridgeName") != want.uplinks.bridge:
            found.append(
                f"Antrea's ConfigMap already has bridge {bridge.get('bridgeName')}, and Antrea "
                "takes only one. Take that one away first."
            )
        elif via == NODE_CONFIG:
            found.append(
                f"Antrea's ConfigMap has bridge {want.uplinks.bridge}, which wins over any "
                "AntreaNodeConfig. Set antrea_secondary_network_via=configmap."
            )
    if via == NODE_CONFIG and want.state == PRESENT:
        for other in antrea.node_configs:
            name = other["metadata"]["name"]
            if name != object_name(want) and (other.get("spec") or {}).get("secondaryNetwork"):
                found.append(
                    f"AntreaNodeConfig {name} sets a secondary network too. Of several that match "
                    "a node the oldest wins, so ours might do nothing there. Remove it first."
                )
    return found


def _of_primary(antrea: Antrea, lifelines: bool) -> list[str]:
    if not lifelines or antrea.version >= _MENDED:
        return []
    if antrea.version < _SINCE_PRIMARY:
        return [f"Antrea {antrea.shown} cannot move a primary NIC: that came with v2.0 (#6108)."]
    return [
        f"Antrea {antrea.shown} must not be given a primary NIC: up to v2.0.x it attaches it "
        "while flow-restore-wait is set and cuts the node off (#6448), and up to v2.1.2 its agent "
        "crashes at the next start (#6666). Upgrade to v2.2 or newer first."
    ]


def _absent(nodes: list[Seen], uplinks: Uplinks) -> list[str]:
    """Name for each NIC all nodes that do not have it."""
    found = []
    for name in uplinks.interfaces:
        lacking = [seen.node for seen in nodes if name in nic_rules.absent(seen, uplinks)]
        if lacking:
            found.append(
                f"{name} does not exist on {', '.join(lacking)}: Antrea's agent would not start "
                "there. Add the NIC, or leave it out."
            )
    return found


def _loops(want: Want) -> list[str]:
    if want.uplinks.moves or not want.uplinks.interfaces:
        return []
    return [
        f"{want.uplinks.bridge} forwards between {', '.join(want.uplinks.interfaces)} too, and "
        "Antrea sets no spanning tree there: two NICs that lead into the same network or VLAN make "
        "a loop. Give such NICs to a bond instead."
    ]


def _leases(seen: Seen, uplinks: Uplinks) -> list[str]:
    found = []
    for name in uplinks.interfaces if uplinks.moves else ():
        nic = seen.nic(name)
        if nic and nic_rules.leased(nic):
            found.append(
                f"{seen.node}: {name} has its address by DHCP. Its name servers may be lost when "
                "it moves (#6558), and a client bound to it may not renew the lease."
            )
    return found


def _node(seen: Seen, want: Want) -> dict[str, Any]:
    there = nic_rules.enslaved(seen, want.uplinks)
    bridge = nic_rules.bridge_of(seen, want.uplinks) is not None
    interfaces, lifeline = [], False
    # What was configured once may be on the bridge still when the configuration has forgotten it.
    left = tuple(sorted(there)) if want.state == ABSENT else ()
    for name in want.uplinks.interfaces or left:
        nic = seen.nic(there.get(name, name))
        heir = seen.nic(name) or nic
        lifeline = lifeline or bool(heir and nic_rules.lifeline(seen, heir))
        interfaces.append(
            {
                "name": name,
                "addresses": nic_rules.carried(heir) if heir else [],
                "on_bridge": name in there,
            }
        )
    every = all(entry["on_bridge"] for entry in interfaces)
    changes = not every if want.state == PRESENT else bridge
    return {"changes": changes, "bridge": bridge, "interfaces": interfaces, "lifeline": lifeline}


def object_name(want: Want) -> str:
    """Return the name of our AntreaNodeConfig."""
    return f"k8snet-{want.uplinks.bridge}".lower().replace("_", "-")


def bridge_config(want: Want, antrea: Antrea) -> list[dict[str, Any]]:
    """Return secondaryNetwork.ovsBridges for antrea-agent.conf; [] when it is taken away."""
    if want.state == ABSENT:
        return []
    bridge: dict[str, Any] = {
        "bridgeName": want.uplinks.bridge,
        "physicalInterfaces": list(want.uplinks.interfaces),
    }
    if want.snooping or antrea.version >= _SNOOPING:
        bridge["enableMulticastSnooping"] = want.snooping
    return [bridge]


def node_config(want: Want) -> dict[str, Any]:
    """Return our AntreaNodeConfig, which selects the nodes that bear our label."""
    return {
        "apiVersion": "crd.antrea.io/v1alpha1",
        "kind": "AntreaNodeConfig",
        "metadata": {
            "name": object_name(want),
            "labels": {"app.kubernetes.io/managed-by": "k8snet"},
        },
        "spec": {
            "nodeSelector": {"matchLabels": {LABEL: want.uplinks.bridge}},
            "secondaryNetwork": {
                "ovsBridges": [
                    {
                        "bridgeName": want.uplinks.bridge,
                        "physicalInterfaces": [{"name": n} for n in want.uplinks.interfaces],
                        "enableMulticastSnooping": want.snooping,
                    }
                ]
            },
        },
    }
