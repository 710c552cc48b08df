# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The incident repaired on clusters made of Calico's own releases, where K8SNET_REAL_DATA lies.

A second API has the release's CRDs and objects; for as long, the lab's nodes are that cluster's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.calico_autodetection.hands import other_api
from tests.integration.calico_autodetection.window import (
    DNS_NODE,
    INSTALLATION,
    NEW,
    ROOT,
    Cluster,
    Run,
)
from tests.lab.lab import Lab
from tests.lab.scene import Scene

REAL = os.environ.get("K8SNET_REAL_DATA")
INTERNAL = {f"node{n}": f"10.160.1.2{n}/24" for n in (1, 2, 3)}
SETS = "/apis/apps/v1/namespaces/kube-system/daemonsets/"
pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(not REAL, reason="K8SNET_REAL_DATA names no releases"),
]

# Creates the objects of files as far as the lab's actors know what to do with them.
_PUT = """
import sys
from pathlib import Path
from tests.lab import crds
from tests.lab.api.client import Client
client = Client(Path(sys.argv[1]))
docs = [doc for name in sys.argv[2:] for doc in crds.documents(Path(name))]
crds.load(client, [doc for doc in docs if doc["kind"] == "CustomResourceDefinition"])
places = {
    "ConfigMap": "/api/v1/namespaces/kube-system/configmaps",
    "DaemonSet": "/apis/apps/v1/namespaces/kube-system/daemonsets",
    "Installation": "/apis/operator.tigera.io/v1/installations",
}
for doc in docs:
    if doc["kind"] in places:
        client.ensure(places[doc["kind"]], doc)
"""


class Release:
    """A cluster of one release, and somebody with the rights of docs/rbac who changes it."""

    def __init__(self, cluster: Cluster, kubeconfig: Path) -> None:
        self.cluster = cluster
        self.kubeconfig = kubeconfig

    def change(self, *arguments: str) -> Run:
        return self.cluster.change("-e", f"k8snet_kubeconfig={self.kubeconfig}", *arguments)

    def repair(self, *arguments: str) -> tuple[str, tuple[int, int]]:
        """Repair the incident; return what was said, and the pods made before and after release."""
        cluster, kind = self.cluster, "installations"
        if cluster.call("GET", INSTALLATION)[0] != 200:
            kind = "daemonsets"
        since = len(cluster.log())
        run = self.change(*arguments)
        assert run.code == 0, run.said
        assert cluster.annotations() == INTERNAL
        assert all(cluster.scene.dns(node) for node in cluster.scene.nodes)
        assert not cluster.locked()
        return " ".join(run.said.split()), cluster.restarts(since, kind)

    def unchanged(self, *arguments: str) -> bool:
        """Whether another run finds nothing to do."""
        run = self.change(*arguments)
        return (run.code, run.changed) == (0, 0)


@contextmanager
def release(lab: Lab, folder: Path, version: str, *files: str) -> Iterator[Release]:
    """A cluster of a release, with the controllers at work."""
    paths = [str(Path(str(REAL)) / "calico" / version / name) for name in files]
    with other_api(lab, folder / "api", "none", "10.160.1.1:6444") as api:  # nodes reach it
        words = ["-c", _PUT, str(api.kubeconfig), *paths]
        lab.exec([sys.executable, *words], check=True, cwd=ROOT)
        act = ["run", "operator", "daemonset", "--calico-version", version]
        actors = subprocess.Popen(
            lab.inside(
                [sys.executable, "-m", "tests.lab.actors", *act, "--kubeconfig", api.kubeconfig]
            ),
            stdout=subprocess.DEVNULL,
            cwd=ROOT,
        )
        try:
            cluster = Cluster(Scene(lab, DNS_NODE, api.kubeconfig), folder)
            yield Release(cluster, api.user("remedy").kubeconfig)
        finally:
            actors.terminate()
            actors.wait()


@contextmanager
def incident(scene: Scene, release: Release) -> Iterator[Cluster]:
    """The nodes are those of the release, and a new NIC's address has cost it its DNS."""
    cluster, lab = release.cluster, scene.lab
    with ExitStack() as afterwards:
        afterwards.callback(scene.await_settled)
        afterwards.callback(scene.join)
        cluster.scene.join()
        cluster.scene.await_settled()
        cluster.await_rolled_out()
        nic = lab.plug(DNS_NODE, address=NEW, nowhere=True)
        afterwards.callback(lab.unplug, DNS_NODE, str(nic["name"]))
        cluster.scene.await_lost(NEW)
        cluster.await_readiness({node: node != DNS_NODE for node in cluster.scene.nodes})
        cluster.grow_old()
        yield cluster


def _only_all(version: str) -> Any:
    return pytest.param(version, marks=pytest.mark.full)


@pytest.mark.parametrize("version", [_only_all("v3.24.5"), _only_all("v3.28.2"), "v3.32.1"])
def test_an_operator_install_of_a_release(
    scene: Scene, lab: Lab, tmp_path: Path, version: str
) -> None:
    files = ("operator-crds.yaml", "custom-resources.yaml")
    with release(lab, tmp_path, version, *files) as found, incident(scene, found) as cluster:
        before = cluster.spec
        assert before["calicoNetwork"]["nodeAddressAutodetectionV4"] == {"firstFound": True}
        said, made = found.repair()
        assert version != "v3.32.1" or found.unchanged()
        after = cluster.spec
    if version == "v3.24.5":
        assert "has no calicoNodeDaemonSet.spec.minReadySeconds" in said
        assert sum(made) == 3
    else:
        assert "Held after its first node" in said
        assert made == (1, 2)
    before["calicoNetwork"]["nodeAddressAutodetectionV4"] = {"kubernetes": "NodeInternalIP"}
    assert after == before


@pytest.mark.full
@pytest.mark.parametrize(
    ("version", "canary"), [("v3.24.5", "node1"), ("v3.28.2", ""), ("v3.32.1", "")]
)
def test_a_manifest_install_of_a_release(
    scene: Scene, lab: Lab, tmp_path: Path, version: str, canary: str
) -> None:
    path = f"{SETS}calico-node"
    with release(lab, tmp_path, version, "calico.yaml") as found, incident(scene, found) as cluster:
        before = cluster.get(path)["spec"]
        said, made = found.repair("-e", f"calico_autodetection_canary={canary}")
        assert version != "v3.32.1" or found.unchanged()
        after = cluster.get(path)["spec"]
    assert made == (1, 2)
    held = f"{canary} alone is restarted (OnDelete)" if canary else "Held after its first node"
    assert held in said
    env = after["template"]["spec"]["containers"][0].pop("env")
    was = before["template"]["spec"]["containers"][0].pop("env")
    added = {"name": "IP_AUTODETECTION_METHOD", "value": "kubernetes-internal-ip"}
    assert [entry for entry in env if entry != added] == was
    assert added in env
    assert after == before


@pytest.mark.full
@pytest.mark.parametrize("version", ["v3.24.5", "v3.28.2", "v3.32.1"])
def test_canal_of_a_release_is_refused(
    scene: Scene, lab: Lab, tmp_path: Path, version: str
) -> None:
    with release(lab, tmp_path, version, "canal.yaml") as found:
        since, before = len(found.cluster.log()), found.cluster.get(f"{SETS}canal")["spec"]
        run = found.change()
        assert found.cluster.writes(since) == []
        assert found.cluster.get(f"{SETS}canal")["spec"] == before
    assert run.code == 2, run.said
    said = " ".join(run.said.split())
    assert "Nothing was changed." in said, run.said
    assert "flannel does. Set canal_iface" in said, run.said
