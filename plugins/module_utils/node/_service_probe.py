# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether Services and the API server answer, from this node and from pods' network namespaces."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import os
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from ..domain import _probe as words
from ..domain import _service_probe as domain
from ..domain._nics import is_global_unicast
from . import _probe_dns
from ._probe_reach import is_own, reason

_MODE = ("127.0.0.1", 10249, "/proxyMode")
_MOST = 1 << 16
_AT_ONCE = 16
_BETWEEN = 0.2


class Target(NamedTuple):
    """A port that has to take a connection; with ``question``, a DNS server that has to answer."""

    name: str
    where: words.Address
    port: int
    question: str = ""


def readyz(url: str, authority: str, timeout: float) -> dict[str, Any]:
    """Ask an API server whether it is ready, and prove that it is the cluster's.

    Return ``{url, host, port, addresses, local, ok, status, error}``; ``local``: those of
    ``addresses`` that this node itself has. Raises ValueError for what is no URL.
    """
    where = domain.api_server(url)
    found: dict[str, Any] = {
        "url": url,
        "host": where.host,
        "port": where.port,
        "addresses": [],
        "local": [],
        "ok": False,
        "status": None,
        "error": None,
    }
    try:
        found["addresses"] = _addresses(where)
        found["local"] = [text for text in found["addresses"] if is_own(text)]
        found["status"], body = _get(where, authority, timeout)
        found["error"] = domain.judge_status(found["status"], body)
    except socket.gaierror as error:
        found["error"] = f"its name could not be resolved: {error.strerror}"
    except ssl.SSLCertVerificationError as error:
        found["error"] = (
            f"its certificate was refused: {error.verify_message}. It has to name {where.host} and "
            "be signed by the cluster's authority"
        )
    except ssl.SSLError as error:
        found["error"] = f"no TLS: {error.reason or error}"
    except (OSError, http.client.HTTPException) as error:
        text = reason(error) if isinstance(error, OSError) else str(error)
        found["error"] = f"no answer: {text}"
    found["ok"] = found["error"] is None
    return found


def _addresses(where: domain.Where) -> list[str]:
    answers = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def _get(where: domain.Where, authority: str, timeout: float) -> tuple[int, str]:
    context = ssl.create_default_context(cadata=authority)
    host = f"[{where.host}]" if ":" in where.host else where.host
    link = http.client.HTTPSConnection(host, where.port, timeout=timeout, context=context)
    with contextlib.closing(link):
        link.request("GET", "/readyz")
        answer = link.getresponse()
        return answer.status, answer.read(_MOST).decode("utf-8", "replace")


def main_routes() -> list[domain.Route]:
    """Return the node's routes. Raises OSError."""
    # Without IPv6 the second is not there.
    said = [Path(f"/proc/net/{name}") for name in ("route", "ipv6_route")]
    texts = [path.read_text(encoding="ascii") if path.exists() else "" for path in said]
    return domain.main_routes(*texts)


def proxy_mode(timeout: float) -> str | None:
    """Return the mode in which kube-proxy runs on this node, None if it does not say."""
    host, port, path = _MODE
    link = http.client.HTTPConnection(host, port, timeout=timeout)
    with contextlib.closing(link):
        try:
            link.request("GET", path)
            answer = link.getresponse()
            said = answer.read(_MOST).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            return None
    return domain.mode_of(said) if answer.status == http.client.OK else None


def from_host(targets: list[Target], limits: _probe_dns.Limits) -> list[dict[str, Any]]:
    """Connect from this process's network namespace. Shape: `from_pods`."""
    said = _try_all(targets, limits)
    return [_result(t, False, said[n], _probe_dns.HOST) for n, t in enumerate(targets)]


def from_pods(targets: list[Target], limits: _probe_dns.Limits) -> list[dict[str, Any]]:
    """Connect from the network namespaces of pods on this node.

    Return ``{name, address, port, protocol, pod, ok, netns, error}`` per target. ``ok`` is None
    when there was no pod. A target counts as answering when it answers one pod.
    """
    if not targets:
        return []
    # Entering one after the other: the time that `in_child` gives is for one of them.
    patience = limits._replace(timeout=limits.timeout * limits.pods + _BETWEEN * limits.pods)
    said = _probe_dns.in_child(lambda: _in_pods(targets, limits), patience)
    if isinstance(said, str):
        return [{**_result(target, True, said, None), "ok": None} for target in targets]
    results: list[dict[str, Any]] = said
    return results


def _in_pods(targets: list[Target], limits: _probe_dns.Limits) -> list[dict[str, Any]]:
    nowhere = "no pod with a network namespace and a way to the address on this node"
    best = [{**_result(target, True, nowhere, None), "ok": None} for target in targets]
    networks = [ipaddress.ip_network(text, strict=False) for text in limits.networks]
    used = 0
    for path in _probe_dns.namespaces("/proc"):
        with contextlib.suppress(OSError):
            _probe_dns.enter(path)
            mine = [n for n, t in enumerate(targets) if _is_a_pods(t.where, networks)]
            said = _try_all([targets[number] for number in mine], limits)
            for number, error in zip(mine, said):
                if not best[number]["ok"]:
                    best[number] = _result(targets[number], True, error, path)
            used += bool(mine)
        if used >= limits.pods:
            break
    return best


def _is_a_pods(where: words.Address, networks: list[Any]) -> bool:
    """Tell whether there is a way to an address from here, from what can be a pod's address."""
    family = socket.AF_INET6 if where.family == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as link:
        try:
            link.connect((where.text, 9))
            source = str(link.getsockname()[0])
        except OSError:
            return False
    here = ipaddress.ip_address(source)
    return is_global_unicast(source) and (
        not networks or any(here in network for network in networks)
    )


def _try_all(targets: list[Target], limits: _probe_dns.Limits) -> list[str | None]:
    """Return what was wrong with each, None where nothing was."""
    if not targets:
        return []
    # Threads stay in the network namespace of the one that made them.
    with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(targets))) as pool:
        return list(pool.map(lambda target: _try(target, limits), targets))


def _try(target: Target, limits: _probe_dns.Limits) -> str | None:
    error: str | None = None
    for attempt in range(limits.attempts):
        if attempt:
            time.sleep(_BETWEEN)
        error = _once(target, limits.timeout)
        if error is None:
            return None
    return error


def _once(target: Target, timeout: float) -> str | None:
    try:
        with socket.create_connection((target.where.text, target.port), timeout) as link:
            return _ask(link, target.question) if target.question else None
    except socket.timeout:  # in Python 3.9 no TimeoutError
        return f"no answer within {timeout:g} s"
    except OSError as error:
        return reason(error)


def _ask(link: socket.socket, name: str) -> str | None:
    """Ask a DNS server over a connection (RFC 1035, 4.2.2)."""
    question = words.dns_question(name, int.from_bytes(os.urandom(2), "big"))
    link.sendall(len(question).to_bytes(2, "big") + question)
    length = int.from_bytes(_read(link, 2), "big")
    rcode = words.dns_rcode(question, _read(link, length))
    return words.dns_error(rcode) if rcode else "what it answered is no answer to the question"


def _read(link: socket.socket, length: int) -> bytes:
    said = b""
    while len(said) < length:
        data = link.recv(length - len(said))
        if not data:
            raise ConnectionResetError("the server closed the connection")
        said += data
    return said


def _result(target: Target, pod: bool, error: str | None, netns: str | None) -> dict[str, Any]:
    return {
        "name": target.name,
        "address": target.where.text,
        "port": target.port,
        "pod": pod,
        "ok": error is None,
        "netns": netns,
        "error": error,
    }
