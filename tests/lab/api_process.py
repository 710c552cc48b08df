# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes API of a lab: a child of the keeper that serves in the lab's network.

With KUBECONFIG set, the API is a cluster that is there already, outside the lab's network: then a
relay takes connections to it, and the lab's kubeconfigs name the relay.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tests.lab import relay
from tests.lab.errors import LabError
from tests.lab.paths import CHECKOUT
from tests.lab.switch import HOST_ADDRESS

LISTEN = f"{HOST_ADDRESS}:6443"


class ApiProcess:
    """`python -m tests.lab.api serve`, its log, and its ready line."""

    def __init__(self, directory: Path, host_network: int) -> None:
        self.directory = directory
        self.host_network = host_network
        self.log = directory.with_suffix(".log")
        self._ready = threading.Event()
        self._ended = threading.Event()

    def start(self) -> None:
        """Starts it; returns at once."""
        self.directory.mkdir(mode=0o700)
        command = [sys.executable, "-m", "tests.lab.api", "serve"]
        command += ["--listen", LISTEN, "--dir", str(self.directory)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1"},
        )
        threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def status(self) -> dict[str, Any]:
        return {
            "url": f"https://{LISTEN}",
            "ready": self._ready.is_set() and not self._ended.is_set(),
            "directory": str(self.directory),
            "kubeconfig": str(self.directory / "kubeconfig"),
            "log": str(self.log),
        }

    def await_ready(self, timeout: float) -> dict[str, Any]:
        """Waits for the ready line, `timeout` seconds at most."""
        self._ready.wait(timeout)
        if self._ended.is_set() or not self._ready.is_set():
            said = self.log.read_text(errors="replace").strip().splitlines()[-10:]
            state = "ended" if self._ended.is_set() else f"was not ready after {timeout:.0f} s"
            raise LabError(f"the API {state}; the end of what it said:\n  " + "\n  ".join(said))
        return self.status()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with open(self.log, "w", buffering=1) as log:
            for line in process.stdout:
                log.write(line)
                if line.startswith("ready"):
                    if os.environ.get("KUBECONFIG"):
                        self._relay()
                    self._ready.set()
        self._ended.set()
        self._ready.set()

    def _relay(self) -> None:
        host, port = relay.point_at(self.directory / "kubeconfig", f"https://{LISTEN}")
        address, _unused, own_port = LISTEN.rpartition(":")
        with socket.create_server((address, int(own_port)), backlog=64) as listener:
            passed = (listener.fileno(), self.host_network)
            subprocess.Popen(
                [sys.executable, "-m", "tests.lab.relay", *map(str, [*passed, host, port])],
                stdin=subprocess.DEVNULL,
                pass_fds=passed,
                env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            )
