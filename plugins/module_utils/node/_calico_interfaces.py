# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads and removes Calico's interfaces on a node, keeping first how they were."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import subprocess
from typing import Any

from ..domain._calico_leftovers import PodEnd
from . import _iproute, _netlink

_RTM_GETNSID, _NSA_NSID, _NSA_PID = 90, 1, 2
_TIMEOUT = 30


class InterfaceError(Exception):
    """What, where, remedy."""


def _ip(*arguments: str) -> str:
    """Return what ``ip`` prints. Raises InterfaceError."""
    program = _iproute.find()
    if program is None:
        raise InterfaceError("Failed to find the program 'ip'. Install iproute2 on the node.")
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, timeout=_TIMEOUT
    )
    if done.returncode:
        words = " ".join(arguments)
        raise InterfaceError(f"Failed to run 'ip {words}': {done.stderr.strip()}. Run as root.")
    return done.stdout


def _json(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_ip("-j", "-d", *arguments) or "[]")
    return [entry for entry in found if entry]


def pod_ends(nics: list[dict[str, Any]]) -> dict[str, PodEnd]:
    """Return what is known of each pod's end among ``nics``. Raises InterfaceError."""
    names = {
        nic["name"] for nic in nics if nic["name"].startswith("cali") and nic["kind"] == "veth"
    }
    if not names:
        return {}
    inhabited = _inhabited()
    routed: dict[str, set[str]] = {name: set() for name in names}
    for family in ("-4", "-6"):
        for route in _json(family, "route", "show", "table", "main"):
            if route.get("dev") in names:
                routed[route["dev"]].add(str(route["dst"]).partition("/")[0])
    links = {link["ifname"]: link.get("link_netnsid") for link in _json("link", "show")}
    found = {}
    for name in names:
        number = links.get(name)
        lives = None if inhabited is None or number is None else number in inhabited
        found[name] = PodEnd(frozenset(routed[name]), lives)
    return found


def _inhabited() -> set[int] | None:
    """Return the numbers by which this network namespace knows those in which a process runs.

    None when that cannot be seen, for want of rights.
    """
    spaces: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            spaces.setdefault(os.stat(f"/proc/{name}/ns/net").st_ino, int(name))
        except PermissionError:
            return None
        except OSError:
            continue  # it has just ended
    channel = _netlink.Socket()
    try:
        return {n for pid in spaces.values() if (n := _number(channel, pid)) is not None}
    finally:
        channel.close()


def _number(channel: _netlink.Socket, pid: int) -> int | None:
    body = struct.pack("=Bxxx", socket.AF_UNSPEC)
    body += _netlink.attribute(_NSA_PID, struct.pack("=I", pid))
    try:
        for data, offset in channel.ask(_RTM_GETNSID, 0, body):
            length = struct.unpack_from("=I", data, offset)[0]
            values = _netlink.attributes(data[: offset + length], offset + 20)
            number: int = struct.unpack("=i", values[_NSA_NSID][0])[0]
            return number if number >= 0 else None
    except OSError:  # it has just ended
        return None
    return None


def snapshot(nic: dict[str, Any]) -> dict[str, Any]:
    """Return how an interface is, with the commands that make it so again as far as any can.

    A pod's end cannot be made again: its other end goes with it.
    """
    name, tunnel = nic["name"], nic["tunnel"] or {}
    addresses = [f"{a['address']}/{a['prefix']}" for a in nic["addresses"] if isinstance(a, dict)]
    commands = []
    if nic["kind"] == "vxlan":
        made = ["ip", "link", "add", name, "mtu", str(nic["mtu"]), "type", "vxlan"]
        for word, value in (
            ("id", tunnel.get("id")),
            ("local", tunnel.get("local")),
            ("remote", tunnel.get("remote")),
            ("dev", nic["parent"]),
            ("dstport", tunnel.get("port")),
        ):
            made += [word, str(value)] if value is not None else []
        commands.append(" ".join([*made, "nolearning"]))
        commands += [f"ip link set {name} address {nic['mac']}"] * bool(nic["mac"])
    if nic["kind"] != "veth":
        commands += [
            f"ip addr add {address} dev {name}" for address in addresses if "fe80:" not in address
        ]
        commands += [f"ip link set {name} up"] * bool(nic["up"])
    keys = ("kind", "mac", "mtu", "up", "parent", "tunnel")
    return {**{key: nic[key] for key in keys}, "addresses": addresses, "commands": commands}


def remove(entry: dict[str, Any]) -> None:
    """Remove one left-over. Raises InterfaceError; one that has gone by itself is no error."""
    name = entry["name"]
    if index_of(name) != entry["ifindex"]:
        return  # gone, or made anew by Felix since it was judged
    if entry["remove"] == "device":
        _ip("link", "del", name)
        return
    for address in entry["addresses"]:
        _ip("addr", "del", address, "dev", name)


def index_of(name: str) -> int | None:
    """Return the index of an interface, None when there is none of that name."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return None


def keep(run_id: str, before: dict[str, Any], root: str = "/") -> str:
    """Write how each interface was into the run's undo bundle; return its folder.

    Directories 0700, files 0600, no symbolic link followed. What a former attempt of the run kept
    of an interface stays. Raises InterfaceError.
    """
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    place = os.path.join(root, "var/lib")
    try:
        current = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for name in ("k8snet", "undo", run_id):
            place = os.path.join(place, name)
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=current)
            following = os.open(name, os.O_RDONLY | os.O_DIRECTORY | flags, dir_fd=current)
            os.close(current)
            current = following
        for name, how in before.items():
            _write(current, f"interface.{name}.json", json.dumps(how, indent=1).encode() + b"\n")
        os.close(current)
    except OSError as error:
        raise InterfaceError(
            f"Failed to keep the undo bundle at {place}: {error.strerror}. Nothing was removed."
        ) from None
    return place


def _write(directory: int, name: str, data: bytes) -> None:
    temporary = f".{name}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):  # what a former attempt of this run kept
            os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=directory)
    os.fsync(directory)
