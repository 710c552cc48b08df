# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node that is cut off and watched: eth0 is what breaks, oob0 is the way to look."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.lab.lab import Lab

ROOT = Path(__file__).parents[3]
ADDRESS, OOB, GATEWAY = "10.160.1.21", "169.254.77.11", "10.160.1.1"
OVS = "ovs-vsctl --timeout=10 --db=unix:/run/antrea/openvswitch/db.sock"

#: As Antrea's agent does it for one physicalInterface (docs of domain: the NIC move).
MOVE = f"""
mac=$(cat /sys/class/net/eth0/address)
{OVS} add-br br-secondary
ip link set eth0 down; ip link set eth0 name eth0~; ip link set eth0~ up
{OVS} add-port br-secondary eth0~ -- add-port br-secondary eth0 \
    -- set interface eth0 type=internal mac="\\"$mac\\""
ip address flush dev eth0~
ip address add {ADDRESS}/24 dev eth0
ip link set eth0 up
ip route add default via {GATEWAY} dev eth0
"""

#: What a person would compare. Lifetimes and indexes come and go; links that a change made and that
#: are in nobody's way stay.
LOOK = """{
ip -br link; ip -o address | sed 's/^[0-9]*: //; s/valid_lft.*//; s/tentative//; s/  */ /g'
ip -4 route show table all | grep -v 'table local' | sort; ip -4 rule; ip -6 rule
ip -6 route | sort; cat /etc/resolv.conf
} | grep -v -e ovs-system -e k8snet-test -e br0 -e br-secondary
"""


class Node:
    """node1 of a lab, by ssh over the out-of-band network, and the module by Ansible."""

    def __init__(self, lab: Lab, folder: Path, name: str = "node1") -> None:
        self.lab, self.folder, self.name = lab, folder, name

    def sh(self, script: str, check: bool = True, timeout: float = 120) -> str:
        words = "sudo sh -s"
        done = subprocess.run(
            self.lab.inside(self.lab.ssh_command(self.name, [words], oob=True)),
            input=f"set -{'e' if check else 'u'}\n{script}\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        assert not check or done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        return done.stdout

    def look(self) -> str:
        return self.sh(LOOK, check=False)

    def checkpoint(self, *flags: str, **options: Any) -> dict[str, Any]:
        """Run the module as a role does, by Python 3.9 and sudo; its result, failed or not."""
        program = str(Path(sys.executable).with_name("ansible"))
        words = ["-i", str(self.lab.inventory), self.name, "--become", *flags]
        words += ["-m", "k8snet.cni.network_checkpoint", "-e", f"ansible_host={OOB}"]
        words += ["-e", "ansible_python_interpreter=/opt/python3.9/bin/python3.9"]
        settings = {
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible/collections"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal",
            "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true",
            "ANSIBLE_NOCOLOR": "1",
            "HOME": str(self.folder),
        }
        done = subprocess.run(
            [program, *words, "-a", json.dumps(options)],
            capture_output=True,
            text=True,
            env={**os.environ, **settings},
            cwd=self.folder,
            check=False,
            timeout=180,
        )
        said = done.stdout + done.stderr
        assert "Traceback" not in said, said
        assert "=> {" in done.stdout, said
        text = done.stdout[done.stdout.rindex("=> {") + 3 :]
        answer: dict[str, Any] = json.JSONDecoder().raw_decode(text)[0]
        # The callback leaves them out, or prints them beside it.
        return {**answer, "failed": done.returncode != 0, "said": " ".join(said.split())}

    def reachable(self) -> bool:
        ping = ["ping", "-c1", "-W1", ADDRESS]
        return bool(self.lab.exec(ping, capture_output=True).returncode == 0)

    def await_reachable(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self.reachable():
            assert time.monotonic() < deadline, self.sh("journalctl -t k8snet -b", check=False)

    def await_true(self, command: str, timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        while "yes" not in self.sh(f"{command} > /dev/null && echo yes", check=False):
            assert time.monotonic() < deadline, f"never true: {command}"
            time.sleep(0.2)

    def await_state(self, name: str, word: str, timeout: float = 60) -> None:
        """Wait until the restore program has written its last word."""
        deadline = time.monotonic() + timeout
        path = f"/var/lib/k8snet/checkpoint/{name}/state"
        while self.sh(f"cat {path}", check=False).strip() != word:
            assert time.monotonic() < deadline, self.sh("journalctl -t k8snet -b", check=False)
            time.sleep(0.2)
