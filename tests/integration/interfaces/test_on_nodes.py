# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""calico_interfaces on a lab node, as a role calls it: Python 3.9, sudo, and real pods' ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.full]

ROOT = Path(__file__).parents[3]
NODE = "node3"
OURS = {"local_v4": "10.160.1.23/24", "uses": ["vxlan"], "pods": []}
LEFT = (
    "sudo sh -ec 'modprobe vxlan; ip link add vxlan-v6.calico type vxlan id 4097 dstport 4790 "
    "local 2001:db8::9 dev oob0; ip link add wireguard.cali type dummy; ip netns add k8snet-left; "
    "ip link add cali00000000001 type veth peer name eth0 netns k8snet-left'"
)


def run(lab: Lab, folder: Path, *flags: str, **options: Any) -> dict[str, Any]:
    program = str(Path(sys.executable).with_name("ansible"))
    words = ["-i", str(lab.inventory), NODE, "--become", "-m", "k8snet.cni.calico_interfaces"]
    words += ["-e", "ansible_python_interpreter=/opt/python3.9/bin/python3.9", *flags]
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible/collections"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal",
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true",
        "ANSIBLE_NOCOLOR": "1",
        "HOME": str(folder),
    }
    done = subprocess.run(
        [program, *words, "-a", json.dumps({**OURS, **options})],
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
        cwd=folder,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stdout + done.stderr
    text = done.stdout[done.stdout.rindex("=> {") + 3 :]
    answer: dict[str, Any] = json.JSONDecoder().raw_decode(text)[0]
    return answer


def test_exactly_the_left_overs_go_from_a_node(lab: Lab, tmp_path: Path) -> None:
    lab.ssh(NODE, LEFT)
    try:
        found = run(lab, tmp_path)
        names = [entry["name"] for entry in found["leftovers"]]
        expected = {"vxlan-v6.calico", "wireguard.cali", "cali00000000001"}
        assert expected <= set(names)
        absent = {"state": "absent", "interfaces": sorted(expected), "run_id": "lab-test"}
        check = run(lab, tmp_path, "--check", **absent)
        applied = run(lab, tmp_path, **absent)
        assert check["changed"]
        assert check["plan"] == applied["plan"]
        again = run(lab, tmp_path, **absent)
        assert (again["changed"], again["plan"]) == (False, [])
        refused = run(lab, tmp_path, **{**absent, "interfaces": ["eth0"]})
        assert "eth0 is none of Calico's interfaces" in refused["msg"]
        kept = lab.ssh(NODE, f"sudo ls {applied['undo_path']}").stdout.split()
        assert sorted(kept) == sorted(f"interface.{name}.json" for name in expected)
    finally:
        lab.ssh(
            NODE,
            "sudo sh -c 'for n in vxlan-v6.calico wireguard.cali cali00000000001; do "
            "[ ! -e /sys/class/net/$n ] || ip link del $n; done; ip netns del k8snet-left; "
            "rm -rf /var/lib/k8snet/undo'",
        )
