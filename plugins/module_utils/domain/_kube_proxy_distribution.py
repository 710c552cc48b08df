# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who installed kube-proxy, whether it would be brought back, and what kubeadm does. Pure.

Sources: kubeadm ``cmd/phases/upgrade``, kubernetes/kubeadm#3137; k3s and rke2 (flags of the
server); the documentation of EKS, AKS and GKE; kubespray (``kube_proxy_remove``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj

Version = tuple[int, int, int]

#: distribution -> (why a removal would not last, the right way).
_BROUGHT_BACK = {
    "k3s": (
        "k3s runs kube-proxy inside its own process on every node: there is no DaemonSet to stop",
        "Set disable-kube-proxy: true in /etc/rancher/k3s/config.yaml of every server and restart "
        "k3s, servers first; then remove what it left with kube_proxy_rules, node by node.",
    ),
    "rke2": (
        "rke2 runs kube-proxy as a static pod and writes its manifest anew on every start",
        "Set disable-kube-proxy: true in /etc/rancher/rke2/config.yaml of every server and restart "
        "rke2, servers first. Where the pod stays, remove "
        "/var/lib/rancher/rke2/agent/pod-manifests/kube-proxy.yaml on that node.",
    ),
    "eks": (
        "EKS installs kube-proxy itself, and its add-on puts it back",
        "Delete the add-on: aws eks delete-addon --cluster-name NAME --addon-name kube-proxy "
        "--preserve (the DaemonSet stays and is nobody's then).",
    ),
    "aks": (
        "AKS reconciles kube-proxy",
        "Disable it in the cluster's configuration: az aks update --kube-proxy-config FILE, with "
        '{"enabled": false} in that file (a preview feature of AKS).',
    ),
    "gke": (
        "GKE reconciles kube-proxy on its nodes, and no setting of an existing cluster ends that",
        "Make a cluster with Dataplane V2, which runs without kube-proxy.",
    ),
    "kubespray": (
        "kubespray deploys kube-proxy again at its next run",
        "Set kube_proxy_remove: true in the inventory that kubespray runs with and commit it. "
        "Releases 2.28.0 and before its correction ignored that at an upgrade: look after one.",
    ),
    "unknown": (
        "nothing tells who installed kube-proxy here (no kubeadm-config, no mark of a "
        "distribution), so nothing tells what would bring it back",
        "Find out what manages it (kops, Talos, a cloud's add-on, a repository) and switch it off "
        "there.",
    ),
}
#: How to go on all the same, said at the end of each refusal.
KNOWINGLY = "When that is done, or does not apply, set override_distribution: true."

_SUFFIXES = (("k3s", "+k3s"), ("rke2", "+rke2"), ("eks", "-eks-"), ("gke", "-gke."))
_LABELS = (
    ("eks", "eks.amazonaws.com/nodegroup"),
    ("gke", "cloud.google.com/gke-nodepool"),
    ("aks", "kubernetes.azure.com/cluster"),
)
# A provider alone says nothing: kubeadm runs on virtual machines of every cloud.
_PROVIDERS = (
    ("aks", re.compile(r"^azure://.*/virtualMachine(ScaleSet)?s/aks-", re.IGNORECASE)),
    ("gke", re.compile(r"^gce://[^/]*/[^/]*/gke-")),
)
_KUBESPRAY_CERTIFICATES = "/etc/kubernetes/ssl"


class Evidence(NamedTuple):
    """What tells a distribution. ``nodes``: of `trim_node`. ``kubeadm``: ClusterConfiguration."""

    server_version: str | None = None
    nodes: Sequence[Obj] = ()
    kubeadm: Obj | None = None
    #: Names of all DaemonSets.
    daemonsets: Sequence[str] = ()
    #: Whether a pod of kube-proxy is a static one (a mirror of a manifest on its node).
    static: bool = False
    #: Whether ClusterRoleBinding kubeadm:node-proxier is there.
    node_proxier: bool = False


def trim_node(obj: Obj) -> Obj:
    """Return what counts of a Node."""
    meta, spec = obj["metadata"], obj.get("spec") or {}
    info = (obj.get("status") or {}).get("nodeInfo") or {}
    labels = meta.get("labels") or {}
    annotations = meta.get("annotations") or {}
    return {
        "name": meta["name"],
        "uid": meta.get("uid"),
        "labels": labels,
        "kubeadm": any(name.startswith("kubeadm.alpha.kubernetes.io/") for name in annotations),
        "provider_id": spec.get("providerID") or "",
        "taints": spec.get("taints") or [],
        "kubelet_version": info.get("kubeletVersion") or "",
        "os": info.get("operatingSystem") or labels.get("kubernetes.io/os") or "linux",
    }


def detect(evidence: Evidence) -> Obj:
    """Return ``{distribution, evidence, supported, reason, remedy}``."""
    name, why = next(_found(evidence), ("unknown", None))
    reason, remedy = _BROUGHT_BACK.get(name, (None, None))
    return {
        "distribution": name,
        "evidence": why,
        "supported": reason is None,
        "reason": reason,
        "remedy": remedy,
    }


def _found(evidence: Evidence) -> Iterator[tuple[str, str]]:
    versions = [("the server", evidence.server_version or "")]
    versions += [(f"node {n['name']}", n["kubelet_version"]) for n in evidence.nodes]
    for name, suffix in _SUFFIXES:
        for where, version in versions:
            if suffix in version:
                yield name, f"{where} is of version {version}"
    for node in evidence.nodes:
        for name, label in _LABELS:
            if label in node["labels"]:
                yield name, f"node {node['name']} has the label {label}"
        for name, pattern in _PROVIDERS:
            if pattern.search(node["provider_id"]):
                yield name, f"node {node['name']} is {node['provider_id']}"
    yield from _by_kubeadm(evidence)


def _by_kubeadm(evidence: Evidence) -> Iterator[tuple[str, str]]:
    configuration = evidence.kubeadm
    if configuration and configuration.get("certificatesDir") == _KUBESPRAY_CERTIFICATES:
        yield "kubespray", f"kubeadm-config: certificatesDir is {_KUBESPRAY_CERTIFICATES}"
    if "nodelocaldns" in evidence.daemonsets and (configuration or _made_by_kubeadm(evidence)):
        yield "kubespray", "DaemonSet kube-system/nodelocaldns, as kubespray calls it"
    if evidence.static:
        # kubeadm makes a DaemonSet; manifests on the nodes are somebody else's.
        yield "unknown", "kube-proxy runs as static pods"
    if configuration is not None:
        yield "kubeadm", "ConfigMap kube-system/kubeadm-config"
    if _made_by_kubeadm(evidence):
        yield "kubeadm", "nodes joined by kubeadm"
    if evidence.node_proxier:
        yield "kubeadm", "ClusterRoleBinding kubeadm:node-proxier"


def _made_by_kubeadm(evidence: Evidence) -> bool:
    return any(node["kubeadm"] for node in evidence.nodes)


def parse_version(text: str | None) -> Version | None:
    """Return (major, minor, patch) of ``v1.31.2-eks-1``, None for what is no version."""
    match = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text or "")
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def plain_version(text: str | None) -> str | None:
    """Return "1.31.2" of ``v1.31.2+rke2r1``."""
    version = parse_version(text)
    return ".".join(str(part) for part in version) if version else None


def honours(version: Version | None, api_version: str | None) -> str | None:
    """Return what keeps `kubeadm upgrade apply` of this version from making kube-proxy again.

    ``missing-config-map``, ``disabled`` (proxy.disabled in the ClusterConfiguration),
    ``skip-phases`` (only the option helps), ``neither``; None if the version is unknown.
    """
    if version is None:
        return None
    if version < (1, 19, 0):
        return "neither"
    if version < (1, 32, 0):
        return "missing-config-map"
    if version == (1, 32, 0):
        return "neither"
    return "disabled" if can_disable(api_version) else "skip-phases"


def can_disable(api_version: str | None) -> bool:
    """Tell whether a ClusterConfiguration of this version has proxy.disabled: from v1beta4 on."""
    match = re.fullmatch(r"v(\d+)(?:beta(\d+))?", api_version or "")
    if not match:
        return False
    return match[2] is None or (int(match[1]), int(match[2])) >= (1, 4)


_SKIP = "kubeadm upgrade apply --skip-phases=addon/kube-proxy"


def advice(version: Version | None, api_version: str | None, disabled: bool | None) -> str | None:
    """Return what a person has to do so that no upgrade brings kube-proxy back; None: nothing.

    ``disabled``: whether proxy.disabled is (or is about to be) true.
    """
    how = honours(version, api_version)
    said = ".".join(str(part) for part in version or ())
    if how is None:
        return (
            "The server's version is unknown. Give every kubeadm upgrade from 1.32 on the option: "
            f"{_SKIP}."
        )
    if how == "disabled":
        if disabled:
            return None
        return "Set proxy.disabled: true in ConfigMap kube-system/kubeadm-config."
    if how == "skip-phases":
        return (
            f"This ClusterConfiguration ({api_version or 'no kubeadm-config'}) has no "
            "proxy.disabled, and from 1.32 on a missing ConfigMap kube-proxy protects no more. "
            f"Upgrade with: {_SKIP}. To be done with it, migrate the configuration to v1beta4 "
            "(kubeadm config migrate, kubeadm init phase upload-config kubeadm) and set "
            "proxy.disabled: true there."
        )
    if how == "missing-config-map":
        later = (
            "from 1.32.1 on proxy.disabled does, which is set"
            if disabled
            else f"from 1.32 on upgrade with: {_SKIP}"
        )
        return (
            f"kubeadm {said} leaves kube-proxy away while ConfigMap kube-system/kube-proxy is "
            f"missing. kubeadm 1.32.0 makes it again all the same: skip that release; {later}."
        )
    if version and version < (1, 19, 0):
        return (
            f"kubeadm {said} makes kube-proxy again at every upgrade, and nothing keeps it from "
            "that: run the removal again after each upgrade, until 1.19 or newer runs."
        )
    return (
        "kubeadm 1.32.0 makes kube-proxy again whatever is set (kubernetes/kubeadm#3137): upgrade "
        f"with kubeadm 1.32.1 or newer, else with: {_SKIP}."
    )


def refusal(found: Obj) -> str | None:
    """Return why nothing is changed on this distribution, None where it would last."""
    if found["supported"]:
        return None
    name = {"unknown": "this cluster", "k3s": "k3s", "rke2": "rke2", "kubespray": "kubespray"}.get(
        found["distribution"], found["distribution"].upper()
    )
    evidence = f" ({found['evidence']})" if found["evidence"] else ""
    return (
        f"Refused to change kube-proxy on {name}{evidence}: {found['reason']}. "
        f"{found['remedy']} {KNOWINGLY}"
    )


def kubeadm_view(document: Any) -> tuple[str | None, bool | None]:
    """Return (``v1beta4``, proxy.disabled) of a ClusterConfiguration; None where it has neither."""
    if not isinstance(document, dict):
        return None, None
    api_version = str(document.get("apiVersion") or "").rpartition("/")[2] or None
    if not can_disable(api_version):
        return api_version, None
    proxy = document.get("proxy")
    return api_version, bool(proxy.get("disabled")) if isinstance(proxy, dict) else False
