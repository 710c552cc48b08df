# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The timer, the boot, the hold, the confirmation and all that may be in their way."""

from __future__ import annotations

import time

import pytest

from tests.integration.checkpoint.hands import ADDRESS, GATEWAY, MOVE, OVS, Node

pytestmark = pytest.mark.lab

CUT = MOVE + (
    f"{OVS} set bridge br-secondary fail_mode=secure\n"
    "ovs-ofctl del-flows /run/antrea/openvswitch/br-secondary.mgmt\n"
)
#: Starts late, as the real one, and notes which address it found.
KUBELET = """
printf '%s\\n' '[Service]' \
    'ExecStart=/bin/sh -c "ip -4 -o address show dev eth0 > /run/kubelet-saw; exec sleep 10000"' \
    '[Install]' 'WantedBy=multi-user.target' > /etc/systemd/system/kubelet.service
systemctl daemon-reload
systemctl enable --now kubelet.service

cp /usr/bin/sleep /run/antrea-agent
systemd-run --unit=agent-container /run/antrea-agent 10000
"""
#: What a boot does again because it is written on the disk.
CUT_AT_BOOT = f"""
printf '%s\\n' '[Unit]' 'DefaultDependencies=no' 'After=labnet.service' 'Before=network.target' \
    '[Service]' 'Type=oneshot' 'ExecStart=/sbin/ip address flush dev eth0' \
    '[Install]' 'WantedBy=multi-user.target' > /etc/systemd/system/cut.service
systemctl daemon-reload; systemctl enable cut.service; ip address del {ADDRESS}/24 dev eth0; sync
"""
UNCUT = "systemctl disable cut.service; rm /etc/systemd/system/cut.service; systemctl daemon-reload"


def armed(node: Node, **options: object) -> float:
    """Arm, and return when the deadline is by this machine's clock."""
    done = node.checkpoint(state="armed", id="night", **options)
    assert done["changed"] is True, done
    left: float = done["checkpoint"]["deadline"]["seconds_left"]
    return time.monotonic() + left


def test_a_change_that_nobody_confirms_undoes_itself_in_time(node: Node) -> None:
    before = node.look()
    deadline = armed(node, timeout=30)
    # A clock that is set must neither delay nor hasten it.
    node.sh(f"date -s @{int(time.time()) - 86400}")
    try:
        node.sh(CUT)
        assert not node.reachable()
        node.await_reachable(120)
        print(f"measured: reachable {time.monotonic() - deadline:.1f} s after the deadline")
        assert time.monotonic() > deadline - 1
        node.await_state("night", "rolled_back")
    finally:
        node.sh(f"date -s @{int(time.time())}")
    assert node.look() == before
    late = node.checkpoint(state="confirmed", id="night")
    assert late["failed"] is True
    assert "Too late: the node was rolled back to checkpoint 'night'" in late["msg"]
    gone = node.sh("systemctl list-units --all --no-legend 'k8snet*'; ls /etc/systemd/system")
    assert "k8snet" not in gone
    assert node.checkpoint(state="absent", id="night")["changed"] is True
    assert node.checkpoint(state="absent", id="night")["changed"] is False


def test_a_confirmed_change_stays_and_a_second_checkpoint_is_refused_until_then(node: Node) -> None:
    foreseen = node.checkpoint("--check", state="armed", id="night", timeout=600)
    assert node.sh("ls /var/lib/k8snet 2>&1", check=False).strip() == (
        "ls: cannot access '/var/lib/k8snet': No such file or directory"
    )
    done = node.checkpoint(state="armed", id="night", timeout=600)
    assert done["plan"] == foreseen["plan"]
    second = node.checkpoint(state="armed", id="other", timeout=600)
    assert "Checkpoint 'night' is armed on this node" in second["msg"]
    assert "state: confirmed, id: night" in second["msg"]
    modes = node.sh("find /var/lib/k8snet -printf '%m %y\\n' | sort -u")
    assert modes.split("\n")[:2] == ["600 f", "700 d"]
    node.sh(MOVE)
    shown = node.sh("python3 -I /var/lib/k8snet/programs/restore-*.pyz --show night")
    assert "Take eth0~ out of Open vSwitch's datapath." in shown
    assert node.checkpoint(state="confirmed", id="night")["changed"] is True
    assert node.checkpoint(state="confirmed", id="night")["changed"] is False
    assert "k8snet" not in node.sh("systemctl list-units --all --no-legend 'k8snet*'")
    assert "eth0~" in node.look()
    refused = node.checkpoint(state="rolled_back", id="night")
    assert "was confirmed" in refused["msg"]


@pytest.mark.full
@pytest.mark.parametrize("how", ["reboot", "power cut", "power cut, hold"])
def test_a_boot_in_mid_change_restores_before_kubelet_starts(node: Node, how: str) -> None:
    node.sh(KUBELET)
    before = node.look()
    held = how.endswith("hold")
    armed(node, timeout=3600, hold=held)
    node.sh(CUT_AT_BOOT)
    try:
        assert not node.reachable()
        started = time.monotonic()
        if how == "reboot":
            node.lab.reboot("node1")
        else:
            node.lab.kill("node1")
            node.lab.start("node1")
        node.await_reachable(120)
        print(f"measured: reachable {time.monotonic() - started:.1f} s after the {how}")
        node.await_state("night", "rolled_back")
        assert node.look() == before
        if held:
            node.await_true("systemctl is-active multi-user.target")
            assert node.sh("systemctl is-active kubelet.service", check=False) == "inactive\n"
            assert node.checkpoint(state="absent", id="night")["changed"] is True
        node.await_true("systemctl is-active kubelet.service")
        assert f"{ADDRESS}/24" in node.sh("cat /run/kubelet-saw")
        assert node.sh("ls /etc/systemd/system | grep k8snet-restore-boot", check=False) == ""
    finally:
        node.sh(UNCUT, check=False)


@pytest.mark.full
def test_a_hold_keeps_the_actor_away_over_a_boot_until_it_is_lifted(node: Node) -> None:
    node.sh(KUBELET)
    armed(node, timeout=3600, hold=True)
    node.sh(f"ip address del {ADDRESS}/24 dev eth0")
    done = node.checkpoint(state="rolled_back", id="night")
    assert done["checkpoint"]["held"] is True, done
    assert done["checkpoint"]["report"]["held"] == ["kubelet"]
    look = "systemctl is-active kubelet.service; pgrep -x antrea-agent"
    assert node.sh(look, check=False).strip() == "inactive"
    refused = node.checkpoint(state="armed", id="other")
    assert "Checkpoint 'night' holds kubelet" in refused["msg"]
    node.lab.reboot("node1")
    node.await_reachable(120)
    node.await_true("systemctl is-active multi-user.target")
    assert node.sh(look, check=False).strip() == "inactive"
    foreseen = node.checkpoint("--check", state="absent", id="night")
    lifted = node.checkpoint(state="absent", id="night")
    assert lifted["plan"] == foreseen["plan"]
    assert node.sh("systemctl is-active kubelet.service").strip() == "active"
    assert "k8snet" not in node.sh("ls /etc/systemd/system/kubelet.service.d 2>&1", check=False)
    assert node.checkpoint(state="absent", id="night")["changed"] is False


@pytest.mark.full
def test_a_disk_that_is_full_or_read_only_refuses_before_the_change(node: Node) -> None:
    node.sh("mkdir -p /var/lib/k8snet; mount -t tmpfs -o size=8m none /var/lib/k8snet")
    node.sh("head -c 7m /dev/zero > /var/lib/k8snet/full")
    full = node.checkpoint(state="armed", id="night")
    assert "The disk of /var/lib/k8snet is full" in full["msg"]
    node.sh("rm /var/lib/k8snet/full; mount -o remount,ro /var/lib/k8snet")
    ro = node.checkpoint(state="armed", id="night")
    assert "/var/lib/k8snet is read-only" in ro["msg"]
    assert node.sh("ls -A /var/lib/k8snet; ls /etc/systemd/system | grep k8snet", check=False) == ""
    node.sh("mount -o remount,rw /var/lib/k8snet")
    armed(node, timeout=3600)
    node.sh("cat /dev/zero > /var/lib/k8snet/full", check=False)
    node.sh("ip link set eth0 down")
    done = node.checkpoint(state="rolled_back", id="night")
    assert done["checkpoint"]["report"]["state"] == "rolled_back", done
    node.await_reachable(20)


@pytest.mark.full
def test_a_restore_without_ip_or_with_a_damaged_checkpoint_says_so(node: Node) -> None:
    armed(node, timeout=3600)
    program = node.sh("echo /var/lib/k8snet/programs/restore-*.pyz").strip()
    node.sh("ip route del default")
    ip = node.sh("readlink -f /usr/sbin/ip /usr/bin/ip | sort -u").split()[0]
    node.sh(f"mv {ip} {ip}.away")
    try:
        said = node.sh(f"python3 -I {program} --restore night", check=False)
    finally:
        node.sh(f"mv {ip}.away {ip}")
    assert "The program 'ip' was not found" in said
    assert "The network is NOT as it was saved" in said
    # The state is failed: what is at hand again does the rest.
    assert node.checkpoint(state="rolled_back", id="night")["changed"] is True
    assert f"default via {GATEWAY}" in node.look()
    assert node.checkpoint(state="absent", id="night")["changed"] is True
    armed(node, timeout=3600)
    node.sh("echo '{' > /var/lib/k8snet/checkpoint/night/checkpoint.json")
    said = node.sh(f"python3 -I {program} --restore night", check=False)
    assert "checkpoint.json is missing or damaged" in said
    late = node.checkpoint(state="confirmed", id="night")
    assert "missing or damaged" in late["msg"]
