# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything the audit reads from a cluster, each kind once."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._lister import Lister
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _cluster


def no_access(error: ClusterError, api: Api | None = None) -> dict[str, Any]:
    """Return the raw snapshot of a cluster that cannot be read, for `_cluster.cluster_facts`."""
    return {
        "access": {
            "available": False,
            "configured": error.kind != "none",
            "kind": error.kind,
            "server": api.server if api else None,
            "source": api.source if api else None,
            "context": api.context if api else None,
            "error": error.message,
        },
        "requests": api.requests if api else 0,
    }


def read(api: Api, dns_selector: str, page_size: int) -> dict[str, Any]:
    """Return the raw snapshot of the cluster behind ``api``, for `_cluster.cluster_facts`.

    Raises `ClusterError` when the server cannot be asked at all.
    """
    lister = Lister(api, page_size)
    nodes = lister.read_list("nodes", "/api/v1/nodes", _cluster.trim_node)
    daemonsets = lister.read_list("daemonsets", "/apis/apps/v1/daemonsets", _cluster.trim_daemonset)
    pods = lister.read_list(
        "pods", "/api/v1/pods", _cluster.trim_pod, {"labelSelector": dns_selector}
    )
    raw: dict[str, Any] = {
        "nodes": nodes,
        "daemonsets": daemonsets,
        "dns_pods": pods,
        "installations": lister.read_list(
            "installations",
            "/apis/operator.tigera.io/v1/installations",
            _cluster.trim_installation,
        ),
        "ip_pools": lister.read_list(
            "ippools", "/apis/crd.projectcalico.org/v1/ippools", _cluster.trim_ip_pool
        ),
        "config_maps": _config_maps(lister, daemonsets or []),
    }
    _refuse_if_blind(raw, lister.errors, api)
    raw["errors"] = lister.errors
    raw["requests"] = api.requests
    raw["access"] = {
        "available": True,
        "configured": True,
        "kind": None,
        "server": api.server,
        "source": api.source,
        "context": api.context,
        "error": None,
    }
    return raw


def _refuse_if_blind(raw: dict[str, Any], errors: list[dict[str, Any]], api: Api) -> None:
    """Raise if the account may read nothing at all: that is one fault, not five."""
    if raw["nodes"] is None and raw["daemonsets"] is None and raw["dns_pods"] is None:
        said = str(errors[0]["message"])
        raise ClusterError(
            "forbidden",
            f"Failed to read anything from {api.server}: the account may list neither Nodes nor "
            f"DaemonSets nor Pods. The first refusal: {said}",
            errors[0]["status"],
        )


def _config_maps(lister: Lister, daemonsets: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Return "namespace/name" -> data of the few ConfigMaps that the DaemonSets point to.

    By name, not by LIST: ConfigMaps may be many, large, and none of an audit's business.
    """
    found: dict[str, dict[str, str]] = {}
    for namespace, name in _cluster.config_maps_wanted(daemonsets):
        obj = lister.read_one("configmaps", f"/api/v1/namespaces/{namespace}/configmaps/{name}")
        if obj is not None:
            found[f"{namespace}/{name}"] = obj.get("data") or {}
    return found
