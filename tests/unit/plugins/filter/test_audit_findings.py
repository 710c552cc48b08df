# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter audit_findings: what it accepts, and how it says what it does not."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.filter.audit_findings import (
    FilterModule,
    audit_findings,
)

from tests.unit.audit_world import cluster, host, hosts


def test_it_is_registered_under_its_name() -> None:
    assert FilterModule().filters()["audit_findings"] is audit_findings


def test_a_clean_cluster_gives_a_report_without_findings() -> None:
    found = audit_findings(cluster(), hosts())
    assert found["counts"]["critical"] == 0
    assert found["findings"] == []


def test_hosts_need_only_a_name_and_a_state() -> None:
    found = audit_findings(cluster(), [{"name": "node1", "state": "visited"}])
    assert found["nodes"][0]["host"] == "node1"


def test_empty_strings_of_templates_count_as_absent() -> None:
    inventory = [{**h, "node_name": "", "error": ""} for h in hosts()]
    assert audit_findings(cluster(), inventory)["findings"] == []


def test_hosts_left_out_are_matched_by_address_or_by_the_name_given() -> None:
    left_out = {"n3": ["10.160.1.23", ""], "n2": ["", "node2"]}
    found = audit_findings(cluster(), [host(1)], {"left_out": left_out})
    assert {n["name"]: n["state"] for n in found["nodes"]} == {
        "node1": "visited",
        "node2": "not_selected",
        "node3": "not_selected",
    }


def test_containers_that_only_behave_like_dicts_and_lists_are_taken() -> None:
    inventory = tuple(MappingProxyType(h) for h in hosts())
    assert audit_findings(MappingProxyType(cluster()), inventory)["findings"] == []


@pytest.mark.parametrize(
    ("facts", "inventory", "options"),
    [
        (None, [], {}),
        ({}, [], {}),
        ("k8snet_cluster", [], {}),
        (cluster(), {"n1": {}}, {}),
        (cluster(), [{"name": "n1"}], {}),
        (cluster(), [{"state": "visited"}], {}),
        (cluster(), [{"name": "n1", "state": "lost"}], {}),
        (cluster(), ["n1"], {}),
        (cluster(), [], ["x"]),
    ],
)
def test_wrong_input_is_refused_with_the_right_way(
    facts: Any, inventory: Any, options: Any
) -> None:
    with pytest.raises(AnsibleFilterError, match=r"audit_findings: "):
        audit_findings(facts, inventory, options)
