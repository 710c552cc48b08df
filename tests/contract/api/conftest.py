# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the API of the lab has to be, whichever provider the environment gives.

Without settings that is the double. ``KUBEBUILDER_ASSETS=DIR`` runs the same tests on a real
kube-apiserver, ``KUBECONFIG=FILE`` on a cluster. Only what a real kube-apiserver does is asserted.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import crds
from tests.lab.api import mint
from tests.lab.api.client import ApiStatus, Client
from tests.lab.api.providers import Listen, Provider, choose

Obj = dict[str, Any]

GROUP = "contract.k8snet.test"
WIDGETS = f"/apis/{GROUP}/v1/widgets"
GADGETS = f"/apis/{GROUP}/v1"


def widget_crd() -> Obj:
    """A cluster-scoped kind with a status subresource and one of each validation."""
    spec = {
        "type": "object",
        "required": ["color"],
        "properties": {
            "color": {"type": "string", "enum": ["red", "green"]},
            "size": {"type": "integer", "minimum": 1, "maximum": 10, "default": 3},
            "code": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
            "parts": {"type": "array", "maxItems": 2, "items": {"type": "string"}},
            "note": {"type": "string", "nullable": True},
            "amount": {"x-kubernetes-int-or-string": True},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "nested": {
                "type": "object",
                "properties": {"on": {"type": "boolean", "default": True}},
            },
        },
    }
    status = {"type": "object", "properties": {"seen": {"type": "integer"}}}
    return _crd("Widget", "Cluster", spec, status, {"status": {}})


def gadget_crd() -> Obj:
    """A namespaced kind without subresources."""
    spec = {"type": "object", "properties": {"size": {"type": "integer"}}}
    status = {"type": "object", "properties": {"seen": {"type": "integer"}}}
    return _crd("Gadget", "Namespaced", spec, status, None)


def _crd(kind: str, scope: str, spec: Obj, status: Obj, subresources: Obj | None) -> Obj:
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "properties": {"spec": spec, "status": status}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    if subresources is not None:
        version["subresources"] = subresources
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [version],
        },
    }


def unique(prefix: str = "t") -> str:
    return f"{prefix}-{secrets.token_hex(4)}"


def widget(name: str = "", **spec: Any) -> Obj:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Widget",
        "metadata": {"name": name or unique("w")},
        "spec": {"color": "red", **spec},
    }


def gadget(name: str = "", **spec: Any) -> Obj:
    metadata = {"name": name or unique("g")}
    return {"apiVersion": f"{GROUP}/v1", "kind": "Gadget", "metadata": metadata, "spec": spec}


def config_map(name: str = "", data: dict[str, Any] | None = None, **meta: Any) -> Obj:
    metadata = {"name": name or unique("c"), **meta}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data or {}}


def daemonset(name: str = "", env: list[Obj] | None = None) -> Obj:
    """A DaemonSet that fits no node, so that it is harmless in a living cluster."""
    labels = {"app": "contract"}
    container = {"name": "main", "image": "example.invalid/none:1"}
    if env is not None:
        container["env"] = env
    pod = {"nodeSelector": {"contract.k8snet.test/none": "none"}, "containers": [container]}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name or unique("d")},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def fails(
    client: Client, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> ApiStatus:
    """Return the failure of a request that has to fail with a Status body."""
    with pytest.raises(ApiStatus) as caught:
        client.call(method, path, body, headers)
    status = caught.value
    assert status.body["kind"] == "Status"
    assert status.body["apiVersion"] == "v1"
    assert status.body["status"] == "Failure"
    assert status.body["code"] == status.code
    return status


def cause_fields(status: ApiStatus) -> dict[str, str]:
    """Return {field: reason} of a 422."""
    return {c["field"]: c["reason"] for c in status.body["details"]["causes"] if c.get("field")}


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    chosen = choose(tmp_path_factory.mktemp("api"), Listen())
    chosen.start()
    try:
        yield chosen
    finally:
        chosen.stop()


@pytest.fixture(scope="session")
def api(provider: Provider) -> Client:
    """Requests of an administrator."""
    return Client(provider.kubeconfig, "k8snet-contract")


@pytest.fixture(scope="session")
def own_server(provider: Provider) -> Provider:
    """The provider, where it is ours alone: in a shared cluster some tests would do harm."""
    if provider.name == "cluster":
        pytest.skip("KUBECONFIG names a shared cluster; this test wants an API of its own")
    return provider


@pytest.fixture(scope="session")
def kinds(api: Client) -> Iterator[None]:
    """The kinds Widget and Gadget are served."""
    made = [widget_crd(), gadget_crd()]
    crds.load(api, made)
    yield
    for crd in made:
        api.delete(f"{crds.CRDS}/{crd['metadata']['name']}")


@pytest.fixture(scope="session")
def namespace(api: Client) -> Iterator[str]:
    name = unique("contract")
    api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="session")
def maps(namespace: str) -> str:
    """The collection of ConfigMaps in the tests' namespace."""
    return f"/api/v1/namespaces/{namespace}/configmaps"


@pytest.fixture(scope="session")
def sets(namespace: str) -> str:
    """The collection of DaemonSets in the tests' namespace."""
    return f"/apis/apps/v1/namespaces/{namespace}/daemonsets"


@pytest.fixture
def mint_user(
    provider: Provider, tmp_path: Path
) -> Iterator[Callable[[list[Obj]], tuple[Client, str, str]]]:
    """A factory of users with given rules: returns (client, user name in the API, short name)."""
    made: list[str] = []

    def make(rules: list[Obj]) -> tuple[Client, str, str]:
        name = unique("u")
        made.append(name)
        path = tmp_path / f"{name}.kubeconfig"
        full = mint.user(provider.kubeconfig, name, rules, path)
        return Client(path, "k8snet-contract"), full, name

    yield make
    for name in made:
        mint.revoke(provider.kubeconfig, name)
