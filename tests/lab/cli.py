# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's command line."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

from tests.lab.enter import run_inside
from tests.lab.errors import LabError
from tests.lab.lab import Lab, all_labs
from tests.lab.node import node_name


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code. 1: could not be done, 2: wrong usage."""
    words = _parser().parse_args(argv)
    # As an exception, so that an interrupted `up` takes down what it has started.
    signal.signal(signal.SIGTERM, _interrupted)
    signal.signal(signal.SIGHUP, _interrupted)
    try:
        return int(words.run(words) or 0)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except PermissionError as error:
        print(f"lab: {error}: labs belong to root. Run it with sudo.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _up(words: argparse.Namespace) -> None:
    started = time.monotonic()

    def say(message: str) -> None:
        print(f"[{time.monotonic() - started:5.1f} s] {message}", file=sys.stderr, flush=True)

    lab = Lab.up(words.nodes, owner=words.owner_pid or False, api=words.api, say=say)
    if words.json:
        print(json.dumps(lab.status(), indent=1))
    else:
        say(f"lab '{lab.name}' is up; inventory: {lab.inventory}")


def _down(words: argparse.Namespace) -> None:
    labs = all_labs() if words.all else [Lab()]
    if not labs:
        print("no lab is up")
    for lab in labs:
        was_there = lab.down()
        print(f"lab '{lab.name}' {'is down' if was_there else 'was not up'}")


def _status(words: argparse.Namespace) -> int:
    lab = Lab()
    if not lab.is_up():
        print("{}" if words.json else f"lab '{lab.name}' is down")
        return 3
    status = lab.status()
    if words.json:
        print(json.dumps(status, indent=1))
        return 0
    print(f"lab '{lab.name}' is up; run directory {lab.run}")
    if status["api"]:
        state = "ready" if status["api"]["ready"] else "not ready"
        print(f"API {status['api']['url']} {state}; kubeconfig {status['api']['kubeconfig']}")
    for node in status["nodes"]:
        took = f" (booted in {node['seconds']} s)" if node["seconds"] else ""
        print(f"{node['name']} {node['state']}{took}")
        for nic in node["nics"]:
            vlans = f" tag={nic['tag']}" if nic["tag"] else ""
            vlans += f" trunks={';'.join(map(str, nic['trunks']))}" if nic["trunks"] else ""
            where = f"{nic['network']}{vlans}"
            print(f"  {nic['name']:8} {nic['mac']} {nic['address'] or '-':18} {where}")
    return 0


def _ssh(words: argparse.Namespace) -> int:
    lab = Lab()
    return run_inside(lab.first_process, lab.ssh_command(words.node, words.command, words.oob))


def _exec(words: argparse.Namespace) -> int:
    command = words.command[1:] if words.command[:1] == ["--"] else words.command
    if not command:
        raise LabError("exec: no command given", "For example: exec -- ip address")
    return run_inside(Lab().first_process, command)


def _plug(words: argparse.Namespace) -> None:
    nic = Lab().plug(
        words.node,
        address=words.address,
        name=words.name,
        tag=words.tag,
        trunks=words.trunks,
        nowhere=words.nowhere,
    )
    print(nic["name"])


def _unplug(words: argparse.Namespace) -> None:
    Lab().unplug(words.node, words.nic)


def _trunk(words: argparse.Namespace) -> None:
    Lab().trunk(words.node, words.vlans, words.nic)


def _start(words: argparse.Namespace) -> None:
    print(f"{words.node} up after {Lab().start(words.node)} s")


def _stop(words: argparse.Namespace) -> None:
    Lab().stop(words.node)


def _reboot(words: argparse.Namespace) -> None:
    print(f"{words.node} up after {Lab().reboot(words.node)} s")


def _kill(words: argparse.Namespace) -> None:
    Lab().kill(words.node)


def _console(words: argparse.Namespace) -> None:
    log = Lab().console(words.node)
    if words.follow:
        os.execvp("tail", ["tail", "-n", "+1", "-F", str(log)])
    sys.stdout.write(log.read_text(errors="replace"))


def _inventory(_words: argparse.Namespace) -> None:
    lab = Lab()
    lab.first_process  # noqa: B018  (raises when the lab is down)
    print(lab.inventory)


def _vlans(text: str) -> list[int]:
    words = text.replace(";", ",").split(",")
    if text == "none":
        return []
    if not all(word.isdigit() and 1 <= int(word) <= 4094 for word in words):
        raise argparse.ArgumentTypeError(f"{text!r}: VLANs are 1 to 4094, e.g. 181,216, or none")
    return [int(word) for word in words]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.lab",
        description="Test nodes with real kernels behind a Proxmox-like switch. K8SNET_LAB names "
        "the instance (default: lab), K8SNET_CACHE the cache directory.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start the lab and wait until every node answers ssh")
    up.add_argument("--nodes", type=int, default=3, help="how many (1 to 9, default 3)")
    up.add_argument("--owner-pid", type=int, help="go down when this process ends")
    up.add_argument("--api", action="store_true", help="start the Kubernetes API as well")
    up.add_argument("--json", action="store_true", help="print the status as JSON")
    up.set_defaults(run=_up)

    down = commands.add_parser("down", help="end the lab; nothing of it is left")
    down.add_argument("--all", action="store_true", help="every instance")
    down.set_defaults(run=_down)

    status = commands.add_parser("status", help="nodes, NICs and API; exit code 3 when down")
    status.add_argument("--json", action="store_true")
    status.set_defaults(run=_status)

    execute = commands.add_parser("exec", help="run a command in the lab's network")
    execute.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    execute.set_defaults(run=_exec)

    inventory = commands.add_parser("inventory", help="print the inventory's path")
    inventory.set_defaults(run=_inventory)
    _add_node_commands(commands)
    return parser


def _add_node_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    def add(name: str, run: object, help: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help)
        command.add_argument("node", metavar="NODE", type=_node, help="n1 or node1")
        command.set_defaults(run=run)
        return command

    ssh = add("ssh", _ssh, "log in to a node, or run a command there")
    ssh.add_argument("--oob", action="store_true", help="by the out-of-band network")
    ssh.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")

    plug = add("plug", _plug, "hot-plug a NIC")
    plug.add_argument("--address", help="its address on the node, e.g. 172.31.66.11/24")
    plug.add_argument("--name", help="its name on the node (default: eth1, eth2, …)")
    plug.add_argument("--tag", type=int, help="VLAN of its port on the switch")
    plug.add_argument("--trunks", type=_vlans, default=[], help="VLANs that its port carries")
    plug.add_argument("--nowhere", action="store_true", help="a link, but nobody answers")

    unplug = add("unplug", _unplug, "take a NIC out of a running node")
    unplug.add_argument("nic", metavar="NIC", help="its name, e.g. eth1")

    trunk = add("trunk", _trunk, "set the VLANs that a node's port carries")
    trunk.add_argument("vlans", metavar="VLANS", type=_vlans, help="e.g. 181,216, or none")
    trunk.add_argument("--nic", default="eth0")

    add("start", _start, "boot a stopped node")
    add("stop", _stop, "shut a node down in order")
    add("reboot", _reboot, "reboot a node in order and wait until it answers")
    add("kill", _kill, "pull a node's plug")
    console = add("console", _console, "print a node's console log")
    console.add_argument("-f", "--follow", action="store_true")


def _node(word: str) -> str:
    try:
        return node_name(word)
    except LabError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
