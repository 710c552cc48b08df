# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster with Antrea, as the plans of ExternalIPPools and Egresses see it."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_tables as tables
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_model import Config
from ansible_collections.k8snet.cni.plugins.module_utils.domain._external_ips import (
    API_VERSION,
    World,
)

Obj = dict[str, Any]

SUBNET = {"gateway": "172.18.181.1", "prefixLength": 24, "vlan": 181}
SPAN = {"start": "172.18.181.10", "end": "172.18.181.20"}


def world(version: str | None = "v2.7.0", agent: Obj | None = None, **more: Any) -> World:
    """A world of two nodes; ``agent``: antrea-agent.conf."""
    config = Config(tables.parse_version(version), {"agent": agent or {}, "controller": {}})
    nodes = [node(n, f"10.160.1.2{n}", f"10.244.{n}.0/24") for n in (1, 2)]
    given: Obj = {"nodes": nodes, "service_cidrs": ["10.96.0.0/12"], **more}
    return World(config, version, **given)


def node(number: int, address: str, cidr: str, **labels: str) -> Obj:
    return {
        "name": f"node{number}",
        "labels": labels,
        "addresses": [address, f"node{number}"],
        "pod_cidrs": [cidr],
        "ready": True,
    }


def obj(kind: str, name: str, spec: Obj, **status: Any) -> Obj:
    meta = {"name": name, "uid": f"u-{name}", "resourceVersion": "7"}
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": meta,
        "spec": spec,
        **({"status": status} if status else {}),
    }


def pool(name: str = "vlan181", *ranges: Obj, **spec: Any) -> Obj:
    given = {"ipRanges": list(ranges or (SPAN,)), "nodeSelector": {}, "subnetInfo": SUBNET, **spec}
    kept = {key: value for key, value in given.items() if value is not None}
    return obj("ExternalIPPool", name, kept)


def egress(name: str = "shop", address: str | None = None, of: str | None = "vlan181") -> Obj:
    spec: Obj = {"appliedTo": {"podSelector": {"matchLabels": {"app": name}}}}
    if address:
        spec["egressIP"] = address
    if of:
        spec["externalIPPool"] = of
    return obj("Egress", name, spec)


def service(name: str, *addresses: str, of: str | None = None) -> Obj:
    return {"name": f"web/{name}", "pool": of, "addresses": list(addresses)}
