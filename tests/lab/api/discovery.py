# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers about the API itself: which groups, versions and resources there are; the version.

The unaggregated form only: clients that ask for the aggregated one fall back to it.
"""

from __future__ import annotations

from tests.lab.api.errors import Obj
from tests.lab.api.resources import CRUD, Registry, Resource

VERSION: Obj = {
    "major": "1",
    "minor": "33",
    "gitVersion": "v1.33.0+double",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "none",
}
_READ_WRITE = ["get", "patch", "update"]
_HEALTH = ("/healthz", "/livez", "/readyz")


def _entry(resource: Resource) -> Obj:
    out: Obj = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": ["create"] if resource.create_only else list(CRUD),
    }
    if resource.short_names:
        out["shortNames"] = list(resource.short_names)
    if resource.categories:
        out["categories"] = list(resource.categories)
    return out


def resource_list(registry: Registry, group: str, version: str) -> Obj | None:
    """Return the APIResourceList of one group and version; None when it is not served."""
    found = registry.in_version(group, version)
    if not found:
        return None
    entries = []
    for resource in found:
        entries.append(_entry(resource))
        if resource.status:
            status = {**_entry(resource), "name": f"{resource.plural}/status"}
            status.pop("shortNames", None)
            status.pop("categories", None)
            entries.append({**status, "singularName": "", "verbs": list(_READ_WRITE)})
        if resource.key == ("", "serviceaccounts"):
            token = {
                "name": "serviceaccounts/token",
                "singularName": "",
                "namespaced": True,
                "group": "authentication.k8s.io",
                "version": "v1",
                "kind": "TokenRequest",
                "verbs": ["create"],
            }
            entries.append(token)
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": entries,
    }


def _group(name: str, versions: list[str]) -> Obj:
    listed = [{"groupVersion": f"{name}/{v}", "version": v} for v in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def answer(registry: Registry, path: str, address: str) -> Obj | str | None:
    """Return the answer for a discovery path: an object, plain text, or None (no such path)."""
    path = path.rstrip("/") or "/"
    if path in _HEALTH or path.startswith(tuple(f"{one}/" for one in _HEALTH)):
        return "ok"
    if path == "/version":
        return VERSION
    if path == "/api":
        where = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": where}
    groups = registry.group_versions()
    parts = path.strip("/").split("/")
    if path == "/apis":
        listed = [_group(name, versions) for name, versions in sorted(groups.items()) if name]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
    if parts[0] == "api" and len(parts) == 2:
        return resource_list(registry, "", parts[1])
    if parts[0] == "apis" and len(parts) == 2 and parts[1] in groups:
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(parts[1], groups[parts[1]])}
    if parts[0] == "apis" and len(parts) == 3:
        return resource_list(registry, parts[1], parts[2])
    return None
