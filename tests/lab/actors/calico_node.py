# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""calico-node of the lab: detects this node's address as the real one does, and routes pods by it.

Runs on a node (Python 3.9, standard library, ``ip``) out of the bundle that ``bundle.py`` makes::

    systemd-run --unit k8snet-calico-node python3 k8snet-actors.pyz calico-node --kubeconfig FILE

It plays the pod with label k8s-app=calico-node on its node: takes ``IP``, ``IP6`` and the methods
from that pod's environment, detects from the real interfaces, stores the Node's annotations, sets
the pod's Ready. With backend bird it holds BGP sessions between the stored addresses and routes
every peer's pod network over that peer's address; with backend vxlan it makes vxlan.calico, and a
wrong address is Ready all the same. A pod that is replaced is a new start. Source:
projectcalico/calico ``node/pkg/lifecycle/startup/startup.go`` and ``node/pkg/health``.
"""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.lab.actors import calico_vxlan
from tests.lab.actors.calico_bgp import Mesh
from tests.lab.actors.calico_detect import (
    ANNOTATION,
    InvalidMethod,
    Nic,
    Node,
    routes_wanted,
    stored_of,
    wanted_address,
)
from tests.lab.api.client import ApiStatus, Client

Obj = dict[str, Any]

PROTO_BIRD = "12"
GRACE_SECONDS = 15  # so long do the routes of a lost session stay (graceful restart)
FIRST_SECONDS = 30  # so long must all peers be established for the pod to be ready; then one


def _run(*command: str) -> str:
    """Return what a program prints. Raises OSError with its message when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _ip(*arguments: str) -> str:
    return _run("ip", *arguments)


def read_nics() -> list[Nic]:
    """Return the interfaces in the kernel's dump order."""
    out = []
    for link in json.loads(_ip("-j", "addr", "show")):
        found = [f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"] if "local" in a]
        out.append({"name": link["ifname"], "addresses": found})
    return out


def route_source(destination: str, family: int) -> str | None:
    """Return the source address the kernel would use, as a UDP connect shows it."""
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    try:
        target = socket.getaddrinfo(destination, 80, kind, socket.SOCK_DGRAM)[0][4]
        with socket.socket(kind, socket.SOCK_DGRAM) as probe:
            probe.connect(target)
            return str(probe.getsockname()[0]).partition("%")[0]
    except OSError:
        return None


def set_routes(wanted: dict[str, tuple[str, str]]) -> None:
    """Make the routes of protocol BIRD exactly the wanted ones."""
    have = {}
    for route in json.loads(_ip("-j", "route", "show", "proto", PROTO_BIRD) or "[]"):
        have[route["dst"]] = (route.get("gateway", ""), route.get("dev", ""))
    for network in set(have) - set(wanted):
        _ip("route", "del", network, "proto", PROTO_BIRD)
    for network, (gateway, device) in wanted.items():
        if have.get(network) != (gateway, device):
            _ip("route", "replace", network, "via", gateway, "dev", device, "proto", PROTO_BIRD)


def _bare(address: str | None) -> str | None:
    return address.partition("/")[0] if address else None


def _environment(pod: Obj) -> list[Obj]:
    containers = pod["spec"]["containers"]
    main = next((c for c in containers if c["name"] == "calico-node"), containers[0])
    return list(main.get("env") or ())


class CalicoNode:
    """The loop: start for each new pod, poll, sync routes."""

    def __init__(self, api: Client, name: str, poll: float, *, data_plane: bool) -> None:
        self.api = api
        self.name = name
        self.poll = poll
        self.data_plane = data_plane
        self._pod_uid = ""
        self._started = 0.0
        self._next_poll = 0.0
        self._failed = ""
        self._said = ""
        self._backend = ""
        self._felix = ""
        self._meshes: dict[int, Mesh] = {}
        self._last_up: dict[str, float] = {}

    def say(self, text: str) -> None:
        if text != self._said:
            print(text, flush=True)
            self._said = text

    def step(self) -> None:
        """Do what is due now. Raises OSError when the API or the kernel says no."""
        nodes = self.api.items("/api/v1/nodes")
        node = next((n for n in nodes if n["metadata"]["name"] == self.name), None)
        pod = self._own_pod()
        if node is None or pod is None:
            self.say("no calico-node pod on this node" if node else "no Node object of this name")
            return
        now = time.monotonic()
        if pod["metadata"]["uid"] != self._pod_uid:
            self._pod_uid, self._started, self._failed = pod["metadata"]["uid"], now, ""
            self._backend = self._backend_of(pod)
            for mesh in self._meshes.values():
                mesh.restart()
            self._detect(pod, node, nodes, starting=True)
        elif now >= self._next_poll:
            self._detect(pod, node, nodes, starting=bool(self._failed))
        if self.data_plane:
            self._sync(node, nodes)
        self._report(pod, self._failed or self._not_ready(nodes))

    def close(self) -> None:
        """End the sessions."""
        for mesh in self._meshes.values():
            mesh.close()

    def _backend_of(self, pod: Obj) -> str:
        """Return CALICO_NETWORKING_BACKEND: a value, or a key of a ConfigMap."""
        entry = next((e for e in _environment(pod) if e["name"] == "CALICO_NETWORKING_BACKEND"), {})
        source = (entry.get("valueFrom") or {}).get("configMapKeyRef")
        if source is None:
            return entry.get("value") or "bird"
        where = f"/api/v1/namespaces/{pod['metadata']['namespace']}/configmaps/{source['name']}"
        return str(self.api.get(where).get("data", {}).get(source["key"], "bird"))

    def _sync(self, node: Node, nodes: list[Node]) -> None:
        """Make the data plane of the backend what the stored addresses say."""
        self._felix = ""
        nics = read_nics()
        bird = self._backend == "bird"
        for family in (4, 6):
            self._sync_mesh(family, nodes if bird else [])
        set_routes(routes_wanted(self.name, nodes, nics, self._reached()) if bird else {})
        if self._backend == "vxlan":
            try:
                self._announce_tunnel(node)
                calico_vxlan.sync(_run, node, nodes, nics)
            except OSError as error:
                self._felix = f"calico/node is not ready: felix is not ready: {error}"

    def _sync_mesh(self, family: int, nodes: list[Node]) -> None:
        ends = {n["metadata"]["name"]: _bare(stored_of(n, family)) for n in nodes}
        local = ends.pop(self.name, None)
        if local and family not in self._meshes:
            self._meshes[family] = Mesh(family)
        if family in self._meshes:
            self._meshes[family].want(local, {end for end in ends.values() if end})

    def _reached(self) -> set[str]:
        """Return the peers whose routes stand: with a session now, or a moment ago."""
        now = time.monotonic()
        for mesh in self._meshes.values():
            self._last_up.update(dict.fromkeys(mesh.established(), now))
        return {peer for peer, seen in self._last_up.items() if now - seen < GRACE_SECONDS}

    def _announce_tunnel(self, node: Node) -> None:
        tunnel = calico_vxlan.tunnel_of(node)
        have = (node["metadata"].get("annotations") or {}).get(calico_vxlan.TUNNEL_ANNOTATION)
        if tunnel and tunnel != have:
            patch = {"metadata": {"annotations": {calico_vxlan.TUNNEL_ANNOTATION: tunnel}}}
            self.api.patch(f"/api/v1/nodes/{self.name}", patch)

    def _own_pod(self) -> Obj | None:
        mine = f"spec.nodeName={self.name}"
        pods = self.api.items(
            "/api/v1/pods", labelSelector="k8s-app=calico-node", fieldSelector=mine
        )
        live = [p for p in pods if "deletionTimestamp" not in p["metadata"]]
        live.sort(key=lambda p: p["metadata"]["creationTimestamp"])
        return live[-1] if live else None

    def _detect(self, pod: Obj, node: Node, nodes: list[Node], *, starting: bool) -> None:
        """Store what is detected now; ``_failed`` says why the real one would have exited."""
        self._next_poll = time.monotonic() + self.poll
        env = {e["name"]: e.get("value", "") for e in _environment(pod) if "valueFrom" not in e}
        if self._backend == "none" and not starting:
            return
        addresses = (node.get("status") or {}).get("addresses") or ()
        internal = tuple(a["address"] for a in addresses if a["type"] == "InternalIP")
        self._failed = ""
        for family in (4, 6):
            stored = stored_of(node, family)
            try:
                new = wanted_address(env, family, stored, read_nics(), internal, route_source)
            except InvalidMethod as error:
                self._failed = f"Invalid IP autodetection method: {error}"
                return
            if new is None and family == 4 and env.get("IP", "") != "none":
                self._failed = "no IPv4 address was detected and none is stored"
            elif new != stored:
                self._store(family, new, node, nodes, starting=starting)

    def _store(
        self, family: int, new: str | None, node: Node, nodes: list[Node], *, starting: bool
    ) -> None:
        mine = str(new).partition("/")[0]
        others = {
            str(stored_of(n, family)).partition("/")[0]
            for n in nodes
            if n["metadata"]["name"] != self.name
        }
        if mine in others:
            self.say(f"{mine} is already in use by another node: address cleared")
            if starting:
                self._failed = f"{mine} is already in use by another node"
            new = None
        else:
            self.say(f"using {new}")
        patch = {"metadata": {"annotations": {ANNOTATION[family]: new}}}
        self.api.patch(f"/api/v1/nodes/{self.name}", patch)
        node["metadata"].setdefault("annotations", {})[ANNOTATION[family]] = new

    def _not_ready(self, nodes: list[Node]) -> str:
        """Return why Felix or BIRD is not ready, "" when both are."""
        if self._felix or self._backend != "bird" or not self.data_plane:
            return self._felix
        others = [node for node in nodes if node["metadata"]["name"] != self.name]
        peers = {_bare(stored_of(n, family)) for n in others for family in self._meshes}
        peers.discard(None)
        down = peers - {peer for mesh in self._meshes.values() for peer in mesh.established()}
        young = time.monotonic() - self._started < FIRST_SECONDS
        if not down or (len(down) < len(peers) and not young):
            return ""
        shown = ",".join(sorted(str(peer) for peer in down))
        return f"calico/node is not ready: BIRD is not ready: BGP not established with {shown}"

    def _report(self, pod: Obj, why_not: str) -> None:
        """Set the pod's Ready, and its container's, unless they are so already."""
        ready = "False" if why_not else "True"
        conditions = (pod.get("status") or {}).get("conditions") or []
        old: Obj = next((c for c in conditions if c["type"] == "Ready"), {})
        if old.get("status") == ready and old.get("message", "") == why_not:
            return
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        since = old.get("lastTransitionTime") if old.get("status") == ready else stamp
        fresh = []
        for kind in ("Ready", "ContainersReady"):
            entry = {"type": kind, "status": ready, "lastTransitionTime": since or stamp}
            if why_not:
                entry.update(reason="ContainersNotReady", message=why_not)
            fresh.append(entry)
        kept = [c for c in conditions if c["type"] not in ("Ready", "ContainersReady")]
        containers = [
            {**c, "ready": not why_not}
            for c in (pod.get("status") or {}).get("containerStatuses") or ()
        ]
        meta = pod["metadata"]
        status: Obj = {"phase": "Running", "conditions": [*kept, *fresh]}
        if containers:
            status["containerStatuses"] = containers
        where = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status"
        self.api.patch(where, {"metadata": {"uid": meta["uid"]}, "status": status})
        self.say(why_not or "ready")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="calico-node", description=__doc__)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--node", default=socket.gethostname())
    parser.add_argument("--poll", type=float, default=60, help="AUTODETECT_POLL_INTERVAL, seconds")
    parser.add_argument(
        "--sync", type=float, default=1, help="seconds between two looks at the API"
    )
    parser.add_argument("--no-data-plane", action="store_true", help="set no routes")
    options = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    actor = CalicoNode(
        Client(Path(options.kubeconfig), "calico-node"),
        options.node,
        options.poll,
        data_plane=not options.no_data_plane,
    )
    while not ended.is_set():
        try:
            actor.step()
        except (ApiStatus, OSError, http.client.HTTPException) as error:
            actor.say(f"will try again: {error}")
        ended.wait(options.sync)
    actor.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
