# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about NICs, Open vSwitch, service rules, and what the audit could not see."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.audit_world import (
    antrea,
    cluster,
    daemonset,
    drift,
    host,
    hosts,
    ids,
    node_object,
    run,
)

OVS = {
    "present": True,
    "socket": "/var/run/antrea/openvswitch/db.sock",
    "version": "3.3.0",
    "flow_restore_wait": False,
    "cur_cfg": 7,
    "next_cfg": 7,
    "vswitchd_running": True,
    "vswitchd_uptime": 9000,
    "enslaved": [],
    "error": None,
}


def with_ovs(**values: Any) -> list[dict[str, Any]]:
    """Three hosts, the first with an Open vSwitch that differs from a healthy one."""
    return [host(1, facts={"k8snet_ovs": {**OVS, **values}}), host(2), host(3)]


def with_residue(running: bool = False, errors: Any = (), **residue: Any) -> list[dict[str, Any]]:
    """Three hosts, the first with traces of kube-proxy."""
    empty = {
        "iptables": [],
        "ipsets": [],
        "virtual_servers": {"count": 0, "destinations": 0, "sample": []},
        "nft_tables": [],
        "kube_ipvs0": None,
    }
    facts = {
        "residue": {**empty, **residue},
        "running": running,
        "blockers": [],
        "errors": list(errors),
    }
    return [host(1, facts={"k8snet_kube_proxy": facts}), host(2), host(3)]


def antrea_cluster(proxy_all: bool = True, more: Any = (), **kwargs: Any) -> dict[str, Any]:
    """A cluster with Antrea and without Calico."""
    ds, config_maps = antrea(proxy_all)
    config_maps.update(kwargs.pop("config_maps", {}))
    nodes = kwargs.pop("nodes", None) or [node_object(n, stored=None) for n in (1, 2, 3)]
    return cluster(nodes, [ds, *more], [], config_maps=config_maps, **kwargs)


def kube_proxy_ds(mode: str = "", desired: int = 3) -> tuple[dict[str, Any], dict[str, Any]]:
    """kube-proxy's DaemonSet, and its ConfigMap by "namespace/name"."""
    ds = daemonset(
        "kube-proxy",
        "kube-system",
        [{"name": "kube-proxy", "image": "registry.example/kube-proxy:v1.31.0"}],
        ("kube-proxy",),
        desired,
    )
    conf = f'kind: KubeProxyConfiguration\nmode: "{mode}"\n'
    return ds, {"kube-system/kube-proxy": {"config.conf": conf}}


CHAINS = {"backend": "nft", "family": "ip", "table": "nat", "chains": 12, "jumps": []}


@pytest.mark.parametrize(
    ("change", "ident", "words"),
    [
        (drift("added", "eth1", after=["10.1.0.5/24"]), "NIC002", "eth1 (10.1.0.5/24) was added"),
        (drift("removed", "eth1", before=["10.1.0.5/24"]), "NIC003", "is gone from node1"),
        (drift("renamed", "ens1", "eth1", before=[], after=[]), "NIC004", "eth1 is called ens1"),
        (
            drift("readdressed", "eth1", before=["10.1.0.5/24"], after=["10.1.0.6/24"]),
            "NIC005",
            "from 10.1.0.5/24 to 10.1.0.6/24",
        ),
        (
            drift("readdressed", "eth1", before=["10.1.0.5/24"], after=["10.1.0.5/24"]),
            "NIC005",
            "another device",
        ),
    ],
)
def test_each_kind_of_drift_is_a_warning(change: Any, ident: str, words: str) -> None:
    (found,) = run(cluster(), [host(1, changes=[change]), host(2), host(3)])
    assert (found.id, found.severity, found.since) == (ident, "warning", "2026-02-01T00:00:00Z")
    assert words in found.summary
    assert found.remedy.commands == ("ansible-playbook k8snet.cni.baseline -i <inventory> -l n1",)


def test_nodes_without_a_baseline_are_one_information() -> None:
    (found,) = run(cluster(), [host(n, changes=None) for n in (1, 2, 3)])
    assert (found.id, found.severity) == ("NIC001", "info")
    assert found.evidence["nodes"] == ["node1", "node2", "node3"]


def test_a_broken_baseline_is_a_warning_and_no_missing_one() -> None:
    broken = {"recorded_at": None, "changes": [], "error": "it is no JSON"}
    found = run(cluster(), [host(1, facts={"k8snet_nic_drift": broken}), host(2), host(3)])
    assert ids(found) == ["NIC006"]
    remove, record = found[0].remedy.commands
    assert "nic_baseline -a state=absent" in remove
    assert record.endswith("k8snet.cni.baseline -i <inventory> -l n1")


def test_flow_restore_wait_left_on_is_critical_with_the_command_for_its_socket() -> None:
    (found,) = run(cluster(), with_ovs(flow_restore_wait=True))
    assert (found.id, found.severity) == ("OVS001", "critical")
    assert "up for 2 h" in found.summary
    assert "on a bridge" not in found.summary
    playbook, by_hand = found.remedy.commands
    assert playbook.startswith("ansible-playbook k8snet.cni.antrea_flow_restore ")
    assert OVS["socket"] in by_hand


def test_flow_restore_wait_is_normal_while_the_agent_starts() -> None:
    (found,) = run(cluster(), with_ovs(flow_restore_wait=True, vswitchd_uptime=20))
    assert (found.id, found.severity) == ("OVS001", "info")


def test_how_long_flow_restore_wait_may_take_is_an_option() -> None:
    inventory = with_ovs(flow_restore_wait=True, vswitchd_uptime=20)
    assert run(cluster(), inventory, flow_restore_min_age=10)[0].severity == "critical"


def test_flow_restore_wait_without_vswitchd_or_with_unknown_age_is_critical() -> None:
    for state in ({"vswitchd_running": False, "vswitchd_uptime": None}, {"vswitchd_uptime": None}):
        found = run(cluster(), with_ovs(flow_restore_wait=True, **state))
        assert [(f.id, f.severity) for f in found] == [("OVS001", "critical")]


def test_flow_restore_wait_names_the_nodes_own_nic_on_the_bridge() -> None:
    moved = [{"nic": "eth0~", "bridge": "br0", "internal_port": "eth0", "addresses_on": "eth0"}]
    (found,) = run(cluster(), with_ovs(flow_restore_wait=True, enslaved=moved))
    assert "eth0~ is on a bridge" in found.summary


def test_a_healthy_open_vswitch_is_no_finding() -> None:
    assert run(cluster(), with_ovs()) == []


@pytest.mark.parametrize(
    ("state", "severity"),
    [({"next_cfg": 9}, "warning"), ({"vswitchd_running": False}, "critical")],
)
def test_an_open_vswitch_that_does_not_apply_is_told(state: Any, severity: str) -> None:
    (found,) = run(cluster(), with_ovs(**state))
    assert (found.id, found.severity) == ("OVS002", severity)


def test_an_unreadable_open_vswitch_is_a_warning_with_the_reason() -> None:
    (found,) = run(cluster(), with_ovs(error="OVSDB closed the connection in mid-answer"))
    assert (found.id, found.severity) == ("OVS003", "warning")
    assert "closed the connection" in found.summary


def test_no_open_vswitch_is_only_worth_a_word_where_antrea_is_installed() -> None:
    inventory = with_ovs(present=False, socket=None)
    assert run(cluster(), inventory) == []
    assert ids(run(antrea_cluster(), inventory)) == ["OVS003"]


def test_residue_beside_proxy_all_is_a_warning_that_counts_it() -> None:
    inventory = with_residue(
        iptables=[CHAINS, {**CHAINS, "family": "ip6", "chains": 0}], ipsets=[{"name": "KUBE-X"}]
    )
    (found,) = run(antrea_cluster(), inventory)
    assert (found.id, found.severity, found.subject) == ("KPR001", "warning", "node1")
    assert "12 iptables chains, 1 ipset on node1" in found.summary


def test_kube_ipvs0_beside_proxy_all_is_critical() -> None:
    found = run(antrea_cluster(), with_residue(kube_ipvs0={"addresses": 0, "sample": []}))
    assert [(f.id, f.severity) for f in found] == [("KPR001", "critical")]


@pytest.mark.parametrize(
    ("facts", "inventory"),
    [
        (antrea_cluster(proxy_all=False), with_residue(iptables=[CHAINS])),
        (antrea_cluster(), with_residue(iptables=[{**CHAINS, "chains": 0}])),
        (antrea_cluster(), with_residue(running=True, iptables=[CHAINS])),
        (cluster(), with_residue(iptables=[CHAINS])),
        (cluster(available=False), with_residue(iptables=[CHAINS])),
    ],
    ids=["proxyAll off", "only what must stay", "kube-proxy runs", "no Antrea", "no cluster"],
)
def test_rules_of_kube_proxy_are_residue_only_beside_proxy_all(facts: Any, inventory: Any) -> None:
    assert "KPR001" not in ids(run(facts, inventory))


@pytest.mark.parametrize(
    ("mode", "severity"), [("", "info"), ("ipvs", "warning"), ("nftables", "warning")]
)
def test_kube_proxy_beside_proxy_all_gets_along_in_iptables_mode(mode: str, severity: str) -> None:
    ds, config_maps = kube_proxy_ds(mode)
    facts = antrea_cluster(more=[ds], config_maps=config_maps)
    found = run(facts, with_residue(iptables=[CHAINS]))
    assert [(f.id, f.severity) for f in found] == [("KPR002", severity)]


def test_a_kube_proxy_that_runs_nowhere_leaves_residue() -> None:
    ds, config_maps = kube_proxy_ds(desired=0)
    facts = antrea_cluster(more=[ds], config_maps=config_maps)
    assert ids(run(facts, with_residue(iptables=[CHAINS]))) == ["KPR001"]


def test_on_k3s_kube_proxy_runs_inside_another_process() -> None:
    nodes = [node_object(n, stored=None, kubelet="v1.31.0+k3s1") for n in (1, 2, 3)]
    facts = antrea_cluster(nodes=nodes)
    assert ids(run(facts, with_residue(iptables=[CHAINS]))) == ["KPR002"]


def test_unreadable_service_rules_are_a_warning() -> None:
    (found,) = run(cluster(), with_residue(errors=["iptables-nft-save failed: exit code 1"]))
    assert (found.id, found.severity) == ("KPR003", "warning")


def test_an_unreachable_node_is_critical_and_says_what_the_cluster_thinks() -> None:
    nodes = [node_object(1), node_object(2), node_object(3, ready="Unknown")]
    away = [host(n, state="unreachable", error="No route\n to host") for n in (2, 3)]
    for entry, words in zip(away, (" (the cluster says it is Ready)", "")):
        seen = {1, 2, 3} - {int(entry["name"][1:])}
        (found,) = run(cluster(nodes), [entry, *(host(n) for n in seen)])
        assert (found.id, found.severity) == ("NOD003", "critical")
        assert found.subject == entry["name"].replace("n", "node")
        assert found.summary.endswith(f"nothing on it was checked{words}: No route to host")


def test_nodes_unreachable_for_one_reason_are_one_finding() -> None:
    count = 1000
    nodes = [
        node_object(1, None, [f"10.8.{n >> 8}.{n & 255}"], name=f"node{n}", ready="True")
        for n in range(count)
    ]
    error = "Failed to connect to the host via ssh: ssh: connect to host {} port 22: No route"
    inventory = []
    for number in range(count):
        address = f"10.8.{number >> 8}.{number & 255}"
        away = host(1, state="unreachable", error=error.format(address), address=address)
        inventory.append({**away, "name": f"n{number}"})
    inventory[7]["error"] = "Permission denied (publickey)"
    inventory[8].update(state="failed", error="MODULE FAILURE: no python")
    found = [f for f in run(cluster(nodes), inventory) if f.id.startswith("NOD")]
    assert [(f.id, len(f.evidence["nodes"])) for f in found] == [
        ("NOD003", 998),
        ("NOD003", 1),
        ("NOD007", 1),
    ]
    assert found[0].subject == "node0, node1, node2 and 995 more"
    assert found[0].summary == (
        "node0, node1, node2 and 995 more could not be reached, nothing on them was checked (the "
        f"cluster says 998 of these 998 are Ready): {error.format('<host>')}"
    )
    assert found[0].evidence["per_node"]["node9"] == {
        "host": "n9",
        "address": "10.8.0.9",
        "error": error.format("10.8.0.9"),
        "node_ready": True,
    }
    assert found[0].remedy.commands == ("ansible -i <inventory> n0,n1,n2 -m ansible.builtin.ping",)
    assert "Permission denied" in found[1].summary


def test_accepted_nodes_are_an_information_beside_the_others() -> None:
    away = [host(n, state="unreachable", error=f"no route to n{n}") for n in (1, 2, 3)]
    found = run(cluster(), away, accept_unseen=["node2"])
    assert [(f.severity, f.evidence["nodes"]) for f in found if f.id == "NOD003"] == [
        ("critical", ["node1", "node3"]),
        ("info", ["node2"]),
    ]


def test_an_unreachable_node_that_may_go_unseen_is_an_information() -> None:
    inventory = [*hosts()[:2], host(3, state="unreachable", error="x")]
    for name in ("n3", "node3"):
        found = run(cluster(), inventory, accept_unseen=[name])
        assert [(f.id, f.severity) for f in found] == [("NOD003", "info")]
    assert run(cluster(), inventory, accept_unseen=["n1"])[0].severity == "critical"


def test_a_node_whose_facts_could_not_be_read_is_critical() -> None:
    inventory = [*hosts()[:2], host(3, state="failed", error="MODULE FAILURE: no python")]
    (found,) = run(cluster(), inventory)
    assert (found.id, found.severity) == ("NOD007", "critical")
    assert "no python" in found.summary


def test_the_four_ways_of_not_being_seen_are_told_apart() -> None:
    nodes = [node_object(1), node_object(2), node_object(3)]
    nodes += [
        node_object(1, name="winter", os="windows", internal=["10.160.1.31"]),
        node_object(1, name="forgotten", internal=["10.160.1.32"], stored="10.160.1.32/24"),
    ]
    inventory = [
        host(1),
        host(2, state="unreachable", error="time-out"),
        host(3, state="not_selected"),
    ]
    found = run(cluster(nodes), inventory)
    assert {f.id: f.evidence["nodes"] for f in found} == {
        "NOD001": ["forgotten"],
        "NOD002": ["node3"],
        "NOD003": ["node2"],
        "NOD004": ["winter"],
    }
    assert {f.id: f.severity for f in found} == {
        "NOD001": "warning",
        "NOD002": "info",
        "NOD003": "critical",
        "NOD004": "info",
    }


def test_nodes_missing_from_the_inventory_may_be_accepted() -> None:
    for accepted in (["node3"], "node3", "node9, node3"):
        (found,) = run(cluster(), hosts()[:2], accept_unseen=accepted)
        assert (found.id, found.severity) == ("NOD001", "info")


def test_a_host_that_is_no_node_is_told_with_the_reason() -> None:
    other = host(1, name="db7", nics=[], address="10.160.1.77")
    other["facts"]["k8snet_node"] = {"hostname": "db7", "fqdn": "db7"}
    (found,) = run(cluster(), [*hosts(), other])
    assert (found.id, found.subject) == ("NOD005", "db7")


def test_without_a_cluster_no_host_is_a_stranger() -> None:
    assert ids(run(cluster(available=False))) == ["API001"]


def test_two_hosts_that_are_one_node_are_told() -> None:
    (found,) = run(cluster(), [*hosts(), host(1, name="n1-again")])
    assert found.id == "NOD006"
    assert found.evidence["hosts"] == ["n1", "n1-again"]


def test_an_empty_inventory_is_told_with_the_remedy() -> None:
    found = run(cluster(available=False), [])
    assert [(f.id, f.severity) for f in found] == [("API001", "critical"), ("NOD008", "critical")]
    assert "k8snet_hosts" in found[1].remedy.text


def test_hosts_that_nobody_left_out_are_missed() -> None:
    inventory = [{**h, "state": "not_selected", "facts": {}} for h in hosts()]
    (found,) = run(cluster(), inventory, limited=False)
    assert (found.id, found.severity) == ("NOD009", "critical")
    assert found.evidence["nodes"] == ["node1", "node2", "node3"]
    assert "-e k8snet_hosts=" in found.remedy.commands[0]


def test_a_cluster_that_refuses_is_critical_and_says_what_stays_unknown() -> None:
    (found,) = run(cluster(available=False))
    assert (found.id, found.severity) == ("API001", "critical")
    assert "401" in found.summary
    assert len(found.evidence["could_not_check"]) == 6


def test_no_cluster_access_by_choice_is_an_information() -> None:
    facts = cluster(available=False)
    facts["access"]["configured"] = False
    assert [(f.id, f.severity) for f in run(facts)] == [("API001", "info")]


def test_a_forbidden_resource_is_a_warning_that_says_what_it_was_for() -> None:
    message = 'Failed to read /api/v1/pods: pods is forbidden: User "audit" cannot list.'
    errors = [{"resource": "pods", "status": 403, "message": message}]
    (found,) = run(cluster(errors=errors))
    assert (found.id, found.severity, found.subject) == ("API002", "warning", "pods")
    assert "which DNS pods" in found.summary
    assert message in found.summary


def test_node_findings_need_no_cluster() -> None:
    inventory = with_ovs(flow_restore_wait=True)
    inventory[1] = host(2, changes=[drift("added", "eth1", after=["10.1.0.5/24"])])
    found = run(cluster(available=False), inventory)
    assert ids(found) == ["API001", "OVS001", "NIC002"]
    assert found[1].subject == "n1"
