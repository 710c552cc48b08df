# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back: exactly what was there, and nothing that others changed meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._calico_write import (
    Request,
    change,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused

from tests.lab import crds
from tests.lab.actors import content as seeds
from tests.lab.api.client import Client
from tests.unit import calico_world as world
from tests.unit.calico_world import (
    DEFAULT,
    HELD,
    INSTALLATIONS,
    INTERNAL,
    MANIFEST,
    OVERLAY,
    V4,
    V6,
)

Obj = dict[str, Any]


@pytest.mark.parametrize("former", ["absent", {}, {"firstFound": False}, {"canReach": "10.0.0.1"}])
@pytest.mark.parametrize("family", [4, 6])
def test_a_family_goes_back_to_exactly_what_it_was(
    operator: Client, api: Api, family: int, former: Any
) -> None:
    obj = operator.get(DEFAULT)
    network = obj["spec"]["calicoNetwork"]
    network.pop(V4)
    if former != "absent":
        network[V4 if family == 4 else V6] = former
    operator.replace(DEFAULT, obj)
    undo = world.before(api)
    change(api, Request(methods={family: "kubernetes-internal-ip"}, hold=HELD.hold), False)
    assert world.restore(api, undo, check_mode=True)["changed"]
    assert world.restore(api, undo)["changed"]
    assert world.content(operator.get(DEFAULT)) == world.content(undo["installation"])
    assert not world.restore(api, undo)["changed"]


def test_null_is_kept_where_the_api_keeps_it(operator: Client, api: Api) -> None:
    """No CRD of Calico allows null there so far; the bundle would not lose it."""
    crd = f"{crds.CRDS}/installations.operator.tigera.io"
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/calicoNetwork"
    add = [{"op": "add", "path": f"{path}/properties/{V4}/nullable", "value": True}]
    operator.patch(crd, add, "application/json-patch+json")
    edit = [{"op": "replace", "path": f"/spec/calicoNetwork/{V4}", "value": None}]
    operator.patch(DEFAULT, edit, "application/json-patch+json")
    undo = world.before(api)
    assert undo["installation"]["spec"]["calicoNetwork"][V4] is None
    assert V4 in undo["installation"]["spec"]["calicoNetwork"]
    change(api, INTERNAL, False)
    world.restore(api, undo)
    assert world.content(operator.get(DEFAULT)) == world.content(undo["installation"])


def test_what_the_operator_would_write_again_is_not_removed_again(
    operator: Client, api: Api
) -> None:
    operator.patch(DEFAULT, {"spec": {"calicoNetwork": {V4: None}}})
    undo = world.before(api)
    operator.patch(DEFAULT, {"spec": {"calicoNetwork": {V4: {"firstFound": True}}}})
    assert not world.restore(api, undo)["changed"]
    operator.patch(DEFAULT, {"spec": {"calicoNetwork": {V4: {"canReach": "10.0.0.1"}}}})
    assert world.restore(api, undo)["changed"]


@pytest.mark.parametrize(
    "former",
    [
        None,
        {"name": "IP_AUTODETECTION_METHOD"},
        {"name": "IP_AUTODETECTION_METHOD", "value": "can-reach=1.1.1.1"},
    ],
)
def test_a_variable_goes_back_to_absent_empty_or_its_value(
    manifest: Client, api: Api, former: Obj | None
) -> None:
    if former:
        world.put_env(manifest, former)
    undo = world.before(api)
    change(api, HELD, False)
    world.both(api, Request(restore=True, undo=undo))
    assert world.content(manifest.get(MANIFEST)) == world.content(undo["daemonset"])


def test_what_others_changed_meanwhile_stays(manifest: Client, api: Api) -> None:
    undo = world.before(api)
    change(api, HELD, False)
    world.put_env(manifest, {"name": "FELIX_LOGSEVERITYSCREEN", "value": "info"})
    manifest.patch(MANIFEST, {"metadata": {"annotations": {"example.com/who": "somebody"}}})
    world.restore(api, undo)
    now = manifest.get(MANIFEST)
    assert now["metadata"]["annotations"]["example.com/who"] == "somebody"
    assert world.entries(now, "FELIX_LOGSEVERITYSCREEN")
    assert not world.entries(now, "IP_AUTODETECTION_METHOD")
    assert "minReadySeconds" not in now["spec"]


def test_a_bundle_of_something_else_is_refused(operator: Client, api: Api) -> None:
    undo = world.before(api)
    with pytest.raises(Refused, match="has no target, installation"):
        world.restore(api, {"overlay": None, "daemonset": None})
    other = {**undo, "target": {"kind": "DaemonSet", "namespace": "kube-system", "name": "x"}}
    with pytest.raises(Refused, match="bundle is of DaemonSet kube-system/x"):
        world.restore(api, other)
    operator.create(INSTALLATIONS, world.installation("overlay", **{V4: {}}))
    with pytest.raises(Refused, match="has appeared since"):
        world.restore(api, undo)
    with_overlay = world.before(api)
    operator.delete(OVERLAY)
    with pytest.raises(Refused, match="overlay of the bundle no longer exists"):
        world.restore(api, with_overlay)
    world.put(operator, INSTALLATIONS, seeds.installation())
    with pytest.raises(Refused, match="uid differs"):
        world.restore(api, undo)
