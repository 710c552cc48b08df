# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What AntreaProxy cannot do of a cluster's Services; its Service networks and DNS."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_services as services,
)

Obj = dict[str, Any]


def service(name: str, labels: Obj | None = None, **spec: Any) -> Obj:
    meta = {"namespace": "default", "name": name, "labels": labels}
    return services.trim_service({"metadata": meta, "spec": spec})


def part(name: str, count: int, family: str = "IPv4") -> Obj:
    meta = {"namespace": "default", "labels": {"kubernetes.io/service-name": name}}
    found = services.trim_slice(
        {"metadata": meta, "addressType": family, "endpoints": [{}] * count}
    )
    assert found is not None
    return found


def long(seconds: int) -> Obj:
    config = {"clientIP": {"timeoutSeconds": seconds}}
    return {"sessionAffinity": "ClientIP", "sessionAffinityConfig": config}


def test_each_limit_is_found_and_what_is_just_within_is_not() -> None:
    found = services.limits(
        [
            service("plain"),
            service("ranges", loadBalancerSourceRanges=["10.0.0.0/8"]),
            service("big"),
            service("full"),
            service("dual"),
            service("long", **long(65536)),
            service("short", **long(65535)),
            service("other", {"service.kubernetes.io/service-proxy-name": "x"}, **long(86400)),
        ],
        [
            *[part("big", 100) for _number in range(8)],
            part("big", 1),
            part("full", 800),
            # Each family counts for itself.
            part("dual", 500),
            part("dual", 500, "IPv6"),
        ],
    )
    assert {f["name"]: f["limits"] for f in found} == {
        "ranges": ["loadBalancerSourceRanges"],
        "big": ["endpoints>800"],
        "long": ["affinity>65535"],
        "other": ["affinity>65535", "service-proxy-name"],
    }


def test_the_clusters_dns_is_found_beside_node_local_dns() -> None:
    ports = [
        {"name": "metrics", "port": 9153, "protocol": "TCP"},
        {"name": "dns", "port": 53, "protocol": "UDP"},
    ]
    label = {"k8s-app": "kube-dns"}
    upstream = service("kube-dns-upstream", label, clusterIP="10.96.7.7", ports=ports)
    dns = service("kube-dns", label, clusterIPs=["10.96.0.10", "fd00::a"], ports=ports)
    headless = service("a", label, clusterIP="None")
    assert services.dns_of([headless, upstream, dns]) == {
        "service": "default/kube-dns",
        "ip": "10.96.0.10",
        "ips": ["10.96.0.10", "fd00::a"],
        "port": 53,
    }
    assert services.dns_of([service("b", clusterIP="10.0.0.1")]) is None


def test_service_networks_come_from_the_surest_source() -> None:
    objects = [{"spec": {"cidrs": ["10.96.0.0/12", "fd00::/108"]}}]
    kubeadm = {"networking": {"serviceSubnet": "10.1.0.0/16,fd01::/108"}}
    command = ["kube-apiserver", "--service-cluster-ip-range=10.2.0.0/16"]
    assert services.cidrs_of(objects, kubeadm, command) == ["10.96.0.0/12", "fd00::/108"]
    assert services.cidrs_of(None, kubeadm, command) == ["10.1.0.0/16", "fd01::/108"]
    assert services.cidrs_of([], None, command) == ["10.2.0.0/16"]
    assert services.cidrs_of(None, {"networking": None}, []) == []
