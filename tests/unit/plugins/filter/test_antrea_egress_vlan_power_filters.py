# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands that cut a node's power and give it back, and where they run."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.filter.antrea_egress_vlan_command import (
    antrea_egress_vlan_command as command,
)
from ansible_collections.k8snet.cni.plugins.filter.antrea_egress_vlan_controller import (
    antrea_egress_vlan_controller as controller,
)

Obj = dict[str, Any]

GOOD: Obj = {"off": ["true", "{node}", "s3cret"], "on": ["/bin/true"]}


def seen(*addresses: str, server: str = "https://127.0.0.1:6443") -> Obj:
    status = {"addresses": [{"type": "InternalIP", "address": a} for a in addresses]}
    nodes = [{"metadata": {"name": "node2"}, "status": status}]
    egress = {"status": {"egressNode": "node2"}}
    return {"egress": egress, "nodes": nodes, "pods": [], "server": server}


def test_the_controller_knows_its_own_addresses() -> None:
    found = controller(seen("127.0.0.1", "192.0.2.1", "not-an-address"), GOOD)
    assert (found["own"], found["server"], found["problems"]) == (["127.0.0.1"], ["127.0.0.1"], [])
    assert (found["off"], found["on"]) == ("true", "true")
    assert "s3cret" not in str(found)
    assert controller(seen("192.0.2.1", server="https://no.invalid"), GOOD)["server"] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"off": []}, "Set antrea_egress_vlan_power_off_command, which the drill needs"),
        ({"on": []}, "Set antrea_egress_vlan_power_on_command, which the drill needs"),
        ({"on": "virsh start vm"}, "Set antrea_egress_vlan_power_on_command"),
        ({"on": ["virsh start s3cret"]}, "antrea_egress_vlan_power_on_command is one word with"),
        ({"on": GOOD["off"]}, "are the same"),
        ({"on": ["no-such-program", "s3cret"]}, "there is no program no-such-program"),
    ],
)
def test_a_command_that_cannot_be_run_is_told_before_power_is_cut(change: Obj, words: str) -> None:
    found = controller(seen("192.0.2.1"), {**GOOD, **change})
    assert words in " ".join(found["problems"])
    assert "s3cret" not in str(found)


def test_node_and_host_are_put_into_a_command_and_nothing_else() -> None:
    words = ["curl", "https://{host}/{node}", '{"ResetType": "On"}', 7]
    assert command(words, "node2", "n2.example") == [
        "curl",
        "https://n2.example/node2",
        '{"ResetType": "On"}',
        "7",
    ]


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"rc": 1, "stderr": "warning\nno domain node2\n"}, "it ended with 1: no domain node2"),
        (
            {"rc": 1, "stderr": "login root:hunter22 failed"},
            "it ended with 1: login ***:*** failed",
        ),
        ({"rc": 1, "stderr": "bad password hunter22"}, "it ended with 1: bad password ***"),
        ({"rc": 1, "stdout": "no short-pw for node2.example"}, "it ended with 1: no *** for "),
        ({"rc": 2}, "it ended with 2"),
        ({"rc": 2, "msg": "No such file: b'ipmitool'"}, "it ended with 2: No such file: b'ipmi"),
        ({"msg": "ipmitool -pshort-pw was terminated"}, "ipmitool *** was terminated"),
        ({"msg": "Timed out.", "timedout": {"period": 7}}, "it did not end within 7 seconds"),
        ({}, "it did not end"),
    ],
)
def test_how_a_command_ended_is_told_without_its_words(result: Obj, told: str) -> None:
    words = ["/usr/bin/ipmitool", "-H", "{host}", "-pshort-pw", "--auth=root:hunter22", "{node}"]
    said = command(words, "node2", "node2.example", result)
    assert said.startswith(told)
    assert "hunter22" not in said
    assert "short-pw" not in said


def test_long_output_is_cut() -> None:
    said = command(["true"], "node2", "node2", {"rc": 1, "stderr": "x" * 999})
    assert len(said) == 203
