# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a network interface is: its kind, its role, whether it is worth listing, what identifies it.

Input is what either back end read from the kernel, one record per link in dump order:

``{name, ifindex, mac, permanent_mac, mtu, up, lower_up, operstate, master, link, loopback,
info_kind, vlan_id, tun_type, tunnel, altnames, addresses, driver, bus}``

``link`` is the name of the lower device (None where there is none or it lies in another network
namespace), ``info_kind`` the kernel's IFLA_INFO_KIND. Output is ``k8snet_nics``.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
from typing import Any

# Host ends of pod interfaces as the CNI plugins name them: Calico, Cilium, the bridge and ptp
# plugins, GKE, Azure, AWS.
_POD_NAME = re.compile(r"(?:cali|lxc|veth|gke|azv|eni[0-9a-f]{11}$)")
_POD_KINDS = frozenset({"veth", "netkit"})
_CNI_NAME = re.compile(
    r"(?:cni|cbr0$|flannel|cilium_|antrea-|vxlan\.calico|vxlan-v6\.calico|wireguard\.cali|wg-v6\.cali"
    r"|tunl0$|genev_sys|vxlan_sys|gre_sys|stt_sys|ovs-system$|br-int$|kube-bridge$|kube-dummy-if$|weave)"
)
_PROXY_NAME = re.compile(r"(?:kube-ipvs|nodelocaldns)")
_RUNTIME_BRIDGE = re.compile(r"(?:docker|virbr|podman|lxcbr|br-[0-9a-f]{12}$)")
_NODE_KINDS = frozenset(
    {
        "physical",
        "bond",
        "team",
        "vlan",
        "qinq",
        "bridge",
        "macvlan",
        "ipvlan",
        "vrf",
        "openvswitch",
    }
)
# Roles whose comings and goings are daily business, not drift.
_VOLATILE_ROLES = frozenset({"pod", "cni", "service-proxy"})


def is_global_unicast(text: str) -> bool:
    """Tell whether Go's ``net.IP.IsGlobalUnicast`` accepts an address (without prefix).

    Private, unique-local and CGNAT addresses pass; loopback, link-local, multicast, unspecified
    and limited broadcast do not. Text that is no address is not global. Source: Go, ``net/ip.go``.
    """
    try:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except OSError:
        return False
    if len(packed) == 16 and packed[:12] == b"\0" * 10 + b"\xff\xff":
        packed = packed[12:]
    if len(packed) == 4:
        return not (
            packed in (b"\0\0\0\0", b"\xff\xff\xff\xff")
            or packed[0] == 127
            or 224 <= packed[0] <= 239
            or packed[:2] == b"\xa9\xfe"
        )
    return not (
        packed in (b"\0" * 16, b"\0" * 15 + b"\x01")
        or packed[0] == 0xFF
        or (packed[0] == 0xFE and packed[1] & 0xC0 == 0x80)
    )


def kind_of(link: dict[str, Any], kinds: dict[str, str | None]) -> str:
    """Return the kind of a link; ``kinds`` maps the names of all links to their kernel kinds.

    The kernel's own kind where it gives one, but ``qinq`` for a VLAN on a VLAN and ``tap`` for the
    Ethernet form of ``tun``. Without one: loopback, physical (it sits on a bus), or other.
    """
    kind = link["info_kind"]
    if kind == "vlan" and link["link"] is not None and kinds.get(link["link"]) == "vlan":
        return "qinq"
    if kind == "tun" and link["tun_type"] == "tap":
        return "tap"
    if kind:
        return str(kind)
    if link["loopback"]:
        return "loopback"
    return "physical" if link["bus"] is not None else "other"


def role_of(name: str, kind: str, has_global: bool, primary: str | None) -> str:
    """Return primary, node, cni, service-proxy, pod or other.

    ``primary`` is the interface of the best default route. A veth with a global address and a name
    of its own (a node that is itself a container) counts as the node's.
    """
    if name == primary:
        return "primary"
    if _PROXY_NAME.match(name):
        return "service-proxy"
    if _CNI_NAME.match(name) or (kind == "vxlan" and name.startswith("vxlan-")):
        return "cni"
    if kind in _POD_KINDS:
        return "node" if has_global and not _POD_NAME.match(name) else "pod"
    if kind == "bridge" and _RUNTIME_BRIDGE.match(name):
        return "other"
    return "node" if kind in _NODE_KINDS else "other"


def primary_of(routes: dict[str, list[dict[str, Any]]]) -> str | None:
    """Return the interface of the best default route, IPv4 before IPv6, or None."""
    for family in ("inet", "inet6"):
        for route in routes.get(family, ()):
            if route["interface"] is not None:
                return str(route["interface"])
    return None


def build(
    links: list[dict[str, Any]],
    routes: dict[str, list[dict[str, Any]]],
    include_pod_interfaces: bool = False,
) -> dict[str, Any]:
    """Return ``{nics, counts, fingerprint}`` from records in kernel dump order, kept as it is.

    Pod-side interfaces without a global-unicast address are counted by kind only, unless asked for.
    """
    kinds = {link["name"]: link["info_kind"] for link in links}
    primary = primary_of(routes)
    nics: list[dict[str, Any]] = []
    unlisted: dict[str, int] = {}
    for link in links:
        kind = kind_of(link, kinds)
        has_global = any(is_global_unicast(entry["address"]) for entry in link["addresses"])
        role = role_of(link["name"], kind, has_global, primary)
        if role == "pod" and not has_global and not include_pod_interfaces:
            unlisted[kind] = unlisted.get(kind, 0) + 1
        else:
            nics.append(_nic(link, kind, role))
    counts = {"total": len(links), "listed": len(nics), "unlisted": unlisted}
    return {"nics": nics, "counts": counts, "fingerprint": fingerprint(nics)}


def _nic(link: dict[str, Any], kind: str, role: str) -> dict[str, Any]:
    addresses: list[Any] = link["addresses"]
    if role == "service-proxy" and link["name"].startswith("kube-ipvs"):
        # Thousands on a busy cluster, all /32 and /128, and nothing but the address matters.
        addresses = [f"{entry['address']}/{entry['prefix']}" for entry in addresses]
    return {
        "name": link["name"],
        "ifindex": link["ifindex"],
        "mac": link["mac"],
        "permanent_mac": link["permanent_mac"],
        "kind": kind,
        "role": role,
        "driver": link["driver"],
        "bus": link["bus"],
        "mtu": link["mtu"],
        "up": link["up"],
        # A device that is down has no carrier to speak of: sysfs refuses to read it as well.
        "carrier": link["lower_up"] if link["up"] else None,
        "operstate": link["operstate"],
        "master": link["master"],
        # What the kernel calls the link of a veth is its peer, which is no parent.
        "parent": None if kind in _POD_KINDS else link["link"],
        "vlan_id": link["vlan_id"],
        "altnames": link["altnames"],
        "tunnel": link["tunnel"],
        "addresses": addresses,
    }


def identity(nics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what makes up the node's wiring: what a baseline keeps and drift is measured by.

    Entries ``{name, kind, permanent_mac, bus, addresses}``, sorted; addresses ``a/prefix`` sorted.
    Left out: pod, CNI and service-proxy interfaces, addresses that are not global unicast, and
    IPv6 addresses that privacy extensions or renumbering change by themselves.
    """
    entries = [
        {
            "name": nic["name"],
            "kind": nic["kind"],
            "permanent_mac": nic["permanent_mac"],
            "bus": nic["bus"],
            "addresses": sorted(
                f"{entry['address']}/{entry['prefix']}"
                for entry in nic["addresses"]
                if isinstance(entry, dict) and _lasting(entry)
            ),
        }
        for nic in nics
        if nic["role"] not in _VOLATILE_ROLES
    ]
    return sorted(entries, key=lambda entry: str(entry["name"]))


def _lasting(entry: dict[str, Any]) -> bool:
    if entry["family"] == "inet6" and {"temporary", "deprecated"}.intersection(entry["flags"]):
        return False
    return is_global_unicast(entry["address"])


def fingerprint(nics: list[dict[str, Any]]) -> str:
    """Return ``sha256:<hex>`` over `identity`: equal exactly when there is no drift between two."""
    text = json.dumps(identity(nics), sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def reach_for(reach: dict[str, dict[str, Any]], family: str) -> dict[str, str | None]:
    """Return ``{destination: source address or None}`` of one family from ``k8snet_reach``."""
    found: dict[str, str | None] = {}
    for destination, entry in reach.items():
        answer = entry["by_family"].get(family)
        found[destination] = answer["source"] if answer else None
    return found
