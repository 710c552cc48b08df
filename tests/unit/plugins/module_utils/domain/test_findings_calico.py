# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about Calico's addresses: each with what produces it, and a near miss."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.audit_world import (
    ETH0,
    SINCE,
    calico_ds,
    cluster,
    daemonset,
    drift,
    env,
    host,
    hosts,
    ids,
    installation,
    lo,
    nic,
    node_object,
    run,
)

ETH1 = "10.160.9.22/24"


def two_nics(number: int = 2, first: str = "eth1") -> list[dict[str, Any]]:
    """Eth0 and another NIC, as after a hot-plug."""
    return [lo(), nic("eth0", ETH0[number]), nic(first, ETH1)]


def incident(**more: Any) -> list[Any]:
    """The founding incident: eth1 was added on node2, Calico moved there."""
    nodes = [node_object(1), node_object(2, stored=ETH1), node_object(3)]
    facts = cluster(nodes, dns=[("coredns-1", "node2"), ("coredns-2", "node2")], **more)
    changed = [drift("added", "eth1", after=[ETH1])]
    return run(facts, [host(1), host(2, two_nics(), changed), host(3)])


def test_a_clean_cluster_has_no_findings() -> None:
    assert run() == []


def test_the_incident_is_one_critical_finding_that_tells_the_whole_story() -> None:
    (found,) = incident()
    assert (found.id, found.severity, found.subject) == ("CAL001", "critical", "node2")
    assert found.since == SINCE
    for words in ("eth1, added since the baseline", ETH1, ETH0[2], "eth0", "2 DNS pods"):
        assert words in found.summary
    assert found.evidence["stored"] == ETH1
    assert found.evidence["nic"] == "eth1"
    assert found.evidence["internal_address"] == ETH0[2]
    assert [c["change"] for c in found.evidence["nic_changes"]] == ["added"]
    assert [p["name"] for p in found.evidence["dns_pods"]] == ["coredns-1", "coredns-2"]


def test_the_incident_tells_what_each_method_would_pick() -> None:
    (found,) = incident()
    picks = {row["method"]: row["address"] for row in found.evidence["candidates"]}
    assert picks == {
        "first-found": ETH1,
        "kubernetes-internal-ip": ETH0[2],
        "cidr=10.160.1.0/24": ETH0[2],
        "interface=^eth0$": ETH0[2],
    }


def test_the_remedy_names_the_playbook_and_a_patch_that_works_today() -> None:
    (found,) = incident()
    assert found.remedy.playbook == "k8snet.cni.calico_autodetection"
    assert found.remedy.variables == {"calico_autodetection_method_v4": "kubernetes-internal-ip"}
    assert found.remedy.commands == (
        "kubectl patch installations.operator.tigera.io default --type=json -p "
        '\'[{"op":"add","path":"/spec/calicoNetwork/nodeAddressAutodetectionV4",'
        '"value":{"kubernetes":"NodeInternalIP"}}]\'',
    )


def test_with_a_manifest_the_remedy_sets_the_environment_of_the_daemonset() -> None:
    found = incident(installations=[], daemonsets=[calico_ds(namespace="kube-system")])[0]
    assert found.remedy.commands == (
        "kubectl -n kube-system set env daemonset/calico-node -c calico-node "
        "IP_AUTODETECTION_METHOD=kubernetes-internal-ip",
    )


def test_with_a_manifest_that_does_not_detect_again_the_remedy_turns_that_on() -> None:
    ds = calico_ds(namespace="kube-system", ip=None)
    found = incident(installations=[], daemonsets=[ds])[0]
    assert found.remedy.commands[0].endswith(" IP=autodetect")
    assert found.remedy.playbook is None, "it refuses to change what does not detect again"


def test_the_playbook_of_a_remedy_leaves_the_other_family_alone() -> None:
    field = {"firstFound": True}
    two = incident(
        installations=[installation(field, field)],
        daemonsets=[calico_ds("first-found", ip6="autodetect", method6="first-found")],
    )
    (found,) = [f for f in two if f.id == "CAL001"]
    assert found.remedy.variables == {
        "calico_autodetection_method_v4": "kubernetes-internal-ip",
        "calico_autodetection_method_v6": "",
    }


def test_the_patch_goes_to_the_overlay_that_holds_the_field() -> None:
    both = [installation({"firstFound": True}), installation({"firstFound": True}, name="overlay")]
    assert " overlay --type=json" in incident(installations=both)[0].remedy.commands[0]


def test_the_patch_makes_calico_network_where_there_is_none() -> None:
    bare = {"metadata": {"name": "default", "generation": 1}, "spec": {}}
    command = incident(installations=[bare])[0].remedy.commands[0]
    assert '"path":"/spec/calicoNetwork","value":{"nodeAddressAutodetectionV4":{' in command


def test_another_method_is_recommended_where_the_internal_ip_is_not_on_the_node() -> None:
    # node3's kubelet announces an address that its NICs do not have (NAT, a load balancer).
    nodes = [node_object(1), node_object(2, stored=ETH1), node_object(3, internal=["198.51.100.3"])]
    found = run(cluster(nodes), [host(1), host(2, two_nics()), host(3)])
    incident_there = next(f for f in found if f.subject == "node2")
    assert "no method gives every node its InternalIP" in incident_there.remedy.text


def test_a_stored_address_that_left_the_node_is_told_as_kept_silently() -> None:
    nodes = [node_object(1), node_object(2, stored=ETH1), node_object(3)]
    (found,) = run(cluster(nodes, [calico_ds("interface=^eth1$")]))[:1]
    assert (found.id, found.severity) == ("CAL001", "critical")
    assert "no longer on the node" in found.summary


def test_a_wrong_address_that_the_next_detection_sets_right_says_so() -> None:
    nodes = [node_object(1), node_object(2, stored=ETH1), node_object(3)]
    inventory = [host(1), host(2, [lo(), nic("eth1", ETH1), nic("eth0", ETH0[2])]), host(3)]
    found = run(cluster(nodes), inventory)
    assert "the next detection would set it right" in found[0].summary


def deliberate(**more: Any) -> list[Any]:
    """Calico on a network of its own, by an explicit method, on all nodes."""
    nodes = [node_object(n, stored=f"10.9.0.{n}/24") for n in (1, 2, 3)]
    inventory = [
        host(n, [lo(), nic("eth0", ETH0[n]), nic("storage0", f"10.9.0.{n}/24")], **more)
        for n in (1, 2, 3)
    ]
    method = "interface=storage.*"
    facts = cluster(nodes, [calico_ds(method)], [installation({"interface": "storage.*"})])
    return run(facts, inventory)


def test_an_address_chosen_on_purpose_is_one_warning_for_all_nodes() -> None:
    (found,) = deliberate()
    assert (found.id, found.severity) == ("CAL001", "warning")
    assert found.evidence["nodes"] == ["node1", "node2", "node3"]


def test_an_explicit_method_that_differs_between_nodes_is_no_purpose() -> None:
    nodes = [node_object(1), node_object(2, stored=ETH1), node_object(3)]
    facts = cluster(nodes, [calico_ds("interface=eth")], [installation({"interface": "eth"})])
    found = run(facts, [host(1), host(2, two_nics()), host(3)])
    assert [(f.id, f.severity, f.subject) for f in found] == [("CAL001", "critical", "node2")]


def test_a_nic_that_came_after_the_baseline_is_no_purpose() -> None:
    changes = [drift("added", "storage0", after=["10.9.0.1/24"])]
    assert {f.severity for f in deliberate(changes=changes)} == {"critical"}


def test_internal_ip_as_method_is_never_on_purpose_elsewhere() -> None:
    nodes = [node_object(1), node_object(2, stored=ETH1), node_object(3)]
    facts = cluster(
        nodes,
        [calico_ds("kubernetes-internal-ip")],
        [installation({"kubernetes": "NodeInternalIP"})],
    )
    found = run(facts, [host(1), host(2, two_nics()), host(3)])
    assert [(f.id, f.severity) for f in found] == [("CAL001", "critical")]


def test_without_a_visit_the_stored_address_alone_is_enough_to_be_critical() -> None:
    nodes = [node_object(1), node_object(2, stored=ETH1), node_object(3)]
    away = host(2, state="unreachable", error="no route to host")
    found = run(cluster(nodes), [host(1), away, host(3)])
    assert ids(found) == ["CAL001", "NOD003"]
    assert found[0].evidence["next"] is None
    assert found[0].evidence["candidates"] == []


def test_a_detection_that_would_move_the_address_is_critical() -> None:
    found = run(cluster(dns=[("coredns-1", "node2")]), [host(1), host(2, two_nics()), host(3)])
    assert [(f.id, f.severity, f.subject) for f in found] == [("CAL002", "critical", "node2")]
    for words in ("within 60 s", ETH0[2], f"{ETH1} (eth1)", "1 DNS pod "):
        assert words in found[0].summary


def test_it_does_not_move_where_calico_detects_only_once() -> None:
    facts = cluster(daemonsets=[calico_ds(namespace="kube-system", ip="")], installations=[])
    assert run(facts, [host(1), host(2, two_nics()), host(3)]) == []


def test_it_does_not_move_for_another_prefix_of_the_same_address() -> None:
    nodes = [node_object(1, stored="10.160.1.21/32"), node_object(2), node_object(3)]
    assert run(cluster(nodes)) == []


def test_without_bgp_it_moves_only_at_a_restart() -> None:
    ds = calico_ds("first-found", extra=env(CALICO_NETWORKING_BACKEND="none"))
    found = run(cluster(daemonsets=[ds]), [host(1), host(2, two_nics()), host(3)])
    assert "when calico-node restarts" in found[0].summary


def test_moving_to_another_internal_ip_is_only_a_warning() -> None:
    nodes = [node_object(1), node_object(2, internal=["10.160.1.22", "10.160.9.22"])]
    found = run(cluster(nodes), [host(1), host(2, two_nics())])
    assert [(f.id, f.severity) for f in found] == [("CAL002", "warning")]


def test_the_nic_that_moves_the_address_is_not_told_again_as_drift() -> None:
    changed = [drift("added", "eth1", after=[ETH1]), drift("added", "eth2", after=[])]
    found = run(cluster(), [host(1), host(2, two_nics(), changed), host(3)])
    assert [(f.id, f.subject) for f in found] == [("CAL002", "node2"), ("NIC002", "node2 eth2")]


def test_first_found_with_several_nics_is_one_warning_for_all_nodes() -> None:
    inventory = [
        host(n, [lo(), nic("oob0", f"192.0.2.{n}/24"), nic("eth0", ETH0[n])]) for n in (1, 2, 3)
    ]
    (found,) = run(cluster(), inventory)
    assert (found.id, found.severity) == ("CAL003", "warning")
    assert found.evidence["nodes"] == ["node1", "node2", "node3"]
    assert found.evidence["per_node"]["node1"]["choices"] == ["eth0", "oob0"]


@pytest.mark.parametrize("other", ["docker0", "vxlan.calico", "cali12345", "kube-ipvs0"])
def test_first_found_with_nics_that_calico_skips_is_fine(other: str) -> None:
    inventory = [host(1, [lo(), nic(other, "172.17.0.1/16"), nic("eth0", ETH0[1])]), *hosts()[1:]]
    assert run(cluster(), inventory) == []


def test_several_nics_are_fine_with_an_explicit_method() -> None:
    inventory = [host(1, [lo(), nic("oob0", "192.0.2.1/24"), nic("eth0", ETH0[1])]), *hosts()[1:]]
    facts = cluster(
        daemonsets=[calico_ds("kubernetes-internal-ip")],
        installations=[installation({"kubernetes": "NodeInternalIP"})],
    )
    assert run(facts, inventory) == []


def test_two_nodes_with_one_address_are_one_critical_finding() -> None:
    nodes = [node_object(1), node_object(2, stored=ETH0[1]), node_object(3)]
    (found,) = run(cluster(nodes))
    assert (found.id, found.severity) == ("CAL004", "critical")
    assert found.evidence["nodes"] == ["node1", "node2"]
    assert "the InternalIP of node1" in found.summary


def test_addresses_that_differ_in_one_digit_are_no_duplicates() -> None:
    nodes = [node_object(1, stored="10.160.1.2/24", internal=["10.160.1.2"]), node_object(2)]
    inventory = [host(1, [lo(), nic("eth0", "10.160.1.2/24")]), host(2)]
    assert run(cluster(nodes), inventory) == []


def test_a_node_without_an_address_is_critical_and_says_what_detection_would_choose() -> None:
    nodes = [node_object(1), node_object(2, stored=None), node_object(3)]
    (found,) = run(cluster(nodes))
    assert (found.id, found.severity, found.subject) == ("CAL005", "critical", "node2")
    assert f"{ETH0[2]} (eth0)" in found.summary
    assert "spec.nodeName=node2" in found.remedy.commands[0]


def test_an_address_cleared_as_duplicate_names_the_node_that_holds_it() -> None:
    nodes = [node_object(1), node_object(2, stored=None), node_object(3)]
    inventory = [host(1), host(2, [lo(), nic("eth0", ETH0[2]), nic("vip0", ETH0[1])]), host(3)]
    (found,) = run(cluster(nodes), inventory)
    assert found.id == "CAL005"
    assert found.evidence["held_by"] == "node1"


@pytest.mark.parametrize(
    "ds",
    [
        calico_ds(ip="none", namespace="kube-system"),
        calico_ds(ip="10.0.0.1", namespace="kube-system"),
        calico_ds(namespace="kube-system", extra=env(DATASTORE_TYPE="etcdv3")),
        calico_ds(ip="", name="canal", namespace="kube-system", containers=("kube-flannel",)),
    ],
    ids=["IP=none", "fixed", "etcd", "canal"],
)
def test_where_calico_does_not_choose_or_not_show_addresses_none_is_missing(ds: Any) -> None:
    nodes = [node_object(n, stored=None) for n in (1, 2, 3)]
    assert run(cluster(nodes, [ds], [])) == []


def test_without_calico_nothing_is_said_about_it() -> None:
    nodes = [node_object(n, stored=None) for n in (1, 2, 3)]
    assert run(cluster(nodes, [], [])) == []


def test_windows_nodes_have_no_address_to_miss() -> None:
    nodes = [node_object(1), node_object(2), node_object(3, stored=None, os="windows")]
    assert ids(run(cluster(nodes), [host(1), host(2)])) == ["NOD004"]


def test_several_methods_are_a_warning_that_names_them() -> None:
    both = {"firstFound": True, "kubernetes": "NodeInternalIP"}
    (found,) = run(cluster(installations=[installation(both)]))
    assert (found.id, found.severity) == ("CAL006", "warning")
    assert "firstFound and kubernetes" in found.summary
    assert '"value":{"kubernetes":"NodeInternalIP"}' in found.remedy.commands[0]


@pytest.mark.parametrize(
    "value",
    [
        {"firstFound": True, "kubernetes": None},
        {"firstFound": True, "cidrs": []},
        {"firstFound": True, "interface": ""},
    ],
)
def test_keys_that_set_nothing_do_not_count_as_methods(value: dict[str, Any]) -> None:
    assert run(cluster(installations=[installation(value)])) == []


@pytest.mark.parametrize(
    ("method", "severity"),
    [
        ("cidr=10.160.1.0/24,10.1.2.3", "warning"),
        ("interface=eth(", "warning"),
        ("skip-interface=(?!eth0)", "warning"),
        ("internal-ip", "critical"),
        ("first_found", "critical"),
    ],
)
def test_a_method_that_calico_cannot_use_is_told_once(method: str, severity: str) -> None:
    facts = cluster(daemonsets=[calico_ds(method, namespace="kube-system")], installations=[])
    (found,) = run(facts)
    assert (found.id, found.severity) == ("CAL007", severity)
    assert method in found.summary


@pytest.mark.parametrize("method", ["cidr=10.160.1.0/24", "interface=eth0", "can-reach=192.0.2.9"])
def test_a_method_that_calico_can_use_is_no_finding(method: str) -> None:
    facts = cluster(daemonsets=[calico_ds(method, namespace="kube-system")], installations=[])
    inventory = [host(n, reach={"192.0.2.9": {"source": ETH0[n].split("/")[0]}}) for n in (1, 2, 3)]
    assert run(facts, inventory) == []


def test_can_reach_is_not_judged_without_the_kernels_answer() -> None:
    ds = calico_ds("can-reach=192.0.2.9", namespace="kube-system")
    assert run(cluster(daemonsets=[ds], installations=[])) == []


def test_a_method_that_finds_nothing_is_one_warning_for_all_nodes() -> None:
    ds = calico_ds("interface=^ens.*", namespace="kube-system")
    (found,) = run(cluster(daemonsets=[ds], installations=[]))
    assert (found.id, found.severity) == ("CAL008", "warning")
    assert found.evidence["nodes"] == ["node1", "node2", "node3"]


def test_operator_and_manifest_side_by_side_are_a_migration() -> None:
    both = [calico_ds("first-found"), calico_ds(namespace="kube-system")]
    assert ids(run(cluster(daemonsets=both))) == ["CAL009"]


def test_another_method_in_the_daemonset_than_in_the_installation_is_told() -> None:
    facts = cluster(installations=[installation({"kubernetes": "NodeInternalIP"})])
    (found,) = run(facts)
    assert (found.id, found.severity) == ("CAL010", "warning")
    assert "asks for kubernetes-internal-ip" in found.summary


@pytest.mark.parametrize("v4", [None, {}, {"firstFound": False}])
def test_an_installation_that_asks_for_nothing_differs_from_nothing(v4: Any) -> None:
    assert run(cluster(installations=[installation(v4)])) == []


def test_ipv6_is_judged_by_its_own_method() -> None:
    nodes = [
        node_object(
            n,
            internal=[ETH0[n].split("/")[0], f"2001:db8::{n}"],
            stored6="2001:db8:9::2/64" if n == 2 else f"2001:db8::{n}/64",
        )
        for n in (1, 2)
    ]
    ds = calico_ds("kubernetes-internal-ip", ip6="autodetect")
    facts = cluster(nodes, [ds], [installation({"kubernetes": "NodeInternalIP"})])
    inventory = [
        host(1, [lo(), nic("eth0", ETH0[1], "2001:db8::1/64")]),
        host(
            2,
            [lo(), nic("eth0", ETH0[2], "2001:db8::2/64"), nic("eth1", "2001:db8:9::2/64")],
        ),
    ]
    (found,) = run(facts, inventory)
    assert (found.id, found.subject, found.evidence["family"]) == ("CAL001", "node2", 6)
    assert "nodeAddressAutodetectionV6" in found.remedy.commands[0]


def test_ipv6_is_left_alone_where_calico_does_not_detect_it() -> None:
    nodes = [node_object(1, internal=["10.160.1.21", "2001:db8::1"])]
    assert run(cluster(nodes), [host(1, [lo(), nic("eth0", ETH0[1], "2001:db8::1/64")])]) == []


def test_a_daemonset_of_somebody_else_is_not_calico() -> None:
    other = daemonset("web", "default", [{"name": "nginx", "image": "nginx:1"}])
    assert run(cluster([node_object(n, stored=None) for n in (1, 2, 3)], [other], [])) == []


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.booleans(), st.sampled_from(["", "added", "removed"])),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from(
        ["first-found", "kubernetes-internal-ip", "interface=eth.*", "cidr=10.0.0.0/8", "x", None]
    ),
)
def test_each_node_is_told_at_most_one_critical_thing_about_one_family(
    shapes: list[tuple[int, bool, str]], method: str | None
) -> None:
    nodes, inventory = [], []
    for number, (extra, moved, change) in enumerate(shapes, start=1):
        nics = [lo(), nic("eth0", ETH0[number])]
        nics += [nic(f"eth{i}", f"10.160.{i}.{number}/24") for i in range(2, 2 + extra)]
        nodes.append(node_object(number, stored=f"10.160.2.{number}/24" if moved else ETH0[number]))
        changes = [drift(change, "eth2", before=[], after=[])] if change else []
        inventory.append(host(number, nics, changes))
    ds = calico_ds(method, namespace="kube-system")
    found = run(cluster(nodes, [ds], []), inventory)
    for name in (n["metadata"]["name"] for n in nodes):
        told = [f.id for f in found if name in f.evidence["nodes"] and f.severity == "critical"]
        assert len(told) <= 1
    assert found == run(cluster(nodes, [ds], []), inventory)


def test_a_node_that_was_not_visited_does_not_spoil_the_recommendation() -> None:
    nodes = [node_object(1), node_object(2, stored=ETH1), node_object(3)]
    away = host(3, state="unreachable", error="no route to host")
    found = run(cluster(nodes), [host(1), host(2, two_nics()), away])
    assert "each of the 2 visited nodes its InternalIP" in found[0].remedy.text


def test_an_ipv6_address_is_the_same_in_every_spelling() -> None:
    nodes, inventory = [], []
    for number in (1, 2, 3):
        address = f"fd00:0:0:0::{number}"
        nodes.append(node_object(number, None, [address.upper()], stored6=f"fd00::{number}/64"))
        inventory.append(host(number, nics=[lo(), nic("eth0", f"fd00::{number}/64")]))
    ds = calico_ds(ip="none", ip6="autodetect", method6="kubernetes-internal-ip")
    cni = cluster(nodes, [ds], [installation(None, {"kubernetes": "NodeInternalIP"})])
    assert run(cni, inventory) == []
    for entry in inventory:
        entry["facts"].pop("k8snet_node")
    assert run(cni, inventory) == []
