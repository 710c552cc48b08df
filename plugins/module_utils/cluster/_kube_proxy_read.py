# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kube-proxy's objects and what tells who installed it, each kind read once."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.cluster._calico_read import (
    allowed,
    raise_first,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._lister import Lister
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_distribution as distribution,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_objects as objects,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_services as services,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_proxy_view as view
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy_view import Have

DAEMONSETS = "/apis/apps/v1/daemonsets"
SERVICE_CIDRS = "/apis/networking.k8s.io/v1/servicecidrs"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
KUBEADM = objects.path_of("ConfigMap", objects.NAMESPACE, "kubeadm-config")
AUTHORITY = objects.path_of("ConfigMap", objects.NAMESPACE, "kube-root-ca.crt")
PODS = f"/api/v1/namespaces/{objects.NAMESPACE}/pods"
_PLURALS = {kind: path.rpartition("/")[2] for kind, (_v, path) in objects.COLLECTIONS.items()}


def read(api: Api, review: bool = False, page_size: int = 500) -> Obj:
    """Return ``kube_proxy`` of kube_proxy_info.

    Raises `ClusterError` if Nodes or DaemonSets cannot be read.
    """
    lister = Lister(api, page_size)
    found, pods = _have(lister, None)
    raw: dict[str, Any] = {
        "services": lister.read_list("services", "/api/v1/services", services.trim_service),
        "slices": lister.read_list("endpointslices", SLICES, services.trim_slice),
        "service_cidrs": lister.read_list("servicecidrs", SERVICE_CIDRS, lambda obj: obj),
        "authority": lister.read_one("configmaps", AUTHORITY),
        "commands": [word for pod in pods for word in _command(pod)],
    }
    wanted = rights(found.daemonset) if review else []
    raw["permissions"] = [{**right, "allowed": allowed(api, right)} for right in wanted]
    raw["errors"] = lister.errors
    raw["requests"] = api.requests
    return view.compose(found, raw)


def have(api: Api) -> Have:
    """Return what a change works with, read anew. Raises `ClusterError`."""
    lister = Lister(api)
    found, _pods = _have(lister, {"labelSelector": "k8s-app=kube-proxy"})
    raise_first(lister)
    return found


def pods_and_daemonset(
    api: Api, daemonset: Obj | None, nodes: tuple[str, ...]
) -> tuple[list[Obj], Obj | None]:
    """Return kube-proxy's pods on these nodes and its DaemonSet as they are now.

    Raises `ClusterError`.
    """
    lister = Lister(api)
    now = None
    if daemonset is not None:
        meta = daemonset["metadata"]
        path = objects.path_of("DaemonSet", meta.get("namespace"), meta["name"])
        now = lister.read_one("daemonsets", path)
    query = _selector(daemonset)
    if len(nodes) == 1:
        query["fieldSelector"] = f"spec.nodeName={nodes[0]}"
    pods = lister.read_list("pods", PODS, lambda obj: obj, query) if nodes else []
    raise_first(lister)
    mine = [objects.trim_pod(p) for p in pods or () if objects.of_kube_proxy(p, now or daemonset)]
    return [pod for pod in mine if pod["node"] in nodes], now


def _have(lister: Lister, query: Obj | None) -> tuple[Have, list[Obj]]:
    """Return what there is, and the pods of kube-system that ``query`` selects (None: all)."""
    names: list[str] = []

    def of_proxy(obj: Obj) -> Obj | None:
        names.append(str(obj["metadata"]["name"]))
        return objects.whole(obj, "DaemonSet") if objects.is_kube_proxy(obj) else None

    nodes = lister.read_list("nodes", "/api/v1/nodes", distribution.trim_node)
    daemonsets = lister.read_list("daemonsets", DAEMONSETS, of_proxy)
    raise_first(lister)
    daemonset = next(iter(daemonsets or ()), None)
    place = daemonset["metadata"]["namespace"] if daemonset else objects.NAMESPACE
    beside = [
        objects.whole(obj, kind)
        for kind, namespace, name in objects.BESIDE
        if (obj := lister.read_one(_PLURALS[kind], objects.path_of(kind, namespace, name)))
    ]
    if daemonset is not None and query is not None:
        query = _selector(daemonset)
    pods = lister.read_list("pods", PODS, lambda obj: obj, query) or []
    mine = [pod for pod in pods if objects.of_kube_proxy(pod, daemonset)]
    kubeadm = lister.read_one(
        "configmaps", objects.path_of("ConfigMap", "kube-system", "kubeadm-config")
    )
    return (
        Have(
            daemonset=daemonset,
            config_map=_config_map(lister, daemonset, place, beside),
            kubeadm=objects.whole(kubeadm, "ConfigMap") if kubeadm else None,
            beside=beside,
            nodes=nodes or [],
            pods=[objects.trim_pod(pod) for pod in mine],
            static=any(objects.is_static(pod) for pod in mine),
            server_version=str(
                (lister.read_one("version", "/version") or {}).get("gitVersion") or ""
            )
            or None,
            daemonsets=names,
        ),
        pods,
    )


def _config_map(lister: Lister, daemonset: Obj | None, place: str, beside: list[Obj]) -> Obj | None:
    """Return the ConfigMap that the DaemonSet mounts; mostly it is read already."""
    for name in objects.config_map_names(daemonset):
        for obj in beside:
            if (obj["kind"], obj["metadata"]["name"]) == ("ConfigMap", name):
                return obj
        if name != "kube-proxy":
            found = lister.read_one("configmaps", objects.path_of("ConfigMap", place, name))
            if found is not None:
                return objects.whole(found, "ConfigMap")
    return None


def _selector(daemonset: Obj | None) -> Obj:
    labels = (((daemonset or {}).get("spec") or {}).get("selector") or {}).get("matchLabels")
    pairs = sorted((labels or {"k8s-app": "kube-proxy"}).items())
    return {"labelSelector": ",".join(f"{key}={value}" for key, value in pairs)}


def _command(pod: Obj) -> list[str]:
    """Return the words of kube-apiserver's command, nothing for other pods."""
    return [
        str(word)
        for container in (pod.get("spec") or {}).get("containers") or ()
        if container.get("name") == "kube-apiserver"
        for word in [*(container.get("command") or ()), *(container.get("args") or ())]
    ]


def rights(daemonset: Obj | None) -> list[Obj]:
    """Return the rights that stopping, removing and bringing back need."""
    meta = (daemonset or {}).get("metadata") or {}
    place = meta.get("namespace") or objects.NAMESPACE
    name = meta.get("name") or "kube-proxy"
    rbac = "rbac.authorization.k8s.io"
    found: list[tuple[str, str, str, str | None, str | None]] = [
        ("list", "", "nodes", None, None),
        ("patch", "", "nodes", None, None),
        ("list", "apps", "daemonsets", None, None),
        *((verb, "apps", "daemonsets", place, name) for verb in ("get", "patch", "delete")),
        ("create", "apps", "daemonsets", place, None),
        ("list", "", "pods", place, None),
        ("get", "", "configmaps", place, "kubeadm-config"),
        ("patch", "", "configmaps", place, "kubeadm-config"),
        *((verb, "", "configmaps", place, "kube-proxy") for verb in ("get", "patch", "delete")),
        ("create", "", "configmaps", place, None),
    ]
    for group, resource in (("", "serviceaccounts"), (rbac, "roles"), (rbac, "rolebindings")):
        found += [(verb, group, resource, place, "kube-proxy") for verb in ("get", "delete")]
        found.append(("create", group, resource, place, None))
    proxier = "kubeadm:node-proxier"
    found += [(verb, rbac, "clusterrolebindings", None, proxier) for verb in ("get", "delete")]
    found += [
        ("create", rbac, "clusterrolebindings", None, None),
        # To bind a role whose rights the account has not itself.
        ("bind", rbac, "clusterroles", None, "system:node-proxier"),
    ]
    keys = ("verb", "group", "resource", "namespace", "name")
    return [dict(zip(keys, right)) for right in found]
