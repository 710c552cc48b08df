# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CRDs of the tests, and those of the real releases, load and hold what is put into them."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.contract.api.conftest import cause_fields, fails
from tests.lab import crds
from tests.lab.actors import content
from tests.lab.api.client import Client
from tests.lab.api.providers import Listen, Provider, choose

Obj = dict[str, Any]

INSTALLATIONS = "/apis/operator.tigera.io/v1/installations"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, own_server: Provider) -> Any:
    """An API of its own: these CRDs bear the names of real ones."""
    chosen = choose(tmp_path_factory.mktemp("crds"), Listen())
    chosen.start()
    yield Client(chosen.kubeconfig, "k8snet-contract")
    chosen.stop()


@pytest.fixture(scope="module")
def loaded(fresh: Client) -> Client:
    crds.load(fresh, crds.ours())
    return fresh


def test_our_crds_are_served(loaded: Client) -> None:
    served = {crd["metadata"]["name"] for crd in loaded.items(crds.CRDS)}
    assert {crd["metadata"]["name"] for crd in crds.ours()} <= served


def test_an_installation_round_trips(loaded: Client) -> None:
    body = content.installation()
    made = loaded.create(INSTALLATIONS, body)
    assert made["spec"] == body["spec"]
    loaded.delete(f"{INSTALLATIONS}/default")


def test_an_installation_is_validated(loaded: Client) -> None:
    body = content.installation()
    body["spec"]["calicoNetwork"]["nodeAddressAutodetectionV4"] = {"kubernetes": "ExternalIP"}
    status = fails(loaded, "POST", INSTALLATIONS, body)
    where = "spec.calicoNetwork.nodeAddressAutodetectionV4.kubernetes"
    assert cause_fields(status) == {where: "FieldValueNotSupported"}


def test_an_egress_needs_an_address_or_a_pool(loaded: Client) -> None:
    path = "/apis/crd.antrea.io/v1beta1/egresses"
    body = {
        "apiVersion": "crd.antrea.io/v1beta1",
        "kind": "Egress",
        "metadata": {"name": "e"},
        "spec": {"appliedTo": {"podSelector": {}}},
    }
    assert fails(loaded, "POST", path, body).code == 422
    body["spec"] = {"appliedTo": {"podSelector": {}}, "externalIPPool": "p"}
    assert loaded.create(path, body)["spec"]["externalIPPool"] == "p"


@pytest.mark.parametrize(
    ("spec", "good"),
    [
        ({"egressIP": "10.0.0.1"}, True),
        ({"egressIP": "2001:db8::1"}, True),
        ({"egressIP": "10.0.0.256"}, False),
        ({"egressIP": "10.0.0.1", "egressIPs": ["10.0.0.1"]}, False),
        ({"egressIPs": ["", "10.0.0.1"], "externalIPPools": ["p", "q"]}, True),
        ({"externalIPPool": "p", "bandwidth": {"rate": "10M"}}, False),
        (
            {"externalIPPool": "p", "appliedTo": {"podSelector": {"matchLabels": {"a": "b c"}}}},
            False,
        ),
    ],
)
def test_an_egress_is_validated(loaded: Client, spec: Obj, good: bool) -> None:
    body = _antrea("Egress", {"appliedTo": {"podSelector": {}}, **spec})
    _taken(loaded, "egresses", body, good)


@pytest.mark.parametrize(
    ("spec", "good"),
    [
        ({"ipRanges": [{"cidr": "10.0.0.0/28"}]}, True),
        ({"ipRanges": [{"cidr": "10.0.0.5/28"}]}, True),
        ({"ipRanges": [{"cidr": "10.0.0.0"}]}, False),
        ({"ipRanges": [{"start": "10.0.0.1"}]}, False),
        ({"ipRanges": [{"start": "10.0.0.1", "end": "a"}]}, False),
        ({"ipRanges": [], "subnetInfo": {"gateway": "10.0.0.1", "prefixLength": 24}}, True),
        ({"ipRanges": [], "subnetInfo": {"gateway": "10.0.0.1", "prefixLength": 128}}, False),
        ({"ipRanges": [], "subnetInfo": {"gateway": "router", "prefixLength": 24}}, False),
        ({"ipRanges": [], "nodeSelector": None}, False),
    ],
)
def test_a_pool_of_addresses_is_validated(loaded: Client, spec: Obj, good: bool) -> None:
    body = _antrea("ExternalIPPool", {"nodeSelector": {}, **spec})
    _taken(loaded, "externalippools", body, good)


def _antrea(kind: str, spec: Obj) -> Obj:
    return {
        "apiVersion": "crd.antrea.io/v1beta1",
        "kind": kind,
        "metadata": {"name": "judged"},
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


def _taken(client: Client, plural: str, body: Obj, good: bool) -> None:
    path = f"/apis/crd.antrea.io/v1beta1/{plural}"
    if not good:
        assert fails(client, "POST", path, body).code == 422
        return
    made = client.create(path, {**body, "status": {"egressNode": "n", "usage": {"total": 1}}})
    assert "status" not in made, "status is a subresource"
    client.delete(f"{path}/judged")


def test_every_seed_of_a_cni_fits(loaded: Client) -> None:
    from tests.lab.actors.cluster import CNIS, Seed, seed_cluster

    for cni in CNIS:
        seed_cluster(loaded, Seed(nodes=2, cni=cni))
    assert len(loaded.items("/api/v1/nodes")) == 2


def real_files() -> list[str]:
    root = os.environ.get("K8SNET_REAL_DATA")
    if not root:
        return []
    found = [*Path(root).glob("*/*/*.yml"), *Path(root).glob("*/*/*.yaml")]
    return sorted(str(path.relative_to(root)) for path in found)


@pytest.mark.skipif(
    not os.environ.get("K8SNET_REAL_DATA"), reason="K8SNET_REAL_DATA names no release manifests"
)
@pytest.mark.parametrize("name", real_files() or ["none"])
def test_a_real_release_loads(fresh: Client, name: str) -> None:
    """CRDs, then the workloads and their configuration; webhooks would call absent servers."""
    path = Path(os.environ["K8SNET_REAL_DATA"]) / name
    docs = crds.documents(path)
    mine = [doc for doc in docs if doc["kind"] == "CustomResourceDefinition"]
    if path.name == "custom-resources.yaml":
        mine = crds.documents(path.with_name("operator-crds.yaml"))
    crds.remove(fresh, fresh.items(crds.CRDS))  # another version's may not turn into these
    crds.load(fresh, mine)
    for kind, plural in (
        ("ConfigMap", "configmaps"),
        ("ServiceAccount", "serviceaccounts"),
        ("Service", "services"),
    ):
        _put(fresh, [d for d in docs if d["kind"] == kind], "/api/v1", plural)
    for kind, plural in (("DaemonSet", "daemonsets"), ("Deployment", "deployments")):
        _put(fresh, [d for d in docs if d["kind"] == kind], "/apis/apps/v1", plural)
    _put(
        fresh,
        [d for d in docs if d["kind"] == "Installation"],
        INSTALLATIONS[:-14],
        "installations",
    )


def _put(client: Client, docs: list[Obj], base: str, plural: str) -> None:
    for doc in docs:
        namespace = doc["metadata"].get("namespace")
        if namespace:
            client.ensure("/api/v1/namespaces", {"metadata": {"name": namespace}})
        place = f"{base}/namespaces/{namespace}" if namespace else base
        path = f"{place}/{plural}/{doc['metadata']['name']}"
        client.delete(path)
        made = client.create(f"{place}/{plural}", doc)
        if doc["kind"] == "ConfigMap":
            assert made["data"] == doc["data"]
        elif doc["kind"] == "Installation":
            assert made["spec"]["calicoNetwork"]["ipPools"]
        elif doc["kind"] == "DaemonSet":
            _same_env(doc, made)


def _same_env(doc: Obj, made: Obj) -> None:
    """Compare the variables: what was written is what is read, but for empty values."""
    pairs = zip(
        doc["spec"]["template"]["spec"]["containers"],
        made["spec"]["template"]["spec"]["containers"],
    )
    for wanted, found in pairs:
        given = {e["name"]: e.get("value") or None for e in wanted.get("env") or ()}
        assert {e["name"]: e.get("value") for e in found.get("env") or ()} == given


def test_a_thousand_nodes_are_quick(fresh: Client) -> None:
    """A LIST of 1,000 nodes in pages, while eight writers change annotations."""
    for number in range(1, 1001):
        fresh.create("/api/v1/nodes", content.node(number, f"big{number}"))

    def annotate(offset: int) -> None:
        for number in range(1 + offset, 1001, 100):
            note = {"metadata": {"annotations": {"a": str(number)}}}
            fresh.patch(f"/api/v1/nodes/big{number}", note)

    threads = [threading.Thread(target=annotate, args=(offset,)) for offset in range(8)]
    for thread in threads:
        thread.start()
    names = [node["metadata"]["name"] for node in fresh.items("/api/v1/nodes", limit=250)]
    for thread in threads:
        thread.join()
    assert len([name for name in names if name.startswith("big")]) == 1000
    assert len(names) == len(set(names))
