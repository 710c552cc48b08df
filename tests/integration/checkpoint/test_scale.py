# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Three hundred links that are gone at once: the way out comes back first, and then all of them."""

from __future__ import annotations

import time

import pytest

from tests.integration.checkpoint.hands import ADDRESS, GATEWAY, Node

pytestmark = [pytest.mark.lab, pytest.mark.full]

LINKS = 300
#: VLANs of the NIC and dummies, with an address and a route each, in few processes.
MAKE = f"""
for i in $(seq {LINKS // 2}); do
    echo "link add link eth0 name v$i type vlan id $i"
    echo "link add name d$i type dummy"
    for link in v$i d$i; do echo "link set dev $link up"; done
    echo "address add 10.50.$i.1/24 dev v$i"
    echo "address add 10.60.$i.1/24 dev d$i"
    echo "route add 10.70.$i.0/24 via 10.60.$i.9 dev d$i"
done | ip -batch -
# It gives the dummies other MACs.
udevadm settle
"""
#: What gives the NIC its address anew takes it out of all VLANs first.
CUT = f"""
for i in $(seq {LINKS // 2}); do echo "link del v$i"; echo "link del d$i"; done | ip -batch -
ip address flush dev eth0
ip link set eth0 down
"""


def test_the_way_out_is_back_in_seconds_and_then_three_hundred_links(node: Node) -> None:
    node.sh(MAKE)
    before = node.look()
    assert before.count("10.50.") >= LINKS // 2
    assert node.checkpoint(state="armed", id="many", timeout=3600)["changed"] is True
    node.sh(CUT)
    assert not node.reachable()
    program = node.sh("ls /var/lib/k8snet/programs/restore-*.pyz").strip()
    node.sh(f"systemd-run --quiet --unit=many python3 -I {program} --restore many")
    started = time.monotonic()
    node.await_reachable(60)
    print(f"measured: reachable after {time.monotonic() - started:.1f} s")
    node.await_state("many", "rolled_back", 120)
    report = node.checkpoint(state="rolled_back", id="many")["checkpoint"]["report"]
    print(f"measured: {LINKS} links in {report['seconds']} s, {len(report['steps'])} steps")
    assert (report["left"], report["cannot"]) == ([], [])
    assert node.look() == before
    actions = [step["action"] for step in report["steps"]]
    default = actions.index(f"Add the route default via {GATEWAY} dev eth0.")
    spent = sum(step["seconds"] for step in report["steps"][: default + 1])
    print(f"measured: the default route stood after {spent:.1f} s of steps")
    assert all("eth0" in action for action in actions[:default])
    assert f"Add {ADDRESS}/24 to eth0." in actions[:default]
    assert spent < 10
    # One process for each would have taken minutes here.
    assert report["seconds"] < 60
