# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit's result as findings.json holds it (docs/schema/findings.schema.json). Pure."""

from __future__ import annotations

import shlex
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_case import (
    Family,
    families,
    judged,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._findings import audit_scope
from ansible_collections.k8snet.cni.plugins.module_utils.domain._findings_model import (
    SEVERITIES,
    Finding,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import (
    VISITED,
    Scope,
    View,
    match,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._summary import summary_lines

SCHEMA_VERSION = 1


def report(
    cluster: dict[str, Any], hosts: list[dict[str, Any]], options: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return everything the audit tells; see `_findings.audit` for the arguments.

    Besides those, ``options`` may hold ``width``, the columns of ``summary`` (100).
    """
    options = options or {}
    scope = match(hosts, cluster["nodes"])
    both = families(cluster, scope)
    found = audit_scope(cluster, hosts, scope, both, options)
    result: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "cluster": _cluster(cluster),
        "counts": _counts(found, scope),
        "findings": [_aimed(entry.as_dict(), cluster["access"]["context"]) for entry in found],
        "nodes": _nodes(scope, found),
        "whatif": {
            f"ipv{number}": _whatif(family)
            for number, family in both.items()
            if judged(cluster["calico"], number)
        },
        "could_not_check": cluster["could_not_check"],
    }
    result["summary"] = summary_lines(result, int(options.get("width") or 100))
    return result


def _aimed(entry: dict[str, Any], context: str | None) -> dict[str, Any]:
    """Return a finding whose kubectl commands say for which cluster they are.

    They are pasted at night, where kubectl's own context may be another cluster's.
    """
    if context:
        aim = f"kubectl --context {shlex.quote(context)} "
        commands = entry["remedy"]["commands"]
        entry["remedy"]["commands"] = [
            aim + c.removeprefix("kubectl ") if c.startswith("kubectl ") else c for c in commands
        ]
    return entry


def _cluster(cluster: dict[str, Any]) -> dict[str, Any]:
    calico, antrea, proxy = cluster["calico"], cluster["antrea"], cluster["kube_proxy"]
    keys = ("available", "server", "context", "error")
    return {
        **{key: cluster["access"][key] for key in keys},
        "nodes": len(cluster["nodes"]),
        "requests": cluster["requests"],
        "calico": {
            "install": calico["install"],
            "version": calico["version"],
            "poll_interval": calico["poll_interval"],
            "canal_interface": calico["canal_interface"],
            "methods": calico["methods"],
        },
        "antrea": {k: antrea[k] for k in ("installed", "version", "proxy_all")},
        "kube_proxy": {k: proxy[k] for k in ("present", "mode", "in_process")},
    }


def _counts(found: list[Finding], scope: Scope) -> dict[str, int]:
    counts = {severity: sum(f.severity == severity for f in found) for severity in SEVERITIES}
    counts["nodes"] = len(scope.views)
    counts["visited"] = sum(view.state == VISITED for view in scope.views)
    return counts


def _nodes(scope: Scope, found: list[Finding]) -> list[dict[str, Any]]:
    told: dict[str, list[str]] = {}
    for entry in found:
        for name in dict.fromkeys(entry.evidence["nodes"]):
            told.setdefault(name, []).append(entry.id)
    return [_node(view, told.get(view.name, [])) for view in scope.views]


def _node(view: View, findings: list[str]) -> dict[str, Any]:
    node, host = view.node or {}, view.host or {}
    stored = node.get("calico") or {}
    return {
        "name": view.name,
        "host": host.get("name"),
        "state": view.state,
        "matched_by": view.matched_by,
        "ready": node.get("ready"),
        "internal_ips": list(node.get("internal_ips") or ()),
        "calico_ipv4": stored.get("ipv4_address"),
        "calico_ipv6": stored.get("ipv6_address"),
        "findings": findings,
    }


def _whatif(family: Family) -> dict[str, Any]:
    """Return the table node x method, and which methods give every known node its InternalIP."""
    rows = {c.name: family.table(c) for c in family.cases if c.view.nics is not None}
    keys = ("address", "interface", "internal_ip")
    complete = [
        method
        for method in family.methods
        if rows
        and all(e["internal_ip"] for row in rows.values() for e in row if e["method"] == method)
    ]
    return {
        "methods": family.methods,
        "in_use": family.settings["method"],
        "nodes": {
            name: {e["method"]: {key: e[key] for key in keys} for e in row}
            for name, row in rows.items()
        },
        "internal_ip_everywhere": complete,
    }
