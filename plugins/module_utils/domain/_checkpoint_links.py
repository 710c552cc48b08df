# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which link of now is which that was saved, and the steps that make the links as they were."""

from __future__ import annotations

from typing import Any

from .._plan import Step
from ._checkpoint_world import OVS_KIND, OVS_MASTER, Action, Entry, Restore, State, World

#: What Antrea appends to the name of a NIC that it moves into a bridge.
MOVED = "~"


def match(saved: State, now: State) -> dict[str, int]:
    """Return saved link's name -> index of the same link now; what is gone is missing.

    A NIC is told by its index while the node has not booted, else by its MAC: its name is what a
    move into a bridge changes, and an internal port has name and MAC of the NIC but another kind.
    """
    free = {link["ifindex"]: link for link in now["links"]}
    same_boot = saved["boot_id"] == now["boot_id"]
    found: dict[str, int] = {}

    def claim(test: Any) -> None:
        for old in saved["links"]:
            if old["name"] in found:
                continue
            fits = [new for new in free.values() if _alike(old, new) and test(old, new)]
            if len(fits) == 1:
                found[old["name"]] = fits[0]["ifindex"]
                del free[fits[0]["ifindex"]]

    if same_boot:
        claim(lambda old, new: old["ifindex"] == new["ifindex"])
    claim(lambda old, new: _permanent(old) and _permanent(old) == _permanent(new))
    claim(lambda old, new: old["name"] == new["name"] and old["mac"] == new["mac"])
    claim(lambda old, new: old["physical"] and old["mac"] == new["mac"])
    claim(lambda old, new: old["name"] == new["name"])
    # Moved into a bridge with a MAC that was set by hand, and the index is of another boot.
    claim(lambda old, new: old["physical"] and new["name"] == f"{old['name']}{MOVED}")
    return found


def _alike(old: Entry, new: Entry) -> bool:
    return bool(old["kind"] == new["kind"] and old["physical"] == new["physical"])


def _permanent(link: Entry) -> str | None:
    return link["permanent_mac"] if link["physical"] else None


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


def restore(saved: State, world: World, found: dict[str, int], todo: Restore) -> None:
    """Names, masters, MTU, MAC, altnames, up and down; makes again what can be made again."""
    pairs = [
        (old, world.by_index(found[old["name"]])) for old in saved["links"] if old["name"] in found
    ]
    present = [(old, new) for old, new in pairs if new is not None]
    for old, new in present:
        if new["master"] not in (old["master"], None) and not _by_ovs(new):
            text = f"Take {new['name']} out of {new['master']}."
            _set(todo, new, text, ["nomaster"], new["master"], None)
            new["master"] = None
    for old, new in present:
        _name(old, new, world, todo)
    _create(saved, world, todo)
    for old in saved["links"]:
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


def _create(saved: State, world: World, todo: Restore) -> None:
    for old in saved["links"]:
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
        words = ["link", "add", "name", old["name"], *old["make"]]
        todo.ip(text, old["name"], words, after=" ".join(old["make"]))
        index = -1 - len(world.links)
        fresh: Entry = {"ifindex": index, "master": None, "up": False, "altnames": [], "mac": None}
        world.links.append({**old, **fresh, "mtu": None})
        world.addresses[old["name"]] = []


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
