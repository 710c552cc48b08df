# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what a node's network is to what was saved of it: the restore, as a plan.

Only what differs is touched, and nothing that has no part in what was saved. Shapes:
domain._checkpoint_world.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._plan import Step
from . import _checkpoint_links as links
from . import _checkpoint_ovs as ovs
from . import _checkpoint_routes as routes
from ._checkpoint_world import Action, Restore, State, World

#: Roles (domain._nics) whose links are made and changed by the cluster's own agents.
VOLATILE_ROLES = frozenset({"pod", "cni", "service-proxy"})
#: Below this a change cannot be confirmed in time; above, nobody remembers that it is armed.
TIMEOUTS = (20, 86400)


def scope(
    now: State,
    names: list[str] | None,
    with_ovs: bool,
    with_dns: bool,
    reach: Sequence[str] = (),
) -> State:
    """Return what is to be saved of ``now``: links by ``names``, or all that agents leave alone.

    :param reach: links over which destinations lie that are to be reached again before the rest.

    Raises ValueError that names the links that are not there.
    """
    have = {link["name"] for link in now["links"]}
    missing = [name for name in names or () if name not in have]
    if missing:
        raise ValueError(f"no such link on the node: {', '.join(missing)}")
    kept = [
        link
        for link in now["links"]
        if (link["name"] in names if names else link["role"] not in VOLATILE_ROLES)
    ]
    mine = {link["name"] for link in kept}
    return {
        "boot_id": now["boot_id"],
        "links": kept,
        "addresses": {n: held for n, held in now["addresses"].items() if n in mine},
        "routes": [route for route in now["routes"] if routes.in_scope(route, mine)],
        "rules": now["rules"],
        "reach": [name for name in dict.fromkeys(reach) if name in mine],
        "dns": now["dns"] if with_dns else None,
        "ovs": now["ovs"] if with_ovs else None,
        "with_ovs": with_ovs,
    }


def restore_plan(saved: State, now: State) -> Restore:
    """Return what makes ``now`` as it was ``saved``, in the order in which it is done.

    Open vSwitch first (it gives NICs back), then links, addresses, routes and rules: those of the
    node's way out, and then the others. The plan foresees the worst that the kernel does on the
    way; who applies it reads again and plans again until nothing is left.
    """
    todo = Restore()
    world = World(now)
    found = links.match(saved, now)
    if saved["with_ovs"]:
        ovs.restore(saved, now, found, todo)
        links.leave_datapath(saved, world, found, todo)
        _leave_rows(saved, now, found, world, todo)
    way = links.way_out(saved)
    links.restore(saved, way, world, found, todo)
    routes.restore_addresses(saved, way, world, todo)
    routes.restore_routes(saved, world, todo, way)
    routes.restore_rules(saved, now, todo)
    todo.first = len(todo.actions)
    others = {link["name"] for link in saved["links"]} - way
    links.restore(saved, others, world, found, todo)
    routes.restore_addresses(saved, others, world, todo)
    routes.restore_routes(saved, world, todo)
    _dns(saved["dns"], now["dns"], todo)
    return todo


def _leave_rows(
    saved: State, now: State, found: dict[str, int], world: World, todo: Restore
) -> None:
    """Internal ports whose rows go: vswitchd removes them, or this does where it cannot."""
    for name in sorted(ovs.drops(saved, now, found)):
        if world.link(name) is not None:
            text = f"Remove the internal port {name} of a bridge that was not there."
            step = Step(text, name, before="internal port", cuts_connectivity=True)
            todo.actions.append(Action(step, "port", (name,)))
            world.remove(name)


def _dns(saved: dict[str, Any] | None, now: dict[str, Any], todo: Restore) -> None:
    if saved is None:
        return
    if saved["target"] != now["target"]:
        text = "Make /etc/resolv.conf the link that it was."
        if saved["target"] is None:
            text = "Make /etc/resolv.conf the file that it was."
        step = Step(text, "/etc/resolv.conf", now["target"], saved["target"] or saved["content"])
        todo.actions.append(Action(step, "file", data=saved))
    elif saved["content"] != now["content"] and saved["content"] is not None:
        step = Step("Restore resolv.conf.", "/etc/resolv.conf", now["content"], saved["content"])
        todo.actions.append(Action(step, "file", data=saved))
    for name, entry in sorted(saved["links"].items()):
        have = now["links"].get(name, {})
        for key, verb in (("servers", "dns"), ("domains", "domain")):
            if entry[key] and entry[key] != have.get(key):
                text = f"Give {name} its DNS {key}."
                before = " ".join(have.get(key) or ()) or None
                step = Step(text, f"DNS of {name}", before, " ".join(entry[key]))
                todo.actions.append(Action(step, "resolvectl", (verb, name, *entry[key])))


def counted(saved: State) -> str:
    """What was saved, in words."""
    addresses = sum(map(len, saved["addresses"].values()))
    text = f"{len(saved['links'])} links, {addresses} addresses, {len(saved['routes'])} routes"
    bridges = saved["ovs"]["bridges"] if saved["ovs"] else {}
    return f"{text}, {len(saved['rules'])} rules, {len(bridges)} bridges"
