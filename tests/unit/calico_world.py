# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters on the API double for the tests of a change of Calico's autodetection."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _calico_read, _client
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._calico_write import (
    Request,
    change,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Hold

from tests.lab import crds
from tests.lab.api.client import ApiStatus, Client
from tests.lab.api.providers import Double

Obj = dict[str, Any]

INSTALLATIONS = "/apis/operator.tigera.io/v1/installations"
DEFAULT = f"{INSTALLATIONS}/default"
OVERLAY = f"{INSTALLATIONS}/overlay"
MANIFEST = "/apis/apps/v1/namespaces/kube-system/daemonsets/calico-node"
V4, V6 = "nodeAddressAutodetectionV4", "nodeAddressAutodetectionV6"

INTERNAL = Request(methods={4: "kubernetes-internal-ip"})
HELD = Request(
    methods={4: "kubernetes-internal-ip"}, hold=Hold("min-ready-seconds", min_ready_seconds=900)
)

REAL = os.environ.get("K8SNET_REAL_DATA")
RELEASES = ("v3.24.5", "v3.28.2", "v3.32.1")
real_data = pytest.mark.skipif(not REAL, reason="K8SNET_REAL_DATA names no real manifests")


def connect(kubeconfig: Path, timeout: int = 5) -> _client.Api:
    """The collection's connection to an API."""
    return _client.reachable({"kubeconfig": str(kubeconfig), "timeout": timeout})


@contextmanager
def faults(api: Double, *rules: Obj) -> Iterator[None]:
    """Let the API be ill."""
    path = api.directory / "faults.json"
    path.write_text(json.dumps(list(rules)))
    try:
        yield
    finally:
        path.unlink()


def content(obj: Obj) -> Obj:
    """The object without what the server counts up or notes by itself at each write."""
    out = copy.deepcopy(obj)
    for key in ("resourceVersion", "generation", "managedFields"):
        out["metadata"].pop(key, None)
    annotations = out["metadata"].get("annotations") or {}
    annotations.pop("deprecated.daemonset.template.generation", None)
    return out


def installation(name: str = "default", **network: Any) -> Obj:
    """An Installation; annotations etc. may be added by the caller."""
    return {
        "apiVersion": "operator.tigera.io/v1",
        "kind": "Installation",
        "metadata": {"name": name},
        "spec": {"calicoNetwork": network} if network else {},
    }


def put(client: Client, collection: str, obj: Obj) -> Obj:
    """Create an object in place of one that may be there."""
    client.delete(f"{collection}/{obj['metadata']['name']}")
    return client.create(collection, obj)


def edit(client: Client, path: str, obj: Obj) -> Obj:
    """Replace an object as somebody else would."""
    now = client.get(path)
    return client.replace(path, {**now, **obj})


def entries(daemonset: Obj, name: str) -> list[Obj]:
    """The entries of one variable of calico-node."""
    return [e for e in env_of(daemonset) if e["name"] == name]


def env_of(daemonset: Obj) -> list[Obj]:
    """The variables of calico-node."""
    containers = daemonset["spec"]["template"]["spec"]["containers"]
    found: list[Obj] = next(c for c in containers if c["name"] == "calico-node")["env"]
    return found


def put_env(client: Client, *variables: Obj, drop: tuple[str, ...] = ()) -> Obj:
    """Give the manifest's calico-node other variables (in place of those of their names)."""
    daemonset = client.get(MANIFEST)
    env = env_of(daemonset)
    names = {v["name"] for v in variables} | set(drop)
    env[:] = [*(e for e in env if e["name"] not in names), *variables]
    return client.replace(MANIFEST, daemonset)


def documents(release: str, name: str) -> list[Obj]:
    """The objects of a file of a real release."""
    return crds.documents(Path(str(REAL)) / "calico" / release / name)


def load_operator(client: Client, release: str) -> Obj:
    """Load a real release's operator CRDs and its Installation; return that."""
    crds.remove(client, client.items(crds.CRDS))
    wanted = [d for d in documents(release, "operator-crds.yaml") if d["kind"][0:6] == "Custom"]
    crds.load(client, wanted)
    found = [d for d in documents(release, "custom-resources.yaml") if d["kind"] == "Installation"]
    return client.create(INSTALLATIONS, found[0])


def load_manifest(client: Client, release: str, name: str = "calico.yaml") -> Obj:
    """Load the DaemonSet and ConfigMaps of a real release; return the DaemonSet."""
    made: Obj = {}
    for doc in documents(release, name):
        namespace = doc["metadata"].get("namespace")
        if doc["kind"] == "ConfigMap":
            client.ensure(f"/api/v1/namespaces/{namespace}/configmaps", doc)
        elif doc["kind"] == "DaemonSet":
            made = client.create(f"/apis/apps/v1/namespaces/{namespace}/daemonsets", doc)
    return made


def clear(client: Client) -> None:
    """Remove what the tests of this file leave behind."""
    for path in (DEFAULT, OVERLAY):
        try:
            client.delete(path)
        except ApiStatus:
            continue
    for daemonset in client.items("/apis/apps/v1/daemonsets"):
        meta = daemonset["metadata"]
        client.delete(f"/apis/apps/v1/namespaces/{meta['namespace']}/daemonsets/{meta['name']}")


def before(api: _client.Api) -> Obj:
    """What calico_info says, as a bundle keeps it: through JSON."""
    found: Obj = json.loads(json.dumps(_calico_read.read(api, {})))
    return found


def restore(api: _client.Api, undo: Obj, check_mode: bool = False) -> Obj:
    return change(api, Request(restore=True, undo=undo), check_mode)


def both(api: _client.Api, request: Request) -> Obj:
    """Check, apply, apply again: check tells what apply does, and that is all."""
    planned = change(api, request, True)
    result = change(api, request, False)
    again = change(api, request, False)
    for key in ("changed", "diff", "plan", "patches", "target"):
        assert planned[key] == result[key], key
    for name in ("object", "overlay"):
        if planned[name]:
            assert content(planned[name]) == content(result[name])
    assert not again["changed"]
    assert again["diff"] == again["plan"] == again["patches"] == []
    return result
