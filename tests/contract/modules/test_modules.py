# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module must obey, none exempt."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.contract.modules.harness import CHECKOUT, MODULES, SECRET, Case, run_cases

CASES = {
    # Before the Egress that takes an address of it.
    "antrea_ip_pool": Case(
        {
            "name": "contract",
            "ip_ranges": [{"start": "172.18.181.10", "end": "172.18.181.20"}],
            "node_selector": {},
            "subnet": {"gateway": "172.18.181.1", "prefix_length": 24, "vlan": 181},
        },
        changes=True,
    ),
    "antrea_agent": Case({"node": "node1"}),
    "antrea_config": Case(
        {
            "agent": {"transportInterface": "eth1"},
            "feature_gates": {"SecondaryNetwork": True, "AntreaIPAM": True},
        },
        changes=True,
    ),
    # No agent runs here, which it tells.
    "antrea_gates": Case({"expected": {"Egress": True}}),
    "antrea_egress": Case(
        {
            "name": "contract",
            "pool": "contract",
            "applied_to": {"namespace_selector": {"matchLabels": {"app": "contract"}}},
            "wait": False,
        },
        changes=True,
    ),
    "antrea_info": Case({"review": True}),
    # No pod is here, which it tells.
    "egress_probe": Case({"pods": ["10.244.1.10"], "address": "192.0.2.1", "port": 80}),
    "audit_report": Case(
        {
            "path": "/var/lib/reports/new",
            "report": {
                "counts": {"critical": 0, "warning": 0, "info": 0, "nodes": 0, "visited": 0},
                "findings": [],
                "summary": [],
            },
        },
        changes=True,
        writes_in_check_mode=True,
    ),
    "calico_autodetection": Case(
        {
            "method_v4": "kubernetes-internal-ip",
            "hold": {"mode": "min-ready-seconds", "min_ready_seconds": 60},
        },
        changes=True,
    ),
    "calico_info": Case({"review": True}),
    "calico_interfaces": Case({"uses": [], "local_v4": "127.0.0.1", "pods": []}),
    "calico_rollout": Case({"wait": "none"}),
    "cluster_info": Case({"host": "https://127.0.0.1:1", "api_key": SECRET, "required": False}),
    "flow_restore_guard": Case({"state": "absent"}),
    # Read before it is removed: the world has it stopped on every node.
    "kube_proxy_info": Case({"review": True}),
    "kube_proxy": Case({"state": "absent"}, changes=True),
    "kube_proxy_facts": Case(),
    # Its changes need rules to remove: tests/integration/kube_proxy/test_rules_netns.py.
    "kube_proxy_rules": Case({"run_id": "contract"}),
    # Without systemd, as here, a checkpoint can be armed nowhere: what is none can be removed.
    "network_checkpoint": Case({"state": "absent", "id": "contract"}),
    "nic_baseline": Case({"state": "recorded"}, changes=True),
    "nic_facts": Case(),
    "node_facts": Case({"reach": ["127.0.0.1"]}),
    "node_probe": Case({"targets": [{"name": "self", "address": "127.0.0.1"}], "ports": [1]}),
    # There is none here to remove: tests/integration/ovs/test_bridge.py.
    "ovs_bridge": Case({"name": "br-secondary", "uplinks": ["eth1"]}),
    "ovs_facts": Case(),
    "ovs_flow_restore_wait": Case({"wait_timeout": 5}),
    "run_lock": Case({"run_id": "contract"}, changes=True),
    "service_probe": Case(
        {"connections": [{"name": "self", "address": "127.0.0.1", "port": 1}], "timeout": 0.2}
    ),
    "show": Case({"lines": ["a line"]}),
    "undo_bundle": Case(
        {"run_id": "contract", "dir": "/var/lib/undo", "content": {"calico": {}}}, changes=True
    ),
    "vlan_probe": Case({"interface": "wire", "vlan": 181, "targets": ["192.0.2.1"], "listen": 0.5}),
}
REPORTS = [module for module, case in CASES.items() if case.writes_in_check_mode]
Results = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return run_cases(CASES, tmp_path_factory.mktemp("contract"))


def documentation(module: str, block: str) -> Any:
    source = (CHECKOUT / "plugins" / "modules" / f"{module}.py").read_text()
    start = source.index(f"{block} = r")
    opening = source.index('"""', start) + 3
    return yaml.safe_load(source[opening : source.index('"""', opening)])


def test_no_module_is_exempt_from_the_contract() -> None:
    assert sorted(CASES) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_a_module_documents_its_promises(module: str) -> None:
    declared = documentation(module, "DOCUMENTATION")
    fragments = declared["extends_documentation_fragment"]
    assert any(name.startswith("k8snet.cni.attributes") for name in fragments)
    facts_only = "k8snet.cni.attributes.facts" in fragments
    for attribute in ("check_mode", "diff_mode", "idempotent"):
        assert facts_only or declared["attributes"][attribute]["support"]


@pytest.mark.parametrize("module", [m for m in MODULES if m not in REPORTS])
def test_check_says_changed_exactly_when_apply_changes(module: str, results: Results) -> None:
    run = results[module]
    assert run["check"]["changed"] == run["apply"]["changed"] == CASES[module].changes


@pytest.mark.parametrize("module", [m for m in MODULES if m not in REPORTS])
def test_the_diff_of_check_is_the_diff_of_apply(module: str, results: Results) -> None:
    run = results[module]
    assert run["check"].get("diff") == run["apply"].get("diff")
    assert bool(run["apply"].get("diff")) == CASES[module].changes


@pytest.mark.parametrize("module", REPORTS)
def test_a_report_is_written_in_check_mode_so_apply_has_nothing_left(
    module: str, results: Results
) -> None:
    run = results[module]
    assert run["check"]["changed"]
    assert not run["apply"]["changed"]
    assert run["after check"]["stdout"] != run["before"]["stdout"]


@pytest.mark.parametrize("module", MODULES)
def test_a_second_apply_changes_nothing(module: str, results: Results) -> None:
    assert not results[module]["apply again"]["changed"]
    assert not results[module]["check again"]["changed"]
    assert results[module]["after all"]["stdout"] == results[module]["after apply"]["stdout"]


@pytest.mark.parametrize("module", [m for m in MODULES if m not in REPORTS])
def test_check_mode_never_writes(module: str, results: Results) -> None:
    assert results[module]["after check"]["stdout"] == results[module]["before"]["stdout"]


@pytest.mark.parametrize("module", [m for m in MODULES if m not in REPORTS])
def test_apply_writes_exactly_when_it_says_changed(module: str, results: Results) -> None:
    run = results[module]
    written = run["after apply"]["stdout"] != run["after check"]["stdout"]
    assert written == run["apply"]["changed"]


def test_no_secret_reaches_any_output(results: Results) -> None:
    assert SECRET not in str(results)
