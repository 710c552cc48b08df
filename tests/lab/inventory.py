# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible inventory of a running lab.

It works from anywhere on this machine: its ssh, and its localhost's Python, enter the lab's network
by themselves.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.lab import enter
from tests.lab.node import SHARED, Node
from tests.lab.recipe import FILES

#: Host keys are the image's, alike on all nodes, so there is nothing to learn or to check. The
#: masters' sockets lie on the lab's own /dev/shm: another lab's nodes have the same addresses.
SSH_OPTIONS = (
    "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    " -o GSSAPIAuthentication=no -o IdentitiesOnly=yes -o ConnectTimeout=10"
    f" -o ServerAliveInterval=5 -o ServerAliveCountMax=3 -o ControlPath={SHARED}/ssh-%C"
)


def write(run: Path, key: Path, nodes: Sequence[Node]) -> None:
    """Writes RUN/inventory.yml and RUN/key."""
    own_key = run / "key"
    shutil.copy(key, own_key)
    own_key.chmod(0o600)
    lines = ["k8snet_hosts:", "  hosts:"]
    for node in nodes:
        addresses = {nic.name: (nic.address or "").split("/")[0] for nic in node.nics}
        lines += [
            f"    {node.name}:",
            f"      ansible_host: {addresses['eth0']}",
            f"      lab_oob_address: {addresses['oob0']}",
        ]
    lines += [
        "  vars:",
        "    ansible_user: ops",
        f"    ansible_ssh_executable: {run / 'bin' / 'ssh'}",
        # sftp and scp would start an ssh of their own.
        "    ansible_ssh_transfer_method: piped",
        "    ansible_pipelining: true",
        f"    ansible_ssh_private_key_file: {own_key}",
        f"    ansible_ssh_common_args: >-\n      {SSH_OPTIONS}",
        "    ansible_python_interpreter: /usr/bin/python3",
        "ungrouped:",
        "  hosts:",
        "    localhost:",
        "      ansible_connection: local",
        f"      ansible_python_interpreter: {run / 'bin' / 'python'}",
    ]
    (run / "inventory.yml").write_text("\n".join(lines) + "\n")


def write_programs(run: Path, first_process: int) -> None:
    """Writes RUN/bin/ssh and RUN/bin/python, which run inside the lab wherever they are called."""
    (run / "bin").mkdir()
    # Modules are compiled once on the controller too.
    site = shlex.quote(str(FILES / "etc/python3.13"))
    compiled = (
        f"export K8SNET_LAB_COMPILED={shlex.quote(str(run / 'compiled'))}\n"
        f"export PYTHONPATH={site}${{PYTHONPATH:+:$PYTHONPATH}}\n"
    )
    for name, program, settings in (("ssh", "ssh", ""), ("python", sys.executable, compiled)):
        words = [sys.executable, "-I", "-S", enter.__file__, str(first_process), "--", program]
        path = run / "bin" / name
        path.write_text(f'#!/bin/sh\n{settings}exec {shlex.join(words)} "$@"\n')
        path.chmod(0o700)
