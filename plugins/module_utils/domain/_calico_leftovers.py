# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of Calico's interfaces on a node an earlier cluster left there, and what removes them.

Felix makes its own devices anew when they are wrong, so that deleting one is rarely needed; where
calico-node cannot start, it is. Judged only by what is seen: an address or a parent that is not
this cluster's, a device that its Calico does not use, a pod's end without a pod. Pure.
Source: projectcalico/calico ``felix/dataplane/linux/{vxlan,ipip,wireguard}*.go``; names of pods'
ends: ``libcalico-go/lib/backend/k8s/conversion/workload_endpoint_default.go``.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from .._plan import Plan, Step

#: Device -> what of this cluster's Calico makes it.
DEVICES = {
    "vxlan.calico": "vxlan",
    "vxlan-v6.calico": "vxlan-v6",
    "tunl0": "ipip",
    "wireguard.cali": "wireguard",
    "wg-v6.cali": "wireguard-v6",
}
_WORDS = {
    "vxlan": "VXLAN",
    "vxlan-v6": "VXLAN over IPv6",
    "ipip": "IP in IP",
    "wireguard": "WireGuard",
    "wireguard-v6": "WireGuard over IPv6",
}
_VXLAN_FAMILY = {"vxlan.calico": "inet", "vxlan-v6.calico": "inet6"}
_VNI, _PORT = 4096, 4789
_POD_PREFIX = "cali"


class Want(NamedTuple):
    """What this cluster's Calico has on this node.

    ``uses``: those of `DEVICES`' values that it uses, None when that is not known. ``locals``: its
    own address per family (inet, inet6), as far as known. ``tunnels``: the addresses that belong on
    its tunnel devices, None when not known. ``pods``: (namespace, name) of the pods on this node,
    None when not known. ``pod_addresses``: their addresses.
    """

    uses: frozenset[str] | None = None
    locals: dict[str, str] = {}
    tunnels: frozenset[str] | None = None
    pods: tuple[tuple[str, str], ...] | None = None
    pod_addresses: frozenset[str] = frozenset()


class PodEnd(NamedTuple):
    """What is known of a pod's end on the node: addresses routed to it, and whether a process runs
    in the network namespace at its other end (None when that is not known)."""

    routed: frozenset[str]
    inhabited: bool | None


def pod_end_name(namespace: str, name: str) -> str:
    """Return the name that Calico gives a pod's end on the node."""
    digest = hashlib.sha1(f"{namespace}.{name}".encode(), usedforsecurity=False).hexdigest()
    return _POD_PREFIX + digest[:11]


def judge(
    nics: list[dict[str, Any]], ends: dict[str, PodEnd], want: Want
) -> dict[str, list[dict[str, Any]]]:
    """Return ``{leftovers, kept, blockers}``.

    ``nics`` is ``k8snet_nics`` with the pods' interfaces. A leftover: ``{name, kind, ifindex,
    remove, addresses, reason}``, where ``remove`` is ``device``, or ``addresses`` for tunl0, which
    the kernel itself owns. Kept: ``{name, reason}``. A blocker is no device of Calico's, so it is
    never removed here: ``{name, reason, remedy}``.
    """
    found: dict[str, list[dict[str, Any]]] = {"leftovers": [], "kept": [], "blockers": []}
    for nic in nics:
        name = nic["name"]
        if name in DEVICES:
            verdict = _device(nic, nics, want)
        elif name.startswith(_POD_PREFIX) and nic["kind"] == "veth":
            verdict = _pod_end(nic, ends.get(name), want)
        else:
            if _blocks(nic, want):
                found["blockers"].append(_blocker(nic))
            continue
        reason, addresses = verdict
        if addresses is None:
            found["kept"].append({"name": name, "reason": reason})
        else:
            found["leftovers"].append(_leftover(nic, reason, addresses))
    return found


def _leftover(nic: dict[str, Any], reason: str, addresses: list[str]) -> dict[str, Any]:
    return {
        "name": nic["name"],
        "kind": nic["kind"],
        "ifindex": nic["ifindex"],
        "remove": "addresses" if nic["name"] == "tunl0" else "device",
        "addresses": addresses,
        "reason": reason,
    }


def _texts(nic: dict[str, Any]) -> list[str]:
    return [
        f"{a['address']}/{a['prefix']}"
        for a in nic["addresses"]
        if isinstance(a, dict) and a["scope"] != "link"
    ]


def _device(
    nic: dict[str, Any], nics: list[dict[str, Any]], want: Want
) -> tuple[str, list[str] | None]:
    """Return why a device stays or goes, and the addresses that go with it (None: it stays)."""
    name, held = nic["name"], _texts(nic)
    what = DEVICES[name]
    if want.uses is not None and what not in want.uses:
        if name == "tunl0" and not held:
            return "the kernel's own, without addresses", None
        return f"this cluster's Calico does not use {_WORDS[what]}", held
    wrong = _wrong_ends(nic, nics, want) if name in _VXLAN_FAMILY else None
    if wrong:
        return wrong, held
    if want.tunnels is not None:
        strange = [text for text in held if text.partition("/")[0] not in want.tunnels]
        if strange:
            words = f"{', '.join(strange)} on it is not what Calico stored for this node"
            return words, strange if name == "tunl0" else held
    return "as this cluster's Calico has it, as far as is known", None


def _wrong_ends(nic: dict[str, Any], nics: list[dict[str, Any]], want: Want) -> str | None:
    """Return what is wrong with a VXLAN device's local address or parent, None when nothing is."""
    wanted = want.locals.get(_VXLAN_FAMILY[nic["name"]])
    local, parent = (nic["tunnel"] or {}).get("local"), nic["parent"]
    if wanted is None or local is None:
        return None
    if local != wanted:
        return f"it sends from {local}, but this node's address is {wanted}"
    holders = [n["name"] for n in nics if wanted in {t.partition("/")[0] for t in _texts(n)}]
    if holders and parent not in holders:
        return f"it sits on {parent}, but {holders[0]} holds {wanted}"
    return None


def _pod_end(nic: dict[str, Any], end: PodEnd | None, want: Want) -> tuple[str, list[str] | None]:
    """Judge a pod's end on the node: it goes only when nothing at all speaks for an owner."""
    if want.pods is None:
        return "the node's pods are not known", None
    if nic["name"] in {pod_end_name(*pod) for pod in want.pods}:
        return "belongs to a pod of this node", None
    if end is None or end.inhabited is None:
        return "what is at its other end is not known", None
    if end.inhabited:
        return "a process runs at its other end", None
    if end.routed & want.pod_addresses:
        return "leads to the address of a pod of this node", None
    return "no pod of this node has it, and nothing runs at its other end", _texts(nic)


def _blocks(nic: dict[str, Any], want: Want) -> bool:
    """Tell whether another VXLAN device has the number and port that vxlan.calico needs."""
    if nic["kind"] != "vxlan" or (want.uses is not None and not want.uses & {"vxlan", "vxlan-v6"}):
        return False
    tunnel = nic["tunnel"] or {}
    return (tunnel.get("id"), tunnel.get("port")) == (_VNI, _PORT)


def _blocker(nic: dict[str, Any]) -> dict[str, Any]:
    name = nic["name"]
    return {
        "name": name,
        "reason": f"VNI {_VNI} on UDP port {_PORT} is taken by {name}, so that the kernel refuses "
        "vxlan.calico",
        "remedy": f"It is not Calico's. Find out whose it is; if nobody's: ip link del {name}",
    }


def plan(leftovers: list[dict[str, Any]], before: dict[str, Any]) -> Plan:
    """Return the steps that remove leftovers; ``before`` maps names to what the diff shows."""
    steps = []
    for entry in leftovers:
        name, addresses = entry["name"], entry["addresses"]
        if entry["remove"] == "device":
            action = f"Delete {name}: {entry['reason']}"
            steps.append(Step(action, f"interface {name}", before[name], None))
            continue
        kept = [text for text in before[name]["addresses"] if text not in addresses]
        action = f"Take {', '.join(addresses)} off {name}: {entry['reason']}"
        after = {**before[name], "addresses": kept}
        steps.append(Step(action, f"interface {name}", before[name], after))
    return Plan(tuple(steps))


def refusals(asked: list[str], found: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Return why interfaces that are to be removed will not be; one that is gone is no refusal."""
    kept = {entry["name"]: entry["reason"] for entry in found["kept"]}
    blockers = {entry["name"]: entry["reason"] for entry in found["blockers"]}
    said = [f"{name} is no left-over: {kept[name]}." for name in asked if name in kept]
    said += [f"{name} is not Calico's: {blockers[name]}." for name in asked if name in blockers]
    other = [n for n in asked if n not in DEVICES and not n.startswith(_POD_PREFIX)]
    return said + [f"{n} is none of Calico's interfaces." for n in other if n not in blockers]
