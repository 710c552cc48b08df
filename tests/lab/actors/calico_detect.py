# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What calico-node's autodetection selects: the lab's own reading of the facts, pure.

Independent of the collection's prediction on purpose: the lab is there to prove that one right.
Source: projectcalico/calico ``node/pkg/lifecycle/startup`` and ``.../autodetection``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any, Optional, Union

ANNOTATION = {4: "projectcalico.org/IPv4Address", 6: "projectcalico.org/IPv6Address"}
_EXCLUDED = (
    r"docker.* cbr.* dummy.* podman.* virbr.* lxcbr.* veth.* lo br-.* cali.* tunl.* flannel.* "
    r"kube-ipvs.* cni.* vxlan\.calico.* vxlan-v6\.calico.* wireguard\.cali.* wg-v6\.cali.* "
    r"nodelocaldns.*"
)
DEFAULT_EXCLUDED = tuple(f"^{name}" for name in _EXCLUDED.split())
_NOT_RE2 = re.compile(r"\(\?(?:[=!]|<[=!])|\\[1-9]")


class InvalidMethod(Exception):
    """The method is none that calico-node knows: it exits at once."""


Nic = dict[str, Any]  # {"name": str, "addresses": ["10.0.0.5/24", ...]}, in the kernel's order
Node = dict[str, Any]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
Source = Callable[[str, int], Optional[str]]  # destination, family -> source address of the route


def _global_unicast(address: str) -> bool:
    ip = ipaddress.ip_interface(address).ip
    special = ip.is_multicast or ip.is_loopback or ip.is_link_local or ip.is_unspecified
    return not special and str(ip) != "255.255.255.255"


def _family(address: str) -> int:
    return ipaddress.ip_interface(address).version


def _split(value: str) -> list[str]:
    return re.split(r"\s*,\s*", value)


def _matches(patterns: list[str], name: str) -> bool | None:
    """Tell whether one of the patterns is found in a name; None when one of them is no RE2."""
    for pattern in patterns:
        try:
            if _NOT_RE2.search(pattern):
                return None
            re.compile(pattern)
        except re.error:
            return None
    return any(re.search(pattern, name) for pattern in patterns)


def _walk(
    nics: list[Nic],
    family: int,
    include: list[str] | None = None,
    exclude: list[str] | None = None,
    cidrs: list[Network] | None = None,
) -> str | None:
    """Return the first address that fits, interfaces taken in reverse, as Calico does."""
    for nic in reversed(nics):
        if include is not None and not _matches(include, nic["name"]):
            continue
        if exclude is not None and _matches(exclude, nic["name"]) is not False:
            continue
        for address in nic["addresses"]:
            if _family(address) != family or not _global_unicast(address):
                continue
            ip = ipaddress.ip_interface(address).ip
            if cidrs is None or any(ip in cidr for cidr in cidrs):
                return str(address)
    return None


def _on_host(nics: list[Nic], ip: str) -> str | None:
    """Return the address with its prefix when a local interface holds it."""
    wanted = ipaddress.ip_address(ip)
    for nic in nics:
        for address in nic["addresses"]:
            if ipaddress.ip_interface(address).ip == wanted:
                return str(address)
    return None


def _cidrs(value: str, family: int) -> list[Network]:
    """Return the networks of ``cidr=``; none at all when one entry is no network in CIDR form."""
    out = []
    for part in _split(value):
        try:
            if "/" not in part:
                return []
            network = ipaddress.ip_network(part, strict=False)
        except ValueError:
            return []
        if network.version == family:
            out.append(network)
    return out


def detect(
    nics: list[Nic],
    method: str,
    family: int = 4,
    internal_ips: tuple[str, ...] = (),
    source: Source | None = None,
) -> str | None:
    """Return the address (with prefix) that ``method`` selects, None when nothing fits.

    ``nics`` in the kernel's order; ``source(destination, family)`` looks up the source address of a
    route. Raises InvalidMethod.
    """
    if method in ("", "first-found"):
        return _walk(nics, family, exclude=[*DEFAULT_EXCLUDED])
    if method.startswith("kubernetes-internal-ip"):
        same = [ip for ip in internal_ips if _family(ip) == family]
        return _on_host(nics, same[0]) if same else None
    key, _unused, value = method.partition("=")
    if key == "interface":
        return _walk(nics, family, include=_split(value))
    if key == "skip-interface":
        return _walk(nics, family, exclude=[*DEFAULT_EXCLUDED, *_split(value)])
    if key == "cidr":
        return _walk(nics, family, cidrs=_cidrs(value, family))
    if key == "can-reach":
        found = source(value, family) if source else None
        return _on_host(nics, found) if found else None
    raise InvalidMethod(method)


def wanted_address(
    env: dict[str, str],
    family: int,
    stored: str | None,
    nics: list[Nic],
    internal_ips: tuple[str, ...],
    source: Source | None = None,
) -> str | None:
    """Return the address to store for a family: detected, explicit, or the stored one kept."""
    prefix = "IP" if family == 4 else "IP6"
    value = env.get(prefix, "")
    method = env.get(f"{prefix}_AUTODETECTION_METHOD", "")
    if value == "none" or (value == "" and (family == 6 or stored)):
        return stored
    if value in ("", "autodetect"):
        return detect(nics, method, family, internal_ips, source) or stored
    if "/" in value:
        return value
    here = _on_host(nics, value) if family == 4 else None
    return here or f"{value}/{32 if family == 4 else 128}"


def on_link(own: str | None, peer: str | None, nics: list[Nic]) -> str | None:
    """Return the device that leads straight to ``peer``, None when there is none.

    Both stored addresses have to lie in one subnet that this node is connected to.
    """
    if not own or not peer:
        return None
    ends = [ipaddress.ip_interface(end).ip for end in (own, peer)]
    for nic in nics:
        for address in nic["addresses"]:
            network = ipaddress.ip_interface(address).network
            if network.num_addresses > 1 and all(end in network for end in ends):
                return str(nic["name"])
    return None


def routes_wanted(
    me: str, nodes: list[Node], nics: list[Nic], reached: set[str]
) -> dict[str, tuple[str, str]]:
    """Return {pod network: (gateway, device)} for every node among ``reached``, the peers with
    which a session stands."""
    stored = {node["metadata"]["name"]: stored_of(node, 4) for node in nodes}
    out = {}
    for node in nodes:
        name, cidr = node["metadata"]["name"], (node.get("spec") or {}).get("podCIDR")
        device = on_link(stored.get(me), stored[name], nics)
        gateway = str(stored[name]).partition("/")[0]
        if name != me and cidr and device and gateway in reached:
            out[cidr] = (gateway, device)
    return out


def stored_of(node: Node, family: int) -> str | None:
    found: str | None = (node["metadata"].get("annotations") or {}).get(ANNOTATION[family])
    return found
