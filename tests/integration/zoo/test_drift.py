# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The founding incident as the baseline sees it: a NIC is plugged into a running node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import NODE, Module

pytestmark = pytest.mark.lab

RECORDED = {"state": "recorded"}
ABSENT = {"state": "absent"}


@pytest.fixture(autouse=True)
def no_baseline(lab: Any) -> Iterator[None]:
    lab.ssh(NODE, "sudo rm -rf /var/lib/k8snet/baseline")
    yield
    lab.ssh(NODE, "sudo rm -rf /var/lib/k8snet/baseline")


def test_a_plugged_nic_is_drift_until_it_is_recorded_or_unplugged(module: Module, lab: Any) -> None:
    assert module("nic_facts")["ansible_facts"]["k8snet_nic_drift"] is None
    check = module("nic_baseline", RECORDED, check=True)
    assert module("nic_baseline")["drift"] is None
    apply = module("nic_baseline", RECORDED)
    assert (check["changed"], check["diff"]) == (True, apply["diff"])
    assert module("nic_baseline", RECORDED)["changed"] is False

    plugged = lab.plug(NODE, address="10.160.9.21/24", name="eth7")
    try:
        drift = module("node_facts", {"gather_subset": ["nics"]})["ansible_facts"][
            "k8snet_nic_drift"
        ]
        assert [(c["change"], c["name"]) for c in drift["changes"]] == [("added", "eth7")]
        assert drift["changes"][0]["after"]["permanent_mac"] == plugged["mac"]
        assert drift["changes"][0]["after"]["addresses"] == ["10.160.9.21/24"]
        module("nic_baseline", RECORDED)
        lab.ssh(NODE, "sudo ip link set eth7 down && sudo ip link set eth7 name trunk0")
        changes = module("nic_baseline")["drift"]["changes"]
        assert [(c["change"], c["name"], c["was"], c["matched_by"]) for c in changes] == [
            ("renamed", "trunk0", "eth7", "permanent_mac")
        ]
        lab.ssh(NODE, "sudo ip link set trunk0 name eth7")
    finally:
        lab.unplug(NODE, "eth7")
    changes = module("nic_baseline")["drift"]["changes"]
    assert [(c["change"], c["name"]) for c in changes] == [("removed", "eth7")]
    assert module("nic_baseline", ABSENT, check=True)["changed"]
    assert module("nic_baseline", ABSENT)["changed"]
    assert not module("nic_baseline", ABSENT)["changed"]


def test_a_baseline_that_cannot_be_used_is_said_to_be_so(module: Module, lab: Any) -> None:
    module("nic_baseline", RECORDED)
    drift = module("nic_facts", become=False)["ansible_facts"]["k8snet_nic_drift"]
    assert "Run with become" in drift["error"]
    lab.ssh(NODE, "echo broken | sudo tee /var/lib/k8snet/baseline/nics.json")
    failed = module("nic_baseline")
    assert failed["failed"]
    assert "state=absent" in failed["msg"]
    assert "Traceback" not in json.dumps(failed)
    drift = module("nic_facts")["ansible_facts"]["k8snet_nic_drift"]
    assert "no JSON" in drift["error"]
