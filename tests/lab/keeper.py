# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that everything of a lab instance hangs on.

It is started in a mount, pid and network namespace of its own, as a child of the pid namespace's
first process. When either dies, the kernel kills every process of the namespace and drops the
mounts, taps and networks with it: nothing has to be cleaned up, whatever the death.

    python -m tests.lab.keeper RUN SETTINGS   (SETTINGS: JSON of a `Settings`)
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.lab import control, inventory, lock, switch
from tests.lab.api_process import ApiProcess
from tests.lab.errors import LabError
from tests.lab.image import Image
from tests.lab.node import SHARED, Nic, Node, first_nics, new_nic


@dataclass(frozen=True)
class Settings:
    """What `up` decides. Descriptors are inherited; -1 stands for none."""

    image: str
    nodes: int
    api: bool
    up_pidfd: int
    owner_pidfd: int
    host_network: int
    report: int


class Keeper:
    """Holds the instance's state and does what the CLI asks."""

    def __init__(self, run: Path, settings: Settings) -> None:
        self.run = run
        self.settings = settings
        self.image = Image(Path(settings.image))
        self.image_hold = self.image.hold()
        self.switch = switch.Switch(SHARED / "ovs")
        self.nodes: dict[str, Node] = {}
        self.api: ApiProcess | None = None
        self.changing = threading.Lock()
        self.kept = threading.Event()

    def start(self) -> None:
        """Switch first, then all nodes and the API at once; returns when they are on their way."""
        _private_mounts(self.image.kernel_root, self.settings.nodes)
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
        self.switch.start()
        if self.settings.api:
            self.api = ApiProcess(self.run / "api", self.settings.host_network)
            self.api.start()
        for index in range(1, self.settings.nodes + 1):
            self._new_node(index)
        inventory.write(self.run, self.image.key, list(self.nodes.values()))
        control.serve(self.run, self.handle)

    def watch_owners(self) -> None:
        """Returns when a process that this lab shall not outlive has ended."""
        poll = select.poll()
        for pidfd in (self.settings.up_pidfd, self.settings.owner_pidfd):
            if pidfd >= 0:
                poll.register(pidfd, select.POLLIN)
        while True:
            for pidfd, _unused in poll.poll():
                if pidfd == self.settings.owner_pidfd or not self.kept.is_set():
                    return
                poll.unregister(pidfd)

    def handle(self, request: dict[str, Any]) -> Any:
        """One request of the CLI: {"do": name, …arguments}."""
        method = getattr(self, f"do_{request.pop('do')}")
        return method(**request)

    def do_status(self) -> dict[str, Any]:
        return {
            "name": self.run.name,
            "run_dir": str(self.run),
            "inventory": str(self.run / "inventory.yml"),
            "api": self.api.status() if self.api else None,
            "nodes": [
                {
                    "name": node.name,
                    "state": node.state,
                    "seconds": node.seconds,
                    "console": str(node.console),
                    "nics": [asdict(nic) for nic in node.nics],
                }
                for node in self.nodes.values()
            ],
        }

    def do_keep(self) -> None:
        """The `up` that started this lab is done: it may end."""
        self.kept.set()

    def do_await_node(self, node: str, timeout: float) -> float:
        return self._node(node).await_up(timeout)

    def do_await_api(self, timeout: float) -> dict[str, Any]:
        if self.api is None:
            raise LabError("this lab was started without an API", "Start it with 'up --api'.")
        return self.api.await_ready(timeout)

    def do_plug(
        self,
        node: str,
        name: str | None,
        address: str | None,
        network: str,
        tag: int | None,
        trunks: Sequence[int],
    ) -> dict[str, Any]:
        with self.changing:
            found = self._node(node)
            if any(nic.name == name for nic in found.nics):
                raise LabError(f"{node} has a NIC {name} already", "Choose another --name.")
            slot = next(s for s in range(64) if all(n.slot != s for n in found.nics))
            nic = new_nic(found.index, slot, name or f"eth{slot - 1}", network, address)
            nic.tag, nic.trunks = tag, trunks
            self.switch.plug(nic.tap, network, tag, trunks)
            try:
                found.attach(nic)
            except LabError:
                self.switch.unplug(nic.tap, network)
                raise
            return asdict(nic)

    def do_nic(self, node: str, name: str) -> dict[str, Any]:
        return asdict(self._node(node).nic(name))

    def do_unplug(self, node: str, name: str) -> dict[str, Any]:
        with self.changing:
            found = self._node(node)
            nic = found.nic(name)
            found.detach(nic)
            self.switch.unplug(nic.tap, nic.network)
            return asdict(nic)

    def do_trunk(self, node: str, name: str, trunks: Sequence[int]) -> dict[str, Any]:
        with self.changing:
            nic: Nic = self._node(node).nic(name)
            if nic.network != switch.BRIDGE:
                raise LabError(f"{node}'s {name} is not on {switch.BRIDGE}: it has no trunk")
            # With none, the port goes on as a trunk of its own tag alone.
            nic.trunks = trunks or ([nic.tag] if nic.tag is not None else [])
            self.switch.set_vlans(nic.tap, nic.tag, nic.trunks)
            return asdict(nic)

    def do_start(self, node: str) -> None:
        self._node(node).start()

    def do_stop(self, node: str, timeout: float) -> None:
        found = self._node(node)
        found.shut_down("stopped")
        found.await_stopped(timeout)

    def do_reboot(self, node: str) -> None:
        self._node(node).shut_down("up")

    def do_kill(self, node: str) -> None:
        self._node(node).kill()

    def _new_node(self, index: int) -> None:
        console = self.run / "console" / f"node{index}.log"
        node = Node(index, self.image, console, first_nics(index))
        for nic in node.nics:
            self.switch.plug(nic.tap, nic.network, nic.tag, nic.trunks)
        self.nodes[node.name] = node
        node.start()

    def _node(self, name: str) -> Node:
        if name not in self.nodes:
            known = ", ".join(self.nodes)
            raise LabError(f"lab '{self.run.name}' has no {name}", f"It has {known}.")
        return self.nodes[name]


def _private_mounts(kernel_root: Path, nodes: int) -> None:
    """Mounts that end with this namespace: memory and sockets, and the kernel's chroot."""
    size = f"size={nodes * 512 + 256}M"
    switch.run("mount", "-t", "tmpfs", "-o", f"mode=1777,{size}", "lab", SHARED)
    switch.run("mount", "-t", "sysfs", "sys", "/sys")
    switch.run("mount", "--rbind", "/dev", kernel_root / "dev")
    switch.run("mount", "-t", "proc", "proc", kernel_root / "proc")
    switch.run("mount", "--bind", kernel_root.parent, kernel_root / "lab")


def _keep(run: Path, settings: Settings) -> None:
    """Starts the lab, reports, and returns when the lab shall end."""
    try:
        instance = Keeper(run, settings)
        instance.start()
    except (LabError, OSError, subprocess.SubprocessError) as error:
        os.write(settings.report, str(error).encode())
        raise
    with suppress(BrokenPipeError):  # the `up` that reads it has ended: seen at once below
        os.write(settings.report, b"ready")
    instance.watch_owners()
    shutil.rmtree(run, ignore_errors=True)


def main() -> int:
    run, settings = Path(sys.argv[1]), Settings(**json.loads(sys.argv[2]))
    if not lock.take(run):
        os.write(settings.report, f"lab '{run.name}' is up already".encode())
        return 1
    keeper = os.fork()
    if not keeper:
        try:
            _keep(run, settings)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)  # at once, whatever the threads are at
    # As first process of the namespace this one is every orphan's parent, and has to reap.
    while os.wait()[0] != keeper:
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
