# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may be changed and what is refused, before anything is written; and the verdict after."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_decision import decide
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_hold import hold_mode
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_lines import (
    leftover_lines,
    plan_lines,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_probes import (
    MOST_PROBERS,
    probers_of,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_verdict import (
    judge_after,
    judge_before,
)

from tests.unit.audit_world import (
    ETH0,
    calico_ds,
    cluster,
    host,
    hosts,
    installation,
    lo,
    nic,
    node_object,
)

DEAD = "172.31.66.11/24"
BARE = {number: address.split("/", maxsplit=1)[0] for number, address in ETH0.items()}
WORDS = "kubernetes-internal-ip"


def info(**more: Any) -> dict[str, Any]:
    """What calico_info returns for an operator install; old pods everywhere."""
    pods = [{"node": f"node{n}", "ready": True, "ready_seconds": 86400.0} for n in (1, 2, 3)]
    return {
        "install": "operator",
        "reason": None,
        "target": {"kind": "Installation", "namespace": None, "name": "default"},
        "crd_min_ready_seconds": True,
        "owner": {"by": None, "evidence": None, "snippet": None},
        "permissions": [],
        "nodes": [{"name": f"node{n}"} for n in (1, 2, 3)],
        "pods": pods,
        "pods_there": [],
        "datastore": "kubernetes",
        "dns_pods": [{"name": "coredns", "node": "node1", "ip": "10.244.1.10"}],
        "bgp_mesh": True,
        "backend": "bird",
        **more,
    }


def incident() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Node1 got a second NIC, and Calico stores its address."""
    facts = cluster([node_object(1, stored=DEAD), node_object(2), node_object(3)])
    return facts, [host(1, [lo(), nic("eth0", ETH0[1]), nic("eth1", DEAD)]), host(2), host(3)]


def plan(
    facts: Any = None, inventory: Any = None, calico: Any = None, **options: Any
) -> dict[str, Any]:
    default_facts, default_hosts = incident()
    return decide(
        default_facts if facts is None else facts,
        info() if calico is None else calico,
        default_hosts if inventory is None else inventory,
        {"method_v4": WORDS, "method_v6": WORDS, **options},
    )


def refusal(decision: dict[str, Any]) -> str:
    assert len(decision["refusals"]) == 1, decision["refusals"]
    return str(decision["refusals"][0])


def test_the_incident_is_repaired_on_the_one_node_and_nothing_else_moves() -> None:
    decision = plan()
    assert decision["refusals"] == []
    assert decision["methods"] == {"v4": WORDS, "v6": None}
    assert decision["expect"] == {
        f"node{n}": {"v4": address, "v6": None} for n, address in ETH0.items()
    }
    assert [row["node"] for row in decision["table"] if row["changes"]] == ["node1"]
    assert decision["probes"]["node1"] == {
        "host": "n1",
        "targets": [{"name": BARE[n], "address": BARE[n]} for n in (2, 3)],
        "dns": [{"server": "10.244.1.10", "name": "kubernetes.default.svc.cluster.local"}],
        "bgp": {"local": BARE[1], "peers": [BARE[2], BARE[3]]},
        "vxlan": None,
        "pod_networks": [],
    }


@pytest.mark.parametrize("resource", ["nodes", "daemonsets", "installations"])
def test_what_could_not_be_read_refuses_and_is_not_taken_for_nothing_to_do(resource: str) -> None:
    """calico_info, which comes after it, may have met a server that answers again."""
    failed = {"resource": resource, "status": 500, "message": f"Failed to read {resource}: 500."}
    nothing: dict[str, Any] = {"nodes": [], "daemonsets": [], "installations": []}
    unread = {resource: nothing[resource], "errors": [failed]}
    text = refusal(plan(facts=cluster(**unread)))
    assert text.startswith("It is not known ")
    assert text.endswith(f"Failed to read {resource}: 500.")


def test_a_cluster_that_could_not_be_read_at_all_refuses() -> None:
    decision = plan(facts=cluster(available=False))
    assert "Failed to log in: 401. Renew the credentials." in " ".join(decision["refusals"])


def test_every_address_is_probed_from_all_the_others_while_they_are_few() -> None:
    names = [f"node{n}" for n in range(MOST_PROBERS + 1)]
    assert {name: sorted(probers) for name, probers in probers_of(names).items()} == {
        name: sorted(set(names) - {name}) for name in names
    }


@pytest.mark.parametrize("count", [MOST_PROBERS + 2, 100, 1000])
def test_probes_of_many_nodes_are_bounded_even_and_the_same_each_time(count: int) -> None:
    names = [f"node{n}" for n in range(count)]
    found = probers_of(names)
    assert found == {n: probers_of(names[::-1])[n] for n in names}
    asked = Counter(prober for probers in found.values() for prober in probers)
    assert set(asked.values()) == {MOST_PROBERS}, "each node probes equally many"
    for name, probers in found.items():
        assert name not in probers
        assert len(set(probers)) == MOST_PROBERS
    order = sorted(names)
    places = sorted(order.index(prober) for prober in found[order[0]])
    assert max(b - a for a, b in zip(places, places[1:])) <= count // MOST_PROBERS + 1


def test_the_plan_of_many_nodes_is_small_and_says_who_probes() -> None:
    nodes, inventory = [], []
    for number in range(100):
        address = f"10.7.0.{number + 1}/24"
        nodes.append(
            node_object(1, address, [address.split("/", maxsplit=1)[0]], name=f"n{number:03}")
        )
        inventory.append({**host(1, [lo(), nic("eth0", address)]), "name": f"n{number:03}"})
    decision = plan(cluster(nodes), inventory)
    assert decision["refusals"] == []
    assert {len(asked["targets"]) for asked in decision["probes"].values()} == {MOST_PROBERS}
    assert {len(asked["bgp"]["peers"]) for asked in decision["probes"].values()} == {MOST_PROBERS}
    text = " ".join(" ".join(plan_lines(decision, info())).split())
    assert "Each of the 100 visited nodes is probed from 32 others, spread evenly" in text
    few = " ".join(" ".join(plan_lines(plan(), info())).split())
    assert "Probes Each of the 3 visited nodes is probed from all the others." in few


def test_pods_are_told_by_the_cluster_s_pools_or_else_by_the_installation_s() -> None:
    facts, inventory = incident()
    own = {"spec": {"calicoNetwork": {"ipPools": [{"cidr": "10.244.0.0/16"}]}}}
    found = plan(facts, inventory, info(installation=own))["probes"]["node1"]
    assert found["pod_networks"] == ["10.244.0.0/16"]
    facts["calico"]["ip_pools"] = [{"cidr": "10.9.0.0/16"}, {"cidr": "fd00:9::/48"}]
    found = plan(facts, inventory, info(installation=own))["probes"]["node1"]
    assert found["pod_networks"] == ["10.9.0.0/16", "fd00:9::/48"]


def test_sessions_are_expected_with_a_mesh_only_and_a_tunnel_with_vxlan() -> None:
    found = plan(calico=info(bgp_mesh=False, backend="vxlan"))["probes"]["node2"]
    assert found["bgp"] is None
    assert found["vxlan"] == {"local": BARE[2]}


def waiting(number: int = 1, **more: Any) -> dict[str, Any]:
    """Calico where calico-node of one node is not ready."""
    pods = [{**pod, "ready": pod["node"] != f"node{number}"} for pod in info()["pods"]]
    return info(pods=pods, **more)


def test_interfaces_are_looked_at_where_calico_node_is_not_ready_only() -> None:
    assert plan()["interfaces"] == {}
    found = plan(calico=waiting())["interfaces"]
    assert list(found) == ["node1"]
    assert found["node1"]["host"] == "n1"
    facts, inventory = incident()
    inventory[0] = host(1, state="unreachable")
    assert plan(facts, inventory, waiting(), accept_unseen=["node1"])["interfaces"] == {}


def test_what_this_cluster_has_on_a_node_is_told_so_that_it_stays() -> None:
    key = "projectcalico.org/IPv4VXLANTunnelAddr"
    own = {"node": "node1", "namespace": "web", "name": "a-1", "addresses": ["10.244.1.7"]}
    calico = waiting(
        nodes=[{"name": "node1", "annotations": {key: "10.244.1.0"}}, {"name": "node2"}],
        pods_there=[own, {**own, "node": "node2"}],
    )
    assert plan(calico=calico)["interfaces"]["node1"]["want"] == {
        "local_v4": DEAD,
        "tunnel_addresses": ["10.244.1.0"],
        "pods": [{"namespace": "web", "name": "a-1", "addresses": ["10.244.1.7"]}],
    }


def test_a_node_that_stores_nothing_is_to_send_from_the_predicted_address() -> None:
    facts = cluster([node_object(1, stored=None), node_object(2), node_object(3)])
    assert plan(facts, hosts(), waiting())["interfaces"]["node1"]["want"]["local_v4"] == ETH0[1]


def test_what_is_not_known_of_a_cluster_is_not_judged() -> None:
    found = plan(calico=waiting(pods_there=None, datastore="etcdv3"))
    assert found["interfaces"]["node1"]["want"] == {"local_v4": DEAD}


@pytest.mark.parametrize(
    ("pools", "backend", "annotation", "uses"),
    [
        (None, "bird", None, None),
        ([], "bird", None, None),
        ([("10.244.0.0/16", "Never", "Never")], "bird", None, set()),
        ([("10.244.0.0/16", "Never", "Never")], "vxlan", None, {"vxlan"}),
        ([("10.244.0.0/16", "Never", "CrossSubnet")], "bird", None, {"vxlan"}),
        ([("fd00::/64", "Never", "Always")], "bird", None, {"vxlan-v6"}),
        ([("10.244.0.0/16", "Always", "Never")], "bird", None, {"ipip"}),
        ([("10.244.0.0/16", "Never", "Never")], "bird", "IPv4IPIPTunnelAddr", {"ipip"}),
    ],
)
def test_what_calico_uses_is_told_by_pools_backend_and_what_the_node_stored(
    pools: Any, backend: str, annotation: str | None, uses: set[str] | None
) -> None:
    facts, _inventory = incident()
    facts["calico"]["ip_pools"] = pools and [
        {"name": "p", "cidr": c, "ipip_mode": i, "vxlan_mode": v, "disabled": True}
        for c, i, v in pools
    ]
    stored = {f"projectcalico.org/{annotation}": "10.244.1.0"} if annotation else {}
    calico = waiting(backend=backend, nodes=[{"name": "node1", "annotations": stored}])
    want = plan(facts, calico=calico)["interfaces"]["node1"]["want"]
    if uses is None:
        assert "uses" not in want
    else:
        assert set(want["uses"]) == uses | {"wireguard", "wireguard-v6"}, "WireGuard is not known"


def test_auto_prefers_the_internal_ip() -> None:
    assert plan(method_v4="auto")["methods"]["v4"] == WORDS


def test_auto_takes_another_method_where_the_first_internal_ip_is_not_on_the_host() -> None:
    other = "10.9.0.1"
    nodes = [node_object(n, internal=[other, BARE[n]]) for n in (1, 2, 3)]
    decision = plan(cluster(nodes), hosts(), method_v4="auto")
    assert decision["refusals"] == []
    assert decision["methods"]["v4"] not in (WORDS, None)
    assert decision["expect"]["node2"]["v4"] == ETH0[2]


def test_auto_is_refused_where_no_method_serves_every_node() -> None:
    nodes = [node_object(1, internal=["10.9.0.1"]), node_object(2), node_object(3)]
    found = plan(cluster(nodes), hosts(), method_v4="auto")
    assert "No method gives every node its InternalIP" in found["refusals"][0]
    assert found["methods"]["v4"] is None


def test_auto_never_guesses_for_a_node_that_nobody_visited() -> None:
    nodes = [node_object(n, internal=["10.9.0.1", BARE[n]]) for n in (1, 2, 3)]
    seen = [host(1), host(2), host(3, state="unreachable")]
    found = plan(cluster(nodes), seen, method_v4="auto", accept_unseen=["node3"])
    assert "No method gives every node its InternalIP" in refusal(found)


def test_a_node_that_would_end_without_an_address_is_named() -> None:
    texts = plan(method_v4="interface=^eth1$")["refusals"]
    assert [text.split(":")[0] for text in texts] == [
        f"node{n} would end without an IPv4 address under interface=^eth1$" for n in (2, 3)
    ]


def test_a_node_that_would_get_anothers_address_is_named_with_it() -> None:
    twins = [host(1), host(2, [lo(), nic("eth0", ETH0[2]), nic("eth5", ETH0[1])]), host(3)]
    text = refusal(plan(cluster(), twins, method_v4="first-found"))
    assert "node2 would get 10.160.1.21/24 (eth5), which is the address of node1" in text


def test_a_bad_method_is_refused_with_what_calico_says() -> None:
    texts = plan(method_v4="interface=[")["refusals"]
    assert any("interface=[" in text for text in texts)


def test_an_unseen_node_blocks_unless_it_is_accepted() -> None:
    facts, inventory = incident()
    inventory[2] = host(3, state="unreachable")
    text = refusal(plan(facts, inventory))
    assert text.startswith("node3 was not visited: unreachable")
    accepted = plan(facts, inventory, accept_unseen=["node3"])
    assert accepted["refusals"] == []
    assert accepted["expect"]["node3"]["v4"] == BARE[3], "follows from the API"
    assert "node3" not in accepted["probes"]
    other = plan(facts, inventory, accept_unseen=["node3"], method_v4="cidr=10.160.1.0/24")
    assert other["refusals"] == []
    assert other["unverified"] == ["node3"]


def test_an_accepted_node_that_is_off_neither_blocks_nor_fails_the_change() -> None:
    facts, inventory = incident()
    inventory[2] = host(3, state="unreachable")
    decision = plan(facts, inventory, accept_unseen=["node3"])
    seen = probes(node1=probe(1, lost=(3,)), node2=probe(2, lost=(3,)))
    assert [t["address"] for t in decision["probes"]["node1"]["targets"]] == [BARE[2]]
    assert judge_before(decision, seen) == []
    seen = {f"node{n}": probe(n) for n in (1, 2)}
    for state in ({"current": False}, {"ready": False, "problem": "not ready"}):
        assert judge_after(decision, rollout(node3=state), seen, seen) == []
    (text,) = judge_after(decision, rollout(node3={"v4": DEAD}), seen, seen)
    assert text.startswith("node3: Calico stores"), "it is there after all, and wrong"
    assert judge_after(plan(), rollout(node3={"current": False}), probes(), probes()) != []


def test_nodes_that_block_for_one_reason_are_refused_in_one_sentence() -> None:
    facts, inventory = incident()
    inventory[1:] = [host(2, state="unreachable"), host(3, state="unreachable")]
    assert refusal(plan(facts, inventory)) == (
        "node2, node3 were not visited: unreachable, and the change affects every node. Make them "
        "reachable, or name them in k8snet_accept_unseen."
    )


def test_a_string_of_accepted_nodes_is_a_list_of_whole_names() -> None:
    facts, inventory = incident()
    inventory[2] = host(3, state="unreachable")
    assert plan(facts, inventory, accept_unseen="node1, node3")["refusals"] == []
    assert "node3 was not visited" in refusal(plan(facts, inventory, accept_unseen="node33"))


def test_a_node_outside_the_inventory_and_one_left_out_block_too() -> None:
    facts, inventory = incident()
    assert "node3 is not in the inventory" in refusal(plan(facts, inventory[:2]))
    inventory[2] = host(3, state="not_selected")
    assert "node3 was left out" in refusal(plan(facts, inventory))


@pytest.mark.parametrize("install", ["canal", "migration", "none"])
def test_other_installs_are_refused_with_their_reason(install: str) -> None:
    text = refusal(plan(cluster([], [], []), [], info(install=install, reason=f"it is {install}")))
    assert text == f"it is {install}"


def test_an_owned_object_is_refused_with_the_snippet_unless_overridden() -> None:
    owned = info(owner={"by": "helm", "evidence": "label x", "snippet": "installation:\n  y: 1"})
    text = refusal(plan(calico=owned))
    assert "belongs to helm (label x)" in text
    assert text.endswith("installation:\n  y: 1")
    assert plan(calico=owned, override_owner=True)["refusals"] == []


def test_a_missing_verb_is_named() -> None:
    lacks = {
        "verb": "patch",
        "group": "operator.tigera.io",
        "resource": "installations",
        "name": "default",
        "allowed": False,
    }
    text = refusal(
        plan(calico=info(permissions=[lacks, {**lacks, "verb": "get", "allowed": True}]))
    )
    assert text.startswith("The account may not patch installations.operator.tigera.io default.")


def test_a_manifest_that_does_not_detect_again_is_refused() -> None:
    facts = cluster(daemonsets=[calico_ds(namespace="kube-system", ip="")], installations=[])
    text = refusal(plan(facts, hosts(), info(install="manifest")))
    assert "IP is not autodetect" in text


def test_ipv6_is_left_alone_where_calico_has_none() -> None:
    assert plan()["methods"]["v6"] is None


# -- hold ------------------------------------------------------------------------------------


def test_a_hold_stays_below_the_age_of_the_youngest_pod() -> None:
    pods = info()["pods"]
    pods[1]["ready_seconds"] = 1000.0
    found = hold_mode(info(pods=pods), {"hold_seconds": 3600, "canary_seconds": 300})
    assert (found["mode"], found["min_ready_seconds"]) == ("min-ready-seconds", 985)


def test_pods_too_young_to_be_held_are_watched_instead() -> None:
    pods = info()["pods"]
    pods[1]["ready_seconds"] = 300.0
    found = hold_mode(info(pods=pods), {"canary_seconds": 300})
    assert found["mode"] == "watch"
    assert "node2, ready for 300 s" in found["text"]
    assert "again in 30 s" in found["text"]
    pods[1]["ready_seconds"] = 330.0
    assert hold_mode(info(pods=pods), {"canary_seconds": 300})["mode"] == "min-ready-seconds"


def test_where_no_pod_is_ready_all_go_at_once_and_waiting_is_no_remedy() -> None:
    pods = [{**pod, "ready": False, "ready_seconds": 0.0} for pod in info()["pods"]]
    found = hold_mode(info(pods=pods), {})
    assert found["mode"] == "watch"
    assert "no pod of calico-node is ready" in found["text"]
    assert "watched, 3 nodes at a time" in found["text"]


def test_a_hold_that_may_not_be_long_enough_is_laid_to_its_setting() -> None:
    found = hold_mode(info(), {"hold_seconds": 200, "canary_seconds": 300})
    assert found["mode"] == "watch"
    assert "calico_autodetection_hold_seconds is 200" in found["text"]
    assert "youngest" not in found["text"]


def test_pods_that_are_not_ready_do_not_shorten_the_hold_and_are_named() -> None:
    pods = info()["pods"]
    pods[1].update(ready=False, ready_seconds=0.0)
    found = hold_mode(info(pods=pods), {})
    assert (found["mode"], found["min_ready_seconds"]) == ("min-ready-seconds", 3600)
    assert "Not ready, and therefore replaced at once: node2." in found["text"]


def test_without_the_field_in_the_crd_the_rollout_is_watched() -> None:
    found = hold_mode(info(crd_min_ready_seconds=False), {})
    assert found["mode"] == "watch"
    assert "calicoNodeDaemonSet.spec.minReadySeconds" in found["text"]


@pytest.mark.parametrize(
    ("most", "number"), [(1, None), (2, 2), ("50%", 2), ("1%", None), (7, 3), (None, None)]
)
def test_the_plan_says_how_many_nodes_go_first(most: Any, number: int | None) -> None:
    strategy = {"rollingUpdate": {} if most is None else {"maxUnavailable": most}}
    calico = info(daemonset={"spec": {"updateStrategy": strategy}})
    lines = " ".join(" ".join(plan_lines(plan(calico=calico), calico)).split())
    wanted = "its first node " if number is None else f"its first {number} nodes (maxUnavailable"
    assert f"Held after {wanted}" in lines
    assert ("each of them is verified" in lines) == (number is not None)
    watched = hold_mode({**calico, "crd_min_ready_seconds": False}, {})["text"]
    assert (f"watched, {number} nodes at a time" in watched) == (number is not None)


def test_nodes_that_are_not_ready_go_first_together() -> None:
    pods = info()["pods"]
    for pod in pods[:2]:
        pod["ready"] = False
    found = hold_mode(info(pods=pods), {})["text"]
    assert "its first 2 nodes (those not ready), restarted together" in found
    assert "each of them" in found


def test_a_canary_can_be_chosen_with_a_manifest_only() -> None:
    manifest = info(install="manifest", crd_min_ready_seconds=False)
    found = hold_mode(manifest, {"canary": "node2"})
    assert (found["mode"], found["canary"], found["refusal"]) == ("on-delete", "node2", None)
    assert "no Node node9" in str(hold_mode(manifest, {"canary": "node9"})["refusal"])
    assert hold_mode(manifest, {})["mode"] == "min-ready-seconds"
    assert "Leave it unset" in refusal(plan(canary="node2"))


# -- verdict ---------------------------------------------------------------------------------


def probe(node: int, dns: bool | None = True, lost: tuple[int, ...] = ()) -> dict[str, Any]:
    """What node_probe returns on a node."""
    return {
        "reachable": {
            BARE[n]: {"ok": n not in lost, "error": "no answer" if n in lost else None}
            for n in (1, 2, 3)
            if n != node
        },
        "dns": [{"server": "10.244.1.10", "ok": dns, "error": None if dns else "timed out"}],
        "bgp": None,
        "vxlan": None,
    }


def probes(**changed: Any) -> dict[str, Any]:
    return {f"node{n}": changed.get(f"node{n}", probe(n)) for n in (1, 2, 3)}


def rollout(**changed: Any) -> dict[str, Any]:
    nodes = {
        f"node{n}": {"current": True, "ready": True, "v4": a, "v6": None, "problem": None}
        for n, a in ETH0.items()
    }
    for name, values in changed.items():
        nodes[name] = {**nodes[name], **values}
    return {"nodes": nodes, "problems": []}


def test_before_the_change_an_address_that_a_node_cannot_reach_is_refused() -> None:
    decision = plan()
    assert judge_before(decision, probes()) == []
    (text,) = judge_before(decision, probes(node2=probe(2, lost=(1,)), node3=probe(3, lost=(1,))))
    assert text == "node1 would get 10.160.1.21, which node2, node3 cannot reach (no answer)."


def test_a_node_that_did_not_probe_counts_as_not_reaching() -> None:
    seen = probes()
    del seen["node3"]
    assert len(judge_before(plan(), seen)) == 2


def test_after_the_change_everything_as_predicted_passes() -> None:
    assert judge_after(plan(), rollout(), probes(), probes()) == []


def test_a_ready_node_with_the_wrong_address_fails() -> None:
    (text,) = judge_after(plan(), rollout(node1={"v4": DEAD}), probes(), probes())
    assert text == f"node1: Calico stores {DEAD}, predicted {ETH0[1]}."


def test_a_node_without_an_answer_after_the_change_fails() -> None:
    after = probes()
    del after["node2"]
    (text,) = judge_after(plan(), rollout(), probes(), after)
    assert text.startswith("node2: could not be reached after the change")


def test_the_canary_is_forgiven_what_was_broken_before_but_not_what_it_broke() -> None:
    broken = probes(node2=probe(2, dns=False))
    assert judge_after(plan(), rollout(), broken, broken, only=["node2"]) == []
    (text,) = judge_after(plan(), rollout(), probes(), broken, only=["node2"])
    assert "node2: a pod gets no answer from DNS at 10.244.1.10: timed out" in text
    (text,) = judge_after(plan(), rollout(), broken, broken)
    assert text.startswith("node2: a pod gets no answer"), "at the end everything has to work"


def test_a_canary_that_no_longer_reaches_a_neighbour_fails_and_an_old_silence_is_forgiven() -> None:
    silent = probes(node2=probe(2, lost=(3,)))
    (text,) = judge_after(plan(), rollout(), probes(), silent, only=["node2"])
    assert text == f"node2: does not reach {BARE[3]}: no answer."
    assert judge_after(plan(), rollout(), silent, silent, only=["node2"]) == []
    assert judge_after(plan(), rollout(), silent, silent) == [text]


def test_only_the_canary_is_judged_while_the_others_wait() -> None:
    waiting = rollout(node1={"current": False}, node3={"current": False})
    assert judge_after(plan(), waiting, probes(), probes(), only=["node2"]) == []
    assert len(judge_after(plan(), waiting, probes(), probes())) == 2


def test_a_lost_bgp_session_fails_and_one_that_never_was_is_forgiven_on_the_canary() -> None:
    def with_sessions(established: list[str], missing: list[str]) -> dict[str, Any]:
        return probes(node2={**probe(2), "bgp": {"established": established, "missing": missing}})

    before = with_sessions([BARE[3]], [BARE[1]])
    after = with_sessions([], [BARE[1], BARE[3]])
    (text,) = judge_after(plan(), rollout(), before, after, only=["node2"])
    assert text == f"node2: no BGP session with {BARE[3]}."
    (text,) = judge_after(plan(), rollout(), before, after)
    assert text == f"node2: no BGP session with {BARE[1]}, {BARE[3]}."


def test_a_tunnel_that_sends_from_elsewhere_fails() -> None:
    tunnel = {"as_expected": False, "local": "172.31.66.11", "parent": "eth1"}
    after = probes(node1={**probe(1), "vxlan": tunnel})
    (text,) = judge_after(plan(), rollout(), probes(), after)
    assert text == "node1: the VXLAN device has local 172.31.66.11 on eth1."


# -- lines -----------------------------------------------------------------------------------


def test_the_plan_shows_what_changes_first_and_refusals_last() -> None:
    lines = plan_lines(plan(), info())
    assert lines[0] == f"PLAN     Installation default: IPv4 {WORDS}"
    first = next(number for number, line in enumerate(lines) if line.startswith("node1"))
    assert lines[first].split() == ["node1", DEAD, ETH0[1], "(eth0)", "changes"]
    assert lines[first + 1].split() == ["node2", ETH0[2], ETH0[2], "(eth0)"]
    facts, inventory = incident()
    inventory[2] = host(3, state="unreachable")
    assert plan_lines(plan(facts, inventory), info())[-2].startswith("REFUSED  node3 was not")


def test_the_plan_lists_what_was_left_with_the_reason_and_what_happens_to_it() -> None:
    left = {"name": "vxlan.calico", "remove": "device", "addresses": [], "reason": "wrong parent"}
    tunl = {"name": "tunl0", "remove": "addresses", "addresses": ["10.9.0.1/32"], "reason": "why"}
    blocker = {"name": "vx1", "reason": "VNI taken", "remedy": "Find out."}
    found = {"node2": {"leftovers": [left, tunl], "blockers": [blocker], "kept": []}}
    assert leftover_lines(found, True) == [
        "Left     node2: vxlan.calico: wrong parent. It is removed.",
        "Left     node2: 10.9.0.1/32 on tunl0: why. It is removed.",
        "Blocked  node2: vx1: VNI taken. Find out.",
    ]
    stays = leftover_lines(found, False, 200)[0]
    assert stays.endswith("It stays; calico_autodetection_clean_interfaces=true removes it.")
    assert leftover_lines({}, True) == []


def test_an_installation_with_several_methods_is_planned_like_any_other() -> None:
    several = installation({"firstFound": True, "kubernetes": "NodeInternalIP"})
    decision = plan(cluster(installations=[several]), hosts())
    assert decision["refusals"] == []
    assert decision["methods"]["v4"] == WORDS
