# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""antrea-agent of the lab: OVS, its flag and the secondary bridge in the order of its version.

Runs on a node out of the bundle, started by the lab's kubelet for the node's pod::

    systemd-run python3 k8snet-actors.pyz antrea-agent --kubeconfig FILE --node NAME --pod NS/NAME

It reads its configuration over the API, and ends when there is none. It is killed or stopped
(SIGSTOP) at a step that ``/run/k8snet-lab/antrea-die-at`` or ``antrea-stop-at`` names, once; steps:
config, flows, cleared, renamed, port, moved, attached, api, settled, policies (of nodes).
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.lab.actors import (
    antrea_api,
    antrea_egress,
    antrea_egress_rules,
    antrea_gates,
    antrea_node_policy,
    antrea_proxy,
    kube_services,
)
from tests.lab.actors import antrea_ovs as ovs
from tests.lab.actors import antrea_rules as rules
from tests.lab.actors.antrea_members import Members
from tests.lab.actors.health import serve
from tests.lab.api.client import ApiStatus, Client, load_kubeconfig

Obj = dict[str, Any]

NAME = "antrea-agent"
FOLDER = Path("/run/k8snet-lab")
STATE = FOLDER / "antrea-agent.json"
INFOS = "/apis/crd.antrea.io/v1beta1/antreaagentinfos"
CONFIGS = "/apis/crd.antrea.io/v1alpha1/antreanodeconfigs"
FAULTS = (ApiStatus, OSError, http.client.HTTPException)
#: A dropped packet has to be noticed well within the wait for the API.
REQUEST_SECONDS = 2
TICK = 0.5
#: Where a pod finds the API, unless kubeAPIServerOverride says otherwise.
IN_CLUSTER = "https://10.96.0.1:443"
POD_NETWORK = "10.244.0.0/16"


class Agent:
    """One life of the process."""

    def __init__(self, api: Client, options: argparse.Namespace) -> None:
        self.api = api
        self.node_name: str = options.node
        self.pod_name: str = options.pod
        self.heartbeat: float = options.heartbeat
        self.api_wait: float = options.api_wait
        self.bugs: str | None = options.behaviour
        self.ended = threading.Event()
        self.version: rules.Version = ()
        self.version_text = ""
        self.conf: Obj = {}
        self.node: Obj = {}
        self.bridge: rules.Bridge | None = None
        self.round = 0
        self.vswitchd = ""
        self._next_beat = self._next_services = 0.0
        self._said = ""
        self._kubeconfig: Path = options.kubeconfig
        self.proxy = antrea_proxy.AntreaProxy() if options.services else None
        self.egress: antrea_egress.Egresses | None = None

    def say(self, text: str) -> None:
        if text != self._said:
            print(text, flush=True)
            self._said = text

    def state(self, **more: Any) -> None:
        """Tell kubelet and the tests: what /healthz of the real one would, and more."""
        about = {"pid": os.getpid(), "pod": self.pod_name, "version": self.version_text}
        about["gates"] = antrea_gates.gates(self.conf, self.version) if self.version else []
        about["secondaryNetwork"] = self.conf.get("secondaryNetwork")
        new = STATE.with_suffix(".new")
        new.write_text(json.dumps({**about, "ready": False, "why": "", **more}), encoding="utf-8")
        new.replace(STATE)

    def reached(self, step: str) -> None:
        self.say(f"step {step}")
        for word, number in (("die", signal.SIGKILL), ("stop", signal.SIGSTOP)):
            order = FOLDER / f"antrea-{word}-at"
            if order.exists() and order.read_text(encoding="utf-8").strip() == step:
                order.unlink()
                os.kill(os.getpid(), number)

    def run(self) -> None:
        """Start in the version's order, then live until told to end. Raises Fatal, OSError."""
        self.state()
        self.read()
        self.reached("config")
        if self.proxy:
            self.proxy.forget()
            self.enter_cluster()
        bridge = rules.secondary(self.conf, self.version)
        early = rules.UPLINK_FIRST in self.behaviours()
        self.integrate()
        self.reached("flows")
        if bridge and early:
            self.take(bridge)
        self.await_api("flows of policies and services")
        self.reached("api")
        ovs.clear_flag()
        self.reached("cleared")
        if self.proxy:
            self.serve_services()
            self.serve_health()
        if bridge and not early:
            self.take(bridge)
        self.serve_egress()
        antrea_api.start(antrea_gates.gates(self.conf, self.version), self.ended)
        self.reached("settled")
        self.live()
        self.give_back()

    def behaviours(self) -> tuple[str, ...]:
        if self.bugs is None:
            return rules.behaviours(self.version)
        return tuple(self.bugs.split(","))

    def await_api(self, what: str) -> None:
        """Wait until the API answers. Raises Fatal when it does not in time."""
        end = time.monotonic() + self.api_wait
        while True:
            try:
                self.node = self.api.get(f"/api/v1/nodes/{self.node_name}")
                return
            except FAULTS as error:
                if time.monotonic() > end:
                    raise rules.Fatal(f"no API, so no {what}: {error}") from error
            self.ended.wait(TICK)
            if self.ended.is_set():
                raise rules.Fatal("told to end before it had started")

    def read(self) -> None:
        """Read version and configuration: the ConfigMap that the pod mounts."""
        import yaml

        self.await_api("configuration")
        namespace, name = self.pod_name.split("/")
        pod = self.api.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
        image = next(c["image"] for c in pod["spec"]["containers"] if c["name"] == NAME)
        self.version, self.version_text = rules.version_of(image), image.rpartition(":")[2]
        volumes = pod["spec"].get("volumes") or ()
        maps = [v["configMap"]["name"] for v in volumes if v.get("configMap")]
        config = next(name for name in maps if name.startswith("antrea-config"))
        data = self.api.get(f"/api/v1/namespaces/{namespace}/configmaps/{config}")["data"]
        try:
            self.conf = yaml.safe_load(data["antrea-agent.conf"]) or {}
        except yaml.YAMLError as error:
            raise rules.Fatal(f"antrea-agent.conf: {error}") from error
        antrea_gates.judge(self.conf, self.version)
        self.state()

    def enter_cluster(self) -> None:
        """From here on the API is where the pod finds it: by the override, or its Service."""
        config = load_kubeconfig(self._kubeconfig)
        server = antrea_proxy.override(self.conf) or IN_CLUSTER
        for cluster in config["clusters"]:
            cluster["cluster"]["server"] = server
        own = FOLDER / "antrea-agent.kubeconfig"
        own.touch(mode=0o600)
        own.write_text(json.dumps(config), encoding="utf-8")
        self.api = Client(own, NAME, REQUEST_SECONDS)
        self.say(f"API at {server}")

    def serve_services(self) -> None:
        """AntreaProxy, and the routes to other nodes' pods, every other second."""
        if self.proxy and time.monotonic() >= self._next_services:
            self._next_services = time.monotonic() + 2
            everything = antrea_proxy.proxies_all(self.conf)
            nodes = self.api.items("/api/v1/nodes")
            self.proxy.connect(antrea_proxy.peers(nodes, self.node_name))
            ports = kube_services.read(self.api)
            cidr = self.node["spec"]["podCIDR"]
            self.proxy.sync(ports, cidr, POD_NETWORK, everything=everything)

    def serve_health(self) -> None:
        """The health check of Services' load balancers, which is kube-proxy's elsewhere."""
        if antrea_proxy.proxies_all(self.conf) and self.version >= (2, 5, 0):
            serve("0.0.0.0", 10256, {"/healthz": lambda: (200, "{}")}, self.ended)

    def integrate(self) -> None:
        """Make br-int and its flows."""
        cidr = self.node["spec"]["podCIDR"]
        network, _slash, length = cidr.partition("/")
        start, _dot, last = network.rpartition(".")
        self.round = ovs.make_integration(f"{start}.{int(last) + 1}/{length}")
        ovs.install_flows(self.round)
        self.vswitchd = ovs.vswitchd()

    def take(self, bridge: rules.Bridge) -> None:
        """Set up the secondary bridge. Raises Fatal."""
        ovs.make_bridge(bridge.name, marked=self.version >= (2, 7, 0))
        have = ovs.ports(bridge.name)
        if bridge.moves:
            nic = bridge.nics[0]
            attached = nic in have and f"{nic}~" in have
            if attached and rules.CRASH_ATTACHED in self.behaviours():
                raise rules.Fatal(f"{nic}: attached already, no name for its uplink: no device ''")
            if not attached and not ovs.exists(nic):
                raise rules.Fatal(f"failed to get link {nic}: no such network interface")
            if not attached:
                ovs.move(bridge.name, nic, self.reached)
        else:
            for nic in bridge.nics:
                if not ovs.exists(nic):
                    raise rules.Fatal(f"failed to get link {nic}: no such network interface")
                ovs.attach(bridge.name, nic)
        self.bridge = bridge
        self.say(f"secondary bridge {bridge.name} with {', '.join(bridge.nics) or 'no NIC'}")

    def give_back(self) -> None:
        """What a graceful stop does: only a moved NIC is put back; the bridge stays."""
        if self.bridge and self.bridge.moves:
            self.say(f"putting {self.bridge.nics[0]} back")
            ovs.move_back(self.bridge.name, self.bridge.nics[0])
        self.bridge = None

    def live(self) -> None:
        """Follow OVS, AntreaNodeConfigs, Services and the clock, each by itself: as in Antrea, one
        that fails keeps none of the others from its work."""
        routines = [self.follow_ovs, self.follow_node_configs, self.serve_services, self.beat]
        if self.egress:
            routines.append(self.follow_egresses)
        if rules.gate(self.conf, "NodeNetworkPolicy"):
            policies = antrea_node_policy.NodePolicies(self.node_name)
            routines.append(lambda: self.reached("policies") if policies.sync(self.api) else None)
        while not self.ended.is_set():
            for routine in routines:
                try:
                    routine()
                except (*FAULTS, rules.Fatal) as error:
                    self.say(f"will try again: {error}")
            self.state(ready=True)
            self.ended.wait(TICK)

    def serve_egress(self) -> None:
        """Take part in Egress, where the configuration lets it."""
        if antrea_egress_rules.plays(self.conf, self.version):
            members = Members(self.node_name, self.ended)
            words = (self.node_name, self.conf, self.version, members, self.say)
            self.egress = antrea_egress.Egresses(*words)

    def follow_egresses(self) -> None:
        if self.egress:
            self.egress.sync(self.api, self.node)

    def follow_ovs(self) -> None:
        """Replay the flows into a vswitchd that is new, and clear the flag after that."""
        now = ovs.vswitchd()
        if now and now != self.vswitchd:
            ovs.install_flows(self.round)
            ovs.clear_flag()
            self.say(f"flows replayed to ovs-vswitchd {now}")
            self.vswitchd = now

    def follow_node_configs(self) -> None:
        if not rules.follows_node_configs(self.conf, self.version):
            return
        configs = self.api.items(CONFIGS)
        self.node = self.api.get(f"/api/v1/nodes/{self.node_name}")
        labels = self.node["metadata"].get("labels") or {}
        wanted = rules.node_config(configs, labels, self.conf)
        if wanted == self.bridge:
            return
        if self.bridge:
            old = self.bridge
            self.give_back()
            ovs.delete_bridge(old.name)
        if wanted:
            self.take(wanted)

    def beat(self) -> None:
        """Write the AntreaAgentInfo when that is due."""
        if time.monotonic() < self._next_beat:
            return
        self._next_beat = time.monotonic() + self.heartbeat
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        up = "True" if ovs.vswitchd() else "False"
        states = {"AgentHealthy": "True", "ControllerConnectionUp": "True"}
        states.update(OVSDBConnectionUp="True", OpenflowConnectionUp=up)
        namespace, name = self.pod_name.split("/")
        info: Obj = {
            "version": self.version_text,
            "podRef": {"kind": "Pod", "namespace": namespace, "name": name},
            "nodeRef": {"kind": "Node", "name": self.node_name},
            "nodeSubnets": [self.node["spec"]["podCIDR"]],
            "ovsInfo": {"version": "3.3.0", "bridgeName": ovs.INTEGRATION, "flowTable": {}},
            "localPodNum": 1,
            "apiPort": 10350,
            "agentConditions": [
                {"type": kind, "status": status, "lastHeartbeatTime": now}
                for kind, status in states.items()
            ],
        }
        try:
            self.api.patch(f"{INFOS}/{self.node_name}", info)
        except ApiStatus as error:
            if error.code != 404:
                raise
            kind = {"apiVersion": "crd.antrea.io/v1beta1", "kind": "AntreaAgentInfo"}
            self.api.create(INFOS, {**kind, "metadata": {"name": self.node_name}, **info})


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=NAME, description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--node", required=True)
    parser.add_argument("--pod", required=True, help="namespace/name")
    parser.add_argument("--behaviour", help="bugs, separated by commas; default: the version's")
    parser.add_argument("--heartbeat", type=float, default=60, help="seconds between two")
    parser.add_argument("--api-wait", type=float, default=60, help="seconds until it gives up")
    parser.add_argument("--services", action="store_true", help="pods and Services are played")
    options = parser.parse_args(arguments)
    FOLDER.mkdir(exist_ok=True)
    agent = Agent(Client(options.kubeconfig, NAME, REQUEST_SECONDS), options)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.ended.set())
    try:
        agent.run()
    except (*FAULTS, rules.Fatal) as error:
        print(f"fatal: {error}", file=sys.stderr, flush=True)
        agent.state(why=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
