# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""DNS asked over UDP, from this node or from the network namespaces of pods on it.

A namespace is entered in a forked child only: sockets stay in the namespace in which they were
made, so one child enters one after the other, leaves a socket in each, and asks through all of
them at once. The module's own process never leaves its namespace.
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import json
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..domain import _probe as words
from ..domain._nics import is_global_unicast
from ._probe_reach import reason

_CLONE_NEWNET = 0x40000000
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_NAMED = "/run/netns"
_PORT = 53
HOST = "host"


class Question(NamedTuple):
    """A server to ask, and the name to ask for."""

    server: words.Address
    name: str


class Limits(NamedTuple):
    """``timeout``: seconds for each answer; ``attempts``: times to ask; ``pods``: namespaces to ask
    from at most; ``networks``: where a pod's address lies, empty for anywhere."""

    timeout: float = 1.0
    attempts: int = 2
    pods: int = 3
    networks: tuple[str, ...] = ()


class _Query:
    """One question through one socket."""

    def __init__(self, question: int, netns: str, source: str, link: socket.socket) -> None:
        self.question = question
        self.netns = netns
        self.source = source
        self.link = link
        self.packet = b""
        self.sent_at = 0.0
        self.rcode: str | None = None
        self.ms: float | None = None
        self.error: str | None = None


def from_host(questions: list[Question], limits: Limits) -> list[dict[str, Any]]:
    """Ask from the network namespace of this process. Shape: `from_pods`."""
    queries: list[_Query] = []
    missing: dict[int, str] = {}
    for number, question in enumerate(questions):
        try:
            queries.append(_query(number, question, HOST))
        except OSError as error:
            missing[number] = reason(error)
    try:
        _ask(queries, questions, limits)
    finally:
        for query in queries:
            query.link.close()
    return [_result(n, q, queries, missing.get(n), False) for n, q in enumerate(questions)]


def from_pods(
    questions: list[Question], limits: Limits, proc: str = "/proc"
) -> list[dict[str, Any]]:
    """Ask from pods' network namespaces on this node.

    Return ``{server, name, pod, ok, rcode, ms, netns, source, error}`` per question. ``ok`` is None
    when there was no pod to ask from. A question counts as answered when one pod got the answer.
    """
    if not questions:
        return []
    said = in_child(lambda: _pods(questions, limits, proc), limits)
    if isinstance(said, str):
        return [_result(n, q, [], said, True) for n, q in enumerate(questions)]
    results: list[dict[str, Any]] = said
    return results


def in_child(work: Any, limits: Limits) -> Any:
    """Return what ``work`` returns in a child process; a text when it cannot."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            with os.fdopen(writing, "w") as stream:
                json.dump(work(), stream)
            code = 0
        except OSError as error:
            with contextlib.suppress(OSError):
                os.write(2, f"{error}\n".encode())
        finally:
            os._exit(code)
    os.close(writing)
    try:
        return _read(reading, time.monotonic() + limits.timeout * limits.attempts + 10)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _read(reading: int, end: float) -> Any:
    said = b""
    while True:
        left = end - time.monotonic()
        if left <= 0 or not select.select([reading], [], [], left)[0]:
            return "entering the pods' network namespaces took too long"
        data = os.read(reading, 1 << 16)
        if not data:
            break
        said += data
    try:
        return json.loads(said)
    except ValueError:
        return "the child process that enters the pods' network namespaces died"


def _pods(questions: list[Question], limits: Limits, proc: str) -> Any:
    """Enter pods' namespaces, ask, and return the results (in the child)."""
    queries: list[_Query] = []
    used = 0
    refused = ""
    networks = [ipaddress.ip_network(text, strict=False) for text in limits.networks]
    for path in namespaces(proc):
        try:
            enter(path)
        except OSError as error:
            # A pod that has just ended is none to ask from; a lack of rights holds for all.
            if isinstance(error, PermissionError):
                refused = f"cannot enter {path}: {reason(error)}. Run the module as root (become)"
            continue
        made = list(_sockets(questions, path, networks))
        queries.extend(made)
        used += any(query.source != questions[query.question].server.text for query in made)
        if used >= limits.pods:
            break
    queries = _not_to_oneself(queries, questions)
    _ask(queries, questions, limits)
    nowhere = refused or "no pod with a network namespace and a way to the server on this node"
    return [_result(n, q, queries, nowhere, True) for n, q in enumerate(questions)]


def namespaces(proc: str) -> Iterator[str]:
    """Yield the network namespaces on the node that may be pods', each once, not our own.

    Container runtimes name those that CNI plugins wired under /run/netns. What else runs in one of
    its own is a pod's if its control group says so.
    """
    seen = {_inode(f"{proc}/self/ns/net"), _inode(f"{proc}/1/ns/net"), None}
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(_NAMED)):
            path = f"{_NAMED}/{name}"
            inode = _inode(path)
            if inode not in seen:
                seen.add(inode)
                yield path
    for pid in sorted((name for name in os.listdir(proc) if name.isdigit()), key=int):
        path = f"{proc}/{pid}/ns/net"
        inode = _inode(path)
        if inode not in seen and _in_a_pod(f"{proc}/{pid}/cgroup"):
            seen.add(inode)
            yield path


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None


def _in_a_pod(path: str) -> bool:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return "kubepods" in file.read()
    except OSError:
        return False


def enter(path: str) -> None:
    """Move this process into a network namespace (os.setns came with Python 3.12)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(descriptor)


def _query(number: int, question: Question, netns: str) -> _Query:
    """Open a socket to the server here. Raises OSError when there is no way to it."""
    link = socket.socket(_FAMILIES[question.server.family], socket.SOCK_DGRAM)
    try:
        link.setblocking(False)
        link.connect((question.server.text, _PORT))
        return _Query(number, netns, str(link.getsockname()[0]), link)
    except OSError:
        link.close()
        raise


def _sockets(questions: list[Question], netns: str, networks: list[Any]) -> Iterator[_Query]:
    for number, question in enumerate(questions):
        try:
            query = _query(number, question, netns)
        except OSError:
            continue  # this namespace has no network yet, or none of this family
        here = ipaddress.ip_address(query.source)
        fits = any(here in network for network in networks) if networks else True
        if fits and is_global_unicast(query.source):
            yield query
        else:
            query.link.close()


def _not_to_oneself(queries: list[_Query], questions: list[Question]) -> list[_Query]:
    """Leave out the DNS server's own pod where another one can ask: it proves nothing."""
    others = [q for q in queries if q.source != questions[q.question].server.text]
    served = {query.question for query in others}
    return others + [query for query in queries if query.question not in served]


def _ask(queries: list[_Query], questions: list[Question], limits: Limits) -> None:
    """Send every question, again when there was no answer in time, and take the answers."""
    answered: set[int] = set()
    for _attempt in range(limits.attempts):
        waiting = {q.link: q for q in queries if q.question not in answered}
        for query in waiting.values():
            _send(query, questions[query.question])
        end = time.monotonic() + limits.timeout
        while waiting and (left := end - time.monotonic()) > 0:
            for link in select.select(list(waiting), [], [], left)[0]:
                query = waiting[link]
                if _receive(query):
                    answered.add(query.question)
            waiting = {link: q for link, q in waiting.items() if q.question not in answered}


def _send(query: _Query, question: Question) -> None:
    number = int.from_bytes(os.urandom(2), "big")
    query.packet = words.dns_question(question.name, number)
    query.sent_at = time.monotonic()
    try:
        query.link.send(query.packet)
    except OSError as error:
        query.error = reason(error)


def _receive(query: _Query) -> bool:
    """Take a packet; tell whether the question is answered."""
    try:
        packet = query.link.recv(4096)
    except OSError as error:  # ICMP said that nobody listens there
        query.error = reason(error)
        return False
    rcode = words.dns_rcode(query.packet, packet)
    if rcode is None:
        return False
    query.rcode = rcode
    query.ms = round((time.monotonic() - query.sent_at) * 1000, 3)
    query.error = words.dns_error(rcode)
    return query.error is None


def _result(
    number: int, question: Question, queries: list[_Query], nowhere: str | None, pod: bool
) -> dict[str, Any]:
    mine = [query for query in queries if query.question == number]
    good = [query for query in mine if query.rcode and not query.error]
    best = next(iter(good or [query for query in mine if query.rcode] or mine), None)
    error = nowhere
    if best is not None:
        error = None if good else (best.error or "no answer")
    return {
        "server": question.server.text,
        "name": question.name,
        "pod": pod,
        "ok": bool(good) if mine or not pod else None,
        "rcode": best.rcode if best else None,
        "ms": best.ms if best else None,
        "netns": best.netns if best else None,
        "source": best.source if best else None,
        "error": error,
    }
