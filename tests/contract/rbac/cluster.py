# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A seeded API on which modules run with the token of a shipped role, and what they asked it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.lab.actors.loop import Actor
from tests.lab.api import audit, kubeconfig
from tests.lab.api.client import Client
from tests.lab.api.providers import Provider

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
