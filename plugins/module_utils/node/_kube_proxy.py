# Copyright (c) 2026, k8snet.cni contributors
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
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_ipvs import NodePort
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
    errors: list[str] = []

    def left() -> float:
        return max(0.1, deadline - time.monotonic())

    tables: list[domain.NftTable] = []
    tables = _asked(lambda: _nft.tables(left()), "nf_tables' tables", tables, errors)
    graphs, more = _iptables.gather(tables, deadline)
    errors += more
    sets: list[domain.IpSet] = []
    sets = _asked(lambda: _ipset.sets(left()), "ipsets", sets, errors)
    dummy, local = _addresses(left, errors)
    try:
        servers = _ipvs.virtual_servers()
    except _ipvs.IpvsError as exc:
        servers = []
        errors.append(str(exc))
    return domain.Observed(
        graphs=graphs,
        nft_tables=tables,
        ipsets=sets,
        virtual_servers=servers,
        node_ports=_node_ports(sets, left, errors) if servers else frozenset(),
        kube_ipvs0=dummy,
        local_addresses=local,
        sysctls=_sysctl.read(),
        running=running(),
        errors=errors,
    )


def _node_ports(
    sets: list[domain.IpSet], left: Callable[[], float], errors: list[str]
) -> set[NodePort]:
    found: set[NodePort] = set()
    for name in [s.name for s in sets if s.name in names.NODE_PORT_SETS]:
        nothing: set[NodePort] = set()
        question = partial(_ipset.node_ports, name, left())
        found |= _asked(question, f"ipset {name}", nothing, errors)
    return found


def _addresses(left: Callable[[], float], errors: list[str]) -> tuple[list[str] | None, set[str]]:
    """(addresses on kube-ipvs0, None without it; the node's other addresses)."""
    links: dict[str, list[tuple[int, str, int]]] = {}
    links = _asked(lambda: _nfnetlink.link_addresses(left()), "addresses", links, errors)
    nobody: set[str] = set()
    dummy: list[str] | None = None
    if DUMMY in links:
        dummy = [address for _scope, address, _prefix in links.pop(DUMMY)]
    elif DUMMY in _asked(_nfnetlink.link_names, "links", nobody, errors):
        dummy = []
    return dummy, {address for found in links.values() for _scope, address, _prefix in found}


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
