# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a finding is, and the catalogue of all there are. Pure.

An id never changes its meaning and is never used again. Each has a page docs/findings/<ID>.md.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

CRITICAL, WARNING, INFO = "critical", "warning", "info"
SEVERITIES = (CRITICAL, WARNING, INFO)

# Playbooks that a remedy may name and that exist today; others come with later releases.
SHIPPED_PLAYBOOKS = frozenset(
    {
        "k8snet.cni.antrea_flow_restore",
        "k8snet.cni.audit",
        "k8snet.cni.baseline",
        "k8snet.cni.calico_autodetection",
        "k8snet.cni.kube_proxy_removal",
    }
)

# id -> (title, severity unless the finding says otherwise)
CATALOGUE: dict[str, tuple[str, str]] = {
    "API001": ("No access to the cluster", CRITICAL),
    "API002": ("A resource of the cluster could not be read", WARNING),
    "CAL001": ("Calico uses an address that is not the Node's InternalIP", CRITICAL),
    "CAL002": ("Calico's next detection would move the address", CRITICAL),
    "CAL003": ("first-found on nodes with several NICs to choose from", WARNING),
    "CAL004": ("Several Nodes share one Calico address", CRITICAL),
    "CAL005": ("A Node has no Calico address", CRITICAL),
    "CAL006": ("Several autodetection methods are set for one family", WARNING),
    "CAL007": ("Calico cannot use the autodetection method", WARNING),
    "CAL008": ("The autodetection method finds no address on a node", WARNING),
    "CAL009": ("Calico by manifest and by operator side by side", WARNING),
    "CAL010": ("calico-node runs with another method than the Installation asks for", WARNING),
    "KPR001": ("Rules of kube-proxy left beside Antrea's proxyAll", WARNING),
    "KPR002": ("kube-proxy runs beside Antrea's proxyAll", INFO),
    "KPR003": ("Service rules could not be read completely", WARNING),
    "NIC001": ("No NIC baseline", INFO),
    "NIC002": ("A NIC was added since the baseline", WARNING),
    "NIC003": ("A NIC is gone since the baseline", WARNING),
    "NIC004": ("A NIC was renamed since the baseline", WARNING),
    "NIC005": ("A NIC's addresses or hardware changed since the baseline", WARNING),
    "NIC006": ("A NIC baseline cannot be used", WARNING),
    "NOD001": ("A Node is not in the inventory", WARNING),
    "NOD002": ("Nodes were left out by --limit", INFO),
    "NOD003": ("A node could not be reached", CRITICAL),
    "NOD004": ("Nodes do not run Linux", INFO),
    "NOD005": ("An inventory host is no Node of this cluster", WARNING),
    "NOD006": ("Several inventory hosts are one Node", WARNING),
    "NOD007": ("A node could be reached but not examined", CRITICAL),
    "NOD008": ("No node was visited", CRITICAL),
    "NOD009": ("Hosts were passed over without --limit", CRITICAL),
    "OVS001": ("flow-restore-wait is left on", CRITICAL),
    "OVS002": ("Open vSwitch does not apply its configuration", WARNING),
    "OVS003": ("Open vSwitch could not be read", WARNING),
}


@dataclass(frozen=True)
class Remedy:
    """How to repair: in words, by commands that work today, by a playbook of this collection."""

    text: str
    commands: tuple[str, ...] = ()
    playbook: str | None = None
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One fact that somebody should know, with the values that were compared.

    ``evidence`` always has ``nodes``, the names of the nodes concerned. ``since`` is RFC 3339 or
    None; where it comes from a managed field or a baseline, the change is no later respectively
    no earlier.
    """

    id: str
    severity: str
    subject: str
    summary: str
    evidence: dict[str, Any]
    remedy: Remedy
    since: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as findings.json holds it."""
        data = asdict(self)
        data["title"] = CATALOGUE[self.id][0]
        data["remedy"]["commands"] = list(self.remedy.commands)
        return data


def finding(
    ident: str,
    nodes: list[str],
    summary: str,
    remedy: Remedy,
    evidence: dict[str, Any] | None = None,
    severity: str | None = None,
    since: str | None = None,
    subject: str | None = None,
) -> Finding:
    """Return a finding with the catalogue's severity and a subject made of the nodes' names."""
    return Finding(
        id=ident,
        severity=severity or CATALOGUE[ident][1],
        subject=subject or names(nodes) or "cluster",
        summary=summary,
        evidence={"nodes": list(nodes), **(evidence or {})},
        remedy=remedy,
        since=since,
    )


def names(items: list[str], most: int = 3) -> str:
    """Return "node1, node2 and 5 more"."""
    if len(items) <= most:
        return ", ".join(items)
    return f"{', '.join(items[:most])} and {len(items) - most} more"


def plural(count: int, word: str) -> str:
    """Return "1 node", "2 nodes"."""
    return f"{count} {word}" + ("" if count == 1 else "s")


def worst_first(findings: list[Finding]) -> list[Finding]:
    """Return findings by severity, then id, then subject."""
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), f.id, f.subject))
