# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Antrea with Egress on the nodes of a lab: pods, a VLAN with its gateway, and who leaves by what.

python -m tests.lab.egress_scene --antrea-version v2.3.0      on the lab that K8SNET_LAB names
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.lab import netfilter
from tests.lab.actors import content, content_services
from tests.lab.actors.kubelet import DEVICE
from tests.lab.actors.pods import pod_address
from tests.lab.antrea_scene import CONFIG_MAP, PROGRAM, Settings, await_that
from tests.lab.errors import LabError, exit_code
from tests.lab.image import ensure_image
from tests.lab.lab import Lab
from tests.lab.outside import Outside
from tests.lab.scene import Scene

Obj = dict[str, Any]

VLAN = 181
GATEWAY, PREFIX = "172.18.181.1", 24
RANGE = {"start": "172.18.181.50", "end": "172.18.181.59"}
GROUP = "/apis/crd.antrea.io/v1beta1"
EGRESSES, POOLS = f"{GROUP}/egresses", f"{GROUP}/externalippools"
NAMESPACE = "shop"


class EgressScene(Scene):
    """A scene whose pods leave the cluster: 10.244.N.10, one on each node, in namespace shop."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.outside = Outside(lab, VLAN, GATEWAY, PREFIX)

    def start(self, version: str = "v2.3.0", settings: Settings | None = None) -> None:
        """Seeds the cluster, starts its actors, and wires a pod on each node. LabError."""
        self.set("antrea", version=version, settings=settings)
        self.outside.up()
        labels = {"labels": {"kubernetes.io/metadata.name": NAMESPACE}}
        self._make("/api/v1/namespaces", {"metadata": {"name": NAMESPACE, **labels}})
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(self.wire_pod, self.nodes))
        for node in self.nodes:
            cidr = content.pod_cidr(int(node.removeprefix("node")))
            pod = content_services.web_pod(node, pod_address(cidr))
            pod["metadata"]["namespace"] = NAMESPACE
            path = f"/api/v1/namespaces/{NAMESPACE}/pods"
            self._make(path, pod)
            body = {"status": {**pod["status"], "phase": "Running"}}
            self.call("PATCH", f"{path}/{pod['metadata']['name']}/status", body)

    def prepare_node(self, node: str) -> None:
        """Netfilter's modules, for NAT."""
        archive = netfilter.ensure(ensure_image(_say), _say)
        netfilter.install(self.lab, node, archive)

    def wire_pod(self, node: str) -> None:
        """Makes the node's pod; it goes with a reboot."""
        cidr = content.pod_cidr(int(node.removeprefix("node")))
        self.on(node, f"python3 {PROGRAM} pods up --pod-cidr {cidr} --device {DEVICE}")

    def _make(self, path: str, obj: Obj) -> None:
        try:
            self.call("POST", path, obj, "application/json")
        except LabError as error:
            if "AlreadyExists" not in str(error):
                raise

    # -- what tests do to it ----------------------------------------------------------------------

    def pool(self, name: str = "vlan181", nodes: Sequence[str] = (), **subnet: Any) -> None:
        """Makes a pool on the VLAN for nodes that are labelled egress=true; labels ``nodes``."""
        info = {"gateway": GATEWAY, "prefixLength": PREFIX, "vlan": VLAN, **subnet}
        selector = {"matchLabels": {"egress": "true"}}
        spec = {"ipRanges": [RANGE], "nodeSelector": selector, "subnetInfo": info}
        for node in nodes:
            self.label(node, "egress", "true")
        kind = {"apiVersion": "crd.antrea.io/v1beta1", "kind": "ExternalIPPool"}
        body = {**kind, "metadata": {"name": name}, "spec": spec}
        self.call("POST", POOLS, body, "application/json")

    def egress(self, name: str = "shop", pool: str = "vlan181") -> None:
        selector = {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}
        spec = {"appliedTo": {"namespaceSelector": selector}, "externalIPPool": pool}
        kind = {"apiVersion": "crd.antrea.io/v1beta1", "kind": "Egress"}
        self.call(
            "POST", EGRESSES, {**kind, "metadata": {"name": name}, "spec": spec}, "application/json"
        )

    def gate(self, name: str, on: bool) -> None:
        """Writes a feature gate of the agent into antrea-config; agents read it when they start."""
        old = self.call("GET", CONFIG_MAP)["data"]["antrea-agent.conf"]
        new = re.sub(rf"(?m)^ +{name}:.*\n", "", old)
        new = re.sub(
            r"(?m)^featureGates:.*\n", f"featureGates:\n  {name}: {str(on).lower()}\n", new, count=1
        )
        self.call("PATCH", CONFIG_MAP, {"data": {"antrea-agent.conf": new}})

    def clean(self) -> None:
        """Takes away every Egress, pool, and label that tests made."""
        for path in (EGRESSES, POOLS):
            for obj in self.call("GET", path)["items"]:
                self.call("DELETE", f"{path}/{obj['metadata']['name']}")
        for node in self.call("GET", "/api/v1/nodes")["items"]:
            for key in node["metadata"].get("labels") or {}:
                if "egress" in key:
                    self.label(node["metadata"]["name"], key, None)

    # -- what tests ask ---------------------------------------------------------------------------

    def leaves_as(self, node: str, target: str = "") -> str:
        """The address that the gateway sees the node's pod have; "" for no answer."""
        words = f"pods web-ask --from-pod --timeout 2 --server {target or self.outside.target}"
        done = self.lab.ssh(node, f"sudo python3 {PROGRAM} {words}", oob=True, check=False)
        return "" if done.returncode else done.stdout.strip()

    def find_egress(self, name: str = "shop") -> Obj | None:
        found = self.call("GET", EGRESSES)["items"]
        return next((e for e in found if e["metadata"]["name"] == name), None)

    def state(self, name: str = "shop") -> Obj:
        """Where an Egress is: node, address, conditions that are True."""
        status = (self.find_egress(name) or {}).get("status") or {}
        good = [c["type"] for c in status.get("conditions") or () if c["status"] == "True"]
        where = {"node": status.get("egressNode") or "", "ip": status.get("egressIP") or ""}
        return {**where, "true": sorted(good)}

    def await_assigned(self, name: str = "shop", *, but: str = "", timeout: float = 60) -> Obj:
        """Waits until an Egress has its address on a node (another than ``but``)."""
        return await_that(
            lambda: self.state(name),
            lambda now: now["node"] not in ("", but) and "IPAssigned" in now["true"],
            f"Egress {name} is assigned",
            timeout,
        )

    def addresses(self, node: str, device: str = f"antrea-ext.{VLAN}") -> list[str]:
        """The IPv4 addresses of a device, with their prefix; none without it."""
        found = self.on(node, "ip -4 -j address")
        links = [link for link in json.loads(found) if link["ifname"] == device]
        entries = [entry for link in links for entry in link["addr_info"]]
        return [f"{entry['local']}/{entry['prefixlen']}" for entry in entries]

    def left(self, node: str) -> str:
        """What of Egress is in a node's kernel: devices, rules, tables."""
        look = "ip -br link | grep -E '^(antrea-ext|eg[nf]-)'; ip rule | grep fwmark"
        return self.on(node, f'sh -c "{look}; ip route show table 101 2>/dev/null; true"').strip()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.egress_scene", description=__doc__)
    parser.add_argument("--antrea-version", default="v2.3.0")
    words = parser.parse_args()
    return exit_code(lambda: EgressScene(Lab()).start(words.antrea_version))


if __name__ == "__main__":
    sys.exit(main())
