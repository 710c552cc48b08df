# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this cluster's Calico has on a node, so that none of it is taken for a left-over. Pure.

Asked only about nodes on which calico-node is not ready: elsewhere Felix keeps its devices itself.
What is not known is not judged. Source: projectcalico/calico
``libcalico-go/lib/backend/k8s/resources/node.go`` (annotations of tunnels).
"""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import VISITED, Scope

Obj = dict[str, Any]

#: Annotation with a tunnel's address -> what the tunnel is (see `_calico_leftovers.DEVICES`).
_TUNNELS = {
    "projectcalico.org/IPv4VXLANTunnelAddr": "vxlan",
    "projectcalico.org/IPv6VXLANTunnelAddr": "vxlan-v6",
    "projectcalico.org/IPv4IPIPTunnelAddr": "ipip",
    "projectcalico.org/IPv4WireguardInterfaceAddr": "wireguard",
    "projectcalico.org/IPv6WireguardInterfaceAddr": "wireguard-v6",
}
#: Whether WireGuard is on is told by a FelixConfiguration, which nobody reads.
_UNKNOWN = {"wireguard", "wireguard-v6"}


def trim_pod(obj: Obj) -> Obj | None:
    """Return node, namespace, name and addresses of a Pod, None on its node's own network.

    One that has ended still counts: its interface may not be gone yet.
    """
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if not spec.get("nodeName") or spec.get("hostNetwork"):
        return None
    ips = [entry["ip"] for entry in status.get("podIPs") or () if entry.get("ip")]
    return {
        "node": spec["nodeName"],
        "namespace": obj["metadata"]["namespace"],
        "name": obj["metadata"]["name"],
        "addresses": ips or [ip for ip in [status.get("podIP")] if ip],
    }


def interfaces(
    scope: Scope, cluster: Obj, calico: Obj, expect: dict[str, dict[str, str | None]]
) -> dict[str, Obj]:
    """Return Node -> ``{host, want}`` for visited Nodes on which calico-node is not ready.

    ``want`` holds options of calico_interfaces: uses, local_v4, local_v6, tunnel_addresses, pods;
    one that is not known is left out. A tunnel from the address that the node stores now is this
    cluster's, right or wrong; where it stores none, from the one in ``expect``.
    """
    waiting = {pod["node"] for pod in calico["pods"] if not pod["ready"]}
    annotations = {node["name"]: node.get("annotations") or {} for node in calico["nodes"]}
    found = {}
    for view in scope.views:
        if view.name not in waiting or view.state != VISITED or not view.host or not view.node:
            continue
        known = annotations.get(view.name) or {}
        want: Obj = {}
        uses = _uses(cluster["calico"].get("ip_pools"), calico["backend"], known)
        if uses is not None:
            want["uses"] = uses
        for key in ("v4", "v6"):
            stored = view.node["calico"][f"ip{key}_address"]
            local = stored or (expect.get(view.name) or {}).get(key)
            if local:
                want[f"local_{key}"] = local
        if calico["datastore"] in (None, "kubernetes"):
            want["tunnel_addresses"] = [known[name] for name in _TUNNELS if known.get(name)]
        if calico["pods_there"] is not None:
            mine = [pod for pod in calico["pods_there"] if pod["node"] == view.name]
            want["pods"] = [{k: p[k] for k in ("namespace", "name", "addresses")} for p in mine]
        found[view.name] = {"host": view.host["name"], "want": want}
    return found


def _uses(pools: list[Obj] | None, backend: str | None, known: Obj) -> list[str] | None:
    """Return what Calico uses on a node, None when no IP pool tells."""
    if not pools:
        return None
    found = set(_UNKNOWN) | {what for name, what in _TUNNELS.items() if known.get(name)}
    found |= {"vxlan"} if backend == "vxlan" else set()
    for pool in pools:
        if pool["vxlan_mode"] != "Never":
            found.add("vxlan-v6" if ":" in str(pool["cidr"]) else "vxlan")
        if pool["ipip_mode"] != "Never":
            found.add("ipip")
    return sorted(found)
