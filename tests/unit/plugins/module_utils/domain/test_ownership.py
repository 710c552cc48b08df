# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose object it is, and what to commit there."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.k8snet.cni.plugins.module_utils.domain._ownership import (
    owner_of,
    refusal,
    snippet,
)

METHODS = {4: "kubernetes-internal-ip"}
DEFAULT = {"kind": "Installation", "namespace": None, "name": "default"}
OVERLAY = {"kind": "Installation", "namespace": None, "name": "overlay"}
SET = {"kind": "DaemonSet", "namespace": "kube-system", "name": "calico-node"}
V4 = "nodeAddressAutodetectionV4"


def obj(spec: Any = None, **meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": "default", **meta}, "spec": spec or {}}


@pytest.mark.parametrize(
    ("meta", "by"),
    [
        ({}, None),
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, "helm"),
        ({"labels": {"app.kubernetes.io/managed-by": "tigera-operator"}}, None),
        ({"annotations": {"meta.helm.sh/release-name": "calico"}}, "helm"),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "x"}}, "argocd"),
        ({"labels": {"argocd.argoproj.io/instance": "x"}}, "argocd"),
        ({"labels": {"app.kubernetes.io/instance": "x"}}, None),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "x"}}, "flux"),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "x"}}, "flux"),
        ({"labels": {"addonmanager.kubernetes.io/mode": "Reconcile"}}, "addon-manager"),
        # What is only made if it does not exist is nobody's afterwards.
        ({"labels": {"addonmanager.kubernetes.io/mode": "EnsureExists"}}, None),
        ({"labels": {"addon.kops.k8s.io/name": "networking.projectcalico.org"}}, "addon-manager"),
        ({"annotations": {"objectset.rio.cattle.io/owner-name": "calico"}}, "addon-manager"),
        ({"managedFields": [{"manager": "kubectl"}]}, None),
        ({"managedFields": [{"manager": "operator"}, {"manager": "helm"}]}, "helm"),
        ({"managedFields": [{"manager": "helmfile-check"}]}, None),
        ({"managedFields": [{"manager": "argocd-controller"}]}, "argocd"),
        ({"managedFields": [{"manager": "kustomize-controller"}]}, "flux"),
        ({"managedFields": [{"manager": "deploy@server-1"}]}, "addon-manager"),
    ],
)
def test_an_owner_is_known_by_its_marks(meta: dict[str, Any], by: str | None) -> None:
    found = owner_of(obj(**meta))
    assert found["by"] == by
    assert bool(found["evidence"]) == (by is not None)


def test_who_deploys_a_helm_chart_comes_before_helm() -> None:
    both = obj(
        labels={"app.kubernetes.io/managed-by": "Helm", "helm.toolkit.fluxcd.io/name": "calico"}
    )
    assert owner_of(both)["by"] == "flux"


def test_helms_values_take_the_default_away_that_would_stay_beside_the_method() -> None:
    now = obj({"calicoNetwork": {V4: {"firstFound": True}}})
    text = snippet(now, DEFAULT, "helm", METHODS)
    assert yaml.safe_load(text) == {
        "installation": {
            "calicoNetwork": {V4: {"firstFound": None, "kubernetes": "NodeInternalIP"}}
        }
    }


def test_a_repository_gets_the_object() -> None:
    now = obj({"calicoNetwork": {V4: {"firstFound": True}}})
    found = yaml.safe_load(snippet(now, OVERLAY, "argocd", {**METHODS, 6: "cidr=fd00::/8"}))
    assert found["metadata"] == {"name": "overlay"}
    assert found["spec"]["calicoNetwork"] == {
        V4: {"kubernetes": "NodeInternalIP"},
        "nodeAddressAutodetectionV6": {"cidrs": ["fd00::/8"]},
    }


def test_a_daemonset_gets_its_variables() -> None:
    found = yaml.safe_load(snippet({}, SET, "flux", {6: "interface=^eth0$"}))
    container = found["spec"]["template"]["spec"]["containers"][0]
    assert container["name"] == "calico-node"
    assert container["env"] == [
        {"name": "IP6", "value": "autodetect"},
        {"name": "IP6_AUTODETECTION_METHOD", "value": "interface=^eth0$"},
    ]


def test_a_refusal_says_who_and_what_and_how_to_override() -> None:
    owned = obj(annotations={"meta.helm.sh/release-name": "calico"})
    text = refusal(owned, DEFAULT, METHODS)
    assert text is not None
    for part in (
        "Installation default",
        "Helm",
        "meta.helm.sh/release-name: calico",
        "kubernetes: NodeInternalIP",
        "k8snet_override_owner",
    ):
        assert part in text
    assert refusal(obj(), DEFAULT, METHODS) is None
