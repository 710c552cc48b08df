# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Failures as ansible-core and kubernetes.core tell them, and what a role says of them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.filter.failure import failure
from ansible_collections.k8snet.cni.plugins.module_utils.domain._failure import sentence

ABOVE = "What the task printed above says more."
STATUS = (
    'Failed to patch object: {"kind":"Status","apiVersion":"v1","status":"Failure",'
    '"message":"nodes \\"w1\\" is forbidden","reason":"Forbidden","code":403}'
)


def items(*results: dict[str, Any]) -> dict[str, Any]:
    return {"failed": True, "msg": "One or more items failed", "results": list(results)}


@pytest.mark.parametrize("action", ["assert", "ansible.builtin.fail", "k8snet.cni.antrea_agent"])
def test_a_message_of_our_own_is_told_as_it_is(action: str) -> None:
    said = "node2: eth1 is not on br-secondary."
    assert sentence({"msg": said}, "See", action, "node2") == said
    assert sentence({"msg": "It is not."}, "See", action, "node2") == "node2: It is not."
    assert sentence({"msg": "It is not."}, "See", action, "localhost") == "It is not."


def test_a_host_is_named_whose_name_is_part_of_another_only() -> None:
    for other in ("node12", "my-node1", "a.node1"):
        assert sentence({"msg": f"{other} ails"}, "S", "fail", "node1") == f"node1: {other} ails."


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"msg": ""}, "it gave no reason."),
        ({"msg": "Task failed: Action failed: Unknown error."}, "it gave no reason."),
        ({"msg": "Unknown error.", "attempts": 20}, "it was not as expected after 20 tries."),
        ({"msg": "Assertion failed", "assertion": "a == b"}, "not so: a == b."),
        ({"msg": "non-zero return code", "rc": 3}, "it ended with 3."),
        ({"msg": "non-zero return code", "rc": 3, "stderr": "x\nno such file"}, "no such file."),
        ({"msg": "Timeout when waiting for 10.0.0.1:6443"}, "Timeout when waiting for 10.0.0.1:"),
        ({"msg": "Task failed: Module failed: boom\n at x"}, "boom at x."),
        ({"msg": "a secret", "_ansible_no_log": True}, "it is not told why,"),
    ],
)
def test_a_foreign_message_is_told_with_host_and_task(result: dict[str, Any], reason: str) -> None:
    said = sentence(result, "Wait", "ansible.builtin.wait_for", "node1")
    assert said.startswith(f"node1: task 'Wait' failed: {reason}")
    assert said.endswith(ABOVE)
    assert "secret" not in said.removesuffix("secrets. " + ABOVE)


def test_an_assert_or_module_of_ours_without_words_is_named() -> None:
    assert sentence({"msg": "Assertion failed", "assertion": "x"}, "See", "assert") == (
        f"Task 'See' failed: not so: x. {ABOVE}"
    )
    crashed = {"msg": "Task failed: Module failed: 'NoneType' object"}
    assert "task 'Judge' failed: 'NoneType'" in sentence(crashed, "Judge", "k8snet.cni.x", "n1")


def test_of_a_loop_the_items_speak_once_each_with_their_names() -> None:
    bad = {"failed": True, "msg": "Timeout", "item": "10.0.0.1:6443"}
    found = sentence(items(bad, {"msg": "fine"}, bad), "Wait", "wait_for", "n1")
    assert found == f"n1: task 'Wait' failed: 10.0.0.1:6443: Timeout. {ABOVE}"
    lost = {"unreachable": True, "msg": "no route", "_ansible_item_label": 7}
    assert "7: no route." in sentence(items(lost))
    whole = {"failed": True, "msg": "bad", "item": {"name": "x"}}
    assert sentence(items(whole), "See", "fail") == "bad."


def test_an_api_server_is_quoted_by_its_message_and_a_right_by_its_remedy() -> None:
    found = sentence({"msg": STATUS, "status": 403}, "Give", "kubernetes.core.k8s", "n1")
    assert found == (
        "n1: task 'Give' failed: Failed to patch object: nodes \"w1\" is forbidden. "
        "docs/rbac/remediation.yml holds the role that the account needs."
    )
    assert "remediation.yml" in sentence({"msg": STATUS}, "Give", "kubernetes.core.k8s")
    assert '{"kind":"Status",' in sentence({"msg": 'x {"kind":"Status", cut'}, "G", "k8s")


def test_what_is_long_is_cut_and_what_is_no_result_is_told() -> None:
    assert len(sentence({"msg": "x" * 5000}, "T", "command")) < 800
    assert failure("odd") == f"A task failed: odd. {ABOVE}"
    assert failure({"msg": "node1 ails."}, "T", "fail", "node1") == "node1 ails."
