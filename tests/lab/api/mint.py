# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Users with exactly the rights a test wants, on every provider alike.

A service account, a ClusterRole with the rules, a binding, and a token by TokenRequest. To make the
token invalid, delete the service account (``revoke``): the next request is a 401.
"""

from __future__ import annotations

import base64
import time
from pathlib import Path

from tests.lab.api import kubeconfig
from tests.lab.api.client import Client, Obj

NAMESPACE = "k8snet-users"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
EFFECT_SECONDS = 15
_ACCOUNTS = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"


def user(admin: Path, name: str, rules: list[Obj], out: Path) -> str:
    """Make (or give new rules to) user ``name``; write its kubeconfig to ``out``.

    Returns the user name that the API sees. ``admin`` is the kubeconfig of an administrator.
    """
    client = Client(admin, "k8snet-mint")
    client.ensure("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    client.ensure(_ACCOUNTS, {"metadata": {"name": name}})
    full = f"k8snet:{name}"
    role = {"metadata": {"name": full}, "rules": rules}
    made = client.ensure(f"{_RBAC}/clusterroles", role)
    if made.get("rules") != rules:
        client.patch(f"{_RBAC}/clusterroles/{full}", {"rules": rules})
    binding = {
        "metadata": {"name": full},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": full},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}],
    }
    client.ensure(f"{_RBAC}/clusterrolebindings", binding)
    token = client.create(f"{_ACCOUNTS}/{name}/token", {"spec": {"expirationSeconds": 7200}})
    ca = base64.b64decode(client.ca)
    config = kubeconfig.build(client.server, ca, name, token["status"]["token"])
    kubeconfig.write(out, config)
    _await_rights(Client(out, "k8snet-mint"), rules)
    return f"system:serviceaccount:{NAMESPACE}:{name}"


def _await_rights(client: Client, rules: list[Obj]) -> None:
    """Wait until the rights are in force: a real API server learns of them a moment later."""
    rule = next((r for r in rules if r.get("resources") and not r.get("resourceNames")), None)
    if rule is None:
        return
    resource, _unused, subresource = rule["resources"][0].partition("/")
    asked = {
        "verb": rule["verbs"][0],
        "group": rule["apiGroups"][0],
        "resource": resource,
        "subresource": subresource,
    }
    until = time.monotonic() + EFFECT_SECONDS
    while time.monotonic() < until:
        body = {"spec": {"resourceAttributes": asked}}
        if client.create(_REVIEWS, body)["status"]["allowed"]:
            return
        time.sleep(0.05)  # between two looks at the condition
    raise TimeoutError(f"the rights of a new user are not in force after {EFFECT_SECONDS} s")


def revoke(admin: Path, name: str) -> None:
    """Make the tokens of a minted user invalid, and take its rights away."""
    client = Client(admin, "k8snet-mint")
    client.delete(f"{_ACCOUNTS}/{name}")
    client.delete(f"{_RBAC}/clusterrolebindings/k8snet:{name}")
    client.delete(f"{_RBAC}/clusterroles/k8snet:{name}")
