# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which source address a server sees when pods of this node connect to it.

Pods are entered in a forked child (`_probe_dns.in_child`), so this process stays where it is.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
import socket
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from . import _probe_dns
from ._probe_reach import is_own, reason

_MOST = 1 << 16
_BETWEEN = 0.5
#: "RemoteAddr: 192.0.2.1:4711", "ip=192.0.2.1".
_FIELD = re.compile(r"\s*([A-Za-z][\w. -]*?)\s*[=:]\s*(.+)")
#: Keys of a client's address, without what is between words.
_CLIENT = re.compile(
    r"(client|remote|peer|source|your)(ip|addr(ess)?|host)?|src(ip|addr)?|xforwardedfor|xrealip"
)
_PERHAPS = re.compile(r"ip|ipv[46]|addr(ess)?|ipaddr(ess)?|origin|query|myip")


class Target(NamedTuple):
    """A TCP port."""

    address: str
    port: int


def from_pods(
    pods: list[str], target: Target, timeout: float, attempts: int
) -> list[dict[str, Any]]:
    """Return ``{pod, netns, ok, seen, said, error}`` per pod, each named by its address.

    ``ok``: it took the connection, None when there is no such pod here. ``seen``: the addresses
    that it tells as the client's.
    """
    patience = _probe_dns.Limits(timeout=(timeout + _BETWEEN) * len(pods) * 2, attempts=attempts)
    found = _probe_dns.in_child(lambda: _in_pods(pods, target, timeout, attempts), patience)
    if isinstance(found, str):
        return [_result(pod, None, error=found) for pod in pods]
    results: list[dict[str, Any]] = found
    return results


def _in_pods(
    pods: list[str], target: Target, timeout: float, attempts: int
) -> list[dict[str, Any]]:
    nowhere = "no network namespace on this node has this address"
    found = {pod: _result(pod, None, error=nowhere) for pod in pods}
    for path in _probe_dns.namespaces("/proc"):
        left = [pod for pod in pods if found[pod]["netns"] is None]
        if not left:
            break
        try:
            _probe_dns.enter(path)
        except PermissionError as error:
            for pod in left:
                found[pod]["error"] = f"cannot enter {path}: {reason(error)}. Use become"
            continue
        except OSError:  # it has just ended
            continue
        for pod in left:
            if is_own(pod):
                found[pod] = _ask(pod, path, target, timeout, attempts)
    return list(found.values())


def _ask(pod: str, path: str, target: Target, timeout: float, attempts: int) -> dict[str, Any]:
    error = ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(_BETWEEN)
        try:
            where = (target.address, target.port)
            with socket.create_connection(where, timeout, (pod, 0)) as link:
                said = _said(link, target, timeout)
        except socket.timeout:  # in Python 3.9 no TimeoutError
            error = f"no answer within {timeout:g} s"
        except OSError as fault:
            error = reason(fault)
        else:
            return {**_result(pod, path), "ok": True, "said": said, "seen": addresses(said)}
    return {**_result(pod, path, error=error), "ok": False}


def _said(link: socket.socket, target: Target, timeout: float) -> str:
    """Return what it says to a web client, or of itself; as much as comes in time."""
    host = f"[{target.address}]" if ":" in target.address else target.address
    said = b""
    end = time.monotonic() + timeout
    with contextlib.suppress(OSError):
        link.sendall(f"GET / HTTP/1.0\r\nHost: {host}\r\nAccept: text/plain\r\n\r\n".encode())
        while len(said) < _MOST and time.monotonic() < end:
            data = link.recv(4096)
            if not data:
                break
            said += data
    return said.decode("utf-8", "replace")


def addresses(text: str) -> list[str]:
    """Return the client's address as a server tells it, of an HTTP answer by its body.

    That is one address and nothing else, or fields (JSON, or lines of key and value) whose key says
    so. What else looks like an address - a version, a time, the server's own - is none.
    """
    if text.startswith("HTTP/"):
        text = text.partition("\r\n\r\n")[2]
    whole = _address(text)
    if whole:
        return [whole]
    fields = list(_fields(text))
    for keys in (_CLIENT, _PERHAPS):
        found: dict[str, None] = {}
        for key, value in fields:
            if keys.fullmatch(re.sub(r"[\W_]", "", key.lower())):
                parts = [_address(part) for part in value.split(",")]
                found.update(dict.fromkeys(part for part in parts if part))
        if found:
            return list(found)
    return []


def _address(text: str) -> str:
    """Return the address that a text is, with or without a port; "" if it is none."""
    host = text.strip().strip("\"'")
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return ""
    # So a server that listens for both families has it.
    mapped = found.ipv4_mapped if found.version == 6 else None
    return str(mapped or found)


def _fields(text: str) -> Iterator[tuple[str, str]]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        for line in text.splitlines():
            field = _FIELD.fullmatch(line)
            if field:
                yield field[1], field[2]
        return
    left = [told]
    while left:
        value = left.pop(0)
        if isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            for key, entry in value.items():
                yield key, entry if isinstance(entry, str) else ""
            left += value.values()


def _result(pod: str, netns: str | None = None, error: str | None = None) -> dict[str, Any]:
    return {"pod": pod, "netns": netns, "ok": None, "seen": [], "said": "", "error": error or None}
