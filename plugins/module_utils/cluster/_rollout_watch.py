# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at a roll-out until what is waited for has come, or cannot come any more."""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _calico_read
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._apply import Patience
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._lister import Lister
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _calico_install, _rollout
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_change import Have
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import (
    INSTALLATIONS,
    Refused,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import Obj


class Looker:
    """Reads what a look needs. How Calico is installed is asked once, objects by name then."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._have: Have | None = None

    def raw(self) -> Obj:
        """Return the raw look for `_rollout.look`. Raises `ClusterError`, `Refused`."""
        have = self._again(self._have) if self._have else self._first()
        if have.daemonset is None:
            raise Refused(
                "Failed to look at the roll-out: there is no calico-node DaemonSet yet. Is the "
                "operator running?"
            )
        self._have = have
        # Pods before nodes: what a pod stored before it became ready is then seen.
        pods = _calico_read.pods_of(self._api, have.daemonset)
        lister = Lister(self._api)
        nodes = lister.read_list("nodes", "/api/v1/nodes", _calico_install.trim_node)
        operated = have.target["kind"] == "Installation"
        status = lister.read_one("tigerastatuses", _calico_read.STATUS) if operated else None
        _calico_read.raise_first(lister)
        return {
            "target": have.target,
            "installation": have.installation,
            "overlay": have.overlay,
            "daemonset": have.daemonset,
            "pods": pods,
            "nodes": [n for n in nodes or [] if n["os"] == "linux"],
            "tigerastatus": status,
        }

    def _first(self) -> Have:
        install, have = _calico_read.have(self._api)
        if have is None:
            raise Refused(f"Failed to look at the roll-out: {_calico_install.reason(install)}")
        return have

    def _again(self, have: Have) -> Have:
        meta = (have.daemonset or {})["metadata"]
        path = f"/apis/apps/v1/namespaces/{meta['namespace']}/daemonsets/{meta['name']}"
        daemonset = self._api.get(path)
        if have.target["kind"] != "Installation":
            return Have(have.target, daemonset=daemonset)
        default = self._api.get(f"{INSTALLATIONS}/default")
        overlay = self._api.get(f"{INSTALLATIONS}/overlay") if have.overlay else None
        return Have(have.target, default, overlay, daemonset)


def follow(
    raw: Callable[[], Obj],
    asked: _rollout.Asked,
    wait: str,
    patience: Patience,
    poll: float,
) -> dict[str, Any]:
    """Return the last look as calico_rollout's result.

    A problem that ends the waiting has to be seen twice: one look may catch a moment between two
    writes. Raises `ClusterError`, `Refused`.
    """
    former: list[Obj] | None = None
    while True:
        try:
            result = _rollout.verdict(_rollout.look(raw(), asked), wait)
        except ClusterError as error:
            patience.again(error)
            continue
        if wait == "none" or result["done"]:
            return result
        if result["stop"] and former == result["problems"]:
            return result
        former = result["problems"] if result["stop"] else None
        if patience.left() <= poll:
            return result
        patience.wait(poll)
