# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab's commands say and return."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import cli, lab, node, preflight
from tests.lab.errors import LabError
from tests.lab.lab import Lab
from tests.lab.paths import CHECKOUT, checked_name


def run(*words: str, name: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    """`python -m tests.lab …` from another directory than the checkout."""
    options: dict[str, object] = {"cwd": "/", "capture_output": True, "timeout": 60, **kwargs}
    env = {**os.environ, "K8SNET_LAB": name, "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-m", "tests.lab", *words]
    return subprocess.run(command, env=env, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.lab
def test_exec_passes_streams_directory_and_exit_code(own_lab: Lab, tmp_path: Path) -> None:
    script = "cat; pwd; exit 7"
    done = run("exec", "--", "sh", "-c", script, name=own_lab.name, cwd=tmp_path, input="in\n")
    assert (done.returncode, done.stdout) == (7, f"in\n{tmp_path}\n")
    assert run("exec", "--", "sh", "-c", "kill -9 $$", name=own_lab.name).returncode == 137
    done = run("exec", "--", "no-such-program", name=own_lab.name)
    assert (done.returncode, done.stderr.split(":")[1]) == (127, " cannot run no-such-program")


@pytest.mark.lab
def test_exec_ends_its_command_when_it_is_ended(own_lab: Lab) -> None:
    for number in (15, 9):
        sleeper = subprocess.Popen(
            own_lab.inside(["sh", "-c", "echo begun; exec sleep 4321"]), stdout=subprocess.PIPE
        )
        assert sleeper.stdout is not None
        assert sleeper.stdout.readline() == b"begun\n"
        sleeper.send_signal(number)
        assert sleeper.stdout.read() == b"", "the command held its output open"
        assert sleeper.wait(10) == (143 if number == 15 else -9)


@pytest.mark.lab
def test_ssh_passes_output_and_exit_code(own_lab: Lab) -> None:
    done = run("ssh", "node2", "hostname; exit 3", name=own_lab.name)
    assert (done.returncode, done.stdout) == (3, "node2\n")
    done = run("ssh", "--oob", "n1", "echo", "$SSH_CONNECTION", name=own_lab.name)
    assert done.stdout.split()[2] == "169.254.77.11"


@pytest.mark.lab
def test_status_tells_nodes_and_nics(own_lab: Lab) -> None:
    status = json.loads(run("status", "--json", name=own_lab.name).stdout)
    assert [n["name"] for n in status["nodes"]] == ["node1", "node2"]
    nic = status["nodes"][1]["nics"][0]
    assert (nic["name"], nic["address"], nic["tag"]) == ("eth0", "10.160.1.22/24", 216)
    assert "trunks=181" in run("status", name=own_lab.name).stdout
    assert (
        own_lab.console("n1").stat().st_mode & 0o077 == 0 or own_lab.run.stat().st_mode == 0o40700
    )


@pytest.mark.lab
def test_the_inventory_serves_ansible_and_the_oldest_python_is_there(own_lab: Lab) -> None:
    modules = ["ansible", "-i", str(own_lab.inventory), "k8snet_hosts", "-m", "ping"]
    done = own_lab.exec(modules, capture_output=True, text=True)
    assert done.stdout.count('"ping": "pong"') == 2, done.stdout + done.stderr
    version = own_lab.ssh(
        "n1", "/opt/python3.9/bin/python3.9 -c 'import ssl, sys; print(sys.version)'"
    )
    assert version.stdout.startswith("3.9.")


@pytest.mark.parametrize("words", [["ssh", "n1"], ["plug", "n1"], ["exec", "--", "true"]])
def test_without_a_lab_commands_say_how_to_start_one(words: list[str]) -> None:
    done = run(*words, name="never-started")
    assert done.returncode == 1
    assert "lab 'never-started' is not up" in done.stderr
    assert "'python -m tests.lab up' starts it" in done.stderr
    assert run("status", name="never-started").returncode == 3


@pytest.mark.parametrize(("word", "name"), [("n1", "node1"), ("node3", "node3"), ("9", "node9")])
def test_nodes_have_short_names(word: str, name: str) -> None:
    assert node.node_name(word) == name


@pytest.mark.parametrize("word", ["", "n0", "n10", "web", "node-1", "n1x"])
def test_what_is_no_node_is_wrong_usage(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["kill", word])
    assert ended.value.code == 2
    assert "Nodes are n1, n2" in capsys.readouterr().err


def test_a_name_that_could_leave_the_run_directory_is_refused() -> None:
    for name in ("../etc", "a/b", "", "-x", "a" * 33):
        with pytest.raises(LabError, match="cannot name a lab"):
            checked_name(name)


def test_up_says_at_once_that_it_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match=r"not root: .* Run it with sudo"):
        Lab.up(1)


def test_down_says_that_labs_belong_to_root(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_lab: Lab) -> bool:
        raise PermissionError(13, "Permission denied", "/run/k8snet-lab/lab/lock")

    monkeypatch.setattr(Lab, "down", refuse)
    assert cli.main(["down"]) == 1
    assert "Run it with sudo" in capsys.readouterr().err


def test_up_names_missing_programs_and_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    missing = {"debootstrap", "ovs-vsctl"}
    monkeypatch.setattr(
        preflight.shutil, "which", lambda program, path: program not in missing or None
    )
    wanted = r"missing: debootstrap, ovs-vsctl.*apt-get install debootstrap openvswitch-switch"
    with pytest.raises(LabError, match=wanted):
        preflight.check()


def test_down_all_ends_every_instance(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lab, "RUN_BASE", tmp_path)
    monkeypatch.setattr(lab, "run_dir", lambda name: tmp_path / name)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    assert cli.main(["down", "--all"]) == 0
    assert capsys.readouterr().out == "lab 'one' is down\nlab 'two' is down\n"
    assert list(tmp_path.iterdir()) == []
