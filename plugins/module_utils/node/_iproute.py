# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Links, addresses and routes from one run of iproute2's ``ip -j``.

Everything is asked for in one ``ip -batch`` process: starting processes is what costs.
Key names of the JSON: iproute2, ``ip/ipaddress.c``, ``ip/iproute.c``, ``ip/iplink_*.c``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import Any

from . import _links

_SBIN = "/usr/sbin:/sbin:/usr/bin:/bin"
_TIMEOUT = 60
_INTERRUPTED = "Dump was interrupted"
_FAILED = re.compile(r"^Command failed .*:(\d+)\s*$")
_NO_ADDRESS = frozenset({"any", "0.0.0.0", "::", ""})  # noqa: S104 - an empty endpoint, no bind


def find() -> str | None:
    """Return the path of ``ip``, also where PATH has no sbin directories, or None."""
    return shutil.which("ip", path=os.environ.get("PATH", "") + ":" + _SBIN)


def read(targets: list[tuple[str, str]]) -> _links.Snapshot:
    """Read links with addresses, default routes and the route to each ``(family, address)``.

    Raises `_links.ReadError` when ``ip`` is missing, fails, or does not know JSON.
    """
    program = find()
    if program is None:
        raise _links.ReadError(
            "Cannot read the network interfaces: neither the program 'ip' (looked in PATH and "
            f"{_SBIN}) nor the Python package pyroute2 is there. Install iproute2 on the node."
        )
    commands = ["address show", "route show table all default"]
    commands += [f"route get {address}" for _family, address in targets]
    answers, errors, interrupted = _batch(program, commands)
    for number in (0, 1):
        if answers[number] is None:
            raise _links.ReadError(
                f"Cannot read the network interfaces: '{program} -j -d {commands[number]}' "
                f"failed: {errors.get(number, 'no answer')}."
            )
    routes = answers[1] or []
    return _links.Snapshot(
        links=[link for link in map(_link, answers[0] or []) if link is not None],
        routes={
            "inet": _links.sort_routes(_default_routes(routes, "inet")),
            "inet6": _links.sort_routes(_default_routes(routes, "inet6")),
        },
        found=[
            _found(answers[2 + number], errors.get(2 + number)) for number in range(len(targets))
        ],
        interrupted=interrupted,
    )


def _batch(
    program: str, commands: list[str]
) -> tuple[list[list[dict[str, Any]] | None], dict[int, str], bool]:
    """Run the commands in one process: answers (None: failed), errors by number, interrupted."""
    # The error texts are compared and reported: they must not be translated.
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        result = subprocess.run(
            [program, "-j", "-d", "-force", "-batch", "-"],
            input="".join(f"{command}\n" for command in commands).encode(),
            capture_output=True,
            check=False,
            timeout=_TIMEOUT,
            close_fds=False,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _links.ReadError(
            f"Cannot read the network interfaces: running '{program} -j' failed: {error}."
        ) from None
    messages = result.stderr.decode("utf-8", "backslashreplace")
    errors = _errors(messages)
    documents = parse(result.stdout.decode("utf-8", "surrogateescape"))
    if len(documents) + len(errors) != len(commands):
        first = (messages.strip().splitlines() or ["no message"])[0]
        raise _links.ReadError(
            f"Cannot read the network interfaces: '{program} -j -batch' gave {len(documents)} "
            f"answers to {len(commands)} questions: {first}. It must be iproute2 4.20 or later "
            "(BusyBox's ip knows no -j); the Python package pyroute2 on the node serves as well."
        )
    remaining = iter(documents)
    answers = [None if number in errors else next(remaining) for number in range(len(commands))]
    return answers, errors, _INTERRUPTED in messages


def _errors(messages: str) -> dict[int, str]:
    """Map the number of each failed command to its message, which ip prints just before."""
    errors: dict[int, str] = {}
    last = ""
    for line in messages.splitlines():
        failed = _FAILED.match(line)
        if failed:
            errors[int(failed.group(1)) - 1] = last or "failed without a message"
            last = ""
        elif line.strip() and _INTERRUPTED not in line:
            last = line.strip().replace("RTNETLINK answers: ", "").replace("Error: ", "")
    return errors


def parse(text: str) -> list[list[dict[str, Any]]]:
    """Decode the JSON arrays that follow each other in the output of ``ip -j -batch``.

    iproute2 before 6.10 escapes an apostrophe, which JSON does not know: undone first.
    """
    if "\\'" in text:
        text = re.sub(r"\\([\\'])", lambda match: "'" if match[1] == "'" else match[0], text)
    documents: list[list[dict[str, Any]]] = []
    decoder = json.JSONDecoder()
    position, length = 0, len(text)
    while True:
        while position < length and text[position].isspace():
            position += 1
        if position >= length:
            return documents
        try:
            document, position = decoder.raw_decode(text, position)
        except ValueError:
            raise _links.ReadError(
                "Cannot read the network interfaces: 'ip -j' printed no JSON: "
                f"{text[position : position + 60]!r}. It must be iproute2 4.20 or later."
            ) from None
        documents.append(document)


def _link(entry: dict[str, Any]) -> dict[str, Any] | None:
    # Address flush and empty filters leave `{}` in the list.
    if "ifname" not in entry:
        return None
    name = _links.text(entry["ifname"])
    flags = entry.get("flags", [])
    information = entry.get("linkinfo") or {}
    kind = information.get("info_kind")
    data = information.get("info_data") or {}
    # The kernel names a VXLAN's lower device among its own settings only.
    lower = data.get("link") if kind == "vxlan" else entry.get("link")
    if "link_netnsid" in entry:
        lower = None
    return {
        "name": name,
        "ifindex": entry["ifindex"],
        "mac": _mac(entry.get("address")),
        "permanent_mac": _mac(entry.get("permaddr")),
        "mtu": entry.get("mtu"),
        "up": "UP" in flags,
        "lower_up": "LOWER_UP" in flags,
        "operstate": str(entry.get("operstate", "unknown")).lower(),
        "master": _name_or_none(entry.get("master")),
        "link": _name_or_none(lower),
        "loopback": "LOOPBACK" in flags,
        "info_kind": kind,
        "vlan_id": data.get("id") if kind == "vlan" else None,
        "tun_type": data.get("type") if kind == "tun" else None,
        "tunnel": _tunnel(data) if kind in _links.TUNNELS else None,
        "altnames": [_links.text(altname) for altname in entry.get("altnames", [])],
        "addresses": [
            _address(address, name)
            for address in entry.get("addr_info", [])
            if address.get("family") in ("inet", "inet6")
        ],
    }


def _name_or_none(name: Any) -> str | None:
    return _links.text(name) if isinstance(name, str) else None


def _mac(address: Any) -> str | None:
    """Return a hardware address; tunnels have IP addresses in this place, loopback only zeros."""
    if not isinstance(address, str) or address.count(":") < 5 or "::" in address:
        return None
    if any(len(part) != 2 for part in address.split(":")) or not address.strip("0:"):
        return None
    return address


def _tunnel(data: dict[str, Any]) -> dict[str, Any]:
    remote = data.get("remote", data.get("remote6", data.get("group", data.get("group6"))))
    number: Any = data.get("id")
    if number is None and isinstance(data.get("ikey"), str):
        number = _links.dotted_to_int(data["ikey"])
    # A device driven by flow rules takes each packet's id from them; the kernel reports 0.
    return _links.tunnel(
        number=None if data.get("external") else number,
        local=_end(data.get("local", data.get("local6"))),
        remote=_end(remote),
        port=data.get("port"),
    )


def _end(address: Any) -> str | None:
    return None if address is None or address in _NO_ADDRESS else str(address)


def _address(entry: dict[str, Any], name: str) -> dict[str, Any]:
    family = entry["family"]
    flags = [
        flag
        for flag in _links.ADDRESS_FLAGS[family]
        if entry.get(flag) or (flag == "permanent" and "dynamic" not in entry)
    ]
    label = entry.get("label")
    return _links.address(
        family=family,
        address=entry.get("local", entry.get("address", "")),
        prefix=entry["prefixlen"],
        scope=str(entry.get("scope", "global")),
        flags=flags,
        label=_links.text(label) if isinstance(label, str) else None,
        name=name,
    )


def _default_routes(routes: list[dict[str, Any]], family: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for route in routes:
        if route.get("table", "main") not in ("main", "254"):
            continue
        if route.get("type", "unicast") != "unicast" or route.get("dst") != "default":
            continue
        if _route_family(route) != family:
            continue
        for hop in route.get("nexthops") or [route]:
            found.append(
                _links.route(
                    gateway=_gateway(hop),
                    interface=_name_or_none(hop.get("dev")),
                    metric=route.get("metric", 0),
                    source=route.get("prefsrc"),
                )
            )
    return found


def _route_family(route: dict[str, Any]) -> str:
    """Return the family of a default route: only IPv6 routes carry a router preference."""
    return "inet6" if "pref" in route else "inet"


def _gateway(hop: dict[str, Any]) -> str | None:
    gateway = hop.get("gateway") or (hop.get("via") or {}).get("host")
    return str(gateway) if gateway else None


def _found(answer: list[dict[str, Any]] | None, error: str | None) -> dict[str, Any]:
    if answer is None or not answer:
        return _links.found(error=error or "no route")
    route = answer[0]
    if route.get("type") in _links.REFUSING:
        return _links.found(error=_links.REFUSING[route["type"]])
    return _links.found(
        source=route.get("prefsrc"),
        interface=_name_or_none(route.get("dev")),
        gateway=_gateway(route),
    )
