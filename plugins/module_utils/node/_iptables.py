# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the rules of both iptables back ends and both families, and loads nothing by looking.

``iptables-save`` would load kernel modules that are not there, and ``iptables-legacy-save -t``
would create the table it is asked for. So the kernel's own lists are consulted first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable
from typing import IO

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_chains as names
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_graph import Graph, build
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy import NftTable
from ansible_collections.k8snet.cni.plugins.module_utils.node import _nfnetlink

#: (family as nf_tables calls it, prefix of the tools, the kernel's list of legacy tables)
FAMILIES = (
    ("ip", "iptables", "ip_tables_names"),
    ("ip6", "ip6tables", "ip6_tables_names"),
)
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")


class ToolError(Exception):
    """A tool is missing, failed, or took too long. The text says what, where, remedy."""


def gather(nft_tables: list[NftTable], deadline: float) -> tuple[list[Graph], list[str]]:
    """(the tables' graphs, errors): nft then legacy, IPv4 then IPv6.

    :param nft_tables: the tables nf_tables holds; those of iptables-nft are among them.
    :param deadline: monotonic time by which all must be read.
    """
    graphs: list[Graph] = []
    errors: list[str] = []
    for family, tool, _legacy in FAMILIES:
        tables = [t for t in nft_tables if t.family == family and t.name in names.IPTABLES_TABLES]
        if not tables:
            continue
        if _nfnetlink.may_ask("nft_compat"):
            graphs += _save("nft", family, tool, deadline, errors, tables)
        else:
            # No rule can use an iptables extension, so none is kube-proxy's; the tool would
            # load nft_compat only to find that out.
            graphs += chains_only(tables)
    for family, tool, legacy in FAMILIES:
        if legacy_tables(legacy):
            graphs += _save("legacy", family, tool, deadline, errors, [])
    return graphs, errors


def chains_only(tables: list[NftTable]) -> list[Graph]:
    """Graphs of tables whose rules were not read."""
    graphs = []
    for table in tables:
        graph = Graph("nft", table.family, table.name, complete=False)
        for chain in table.chains:
            graph.add_chain(chain)
        graphs.append(graph)
    return graphs


def legacy_tables(name: str) -> list[str]:
    try:
        with open(f"/proc/net/{name}", encoding="ascii", errors="replace") as file:
            return file.read().split()
    except OSError:
        return []


def _save(
    backend: str,
    family: str,
    tool: str,
    deadline: float,
    errors: list[str],
    tables: list[NftTable],
) -> list[Graph]:
    """The graphs of one save; without a save the chains that the kernel tells of by itself."""
    label = f"{tool}-{backend}-save"
    try:
        command = find_save(backend, tool)
        with tempfile.TemporaryFile("w+b") as output:
            run(command, output, deadline, label)
            output.seek(0)
            lines = (raw.decode("utf-8", "backslashreplace") for raw in output)
            graphs, incompatible, stopped = build(backend, family, lines)
    except ToolError as exc:
        errors.append(str(exc))
        return chains_only(tables)
    errors += [
        f"Table '{name}' holds rules that iptables cannot show: {label}. "
        f"Look at it with 'nft list table {family} {name}'; it was not judged."
        for name in incompatible
    ]
    if stopped is not None:
        errors.append(
            f"The output of {label} could not be read: {stopped}. "
            "The tables before that place were judged; run the tool by hand and compare."
        )
    return [graph for graph in graphs if graph.table not in incompatible]


def find_save(backend: str, tool: str) -> list[str]:
    """The command that saves ``tool``'s (iptables, ip6tables) rules of ``backend``.

    Raises ToolError.
    """
    return find(backend, tool, "save")


def find(backend: str, tool: str, verb: str) -> list[str]:
    """The command of ``tool`` and ``backend`` that does ``verb`` (save, restore).

    Distributions differ: the plain name may be either back end. Raises ToolError.
    """
    found = which(f"{tool}-{backend}-{verb}")
    if found:
        return [found]
    multi = which(f"xtables-{backend}-multi")
    if multi:
        return [multi, f"{tool}-{verb}"]
    plain = which(f"{tool}-{verb}")
    if plain and _backend_of(which(tool)) == backend:
        return [plain]
    does = "list" if verb == "save" else "change"
    raise ToolError(
        f"The {backend} back end holds {tool} rules, but no tool can {does} them: "
        f"looked for {tool}-{backend}-{verb}, xtables-{backend}-multi and {tool}-{verb}. "
        "Install the distribution's iptables package."
    )


def which(program: str) -> str | None:
    """Where ``program`` is; sudo and become often leave the sbin folders out of PATH."""
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", ""), *_SBIN)))


def _backend_of(program: str | None) -> str | None:
    """The back end of a plain ``iptables``; releases before 1.8 know legacy only."""
    if program is None:
        return None
    try:
        shown = subprocess.run(
            [program, "--version"], capture_output=True, timeout=10, check=False, env=_environment()
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    return "nft" if b"nf_tables" in shown else "legacy"


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}


def run(
    command: Iterable[str],
    output: IO[bytes],
    deadline: float,
    label: str,
    text: IO[bytes] | None = None,
) -> None:
    """Run ``command`` into ``output``, with ``text`` as its input. Raises ToolError."""
    arguments = list(command)
    left = max(0.1, deadline - time.monotonic())
    try:
        done = subprocess.run(
            arguments,
            stdin=subprocess.DEVNULL if text is None else text,
            stdout=output,
            stderr=subprocess.PIPE,
            timeout=left,
            check=False,
            env=_environment(),
        )
    except subprocess.TimeoutExpired as exc:
        raise ToolError(
            f"{label} did not end within {left:.0f} s: {arguments[0]}. Raise 'timeout'."
        ) from exc
    except OSError as exc:
        raise ToolError(
            f"{label} could not be started ({exc.strerror}): {arguments[0]}. "
            "Reinstall the distribution's iptables package."
        ) from exc
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        lines = [line for line in said if not line.startswith("Try `")]
        reason = lines[-1][:200] if lines else f"exit status {done.returncode}"
        remedy = "Run it by hand as root; without root, use 'become: true'."
        if text is not None:
            remedy = "Something else changes these rules, or the tool cannot: see its message."
        raise ToolError(f"{label} failed ({reason}): {arguments[0]}. {remedy}")
