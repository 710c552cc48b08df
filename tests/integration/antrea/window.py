# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests of Antrea's playbooks do and see: runs from outside the lab, and what they print."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.lab.antrea_scene import await_that
from tests.lab.scene import Scene

ROOT = Path(__file__).parents[3]


class Run:
    """A playbook that has ended: exit code, and what it printed."""

    def __init__(self, code: int, said: str) -> None:
        self.code = code
        self.said = said
        self.text = " ".join(said.replace("\\n", " ").split())
        assert "Traceback" not in said, said

    @property
    def changed(self) -> int:
        """Tasks that changed something, on all hosts, by the recap."""
        found = re.findall(r"^\S+ +: ok=.* changed=(\d+) ", self.said, re.MULTILINE)
        assert found, self.said
        return sum(map(int, found))

    def task(self, name: str) -> str:
        """What one task printed, each time it ran."""
        task = rf"^TASK \[[^\n]*{re.escape(name)}\].*?(?=^(?:TASK|PLAY) )"
        found = re.findall(task, self.said, re.M | re.S)
        assert found, f"no task {name}\n{self.said}"
        return "\n".join(found)

    def has(self, *parts: str) -> None:
        """See that all of these were printed, wherever its lines were broken."""
        lost = [part for part in parts if part not in self.text]
        assert not lost, f"not said: {lost}\n{self.said[-8000:]}"


class Running:
    """A playbook under way."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self.output = output

    def await_said(self, text: str, timeout: float = 120) -> None:
        """Wait until it has printed something."""

        def look() -> str:
            said = self.output.read_text()
            assert text in said or self.process.poll() is None, said
            return said

        await_that(look, lambda said: text in said, f"the playbook says {text!r}", timeout)

    def end(self, timeout: float = 900) -> Run:
        """Wait for it; one that hangs is killed, and fails the test."""
        try:
            self.process.wait(timeout)
        finally:
            self.process.kill()
            self.process.wait()
        return Run(self.process.returncode, self.output.read_text())


class Window:
    """Somebody at the controller who runs playbooks; extra variables are given as a dict."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self.scene = scene
        self.folder = folder
        self._runs = 0

    def start(self, name: str, *arguments: str, **variables: Any) -> Running:
        env = {k: v for k, v in os.environ.items() if not k.startswith("K8S_AUTH_")}
        env.pop("KUBECONFIG", None)
        env["ANSIBLE_COLLECTIONS_PATH"] = str(ROOT / ".ansible/collections")
        env["ANSIBLE_NOCOLOR"] = env["ANSIBLE_PIPELINING"] = "1"
        settings = {"k8snet_kubeconfig": str(self.scene.kubeconfig), **variables}
        words = [
            str(Path(sys.executable).with_name("ansible-playbook")),
            name if name.endswith(".yml") else f"k8snet.cni.{name}",
        ]
        words += ["-i", str(self.scene.lab.inventory), "-e", json.dumps(settings), *arguments]
        self._runs += 1
        output = self.folder / f"run-{self._runs}.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**env, "HOME": str(self.folder), "PWD": str(self.folder)},
                cwd=self.folder,
            )
        return Running(process, output)

    def play(self, name: str, *arguments: str, **variables: Any) -> Run:
        return self.start(name, *arguments, **variables).end()
