# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ovs_bridge against a real Open vSwitch: what Antrea has left goes, what is used stays."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest

from tests.integration.ovs.netns import Namespace, ansible
from tests.integration.ovs.test_real_ovs import Switch

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make network namespaces"),
    pytest.mark.skipif(not shutil.which("ovs-vswitchd"), reason="openvswitch-switch is missing"),
]
UPLINKS = ["eth1", "eth2"]


@pytest.fixture
def switch():
    """br-int and, as Antrea 2.6 leaves it, br-sec with two NICs."""
    with tempfile.TemporaryDirectory(prefix="ovs") as folder, Namespace() as namespace:
        switch = Switch(namespace, folder)
        switch.serve()
        switch.vsctl("init", wait=False)
        switch.switch()
        for name in ("br-int", "br-sec"):
            switch.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=netdev")
        for name in UPLINKS:
            namespace.run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}w")
            port(switch, name, "uplink")
        yield switch


def port(switch, name, kind, *more):
    mark = ("set", "port", name, f"external_ids:antrea-type={kind}")
    switch.vsctl("add-port", "br-sec", name, "--", *mark, *more)


def absent(switch, *words, uplinks=None, **more):
    """Run the module where the switch's interfaces are."""
    enter = ["nsenter", "-t", str(switch.namespace.pid), "-n", "-m"]
    options = {"name": "br-sec", "uplinks": uplinks or UPLINKS, "socket": switch.socket, **more}
    return ansible("ovs_bridge", enter, words, **options)


def bridges(switch):
    return switch.vsctl("list-br").split()


def test_a_bridge_that_is_left_goes_once_and_its_nics_are_free(switch):
    check = absent(switch, "--check")
    assert bridges(switch) == ["br-int", "br-sec"]
    done = absent(switch)
    assert (done["changed"], done["ports"]) == (True, UPLINKS)
    assert (
        done["plan"][0]["action"] == "Remove bridge br-sec from Open vSwitch and free eth1, eth2."
    )
    assert check == done
    assert bridges(switch) == ["br-int"]
    for name in UPLINKS:
        switch.namespace.run("ip", "link", "show", name)
    found = switch.gather()
    assert (found["enslaved"], found["cur_cfg"]) == ([], found["next_cfg"])
    again = absent(switch)
    assert (again["changed"], again["ports"], again["plan"]) == (False, [], [])


PORTS = {
    "a pod's": ("pod-1", "container", "--", "set", "interface", "pod-1", "type=internal"),
    "a NIC that Antrea moved": ("eth3", "host", "--", "set", "interface", "eth3", "type=internal"),
}


@pytest.mark.parametrize("case", PORTS)
def test_a_bridge_that_is_used_stays(switch, case):
    name, *rest = PORTS[case]
    port(switch, name, *rest)
    done = absent(switch, uplinks=[*UPLINKS, name])
    assert done["changed"] is False
    assert f"to be removed with it: {name}. Nothing was changed." in done["msg"]
    assert bridges(switch) == ["br-int", "br-sec"]


def test_uplinks_that_are_not_named_or_not_antreas_stay(switch):
    assert "removed with it: eth2." in absent(switch, uplinks=["eth1"])["msg"]
    switch.vsctl("remove", "port", "eth1", "external_ids", "antrea-type")
    assert "removed with it: eth1." in absent(switch)["msg"]
    assert bridges(switch) == ["br-int", "br-sec"]


def test_an_address_on_the_bridge_itself_keeps_it(switch):
    switch.namespace.run("ip", "address", "add", "192.0.2.9/24", "dev", "br-sec")
    assert "Interface br-sec of the bridge itself carries 192.0.2.9/24." in absent(switch)["msg"]
    assert bridges(switch) == ["br-int", "br-sec"]


def test_what_ovs_vswitchd_does_not_take_over_is_told_as_a_change(switch):
    switch.kill("ovs-vswitchd")
    done = absent(switch, wait_timeout=1)
    assert done["changed"] is True
    assert "ovs-vswitchd has not taken it over in time" in done["msg"]


def test_without_a_socket_or_with_a_foolish_wait_it_says_so(switch):
    assert "OVSDB socket not found" in absent(switch, socket="/nope.sock")["msg"]
    assert "from 1 to 3600" in absent(switch, wait_timeout=0)["msg"]
