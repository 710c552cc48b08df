# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Antrea on the API double: real releases, or what the lab seeds, with pods and heartbeats."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._antrea_write import (
    Request,
    change,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_config import Want

from tests.lab import crds
from tests.lab.actors import content
from tests.lab.actors.cluster import collection
from tests.lab.actors.loop import stamp
from tests.lab.api.client import STRATEGIC, ApiStatus, Client, default_kubeconfig

Obj = dict[str, Any]

REAL = os.environ.get("K8SNET_REAL_DATA")
RELEASES = ("v1.6.0", "v1.15.1", "v2.0.1", "v2.1.0", "v2.3.0", "v2.5.3", "v2.6.3", "v2.7.0")
real_data = pytest.mark.skipif(not REAL, reason="K8SNET_REAL_DATA names no real manifests")
FILES = {"agent": "antrea-agent.conf", "controller": "antrea-controller.conf"}
MAPS = "/api/v1/namespaces/kube-system/configmaps"
INFOS = "/apis/crd.antrea.io/v1beta1/antreaagentinfos"


def documents(release: str) -> list[Obj]:
    """The objects of a real release, its images with the tag that users have."""
    found = crds.documents(Path(str(REAL)) / "antrea" / release / "antrea.yml")
    for workload in [d for d in found if d["kind"] in ("DaemonSet", "Deployment")]:
        for container in workload["spec"]["template"]["spec"]["containers"]:
            container["image"] = container["image"].replace(":latest", f":{release}")
    return found


def texts(release: str) -> dict[str, str]:
    """Both files of a real release's ConfigMap."""
    found = next(d for d in documents(release) if d["kind"] == "ConfigMap")
    return {component: found["data"][file] for component, file in FILES.items()}


def load(client: Client, release: str) -> Obj:
    """Load a real release's CRDs, ConfigMap and workloads; return the ConfigMap."""
    clear(client)
    found = documents(release)
    crds.load(client, [d for d in found if d["kind"] == "CustomResourceDefinition"])
    for doc in found:
        if doc["kind"] in ("ConfigMap", "DaemonSet", "Deployment"):
            client.ensure(collection(doc) if doc["kind"] != "Deployment" else _deployments(), doc)
    return client.get(f"{MAPS}/{config_map(client)}")


def seed(client: Client, version: str = "v2.7.0") -> Obj:
    """Load Antrea as the lab has it; return the ConfigMap."""
    clear(client)
    crds.load(client, crds.ours("antrea", "multus"))
    for obj in content.antrea(version):
        client.ensure(collection(obj) if obj["kind"] != "Deployment" else _deployments(), obj)
    return client.get(f"{MAPS}/antrea-config")


def _deployments() -> str:
    return "/apis/apps/v1/namespaces/kube-system/deployments"


def config_map(client: Client) -> str:
    """The name of the ConfigMap, which may bear a hash."""
    names = [m["metadata"]["name"] for m in client.items(MAPS)]
    return next(n for n in names if n.startswith("antrea-config"))


def clear(client: Client) -> None:
    """Remove everything of Antrea."""
    crds.remove(client, client.items(crds.CRDS))
    for obj in client.items(MAPS):
        if obj["metadata"]["name"].startswith("antrea"):
            client.delete(f"{MAPS}/{obj['metadata']['name']}")
    for path in (_deployments(), "/apis/apps/v1/namespaces/kube-system/daemonsets"):
        for obj in client.items(path):
            client.delete(f"{path}/{obj['metadata']['name']}")
    for obj in client.items("/api/v1/namespaces/kube-system/pods"):
        name = obj["metadata"]["name"]
        client.delete(f"/api/v1/namespaces/kube-system/pods/{name}", gracePeriodSeconds=0)


def pod(client: Client, node: str, name: str, ready: bool = True) -> Obj:
    """Make a pod of antrea-agent on a node, as DaemonSet controller and kubelet would."""
    path = "/apis/apps/v1/namespaces/kube-system/daemonsets/antrea-agent"
    daemonset = client.get(path)
    template = daemonset["spec"]["template"]
    owner = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "name": "antrea-agent",
        "uid": daemonset["metadata"]["uid"],
        "controller": True,
    }
    labels = template["metadata"]["labels"]
    made = client.create(
        "/api/v1/namespaces/kube-system/pods",
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels, "ownerReferences": [owner]},
            "spec": {
                "nodeName": node,
                "containers": [{"name": "antrea-agent", "image": "antrea:test"}],
            },
        },
    )
    since = made["metadata"]["creationTimestamp"]
    state = {"running": {"startedAt": since}}
    if not ready:
        state = {"waiting": {"reason": "CrashLoopBackOff"}}
    status = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        "containerStatuses": [
            {
                "name": "antrea-agent",
                "ready": ready,
                "restartCount": 0,
                "state": state,
                "image": "antrea:test",
                "imageID": "",
            }
        ],
    }
    return client.patch(
        f"/api/v1/namespaces/kube-system/pods/{name}/status", {"status": status}, STRATEGIC
    )


def report(client: Client, node: str, beat: str, of_pod: str | None = None) -> None:
    """Write a node's AntreaAgentInfo, as its agent does once a minute."""
    info = content.agent_info(node, "v2.7.0", "10.244.1.0/24", beat)
    if of_pod:
        info["podRef"] = {"kind": "Pod", "namespace": "kube-system", "name": of_pod}
    client.delete(f"{INFOS}/{node}")
    client.create(INFOS, info)


def want(
    agent: Obj | None = None,
    controller: Obj | None = None,
    gates: Obj | None = None,
    **options: Any,
) -> Request:
    """A request for antrea_config."""
    validate = options.pop("validate", True)
    files = {"agent": agent or {}, "controller": controller or {}}
    return Request(Want(files, gates or {}, validate), **options)


def new_second() -> str:
    """Wait for a second in which nothing was written yet; return its time."""
    now = stamp()
    while stamp() == now:
        time.sleep(0.02)
    return stamp()


def both(api: Api, request: Request) -> Obj:
    """Check, apply, apply again: check tells what apply does, and that is all."""
    planned = change(api, request, True)
    result = change(api, request, False)
    again = change(api, request, False)
    for key in ("changed", "diff", "plan", "patches", "target", "version"):
        assert planned[key] == result[key], key
    assert planned["object"]["data"] == result["object"]["data"]
    assert planned["undo"]["data"] == result["undo"]["data"]
    for key in ("agent", "controller"):
        assert planned["restart_due"][key] == result["restart_due"][key]
    assert not again["changed"]
    assert again["diff"] == again["plan"] == again["patches"] == []
    return result


def main() -> int:
    """Add one node's agent to a seeded cluster: ``python -m tests.unit.antrea_world``."""
    client = Client(default_kubeconfig())
    name = "antrea-agent-node1"
    # A pod of the same second as the ConfigMap may be of before it.
    written = client.get(f"{MAPS}/antrea-config")["metadata"]["creationTimestamp"]
    while time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) <= written:
        time.sleep(0.05)
    try:
        pod(client, "node1", name)
    except ApiStatus as error:
        if error.reason != "AlreadyExists":
            raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
