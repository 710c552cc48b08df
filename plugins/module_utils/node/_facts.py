# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Composes the facts that the modules return."""

from __future__ import annotations

import os
from typing import Any

from . import _host, _nics

# What `_baseline_file` writes lies below; looked for before that is imported. (The directory below
# it is hidden from those who are not root, and they shall be told that.)
STATE = "/var/lib/k8snet"


def nics(
    *, reach: list[str], reach_timeout: float, include_pod_interfaces: bool
) -> tuple[dict[str, Any], str]:
    """Return the facts of ``nic_facts`` and the back end's name. Raises `_links.ReadError`."""
    read = _nics.gather(
        reach=reach, reach_timeout=reach_timeout, include_pod_interfaces=include_pod_interfaces
    )
    facts = {
        "k8snet_nics": read["nics"],
        "k8snet_nic_counts": read["counts"],
        "k8snet_default_routes": read["default_routes"],
        "k8snet_reach": read["reach"],
        "k8snet_nic_fingerprint": read["fingerprint"],
        "k8snet_nic_drift": _drift(read["nics"]),
        "k8snet_node": _host.gather(),
    }
    return facts, read["backend"]


def node(
    *, subsets: list[str], reach: list[str], reach_timeout: float, include_pod_interfaces: bool
) -> tuple[dict[str, Any], str | None]:
    """Return the facts of ``node_facts`` and the back end's name (None without interfaces)."""
    facts: dict[str, Any] = {"k8snet_node": _host.gather()}
    backend = None
    if "nics" in subsets:
        found, backend = nics(
            reach=reach,
            reach_timeout=reach_timeout,
            include_pod_interfaces=include_pod_interfaces,
        )
        facts.update(found)
    # Imported only when asked for: a node's Python takes its time over every file.
    if "ovs" in subsets:
        from . import _ovs

        facts["k8snet_ovs"] = _ovs.gather()
    if "kube_proxy" in subsets:
        from . import _kube_proxy

        facts["k8snet_kube_proxy"] = _kube_proxy.gather()
    return facts, backend


def _drift(current: list[dict[str, Any]]) -> dict[str, Any] | None:
    if not os.path.lexists(STATE):
        return None
    from . import _baseline_file, _baseline_run

    try:
        recorded = _baseline_file.load()
    except _baseline_file.BaselineError as error:
        return {"recorded_at": None, "changes": [], "error": str(error)}
    return _baseline_run.drift(recorded, current)
