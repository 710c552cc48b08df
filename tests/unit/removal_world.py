# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster whose kube-proxy may go, as the modules report it."""

from __future__ import annotations

from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_proxy, _removal_plan

Obj = dict[str, Any]
URL = "https://10.160.1.1:6443"
CLUSTER_IP, DNS_IP = "10.96.0.1", "10.96.0.10"


def facts(mode: str | None = "iptables", running: bool = True) -> Obj:
    """k8snet_kube_proxy of a node on which kube-proxy runs, or of a clean one (None)."""
    found = _kube_proxy.facts(_kube_proxy.Observed(running=running))
    if mode:
        entry = {"backend": "nft", "family": "ip", "table": "nat", "chains": 9, "kept": 0}
        more = {"by_kind": {"KUBE-SERVICES": 1, "KUBE-SVC-*": 8}, "rules": 20, "complete": True}
        jump = '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
        found["residue"]["iptables"] = [{**entry, **more, "jumps": [jump]}]
        found["counts"].update(chains=9, rules=20, jumps=1)
    if mode == "ipvs":
        found["residue"]["kube_ipvs0"] = {"addresses": 1, "sample": [CLUSTER_IP]}
        found["residue"]["virtual_servers"] = {"count": 2, "destinations": 2, "sample": []}
        found["residue"]["ipsets"] = [{"name": "KUBE-CLUSTER-IP", "type": "hash", "entries": 1}]
        found["counts"].update(virtual_servers=2)
    if mode == "nftables":
        found["residue"]["iptables"] = []
        found["residue"]["nft_tables"] = [{"family": "ip", "name": "kube-proxy", "chains": 7}]
        found["counts"].update(chains=0, nft_tables=1)
    found["survivors"] = [
        {
            "what": "chains",
            "owner": "kubelet",
            "backend": "nft",
            "family": "ip",
            "table": "filter",
            "count": 1,
            "sample": ["KUBE-FIREWALL"],
        }
    ]
    return found


def entry(name: str, pod: bool, error: str | None = None) -> Obj:
    """What service_probe says of one Service."""
    ok = error is None
    where = {"address": CLUSTER_IP, "port": 443, "netns": "host"}
    return {"name": name, "pod": pod, "ok": ok, "error": error, **where}


def probe() -> Obj:
    """What service_probe returns where all is well."""
    api = {"url": URL, "host": "10.160.1.1", "port": 6443, "addresses": ["10.160.1.1"]}
    return {
        "api": {**api, "local": [], "ok": True, "status": 200, "error": None},
        "proxy_mode": "iptables",
        "connections": [entry("default/kubernetes", pod) for pod in (False, True)],
        "dns": [entry(f"DNS over {p}", pod) for p in ("UDP", "TCP") for pod in (False, True)],
        "main_routes": {CLUSTER_IP: "antrea-gw0", DNS_IP: "antrea-gw0"},
        "problems": [],
    }


def reach(interface: str = "antrea-gw0") -> Obj:
    """The ways of a node."""
    return {
        CLUSTER_IP: {"interface": interface, "error": None},
        DNS_IP: {"interface": interface, "error": None},
        "10.160.1.1": {"interface": "eth0", "error": None},
    }


def host(name: str, **changes: Any) -> Obj:
    """An inventory host as the play of visits leaves it."""
    number = name.removeprefix("node")
    nic = {
        "name": "eth0",
        "role": "primary",
        "addresses": [{"address": f"10.160.1.2{number}", "prefix": 24, "family": "inet"}],
    }
    node_facts = {
        "k8snet_node": {"hostname": name},
        "k8snet_nics": [nic],
        "k8snet_kube_proxy": facts(),
        "k8snet_reach": reach(),
    }
    made = {
        "name": name,
        "state": "visited",
        "error": "",
        "node_name": None,
        "address": f"10.160.1.2{number}",
        "facts": node_facts,
        "probe": probe(),
        "rules": {"plan": [], "kept": []},
    }
    return {**made, **changes}


def lost(name: str) -> Obj:
    """A host that could not be reached."""
    return host(name, state="unreachable", error="no route", facts={}, probe={}, rules={})


def cluster(*names: str, kubelet: str = "v1.31.2") -> Obj:
    """k8snet_cluster."""
    return {
        "nodes": [
            {
                "name": name,
                "os": "linux",
                "internal_ips": [f"10.160.1.2{name.removeprefix('node')}"],
                "hostname": name,
                "kubelet_version": kubelet,
            }
            for name in names
        ]
    }


def antrea(**changes: Any) -> Obj:
    """What antrea_info returns of a cluster that is well."""
    made = {
        "installed": True,
        "version": "v2.5.0",
        "config_map": {"name": "antrea-config"},
        "config": {"agent": {}, "controller": {}},
        "error": None,
        "kube_apiserver_override": None,
        "api_servers": {"source": "endpoints", "addresses": ["10.160.1.1:6443"]},
        "problems": [],
        "agents": [],
        "owner": None,
        "permissions": [],
        "gates": {},
    }
    return {**made, **changes}


def kube_proxy(**changes: Any) -> Obj:
    """What kube_proxy_info returns."""
    made = {
        "present": True,
        "distribution": "kubeadm",
        "supported": True,
        "reason": None,
        "remedy": None,
        "managed_by": None,
        "daemonset": {"node_affinity_removed": False},
        "mode": "",
        "config_errors": [],
        "node_port_addresses": [],
        "node_local_dns": False,
        "kubeadm": {"advice": None},
        "objects": [{"kind": "DaemonSet", "namespace": "kube-system", "name": "kube-proxy"}],
        "labelled": [],
        "services": [],
        "service_cidrs": ["10.96.0.0/12"],
        "dns": {"ip": DNS_IP, "ips": [DNS_IP], "port": 53},
        "external_ips": {},
        "probes": [
            {
                "namespace": "default",
                "name": "kubernetes",
                "cluster_ip": CLUSTER_IP,
                "cluster_ips": [CLUSTER_IP],
                "port": 443,
                "node_port": None,
                "load_balancer": None,
                "load_balancers": [],
            }
        ],
        "missing_rights": [],
    }
    return {**made, **changes}


def decide(
    hosts: list[Obj] | None = None,
    *,
    state: str = "absent",
    names: tuple[str, ...] = ("node1", "node2", "node3"),
    antrea_says: Obj | None = None,
    proxy_says: Obj | None = None,
    kubelet: str = "v1.31.2",
    **options: Any,
) -> Obj:
    """A decision about three nodes, of which the first is the control plane."""
    given = {"state": state, "control_planes": ["node1"], "width": 100, **options}
    return _removal_plan.decide(
        cluster(*names, kubelet=kubelet),
        antrea_says or antrea(),
        proxy_says or kube_proxy(),
        hosts if hosts is not None else [host(name) for name in names],
        given,
    )
