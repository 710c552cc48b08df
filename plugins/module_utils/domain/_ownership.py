# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who owns an object and would revert or fight a change of it; what to commit there. Pure.

Sources: helm.sh/docs (labels and annotations of releases), argo-cd.readthedocs.io (resource
tracking), fluxcd.io/flux (labels of kustomize and helm controller), kubernetes
``cluster/addons/addon-manager``, kops (addons), k3s/rke2 (``objectset.rio.cattle.io``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _calico_fields as fields
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj, title
from ansible_collections.k8snet.cni.plugins.module_utils.domain._remedies import operator_value
from ansible_collections.k8snet.cni.plugins.module_utils.domain._yaml import to_yaml

# What marks an owner: (owner, labels or annotations, key, value that it needs or None for any).
# The stronger mark comes first: what Argo CD or Flux deploys often bears Helm's marks too.
_MARKS: tuple[tuple[str, str, str, str | None], ...] = (
    ("argocd", "annotations", "argocd.argoproj.io/tracking-id", None),
    ("argocd", "annotations", "argocd.argoproj.io/installation-id", None),
    ("argocd", "labels", "argocd.argoproj.io/instance", None),
    ("flux", "labels", "kustomize.toolkit.fluxcd.io/name", None),
    ("flux", "labels", "helm.toolkit.fluxcd.io/name", None),
    ("addon-manager", "labels", "addonmanager.kubernetes.io/mode", "Reconcile"),
    ("addon-manager", "labels", "addon.kops.k8s.io/name", None),
    ("addon-manager", "annotations", "objectset.rio.cattle.io/owner-name", None),
    ("addon-manager", "annotations", "objectset.rio.cattle.io/id", None),
    ("helm", "annotations", "meta.helm.sh/release-name", None),
    ("helm", "labels", "app.kubernetes.io/managed-by", "Helm"),
)
_MANAGERS = {
    "argocd-controller": "argocd",
    "argocd-application-controller": "argocd",
    "kustomize-controller": "flux",
    "helm-controller": "flux",
    "helm": "helm",
    "kube-addon-manager": "addon-manager",
    "deploy@": "addon-manager",  # k3s and rke2: deploy@<server's name>
}
NAMES = {
    "argocd": "Argo CD",
    "flux": "Flux",
    "helm": "Helm",
    "addon-manager": "an add-on manager",
}


def owner_of(obj: Obj) -> Obj:
    """Return ``{by, evidence}``; ``by``: argocd, flux, helm, addon-manager or None."""
    meta = obj.get("metadata") or {}
    for by, part, key, value in _MARKS:
        found = (meta.get(part) or {}).get(key)
        if found is not None and value in (None, found):
            return {"by": by, "evidence": f"{part[:-1]} {key}: {found}"}
    for entry in meta.get("managedFields") or ():
        name = str(entry.get("manager"))
        by_name = next((by for m, by in _MANAGERS.items() if _matches(name, m)), None)
        if by_name:
            return {"by": by_name, "evidence": f"managedFields: manager {name}"}
    return {"by": None, "evidence": None}


def _matches(name: str, manager: str) -> bool:
    return name.startswith(manager) if manager.endswith("@") else name == manager


def snippet(obj: Obj, target: Obj, by: str, methods: Mapping[int, str]) -> str:
    """Return what to commit where the object is kept, as YAML."""
    if target["kind"] == "DaemonSet":
        return _variables(target, methods)
    network: dict[str, Any] = {}
    now = (obj.get("spec") or {}).get("calicoNetwork") or {}
    for family, method in methods.items():
        name = fields.field(family)[-1]
        value: dict[str, Any] = dict(operator_value(method))
        if by == "helm":
            # Values are merged with the chart's: only null takes a key away again.
            value = {**{key: None for key in now.get(name) or {} if key not in value}, **value}
        network[name] = value
    if by == "helm" and target["name"] == "default":
        return to_yaml({"installation": {"calicoNetwork": network}})
    return to_yaml(
        {
            "apiVersion": "operator.tigera.io/v1",
            "kind": "Installation",
            "metadata": {"name": target["name"]},
            "spec": {"calicoNetwork": network},
        }
    )


def _variables(target: Obj, methods: Mapping[int, str]) -> str:
    env = []
    for family, method in methods.items():
        address, variable = fields.variables(family)
        env.append({"name": address, "value": "autodetect"})
        env.append({"name": variable, "value": method})
    container = {"name": fields.CONTAINER, "env": env}
    return to_yaml(
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"namespace": target["namespace"], "name": target["name"]},
            "spec": {"template": {"spec": {"containers": [container]}}},
        }
    )


def refusal(obj: Obj, target: Obj, methods: Mapping[int, str]) -> str | None:
    """Return why an owned object is not changed, with what to commit; None if nobody owns it."""
    return refusal_of(obj, target, lambda by: snippet(obj, target, by, methods) if methods else "")


def refusal_of(obj: Obj, target: Obj, commit: Callable[[str], str]) -> str | None:
    """Do the same for any object; ``commit`` returns what to commit where its owner keeps it."""
    owner = owner_of(obj)
    if owner["by"] is None:
        return None
    where = {
        "helm": "to the release's values",
        "argocd": "to the repository that Argo CD syncs",
        "flux": "to the repository that Flux syncs",
        "addon-manager": "to the add-on's manifest or configuration",
    }[owner["by"]]
    return (
        f"Refused to change {title(target)}: it belongs to {NAMES[owner['by']]} "
        f"({owner['evidence']}), which would revert the change or fight over it. Commit this "
        f"{where}:\n{commit(owner['by'])}In an emergency set override_owner (in the playbooks "
        "k8snet_override_owner: true), and commit afterwards all the same."
    )
