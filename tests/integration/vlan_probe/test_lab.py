# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""vlan_probe between real kernels, over the trunks of the hypervisor's switch."""

from __future__ import annotations

import json
import os
import re
import sys

import pytest

from tests.integration.ovs.netns import COLLECTIONS, quiet
from tests.integration.ovs.node import PYTHON_3_9
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab
GATEWAY, NOBODY = "172.18.181.1", "172.18.181.99"
VLAN = 181


@pytest.fixture(scope="module")
def lab():
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    with Lab.up(2, name=f"vlan-{os.getpid()}") as lab:
        for name in ("node1", "node2"):
            lab.trunk(name, [VLAN])
        yield lab


@pytest.fixture
def gateway(lab):
    """node2 has the gateway's addresses on the VLAN."""
    link = f"sudo ip link add link eth0 name gw type vlan id {VLAN}"
    addresses = f"sudo ip addr add {GATEWAY}/24 dev gw && sudo ip addr add fd18::1/64 dev gw nodad"
    lab.ssh("node2", f"{link} && {addresses} && sudo ip link set gw up")
    yield
    lab.ssh("node2", "sudo ip link del gw")


def probe(lab, hosts="node1", **options):
    """host -> what the module returned there; all at once."""
    wanted = {"interface": "eth0", "vlan": VLAN, "targets": [GATEWAY], **options}
    command = [os.path.join(os.path.dirname(sys.executable), "ansible"), hosts]
    command += ["-i", str(lab.inventory), "--become", "-m", "k8snet.cni.vlan_probe"]
    command += ["-a", json.dumps(wanted), "-e", f"ansible_python_interpreter={PYTHON_3_9}"]
    environment = {**os.environ, **quiet(), "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS}
    done = lab.exec(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    parts = re.split(r"^(node\d) \| SUCCESS => ", done.stdout, flags=re.MULTILINE)[1:]
    return {host: json.loads(text) for host, text in zip(parts[::2], parts[1::2])}


def test_a_gateway_on_the_trunk_answers_in_both_families(lab, gateway):
    found = probe(lab, targets=[GATEWAY, "fd18::1"])["node1"]
    assert found["verdict"] == "reached", found
    assert found["missing"] == []
    assert {answer["tag"] for answer in found["answers"]} == {VLAN}
    # Nobody's neighbour table took the question.
    neighbours = lab.ssh("node2", "ip neigh show dev gw").stdout
    assert found["mac"] not in neighbours


def test_without_the_trunk_nothing_of_the_vlan_is_heard(lab, gateway):
    lab.trunk("node1", [])
    try:
        found = probe(lab)["node1"]
    finally:
        lab.trunk("node1", [VLAN])
    assert found["verdict"] in ("nothing-heard", "no-answer"), found
    assert found["missing"] == [GATEWAY]
    assert not [entry for entry in found["frames"] if entry["tag"] == VLAN]


def test_nodes_without_an_address_there_hear_each_other(lab):
    macs = {
        name: lab.ssh(name, "cat /sys/class/net/eth0/address").stdout.strip()
        for name in ("node1", "node2")
    }
    peers = "{{ macs | dict2items | rejectattr('key', 'equalto', inventory_hostname)"
    peers = f"{peers.replace('macs', json.dumps(macs))} | items2dict }}}}"
    found = probe(lab, "node1:node2", targets=[NOBODY], peers=peers, listen=12)
    for name, other in (("node1", "node2"), ("node2", "node1")):
        assert found[name]["verdict"] == "peers-only", found[name]
        assert VLAN in found[name]["heard"][other]
        assert found[name]["unheard"] == []


def test_it_makes_no_interface_and_loads_nothing(lab):
    look = "ip -j link | tr , '\\n' | grep ifname; cut -d' ' -f1 /proc/modules | sort"
    before = lab.ssh("node1", look).stdout
    probe(lab, listen=1)
    assert lab.ssh("node1", look).stdout == before
