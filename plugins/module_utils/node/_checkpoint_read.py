# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a node's network as a checkpoint keeps it (shape: domain._checkpoint_world)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Any

from ..domain import _checkpoint_make, _checkpoint_ovs, _nics
from . import _iproute, _links, _ovsdb
from ._links import ReadError

RESOLV_CONF = "/etc/resolv.conf"
_TIMEOUT = 20.0
_FOREVER = 4294967295
_LIMIT = 1 << 16
_FAMILIES = {"inet": "-4", "inet6": "-6"}
_FLAGS = ("noprefixroute", "home", "nodad", "autojoin", "mngtmpaddr")
#: What a route's state is at the moment, no setting of it.
_PASSING = frozenset(
    {"linkdown", "dead", "offload", "rt_offload", "trap", "rt_trap", "offload_failed", "unresolved"}
    | {"rt_offload_failed", "pervasive", "notify", "cache"}
)
_PASSING_PAIRS = frozenset({"nhid", "error", "users", "age"})
_RESOLVED = re.compile(r"^Link \d+ \((.+?)\):(.*)$")


def gather(socket: str | None = None, ovs: bool = True, timeout: float = 5.0) -> dict[str, Any]:
    """Return the state of this node. ``ovs`` None: there is none, or it does not answer.

    :param socket: ovsdb-server's socket; None looks at `_ovsdb.DEFAULT_SOCKETS`.
    :param timeout: seconds for ovsdb-server's answer.
    :raises ReadError: when ``ip`` is missing, too old or fails.
    """
    routes = [route for family in _FAMILIES for route in _routes(family)]
    links = [link for link in json_of("address", "show") if "ifname" in link]
    primary = _primary(routes)
    return {
        "boot_id": boot_id(),
        "links": [_link(link, primary) for link in links],
        "addresses": {_links.text(link["ifname"]): _addresses(link) for link in links},
        "routes": routes,
        "rules": [rule for family in _FAMILIES for rule in _rules(family)],
        "dns": _dns(),
        "ovs": read_ovs(socket, timeout) if ovs else None,
    }


def boot_id() -> str:
    """Return what changes with every boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def ip(*words: str, timeout: float = _TIMEOUT) -> str:
    """Return what ``ip`` prints. Raises ReadError with its message."""
    program = _iproute.find()
    if program is None:
        raise ReadError(
            "The program 'ip' was not found in PATH or the sbin directories. Install iproute2 on "
            "the node: without it no network can be saved or restored."
        )
    try:
        done = subprocess.run(
            [program, *words],
            capture_output=True,
            check=False,
            timeout=timeout,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ReadError(f"Running 'ip {' '.join(words)}' failed: {error}.") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "backslashreplace").strip().replace("\n", " ")
        said = said.replace("RTNETLINK answers: ", "")
        raise ReadError(f"'ip {' '.join(words)}' failed: {said or done.returncode}")
    return done.stdout.decode("utf-8", "surrogateescape")


def json_of(*words: str) -> list[dict[str, Any]]:
    """Return what ``ip -j`` prints. Raises ReadError."""
    found = _iproute.parse(ip("-j", "-d", *words))
    return found[0] if found else []


def _lines(family: str, *words: str) -> list[list[str]]:
    if family == "inet6" and not os.path.exists("/proc/net/if_inet6"):
        return []
    text = ip("-d", "-o", _FAMILIES[family], *words)
    # What "-o" puts in the place of a line's end: a route of several ways has one for each.
    return [line.replace("\\", " ").split() for line in text.splitlines() if line.strip()]


def _link(entry: dict[str, Any], primary: str | None) -> dict[str, Any]:
    name = _links.text(entry["ifname"])
    information = entry.get("linkinfo") or {}
    kind = str(information.get("info_kind") or "")
    flags = entry.get("flags", [])
    physical = not kind and os.path.exists(f"/sys/class/net/{name}/device")
    told = kind or ("physical" if physical else "loopback" if "LOOPBACK" in flags else "other")
    has_global = any(
        _nics.is_global_unicast(str(a.get("local", ""))) for a in entry.get("addr_info", ())
    )
    parent = None if "link_netnsid" in entry or kind == "veth" else entry.get("link")
    return {
        "name": name,
        "ifindex": entry["ifindex"],
        "kind": kind,
        "physical": physical,
        "master": entry.get("master"),
        "parent": parent,
        "mtu": entry.get("mtu"),
        "mac": entry.get("address"),
        "permanent_mac": entry.get("permaddr"),
        "up": "UP" in flags,
        "altnames": [_links.text(altname) for altname in entry.get("altnames", [])],
        "make": _checkpoint_make.words(kind, parent, information.get("info_data") or {}),
        "role": _nics.role_of(name, told, has_global, primary),
    }


def _addresses(link: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    name = _links.text(link["ifname"])
    for entry in link.get("addr_info", ()):
        if entry.get("family") not in _FAMILIES or entry.get("temporary"):
            continue
        valid, preferred = (
            entry.get(f"{key}_life_time", _FOREVER) for key in ("valid", "preferred")
        )
        label = entry.get("label")
        found.append(
            {
                "family": entry["family"],
                "local": entry.get("local", entry.get("address", "")),
                "prefix": entry["prefixlen"],
                "peer": entry.get("address") if "local" in entry else None,
                "broadcast": entry.get("broadcast"),
                "scope": str(entry.get("scope", "global")),
                "label": None if label in (None, name) else _links.text(label),
                "metric": entry.get("metric"),
                "proto": entry.get("protocol"),
                "flags": [flag for flag in _FLAGS if entry.get(flag)],
                "lifetime": None if valid == _FOREVER else [valid, _life(preferred)],
            }
        )
    return found


def _life(seconds: int) -> int | str:
    return "forever" if seconds == _FOREVER else seconds


def _primary(routes: list[dict[str, Any]]) -> str | None:
    for route in routes:
        words = route["words"]
        if words[1] == "default" and "dev" in words:
            return str(words[words.index("dev") + 1])
    return None


def _routes(family: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for line in _lines(family, "route", "show", "table", "all"):
        words: list[str] = []
        expires = None
        rest = iter(line)
        for word in rest:
            if word == "expires":
                expires = int(re.sub(r"\D", "", next(rest, "0")) or 0)
            elif word in _PASSING_PAIRS:
                next(rest, None)
            elif word not in _PASSING:
                words.append(word)
        if not words or "table local" in " ".join(words):
            continue
        route = {"family": family, "words": words, "expires": expires}
        # Older releases print some routes of "table all" twice.
        if route not in found:
            found.append(route)
    return found


def _rules(family: str) -> list[dict[str, Any]]:
    lines = _lines(family, "rule", "show")
    return [
        {"family": family, "words": [words[0].rstrip(":"), *_rule(words[1:])]}
        for words in lines
        if words[0].endswith(":")
    ]


def _rule(words: list[str]) -> list[str]:
    """A rule in the words that "ip rule add" takes."""
    text = " ".join(word for word in words if word not in ("[detached]", "[unresolved]"))
    return text.replace("lookup [l3mdev-table]", "l3mdev").split()


def _dns() -> dict[str, Any]:
    target = os.readlink(RESOLV_CONF) if os.path.islink(RESOLV_CONF) else None
    resolved = "systemd/resolve" in (target or "")
    content = None
    if not resolved and os.path.isfile(RESOLV_CONF):
        with open(RESOLV_CONF, encoding="utf-8", errors="surrogateescape") as file:
            content = file.read(_LIMIT)
    return {"target": target, "content": content, "links": _per_link() if resolved else {}}


def _per_link() -> dict[str, dict[str, list[str]]]:
    """Each link's servers and domains at systemd-resolved; empty when it does not answer."""
    found: dict[str, dict[str, list[str]]] = {}
    program = shutil.which("resolvectl")
    for verb, key in (("dns", "servers"), ("domain", "domains")) if program else ():
        try:
            done = subprocess.run(
                [str(program), "--no-pager", verb],
                capture_output=True,
                text=True,
                check=False,
                timeout=5,
            )
        except (OSError, subprocess.TimeoutExpired):
            return {}
        for line in done.stdout.splitlines():
            told = _RESOLVED.match(line)
            if told:
                entry = found.setdefault(told.group(1), {"servers": [], "domains": []})
                entry[key] = told.group(2).split()
    return found


def read_ovs(socket: str | None, timeout: float) -> dict[str, Any] | None:
    """Return what the database holds; None when there is none or it does not answer."""
    try:
        path = socket or _ovsdb.find_socket()
        with _ovsdb.Client(path, timeout) as client:
            results = client.transact(
                _ovsdb.DATABASE,
                *(_ovsdb.select_rows(table, *names) for table, names in _checkpoint_ovs.SELECTS),
            )
        return _checkpoint_ovs.read([result["rows"] for result in results], path)
    except (_ovsdb.OvsdbError, KeyError, IndexError, TypeError):
        return None
