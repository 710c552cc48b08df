# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cluster's Services as those see them who serve them: ports with their endpoints."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.lab.api.client import Client

Obj = dict[str, Any]

SERVICES = "/api/v1/services"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
_OTHERS = "service.kubernetes.io/service-proxy-name"


@dataclass(frozen=True)
class Port:
    """One port of a Service. ``endpoints`` are sorted (address, port); IPv4 only."""

    namespace: str
    service: str
    name: str
    protocol: str
    address: str
    port: int
    node_port: int = 0
    endpoints: tuple[tuple[str, int], ...] = ()

    @property
    def label(self) -> str:
        """As kube-proxy writes it: namespace/service:port."""
        name = f":{self.name}" if self.name else ""
        return f"{self.namespace}/{self.service}{name}"

    def hash(self, endpoint: str = "") -> str:
        """The sixteen characters of base32 that tell its chains apart."""
        text = f"{self.label}{self.protocol}{endpoint}"
        return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()[:16]


def read(api: Client) -> list[Port]:
    """Return what is to be served, sorted."""
    return ports(api.items(SERVICES), api.items(SLICES))


def ports(services: Sequence[Obj], slices: Sequence[Obj]) -> list[Port]:
    """Return the ports of Services that have a ClusterIP and no proxy of their own."""
    found = []
    for service in services:
        meta, spec = service["metadata"], service["spec"]
        address = spec.get("clusterIP") or "None"
        if address == "None" or ":" in address or _OTHERS in (meta.get("labels") or {}):
            continue
        mine = [s for s in slices if _owner(s) == (meta["namespace"], meta["name"])]
        for port in spec.get("ports") or ():
            found.append(
                Port(
                    namespace=meta["namespace"],
                    service=meta["name"],
                    name=port.get("name", ""),
                    protocol=port.get("protocol", "TCP").lower(),
                    address=address,
                    port=int(port["port"]),
                    node_port=int(port.get("nodePort") or 0),
                    endpoints=_endpoints(mine, port),
                )
            )
    return sorted(found, key=_order)


def _order(port: Port) -> tuple[str, str]:
    return port.label, port.protocol


def _owner(piece: Obj) -> tuple[str, str]:
    meta = piece["metadata"]
    labels = meta.get("labels") or {}
    return meta["namespace"], labels.get("kubernetes.io/service-name", "")


def _endpoints(slices: Sequence[Obj], port: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    found = set()
    for piece in slices:
        if piece.get("addressType") != "IPv4":
            continue
        numbers = [
            int(p["port"])
            for p in piece.get("ports") or ()
            if (p.get("name") or "") == port.get("name", "")
            and p.get("protocol", "TCP") == port.get("protocol", "TCP")
        ]
        for endpoint in piece.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready", True):
                found |= {(a, number) for a in endpoint["addresses"] for number in numbers}
    return tuple(sorted(found))
