# Copyright: (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible inventory of a running lab."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.lab.node import SHARED, Node

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
        f"    ansible_ssh_private_key_file: {own_key}",
        f"    ansible_ssh_common_args: >-\n      {SSH_OPTIONS}",
        "    ansible_python_interpreter: /usr/bin/python3",
    ]
    (run / "inventory.yml").write_text("\n".join(lines) + "\n")
