# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An Egress: what is made, changed or removed, what is refused, when it is in effect. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _egress_rules as rules
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _ip_ranges as ip
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Edit, Obj
from ansible_collections.k8snet.cni.plugins.module_utils.domain._external_ips import (
    EGRESS,
    POOL,
    Change,
    World,
    check_owner,
    creation,
    edit_of,
    editing,
    few,
    judge,
    removal,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._label_selector import (
    plain_selector,
    same_selector,
    those,
)

PODS = ("spec", "appliedTo")
ADDRESS = ("spec", "egressIP")
FROM = ("spec", "externalIPPool")
BANDWIDTH = ("spec", "bandwidth")
_PARTS = {
    ".".join(PODS): rules.PODS,
    ".".join(ADDRESS): rules.SOURCE,
    ".".join(FROM): rules.SOURCE,
    ".".join(BANDWIDTH): rules.BANDWIDTH,
}
#: Of what Antrea reports since v1.14, for an Egress with a pool.
ALLOCATED, ASSIGNED = "IPAllocated", "IPAssigned"


@dataclass(frozen=True)
class Want:
    """An Egress as it is asked for. A selector that is None is not set.

    ``planned_pool``: a pool that is taken for made, whole.
    """

    name: str
    state: str = "present"
    namespace_selector: Mapping[str, Any] | None = None
    pod_selector: Mapping[str, Any] | None = None
    pool: str | None = None
    egress_ip: str | None = None
    bandwidth: Mapping[str, str] | None = field(default=None)
    override_owner: bool = False
    planned_pool: Obj | None = None

    @property
    def applied_to(self) -> Obj:
        """The selectors as the object has them."""
        pairs = {"podSelector": self.pod_selector, "namespaceSelector": self.namespace_selector}
        return {key: plain_selector(s) for key, s in pairs.items() if s is not None}


def plan_egress(world: World, want: Want) -> Change:
    """Return what makes the cluster as asked for. Raises `Refused`."""
    world = world.ahead(want.planned_pool, ())
    have = world.of(EGRESS, want.name)
    if want.state == "absent":
        return _remove(world, want, have)
    change = _create(want) if have is None else _edit(world, want, have)
    spec = (change.after or {})["spec"]
    changed: frozenset[str] | None = None
    if have is not None:
        paths = [step.target.rpartition(": ")[2] for step in change.plan.steps]
        changed = frozenset(_PARTS[path] for path in paths if path in _PARTS)
    found = rules.problems(world, want.name, spec)
    advice = judge(found, change.plan.changed, changed, f"Egress {want.name}")
    check_owner(change, want.name, want.override_owner)
    pods = rules.pods_of(world, spec["appliedTo"])
    return replace(change, advice=(*advice, *rules.notes(world, want.name, spec, pods)))


def _create(want: Want) -> Change:
    spec: Obj = {"appliedTo": want.applied_to}
    if want.egress_ip:
        spec["egressIP"] = ip.plain(want.egress_ip)
    if want.pool:
        spec["externalIPPool"] = want.pool
    if want.bandwidth:
        spec["bandwidth"] = dict(want.bandwidth)
    words = f"Create the Egress: {_who(spec['appliedTo'])} leave with {_source(want)}"
    return creation(EGRESS, want.name, spec, words)


def _source(want: Want) -> str:
    source = want.egress_ip or "an address"
    source += f" of the pool {want.pool}" if want.pool else ""
    if want.bandwidth:
        source += f", at {want.bandwidth['rate']} with bursts of {want.bandwidth['burst']}"
    return source


def _who(applied_to: Obj) -> str:
    words = those("pods", applied_to.get("podSelector") or {})
    if "namespaceSelector" in applied_to:
        words += f" in {those('namespaces', applied_to['namespaceSelector'])}"
    return words


def _edit(world: World, want: Want, have: Obj) -> Change:
    edit = edit_of(have, (PODS, BANDWIDTH))
    now, wanted = edit.get(PODS) or {}, want.applied_to
    if not all(same_selector(now.get(key), wanted.get(key)) for key in {*now, *wanted}):
        edit.put(PODS, wanted, f"Apply it to {_who(wanted)}; other pods lose its address")
    _set_source(edit, world, want)
    if want.bandwidth:
        rate, burst = want.bandwidth["rate"], want.bandwidth["burst"]
        edit.put(BANDWIDTH, dict(want.bandwidth), f"Limit it to {rate} with bursts of {burst}")
    else:
        edit.drop(BANDWIDTH, "Take its limit of bandwidth away")
    return editing(edit)


def _set_source(edit: Edit, world: World, want: Want) -> None:
    """Set pool and address; an address that Antrea gave of a former pool goes with that."""
    breaks = "; connections by its former address break"
    address, pool = edit.get(ADDRESS), edit.get(FROM) or None
    if want.pool and pool != want.pool:
        edit.put(FROM, want.pool, f"Take its address of the pool {want.pool}{breaks}")
        given = world.of(POOL, want.pool)
        if not want.egress_ip and address and not rules.in_ranges(given, address):
            edit.drop(ADDRESS, f"Give {address} back")
    elif not want.pool and pool:
        edit.drop(FROM, f"Take its address of no pool any more (was {pool}){breaks}")
    if want.egress_ip and not ip.same_address(address, want.egress_ip):
        edit.put(ADDRESS, ip.plain(want.egress_ip), f"Let pods leave with {want.egress_ip}{breaks}")


def _remove(world: World, want: Want, have: Obj | None) -> Change:
    if have is None:
        return Change(Plan())
    pods = rules.pods_of(world, have["spec"].get("appliedTo") or {})
    address = (have.get("status") or {}).get("egressIP") or have["spec"].get("egressIP")
    lose = f"no pod loses {address or 'an address'}"
    if pods:
        lose = (
            f"{few(pods)} lose{'s' if len(pods) == 1 else ''} the address {address or '(none yet)'}"
        )
    change = removal(have, f"Remove the Egress; {lose}")
    check_owner(change, want.name, want.override_owner)
    return change


# -- its status ------------------------------------------------------------------------


def conditions(obj: Obj) -> dict[str, Obj]:
    """Return the conditions by type."""
    found = (obj.get("status") or {}).get("conditions") or ()
    return {str(condition.get("type")): condition for condition in found}


def _true(obj: Obj, kind: str) -> bool | None:
    condition = conditions(obj).get(kind)
    return None if condition is None else condition.get("status") == "True"


def facts(obj: Obj) -> Obj:
    """Return ``egress`` of the module's result."""
    status, spec = obj.get("status") or {}, obj["spec"]
    said = [str(c.get("message")) for c in conditions(obj).values() if c.get("status") != "True"]
    return {
        "name": obj["metadata"]["name"],
        "ip": spec.get("egressIP") or None,
        "node": status.get("egressNode") or None,
        "pool": spec.get("externalIPPool") or None,
        "allocated": _true(obj, ALLOCATED),
        "assigned": _true(obj, ASSIGNED),
        "conditions": list(status.get("conditions") or ()),
        "message": "; ".join(said) or None,
    }


def missing(world: World, obj: Obj) -> str | None:
    """Return what an Egress lacks to be in effect, None if nothing.

    A node that holds the address is not enough: it may be that of before a change.
    """
    status, spec = obj.get("status") or {}, obj["spec"]
    found = []
    if spec.get("externalIPPool") and _reports(world, obj):
        for kind in (ALLOCATED, ASSIGNED):
            condition = conditions(obj).get(kind)
            if condition is None:
                found.append(f"{kind} is not reported yet")
            elif condition.get("status") != "True":
                found.append(f"{kind} is {condition.get('status')}: {condition.get('message')}")
    if not spec.get("egressIP"):
        found.append("it has no address yet")
    elif not status.get("egressNode"):
        found.append(f"no node has {spec['egressIP']}")
    elif not ip.same_address(status.get("egressIP"), spec["egressIP"]):
        found.append(f"{status['egressNode']} still has {status.get('egressIP')}")
    return "; ".join(found) or None


def _reports(world: World, obj: Obj) -> bool:
    """Tell whether Antrea reports conditions, as it does since v1.14."""
    known = world.config.version is not None
    return not world.older((1, 14)) if known else bool(conditions(obj))


def where_to_look(world: World, obj: Obj) -> str:
    """Return what explains an Egress that does not come into effect."""
    name = obj["metadata"]["name"]
    spec, said = obj["spec"], []
    pool = world.of(POOL, spec["externalIPPool"]) if spec.get("externalIPPool") else None
    if pool is None:
        said.append(f"without a pool, {spec.get('egressIP')} has to be put on a node by hand")
    else:
        nodes = rules.nodes_of(world, pool)
        ready = [node["name"] for node in nodes if node["ready"]]
        kind = those("nodes", pool["spec"].get("nodeSelector") or {})
        usage = (pool.get("status") or {}).get("usage") or {}
        said.append(
            f"the pool {spec['externalIPPool']} has given {usage.get('used', '?')} of "
            f"{usage.get('total', '?')} addresses, for {kind}, of which are ready: "
            f"{few(ready) or 'none'}"
        )
        said.append(
            "agents have to reach each other on port 10351, TCP and UDP, and "
            "egress.maxEgressIPsPerNode limits what a node takes"
        )
    if world.waiting:
        said.append(f"Antrea has not read its ConfigMap: {world.waiting}")
    said.append(
        f"kubectl get egress {name} -o yaml, and the logs of antrea-controller and of "
        "antrea-agent on these nodes, say more"
    )
    return "Look at this: " + "; ".join(said) + "."
