# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Feature gates of antrea-agent by version: what it says of them, and which it does not start with.

Source: antrea-io/antrea ``pkg/features/antrea_features.go`` at v1.14.0 to v2.7.0. Pure.
"""

from __future__ import annotations

from typing import Any

from tests.lab.actors.antrea_rules import Fatal, Version

Obj = dict[str, Any]

# Name, then what changed when: version, stage, default. "=": it cannot be set otherwise.
_AGENT = """\
AntreaIPAM 1.14 ALPHA off
AntreaNodeConfig 2.7 BETA on
AntreaPolicy 1.14 BETA on
AntreaProxy 1.14 GA on
BGPPolicy 2.1 ALPHA off
CleanupStaleUDPSvcConntrack 1.14 ALPHA off 2.1 BETA on
Egress 1.14 BETA on
EgressSeparateSubnet 1.15 ALPHA off 2.3 BETA on
EgressTrafficShaping 1.14 ALPHA off
EndpointSlice 1.14 GA on 2.5 GA on=
ExternalNode 1.14 ALPHA off
FlowExporter 1.14 ALPHA off
IPsecCertAuth 1.14 ALPHA off
L7FlowExporter 1.15 ALPHA off 2.5 DEPRECATED off 2.6 gone -
L7NetworkPolicy 1.14 ALPHA off
LoadBalancerModeDSR 1.14 ALPHA off
Multicast 1.14 BETA on
Multicluster 1.14 ALPHA off
NFTablesHostNetworkMode 2.5 ALPHA off
NetworkPolicyStats 1.14 BETA on
NodeLatencyMonitor 2.1 ALPHA off
NodeNetworkPolicy 1.15 ALPHA off
NodePortLocal 1.14 GA on
PacketCapture 2.2 ALPHA off
PreferSameTrafficDistribution 2.5 ALPHA off
SecondaryNetwork 1.14 ALPHA off
ServiceExternalIP 1.14 ALPHA off 2.3 BETA on
ServiceTrafficDistribution 2.2 BETA on 2.5 GA on 2.6 GA on=
SupportBundleCollection 1.14 ALPHA off
TopologyAwareHints 1.14 BETA on 2.5 GA on 2.6 GA on=
Traceflow 1.14 BETA on
TrafficControl 1.14 ALPHA off
"""
#: Known to both binaries, acted on by the controller only.
_CONTROLLER = """\
AdminNetworkPolicy 1.14 ALPHA off 2.7 DEPRECATED off
ClusterNetworkPolicy 2.7 ALPHA off
NodeIPAM 1.14 BETA on
"""
_GROUPS = {"ALPHA": "AllAlpha", "BETA": "AllBeta"}


def _known(table: str, version: Version) -> dict[str, tuple[str, str]]:
    """Return name -> (stage, default) as a version has it."""
    found = {}
    for line in table.splitlines():
        name, *history = line.split()
        steps = [history[i : i + 3] for i in range(0, len(history), 3)]
        past = [s for s in steps if tuple(map(int, s[0].split("."))) <= version[:2]]
        if past and past[-1][1] != "gone":
            found[name] = (past[-1][1], past[-1][2])
    return found


def judge(conf: Obj, version: Version) -> None:
    """Raise Fatal for gates that a version does not start with."""
    known = {**_known(_AGENT, version), **_known(_CONTROLLER, version)}
    for name, value in (conf.get("featureGates") or {}).items():
        if name in _GROUPS.values():
            continue
        if name not in known:
            raise Fatal(f"unrecognized feature gate: {name}")
        if known[name][1] == "on=" and not value:
            raise Fatal(f"cannot set feature gate {name} to false, feature is locked to true")


def gates(conf: Obj, version: Version) -> list[Obj]:
    """Return what GET /featuregates of the agent says."""
    said = conf.get("featureGates") or {}
    found = []
    for name, (stage, default) in _known(_AGENT, version).items():
        group = said.get(_GROUPS.get(stage, ""))
        on = said.get(name, default != "off" if group is None else group)
        status = "Enabled" if on else "Disabled"
        found.append({"component": "agent", "name": name, "status": status, "version": stage})
    return found
