# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A model of a node's kernel, small and on its own: what `ip` does to links, addresses, routes."""

from __future__ import annotations

import copy
import ipaddress


def link(name, index, kind="", **more):
    base = {
        "name": name,
        "ifindex": index,
        "kind": kind,
        "physical": not kind,
        "master": None,
        "parent": None,
        "mtu": 1500,
        "mac": f"02:00:00:00:00:{index:02x}",
        "permanent_mac": None,
        "up": True,
        "altnames": [],
        "make": None if kind in ("", "openvswitch") else ["type", kind],
        "role": "node",
    }
    return {**base, **more}


def address(text, **more):
    local, prefix = text.split("/")
    base = {
        "family": "inet6" if ":" in local else "inet",
        "local": local,
        "prefix": int(prefix),
        "peer": None,
        "broadcast": None,
        "scope": "global",
        "label": None,
        "metric": None,
        "proto": None,
        "flags": [],
        "lifetime": None,
    }
    return {**base, **more}


def route(text, family="inet"):
    return {"family": family, "words": text.split(), "expires": None}


class Refused(Exception):
    """What the kernel answers to a command that makes no sense."""


class Kernel:
    """Applies commands of `ip`. Secondary addresses are promoted or not, as a sysctl has it."""

    def __init__(self, state, promotes=True):
        self.state = copy.deepcopy(state)
        self.promotes = promotes

    def find(self, name):
        for entry in self.state["links"]:
            if entry["name"] == name:
                return entry
        raise Refused(f"no link {name}")

    def held(self, name):
        return self.state["addresses"].setdefault(name, [])

    # -- what happens by itself ---------------------------------------------------------------

    def connected(self, name, entry):
        net = ipaddress.ip_interface(f"{entry['local']}/{entry['prefix']}").network
        tail = f"scope link src {entry['local']}"
        if entry["family"] == "inet6":
            tail = "scope global metric 256 pref medium"
        return route(f"unicast {net} dev {name} table main proto kernel {tail}", entry["family"])

    def refresh(self, name):
        """The connected routes of a link that is up."""
        if self.find(name)["up"]:
            seen = set()
            for entry in self.held(name):
                one = self.connected(name, entry)
                key = (one["family"], one["words"][1])
                if key not in seen and one not in self.state["routes"]:
                    self.state["routes"].append(one)
                seen.add(key)

    def forget(self, name, test=lambda words: True):
        self.state["routes"] = [
            r for r in self.state["routes"] if name not in r["words"] or not test(r["words"])
        ]

    def down(self, entry):
        entry["up"] = False
        self.forget(entry["name"])
        kept = [a for a in self.held(entry["name"]) if a["family"] == "inet"]
        self.state["addresses"][entry["name"]] = kept

    def remove(self, name):
        self.find(name)
        self.state["links"] = [e for e in self.state["links"] if e["name"] != name]
        self.state["addresses"].pop(name, None)
        self.forget(name)

    # -- commands -------------------------------------------------------------------------------

    def ip(self, words):
        family = {"-4": "inet", "-6": "inet6"}.get(words[0])
        rest = list(words[1:] if family else words)
        getattr(self, rest[0])(family, *rest[1:])

    def link(self, _family, verb, *words):
        if verb == "add":
            name, make = words[1], list(words[2:])
            index = 1 + max(e["ifindex"] for e in self.state["links"])
            kind = make[make.index("type") + 1]
            parent = make[make.index("link") + 1] if "link" in make else None
            if parent:
                self.find(parent)
            fresh = link(name, index, kind, make=make, parent=parent, up=False)
            if parent:
                fresh["mac"] = self.find(parent)["mac"]
            if "address" in make:
                fresh["mac"] = make[make.index("address") + 1]
                del make[make.index("address") : make.index("address") + 2]
            self.state["links"].append(fresh)
        elif verb == "property":
            names = self.find(words[2])["altnames"]
            (names.append if words[0] == "add" else names.remove)(words[4])
        else:
            self.set(self.find(words[1]), list(words[2:]))

    def set(self, entry, words):
        key, values = words[0], words[1:]
        if key in ("up", "down"):
            if key == "down":
                self.down(entry)
            entry["up"] = key == "up"
            self.refresh(entry["name"])
        elif key == "name":
            if entry["up"] or any(e["name"] == values[0] for e in self.state["links"]):
                raise Refused(f"rename to {values[0]}")
            self.state["addresses"][values[0]] = self.state["addresses"].pop(entry["name"], [])
            old = entry["name"]
            for held in self.state["addresses"][values[0]]:
                if held["family"] == "inet":
                    label = held["label"] or old
                    held["label"] = None if label == values[0] else label
            for other in self.state["links"]:
                for tie in ("master", "parent"):
                    other[tie] = values[0] if other[tie] == old else other[tie]
            entry["name"] = values[0]
        elif key == "nomaster":
            entry["master"] = None
        elif key == "master":
            self.find(values[0])
            entry["master"] = values[0]
        else:
            entry["mac" if key == "address" else key] = (
                int(values[0]) if key == "mtu" else values[0]
            )

    def address(self, _family, verb, *words):
        name = words[words.index("dev") + 1]
        self.find(name)
        local, prefix = words[0].split("/")
        held = self.held(name)
        old = [a for a in held if (a["local"], a["prefix"]) == (local, int(prefix))]
        if verb == "del":
            if not old:
                raise Refused(f"no address {words[0]}")
            held.remove(old[0])
            if not self.promotes and old[0]["family"] == "inet":
                self.take_secondaries(name, old[0])
            self.forget(name, lambda w: w[-1] == local or w[1] in (words[0], *self.nets(old[0])))
            self.refresh(name)
        elif not old:
            more = {k: words[words.index(k) + 1] for k in ("broadcast", "label") if k in words}
            more["flags"] = [f for f in ("noprefixroute", "nodad") if f in words]
            held.append(address(words[0], scope=words[words.index("scope") + 1], **more))
            self.refresh(name)

    def nets(self, entry):
        return [str(ipaddress.ip_interface(f"{entry['local']}/{entry['prefix']}").network)]

    def take_secondaries(self, name, gone):
        first = [a for a in self.held(name) if self.nets(a) == self.nets(gone)]
        for entry in first:
            self.held(name).remove(entry)

    def route(self, family, verb, *words):
        words = list(words)
        if "expires" in words:
            del words[words.index("expires") : words.index("expires") + 2]
        routes = self.state["routes"]
        if verb == "del":
            given = dict(zip(words[2::2], words[3::2]))
            fits = [r for r in routes if r["family"] == family and self.fits(r, words, given)]
            if not fits:
                raise Refused(f"no route {words}")
            routes.remove(fits[0])
            return
        for index, word in enumerate(words):
            if word == "dev" and not self.find(words[index + 1])["up"]:
                raise Refused("network is down")
        one = {"family": family, "words": words, "expires": None}
        if verb == "replace":
            self.state["routes"] = routes = [r for r in routes if self.key(r) != self.key(one)]
        if one not in routes:
            routes.append(one)

    @staticmethod
    def key(one):
        words = one["words"]
        named = [words[words.index(k) + 1] if k in words else "0" for k in ("table", "metric")]
        return (one["family"], words[1], *named)

    @staticmethod
    def fits(one, words, given):
        have = one["words"]
        same = have[:2] == words[:2]
        return same and all(k in have and have[have.index(k) + 1] == v for k, v in given.items())

    def rule(self, family, verb, _pref, *words):
        one = {"family": family, "words": list(words)}
        (self.state["rules"].append if verb == "add" else self.state["rules"].remove)(one)

    def do(self, action):
        """Apply one action of a restore."""
        if action.op == "ip":
            self.ip(action.words)
        elif action.op == "port":
            entry = self.find(action.words[0])
            if entry["kind"] == "openvswitch":
                self.remove(entry["name"])
            else:
                entry["master"] = None
        elif action.op == "file":
            self.state["dns"] = {**self.state["dns"], **action.data}
