# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who asks: bearer tokens from the token file, and those issued for service accounts.

The token file is kube-apiserver's (``--token-auth-file``): ``token,user,uid,"group,group"``. Client
certificates are not read by the double.
"""

from __future__ import annotations

import csv
import secrets
import time
from datetime import datetime, timezone
from typing import NamedTuple

from tests.lab.api import objects, rbac
from tests.lab.api.errors import Cause, Obj, invalid, not_found, unauthorized
from tests.lab.api.rbac import Attributes, User
from tests.lab.api.routes import Request
from tests.lab.api.store import Store

ACCOUNTS = ("", "serviceaccounts")
ANONYMOUS = User("system:anonymous", groups=("system:unauthenticated",))
LEAST_SECONDS = 600


class _Issued(NamedTuple):
    namespace: str
    name: str
    uid: str
    until: float


class Authenticator:
    """Tells users apart by their tokens."""

    def __init__(self, store: Store, token_file: str) -> None:
        self.store = store
        self._issued: dict[str, _Issued] = {}
        self._known: dict[str, User] = {}
        with open(token_file, newline="", encoding="utf-8") as lines:
            for row in csv.reader(lines):
                groups = row[3].split(",") if len(row) > 3 else []
                self._known[row[0]] = User(row[1], row[2], (*groups, "system:authenticated"))

    def user(self, request: Request) -> User:
        """Return who asks; 401 when a token is given that is unknown, expired or revoked."""
        kind, _unused, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            return ANONYMOUS
        known = self._known.get(token)
        if known is not None:
            return known
        issued = self._issued.get(token)
        if issued is None or issued.until < time.time():
            raise unauthorized()
        account = self.store.get(ACCOUNTS, (issued.namespace, issued.name))
        if account is None or account.obj["metadata"]["uid"] != issued.uid:
            raise unauthorized()
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{issued.namespace}")
        name = f"system:serviceaccount:{issued.namespace}:{issued.name}"
        return User(name, issued.uid, (*groups, "system:authenticated"))

    def issue(self, request: Request) -> Obj:
        """Answer a TokenRequest for a service account."""
        ask = request.ask
        body = objects.read_json(request, ["application/json"])
        spec = dict(body.get("spec") or {})
        seconds = int(spec.get("expirationSeconds") or 3600)
        if seconds < LEAST_SECONDS:
            why = f"Invalid value: {seconds}: may not specify a duration less than 10 minutes"
            cause = Cause("FieldValueInvalid", "spec.expirationSeconds", why)
            raise invalid("TokenRequest", "authentication.k8s.io", "", [cause])
        account = self.store.get(ACCOUNTS, (ask.namespace, ask.name))
        if account is None:
            raise not_found("serviceaccounts", "", ask.name)
        token = secrets.token_urlsafe(32)
        until = time.time() + seconds
        uid = account.obj["metadata"]["uid"]
        self._issued[token] = _Issued(ask.namespace, ask.name, uid, until)
        expires = datetime.fromtimestamp(until, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": ask.name, "namespace": ask.namespace},
            "spec": {"audiences": [], "boundObjectRef": None, **spec, "expirationSeconds": seconds},
            "status": {"token": token, "expirationTimestamp": expires},
        }


def _asked(spec: Obj) -> Attributes:
    resource = spec.get("resourceAttributes")
    if resource is not None:
        return Attributes(
            verb=resource.get("verb", ""),
            group=resource.get("group", ""),
            resource=resource.get("resource", ""),
            subresource=resource.get("subresource", ""),
            namespace=resource.get("namespace", ""),
            name=resource.get("name", ""),
        )
    plain = spec.get("nonResourceAttributes") or {}
    return Attributes(verb=plain.get("verb", ""), path=plain.get("path", ""), is_resource=False)


def review(store: Store, user: User, request: Request) -> Obj:
    """Answer SelfSubjectAccessReview, SubjectAccessReview and SelfSubjectReview."""
    body: Obj = objects.read_json(request, ["application/json"])
    spec = body.get("spec") or {}
    out = {**body, "metadata": body.get("metadata") or {}}
    if request.ask.resource == "selfsubjectreviews":
        info = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
        out["status"] = {"userInfo": {key: value for key, value in info.items() if value}}
        return out
    if request.ask.resource == "subjectaccessreviews":
        user = User(spec.get("user", ""), groups=tuple(spec.get("groups") or ()))
    asked = _asked(spec)
    if not asked.verb and not spec.get("resourceAttributes"):
        why = "Invalid value: exactly one of nonResourceAttributes or resourceAttributes"
        cause = Cause("FieldValueInvalid", "spec.resourceAttributes", why)
        raise invalid("SelfSubjectAccessReview", "authorization.k8s.io", "", [cause])
    reason = rbac.why_allowed(store, user, asked)
    out["status"] = {"allowed": reason is not None}
    if reason:
        out["status"]["reason"] = reason
    return out
