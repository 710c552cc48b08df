# Copyright: (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what kube-proxy left on a node, from every place it writes to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_chains as names
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_proxy as domain
from ansible_collections.k8snet.cni.plugins.module_utils.node import (
    _ipset,
    _iptables,
    _ipvs,
    _nfnetlink,
    _nft,
    _sysctl,
)

DUMMY = "kube-ipvs0"
_T = TypeVar("_T")


def gather(timeout: float = 60.0) -> dict[str, Any]:
    """The fact ``k8snet_kube_proxy``; whatever cannot be read is told in its ``errors``."""
    return domain.facts(observe(timeout))


def nothing(error: str) -> dict[str, Any]:
    """The fact of a node that could not be read at all."""
    return domain.facts(domain.Observed(errors=[error]))


def observe(timeout: float = 60.0) -> domain.Observed:
    """Everything that `domain.facts` judges. Loads no kernel module, writes nothing."""
    deadline = time.monotonic() + timeout
    seen = domain.Observed(sysctls=_sysctl.read(), running=running())

    def left() -> float:
        return max(0.1, deadline - time.monotonic())

    seen.nft_tables = _asked(lambda: _nft.tables(left()), "nf_tables' tables", [], seen.errors)
    seen.graphs, errors = _iptables.gather(seen.nft_tables, deadline)
    seen.errors += errors
    seen.ipsets = _asked(lambda: _ipset.sets(left()), "ipsets", [], seen.errors)
    _addresses(seen, left)
    try:
        seen.virtual_servers = _ipvs.virtual_servers()
    except _ipvs.IpvsError as exc:
        seen.errors.append(str(exc))
    if seen.virtual_servers:
        for name in [s.name for s in seen.ipsets if s.name in names.NODE_PORT_SETS]:
            seen.node_ports |= _asked(
                partial(_ipset.node_ports, name, left()),
                f"ipset {name}",
                set(),
                seen.errors,
            )
    return seen


def _addresses(seen: domain.Observed, left: Callable[[], float]) -> None:
    links: dict[str, list[tuple[int, str, int]]] = {}
    nobody: set[str] = set()
    links = _asked(lambda: _nfnetlink.link_addresses(left()), "addresses", links, seen.errors)
    if DUMMY in links:
        seen.kube_ipvs0 = [address for _scope, address, _prefix in links[DUMMY]]
    elif DUMMY in _asked(_nfnetlink.link_names, "links", nobody, seen.errors):
        seen.kube_ipvs0 = []
    seen.local_addresses = {
        address
        for name, found in links.items()
        if name != DUMMY
        for _scope, address, _prefix in found
    }


def _asked(question: Callable[[], _T], what: str, default: _T, errors: list[str]) -> _T:
    """The kernel's answer; when it refuses, ``default`` and the reason among ``errors``."""
    try:
        return question()
    except _nfnetlink.NetlinkError as exc:
        errors.append(
            f"The kernel did not list {what} ({exc}): netlink. "
            "Reading them needs root: use 'become: true'."
        )
        return default


def running(proc: str = "/proc") -> bool:
    """Whether a process named kube-proxy runs (k3s and rke2 hold it inside another process)."""
    for entry in os.listdir(proc):
        if entry.isdigit():
            try:
                with open(f"{proc}/{entry}/comm", "rb") as file:
                    if file.read().strip() == b"kube-proxy":
                        return True
            except OSError:
                continue  # It ended while we looked.
    return False
