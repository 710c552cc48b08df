# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who installed kube-proxy, and what keeps kubeadm of which version from making it again."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_distribution as distribution,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy_distribution import (
    Evidence,
)

Obj = dict[str, Any]
KUBEADM = {"apiVersion": "kubeadm.k8s.io/v1beta4", "certificatesDir": "/etc/kubernetes/pki"}
KUBESPRAY = {"apiVersion": "kubeadm.k8s.io/v1beta4", "certificatesDir": "/etc/kubernetes/ssl"}
SOCKET = {"kubeadm.alpha.kubernetes.io/cri-socket": "unix:///run/containerd/containerd.sock"}


def node(
    version: str = "v1.31.2",
    labels: Obj | None = None,
    annotations: Obj | None = None,
    provider: str = "",
) -> Obj:
    return distribution.trim_node(
        {
            "metadata": {"name": "n", "uid": "u", "labels": labels, "annotations": annotations},
            "spec": {"providerID": provider},
            "status": {"nodeInfo": {"kubeletVersion": version, "operatingSystem": "linux"}},
        }
    )


AKS_ID = (
    "azure:///subscriptions/s/resourceGroups/mc_g/providers/Microsoft.Compute/"
    "virtualMachineScaleSets/aks-pool1-1-vmss/virtualMachines/0"
)
AZURE_ID = "azure:///subscriptions/s/resourceGroups/g/providers/x/virtualMachines/master-1"


@pytest.mark.parametrize(
    ("evidence", "name"),
    [
        (Evidence("v1.31.2+k3s1", [node()]), "k3s"),
        (Evidence("v1.31.2", [node("v1.31.2+k3s1")]), "k3s"),
        (Evidence("v1.31.2+rke2r1", [node("v1.31.2+rke2r1")], static=True), "rke2"),
        (Evidence("v1.31.2-eks-7f9249a", [node()]), "eks"),
        (Evidence("v1.31.2", [node(labels={"eks.amazonaws.com/nodegroup": "g"})]), "eks"),
        (Evidence("v1.31.2-gke.100", [node()]), "gke"),
        (Evidence("v1.31.2", [node(labels={"cloud.google.com/gke-nodepool": "p"})]), "gke"),
        (Evidence("v1.31.2", [node(provider="gce://p/z/gke-c-pool-1")]), "gke"),
        (Evidence("v1.31.2", [node(labels={"kubernetes.azure.com/cluster": "c"})]), "aks"),
        (Evidence("v1.31.2", [node(provider=AKS_ID)]), "aks"),
        # The provider alone says nothing: kubeadm runs in every cloud.
        (Evidence("v1.31.2", [node(provider=AZURE_ID)], KUBEADM), "kubeadm"),
        (Evidence("v1.31.2", [node(provider="gce://p/z/vm-1")], KUBEADM), "kubeadm"),
        (Evidence("v1.31.2", [node(provider="aws:///eu/i-1")], KUBEADM), "kubeadm"),
        (Evidence("v1.31.2", [node(annotations=SOCKET)]), "kubeadm"),
        (Evidence("v1.31.2", [node()], node_proxier=True), "kubeadm"),
        (Evidence("v1.31.2", [node(annotations=SOCKET)], KUBESPRAY), "kubespray"),
        (Evidence("v1.31.2", [node()], KUBEADM, ["nodelocaldns"]), "kubespray"),
        (Evidence("v1.31.2", [node()], KUBEADM, ["node-local-dns"]), "kubeadm"),
        (Evidence("v1.31.2", [node()]), "unknown"),
        (Evidence("v1.31.2", [node(annotations=SOCKET)], static=True), "unknown"),
        (Evidence(None), "unknown"),
    ],
)
def test_a_distribution_is_known_by_its_marks(evidence: Evidence, name: str) -> None:
    found = distribution.detect(evidence)
    assert found["distribution"] == name
    assert found["supported"] == (name == "kubeadm")
    refusal = distribution.refusal(found)
    if name == "kubeadm":
        assert refusal is None
        assert found["reason"] is found["remedy"] is None
    else:
        assert refusal is not None
        assert found["remedy"] in refusal
        assert "override_distribution" in refusal


@pytest.mark.parametrize(
    ("version", "api", "how"),
    [
        ("v1.18.20", "v1beta2", "neither"),
        ("v1.19.0", "v1beta2", "missing-config-map"),
        ("v1.31.9", "v1beta3", "missing-config-map"),
        ("v1.31.9", "v1beta4", "missing-config-map"),
        ("v1.32.0", "v1beta4", "neither"),
        ("v1.32.1", "v1beta4", "disabled"),
        ("v1.32.1", "v1beta3", "skip-phases"),
        ("v1.36.0", "v1beta4", "disabled"),
        ("v1.36.0", None, "skip-phases"),
        ("v1.40", "v1", "disabled"),
        ("nonsense", "v1beta4", None),
    ],
)
def test_what_each_kubeadm_honours(version: str, api: str | None, how: str | None) -> None:
    assert distribution.honours(distribution.parse_version(version), api) == how


@pytest.mark.parametrize(
    ("version", "api", "disabled", "words"),
    [
        ("1.18.0", "v1beta2", None, "at every upgrade"),
        ("1.28.0", "v1beta3", None, "from 1.32 on upgrade with: kubeadm upgrade apply --skip"),
        ("1.31.4", "v1beta4", True, "from 1.32.1 on proxy.disabled does, which is set"),
        ("1.32.0", "v1beta4", True, "kubeadm 1.32.1 or newer"),
        ("1.33.0", "v1beta4", False, "Set proxy.disabled: true"),
        ("1.33.0", "v1beta4", True, None),
        ("1.33.0", "v1beta3", None, "kubeadm config migrate"),
        (None, "v1beta4", True, "version is unknown"),
    ],
)
def test_the_advice_says_what_is_left_to_do(
    version: str | None, api: str, disabled: bool | None, words: str | None
) -> None:
    said = distribution.advice(distribution.parse_version(version), api, disabled)
    assert said is None if words is None else said is not None and words in said


def test_only_what_has_proxy_disabled_tells_it() -> None:
    view = distribution.kubeadm_view
    assert view({"apiVersion": "kubeadm.k8s.io/v1beta4", "proxy": {"disabled": True}}) == (
        "v1beta4",
        True,
    )
    assert view({"apiVersion": "kubeadm.k8s.io/v1beta4"}) == ("v1beta4", False)
    assert view({"apiVersion": "kubeadm.k8s.io/v1beta3", "proxy": {"disabled": True}}) == (
        "v1beta3",
        None,
    )
    assert view(None) == (None, None)
    assert distribution.plain_version("v1.31.2+rke2r1") == "1.31.2"
