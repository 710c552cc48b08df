# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What calico_info tells: how Calico is installed, what would be written, and whether it may. Pure.

Sources: tigera/operator (where it installs), Calico's manifests and Canal's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _calico_fields as fields
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _cluster
from ansible_collections.k8snet.cni.plugins.module_utils.domain._cluster_calico import calico_facts
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj, look
from ansible_collections.k8snet.cni.plugins.module_utils.domain._ownership import owner_of, snippet

ANNOTATIONS = "projectcalico.org/"

REASONS = {
    "canal": (
        "canal: Calico does not choose node addresses here (IP is empty), flannel does. Set "
        "canal_iface in Canal's ConfigMap instead."
    ),
    "migration": (
        "migration: the operator's calico-node and a manifest's run side by side, and a change of "
        "one is not a change of the other. Finish the migration to the operator first."
    ),
    "none": "none: no calico-node DaemonSet and no Installation was found. Is this the cluster?",
}


def reason(install: str) -> str:
    """Return why autodetection cannot be changed with such an install."""
    return REASONS.get(install, f"Calico is installed as {install}.")


def trim_node(obj: Obj) -> Obj:
    """Return what the change needs of a Node."""
    node = _cluster.trim_node(obj)
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    return {
        "name": node["name"],
        "uid": node["uid"],
        "os": node["os"],
        "ready": node["ready"],
        "hostname": node["hostname"],
        "internal_ips": {
            "v4": [ip for ip in node["internal_ips"] if ":" not in ip],
            "v6": [ip for ip in node["internal_ips"] if ":" in ip],
        },
        "annotations": {k: v for k, v in annotations.items() if k.startswith(ANNOTATIONS)},
        "unschedulable": node["unschedulable"],
    }


def longest_hold(pods: list[Obj], now: datetime) -> int | None:
    """Return the seconds since which even the youngest ready pod (whole) has been ready.

    A longer minReadySeconds would hold nothing, see `_calico_hold`. None: no pod is ready.
    """
    rows = [_pod(pod, now) for pod in pods]
    ages = [int(row["ready_seconds"]) for row in rows if row["ready"]]
    return min(ages, default=None)


def is_calico(obj: Obj) -> bool:
    """Tell whether a DaemonSet runs calico-node (Canal's does too)."""
    trimmed = _cluster.trim_daemonset(obj)
    return trimmed is not None and trimmed["component"] in ("calico", "canal")


def facts_of(
    daemonsets: list[Obj], installations: list[Obj], config_maps: dict[str, dict[str, str]]
) -> Obj:
    """Return cluster_info's ``calico`` of whole objects."""
    trimmed = [t for d in daemonsets if (t := _cluster.trim_daemonset(d)) is not None]
    operated = [_cluster.trim_installation(i) for i in installations]
    facts: Obj = calico_facts(trimmed, operated, None, config_maps)
    return facts


def target_of(facts: Obj) -> Obj | None:
    """Return what is written to change the method: kind, namespace, name."""
    if facts["install"] == "operator":
        return {"kind": "Installation", "namespace": None, "name": "default"}
    if facts["install"] == "manifest":
        return {"kind": "DaemonSet", **facts["daemonset"]}
    return None


def compose(raw: Obj, methods: Mapping[int, str]) -> Obj:
    """Return ``calico`` as calico_info documents it.

    ``raw``: daemonsets (whole, Calico's), installations (whole), config_maps, nodes (trimmed),
    tigerastatus, crd, calico_pods (whole), pods_there (trimmed) and now (the time, UTC), dns_pods,
    permissions, errors, requests, bgp (the BGPConfiguration default, None without one).
    """
    facts = facts_of(raw["daemonsets"], raw["installations"], raw["config_maps"])
    by_name = {i["metadata"]["name"]: i for i in raw["installations"]}
    target = target_of(facts)
    installation, overlay = by_name.get("default"), by_name.get("overlay")
    daemonset = _running(raw["daemonsets"], facts)
    return {
        "install": facts["install"],
        "reason": REASONS.get(facts["install"]),
        "target": target,
        "version": facts["version"],
        "methods": facts["methods"],
        "backend": facts["backend"],
        "bgp_mesh": _bgp_mesh(facts, raw),
        "datastore": facts["datastore"],
        "poll_interval": facts["poll_interval"],
        "installation": installation,
        "overlay": overlay,
        "daemonset": daemonset,
        "crd_min_ready_seconds": min_ready_seconds(raw["crd"]),
        "owner": _owner(target, installation, overlay, daemonset, methods),
        "nodes": raw["nodes"],
        "pods": [_pod(pod, raw["now"]) for pod in raw["calico_pods"]],
        "pods_there": raw["pods_there"],
        "tigerastatus": raw["tigerastatus"],
        "dns_pods": raw["dns_pods"],
        "permissions": raw["permissions"],
        "errors": raw["errors"],
        "requests": raw["requests"],
    }


def _bgp_mesh(facts: Obj, raw: Obj) -> bool | None:
    """Tell whether every node peers with every other; None if that could not be read.

    Calico's default, without a BGPConfiguration, is that it does.
    """
    if facts["backend"] not in (None, "bird"):
        return False
    if any(error["resource"] == "bgpconfigurations" for error in raw["errors"]):
        return None
    spec = (raw["bgp"] or {}).get("spec") or {}
    return spec.get("nodeToNodeMeshEnabled") is not False


def _pod(pod: Obj, now: datetime) -> Obj:
    """Return which node a calico-node pod is on, and for how many seconds it has been ready."""
    ready = _ready(pod)
    since = (ready or {}).get("lastTransitionTime")
    seconds = (
        (now - datetime.fromisoformat(since.replace("Z", "+00:00"))).total_seconds() if since else 0
    )
    return {
        "node": pod["spec"].get("nodeName"),
        "name": pod["metadata"]["name"],
        "ready": ready is not None,
        "ready_seconds": max(0.0, float(seconds)),
    }


def is_ready(pod: Obj) -> bool:
    """Tell whether a Pod (whole) is ready."""
    return _ready(pod) is not None


def _ready(pod: Obj) -> Obj | None:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == "Ready" and c["status"] == "True"), None)


def _running(daemonsets: list[Obj], facts: Obj) -> Obj | None:
    wanted = facts["daemonset"]
    for obj in daemonsets if wanted else ():
        if {k: obj["metadata"].get(k) for k in ("namespace", "name")} == wanted:
            return obj
    return None


def min_ready_seconds(crd: Obj | None) -> bool | None:
    """Tell whether the Installation's CRD can hold a roll-out; None if it could not be read."""
    if crd is None:
        return None
    path = "properties.spec.properties.calicoNodeDaemonSet.properties.spec.properties"
    for version in crd["spec"]["versions"]:
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if version.get("name") == "v1":
            found = look(schema, (*path.split("."), "minReadySeconds"))
            return isinstance(found, dict)
    return False


def _owner(
    target: Obj | None,
    installation: Obj | None,
    overlay: Obj | None,
    daemonset: Obj | None,
    methods: Mapping[int, str],
) -> Obj:
    """Return who owns what would be written: the first owned object decides."""
    none = {"by": None, "evidence": None, "object": None, "snippet": None}
    if target is None:
        return none
    written: list[tuple[Obj, Obj]] = []
    if target["kind"] == "DaemonSet" and daemonset is not None:
        written = [(target, daemonset)]
    elif installation is not None:
        families = fields.FAMILIES if not methods else tuple(methods)
        names = {fields.holder(installation, overlay, fields.field(f)) for f in families}
        for name, obj in (("default", installation), ("overlay", overlay)):
            if name in names and obj is not None:
                written.append(({**target, "name": name}, obj))
    for where, obj in written:
        owner = owner_of(obj)
        if owner["by"]:
            text = snippet(obj, where, owner["by"], methods) if methods else None
            return {**owner, "object": where, "snippet": text}
    return none


def asked(target: Obj | None, facts: Obj, bundle_namespace: str | None) -> list[Obj]:
    """Return the rights that the change needs: verb, group, resource, namespace, name."""
    wanted = [_right("list", "", "nodes"), _right("list", "apps", "daemonsets")]
    if target is not None and target["kind"] == "Installation":
        tigera = "operator.tigera.io"
        crd = "installations.operator.tigera.io"
        wanted += [
            _right("list", tigera, "installations"),
            *(_right(verb, tigera, "installations", None, "default") for verb in ("get", "patch")),
            _right("get", tigera, "tigerastatuses", None, "calico"),
            _right("get", "apiextensions.k8s.io", "customresourcedefinitions", None, crd),
        ]
        if facts["installation"] and facts["installation"]["overlay"]:
            wanted += [
                _right(verb, tigera, "installations", None, "overlay") for verb in ("get", "patch")
            ]
    place = (facts["daemonset"] or {}).get("namespace")
    if place:
        name = facts["daemonset"]["name"]
        wanted += [_right("get", "apps", "daemonsets", place, name)]
        wanted += [_right("list", "", "pods", place)]
        if target is not None and target["kind"] == "DaemonSet":
            wanted += [
                _right("patch", "apps", "daemonsets", place, name),
                _right("delete", "", "pods", place),
            ]
    lease = ("coordination.k8s.io", "leases", "kube-system")
    wanted += [_right("create", *lease)]
    wanted += [_right(verb, *lease, "k8snet-change") for verb in ("get", "update", "delete")]
    if bundle_namespace:
        wanted += [_right(verb, "", "secrets", bundle_namespace) for verb in ("create", "get")]
    return wanted


def _right(
    verb: str, group: str, resource: str, namespace: str | None = None, name: str | None = None
) -> dict[str, Any]:
    return {
        "verb": verb,
        "group": group,
        "resource": resource,
        "namespace": namespace,
        "name": name,
    }
