# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shapes that both back ends (netlink through pyroute2, ``ip -j``) fill in alike."""

from __future__ import annotations

from typing import Any, NamedTuple

# Kinds that have an entry `tunnel`.
TUNNELS = frozenset(
    {"vxlan", "geneve", "gre", "gretap", "ip6gre", "ip6gretap", "erspan", "ip6erspan", "ipip"}
    | {"sit", "ip6tnl", "vti", "vti6"}
)

# Bits of IFA_FLAGS (include/uapi/linux/if_addr.h); bit 0 means something else in each family.
_FLAG_BITS = (
    (0x02, "nodad"),
    (0x04, "optimistic"),
    (0x08, "dadfailed"),
    (0x10, "home"),
    (0x20, "deprecated"),
    (0x40, "tentative"),
    (0x80, "permanent"),
    (0x100, "mngtmpaddr"),
    (0x200, "noprefixroute"),
    (0x400, "autojoin"),
    (0x800, "stable-privacy"),
)
FLAG_BITS = {
    "inet": ((0x01, "secondary"), *_FLAG_BITS),
    "inet6": ((0x01, "temporary"), *_FLAG_BITS),
}
ADDRESS_FLAGS = {family: tuple(name for _bit, name in bits) for family, bits in FLAG_BITS.items()}

# Route types that end a look-up, and the error that a connect() would get.
REFUSING = {
    "blackhole": "Invalid argument",
    "unreachable": "No route to host",
    "prohibit": "Permission denied",
    "throw": "Network is unreachable",
}


class ReadError(Exception):
    """The node's network could not be read; the text says what, where and the remedy."""


class Snapshot(NamedTuple):
    """What one read gave: links in dump order, default routes per family, look-ups in the order
    asked, and whether the kernel said that something changed while it was listing."""

    links: list[dict[str, Any]]
    routes: dict[str, list[dict[str, Any]]]
    found: list[dict[str, Any]]
    interrupted: bool


def address(
    *,
    family: str,
    address: str,
    prefix: int,
    scope: str,
    flags: list[str],
    label: str | None,
    name: str,
) -> dict[str, Any]:
    """Return an entry of ``addresses``. The kernel labels IPv4 addresses with the interface's own
    name unless told otherwise: only another label says something."""
    return {
        "address": address,
        "prefix": prefix,
        "family": family,
        "scope": scope,
        "flags": flags,
        "label": None if label == name else label,
    }


def route(
    *, gateway: str | None, interface: str | None, metric: int, source: str | None
) -> dict[str, Any]:
    """Return an entry of ``k8snet_default_routes``."""
    return {"gateway": gateway, "interface": interface, "metric": metric, "source": source}


def sort_routes(routes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return routes by metric; equals stay in the kernel's order."""
    return sorted(routes, key=lambda entry: int(entry["metric"]))


def found(
    *,
    source: str | None = None,
    interface: str | None = None,
    gateway: str | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    """Return the answer of one route look-up."""
    return {"source": source, "interface": interface, "gateway": gateway, "error": error}


def tunnel(
    *, number: int | None, local: str | None, remote: str | None, port: int | None
) -> dict[str, Any]:
    """Return the entry ``tunnel`` of a link."""
    return {"id": number, "local": local, "remote": remote, "port": port}


def dotted_to_int(text: str) -> int | None:
    """Return the number of a tunnel key that is written like an IPv4 address (or plainly)."""
    try:
        number = 0
        for part in text.split("."):
            number = number * 256 + int(part)
    except ValueError:
        return None
    return number


def text(name: str) -> str:
    """Return a name fit for output: bytes that are no UTF-8 (the kernel takes any) as ``\\xff``."""
    if name.isascii():
        return name
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
