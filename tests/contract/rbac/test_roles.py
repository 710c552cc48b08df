# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shipped roles: enough for every request that the modules make, and no right without one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.rbac.cluster import (
    ACCOUNTS,
    FILES,
    NAMESPACE,
    OBJECTS,
    PLURALS,
    Cluster,
    covers,
    need_of,
    rules_of,
)
from tests.contract.rbac.plays import (
    EXPECT,
    HOLD,
    changing,
    draining,
    giving,
    late,
    leaving,
    marking,
    reading,
    removing,
    restarting,
)
from tests.unit import antrea_world


def test_the_files_hold_nothing_but_rights_and_their_owners() -> None:
    for name, objects in OBJECTS.items():
        kinds = {obj["kind"] for obj in objects}
        assert kinds <= set(PLURALS)
        owners = {
            (s["kind"], s["name"], s["namespace"]) for o in objects for s in o.get("subjects", ())
        }
        assert owners == {("ServiceAccount", f"k8snet-{ACCOUNTS[name]}", NAMESPACE)}


def test_no_rule_has_a_wildcard_and_audit_only_reads() -> None:
    assert [r for rules in map(rules_of, FILES) for r in rules if "*" in str(r)] == []
    verbs = {verb for _place, rule in rules_of("audit") for verb in rule["verbs"]}
    assert verbs == {"get", "list"}
    assert "secrets" not in {x for _place, rule in rules_of("audit") for x in rule["resources"]}


@pytest.mark.parametrize("cni", ["calico-operator", "calico-manifest"])
def test_with_the_audit_token_all_is_read_and_check_mode_goes_to_its_end(
    clusters: dict[str, Cluster], cni: str
) -> None:
    cluster = clusters[cni]
    tasks = reading()
    tasks += [
        {"name": "held", "k8snet.cni.run_lock": {"run_id": "run-0"}},
        {
            "name": "change",
            "k8snet.cni.calico_autodetection": {
                "method_v4": "can-reach=10.160.1.1",
                "hold": HOLD[cni],
            },
        },
    ]
    found = cluster.play("audit", tasks, check=True)
    assert found["audit"]["k8snet_cluster"]["errors"] == []
    assert found["info"]["calico"]["errors"] == []
    assert found["change"]["changed"]
    allowed = {
        (r["verb"], r["resource"]): r["allowed"] for r in found["info"]["calico"]["permissions"]
    }
    assert {verb for (verb, _resource), yes in allowed.items() if not yes} >= {"patch", "create"}
    assert all(yes for (verb, what), yes in allowed.items() if verb == "list")
    entries = cluster.requests("audit")
    assert [e for e in entries if e.code == 403] == []
    assert [e for e in entries if e.wrote] == []


def test_the_audit_token_reads_antreas_settings(clusters: dict[str, Cluster]) -> None:
    cluster = clusters["antrea"]
    antrea_world.pod(cluster.admin, "node1", "antrea-agent-audit")
    tasks = [{"name": "audit", "k8snet.cni.cluster_info": {}}, *restarting()]
    found = cluster.play("audit", tasks, check=True)
    assert found["audit"]["k8snet_cluster"]["errors"] == []
    antrea = found["antrea"]["antrea"]
    assert antrea["errors"] == []
    lacking = {(r["verb"], r["resource"]) for r in antrea["permissions"] if not r["allowed"]}
    configs = {(verb, "antreanodeconfigs") for verb in ("create", "patch", "delete")}
    assert lacking == {("patch", "configmaps"), ("delete", "pods"), ("patch", "nodes"), *configs}
    assert found["written"]["changed"]
    assert found["restarted"]["changed"]
    entries = cluster.requests("audit")
    assert [e for e in entries if e.code == 403] == []
    assert [e for e in entries if e.wrote] == []


def test_the_audit_token_reads_what_a_pool_must_not_overlap(clusters: dict[str, Cluster]) -> None:
    cluster = clusters["antrea"]
    found = cluster.play("audit", leaving()[:1], check=True)
    assert found["pool"]["changed"]
    # The Egress needs the pool, which check mode has not made.
    pool = {**leaving()[0]["k8snet.cni.antrea_ip_pool"], "kubeconfig": str(cluster.admin_config())}
    cluster.play("audit", [{"name": "made", "k8snet.cni.antrea_ip_pool": pool}])
    found = cluster.play("audit", leaving()[2:3], check=True)
    assert found["egress"]["changed"]
    gone = {"name": "vlan181", "state": "absent", "kubeconfig": str(cluster.admin_config())}
    cluster.play("audit", [{"name": "unmade", "k8snet.cni.antrea_ip_pool": gone}])
    entries = cluster.requests("audit")
    assert [e for e in entries if e.code == 403] == []
    assert [e for e in entries if e.wrote] == []


def test_with_the_remediation_token_a_pool_and_an_egress_come_and_go(
    clusters: dict[str, Cluster],
) -> None:
    cluster = clusters["antrea"]
    found = cluster.play("remediation", leaving())
    names = ("pool", "grown", "egress", "widened", "gone", "drained")
    assert {name: found[name]["changed"] for name in names} == dict.fromkeys(names, True)
    assert [e for e in cluster.requests("remediation") if e.code == 403] == []


def test_the_audit_token_reads_kube_proxy_and_its_check_mode_goes_to_the_end(
    clusters: dict[str, Cluster],
) -> None:
    cluster = clusters["kubeadm"]
    found = cluster.play("audit", removing()[:3], check=True)
    kube_proxy = found["proxy"]["kube_proxy"]
    assert kube_proxy["errors"] == []
    assert "patch on daemonsets.apps kube-system/kube-proxy" in kube_proxy["missing_rights"]
    reads = [r for r in kube_proxy["permissions"] if r["verb"] in ("get", "list")]
    assert [r for r in reads if not r["allowed"]] == []
    assert found["stopped"]["changed"]
    entries = cluster.requests("audit")
    assert [e for e in entries if e.code == 403] == []
    assert [e for e in entries if e.wrote] == []


def test_with_the_remediation_token_kube_proxy_goes_and_comes_back(
    clusters: dict[str, Cluster],
) -> None:
    cluster = clusters["kubeadm"]
    found = cluster.play("remediation", removing())
    assert found["proxy"]["kube_proxy"]["missing_rights"] == []
    assert all(found[name]["changed"] for name in ("arp", "stopped", "removed", "returned"))
    assert [e for e in cluster.requests("remediation") if e.code == 403] == []


def test_the_audit_token_knows_canal_when_it_sees_it(clusters: dict[str, Cluster]) -> None:
    cluster = clusters["canal"]
    tasks = [
        {"name": "audit", "k8snet.cni.cluster_info": {}},
        {"name": "info", "k8snet.cni.calico_info": {}},
    ]
    found = cluster.play("audit", tasks)
    assert found["audit"]["k8snet_cluster"]["errors"] == []
    assert found["audit"]["k8snet_cluster"]["calico"]["install"] == "canal"
    assert found["info"]["calico"]["install"] == "canal"
    assert [e for e in cluster.requests("audit") if e.code == 403] == []


def test_with_the_remediation_token_antrea_is_configured_and_restarted(
    clusters: dict[str, Cluster],
) -> None:
    cluster = clusters["antrea"]
    antrea_world.pod(cluster.admin, "node1", "antrea-agent-remediation")
    tasks = [*restarting(), *giving(str(cluster.config("remediation")))]
    found = cluster.play("remediation", tasks)
    assert all(found[name]["changed"] for name in ("labelled", "made", "edited", "removed"))
    assert [r for r in found["antrea"]["antrea"]["permissions"] if not r["allowed"]] == []
    assert {s: found[s]["changed"] for s in ("written", "restarted", "undone")} == {
        "written": True,
        "restarted": True,
        "undone": True,
    }
    assert [e for e in cluster.requests("remediation") if e.code == 403] == []


def test_with_the_rights_of_features_objects_are_marked_and_made(
    clusters: dict[str, Cluster],
) -> None:
    cluster = clusters["antrea"]
    pod: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shop"}}
    pod["spec"] = {"containers": [{"name": "web", "image": "web"}]}
    cluster.admin.create("/api/v1/namespaces/default/pods", pod)
    tasks = marking(str(cluster.config("remediation")))
    found = cluster.play("remediation", tasks)
    looks = {task["name"] for task in tasks if task["name"].startswith("saw_")}
    assert {name for name in found if not found[name]["changed"]} == looks
    assert found["saw_Service"]["resources"]
    assert [e for e in cluster.requests("remediation") if e.code == 403] == []


def test_with_the_audit_token_the_plan_of_a_drain_is_made(clusters: dict[str, Cluster]) -> None:
    cluster = clusters["canal"]
    found = cluster.play("audit", draining(str(cluster.config("audit")))[:4], check=True)
    assert (found["budgets"]["api_found"], found["budgets"]["resources"]) == (True, [])
    assert [e for e in cluster.requests("audit") if e.code == 403] == []


def test_with_the_remediation_token_a_node_is_drained(clusters: dict[str, Cluster]) -> None:
    cluster = clusters["canal"]
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1"}
    spec = {"nodeName": "node2", "terminationGracePeriodSeconds": 0}
    pod: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod"}
    pod["metadata"] = {"name": "web", "ownerReferences": [owner]}
    pod["spec"] = {**spec, "containers": [{"name": "web", "image": "web"}]}
    cluster.admin.create("/api/v1/namespaces/default/pods", pod)
    found = cluster.play("remediation", draining(str(cluster.config("remediation"))))
    assert (found["drained"]["changed"], found["uncordoned"]["changed"]) == (True, True)
    assert len(found["nodes"]["resources"]) == 3
    assert [e for e in cluster.requests("remediation") if e.code == 403] == []


@pytest.mark.parametrize(
    "cni", ["calico-operator", pytest.param("calico-manifest", marks=pytest.mark.full)]
)
def test_with_the_remediation_token_a_run_and_its_rollback_go_through(
    clusters: dict[str, Cluster], cni: str
) -> None:
    found = clusters[cni].play("remediation", changing(cni, "kubernetes-internal-ip"))
    lacking = [r for r in found["info"]["calico"]["permissions"] if not r["allowed"]]
    assert lacking == []
    steps = ("held", "kept", "changed", "released", "renewed", "restored", "unlocked")
    assert {step: found[step]["changed"] for step in steps} == dict.fromkeys(steps, True)
    assert found["again"]["content"]["target"] == found["info"]["calico"]["target"]
    assert [e for e in clusters[cni].requests("remediation") if e.code == 403] == []


@pytest.mark.full
def test_an_overlay_that_decides_may_be_changed(clusters: dict[str, Cluster]) -> None:
    cluster = clusters["calico-operator"]
    path = "/apis/operator.tigera.io/v1/installations"
    network = {"nodeAddressAutodetectionV4": {"interface": "eth0"}}
    overlay = {
        "apiVersion": "operator.tigera.io/v1",
        "kind": "Installation",
        "metadata": {"name": "overlay"},
        "spec": {"calicoNetwork": network},
    }
    cluster.admin.ensure(path, overlay)
    tasks = reading()
    tasks += [
        {
            "name": "changed",
            "k8snet.cni.calico_autodetection": {"method_v4": "kubernetes-internal-ip"},
        },
        {
            "name": "all",
            "k8snet.cni.calico_rollout": {"expect": EXPECT, "wait_timeout": 90, "poll": 0.3},
        },
    ]
    found = cluster.play("remediation", [*tasks, late()])
    assert [patch["name"] for patch in found["changed"]["patches"]] == ["overlay"]
    assert [e for e in cluster.requests("remediation") if e.code == 403] == []


@pytest.mark.full
def test_every_right_is_used_by_some_request(clusters: dict[str, Cluster]) -> None:
    """Runs last: nothing is granted that none of the above needed.

    ``bind`` is no request: the API server asks for it when a binding is made.
    """
    made = {
        need
        for cluster in clusters.values()
        for role in set(ACCOUNTS.values())
        for entry in cluster.requests(role)
        if (need := need_of(entry))
    }
    unused = [
        (name, place, verb, resource, what)
        for name in FILES
        for place, rule in rules_of(name)
        for verb in rule["verbs"]
        if verb != "bind"
        for resource in rule["resources"]
        for what in rule.get("resourceNames", [""])
        if not any(covers(need, verb, rule["apiGroups"][0], resource, place, what) for need in made)
    ]
    assert unused == []
