# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Machines outside the cluster: their ExternalNodes, and the files of their agents. Pure."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.k8snet.cni.plugins.module_utils.domain._node_policy_plan import within
from ansible_collections.k8snet.cni.plugins.module_utils.domain._yaml import to_yaml

Obj = dict[str, Any]
GATE = "ExternalNode"
FOLDER = "/etc/antrea"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_PROTOCOLS = ("tcp", "udp", "icmp", "ip")


def wanted(antrea: Obj, options: Obj) -> Obj:
    """Return settings of antrea-controller.conf: the gate is the controller's here."""
    gate = (antrea.get("gates") or {}).get(GATE) or {}
    if not options.get("external_nodes") or (gate.get("effective") or {}).get("controller"):
        return {}
    return {"featureGates": {GATE: True}}


def problems(options: Obj, cluster: Obj, service_cidrs: list[str]) -> Iterator[str]:
    """Yield what is wrong with machines and with what their agents are to be told."""
    seen: dict[str, str] = {}
    nodes = {str(ip): node["name"] for node in cluster["nodes"] for ip in node["internal_ips"]}
    for entry in options.get("external_nodes") or ():
        title = f"ExternalNode {entry.get('namespace')}/{entry.get('name')}"
        for key in ("namespace", "name"):
            if not _NAME.fullmatch(str(entry.get(key) or "")):
                yield f"{title}: {key} is {entry.get(key)!r}, no name of an object."
        if not entry.get("ips"):
            yield f"{title} has no ips. Antrea finds the machine's interface by them."
        for ip in entry.get("ips") or ():
            if not _address(ip):
                yield f"{title}: '{ip}' is no IP address."
            elif ip in seen or ip in nodes:
                yield f"{title}: {ip} is {seen.get(ip) or 'of Node ' + nodes[ip]} already."
            seen.setdefault(str(ip), f"of {title}")
    if options.get("external_nodes") and options.get("external_dir"):
        yield from _told(options, service_cidrs)


def _told(options: Obj, service_cidrs: list[str]) -> Iterator[str]:
    for name in ("external_api", "external_antrea"):
        url = urlsplit(str(options.get(name) or ""))
        if url.scheme != "https" or not url.hostname:
            yield f"antrea_features_{name} is {options.get(name)!r}; it must be https://HOST:PORT."
        elif any(_inside(url.hostname, cidr) for cidr in service_cidrs):
            yield (
                f"antrea_features_{name}: {url.hostname} is in the Service network, which is not "
                "reached from outside. Give the Service a NodePort or a LoadBalancer."
            )
    if not options.get("external_token"):
        yield "antrea_features_external_token is empty: agents show themselves with it."
    for rule in options.get("external_bypass") or ():
        port = rule.get("port")
        good = (
            str(rule.get("direction")).lower() in ("ingress", "egress")
            and str(rule.get("protocol")).lower() in _PROTOCOLS
            and (port is None or 0 < int(port) < 65536)
            and "/" in str(rule.get("cidr"))
            and _address(str(rule.get("cidr")).partition("/")[0])
        )
        if not good:
            yield (
                f"antrea_features_external_bypass: {rule} is no rule. It needs direction (ingress, "
                "egress), protocol (tcp, udp, icmp, ip), cidr, and a port unless it is icmp or ip."
            )


def _address(text: Any) -> bool:
    try:
        ipaddress.ip_address(str(text))
    except ValueError:
        return False
    return True


def _inside(host: str, cidr: str) -> bool:
    if not _address(host):
        return False
    network = ipaddress.ip_network(cidr, strict=False)
    address = ipaddress.ip_address(host)
    return address.version == network.version and address in network


def obj(entry: Obj) -> Obj:
    """Return the ExternalNode of a machine."""
    meta: Obj = {"name": entry["name"], "namespace": entry["namespace"]}
    if entry.get("labels"):
        meta["labels"] = entry["labels"]
    interface = {"name": entry.get("interface") or "", "ips": list(entry["ips"])}
    return {
        "apiVersion": "crd.antrea.io/v1alpha1",
        "kind": "ExternalNode",
        "metadata": meta,
        "spec": {"interfaces": [interface]},
    }


def changes(options: Obj, objects: list[Obj]) -> list[Obj]:
    """Return ``{object, before, former}`` of machines whose objects lack or differ.

    ``former`` puts one back as it is, None where there is none.
    """
    found = []
    for entry in options.get("external_nodes") or ():
        made = obj(entry)
        meta = made["metadata"]
        before = next((o for o in objects if within(_place(meta), o["metadata"])), None)
        if before is None or not within(made, before):
            found.append({"object": made, "before": before, "former": _former(made, before)})
    return found


def _former(made: Obj, before: Obj | None) -> Obj | None:
    if before is None:
        return None
    # A patch leaves the labels that it does not name; null takes one away.
    wanted, had = made["metadata"].get("labels") or {}, before["metadata"].get("labels") or {}
    labels = {**dict.fromkeys(wanted), **had}
    return {
        **made,
        "metadata": {**_place(made["metadata"]), "labels": labels},
        "spec": before["spec"],
    }


def _place(meta: Obj) -> Obj:
    return {"name": meta["name"], "namespace": meta["namespace"]}


def files(entry: Obj, options: Obj, authorities: Obj) -> dict[str, str]:
    """Return name -> text of what a machine's agent is started with. It holds a secret.

    ``authorities``: PEM of ``api`` and ``antrea``.
    """
    api, antrea = "antrea-agent.kubeconfig", "antrea-agent.antrea.kubeconfig"
    outside: Obj = {"externalNodeNamespace": entry["namespace"]}
    if options.get("external_bypass"):
        outside["policyBypassRules"] = options["external_bypass"]
    conf = {
        "featureGates": {GATE: True},
        "nodeType": "externalNode",
        "clientConnection": {"kubeconfig": f"{FOLDER}/{api}"},
        "antreaClientConnection": {"kubeconfig": f"{FOLDER}/{antrea}"},
        "externalNode": outside,
    }
    token = str(options["external_token"])
    return {
        "antrea-agent.conf": to_yaml(conf),
        api: _kubeconfig("kubernetes", options["external_api"], authorities["api"], token),
        antrea: _kubeconfig("antrea", options["external_antrea"], authorities["antrea"], token),
    }


def _kubeconfig(name: str, server: str, authority: str, token: str) -> str:
    data = base64.b64encode(authority.encode()).decode()
    cluster = {"server": server, "certificate-authority-data": data}
    context = {"cluster": name, "user": "antrea-agent"}
    return to_yaml(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": "antrea-agent", "user": {"token": token}}],
            "contexts": [{"name": name, "context": context}],
            "current-context": name,
        }
    )
