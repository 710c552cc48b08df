# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kube-proxy's objects: which there are, how they are made again, where the DaemonSet runs. Pure.

Sources: kubeadm ``app/phases/addons/proxy``; Kubernetes ``pkg/controller/daemon`` and
``component-helpers/scheduling/corev1/nodeaffinity`` for which nodes a DaemonSet serves.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._daemonset import at_once
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj

LABEL = "k8snet.io/kube-proxy"
REMOVED = "removed"
#: What keeps the DaemonSet off a node that has the label.
EXPRESSION = {"key": LABEL, "operator": "NotIn", "values": [REMOVED]}
#: Written to the pods' template, so that they start anew: which config.conf they are to read.
STAMP = "k8snet.io/kube-proxy-config"
NAMESPACE = "kube-system"

_RBAC = "/apis/rbac.authorization.k8s.io/v1"
#: kind -> (apiVersion, path of its collection); ``{}`` is the namespace.
COLLECTIONS = {
    "DaemonSet": ("apps/v1", "/apis/apps/v1/namespaces/{}/daemonsets"),
    "ConfigMap": ("v1", "/api/v1/namespaces/{}/configmaps"),
    "ServiceAccount": ("v1", "/api/v1/namespaces/{}/serviceaccounts"),
    "Role": ("rbac.authorization.k8s.io/v1", _RBAC + "/namespaces/{}/roles"),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", _RBAC + "/namespaces/{}/rolebindings"),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io/v1", _RBAC + "/clusterrolebindings"),
}
#: What kubeadm makes beside the DaemonSet, in the order in which it is made again.
BESIDE = (
    ("ServiceAccount", NAMESPACE, "kube-proxy"),
    ("Role", NAMESPACE, "kube-proxy"),
    ("RoleBinding", NAMESPACE, "kube-proxy"),
    ("ClusterRoleBinding", None, "kubeadm:node-proxier"),
    ("ConfigMap", NAMESPACE, "kube-proxy"),
)
# What the API server writes itself; a new object gets its own.
_SERVERS = (
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "managedFields",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
)
_ROLLOUT = "deprecated.daemonset.template.generation"
# What the controller adds to the tolerations of every daemon pod.
_TOLERATED = {
    f"node.kubernetes.io/{name}"
    for name in (
        "not-ready",
        "unreachable",
        "disk-pressure",
        "memory-pressure",
        "pid-pressure",
        "unschedulable",
    )
}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def path_of(kind: str, namespace: str | None, name: str) -> str:
    """Return the path of an object."""
    return COLLECTIONS[kind][1].format(namespace) + f"/{name}"


def target_of(obj: Obj) -> Obj:
    """Return kind, namespace (None: cluster-wide) and name of an object."""
    meta = obj["metadata"]
    return {"kind": obj["kind"], "namespace": meta.get("namespace"), "name": meta["name"]}


def whole(obj: Obj, kind: str) -> Obj:
    """Return an object with its kind, which the items of a LIST lack."""
    return {"apiVersion": COLLECTIONS[kind][0], "kind": kind, **obj}


def anew(obj: Obj) -> Obj:
    """Return an object as it can be made again: without status, uid, resourceVersion."""
    # A ServiceAccount's secrets (before Kubernetes 1.24) went with it; new ones are made.
    gone = ("status", "secrets") if obj.get("kind") == "ServiceAccount" else ("status",)
    made = copy.deepcopy({key: value for key, value in obj.items() if key not in gone})
    meta = made["metadata"]
    for name in _SERVERS:
        meta.pop(name, None)
    annotations = meta.get("annotations") or {}
    annotations.pop(_ROLLOUT, None)
    if not annotations:
        meta.pop("annotations", None)
    return made


def is_kube_proxy(obj: Obj) -> bool:
    """Tell whether a DaemonSet is kube-proxy of Linux nodes."""
    name = str(obj["metadata"]["name"])
    names = [c.get("name") for c in pod_spec(obj).get("containers") or ()]
    return (name == "kube-proxy" or "kube-proxy" in names) and "windows" not in name


def pod_spec(daemonset: Obj) -> Obj:
    """Return the PodSpec of a DaemonSet's template."""
    found = ((daemonset.get("spec") or {}).get("template") or {}).get("spec")
    return found if isinstance(found, dict) else {}


def config_map_names(daemonset: Obj | None) -> list[str]:
    """Return the ConfigMaps that the DaemonSet mounts, kubeadm's name where it mounts none."""
    mounted = [
        str(volume["configMap"]["name"])
        for volume in pod_spec(daemonset or {}).get("volumes") or ()
        if (volume.get("configMap") or {}).get("name") not in (None, "kube-root-ca.crt")
    ]
    return mounted or ["kube-proxy"]


# -- the node affinity --------------------------------------------------------------------------


def _terms(spec: Obj) -> list[Obj] | None:
    """Return the required nodeSelectorTerms, None where nothing is required."""
    node = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = node.get(_REQUIRED)
    return None if required is None else list(required.get("nodeSelectorTerms") or ())


def _matches_nothing(term: Obj) -> bool:
    return not term.get("matchExpressions") and not term.get("matchFields")


def is_ours(expression: Obj) -> bool:
    """Tell whether an expression keeps pods off labelled nodes."""
    return (
        expression.get("key") == LABEL
        and expression.get("operator") == "NotIn"
        and REMOVED in (expression.get("values") or ())
    )


def has_affinity(daemonset: Obj) -> bool:
    """Tell whether the DaemonSet stays off labelled nodes, by every term that selects any."""
    terms = _terms(pod_spec(daemonset))
    return terms is not None and all(
        any(is_ours(e) for e in term.get("matchExpressions") or ())
        for term in terms
        if not _matches_nothing(term)
    )


def with_affinity(daemonset: Obj) -> Obj:
    """Return the DaemonSet with the expression in each nodeSelectorTerm: any of them suffices."""
    made = copy.deepcopy(daemonset)
    spec = pod_spec(made)
    affinity = spec["affinity"] = spec.get("affinity") or {}
    node = affinity["nodeAffinity"] = affinity.get("nodeAffinity") or {}
    required = node[_REQUIRED] = node.get(_REQUIRED) or {}
    terms = required.get("nodeSelectorTerms") or [{"matchExpressions": []}]
    for term in terms:
        if _matches_nothing(term) and "nodeSelectorTerms" in required:
            continue  # an empty term selects no node; with an expression it would select many
        expressions = term.get("matchExpressions") or []
        if not any(is_ours(e) for e in expressions):
            term["matchExpressions"] = [*expressions, copy.deepcopy(EXPRESSION)]
    required["nodeSelectorTerms"] = terms
    return made


def without_affinity(daemonset: Obj) -> Obj:
    """Return the DaemonSet without the expression, and without what only held it."""
    made = copy.deepcopy(daemonset)
    spec = pod_spec(made)
    terms = _terms(spec)
    if terms is None:
        return made
    kept = []
    for term in terms:
        expressions = term.get("matchExpressions") or []
        rest = [e for e in expressions if not is_ours(e)]
        if rest == expressions:
            kept.append(term)
        elif rest:
            kept.append({**term, "matchExpressions": rest})
        elif term.get("matchFields"):
            kept.append({k: v for k, v in term.items() if k != "matchExpressions"})
    _put_terms(spec, kept)
    return made


def _put_terms(spec: Obj, terms: list[Obj]) -> None:
    affinity = spec["affinity"]
    if terms:
        affinity["nodeAffinity"][_REQUIRED]["nodeSelectorTerms"] = terms
        return
    del affinity["nodeAffinity"][_REQUIRED]
    if not affinity["nodeAffinity"]:
        del affinity["nodeAffinity"]
    if not affinity:
        del spec["affinity"]


# -- which nodes it serves ----------------------------------------------------------------------


def serves(daemonset: Obj, node: Obj, labels: Mapping[str, str] | None = None) -> bool:
    """Tell whether the DaemonSet runs on a node (`trim_node`); ``labels``: in place of its own."""
    spec = pod_spec(daemonset)
    have = node["labels"] if labels is None else labels
    selector = spec.get("nodeSelector") or {}
    if any(have.get(key) != value for key, value in selector.items()):
        return False
    if node["os"] != "linux":
        return False
    terms = _terms(spec)
    if terms is not None and not any(_selects(term, node, have) for term in terms):
        return False
    return all(_tolerates(spec, taint) for taint in node["taints"])


def to_be_served(daemonset: Obj, node: Obj) -> bool:
    """Tell whether it would run on a node that had not the label."""
    bare = {key: value for key, value in node["labels"].items() if key != LABEL}
    return serves(daemonset, node, bare)


def _selects(term: Obj, node: Obj, labels: Mapping[str, str]) -> bool:
    if _matches_nothing(term):
        return False
    return all(_expression(e, labels) for e in term.get("matchExpressions") or ()) and all(
        _expression(e, {"metadata.name": node["name"]}) for e in term.get("matchFields") or ()
    )


def _expression(rule: Obj, labels: Mapping[str, str]) -> bool:
    key, values = str(rule.get("key")), list(rule.get("values") or ())
    value, operator = labels.get(key), rule.get("operator")
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    if operator in ("Gt", "Lt"):
        try:
            number, bound = int(str(value)), int(str(values[0]))
        except (ValueError, IndexError):
            return False
        return number > bound if operator == "Gt" else number < bound
    return value in values if operator == "In" else value not in values


def _tolerates(spec: Obj, taint: Obj) -> bool:
    if taint.get("effect") == "PreferNoSchedule" or taint.get("key") in _TOLERATED:
        return True
    if taint.get("key") == "node.kubernetes.io/network-unavailable" and spec.get("hostNetwork"):
        return True
    return any(_covers(t, taint) for t in spec.get("tolerations") or ())


def _covers(toleration: Obj, taint: Obj) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    exists = toleration.get("operator") == "Exists"
    if not toleration.get("key"):
        return exists
    same = (toleration.get("value") or "") == (taint.get("value") or "")
    return toleration["key"] == taint.get("key") and (exists or same)


# -- the roll-out and the pods ------------------------------------------------------------------


def rolls_itself(daemonset: Obj) -> bool:
    """Tell whether a new template reaches the pods without somebody deleting them."""
    strategy = (daemonset["spec"].get("updateStrategy") or {}).get("type")
    return strategy in (None, "RollingUpdate")


def behind(daemonset: Obj, unseen: int = 0) -> str | None:
    """Return what is missing of the roll-out of the template, None if nothing is.

    ``unseen``: on how many of its nodes nobody is to wait. Their pods never become ready; if as
    many as that may be missing at a time, the controller replaces no further ones either.
    """
    meta, status = daemonset["metadata"], daemonset.get("status") or {}
    if status.get("observedGeneration", 0) < meta.get("generation", 0):
        return "the DaemonSet controller has not observed the change"
    desired = status.get("desiredNumberScheduled") or 0
    updated = status.get("updatedNumberScheduled") or 0
    if unseen and unseen >= at_once(daemonset, desired):
        return None
    if rolls_itself(daemonset) and updated < desired - unseen:
        return f"{updated} of {desired} pods are of the new template"
    return None


def trim_pod(pod: Obj) -> Obj:
    """Return ``{name, node, ready, uid, created}`` of a pod."""
    meta, status = pod["metadata"], pod.get("status") or {}
    conditions = status.get("conditions") or ()
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
    return {
        "name": meta["name"],
        "node": (pod.get("spec") or {}).get("nodeName"),
        "ready": ready and not meta.get("deletionTimestamp"),
        "uid": meta.get("uid"),
        "created": meta.get("creationTimestamp"),
    }


def is_static(pod: Obj) -> bool:
    """Tell whether a pod mirrors a manifest on its node."""
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner.get("kind") == "Node" for owner in owners)


def of_kube_proxy(pod: Obj, daemonset: Obj | None) -> bool:
    """Tell whether a pod is kube-proxy's: the DaemonSet's, a static one, or one left behind."""
    meta = pod["metadata"]
    uid = ((daemonset or {}).get("metadata") or {}).get("uid")
    if uid and any(o.get("uid") == uid for o in meta.get("ownerReferences") or ()):
        return True
    labels: dict[str, Any] = meta.get("labels") or {}
    if is_static(pod):
        return str(meta["name"]).startswith("kube-proxy-")
    return labels.get("k8s-app") == "kube-proxy"
