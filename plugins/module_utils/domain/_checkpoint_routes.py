# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps that make addresses, routes and routing rules as they were."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from ._checkpoint_world import Entry, Restore, State, World, devices, is_default, value

#: Routes of any other protocol come and go with the daemon that makes them.
PROTOCOLS = frozenset({"kernel", "boot", "static", "dhcp", "ra", "2", "3", "4", "9", "16"})
_ADDRESS_KEYS = (
    "family",
    "local",
    "prefix",
    "peer",
    "broadcast",
    "scope",
    "label",
    "metric",
    "proto",
)
_NUMBERS = {"inet": "-4", "inet6": "-6"}


# -- addresses --------------------------------------------------------------------------------


def same_address(one: Entry, other: Entry) -> bool:
    """Whether two addresses are alike; lifetimes run down by themselves."""
    alike = all(one[key] == other[key] for key in _ADDRESS_KEYS)
    lasting = (one["lifetime"] is None) == (other["lifetime"] is None)
    return alike and lasting and sorted(one["flags"]) == sorted(other["flags"])


def restore_addresses(saved: State, names: Set[str], world: World, todo: Restore) -> None:
    """Addresses of the links ``names`` back on them, in their order, and off any other."""
    _strays(saved, names, world, todo)
    for link in saved["links"]:
        name = link["name"]
        if name not in names or world.link(name) is None:
            continue
        wanted = saved["addresses"].get(name, [])
        for family in _NUMBERS:
            _family([a for a in wanted if a["family"] == family], family, name, world, todo)


def _strays(saved: State, names: Set[str], world: World, todo: Restore) -> None:
    homes = {
        _place(a)
        for name in names
        for a in saved["addresses"].get(name, ())
        if a["scope"] == "global"
    }
    for link in world.links:
        if link["name"] in names or link["role"] == "service-proxy":
            continue
        own = {_place(a) for a in saved["addresses"].get(link["name"], ())}
        for address in list(world.addresses.get(link["name"], ())):
            if _place(address) in homes - own:
                _remove(link["name"], address, world, todo)


def _place(address: Entry) -> tuple[str, str]:
    return address["family"], address["local"]


def _family(wanted: list[Entry], family: str, name: str, world: World, todo: Restore) -> None:
    have = [a for a in world.addresses.get(name, ()) if a["family"] == family]
    kept = 0
    if family == "inet":
        # Which address is a subnet's primary one is told by the order alone.
        while kept < min(len(have), len(wanted)) and same_address(have[kept], wanted[kept]):
            kept += 1
        stay = have[:kept]
    else:
        stay = [a for a in have if any(same_address(a, w) for w in wanted)]
    for address in reversed([a for a in have if a not in stay]):
        _remove(name, address, world, todo)
    for address in wanted:
        if not any(same_address(address, a) for a in stay):
            text = f"Add {shown(address)} to {name}."
            words = ["address", "replace", *_address_words(address), "dev", name]
            todo.ip(text, name, words, after=" ".join(words[2:]), cuts_connectivity=True)
            world.addresses.setdefault(name, []).append(address)


def _remove(name: str, address: Entry, world: World, todo: Restore) -> None:
    words = ["address", "del", *_local(address), "dev", name]
    text = f"Remove {shown(address)} from {name}."
    before = " ".join([*_address_words(address), "dev", name])
    todo.ip(text, name, words, before=before, cuts_connectivity=True)
    world.drop_address(name, address)


def shown(address: Entry) -> str:
    """An address with its prefix."""
    return f"{address['local']}/{address['prefix']}"


def _local(address: Entry) -> list[str]:
    if address["peer"]:
        return [address["local"], "peer", f"{address['peer']}/{address['prefix']}"]
    return [shown(address)]


def _address_words(address: Entry) -> list[str]:
    words = _local(address)
    for key in ("broadcast", "label", "scope", "metric", "proto"):
        if address[key] is not None:
            words += [key, str(address[key])]
    words += sorted(address["flags"])
    if address["lifetime"]:
        valid, preferred = address["lifetime"]
        words += ["valid_lft", str(valid), "preferred_lft", str(preferred)]
    return words


# -- routes -----------------------------------------------------------------------------------


def _key(route: Entry) -> tuple[str, ...]:
    """What the kernel allows once (IPv4) or takes for the same route (IPv6)."""
    words = route["words"]
    key: tuple[str, ...] = (
        route["family"],
        value(words, "table", "main"),
        words[1],
        value(words, "tos", "0"),
    )
    key += (value(words, "metric", "0"), value(words, "from"))
    return key if route["family"] == "inet" else (*key, *_path(words))


def _path(words: list[str]) -> tuple[str, ...]:
    start = next((i for i, word in enumerate(words) if word == "nexthop"), None)
    if start is not None:
        return tuple(words[start:])
    return (words[0], value(words, "via"), value(words, "dev"))


def in_scope(route: Entry, links: Set[str]) -> bool:
    """Whether a checkpoint of ``links`` looks after a route."""
    words = route["words"]
    if value(words, "table", "main") == "local" or value(words, "proto", "boot") not in PROTOCOLS:
        return False
    return set(devices(route)) <= links


def restore_routes(saved: State, world: World, todo: Restore, only: Set[str] | None = None) -> None:
    """Routes as they were: what is missing is added, what leads another way is removed.

    Default routes of the main table are looked after whatever link they lead over.

    :param only: the links whose routes are looked after, and those defaults; None: all.
    """
    links = {link["name"] for link in saved["links"]} if only is None else only
    up = {link["name"] for link in world.links if link["up"]}
    wanted = [r for r in saved["routes"] if set(devices(r)) <= up and _over(r, only)]
    families = {r["family"] for r in wanted if is_default(r)}
    spec, have = (set(map(_told, routes)) for routes in (saved["routes"], world.routes))
    extra = [
        route
        for route in world.routes
        if _told(route) not in spec
        and value(route["words"], "proto", "boot") not in ("ra",)
        and (in_scope(route, links) or (is_default(route) and route["family"] in families))
    ]
    missing = [r for r in wanted if _told(r) not in have]
    for route in [r for r in extra if r["family"] == "inet6"]:
        _delete(route, todo)
    # What leads to a gateway must stand before the route over that gateway.
    for route in sorted(missing, key=lambda r: "via" in r["words"]):
        _add(route, todo)
    replaced = {_key(r) for r in missing}
    for route in [r for r in extra if r["family"] == "inet"]:
        if _key(route) not in replaced:
            _delete(route, todo)
    gone = set(map(_told, extra))
    world.routes = [r for r in world.routes if _told(r) not in gone] + missing


def _over(route: Entry, only: Set[str] | None) -> bool:
    """Whether a route leads over these links and no others."""
    names = set(devices(route))
    return only is None or bool(names and names <= only)


def _told(route: Entry) -> tuple[str, ...]:
    return (route["family"], *route["words"])


def _add(route: Entry, todo: Restore) -> None:
    words = list(route["words"])
    if route["expires"]:
        words += ["expires", str(route["expires"])]
    # IPv6's "replace" takes the place of any route of that metric, whatever link it leads over.
    verb = "replace" if route["family"] == "inet" else "append"
    command = [_NUMBERS[route["family"]], "route", verb, *words]
    text = f"Add the route {_short(route)}."
    line = " ".join(route["words"])
    todo.ip(text, f"route {words[1]}", command, after=line, cuts_connectivity=True)


def _delete(route: Entry, todo: Restore) -> None:
    words = route["words"]
    command = [_NUMBERS[route["family"]], "route", "del", words[0], words[1]]
    if "nexthop" not in words:
        for key in ("from", "tos", "via", "dev"):
            if value(words, key):
                command += [key, *_gateway(words, key)]
    for key in ("table", "proto", "metric"):
        if value(words, key):
            command += [key, value(words, key)]
    text = f"Remove the route {_short(route)}."
    line = " ".join(words)
    todo.ip(text, f"route {words[1]}", command, before=line, cuts_connectivity=True)


def _gateway(words: list[str], key: str) -> list[str]:
    """The word behind key; a gateway of the other family is two words (via inet6 fe80::1)."""
    first = value(words, key)
    if key == "via" and first in _NUMBERS:
        return [first, words[words.index(first) + 1]]
    return [first]


def _short(route: Entry) -> str:
    words = route["words"]
    text = words[1] if words[0] == "unicast" else f"{words[0]} {words[1]}"
    for key in ("via", "dev", "metric"):
        if value(words, key):
            text += f" {key} {' '.join(_gateway(words, key))}"
    table = value(words, "table", "main")
    return text if table == "main" else f"{text} table {table}"


# -- rules ------------------------------------------------------------------------------------


def restore_rules(saved: State, now: State, todo: Restore) -> None:
    """Rules as they were. New rules for marked packets or for a pod are an agent's, and stay."""
    have, want = ([(r["family"], tuple(r["words"])) for r in s["rules"]] for s in (now, saved))
    pods = _pods(now)
    for family, words in want:
        if (family, words) not in have:
            _rule("Add", "add", family, words, todo, after=" ".join(words))
    for family, words in have:
        if (family, words) in want or "fwmark" in words or not pods.isdisjoint(words):
            continue
        _rule("Remove", "del", family, words, todo, before=" ".join(words))


def _pods(now: State) -> set[str]:
    """Addresses that lie behind a pod's link: AWS' agent makes a rule to and from each."""
    links = {link["name"] for link in now["links"] if link["role"] == "pod"}
    return {
        route["words"][1]
        for route in now["routes"]
        if route["words"][0] == "unicast" and "/" not in route["words"][1] and _over(route, links)
    } - {"default"}


def _rule(
    text: str, verb: str, family: str, words: tuple[str, ...], todo: Restore, **step: Any
) -> None:
    target = f"rule {words[0]}"
    action = f"{text} the {family} routing rule {words[0]}: {' '.join(words[1:])}."
    command = [_NUMBERS[family], "rule", verb, "pref", *words]
    todo.ip(action, target, command, cuts_connectivity=True, **step)
