# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about Calico's settings, for which no node has to be looked at. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _remedies
from ansible_collections.k8snet.cni.plugins.module_utils.domain._autodetection import autodetect
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_case import Family, judged
from ansible_collections.k8snet.cni.plugins.module_utils.domain._findings_model import (
    CRITICAL,
    Finding,
    Remedy,
    finding,
)


def calico_config(cluster: dict[str, Any], both: dict[int, Family]) -> list[Finding]:
    """Return the findings CAL006, CAL007, CAL009 and CAL010."""
    calico, found = cluster["calico"], []
    if calico["install"] == "migration":
        found.append(_migration(calico))
    for family, group in both.items():
        several = len(calico["methods"][f"v{family}"]["methods_set"]) > 1
        if several:
            found.append(_several(group))
        if not judged(calico, family):
            continue
        problem = unusable(calico, family)
        if problem:
            found.append(_unusable(group, *problem))
        elif not several and _differs(calico, family):
            found.append(_not_rolled_out(calico, family))
    return found


def unusable(calico: dict[str, Any], family: int) -> tuple[str, bool] | None:
    """Return (why the running method can give no address anywhere, whether calico-node exits)."""
    method = calico["methods"][f"v{family}"]["method"]
    if not method:
        return None
    result = autodetect([], method, family=family, calico_version=calico["version"])
    if not result["error"] or result["outcome"] == "unknown":
        return None  # nothing wrong, or it depends on the node
    return str(result["error"]), result["outcome"] == "exit"


def _migration(calico: dict[str, Any]) -> Finding:
    summary = (
        "Both an Installation and a manifest's calico-node exist: a migration to the operator is "
        "under way, or was left half-way."
    )
    remedy = Remedy(
        "Let the operator finish, or see why it does not.",
        ("kubectl get tigerastatus calico -o yaml",),
    )
    return finding("CAL009", [], summary, remedy, {"daemonset": calico["daemonset"]})


def _several(family: Family) -> Finding:
    installation = family.calico["installation"]
    field = f"nodeAddressAutodetectionV{family.number}"
    fields = family.settings["methods_set"]
    summary = (
        f"Installation {installation[f'from_v{family.number}']} sets {' and '.join(fields)} in "
        f"{field}; the operator allows one, reports Degraded and rolls nothing out."
    )
    method, why = family.recommended
    remedy = _remedies.autodetection(family.calico, family.number, method, why)
    evidence = {
        "family": family.number,
        field: installation[f"v{family.number}"],
        "running": family.settings["method"],
    }
    return finding("CAL006", [], summary, remedy, evidence)


def _unusable(family: Family, error: str, exits: bool) -> Finding:
    method = family.settings["method"]
    summary = f"Calico cannot use {method}: {error}"
    recommended, why = family.recommended
    remedy = _remedies.autodetection(family.calico, family.number, recommended, why)
    evidence = {
        "family": family.number,
        "method": method,
        "source": family.settings["source"],
        "error": error,
    }
    return finding("CAL007", [], summary, remedy, evidence, severity=CRITICAL if exits else None)


def _differs(calico: dict[str, Any], family: int) -> bool:
    method = calico["methods"][f"v{family}"]
    return bool(
        calico["daemonset"]
        and method["declared"]
        and method["method"]
        and method["mode"] == "autodetect"
        and method["declared"] != method["method"]
    )


def _not_rolled_out(calico: dict[str, Any], family: int) -> Finding:
    method = calico["methods"][f"v{family}"]
    summary = (
        f"The Installation asks for {method['declared']} (IPv{family}), calico-node runs with "
        f"{method['method']}: a roll-out is under way, or the operator does not act."
    )
    remedy = Remedy("See what the operator says.", ("kubectl get tigerastatus calico -o yaml",))
    evidence = {
        "family": family,
        "declared": method["declared"],
        "running": method["method"],
        "source": method["source"],
    }
    return finding("CAL010", [], summary, remedy, evidence)
