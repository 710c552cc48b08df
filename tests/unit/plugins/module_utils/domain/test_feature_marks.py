# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Annotations of Services, Namespaces and Pods: which change, what bars them, what they need."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.k8snet.cni.plugins.filter.antrea_features_columns import (
    antrea_features_columns,
)
from ansible_collections.k8snet.cni.plugins.filter.antrea_features_served import (
    antrea_features_served,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _feature_marks as marks

Obj = dict[str, Any]


def service(kind: str = "LoadBalancer", pool: str | None = None, **spec: Any) -> Obj:
    notes = {marks.POOL: pool} if pool else None
    meta = {"namespace": "shop", "name": "web", "annotations": notes}
    return {"metadata": meta, "spec": {"type": kind, **spec}}


def objects(**found: Any) -> Obj:
    space = {"metadata": {"name": "shop"}}
    pod = {"metadata": {"namespace": "shop", "name": "p", "annotations": {marks.L7: "both"}}}
    pools = [{"metadata": {"name": "dmz"}}]
    return {"services": [service()], "pools": pools, "namespaces": [space], "pods": [pod], **found}


def given(*found: str) -> Obj:
    return {"status": {"loadBalancer": {"ingress": [{"ip": address} for address in found]}}}


def ask(pool: str | None = "dmz", **more: Any) -> Obj:
    return {"external_ips": [{"namespace": "shop", "name": "web", "pool": pool}], **more}


def test_a_service_gets_its_pool_and_loses_it() -> None:
    found, wrong = marks.marks(ask(), objects())
    assert wrong == []
    assert [(m["kind"], m["name"], m["before"], m["after"]) for m in found] == [
        ("Service", "web", None, "dmz")
    ]
    assert marks.words(found[0]) == f"Service shop/web: annotation {marks.POOL} = dmz"
    has = objects(services=[service(pool="dmz")])
    assert marks.marks(ask(), has) == ([], [])
    gone, wrong = marks.marks(ask(None), has)
    assert (gone[0]["before"], gone[0]["after"], wrong) == ("dmz", None, [])
    assert "is taken away" in marks.words(gone[0])


@pytest.mark.parametrize(
    ("options", "found", "words"),
    [
        (ask(), {"services": []}, "There is no Service shop/web."),
        (ask(), {"services": [service("ClusterIP")]}, "of type ClusterIP"),
        (ask(), {"services": [service(loadBalancerClass="metallb")]}, "metallb's"),
        (
            ask(),
            {"services": [{**service(), **given("192.0.2.7")}]},
            "Service shop/web has 192.0.2.7 already, and not from a pool of Antrea",
        ),
        (ask("x"), {}, "There is no ExternalIPPool x for Service shop/web; there are dmz."),
        (ask("x"), {"pools": []}, "there are none. k8snet.cni.antrea_ip_pool makes one."),
        ({"l7_export": [{"namespace": "gone", "direction": "both"}]}, {}, "no Namespace gone"),
        ({"l7_export": [{"namespace": "shop", "pod": "q"}]}, {}, "There is no Pod shop/q."),
        (
            {"l7_export": [{"namespace": "shop", "direction": "out"}]},
            {},
            "direction is out; it must be ingress, egress or both",
        ),
    ],
)
def test_what_bars_an_annotation(options: Obj, found: Obj, words: str) -> None:
    changes, wrong = marks.marks(options, objects(**found))
    assert changes == []
    assert words in wrong[0]


def test_a_service_may_change_its_pool() -> None:
    has = {**service(pool="old"), **given("192.0.2.7")}
    found, wrong = marks.marks(ask(), objects(services=[has]))
    assert ([(m["before"], m["after"]) for m in found], wrong) == ([("old", "dmz")], [])


@pytest.mark.parametrize(
    ("addresses", "served"),
    [
        ((), False),
        (("10.0.0.5",), True),
        (("10.0.0.1",), False),
        (("10.0.0.10",), False),
        (("10.1.0.7",), True),
        (("10.1.1.7",), False),
        (("fd00::5",), False),
        (("10.0.0.5", "192.0.2.7"), False),
        (("name.example.org",), False),
    ],
)
def test_an_address_of_its_pool(addresses: tuple[str, ...], served: bool) -> None:
    ranges = [{"start": "10.0.0.2", "end": "10.0.0.9"}, {"cidr": "10.1.0.0/24"}]
    pools = [{"metadata": {"name": "dmz"}, "spec": {"ipRanges": ranges}}]
    found = {**service(pool="dmz"), **given(*addresses)}
    assert antrea_features_served([found], pools) is served
    assert not antrea_features_served([], pools)
    assert not antrea_features_served([{**found, "metadata": {"name": "web"}}], pools)


def test_wrong_input_is_told() -> None:
    with pytest.raises(AnsibleFilterError, match="must be lists"):
        antrea_features_served({}, [])
    with pytest.raises(AnsibleFilterError, match="not complete"):
        antrea_features_served([{}], [])


def test_flows_of_namespaces_and_pods() -> None:
    asked = [
        {"namespace": "shop", "direction": "Ingress"},
        {"namespace": "shop", "pod": "p", "direction": None},
    ]
    found, wrong = marks.marks({"l7_export": asked}, objects())
    assert wrong == []
    assert [(m["kind"], m["before"], m["after"]) for m in found] == [
        ("Namespace", None, "ingress"),
        ("Pod", "both", None),
    ]


def test_gates_that_annotations_need_and_that_are_not_on() -> None:
    both = ask(l7_export=[{"namespace": "shop", "direction": "both"}])
    on: Obj = {"gates": {"ServiceExternalIP": {"enabled": True}}}
    assert marks.gates(on, both) == {"L7FlowExporter": True}
    assert marks.gates({"gates": {}}, ask()) == {"ServiceExternalIP": True}
    assert marks.gates({"gates": {}}, ask(None)) == {}


@pytest.mark.parametrize(
    ("proxy", "needed"),
    [
        ({"present": True, "mode": "ipvs", "strict_arp": False}, True),
        ({"present": True, "mode": "ipvs", "strict_arp": True}, False),
        ({"present": True, "mode": "iptables", "strict_arp": False}, False),
        ({"present": False, "mode": "ipvs"}, False),
    ],
)
def test_strict_arp_in_ipvs_mode_only(proxy: Obj, needed: bool) -> None:
    assert marks.strict_arp(ask(), proxy) == (needed, [])
    assert marks.strict_arp(ask(None), proxy) == (False, [])


def test_no_strict_arp_while_kube_proxy_is_removed() -> None:
    proxy = {"present": True, "mode": "ipvs", "strict_arp": False, "labelled": ["node2"]}
    needed, wrong = marks.strict_arp(ask(), proxy)
    assert not needed
    assert "its removal is under way on node2" in wrong[0]


def test_columns_that_lack() -> None:
    rows = [{"table": "flows_local", "name": "httpVals"}]
    found = antrea_features_columns(rows)
    assert found["missing"] == ["flows"]
    assert found["statements"] == [
        f"ALTER TABLE default.flows_local ADD COLUMN IF NOT EXISTS {name} String"
        for name in ("appProtocolName", "egressNodeName")
    ]
    with pytest.raises(AnsibleFilterError):
        antrea_features_columns({"data": rows})
