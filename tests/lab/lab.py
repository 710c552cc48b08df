# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab as a Python object, for fixtures, the demo and the CLI."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.lab import control, enter, lock, preflight
from tests.lab.errors import LabError
from tests.lab.image import Image, ensure_image
from tests.lab.inventory import SSH_OPTIONS, write_programs
from tests.lab.node import node_name
from tests.lab.paths import CHECKOUT, RUN_BASE, checked_name, instance_name, run_dir
from tests.lab.switch import BRIDGE, NOWHERE

Say = Callable[[str], None]

BOOT_TIMEOUT = 180.0
API_TIMEOUT = 60.0


def _silent(_message: str) -> None:
    pass


class Lab:
    """A running lab instance. `Lab()` means the one that is up, `Lab.up()` starts one."""

    def __init__(self, name: str | None = None) -> None:
        self.name = checked_name(name) if name else instance_name()
        self.run = run_dir(self.name)
        self._starter: subprocess.Popen[bytes] | None = None

    @classmethod
    def up(
        cls,
        nodes: int = 3,
        *,
        owner: bool | int = True,
        api: bool = False,
        name: str | None = None,
        say: Say = _silent,
    ) -> Lab:
        """Starts a lab and waits until every node answers ssh (and the API serves).

        owner: the lab goes down when this process ends (True), when the process with that id ends
        (int), or only by `down` (False). `say` gets a line for each phase. Whatever interrupts
        this leaves nothing behind. LabError when something is missing or does not come up.
        """
        if not 1 <= nodes <= 9:
            raise LabError(f"a lab has 1 to 9 nodes, not {nodes}")
        preflight.check()
        lab = cls(name)
        image = ensure_image(say)
        owner_pid = os.getpid() if owner is True else int(owner)
        lab._start_keeper(image, nodes, api, owner_pid)
        try:
            lab._await_all(say)
            control.ask(lab.run, "keep")
        except BaseException:
            lab.down()
            raise
        return lab

    @property
    def inventory(self) -> Path:
        """The Ansible inventory (YAML; group k8snet_hosts)."""
        return self.run / "inventory.yml"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig of a lab that was started with an API."""
        return self.run / "api" / "kubeconfig"

    @property
    def key(self) -> Path:
        """The ssh key of user ops."""
        return self.run / "key"

    @property
    def first_process(self) -> int:
        """The process id of the lab's first process; LabError when the lab is down."""
        pid = lock.holder(self.run)
        if pid is None:
            raise LabError(
                f"lab '{self.name}' is not up",
                "'python -m tests.lab up' starts it; K8SNET_LAB names another instance.",
            )
        return pid

    def is_up(self) -> bool:
        return lock.holder(self.run) is not None

    def status(self) -> dict[str, Any]:
        """Name, run_dir, inventory, api, nodes[{name, state, seconds, console, nics}]."""
        answer: dict[str, Any] = control.ask(self.run, "status")
        return {**answer, "first_process": self.first_process}

    def inside(self, argv: Sequence[str | Path]) -> list[str]:
        """The command line that runs argv inside the lab's network, for subprocess."""
        prefix = [sys.executable, "-I", "-S", enter.__file__, str(self.first_process), "--"]
        return [*prefix, *map(str, argv)]

    def exec(self, argv: Sequence[str | Path], **kwargs: Any) -> subprocess.CompletedProcess[Any]:
        """subprocess.run inside the lab's network; same arguments, same answer."""
        return subprocess.run(self.inside(argv), check=kwargs.pop("check", False), **kwargs)

    def ssh_command(self, node: str, command: Sequence[str] = (), oob: bool = False) -> list[str]:
        """The ssh command line (to be run inside) for a node, by its out-of-band address if oob."""
        number = node_name(node).removeprefix("node")
        address = f"169.254.77.1{number}" if oob else f"10.160.1.2{number}"
        shared = "-o ControlMaster=auto -o ControlPersist=60"
        options = f"-F none {SSH_OPTIONS} {shared} -i {self.key}".split()
        return ["ssh", *options, f"ops@{address}", *command]

    def ssh(
        self,
        node: str,
        command: str,
        *,
        oob: bool = False,
        check: bool = True,
        timeout: float | None = 60,
        **kwargs: Any,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a shell command on a node as user ops, output captured as text.

        LabError with the command's stderr when it fails and `check` is set.
        """
        words = self.inside(self.ssh_command(node, [command], oob))
        options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True}
        options.update(kwargs)
        done = subprocess.run(words, text=True, timeout=timeout, check=False, **options)
        if check and done.returncode != 0:
            said = (done.stderr or "").strip() or (done.stdout or "").strip()
            raise LabError(f"on {node}: '{command}' failed ({done.returncode}): {said}")
        return done

    def plug(
        self,
        node: str,
        *,
        address: str | None = None,
        name: str | None = None,
        tag: int | None = None,
        trunks: Sequence[int] = (),
        nowhere: bool = False,
    ) -> dict[str, Any]:
        """Hot-plugs a NIC, waits until the node has it, names it and gives it its address.

        It is put on the switch with `tag` and `trunks`, or where nobody answers (`nowhere`). Its
        name on the node is eth1, eth2, … unless given. Returns the NIC as `status` shows it.
        """
        node = node_name(node)
        network = NOWHERE if nowhere else BRIDGE
        asked = {"name": name, "address": address, "network": network, "tag": tag}
        nic = control.ask(self.run, "plug", node=node, trunks=list(trunks), **asked)
        labnet = f"sudo /usr/local/sbin/labnet nic {nic['mac']} {nic['name']} {address or ''}"
        self.ssh(node, labnet, oob=True)
        return dict(nic)

    def unplug(self, node: str, name: str) -> None:
        """Takes a NIC out of a running node."""
        node = node_name(node)
        mac = control.ask(self.run, "nic", node=node, name=name)["mac"]
        self.ssh(node, f"sudo /usr/local/sbin/labnet release {mac}", oob=name != "oob0")
        control.ask(self.run, "unplug", node=node, name=name)

    def trunk(self, node: str, vlans: Sequence[int], name: str = "eth0") -> None:
        """Sets the VLANs that a node's port carries tagged, beside its own untagged one."""
        control.ask(self.run, "trunk", node=node_name(node), name=name, trunks=list(vlans))

    def start(self, node: str, timeout: float = BOOT_TIMEOUT) -> float:
        """Boots a stopped node; returns the seconds until ssh answered."""
        control.ask(self.run, "start", node=node_name(node))
        return self.await_node(node, timeout)

    def stop(self, node: str, timeout: float = 60) -> None:
        """Shuts a node down in order."""
        control.ask(self.run, "stop", node=node_name(node), timeout=timeout)

    def reboot(self, node: str, timeout: float = BOOT_TIMEOUT) -> float:
        """Reboots a node in order; returns the seconds from power-on until ssh answered."""
        control.ask(self.run, "reboot", node=node_name(node))
        return self.await_node(node, timeout)

    def kill(self, node: str) -> None:
        """Pulls a node's plug."""
        control.ask(self.run, "kill", node=node_name(node))

    def await_node(self, node: str, timeout: float = BOOT_TIMEOUT) -> float:
        """Waits until a booting node answers ssh; returns the seconds from power-on to there."""
        return float(control.ask(self.run, "await_node", node=node_name(node), timeout=timeout))

    def console(self, node: str) -> Path:
        """The node's console log; it goes with the lab."""
        log = self.run / "console" / f"{node_name(node)}.log"
        if not log.exists():
            raise LabError(f"no console log {log}: lab '{self.name}' has no {node}")
        return log

    def down(self) -> bool:
        """Ends the lab and removes its run directory; False when there was neither."""
        if os.environ.get(enter.INSIDE):
            raise LabError("a lab cannot be ended from inside", "Run it outside of 'lab exec'.")
        pid = lock.holder(self.run)
        if pid is not None:
            end_process(pid)
        if self._starter is not None:
            self._starter.wait()
        existed = self.run.exists()
        shutil.rmtree(self.run, ignore_errors=True)
        return existed or pid is not None

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()

    def _start_keeper(self, image: Image, nodes: int, api: bool, owner_pid: int) -> None:
        RUN_BASE.mkdir(exist_ok=True)
        with open(RUN_BASE / ".starting", "w") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            if self.is_up():
                raise LabError(
                    f"lab '{self.name}' is up already",
                    "'lab down' ends it; set K8SNET_LAB to start another beside it.",
                )
            shutil.rmtree(self.run, ignore_errors=True)
            (self.run / "console").mkdir(parents=True)
            self.run.chmod(0o700)
            try:
                said = self._launch(image, nodes, api, owner_pid)
                if said != "ready":
                    log = (self.run / "keeper.log").read_text(errors="replace")[-2000:]
                    raise LabError(f"lab '{self.name}' did not start: {said or log}")
                write_programs(self.run, self.first_process)
            except BaseException:
                if self._starter is not None:
                    self._starter.kill()
                self.down()
                raise

    def _launch(self, image: Image, nodes: int, api: bool, owner_pid: int) -> str:
        """Starts the keeper; returns its one message, empty when it ended without any."""
        owner_pidfd = _pidfd(owner_pid) if owner_pid else -1
        read, write = os.pipe()
        inherited = {
            "up_pidfd": os.pidfd_open(os.getpid()),
            "owner_pidfd": owner_pidfd,
            "host_network": os.open("/proc/self/ns/net", os.O_RDONLY),
            "report": write,
        }
        settings = {"image": str(image.directory), "nodes": nodes, "api": api, **inherited}
        passed = [fd for fd in inherited.values() if fd >= 0]
        command = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child"]
        command += ["--mount-proc", sys.executable, "-m", "tests.lab.keeper"]
        with open(self.run / "keeper.log", "ab") as log:
            self._starter = subprocess.Popen(
                [*command, str(self.run), json.dumps(settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=passed,
                env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
                start_new_session=True,
                cwd="/",
            )
        for fd in passed:
            os.close(fd)
        with os.fdopen(read, "rb", buffering=0) as report:
            return report.read(65536).decode()

    def _await_all(self, say: Say) -> None:
        status = self.status()
        names = [node["name"] for node in status["nodes"]]
        waits: dict[str, Callable[[], str]] = {
            name: lambda name=name: f"{name} up after {self.await_node(name)} s"  # type: ignore[misc]
            for name in names
        }
        if status["api"]:
            waits["api"] = self._await_api
        with ThreadPoolExecutor(len(waits)) as pool:
            try:
                for line in pool.map(lambda wait: wait(), waits.values()):
                    say(line)
            except BaseException:
                self.down()  # the other waits end with it
                raise

    def _await_api(self) -> str:
        return f"API up at {control.ask(self.run, 'await_api', timeout=API_TIMEOUT)['url']}"


def end_process(pid: int) -> None:
    """Kills a lab's first process and waits until all that hung on it has ended."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        select.select([pidfd], [], [], 30)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


def all_labs() -> list[Lab]:
    """Every instance that is up or has left a run directory."""
    return [Lab(run.name) for run in sorted(RUN_BASE.glob("[!.]*")) if run.is_dir()]


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError as error:
        raise LabError(f"there is no process {pid} to own the lab") from error
