# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lab node whose only way out hangs on an Open vSwitch that waits for its flows."""

from __future__ import annotations

import json
import os
import sys
import time

import pytest

from tests.integration.ovs.netns import COLLECTIONS, parse, quiet
from tests.integration.ovs.node import LabNode
from tests.lab.lab import Lab

RUN = "/run/antrea/openvswitch"
SOCKET = f"{RUN}/db.sock"
VSCTL = f"ovs-vsctl --db=unix:{SOCKET} --timeout=20"
KEY = "flow-restore-wait"
ANTREA_FLOW = "cookie=0x3010000000000,table=0,priority=200,ip,actions=NORMAL"

API = "10.160.1.1:6443"

INT = f"""
systemctl start lab-ovs
{VSCTL} --may-exist add-br br-int -- set bridge br-int external_ids:roundNum=3
{VSCTL} --may-exist add-port br-int antrea-gw0 -- set interface antrea-gw0 type=internal
"""
# What Antrea's agent does with the only NIC of a SecondaryNetwork.
MOVE = f"""
mac=$(cat /sys/class/net/eth0/address)
ip link set eth0 down
ip link set eth0 name eth0~
ip link set eth0~ up
{VSCTL} add-br br-ext
{VSCTL} add-port br-ext eth0~ -- set port eth0~ external_ids:antrea-type=uplink
{VSCTL} add-port br-ext eth0 -- set interface eth0 type=internal mac=\\"$mac\\"
ip address flush dev eth0~
ip address add 10.160.1.21/24 dev eth0
ip link set eth0 up
ip route replace default via 10.160.1.1
"""


class StuckNode(LabNode):
    """All work goes by the out-of-band network, as eth0 comes and goes."""

    def __enter__(self):
        if os.geteuid() != 0:
            pytest.skip("the lab needs root")
        self.lab = Lab.up(1, api=True, name=self._name)
        return self

    def sh(self, script, check=True):
        command = "sudo sh -euc 'eval \"$(cat)\"'"
        done = self.lab.ssh("node1", command, oob=True, check=check, input=script, stdin=None)
        return done.stdout

    def module(self, name, *more, **options):
        """The result of a module over the out-of-band address."""
        command = [os.path.join(os.path.dirname(sys.executable), "ansible"), "node1", "--become"]
        command += ["-i", str(self.lab.inventory), "-e", "ansible_host={{ lab_oob_address }}"]
        command += ["-m", f"k8snet.cni.{name}", *more]
        command += ["-a", json.dumps(options)] if options else []
        environment = {**os.environ, **quiet(), "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS}
        done = self.lab.exec(command, capture_output=True, text=True, env=environment)
        # The callback leaves the word out.
        return {**parse(done), "failed": done.returncode != 0}

    def clear(self, *more, **options):
        """``ovs_flow_restore_wait``, judging ages of seconds."""
        given = {"min_age": 2, "agent_min_age": 2, "wait_timeout": 30, **options}
        return self.module("ovs_flow_restore_wait", *more, **given)

    def key(self):
        found = self.sh(f"{VSCTL} --if-exists get Open_vSwitch . other_config:{KEY}")
        return found.strip().strip('"') or None

    def restart_stuck(self):
        """What start_ovs does, without an agent that would clear the key.

        Flows that are left in the kernel would go on forwarding now and then, for as long as they
        happen to fit: a node that was booted has none.
        """
        self.sh(f"{VSCTL} --no-wait set Open_vSwitch . other_config:{KEY}=true")
        self.sh("systemctl restart lab-ovs; ovs-dpctl del-flows")

    def answers(self):
        """Whether the lab host reaches the node by its main address."""
        ping = ["ping", "-c1", "-W1", "-q", "10.160.1.21"]
        return self.lab.exec(ping, capture_output=True, text=True).returncode == 0

    def await_answer(self, wanted=True, timeout=60):
        """Seconds until it answers, or no longer does."""
        start = time.monotonic()
        while self.answers() is not wanted:
            if time.monotonic() - start > timeout:
                raise AssertionError(f"answers is not {wanted} after {timeout} s")
        return time.monotonic() - start

    def add_antrea_flow(self):
        self.sh(f"ovs-ofctl add-flow unix:{RUN}/br-int.mgmt '{ANTREA_FLOW}'")

    def await_age(self, seconds):
        """Until vswitchd has been running for ``seconds``: the rules go by that, so do we."""
        while self.module("ovs_facts")["ansible_facts"]["k8snet_ovs"]["vswitchd_uptime"] < seconds:
            time.sleep(0.5)

    def state(self):
        """All of the database that a module could write."""
        dump = f"ovsdb-client dump unix:{SOCKET} Open_vSwitch"
        return self.sh(f"{dump} Open_vSwitch other_config cur_cfg next_cfg; {dump} Bridge")
