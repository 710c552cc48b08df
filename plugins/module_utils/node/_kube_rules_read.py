# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what a removal needs: every rule in full, and the saves to keep as evidence."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import IO, NamedTuple, TypeVar

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_chains as names
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_proxy as facts
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_rules_plan as domain
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_graph import Graph, build
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_ipvs import NodePort
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_rules_flows import Flow
from ansible_collections.k8snet.cni.plugins.module_utils.node import (
    _ipset,
    _iptables,
    _ipvs,
    _kube_proxy,
    _kube_rules_conntrack,
    _kube_rules_netlink,
    _nfnetlink,
    _nft,
    _sysctl,
)

_T = TypeVar("_T")


class RulesError(Exception):
    """What, where, remedy."""


class Reading(NamedTuple):
    """What was seen, and the text of each save by (back end, family)."""

    seen: domain.Seen
    saves: dict[tuple[str, str], IO[bytes]]


def read(timeout: float, conntrack: bool = False) -> Reading:
    """Read everything, or raise RulesError: half of the truth is no base for a removal."""
    deadline = time.monotonic() + timeout

    def left() -> float:
        return max(0.1, deadline - time.monotonic())

    tables = _asked("nf_tables' tables", lambda: _nft.tables(left()))
    graphs: list[Graph] = []
    saves: dict[tuple[str, str], IO[bytes]] = {}
    for backend, family in _places(tables):
        found, save = read_save(backend, family, tables, deadline)
        graphs += found
        saves[(backend, family)] = save
    sets = _asked("ipsets", lambda: _ipset.sets(left()))
    accounts = _asked("nfacct objects", lambda: _kube_rules_netlink.accounts(left()))
    dummy, local = _addresses(left)
    try:
        servers = _ipvs.virtual_servers()
    except _ipvs.IpvsError as exc:
        raise RulesError(f"{exc} Nothing was changed.") from None
    ports: set[NodePort] = set()
    for name in [s.name for s in sets if s.name in names.NODE_PORT_SETS] if servers else ():
        ports |= _asked(f"ipset {name}", partial(_ipset.node_ports, name, left()))
    observed = facts.Observed(
        graphs=graphs,
        nft_tables=tables,
        ipsets=sets,
        virtual_servers=servers,
        node_ports=ports,
        kube_ipvs0=dummy,
        local_addresses=local,
        sysctls=_sysctl.read(),
        running=running(),
    )
    flows: list[Flow] = []
    if conntrack:
        flows = _asked("tracked connections", lambda: _kube_rules_conntrack.flows(left()))
    switched = os.path.exists("/sys/class/net/ovs-system")
    return Reading(domain.Seen(observed, accounts, flows, switched), saves)


def _places(tables: list[facts.NftTable]) -> list[tuple[str, str]]:
    """Where rules are: back ends and families that hold any."""
    found = []
    for family, _tool, _legacy in _iptables.FAMILIES:
        of_iptables = [t for t in tables if t.family == family and t.name in names.IPTABLES_TABLES]
        loaded = _nfnetlink.may_ask("nft_compat")
        # Without nft_compat no rule can use a set or a comment; chains may be there all the same.
        if of_iptables and (loaded or any(_residue(t) for t in of_iptables)):
            found.append(("nft", family))
    for family, _tool, legacy in _iptables.FAMILIES:
        if _iptables.legacy_tables(legacy):
            found.append(("legacy", family))
    return found


def _residue(table: facts.NftTable) -> bool:
    return any(names.kind(table.name, chain) for chain in table.chains)


def read_save(
    backend: str, family: str, tables: list[facts.NftTable], deadline: float
) -> tuple[list[Graph], IO[bytes]]:
    """Return the graphs of one back end and family, and its save. Raises RulesError."""
    tool = next(tool for name, tool, _legacy in _iptables.FAMILIES if name == family)
    label = f"{tool}-{backend}-save"
    save = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - lives as long as the reading
    try:
        command = [*_iptables.find(backend, tool, "save"), "-c"]
        _iptables.run(command, save, deadline, label)
    except _iptables.ToolError as exc:
        raise RulesError(f"{exc} Nothing was changed.") from None
    save.seek(0)
    # What is no UTF-8 has to be told to iptables-restore byte by byte as it was read.
    lines = (raw.decode("utf-8", "surrogateescape") for raw in save)
    graphs, incompatible, stopped = build(backend, family, lines)
    if stopped is not None:
        raise RulesError(
            f"The output of {label} could not be read: {stopped}. Nothing was changed."
        )
    for name in incompatible:
        blind = [t for t in tables if (t.family, t.name) == (family, name) and _residue(t)]
        if blind and backend == "nft":
            raise RulesError(
                f"Table '{name}' holds chains of kube-proxy and rules that iptables cannot show: "
                f"{label}. 'nft list table {family} {name}' shows them: remove those rules, or the "
                "chains by hand with nft. Nothing was changed."
            )
    return [graph for graph in graphs if graph.table not in incompatible], save


def _addresses(left: Callable[[], float]) -> tuple[list[str] | None, set[str]]:
    """(addresses on kube-ipvs0, None without it; the node's other addresses)."""
    links = _asked("addresses", lambda: _nfnetlink.link_addresses(left()))
    kind = _asked("links", lambda: _kube_rules_netlink.link_kind(_kube_proxy.DUMMY))
    dummy = [address for _scope, address, _prefix in links.pop(_kube_proxy.DUMMY, [])]
    local = {address for found in links.values() for _scope, address, _prefix in found}
    if kind not in (None, "dummy"):
        raise RulesError(
            f"kube-ipvs0 is no dummy interface but {kind or 'a device'}: kube-proxy did not make "
            "it. Rename it. Nothing was changed."
        )
    return (None if kind is None else dummy), local


def _asked(what: str, question: Callable[[], _T]) -> _T:
    try:
        return question()
    except _nfnetlink.NetlinkError as exc:
        raise RulesError(
            f"The kernel did not list {what} ({exc}): netlink. Reading them needs root: use "
            "'become: true'. Nothing was changed."
        ) from None


def running(proc: str = "/proc") -> bool:
    """Whether a kube-proxy runs in this network namespace; one in another writes no rules here."""
    here = _namespace(f"{proc}/self")
    for entry in os.listdir(proc):
        if entry.isdigit():
            try:
                with open(f"{proc}/{entry}/comm", "rb") as file:
                    named = file.read().strip() == b"kube-proxy"
                if named and _namespace(f"{proc}/{entry}") in (here, None):
                    return True
            except OSError:
                continue  # It ended while we looked, or waits to be reaped.
    return False


def _namespace(path: str) -> str | None:
    """The network namespace of a process, None when that is not ours to see. Raises OSError."""
    try:
        return os.readlink(f"{path}/ns/net")
    except PermissionError:
        return None
