# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the central actors of the lab in one process, or make the bundle for the nodes."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from tests.lab.actors import bundle
from tests.lab.actors.antrea_egress_controller import EgressController
from tests.lab.actors.daemonset import DaemonSets
from tests.lab.actors.endpoint_slices import EndpointSlices
from tests.lab.actors.loop import Actor
from tests.lab.actors.node_lifecycle import NodeLifecycle
from tests.lab.actors.tigera_operator import TigeraOperator
from tests.lab.api.client import Client, default_kubeconfig

KNOWN = ("operator", "daemonset", "nodes", "endpoints", "egress")


def start(actors: list[Actor]) -> list[threading.Thread]:
    """Start each actor in a thread of its own."""
    threads = [threading.Thread(target=actor.run, name=actor.name, daemon=True) for actor in actors]
    for thread in threads:
        thread.start()
    return threads


def make(
    names: list[str],
    kubeconfig: Path,
    acted: tuple[str, ...],
    version: str,
    kubelets: tuple[str, ...] = (),
) -> list[Actor]:
    """Return the named actors, each with a client of its own User-Agent."""
    out: list[Actor] = []
    if "operator" in names:
        out.append(TigeraOperator(Client(kubeconfig, "tigera-operator"), version))
    if "daemonset" in names:
        client = Client(kubeconfig, "kube-controller-manager")
        out.append(DaemonSets(client, acted, kubelets=kubelets))
    if "nodes" in names:
        out.append(NodeLifecycle(Client(kubeconfig, "kube-controller-manager")))
    if "endpoints" in names:
        out.append(EndpointSlices(Client(kubeconfig, "kube-controller-manager")))
    if "egress" in names:
        out.append(EgressController(Client(kubeconfig, "antrea-controller")))
    return out


def _run(options: argparse.Namespace) -> int:
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    acted = tuple(name for name in options.acted.split(",") if name)
    kubelets = tuple(name for name in options.kubelets.split(",") if name)
    actors = make(options.actors, options.kubeconfig, acted, options.calico_version, kubelets)
    threads = start(actors)
    print(f"ready {' '.join(options.actors)}", flush=True)
    ended.wait()
    for actor in actors:
        actor.stop()
    for thread in threads:
        thread.join(5)
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.actors", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run actors until SIGTERM or SIGINT")
    run.add_argument("actors", nargs="+", choices=KNOWN)
    run.add_argument("--kubeconfig", type=Path, default=default_kubeconfig())
    run.add_argument("--calico-version", default="v3.28.2")
    run.add_argument(
        "--acted",
        default="calico-node",
        help="values of label k8s-app whose pods somebody else makes Ready, separated by commas",
    )
    run.add_argument(
        "--kubelets",
        default="",
        help="components (label component or k8s-app) that a kubelet on the node runs, as --acted",
    )
    run.set_defaults(run=_run)
    pack = commands.add_parser("bundle", help="write the one file that runs on nodes")
    pack.add_argument("out", type=Path)
    pack.set_defaults(run=lambda options: print(bundle.build(options.out)) or 0)
    options = parser.parse_args(arguments)
    code: int = options.run(options)
    return code


if __name__ == "__main__":
    sys.exit(main())
