# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run would clear, what it leaves alone, and whom it sends to the console."""

from __future__ import annotations

from typing import Any

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
    found = domain.plan(CLUSTER, {"w4": 90}, hosts)
    assert found["clear"] == ["host2"]
    unreached = "w4 cannot be reached: its page says what to type."
    assert found["left"] == ["w3: Policies.", unreached, "w5: Wait."]
    table = {line.split()[0]: line for line in found["lines"][1:6]}
    assert table["w1"].endswith("not set")
    assert table["w2"].endswith("clear")
    assert table["w3"].endswith("REFUSED")
    assert table["w4"].endswith("console")
    assert table["w5"].endswith("leave")
    assert "w5: Wait." in found["lines"]
    page = "\n".join(found["pages"]["host4"])
    assert list(found["pages"]) == ["host4"]
    for known in ("NODE w4", "10.0.0.4: timed out", "90 s ago", "Unknown", "eth0 on bridge br-sec"):
        assert known in page


def test_without_the_cluster_hosts_stand_for_themselves() -> None:
    found = domain.plan({"nodes": [], "antrea": {}}, {}, [host(1, STUCK), host(2)])
    assert (found["clear"], list(found["pages"])) == (["host1"], ["host2"])
    assert "NODE host2" in found["pages"]["host2"][0]


def test_a_node_that_could_not_be_judged_is_left_to_people() -> None:
    failed = host(1, state="failed", error="no Python")
    found = domain.plan(CLUSTER, {}, [failed])
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
