# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with a configuration of Antrea, by version."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_rules, _yaml_text
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_tables as tables
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_model import (
    FATAL,
    NOTE,
    VAIN,
    Config,
)

from tests.unit import antrea_world as world
from tests.unit.antrea_world import real_data

Obj = dict[str, Any]


def config(version: str, agent: Obj, controller: Obj | None = None, **more: Any) -> Config:
    documents = {"agent": agent, "controller": controller or {}}
    return Config(tables.parse_version(version), documents, **more)


def told(version: str, agent: Obj, controller: Obj | None = None, **more: Any) -> list[Any]:
    """(level, path, what with the remedy) of each problem."""
    found = _antrea_rules.problems(config(version, agent, controller, **more))
    return [(p.level, p.path, f"{p.what}. {p.remedy}") for p in found]


def gates(**values: Any) -> Obj:
    return {"featureGates": values}


def bridge(*nics: str, name: str = "br-sec", **more: Any) -> Obj:
    network = {"ovsBridges": [{"bridgeName": name, "physicalInterfaces": list(nics), **more}]}
    on = {"SecondaryNetwork": True, "AntreaIPAM": True}
    return {"secondaryNetwork": network, "featureGates": on}


@pytest.mark.parametrize(
    ("version", "agent", "level", "path", "words"),
    [
        ("v2.7.0", {"proxyAll": True}, VAIN, "proxyAll", "it is antreaProxy.proxyAll of antrea-ag"),
        ("v1.15.0", {"proxyAll": True}, FATAL, "proxyAll", "does not start with it"),
        ("v2.7.0", {"Egress": True}, VAIN, "Egress", "is a feature gate.*below featureGates"),
        (
            "v2.7.0",
            {"selfSignedCert": True},
            VAIN,
            "selfSignedCert",
            "it is selfSignedCert of antrea-controller.conf",
        ),
        (
            "v2.3.0",
            {"antreaProxy": {"hostNetworkMode": "iptables"}},
            VAIN,
            "antreaProxy.hostNetworkMode",
            "is no key of v2.3",
        ),
        (
            "v2.5.0",
            {"antreaProxy": {"hostNetworkMode": "iptables"}},
            VAIN,
            "antreaProxy.hostNetworkMode",
            "it is hostNetworkMode of antrea-agent.conf",
        ),
        ("v2.4.1", {"podCIDRs": "x"}, VAIN, "podCIDRs", "comes with v2.5, this is v2.4.*Upgrade"),
        ("v2.0.0", {"nplPortRange": "1-2"}, VAIN, "nplPortRange", "was removed in v2.0"),
        ("v2.7.0", {"transportInterfce": "e"}, VAIN, "transportInterfce", "perhaps transportInter"),
        ("v2.7.0", {"noSNAT": "no"}, FATAL, "noSNAT", "It must be true or false"),
        ("v2.7.0", {"tunnelPort": True}, FATAL, "tunnelPort", "It must be a number"),
        ("v2.7.0", {"egress": 5}, FATAL, "egress", "a block of keys"),
        ("v2.7.0", {"trafficEncapMode": "none"}, FATAL, "trafficEncapMode", "Antrea knows encap,"),
        (
            "v2.7.0",
            {"egress": {"maxEgressIPsPerNode": 256}},
            FATAL,
            "egress.maxEgressIPsPerNode",
            "from 0 to 255",
        ),
        (
            "v2.7.0",
            {"antreaProxy": {"nodePortAddresses": ["10.0.0.1"]}},
            FATAL,
            "antreaProxy.nodePortAddresses",
            "network in CIDR form",
        ),
        (
            "v2.7.0",
            {"kubeAPIServerOverride": "https://10.0.0.1:99999"},
            FATAL,
            "kubeAPIServerOverride",
            "host, host:port or URL",
        ),
        ("v2.7.0", gates(Egres=True), FATAL, "featureGates.Egres", "Meant is perhaps Egress"),
        ("v2.6.0", gates(L7FlowExporter=False), FATAL, "featureGates.L7FlowExporter", "removed in"),
        (
            "v2.5.0",
            {
                **gates(L7FlowExporter=True, FlowExporter=True),
                "flowExporter": {"enable": True},
            },
            NOTE,
            "featureGates.L7FlowExporter",
            "deprecated",
        ),
        ("v2.5.0", gates(FlowExporter=True), VAIN, "featureGates.FlowExporter", "flowExporter.ena"),
        ("v2.0.0", gates(BGPPolicy=True), FATAL, "featureGates.BGPPolicy", "comes with v2.1"),
        ("v2.5.0", gates(EndpointSlice=False), FATAL, "featureGates.EndpointSlice", "locked to tr"),
        ("v2.7.0", gates(NodeIPAM=False), VAIN, "featureGates.NodeIPAM", "is the controller's"),
        ("v2.7.0", gates(Egress="on"), FATAL, "featureGates.Egress", "must be true or false"),
        (
            "v2.5.0",
            gates(SecondaryNetwork=True),
            FATAL,
            "featureGates.SecondaryNetwork",
            "needs featureGates.AntreaIPAM: true in antrea-agent.conf, which is false",
        ),
        (
            "v2.7.0",
            gates(EgressSeparateSubnet=True, Egress=False),
            VAIN,
            "featureGates.EgressSeparateSubnet",
            "Set agent: featureGates.Egress: true too",
        ),
        (
            "v2.7.0",
            {"antreaProxy": {"defaultLoadBalancerMode": "DSR"}},
            FATAL,
            "antreaProxy.defaultLoadBalancerMode",
            "needs featureGates.LoadBalancerModeDSR: true",
        ),
        (
            "v2.7.0",
            {"antreaProxy": {"proxyAll": True, "enable": False}},
            VAIN,
            "antreaProxy.proxyAll",
            "while AntreaProxy is off",
        ),
        (
            "v2.7.0",
            {"trafficEncapMode": "noEncap", "antreaProxy": {"enable": False}},
            FATAL,
            "trafficEncapMode",
            "needs AntreaProxy, which is off",
        ),
        ("v2.7.0", {"noSNAT": True}, FATAL, "noSNAT", "which is encap"),
        (
            "v2.7.0",
            {"trafficEncapMode": "noEncap", **gates(Egress=True)},
            VAIN,
            "featureGates.Egress",
            "works with trafficEncapMode encap or hybrid",
        ),
        ("v2.7.0", bridge(name="br-int"), FATAL, "secondaryNetwork.ovsBridges", "ovsBridge itself"),
        ("v2.7.0", bridge(name=""), FATAL, "secondaryNetwork.ovsBridges", "1 to 15 letters"),
        ("v2.7.0", bridge(name="b" * 16), FATAL, "secondaryNetwork.ovsBridges", "1 to 15 letters"),
        ("v1.15.0", bridge("a", "b"), FATAL, "secondaryNetwork.ovsBridges", "takes at most 1"),
        ("v2.7.0", bridge(*"abcdefghi"), FATAL, "secondaryNetwork.ovsBridges", "takes at most 8"),
        ("v2.7.0", bridge("a", "a"), FATAL, "secondaryNetwork.ovsBridges", "names one twice"),
        ("v2.7.0", bridge(vlan=1), FATAL, "secondaryNetwork.ovsBridges", "has the key vlan"),
    ],
)
def test_one_thing_is_wrong(version: str, agent: Obj, level: str, path: str, words: str) -> None:
    found = told(version, agent)
    assert [(one, where) for one, where, _said in found] == [(level, path)]
    assert re.search(words, found[0][2]), found[0][2]


@pytest.mark.parametrize(
    ("version", "agent"),
    [
        ("v2.7.0", {}),
        ("v2.7.0", {"trafficEncapMode": "NoEncap", "noSNAT": True, "transportInterface": ""}),
        ("v2.7.0", {"egress": None, "featureGates": None, "transportInterfaceCIDRs": None}),
        ("v2.7.0", {"clientConnection": {"anything": 1}}),
        ("v2.7.0", {"kubeAPIServerOverride": "https://[fd00::1]:6443/x"}),
        ("v2.7.0", {"kubeAPIServerOverride": "api.example.org"}),
        ("v2.7.0", gates(AllAlpha=True)),
        ("v2.6.0", gates(EndpointSlice=True)),
        ("v2.4.0", gates(EndpointSlice=False)),
        ("v2.7.0", bridge("eth1")),
        ("v2.0.0", bridge(*"abcdefgh")),
        ("v2.4.0", {**bridge("eth1"), "featureGates": {"SecondaryNetwork": True}}),
    ],
)
def test_nothing_is_wrong(version: str, agent: Obj) -> None:
    assert told(version, agent) == []


def test_a_version_newer_than_the_tables_may_know_more() -> None:
    new: Obj = {"brandNew": 1, "featureGates": {"BrandNew": True}}
    for version in ("v2.8.0-dev", "latest"):
        assert told(version, new) == []
    assert len(told("v2.7.0", new)) == 2
    assert told("v2.8.0", {"proxyAll": True})[0][0] == VAIN, "what is known is still judged"


def test_two_bridges_are_one_too_many_and_do_nothing_without_the_gate() -> None:
    agent = bridge("eth1")
    agent["secondaryNetwork"]["ovsBridges"] *= 2
    assert [t[2].partition(",")[0] for t in told("v2.7.0", agent)] == [
        "there are 2 secondary bridges. Antrea takes one"
    ]
    del agent["featureGates"]["SecondaryNetwork"]
    del agent["secondaryNetwork"]["ovsBridges"][1]
    found = told("v2.7.0", agent)
    assert [(level, "is off" in what) for level, _path, what in found] == [(VAIN, True)]


def test_secondary_networks_need_their_crd() -> None:
    assert told("v2.7.0", bridge("eth1"), attachments=True) == []
    assert told("v2.7.0", bridge("eth1"), attachments=None) == []
    (found,) = told("v2.7.0", bridge("eth1"), attachments=False)
    assert found[:2] == (VAIN, "featureGates.SecondaryNetwork")
    assert "NetworkAttachmentDefinition" in found[2]
    problems = _antrea_rules.problems(config("v2.7.0", bridge("eth1"), attachments=False))
    for path in ("featureGates.SecondaryNetwork", "secondaryNetwork.ovsBridges"):
        assert _antrea_rules.refused(problems, frozenset([("agent", path)]))
    assert not _antrea_rules.refused(problems, frozenset([("agent", "noSNAT")]))


def test_agents_and_controller_must_not_wait_for_each_other() -> None:
    agent: Obj = {"kubeAPIServerOverride": "10.0.0.1", "antreaProxy": {"proxyAll": True}}
    ipam: Obj = {"nodeIPAM": {"enableNodeIPAM": True, "clusterCIDRs": ["10.0.0.0/16"]}}
    (found,) = told("v2.7.0", agent, ipam)
    assert found[:2] == (VAIN, "kubeAPIServerOverride")
    assert told("v2.7.0", agent, {**ipam, "kubeAPIServerOverride": "10.0.0.1"}) == []


def test_what_is_vain_is_refused_only_where_it_is_asked_for() -> None:
    found = _antrea_rules.problems(
        config("v2.7.0", {"proxyAll": True, **gates(EgressSeparateSubnet=True, Egress=False)})
    )
    asked = {
        ("agent", "noSNAT"): [],
        ("agent", "proxyAll"): ["proxyAll"],
        ("agent", "featureGates.EgressSeparateSubnet"): ["featureGates.EgressSeparateSubnet"],
        # Turning off what another gate needs is as wrong as turning that one on.
        ("agent", "featureGates.Egress"): ["featureGates.EgressSeparateSubnet"],
        ("controller", "proxyAll"): [],
    }
    for where, paths in asked.items():
        refused = _antrea_rules.refused(found, frozenset([where]))
        assert [p.path for p in refused] == paths
    fatal = _antrea_rules.problems(config("v1.6.0", {"proxyAll": True}))
    assert len(_antrea_rules.refused(fatal, frozenset())) == 1, "the next start fails"


def test_a_problem_names_its_line() -> None:
    text = "# first\novsBridge: br-int\nproxyAll: true # here\n"
    lines = {"agent": _yaml_text.lines_of(text)}
    (found,) = _antrea_rules.problems(config("v2.7.0", _yaml_text.parse(text), lines=lines))
    assert (found.line, found.text) == (3, "proxyAll: true # here")
    assert found.say().startswith("antrea-agent.conf line 3 (proxyAll: true # here): proxyAll is")
    (asked,) = _antrea_rules.problems(config("v2.7.0", {"proxyAll": True}))
    assert asked.say().startswith("antrea-agent.conf: proxyAll is"), "it has no line yet"


@pytest.mark.parametrize(
    ("version", "said", "gate", "on"),
    [
        ("v1.5.0", {}, "Egress", False),
        ("v1.6.0", {}, "Egress", True),
        ("v2.2.0", {}, "ServiceExternalIP", False),
        ("v2.3.0", {}, "ServiceExternalIP", True),
        ("v2.6.0", {}, "AntreaNodeConfig", False),
        ("v2.7.0", {}, "AntreaNodeConfig", True),
        ("v2.7.0", {"AllAlpha": True}, "SecondaryNetwork", True),
        ("v2.7.0", {"AllAlpha": True, "SecondaryNetwork": False}, "SecondaryNetwork", False),
        ("v2.7.0", {"AllBeta": False}, "Egress", False),
        ("v2.7.0", {"AllBeta": False}, "AntreaProxy", True),
        ("v2.5.0", {"AllAlpha": True}, "L7FlowExporter", False),
    ],
)
def test_a_gate_takes_effect_by_version(version: str, said: Obj, gate: str, on: bool) -> None:
    assert config(version, {"featureGates": said}).enabled("agent", gate) is on


@real_data
@pytest.mark.parametrize("release", world.RELEASES)
def test_the_tables_are_those_of_a_real_release(release: str) -> None:
    """Gates and defaults that its ConfigMap names in comments, and its keys."""
    version = tables.parse_version(release)
    for component, text in world.texts(release).items():
        named = re.findall(r"^ *# *([A-Z]\w+): (true|false)$", text, re.M)
        assert len(named) >= 7
        for name, default in named:
            if name in ("AllAlpha", "AllBeta"):
                continue
            gate = tables.gate(name, version)
            assert gate is not None, name
            assert gate.stage, name
            assert component in gate.components, name
            assert str(gate.default).lower() == default, name
        for path in _yaml_text.lines_of(text):
            if path[0] != "featureGates":
                assert tables.KEYS[component][".".join(path)].known_in(version), path
