# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One node with Open vSwitch's kernel datapath, put back after each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.checkpoint.hands import ADDRESS, GATEWAY, OVS, Node
from tests.lab.lab import Lab

#: By hand what the tests prove the module does: whatever a test left behind.
REPAIR = f"""
systemctl stop 'k8snet-restore-*.timer' kubelet.service
rm -f /etc/systemd/system/kubelet.service /etc/systemd/system/k8snet-restore-boot.service
rm -rf /etc/systemd/system/kubelet.service.d /etc/systemd/system/multi-user.target.wants/k8snet*
umount /var/lib/k8snet
rm -rf /var/lib/k8snet /run/k8snet
systemctl daemon-reload; systemctl reset-failed
[ -e /usr/bin/ip ] || ln -s /bin/ip.away /usr/bin/ip
pkill -CONT -x ovs-vswitchd
systemctl restart lab-ovsdb lab-ovs
for bridge in $({OVS} list-br); do {OVS} del-br $bridge; done
{OVS} remove Open_vSwitch . other_config flow-restore-wait
for link in br0 k8snet-test; do ip link del $link; done
dev=$(basename "$(dirname "$(grep -l 02:00:0a:a0:00:21 /sys/class/net/eth0*/address)")")
ip link set $dev down; ip link set $dev name eth0; ip link set eth0 mtu 1500
ip address flush dev eth0; ip address add {ADDRESS}/24 dev eth0; ip link set eth0 up
ip route replace default via {GATEWAY} dev eth0
ip rule del pref 100; ip link set oob0 up
: > /etc/resolv.conf
"""


@pytest.fixture(scope="module")
def own_lab() -> Iterator[Lab]:
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    with Lab.up(1, name=f"checkpoint-{os.getpid()}") as lab:
        yield lab


@pytest.fixture
def node(own_lab: Lab, tmp_path: Path) -> Iterator[Node]:
    found = Node(own_lab, tmp_path)
    found.sh("systemctl start lab-ovs; : > /etc/resolv.conf")
    found.await_reachable(20)
    yield found
    found.sh(REPAIR, check=False)
