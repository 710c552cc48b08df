# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes, their VMs on Proxmox, and what is planned for them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.filter.proxmox_vlan_trunk_plan import (
    proxmox_vlan_trunk_plan,
)
from ansible_collections.k8snet.cni.plugins.filter.proxmox_vlan_trunk_verdict import (
    proxmox_vlan_trunk_verdict,
)
from ansible_collections.k8snet.cni.plugins.filter.proxmox_vlan_trunk_vms import (
    proxmox_vlan_trunk_vms,
)

Obj = dict[str, Any]
ROLE = "node-role.kubernetes.io/control-plane"
OPTIONS = {"state": "present", "vlans": [181], "power_cycle": "never"}


def mac(number: int) -> str:
    return f"bc:24:11:00:00:{number:02d}"


def line(number: int, rest: str = ",tag=216") -> str:
    return f"virtio={mac(number).upper()},bridge=vmbr0,firewall=1{rest}"


class World:
    """node1 to node4, node1 the control plane; VM 101 is node1, and so on."""

    def __init__(self, nodes: int = 4, control_planes: int = 1) -> None:
        numbers = range(1, nodes + 1)
        self.nodes = [kube_node(n, n <= control_planes) for n in numbers]
        self.hosts = [host(n) for n in numbers]
        self.vms = [vm(n) for n in numbers]
        self.bridges: list[Obj] = [{"iface": "vmbr0", "type": "bridge", "bridge_vlan_aware": 1}]
        self.waiting: dict[int, list[Obj]] = {}
        self.probes: Obj = {}
        self.rights = ["VM.Audit", "VM.Config.Network", "VM.PowerMgmt"]
        self.more: Obj = {}

    def matched(self, **options: Any) -> Obj:
        seen = [
            {"name": n["metadata"]["name"], "internal_ips": [ip(i)], "os": "linux"}
            for i, n in enumerate(self.nodes, 1)
        ]
        cluster = {"nodes": [{**each, "hostname": each["name"]} for each in seen]}
        return proxmox_vlan_trunk_vms(cluster, self.hosts, self.vms, options)

    def plan(self, found: Obj | None = None, **options: Any) -> Obj:
        found = found or self.matched(nodes=options.pop("nodes", ["node2", "node3", "node4"]))
        answers: Obj = {"nodes/pve1/network": self.bridges}
        for each in self.vms:
            now = [{"key": "net0", "value": each["config"]["net0"]}, {"key": "memory", "value": 1}]
            path = f"nodes/pve1/qemu/{each['vmid']}/pending"
            answers[path] = self.waiting.get(each["vmid"], now)
            path = f"/vms/{each['vmid']}"
            answers[f"access/permissions?path={path}"] = {path: dict.fromkeys(self.rights, 1)}
        seen = {"answers": answers, "nodes": self.nodes, "probes": self.probes, **self.more}
        return proxmox_vlan_trunk_plan(found, seen, {**OPTIONS, **options})


def ip(number: int) -> str:
    return f"10.160.1.2{number}"


def nic(name: str, number: int, **more: Any) -> Obj:
    found: Obj = {"name": name, "mac": mac(number), "permanent_mac": mac(number), "parent": None}
    return {**found, "addresses": [], **more}


def host(number: int) -> Obj:
    address = {"address": ip(number), "prefix": 24, "family": "inet"}
    facts = {"k8snet_nics": [nic("eth0", number, addresses=[address])]}
    name = f"node{number}"
    return {"name": name, "state": "visited", "error": "", "node_name": "", "facts": facts} | {
        "address": ip(number)
    }


def vm(number: int) -> Obj:
    config = {"net0": line(number), "digest": f"d{number}", "cores": 4, "netdev0": line(number)}
    base = {"vmid": 100 + number, "name": f"vm{number}", "node": "pve1", "status": "running"}
    return {**base, "config": config}


def kube_node(number: int, control_plane: bool) -> Obj:
    labels = {ROLE: ""} if control_plane else {}
    ready = {"type": "Ready", "status": "True"}
    meta = {"name": f"node{number}", "labels": labels}
    return {"metadata": meta, "spec": {}, "status": {"conditions": [ready]}}


def test_nodes_find_their_vms_by_the_mac() -> None:
    found = World().matched()
    assert found["refusals"] == []
    assert {name: entry["vmid"] for name, entry in found["nodes"].items()} == {
        f"node{n}": 100 + n for n in range(1, 5)
    }
    assert found["paths"].count("nodes/pve1/network") == 1
    assert "nodes/pve1/qemu/102/pending" in found["paths"]


def test_the_nic_below_a_vlan_interface_is_the_one() -> None:
    world = World(2)
    nics = world.hosts[1]["facts"]["k8snet_nics"]
    vlan = nic("eth0.216", 9, parent="eth0", permanent_mac=None, addresses=nics[0]["addresses"])
    world.hosts[1]["facts"]["k8snet_nics"] = [{**nics[0], "addresses": []}, vlan]
    assert world.matched()["nodes"]["node2"]["nic"] == "eth0"
    assert world.matched(nic="eth0.216")["nodes"]["node2"]["nic"] == "eth0"


def test_what_is_said_of_a_vm_has_to_fit_the_mac() -> None:
    world = World(2)
    assert world.matched(vms={"node2": {"name": "vm2", "node": "pve1"}})["refusals"] == []
    wrong = world.matched(nodes=["node2"], vms={"node2": {"vmid": 101}})
    assert "net0 of VM 101 has MAC bc:24:11:00:00:01, but the node's NIC" in wrong["refusals"][0]
    assert wrong["nodes"] == {}
    gone = world.matched(nodes=["node2"], vms={"node2": {"vmid": 102, "net": "net1"}})
    assert gone["refusals"] == ["node2: VM 102 has no net1."]
    other = world.matched(nodes=["node2"], vms={"node2": {"name": "vm2", "node": "pve2"}})
    assert "the token sees no VM of 'vm2'" in other["refusals"][0]
    world.vms[0]["name"] = "vm2"
    both = world.matched(nodes=["node2"], vms={"node2": {"name": "vm2"}})
    assert "the token sees 2 VMs of 'vm2'" in both["refusals"][0]


def test_a_mac_that_no_vm_or_several_have_is_refused() -> None:
    world = World(2)
    world.vms[0]["config"]["net1"] = line(2)
    assert "that of several VMs: 101 (net1), 102 (net0)" in world.matched()["refusals"][0]
    world = World(2)
    del world.vms[1]
    assert "node2: no VM that the token sees has a NIC" in world.matched()["refusals"][0]


def test_nodes_that_were_not_seen_or_do_not_exist_are_refused() -> None:
    world = World(2)
    world.hosts[1].update(state="unreachable", error="no route to host", facts={})
    assert "node2 was not visited (no route to host)" in world.matched()["refusals"][0]
    assert World(2).matched(nodes=["node9"])["refusals"][0].endswith("has no Node node9.")
    assert World(2).matched(vms={"node9": {"vmid": 1}})["refusals"][0].endswith("node9.")
    world = World(2)
    world.hosts = []
    assert world.matched()["refusals"][0].startswith("No Node is meant")
    assert "node2 has no NIC eth7" in World(2).matched(nic="eth7")["refusals"][1]


def test_a_node_outside_the_inventory_is_not_meant_unless_named() -> None:
    world = World(3)
    del world.hosts[2]
    assert sorted(world.matched()["nodes"]) == ["node1", "node2"]
    assert "node3 was not visited" in world.matched(nodes=["node3"])["refusals"][0]


def test_the_plan_writes_what_lacks_workers_in_their_order() -> None:
    world = World(12)
    world.vms[2]["config"]["net0"] = line(3, "")
    plan = world.plan(nodes=["node11", "node2", "node3"])
    assert plan["refusals"] == []
    assert plan["turns"] == ["node2", "node11"]
    assert plan["nodes"]["node2"]["wanted"] == line(2, ",tag=216,trunks=181")
    # Without tag and trunks every VLAN passes: trunks would take all others away.
    assert plan["nodes"]["node3"]["changes"] is False
    kept = plan["undo"]["node2"]
    assert (kept["former"], kept["written"]) == (line(2), line(2, ",tag=216,trunks=181"))
    assert f"  - {line(2)}" in plan["lines"]
    assert f"  = {line(3, '')}" in plan["lines"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"config": {"net0": line(2), "lock": "backup"}}, "the VM is locked (backup)"),
        ({"status": "paused"}, "the VM is paused, not running"),
        ({"config": {"net0": line(2, ",tag=181")}}, "VLAN 181 is the port's untagged VLAN"),
        ({"config": {"net0": line(2, ",trunks=x")}}, "no list of VLANs"),
    ],
)
def test_a_vm_that_must_not_be_written_is_refused(change: Obj, why: str) -> None:
    world = World()
    found = world.matched(nodes=["node2"])
    entry = found["nodes"]["node2"]
    entry.update({k: v for k, v in change.items() if k != "config"})
    config = change.get("config", {})
    entry.update(line=config.get("net0", entry["line"]), lock=config.get("lock", ""))
    plan = world.plan(found)
    assert len(plan["refusals"]) == 1
    assert plan["refusals"][0].startswith("node2: net0 of VM 102: ")
    assert why in plan["refusals"][0]
    assert plan["turns"] == []


@pytest.mark.parametrize(
    ("bridge", "why"),
    [
        ({"iface": "vmbr0", "type": "bridge"}, "is not VLAN-aware"),
        ({"iface": "vmbr0", "type": "bridge", "bridge_vlan_aware": 0}, "is not VLAN-aware"),
        ({"iface": "vmbr1", "type": "bridge", "bridge_vlan_aware": 1}, "is none of Proxmox node"),
        ({"iface": "vmbr0", "type": "OVSBridge"}, None),
        ({"iface": "vmbr0", "type": "bridge", "bridge_vlan_aware": "1"}, None),
    ],
)
def test_a_bridge_has_to_pass_vlans(bridge: Obj, why: str | None) -> None:
    world = World()
    world.bridges = [bridge]
    refusals = world.plan(nodes=["node2"])["refusals"]
    assert (refusals == []) if why is None else (why in refusals[0])


def pending(text: str | None, **more: Any) -> list[Obj]:
    entry: Obj = {"key": "net0", "value": line(2), **more}
    return [{**entry, "pending": text}] if text else [entry]


def test_another_change_that_waits_is_refused_and_ours_is_taken_up() -> None:
    world = World()
    world.waiting[102] = pending(line(2, ",tag=216").replace("firewall=1", "firewall=0"))
    assert "another change of it is pending" in world.plan(nodes=["node2"])["refusals"][0]
    world.waiting[102] = pending(None, delete=1)
    assert "another change of it is pending" in world.plan(nodes=["node2"])["refusals"][0]

    world.waiting[102] = pending(line(2, ",tag=216,trunks=181"))
    plan = world.plan(nodes=["node2"])
    assert (plan["refusals"], plan["turns"]) == ([], [])
    assert "VM 102 needs a power cycle" in plan["warnings"][0]
    cycled = world.plan(nodes=["node2"], power_cycle="when_due")
    assert (cycled["turns"], cycled["warnings"]) == (["node2"], [])
    assert not cycled["nodes"]["node2"]["write"]

    # Somebody has added another VLAN, which waits: both get there.
    world.waiting[102] = pending(line(2, ",tag=216,trunks=7"))
    entry = world.plan(nodes=["node2"])["nodes"]["node2"]
    assert (entry["write"], entry["wanted"]) == (True, line(2, ",tag=216,trunks=7;181"))
    # What waits for the VLAN to go again is told to come.
    taken = world.plan(nodes=["node2"], state="absent", vlans=[7])["nodes"]["node2"]
    assert (taken["write"], taken["wanted"]) == (True, line(2))


def test_other_changes_that_a_power_cycle_applies_are_told() -> None:
    world = World()
    world.waiting[102] = [*pending(None), {"key": "memory", "value": 1, "pending": 2}]
    assert world.plan(nodes=["node2"])["warnings"] == []
    told = world.plan(nodes=["node2"], power_cycle="when_due")["warnings"]
    assert told[0].startswith("node2: other changes of VM 102 are pending (memory)")


def test_a_vlan_that_does_not_arrive_makes_a_power_cycle_due() -> None:
    world = World()
    world.vms[1]["config"]["net0"] = line(2, ",tag=216,trunks=181")
    said = {"verdict": "nothing-heard", "explanation": "Of VLAN 181 nothing came in."}
    world.probes = {"node2": {"181": said}, "node3": {"181": said}}
    plan = world.plan(nodes=["node2", "node3"])
    assert plan["turns"] == ["node3"]
    silent = "node2: VLAN 181 does not reach eth0 (nothing-heard). Of VLAN 181 nothing came in."
    assert plan["nodes"]["node2"]["silent"] == [silent]
    assert plan["warnings"][0] == silent
    assert plan["nodes"]["node2"]["waits"] is False
    assert world.plan(nodes=["node2"], power_cycle="when_due")["turns"] == ["node2"]
    # Where it is to go, nobody waits for an answer.
    gone = world.plan(nodes=["node3"], state="absent", power_cycle="when_due")
    assert gone["turns"] == []
    world.probes = {"node2": {"181": {"verdict": "reached", "explanation": None}}}
    assert world.plan(nodes=["node2"], power_cycle="when_due")["turns"] == []


def test_control_planes_need_consent_and_etcd_its_quorum() -> None:
    world = World(4)
    alone = world.plan(nodes=["node1"], accept_control_plane=["node1"])
    assert "one of 1 control-plane nodes, and without it 0 are Ready" in alone["refusals"][0]
    world = World(4, control_planes=3)
    assert "Name it in" in world.plan(nodes=["node1"])["refusals"][0]
    plan = world.plan(nodes=["node1", "node4"], accept_control_plane=["node1"])
    assert (plan["refusals"], plan["turns"]) == ([], ["node4", "node1"])
    world.nodes[1]["status"]["conditions"][0]["status"] = "Unknown"
    lost = world.plan(nodes=["node1"], accept_control_plane=["node1"])["refusals"]
    assert "one of 3 control-plane nodes, and without it 1 are Ready" in lost[0]
    # Where nothing is to be changed nobody is asked.
    world.vms[0]["config"]["net0"] = line(1, "")
    assert world.plan(nodes=["node1"])["refusals"] == []


def test_a_node_that_is_not_ready_is_not_drained() -> None:
    world = World()
    world.nodes[1]["status"]["conditions"][0]["status"] = "False"
    assert world.plan(nodes=["node2"])["refusals"] == ["node2 is not Ready. Repair that first."]


def test_vlans_have_to_be_named_and_to_exist() -> None:
    assert "name one VLAN at least" in World().plan(vlans=[])["refusals"][0]
    for bad in ([4095], 4095, "4095"):
        plan = World().plan(vlans=bad)
        assert "4095 is none of" in refused(plan)
        assert plan["lines"][0] == "PLAN     Nothing, since no VLAN is named"
    assert "'x' is no list of numbers" in World().plan(vlans="x")["refusals"][0]


def test_lists_may_come_as_one_string() -> None:
    world = World(12, control_planes=0)
    plan = world.plan(nodes="node2,node12", vlans="181,182")
    assert plan["turns"] == ["node2", "node12"]
    assert plan["nodes"]["node2"]["wanted"].endswith(",trunks=181;182")
    assert world.plan(nodes=["node2"], vlans=181)["vlans"] == [181]
    world = World(4, control_planes=3)
    assert world.plan(nodes="node1", accept_control_plane="node11,node12")["refusals"] != []
    assert world.plan(nodes="node1", accept_control_plane="node3,node1")["refusals"] == []


def test_lines_are_put_back_unless_somebody_else_has_changed_them() -> None:
    world = World()
    kept = world.plan(nodes=["node2", "node3"])["undo"]
    world.vms[1]["config"]["net0"] = line(2, ",tag=216,trunks=181")

    def back() -> Obj:
        options = {"state": "restored", "former": kept, "vlans": []}
        return world.plan(world.matched(former=kept), **options)

    plan = back()
    assert (plan["refusals"], plan["turns"]) == ([], ["node2"])
    assert plan["nodes"]["node2"]["wanted"] == line(2)
    assert plan["nodes"]["node2"]["host"] == "node2"
    world.vms[1]["config"]["net0"] = line(2, ",tag=217,trunks=181")
    assert "Somebody has changed it since" in back()["refusals"][0]
    world.vms[1]["config"]["net0"] = line(7)
    assert "no VM 102 whose net0 has the MAC" in back()["refusals"][0]


def test_a_node_that_an_interrupted_run_has_cordoned_is_let_go() -> None:
    world = World()
    kept = world.plan(nodes=["node2", "node3"])["undo"]
    assert kept["node2"]["cordoned"] is False
    for number in (1, 2):
        done = line(number + 1, ",tag=216,trunks=181")
        world.vms[number]["config"]["net0"] = done
        world.nodes[number]["spec"]["unschedulable"] = True
    kept["node3"]["cordoned"] = True
    plan = world.plan(nodes=["node2", "node3"], former=kept)
    assert plan["turns"] == ["node2"]
    entry = plan["nodes"]["node2"]
    assert (entry["write"], entry["cordoned"]) == (False, False)
    assert any("left cordoned by an interrupted run" in text for text in plan["lines"])
    # One that was cordoned before the run stays so.
    assert plan["nodes"]["node3"]["cordoned"] is True
    assert world.plan(nodes=["node2", "node3"])["turns"] == []


def left(world: World) -> Obj:
    """Have a run on node2 and node3 killed when node2 was cordoned; returns what it has kept."""
    kept: Obj = world.plan(nodes=["node2", "node3"])["undo"]
    world.nodes[1]["spec"]["unschedulable"] = True
    return kept


def test_a_vm_that_an_interrupted_run_has_switched_off_is_started() -> None:
    world = World()
    kept = left(world)
    world.nodes[1]["status"]["conditions"][0]["status"] = "Unknown"
    world.hosts[1].update(state="unreachable", error="no route to host", facts={})
    world.vms[1]["status"] = "stopped"
    world.vms[1]["config"]["net0"] = line(2, ",tag=216,trunks=181")
    found = world.matched(nodes=["node2", "node3"], begun=kept)
    assert found["refusals"] == []
    assert {name: entry["visited"] for name, entry in found["nodes"].items()} == {
        "node2": False,
        "node3": True,
    }
    plan = world.plan(found, former=kept)
    assert (plan["refusals"], plan["turns"]) == ([], ["node2", "node3"])
    entry = plan["nodes"]["node2"]
    assert (entry["start"], entry["drain"], entry["cordoned"]) == (True, False, False)
    assert any("switched off by an interrupted run, and started" in text for text in plan["lines"])
    back = world.plan(world.matched(former=kept), state="restored", former=kept, vlans=[])
    assert (back["refusals"], back["turns"]) == ([], ["node2"])
    assert (back["nodes"]["node2"]["write"], back["nodes"]["node2"]["start"]) == (True, True)
    world.rights = ["VM.Config.Network"]
    refused = world.plan(found, former=kept)["refusals"]
    assert [text.partition(". ")[0] for text in refused] == [
        "node2: the token lacks VM.PowerMgmt on /vms/102"
    ]
    world.rights.append("VM.PowerMgmt")
    # Where it was cordoned before the run, it is started and stays so.
    kept["node2"]["cordoned"] = True
    entry = world.plan(found, former=kept)["nodes"]["node2"]
    assert (entry["changes"], entry["start"], entry["cordoned"]) == (True, True, True)
    # One that is off without being cordoned was switched off by somebody else.
    world.nodes[1]["spec"].pop("unschedulable")
    other = world.plan(world.matched(former=kept), state="restored", former=kept, vlans=[])
    assert "the VM is stopped, not running" in other["refusals"][0]


def test_a_node_that_a_run_has_cut_off_gets_its_line_back() -> None:
    world = World(3, control_planes=3)
    kept: Obj = world.plan(nodes=["node2"], accept_control_plane=["node2"])["undo"]
    world.vms[1]["config"]["net0"] = line(2, ",tag=216,trunks=181")
    world.nodes[1]["status"]["conditions"][0]["status"] = "Unknown"
    options: Obj = {"state": "restored", "former": kept, "vlans": []}
    refused = world.plan(world.matched(former=kept), **options)["refusals"]
    assert refused == ["node2 is not Ready. Repair that first."]
    world.nodes[1]["spec"]["unschedulable"] = True
    plan = world.plan(world.matched(former=kept), **options)
    assert (plan["refusals"], plan["turns"]) == ([], ["node2"])
    assert plan["nodes"]["node2"]["drain"] is False


def test_a_run_that_is_gone_on_with_changes_no_other_node() -> None:
    world = World()
    kept = left(world)
    refused = world.plan(nodes=["node2", "node4"], former=kept)["refusals"]
    assert len(refused) == 1
    assert refused[0].startswith("node4: the run that is gone on with has not planned")
    assert world.plan(nodes=["node2", "node3"], former=kept)["refusals"] == []


def test_a_bridge_that_is_not_applied_yet_is_refused() -> None:
    world = World()
    world.more["unapplied"] = ["nodes/pve1/network"]
    refused = world.plan(nodes=["node2"])["refusals"]
    assert "Apply or revert it there (System, Network)" in refused[0]
    world.more["unapplied"] = ["nodes/pve2/network"]
    assert world.plan(nodes=["node2"])["refusals"] == []


def test_a_vm_of_ha_is_not_switched() -> None:
    world = World()
    for state, managed in (("started", True), ("ignored", False), (None, False)):
        world.vms[1]["hastate"] = state
        assert world.plan(nodes=["node2"])["refusals"] == []
        refused = world.plan(nodes=["node2"], power_cycle="when_due")["refusals"]
        assert ["ha-manager remove vm:102" in text for text in refused] == [True] * managed


def test_what_the_token_may_not_is_told_before() -> None:
    world = World()
    world.rights = ["VM.Audit"]
    refused = world.plan(nodes=["node2"])["refusals"]
    assert "node2: the token lacks VM.Config.Network on /vms/102." in refused[0]
    world.rights = ["VM.Config.Network"]
    assert world.plan(nodes=["node2"])["refusals"] == []
    refused = world.plan(nodes=["node2"], power_cycle="when_due")["refusals"]
    assert "the token lacks VM.PowerMgmt on /vms/102" in refused[0]
    world.rights, world.bridges = ["VM.Config.Network"], []
    refused = world.plan(nodes=["node2"])["refusals"]
    assert "lacks SDN.Use on /sdn/zones/localnetwork/vmbr0" in refused[0]


def pod(name: str, **more: Any) -> Obj:
    meta = {"name": name, "namespace": "default", "ownerReferences": [{"kind": "ReplicaSet"}]}
    volumes = more.pop("volumes", [])
    phase = more.pop("phase", "Running")
    spec = {"volumes": volumes}
    return {"metadata": {**meta, **more}, "spec": spec, "status": {"phase": phase}}


def test_pods_that_bar_a_drain_are_told_before() -> None:
    world = World()
    mirror = {"kubernetes.io/config.mirror": "x"}
    local = [{"name": "tmp", "emptyDir": {}}]
    world.more["pods"] = {
        "node2": [
            pod("web"),
            pod("bare", ownerReferences=None),
            pod("cache", volumes=local),
            pod("static", annotations=mirror, volumes=local),
            pod("job", phase="Succeeded", ownerReferences=None),
        ]
    }
    refused = world.plan(nodes=["node2", "node3"])["refusals"]
    assert [text.partition(":")[2].rpartition(":")[2].partition(".")[0] for text in refused] == [
        " default/bare",
        " default/cache",
    ]
    forced = world.plan(nodes=["node2"], drain_force=True)["refusals"]
    assert len(forced) == 1
    assert "proxmox_vlan_trunk_drain_delete_emptydir_data" in forced[0]
    both: Obj = {"drain_force": True, "drain_delete_emptydir_data": True}
    assert world.plan(nodes=["node2"], **both)["refusals"] == []


def refused(plan: Obj) -> str:
    return " ".join(plan["refusals"])


def test_a_vlan_that_nobody_asks_for_is_told() -> None:
    world = World()

    def shown(**options: Any) -> str:
        return " ".join(text.strip() for text in world.plan(nodes=["node2"], **options)["lines"])

    told = "Nobody asks whether VLAN 182 arrives: name a gateway in proxmox_vlan_trunk_gateways."
    assert told in shown(vlans=[181, 182], gateways=["181"])
    assert "Nobody asks" not in shown(vlans=[181, 182], gateways=["181", "182"])
    assert "Nobody asks whether VLAN 181 arrives" in shown(gateways=[])
    assert "Nobody asks" not in shown(vlans=[181, 182])
    world.vms[1]["config"]["net0"] = line(2, ",tag=216,trunks=181")
    assert "Nobody asks" not in shown(state="absent", gateways=[])


def test_what_holds_a_drain_is_told_before() -> None:
    world = World()
    labels = {"app": "web"}
    world.more["pods"] = {"node2": [pod("web", labels=labels)], "node4": [pod("x", labels=labels)]}
    spec = {"selector": {"matchLabels": labels}}
    budget: Obj = {"metadata": {"name": "web", "namespace": "default"}, "spec": spec, "status": {}}
    world.more["budgets"] = [budget]
    world.vms[3]["config"]["net0"] = line(4, ",tag=216,trunks=181")
    # node4 has the VLAN already, so that nobody drains it.
    plan = world.plan(nodes=["node2", "node4"], drain_timeout=5)
    assert (plan["refusals"], plan["turns"]) == ([], ["node2"])
    assert [text.partition(" (0")[0] for text in plan["warnings"]] == [
        "PodDisruptionBudget default/web has no room"
    ]
    assert "hold the drain of node2 (default/web) until" in plan["warnings"][0]
    shown = " ".join(text.strip() for text in plan["lines"])
    assert "WARNING  PodDisruptionBudget default/web has no room" in shown
    assert plan["lines"].count("  (its drain evicts 1 pod)") == 1

    second = {**budget, "metadata": {"name": "all", "namespace": "default"}}
    world.more["budgets"].append(second)
    plan = world.plan(nodes=["node2", "node4"])
    assert "PodDisruptionBudget (default/web, default/all) selects default/web" in refused(plan)
    assert plan["warnings"] == []

    world.more.update(budgets=[], budgets_unread="forbidden")
    plan = world.plan(nodes=["node2", "node4"])
    assert plan["refusals"] == []
    assert "PodDisruptionBudgets could not be read" in plan["warnings"][0]
    assert world.plan(nodes=["node4"])["warnings"] == []


def test_a_node_that_is_not_drained_is_held_by_nobody() -> None:
    world = World()
    kept = left(world)
    world.vms[1]["status"] = "stopped"
    world.more["budgets_unread"] = "forbidden"
    plan = world.plan(nodes=["node2"], former=kept)
    assert (plan["turns"], plan["nodes"]["node2"]["drain"]) == (["node2"], False)
    assert plan["warnings"] == []


def test_a_vlan_that_a_pool_has_addresses_on_is_not_taken_off() -> None:
    world = World()
    world.vms[1]["config"]["net0"] = line(2, ",tag=216,trunks=181;182")
    selector = {"matchLabels": {"egress": "yes"}}
    spec = {"subnetInfo": {"vlan": 181}, "nodeSelector": selector}
    world.more["pools"] = [
        {"metadata": {"name": "out"}, "spec": spec},
        {"metadata": {"name": "plain"}, "spec": {"nodeSelector": {}}},
    ]
    gone: Obj = {"nodes": ["node2"], "state": "absent", "vlans": [181]}
    assert world.plan(**gone)["refusals"] == []
    world.nodes[1]["metadata"]["labels"]["egress"] = "yes"
    assert "ExternalIPPool out has addresses on VLAN 181" in world.plan(**gone)["refusals"][0]
    assert world.plan(**gone, accept_pools=["out"])["refusals"] == []
    assert world.plan(**{**gone, "vlans": [182]})["refusals"] == []


def test_a_vm_that_has_changed_since_the_plan_is_left_alone() -> None:
    world = World()
    before = world.plan(nodes=["node2"])
    again: Obj = {"planned": before["nodes"]}
    found = world.matched(former=before["undo"])
    assert world.plan(found, **again)["refusals"] == []
    world.vms[1]["config"]["net0"] = line(2, ",tag=216,trunks=7")
    found = world.matched(former=before["undo"])
    assert "has changed since the plan was made" in world.plan(found, **again)["refusals"][0]


def test_the_verdict_on_what_was_written() -> None:
    entry = World().plan(nodes=["node2"])["nodes"]["node2"]
    shown = entry["wanted"].replace(",tag=216,trunks=181", "") + ",tag=216,trunks=181"
    good = proxmox_vlan_trunk_verdict(entry, [{"key": "net0", "value": shown}])
    assert (good["unread"], good["waits"], good["silent"]) == ([], False, [])
    later = proxmox_vlan_trunk_verdict(entry, pending(entry["wanted"]))
    assert (later["unread"], later["waits"]) == ([], True)
    other = proxmox_vlan_trunk_verdict(entry, pending(None))
    assert f"Proxmox has '{line(2)}' instead" in other["unread"][0]
    assert proxmox_vlan_trunk_verdict(entry, [])["unread"] != []
    back = proxmox_vlan_trunk_verdict(entry, pending(None), {}, line(2))
    assert back["unread"] == []
    probes = {"181": {"verdict": "wrong-vlan", "explanation": "Why."}}
    assert proxmox_vlan_trunk_verdict(entry, [], probes)["silent"] == [
        "node2: VLAN 181 does not reach eth0 (wrong-vlan). Why."
    ]


def test_wrong_input_is_told_apart() -> None:
    with pytest.raises(AnsibleFilterError, match="cluster_info"):
        proxmox_vlan_trunk_vms({}, [], [], {})
    with pytest.raises(AnsibleFilterError, match="must be lists"):
        proxmox_vlan_trunk_vms({"nodes": []}, [], {}, {})
    with pytest.raises(AnsibleFilterError, match="proxmox_vlan_trunk_vms"):
        proxmox_vlan_trunk_plan({}, {}, {})
    with pytest.raises(AnsibleFilterError, match="must be dicts"):
        proxmox_vlan_trunk_plan({"paths": []}, [], {})
