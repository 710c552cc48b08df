# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the fact modules return is what they document, key by key, and in one visit the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.k8snet.cni.plugins.module_utils.node import _facts
from ansible_collections.k8snet.cni.plugins.modules import (
    kube_proxy_facts,
    nic_facts,
    node_facts,
    ovs_facts,
)

MODULES = {"k8snet_ovs": ovs_facts, "k8snet_kube_proxy": kube_proxy_facts}
# Keys of these are data (kinds, destinations, sysctl names ...), not names of the interface.
FREE = {"unlisted", "k8snet_reach", "by_family", "before", "after"}


def documented(module: Any) -> dict[str, Any]:
    facts: dict[str, Any] = yaml.safe_load(module.RETURN)["ansible_facts"]["contains"]
    return facts


def unlike(value: Any, described: dict[str, Any], where: str) -> list[str]:
    """Return the places where a value's keys are not those that the documentation names."""
    contains = described.get("contains")
    if isinstance(value, list):
        return [p for item in value for p in unlike(item, described, where + "[]")]
    if not isinstance(value, dict) or not contains or where.rsplit(".", 1)[-1] in FREE:
        return []
    problems = [f"{where}.{key} undocumented" for key in value.keys() - contains.keys()]
    problems += [f"{where}.{key} missing" for key in contains.keys() - value.keys()]
    for key in value.keys() & contains.keys():
        problems += unlike(value[key], contains[key], f"{where}.{key}")
    return problems


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    found, _backend = _facts.node(
        subsets=["nics"], reach=["127.0.0.1"], reach_timeout=1, include_pod_interfaces=True
    )
    return found


def test_every_key_of_the_nics_is_documented_and_there(facts: dict[str, Any]) -> None:
    described = {"contains": documented(nic_facts)}
    assert unlike(facts, described, "facts") == []


def test_each_destination_has_the_documented_keys(facts: dict[str, Any]) -> None:
    described = documented(nic_facts)["k8snet_reach"]["contains"]
    for entry in facts["k8snet_reach"].values():
        assert set(entry) == set(described)


def test_node_facts_documents_what_the_three_modules_do() -> None:
    whole = documented(node_facts)
    for key, value in documented(nic_facts).items():
        assert whole[key] == value
    for key, module in MODULES.items():
        assert whole[key]["contains"] == documented(module)[key]["contains"], key


@pytest.mark.parametrize("module", [nic_facts, node_facts])
def test_options_have_the_documented_names_and_defaults(module: Any) -> None:
    described = yaml.safe_load(module.DOCUMENTATION)["options"]
    source = Path(module.__file__).read_text()
    for name in described:
        assert f'"{name}"' in source
