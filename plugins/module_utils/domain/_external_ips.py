# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a change of ExternalIPPools and Egresses has to know of the cluster. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan, Step
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_tables as tables
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _ip_ranges as ip
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _ownership
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_model import Config
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_tables import AGENT
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Edit, Obj, title
from ansible_collections.k8snet.cni.plugins.module_utils.domain._yaml import to_yaml

API_VERSION = "crd.antrea.io/v1beta1"
POOL, EGRESS = "ExternalIPPool", "Egress"
PATHS = {POOL: f"/apis/{API_VERSION}/externalippools", EGRESS: f"/apis/{API_VERSION}/egresses"}
#: On a Service: the pool that its address is from.
POOL_OF_SERVICE = "service.antrea.io/external-ip-pool"
JSON_PATCH = "application/json-patch+json"
_SHOWN = 20


@dataclass(frozen=True)
class World:
    """Antrea's configuration, and whole or trimmed objects; None: that kind is not served.

    ``waiting``: why processes run with another configuration than the files', None if they do not.
    """

    config: Config
    version: str | None = None
    waiting: str | None = None
    pools: Sequence[Obj] | None = ()
    egresses: Sequence[Obj] | None = ()
    services: Sequence[Obj] = ()
    nodes: Sequence[Obj] = ()
    service_cidrs: Sequence[str] = ()
    pods: Sequence[Obj] = ()
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of(self, kind: str, name: str) -> Obj | None:
        """Return an object, None if there is none. Raises `Refused` if its kind is not served."""
        found = self.pools if kind == POOL else self.egresses
        if found is None:
            raise Refused(
                f"Found no {kind} in {API_VERSION}: the API server does not serve it. Antrea "
                f"{self.version or '(no version)'} runs; it is served since v1.13, when its CRDs "
                "are installed."
            )
        return next((o for o in found if o["metadata"]["name"] == name), None)

    def ahead(self, pool: Obj | None, gone: Sequence[str]) -> World:
        """Return the world with a pool that there is not yet, and without Egresses."""
        pools, egresses = self.pools, self.egresses
        if pool is not None and pools is not None:
            name = pool["metadata"]["name"]
            if all(p["metadata"]["name"] != name for p in pools):
                pools = [*pools, pool]
        if egresses is not None:
            egresses = [e for e in egresses if e["metadata"]["name"] not in gone]
        return replace(self, pools=pools, egresses=egresses)

    def older(self, version: tuple[int, int]) -> bool:
        """Tell whether Antrea is known to be older."""
        return self.config.version is not None and self.config.version < version

    def egresses_of(self, pool: str) -> list[Obj]:
        """Return the Egresses that take their address from a pool."""
        return [
            egress
            for egress in self.egresses or ()
            if pool == egress["spec"].get("externalIPPool")
            or pool in (egress["spec"].get("externalIPPools") or ())
        ]

    def services_of(self, pool: str) -> list[Obj]:
        """Return the Services that take their address from a pool."""
        return [service for service in self.services if service["pool"] == pool]


@dataclass(frozen=True)
class Act:
    """One request."""

    method: str
    path: str
    body: Any = None
    content_type: str = "application/json"


@dataclass(frozen=True)
class Change:
    """The plan, the one request that carries it out, and what a person should know.

    ``before`` and ``after``: the object, None where there is none.
    """

    plan: Plan
    act: Act | None = None
    before: Obj | None = None
    after: Obj | None = None
    advice: tuple[str, ...] = ()


@dataclass(frozen=True)
class Problem:
    """Something that is wrong; ``parts`` are those of the object that it concerns (none: all)."""

    what: str
    parts: frozenset[str] = frozenset()


def trim_service(obj: Obj) -> Obj:
    """Return what counts of a Service: its pool, and the addresses by which it is reached."""
    meta, spec = obj["metadata"], obj.get("spec") or {}
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    addresses = [
        *(spec.get("clusterIPs") or [spec.get("clusterIP")]),
        spec.get("loadBalancerIP"),
        *(spec.get("externalIPs") or ()),
        *(entry.get("ip") for entry in ingress),
    ]
    return {
        "name": f"{meta.get('namespace')}/{meta['name']}",
        "pool": (meta.get("annotations") or {}).get(POOL_OF_SERVICE),
        "addresses": list(dict.fromkeys(str(a) for a in addresses if a and a != "None")),
    }


def trim_node(obj: Obj) -> Obj:
    """Return what counts of a Node."""
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    ready = [c.get("status") for c in status.get("conditions") or () if c.get("type") == "Ready"]
    transport = (meta.get("annotations") or {}).get("node.antrea.io/transport-addresses") or ""
    return {
        "name": meta["name"],
        "labels": meta.get("labels") or {},
        "addresses": list(
            dict.fromkeys(
                [
                    *(str(a.get("address")) for a in status.get("addresses") or ()),
                    *(part.strip() for part in transport.split(",") if part.strip()),
                ]
            )
        ),
        "pod_cidrs": spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else []),
        "ready": ready == ["True"],
    }


def trim_pod(obj: Obj) -> Obj | None:
    """Return what counts of a pod, None for one that no Egress applies to."""
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    over = status.get("phase") in ("Succeeded", "Failed")
    if spec.get("hostNetwork") or not spec.get("nodeName") or over:
        return None
    return {
        "namespace": meta.get("namespace"),
        "name": meta["name"],
        "labels": meta.get("labels") or {},
    }


def target_of(kind: str, name: str) -> Obj:
    """Return kind, namespace and name."""
    return {"kind": kind, "namespace": None, "name": name}


def body_of(kind: str, name: str, spec: Obj) -> Obj:
    """Return an object to be made."""
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def creation(kind: str, name: str, spec: Obj, words: str) -> Change:
    """Return the change that makes an object."""
    body = body_of(kind, name, spec)
    step = Step(words, title(target_of(kind, name)), None, spec)
    return Change(Plan((step,)), Act("POST", PATHS[kind], body), None, body)


def editing(edit: Edit) -> Change:
    """Return the change that an edit makes of an object."""
    write = edit.write()
    if write is None:
        return Change(Plan(), None, edit.before, edit.before)
    act = Act("PATCH", write.path, list(write.operations), JSON_PATCH)
    return Change(Plan(tuple(edit.steps)), act, edit.before, edit.after)


def removal(obj: Obj, words: str) -> Change:
    """Return the change that deletes an object, and no newer one of its name."""
    meta = obj["metadata"]
    body = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]},
    }
    step = Step(words, title(target_of(obj["kind"], meta["name"])), obj["spec"], None)
    act = Act("DELETE", f"{PATHS[obj['kind']]}/{meta['name']}", body)
    return Change(Plan((step,)), act, obj, None)


def edit_of(obj: Obj, whole: tuple[tuple[str, ...], ...]) -> Edit:
    """Return an edit of an object."""
    name = obj["metadata"]["name"]
    return Edit(obj, target_of(obj["kind"], name), f"{PATHS[obj['kind']]}/{name}", whole)


def check_owner(change: Change, name: str, override: bool) -> None:
    """Raise `Refused` if somebody owns the object and would revert the change."""
    if override or change.before is None or not change.plan.changed:
        return
    kind = change.before["kind"]

    def commit(by: str) -> str:
        if change.after is None:
            return f"(remove it there) {title(target_of(kind, name))}\n"
        return to_yaml(body_of(kind, name, change.after["spec"]))

    refusal = _ownership.refusal_of(change.before, target_of(kind, name), commit)
    if refusal:
        raise Refused(refusal)


def gate_problem(world: World, name: str, why: str) -> str | None:
    """Say that a gate is not on, and how to switch it on."""
    gate = tables.gate(name, world.config.version)
    if gate is None or gate.stage is None:
        return None  # the version's own limit says more
    off = [c for c in gate.components if not world.config.enabled(c, name)]
    if not off:
        return None
    return (
        f"feature gate {name} is off in antrea-{' and antrea-'.join(off)}, so {why}. Switch it on "
        f"with k8snet.cni.antrea_config (feature_gates: {{{name}: true}}) and restart Antrea, or "
        "run the playbook k8snet.cni.antrea_features, which does both"
    )


def egress_problems(world: World, parts: frozenset[str] = frozenset()) -> Iterator[Problem]:
    """Say why Antrea would realize no Egress."""
    off = gate_problem(world, "Egress", "no Egress would be realized")
    if off:
        yield Problem(off, parts)
    mode = str(world.config.get(AGENT, "trafficEncapMode") or "encap")
    if mode.lower() not in ("encap", "hybrid"):
        yield Problem(
            f"trafficEncapMode is {mode}, and Antrea's Egress works in encap and hybrid only. "
            "Nothing short of another mode helps",
            parts,
        )


def subnet_problems(world: World, parts: frozenset[str] = frozenset()) -> Iterator[Problem]:
    """Say why Antrea would not heed a pool's subnet."""
    if world.older((1, 15)):
        yield Problem(
            f"Antrea {world.version} knows no subnet of its own for a pool; v1.15 does. Upgrade "
            "Antrea, or leave 'subnet' out and take addresses of the nodes' own network",
            parts,
        )
        return
    off = gate_problem(world, "EgressSeparateSubnet", "the pool's subnet would be ignored")
    if off:
        yield Problem(off, parts)


def judge(
    problems: Sequence[Problem], changed: bool, parts: frozenset[str] | None, what: str
) -> tuple[str, ...]:
    """Return problems as advice, or raise `Refused` where a change meets one.

    ``parts``: those that change, None: all of the object is new.
    """
    if changed:
        met = [p for p in problems if parts is None or not p.parts or p.parts & parts]
        if met:
            said = "\n".join(f"- {p.what}." for p in met)
            raise Refused(f"Refused to change {what}:\n{said}")
    return tuple(f"{p.what}." for p in problems)


def few(names: Sequence[str]) -> str:
    """Return names in a line, not more than a reader takes in."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def ranges_of(pool: Obj) -> list[ip.Range]:
    """Return a pool's ranges, without what is none."""
    return ip.readable(pool["spec"].get("ipRanges") or ())
