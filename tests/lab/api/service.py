# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API double without its sockets: authorize a read request, find its resource, answer it."""

from __future__ import annotations

from pathlib import Path

from tests.lab.api import auth, builtin, discovery, evictions, objects, rbac
from tests.lab.api.errors import ApiError, Obj, forbidden, method_not_allowed, no_such_path
from tests.lab.api.reads import Reads
from tests.lab.api.resources import Registry, Resource
from tests.lab.api.routes import Request
from tests.lab.api.store import Store
from tests.lab.api.writes import IMMORTAL, Answer, Writes


class Service:
    """One API double: its objects, its users, and the answers to their requests."""

    def __init__(self, token_file: Path, address: str) -> None:
        self.store = Store()
        self.registry = Registry()
        self.reads = Reads(self.store)
        self.writes = Writes(self.store, self.registry)
        self.users = auth.Authenticator(self.store, str(token_file))
        self.address = address
        self._bootstrap()

    def _bootstrap(self) -> None:
        """Create what kube-apiserver itself creates: namespaces, roles, the kubernetes Service."""
        for name in IMMORTAL:
            self._seed({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for obj in rbac.bootstrap_objects():
            self._seed(obj)
        meta = {"name": "kubernetes", "namespace": "default"}
        port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}
        spec = {"clusterIP": str(builtin.SERVICE_RANGE[1]), "ports": [port]}
        self._seed({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})

    def _seed(self, obj: Obj) -> None:
        group, _unused, version = obj["apiVersion"].rpartition("/")
        found = (r for r in self.registry.in_version(group, version) if r.kind == obj["kind"])
        resource = next(found)
        ask = rbac.Attributes(verb="create")
        request = Request("POST", "", ask, headers={"user-agent": "kube-apiserver"})
        builtin.fill_defaults(obj)
        objects.start(request, resource, obj)
        self.store.put(resource.key, obj)

    def authorize(self, request: Request, user: rbac.User) -> None:
        """Raise 403 unless a rule allows the request."""
        if rbac.why_allowed(self.store, user, request.ask) is None:
            raise rbac.denial(user, request.ask)

    def resource(self, request: Request) -> Resource | None:
        """Return the resource that a request is about; None for a path about the API itself."""
        ask = request.ask
        if not ask.is_resource:
            return None
        found = self.registry.find(ask.group, request.version, ask.resource)
        if found is None or (found.namespaced and ask.name and not ask.namespace):
            raise no_such_path()
        known = (found.status and ask.subresource == "status") or (
            (found.key, ask.subresource) in ((auth.ACCOUNTS, "token"), (evictions.PODS, "eviction"))
        )
        if ask.subresource and not known:
            raise no_such_path()
        return found

    def answer(self, request: Request, resource: Resource | None, user: rbac.User) -> Answer:
        """Answer any request but a watch."""
        if resource is None:
            return self._about(request)
        ask = request.ask
        if ask.subresource == "token":
            if ask.verb != "create":
                raise method_not_allowed()
            return 201, self.users.issue(request), []
        if ask.subresource == "eviction":
            if ask.verb != "create":
                raise method_not_allowed()
            evictions.check(self.store, request)
            self.writes.delete(evictions.bare(request), resource)
            return 201, evictions.DONE, []
        if resource.create_only:
            if ask.verb != "create":
                raise method_not_allowed()
            return 201, auth.review(self.store, user, request), []
        if ask.verb == "get":
            return 200, self.reads.get(request, resource), []
        if ask.verb == "list":
            return 200, self.reads.list(request, resource), []
        return self._write(request, resource, user)

    def _write(self, request: Request, resource: Resource, user: rbac.User) -> Answer:
        verb = request.ask.verb
        if verb in ("update", "patch") and request.ask.name:
            change = self.writes.update if verb == "update" else self.writes.patch
            return change(request, resource)
        if request.ask.subresource:
            raise method_not_allowed()
        if verb == "create" and not request.ask.name:
            if resource.namespaced and not request.ask.namespace:
                raise method_not_allowed()
            self._check_escalation(request, resource, user)
            return self.writes.create(request, resource)
        if verb == "delete":
            return self.writes.delete(request, resource)
        if verb == "deletecollection":
            rows = self.reads.rows(request, resource)[1]
            return self.writes.delete_collection(request, resource, rows)
        raise method_not_allowed()

    def _check_escalation(self, request: Request, resource: Resource, user: rbac.User) -> None:
        """Raise 403 where a new role or binding would grant what the user has not."""
        bound = ("roles", "clusterroles", "rolebindings", "clusterrolebindings")
        if resource.group != rbac.RBAC or resource.plural not in bound:
            return
        obj = objects.read_json(request, ["application/json"])
        place = request.ask.namespace
        bare = obj if isinstance(obj, dict) else {}
        why = rbac.escalation(self.store, user, resource.plural, place, bare)
        if why:
            name = str((bare.get("metadata") or {}).get("name", ""))
            raise forbidden(resource.plural, resource.group, name, why)

    def _about(self, request: Request) -> Answer:
        if request.method != "GET":
            raise method_not_allowed()
        found = discovery.answer(self.registry, request.ask.path, self.address)
        if found is None:
            raise no_such_path()
        return 200, found.encode() if isinstance(found, str) else found, []

    def expire_pages(self) -> None:
        self.store.forget_snapshots()

    @staticmethod
    def broken(error: Exception) -> ApiError:
        """Return the answer for a request that broke the double: a client may send anything."""
        return ApiError(400, "BadRequest", f"the double cannot read this request: {error!r}")
