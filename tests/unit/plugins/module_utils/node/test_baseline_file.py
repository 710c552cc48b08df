# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The baseline file: atomic, private, no link followed, and clear words when it is bad."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.node import (
    _baseline_file,
    _baseline_run,
)

NICS = [
    {
        "name": "eth0",
        "kind": "physical",
        "permanent_mac": "02:00:00:00:00:0a",
        "bus": "0000:00:03.0",
        "addresses": ["10.0.0.5/24"],
    }
]
WHEN = "2026-01-31T02:10:00Z"


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path)


def mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_what_was_saved_is_loaded(root: str) -> None:
    assert _baseline_file.load(root) is None
    _baseline_file.save(NICS, WHEN, root)
    assert _baseline_file.load(root) == {"version": 1, "recorded_at": WHEN, "nics": NICS}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_nobody_else_may_look_into_it(root: str, umask: int) -> None:
    before = os.umask(umask)
    try:
        _baseline_file.save(NICS, WHEN, root)
    finally:
        os.umask(before)
    assert mode(_baseline_file.path(root)) == 0o600
    assert mode(f"{root}/k8snet/baseline") == 0o700
    assert mode(f"{root}/k8snet") == 0o700
    assert _baseline_file.loose(root) == []


def test_nothing_but_the_file_is_left(root: str) -> None:
    _baseline_file.save(NICS, WHEN, root)
    _baseline_file.save(NICS, WHEN, root)
    assert os.listdir(f"{root}/k8snet/baseline") == ["nics.json"]


def test_a_failed_write_keeps_the_old_file_and_leaves_no_other(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _baseline_file.save(NICS, WHEN, root)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_baseline_file.os, "fsync", full)
    with pytest.raises(_baseline_file.BaselineError, match=r"No space left.*Free some space"):
        _baseline_file.save([], WHEN, root)
    monkeypatch.undo()
    assert os.listdir(f"{root}/k8snet/baseline") == ["nics.json"]
    loaded = _baseline_file.load(root)
    assert loaded is not None
    assert loaded["nics"] == NICS


def test_a_link_in_place_of_the_file_is_not_followed(root: str, tmp_path: Path) -> None:
    _baseline_file.save(NICS, WHEN, root)
    target = tmp_path / "shadow"
    target.write_text("secret")
    os.unlink(_baseline_file.path(root))
    os.symlink(target, _baseline_file.path(root))
    with pytest.raises(_baseline_file.BaselineError, match="symbolic link"):
        _baseline_file.load(root)
    _baseline_file.save(NICS, WHEN, root)
    assert target.read_text() == "secret"
    assert not os.path.islink(_baseline_file.path(root))


@pytest.mark.parametrize("component", ["k8snet", "k8snet/baseline"])
def test_a_link_in_place_of_a_directory_is_not_followed(
    root: str, tmp_path: Path, component: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    os.makedirs(os.path.dirname(f"{root}/{component}"), exist_ok=True)
    os.symlink(elsewhere, f"{root}/{component}")
    for action in (
        lambda: _baseline_file.save(NICS, WHEN, root),
        lambda: _baseline_file.load(root),
        lambda: _baseline_file.remove(root),
    ):
        with pytest.raises(_baseline_file.BaselineError, match="symbolic link"):
            action()
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[]", "no JSON object"),
        (b'{"version": 9}', "version is 9"),
        (b'{"version": 1, "recorded_at": "x", "nics": [7]}', "entry 0"),
    ],
)
def test_a_corrupt_file_is_named_with_its_remedy(root: str, content: bytes, says: str) -> None:
    _baseline_file.save(NICS, WHEN, root)
    Path(_baseline_file.path(root)).write_bytes(content)
    with pytest.raises(_baseline_file.BaselineError) as error:
        _baseline_file.load(root)
    assert says in str(error.value)
    assert _baseline_file.path(root) in str(error.value)
    assert "state=absent" in str(error.value)


def test_a_pipe_in_place_of_the_file_does_not_hang(root: str) -> None:
    _baseline_file.save(NICS, WHEN, root)
    os.unlink(_baseline_file.path(root))
    os.mkfifo(_baseline_file.path(root))
    with pytest.raises(_baseline_file.BaselineError, match="no regular file"):
        _baseline_file.load(root)


def test_removing_twice_is_fine(root: str) -> None:
    _baseline_file.remove(root)
    _baseline_file.save(NICS, WHEN, root)
    _baseline_file.remove(root)
    _baseline_file.remove(root)
    assert not _baseline_file.exists(root)


# What the module does with it.


def run(root: str, state: str, check_mode: bool = False) -> dict[str, Any]:
    return _baseline_run.run(state, check_mode, root)


@pytest.fixture
def nics(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """One NIC of the node, which a test may change."""
    address = {"address": "10.0.0.5", "prefix": 24, "family": "inet", "flags": []}
    present = [{**NICS[0], "role": "primary", "addresses": [address]}]
    monkeypatch.setattr(_baseline_run._nics, "gather", lambda: {"nics": present})
    return present


def test_check_mode_plans_what_apply_does_and_writes_nothing(root: str, nics: Any) -> None:
    check = run(root, "recorded", check_mode=True)
    assert os.listdir(root) == []
    apply = run(root, "recorded")
    assert check == apply
    assert check["changed"]
    assert check["diff"][0]["before"] == ""
    assert '"eth0"' in check["diff"][0]["after"]
    assert WHEN[:2] not in check["diff"][0]["after"]


def test_recording_again_changes_nothing_not_even_the_time(root: str, nics: Any) -> None:
    run(root, "recorded")
    before = Path(_baseline_file.path(root)).read_bytes()
    again = run(root, "recorded")
    assert (again["changed"], again["plan"], again["diff"]) == (False, [], [])
    assert Path(_baseline_file.path(root)).read_bytes() == before


def test_comparing_tells_the_drift_and_recording_accepts_it(root: str, nics: Any) -> None:
    assert run(root, "compared")["drift"] is None
    run(root, "recorded")
    assert run(root, "compared")["drift"]["changes"] == []
    nics.append({**nics[0], "name": "eth1", "permanent_mac": "02:00:00:00:00:0b", "bus": "x"})
    compared = run(root, "compared")
    assert not compared["changed"]
    assert [c["change"] for c in compared["drift"]["changes"]] == ["added"]
    recorded = run(root, "recorded")
    assert recorded["changed"]
    assert recorded["drift"] == compared["drift"]
    assert run(root, "compared")["drift"]["changes"] == []


def test_absent_removes_it_once_also_when_corrupt(root: str, nics: Any) -> None:
    assert not run(root, "absent")["changed"]
    run(root, "recorded")
    Path(_baseline_file.path(root)).write_text("{")
    for state in ("compared", "recorded"):
        with pytest.raises(_baseline_file.BaselineError, match="state=absent"):
            run(root, state)
    check = run(root, "absent", check_mode=True)
    assert _baseline_file.exists(root)
    assert run(root, "absent") == check
    assert check["changed"]
    assert not _baseline_file.exists(root)
    assert not run(root, "absent")["changed"]


def test_access_of_others_is_taken_away(root: str, nics: Any) -> None:
    run(root, "recorded")
    os.chmod(_baseline_file.path(root), 0o644)
    os.chmod(f"{root}/k8snet/baseline", 0o755)
    check = run(root, "recorded", check_mode=True)
    assert mode(_baseline_file.path(root)) == 0o644
    assert check["changed"]
    assert "access" in check["plan"][0]["action"]
    assert run(root, "recorded") == check
    assert _baseline_file.loose(root) == []
    assert not run(root, "recorded")["changed"]


def test_a_write_that_does_not_hold_fails(
    root: str, nics: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_baseline_run._baseline_file, "save", lambda *_arguments: None)
    with pytest.raises(_baseline_file.BaselineError, match="Applied but not effective"):
        run(root, "recorded")


def test_the_file_says_when_it_was_recorded(root: str, nics: Any) -> None:
    run(root, "recorded")
    content = json.loads(Path(_baseline_file.path(root)).read_text())
    assert len(content["recorded_at"]) == len(WHEN)
    assert content["recorded_at"].endswith("Z")
