# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What kube_proxy_info shows, and what a change keeps for its undo. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_config as config,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_distribution as distribution,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_objects as objects,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_probes as probes,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_services as services,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _ownership
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj
from ansible_collections.k8snet.cni.plugins.module_utils.domain._yaml import to_yaml

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


@dataclass(frozen=True)
class Have:
    """What the cluster holds. Objects are whole, nodes of `trim_node`, pods of `trim_pod`.

    ``beside``: kubeadm's other objects that are there. ``daemonsets``: names of all DaemonSets.
    """

    daemonset: Obj | None = None
    config_map: Obj | None = None
    kubeadm: Obj | None = None
    beside: Sequence[Obj] = ()
    nodes: Sequence[Obj] = ()
    pods: Sequence[Obj] = ()
    static: bool = False
    server_version: str | None = None
    daemonsets: Sequence[str] = ()
    _cache: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def version(self) -> distribution.Version | None:
        return distribution.parse_version(self.server_version)

    @property
    def found(self) -> Obj:
        """The distribution, see `_kube_proxy_distribution.detect`."""
        if "found" not in self._cache:
            proxier = any(o["kind"] == "ClusterRoleBinding" for o in self.beside)
            self._cache["found"] = distribution.detect(
                distribution.Evidence(
                    self.server_version,
                    self.nodes,
                    config.cluster_configuration(self.kubeadm)[0],
                    self.daemonsets,
                    self.static,
                    proxier,
                )
            )
        found: Obj = self._cache["found"]
        return found

    @property
    def labelled(self) -> list[str]:
        """Names of the nodes that are labelled as removed."""
        return sorted(
            node["name"]
            for node in self.nodes
            if node["labels"].get(objects.LABEL) == objects.REMOVED
        )


def core(have: Have) -> Obj:
    """Return what an undo needs: the keys of ``kube_proxy`` up to ``pods``."""
    told = config.read(have.config_map)
    document, problem = config.cluster_configuration(have.kubeadm)
    api_version, disabled = distribution.kubeadm_view(document)
    whole = [*([have.daemonset] if have.daemonset else []), *have.beside]
    made_by_kubeadm = have.found["distribution"] in ("kubeadm", "kubespray")
    return {
        "present": have.daemonset is not None,
        "distribution": have.found["distribution"],
        "evidence": have.found["evidence"],
        "version": distribution.plain_version(have.server_version),
        "server_version": have.server_version,
        "supported": have.found["supported"],
        "reason": have.found["reason"],
        "remedy": have.found["remedy"],
        "managed_by": managed_by(have.daemonset),
        "daemonset": _daemonset(have.daemonset),
        "config_map": _config_map(have.config_map),
        "mode": told["mode"],
        "strict_arp": told["strict_arp"],
        "cluster_cidr": told["cluster_cidr"],
        "node_port_addresses": told["node_port_addresses"],
        "config_errors": [*told["errors"], *([problem] if problem else [])],
        "kubeadm": {
            "config_map": have.kubeadm is not None,
            "api_version": api_version,
            "proxy_disabled": disabled,
            "honours": distribution.honours(have.version, api_version),
            "advice": distribution.advice(have.version, api_version, disabled)
            if made_by_kubeadm
            else None,
            "object": have.kubeadm,
        },
        "objects": [{**objects.target_of(o), "object": config.masked(o)} for o in whole],
        "labelled": have.labelled,
        "pods": [{key: pod[key] for key in ("name", "node", "ready", "uid")} for pod in have.pods],
    }


def compose(have: Have, raw: Mapping[str, Any]) -> Obj:
    """Return ``kube_proxy``, documented key by key in kube_proxy_info.

    ``raw``: services, slices (trimmed), service_cidrs (whole), commands (kube-apiserver's),
    authority (ConfigMap kube-root-ca.crt), permissions, errors, requests.
    """
    document, _problem = config.cluster_configuration(have.kubeadm)
    permissions = raw["permissions"]
    return {
        **core(have),
        "services": services.limits(raw["services"] or (), raw["slices"] or ()),
        "service_cidrs": services.cidrs_of(
            raw["service_cidrs"],
            document if isinstance(document, dict) else None,
            raw["commands"],
        ),
        "dns": services.dns_of(raw["services"] or ()),
        "probes": probes.choose(raw["services"] or (), raw["slices"] or ()),
        "external_ips": probes.external_ips(raw["services"] or ()),
        "authority": ((raw["authority"] or {}).get("data") or {}).get("ca.crt"),
        "control_planes": sorted(n["name"] for n in have.nodes if CONTROL_PLANE in n["labels"]),
        "node_local_dns": any(
            name in ("node-local-dns", "nodelocaldns") for name in have.daemonsets
        ),
        "permissions": permissions,
        "missing_rights": [words(r) for r in permissions if r["allowed"] is False],
        "errors": raw["errors"],
        "requests": raw["requests"],
    }


def words(right: Obj) -> str:
    """Return "patch on daemonsets.apps kube-system/kube-proxy"."""
    group = f".{right['group']}" if right["group"] else ""
    place = "/".join(p for p in (right["namespace"], right["name"]) if p)
    return f"{right['verb']} on {right['resource']}{group}{' ' + place if place else ''}"


def _daemonset(daemonset: Obj | None) -> Obj | None:
    if daemonset is None:
        return None
    meta, status = daemonset["metadata"], daemonset.get("status") or {}
    images = [str(c.get("image")) for c in objects.pod_spec(daemonset).get("containers") or ()]
    return {
        "namespace": meta.get("namespace"),
        "name": meta["name"],
        "generation": meta.get("generation"),
        "observed": status.get("observedGeneration"),
        "desired": status.get("desiredNumberScheduled") or 0,
        "ready": status.get("numberReady") or 0,
        "image": images[0] if images else None,
        "node_affinity_removed": objects.has_affinity(daemonset),
        "object": daemonset,
    }


def _config_map(config_map: Obj | None) -> Obj | None:
    if config_map is None:
        return None
    return {"name": config_map["metadata"]["name"], "object": config.masked(config_map)}


def managed_by(daemonset: Obj | None) -> Obj | None:
    """Return ``{manager, evidence, snippet}`` of who owns the DaemonSet, None if nobody does."""
    owner = _ownership.owner_of(daemonset or {})
    if daemonset is None or owner["by"] is None:
        return None
    return {
        "manager": _ownership.NAMES[owner["by"]],
        "evidence": owner["evidence"],
        "snippet": affinity_snippet(daemonset),
    }


def affinity_snippet(daemonset: Obj) -> str:
    """Return the node affinity to commit where the DaemonSet is kept, as YAML."""
    spec = objects.pod_spec(objects.with_affinity(daemonset))
    return _yaml_of(daemonset, {"spec": {"template": {"spec": {"affinity": spec["affinity"]}}}})


def removal_snippet(obj: Obj) -> str:
    """Return which object to take away where it is kept, as YAML."""
    return "# remove this object\n" + _yaml_of(obj, {})


def data_snippet(obj: Obj, key: str, text: str) -> str:
    """Return a ConfigMap's text to commit where it is kept, as YAML."""
    return _yaml_of(obj, {"data": {key: text}})


def _yaml_of(obj: Obj, part: Obj) -> str:
    meta = {k: obj["metadata"][k] for k in ("namespace", "name") if obj["metadata"].get(k)}
    head = {"apiVersion": obj.get("apiVersion"), "kind": obj.get("kind"), "metadata": meta}
    return to_yaml({**head, **part})
