# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Antrea's objects, each kind read once."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.cluster._calico_read import (
    allowed,
    raise_first,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._lister import Lister
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_view as view
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_config import Have
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_tables import AGENT, FILES
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj

DAEMONSETS = "/apis/apps/v1/daemonsets"
AGENT_INFOS = "/apis/crd.antrea.io/v1beta1/antreaagentinfos"
CONTROLLER_INFOS = "/apis/crd.antrea.io/v1beta1/antreacontrollerinfos"
NODE_CONFIGS = "/apis/crd.antrea.io/v1alpha1/antreanodeconfigs"
# Discovery, which every account may read: whether the CRD is there needs no right.
ATTACHMENTS = "/apis/k8s.cni.cncf.io/v1"
# Of the Service kubernetes: the API server writes it itself, under this name.
API_ENDPOINTS = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
SELECTOR = {"labelSelector": "app=antrea"}


def read(api: Api, review: bool = False, page_size: int = 500) -> Obj:
    """Return ``antrea`` of antrea_info. Raises `ClusterError` if DaemonSets cannot be read."""
    lister = Lister(api, page_size)
    daemonset = daemonset_of(lister)
    place = daemonset["metadata"]["namespace"] if daemonset else None
    raw: dict[str, Any] = {
        "daemonset": daemonset,
        "deployment": None,
        "config_map": None,
        "pods": [],
        "agent_infos": None,
        "controller_infos": None,
        "node_configs": None,
        "attachments": None,
        "api_endpoints": None,
        "server": api.server,
    }
    if daemonset:
        deployments = lister.read_list(
            "deployments",
            f"/apis/apps/v1/namespaces/{place}/deployments",
            lambda obj: obj if view.runs(obj, view.CONTROLLER_CONTAINER) else None,
        )
        raw.update(
            deployment=next(iter(deployments or ()), None),
            config_map=config_map_of(lister, daemonset),
            pods=_pods(lister, place) or [],
            agent_infos=_list(lister, "antreaagentinfos", AGENT_INFOS),
            controller_infos=_list(lister, "antreacontrollerinfos", CONTROLLER_INFOS),
            node_configs=_list(lister, "antreanodeconfigs", NODE_CONFIGS),
            attachments=_attachments(lister),
            api_endpoints=lister.read_one("endpointslices", API_ENDPOINTS),
        )
    wanted = _rights(raw) if review else []
    raw["permissions"] = [{**right, "allowed": allowed(api, right)} for right in wanted]
    raw["now"] = api.now()
    raw["errors"] = lister.errors
    raw["requests"] = api.requests
    return view.compose(raw)


def have(api: Api) -> Have:
    """Return what a change works with, read anew. Raises `ClusterError`, `Refused`."""
    lister = Lister(api)
    daemonset = daemonset_of(lister)
    if daemonset is None:
        raise Refused(nothing(api))
    config_map = config_map_of(lister, daemonset)
    raise_first(lister)
    place = daemonset["metadata"]["namespace"]
    if config_map is None:
        names = ", ".join(view.config_map_names(daemonset)) or "none at all"
        raise Refused(
            f"Found no ConfigMap with {FILES[AGENT]} in {place}: the DaemonSet "
            f"{daemonset['metadata']['name']} mounts {names}."
        )
    version = view.version_of(daemonset, view.AGENT_CONTAINER)
    if version is None:
        infos = _list(lister, "antreaagentinfos", AGENT_INFOS) or ()
        version = max((str(i["version"]) for i in infos if i.get("version")), default=None)
    return Have(
        config_map,
        version,
        _attachments(lister),
        view.started(_pods(lister, place) or []),
    )


def nothing(api: Api) -> str:
    """Return the words for a cluster without Antrea."""
    return (
        f"Found no Antrea: no DaemonSet of {api.server} runs a container antrea-agent. Is this "
        "the right cluster ('context')?"
    )


def daemonset_of(lister: Lister) -> Obj | None:
    def agents(obj: Obj) -> Obj | None:
        return obj if view.runs(obj, view.AGENT_CONTAINER) else None

    found = lister.read_list("daemonsets", DAEMONSETS, agents)
    raise_first(lister)
    # Windows nodes have a DaemonSet of their own, with a ConfigMap of their own.
    linux = [d for d in found or () if "windows" not in d["metadata"]["name"]]
    return next(iter(linux), None)


def config_map_of(lister: Lister, daemonset: Obj) -> Obj | None:
    place = daemonset["metadata"]["namespace"]
    for name in view.config_map_names(daemonset):
        found = lister.read_one("configmaps", f"/api/v1/namespaces/{place}/configmaps/{name}")
        if found is not None and FILES[AGENT] in (found.get("data") or {}):
            return found
    return None


def _pods(lister: Lister, place: str | None) -> list[Obj] | None:
    path = f"/api/v1/namespaces/{place}/pods"
    return lister.read_list("pods", path, lambda obj: obj, SELECTOR)


def _list(lister: Lister, resource: str, path: str) -> list[Obj] | None:
    return lister.read_list(resource, path, lambda obj: obj)


def _attachments(lister: Lister) -> bool | None:
    failed = len(lister.errors)
    served = lister.read_one("network-attachment-definitions", ATTACHMENTS)
    if len(lister.errors) > failed:
        return None
    names = [r.get("name") for r in (served or {}).get("resources") or ()]
    return "network-attachment-definitions" in names


def _rights(raw: dict[str, Any]) -> list[Obj]:
    """Return the rights that a change and a restart of one agent need."""
    meta = (raw["daemonset"] or {}).get("metadata") or {}
    place = meta.get("namespace")
    name = ((raw["config_map"] or {}).get("metadata") or {}).get("name", "antrea-config")
    crd = "crd.antrea.io"
    rights = [
        ("list", "apps", "daemonsets", None, None),
        ("list", "apps", "deployments", place, None),
        ("get", "", "configmaps", place, name),
        ("patch", "", "configmaps", place, name),
        ("list", "", "pods", place, None),
        ("delete", "", "pods", place, None),
        ("list", crd, "antreaagentinfos", None, None),
        ("list", crd, "antreacontrollerinfos", None, None),
        ("list", crd, "antreanodeconfigs", None, None),
        # Where bridges are given to nodes by AntreaNodeConfig and label.
        *((verb, crd, "antreanodeconfigs", None, None) for verb in ("create", "patch", "delete")),
        ("patch", "", "nodes", None, None),
    ]
    keys = ("verb", "group", "resource", "namespace", "name")
    return [dict(zip(keys, right)) for right in rights]
