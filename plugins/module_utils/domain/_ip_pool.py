# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An ExternalIPPool: what is made, changed or removed, and what is refused. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _ip_pool_rules as rules
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _ip_ranges as ip
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj
from ansible_collections.k8snet.cni.plugins.module_utils.domain._external_ips import (
    POOL,
    POOL_OF_SERVICE,
    Change,
    World,
    check_owner,
    creation,
    edit_of,
    editing,
    few,
    judge,
    ranges_of,
    removal,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._ip_ranges import BadRange
from ansible_collections.k8snet.cni.plugins.module_utils.domain._label_selector import (
    plain_selector,
    same_selector,
    those,
)

RANGES = ("spec", "ipRanges")
SELECTOR = ("spec", "nodeSelector")
SUBNET = ("spec", "subnetInfo")
Items = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Want:
    """A pool as it is asked for. ``subnet``: gateway, prefix_length, vlan; None: without one.

    ``egresses_gone``: Egresses that are taken for removed.
    """

    name: str
    state: str = "present"
    ip_ranges: Items = ()
    node_selector: Mapping[str, Any] = field(default_factory=dict)
    subnet: Mapping[str, Any] | None = None
    taken: Mapping[str, str] = field(default_factory=dict)
    override_owner: bool = False
    egresses_gone: Sequence[str] = ()


def plan_pool(world: World, want: Want) -> Change:
    """Return what makes the cluster as asked for. Raises `Refused`."""
    world = world.ahead(None, want.egresses_gone)
    have = world.of(POOL, want.name)
    if want.state == "absent":
        return _remove(world, want, have)
    items, fresh = _items(world, want, have)
    draft = rules.Draft(
        want.name,
        items,
        plain_selector(want.node_selector),
        _subnet_info(want.subnet),
        want.taken,
    )
    change = _create(draft) if have is None else _edit(world, draft, have)
    changed: frozenset[str] | None = None
    if have is not None:
        paths = {step.target.rpartition(": ")[2] for step in change.plan.steps}
        names = {".".join(SUBNET): rules.SUBNET, ".".join(SELECTOR): rules.SELECTOR}
        changed = frozenset({names[p] for p in paths if p in names} | fresh)
    found = rules.problems(world, draft)
    advice = judge(found, change.plan.changed, changed, f"ExternalIPPool {want.name}")
    check_owner(change, want.name, want.override_owner)
    return replace(change, advice=(*advice, *rules.notes(world, draft)))


def _subnet_info(subnet: Mapping[str, Any] | None) -> Obj | None:
    if subnet is None:
        return None
    info = {"gateway": ip.plain(str(subnet["gateway"])), "prefixLength": subnet["prefix_length"]}
    return {**info, "vlan": subnet["vlan"]} if subnet.get("vlan") else info


def _items(world: World, want: Want, have: Obj | None) -> tuple[list[Obj], frozenset[str]]:
    """Return the ranges as they will be, and which of them are new. Raises `Refused`.

    Ranges that are there stay where and as they are; the webhook compares their text.
    """
    asked = [ip.canonical(item) for item in want.ip_ranges]
    there = list((have or {"spec": {}})["spec"].get("ipRanges") or ())
    keys = [_key(item) for item in asked]
    missing = [_text(item) for item in there if _key(item) not in keys]
    if missing:
        raise Refused(_immutable(world, want, missing))
    known = {_key(item) for item in there}
    new = [item for item, key in zip(asked, keys) if key not in known]
    fresh = frozenset(rules.part(len(there) + n) for n in range(len(new)))
    return [*there, *new], fresh


def _key(item: Mapping[str, Any]) -> Any:
    try:
        return ip.parse_range(item).key
    except BadRange:
        return tuple(item.get(name) for name in ("cidr", "start", "end"))


def _text(item: Mapping[str, Any]) -> str:
    return str(item.get("cidr") or f"{item.get('start')}-{item.get('end')}")


def _immutable(world: World, want: Want, missing: Sequence[str]) -> str:
    users = _users(world, want.name)
    head = (
        f"Refused to change ExternalIPPool {want.name}: its ranges are fixed, and ip_ranges lacks "
        f"{few(missing)}. Antrea takes more ranges, but changes and removes none. Name these "
        "ranges too; or "
    )
    if not users:
        return head + (
            "remove the pool, which nothing uses (state: absent), and make it with the ranges "
            "that you want."
        )
    return head + (
        f"make a new pool with the ranges that you want, move what uses this one there "
        f"({few(users)}; an Egress by 'pool' of k8snet.cni.antrea_egress, its pods then leave "
        "with another address), and remove this one (state: absent). A new pool may not overlap "
        "this one while it exists: for the same addresses, this pool has to go first, "
        "and its users with it."
    )


def _users(world: World, name: str) -> list[str]:
    egresses = [f"Egress {e['metadata']['name']}" for e in world.egresses_of(name)]
    return [*egresses, *(f"Service {s['name']}" for s in world.services_of(name))]


def _create(draft: rules.Draft) -> Change:
    spec: Obj = {"ipRanges": list(draft.items), "nodeSelector": dict(draft.selector)}
    if draft.subnet is not None:
        spec["subnetInfo"] = draft.subnet
    total = sum(one.count for one in ip.readable(draft.items))
    words = (
        f"Create the pool: {few([_text(item) for item in draft.items])} ({total} "
        f"{'address' if total == 1 else 'addresses'}){_of(draft.subnet)}, for "
        f"{those('nodes', draft.selector)}"
    )
    return creation(POOL, draft.name, spec, words)


def _of(subnet: Obj | None) -> str:
    if subnet is None:
        return ""
    vlan = f" on VLAN {subnet['vlan']}" if subnet.get("vlan") else ""
    return f"{vlan} by gateway {subnet.get('gateway')}/{subnet.get('prefixLength')}"


def _edit(world: World, draft: rules.Draft, have: Obj) -> Change:
    edit = edit_of(have, (RANGES, SELECTOR, SUBNET))
    there = len(have["spec"].get("ipRanges") or ())
    added = few([_text(item) for item in draft.items[there:]])
    edit.put(RANGES, list(draft.items), f"Add {added} to the pool")
    if not same_selector(edit.get(SELECTOR), draft.selector):
        move = (
            "; addresses move off nodes that have not these labels" if _moving(world, draft) else ""
        )
        words = f"Give the pool's addresses to {those('nodes', draft.selector)}{move}"
        edit.put(SELECTOR, dict(draft.selector), words)
    now = edit.get(SUBNET)
    if rules.subnet_key(now) != rules.subnet_key(draft.subnet):
        breaks = "; connections by its addresses break" if _moving(world, draft) else ""
        if draft.subnet is None:
            edit.drop(SUBNET, f"Take the pool's subnet away{breaks}")
        else:
            edit.put(SUBNET, draft.subnet, f"Set the pool's subnet{_of(draft.subnet)}{breaks}")
    return editing(edit)


def _moving(world: World, draft: rules.Draft) -> bool:
    return bool(world.egresses_of(draft.name))


def _remove(world: World, want: Want, have: Obj | None) -> Change:
    if have is None:
        return Change(Plan())
    users = _users(world, want.name)
    if users:
        raise Refused(
            f"Refused to remove ExternalIPPool {want.name}: its addresses are used by "
            f"{few(users)}. They would lose them. Remove these first, or give them another pool "
            f"(an Egress by 'pool' of k8snet.cni.antrea_egress, a Service by its "
            f"annotation {POOL_OF_SERVICE})."
        )
    change = removal(have, "Remove the pool, which nothing uses")
    check_owner(change, want.name, want.override_owner)
    return change


def facts(obj: Obj) -> Obj:
    """Return ``pool`` of the module's result."""
    usage = (obj.get("status") or {}).get("usage") or {}
    subnet = obj["spec"].get("subnetInfo")
    return {
        "name": obj["metadata"]["name"],
        "ranges": list(obj["spec"].get("ipRanges") or ()),
        "subnet": None
        if subnet is None
        else {
            "gateway": subnet.get("gateway"),
            "prefix_length": subnet.get("prefixLength"),
            "vlan": subnet.get("vlan") or 0,
        },
        "node_selector": obj["spec"].get("nodeSelector") or {},
        "total": sum(one.count for one in ranges_of(obj)),
        "used": usage.get("used") if usage else None,
    }
