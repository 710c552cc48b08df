# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the playbooks ask of a cluster, as tasks that run with a role's token."""

from __future__ import annotations

from typing import Any

from tests.contract.rbac.cluster import NAMESPACE, Task

BUNDLE = {"run_id": "run-1", "namespace": NAMESPACE}
EXPECT = {f"node{n}": {"v4": f"10.160.1.2{n}/24"} for n in (1, 2, 3)}
HOLD = {
    "calico-operator": {"mode": "min-ready-seconds", "min_ready_seconds": 1},
    "calico-manifest": {"mode": "on-delete", "canary": "node2"},
}


def reading() -> list[Task]:
    return [
        {"name": "audit", "k8snet.cni.cluster_info": {}},
        {
            "name": "info",
            "k8snet.cni.calico_info": {"review": True, "bundle_namespace": NAMESPACE},
        },
        {"name": "look", "k8snet.cni.calico_rollout": {"expect": EXPECT, "wait": "none"}},
        {"name": "lock", "k8snet.cni.run_lock": {"state": "read"}},
    ]


def changing(cni: str, method: str) -> list[Task]:
    """Everything that a run of the playbook and its rollback write."""
    content = "{{ r_info.calico }}"
    lock = {"run_id": "run-1", "ttl": 1}
    wait = {"expect": EXPECT, "wait_timeout": 90, "poll": 0.3}
    change = {"method_v4": method, "hold": HOLD[cni]}
    return [
        *reading(),
        {"name": "held", "k8snet.cni.run_lock": lock},
        {"name": "kept", "k8snet.cni.undo_bundle": {**BUNDLE, "content": content}},
        {"name": "again", "k8snet.cni.undo_bundle": {**BUNDLE, "state": "read"}},
        {
            "name": "listed",
            "k8snet.cni.undo_bundle": {"namespace": NAMESPACE, "state": "listed"},
        },
        {"name": "changed", "k8snet.cni.calico_autodetection": change},
        {"name": "canary", "k8snet.cni.calico_rollout": {**wait, "wait": "canary"}},
        {
            "name": "released",
            "k8snet.cni.calico_autodetection": {"method_v4": method, "undo": content},
        },
        {"name": "all", "k8snet.cni.calico_rollout": wait},
        {"name": "renewed", "k8snet.cni.run_lock": lock},
        {
            "name": "restored",
            "k8snet.cni.calico_autodetection": {"state": "restored", "undo": content},
        },
        {"name": "unlocked", "k8snet.cni.run_lock": {**lock, "state": "released"}},
    ]


def late() -> Task:
    """Wait for an address that does not come: the task is good when that is noticed."""
    expect = {"node3": {"v4": "10.160.1.33/24"}}
    wait = {"expect": expect, "wait_timeout": 3, "poll": 0.3}
    return {"name": "late", "k8snet.cni.calico_rollout": wait, "failed_when": "r_late.done"}


def restarting() -> list[Task]:
    """What the roles for Antrea do: write its options, restart an agent, put all back."""
    written = {"agent": {"transportInterface": "eth1"}, "feature_gates": {"Egress": True}}
    restart = {"node": "node1", "force": True, "wait": False}
    undo = {"state": "restored", "undo": "{{ r_written.undo }}"}
    return [
        {"name": "antrea", "k8snet.cni.antrea_info": {"review": True}},
        {"name": "written", "k8snet.cni.antrea_config": written},
        {"name": "restarted", "k8snet.cni.antrea_agent": restart},
        {"name": "undone", "k8snet.cni.antrea_config": undo},
    ]


def giving(kubeconfig: str) -> list[Task]:
    """What the role for secondary bridges does beyond that, where they are AntreaNodeConfigs."""

    def task(name: str, state: str, definition: dict[str, Any]) -> Task:
        words = {"kubeconfig": kubeconfig, "state": state, "definition": definition}
        return {"name": name, "kubernetes.core.k8s": words}

    node = {"apiVersion": "v1", "kind": "Node"}
    label = {"name": "node1", "labels": {"k8snet.cni/secondary-bridge": "br-x"}}
    config = {"apiVersion": "crd.antrea.io/v1alpha1", "kind": "AntreaNodeConfig"}
    made = {**config, "metadata": {"name": "x"}, "spec": {"nodeSelector": {}}}
    bridge = {"ovsBridges": [{"bridgeName": "br-x"}]}
    edited = {**made, "spec": {"nodeSelector": {}, "secondaryNetwork": bridge}}
    return [
        task("labelled", "patched", {**node, "metadata": label}),
        task("made", "present", made),
        task("edited", "present", edited),
        task("removed", "absent", edited),
    ]


def leaving() -> list[Task]:
    """What the modules for Egresses write and await: a pool, an Egress of it, both the way back."""
    pool = {
        "name": "vlan181",
        "ip_ranges": [{"start": "172.18.181.10", "end": "172.18.181.20"}],
        "subnet": {"gateway": "172.18.181.1", "prefix_length": 24, "vlan": 181},
        "node_selector": {},
    }
    egress = {"name": "shop", "applied_to": {"pod_selector": {"matchLabels": {"app": "shop"}}}}
    of_pool = {**egress, "pool": "vlan181", "wait_timeout": 2, "poll": 0.1}
    more = [*pool["ip_ranges"], {"cidr": "172.18.181.32/28"}]
    other = {"pod_selector": {}}
    return [
        {"name": "pool", "k8snet.cni.antrea_ip_pool": pool},
        {"name": "grown", "k8snet.cni.antrea_ip_pool": {**pool, "ip_ranges": more}},
        # Nobody gives it an address here: what counts is that it may be looked at.
        {"name": "egress", "k8snet.cni.antrea_egress": of_pool, "failed_when": "not r_egress.plan"},
        {
            "name": "widened",
            "k8snet.cni.antrea_egress": {**of_pool, "applied_to": other, "wait": False},
        },
        {"name": "gone", "k8snet.cni.antrea_egress": {"name": "shop", "state": "absent"}},
        {"name": "drained", "k8snet.cni.antrea_ip_pool": {"name": "vlan181", "state": "absent"}},
    ]


def removing() -> list[Task]:
    """What the removal of kube-proxy and its way back write."""
    undo = "{{ r_proxy.kube_proxy }}"
    nodes = ["node1", "node2", "node3"]

    def task(name: str, **options: Any) -> Task:
        return {"name": name, "k8snet.cni.kube_proxy": {"wait_timeout": 90, **options}}

    return [
        {"name": "proxy", "k8snet.cni.kube_proxy_info": {"review": True}},
        task("arp", state="present", strict_arp=True),
        task("stopped", state="stopped", nodes=nodes),
        task("removed", state="absent"),
        task("returned", state="present", undo=undo),
    ]


def marking(kubeconfig: str) -> list[Task]:
    """What the role antrea_features writes with docs/rbac/features.yml, and its way back."""
    made: list[Task] = []

    def task(task_name: str, module: str, **options: Any) -> None:
        words = {"kubeconfig": kubeconfig, **options}
        made.append({"name": task_name, f"kubernetes.core.{module}": words})

    marked = {"metadata": {"annotations": {"visibility.antrea.io/l7-export": "both"}}}
    pod = {"namespace": "default", "name": "shop"}
    service = {"namespace": "default", "name": "kubernetes"}
    for kind, where in (("Service", service), ("Namespace", {"name": "default"}), ("Pod", pod)):
        task(f"saw_{kind}", "k8s_info", kind=kind, **where)
        patch = {"state": "patched", "kind": kind, "merge_type": "merge", "definition": marked}
        task(f"marked_{kind}", "k8s", **where, **patch)
    policy = {"apiVersion": "crd.antrea.io/v1beta1", "kind": "ClusterNetworkPolicy"}
    subject = {"appliedTo": [{"nodeSelector": {}}]}
    machine = {"apiVersion": "crd.antrea.io/v1alpha1", "kind": "ExternalNode"}
    one = {**machine, "metadata": {"namespace": "default", "name": "vm1"}}
    address = {"interfaces": [{"ips": ["192.0.2.9"]}]}
    other = {"interfaces": [{"ips": ["192.0.2.10"]}]}
    all_machines = {"kind": "ExternalNode", "api_version": machine["apiVersion"]}
    task("saw_machines", "k8s_info", **all_machines)
    for name, obj, old, new in (
        ("policy", {**policy, "metadata": {"name": "shield"}}, {"priority": 5}, {"priority": 6}),
        ("machine", one, address, other),
    ):
        more = subject if name == "policy" else {}
        task(f"made_{name}", "k8s", definition={**obj, "spec": {**old, **more}})
        task(f"edited_{name}", "k8s", definition={**obj, "spec": {**new, **more}})
        task(f"gone_{name}", "k8s", state="absent", definition=obj)
    return made


def draining(kubeconfig: str) -> list[Task]:
    """What the role proxmox_vlan_trunk asks of the cluster beside locks and bundles."""

    def task(task_name: str, module: str, **options: Any) -> Task:
        words = {"kubeconfig": kubeconfig, **options}
        return {"name": task_name, f"kubernetes.core.{module}": words}

    last = {"kind": "Node", "field_selectors": ["metadata.name=node2"]}
    pods = {"ignore_daemonsets": True, "wait_timeout": 20, "wait_sleep": 1}
    return [
        task("nodes", "k8s_info", kind="Node"),
        task("pods", "k8s_info", kind="Pod", field_selectors=["spec.nodeName=node2"]),
        task("pools", "k8s_info", kind="ExternalIPPool", api_version="crd.antrea.io/v1beta1"),
        task("budgets", "k8s_info", kind="PodDisruptionBudget", api_version="policy/v1"),
        task("drained", "k8s_drain", name="node2", delete_options=pods),
        task("ready", "k8s_info", **last),
        task("uncordoned", "k8s_drain", name="node2", state="uncordon"),
    ]
