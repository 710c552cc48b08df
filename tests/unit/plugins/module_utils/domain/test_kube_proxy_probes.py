# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Services are tried on a node."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_proxy_probes as domain
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy_services import (
    SERVICE_NAME,
    trim_service,
    trim_slice,
)


def service(name: str, ip: str, labels: Any = None, **spec: Any) -> dict[str, Any]:
    status = {"loadBalancer": {"ingress": spec.pop("ingress", [])}}
    meta = {"namespace": "default", "name": name, "labels": labels or {}}
    ports = spec.pop("ports", [{"port": 80, "protocol": "TCP"}])
    return trim_service(
        {"metadata": meta, "spec": {"clusterIP": ip, "ports": ports, **spec}, "status": status}
    )


def lively(*names: str) -> list[dict[str, Any]]:
    meta = [{"name": n, "namespace": "default", "labels": {SERVICE_NAME: n}} for n in names]
    # Whose condition nobody tells counts as ready.
    return [trim_slice({"metadata": m, "endpoints": [{}]}) or {} for m in meta]


def test_some_of_each_kind_that_have_end_points() -> None:
    services = [service(f"plain{n}", f"10.96.1.{n}") for n in range(9)]
    node_port = [{"port": 80, "nodePort": 30080, "protocol": "TCP"}]
    services += [service(f"web{n}", f"10.96.2.{n}", ports=node_port) for n in range(9)]
    services += [
        service("kubernetes", "10.96.0.1", ports=[{"port": 443}]),
        service("headless", "None"),
        service("empty", "10.96.0.2"),
        service("udp", "10.96.0.3", ports=[{"port": 53, "protocol": "UDP"}]),
        service("dns", "10.96.0.10", {"k8s-app": "kube-dns"}),
        service("theirs", "10.96.0.4", {"service.kubernetes.io/service-proxy-name": "x"}),
    ]
    names = [s["name"] for s in services if s["name"] not in ("kubernetes", "empty")]
    found = domain.choose(services, lively(*names))
    assert [entry["name"] for entry in found] == [
        *("kubernetes", "web0", "web1", "web2", "plain0", "plain1", "plain2"),
    ]
    assert found[0] == {
        "namespace": "default",
        "name": "kubernetes",
        "cluster_ip": "10.96.0.1",
        "cluster_ips": ["10.96.0.1"],
        "port": 443,
        "node_port": None,
        "load_balancer": None,
        "load_balancers": [],
    }
    assert found[1]["node_port"] == 30080


def test_addresses_that_are_services() -> None:
    services = [
        service("a", "10.96.0.1", externalIPs=["192.0.2.1"]),
        service("b", "10.96.0.2", ingress=[{"hostname": "x"}, {"ip": "192.0.2.2"}]),
    ]
    assert domain.external_ips(services) == {"192.0.2.1": "default/a", "192.0.2.2": "default/b"}
    assert domain.choose(services, lively("b"))[0]["load_balancer"] == "192.0.2.2"


def test_end_points_that_are_not_ready_are_none() -> None:
    slices = lively("a", "b")
    slices[0].update(trim_slice(unready("a")) or {})
    services = [service("a", "10.96.0.1"), service("b", "10.96.0.2")]
    assert [entry["name"] for entry in domain.choose(services, slices)] == ["b"]


def unready(name: str) -> dict[str, Any]:
    meta = {"namespace": "default", "labels": {SERVICE_NAME: name}}
    return {"metadata": meta, "endpoints": [{"conditions": {"ready": False}}]}


def test_each_address_of_a_dual_stack_service_is_kept() -> None:
    both = ["10.96.0.7", "fd00:10:96::7"]
    ingress = [{"ip": "192.0.2.2"}, {"ip": "2001:db8::2"}]
    found = domain.choose([service("a", both[0], clusterIPs=both, ingress=ingress)], lively("a"))
    assert found[0]["cluster_ips"] == both
    assert found[0]["load_balancers"] == ["192.0.2.2", "2001:db8::2"]
