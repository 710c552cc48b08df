# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node with one NIC of every kind, and the ways to read it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[2]
NODE = "node1"
REMOTE = "/tmp/k8snet-zoo"
REACH = [
    "10.97.0.9",
    "203.0.113.1",
    "203.0.113.2",
    "203.0.113.3",
    "2001:db8:113::3",
    "2001:db8:97::9",
    "10.160.1.21",
    "localhost",
    "nosuch.invalid",
]

Read = Callable[..., dict[str, Any]]
Module = Callable[..., dict[str, Any]]


def archive(*trees: tuple[Path, str]) -> bytes:
    """Return a tar of directories under given names, without compiled files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for tree, name in trees:
            tar.add(tree, name, filter=lambda item: None if "__pycache__" in item.name else item)
    return buffer.getvalue()


def push(lab: Any, data: bytes) -> None:
    command = lab.inside(lab.ssh_command(NODE, [f"mkdir -p {REMOTE} && tar -C {REMOTE} -xf -"]))
    subprocess.run(command, input=data, check=True)


def pyroute2_tree() -> Path:
    import pyroute2

    return Path(pyroute2.__file__).parent


@pytest.fixture(scope="module")
def zoo(lab: Any) -> Iterator[Any]:
    """The lab, with the zoo built on node1 and pyroute2 and the collection's code in REMOTE."""
    package = "ansible_collections/k8snet/cni/plugins/module_utils"
    push(
        lab,
        archive(
            (HERE / "zoo.sh", "zoo.sh"),
            (HERE / "hammer.py", "hammer.py"),
            (pyroute2_tree(), "pyroute2/pyroute2"),
            (CHECKOUT / "plugins" / "module_utils", f"tree/{package}"),
        ),
    )
    lab.ssh(NODE, "sudo systemctl start lab-ovs")
    lab.ssh(NODE, f"sudo bash {REMOTE}/zoo.sh clear", timeout=180)
    lab.ssh(NODE, f"sudo bash {REMOTE}/zoo.sh build", timeout=120)
    try:
        yield lab
    finally:
        lab.ssh(NODE, f"sudo bash {REMOTE}/zoo.sh clear; sudo systemctl stop lab-ovs", timeout=180)
        lab.ssh(NODE, f"sudo rm -rf {REMOTE}")


@pytest.fixture
def module(lab: Any, tmp_path: Path) -> Module:
    """Run a module on node1: ``module(name, options, check=…, become=…, python=…, path=…)``.

    Returns its result, also of one that failed.
    """
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".ansible" / "collections"),
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_NOCOLOR": "1",
    }

    def run(
        name: str,
        options: dict[str, Any] | None = None,
        *,
        check: bool = False,
        become: bool = True,
        python: str = "/usr/bin/python3",
        path: str = "",
    ) -> dict[str, Any]:
        output, play = tmp_path / "result.json", tmp_path / "play.yml"
        output.unlink(missing_ok=True)
        task = {
            f"k8snet.cni.{name}": options or {},
            "become": become,
            "register": "result",
            "environment": {"PYTHONPATH": path},
            "vars": {"ansible_python_interpreter": python},
        }
        keep = {
            "ansible.builtin.copy": {"content": "{{ result | to_json }}", "dest": str(output)},
            "delegate_to": "localhost",
            "check_mode": False,
            "diff": False,
        }
        tasks = [{"block": [task], "always": [keep]}]
        play.write_text(json.dumps([{"hosts": NODE, "gather_facts": False, "tasks": tasks}]))
        program = str(Path(sys.executable).parent / "ansible-playbook")
        command = [program, "-i", str(lab.inventory), str(play), "--diff", *["--check"] * check]
        done = lab.exec(command, env=environment, capture_output=True, text=True, check=False)
        assert output.exists(), done.stdout + done.stderr
        result: dict[str, Any] = json.loads(output.read_text())
        assert done.returncode == (2 if result.get("failed") else 0), done.stdout + done.stderr
        return result

    return run


@pytest.fixture
def read(zoo: Any, module: Module) -> Read:
    """Read node1's zoo through Ansible: ``read(python=…, pyroute2=…, pods=…)``."""

    def run(
        python: str = "/usr/bin/python3", pyroute2: bool = False, pods: bool = True
    ) -> dict[str, Any]:
        options = {"include_pod_interfaces": pods, "reach": REACH, "reach_timeout": 1}
        path = f"{REMOTE}/pyroute2" if pyroute2 else ""
        result = module("nic_facts", options, python=python, path=path)
        assert "msg" not in result, result["msg"]
        return result

    return run
