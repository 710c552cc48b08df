# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real releases of Calico: operator, manifest and Canal."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _calico_read
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._calico_write import (
    Request,
    change,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Hold, Refused

from tests.lab import crds
from tests.lab.actors import content as seeds
from tests.lab.api.client import Client
from tests.unit import calico_world as world
from tests.unit.calico_world import (
    DEFAULT,
    HELD,
    INTERNAL,
    MANIFEST,
    V4,
    real_data,
)

Obj = dict[str, Any]


@real_data
@pytest.mark.parametrize("release", world.RELEASES)
def test_a_real_operator_release(client: Client, api: Api, release: str) -> None:
    world.load_operator(client, release)
    client.patch(DEFAULT, {"spec": {"calicoNetwork": {V4: {"firstFound": True}}}})
    undo = world.before(api)
    holds = release != "v3.24.5"
    assert undo["install"] == "operator"
    assert undo["crd_min_ready_seconds"] is holds
    request = HELD if holds else Request(methods=HELD.methods, hold=Hold("watch"))
    if not holds:
        with pytest.raises(Refused, match="mode=watch"):
            change(api, HELD, False)
    world.both(api, request)
    wanted = copy.deepcopy(undo["installation"])
    wanted["spec"]["calicoNetwork"][V4] = {"kubernetes": "NodeInternalIP"}
    released = world.both(api, Request(methods=HELD.methods, undo=undo)) if holds else {}
    if holds:
        assert world.content(released["object"]) == world.content(wanted)
    for method in ("first-found", "can-reach=10.0.0.1", "cidr=10.0.0.0/8", "skip-interface=^ens"):
        change(api, Request(methods={4: method, 6: "first-found"}), False)
    world.restore(api, undo)
    assert world.content(client.get(DEFAULT)) == world.content(undo["installation"])
    world.clear(client)


@real_data
@pytest.mark.parametrize("release", world.RELEASES)
def test_a_real_manifest_release(client: Client, api: Api, release: str) -> None:
    crds.remove(client, client.items(crds.CRDS))
    made = world.load_manifest(client, release)
    undo = world.before(api)
    assert undo["install"] == "manifest"
    assert undo["backend"] == "bird"
    assert undo["daemonset"]["metadata"]["managedFields"]
    world.both(api, HELD)
    wanted = copy.deepcopy(made)
    env = world.env_of(wanted)
    place = next(n for n, e in enumerate(env) if e["name"] == "IP") + 1
    env.insert(place, {"name": "IP_AUTODETECTION_METHOD", "value": "kubernetes-internal-ip"})
    released = world.both(api, Request(methods=HELD.methods, undo=undo))["object"]
    assert world.content(released) == world.content(wanted)
    world.both(api, Request(methods={4: "cidr=10.0.0.0/8", 6: "first-found"}))
    world.restore(api, undo)
    assert world.content(client.get(MANIFEST)) == world.content(made)
    world.clear(client)


@real_data
@pytest.mark.parametrize("release", world.RELEASES)
def test_a_real_canal_release_is_refused(client: Client, api: Api, release: str) -> None:
    crds.remove(client, client.items(crds.CRDS))
    world.load_manifest(client, release, "canal.yaml")
    calico = world.before(api)
    assert calico["install"] == "canal"
    assert calico["target"] is None
    assert "canal_iface" in calico["reason"]
    with pytest.raises(Refused, match="flannel does"):
        change(api, INTERNAL, False)
    world.clear(client)


def test_nothing_and_a_migration_are_refused(operator: Client, api: Api) -> None:
    daemonset = next(o for o in seeds.calico_manifest("v3.28.2") if o["kind"] == "DaemonSet")
    operator.create("/apis/apps/v1/namespaces/kube-system/daemonsets", daemonset)
    with pytest.raises(Refused, match="Finish the migration"):
        change(api, INTERNAL, False)
    world.clear(operator)
    with pytest.raises(Refused, match="no calico-node DaemonSet"):
        change(api, INTERNAL, False)


def test_everything_is_read_once_and_nodes_in_pages(operator: Client, api: Api) -> None:
    for number in range(1, 4):
        operator.ensure("/api/v1/nodes", seeds.node(number))
    calico = _calico_read.read(api, {}, page_size=2)
    assert [n["name"] for n in calico["nodes"]] == ["node1", "node2", "node3"]
    assert calico["nodes"][0]["internal_ips"] == {"v4": ["10.160.1.21"], "v6": []}
    # LISTs of daemonsets, installations, DNS pods and two pages of nodes; TigeraStatus, CRD,
    # BGPConfiguration. There is no calico-node yet whose pods could be listed.
    assert calico["requests"] == 8
