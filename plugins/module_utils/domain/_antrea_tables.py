# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Antrea's versions know: feature gates and the keys of both configuration files. Pure.

Read from ``pkg/features/antrea_features.go``, ``pkg/config/agent/config.go`` and
``pkg/config/controller/config.go`` (before 1.7 ``cmd/antrea-*/config.go``) of antrea-io/antrea at
v1.0.0 to v2.7.0. A new release of Antrea is a few lines here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Version = tuple[int, int]

#: The newest release that these tables know. What a newer one adds is not called unknown.
NEWEST: Version = (2, 7)
OLDEST: Version = (1, 0)
#: Before it, an unknown key keeps the process from starting; since then it is logged and ignored.
LENIENT: Version = (2, 0)

AGENT, CONTROLLER = "agent", "controller"
FILES = {AGENT: "antrea-agent.conf", CONTROLLER: "antrea-controller.conf"}
_COMPONENTS = {"A": AGENT, "C": CONTROLLER}

# Components (A agent, C controller) that act on a gate, then what changed when: version, stage,
# default. Both binaries know every gate; one set for the wrong component does nothing.
_GATES: dict[str, tuple[str, ...]] = {
    "AdminNetworkPolicy": ("C", "1.13 alpha off", "2.7 deprecated off"),
    "AntreaIPAM": ("AC", "1.4 alpha off"),
    "AntreaNodeConfig": ("A", "2.7 beta on"),
    "AntreaPolicy": ("AC", "1.0 beta on"),
    "AntreaProxy": ("A", "1.0 beta on", "1.14 ga on"),
    "BGPPolicy": ("A", "2.1 alpha off"),
    "CleanupStaleUDPSvcConntrack": ("A", "1.13 alpha off", "2.1 beta on"),
    "ClusterNetworkPolicy": ("C", "2.7 alpha off"),
    "Egress": ("AC", "1.0 alpha off", "1.6 beta on"),
    "EgressSeparateSubnet": ("A", "1.15 alpha off", "2.3 beta on"),
    "EgressTrafficShaping": ("A", "1.14 alpha off"),
    "EndpointSlice": ("A", "1.0 alpha off", "1.11 beta on", "1.14 ga on", "2.5 ga on locked"),
    "ExternalNode": ("AC", "1.8 alpha off"),
    "FlowExporter": ("A", "1.0 alpha off"),
    "IPsecCertAuth": ("AC", "1.7 alpha off"),
    "L7FlowExporter": ("A", "1.15 alpha off", "2.5 deprecated off", "2.6 removed"),
    "L7NetworkPolicy": ("AC", "1.10 alpha off"),
    "LoadBalancerModeDSR": ("A", "1.13 alpha off"),
    "Multicast": ("AC", "1.5 alpha off", "1.12 beta on"),
    "Multicluster": ("AC", "1.7 alpha off"),
    "NFTablesHostNetworkMode": ("A", "2.5 alpha off"),
    "NetworkPolicyStats": ("AC", "1.0 alpha off", "1.2 beta on"),
    "NodeIPAM": ("C", "1.4 alpha off", "1.12 beta on"),
    "NodeLatencyMonitor": ("A", "2.1 alpha off"),
    "NodeNetworkPolicy": ("A", "1.15 alpha off"),
    "NodePortLocal": ("A", "1.0 alpha off", "1.4 beta on", "1.14 ga on"),
    "PacketCapture": ("A", "2.2 alpha off"),
    "PreferSameTrafficDistribution": ("A", "2.5 alpha off"),
    "SecondaryNetwork": ("A", "1.5 alpha off"),
    "ServiceExternalIP": ("AC", "1.5 alpha off", "2.3 beta on"),
    "ServiceTrafficDistribution": ("A", "2.2 beta on", "2.5 ga on", "2.6 ga on locked"),
    "SupportBundleCollection": ("AC", "1.10 alpha off"),
    "TopologyAwareHints": ("A", "1.8 alpha off", "1.12 beta on", "2.5 ga on", "2.6 ga on locked"),
    "Traceflow": ("AC", "1.0 beta on"),
    "TrafficControl": ("A", "1.7 alpha off"),
}

# Path, kind, first version, first version without it.
_AGENT = """\
featureGates map 1.0
cniSocket str 1.0
clientConnection map 1.0
antreaClientConnection map 1.0
ovsBridge str 1.0
ovsDatapathType str 1.0
ovsRunDir str 1.0
hostGateway str 1.0
trafficEncapMode str 1.0
noSNAT bool 1.0
tunnelType str 1.0
defaultMTU int 1.0
hostProcPathPrefix str 1.0
serviceCIDR str 1.0
serviceCIDRv6 str 1.0
enableIPSecTunnel bool 1.0 2.0
apiPort int 1.0
enablePrometheusMetrics bool 1.0
flowCollectorAddr str 1.0
flowPollInterval str 1.0
activeFlowExportTimeout str 1.0
idleFlowExportTimeout str 1.0
enableTLSToFlowAggregator bool 1.0 1.1
nplPortRange str 1.0 2.0
kubeAPIServerOverride str 1.0
tlsCipherSuites str 1.0
tlsMinVersion str 1.0
clusterPort int 1.2
trafficEncryptionMode str 1.3
wireGuard block 1.3
wireGuard.port int 1.3
dnsServerOverride str 1.3
transportInterface str 1.3
nodePortLocal block 1.4
nodePortLocal.enable bool 1.4
nodePortLocal.portRange str 1.4
transportInterfaceCIDRs list 1.4
antreaProxy block 1.4
antreaProxy.proxyAll bool 1.4
antreaProxy.nodePortAddresses list 1.4
antreaProxy.skipServices list 1.4
egress block 1.4
egress.exceptCIDRs list 1.4
multicastInterfaces list 1.5 2.0
antreaProxy.proxyLoadBalancerIPs bool 1.5
enableBridgingMode bool 1.6
disableTXChecksumOffload bool 1.7
multicast block 1.7
multicast.multicastInterfaces list 1.7
multicast.igmpQueryInterval str 1.7
ipsec block 1.7
ipsec.authenticationMode str 1.7
multicluster block 1.7
multicluster.enable bool 1.7 2.0
multicluster.namespace str 1.7
tunnelPort int 1.8
nodeType str 1.8
externalNode block 1.8
externalNode.externalNodeNamespace str 1.8
externalNode.policyBypassRules list 1.8
tunnelCsum bool 1.9
multicluster.enableStretchedNetworkPolicy bool 1.10
secondaryNetwork block 1.10
secondaryNetwork.ovs block 1.10 1.14
secondaryNetwork.ovs.enable bool 1.10 1.14
secondaryNetwork.ovs.ovsIntegrationBridgeName str 1.10 1.14
secondaryNetwork.ovs.ovsTransportBridgeName str 1.10 1.14
secondaryNetwork.ovs.ovsDatapathType str 1.10 1.14
secondaryNetwork.ovs.ovsPatchPort str 1.10 1.14
secondaryNetwork.tunnelType str 1.10 1.14
egress.maxEgressIPsPerNode int 1.11
multicluster.enableGateway bool 1.11
multicluster.enablePodToPodConnectivity bool 1.11
multicast.enable bool 1.12
multicast.igmpQueryVersions list 1.12
multicluster.wireGuard block 1.12
multicluster.wireGuard.port int 1.12
multicluster.trafficEncryptionMode str 1.12
flowExporter block 1.13
flowExporter.enable bool 1.13
flowExporter.flowCollectorAddr str 1.13
flowExporter.flowPollInterval str 1.13
flowExporter.activeFlowExportTimeout str 1.13
flowExporter.idleFlowExportTimeout str 1.13
antreaProxy.serviceProxyName str 1.13
antreaProxy.defaultLoadBalancerMode str 1.13
antreaProxy.enable bool 1.14
auditLogging block 1.14
auditLogging.maxSize int 1.14
auditLogging.maxBackups int 1.14
auditLogging.maxAge int 1.14
auditLogging.compress bool 1.14
secondaryNetwork.ovsBridges list 1.14
packetInRate int 1.14
snatFullyRandomPorts bool 2.2
egress.snatFullyRandomPorts bool 2.2
fqdnCacheMinTTL int 2.3
antreaProxy.disableServiceHealthCheckServer bool 2.3
flowExporter.protocols list 2.4 2.5
podCIDRs str 2.5
flowExporter.protocolFilter list 2.5
antreaProxy.serviceHealthCheckServerBindAddress str 2.5
egress.uniqueMACForSubInterfaces bool 2.5
hostNetworkAcceleration block 2.5
hostNetworkAcceleration.enable bool 2.5
hostNetworkMode str 2.5
memberlist block 2.7
memberlist.gossipVerifyOutgoing bool 2.7
memberlist.gossipVerifyIncoming bool 2.7
"""
_CONTROLLER = """\
featureGates map 1.0
clientConnection map 1.0
apiPort int 1.0
enablePrometheusMetrics bool 1.0
selfSignedCert bool 1.0
tlsCipherSuites str 1.0
tlsMinVersion str 1.0
legacyCRDMirroring bool 1.0 2.0
nodeIPAM block 1.4
nodeIPAM.enableNodeIPAM bool 1.4
nodeIPAM.clusterCIDRs list 1.4
nodeIPAM.serviceCIDR str 1.4
nodeIPAM.serviceCIDRv6 str 1.4
nodeIPAM.nodeCIDRMaskSizeIPv4 int 1.4
nodeIPAM.nodeCIDRMaskSizeIPv6 int 1.4
ipsecCSRSigner block 1.7
ipsecCSRSigner.selfSignedCA bool 1.7
ipsecCSRSigner.autoApprove bool 1.7
multicluster block 1.10
multicluster.enableStretchedNetworkPolicy bool 1.10
multicluster.namespace str 1.10
clientCAFile str 1.12
kubeAPIServerOverride str 1.13
"""


#: What a gate needs to have an effect, or (fatal) to let the process start: settings as
#: "component key value [since [until]]"; a gate is named featureGates.<name>.
NEEDS: dict[str, tuple[str, ...]] = {
    "AdminNetworkPolicy": ("controller featureGates.AntreaPolicy true",),
    "CleanupStaleUDPSvcConntrack": ("agent antreaProxy.enable true 1.14",),
    "ClusterNetworkPolicy": ("controller featureGates.AntreaPolicy true",),
    "EgressSeparateSubnet": ("agent featureGates.Egress true",),
    "EgressTrafficShaping": ("agent featureGates.Egress true",),
    "EndpointSlice": ("agent antreaProxy.enable true 1.14",),
    "ExternalNode": (
        "controller featureGates.AntreaPolicy true",
        "controller featureGates.NetworkPolicyStats true",
    ),
    # Since 2.6 a FlowExporterDestination will do.
    "FlowExporter": ("agent flowExporter.enable true 1.13 2.6",),
    "L7FlowExporter": (
        "agent featureGates.FlowExporter true",
        "agent flowExporter.enable true",
    ),
    "L7NetworkPolicy": ("agent disableTXChecksumOffload true",),
    "LoadBalancerModeDSR": (
        "agent antreaProxy.proxyAll true",
        "agent trafficEncapMode encap",
    ),
    "Multicast": ("agent multicast.enable true 1.12",),
    "NodeIPAM": ("controller nodeIPAM.enableNodeIPAM true",),
    "NodePortLocal": ("agent nodePortLocal.enable true 1.4",),
    "PreferSameTrafficDistribution": ("agent antreaProxy.enable true",),
    "SecondaryNetwork": ("agent featureGates.AntreaIPAM true 2.5",),
    "ServiceTrafficDistribution": ("agent antreaProxy.enable true",),
    "TopologyAwareHints": ("agent antreaProxy.enable true 1.14",),
}


def needs(name: str, version: Version | None) -> list[tuple[str, str, str]]:
    """Return (component, key, value) of what a gate needs in a version."""
    found = []
    for line in NEEDS.get(name, ()):
        component, path, wanted, *span = line.split()
        since, until = [number(text) for text in span] + [OLDEST, (9999, 0)][len(span) :]
        if since <= (version or NEWEST) < until:
            found.append((component, path, wanted))
    return found


#: Gates whose unmet need keeps the process from starting, and since when.
FATAL_NEEDS: dict[str, Version] = {
    "AdminNetworkPolicy": (2, 7),
    "ClusterNetworkPolicy": (2, 7),
    "SecondaryNetwork": (2, 5),
}

#: Words that a key takes (letter case does not matter to Antrea).
WORDS: dict[str, tuple[str, ...]] = {
    "antreaProxy.defaultLoadBalancerMode": ("nat", "dsr"),
    "hostNetworkMode": ("iptables", "nftables"),
    "ipsec.authenticationMode": ("psk", "cert"),
    "multicluster.trafficEncryptionMode": ("none", "wireGuard"),
    "nodeType": ("k8sNode", "externalNode"),
    "trafficEncapMode": ("encap", "noEncap", "hybrid", "networkPolicyOnly"),
    "trafficEncryptionMode": ("none", "ipsec", "wireGuard"),
    "tunnelType": ("geneve", "vxlan", "gre", "stt"),
}
#: Lists of networks in CIDR form, and numbers with their limits.
NETWORKS = (
    "antreaProxy.nodePortAddresses",
    "egress.exceptCIDRs",
    "nodeIPAM.clusterCIDRs",
    "transportInterfaceCIDRs",
)
LIMITS: dict[str, tuple[int, int]] = {
    "apiPort": (1, 65535),
    "clusterPort": (1, 65535),
    "egress.maxEgressIPsPerNode": (0, 255),
    "multicluster.wireGuard.port": (1, 65535),
    "nodeIPAM.nodeCIDRMaskSizeIPv4": (16, 30),
    "nodeIPAM.nodeCIDRMaskSizeIPv6": (64, 126),
    "tunnelPort": (0, 65535),
    "wireGuard.port": (1, 65535),
}
#: Values that need another setting to let the process start: key, value, component, key, value.
VALUE_NEEDS = (
    ("antreaProxy.defaultLoadBalancerMode", "dsr", "featureGates.LoadBalancerModeDSR", "true"),
    ("antreaProxy.defaultLoadBalancerMode", "dsr", "trafficEncapMode", "encap"),
    ("enableBridgingMode", "true", "featureGates.AntreaIPAM", "true"),
    ("enableBridgingMode", "true", "trafficEncapMode", "noEncap"),
    ("enableBridgingMode", "true", "noSNAT", "true"),
    ("hostNetworkMode", "nftables", "featureGates.NFTablesHostNetworkMode", "true"),
    ("ipsec.authenticationMode", "cert", "featureGates.IPsecCertAuth", "true"),
    ("trafficEncryptionMode", "wireGuard", "trafficEncapMode", "encap"),
)
#: Values of keys that are absent, where a rule asks for them. Gates have theirs by version.
DEFAULTS: dict[str, object] = {
    "antreaProxy.enable": True,
    "ovsBridge": "br-int",
    "trafficEncapMode": "encap",
}
#: How many NICs a secondary bridge takes, from which version on.
BRIDGE_INTERFACES: tuple[tuple[Version, int], ...] = (((2, 0), 8), ((1, 14), 1))


@dataclass(frozen=True)
class Gate:
    """A gate in one version. ``stage``: alpha, beta, ga, deprecated; None: not in that version."""

    name: str
    components: tuple[str, ...]
    since: str
    removed: str | None = None
    stage: str | None = None
    default: bool = False
    locked: bool = False


@dataclass(frozen=True)
class Key:
    """A key of a file. ``kind``: str, bool, int, list, map (free inside) or block."""

    path: str
    kind: str
    since: str
    until: str | None = None

    def known_in(self, version: Version | None) -> bool:
        """Tell whether a version has it; without one, whether the newest has."""
        at = min(version or NEWEST, NEWEST)
        return number(self.since) <= at and (self.until is None or at < number(self.until))


def number(text: str) -> Version:
    """Return (2, 7) of "2.7"."""
    major, minor = text.split(".")
    return int(major), int(minor)


def parse_version(text: str | None) -> Version | None:
    """Return (2, 7) of "v2.7.0-dev", None where no version can be read."""
    match = re.match(r"v?(\d+)\.(\d+)", text or "")
    return (int(match[1]), int(match[2])) if match else None


def gate(name: str, version: Version | None) -> Gate | None:
    """Return a gate as a version has it, None if no version has one of that name."""
    lines = _GATES.get(name)
    if lines is None:
        return None
    components = tuple(_COMPONENTS[letter] for letter in lines[0])
    history = [line.split() for line in lines[1:]]
    gone = next((words[0] for words in history if words[1] == "removed"), None)
    found = Gate(name, components, history[0][0], gone)
    for since, stage, *rest in history:
        if number(since) > (version or NEWEST):
            break
        if stage == "removed":
            found = Gate(name, components, history[0][0], gone)
        else:
            found = Gate(
                name, components, history[0][0], gone, stage, rest[0] == "on", "locked" in rest
            )
    return found


def gates() -> tuple[str, ...]:
    """Return the names of all gates of all versions."""
    return tuple(_GATES)


def _keys(table: str) -> dict[str, Key]:
    words = [line.split() for line in table.strip().splitlines()]
    return {w[0]: Key(w[0], w[1], w[2], w[3] if len(w) > 3 else None) for w in words}


#: Component -> path -> Key, of all versions.
KEYS: dict[str, dict[str, Key]] = {AGENT: _keys(_AGENT), CONTROLLER: _keys(_CONTROLLER)}
