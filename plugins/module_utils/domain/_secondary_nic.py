# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a node's NICs may become uplinks of Antrea's secondary bridge. Pure.

Sources: antrea-io/antrea docs/secondary-network.md, pkg/agent/secondarynetwork,
pkg/agent/util/net_linux.go. With exactly one NIC on the bridge Antrea renames it (``eth1~``) and
an internal port takes its name, MAC, addresses and routes. With several they become plain uplinks
and whatever addresses they carry stop working.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Kinds of links that may connect a bridge to the outside.
UPLINK_KINDS = frozenset({"physical", "bond", "vlan", "team"})
#: A kernel name has 15 characters, and the one that moves gets a "~".
LONGEST_MOVED = 14
_SUFFIX = "~"


@dataclass(frozen=True)
class Seen:
    """What a visited node says, as node_facts returns it.

    ``internal``: the Node's InternalIPs; ``api``: the API server's addresses -> the NIC by which
    the node reaches them, or None.
    """

    node: str
    internal: tuple[str, ...]
    nics: tuple[dict[str, Any], ...]
    api: dict[str, str | None]
    ovs: dict[str, Any]

    def nic(self, name: str) -> dict[str, Any] | None:
        """Return a NIC by its name or one of its other names."""
        for nic in self.nics:
            if name == nic["name"] or name in (nic.get("altnames") or ()):
                return nic
        return None


@dataclass(frozen=True)
class Uplinks:
    """NICs that shall be on the bridge, and whether a NIC that nodes live on may be among them."""

    bridge: str
    interfaces: tuple[str, ...]
    allow_primary: bool = False

    @property
    def moves(self) -> bool:
        """Whether Antrea moves the NIC's addresses to an internal port."""
        return len(self.interfaces) == 1


def enslaved(seen: Seen, uplinks: Uplinks) -> dict[str, str]:
    """Return NIC -> name of its port, for those that are on the bridge already."""
    found = {}
    for entry in seen.ovs.get("enslaved") or ():
        if entry["bridge"] == uplinks.bridge:
            found[entry["nic"].removesuffix(_SUFFIX)] = entry["nic"]
    return found


def absent(seen: Seen, uplinks: Uplinks) -> list[str]:
    """Return the NICs that the node does not have, neither free nor on the bridge."""
    there = enslaved(seen, uplinks)
    return [name for name in uplinks.interfaces if name not in there and seen.nic(name) is None]


def refusals(seen: Seen, uplinks: Uplinks) -> list[str]:
    """Return why this node's NICs must not go on the bridge: node, NIC, reason, remedy.

    A NIC that the node does not have is not told here: `absent` is asked for all nodes at once.
    """
    found = _of_node(seen, uplinks)
    there = enslaved(seen, uplinks)
    for name in uplinks.interfaces:
        nic = seen.nic(name)
        if name not in there and nic is not None:
            found += [f"{seen.node}: {name} {reason}" for reason in _of_nic(seen, uplinks, nic)]
    return found


def _of_node(seen: Seen, uplinks: Uplinks) -> list[str]:
    found = []
    ovs = seen.ovs
    if not ovs.get("present") or ovs.get("error"):
        why = ovs.get("error") or "its database was not found"
        found.append(f"{seen.node}: Open vSwitch could not be read: {why}")
    if ovs.get("flow_restore_wait"):
        found.append(
            f"{seen.node}: flow-restore-wait is set, so a NIC on a bridge would be cut off. Repair "
            "that first: ansible-playbook k8snet.cni.antrea_flow_restore"
        )
    for entry in ovs.get("enslaved") or ():
        if entry["bridge"] is None:
            found.append(
                f"{seen.node}: {entry['nic']} was renamed for a bridge and is on none: an agent "
                f"was killed in mid-move. Rename it back first: ip link set {entry['nic']} name "
                f"{entry['nic'].removesuffix(_SUFFIX)}"
            )
    if bridge_of(seen, uplinks) is None and seen.nic(uplinks.bridge) is not None:
        found.append(
            f"{seen.node}: an interface named {uplinks.bridge} exists and is no bridge of Open "
            "vSwitch. Choose another name for the bridge."
        )
    return found + foreign(seen, uplinks)


def bridge_of(seen: Seen, uplinks: Uplinks) -> dict[str, Any] | None:
    """Return the bridge as Open vSwitch has it, None if it has none of that name."""
    bridges = seen.ovs.get("bridges") or ()
    return next((b for b in bridges if b["name"] == uplinks.bridge), None)


def foreign(seen: Seen, uplinks: Uplinks) -> list[str]:
    """Return a refusal if the bridge has an uplink that is not Antrea's: it is somebody else's."""
    bridge = bridge_of(seen, uplinks)
    if bridge is None or "antrea-type" in (bridge.get("external_ids") or {}):
        return []
    others = [
        entry["nic"]
        for entry in seen.ovs.get("enslaved") or ()
        if entry["bridge"] == uplinks.bridge
        and not (entry.get("by_antrea") or entry["nic"].endswith(_SUFFIX))
    ]
    if not others:
        return []
    return [
        f"{seen.node}: bridge {uplinks.bridge} exists with ports that Antrea did not make "
        f"({', '.join(others)}). Choose another name for the bridge."
    ]


def pods(seen: Seen, uplinks: Uplinks) -> list[str]:
    """Return a refusal if pods still have interfaces on the bridge: it cannot go then."""
    bridge = bridge_of(seen, uplinks)
    number = (bridge or {}).get("port_kinds", {}).get("pod", 0)
    if not number:
        return []
    return [
        f"{seen.node}: {number} interfaces of pods are on {uplinks.bridge}. Delete the pods that "
        "use the secondary network there first."
    ]


def _of_nic(seen: Seen, uplinks: Uplinks, nic: dict[str, Any]) -> list[str]:
    name = nic["name"]
    found = []
    if name not in uplinks.interfaces:
        wanted = next(n for n in uplinks.interfaces if n in (nic.get("altnames") or ()))
        found.append(f"is another name of {name}, and Antrea knows NICs by {name}. Not {wanted}.")
    if nic["kind"] not in UPLINK_KINDS:
        found.append(f"is a {nic['kind']}, which connects to nothing outside the node.")
    if nic.get("master"):
        found.append(f"belongs to {nic['master']}, a bond or bridge: it would be torn out of it.")
    if uplinks.moves and len(name) > LONGEST_MOVED:
        found.append(f"cannot be renamed {name}~: names have 15 characters at most.")
    bridge = next((e["bridge"] for e in seen.ovs.get("enslaved") or () if e["nic"] == name), None)
    if bridge not in (None, uplinks.bridge):
        found.append(f"is on bridge {bridge} of Open vSwitch already.")
    return found + _of_lifeline(seen, uplinks, nic)


def _of_lifeline(seen: Seen, uplinks: Uplinks, nic: dict[str, Any]) -> list[str]:
    """Return why a NIC that carries the node must stay as it is."""
    what = lifeline(seen, nic)
    if what is None:
        return _addressed(uplinks, nic)
    if not uplinks.moves:
        return [
            f"{what}, and with several NICs Antrea moves no addresses: the node would be cut off."
        ]
    if uplinks.allow_primary:
        return []
    return [
        f"{what}. Should the move fail, the node is cut off until it restores itself. If that is "
        "meant, set antrea_secondary_network_allow_primary=true."
    ]


def lifeline(seen: Seen, nic: dict[str, Any]) -> str | None:
    """Return in words what of the node's own depends on a NIC, None if nothing does."""
    name = nic["name"]
    for other in seen.nics:
        if other.get("role") == "primary" and name in _under(seen, other["name"]):
            return "is the node's primary NIC"
        addresses = {a.partition("/")[0] for a in carried(other)}
        for address in sorted(addresses & set(seen.internal)):
            if name in _under(seen, other["name"]):
                return f"carries the node's InternalIP {address}"
    through = sorted(a for a, n in seen.api.items() if n and name in _under(seen, n))
    return f"carries the only route to the API server {', '.join(through)}" if through else None


def _addressed(uplinks: Uplinks, nic: dict[str, Any]) -> list[str]:
    if uplinks.moves or not carried(nic):
        return []
    return [
        f"carries {', '.join(carried(nic))}, and with several NICs Antrea moves no addresses: they "
        "would stop working. Take them off first."
    ]


def carried(nic: dict[str, Any]) -> list[str]:
    """Return a NIC's addresses beyond the link, as "address/prefix"."""
    return [
        f"{a['address']}/{a['prefix']}"
        for a in nic.get("addresses") or ()
        if isinstance(a, dict) and a.get("scope") not in ("link", "host")
    ]


def leased(nic: dict[str, Any]) -> bool:
    """Whether an address came by DHCP or router advertisement: its life time is bounded."""
    return any(
        isinstance(a, dict) and a.get("scope") == "global" and "permanent" not in a["flags"]
        for a in nic.get("addresses") or ()
    )


def _under(seen: Seen, name: str) -> set[str]:
    """Return a link with everything that it sits on: VLAN on bond on NICs."""
    found: set[str] = set()
    open_ = [name]
    while open_:
        current = open_.pop()
        if current in found:
            continue
        found.add(current)
        nic = seen.nic(current)
        if nic and nic.get("parent"):
            open_.append(nic["parent"])
        open_ += [n["name"] for n in seen.nics if n.get("master") == current]
    return found
