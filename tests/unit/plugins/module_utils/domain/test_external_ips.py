# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is kept of Services, Nodes and pods."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain._external_ips import (
    few,
    trim_node,
    trim_pod,
    trim_service,
)

Obj = dict[str, Any]


def test_a_service_with_all_its_addresses() -> None:
    pool = {"service.antrea.io/external-ip-pool": "vlan181"}
    service = {
        "metadata": {"namespace": "web", "name": "a", "annotations": pool},
        "spec": {
            "clusterIPs": ["10.96.0.9", "fd00::9"],
            "clusterIP": "10.96.0.9",
            "loadBalancerIP": "192.0.2.1",
            "externalIPs": ["192.0.2.2"],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "lb"}]}},
    }
    assert trim_service(service) == {
        "name": "web/a",
        "pool": "vlan181",
        "addresses": ["10.96.0.9", "fd00::9", "192.0.2.1", "192.0.2.2"],
    }
    service["status"]["loadBalancer"]["ingress"] = [{"ip": "192.0.2.3"}]
    assert "192.0.2.3" in trim_service(service)["addresses"]


def test_a_service_without_addresses() -> None:
    bare = {"metadata": {"namespace": "web", "name": "a"}}
    assert trim_service(bare) == {"name": "web/a", "pool": None, "addresses": []}
    for spec, addresses in (
        ({"clusterIP": "None"}, []),
        ({"clusterIP": "10.96.0.9"}, ["10.96.0.9"]),
    ):
        assert trim_service({**bare, "spec": spec})["addresses"] == addresses


def test_a_node_with_all_its_addresses() -> None:
    transport = {"node.antrea.io/transport-addresses": "10.0.1.1, 10.0.0.1"}
    node = {
        "metadata": {"name": "n", "labels": {"a": "b"}, "annotations": transport},
        "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00:1::/64"]},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
            "conditions": [
                {"type": "DiskPressure", "status": "False"},
                {"type": "Ready", "status": "True"},
            ],
        },
    }
    assert trim_node(node) == {
        "name": "n",
        "labels": {"a": "b"},
        "addresses": ["10.0.0.1", "10.0.1.1"],
        "pod_cidrs": ["10.244.1.0/24", "fd00:1::/64"],
        "ready": True,
    }
    node["spec"] = {"podCIDR": "10.244.1.0/24"}
    node["status"]["conditions"][1]["status"] = "Unknown"
    assert trim_node(node)["pod_cidrs"] == ["10.244.1.0/24"]
    assert not trim_node(node)["ready"]
    assert trim_node({"metadata": {"name": "n"}}) == {
        "name": "n",
        "labels": {},
        "addresses": [],
        "pod_cidrs": [],
        "ready": False,
    }


@pytest.mark.parametrize(
    ("spec", "status", "kept"),
    [
        ({"nodeName": "n"}, {"phase": "Running"}, True),
        ({"nodeName": "n"}, {}, True),
        ({"nodeName": "n"}, {"phase": "Succeeded"}, False),
        ({"nodeName": "n"}, {"phase": "Failed"}, False),
        ({}, {"phase": "Pending"}, False),
        ({"nodeName": "n", "hostNetwork": True}, {"phase": "Running"}, False),
    ],
)
def test_a_pod_that_an_egress_may_apply_to(spec: Obj, status: Obj, kept: bool) -> None:
    pod = {"metadata": {"namespace": "web", "name": "p"}, "spec": spec, "status": status}
    found = {"namespace": "web", "name": "p", "labels": {}}
    assert trim_pod(pod) == (found if kept else None)


def test_many_names_are_cut() -> None:
    names = [f"p{n}" for n in range(21)]
    assert few(names[:20]) == ", ".join(names[:20])
    assert few(names).endswith("p19 and 1 more")
