# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shipped roles: enough for every request that the modules make, and no right without one."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab import crds
from tests.lab.actors.__main__ import make, start
from tests.lab.actors.cluster import Seed, seed_cluster
from tests.lab.actors.loop import Actor
from tests.lab.api import audit, kubeconfig
from tests.lab.api.client import Client
from tests.lab.api.providers import Listen, Provider, choose
from tests.unit import antrea_world, kube_proxy_world

ROOT = Path(__file__).parents[3]
NAMESPACE = "k8snet-system"
#: File -> whose rights it holds.
ACCOUNTS = {"audit": "audit", "remediation": "remediation", "features": "remediation"}
FILES = {name: ROOT / "docs" / "rbac" / f"{name}.yml" for name in ACCOUNTS}
OBJECTS = {name: yaml.safe_load(path.read_text())["items"] for name, path in FILES.items()}
PLURALS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
}
ADDRESS = "projectcalico.org/IPv4Address"
Task = dict[str, Any]
Need = tuple[str, str, str, str, str]  # verb, group, resource, namespace, name


@dataclass
class Cluster:
    """A seeded API with the controllers at work, and a kubeconfig per role."""

    provider: Provider
    folder: Path
    cni: str
    actors: list[Actor] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    @property
    def admin(self) -> Client:
        return Client(self.provider.kubeconfig, "test")

    def admin_config(self) -> Path:
        """Return the kubeconfig of somebody who may do everything."""
        return self.provider.kubeconfig

    def config(self, role: str) -> Path:
        """Write the kubeconfig of a role's service account."""
        accounts = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
        where = f"{accounts}/k8snet-{role}/token"
        token = self.admin.create(where, {"spec": {"expirationSeconds": 7200}})["status"]["token"]
        ca = base64.b64decode(self.admin.ca)
        path = self.folder / f"{role}.kubeconfig"
        kubeconfig.write(path, kubeconfig.build(self.admin.server, ca, role, token))
        return path

    def play(self, role: str, tasks: list[Task], check: bool = False) -> dict[str, Any]:
        """Run modules with a role's token; return name of task -> result."""
        answer = self.folder / "results.json"
        answer.unlink(missing_ok=True)
        tasks = [{**task, "register": f"r_{task['name']}"} for task in tasks]
        pairs = ", ".join(f"'{task['name']}': {task['register']}" for task in tasks)
        content = "{{ {" + pairs + "} | to_json }}"
        copy = {"content": content, "dest": str(answer), "mode": "0600"}
        keep = {"name": "keep", "ansible.builtin.copy": copy}
        defaults = {"group/k8snet.cni.cluster": {"kubeconfig": str(self.config(role))}}
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "module_defaults": defaults,
            "tasks": [*tasks, {**keep, "check_mode": False}],
        }
        (self.folder / "play.yml").write_text(json.dumps([play]))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("K8S_AUTH_")}
        environment.pop("KUBECONFIG", None)
        environment.update(
            ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"),
            ANSIBLE_PYTHON_INTERPRETER=sys.executable,
            ANSIBLE_LOCALHOST_WARNING="false",
            ANSIBLE_NOCOLOR="1",
        )
        program = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "play.yml"]
        done = subprocess.run(
            [*program, *(["--check"] if check else [])],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(answer.read_text())
        return found

    def requests(self, role: str) -> list[audit.Entry]:
        log = self.provider.audit_log
        assert log is not None
        user = f"system:serviceaccount:{NAMESPACE}:k8snet-{role}"
        return list(audit.read(log, user))

    def stored(self, **addresses: str) -> None:
        """Say for calico-node what it stored."""
        for node, address in addresses.items():
            patch = {"metadata": {"annotations": {ADDRESS: f"{address}/24"}}}
            self.admin.patch(f"/api/v1/nodes/{node}", patch)

    def settle(self) -> None:
        """Wait until calico-node runs everywhere."""
        place = "calico-system" if self.cni == "calico-operator" else "kube-system"
        path = f"/apis/apps/v1/namespaces/{place}/daemonsets/calico-node"
        end = time.monotonic() + 60
        while ((self.admin.find(path) or {}).get("status") or {}).get("numberAvailable") != 3:
            assert time.monotonic() < end, "calico-node does not come up"
            time.sleep(0.1)


def grant(client: Client) -> None:
    for obj in [obj for name in FILES for obj in OBJECTS[name]]:
        client.ensure(PLURALS[obj["kind"]].format(obj["metadata"].get("namespace")), obj)


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Cluster]]:
    made: dict[str, Cluster] = {}
    for cni in ("calico-operator", "calico-manifest", "antrea", "canal", "kubeadm"):
        folder = tmp_path_factory.mktemp(cni)
        provider = choose(folder / "api", Listen())
        if provider.name == "cluster":
            pytest.skip("an existing cluster has no request log for us, and is not ours to seed")
        provider.start()
        cluster = made[cni] = Cluster(provider, folder, cni)
        if cni == "kubeadm":
            kube_proxy_world.seed(cluster.admin, nodes=3)
            grant(cluster.admin)
            cluster.actors = make(["daemonset"], provider.kubeconfig, (), "v3.28.2")
            cluster.threads = start(cluster.actors)
            continue
        seed_cluster(cluster.admin, Seed(nodes=3, cni=cni, dns_node="node1"))
        if cni in ("antrea", "canal"):
            continue
        crds.load(cluster.admin, crds.ours("calico"))
        grant(cluster.admin)
        cluster.actors = make(["operator", "daemonset"], provider.kubeconfig, (), "v3.28.2")
        if cni == "calico-manifest":
            cluster.actors = cluster.actors[1:]
        cluster.threads = start(cluster.actors)
        cluster.settle()
        cluster.stored(node1="10.160.1.21", node2="10.160.1.22", node3="10.160.1.23")
    grant(made["antrea"].admin)
    grant(made["canal"].admin)
    yield made
    for cluster in made.values():
        for actor in cluster.actors:
            actor.stop()
        for thread in cluster.threads:
            thread.join(5)
        cluster.provider.stop()


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


def rules_of(name: str) -> list[tuple[str, dict[str, Any]]]:
    """Return (namespace or "", rule) of every role in a file."""
    return [
        (obj["metadata"].get("namespace", ""), rule)
        for obj in OBJECTS[name]
        for rule in obj.get("rules", ())
    ]


def need_of(entry: audit.Entry) -> Need | None:
    if not entry.resource:  # what the API serves at all
        return None
    words = entry.path.partition("?")[0].strip("/").split("/")
    group = words[1] if words[0] == "apis" else ""
    rest = words[3:] if words[0] == "apis" else words[2:]
    place = rest[1] if rest[:1] == ["namespaces"] and len(rest) > 2 else ""
    part = "/".join([entry.resource, *rest[4:5]]) if place else entry.resource
    return entry.verb, group, part, place, entry.name


def covers(need: Need, verb: str, group: str, resource: str, place: str, name: str) -> bool:
    return (
        need[:3] == (verb, group, resource)
        and (not place or need[3] == place)
        and (not name or need[4] == name)
    )
