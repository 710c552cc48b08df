# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Destinations of ``reach``: names resolved on the node, and which way the kernel would send."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
# A connect() tries the addresses of a name in turn; more than these tell nothing new.
_MOST = 4


def resolve(destinations: list[str], timeout: float) -> dict[str, dict[str, list[str] | str]]:
    """Resolve all destinations at once, per family, as the node's own resolver does.

    Return ``{destination: {inet: addresses or error text, inet6: …}}``. A literal address has an
    entry for its own family only. ``timeout``, in seconds, is for all of them together: a dead DNS
    server holds the caller no longer than that.
    """
    results: dict[str, dict[str, list[str] | str]] = {}
    waiting: list[tuple[threading.Thread, dict[str, list[str] | str], str]] = []
    for destination in destinations:
        answer: dict[str, list[str] | str] = {}
        results[destination] = answer
        literal = _literal(destination)
        if literal is not None:
            answer[literal] = [destination]
            continue
        for family in _FAMILIES:
            box: dict[str, list[str] | str] = {}
            # A daemon: a resolver that hangs must not keep the module from ending.
            thread = threading.Thread(target=_ask, args=(box, destination, family), daemon=True)
            thread.start()
            waiting.append((thread, box, destination))
    deadline = time.monotonic() + timeout
    for thread, _box, _destination in waiting:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = f"name resolution timed out after {timeout:g} s; check the DNS servers of the node"
    for number, (_thread, box, destination) in enumerate(waiting):
        family = tuple(_FAMILIES)[number % len(_FAMILIES)]
        results[destination][family] = box.get(family, late)
    return results


def _ask(box: dict[str, list[str] | str], name: str, family: str) -> None:
    try:
        found = socket.getaddrinfo(name, 80, _FAMILIES[family], socket.SOCK_DGRAM)
    except (OSError, UnicodeError, ValueError) as error:
        box[family] = f"name resolution failed: {getattr(error, 'strerror', None) or error}"
    else:
        # A zone ("fe80::1%eth0") belongs to the node's configuration, not to the destination.
        addresses = [str(entry[4][0]).split("%", 1)[0] for entry in found]
        box[family] = list(dict.fromkeys(addresses))[:_MOST]


def _literal(text: str) -> str | None:
    for family, number in _FAMILIES.items():
        try:
            socket.inet_pton(number, text)
        except (OSError, ValueError):
            continue
        return family
    return None


def targets(resolved: dict[str, dict[str, list[str] | str]]) -> list[tuple[str, str]]:
    """Return the ``(family, address)`` pairs that a back end is to look up, each once."""
    pairs = [
        (family, address)
        for answer in resolved.values()
        for family, addresses in answer.items()
        if isinstance(addresses, list)
        for address in addresses
    ]
    return list(dict.fromkeys(pairs))


def reach(
    resolved: dict[str, dict[str, list[str] | str]],
    found: dict[tuple[str, str], dict[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Return ``k8snet_reach`` from the resolved names and the route look-ups.

    Per family the first address with a route, else the last error, as a connect() would. The
    entry itself is the IPv4 answer where there is one, else the IPv6 answer.
    """
    result: dict[str, dict[str, Any]] = {}
    for destination, answer in resolved.items():
        by_family: dict[str, dict[str, Any] | None] = {
            family: _best(family, answer[family], found) if family in answer else None
            for family in _FAMILIES
        }
        usable = [f for f in _FAMILIES if (by_family[f] or {}).get("source")]
        named = [f for f in _FAMILIES if (by_family[f] or {}).get("address")]
        family = (usable + named + [f for f in _FAMILIES if by_family[f]])[0]
        top = by_family[family] or {}
        result[destination] = {
            "address": top["address"],
            "family": family,
            "source": top["source"],
            "interface": top["interface"],
            "gateway": top["gateway"],
            "error": top["error"],
            "by_family": by_family,
        }
    return result


def _best(
    family: str, answer: list[str] | str, found: dict[tuple[str, str], dict[str, Any]]
) -> dict[str, Any]:
    if isinstance(answer, str):
        return _entry(None, {"error": answer})
    entry = _entry(None, {"error": "the name has no address"})
    for address in answer:
        route = found[(family, address)]
        if route["source"] is None and route["error"] is None:
            route = {**route, "error": "the kernel chose no source address"}
        entry = _entry(address, route)
        if entry["source"] is not None:
            break
    return entry


def _entry(address: str | None, route: dict[str, Any]) -> dict[str, Any]:
    return {
        "address": address,
        "source": route.get("source"),
        "interface": route.get("interface"),
        "gateway": route.get("gateway"),
        "error": route.get("error"),
    }
