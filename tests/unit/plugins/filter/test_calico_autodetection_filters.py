# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collecting what the nodes answered, and what was left on them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.filter import (
    calico_autodetection_leftovers,
    calico_autodetection_seen,
)

seen = calico_autodetection_seen.FilterModule().filters()["calico_autodetection_seen"]
leftovers = calico_autodetection_leftovers.FilterModule().filters()[
    "calico_autodetection_leftovers"
]
ASKED = {f"node{n}": {"host": f"n{n}"} for n in (1, 2, 3, 4, 5)}


def test_what_ran_is_collected_by_node_and_what_did_not_run_is_left_out() -> None:
    answer = {"failed": False, "reachable": {"10.0.0.2": {"ok": True}}}
    hostvars: dict[str, Any] = {
        "n1": {"answer": answer, "other": {"reachable": {}}},
        "n2": {"answer": {"unreachable": True}},
        "n3": {"answer": {"skipped": True, "changed": False}},
        "n4": {"answer": {"failed": True, "msg": "x"}},
        "n5": {},
    }
    assert seen(ASKED, hostvars, "answer") == {"node1": answer}
    assert seen({}, hostvars, "answer") == {}


@pytest.mark.parametrize("wrong", [None, [], {"node1": {}}, "x"])
def test_other_input_is_refused(wrong: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="calico_autodetection_seen"):
        seen(wrong, {}, "answer")


def test_left_overs_are_lines_and_other_input_is_refused() -> None:
    entry = {"name": "vxlan.calico", "remove": "device", "addresses": [], "reason": "wrong"}
    found = {"node1": {"leftovers": [entry], "blockers": []}}
    assert leftovers(found, True) == ["Left     node1: vxlan.calico: wrong. It is removed."]
    assert len(leftovers(found, False, 50)) > 1
    for wrong in ([], {"node1": {"msg": "x"}}):
        with pytest.raises(AnsibleFilterError, match="calico_autodetection_leftovers"):
            leftovers(wrong, True)
