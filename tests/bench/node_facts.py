# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``node_facts`` over ssh beside what a user would use instead, on one lab node.

The same node at 10, 100 and 500 NICs; every candidate in turn, the round repeated, medians. Two
tables: the module run alone (one playbook, connection open, as in a play with several tasks), and
the whole command from prompt to prompt. Nothing passes or fails here.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.lab.lab import Lab

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
NODE = "node1"
REMOTE = "/tmp/k8snet-bench"
FLOOR = "ping"
SETUP = {"gather_subset": ["!all", "!min", "network"]}

# name: (module, options, environment on the node)
CANDIDATES: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    FLOOR: ("ansible.builtin.ping", {}, {}),
    "ip -j -d addr": ("ansible.builtin.command", {"argv": ["ip", "-j", "-d", "addr"]}, {}),
    "node_facts": ("k8snet.cni.node_facts", {}, {}),
    "node_facts, pyroute2": ("k8snet.cni.node_facts", {}, {"PYTHONPATH": REMOTE}),
    "node_facts, nics only": ("k8snet.cni.node_facts", {"gather_subset": ["nics"]}, {}),
    "setup network": ("ansible.builtin.setup", SETUP, {}),
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.node_facts", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds per size (default 7)")
    parser.add_argument("--alone", action="store_true", help="leave whole commands out")
    parser.add_argument(
        "--sizes", default="10,100,500", help="numbers of NICs (default 10,100,500)"
    )
    options = parser.parse_args(arguments)
    sizes = [int(size) for size in options.sizes.split(",")]
    console = Console()
    with Lab.up(1, name=f"bench-{os.getpid()}", say=console.print) as lab:
        push_pyroute2(lab)
        alone: dict[int, dict[str, list[float]]] = {}
        whole: dict[int, dict[str, list[float]]] = {}
        with Progress(console=console) as progress:
            task = progress.add_task("measuring", total=2 * len(sizes))
            for size in sizes:
                set_size(lab, size)
                alone[size] = run_playbook(lab, options.rounds)
                progress.advance(task)
                if not options.alone:
                    whole[size] = run_commands(lab, options.rounds)
                progress.advance(task)
    console.print(f"Medians of {options.rounds} rounds.")
    console.print(table("Module run alone (seconds, median; times ping)", alone))
    if whole:
        console.print(table("Whole ansible-playbook command (seconds, median; times ping)", whole))
    return 0


def push_pyroute2(lab: Lab) -> None:
    import pyroute2

    tree = Path(pyroute2.__file__).parents[1]
    pack = ["tar", "-C", str(tree), "--exclude=__pycache__", "-cf", "-", "pyroute2"]
    data = subprocess.run(pack, capture_output=True, check=True).stdout
    # Compiled there once, as an installed package is.
    unpack = f"mkdir -p {REMOTE} && tar -C {REMOTE} -xf - && python3 -m compileall -q {REMOTE}"
    command = lab.inside(lab.ssh_command(NODE, [unpack]))
    subprocess.run(command, input=data, check=True)


def set_size(lab: Lab, size: int) -> None:
    """Bring the node to a number of NICs (with lo, eth0 and oob0) by dummies with an address."""
    script = (
        "have=$(ls /sys/class/net | wc -l); sudo modprobe dummy numdummies=0;"
        f" for n in $(seq $have {size - 1}); do echo link add bench$n type dummy;"
        " echo address add 10.$((100 + n / 250)).$((n % 250)).1/24 dev bench$n; done"
        " | sudo ip -batch -; ls /sys/class/net | wc -l"
    )
    count = int(lab.ssh(NODE, script, timeout=300).stdout)
    if count != size:
        raise SystemExit(f"bench: the node has {count} NICs, wanted {size}")


def environment(times: str = "") -> dict[str, str]:
    settings = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".ansible" / "collections"),
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
    }
    if times:
        settings.update({"ANSIBLE_CALLBACKS_ENABLED": "task_times", "BENCH_TIMES": times})
    return settings


def tasks(candidates: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"name": name, module: options, "environment": variables, "become": True}
        for name, (module, options, variables) in CANDIDATES.items()
        if name in candidates
    ]


def play(directory: str, work: list[dict[str, Any]]) -> str:
    path = Path(directory) / "play.json"
    path.write_text(json.dumps([{"hosts": NODE, "gather_facts": False, "tasks": work}]))
    return str(path)


def run(lab: Lab, path: str, times: str = "") -> None:
    program = str(Path(sys.executable).parent / "ansible-playbook")
    command = [program, "-i", str(lab.inventory), path]
    done = lab.exec(command, env=environment(times), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"bench: {done.stdout}{done.stderr}")


def run_playbook(lab: Lab, rounds: int) -> dict[str, list[float]]:
    """Return seconds per candidate of its task alone; the first round only warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in CANDIDATES}
    with tempfile.TemporaryDirectory() as directory:
        times = Path(directory) / "times"
        run(lab, play(directory, tasks(list(CANDIDATES)) * (rounds + 1)), str(times))
        for line in times.read_text().splitlines():
            entry = json.loads(line)
            seconds[entry["task"]].append(entry["seconds"])
    return {name: values[1:] for name, values in seconds.items()}


def run_commands(lab: Lab, rounds: int) -> dict[str, list[float]]:
    """Return seconds per candidate of the whole command, controller's start included."""
    seconds: dict[str, list[float]] = {name: [] for name in CANDIDATES}
    with tempfile.TemporaryDirectory() as directory:
        for number in range(rounds + 1):
            for name in CANDIDATES:
                path = play(directory, tasks([name]))
                begin = time.monotonic()
                run(lab, path)
                if number:
                    seconds[name].append(time.monotonic() - begin)
    return seconds


def table(title: str, measured: dict[int, dict[str, list[float]]]) -> Table:
    result = Table(title=title)
    result.add_column("")
    for size in measured:
        result.add_column(f"{size} NICs", justify="right")
    for name in CANDIDATES:
        cells = []
        for seconds in measured.values():
            middle = statistics.median(seconds[name])
            floor = statistics.median(seconds[FLOOR])
            cells.append(f"{middle:.2f}  {middle / floor:4.2f}x")
        result.add_row(name, *cells)
    ratios = [
        statistics.median(s["setup network"]) / statistics.median(s["node_facts"])
        for s in measured.values()
    ]
    result.add_section()
    result.add_row("setup / node_facts", *(f"{ratio:.1f}" for ratio in ratios))
    return result


if __name__ == "__main__":
    sys.exit(main())
