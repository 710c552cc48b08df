# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may leave Open vSwitch, and the words for what may not."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _ovs_bridge as domain


def found(*ports: tuple[str, str]) -> domain.Bridge | None:
    """br-sec with its own port and others, given as name and antrea-type."""
    rows: list[dict[str, Any]] = [{"_uuid": ["uuid", "p"], "name": "br-sec"}]
    for name, kind in ports:
        marks = ["map", [["antrea-type", kind]]]
        rows.append({"_uuid": ["uuid", name], "name": name, "external_ids": marks})
    ids = [row["_uuid"] for row in rows]
    # A set of one travels as that one.
    bridge = {"_uuid": ["uuid", "b"], "name": "br-sec", "ports": ["set", ids] if ports else ids[0]}
    return domain.find([[{"_uuid": ["uuid", "r"]}], [bridge], rows], "br-sec")


def test_none_of_that_name_is_no_change() -> None:
    assert domain.find([[{"_uuid": ["uuid", "r"]}], [], []], "br-sec") is None
    assert domain.find([[], [{"name": "br-sec"}], []], "br-sec") is None
    assert not domain.plan(None).changed


def test_an_empty_one_goes_and_so_does_one_with_named_uplinks() -> None:
    empty = found()
    assert empty is not None
    assert domain.refusal(empty, [], []) is None
    assert domain.plan(empty).describe()[0]["action"] == "Remove bridge br-sec from Open vSwitch."
    assert domain.plan(empty).diff()[0]["before"] == "bridge br-sec: no ports\n"
    two = found(("eth1", "uplink"), ("eth2", "uplink"))
    assert two is not None
    assert domain.refusal(two, ["eth1", "eth2"], []) is None
    assert domain.plan(two).diff()[0]["before"] == "bridge br-sec: eth1, eth2\n"


def test_what_antrea_has_not_marked_or_nobody_has_named_keeps_it() -> None:
    for kind, uplinks in (("host", ["eth1"]), ("uplink", ["eth2"])):
        bridge = found(("eth1", kind))
        assert bridge is not None
        assert "to be removed with it: eth1." in (domain.refusal(bridge, uplinks, []) or "")


def test_the_transaction_fails_when_a_port_has_come_meanwhile() -> None:
    bridge = found(("eth1", "uplink"))
    assert bridge is not None
    wait, mutate, _select = domain.removal(bridge)
    assert (wait["op"], wait["until"], wait["timeout"]) == ("wait", "==", 0)
    assert wait["rows"] == [{"ports": ["set", [["uuid", "p"], ["uuid", "eth1"]]]}]
    assert mutate["mutations"][0] == ["bridges", "delete", ["set", [["uuid", "b"]]]]


def test_long_lists_are_cut() -> None:
    bridge = found(*((f"pod-{n:02}", "container") for n in range(12)))
    assert bridge is not None
    assert "pod-07 and 4 more." in (domain.refusal(bridge, [], []) or "")
