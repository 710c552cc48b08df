# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit as a user runs it, on nodes with real kernels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.lab.lab import Lab
from tests.lab.scene import Scene

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs/schema/findings.schema.json").read_text())
DNS_NODE, NEW = "node1", "172.31.66.11/24"
SOCKET = "unix:/var/run/antrea/openvswitch/db.sock"


@dataclass
class Run:
    """One run of a playbook: exit code, what it printed, the report if there is one."""

    code: int
    said: str
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def told(self) -> list[tuple[str, str, str]]:
        """Severity, id and subject of each finding."""
        return [(f["severity"], f["id"], f["subject"]) for f in self.report["findings"]]

    @property
    def ids(self) -> list[str]:
        return [f["id"] for f in self.report["findings"]]

    def recap(self, host: str = "localhost") -> str:
        """The recap's line of a host."""
        lines = [x for x in self.said.splitlines() if x.startswith(f"{host} ") and "ok=" in x]
        return lines[-1] if lines else ""


class Auditor:
    """Runs playbooks of the collection on the lab's nodes."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.reports = folder / "reports"

    def play(self, name: str, *arguments: str, inventory: tuple[Path, ...] = ()) -> Run:
        inventories = inventory or (self.lab.inventory,)
        words = [w for path in inventories for w in ("-i", str(path))]
        env = {k: v for k, v in os.environ.items() if not k.startswith("K8S_AUTH_")}
        env.pop("KUBECONFIG", None)
        env["ANSIBLE_COLLECTIONS_PATH"] = str(ROOT / ".ansible/collections")
        env["ANSIBLE_NOCOLOR"] = "1"
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        done = subprocess.run(
            [program, f"k8snet.cni.{name}", *words, *arguments],
            capture_output=True,
            text=True,
            env={**env, "HOME": str(self.folder)},
            cwd=self.folder,
            check=False,
            timeout=240,
        )
        said = done.stdout + done.stderr
        assert "Traceback" not in said
        return Run(done.returncode, said)

    def audit(
        self, *arguments: str, kubeconfig: Path | None = None, more: Path | None = None
    ) -> Run:
        """Audits; ``more`` is an inventory that overrides the lab's."""
        report = self.reports / "findings.json"
        words = ["-e", f"k8snet_report_dir={self.reports}", *arguments]
        if kubeconfig:
            words += ["-e", f"k8snet_kubeconfig={kubeconfig}"]
        inventory = (self.lab.inventory, more) if more else (self.lab.inventory,)
        run = self.play("audit", *words, inventory=inventory)
        run.report = json.loads(report.read_text())
        jsonschema.Draft202012Validator(SCHEMA).validate(run.report)
        assert oct(report.stat().st_mode)[-3:] == "600"
        return run


@pytest.fixture
def auditor(lab: Lab, tmp_path: Path) -> Auditor:
    return Auditor(lab, tmp_path)


@pytest.fixture(scope="module")
def scene(lab: Lab) -> Scene:
    """Calico by operator with first-found, CoreDNS on node1, on the lab's own API."""
    found = Scene(lab, DNS_NODE)
    if not (lab.run / "scene").exists():
        found.set("calico-operator")
    found.await_settled()
    return found


@contextmanager
def api(lab: Lab, folder: Path, cni: str, *extra: str) -> Iterator[Path]:
    """A second API inside the lab with another CNI; gives its kubeconfig."""
    folder.mkdir()
    serve = [sys.executable, "-m", "tests.lab.api", "serve", "--listen", "127.0.0.1:0"]
    server = subprocess.Popen(
        lab.inside([*serve, "--dir", str(folder)]), stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("ready ")
        config = folder / "kubeconfig"
        seed = [sys.executable, "-m", "tests.lab.actors.cluster", "seed", "--kubeconfig"]
        lab.exec([*seed, str(config), "--cni", cni, *extra], check=True, cwd=ROOT)
        yield config
    finally:
        server.terminate()
        server.wait()


def test_the_founding_incident_from_clean_to_found(
    auditor: Auditor, scene: Scene, lab: Lab
) -> None:
    config = lab.kubeconfig
    for node in scene.nodes:
        lab.ssh(node, "sudo rm -rf /var/lib/k8snet")
    clean = auditor.audit(kubeconfig=config)
    assert (clean.code, clean.told) == (0, [("info", "NIC001", "node1, node2, node3")])
    again = auditor.audit("--check", kubeconfig=config)
    assert (again.code, again.report["findings"]) == (0, clean.report["findings"])
    assert "changed=0" in again.recap()

    assert auditor.play("baseline").code == 0
    silent = auditor.audit(kubeconfig=config)
    assert (silent.code, silent.told) == (0, [])
    assert "Nothing to report." in silent.said

    nic = lab.plug(DNS_NODE, address=NEW, nowhere=True)
    try:
        scene.await_lost(NEW)
        bad = auditor.audit(kubeconfig=config)
        assert (bad.code, bad.told) == (2, [("critical", "CAL001", DNS_NODE)])
        (finding,) = bad.report["findings"]
        evidence = finding["evidence"]
        assert (evidence["stored"], evidence["nic"]) == (NEW, nic["name"])
        assert (evidence["internal_address"], evidence["internal_nic"]) == (
            "10.160.1.21/24",
            "eth0",
        )
        assert [c["change"] for c in evidence["nic_changes"]] == ["added"]
        assert [p["node"] for p in evidence["dns_pods"]] == [DNS_NODE]
        assert finding["since"]
        picks = {row["method"]: row["address"] for row in evidence["candidates"]}
        assert picks["first-found"] == NEW
        assert picks["kubernetes-internal-ip"] == "10.160.1.21/24"
        assert finding["remedy"]["playbook"] == "k8snet.cni.calico_autodetection"
        assert "kubectl --context lab patch installations.operator.tigera.io default" in bad.said

        words = ("--limit", "node2", "-e", "k8snet_fail_on=never")
        part = auditor.audit(*words, kubeconfig=config)
        assert (part.code, part.ids) == (0, ["CAL001", "NOD002"])
        assert part.report["findings"][0]["evidence"]["next"] is None
    finally:
        lab.unplug(DNS_NODE, str(nic["name"]))
    scene.await_settled()


@pytest.mark.full
def test_the_patch_of_the_remedy_brings_dns_back(auditor: Auditor, scene: Scene, lab: Lab) -> None:
    nic = lab.plug(DNS_NODE, address=NEW, nowhere=True)
    client = "import json, sys; from pathlib import Path; from tests.lab.api.client import Client; "
    path = "/apis/operator.tigera.io/v1/installations/default"
    send = (
        f"{client}print(Client(Path(sys.argv[1])).patch('{path}', json.loads(sys.argv[2]), "
        "'application/json-patch+json')['metadata']['name'])"
    )

    def patch(body: Any) -> None:
        command = [sys.executable, "-c", send, str(lab.kubeconfig), json.dumps(body)]
        lab.exec(command, check=True, cwd=ROOT)

    try:
        scene.await_lost(NEW)
        found = auditor.audit(kubeconfig=lab.kubeconfig).report["findings"][0]
        (command,) = found["remedy"]["commands"]
        patch(json.loads(command.split(" -p ")[1].strip("'")))
        scene.await_settled()
        assert "CAL001" not in auditor.audit(kubeconfig=lab.kubeconfig).ids
    finally:
        lab.unplug(DNS_NODE, str(nic["name"]))
        field_path = "/spec/calicoNetwork/nodeAddressAutodetectionV4"
        patch([{"op": "add", "path": field_path, "value": {"firstFound": True}}])
        scene.await_settled()


@pytest.mark.full
def test_the_report_is_kept_in_a_secret_once_and_not_in_check_mode(
    auditor: Auditor, scene: Scene, lab: Lab
) -> None:
    look = (
        "import sys; from pathlib import Path; from tests.lab.api.client import Client; "
        "c = Client(Path(sys.argv[1])); p = '/api/v1/namespaces/default/secrets/k8snet-report'; "
        "print(bool(c.find(p))); 'drop' in sys.argv and c.delete(p)"
    )

    def kept(*words: str) -> bool:
        command = [sys.executable, "-c", look, str(lab.kubeconfig), *words]
        done = lab.exec(command, check=True, cwd=ROOT, capture_output=True, text=True)
        return bool(done.stdout.strip() == "True")

    secret = ("-e", "k8snet_report_secret=default/k8snet-report")
    try:
        auditor.audit("--check", *secret, kubeconfig=lab.kubeconfig)
        assert not kept()
        auditor.audit(*secret, kubeconfig=lab.kubeconfig)
        assert kept()
        assert "changed=0" in auditor.audit(*secret, kubeconfig=lab.kubeconfig).recap()
    finally:
        kept("drop")


def test_without_a_cluster_the_nodes_are_examined_all_the_same(
    auditor: Auditor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever the inventory says of all hosts, the controller's own user has no sudo.
    own = {"hosts": {"localhost": {"ansible_become_exe": "/nonexistent/sudo"}}}
    sudo = tmp_path / "sudo.json"
    sudo.write_text(json.dumps({"all": {**own, "vars": {"ansible_become": True}}}))
    monkeypatch.setenv("ANSIBLE_BECOME_ALLOW_SAME_USER", "true")
    run = auditor.audit(more=sudo)
    assert run.code == 0
    assert ("info", "API001", "cluster") in run.told
    assert run.report["counts"]["visited"] == 3
    assert len(run.report["could_not_check"]) == 6
    assert "arg spec 'node'" not in run.said, "options are validated once, not per node"


@pytest.mark.full
def test_an_expired_token_fails_the_run_and_the_nodes_are_examined_all_the_same(
    auditor: Auditor, lab: Lab, tmp_path: Path
) -> None:
    config = json.loads(lab.kubeconfig.read_text())
    config["users"][0]["user"]["token"] = "expired-t0ken"
    (tmp_path / "old").write_text(json.dumps(config))
    run = auditor.audit(kubeconfig=tmp_path / "old")
    assert ("critical", "API001", "cluster") in run.told
    assert "has expired" in run.said
    assert "expired-t0ken" not in run.said + json.dumps(run.report)
    assert run.code == 2
    assert run.report["counts"]["visited"] == 3


def test_a_node_that_cannot_be_reached_or_examined_is_a_finding_and_no_abort(
    auditor: Auditor, scene: Scene, lab: Lab, tmp_path: Path
) -> None:
    hosts = {
        "node2": {"ansible_python_interpreter": "/usr/bin/python9"},
        "node3": {"ansible_host": "10.160.1.99"},
    }
    more = tmp_path / "more.json"
    more.write_text(json.dumps({"k8snet_hosts": {"hosts": hosts}}))
    run = auditor.audit(kubeconfig=lab.kubeconfig, more=more)
    assert run.code == 2
    assert ("critical", "NOD003", "node3") in run.told
    assert ("critical", "NOD007", "node2") in run.told
    assert "python9" in next(f for f in run.report["findings"] if f["id"] == "NOD007")["summary"]
    assert {n["name"]: n["state"] for n in run.report["nodes"]} == {
        "node1": "visited",
        "node2": "failed",
        "node3": "unreachable",
    }


def test_an_empty_inventory_is_told(auditor: Auditor, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    words = ("-e", f"k8snet_report_dir={auditor.reports}")
    run = auditor.play("audit", *words, inventory=(tmp_path / "empty",))
    assert run.code == 2
    assert "NOD008" in run.said
    assert "k8snet_hosts" in run.said


def test_a_group_named_in_the_inventory_is_told_and_no_clean_audit(
    auditor: Auditor, lab: Lab, tmp_path: Path
) -> None:
    # Plays choose their hosts before they see the inventory's variables.
    text = lab.inventory.read_text().replace("k8snet_hosts:", "workers:", 1)
    (tmp_path / "workers.yml").write_text(text + "all:\n  vars:\n    k8snet_hosts: workers\n")
    inventory = (tmp_path / "workers.yml",)
    run = auditor.play("audit", "-e", f"k8snet_report_dir={auditor.reports}", inventory=inventory)
    assert run.code == 2
    assert "NOD009" in run.said
    run = auditor.play("baseline", inventory=inventory)
    assert run.code == 2
    assert "node1, node2, node3 were not recorded" in run.said
    assert auditor.play("baseline", "-e", "k8snet_hosts=workers", inventory=inventory).code == 0


@pytest.mark.full
def test_four_states_of_nodes_are_told_apart(
    auditor: Auditor, scene: Scene, lab: Lab, tmp_path: Path
) -> None:
    inventory = tmp_path / "part.json"
    whole = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-inventory")),
            "-i",
            str(lab.inventory),
            "--list",
            "--yaml",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    import yaml

    content = yaml.safe_load(whole)
    hosts = content["all"]["children"]["k8snet_hosts"]["hosts"]
    del hosts["node3"]
    inventory.write_text(json.dumps(content))
    words = ("-e", f"k8snet_report_dir={auditor.reports}", "--limit", "node1")
    words += ("-e", f"k8snet_kubeconfig={lab.kubeconfig}")
    run = auditor.play("audit", *words, inventory=(inventory,))
    report = json.loads((auditor.reports / "findings.json").read_text())
    assert {n["name"]: n["state"] for n in report["nodes"]} == {
        "node1": "visited",
        "node2": "not_selected",
        "node3": "not_in_inventory",
    }
    assert run.code == 0


@pytest.mark.full
@pytest.mark.parametrize(
    ("cni", "line", "told"),
    [
        ("calico-manifest", "Calico   v3.28.2 by manifest", {"CAL005"}),
        ("canal", "as Canal: flannel takes the address of the default route's device", set()),
        ("none", "Cluster  https://127.0.0.1", set()),
    ],
)
def test_other_ways_of_networking(
    auditor: Auditor, lab: Lab, tmp_path: Path, cni: str, line: str, told: set[str]
) -> None:
    with api(lab, tmp_path / "api", cni) as config:
        run = auditor.audit("-e", "k8snet_fail_on=never", kubeconfig=config)
    assert run.code == 0
    assert line in run.said
    assert {i for i in run.ids if not i.startswith("NIC")} == told


@pytest.mark.full
def test_antrea_with_a_stuck_open_vswitch_and_residue_of_kube_proxy(
    auditor: Auditor, lab: Lab, tmp_path: Path
) -> None:
    vsctl = f"sudo ovs-vsctl --no-wait --db={SOCKET}"
    try:
        for node in ("node1", "node2", "node3"):
            lab.ssh(node, "sudo systemctl start lab-ovs")
        lab.ssh("node1", f"{vsctl} set Open_vSwitch . other_config:flow-restore-wait=true")
        lab.ssh("node2", "sudo ip link add kube-ipvs0 type dummy")
        with api(
            lab, tmp_path / "api", "antrea", "--no-kube-proxy", "--antrea-proxy-all"
        ) as config:
            words = ("-e", "audit_flow_restore_min_age=0")
            run = auditor.audit(*words, kubeconfig=config)
            young = auditor.audit("-e", "audit_flow_restore_min_age=99999", kubeconfig=config)
    finally:
        lab.ssh("node1", f"{vsctl} remove Open_vSwitch . other_config flow-restore-wait")
        lab.ssh("node2", "sudo ip link delete kube-ipvs0", check=False)
        for node in ("node1", "node2", "node3"):
            lab.ssh(node, "sudo systemctl stop lab-ovs")
    told = [t for t in run.told if not t[1].startswith("NIC")]
    assert told == [("critical", "KPR001", "node2"), ("critical", "OVS001", "node1")]
    assert SOCKET.removeprefix("unix:") in run.said
    assert "Antrea   v2.3.0, proxyAll on, kube-proxy absent" in run.said
    assert ("info", "OVS001", "node1") in young.told
