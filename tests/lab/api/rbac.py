# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may do what: Role-based access control, from the RBAC objects in the store.

Source: Kubernetes ``plugin/pkg/auth/authorizer/rbac``, ``pkg/apis/rbac/v1``,
``pkg/registry/rbac`` (privilege escalation).
Not here: aggregated ClusterRoles, the node authorizer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.lab.api.errors import ApiError, Obj, forbidden, forbidden_path
from tests.lab.api.store import Store

RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class User:
    """Who asks: name, uid, groups (``system:authenticated`` among them)."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Attributes:
    """What is asked: a verb on a resource, or on a plain path."""

    verb: str
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    is_resource: bool = True

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def _has(items: Any, *wanted: str) -> bool:
    return any(item in wanted for item in items or ())


def _rule_allows(rule: Obj, ask: Attributes) -> bool:
    if not _has(rule.get("verbs"), "*", ask.verb):
        return False
    if not ask.is_resource:
        return any(
            url in ("*", ask.path) or (url.endswith("*") and ask.path.startswith(url[:-1]))
            for url in rule.get("nonResourceURLs") or ()
        )
    wanted = {"*", ask.full_resource}
    if ask.subresource:
        wanted.add(f"*/{ask.subresource}")
    names = rule.get("resourceNames")
    return (
        _has(rule.get("apiGroups"), "*", ask.group)
        and _has(rule.get("resources"), *wanted)
        and (not names or ask.name in names)
    )


def _is_subject(subject: Obj, user: User, namespace: str) -> bool:
    kind, name = subject.get("kind"), subject.get("name")
    if kind == "User":
        return bool(name == user.name)
    if kind == "Group":
        return name in user.groups
    if kind == "ServiceAccount":
        where = subject.get("namespace") or namespace
        return user.name == f"system:serviceaccount:{where}:{name}"
    return False


def _bindings(store: Store, ask: Attributes) -> Iterator[tuple[Obj, str]]:
    """Yield the bindings in force, with the namespace of each ("" for the whole cluster)."""
    for stored in store.rows((RBAC, "clusterrolebindings"))[1]:
        yield stored.obj, ""
    if ask.namespace:
        for stored in store.rows((RBAC, "rolebindings"), ask.namespace)[1]:
            yield stored.obj, ask.namespace


def _role_rules(store: Store, ref: Obj, namespace: str) -> list[Obj]:
    if ref.get("kind") == "ClusterRole":
        found = store.get((RBAC, "clusterroles"), ("", ref["name"]))
    else:
        found = store.get((RBAC, "roles"), (namespace, ref["name"]))
    return (found.obj.get("rules") or []) if found else []


def why_allowed(store: Store, user: User, ask: Attributes) -> str | None:
    """Return the reason for which ``ask`` is allowed ("" for masters), None when it is not."""
    if "system:masters" in user.groups:
        return ""
    for binding, namespace in _bindings(store, ask):
        subjects = binding.get("subjects") or ()
        match = next((s for s in subjects if _is_subject(s, user, namespace)), None)
        if match is None:
            continue
        ref = binding["roleRef"]
        if any(_rule_allows(rule, ask) for rule in _role_rules(store, ref, namespace)):
            name = binding["metadata"]["name"]
            where = f"{name}/{namespace}" if namespace else name
            subject = f'{match["kind"]} "{match["name"]}'
            if match["kind"] == "ServiceAccount":
                subject += f"/{match.get('namespace') or namespace}"
            return (
                f'RBAC: allowed by {binding["kind"]} "{where}" of {ref["kind"]} '
                f'"{ref["name"]}" to {subject}"'
            )
    return None


def escalation(store: Store, user: User, resource: str, namespace: str, obj: Obj) -> str | None:
    """Return why a Role or a binding may not be written: it grants what the user lacks."""
    if resource in ("roles", "clusterroles"):
        if _holds(store, user, Attributes("escalate", "", RBAC, resource, "", namespace)):
            return None
        rules = obj.get("rules") or []
    else:
        ref = obj.get("roleRef") or {}
        plural = "clusterroles" if ref.get("kind") == "ClusterRole" else "roles"
        name = str(ref.get("name"))
        if _holds(store, user, Attributes("bind", "", RBAC, plural, "", namespace, name)):
            return None
        found = store.get((RBAC, plural), ("" if plural == "clusterroles" else namespace, name))
        if found is None:
            return f'{plural} "{name}" not found'
        rules = found.obj.get("rules") or []
    lacking = [a for rule in rules for a in _asks(rule, namespace) if not _holds(store, user, a)]
    if not lacking:
        return None
    return f'user "{user.name}" is attempting to grant RBAC permissions not currently held'


def _asks(rule: Obj, namespace: str) -> Iterator[Attributes]:
    for verb in rule.get("verbs") or ():
        for url in rule.get("nonResourceURLs") or ():
            yield Attributes(verb, url, is_resource=False)
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                main, _slash, part = resource.partition("/")
                for name in rule.get("resourceNames") or [""]:
                    yield Attributes(verb, "", group, main, part, namespace, name)


def _holds(store: Store, user: User, ask: Attributes) -> bool:
    return why_allowed(store, user, ask) is not None


def denial(user: User, ask: Attributes) -> ApiError:
    """Return the 403 for a request that no rule allows, worded as kube-apiserver does."""
    if not ask.is_resource:
        return forbidden_path(user.name, ask.verb, ask.path)
    where = f'in the namespace "{ask.namespace}"' if ask.namespace else "at the cluster scope"
    why = (
        f'User "{user.name}" cannot {ask.verb} resource "{ask.full_resource}" '
        f'in API group "{ask.group}" {where}'
    )
    return forbidden(ask.resource, ask.group, ask.name, why)


def bootstrap_objects() -> list[Obj]:
    """Return the roles and bindings that every cluster starts with, as far as tests meet them."""
    everyone = [
        {"kind": "Group", "apiGroup": RBAC, "name": "system:authenticated"},
        {"kind": "Group", "apiGroup": RBAC, "name": "system:unauthenticated"},
    ]
    health = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
    discovery = [*health, "/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"]
    reviews = [
        {
            "verbs": ["create"],
            "apiGroups": ["authorization.k8s.io"],
            "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        },
        {
            "verbs": ["create"],
            "apiGroups": ["authentication.k8s.io"],
            "resources": ["selfsubjectreviews"],
        },
    ]
    all_things = [
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
        {"verbs": ["*"], "nonResourceURLs": ["*"]},
    ]
    masters = [{"kind": "Group", "apiGroup": RBAC, "name": "system:masters"}]
    table: list[tuple[str, list[Any], list[Obj]]] = [
        ("cluster-admin", all_things, masters),
        ("system:basic-user", reviews, everyone[:1]),
        ("system:discovery", [{"verbs": ["get"], "nonResourceURLs": discovery}], everyone[:1]),
        ("system:public-info-viewer", [{"verbs": ["get"], "nonResourceURLs": health}], everyone),
    ]
    out: list[Obj] = []
    for name, rules, subjects in table:
        meta = {"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}
        out.append({"kind": "ClusterRole", "metadata": dict(meta), "rules": rules})
        ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
        out.append(
            {
                "kind": "ClusterRoleBinding",
                "metadata": dict(meta),
                "roleRef": ref,
                "subjects": subjects,
            }
        )
    return [{"apiVersion": f"{RBAC}/v1", **obj} for obj in out]
