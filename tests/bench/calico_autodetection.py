# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change of Calico's autodetection on the API's side: seconds and requests by number of nodes.

On the API double, in a process of its own; the nodes' facts are those recorded of one lab node.
What Ansible adds to each step (starting a process, and copying) is not in these numbers, and
neither is the roll-out itself, whose time is the cluster's. Nothing passes or fails here.
"""

from __future__ import annotations

import argparse
import copy
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

# Where the checkout is a collection, as in pyproject.toml.
sys.path.insert(0, str(Path(__file__).parents[2] / ".ansible" / "collections"))

from ansible_collections.k8snet.cni.plugins.filter.calico_autodetection_plan import (
    calico_autodetection_plan,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _client
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._calico_write import change
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _nics
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_install import longest_hold
from ansible_collections.k8snet.cni.plugins.module_utils.node import _iproute
from ansible_collections.k8snet.cni.plugins.modules import (
    calico_autodetection,
    calico_info,
    calico_rollout,
    cluster_info,
    run_lock,
    undo_bundle,
)
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.lab.actors import content
from tests.lab.actors.cluster import Seed, seed_cluster
from tests.lab.api import audit
from tests.lab.api.client import Client

CHECKOUT = Path(__file__).parents[2]
RECORDED = CHECKOUT / "tests/unit/plugins/module_utils/node/recorded/zoo.json"
DAEMON_SET = "/apis/apps/v1/namespaces/calico-system/daemonsets/calico-node"
PODS = "/api/v1/namespaces/calico-system/pods"
HOLD = 1  # minReadySeconds of the measured change
NAMESPACE = "kube-system"
LOOP = "a GET per Node, in turn"
Step = tuple[str, Callable[[], Any]]


class Api:
    """The double with a seeded operator install, and the controllers gone again."""

    def __init__(self, folder: Path, nodes: int) -> None:
        self.folder = folder
        serve = [sys.executable, "-m", "tests.lab.api", "serve", "--listen", "127.0.0.1:0"]
        self.server = subprocess.Popen(
            [*serve, "--dir", str(folder)], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
        )
        if not self.server.stdout or not self.server.stdout.readline().startswith("ready "):
            raise SystemExit("bench: the API did not start")
        self.client = Client(self.kubeconfig, "bench")
        seed_cluster(self.client, Seed(nodes=nodes, dns_node="node1"))
        self._roll_out(nodes)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._store, range(1, nodes + 1)))

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def _roll_out(self, nodes: int) -> None:
        """Let operator and DaemonSet controller make the pods, then end them: quiet measures."""
        command = [sys.executable, "-m", "tests.lab.actors", "run", "operator", "daemonset"]
        command += ["--acted", "", "--kubeconfig", str(self.kubeconfig)]
        actors = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=CHECKOUT)
        try:
            end = time.monotonic() + 60 + nodes
            while self._available() != nodes or not self._holdable():
                if time.monotonic() > end:
                    raise SystemExit(f"bench: calico-node is not ready on all {nodes} nodes")
                time.sleep(0.5)  # between two looks at the condition
        finally:
            actors.terminate()
            actors.wait()

    def _available(self) -> int:
        found = self.client.find(DAEMON_SET) or {}
        return int((found.get("status") or {}).get("numberAvailable", 0))

    def _store(self, number: int) -> None:
        notes = {"projectcalico.org/IPv4Address": f"{content.node_address(number)}/16"}
        path = f"/api/v1/nodes/node{number}"
        self.client.patch(path, {"metadata": {"annotations": notes}})

    def _holdable(self) -> bool:
        """Whether every pod has been ready for long enough that HOLD seconds hold a roll-out."""
        pods = self.client.get(PODS)["items"]
        return (longest_hold(pods, datetime.now(timezone.utc)) or 0) >= HOLD

    def requests(self) -> int:
        return sum(1 for _entry in audit.read(self.folder / "audit.log"))

    def close(self) -> None:
        self.server.terminate()
        self.server.wait()


def recorded_nics() -> list[dict[str, Any]]:
    """Return k8snet_nics of the recorded node."""
    text = json.loads(RECORDED.read_text())["ip_stdout"]
    first, _end = json.JSONDecoder().raw_decode(text.lstrip())
    links = [link for link in map(_iproute._link, first) if link is not None]
    for link in links:
        link["driver"] = link["bus"] = None
    nics: list[dict[str, Any]] = _nics.build(links, {"inet": [], "inet6": []}, False)["nics"]
    return nics


def host(number: int, nics: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the role knows of a visited host: the recorded NICs, its own address."""
    own = copy.deepcopy(nics)
    eth0 = next(nic for nic in own if nic["name"] == "eth0")
    address = content.node_address(number)
    entry = {"address": address, "prefix": 16, "family": "inet", "scope": "global", "flags": []}
    eth0["addresses"] = [{**entry, "label": None}]
    name = f"node{number}"
    facts = {
        "k8snet_nics": own,
        "k8snet_node": {"hostname": name, "fqdn": name, "kernel": "", "system": "Linux"},
        "k8snet_reach": {},
        "k8snet_nic_drift": None,
    }
    known = {"name": name, "state": "visited", "error": None, "node_name": None}
    return {**known, "address": address, "facts": facts}


class Run:
    """One run, step by step; what a step returns is at hand for the next."""

    def __init__(self, api: Api, nodes: int) -> None:
        self.api = api
        spec = _client.AUTH_ARGUMENT_SPEC
        self.auth = {key: option.get("default") for key, option in spec.items()}
        self.auth["kubeconfig"] = str(api.kubeconfig)
        nics = recorded_nics()
        self.hosts = [host(number, nics) for number in range(1, nodes + 1)]
        self.names = [entry["name"] for entry in self.hosts]
        self.cluster: Any = None
        self.calico: Any = None
        self.plan: Any = None

    def steps(self) -> list[Step]:
        lock = {**self.auth, "run_id": "bench", "ttl": 3600, "take_over": False, "cluster": None}
        lock["wait_timeout"] = 60
        return [
            ("cluster_info", self._cluster),
            ("calico_info with rights", self._calico),
            ("plan (filter)", self._plan),
            ("run_lock", lambda: run_lock.run({**lock, "state": "held"}, False)),
            ("undo_bundle in a Secret", self._keep),
            ("method changed, held", lambda: self._change(hold=True)),
            ("calico_rollout, a look", self._look),
            ("hold released", lambda: self._change(undo=True)),
            ("all restored", lambda: self._change(restored=True)),
            ("run_lock released", lambda: run_lock.run({**lock, "state": "released"}, False)),
        ]

    def _cluster(self) -> None:
        params = {"required": True, "dns_selector": "k8s-app=kube-dns", "page_size": 500}
        self.cluster = cluster_info.read({**self.auth, **params})

    def _calico(self) -> None:
        params = {"method_v4": None, "method_v6": None, "review": True, "page_size": 500}
        more = {"bundle_namespace": NAMESPACE, "dns_selector": "k8s-app=kube-dns"}
        self.calico = calico_info.run({**self.auth, **params, **more})["calico"]

    def _plan(self) -> None:
        options = {"method_v4": "kubernetes-internal-ip", "method_v6": ""}
        self.plan = calico_autodetection_plan(self.cluster, self.calico, self.hosts, options)
        if self.plan["refusals"]:
            raise SystemExit(f"bench: refused: {self.plan['refusals'][:3]}")

    def _keep(self) -> None:
        params = {"state": "present", "run_id": "bench", "dir": None, "namespace": NAMESPACE}
        content_ = {"calico": self.calico}
        undo_bundle.run({**self.auth, **params, "content": content_, "wait_timeout": 60}, False)

    def _change(self, hold: bool = False, undo: bool = False, restored: bool = False) -> None:
        held = {"mode": "min-ready-seconds", "min_ready_seconds": HOLD, "canary": None}
        params = {
            "state": "restored" if restored else "present",
            "method_v4": "kubernetes-internal-ip",
            "method_v6": None,
            "hold": held if hold else None,
            "undo": self.calico if undo or restored else None,
            "override_owner": False,
            "wait_timeout": 120,
        }
        request = calico_autodetection.request_of({**self.auth, **params})
        if not change(_client.reachable(self.auth), request, False)["changed"]:
            raise SystemExit("bench: a change changed nothing")

    def _look(self) -> None:
        params = {"expect": self.plan["expect"], "wait": "none", "canary": None}
        more = {"accept_unseen": [], "unready": [], "wait_timeout": 0, "poll": 1.0}
        calico_rollout.run({**self.auth, **params, **more}, True)

    def loop(self) -> None:
        """What a shell loop over kubectl costs at least: its requests, without its processes."""
        for name in self.names:
            self.api.client.get(f"/api/v1/nodes/{name}")


def measure(nodes: int) -> dict[str, tuple[float, int]]:
    """Return step -> (seconds, requests)."""
    found: dict[str, tuple[float, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        api = Api(Path(folder), nodes)
        try:
            run = Run(api, nodes)
            for name, step in [*run.steps(), (LOOP, run.loop)]:
                before, start = api.requests(), time.monotonic()
                step()
                found[name] = (time.monotonic() - start, api.requests() - before)
        finally:
            api.close()
    return found


def table(measured: dict[int, dict[str, tuple[float, int]]]) -> Table:
    result = Table(title="Seconds and API requests")
    result.add_column("")
    for size in measured:
        result.add_column(f"{size} nodes", justify="right")
    names = [name for name in next(iter(measured.values())) if name != LOOP]
    for name in names:
        result.add_row(name, *(_cell(*found[name]) for found in measured.values()))
    result.add_section()
    totals = [[found[name] for name in names] for found in measured.values()]
    sums = [_cell(sum(s for s, _n in t), sum(n for _s, n in t)) for t in totals]
    result.add_row("all together", *sums)
    result.add_row(LOOP, *(_cell(*found[LOOP]) for found in measured.values()))
    return result


def _cell(seconds: float, requests: int) -> str:
    return f"{seconds:6.2f} s {requests:4d}"


def main(arguments: Sequence[str] | None = None) -> int:
    program = "python -m tests.bench.calico_autodetection"
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    parser.add_argument("--sizes", default="3,100,1000", help="numbers of nodes (3,100,1000)")
    options = parser.parse_args(arguments)
    console = Console()
    measured: dict[int, dict[str, tuple[float, int]]] = {}
    with Progress(console=console) as progress:
        sizes = [int(size) for size in options.sizes.split(",")]
        for size in progress.track(sizes, description="measuring"):
            measured[size] = measure(size)
    console.print(table(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
