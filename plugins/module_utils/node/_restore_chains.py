# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Empties chains of the table filter that the held actor has filled, whichever tool made them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

from . import _checkpoint_units as units

_SECONDS = 10.0
_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
#: (tool, family as nft calls it, the kernel's list of legacy tables: asking for one would load it)
_FAMILIES = (
    ("iptables", "ip", "/proc/net/ip_tables_names"),
    ("ip6tables", "ip6", "/proc/net/ip6_tables_names"),
)


def empty(names: list[str], say: Callable[[str, bool], None]) -> None:
    """Empty the chains of these names where they are. What is not there is no error."""
    for label, command in _commands():
        for name in names:
            code, _said = units.run(*command, name, timeout=_SECONDS)
            if code == 0:
                say(f"Emptied the chain {name} ({label}).", False)


def _commands() -> Iterator[tuple[str, list[str]]]:
    for tool, family, legacy in _FAMILIES:
        if _there("nft"):
            yield f"nft, {family}", ["nft", "flush", "chain", family, "filter"]
        elif _there(f"{tool}-nft"):
            yield f"{tool}-nft", [f"{tool}-nft", "-w", "5", "-F"]
        old = f"{tool}-legacy" if _there(f"{tool}-legacy") else tool
        if _there(old) and _has_filter(legacy):
            yield old, [old, "-w", "5", "-F"]


def _there(program: str) -> bool:
    return shutil.which(program, path=_PATH) is not None


def _has_filter(path: str) -> bool:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return "filter" in file.read().split()
    except OSError:
        return False
