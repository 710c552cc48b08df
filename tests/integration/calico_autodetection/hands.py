# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hands for tests of a change window: users of the API, playbooks, faults in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.lab.api import audit
from tests.lab.lab import Lab
from tests.lab.scene import await_that

ROOT = Path(__file__).parents[3]
INSTALLATION = "/apis/operator.tigera.io/v1/installations/default"
PODS = "/api/v1/namespaces/calico-system/pods"
INTERNAL = {"kubernetes": "NodeInternalIP"}

#: A canary is given this long; its pods have to be older for the roll-out to be held.
CANARY = 60
Obj = dict[str, Any]


class Run:
    """A playbook that has ended: exit code, and what it printed with its lines joined."""

    def __init__(self, code: int, said: str) -> None:
        self.code = code
        self.said = said
        self.text = " ".join(said.replace("\\n", " ").split())
        assert "Traceback" not in said

    def has(self, *parts: str) -> None:
        """See that all of these were printed, wherever its lines were broken."""
        lost = [part for part in parts if part not in self.text]
        assert not lost, f"not said: {lost}\n{self.said[-6000:]}"


class Cluster:
    """A cluster's API inside the lab, with its log and its faults."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"

    def ask(self, method: str, path: str, body: Obj | None = None) -> Any:
        """Call a method of the test client (find, patch by merge, create, delete)."""
        code = (
            "import json, sys; from pathlib import Path; from tests.lab.api.client import Client; "
            "client = Client(Path(sys.argv[1])); body = json.loads(sys.argv[4]); "
            "print(json.dumps(getattr(client, sys.argv[2])(sys.argv[3], *body)))"
        )
        words = [str(self.kubeconfig), method, path, json.dumps([] if body is None else [body])]
        done = self.lab.exec(
            [sys.executable, "-c", code, *words], check=True, cwd=ROOT, capture_output=True
        )
        return json.loads(done.stdout)

    def user(self, name: str, *without: tuple[str, str]) -> User:
        """Make a user with the rights that docs/rbac grants, but not with those named."""
        rules: list[Obj] = []
        for file in ("audit", "remediation"):
            shipped = yaml.safe_load((ROOT / f"docs/rbac/{file}.yml").read_text())
            rules += [rule for obj in shipped["items"] for rule in obj.get("rules", [])]
        for rule in rules:
            lost = {verb for verb, resource in without if resource in rule["resources"]}
            rule["verbs"] = [verb for verb in rule["verbs"] if verb not in lost]
        rules = [rule for rule in rules if rule["verbs"]]
        words = ["mint", "--dir", str(self.folder), "--name", name, "--rules", "-"]
        self.lab.exec(
            [sys.executable, "-m", "tests.lab.api", *words],
            check=True,
            cwd=ROOT,
            input=json.dumps(rules),
            text=True,
            capture_output=True,
        )
        return User(self, name)

    @contextmanager
    def faults(self, *rules: Obj) -> Iterator[Callable[[], None]]:
        """Put faults in force; what is given ends them early."""
        path, fresh = self.folder / "faults.json", self.folder / "faults.new"
        fresh.write_text(json.dumps(rules))
        fresh.rename(path)

        def end() -> None:
            path.unlink(missing_ok=True)

        try:
            yield end
        finally:
            end()

    def installation(self) -> Obj:
        spec: Obj = self.ask("find", INSTALLATION)["spec"]
        return spec


class User:
    """An account of the cluster, with a token of its own."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = f"system:serviceaccount:k8snet-users:{name}"
        self.kubeconfig = cluster.folder / f"{name}.kubeconfig"

    @property
    def token(self) -> str:
        token: str = yaml.safe_load(self.kubeconfig.read_text())["users"][0]["user"]["token"]
        return token

    def entries(self) -> list[audit.Entry]:
        return list(audit.read(self.cluster.folder / "audit.log", self.name))

    def wrote(self, resource: str = "") -> list[audit.Entry]:
        """What this user has changed so far."""
        return [e for e in self.entries() if e.wrote and resource in ("", e.resource)]


class Operator:
    """Somebody at the controller who runs playbooks."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.undo = folder / "undo"

    def start(
        self,
        name: str,
        user: User,
        *arguments: str,
        more: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        inventories = [self.lab.inventory, *([more] if more else [])]
        words = [w for path in inventories for w in ("-i", str(path))]
        settings = json.dumps(self._settings(user))
        words = [f"k8snet.cni.{name}", *words, "-e", settings, *arguments]
        return self._run("ansible-playbook", *words, more=env)

    def runner(self, name: str, user: User, run: str) -> tuple[Run, Path]:
        """Run a playbook as AWX does, by ansible-runner; return it and the folder of its artifacts.

        It says as much as it can (-vvv), and runner keeps an event of every task.
        """
        private = self.folder / "runner"
        (private / "project").mkdir(parents=True)
        (private / "env").mkdir()
        settings = {**self._settings(user), "k8snet_run_id": run}
        (private / "env" / "extravars").write_text(json.dumps(settings))
        (private / "env" / "cmdline").write_text(f"-i {self.lab.inventory} --diff -vvv")
        words = ["run", str(private), "-p", f"k8snet.cni.{name}", "--ident", "job"]
        ended = self.end(self._run("ansible-runner", *words))
        return ended, private / "artifacts" / "job"

    def _settings(self, user: User) -> Obj:
        return {
            "k8snet_kubeconfig": str(user.kubeconfig),
            "k8snet_undo_dir": str(self.undo),
            "calico_autodetection_canary_timeout": CANARY,
            "calico_autodetection_rollout_timeout": 150,
            "calico_autodetection_poll": 1,
        }

    def typed(self, line: str, folder: Path, env: dict[str, str]) -> Run:
        """Type a command line into a shell, in some folder."""
        return self.end(self._run("bash", "-c", line, folder=folder, more=env))

    def _run(
        self,
        program: str,
        *words: str,
        folder: Path | None = None,
        more: dict[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith("K8S_AUTH_")}
        env.pop("KUBECONFIG", None)
        env["ANSIBLE_COLLECTIONS_PATH"] = str(ROOT / ".ansible/collections")
        env["ANSIBLE_NOCOLOR"] = "1"
        programs = Path(sys.executable).parent
        # ansible-runner and the shell look for ansible-playbook there.
        env["PATH"] = f"{programs}:{env['PATH']}"
        return subprocess.Popen(
            [program, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**env, "HOME": str(self.folder), **(more or {})},
            cwd=folder or self.folder,
        )

    def end(self, process: subprocess.Popen[str], timeout: float = 540) -> Run:
        """Wait for a playbook; one that hangs is killed, and fails the test."""
        try:
            said, _unused = process.communicate(timeout=timeout)
        finally:
            process.kill()
        return Run(process.returncode, said)

    def play(
        self,
        name: str,
        user: User,
        *arguments: str,
        more: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> Run:
        return self.end(self.start(name, user, *arguments, more=more, env=env))

    def change(
        self,
        user: User,
        run: str,
        *arguments: str,
        more: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> Run:
        words = ("-e", f"k8snet_run_id={run}", *arguments)
        return self.play("calico_autodetection", user, *words, more=more, env=env)

    def kill_in_the_window(self, user: User, run: str) -> None:
        """Start a change, and kill -9 it as soon as the API server has accepted the change."""
        before = len(user.wrote("installations"))
        process = self.start("calico_autodetection", user, "-e", f"k8snet_run_id={run}")
        try:
            await_that(
                lambda: (len(user.wrote("installations")), process.poll()),
                lambda seen: seen[0] > before or seen[1] is not None,
                "the change is written",
                timeout=300,
            )
            ended = process.poll()
        finally:
            process.send_signal(signal.SIGKILL)
            said, _unused = process.communicate()
        assert ended is None, said[-6000:]


def settled(found: Obj) -> bool:
    """Whether every pod of calico-node runs the DaemonSet's template, and is ready."""
    status = found["status"]
    wanted = status.get("desiredNumberScheduled")
    return (
        bool(wanted)
        and status.get("observedGeneration") == found["metadata"]["generation"]
        and status.get("updatedNumberScheduled") == wanted == status.get("numberAvailable")
    )


def await_pods(cluster: Cluster, good: Callable[[Obj], bool]) -> None:
    path = "/apis/apps/v1/namespaces/calico-system/daemonsets/calico-node"
    await_that(lambda: cluster.ask("find", path), good, "calico-node is rolled out", timeout=120)


def repaired(spec: Obj) -> bool:
    """Whether exactly the wanted method is set."""
    return bool(spec["calicoNetwork"]["nodeAddressAutodetectionV4"] == INTERNAL)


def elsewhere(folder: Path, **hosts: str) -> Path:
    """Write an inventory that looks for nodes at other addresses."""
    path = folder / "elsewhere.json"
    found = {node: {"ansible_host": address} for node, address in hosts.items()}
    path.write_text(json.dumps({"k8snet_hosts": {"hosts": found}}))
    return path


@contextmanager
def other_api(lab: Lab, folder: Path, cni: str, listen: str = "127.0.0.1:0") -> Iterator[Cluster]:
    """A second API inside the lab with another CNI, without actors."""
    folder.mkdir()
    serve = [sys.executable, "-m", "tests.lab.api", "serve", "--listen", listen]
    server = subprocess.Popen(
        lab.inside([*serve, "--dir", str(folder)]), stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("ready ")
        seed = [sys.executable, "-m", "tests.lab.actors.cluster", "seed", "--kubeconfig"]
        words = [str(folder / "kubeconfig"), "--cni", cni, "--dns-node", "node1"]
        lab.exec([*seed, *words], check=True, cwd=ROOT)
        yield Cluster(lab, folder)
    finally:
        server.terminate()
        server.wait()
