# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may become an uplink of Antrea's secondary bridge, and what must not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _secondary_network as domain
from ansible_collections.k8snet.cni.plugins.module_utils.domain._secondary_nic import Seen, Uplinks

ANTREA = domain.Antrea(
    (2, 3, 0), "br-int", {"AntreaIPAM": True, "SecondaryNetwork": True}, has_attachments=True
)
NEWEST = replace(
    ANTREA,
    version=(2, 7, 0),
    gates={**ANTREA.gates, "AntreaNodeConfig": True},
    has_node_configs=True,
)


def nic(name: str, *addresses: str, **more: Any) -> dict[str, Any]:
    entries = [
        {
            "address": text.partition("/")[0],
            "prefix": int(text.partition("/")[2]),
            "scope": "link" if text.startswith("fe80") else "global",
            "flags": ["permanent"],
        }
        for text in addresses
    ]
    default = {"kind": "physical", "role": "node", "master": None, "parent": None, "altnames": []}
    return {"name": name, **default, "addresses": entries, **more}


OVS: dict[str, Any] = {
    "present": True,
    "error": None,
    "flow_restore_wait": False,
    "bridges": [{"name": "br-int", "uplinks": [], "external_ids": {}}],
    "enslaved": [],
}
PRIMARY = nic("eth0", "10.0.0.1/24", role="primary")


def seen(*nics: dict[str, Any], node: str = "w1", **more: Any) -> Seen:
    default: dict[str, Any] = {"internal": ("10.0.0.1",), "api": {"10.0.0.9": "eth0"}, "ovs": OVS}
    return Seen(node, nics=nics or (PRIMARY, nic("eth1")), **{**default, **more})


def want(*interfaces: str, **more: Any) -> domain.Want:
    bridge, primary = more.pop("bridge", "br-sec"), more.pop("allow_primary", False)
    uplinks = Uplinks(bridge, interfaces or ("eth1",), primary)
    return domain.Want(more.pop("state", domain.PRESENT), uplinks, **more)


def refused(wanted: domain.Want, *nodes: Seen, antrea: domain.Antrea = ANTREA) -> str:
    found = domain.decide(antrea, wanted, list(nodes) or [seen()]).refusals
    assert len(found) <= 1, found
    return found[0] if found else ""


def test_a_free_nic_is_taken() -> None:
    decision = domain.decide(ANTREA, want(), [seen()])
    assert (decision.refusals, decision.warnings) == ([], [])
    assert decision.via == domain.CONFIG_MAP
    entry = {"name": "eth1", "addresses": [], "on_bridge": False}
    assert decision.nodes == {
        "w1": {"changes": True, "bridge": False, "interfaces": [entry], "lifeline": False}
    }


NICS = {
    "a bond's member": (nic("eth1", master="bond0"), "belongs to bond0"),
    "a veth": (nic("eth1", kind="veth"), "is a veth"),
    "a NIC known by another name": (nic("ens1", altnames=["eth1"]), "Antrea knows NICs by ens1"),
}


@pytest.mark.parametrize("case", NICS)
def test_a_nic_that_is_not_free_is_refused(case: str) -> None:
    found, words = NICS[case]
    assert words in refused(want(), seen(PRIMARY, found))


def test_a_name_that_leaves_no_room_for_the_mark_is_refused() -> None:
    long = "enx001122334455"
    assert "15 characters at most" in refused(want(long), seen(PRIMARY, nic(long)))


def test_the_primary_nic_needs_consent_and_is_never_one_of_several() -> None:
    assert "is the node's primary NIC" in refused(want("eth0"))
    assert refused(want("eth0", allow_primary=True)) == ""
    both = want("eth0", "eth1", allow_primary=True)
    assert "the node would be cut off" in refused(both)


LIFELINES = {
    "its VLAN has the default route": (
        (nic("eth1"), nic("eth1.7", "10.0.0.1/24", kind="vlan", parent="eth1", role="primary")),
        {},
        "primary",
    ),
    "its bond has the default route": (
        (nic("eth1"), nic("bond0", "10.0.0.1/24", kind="bond", parent="eth1", role="primary")),
        {},
        "primary",
    ),
    "the InternalIP is on it": (
        (nic("eth0", "192.0.2.1/24", role="primary"), nic("eth1", "10.0.0.1/24")),
        {"api": {}},
        "InternalIP 10.0.0.1",
    ),
    "the API server is reached by it": (
        (PRIMARY, nic("eth1", "10.7.0.1/24")),
        {"api": {"10.7.0.9": "eth1"}},
        "only route to the API server 10.7.0.9",
    ),
}


@pytest.mark.parametrize("case", LIFELINES)
def test_what_the_node_lives_on_needs_consent(case: str) -> None:
    nics, more, words = LIFELINES[case]
    assert words in refused(want(), seen(*nics, **more))
    decision = domain.decide(ANTREA, want(allow_primary=True), [seen(*nics, **more)])
    assert decision.refusals == []
    assert decision.nodes["w1"]["lifeline"] is True


def test_the_bonds_members_are_what_it_stands_on() -> None:
    members = (nic("eth1", master="bond0"), nic("bond0", "10.0.0.1/24", role="primary"))
    found = domain.decide(ANTREA, want(), [seen(*members)]).refusals
    assert any("primary NIC" in text for text in found)


def test_addresses_stay_with_one_nic_and_are_lost_with_several() -> None:
    nics = (PRIMARY, nic("eth1", "10.7.0.1/24", "fe80::1/64"), nic("eth2"))
    assert refused(want("eth1"), seen(*nics)) == ""
    assert "carries 10.7.0.1/24" in refused(want("eth1", "eth2"), seen(*nics))
    assert (
        refused(want("eth1", "eth2"), seen(PRIMARY, nic("eth1", "fe80::1/64"), nic("eth2"))) == ""
    )


def test_all_nodes_that_lack_a_nic_are_named_at_once() -> None:
    nodes = [seen(node="w1"), seen(PRIMARY, node="w2"), seen(PRIMARY, node="w3")]
    assert "eth1 does not exist on w2, w3" in refused(want(), *nodes)


def ovs(**more: Any) -> dict[str, Any]:
    return {**OVS, **more}


def port(nic_: str, bridge: str | None, by_antrea: bool = False) -> dict[str, Any]:
    told = {"internal_port": "eth1", "addresses_on": None, "by_antrea": by_antrea}
    return {"nic": nic_, "bridge": bridge, **told}


def with_bridge(*uplinks: str, by_antrea: bool = True, pods: int = 0) -> dict[str, Any]:
    bridge = {"name": "br-sec", "uplinks": list(uplinks), "external_ids": {}}
    ports = [port(name, "br-sec", by_antrea) for name in uplinks]
    return ovs(bridges=[{**bridge, "port_kinds": {"pod": pods}}], enslaved=ports)


SWITCHES = {
    "Open vSwitch is not read": (ovs(error="no answer"), "could not be read: no answer"),
    "Open vSwitch is not there": (ovs(present=False), "its database was not found"),
    "it is stuck": (ovs(flow_restore_wait=True), "k8snet.cni.antrea_flow_restore"),
    "a move was cut short": (ovs(enslaved=[port("eth9~", None)]), "ip link set eth9~ name eth9"),
    "another bridge has the NIC": (ovs(enslaved=[port("eth1", "br-x")]), "is on bridge br-x"),
    "somebody else's bridge has the name": (
        with_bridge("eth7", by_antrea=False),
        "ports that Antrea did not make (eth7)",
    ),
}


@pytest.mark.parametrize("case", SWITCHES)
def test_a_switch_that_is_not_as_it_should_be_is_refused(case: str) -> None:
    state, words = SWITCHES[case]
    assert words in refused(want(), seen(ovs=state))


def test_an_interface_of_the_bridges_name_is_refused() -> None:
    nics = (PRIMARY, nic("eth1"), nic("br-sec", kind="bridge"))
    assert "no bridge of Open vSwitch" in refused(want(), seen(*nics))


def test_a_node_that_is_done_does_not_change() -> None:
    bridge = {"name": "br-sec", "uplinks": ["eth1~"], "external_ids": {}}
    done = ovs(bridges=[bridge], enslaved=[port("eth1~", "br-sec")])
    nics = (PRIMARY, nic("eth1~"), nic("eth1", "10.7.0.1/24", kind="openvswitch"))
    decision = domain.decide(ANTREA, want(), [seen(*nics, ovs=done)])
    assert decision.refusals == []
    assert decision.nodes["w1"]["changes"] is False
    assert decision.nodes["w1"]["interfaces"][0]["addresses"] == ["10.7.0.1/24"]
    taken = domain.decide(ANTREA, want(state=domain.ABSENT), [seen(*nics, ovs=done)])
    assert taken.nodes["w1"]["changes"] is True


VERSIONS: list[tuple[dict[str, Any], domain.Want, str]] = [
    ({"version": (1, 14, 0)}, want(), "needs v1.15"),
    ({"version": (1, 15, 1)}, want("eth1", "eth2"), "at most 1 NIC on"),
    ({}, want(*(f"eth{n}" for n in range(1, 10))), "at most 8 NICs on"),
    ({"version": (2, 5, 0), "gates": {}}, want(), "#7556"),
    ({"version": (2, 3, 0)}, want(snooping=True), "came with v2.4"),
    ({"has_attachments": False}, want(), "network-attachment-definitions"),
    ({}, want(via=domain.NODE_CONFIG), "it needs v2.7 (this is v2.3.0)"),
    ({}, want(bridge="br-int"), "Antrea's own bridge"),
    ({}, want(bridge="a" * 16), "1 to 15 characters"),
    ({}, want("eth1", "eth1"), "names a NIC twice"),
    ({"bridges": ({"bridgeName": "br-old"},)}, want(), "already has bridge br-old"),
]


@pytest.mark.parametrize(("antrea", "wanted", "words"), VERSIONS)
def test_what_this_antrea_would_not_take_is_refused(
    antrea: dict[str, Any], wanted: domain.Want, words: str
) -> None:
    nics = (PRIMARY, *(nic(f"eth{n}") for n in range(1, 10)))
    assert words in refused(wanted, seen(*nics), antrea=replace(ANTREA, **antrea))


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ((1, 15, 1), "that came with v2.0 (#6108)"),
        ((2, 0, 1), "#6448"),
        ((2, 1, 2), "#6666"),
        ((2, 2, 0), ""),
    ],
)
def test_versions_with_known_bugs_get_no_primary_nic(version: tuple[int, ...], words: str) -> None:
    found = refused(want("eth0", allow_primary=True), antrea=replace(ANTREA, version=version))
    assert words in found
    assert bool(found) == bool(words)
    assert refused(want("eth1"), antrea=replace(ANTREA, version=version)) == ""


def test_the_newest_is_configured_per_node_unless_the_config_map_wins() -> None:
    assert domain.decide(NEWEST, want(), [seen()]).via == domain.NODE_CONFIG
    mine = replace(NEWEST, bridges=({"bridgeName": "br-sec"},))
    assert domain.decide(mine, want(), [seen()]).via == domain.CONFIG_MAP
    assert "wins over any AntreaNodeConfig" in refused(want(via=domain.NODE_CONFIG), antrea=mine)
    off = replace(NEWEST, gates={**NEWEST.gates, "AntreaNodeConfig": False})
    assert domain.decide(off, want(), [seen()]).via == domain.CONFIG_MAP


def test_another_node_config_would_win_by_age() -> None:
    other = {"metadata": {"name": "theirs"}, "spec": {"secondaryNetwork": {"ovsBridges": []}}}
    ours = domain.node_config(want())
    assert refused(want(), antrea=replace(NEWEST, node_configs=(ours,))) == ""
    assert "theirs sets a secondary" in refused(
        want(), antrea=replace(NEWEST, node_configs=(other,))
    )


def test_a_lease_is_warned_of_only_when_it_moves() -> None:
    dhcp = nic("eth1", "10.7.0.1/24")
    dhcp["addresses"][0]["flags"] = ["dynamic"]
    assert "#6558" in domain.decide(ANTREA, want(), [seen(PRIMARY, dhcp)]).warnings[0]


SEVERAL = (PRIMARY, nic("eth1"), nic("eth2"))


def test_several_nics_on_the_bridge_are_antreas_by_their_mark_alone() -> None:
    here = seen(*SEVERAL, ovs=with_bridge("eth1", "eth2"))
    assert refused(want("eth1", "eth2"), here) == ""
    assert not domain.decide(ANTREA, want("eth1", "eth2"), [here]).nodes["w1"]["changes"]
    theirs = seen(*SEVERAL, ovs=with_bridge("eth1", "eth2", by_antrea=False))
    assert "did not make (eth1, eth2)" in refused(want("eth1", "eth2"), theirs)
    marked = with_bridge("eth1", by_antrea=False)
    marked["bridges"][0]["external_ids"] = {"antrea-type": "secondary-bridge"}
    assert refused(want(), seen(ovs=marked)) == ""


def test_several_nics_come_with_a_warning_of_loops() -> None:
    found = domain.decide(ANTREA, want("eth1", "eth2"), [seen(*SEVERAL)])
    assert (found.refusals, len(found.warnings)) == ([], 1)
    assert "br-sec forwards between eth1, eth2 too" in found.warnings[0]
    assert domain.decide(ANTREA, want(), [seen()]).warnings == []


def test_a_bridge_is_taken_away_where_it_is_with_all_that_is_on_it() -> None:
    away = want("eth1", "eth2", state=domain.ABSENT)
    here, clean = seen(*SEVERAL, ovs=with_bridge("eth1", "eth2")), seen(*SEVERAL, node="w2")
    nodes = domain.decide(ANTREA, away, [here, clean]).nodes
    assert [nodes[name]["changes"] for name in ("w1", "w2")] == [True, False]
    empty = seen(ovs=with_bridge())
    assert domain.decide(ANTREA, away, [empty]).nodes["w1"]["changes"], "Antrea has left it"
    forgotten = domain.Want(domain.ABSENT, Uplinks("br-sec", ()))
    found = domain.decide(ANTREA, forgotten, [here]).nodes["w1"]
    assert [(e["name"], e["on_bridge"]) for e in found["interfaces"]] == [
        ("eth1", True),
        ("eth2", True),
    ]


def test_a_bridge_of_others_or_with_pods_is_not_taken_away() -> None:
    away = want("eth1", "eth2", state=domain.ABSENT)
    theirs = seen(*SEVERAL, ovs=with_bridge("eth1", by_antrea=False))
    assert "did not make (eth1)" in refused(away, theirs)
    used = seen(*SEVERAL, ovs=with_bridge("eth1", "eth2", pods=3))
    assert "w1: 3 interfaces of pods are on br-sec" in refused(away, used)
    ours = replace(NEWEST, node_configs=(domain.node_config(want("eth1", "eth2")),))
    assert refused(away, used, antrea=ours) == "", "from v2.7 Antrea itself sees to them"


def test_what_an_older_antrea_has_left_is_no_node_configs_matter() -> None:
    away = want(state=domain.ABSENT)
    assert domain.decide(NEWEST, away, [seen()]).via == domain.CONFIG_MAP
    ours = replace(NEWEST, node_configs=(domain.node_config(want()),))
    assert domain.decide(ours, away, [seen()]).via == domain.NODE_CONFIG


def test_the_settings_are_what_the_version_knows() -> None:
    base = {"bridgeName": "br-sec", "physicalInterfaces": ["eth1"]}
    assert domain.bridge_config(want(), ANTREA) == [base]
    assert domain.bridge_config(want(), NEWEST) == [{**base, "enableMulticastSnooping": False}]
    assert domain.bridge_config(want(state=domain.ABSENT), NEWEST) == []
    made = domain.node_config(want(snooping=True))["spec"]
    assert made["nodeSelector"] == {"matchLabels": {domain.LABEL: "br-sec"}}
    assert made["secondaryNetwork"]["ovsBridges"][0]["physicalInterfaces"] == [{"name": "eth1"}]
