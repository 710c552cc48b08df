# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report: its schema, its catalogue, and the lines a person reads."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _nodes
from ansible_collections.k8snet.cni.plugins.module_utils.domain._findings_model import (
    CATALOGUE,
    SHIPPED_PLAYBOOKS,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._nic_input import parse_nics
from ansible_collections.k8snet.cni.plugins.module_utils.domain._report import report

from tests.unit.audit_world import (
    ETH0,
    antrea,
    calico_ds,
    cluster,
    drift,
    host,
    hosts,
    lo,
    nic,
    node_object,
)

ROOT = Path(__file__).parents[5]
SCHEMA = json.loads((ROOT / "docs/schema/findings.schema.json").read_text())
ETH1 = "10.160.9.22/24"


def incident() -> dict[str, Any]:
    """The report of the founding incident, with an unreachable node beside it."""
    nodes = [node_object(1), node_object(2, stored=ETH1), node_object(3)]
    facts = cluster(nodes, dns=[("coredns-1", "node2")])
    nics = [lo(), nic("eth0", ETH0[2]), nic("eth1", ETH1)]
    inventory = [
        host(1),
        host(2, nics, [drift("added", "eth1", after=[ETH1])]),
        host(3, state="unreachable", error="ssh: connect to host 10.160.1.23 port 22: No route"),
    ]
    return report(facts, inventory)


def test_the_nics_of_a_node_are_read_once_for_all_methods_and_families(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[Any] = []

    def counted(nics: Any) -> Any:
        read.append(nics)
        return parse_nics(nics)

    monkeypatch.setattr(_nodes, "parse_nics", counted)
    found = incident()
    assert len(found["whatif"]["ipv4"]["methods"]) > 2
    assert len(read) == 2, "two nodes were visited"


def as_file(found: dict[str, Any]) -> dict[str, Any]:
    """A report as audit_report writes it."""
    text = json.dumps({k: v for k, v in found.items() if k != "summary"})
    return {"generated_at": "2026-03-01T10:00:00Z", **json.loads(text)}


CANAL = calico_ds(ip="", name="canal", namespace="kube-system", containers=("kube-flannel",))


@pytest.mark.parametrize(
    "found",
    [
        incident(),
        report(cluster(), hosts()),
        report(cluster(available=False), hosts()),
        report(cluster(available=False), []),
        report(cluster([], [], []), []),
        report(cluster(daemonsets=[CANAL], installations=[]), hosts()),
        report(cluster(daemonsets=[antrea()[0]], installations=[]), hosts()),
        report(cluster(daemonsets=[calico_ds("nonsense")], installations=[]), hosts()),
        report(cluster(errors=[{"resource": "pods", "status": 403, "message": "no"}]), hosts()),
    ],
    ids=["incident", "clean", "no cluster", "nothing", "empty", "canal", "antrea", "bad", "403"],
)
def test_reports_are_what_the_schema_says(found: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(as_file(found))


def test_the_schema_refuses_what_it_does_not_know() -> None:
    for change in ({"findings": [{}]}, {"schema_version": 2}, {"more": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**as_file(incident()), **change}, SCHEMA)


def test_counts_and_nodes_tell_the_same_as_the_findings() -> None:
    found = incident()
    assert found["counts"] == {"critical": 2, "warning": 0, "info": 0, "nodes": 3, "visited": 2}
    assert {n["name"]: n["findings"] for n in found["nodes"]} == {
        "node1": [],
        "node2": ["CAL001"],
        "node3": ["NOD003"],
    }


def test_the_what_if_table_has_a_row_per_visited_node_and_names_the_good_methods() -> None:
    table = incident()["whatif"]["ipv4"]
    assert sorted(table["nodes"]) == ["node1", "node2"]
    assert table["in_use"] == "first-found"
    assert table["nodes"]["node2"]["first-found"]["address"] == ETH1
    assert "first-found" not in table["internal_ip_everywhere"]
    assert "kubernetes-internal-ip" in table["internal_ip_everywhere"]


def test_the_summary_begins_with_the_counts_and_the_worst() -> None:
    lines = incident()["summary"]
    assert lines[0] == "AUDIT    2 critical, 0 warnings, 0 info; 2 of 3 nodes visited"
    assert lines[4] == "CRITICAL CAL001  node2"


def test_no_line_of_the_summary_is_wider_than_asked_except_commands() -> None:
    lines = report(cluster(available=False), hosts(), {"width": 64})["summary"]
    assert max(len(line) for line in lines if "ansible-playbook" not in line) <= 64


def test_commands_of_the_summary_can_be_pasted() -> None:
    (line,) = [x for x in incident()["summary"] if "kubectl" in x]
    words = shlex.split(line)
    assert words[:4] == ["kubectl", "--context", "lab", "patch"]
    assert json.loads(words[-1])[0]["value"] == {"kubernetes": "NodeInternalIP"}


def test_the_summary_names_the_playbook_that_ships_beside_the_command_and_only_once() -> None:
    lines = [line.strip() for line in incident()["summary"]]
    assert (
        "or: ansible-playbook k8snet.cni.calico_autodetection -i <inventory> "
        "-e calico_autodetection_method_v4=kubernetes-internal-ip"
    ) in lines
    changes = [drift("added", "eth9", after=[])]
    alone = report(cluster(), [host(1, changes=changes), host(2), host(3)])
    assert alone["findings"][0]["remedy"]["playbook"] == "k8snet.cni.baseline"
    assert sum("k8snet.cni.baseline" in line for line in alone["summary"]) == 1


def test_the_summary_shows_the_pick_of_each_method_aligned() -> None:
    lines = incident()["summary"]
    start = next(i for i, x in enumerate(lines) if x.startswith("picks"))
    columns = {x.index("10.160.") for x in (lines[start], lines[start + 1], lines[start + 3])}
    assert len(columns) == 1
    assert lines[start].endswith("in use")
    assert lines[start + 1].endswith("InternalIP")


def test_many_findings_are_cut_in_the_summary_and_counted() -> None:
    changes = [drift("added", f"eth{n}", after=[]) for n in range(1, 31)]
    found = report(cluster(), [host(1, changes=changes), host(2), host(3)])
    assert len(found["findings"]) == 30
    assert "... and 18 findings more in findings.json." in found["summary"]


def test_a_clean_audit_says_so() -> None:
    assert "Nothing to report." in report(cluster(), hosts())["summary"]


def test_canal_and_antrea_are_named_in_the_summary() -> None:
    canal = report(cluster(daemonsets=[CANAL], installations=[]), hosts())["summary"]
    assert any("as Canal: flannel" in x for x in canal)
    ds, maps = antrea()
    both = report(cluster(daemonsets=[ds], installations=[], config_maps=maps), hosts())["summary"]
    assert "Antrea   v2.3.0, proxyAll on, kube-proxy absent" in both


@pytest.mark.parametrize("ident", CATALOGUE)
def test_every_finding_has_a_page(ident: str) -> None:
    page = (ROOT / f"docs/findings/{ident}.md").read_text()
    title, severity = CATALOGUE[ident]
    assert f"# {ident}: {title}\n" in page
    assert f"Severity: {severity}" in page
    for part in ("What was seen", "Why it matters", "How to repair it", "What repairing does"):
        assert f"## {part}\n" in page


def test_there_are_no_pages_of_unknown_findings() -> None:
    pages = {p.stem for p in (ROOT / "docs/findings").glob("*.md")} - {"README"}
    assert pages == set(CATALOGUE)


def test_playbooks_that_count_as_shipped_exist_and_no_other_of_a_remedy_does() -> None:
    there = {f"k8snet.cni.{p.stem}" for p in (ROOT / "playbooks").glob("*.yml")}
    assert there >= SHIPPED_PLAYBOOKS
    named = {
        "k8snet.cni.calico_autodetection",
        "k8snet.cni.antrea_flow_restore",
        "k8snet.cni.kube_proxy_removal",
    }
    assert there & named <= SHIPPED_PLAYBOOKS


def test_methods_of_many_parts_are_not_offered() -> None:
    def table(prefix: int, count: int) -> list[str]:
        nodes, inventory = [], []
        for number in range(count):
            address = f"10.0.{number}.5"
            nodes.append(node_object(1, f"{address}/{prefix}", [address], name=f"n{number}"))
            inventory.append(
                host(1, name=f"n{number}", nics=[nic(f"ens{number}", f"{address}/{prefix}")])
            )
        methods: list[str] = report(cluster(nodes), inventory)["whatif"]["ipv4"]["methods"]
        return methods

    assert [m.partition("=")[0] for m in table(32, 8)][2:] == ["cidr", "interface"]
    assert [m.partition("=")[0] for m in table(32, 9)] == ["first-found", "kubernetes-internal-ip"]
    assert "cidr=10.0.0.0/20" in table(24, 16)


def test_words_of_a_node_cannot_steer_the_terminal() -> None:
    nasty = host(2, state="failed", error="gone\x1b[2J\x1b]0;all is well\x07 \u202eend")
    lines = report(cluster(), [host(1), nasty, host(3)])["summary"]
    assert all(line.isprintable() for line in lines)
    assert "gone?[2J?]0;all is well? ?end" in " ".join(" ".join(lines).split())
