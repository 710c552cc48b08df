# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tigera-operator makes of an Installation: defaults, judgement, the DaemonSet. Pure.

Source: tigera/operator ``pkg/controller/installation/{core_controller,validation}.go``,
``pkg/render/node.go``.
"""

from __future__ import annotations

import copy
from typing import Any

Obj = dict[str, Any]

V4, V6 = "nodeAddressAutodetectionV4", "nodeAddressAutodetectionV6"
NAMESPACE, NAME = "calico-system", "calico-node"
_VALUES = (
    ("interface", "interface="),
    ("skipInterface", "skip-interface="),
    ("canReach", "can-reach="),
)


class InvalidConfiguration(Exception):
    """The Installation cannot be rendered: TigeraStatus says so and nothing is changed."""


def _pools(spec: Obj, family: int) -> list[Obj]:
    network = spec.get("calicoNetwork") or {}
    return [p for p in network.get("ipPools") or () if (":" in p["cidr"]) == (family == 6)]


def defaults(spec: Obj) -> Obj:
    """Return the merge patch of ``spec.calicoNetwork`` by which defaults are written back."""
    network = spec.get("calicoNetwork") or {}
    provider = spec.get("kubernetesProvider", "")
    methods = {"EKS": {"canReach": "8.8.8.8"}, "DockerEnterprise": {"skipInterface": "^br-.*"}}
    default = methods.get(provider, {"firstFound": True})
    out: Obj = {}
    if network.get(V4) is None and (_pools(spec, 4) or not network.get("ipPools")):
        out[V4] = default
    if network.get(V6) is None and _pools(spec, 6):
        out[V6] = default
    return out


def effective(spec: Obj, overlay: Obj | None) -> Obj:
    """Return the spec with the overlay's fields over it; V4 and V6 are replaced as a whole."""
    out = copy.deepcopy(spec)
    for key, value in (overlay or {}).items():
        if key == "calicoNetwork":
            out.setdefault(key, {}).update(copy.deepcopy(value))
        else:
            out[key] = copy.deepcopy(value)
    return out


def method(autodetection: Obj) -> str:
    """Return the value of IP_AUTODETECTION_METHOD, "" for none. Raises InvalidConfiguration."""
    found = []
    if autodetection.get("firstFound"):
        found.append("first-found")
    for key, word in _VALUES:
        if autodetection.get(key):
            found.append(word + autodetection[key])
    if autodetection.get("cidrs"):
        found.append("cidr=" + ",".join(autodetection["cidrs"]))
    if autodetection.get("kubernetes"):
        found.append("kubernetes-internal-ip")
    if len(found) > 1:
        raise InvalidConfiguration(
            "no more than one node address autodetection method can be specified per-family"
        )
    return found[0] if found else ""


def _family_env(autodetection: Obj | None, name: str) -> list[Obj]:
    chosen = method(autodetection) if autodetection else ""
    if not chosen:
        return [{"name": name, "value": "none"}]
    return [
        {"name": name, "value": "autodetect"},
        {"name": f"{name}_AUTODETECTION_METHOD", "value": chosen},
    ]


def environment(spec: Obj) -> list[Obj]:
    """Return the env of container calico-node. Raises InvalidConfiguration."""
    network = spec.get("calicoNetwork") or {}
    bgp = network.get("bgp", "Enabled")
    six = bool(network.get(V6) and method(network[V6]))
    return [
        {"name": "DATASTORE_TYPE", "value": "kubernetes"},
        {"name": "CLUSTER_TYPE", "value": "k8s,operator" + (",bgp" if bgp == "Enabled" else "")},
        {
            "name": "NODENAME",
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}},
        },
        {"name": "FELIX_DEFAULTENDPOINTTOHOSTACTION", "value": "ACCEPT"},
        {"name": "FELIX_HEALTHENABLED", "value": "true"},
        {
            "name": "CALICO_NETWORKING_BACKEND",
            "value": "bird" if bgp == "Enabled" else "vxlan",
        },
        *_family_env(network.get(V4), "IP"),
        *_family_env(network.get(V6), "IP6"),
        {"name": "FELIX_IPV6SUPPORT", "value": "true" if six else "false"},
    ]


def daemonset(installation: Obj, spec: Obj, version: str) -> Obj:
    """Return the DaemonSet calico-node for the effective spec. Raises InvalidConfiguration."""
    strategy = copy.deepcopy(spec.get("nodeUpdateStrategy") or {})
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        raise InvalidConfiguration("nodeUpdateStrategy.type OnDelete is not supported")
    rolling = {"maxUnavailable": 1, "maxSurge": 0, **(strategy.get("rollingUpdate") or {})}
    own = (spec.get("calicoNodeDaemonSet") or {}).get("spec") or {}
    container = {
        "name": "calico-node",
        "image": f"calico/node:{version}",
        "env": environment(spec),
    }
    template = {
        "metadata": {"labels": {"k8s-app": NAME, "app.kubernetes.io/name": NAME}},
        "spec": {
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "hostNetwork": True,
            "tolerations": [
                {"effect": "NoSchedule", "operator": "Exists"},
                {"effect": "NoExecute", "operator": "Exists"},
                {"key": "CriticalAddonsOnly", "operator": "Exists"},
            ],
            "containers": [container],
        },
    }
    out: Obj = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "labels": {"k8s-app": NAME},
            "ownerReferences": [owner(installation)],
        },
        "spec": {
            "selector": {"matchLabels": {"k8s-app": NAME}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
            "template": template,
        },
    }
    if own.get("minReadySeconds"):
        out["spec"]["minReadySeconds"] = own["minReadySeconds"]
    return out


def owner(installation: Obj) -> Obj:
    return {
        "apiVersion": "operator.tigera.io/v1",
        "kind": "Installation",
        "name": installation["metadata"]["name"],
        "uid": installation["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def differs(wanted: Any, have: Any) -> bool:
    """Tell whether something wanted is not so; what the API defaulted beside it does not count.

    Lists have to be of one length: a variable added by hand is a difference.
    """
    if isinstance(wanted, dict):
        return not isinstance(have, dict) or any(differs(v, have.get(k)) for k, v in wanted.items())
    if isinstance(wanted, list):
        return (
            not isinstance(have, list)
            or len(have) != len(wanted)
            or any(differs(one, other) for one, other in zip(wanted, have))
        )
    return bool(wanted != have)


def rolled_out(daemonset: Obj) -> bool:
    """Tell whether the DaemonSet's status says that all pods are of the current template."""
    status = daemonset.get("status") or {}
    wanted = status.get("desiredNumberScheduled", 0)
    return bool(
        status.get("observedGeneration") == daemonset["metadata"].get("generation")
        and status.get("updatedNumberScheduled", 0) == wanted
        and status.get("numberAvailable", 0) == wanted
        and not status.get("numberUnavailable", 0)
    )


def conditions(daemonset: Obj | None, invalid: str, generation: int, old: list[Obj]) -> list[Obj]:
    """Return TigeraStatus' conditions; a transition time is kept while the status stays."""
    done = daemonset is not None and rolled_out(daemonset)
    status = (daemonset or {}).get("status") or {}
    counts = (
        f"DaemonSet {NAMESPACE}/{NAME} is not available "
        f"(awaiting {status.get('numberUnavailable', 0)} nodes)"
    )
    fine = ("AllObjectsAvailable", "All objects available")
    table = {
        "Available": ("True", *fine) if done and not invalid else ("False", "NotReady", counts),
        "Progressing": ("False", *fine)
        if done or invalid
        else ("True", "ResourceNotReady", counts),
        "Degraded": ("False", *fine)
        if not invalid
        else ("True", "InvalidConfigurationError", f"Invalid Installation provided: {invalid}"),
    }
    before = {condition["type"]: condition for condition in old}
    out = []
    for kind, (value, reason, message) in table.items():
        entry = {
            "type": kind,
            "status": value,
            "reason": reason,
            "message": message,
            "observedGeneration": generation,
        }
        was = before.get(kind) or {}
        if was.get("status") == value and was.get("lastTransitionTime"):
            entry["lastTransitionTime"] = was["lastTransitionTime"]
        out.append(entry)
    return out
