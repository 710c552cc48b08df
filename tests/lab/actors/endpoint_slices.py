# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The endpoint slice controller of the lab: one slice for each Service with a selector."""

from __future__ import annotations

from typing import Any

from tests.lab.actors.loop import Actor
from tests.lab.actors.rollout import is_ready

Obj = dict[str, Any]

_SERVICES = "/api/v1/services"
_PODS = "/api/v1/pods"


class EndpointSlices(Actor):
    """Keeps ``<service>-lab`` of every Service what its pods are."""

    name = "endpointslice"
    watched = (_SERVICES, _PODS)

    def reconcile(self) -> None:
        pods = self.client.items(_PODS)
        for service in self.client.items(_SERVICES):
            if service["spec"].get("selector"):
                self._write(slice_of(service, pods))

    def _write(self, wanted: Obj) -> None:
        meta = wanted["metadata"]
        path = f"/apis/discovery.k8s.io/v1/namespaces/{meta['namespace']}/endpointslices"
        found = self.client.find(f"{path}/{meta['name']}")
        if found is None:
            self.client.create(path, wanted)
        elif any(found.get(key) != wanted[key] for key in ("endpoints", "ports")):
            version = found["metadata"]["resourceVersion"]
            body = {**wanted, "metadata": {**meta, "resourceVersion": version}}
            self.client.replace(f"{path}/{meta['name']}", body)


def slice_of(service: Obj, pods: list[Obj]) -> Obj:
    """Return a Service's EndpointSlice."""
    meta, spec = service["metadata"], service["spec"]
    mine = [
        pod
        for pod in pods
        if pod["metadata"]["namespace"] == meta["namespace"]
        and spec["selector"].items() <= (pod["metadata"].get("labels") or {}).items()
        and (pod.get("status") or {}).get("podIP")
        and "deletionTimestamp" not in pod["metadata"]
    ]
    endpoints = [
        {
            "addresses": [pod["status"]["podIP"]],
            "conditions": {"ready": is_ready(pod)},
            "nodeName": pod["spec"]["nodeName"],
        }
        for pod in sorted(mine, key=_address)
    ]
    ports = []
    for port in spec.get("ports") or ():
        target = port.get("targetPort") or port["port"]
        one = {"port": int(target), "protocol": port.get("protocol", "TCP")}
        ports.append({**({"name": port["name"]} if port.get("name") else {}), **one})
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{meta['name']}-lab",
            "namespace": meta["namespace"],
            "labels": {"kubernetes.io/service-name": meta["name"]},
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": ports,
    }


def _address(pod: Obj) -> str:
    return str(pod["status"]["podIP"])
