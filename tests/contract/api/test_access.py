# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may do what, and how refusals are worded."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.api.conftest import GROUP, WIDGETS, cause_fields, config_map, fails, widget
from tests.lab.api import mint
from tests.lab.api.client import ApiStatus, Client
from tests.lab.api.providers import Provider

Obj = dict[str, Any]
Mint = Callable[[list[Obj]], tuple[Client, str, str]]

READ_MAPS = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}
GROUP_RBAC = "rbac.authorization.k8s.io"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def may(client: Client, **attributes: str) -> bool:
    answer = client.create(REVIEWS, {"spec": {"resourceAttributes": attributes}})
    found: bool = answer["status"]["allowed"]
    return found


def test_a_user_may_what_a_rule_allows_and_no_more(
    mint_user: Mint, maps: str, namespace: str
) -> None:
    client, name, _short = mint_user([READ_MAPS])
    assert client.get(maps)["kind"] == "ConfigMapList"
    status = fails(client, "POST", maps, config_map("mine"))
    assert (status.code, status.reason) == (403, "Forbidden")
    assert status.body["message"] == (
        f'configmaps is forbidden: User "{name}" cannot create resource "configmaps" in API group '
        f'"" in the namespace "{namespace}"'
    )
    assert status.body["details"] == {"kind": "configmaps"}


def test_a_refusal_names_object_group_and_scope(mint_user: Mint, sets: str) -> None:
    client, name, _short = mint_user([READ_MAPS])
    status = fails(client, "GET", f"{sets}/agent")
    assert status.body["details"] == {"name": "agent", "group": "apps", "kind": "daemonsets"}
    assert status.body["message"].startswith('daemonsets.apps "agent" is forbidden: User ')
    cluster = fails(client, "GET", "/api/v1/nodes")
    assert cluster.body["message"] == (
        f'nodes is forbidden: User "{name}" cannot list resource "nodes" in API group "" at the '
        "cluster scope"
    )


def test_a_rule_may_be_for_one_name(mint_user: Mint, api: Client, kinds: None) -> None:
    one, other = (api.create(WIDGETS, widget())["metadata"]["name"] for _unused in range(2))
    rule = {"apiGroups": [GROUP], "resources": ["widgets"], "verbs": ["get", "list"]}
    client, _name, _short = mint_user([READ_MAPS, {**rule, "resourceNames": [one]}])
    assert client.get(f"{WIDGETS}/{one}")["kind"] == "Widget"
    assert fails(client, "GET", f"{WIDGETS}/{other}").code == 403
    assert fails(client, "GET", WIDGETS).code == 403
    assert len(client.get(WIDGETS, fieldSelector=f"metadata.name={one}")["items"]) == 1


def test_a_subresource_needs_its_own_rule(mint_user: Mint, api: Client, kinds: None) -> None:
    path = f"{WIDGETS}/{api.create(WIDGETS, widget())['metadata']['name']}"
    rule = {"apiGroups": [GROUP], "resources": ["widgets"], "verbs": ["get", "patch"]}
    client, _name, _short = mint_user([rule])
    assert client.patch(path, {"spec": {"size": 5}})["spec"]["size"] == 5
    with pytest.raises(ApiStatus) as caught:
        client.patch(f"{path}/status", {"status": {"seen": 1}})
    assert caught.value.code == 403
    assert 'cannot patch resource "widgets/status"' in caught.value.body["message"]


def test_watching_is_a_verb_of_its_own(mint_user: Mint, maps: str) -> None:
    client, _name, _short = mint_user([READ_MAPS])
    status = fails(client, "GET", f"{maps}?watch=true&timeoutSeconds=1")
    assert status.code == 403
    assert 'cannot watch resource "configmaps"' in status.body["message"]


def test_wildcards_allow_all(mint_user: Mint, api: Client, maps: str, kinds: None) -> None:
    rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}
    client, _name, _short = mint_user([rule])
    assert client.get(WIDGETS)["kind"] == "WidgetList"
    assert client.get("/api/v1/nodes")["kind"] == "NodeList"
    assert fails(client, "POST", maps, config_map()).code == 403


def test_a_user_may_ask_what_it_may(mint_user: Mint, namespace: str) -> None:
    client, name, _short = mint_user([READ_MAPS])
    assert may(client, verb="list", resource="configmaps", namespace=namespace)
    assert may(client, verb="list", resource="configmaps")
    assert not may(client, verb="create", resource="configmaps", namespace=namespace)
    assert not may(client, verb="list", resource="nodes")
    assert not may(client, verb="get", group="apps", resource="daemonsets")
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    who = client.create(path, {})["status"]["userInfo"]
    assert who["username"] == name
    assert "system:authenticated" in who["groups"]


def test_an_administrator_may_everything(api: Client) -> None:
    assert may(api, verb="delete", group="apps", resource="daemonsets", subresource="status")


def test_a_wrong_token_is_unauthorized(api: Client, provider: Provider) -> None:
    stranger = Client(provider.kubeconfig)
    wrong = {"Authorization": "Bearer nobody"}
    status = fails(stranger, "GET", "/api/v1/nodes", None, wrong)
    assert (status.code, status.reason) == (401, "Unauthorized")
    assert status.body["message"] == "Unauthorized"


def test_without_a_token_one_is_anonymous(own_server: Provider) -> None:
    client = Client(own_server.kubeconfig)
    del client.headers["Authorization"]
    status = fails(client, "GET", "/api/v1/nodes")
    assert status.code == 403
    assert 'User "system:anonymous" cannot list resource "nodes"' in status.body["message"]
    assert client.raw("GET", "/version")[0] == 200


def test_the_token_of_a_removed_user_stops_working(mint_user: Mint, provider: Provider) -> None:
    client, _name, short = mint_user([READ_MAPS])
    mint.revoke(provider.kubeconfig, short)
    until = time.monotonic() + 30  # a real API server remembers a good token for ten seconds
    code = 0
    while code != 401 and time.monotonic() < until:
        code, _headers, body = client.raw("GET", "/api/v1/nodes")
        if code != 401:
            time.sleep(0.2)
    assert code == 401
    assert body["reason"] == "Unauthorized"


def test_a_token_lives_ten_minutes_at_least(api: Client, namespace: str) -> None:
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    api.create(accounts, {"metadata": {"name": "short"}})
    status = fails(api, "POST", f"{accounts}/short/token", {"spec": {"expirationSeconds": 60}})
    assert (status.code, status.reason) == (422, "Invalid")
    assert "spec.expirationSeconds" in cause_fields(status)


def test_a_role_counts_in_its_namespace_only(
    mint_user: Mint, api: Client, namespace: str, maps: str
) -> None:
    client, _name, short = mint_user([])
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    api.create(f"{rbac}/roles", {"metadata": {"name": short}, "rules": [READ_MAPS]})
    binding = {
        "metadata": {"name": short},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": short},
        "subjects": [{"kind": "ServiceAccount", "name": short, "namespace": mint.NAMESPACE}],
    }
    api.create(f"{rbac}/rolebindings", binding)
    until = time.monotonic() + 15
    while not may(client, verb="list", resource="configmaps", namespace=namespace):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert client.get(maps)["kind"] == "ConfigMapList"
    assert fails(client, "GET", "/api/v1/configmaps").code == 403
    assert fails(client, "GET", "/api/v1/namespaces/default/configmaps").code == 403


def test_nobody_grants_what_he_has_not_unless_he_may_bind_it(mint_user: Mint) -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    write = {
        "apiGroups": [GROUP_RBAC],
        "resources": ["clusterrolebindings"],
        "verbs": ["create", "delete"],
    }
    group = {"apiGroup": GROUP_RBAC}

    def binding(name: str) -> Obj:
        return {
            "apiVersion": f"{GROUP_RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"{name}-grants"},
            "roleRef": {**group, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{**group, "kind": "User", "name": "nobody"}],
        }

    client, name, _short = mint_user([write])
    status = fails(client, "POST", rbac, binding("x"))
    assert (status.code, status.reason) == (403, "Forbidden")
    assert "attempting to grant RBAC permissions not currently held" in status.body["message"]
    bind = {
        "apiGroups": [GROUP_RBAC],
        "resources": ["clusterroles"],
        "resourceNames": ["cluster-admin"],
        "verbs": ["bind"],
    }
    client, name, _short = mint_user([write, bind])
    made = client.create(rbac, binding(name.replace(":", "-")))
    client.delete(f"{rbac}/{made['metadata']['name']}")
