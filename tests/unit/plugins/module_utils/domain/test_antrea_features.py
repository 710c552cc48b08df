# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What switching gates takes, by version: needs, refusals, upgrades."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_features as features
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_tables as tables
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_config import (
    Have,
    plan_change,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_model import FATAL

from tests.unit import antrea_world as world
from tests.unit.antrea_world import real_data

Obj = dict[str, Any]


def have(version: str, agent: str = "", controller: str = "", attachments: bool = True) -> Have:
    data = {"antrea-agent.conf": agent, "antrea-controller.conf": controller}
    meta = {"namespace": "kube-system", "name": "antrea-config", "resourceVersion": "1"}
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
    return Have(obj, version, attachments)


def resolve(where: Have, prerequisites: bool = False, **gates: Any) -> features.Found:
    return features.resolve(where, features.Ask(gates, prerequisites))


def test_a_gate_that_needs_nothing() -> None:
    found = resolve(have("v2.6.0"), TrafficControl=True)
    assert (found.gates, found.pulled, found.refusals) == ({"TrafficControl": True}, [], [])
    assert found.expected == {"TrafficControl": True}


@pytest.mark.parametrize(
    ("version", "gates", "words"),
    [
        ("v2.6.0", {"L7FlowExporter": True}, "removed in v2.6, and this is v2.6.*null"),
        ("v2.6.0", {"L7FlowExporter": False}, "removed in v2.6.*Flow records bear no L7 fields"),
        ("v2.5.0", {"L7FlowExporter": True}, "deprecated in v2.5, and removed in v2.6"),
        ("v2.7.0", {"AdminNetworkPolicy": True}, "deprecated in v2.7: the next upgrade"),
        ("v2.5.0", {"EndpointSlice": False}, "locked to true in v2.5"),
        ("v1.14.0", {"L7FlowExporter": True}, "comes with v1.15, and this is v1.14. Upgrade"),
        ("v2.6.0", {"Egres": True}, "Egres is no feature gate of Antrea. Meant is perhaps Egress"),
        ("v2.6.0", {"Egress": "maybe"}, "Egress is to be 'maybe'. It must be true, false"),
        ("v2.6.0", {"AllAlpha": True}, "switches gates that nobody has named"),
        ("v2.6.0", {"SecondaryNetwork": True}, "needs featureGates.AntreaIPAM: true.*is false"),
        ("v2.6.0", {"L7NetworkPolicy": True}, "needs disableTXChecksumOffload.*prerequisites=true"),
        ("v2.6.0", {"Multicast": True}, "needs multicast.enable: true in antrea-agent.conf"),
        (
            "v2.6.0",
            {"EgressTrafficShaping": True, "Egress": False},
            "needs featureGates.Egress: true.*asked to be so. Switch one",
        ),
    ],
)
def test_what_is_refused(version: str, gates: Obj, words: str) -> None:

    found = resolve(have(version), **gates)
    assert re.search(words, " ".join(found.refusals)), found.refusals


@pytest.mark.parametrize(
    ("gate", "gates", "files"),
    [
        ("SecondaryNetwork", {"AntreaIPAM": True}, {}),
        ("L7NetworkPolicy", {}, {"agent": {"disableTXChecksumOffload": True}}),
        ("Multicast", {}, {"agent": {"multicast": {"enable": True}}}),
        ("NodePortLocal", {}, {"agent": {"nodePortLocal": {"enable": True}}}),
    ],
)
def test_what_is_needed_is_set_along_on_request(gate: str, gates: Obj, files: Obj) -> None:
    found = resolve(have("v2.6.0"), True, **{gate: True})
    assert found.refusals == []
    assert found.gates == {gate: True, **gates}
    assert found.files == {"agent": {}, "controller": {}, **files}
    assert all(f"since {gate} needs it" in text for text in found.pulled)
    assert found.expected == {gate: True, **gates}


def test_needs_of_needs() -> None:
    agent = "featureGates:\n  AntreaPolicy: false\n  NetworkPolicyStats: false\n"
    found = resolve(have("v2.6.0", agent, agent), True, ExternalNode=True)
    assert found.refusals == []
    assert found.gates == {"ExternalNode": True, "AntreaPolicy": True, "NetworkPolicyStats": True}


def test_some_needs_are_never_set_along() -> None:
    found = resolve(have("v2.6.0", "trafficEncapMode: noEncap\n"), True, LoadBalancerModeDSR=True)
    said = " ".join(found.refusals)
    assert "antreaProxy.proxyAll: true" in said
    assert "k8snet.cni.kube_proxy_removal" in said
    assert "trafficEncapMode: encap in antrea-agent.conf, which is noEncap" in said
    found = resolve(have("v2.6.0"), True, NodeIPAM=True)
    assert "needs nodeIPAM.clusterCIDRs, too" in found.refusals[0]
    ranged = have("v2.6.0", "", "nodeIPAM:\n  clusterCIDRs: [10.1.0.0/16]\n")
    assert resolve(ranged, True, NodeIPAM=True).files["controller"] == {
        "nodeIPAM": {"enableNodeIPAM": True}
    }


def test_a_gate_that_others_need_stays() -> None:
    agent = "featureGates:\n  SecondaryNetwork: true\n  AntreaIPAM: true\n"
    found = resolve(have("v2.6.0", agent), AntreaIPAM=False)
    assert "Feature gate SecondaryNetwork is on and needs AntreaIPAM" in found.refusals[0]
    both = resolve(have("v2.6.0", agent), AntreaIPAM=False, SecondaryNetwork=False)
    assert both.refusals == []
    assert both.expected == {"AntreaIPAM": False, "SecondaryNetwork": False}


def test_a_deprecated_gate_by_name() -> None:
    ask = features.Ask({"L7FlowExporter": True}, False, frozenset({"L7FlowExporter"}))
    exporter = "featureGates:\n  FlowExporter: true\nflowExporter:\n  enable: true\n"
    assert features.resolve(have("v2.5.0", exporter), ask).refusals == []


def test_layer_7_of_flows_is_exported_by_what_exports_flows() -> None:
    named = frozenset({"L7FlowExporter"})
    found = features.resolve(have("v2.5.0"), features.Ask({"L7FlowExporter": True}, False, named))
    assert "needs featureGates.FlowExporter: true in antrea-agent.conf" in found.refusals[0]
    along = features.resolve(have("v2.5.0"), features.Ask({"L7FlowExporter": True}, True, named))
    assert along.gates == {"L7FlowExporter": True, "FlowExporter": True}
    assert along.files["agent"] == {"flowExporter": {"enable": True}}
    on = "featureGates:\n  FlowExporter: true\n"
    off = features.resolve(have("v2.5.0", on), features.Ask({"L7FlowExporter": True}, False, named))
    assert "needs flowExporter.enable: true in antrea-agent.conf, which is not" in off.refusals[0]


@pytest.mark.parametrize(
    ("version", "needed"),
    [("v1.12.0", False), ("v1.13.0", True), ("v2.5.0", True), ("v2.6.0", False)],
)
def test_flows_are_exported_by_a_key_as_well(version: str, needed: bool) -> None:
    refusals = resolve(have(version), FlowExporter=True).refusals
    assert bool(refusals) == needed
    assert not needed or "needs flowExporter.enable: true" in refusals[0]


def test_null_takes_the_line_away_and_the_default_is_expected() -> None:
    agent = "featureGates:\n  L7FlowExporter: true\n  Egress: false\n"
    found = resolve(have("v2.6.0", agent), L7FlowExporter=None, Egress=None)
    assert found.refusals == []
    assert found.expected == {"Egress": True}
    change = plan_change(have("v2.6.0", agent), found.want())
    assert "L7FlowExporter" not in change.writes[0].after["data"]["antrea-agent.conf"]


def test_the_crd_of_secondary_networks() -> None:
    found = resolve(have("v2.6.0", attachments=False), True, SecondaryNetwork=True)
    assert "comes with Multus" in found.refusals[0]


def test_an_upgrade_names_the_lines_that_it_breaks() -> None:
    agent = (
        "featureGates:\n"
        "  L7FlowExporter: true\n"
        "  EndpointSlice: false\n"
        "  SecondaryNetwork: true\n"
        "noSNAT: maybe\n"  # wrong now, too, so that it is not the upgrade's
    )
    old = have("v1.15.1", agent)
    broken, on = features.upgrade(old, resolve(old), "v2.6.0")
    assert [(p.path, p.line) for p in broken if p.level == FATAL] == [
        ("featureGates.L7FlowExporter", 2),
        ("featureGates.EndpointSlice", 3),
        ("featureGates.SecondaryNetwork", 4),
    ]
    assert all(p.remedy for p in broken)
    assert {"ServiceExternalIP", "EgressSeparateSubnet"} <= set(on)
    # With the lines taken away the upgrade is free of them.
    mended = resolve(old, L7FlowExporter=None, EndpointSlice=None, AntreaIPAM=True)
    left, _on = features.upgrade(old, mended, "v2.6.0")
    assert [p.path for p in left if p.level == FATAL] == []


@real_data
@pytest.mark.parametrize("release", world.RELEASES[1:])
def test_every_gate_of_a_release_is_switched_or_refused_with_a_reason(release: str) -> None:
    texts = world.texts(release)
    where = have(release, texts["agent"], texts["controller"])
    for name in tables.gates():
        for value in (True, False, None):
            found = resolve(where, True, **{name: value})
            assert found.refusals or found.gates[name] is value
            if not found.refusals:
                plan_change(where, found.want())
