# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who else goes by the label and the pool of an Egress on a VLAN. Pure.

``world``: pools and egresses (objects), services (metadata of Services).
"""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._external_ips import (
    POOL_OF_SERVICE,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._label_selector import (
    same_selector,
    selector_words,
)

Obj = dict[str, Any]


def users(world: Obj, pool: str, egress: str) -> list[str]:
    """Return Egresses, but for ``egress``, and Services that have their address of a pool."""
    found = [
        f"Egress {e['metadata']['name']}"
        for e in world["egresses"]
        if e["spec"].get("externalIPPool") == pool and e["metadata"]["name"] != egress
    ]
    for service in world.get("services") or ():
        if (service.get("annotations") or {}).get(POOL_OF_SERVICE) == pool:
            found.append(f"Service {service['namespace']}/{service['name']}")
    return found


def pools_by(world: Obj, key: str, but: str) -> list[str]:
    """Return the other pools that choose their nodes by a label."""
    found = []
    for pool in world["pools"]:
        selector = pool["spec"].get("nodeSelector") or {}
        rules = selector.get("matchExpressions") or ()
        keys = {*(selector.get("matchLabels") or {}), *(rule.get("key") for rule in rules)}
        if key in keys and pool["metadata"]["name"] != but:
            found.append(pool["metadata"]["name"])
    return found


def on_nodes(world: Obj, options: Obj) -> list[str]:
    """Return who loses a node that the label is taken from. ``options``: egress, pool, label."""
    pool, egress = str(options["pool"]), str(options["egress"])
    found = users(world, pool, egress)
    for other in pools_by(world, options["label"]["key"], pool):
        found += [f"ExternalIPPool {other}", *users(world, other, egress)]
    return found


def held(world: Obj, egress: str, node: str) -> list[str]:
    """Return the other Egresses that have their address on a node."""
    return [
        f"Egress {e['metadata']['name']}"
        for e in world["egresses"]
        if node and (e.get("status") or {}).get("egressNode") == node
        if e["metadata"]["name"] != egress
    ]


def newcomers(former: Obj, world: Obj) -> list[str]:
    """Return who has come to go by the label since ``former``, an undo bundle, was kept."""
    before = former.get("others") or ()
    return [other for other in on_nodes(world, former["options"]) if other not in before]


def pool_changes(pool: Obj | None, label: Obj, subnet: Obj) -> list[str]:
    """Return how a pool's nodes and subnet change. ``subnet``: as the object has it."""
    if pool is None:
        return []
    found, spec = [], pool["spec"]
    selector = {"matchLabels": {label["key"]: label["value"]}}
    if not same_selector(spec.get("nodeSelector"), selector):
        was = selector_words(spec.get("nodeSelector") or {})
        found.append(
            f"its nodes become those with {selector_words(selector)}, not "
            f"{f'those with {was}' if was else 'all'} any more"
        )
    info = spec.get("subnetInfo")
    if info is None or {"vlan": 0, **info} != subnet:
        was = _subnet(info) if info else "none"
        found.append(f"its subnet becomes {_subnet(subnet)}, and was {was}")
    return found


def _subnet(info: Obj) -> str:
    return f"VLAN {info.get('vlan') or 0} by {info.get('gateway')}/{info.get('prefixLength')}"
