# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the power of the node that has an Egress's address may be cut."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _egress_vlan_power as domain

from tests.unit.plugins.module_utils.domain.test_egress_vlan import LABEL, egress, plan

Obj = dict[str, Any]

ROLE = "node-role.kubernetes.io/"
CONTROL = f"{ROLE}control-plane"
REACHED = {"node1": {"verdict": "reached"}, "node2": {"verdict": "reached"}}
STATIC = {"kubernetes.io/config.mirror": "abc"}
CONTROLLER = {"server": ["10.160.1.1"], "own": [], "off": "virsh", "on": "virsh", "problems": []}


def conditions(ready: bool) -> Obj:
    return {"conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}]}


def node(name: str, *labels: str, ready: bool = True) -> Obj:
    address = {"type": "InternalIP", "address": f"10.160.1.2{name[-1]}"}
    meta = {"name": name, "labels": dict.fromkeys(labels, "true")}
    return {"metadata": meta, "status": {**conditions(ready), "addresses": [address]}}


def etcd(name: str, *, ready: bool = True, notes: Obj | None = None) -> Obj:
    meta = {"name": f"etcd-{name}", "annotations": STATIC if notes is None else notes}
    return {"metadata": meta, "spec": {"nodeName": name}, "status": conditions(ready)}


def pod(name: str, owner: str = "", phase: str = "Running", **meta: Any) -> Obj:
    owners = [{"kind": owner}] if owner else []
    full = {"namespace": "shop", "name": name, "ownerReferences": owners, **meta}
    return {"metadata": full, "status": {"phase": phase, "podIP": "10.244.2.10"}}


def seen(**more: Any) -> Obj:
    return {
        "egress": egress("shop") | {"status": {"egressNode": "node2"}},
        "nodes": [node("node1", CONTROL), node("node2"), node("node3")],
        "etcd": [etcd("node1")],
        "pods": [],
        "server": "https://10.160.1.1:6443",
        "controller": CONTROLLER,
        **more,
    }


def weigh(found: Obj | None = None, reach: Obj | None = None, **more: Any) -> Obj:
    wanted = {"egress": "shop", "nodes": ["node1", "node2"], "vlan": 181}
    options = {**wanted, "accept_power_off": "node2", **more}
    return domain.weigh(found or seen(), options, REACHED if reach is None else reach)


def refused(found: Obj | None = None, **more: Any) -> str:
    return " ".join(weigh(found, **more)["refusals"])


def test_a_worker_that_somebody_consented_to_lose_may_be_switched_off() -> None:
    found = weigh()
    assert found == {
        "node": "node2",
        "off": "virsh",
        "on": "virsh",
        "refusals": [],
        "warnings": [],
    }


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("", "consent to that by antrea_egress_vlan_accept_power_off=node2"),
        ("node1", "names node1, but node2 has the address of Egress shop"),
    ],
)
def test_consent_names_the_node_that_has_the_address(named: str, words: str) -> None:
    assert words in refused(accept_power_off=named)


@pytest.mark.parametrize("there", [None, egress("shop"), egress("shop") | {"status": {}}])
def test_nobody_can_consent_before_a_node_has_the_address(there: Obj | None) -> None:
    found = weigh(seen(egress=there))
    assert found["node"] == ""
    assert "Make the Egress first" in " ".join(found["refusals"])


def quorum(total: int, healthy: int, by: str) -> Obj:
    """A cluster of ``total`` members, of which node2 is one, and ``healthy`` of them."""
    names = ["node2", *(f"node{n}" for n in range(3, total + 2))]
    well = {name: index < healthy for index, name in enumerate(names)}
    label = (f"{ROLE}etcd",) if by == "label" else ()
    nodes = [node(n, CONTROL, *label, ready=well[n] or by == "pod") for n in names]
    pods = [etcd(n, ready=well[n]) for n in names] if by == "pod" else []
    return seen(nodes=[node("node1"), *nodes], etcd=pods)


@pytest.mark.parametrize("by", ["pod", "label"])
@pytest.mark.parametrize(
    ("total", "healthy", "words"),
    [
        (1, 1, "node2 has the only member of etcd"),
        (2, 2, "one of etcd's 2 members, 2 of which are healthy: without it 1 are left, and 2"),
        (3, 3, ""),
        (3, 2, "one of etcd's 3 members, 2 of which are healthy: without it 1 are left, and 2"),
        (4, 4, ""),
        (4, 3, "without it 2 are left, and 3 are needed"),
        (5, 5, ""),
        (5, 4, ""),
        (5, 3, "without it 2 are left, and 3 are needed"),
    ],
)
def test_etcd_keeps_its_quorum(total: int, healthy: int, words: str, by: str) -> None:
    found = weigh(quorum(total, healthy, by))
    assert bool(found["refusals"]) is bool(words)
    assert words in " ".join(found["refusals"])
    # What is allowed is told with its numbers.
    assert bool(found["warnings"]) is not bool(words)


@pytest.mark.parametrize(("total", "spare"), [(3, "no other may fail"), (5, "1 more may fail")])
def test_what_etcd_can_spare_besides_is_told(total: int, spare: str) -> None:
    (warning,) = weigh(quorum(total, total, "pod"))["warnings"]
    assert spare in warning


def test_a_member_that_is_ill_itself_takes_nothing_away() -> None:
    found = quorum(3, 3, "pod")
    found["etcd"][0] = etcd("node2", ready=False)
    assert weigh(found)["refusals"] == []


def test_a_pod_on_a_node_that_is_lost_is_not_healthy() -> None:
    found = quorum(3, 3, "pod")
    found["nodes"][2]["status"].update(conditions(False))
    assert "2 of which are healthy: without it 1 are left" in refused(found)


def test_only_static_pods_are_members() -> None:
    nodes = [node("node1"), node("node2")]
    assert domain.members(nodes, [etcd("node2", notes={}), etcd("node1")]) == {"node1": True}


@pytest.mark.parametrize(
    "label",
    [
        CONTROL,
        f"{ROLE}master",
        f"{ROLE}controlplane",
        "node.kubernetes.io/microk8s-controlplane",
    ],
)
def test_a_control_plane_whose_etcd_is_not_seen_is_left_on(label: str) -> None:
    nodes = [node("node1", CONTROL), node("node2", label)]
    for pods in ([], [etcd("node1")]):
        words = refused(seen(nodes=nodes, etcd=pods))
        assert "node2 is a control plane, and no member of its etcd is seen there" in words
        assert "antrea_egress_vlan_drill=label" in words


def test_the_last_control_plane_stays_on_whatever_etcd_can_spare() -> None:
    found = quorum(3, 3, "label")
    for each in found["nodes"][2:]:
        del each["metadata"]["labels"][CONTROL]
    assert "node2 is the only control plane that is Ready" in refused(found)


@pytest.mark.parametrize(
    ("url", "server", "words"),
    [
        ("https://10.160.1.22:6443", ["10.160.1.22"], "reached at 10.160.1.22, which is node2"),
        ("https://api.example:6443", ["10.160.1.22"], "reached at api.example, which is node2"),
        ("https://node2:6443", [], "reached at node2, which is node2"),
        ("https://10.160.1.1:6443", ["10.160.1.1"], ""),
        ("https://127.0.0.1:6443", ["127.0.0.1"], ""),
    ],
)
def test_the_api_has_to_be_reached_without_the_node(
    url: str, server: list[str], words: str
) -> None:
    told = refused(seen(server=url, controller={**CONTROLLER, "server": server}))
    assert bool(told) is bool(words)
    assert words in told


def test_a_tunnel_may_end_at_a_control_plane() -> None:
    tunnel = {"server": "https://localhost:6443"}
    found = quorum(3, 3, "pod") | tunnel
    assert "whose end may be node2" in refused(
        found | {"controller": {**CONTROLLER, "server": ["::1"]}}
    )


def test_ansible_does_not_switch_off_where_it_runs() -> None:
    words = refused(seen(controller={**CONTROLLER, "own": ["10.160.1.22"]}))
    assert "Ansible itself runs on node2 (10.160.1.22)" in words


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"nodes": ["node2"]}, "antrea_egress_vlan_nodes names no other"),
        ({"nodes": ["node2", "node9"]}, "node9 is not Ready"),
        ({"reach": {}}, "VLAN 181 was not seen to reach node1"),
        ({"reach": {"node1": {"verdict": "unknown"}}}, "VLAN 181 was not seen to reach node1"),
        ({"nodes": ["node1"]}, "does not name it: the address would move before the drill"),
    ],
)
def test_another_node_has_to_be_able_to_take_the_address(more: Obj, words: str) -> None:
    assert words in refused(**more)


def test_a_node_that_is_lost_is_no_heir() -> None:
    nodes = [node("node1", ready=False), node("node2"), node("node3")]
    assert "from node2: node1 is not Ready." in refused(seen(nodes=nodes))
    assert refused(seen(nodes=nodes), nodes=["node1", "node2", "node3"]) == (
        "No other node could take the address over from node2: node1 is not Ready; VLAN 181 was "
        "not seen to reach node3."
    )


def test_pods_that_stop_with_the_node_are_counted() -> None:
    pods = [
        pod("web", "ReplicaSet"),
        pod("bare"),
        pod("agent", "DaemonSet"),
        pod("static", "Node", annotations=STATIC),
        pod("job", "Job", phase="Succeeded"),
    ]
    (warning,) = weigh(seen(pods=pods))["warnings"]
    assert warning.startswith("2 pods of no DaemonSet on node2 stop with it")
    assert warning.endswith("shop/web, shop/bare.")


def test_what_else_the_node_is_known_by_is_looked_for_on_the_controller() -> None:
    pods = [pod("web"), pod("host") | {"status": {"podIP": "10.160.1.22"}}]
    assert domain.addresses(seen(pods=pods)) == ["10.160.1.22", "10.244.2.10"]


def drilled(world: Obj | None = None, power: Obj | None = None, **more: Any) -> Obj:
    labels = {name: {LABEL: "true"} for name in ("node2", "node3")}
    found = {"labels": labels, "power": power or seen(), **(world or {})}
    return plan(world=found, drill="power-off", **{"accept_power_off": "node2", **more})


def test_the_plan_tells_whose_power_is_cut_by_what_and_why_not() -> None:
    found = drilled()
    assert (found["refusals"], found["drilled"]) == ([], [])
    text = " ".join(" ".join(found["lines"]).split())
    assert "Drill In the end the power of node2 is cut by virsh, until another node has" in text
    assert "given back by virsh in any case" in text
    barred = drilled(accept_power_off="")
    assert "REFUSED  The drill cuts the power of node2" in "\n".join(barred["lines"])
    nobody = drilled(power=seen(egress=None))
    assert not any(line.startswith("Drill") for line in nobody["lines"])


def test_addresses_of_others_on_the_node_need_consent() -> None:
    there = {"egresses": [egress("other") | {"status": {"egressNode": "node2"}}]}
    assert "move addresses of Egress other, too" in " ".join(drilled(there)["refusals"])
    assert drilled(there, accept_others=True)["refusals"] == []
    elsewhere = {"egresses": [egress("other") | {"status": {"egressNode": "node3"}}]}
    assert drilled(elsewhere)["refusals"] == []
    own = {"egresses": [egress("shop") | {"status": {"egressNode": "node2"}}]}
    assert drilled(own)["refusals"] == []


def test_nothing_is_weighed_where_the_egress_goes() -> None:
    assert drilled(state="absent")["power"] is None
