# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which link of now is which that was saved, and the steps that make the links as they were."""

from __future__ import annotations

from collections.abc import Callable, Set
from operator import itemgetter
from typing import Any

from .._plan import Step
from ._checkpoint_world import (
    OVS_KIND,
    OVS_MASTER,
    Action,
    Entry,
    Restore,
    State,
    World,
    devices,
    is_default,
)

#: What Antrea appends to the name of a NIC that it moves into a bridge.
MOVED = "~"
_Key = Callable[[Entry], Any]


def match(saved: State, now: State) -> dict[str, int]:
    """Return saved link's name -> index of the same link now; what is gone is missing.

    A NIC is told by its index while the node has not booted, else by its MAC: its name is what a
    move into a bridge changes, and an internal port has name and MAC of the NIC but another kind.
    """
    free = list(now["links"])
    found: dict[str, int] = {}

    def claim(of_old: _Key, of_new: _Key | None = None) -> None:
        alike: dict[Any, list[Entry]] = {}
        for new in free:
            alike.setdefault(_key(of_new or of_old, new), []).append(new)
        for old in saved["links"]:
            key = _key(of_old, old)
            fits = [] if old["name"] in found or key[0] is None else alike.get(key, [])
            if len(fits) == 1:
                new = fits.pop()
                found[old["name"]] = new["ifindex"]
        free[:] = [new for left in alike.values() for new in left]

    if saved["boot_id"] == now["boot_id"]:
        claim(itemgetter("ifindex"))
    claim(lambda link: link["permanent_mac"] if link["physical"] else None)
    claim(lambda link: (link["name"], link["mac"]))
    claim(lambda link: link["mac"] if link["physical"] else None)
    claim(itemgetter("name"))
    # Moved into a bridge with a MAC that was set by hand, and the index is of another boot.
    claim(lambda link: f"{link['name']}{MOVED}" if link["physical"] else None, itemgetter("name"))
    return found


def _key(of: _Key, link: Entry) -> tuple[Any, str, bool]:
    """Links of another kind are never the same one."""
    return of(link), link["kind"], link["physical"]


def in_datapath(link: Entry) -> bool:
    """Whether a link is a port of Open vSwitch's kernel datapath."""
    return bool(link["kind"] == OVS_KIND or link["master"] == OVS_MASTER)


def leave_datapath(saved: State, world: World, found: dict[str, int], todo: Restore) -> None:
    """Take NICs that were in no datapath out of it; remove the ports that took their place."""
    for old in saved["links"]:
        new = world.by_index(found[old["name"]]) if old["name"] in found else None
        if new and new["master"] == OVS_MASTER and old["master"] != OVS_MASTER:
            text = f"Take {new['name']} out of Open vSwitch's datapath."
            _port(todo, new["name"], text, before=f"port of {OVS_MASTER}", after="no port")
            new["master"] = None
    ours = set(found.values())
    names = {old["name"] for old in saved["links"]}
    homes = {a["local"] for held in saved["addresses"].values() for a in held if _lasting(a)}
    for link in list(world.links):
        if link["kind"] != OVS_KIND or link["ifindex"] in ours or link["name"] == OVS_MASTER:
            continue
        held = {a["local"] for a in world.addresses.get(link["name"], ())}
        if link["name"] in names or held & homes:
            text = f"Remove the internal port {link['name']}, which stands where a link was."
            _port(todo, link["name"], text, before="internal port", after=None)
            world.remove(link["name"])


def _port(todo: Restore, name: str, text: str, before: str, after: str | None) -> None:
    step = Step(text, name, before=before, after=after, cuts_connectivity=True)
    todo.actions.append(Action(step, "port", (name,)))


def _lasting(address: Entry) -> bool:
    return bool(address["scope"] == "global")


def restore(
    saved: State, names: Set[str], world: World, found: dict[str, int], todo: Restore
) -> None:
    """Names, masters, MTU, MAC, altnames, up and down of the links ``names`` as they were saved;
    makes again what can be made again."""
    mine = [old for old in saved["links"] if old["name"] in names]
    pairs = [(old, world.by_index(found[old["name"]])) for old in mine if old["name"] in found]
    present = [(old, new) for old, new in pairs if new is not None]
    for old, new in present:
        if new["master"] not in (old["master"], None) and not _by_ovs(new):
            text = f"Take {new['name']} out of {new['master']}."
            _set(todo, new, text, ["nomaster"], new["master"], None)
            new["master"] = None
    for old, new in present:
        _name(old, new, world, todo)
    _create(mine, {link["name"]: link["mac"] for link in saved["links"]}, world, todo)
    for old in mine:
        link = world.link(old["name"])
        if link is not None and (old["name"] in found or link["kind"] == old["kind"]):
            _settings(old, link, world, todo)


def _by_ovs(link: Entry) -> bool:
    return bool(link["master"] == OVS_MASTER)


def _set(todo: Restore, link: Entry, text: str, words: list[str], was: Any, to: Any) -> None:
    before, after = (None if value is None else str(value) for value in (was, to))
    command = ["link", "set", "dev", link["name"], *words]
    todo.ip(text, link["name"], command, before=before, after=after, cuts_connectivity=True)


def _down(link: Entry, world: World, todo: Restore, why: str) -> None:
    if link["up"]:
        _set(todo, link, f"Set {link['name']} down {why}.", ["down"], "up", "down")
        world.down(link)


def _name(old: Entry, new: Entry, world: World, todo: Restore) -> None:
    if new["name"] == old["name"]:
        return
    other = world.link(old["name"])
    if other is not None:
        _rename(other, f"k8snet{other['ifindex']}", world, todo)
    _rename(new, old["name"], world, todo)


def _rename(link: Entry, name: str, world: World, todo: Restore) -> None:
    # Kernels before 6.2 rename nothing that is up.
    _down(link, world, todo, "to rename it")
    was = link["name"]
    _set(todo, link, f"Rename {was} to {name}.", ["name", name], was, name)
    world.rename(link, name)


def _create(mine: list[Entry], macs: dict[str, str | None], world: World, todo: Restore) -> None:
    for old in mine:
        other = world.link(old["name"])
        if other is not None and (other["kind"] == old["kind"] or old["make"] is None):
            continue
        if other is not None:
            _rename(other, f"k8snet{other['ifindex']}", world, todo)
        parent = old["parent"]
        if old["make"] is None or (parent and world.link(parent) is None):
            if old["kind"] == OVS_KIND and _switched(todo):
                world.links.append({**old, "ifindex": -1 - len(world.links), "up": False})
            else:
                what = old["kind"] or "NIC"
                todo.cannot.append(f"{old['name']} ({what}) is gone and cannot be made again here")
            continue
        text = f"Make {old['name']} again ({old['kind']})."
        # Given later, it would come after the one that udev gives to what has been made without.
        mac = ["address", old["mac"]] if old["mac"] and old["mac"] != macs.get(parent) else []
        words = ["link", "add", "name", old["name"], *mac, *old["make"]]
        todo.ip(text, old["name"], words, after=" ".join(old["make"]))
        index = -1 - len(world.links)
        fresh: Entry = {"ifindex": index, "master": None, "up": False, "altnames": [], "mtu": None}
        world.links.append({**old, **fresh})
        world.addresses[old["name"]] = []


def way_out(saved: State) -> set[str]:
    """Names of the links without which nobody reaches the node: those of its default routes and of
    what the checkpoint was told to reach, with all that they lie on and are made of."""
    known = {link["name"]: link for link in saved["links"]}
    members: dict[str | None, list[str]] = {}
    for link in saved["links"]:
        members.setdefault(link["master"], []).append(link["name"])
    names: set[str] = set()
    todo = [name for route in saved["routes"] if is_default(route) for name in devices(route)]
    todo += saved.get("reach", ())
    while todo:
        name = todo.pop()
        if name in known and name not in names:
            names.add(name)
            todo += [known[name]["master"], known[name]["parent"], *members.get(name, ())]
    return names


def _switched(todo: Restore) -> bool:
    """Whether Open vSwitch is given its settings: vswitchd makes its links from them."""
    return any(action.op == "ovsdb" for action in todo.actions)


def _settings(old: Entry, link: Entry, world: World, todo: Restore) -> None:
    name = link["name"]
    for altname in [a for a in link["altnames"] if a not in old["altnames"]]:
        words = ["link", "property", "del", "dev", name, "altname", altname]
        todo.ip(f"Take the other name {altname} from {name}.", name, words, before=altname)
    for altname in [a for a in old["altnames"] if a not in link["altnames"]]:
        words = ["link", "property", "add", "dev", name, "altname", altname]
        todo.ip(f"Give {name} its other name {altname}.", name, words, after=altname)
    # A bond gives its members one MAC; each has its own again when it leaves.
    if old["mac"] != link["mac"] and old["mac"] and not old["master"]:
        _down(link, world, todo, "to give it its MAC")
        text = f"Give {name} its MAC {old['mac']}."
        _set(todo, link, text, ["address", old["mac"]], link["mac"], old["mac"])
    if old["mtu"] != link["mtu"]:
        text = f"Set the MTU of {name} to {old['mtu']}."
        _set(todo, link, text, ["mtu", str(old["mtu"])], link["mtu"], old["mtu"])
    if old["master"] not in (link["master"], None, OVS_MASTER):
        _enslave(old, link, world, todo)
    if old["master"] == OVS_MASTER != link["master"] and not _switched(todo):
        todo.cannot.append(
            f"{name} was a port of Open vSwitch, which does not take it: start vswitchd"
        )
    if old["up"] != link["up"]:
        word = "up" if old["up"] else "down"
        _set(todo, link, f"Set {name} {word}.", [word], "up" if link["up"] else "down", word)
        if not old["up"]:
            world.down(link)
        link["up"] = old["up"]


def _enslave(old: Entry, link: Entry, world: World, todo: Restore) -> None:
    name, master = link["name"], world.link(old["master"])
    if master is None:
        todo.cannot.append(f"{name} cannot be put into {old['master']}, which is gone")
        return
    if master["kind"] in ("bond", "team"):
        _down(link, world, todo, f"to put it into {old['master']}")
    text = f"Put {name} into {old['master']}."
    _set(todo, link, text, ["master", old["master"]], link["master"], old["master"])
    link["master"] = old["master"]
