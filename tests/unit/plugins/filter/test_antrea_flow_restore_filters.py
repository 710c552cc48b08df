# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters of antrea_flow_restore take what the role gives them, and refuse the rest."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.filter.antrea_flow_restore_nodes import (
    antrea_flow_restore_nodes as nodes,
)
from ansible_collections.k8snet.cni.plugins.filter.antrea_flow_restore_plan import (
    antrea_flow_restore_plan as plan,
)
from ansible_collections.k8snet.cni.plugins.filter.antrea_flow_restore_result import (
    antrea_flow_restore_result as result,
)

NODE = {"name": "w1", "hostname": "w1", "os": "linux", "internal_ips": ["10.0.0.1"], "ready": True}
CLUSTER: dict[str, Any] = {"nodes": [NODE], "antrea": {}, "access": {"error": None}}
HOST = {
    "name": "h1",
    "state": "unreachable",
    "error": "",
    "node_name": "",
    "address": "10.0.0.1",
    "facts": {},
    "tried": [["10.0.0.1", "no answer"]],
    "through": "",
    "verdict": None,
}


def test_hosts_find_their_nodes_by_address_or_name() -> None:
    found = nodes(CLUSTER, {"h1": ["10.0.0.1", ""], "w1": ["", ""], "x": ["", ""]})
    assert found == {"h1": {"name": "w1", "internal_ips": ["10.0.0.1"]}}
    assert nodes(CLUSTER, {"x": ["", "w1"]})["x"]["name"] == "w1"


def test_what_antrea_info_says_is_on_the_page() -> None:
    info = {"antrea": {"agents": [{"node": "w1", "heartbeat_age_seconds": 300.2}]}}
    (page,) = plan(CLUSTER, info, [HOST])["pages"]
    assert "  Agent        last heard of 300 s ago" in page["lines"]
    assert plan(CLUSTER, {}, [HOST])["left"] == [
        "w1 cannot be reached: its page says what to type at its console."
    ]


def test_what_a_run_came_to() -> None:
    found = result(plan(CLUSTER, {}, [HOST]), {}, {"skipped": True}, {"error": None})
    assert found["lines"] == [f"LEFT TO YOU  {found['left'][0]}"]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: nodes({}, {}), "cluster_info"),
        (lambda: nodes(CLUSTER, {"h1": []}), "dict of lists"),
        (lambda: plan({}, {}, []), "cluster_info"),
        (lambda: plan(CLUSTER, [], []), "'antrea' must be a dict"),
        (lambda: result({}, {}, {}, {}), "antrea_flow_restore_plan"),
    ],
)
def test_anything_else_is_refused_in_words(call: Any, says: str) -> None:
    with pytest.raises(AnsibleFilterError, match=says):
        call()
