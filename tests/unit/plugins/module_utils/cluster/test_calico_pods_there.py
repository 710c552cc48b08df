# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pods are listed once, and only if calico-node is not ready somewhere."""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _calico_read

Obj = dict[str, Any]


class Lister:
    """Serves Pods, and counts how often it is asked."""

    def __init__(self, pods: list[Obj] | None) -> None:
        self.pods = pods
        self.asked: list[str] = []

    def read_list(self, resource: str, path: str, trim: Callable[[Obj], Any]) -> Any:
        self.asked.append(path)
        if self.pods is None:
            return None
        return [found for pod in self.pods if (found := trim(pod)) is not None]


def calico(node: str, ready: bool) -> Obj:
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {"spec": {"nodeName": node}, "status": {"conditions": conditions}}


def pod(name: str, node: str | None, status: Obj | None = None, **spec: Any) -> Obj:
    meta = {"namespace": "web", "name": name}
    return {"metadata": meta, "spec": {"nodeName": node, **spec}, "status": status or {}}


def there(pods: list[Obj] | None, *agents: Obj) -> tuple[Any, list[str]]:
    lister = Lister(pods)
    found = _calico_read._pods_there(lister, list(agents))  # type: ignore[arg-type]
    return found, lister.asked


def test_where_every_calico_node_is_ready_nothing_is_read() -> None:
    assert there([pod("a", "node1")], calico("node1", True)) == ([], [])


def test_the_pods_of_the_nodes_that_wait_are_kept_with_all_their_addresses() -> None:
    both = {"podIP": "10.244.1.7", "podIPs": [{"ip": "10.244.1.7"}, {"ip": "fd00::7"}]}
    pods = [
        pod("two", "node1", both),
        pod("old", "node1", {"podIP": "10.244.1.8", "phase": "Succeeded"}),
        pod("new", "node1"),
        pod("own", "node1", hostNetwork=True),
        pod("far", "node2", both),
        pod("none", None),
    ]
    found, asked = there(pods, calico("node1", False), calico("node2", True))
    assert asked == ["/api/v1/pods"]
    assert {p["name"]: p["addresses"] for p in found} == {
        "two": ["10.244.1.7", "fd00::7"],
        "old": ["10.244.1.8"],
        "new": [],
    }
    assert {(p["node"], p["namespace"]) for p in found} == {("node1", "web")}


def test_what_cannot_be_read_is_not_known() -> None:
    assert there(None, calico("node1", False))[0] is None
