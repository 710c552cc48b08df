# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""What a change window does when something goes wrong: refuse, finish, or go back; never half."""

from __future__ import annotations

import json
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.calico_autodetection.hands import (
    INSTALLATION,
    PODS,
    Cluster,
    Obj,
    Operator,
    User,
    elsewhere,
    other_api,
    repaired,
)
from tests.integration.calico_autodetection.window import Cluster as Window
from tests.lab.actors import content
from tests.lab.lab import Lab
from tests.lab.scene import Scene, await_that

pytestmark = pytest.mark.lab

DNS_NODE, NEW = "node1", "172.31.66.11/24"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/k8snet-change"
DAEMONSETS = "/apis/apps/v1/namespaces/kube-system/daemonsets"
FORMER_HOLD = 3
#: What takes sudo from user ops of a node, and gives it back when it finds the file.
NO_SUDO = (
    "mv /etc/sudoers.d/ops /run/ops.sudo; until [ -e /tmp/sudo-back ]; do sleep 0.2; done; "
    "rm /tmp/sudo-back; mv /run/ops.sudo /etc/sudoers.d/ops"
)


# -- refused ------------------------------------------------------------------------------------


def test_one_refusal_names_everything_that_stands_in_the_way(
    operator: Operator, cluster: Cluster, former: Obj, tmp_path: Path
) -> None:
    poor = cluster.user("poor", ("patch", "installations"))
    label = {"app.kubernetes.io/managed-by": "Helm"}
    cluster.ask("patch", INSTALLATION, {"metadata": {"labels": label}})
    run = operator.change(poor, "refused", more=elsewhere(tmp_path, node3="10.160.1.99"))
    assert run.code == 2
    run.has(
        "Nothing was changed.",
        "The account may not patch installations.operator.tigera.io default.",
        "docs/rbac/remediation.yml",
        "Installation default belongs to helm (label app.kubernetes.io/managed-by: Helm)",
        "kubernetes: NodeInternalIP",
        "k8snet_override_owner=true",
        "node3 was not visited: unreachable",
        "k8snet_accept_unseen",
    )
    lacking = re.findall(r"The account may not (.+?)\. docs/rbac", run.text)
    assert set(lacking) == {"patch installations.operator.tigera.io default"}
    assert poor.wrote() == []
    assert cluster.installation() == former
    assert not operator.undo.exists()


@pytest.mark.full
def test_what_was_refused_passes_once_it_is_named_and_no_token_is_told(
    operator: Operator, cluster: Cluster, user: User, former: Obj, tmp_path: Path
) -> None:
    label = {"app.kubernetes.io/managed-by": "Helm"}
    cluster.ask("patch", INSTALLATION, {"metadata": {"labels": label}})
    named = {"k8snet_override_owner": True, "k8snet_accept_unseen": ["node3"]}
    words = ("--check", "--diff", "-vvv", "-e", json.dumps(named))
    more = elsewhere(tmp_path, node3="10.160.1.99")
    before = len(user.wrote())
    run = operator.change(user, "named", *words, more=more)
    assert run.code == 0, run.said[-6000:]
    run.has("PLAN Installation default: IPv4 kubernetes-internal-ip", "NodeInternalIP")
    assert len(user.wrote()) == before
    assert cluster.installation() == former
    assert user.token not in run.said
    run.has("Undo would be kept in")
    assert "k8snet.cni.rollback" not in run.said
    assert not operator.undo.exists()


@pytest.mark.full
def test_an_address_that_other_nodes_cannot_reach_is_refused(
    operator: Operator, scene: Scene, lab: Lab, user: User, former: Obj
) -> None:
    before = len(user.wrote())
    nic = lab.plug(DNS_NODE, address=NEW, nowhere=True)
    try:
        scene.await_lost(NEW)
        run = operator.change(user, "far", "-e", "calico_autodetection_method_v4=first-found")
    finally:
        lab.unplug(DNS_NODE, str(nic["name"]))
    assert run.code == 2
    run.has("node1 would get 172.31.66.11, which node2, node3 cannot reach")
    assert len(user.wrote()) == before


@pytest.mark.full
@pytest.mark.parametrize("way", ["canal", "migration"])
def test_installs_that_cannot_be_changed_are_refused_with_the_reason(
    operator: Operator, lab: Lab, tmp_path: Path, way: str
) -> None:
    with other_api(lab, tmp_path / "api", "canal" if way == "canal" else "calico-operator") as api:
        if way == "migration":
            sets = [
                o for o in content.calico_manifest("v3.28.2", "bird") if o["kind"] == "DaemonSet"
            ]
            api.ask("create", DAEMONSETS, sets[0])
        user = api.user("remedy")
        run = operator.change(user, way)
    assert run.code == 2
    reason = {"canal": "flannel does. Set canal_iface", "migration": "Finish the migration"}
    run.has("Nothing was changed.", reason[way])
    assert user.wrote() == []


@pytest.mark.full
@pytest.mark.parametrize(
    ("playbook", "said"),
    [
        ("calico_autodetection", ("Nothing was changed.", "--limit", "k8snet_accept_unseen")),
        ("rollback", ("Nothing was put back.", "--limit")),
    ],
)
def test_a_limit_without_the_controller_is_refused(
    operator: Operator, user: User, playbook: str, said: tuple[str, ...]
) -> None:
    before = len(user.entries())
    run = operator.play(playbook, user, "-e", "k8snet_run_id=limited", "--limit", "node2")
    assert run.code == 2
    run.has(*said)
    assert len(user.entries()) == before


@pytest.mark.full
def test_a_folder_that_cannot_be_made_leaves_no_lock(
    operator: Operator, cluster: Cluster, user: User, former: Obj, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    before = len(user.wrote())
    run = operator.change(user, "nowhere", "-e", f"k8snet_undo_dir={tmp_path}/file/undo")
    assert run.code == 2
    run.has("Nothing was changed.", f"{tmp_path}/file/undo", "Not a directory", "k8snet_undo_dir")
    made = [(entry.verb, entry.resource) for entry in user.wrote()[before:]]
    assert made == [("create", "leases"), ("delete", "leases")]
    assert cluster.ask("find", LEASE) is None
    assert cluster.installation() == former


@pytest.mark.full
def test_no_token_is_in_output_undo_bundle_or_the_artifacts_that_awx_keeps(
    operator: Operator, cluster: Cluster, user: User, former: Obj
) -> None:
    run, artifacts = operator.runner("calico_autodetection", user, "awx")
    assert run.code == 0, run.said[-6000:]
    assert repaired(cluster.installation())
    files = [path for path in [*artifacts.rglob("*"), *operator.undo.rglob("*")] if path.is_file()]
    kept = {path.relative_to(operator.folder).as_posix(): path.read_bytes() for path in files}
    told = {**kept, "output": run.said.encode()}
    for place in ("output", "undo/awx/cluster.json", "runner/artifacts/job/stdout"):
        assert b"NodeInternalIP" in told[place] or b"firstFound" in told[place], place
    assert any("job_events/" in name and b"NodeInternalIP" in kept[name] for name in kept)
    secret = user.token.encode()
    assert len(secret) > 20
    assert [name for name, data in told.items() if secret in data] == []


# -- in the middle ------------------------------------------------------------------------------


@contextmanager
def sudo_lost(lab: Lab, nodes: list[str]) -> Iterator[None]:
    """Take sudo from the user that Ansible logs in as; give it back afterwards."""
    try:
        for node in nodes:
            lab.ssh(node, f"sudo systemd-run --quiet --collect sh -c '{NO_SUDO}'")
        yield
    finally:
        for node in nodes:
            lab.ssh(node, "touch /tmp/sudo-back")
            await_that(
                lambda node=node: lab.ssh(node, "sudo -n true", check=False).returncode,  # type: ignore[misc]
                lambda code: code == 0,
                f"{node} has sudo again",
            )


@pytest.mark.full
def test_a_change_that_no_node_lets_verify_is_put_back(
    operator: Operator, cluster: Cluster, scene: Scene, lab: Lab, user: User, former: Obj
) -> None:
    Window(scene, operator.folder).grow_old()
    before = len(user.wrote("installations"))
    done = threading.Event()

    def lose() -> None:
        """From when the roll-out is released: the first node was verified, the change made."""
        while not done.wait(0.1):
            if len(user.wrote("installations")) >= before + 2:
                with sudo_lost(lab, scene.nodes):
                    done.wait()

    thread = threading.Thread(target=lose)
    thread.start()
    try:
        run = operator.change(user, "blind")
    finally:
        done.set()
        thread.join()
    assert run.code == 2
    run.has(
        *(f"{node} could not be probed; the verification will say so." for node in scene.nodes),
        "Everything was put back as it was.",
    )
    assert cluster.installation() == former
    assert cluster.ask("find", LEASE) is None
    scene.await_settled()


@pytest.mark.full
def test_a_killed_run_blocks_others_and_is_resumed_or_rolled_back(
    operator: Operator, cluster: Cluster, scene: Scene, user: User, former: Obj
) -> None:
    Window(scene, operator.folder).grow_old()
    operator.kill_in_the_window(user, "killed")
    spec = cluster.installation()
    assert repaired(spec)
    assert spec["calicoNodeDaemonSet"]["spec"]["minReadySeconds"] > FORMER_HOLD
    bundle = operator.undo / "killed" / "cluster.json"
    kept = bundle.read_bytes()
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600
    assert stat.S_IMODE(bundle.parent.stat().st_mode) == 0o700
    assert user.token.encode() not in kept

    before = len(user.wrote())
    other = operator.change(user, "other")
    assert other.code == 2
    other.has("run killed holds the lock", "k8snet_run_id=killed", "playbooks/rollback.yml")
    assert len(user.wrote()) == before
    assert not (operator.undo / "other").exists()

    resumed = operator.change(user, "killed")
    assert resumed.code == 0, resumed.said[-6000:]
    spec = cluster.installation()
    assert repaired(spec)
    assert spec["calicoNodeDaemonSet"] == former["calicoNodeDaemonSet"]
    assert bundle.read_bytes() == kept
    assert cluster.ask("find", LEASE) is None
    scene.await_settled()


@pytest.mark.full
def test_a_killed_run_is_rolled_back_from_its_bundle(
    operator: Operator, cluster: Cluster, scene: Scene, user: User, former: Obj
) -> None:
    operator.kill_in_the_window(user, "undone")
    assert repaired(cluster.installation())
    # As an older version kept it, which knew no cluster and accepted nobody.
    bundle = operator.undo / "undone" / "cluster.json"
    kept = json.loads(bundle.read_text())
    bundle.write_text(json.dumps({k: kept[k] for k in ("role", "calico", "former", "leftovers")}))
    back = operator.play("rollback", user, "-e", "k8snet_run_id=undone")
    assert back.code == 0, back.said[-6000:]
    assert cluster.installation() == former
    assert cluster.ask("find", LEASE) is None
    scene.await_settled()


@pytest.mark.full
def test_of_two_runs_at_once_the_second_refuses(
    operator: Operator, cluster: Cluster, scene: Scene, user: User, former: Obj
) -> None:
    words = ("-e", "k8snet_run_id=")
    started = {
        name: operator.start("calico_autodetection", user, words[0], words[1] + name)
        for name in ("left", "right")
    }
    runs = {name: operator.end(process) for name, process in started.items()}
    codes = {run.code: name for name, run in runs.items()}
    assert sorted(codes) == [0, 2], [run.said[-3000:] for run in runs.values()]
    runs[codes[2]].has(f"run {codes[0]} holds the lock", f"k8snet_run_id={codes[0]}")
    assert not (operator.undo / codes[2]).exists()
    assert repaired(cluster.installation())
    assert cluster.installation()["calicoNodeDaemonSet"] == former["calicoNodeDaemonSet"]
    assert cluster.ask("find", LEASE) is None


@pytest.mark.full
def test_an_ill_api_and_another_writer_do_not_stop_the_change(
    operator: Operator, cluster: Cluster, scene: Scene, user: User, former: Obj
) -> None:
    def rule(name: str, verb: str, path: str, **fault: Any) -> Obj:
        return {"id": name, "verbs": [verb], "path": path, "user": user.name, "times": 1, **fault}

    patch = f"^{INSTALLATION}"
    rules = [
        rule("a", "list", "^/api/v1/nodes", status=429, retry_after=1),
        rule("b", "list", "^/apis/apps/v1/daemonsets", status=500),
        rule("c", "list", "^/api/v1/", skip=4, disconnect_after=40),
        rule("conflict", "patch", patch, delay=6),
        rule("busy", "patch", patch, status=429, retry_after=2),
        rule("broken", "patch", patch, status=500),
        rule("cut", "patch", patch, disconnect_after=20),
    ]
    done = threading.Event()

    def conflicts() -> bool:
        return any(e.code == 409 for e in user.entries())

    def write() -> None:
        """Be the other writer, from when the bundle is there until it met the change."""
        number = 0
        while not done.wait(0.1) and not conflicts():
            if (operator.undo / "ill" / "cluster.json").exists():
                number += 1
                note = {"example.com/note": str(number)}
                cluster.ask("patch", INSTALLATION, {"metadata": {"annotations": note}})

    other = threading.Thread(target=write)
    other.start()
    try:
        with cluster.faults(*rules):
            run = operator.change(user, "ill")
    finally:
        done.set()
        other.join()
    assert run.code == 0, run.said[-6000:]
    codes = [e.code for e in user.entries() if e.verb == "patch" and e.resource == "installations"]
    assert {409, 429, 500, 200} <= set(codes)
    assert repaired(cluster.installation())
    assert cluster.installation()["calicoNodeDaemonSet"] == former["calicoNodeDaemonSet"]
    assert "example.com/note" in cluster.ask("find", INSTALLATION)["metadata"]["annotations"]
    assert cluster.ask("find", LEASE) is None


@pytest.mark.full
@pytest.mark.parametrize("rollback", [True, False])
def test_an_api_that_fails_in_the_window_leads_back_unless_told_otherwise(
    operator: Operator, cluster: Cluster, scene: Scene, user: User, former: Obj, rollback: bool
) -> None:
    before = len(user.wrote("installations"))
    done = threading.Event()
    pods = {"verbs": ["list"], "path": f"^{PODS}", "user": user.name, "status": 500}

    def fail() -> None:
        """Serve no pods from when the change is written until it is taken back."""
        while not done.wait(0.2) and len(user.wrote("installations")) <= before:
            pass
        with cluster.faults(pods):
            while not done.wait(0.2) and len(user.wrote("installations")) < before + 2:
                pass

    fault = threading.Thread(target=fail)
    fault.start()
    words = ("calico_autodetection_canary_timeout=20", f"calico_autodetection_rollback={rollback}")
    try:
        run = operator.change(user, "back", "-e", words[0], "-e", words[1])
    finally:
        done.set()
        fault.join()
    assert run.code == 2
    run.has("500")
    if rollback:
        run.has("Everything was put back as it was.")
    else:
        run.has("Nothing was put back: ansible-playbook k8snet.cni.rollback -i ")
        run.has("-e k8snet_run_id=back", f"-e k8snet_undo_dir={operator.undo}")
        assert repaired(cluster.installation())
        back = operator.play("rollback", user, "-e", "k8snet_run_id=back")
        assert back.code == 0, back.said[-6000:]
    assert cluster.installation() == former
    assert cluster.ask("find", LEASE) is None
    scene.await_settled()
