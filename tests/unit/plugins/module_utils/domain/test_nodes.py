# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which inventory host is which Node."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _cluster
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nodes import match
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.audit_world import host, nic, node_object


def nodes(*objects: dict[str, Any]) -> list[dict[str, Any]]:
    """Trimmed Nodes."""
    return [_cluster.trim_node(o) for o in objects]


def bare_host(name: str, hostname: str | None = None, **more: Any) -> dict[str, Any]:
    """A visited host whose NICs have no Node's address."""
    found = host(1, nics=[nic("eth0", "198.51.100.7/24")], name=name, **more)
    hostname = hostname or name
    found["facts"]["k8snet_node"] = {"hostname": hostname, "fqdn": hostname}
    return found


def pairs(hosts: list[dict[str, Any]], of: list[dict[str, Any]]) -> dict[str, Any]:
    """Node name -> (host name, how it was found)."""
    return {
        v.name: (v.host["name"], v.matched_by) for v in match(hosts, of).views if v.host and v.node
    }


def test_a_host_is_the_node_whose_internal_ip_its_nics_carry() -> None:
    assert pairs([host(2, name="x")], nodes(node_object(1), node_object(2))) == {
        "node2": ("x", "InternalIP")
    }


def test_the_variable_counts_more_than_the_internal_ip() -> None:
    of = nodes(node_object(1), node_object(2))
    assert pairs([host(2, node_name="node1")], of) == {"node1": ("n2", "k8snet_node_name")}


def test_a_variable_that_names_no_node_matches_nothing() -> None:
    scope = match([host(2, node_name="nod2")], nodes(node_object(2)))
    assert scope.strangers[0]["reason"] == "k8snet_node_name says nod2, and there is no such Node"


def test_the_host_name_counts_where_no_internal_ip_matches() -> None:
    of = nodes(node_object(1), node_object(2))
    assert pairs([bare_host("x", "NODE2.example.com")], of) == {"node2": ("x", "host name")}


def test_a_host_that_was_not_visited_matches_by_the_address_ansible_would_use() -> None:
    away = host(2, state="unreachable", name="x")
    assert pairs([away], nodes(node_object(1), node_object(2))) == {"node2": ("x", "InternalIP")}


def test_full_names_count_before_first_labels() -> None:
    of = nodes(node_object(1, name="node1.a"), node_object(2, name="node1.b"))
    assert pairs([bare_host("node1.b")], of) == {"node1.b": ("node1.b", "host name")}


def test_a_first_label_that_fits_two_nodes_matches_neither() -> None:
    of = nodes(node_object(1, name="node1.a"), node_object(2, name="node1.b"))
    assert "fits several Nodes" in match([bare_host("node1")], of).strangers[0]["reason"]


def test_an_address_is_no_name_with_labels() -> None:
    of = nodes(node_object(1, name="10", internal=[]))
    assert pairs([bare_host("10.0.0.1")], of) == {}


def test_a_shared_virtual_address_leaves_the_decision_to_the_name() -> None:
    of = nodes(node_object(1, internal=["192.0.2.9"]), node_object(2, internal=["192.0.2.9"]))
    both = [host(n, nics=[nic("eth0", "192.0.2.9/24")], name=f"node{n}") for n in (2, 1)]
    assert {k: v[0] for k, v in pairs(both, of).items()} == {"node1": "node1", "node2": "node2"}


def test_a_visited_host_comes_before_an_unreachable_one_of_the_same_node() -> None:
    scope = match(
        [host(1, state="unreachable", name="old"), host(1, name="new")], nodes(node_object(1))
    )
    assert scope.views[0].state == "visited"
    assert scope.conflicts == [{"node": "node1", "taken": "new", "hosts": ["new", "old"]}]


def test_without_nodes_every_host_stands_for_itself() -> None:
    scope = match([host(1), host(2, state="failed")], [])
    assert [(v.name, v.state, v.node) for v in scope.views] == [
        ("n1", "visited", None),
        ("n2", "failed", None),
    ]
    assert not scope.strangers


@given(st.permutations([1, 2, 3]), st.permutations([1, 2, 3]))
def test_the_order_of_hosts_and_nodes_does_not_matter(one: list[int], two: list[int]) -> None:
    found = pairs([host(n) for n in one], nodes(*(node_object(n) for n in two)))
    assert found == {f"node{n}": (f"n{n}", "InternalIP") for n in (1, 2, 3)}
