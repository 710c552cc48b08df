# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probes from a node, composed: who answers, BGP sessions, Calico's VXLAN device."""

from __future__ import annotations

from typing import Any

from ..domain import _probe as words
from . import _probe_reach


def gather(
    targets: dict[str, words.Address],
    source: words.Address | None,
    ports: list[int],
    limits: _probe_reach.Limits,
) -> dict[str, Any]:
    """Return name -> ``{address, ok, how, port, ms, error}`` of every target."""
    if not targets:
        return {}
    sources = {source.family: source.text} if source else {}
    prober = _probe_reach.Prober(list(targets.values()), ports, limits, sources)
    return dict(zip(targets, prober.run()))


def bgp(local: words.Address | None, peers: list[words.Address]) -> dict[str, Any]:
    """Return ``{local, established, missing, other}``. Raises OSError when /proc is unreadable."""
    found: list[tuple[str, str]] = []
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/net/{name}", encoding="ascii") as file:
                found += words.sessions(file.read())
        except FileNotFoundError:  # a kernel without IPv6
            continue
    return words.judge_bgp(found, local.text if local else None, [peer.text for peer in peers])


def vxlan(local: words.Address) -> dict[str, Any]:
    """Return how Calico's VXLAN device stands. Raises `_links.ReadError`."""
    from . import _nics  # a node's Python takes its time over every file

    return words.judge_vxlan(_nics.gather()["nics"], local)
