# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node program: the collection's own sources in one file that any Python runs by itself."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.node import _program, _restore

ENTRY = "node._restore:main"


@pytest.fixture
def data():
    return _program.build(ENTRY, _restore.MODULES)


def run(path, *words):
    # No environment of ours, no checkout beside it: what it imports must lie in the file.
    return subprocess.run(
        [sys.executable, "-I", "-S", path, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"PATH": os.environ["PATH"]},
    )


def test_it_is_the_same_bytes_each_time(data):
    assert data == _program.build(ENTRY, _restore.MODULES)


def test_it_has_all_that_it_imports(data, tmp_path):
    path = _program.install("restore", data, str(tmp_path / "k8snet" / "programs"))
    done = run(path, "--nonsense")
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith("usage:")


def test_it_misses_a_module_that_is_left_out(tmp_path):
    short = [name for name in _restore.MODULES if name != "domain._checkpoint_routes"]
    root = str(tmp_path / "k8snet" / "programs")
    path = _program.install("restore", _program.build(ENTRY, short), root)
    assert "_checkpoint_routes" in run(path, "--nonsense").stderr


def test_a_checkpoint_that_is_not_there_is_said(data, tmp_path):
    path = _program.install("restore", data, str(tmp_path / "k8snet" / "programs"))
    done = run(path, "--show", "no-such-checkpoint")
    assert done.returncode == 1
    assert "no-such-checkpoint/checkpoint.json is missing or damaged" in done.stdout
    assert done.stderr == ""


def test_it_is_written_for_root_alone_and_once(data, tmp_path):
    root = tmp_path / "k8snet" / "programs"
    path = _program.install("restore", data, str(root))
    status = os.stat(path)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert _program.install("restore", data, str(root)) == path
    assert os.stat(path).st_ino == status.st_ino
    assert os.listdir(root) == [os.path.basename(path)]


def test_a_damaged_program_is_written_anew(data, tmp_path):
    root = str(tmp_path / "k8snet" / "programs")
    path = _program.install("restore", data, root)
    with open(path, "wb") as file:
        file.write(b"half")
    _program.install("restore", data, root)
    assert run(path, "--nonsense").returncode == 2


def test_a_planted_link_is_not_followed(data, tmp_path):
    (tmp_path / "k8snet").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "k8snet" / "programs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(_program.ProgramError, match="cannot be written"):
        _program.install("restore", data, str(tmp_path / "k8snet" / "programs"))
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_planted_link_in_the_programs_place_is_replaced_not_followed(data, tmp_path):
    root = tmp_path / "k8snet" / "programs"
    root.mkdir(parents=True)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    os.symlink(victim, _program.path_of("restore", data, str(root)))
    with pytest.raises(_program.ProgramError):
        _program.install("restore", data, str(root))
    assert victim.read_text() == "mine"


@pytest.fixture
def pythons(monkeypatch, tmp_path):
    """What the folders that do not last and the homes are is made up; two Pythons that are none."""
    for name in ("lasting", "passing", "home"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "python3").write_text("#!/bin/sh\nexit ${OLD:-0}\n")
        (tmp_path / name / "python3").chmod(0o755)
    monkeypatch.setattr(_program, "_PASSING", (str(tmp_path / "passing"),))
    monkeypatch.setattr(_program, "_HOMES", (str(tmp_path / "home"),))
    monkeypatch.setattr(_program, "SYSTEM_PYTHON", str(tmp_path / "lasting" / "system"))
    (tmp_path / "lasting" / "system").symlink_to(tmp_path / "lasting" / "python3")
    (tmp_path / "lasting" / "link").symlink_to(tmp_path / "passing" / "python3")
    (tmp_path / "lasting" / "two words").symlink_to(tmp_path / "lasting" / "python3")
    return tmp_path


@pytest.mark.parametrize(
    ("own", "chosen"),
    [
        ("lasting/python3", "lasting/python3"),
        ("passing/python3", "lasting/system"),
        ("home/python3", "lasting/system"),
        ("lasting/link", "lasting/system"),
        ("lasting/two words", "lasting/system"),
        ("lasting/gone", "lasting/system"),
        ("", "lasting/system"),
    ],
)
def test_a_unit_runs_a_python_that_will_be_there(pythons, monkeypatch, own, chosen):
    monkeypatch.setattr(sys, "executable", str(pythons / own) if own else "")
    assert _program.python() == str(pythons / chosen)
    assert _program.python(system_first=True) == str(pythons / "lasting/system")


@pytest.mark.parametrize("own", ["passing/python3", ""])
def test_without_one_that_will_be_there_nothing_is_armed(pythons, monkeypatch, own):
    monkeypatch.setattr(sys, "executable", str(pythons / own) if own else "")
    monkeypatch.setenv("OLD", "1")
    with pytest.raises(_program.ProgramError, match=r"No Python that will be there .* python3"):
        _program.python()
    monkeypatch.setattr(sys, "executable", str(pythons / "home/python3"))
    assert _program.python() == str(pythons / "home/python3")
