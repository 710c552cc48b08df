# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's agent and the collection know the same gates: each was read from Antrea by itself."""

from __future__ import annotations

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_tables as tables

from tests.lab.actors import antrea_gates
from tests.lab.actors.antrea_rules import Fatal

VERSIONS = [(1, 14), (1, 15), *((2, minor) for minor in range(8))]


@pytest.mark.parametrize("version", VERSIONS)
def test_both_tables_agree(version):
    said = {gate["name"]: gate for gate in antrea_gates.gates({}, (*version, 0))}
    known = {name: tables.gate(name, version) for name in tables.gates()}
    agents = {
        name: gate for name, gate in known.items() if gate.stage and "agent" in gate.components
    }
    assert said.keys() == agents.keys()
    for name, gate in agents.items():
        status = "Enabled" if gate.default else "Disabled"
        assert (said[name]["status"], said[name]["version"]) == (status, gate.stage.upper()), name


def test_what_is_set_counts():
    def status(name, **gates):
        said = antrea_gates.gates({"featureGates": gates}, (2, 6, 0))
        return next(gate["status"] for gate in said if gate["name"] == name)

    assert status("TrafficControl") == "Disabled"
    assert status("TrafficControl", TrafficControl=True) == "Enabled"
    assert status("TrafficControl", AllAlpha=True) == "Enabled"
    assert status("Egress", AllBeta=False) == "Disabled"
    assert status("Egress", AllBeta=False, Egress=True) == "Enabled"


@pytest.mark.parametrize(
    ("gates", "version", "words"),
    [
        ({"L7FlowExporter": True}, (2, 6, 0), "unrecognized feature gate: L7FlowExporter"),
        ({"Bogus": False}, (2, 6, 0), "unrecognized feature gate: Bogus"),
        ({"EndpointSlice": False}, (2, 5, 0), "EndpointSlice to false, feature is locked"),
    ],
)
def test_the_agent_does_not_start(gates, version, words):
    with pytest.raises(Fatal, match=words):
        antrea_gates.judge({"featureGates": gates}, version)


def test_the_agent_starts():
    antrea_gates.judge({"featureGates": {"L7FlowExporter": True}}, (2, 5, 0))
    antrea_gates.judge({"featureGates": {"NodeIPAM": True, "AllAlpha": True}}, (2, 6, 0))
    antrea_gates.judge({"featureGates": None}, (2, 6, 0))
