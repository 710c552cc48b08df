# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each visited node is asked before a change of Calico's method, and again after it. Pure."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._findings_model import plural
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import (
    VISITED,
    Scope,
    bare,
    family_of,
)

# All pairs of 1,000 nodes would be a million probes, and nobody learns more from them.
MOST_PROBERS = 32
_MOST_DNS = 3


def probers_of(names: list[str]) -> dict[str, list[str]]:
    """Return Node -> the others that probe its address: all of them, or `MOST_PROBERS`.

    Those are spread evenly over all names, so that each is asked equally much, and neighbours in a
    rack are not all that is heard. The same names always give the same answer.
    """
    order = sorted(names)
    found = {}
    for name in names:
        at = bisect_left(order, name)
        others = order[at + 1 :] + order[:at]
        if len(others) > MOST_PROBERS:
            others = [others[n * len(others) // MOST_PROBERS] for n in range(MOST_PROBERS)]
        found[name] = others
    return found


def probes_of(
    rows: list[dict[str, Any]],
    scope: Scope,
    cluster: dict[str, Any],
    calico: dict[str, Any],
    dns_name: str,
) -> dict[str, dict[str, Any]]:
    """Return visited Node -> ``{host, targets, dns, bgp, vxlan, pod_networks}`` for node_probe.

    ``rows``: the table of `_calico_decision.decide`. A node has to reach the addresses that other
    visited nodes would have (see `probers_of`; one that was not visited may be off); its pods ask
    the cluster's DNS pods; its sessions and its tunnel are those of the address that it would have.
    """
    hosts = {
        view.name: view.host["name"]
        for view in scope.views
        if view.node is not None and view.host is not None and view.state == VISITED
    }
    own: dict[str, str] = {}
    others: dict[str, dict[str, None]] = {name: {} for name in hosts}
    probers = probers_of(list(hosts))
    for row in rows:
        if row["after"] and row["node"] in hosts:
            address = bare(row["after"])
            if row["family"] == 4:
                own[row["node"]] = address
            for name in probers[row["node"]]:
                others[name][address] = None
    dns = [{"server": pod["ip"], "name": dns_name} for pod in calico["dns_pods"] if pod["ip"]]
    shared = {"dns": dns[:_MOST_DNS], "pod_networks": pod_networks(cluster, calico)}
    return {
        name: {"host": host, **shared, **_node(own.get(name), list(others[name]), calico)}
        for name, host in hosts.items()
    }


def _node(own: str | None, others: list[str], calico: dict[str, Any]) -> dict[str, Any]:
    peers = [ip for ip in others if family_of(ip) == 4]
    return {
        "targets": [{"name": ip, "address": ip} for ip in others],
        "bgp": {"local": own, "peers": peers} if own and calico["bgp_mesh"] else None,
        "vxlan": {"local": own} if own and calico["backend"] == "vxlan" else None,
    }


def pod_networks(cluster: dict[str, Any], calico: dict[str, Any]) -> list[str]:
    """Return where the addresses of pods lie, [] if that is not known.

    The cluster's IP pools, disabled ones too, since pods keep their addresses; where they cannot be
    read, those of the Installation.
    """
    pools = cluster["calico"].get("ip_pools")
    if not pools:
        spec = (calico.get("installation") or {}).get("spec") or {}
        pools = (spec.get("calicoNetwork") or {}).get("ipPools") or ()
    return list(dict.fromkeys(pool["cidr"] for pool in pools if pool.get("cidr")))


def probes_text(probes: dict[str, dict[str, Any]]) -> str:
    """Return who probes whom, as a plan says it."""
    count = len(probes)
    if count < 2:
        return "No other node was visited that could probe."
    if count - 1 <= MOST_PROBERS:
        return f"Each of the {count} visited nodes is probed from all the others."
    return (
        f"Each of the {count} visited nodes is probed from {plural(MOST_PROBERS, 'other')}, spread "
        "evenly over all by name; the same ones each time."
    )
