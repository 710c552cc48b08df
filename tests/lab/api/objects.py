# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The life of an object's metadata: decoding, names, uid, generation, who wrote it, deletion.

Source: k8s.io/apiserver ``pkg/registry/rest/{create,update,delete,meta}.go``.
"""

from __future__ import annotations

import json
import re
import secrets
import string
import uuid
from datetime import datetime, timezone
from typing import Any

from tests.lab.api import builtin, crds, fields, schema
from tests.lab.api.errors import Cause, Obj, bad_request, invalid, unsupported_media
from tests.lab.api.resources import Resource
from tests.lab.api.routes import Request

_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
_RBAC_KINDS = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
_KEPT = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_SUFFIX = string.digits + string.ascii_lowercase


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_json(request: Request, accepted: list[str]) -> Any:
    """Return the decoded body; 415 on another media type, 400 on what is not JSON."""
    media = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if media not in accepted:
        raise unsupported_media(accepted)
    try:
        return json.loads(request.body)
    except ValueError as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from None


def as_object(resource: Resource, body: Any, kind: str = "") -> Obj:
    """Check that a body is an object of this resource, and return it with its own metadata map."""
    if not isinstance(body, dict) or not isinstance(body.get("metadata") or {}, dict):
        raise bad_request("the object provided is unrecognized: it is not an object")
    wanted = (resource.api_version, kind or resource.kind)
    have = (body.get("apiVersion") or wanted[0], body.get("kind") or wanted[1])
    if have != wanted:
        raise bad_request(
            f"the API version in the data ({have[0]}, Kind={have[1]}) does not match the expected "
            f"API version ({wanted[0]}, Kind={wanted[1]})"
        )
    meta = dict(body.get("metadata") or {})
    return {**body, "apiVersion": wanted[0], "kind": wanted[1], "metadata": meta}


def check_place(request: Request, resource: Resource, obj: Obj) -> None:
    """Make namespace (and name, when the URL has one) agree between URL and object, or 400."""
    meta = obj["metadata"]
    if resource.namespaced:
        if meta.setdefault("namespace", request.ask.namespace) != request.ask.namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
    else:
        meta.pop("namespace", None)
    name = request.ask.name
    if name and meta.setdefault("name", name) != name:
        raise bad_request(
            f"the name of the object ({meta['name']}) does not match the name on the URL ({name})"
        )


def check_name(resource: Resource, obj: Obj) -> list[Cause]:
    """Fill in generateName; return what is wrong with the name."""
    meta = obj["metadata"]
    if not meta.get("name") and meta.get("generateName"):
        tail = "".join(secrets.choice(_SUFFIX) for _unused in range(5))
        meta["name"] = f"{meta['generateName']}{tail}"
    name = meta.get("name", "")
    if not name:
        why = "Required value: name or generateName is required"
        return [Cause("FieldValueRequired", "metadata.name", why)]
    if resource.kind in _RBAC_KINDS:
        good = "/" not in name and "%" not in name
    else:
        good = len(name) <= 253 and bool(_SUBDOMAIN.match(name))
    if good:
        return []
    why = f'Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist of lower case'
    return [Cause("FieldValueInvalid", "metadata.name", f"{why} alphanumeric characters")]


def admit_fields(request: Request, resource: Resource, obj: Obj) -> list[str]:
    """Decode: prune and default custom objects, drop and default built-in ones, in place.

    Returns the warnings about pruned fields; with ``fieldValidation=Strict`` they are a 400.
    """
    meta = obj["metadata"]
    builtin.decode(obj)
    meta.pop("selfLink", None)
    if not resource.custom:
        builtin.fill_defaults(obj)
        return []
    if resource.schema is None:
        return []
    unknown = [f'unknown field "{path}"' for path in schema.prune(resource.schema, obj)]
    if unknown and request.option("fieldValidation") == "Strict":
        raise bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a '
            f"{resource.kind}: strict decoding error: {', '.join(unknown)}"
        )
    schema.fill_defaults(resource.schema, obj)
    return [] if request.option("fieldValidation") == "Ignore" else unknown


def validate(resource: Resource, obj: Obj, old: Obj | None) -> None:
    """Refuse (422) an object that its schema or kind does not allow."""
    causes = [] if old else check_name(resource, obj)
    if resource.custom:
        causes += schema.validate(resource.schema or {"type": "object"}, obj)
    elif resource.kind == "CustomResourceDefinition":
        causes += crds.validate(obj)
    else:
        causes += builtin.validate(resource, obj, old)
    if causes:
        name = obj["metadata"].get("name", "")
        raise invalid(resource.kind, resource.group, name, causes)


def manager(request: Request) -> str:
    """Return who writes: ``fieldManager``, else the first part of the User-Agent."""
    agent = request.headers.get("user-agent", "unknown").partition("/")[0]
    return request.option("fieldManager") or agent or "unknown"


def start(request: Request, resource: Resource, obj: Obj) -> None:
    """Write the metadata and status that a new object starts with."""
    meta = obj["metadata"]
    for field in (*_KEPT, "generation", "managedFields", "resourceVersion"):
        meta.pop(field, None)
    if resource.status and resource.kind != "Node":
        obj.pop("status", None)
    if not resource.custom:
        builtin.on_create(obj)
    if resource.generation:
        meta["generation"] = 1
    meta["uid"] = str(uuid.uuid4())
    meta["creationTimestamp"] = now()
    meta["managedFields"] = fields.update(None, obj, manager(request), "", now())


def carry(request: Request, resource: Resource, old: Obj, new: Obj) -> None:
    """Write into ``new`` what an update may not change, and count its generation."""
    subresource = request.ask.subresource
    meta, before = new["metadata"], old["metadata"]
    if subresource == "status":
        _only_status(resource, old, new)
        meta = new["metadata"]
    elif resource.status:
        _keep(old, new, "status")
    for field in _KEPT:
        _keep(before, meta, field)
    meta["resourceVersion"] = before["resourceVersion"]
    if not resource.custom:
        builtin.on_update(old, new)
    _keep(before, meta, "generation")
    if resource.generation and _spec(resource, old) != _spec(resource, new):
        meta["generation"] = before.get("generation", 0) + 1
    meta["managedFields"] = fields.update(old, new, manager(request), subresource, now())


def _only_status(resource: Resource, old: Obj, new: Obj) -> None:
    status = new.get("status")
    meta = new["metadata"]
    new.clear()
    new.update(json.loads(json.dumps(old)))
    new.pop("status", None)
    if status is not None:
        new["status"] = status
    if not resource.custom:  # labels and annotations pass through the status of built-in kinds
        for field in ("labels", "annotations"):
            _keep(meta, new["metadata"], field)


def _keep(source: Obj, target: Obj, field: str) -> None:
    if field in source:
        target[field] = source[field]
    else:
        target.pop(field, None)


def _spec(resource: Resource, obj: Obj) -> Any:
    """Return the part of an object whose change counts as a new generation."""
    if not resource.custom and "spec" in obj:
        return obj["spec"]
    skip = {"apiVersion", "kind", "metadata", *(["status"] if resource.status else [])}
    return {key: value for key, value in obj.items() if key not in skip}
