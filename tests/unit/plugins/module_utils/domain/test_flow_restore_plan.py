# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run would clear, what it leaves alone, and whom it sends to the console."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _flow_restore_plan as domain

STUCK = {"act": True, "stuck": True, "code": "cut_off", "reason": "It is cut off.", "warnings": []}
REFUSED = {"act": False, "stuck": True, "code": "refused", "reason": "Policies.", "warnings": []}
YOUNG = {"act": False, "stuck": False, "code": "agent_young", "reason": "Wait.", "warnings": []}
CLEAN = {"act": False, "stuck": False, "code": "not_set", "reason": "Not set.", "warnings": []}


def node(number: int, system: str = "linux") -> dict[str, Any]:
    ip = f"10.0.0.{number}"
    return {
        "name": f"w{number}",
        "internal_ips": [ip],
        "os": system,
        "hostname": f"w{number}",
        "ready": None,
    }


def host(number: int, verdict: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    ip = f"10.0.0.{number}"
    state = "visited" if verdict else "unreachable"
    base = {"name": f"host{number}", "state": state, "error": None, "node_name": None}
    base |= {"address": ip, "facts": {}, "verdict": verdict, "through": ip if verdict else None}
    return {**base, "tried": [] if verdict else [[ip, "timed out"]], **more}


CLUSTER: dict[str, Any] = {
    "nodes": [node(n) for n in range(1, 6)],
    "antrea": {
        "namespace": "kube-system",
        "config_map": "antrea-config",
        "secondary_bridges": [{"name": "br-sec", "interfaces": ["eth0"]}],
    },
}


def test_each_node_has_its_fate() -> None:
    hosts = [host(1, CLEAN), host(2, STUCK), host(3, REFUSED), host(4), host(5, YOUNG)]
    found = domain.plan(CLUSTER, {"w4": 240.4}, hosts)
    assert (found["to_clear"], found["to_guard"]) == (["host2"], [])
    unreached = "w4 cannot be reached: its page says what to type at its console."
    assert found["left"] == ["w3: Policies.", unreached, "w5: Wait."]
    table = {line.split()[0]: line for line in found["lines"][1:6]}
    assert table["w1"].endswith("not set")
    assert table["w2"].endswith("clear")
    assert table["w3"].endswith("REFUSED")
    assert table["w4"].endswith("console")
    assert table["w5"].endswith("leave")
    assert "w5: Wait." in found["lines"]
    assert found["lines"][-2:] == ["To clear: host2.", "Left to you: 3 nodes."]
    (page,) = found["pages"]
    assert (page["host"], page["file"]) == ("host4", "host4.txt")
    text = "\n".join(page["lines"])
    for known in (
        "NODE w4",
        "10.0.0.4: timed out",
        "240 s ago",
        "Unknown",
        "eth0 on bridge br-sec",
    ):
        assert known in text
    assert "-l host4,localhost" in text


def test_one_of_several_goes_first() -> None:
    found = domain.plan(CLUSTER, {}, [host(2, STUCK), host(1, STUCK)])
    assert found["to_clear"] == ["host1", "host2"]
    assert [line.rpartition("  ")[2] for line in found["lines"][1:3]] == ["clear first", "clear"]


def test_without_the_cluster_hosts_stand_for_themselves() -> None:
    access = {"available": False, "error": "Nobody answers at https://api:6443."}
    found = domain.plan(
        {"nodes": [], "antrea": {}, "access": access}, {}, [host(1, STUCK), host(2)]
    )
    assert found["to_clear"] == ["host1"]
    assert "NODE host2" in found["pages"][0]["lines"][0]
    assert "NOT SEEN  The cluster: Nobody answers at https://api:6443." in found["lines"]


def test_nodes_without_a_host_are_told() -> None:
    lines = domain.plan(CLUSTER, {}, [host(n, CLEAN) for n in (1, 2, 3)])["lines"]
    assert "NOT SEEN  No host of this run is Node w4, w5." in lines
    assert lines[-1] == "Nothing is to be done."
    assert not any(
        "NOT SEEN" in t for t in domain.plan(CLUSTER, {}, [host(n) for n in range(1, 6)])["lines"]
    )


def test_a_second_host_of_a_node_is_looked_at_too() -> None:
    again = {**host(1, STUCK), "name": "alias", "node_name": None}
    found = domain.plan(CLUSTER, {}, [host(1, CLEAN), again])
    assert found["to_clear"] == ["alias"]


def test_a_node_whose_agent_reports_may_only_lack_ssh() -> None:
    (sentence,) = domain.plan(CLUSTER, {"w4": 20.0}, [host(4)])["left"]
    assert sentence.startswith("w4 cannot be reached, though its agent reported 20 s ago: ")


def test_the_guard_goes_where_somebody_answers() -> None:
    found = domain.plan(CLUSTER, {}, [host(1, CLEAN), host(2, REFUSED), host(4)], "present")
    assert found["to_guard"] == ["host1", "host2"]
    assert found["lines"][-1] == "Guard present: on 2 nodes."


def test_hosts_have_their_nodes_addresses() -> None:
    hosts = [host(1), {**host(2), "name": "stranger", "address": "192.0.2.1"}]
    known = {"host1": {"name": "w1", "internal_ips": ["10.0.0.1"]}}
    assert domain.nodes_of(CLUSTER, hosts) == known


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b", ".hidden", "n\nm", "\u00fc", "x" * 300, ""]
)
def test_a_page_stays_in_its_folder_whatever_the_name(name: str) -> None:
    found = domain.file_name(name)
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,120}\.txt", found)
    assert found != domain.file_name(name + "?")


def test_a_plain_name_is_the_pages() -> None:
    assert domain.file_name("w1.example.org") == "w1.example.org.txt"


def test_a_node_that_could_not_be_judged_is_left_to_people() -> None:
    # The verdict of a visit that failed later says nothing.
    failed = host(1, STUCK, state="failed", error="no Python")
    found = domain.plan(CLUSTER, {}, [failed])
    assert found["to_clear"] == []
    assert found["left"] == ["w1 could not be examined: no Python"]
    assert found["lines"][1].endswith("could not be examined")


def test_what_clearing_brings_is_told_beforehand() -> None:
    verdict = {**STUCK, "warnings": ["Network policies are off on br-int."]}
    lines = domain.plan(CLUSTER, {}, [host(1, verdict)])["lines"]
    assert "WARNING  w1: Network policies are off on br-int." in lines


def test_a_long_list_shows_first_where_something_is_done() -> None:
    cluster = {**CLUSTER, "nodes": [node(n) for n in range(1, 101)]}
    hosts = [host(n, STUCK if n == 100 else CLEAN) for n in range(1, 101)]
    lines = domain.plan(cluster, {}, hosts)["lines"]
    assert lines[1].startswith("w100 ")
    assert "... and 40 more" in lines
