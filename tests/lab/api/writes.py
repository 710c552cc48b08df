# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create, update, patch, delete: one object at a time under the store's lock, dry-run included.

Not here: server-side apply (answered with 415), garbage collection, admission webhooks.
"""

from __future__ import annotations

import json
from typing import Any

from tests.lab.api import builtin, crds, objects, patch
from tests.lab.api.errors import (
    ApiError,
    Cause,
    Obj,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    not_found,
    unsupported_media,
)
from tests.lab.api.resources import CRD_GROUP, Registry, Resource
from tests.lab.api.routes import Request
from tests.lab.api.store import Store, Stored, copy, encode

JSON = ["application/json"]
IMMORTAL = ("default", "kube-system", "kube-public", "kube-node-lease")
_CRDS = (CRD_GROUP, "customresourcedefinitions")

Answer = tuple[int, Obj | bytes, list[str]]  # HTTP code, body, warnings


class Writes:
    """The writing half of the API double."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self.store = store
        self.registry = registry

    # -- create ---------------------------------------------------------------------------------

    def create(self, request: Request, resource: Resource) -> Answer:
        check_dry_run(request, "CreateOptions")
        body = objects.read_json(request, JSON)
        obj = objects.as_object(resource, body)
        objects.check_place(request, resource, obj)
        if obj["metadata"].get("resourceVersion"):
            raise ApiError(
                500, "InternalError", "resourceVersion should not be set on objects to be created"
            )
        warnings = objects.admit_fields(request, resource, obj)
        with self.store.lock:
            self._check_namespace(resource, obj)
            self._allocate(obj)
            objects.validate(resource, obj, None)
            meta = obj["metadata"]
            name = (meta.get("namespace", ""), meta["name"])
            if self.store.get(resource.key, name):
                raise already_exists(resource.plural, resource.group, meta["name"])
            objects.start(request, resource, obj)
            if request.dry_run:
                return 201, obj, warnings
            return 201, self._put(resource, obj).raw, warnings

    def _check_namespace(self, resource: Resource, obj: Obj) -> None:
        if not resource.namespaced:
            return
        name = obj["metadata"]["namespace"]
        found = self.store.get(("", "namespaces"), ("", name))
        if found is None:
            raise not_found("namespaces", "", name)
        if found.obj["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {name} because it is being terminated"
            raise forbidden(resource.plural, resource.group, obj["metadata"].get("name", ""), why)

    def _allocate(self, obj: Obj) -> None:
        """Give a new Service its address."""
        if obj["kind"] != "Service" or obj["apiVersion"] != "v1":
            return
        services = self.store.rows(("", "services"))[1]
        used = {str(item.obj["spec"].get("clusterIP")) for item in services}
        builtin.pick_cluster_ip(obj["spec"], used)
        builtin.fill_defaults(obj)

    def _put(self, resource: Resource, obj: Obj) -> Stored:
        if resource.key == _CRDS:
            obj["status"] = crds.established(obj, objects.now())
        stored = self.store.put(resource.key, obj)
        if resource.key == _CRDS:
            self.reload()
        return stored

    def reload(self) -> None:
        """Serve the resources of the CRDs that are in the store now."""
        self.registry.load([item.obj for item in self.store.rows(_CRDS)[1]])

    # -- update and patch -----------------------------------------------------------------------

    def update(self, request: Request, resource: Resource) -> Answer:
        check_dry_run(request, "UpdateOptions")
        body = objects.read_json(request, JSON)
        obj = objects.as_object(resource, body)
        objects.check_place(request, resource, obj)
        with self.store.lock:
            current = self.current(request, resource)
            if resource.custom and not obj["metadata"].get("resourceVersion"):
                why = "Invalid value: 0: must be specified for an update"
                cause = Cause("FieldValueInvalid", "metadata.resourceVersion", why)
                raise invalid(resource.kind, resource.group, request.ask.name, [cause])
            return self._replace(request, resource, current, obj)

    def patch(self, request: Request, resource: Resource) -> Answer:
        check_dry_run(request, "PatchOptions")
        accepted = [patch.JSON_PATCH, patch.MERGE_PATCH]
        if not resource.custom:
            accepted.append(patch.STRATEGIC_PATCH)
        media = request.headers.get("content-type", "").partition(";")[0].strip()
        if media not in accepted:
            raise unsupported_media(accepted)
        body = objects.read_json(request, accepted)
        with self.store.lock:
            current = self.current(request, resource)
            changed = self._patched(media, copy(current), body)
            obj = objects.as_object(resource, changed)
            objects.check_place(request, resource, obj)
            return self._replace(request, resource, current, obj)

    @staticmethod
    def _patched(media: str, target: Obj, body: Any) -> Any:
        if media == patch.JSON_PATCH:
            return patch.json_patch(target, body)
        if not isinstance(body, dict):
            raise bad_request("json: cannot unmarshal array into Go value of type map")
        if media == patch.MERGE_PATCH:
            return patch.merge_patch(target, body)
        return patch.strategic_patch(target, body)

    def current(self, request: Request, resource: Resource) -> Stored:
        """Return the stored object that a request names, or 404."""
        namespace = request.ask.namespace if resource.namespaced else ""
        found = self.store.get(resource.key, (namespace, request.ask.name))
        if found is None:
            raise not_found(resource.plural, resource.group, request.ask.name)
        return found

    def _replace(self, request: Request, resource: Resource, current: Stored, obj: Obj) -> Answer:
        old, meta = current.obj, obj["metadata"]
        name = request.ask.name
        if meta.get("resourceVersion") not in (None, "", old["metadata"]["resourceVersion"]):
            raise conflict(resource.plural, resource.group, name)
        if meta.get("uid") not in (None, "", old["metadata"]["uid"]):
            why = (
                f"Precondition failed: UID in precondition: {meta['uid']}, "
                f"UID in object meta: {old['metadata']['uid']}"
            )
            raise conflict(resource.plural, resource.group, name, why)
        obj = json.loads(encode(obj))  # nothing shared with the caller or the stored object
        warnings = objects.admit_fields(request, resource, obj)
        objects.carry(request, resource, old, obj)
        objects.validate(resource, obj, old)
        if obj == {**old, "apiVersion": obj["apiVersion"]}:
            return 200, current.raw, warnings  # nothing changed: nothing is written
        if request.dry_run:
            return 200, obj, warnings
        if self._may_go(obj):
            self._remove(resource, obj)
            return 200, obj, warnings
        return 200, self._put(resource, obj).raw, warnings

    @staticmethod
    def _may_go(obj: Obj) -> bool:
        """Tell whether an object is deleted and waits for nobody: no finalizer, no kubelet."""
        if not obj["metadata"].get("deletionTimestamp") or obj["metadata"].get("finalizers"):
            return False
        if obj["kind"] == "Namespace":
            return not (obj.get("spec") or {}).get("finalizers")
        return not obj["metadata"].get("deletionGracePeriodSeconds")

    # -- delete ---------------------------------------------------------------------------------

    def delete(self, request: Request, resource: Resource) -> Answer:
        options = _delete_options(request)
        with self.store.lock:
            current = self.current(request, resource)
            return 200, self._delete(request, resource, current, options), []

    def delete_collection(self, request: Request, resource: Resource, rows: list[Stored]) -> Answer:
        options = _delete_options(request)
        with self.store.lock:
            for row in rows:
                meta = row.obj["metadata"]
                found = self.store.get(resource.key, (meta.get("namespace", ""), meta["name"]))
                if found:
                    self._delete(request, resource, found, options)
        body = {
            "kind": resource.list_name,
            "apiVersion": resource.api_version,
            "metadata": {"resourceVersion": str(self.store.version)},
            "items": [row.obj for row in rows],
        }
        return 200, body, []

    def _delete(self, request: Request, resource: Resource, row: Stored, options: Obj) -> Obj:
        old = row.obj
        meta = old["metadata"]
        self._check_delete(resource, meta, options)
        dry = request.dry_run or bool(options.get("dryRun"))
        grace = _grace(old, options)
        obj = copy(row)
        if options.get("propagationPolicy") == "Foreground":
            obj["metadata"].setdefault("finalizers", []).append("foregroundDeletion")
        if obj["metadata"].get("finalizers") or grace or resource.kind == "Namespace":
            return self._mark(resource, obj, grace, dry=dry)
        if not dry:
            self._remove(resource, old)
        if resource.kind in ("Pod", "Service", "ServiceAccount"):
            return old
        details = {"name": meta["name"], "kind": resource.plural, "uid": meta["uid"]}
        if resource.group:
            details["group"] = resource.group
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": details,
        }

    @staticmethod
    def _check_delete(resource: Resource, meta: Obj, options: Obj) -> None:
        if resource.key == ("", "namespaces") and meta["name"] in IMMORTAL:
            raise forbidden("namespaces", "", meta["name"], "this namespace may not be deleted")
        wanted = options.get("preconditions") or {}
        for field, shown in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            if wanted.get(field) and wanted[field] != meta[field]:
                why = (
                    f"Precondition failed: {shown} in precondition: {wanted[field]}, "
                    f"{shown} in object meta: {meta[field]}"
                )
                raise conflict(resource.plural, resource.group, meta["name"], why)

    def _mark(self, resource: Resource, obj: Obj, grace: int, *, dry: bool) -> Obj:
        """Mark an object as being deleted; somebody has to let it go."""
        meta = obj["metadata"]
        known = meta.get("deletionGracePeriodSeconds")
        if "deletionTimestamp" not in meta or (known is not None and grace < known):
            meta.setdefault("deletionTimestamp", objects.now())
            meta["deletionGracePeriodSeconds"] = grace
            if resource.kind == "Namespace":
                obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
                meta.pop("deletionGracePeriodSeconds")
            if resource.generation:
                meta["generation"] = meta.get("generation", 0) + 1
            if not dry:
                return self._put(resource, obj).obj
        return obj

    def _remove(self, resource: Resource, obj: Obj) -> None:
        meta = obj["metadata"]
        self.store.remove(resource.key, (meta.get("namespace", ""), meta["name"]))
        if resource.key == _CRDS:
            key = (obj["spec"]["group"], obj["spec"]["names"]["plural"])
            for row in self.store.rows(key)[1]:
                mine = row.obj["metadata"]
                self.store.remove(key, (mine.get("namespace", ""), mine["name"]))
            self.reload()


def check_dry_run(request: Request, kind: str) -> None:
    """Refuse (422) a dryRun other than All."""
    value = request.option("dryRun")
    if value and value != "All":
        why = f'Unsupported value: "{value}": supported values: "All"'
        cause = Cause("FieldValueNotSupported", "dryRun", why)
        raise invalid(kind, "meta.k8s.io", "", [cause])


def _delete_options(request: Request) -> Obj:
    check_dry_run(request, "DeleteOptions")
    body = objects.read_json(request, JSON) if request.body else {}
    out = dict(body) if isinstance(body, dict) else {}
    for name in ("propagationPolicy", "gracePeriodSeconds"):
        if request.option(name):
            out[name] = request.option(name)
    return out


def _grace(obj: Obj, options: Obj) -> int:
    """Return the seconds for which a deleted object stays: pods on a node wait for a kubelet."""
    if obj["kind"] != "Pod" or obj["apiVersion"] != "v1":
        return 0
    if not obj["spec"].get("nodeName"):
        return 0
    if (obj.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return 0
    wanted = options.get("gracePeriodSeconds")
    if wanted is not None:
        return int(wanted)
    return int(obj["spec"].get("terminationGracePeriodSeconds", 30))
