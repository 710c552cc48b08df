# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The DaemonSet controller and the kubelets of the lab: pods are made, started, replaced, removed.

A pod becomes Running at once. It also becomes Ready at once, unless somebody acts it on its node:
pods with one of the ``acted`` labels wait for that actor.
"""

from __future__ import annotations

import time
from typing import Any

from tests.lab.actors.loop import Actor, stamp
from tests.lab.actors.rollout import HASH, plan, template_hash
from tests.lab.api.client import STRATEGIC, Client

Obj = dict[str, Any]

_SETS = "/apis/apps/v1/daemonsets"


class DaemonSets(Actor):
    """Both in one loop, for all nodes. ``acted`` holds values of the label k8s-app.

    Pods with one of ``kubelets`` as label component or k8s-app are left to their node's kubelet.
    """

    name = "daemonset"
    watched = (_SETS, "/api/v1/pods", "/api/v1/nodes")

    def __init__(
        self,
        client: Client,
        acted: tuple[str, ...] = ("calico-node",),
        resync: float = 1.0,
        kubelets: tuple[str, ...] = (),
    ) -> None:
        super().__init__(client, resync)
        self.acted = acted
        self.kubelets = kubelets

    def reconcile(self) -> None:
        nodes = self.client.items("/api/v1/nodes")
        pods = self.client.items("/api/v1/pods")
        sets = self.client.items(_SETS)
        self._kubelets(pods, {node["metadata"]["name"]: node for node in nodes})
        for daemonset in sets:
            uid = daemonset["metadata"]["uid"]
            self._roll(daemonset, nodes, [pod for pod in pods if _owner(pod) == uid])
        alive = {daemonset["metadata"]["uid"] for daemonset in sets}
        for pod in pods:
            owner = _owner(pod)
            if owner and owner not in alive and "deletionTimestamp" not in pod["metadata"]:
                self._delete(pod)

    # -- the controller ---------------------------------------------------------------------------

    def _roll(self, daemonset: Obj, nodes: list[Obj], pods: list[Obj]) -> None:
        linux = [node for node in nodes if _system(node) == "linux"]
        self._revision(daemonset)
        step = plan(daemonset, linux, pods, time.time())
        names = {pod["metadata"]["name"]: pod for pod in pods}
        for name in step.delete:
            self._delete(names[name])
        for node in step.create:
            self._create(daemonset, node)
        if step.status != {k: daemonset.get("status", {}).get(k) for k in step.status} or any(
            key not in step.status for key in daemonset.get("status", {})
        ):
            self._write_status(daemonset, step.status)

    def _write_status(self, daemonset: Obj, status: Obj) -> None:
        meta = daemonset["metadata"]
        path = f"/apis/apps/v1/namespaces/{meta['namespace']}/daemonsets/{meta['name']}/status"
        body = {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": meta,
            "spec": daemonset["spec"],
            "status": status,
        }
        self.client.replace(path, body)

    def _revision(self, daemonset: Obj) -> None:
        """Record the template as a ControllerRevision, numbered after the newest one."""
        meta = daemonset["metadata"]
        path = f"/apis/apps/v1/namespaces/{meta['namespace']}/controllerrevisions"
        mark = template_hash(daemonset["spec"]["template"])
        name = f"{meta['name']}-{mark}"
        there = self.client.items(path)
        for other in there:
            # The garbage collector's part: what a DaemonSet left that was deleted.
            if other["metadata"]["name"] == name and _owner(other) != meta["uid"]:
                self.client.delete(f"{path}/{name}")
        mine = [r for r in there if _owner(r) == meta["uid"]]
        newest = max((r["revision"] for r in mine), default=0)
        found = next((r for r in mine if r["metadata"]["name"] == name), None)
        if found is None:
            labels = daemonset["spec"]["template"]["metadata"].get("labels") or {}
            revision = {
                "metadata": {
                    "name": name,
                    "labels": {**labels, HASH: mark},
                    "ownerReferences": [_reference(daemonset)],
                },
                "data": {
                    "spec": {"template": {**daemonset["spec"]["template"], "$patch": "replace"}}
                },
                "revision": newest + 1,
            }
            self.client.create(
                path, {"apiVersion": "apps/v1", "kind": "ControllerRevision"} | revision
            )
        elif found["revision"] != newest:
            self.client.patch(f"{path}/{name}", {"revision": newest + 1})

    def _create(self, daemonset: Obj, node: str) -> None:
        template, meta = daemonset["spec"]["template"], daemonset["metadata"]
        labels = template["metadata"].get("labels") or {}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": f"{meta['name']}-",
                "labels": {**labels, HASH: template_hash(template)},
                "annotations": template["metadata"].get("annotations") or {},
                "ownerReferences": [_reference(daemonset)],
            },
            "spec": {**template["spec"], "nodeName": node},
        }
        self.client.create(f"/api/v1/namespaces/{meta['namespace']}/pods", pod)
        self.say(f"{meta['name']}: new pod on {node}")

    # -- the kubelets -----------------------------------------------------------------------------

    def _kubelets(self, pods: list[Obj], nodes: dict[str, Obj]) -> None:
        for pod in pods:
            node = nodes.get(pod["spec"].get("nodeName", ""))
            labels = _labels(pod)
            own = {labels.get("component"), labels.get("k8s-app")} & set(self.kubelets)
            if node is None or own:
                continue
            if "deletionTimestamp" in pod["metadata"]:
                self._delete(pod, gracePeriodSeconds=0)
            elif (pod.get("status") or {}).get("phase") == "Pending":
                self._start(pod, node)

    def _start(self, pod: Obj, node: Obj) -> None:
        acted = _labels(pod).get("k8s-app") in self.acted
        now = stamp()
        ready = "False" if acted else "True"
        kinds = {"Initialized": "True", "PodScheduled": "True"}
        kinds.update(Ready=ready, ContainersReady=ready)
        host = _internal_ip(node)
        status: Obj = {
            "phase": "Running",
            "hostIP": host,
            "startTime": now,
            "conditions": [
                {"type": kind, "status": value, "lastTransitionTime": now}
                for kind, value in kinds.items()
            ],
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "",
                    "ready": not acted,
                    "restartCount": 0,
                    "started": True,
                    "state": {"running": {"startedAt": now}},
                }
                for container in pod["spec"]["containers"]
            ],
        }
        if pod["spec"].get("hostNetwork"):
            status["podIP"] = host
            status["podIPs"] = [{"ip": host}]
        self._patch_status(pod, status)

    def _patch_status(self, pod: Obj, status: Obj) -> None:
        body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status}
        self.client.patch(f"{_path(pod)}/status", body, STRATEGIC)

    def _delete(self, pod: Obj, **query: Any) -> None:
        self.client.delete(_path(pod), **query)


def _path(pod: Obj) -> str:
    meta = pod["metadata"]
    return f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"


def _labels(obj: Obj) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def _owner(obj: Obj) -> str:
    """Return the uid of the DaemonSet that owns an object, "" for none."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller") and reference["kind"] == "DaemonSet":
            return str(reference["uid"])
    return ""


def _reference(daemonset: Obj) -> Obj:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "name": daemonset["metadata"]["name"],
        "uid": daemonset["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _system(node: Obj) -> str:
    labels = node["metadata"].get("labels") or {}
    return str(labels.get("kubernetes.io/os", "linux"))


def _internal_ip(node: Obj) -> str:
    addresses = (node.get("status") or {}).get("addresses") or ()
    return next((a["address"] for a in addresses if a["type"] == "InternalIP"), "")
