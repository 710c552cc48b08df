# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which resources the API double serves: the built-in ones it knows, and those of loaded CRDs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.lab.api.errors import Obj, qualified

CRD_GROUP = "apiextensions.k8s.io"
CRUD = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Resource:
    """One served resource in one version. ``key`` names its storage, shared by all versions."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    status: bool = False
    generation: bool = False
    custom: bool = False
    create_only: bool = False
    list_kind: str = ""
    schema: Obj | None = field(default=None, hash=False, compare=False)
    selectable: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        return self.group, self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def list_name(self) -> str:
        return self.list_kind or f"{self.kind}List"

    @property
    def qualified(self) -> str:
        return qualified(self.plural, self.group)


def _builtin(spec: str) -> Resource:
    """Read one line of the table below."""
    group_version, plural, kind, flags, shorts = (*spec.split(), "", "")[:5]
    group, _unused, version = group_version.rpartition("/")
    return Resource(
        group=group,
        version=version,
        plural=plural,
        kind=kind,
        singular=kind.lower(),
        namespaced="n" in flags,
        status="s" in flags,
        generation="g" in flags,
        create_only="c" in flags,
        short_names=tuple(shorts.split(",")) if shorts else (),
    )


# flags: n namespaced, s status subresource, g metadata.generation, c create only, - none
_TABLE = """
v1 namespaces Namespace s ns
v1 nodes Node s no
v1 pods Pod ns po
v1 services Service ns svc
v1 endpoints Endpoints n ep
v1 configmaps ConfigMap n cm
v1 secrets Secret n
v1 serviceaccounts ServiceAccount n sa
v1 events Event n ev
apps/v1 daemonsets DaemonSet nsg ds
apps/v1 deployments Deployment nsg deploy
apps/v1 replicasets ReplicaSet nsg rs
apps/v1 statefulsets StatefulSet nsg sts
apps/v1 controllerrevisions ControllerRevision n
batch/v1 jobs Job nsg
batch/v1 cronjobs CronJob nsg cj
policy/v1 poddisruptionbudgets PodDisruptionBudget nsg pdb
networking.k8s.io/v1 networkpolicies NetworkPolicy ng netpol
discovery.k8s.io/v1 endpointslices EndpointSlice ng
coordination.k8s.io/v1 leases Lease n
rbac.authorization.k8s.io/v1 clusterroles ClusterRole -
rbac.authorization.k8s.io/v1 clusterrolebindings ClusterRoleBinding -
rbac.authorization.k8s.io/v1 roles Role n
rbac.authorization.k8s.io/v1 rolebindings RoleBinding n
apiextensions.k8s.io/v1 customresourcedefinitions CustomResourceDefinition sg crd,crds
apiregistration.k8s.io/v1 apiservices APIService s
admissionregistration.k8s.io/v1 mutatingwebhookconfigurations MutatingWebhookConfiguration g
admissionregistration.k8s.io/v1 validatingwebhookconfigurations ValidatingWebhookConfiguration g
authentication.k8s.io/v1 selfsubjectreviews SelfSubjectReview c
authorization.k8s.io/v1 selfsubjectaccessreviews SelfSubjectAccessReview c
authorization.k8s.io/v1 subjectaccessreviews SubjectAccessReview c
"""
BUILTIN = tuple(_builtin(line) for line in _TABLE.split("\n") if line)


def from_crd(crd: Obj) -> list[Resource]:
    """Return one resource per served version of a CustomResourceDefinition object."""
    spec = crd["spec"]
    names = spec["names"]
    out = []
    for version in spec["versions"]:
        if not version.get("served"):
            continue
        out.append(
            Resource(
                group=spec["group"],
                version=version["name"],
                plural=names["plural"],
                kind=names["kind"],
                singular=names.get("singular") or names["kind"].lower(),
                namespaced=spec["scope"] == "Namespaced",
                short_names=tuple(names.get("shortNames") or ()),
                categories=tuple(names.get("categories") or ()),
                status="status" in (version.get("subresources") or {}),
                generation=True,
                custom=True,
                list_kind=names.get("listKind") or f"{names['kind']}List",
                schema=(version.get("schema") or {}).get("openAPIV3Schema"),
                selectable=tuple(
                    item["jsonPath"].lstrip(".") for item in version.get("selectableFields") or ()
                ),
            )
        )
    return out


def _version_order(version: str) -> tuple[int, ...]:
    """Sort as Kubernetes does: v2, v1, v1beta2, v1beta1, v1alpha1 (GA first, newest first)."""
    rest = version.lstrip("v")
    for rank, word in ((1, "beta"), (2, "alpha")):
        major, found, minor = rest.partition(word)
        if found and major.isdigit():
            return (rank, -int(major), -int(minor or 0))
    return (0, -int(rest), 0) if rest.isdigit() else (3, 0, 0)


class Registry:
    """The served resources. Replaced as a whole when a CRD comes or goes: readers need no lock."""

    def __init__(self) -> None:
        self._builtin = {(r.group, r.version, r.plural): r for r in BUILTIN}
        self._all: dict[tuple[str, str, str], Resource] = dict(self._builtin)

    def load(self, crds: list[Obj]) -> None:
        """Serve the built-in resources and those of ``crds``."""
        table = dict(self._builtin)
        for crd in crds:
            for resource in from_crd(crd):
                table[(resource.group, resource.version, resource.plural)] = resource
        self._all = table

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        return self._all.get((group, version, plural))

    def any_version(self, group: str, plural: str) -> Resource | None:
        for (one_group, _version, one_plural), resource in self._all.items():
            if (one_group, one_plural) == (group, plural):
                return resource
        return None

    def group_versions(self) -> dict[str, list[str]]:
        """Return the versions of each group, preferred first. The core group is ``""``."""
        out: dict[str, set[str]] = {}
        for group, version, _plural in self._all:
            out.setdefault(group, set()).add(version)
        return {group: sorted(versions, key=_version_order) for group, versions in out.items()}

    def in_version(self, group: str, version: str) -> list[Resource]:
        return [r for (g, v, _p), r in sorted(self._all.items()) if (g, v) == (group, version)]


def status_of(obj: Obj) -> dict[str, Any]:
    """Return ``status`` of an object, empty when it has none."""
    found = obj.get("status")
    return found if isinstance(found, dict) else {}
