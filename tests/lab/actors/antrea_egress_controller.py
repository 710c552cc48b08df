# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""antrea-controller's part in Egress: it hands out addresses of pools, and counts them.

Source: antrea-io/antrea ``pkg/controller/egress``, ``pkg/controller/externalippool``.
"""

from __future__ import annotations

from typing import Any

from tests.lab.actors import antrea_egress_rules as rules
from tests.lab.actors.antrea_rules import version_of
from tests.lab.actors.loop import Actor, stamp

Obj = dict[str, Any]

GROUP = "/apis/crd.antrea.io/v1beta1"
EGRESSES, POOLS = f"{GROUP}/egresses", f"{GROUP}/externalippools"
CONTROLLER = "/apis/apps/v1/namespaces/kube-system/deployments/antrea-controller"


class EgressController(Actor):
    """Conditions come with v1.14."""

    name = "antrea-controller"
    watched = (EGRESSES, POOLS)

    def reconcile(self) -> None:
        pools = {pool["metadata"]["name"]: pool for pool in self.client.items(POOLS)}
        egresses = sorted(
            self.client.items(EGRESSES), key=lambda e: str(e["metadata"]["creationTimestamp"])
        )
        if not pools and not egresses:
            return
        used: dict[str, set[str]] = {name: set() for name in pools}
        for egress in egresses:
            spec = egress["spec"]
            if spec.get("externalIPPool") in pools and spec.get("egressIP"):
                used[spec["externalIPPool"]].add(spec["egressIP"])
        for egress in egresses:
            if egress["spec"].get("externalIPPool"):
                self._allocate(egress, pools, used)
        for name, pool in pools.items():
            usage = {"total": len(rules.addresses(pool)), "used": len(used[name])}
            if (pool.get("status") or {}).get("usage") != usage:
                self.client.patch(f"{POOLS}/{name}/status", {"status": {"usage": usage}})

    def _allocate(self, egress: Obj, pools: dict[str, Obj], used: dict[str, set[str]]) -> None:
        spec, name = egress["spec"], egress["metadata"]["name"]
        wanted, why = spec["externalIPPool"], ""
        address = spec.get("egressIP") or ""
        pool = pools.get(wanted)
        if pool is None:
            why, address = f"ExternalIPPool {wanted} does not exist", ""
        elif not address or address not in rules.addresses(pool):
            free = [a for a in rules.addresses(pool) if a not in used[wanted]]
            if address:
                why, address = f"error when allocating IP {address}: not in the pool", ""
            elif free:
                address = free[0]
                used[wanted].add(address)
            else:
                why = f"no available IP in ExternalIPPool {wanted}"
        if address != (spec.get("egressIP") or "") and (address or pool is None):
            self.say(f"{name} has {address or 'no address'} of {wanted}")
            egress = self.client.patch(f"{EGRESSES}/{name}", {"spec": {"egressIP": address}})
        self._tell(egress, why)

    def _tell(self, egress: Obj, why: str) -> None:
        found = self.client.get(CONTROLLER)["spec"]["template"]["spec"]["containers"][0]["image"]
        if version_of(found) < (1, 14, 0):
            return
        words = (True, "Allocated", "EgressIP is successfully allocated")
        if why:
            words = (
                False,
                "AllocationError",
                f"Cannot allocate EgressIP from ExternalIPPool: {why}",
            )
        old = (egress.get("status") or {}).get("conditions") or []
        told = rules.with_condition(old, rules.condition("IPAllocated", *words, stamp()))
        if told is not None:
            meta = {"resourceVersion": egress["metadata"]["resourceVersion"]}
            path = f"{EGRESSES}/{egress['metadata']['name']}/status"
            self.client.patch(path, {"metadata": meta, "status": {"conditions": told}})
