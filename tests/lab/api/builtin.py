# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What kube-apiserver does with built-in kinds: defaults it writes, empty fields it drops, checks.

Only what the tests meet, mostly of pods and their templates. Source: Kubernetes ``pkg/apis/*/v1``
defaults, ``pkg/apis/*/validation`` and the ``omitempty`` tags of k8s.io/api.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.lab.api.errors import ApiError, Cause, Obj, bad_request
from tests.lab.api.resources import Resource

WORKLOADS = ("DaemonSet", "Deployment", "StatefulSet", "ReplicaSet", "Job")
SERVICE_RANGE = ipaddress.IPv4Network("10.96.0.0/16")
_CONFIG_KEY = re.compile(r"^[-._a-zA-Z0-9]+$")


def _template(obj: Obj) -> Obj | None:
    """Return the object that holds a PodSpec under ``spec``: the pod itself or its template."""
    if obj["kind"] == "Pod":
        return obj
    if obj["kind"] in WORKLOADS:
        found = (obj.get("spec") or {}).get("template")
        return found if isinstance(found, dict) else None
    return None


def decode(obj: Obj) -> None:
    """Refuse (400) what a typed decoder cannot read; drop empty fields that it would not write."""
    kind = obj["kind"]
    meta = obj["metadata"]
    for field in ("labels", "annotations"):
        _strings(kind, field, meta.get(field))
        if not meta.get(field):
            meta.pop(field, None)
    for field in ("finalizers", "ownerReferences"):
        if not meta.get(field):
            meta.pop(field, None)
    if kind in ("ConfigMap", "Secret"):
        for field in ("data", "binaryData", "stringData"):
            _strings(kind, field, obj.get(field))
            if not obj.get(field):
                obj.pop(field, None)
    template = _template(obj)
    if template is not None:
        template.setdefault("metadata", {})
        _decode_pod_spec(kind, template.setdefault("spec", {}))


def _strings(kind: str, field: str, values: Any) -> None:
    for value in (values or {}).values():
        if not isinstance(value, str):
            what = "bool" if isinstance(value, bool) else type(value).__name__
            raise bad_request(
                f"{kind} in version is unrecognized: json: cannot unmarshal {what} into Go struct "
                f"field {kind}.{field} of type string"
            )


def _decode_pod_spec(kind: str, spec: Obj) -> None:
    for field in ("tolerations", "volumes", "initContainers", "nodeSelector", "hostNetwork"):
        if not spec.get(field):
            spec.pop(field, None)
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        for field in ("env", "volumeMounts", "ports", "args", "command"):
            if not container.get(field):
                container.pop(field, None)
        for variable in container.get("env") or ():
            _strings(kind, "env.value", {k: v for k, v in variable.items() if k == "value"})
            if variable.get("value") == "":  # omitempty: an empty value is not kept
                del variable["value"]


def _default_container(container: Obj) -> None:
    image = str(container.get("image", ""))
    latest = ":" not in image.rpartition("/")[2] or image.endswith(":latest")
    pull = "Always" if latest and "@" not in image else "IfNotPresent"
    container.setdefault("imagePullPolicy", pull)
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for variable in container.get("env") or ():
        field = (variable.get("valueFrom") or {}).get("fieldRef")
        if field:
            field.setdefault("apiVersion", "v1")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(probe):
            for key, value in _PROBE.items():
                container[probe].setdefault(key, value)


_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


def _default_pod_spec(spec: Obj) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    if spec.get("serviceAccountName"):
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        _default_container(container)
    for volume in spec.get("volumes") or ():
        if "hostPath" in volume:
            volume["hostPath"].setdefault("type", "")
        for source in ("configMap", "secret", "projected"):
            if source in volume:
                volume[source].setdefault("defaultMode", 420)


def _rolling(spec: Obj, field: str, unavailable: Any, surge: Any) -> None:
    strategy = spec.setdefault(field, {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", unavailable)
        rolling.setdefault("maxSurge", surge)


def _default_daemonset(obj: Obj) -> None:
    _rolling(obj["spec"], "updateStrategy", 1, 0)
    obj["spec"].setdefault("revisionHistoryLimit", 10)


def _default_deployment(obj: Obj) -> None:
    spec = obj["spec"]
    spec.setdefault("replicas", 1)
    if (spec.get("strategy") or {}).get("type") != "Recreate":
        _rolling(spec, "strategy", "25%", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)


def _default_service(obj: Obj) -> None:
    spec = obj["spec"]
    kind = spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("internalTrafficPolicy", "Cluster")
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port["port"])
    if kind != "ExternalName" and spec.get("clusterIP"):
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
        spec.setdefault("ipFamilies", ["IPv6" if ":" in spec["clusterIP"] else "IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")


def _default_namespace(obj: Obj) -> None:
    obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    labels = obj["metadata"].setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")


def _default_secret(obj: Obj) -> None:
    obj.setdefault("type", "Opaque")
    for key, value in (obj.pop("stringData", None) or {}).items():
        obj.setdefault("data", {})[key] = base64.b64encode(value.encode()).decode()


def _default_node(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    if spec.get("podCIDR"):
        spec.setdefault("podCIDRs", [spec["podCIDR"]])


def _default_binding(obj: Obj) -> None:
    group = "rbac.authorization.k8s.io"
    obj.get("roleRef", {}).setdefault("apiGroup", group)
    for subject in obj.get("subjects") or ():
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", group)


def _default_crd(obj: Obj) -> None:
    spec = obj["spec"]
    spec.setdefault("conversion", {"strategy": "None"})
    names = spec["names"]
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", f"{names['kind']}List")


_DEFAULTS: dict[str, Callable[[Obj], None]] = {
    "DaemonSet": _default_daemonset,
    "Deployment": _default_deployment,
    "Service": _default_service,
    "Namespace": _default_namespace,
    "Secret": _default_secret,
    "Node": _default_node,
    "ClusterRoleBinding": _default_binding,
    "RoleBinding": _default_binding,
    "CustomResourceDefinition": _default_crd,
}


def fill_defaults(obj: Obj) -> None:
    """Write the defaults of a built-in kind, in place."""
    if obj["kind"] not in ("ConfigMap", "Secret") and "spec" in obj and obj["spec"] is None:
        obj["spec"] = {}
    if obj["kind"] in (*WORKLOADS, "Service", "CustomResourceDefinition"):
        obj.setdefault("spec", {})
    template = _template(obj)
    if template is not None:
        _default_pod_spec(template["spec"])
    default = _DEFAULTS.get(obj["kind"])
    if default:
        default(obj)


def on_create(obj: Obj) -> None:
    """Do what only creation does: the status it starts with, the not-ready taint of a Node."""
    kind = obj["kind"]
    if kind == "Namespace":
        obj["status"] = {"phase": "Active"}
    elif kind == "Pod":
        obj["status"] = {"phase": "Pending", "qosClass": "BestEffort"}
    elif kind == "DaemonSet":
        notes = obj["metadata"].setdefault("annotations", {})
        notes["deprecated.daemonset.template.generation"] = "1"
        counts = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled")
        obj["status"] = dict.fromkeys((*counts, "numberReady"), 0)
    elif kind == "Node":
        taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
        taints = obj["spec"].setdefault("taints", [])
        if taint not in taints:
            taints.append(taint)


def on_update(old: Obj, new: Obj) -> None:
    """Keep the DaemonSet's count of templates, which a client cannot write."""
    if new["kind"] != "DaemonSet":
        return
    key = "deprecated.daemonset.template.generation"
    count = int((old["metadata"].get("annotations") or {}).get(key, "1"))
    count += old["spec"].get("template") != new["spec"].get("template")
    new["metadata"].setdefault("annotations", {})[key] = str(count)


def validate(resource: Resource, obj: Obj, old: Obj | None) -> list[Cause]:
    """Return what is wrong with an object of a built-in kind, as far as the double looks."""
    kind = resource.kind
    if kind == "ConfigMap":
        return list(_check_config_map(obj))
    if kind in ("DaemonSet", "Deployment"):
        return [*_check_workload(obj, old), *_check_containers(obj["spec"], "spec.template.spec")]
    if kind == "Pod":
        return list(_check_containers({"template": obj}, "spec"))
    if kind in ("ClusterRoleBinding", "RoleBinding") and old and obj["roleRef"] != old["roleRef"]:
        return [Cause("FieldValueInvalid", "roleRef", "Invalid value: cannot change roleRef")]
    return []


def _check_config_map(obj: Obj) -> Iterator[Cause]:
    for key in {**(obj.get("data") or {}), **(obj.get("binaryData") or {})}:
        if not _CONFIG_KEY.match(key):
            why = f'Invalid value: "{key}": a valid config key must consist of'
            yield Cause("FieldValueInvalid", f"data[{key}]", f"{why} alphanumeric characters")


def _check_workload(obj: Obj, old: Obj | None) -> Iterator[Cause]:
    spec = obj["spec"]
    selector = spec.get("selector")
    if not selector:
        yield Cause("FieldValueRequired", "spec.selector", "Required value")
        return
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        why = "Invalid value: `selector` does not match template `labels`"
        yield Cause("FieldValueInvalid", "spec.template.metadata.labels", why)
    if old is not None and old["spec"].get("selector") != selector:
        yield Cause("FieldValueInvalid", "spec.selector", "Invalid value: field is immutable")


def _check_containers(spec: Obj, path: str) -> Iterator[Cause]:
    pod = (spec.get("template") or {}).get("spec") or {}
    containers = pod.get("containers") or []
    if not containers:
        yield Cause("FieldValueRequired", f"{path}.containers", "Required value")
    for index, container in enumerate(containers):
        for field in ("name", "image"):
            if not container.get(field):
                where = f"{path}.containers[{index}].{field}"
                yield Cause("FieldValueRequired", where, "Required value")
        for number, variable in enumerate(container.get("env") or ()):
            if not variable.get("name"):
                where = f"{path}.containers[{index}].env[{number}].name"
                yield Cause("FieldValueRequired", where, "Required value")


def pick_cluster_ip(spec: Obj, used: set[str]) -> None:
    """Give a Service an address of the service range, unless it has one or is headless."""
    if spec.get("clusterIP") or spec.get("type") == "ExternalName":
        return
    for number in range(10, SERVICE_RANGE.num_addresses - 1):
        address = str(SERVICE_RANGE[number])
        if address not in used:
            spec["clusterIP"] = address
            return
    raise ApiError(500, "InternalError", "failed to allocate a serviceIP: range is full")
