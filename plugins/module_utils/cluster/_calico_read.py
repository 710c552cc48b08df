# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything a change of Calico's autodetection needs to know, each kind read once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._lister import Lister
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _calico_install,
    _calico_own,
    _cluster,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_change import Have
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import (
    INSTALLATIONS,
    Hold,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj

STATUS = "/apis/operator.tigera.io/v1/tigerastatuses/calico"
_CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/installations.operator.tigera.io"
_BGP = "/apis/crd.projectcalico.org/v1/bgpconfigurations/default"
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def read(
    api: Api,
    methods: Mapping[int, str],
    review: bool = False,
    bundle_namespace: str | None = None,
    dns_selector: str = "k8s-app=kube-dns",
    page_size: int = 500,
) -> Obj:
    """Return ``calico`` of calico_info. Raises `ClusterError` if what is needed cannot be read."""
    lister = Lister(api, page_size)
    raw = _objects(lister)
    raw["nodes"] = _needed(lister, "nodes", "/api/v1/nodes", _calico_install.trim_node)
    facts = _calico_install.facts_of(raw["daemonsets"], raw["installations"], raw["config_maps"])
    target = _calico_install.target_of(facts)
    operated = facts["install"] == "operator"
    raw["tigerastatus"] = lister.read_one("tigerastatuses", STATUS) if operated else None
    raw["crd"] = lister.read_one("customresourcedefinitions", _CRD) if operated else None
    raw["bgp"] = lister.read_one("bgpconfigurations", _BGP) if target else None
    daemonset = _named(raw["daemonsets"], facts["daemonset"])
    raw["calico_pods"] = pods_of(api, daemonset) if daemonset and target else []
    raw["now"] = api.now()
    raw["pods_there"] = _pods_there(lister, raw["calico_pods"])
    query = {"labelSelector": dns_selector}
    raw["dns_pods"] = lister.read_list("pods", "/api/v1/pods", _cluster.trim_pod, query) or []
    wanted = _calico_install.asked(target, facts, bundle_namespace) if review else []
    raw["permissions"] = [{**right, "allowed": allowed(api, right)} for right in wanted]
    raw["errors"] = lister.errors
    raw["requests"] = api.requests
    return _calico_install.compose(raw, methods)


def _pods_there(lister: Lister, calico_pods: list[Obj]) -> list[Obj] | None:
    """Return the Pods on nodes whose calico-node is not ready, None if they cannot be read."""
    waiting = {p["spec"].get("nodeName") for p in calico_pods if not _calico_install.is_ready(p)}
    if not waiting:
        return []

    def there(obj: Obj) -> Obj | None:
        pod = _calico_own.trim_pod(obj)
        return pod if pod and pod["node"] in waiting else None

    return lister.read_list("pods", "/api/v1/pods", there)


def have(api: Api, hold: Hold | None = None) -> tuple[str, Have | None]:
    """Return how Calico is installed, and what a change works with: read anew at each attempt.

    CRD and pods are read only if the ``hold`` depends on them. None in place of `Have` where there
    is nothing to change. Raises `ClusterError`.
    """
    raw = _objects(Lister(api))
    facts = _calico_install.facts_of(raw["daemonsets"], raw["installations"], raw["config_maps"])
    target = _calico_install.target_of(facts)
    if target is None:
        return str(facts["install"]), None
    by_name = {i["metadata"]["name"]: i for i in raw["installations"]}
    daemonset = _named(raw["daemonsets"], facts["daemonset"])
    pod, longest, crd = None, None, None
    if hold and hold.mode == "min-ready-seconds" and target["kind"] == "Installation":
        lister = Lister(api)
        crd = lister.read_one("customresourcedefinitions", _CRD)
        raise_first(lister)
    if hold and hold.mode == "on-delete" and hold.canary and daemonset:
        pod = _pod_on(api, daemonset, hold.canary)
    elif hold and hold.mode == "min-ready-seconds" and daemonset:
        pods = pods_of(api, daemonset)
        longest = _calico_install.longest_hold(pods, api.now())
    return facts["install"], Have(
        target=target,
        installation=by_name.get("default"),
        overlay=by_name.get("overlay"),
        daemonset=daemonset,
        min_ready_seconds=_calico_install.min_ready_seconds(crd),
        canary_pod=pod,
        longest_hold=longest,
    )


def _objects(lister: Lister) -> dict[str, Any]:
    daemonsets = _needed(
        lister,
        "daemonsets",
        "/apis/apps/v1/daemonsets",
        lambda obj: obj if _calico_install.is_calico(obj) else None,
    )
    installations = _needed(lister, "installations", INSTALLATIONS, lambda obj: obj)
    for obj in daemonsets:  # what a LIST leaves out of its items
        obj.setdefault("apiVersion", "apps/v1")
        obj.setdefault("kind", "DaemonSet")
    trimmed = [t for d in daemonsets if (t := _cluster.trim_daemonset(d)) is not None]
    config_maps = {}
    for namespace, name in _cluster.config_maps_wanted(trimmed):
        path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
        found = lister.read_one("configmaps", path)
        if found is not None:
            config_maps[f"{namespace}/{name}"] = found.get("data") or {}
    return {
        "daemonsets": daemonsets,
        "installations": installations,
        "config_maps": config_maps,
    }


def _needed(lister: Lister, resource: str, path: str, trim: Any) -> list[Obj]:
    """List a resource without which nothing can be judged; one that is not served has no object."""
    found = lister.read_list(resource, path, trim)
    raise_first(lister)
    return found or []


def raise_first(lister: Lister) -> None:
    """Raise the first failure of a lister as the `ClusterError` that it was."""
    for problem in lister.errors:
        kind = "forbidden" if problem["status"] == 403 else "http"
        raise ClusterError(kind, problem["message"], problem["status"])


def _named(daemonsets: list[Obj], wanted: Obj | None) -> Obj | None:
    for obj in daemonsets:
        if {k: obj["metadata"].get(k) for k in ("namespace", "name")} == wanted:
            return obj
    return None


def pods_of(api: Api, daemonset: Obj, node: str | None = None) -> list[Obj]:
    """Return a DaemonSet's pods (of one node), whole. Raises `ClusterError`."""
    meta = daemonset["metadata"]
    labels = (daemonset["spec"].get("selector") or {}).get("matchLabels") or {}
    query = {"labelSelector": ",".join(f"{k}={v}" for k, v in sorted(labels.items()))}
    if node:
        query["fieldSelector"] = f"spec.nodeName={node}"
    lister = Lister(api)
    path = f"/api/v1/namespaces/{meta['namespace']}/pods"

    def owned(pod: Obj) -> Obj | None:
        owners = pod["metadata"].get("ownerReferences") or ()
        return pod if any(o.get("uid") == meta["uid"] for o in owners) else None

    found = lister.read_list("pods", path, owned, query)
    raise_first(lister)
    return found or []


def _pod_on(api: Api, daemonset: Obj, node: str) -> Obj | None:
    found = pods_of(api, daemonset, node)
    alive = [p for p in found if not p["metadata"].get("deletionTimestamp")]
    return next(iter([*alive, *found]), None)


def allowed(api: Api, right: Obj) -> bool | None:
    """Ask whether the account has a right; None if even that may not be asked."""
    attributes = {k: v for k, v in right.items() if v}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    try:
        answer = api.request("POST", _REVIEWS, body=body, question=True)
    except ClusterError as error:
        if error.kind not in ("forbidden", "not_found"):
            raise
        return None
    return bool((answer.get("status") or {}).get("allowed"))
