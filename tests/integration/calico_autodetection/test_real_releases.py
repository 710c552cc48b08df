# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The change on clusters made of Calico's own release manifests, where K8SNET_REAL_DATA names them.

The nodes are the lab's; the cluster's API is another one, with the release's CRDs and objects.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.calico_autodetection.hands import ROOT, Cluster, Operator, other_api
from tests.lab.lab import Lab
from tests.lab.scene import Scene, await_that

REAL = os.environ.get("K8SNET_REAL_DATA")
VERSIONS = ("v3.24.5", "v3.28.2", "v3.32.1")
INSTALLATION = "/apis/operator.tigera.io/v1/installations/default"
DAEMONSET = "/apis/apps/v1/namespaces/{}/daemonsets/calico-node"
pytestmark = [
    pytest.mark.lab,
    pytest.mark.full,
    pytest.mark.skipif(not REAL, reason="K8SNET_REAL_DATA names no release manifests"),
]

# Creates the files' objects, and stores on every Node what calico-node would have stored.
_PUT = """
import sys
from pathlib import Path
from tests.lab import crds
from tests.lab.api.client import Client
client = Client(Path(sys.argv[1]))
docs = [doc for name in sys.argv[2:] for doc in crds.documents(Path(name))]
crds.load(client, [doc for doc in docs if doc["kind"] == "CustomResourceDefinition"])
client.ensure("/api/v1/namespaces", {"metadata": {"name": "calico-system"}})
places = {
    "ConfigMap": "/api/v1/namespaces/kube-system/configmaps",
    "DaemonSet": "/apis/apps/v1/namespaces/kube-system/daemonsets",
    "Installation": "/apis/operator.tigera.io/v1/installations",
}
for doc in docs:
    if doc["kind"] in places:
        client.ensure(places[doc["kind"]], doc)
for node in client.items("/api/v1/nodes"):
    address = next(a for a in node["status"]["addresses"] if a["type"] == "InternalIP")["address"]
    note = {"projectcalico.org/IPv4Address": f"{address}/24"}
    path = f"/api/v1/nodes/{node['metadata']['name']}"
    client.patch(path, {"metadata": {"annotations": note}})
"""


@contextmanager
def release(lab: Lab, folder: Path, version: str, *files: str) -> Iterator[Cluster]:
    """A cluster of a release, with its controllers at work."""
    paths = [str(Path(str(REAL)) / "calico" / version / name) for name in files]
    with other_api(lab, folder, "none") as api:
        words = ["-c", _PUT, str(api.kubeconfig), *paths]
        lab.exec([sys.executable, *words], check=True, cwd=ROOT)
        act = ["run", "operator", "daemonset", "--acted", "", "--calico-version", version]
        act += ["--kubeconfig", str(api.kubeconfig)]
        actors = subprocess.Popen(
            lab.inside([sys.executable, "-m", "tests.lab.actors", *act]),
            stdout=subprocess.DEVNULL,
            cwd=ROOT,
        )
        try:
            yield api
        finally:
            actors.terminate()
            actors.wait()


def await_ready(api: Cluster, namespace: str) -> None:
    """Wait until the release's calico-node runs on every node."""
    path = DAEMONSET.format(namespace)
    await_that(
        lambda: ((api.ask("find", path) or {}).get("status") or {}).get("numberAvailable"),
        lambda available: available == 3,
        "calico-node runs",
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_an_operator_install_of_a_release(
    scene: Scene, operator: Operator, lab: Lab, tmp_path: Path, version: str
) -> None:
    files = ("operator-crds.yaml", "custom-resources.yaml")
    with release(lab, tmp_path / "api", version, *files) as api:
        await_ready(api, "calico-system")
        run = operator.change(api.user("remedy"), "release")
        assert run.code == 0, run.said[-6000:]
        method = api.installation()["calicoNetwork"]["nodeAddressAutodetectionV4"]
        assert method == {"kubernetes": "NodeInternalIP"}
        assert "minReadySeconds" not in str(api.installation())
    crds = (Path(str(REAL)) / "calico" / version / files[0]).read_text()
    if "minReadySeconds" in crds:
        run.has("Window Not held: a hold has to last")  # the pods are too young here
    else:
        run.has("has no calicoNodeDaemonSet.spec.minReadySeconds")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_manifest_install_of_a_release(
    scene: Scene, operator: Operator, lab: Lab, tmp_path: Path, version: str
) -> None:
    with release(lab, tmp_path / "api", version, "calico.yaml") as api:
        await_ready(api, "kube-system")
        path = DAEMONSET.format("kube-system")
        before = api.ask("find", path)["spec"]
        words = ("-e", "calico_autodetection_canary=node2")
        run = operator.change(api.user("remedy"), "release", *words)
        assert run.code == 0, run.said[-6000:]
        after = api.ask("find", path)["spec"]
    env = after["template"]["spec"]["containers"][0].pop("env")
    was = before["template"]["spec"]["containers"][0].pop("env")
    added = {"name": "IP_AUTODETECTION_METHOD", "value": "kubernetes-internal-ip"}
    assert [entry for entry in env if entry not in was] == [added]
    assert [entry for entry in was if entry not in env] == []
    assert after == before


def test_canal_of_a_release_is_refused(
    scene: Scene, operator: Operator, lab: Lab, tmp_path: Path
) -> None:
    with release(lab, tmp_path / "api", VERSIONS[-1], "canal.yaml") as api:
        user = api.user("remedy")
        run = operator.change(user, "release")
        assert user.wrote() == []
    assert run.code == 2
    run.has("Nothing was changed.", "flannel does. Set canal_iface")
