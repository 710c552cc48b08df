# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""flow-restore-wait stuck on a real node: cut off for real, and brought back."""

from __future__ import annotations

import pytest

from tests.integration.antrea.outage import Outage
from tests.integration.flow_restore.stuck import INT, KEY, MOVE, RUN, VSCTL, StuckNode
from tests.integration.ovs.node import PYTHON_3_9

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def node():
    with StuckNode("flowrestore") as node:
        node.sh(INT)
        yield node


@pytest.fixture(scope="module")
def moved(node):
    """The node with its main address on a port of Open vSwitch. The tests before are without."""
    node.sh(MOVE)
    assert node.answers()
    return node


def stuck(node):
    """Set the key as start_ovs does and wait until the node is cut off, and old enough."""
    node.restart_stuck()
    node.await_answer(False)
    node.await_age(2)


def test_a_node_that_is_reachable_keeps_its_policies(node):
    node.restart_stuck()
    node.await_age(2)
    before = node.state()
    said = node.clear()
    assert said["failed"]
    assert said["verdict"]["code"] == "refused"
    assert "br-int a learning switch without network policies" in said["msg"]
    assert node.clear("--check")["failed"]
    assert not node.clear(state="read")["failed"]
    assert node.state() == before

    # Antrea's flows are there: the agent died between installing them and clearing the key.
    node.add_antrea_flow()
    done = node.clear()
    assert (done["changed"], done["verdict"]["code"]) == (True, "policies_kept")
    assert done["verdict"]["warnings"] == []
    assert done["forwarding"]["proven"] is None
    assert node.key() is None


def test_a_node_that_is_cut_off_is_brought_back(moved):
    with Outage(moved.lab, "10.160.1.21") as outage:
        stuck(moved)
        young = moved.clear(min_age=3000)
        assert (young["changed"], young["verdict"]["code"]) == (False, "vswitchd_young")
        assert 2900 < young["verdict"]["wait"] <= 3000

        before = moved.state()
        told = moved.clear("--check")
        assert moved.state() == before
        assert not moved.answers()
        done = moved.clear()
        after = moved.await_answer(timeout=5)
    print(f"measured: by the module: {outage.loss}; back {after:.1f} s after it ended")
    assert told["changed"] is done["changed"] is True
    assert told["plan"] == done["plan"]
    assert done["verdict"]["code"] == "cut_off"
    assert done["verdict"]["evidence"]["own_address_on"] == "eth0"
    assert "policies are off on br-int" in done["verdict"]["warnings"][0]
    assert done["forwarding"] == {"proven": True, "how": "10.160.1.1 answered on eth0."}
    assert done["cur_cfg"] == done["next_cfg"]
    assert done["next_cfg"] == int(moved.sh(f"{VSCTL} get Open_vSwitch . next_cfg"))
    assert moved.key() is None
    again = moved.clear()
    assert (again["changed"], again["verdict"]["code"]) == (False, "not_set")


@pytest.mark.full
def test_the_same_from_the_oldest_python_and_by_force_at_once(moved):
    moved.restart_stuck()
    moved.await_answer(False)
    done = moved.clear("-e", f"ansible_python_interpreter={PYTHON_3_9}", min_age=3000, force=True)
    assert (done["changed"], done["verdict"]["code"]) == (True, "forced")
    assert "Forced although: ovs-vswitchd has been running" in done["verdict"]["warnings"][0]
    moved.await_answer()


@pytest.mark.full
def test_an_agent_in_its_first_minutes_is_left_to_it(moved):
    stuck(moved)
    moved.sh(
        "cp /usr/bin/sleep /tmp/antrea-agent && "
        "systemd-run -q --unit agent --collect /tmp/antrea-agent 600"
    )
    left = moved.clear(agent_min_age=500)
    assert (left["changed"], left["verdict"]["code"]) == (False, "agent_young")
    assert moved.key() == "true"
    moved.sh("systemctl stop agent")
    assert moved.clear(agent_min_age=500)["changed"]
    moved.await_answer()


# The lab's own units restart vswitchd with its database; a container's watchdog does not.
APART = f"""
systemctl stop lab-ovs lab-ovsdb
mkdir -p {RUN}
systemd-run -q --unit db -p Restart=always -p RestartSec=0.4 -p StartLimitIntervalSec=0 \\
  -E OVS_RUNDIR={RUN} ovsdb-server /var/lib/antrea/openvswitch/conf.db -vconsole:off \\
  --remote=punix:{RUN}/db.sock --pidfile={RUN}/ovsdb-server.pid --overwrite-pidfile
until test -S {RUN}/db.sock; do sleep 0.1; done
{VSCTL} --no-wait set Open_vSwitch . other_config:{KEY}=true
systemd-run -q --unit switch -E OVS_RUNDIR={RUN} ovs-vswitchd unix:{RUN}/db.sock \\
  --pidfile={RUN}/ovs-vswitchd.pid -vconsole:off
until test -S {RUN}/br-ext.mgmt; do sleep 0.1; done
ovs-dpctl del-flows
"""
SHAKE = f"""
systemd-run -q --unit shaker sh -c 'while :; do
  kill -9 $(cat {RUN}/ovsdb-server.pid); rm -f {RUN}/db.sock; sleep 2.5; done'
"""


@pytest.mark.full
def test_ovsdb_server_restarting_all_the_while_is_survived(moved):
    moved.sh(APART)
    try:
        moved.await_answer(False)
        moved.await_age(2)
        moved.sh(SHAKE)
        done = moved.clear(wait_timeout=60)
        moved.sh("systemctl stop shaker")
        assert done["changed"], done
        assert done["forwarding"]["proven"] is True
        moved.await_answer()
    finally:
        moved.sh("systemctl stop shaker || :; systemctl stop switch db; systemctl start lab-ovs")
    moved.await_answer()


@pytest.mark.full
def test_a_vswitchd_that_hangs_or_is_dead_is_told(moved):
    stuck(moved)
    moved.sh(f"kill -STOP $(cat {RUN}/ovs-vswitchd.pid)")
    try:
        failed = moved.clear(wait_timeout=15)
    finally:
        moved.sh(f"kill -CONT $(cat {RUN}/ovs-vswitchd.pid)")
    assert failed["failed"]
    assert failed["changed"]
    assert "cleared, but not effective: ovs-vswitchd has not taken it over" in failed["msg"]
    assert "did not answer within" in failed["verdict"]["warnings"][0]
    print(f"measured: back {moved.await_answer():.1f} s after vswitchd went on")

    moved.sh(f"{VSCTL} --no-wait set Open_vSwitch . other_config:{KEY}=true")
    moved.sh("systemctl kill -s KILL lab-ovs; while systemctl -q is-active lab-ovs; do :; done")
    for force in (False, True):
        left = moved.clear(force=force)
        assert (left["changed"], left["verdict"]["code"]) == (False, "vswitchd_down")
    moved.sh(f"{VSCTL} --no-wait remove Open_vSwitch . other_config {KEY}; systemctl start lab-ovs")
    moved.await_answer()


@pytest.mark.full
def test_a_cable_that_is_out_is_not_called_repaired(moved):
    stuck(moved)
    moved.sh("ip link set eth0~ down")
    failed = moved.clear(wait_timeout=12)
    moved.sh("ip link set eth0~ up")
    assert failed["failed"]
    assert failed["changed"]
    assert "nobody answers behind Open vSwitch: 10.160.1.1 on eth0" in failed["msg"]
    assert moved.key() is None
    moved.await_answer()
