# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steps of a restore in few processes of ip, with every error at its own step, and an end."""

from __future__ import annotations

import os
import sys

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils._plan import Step
from ansible_collections.k8snet.cni.plugins.module_utils.domain._checkpoint_world import (
    Action,
    Restore,
)
from ansible_collections.k8snet.cni.plugins.module_utils.node import (
    _checkpoint_read,
    _iproute,
    _restore,
    _restore_apply,
    _restore_ip,
)

#: Plays ip: notes how it was called, and answers by what a line says.
IP = """#!/bin/sh
echo "$*" >> {log}
number=0
while read -r line; do
    number=$((number + 1))
    echo "  $line" >> {log}
    case "$line" in
        *fails*) echo "RTNETLINK answers: $line" >&2; echo "Command failed -:$number" >&2; code=1 ;;
        *stands*) echo "RTNETLINK answers: File exists" >&2; echo "Command failed -:$number" >&2
            code=1 ;;
        *dies*) echo "Error: argument is wrong" >&2; exit 255 ;;
        *warns*) echo "Warning: old kernel" >&2 ;;
        *hangs*) exec sleep 60 ;;
    esac
done
exit ${{code:-0}}
"""
SAVED = {"addresses": {}, "with_ovs": False}


@pytest.fixture
def log(monkeypatch, tmp_path):
    path = tmp_path / "ip"
    path.write_text(IP.format(log=tmp_path / "log"))
    path.chmod(0o755)
    (tmp_path / "log").touch()
    monkeypatch.setattr(_iproute, "find", lambda: str(path))
    return lambda: (tmp_path / "log").read_text().splitlines()


def ip(text):
    return Action(Step(text, "x"), "ip", tuple(text.split()))


def grouped(*texts):
    return [[a.step.action for a in g] for g in _restore_ip.together([ip(t) for t in texts])]


def test_one_process_does_what_follows_each_other_in_one_family():
    assert grouped("link a", "-4 r1", "-4 r2", "-6 r3", "link b", "link c") == [
        ["link a"],
        ["-4 r1", "-4 r2"],
        ["-6 r3"],
        ["link b", "link c"],
    ]


@pytest.mark.parametrize("name", ["eth#1", "it's", 'e"1', "a\\b", "ä", "a" + " x" * 300])
def test_what_a_batch_would_read_otherwise_is_done_alone(name):
    assert grouped("link a", f"link {name}", "link b") == [["link a"], [f"link {name}"], ["link b"]]


def test_other_steps_stand_between_and_no_process_does_too_many():
    other = Action(Step("port", "x"), "port", ("eth0",))
    actions = [*[ip("link a")] * 250, other, ip("link b")]
    groups = list(_restore_ip.together(actions))
    assert [len(group) for group in groups] == [100, 100, 50, 1, 1]
    assert [action for group in groups for action in group] == actions


def test_each_error_is_at_its_own_step(log):
    actions = [ip("-4 r one"), ip("-4 r fails"), ip("-4 r warns"), ip("-4 r fails 2")]
    assert _restore_ip.batch(actions, 10) == [None, "r fails", None, "r fails 2"]
    assert log()[:3] == ["-4 -force -batch -", "  r one", "  r fails"]


def test_a_process_that_dies_in_the_middle_is_told_from_one_that_says_no(log):
    with pytest.raises(_restore_ip.Unclear, match="argument is wrong"):
        _restore_ip.batch([ip("link a"), ip("link dies"), ip("link b")], 10)
    with pytest.raises(_restore_ip.ReadError, match="timed out"):
        _restore_ip.batch([ip("link hangs")], 0.5)


class Played:
    """A restore whose plans are given, one for each look; the last one again and again."""

    def __init__(self, monkeypatch, *plans):
        self.said = []
        self.announced = []
        plans = [Restore([ip(t) for t in texts], first=first) for texts, first in plans]
        monkeypatch.setattr(_checkpoint_read, "gather", lambda *_args: {})
        monkeypatch.setattr(
            _restore_apply.domain,
            "restore_plan",
            lambda *_args: plans.pop(0) if len(plans) > 1 else plans[0],
        )
        monkeypatch.setattr(
            _restore_apply, "announce", lambda _saved: self.announced.append(len(self.work.steps))
        )
        monkeypatch.setattr(_restore_apply.time, "sleep", lambda _seconds: None)
        self.work = _restore_apply.Restorer(SAVED, None, lambda text, wrong: self.said.append(text))


def test_the_way_out_is_done_told_and_looked_at_before_the_rest(monkeypatch, log):
    way, rest = ["link way1", "link way2"], ["link rest1", "link rest2"]
    played = Played(monkeypatch, (way + rest, 2), (rest, 0), ([], 0))
    assert played.work.run()
    assert played.announced == [2, 4]
    assert log() == [
        "-force -batch -",
        "  link way1",
        "  link way2",
        "-force -batch -",
        "  link rest1",
        "  link rest2",
    ]


def test_errors_that_say_it_stands_are_none_and_others_are_told(monkeypatch, log):
    plan = (["-4 route append stands", "-4 route append fails"], 0)
    played = Played(monkeypatch, plan, ([], 0))
    assert played.work.run()
    assert [step["error"] for step in played.work.steps] == [None, "route append fails"]
    assert "-4 route append fails FAILED: route append fails" in played.said


def test_what_a_dead_process_left_open_is_done_one_by_one(monkeypatch, log):
    alone = []
    played = Played(monkeypatch, (["link add a", "link dies"], 0), ([], 0))

    def run(*words, timeout):
        alone.append(" ".join(words))
        raise _restore_ip.ReadError("File exists" if "add" in words else "no")

    monkeypatch.setattr(_checkpoint_read, "ip", run)
    assert played.work.run()
    assert alone == ["link add a", "link dies"]
    assert [step["error"] for step in played.work.steps] == [None, "no"]


def test_when_the_time_is_up_no_step_is_begun_and_the_report_says_what_is_left(monkeypatch, log):
    many = [f"link {n}" for n in range(250)]
    played = Played(monkeypatch, (many, 0))
    clock = iter([0.0, 0.0, 50.0] + [500.0] * 500)
    played.work._deadline = 100.0
    monkeypatch.setattr(played.work, "_left", lambda: 100.0 - next(clock))
    assert not played.work.run()
    done = len(played.work.steps)
    assert done in (100, 200)
    assert played.work.left == many
    assert f"The time is up: {250 - done} steps are not done." in played.said


def test_what_never_succeeds_ends_and_is_left(monkeypatch, log):
    played = Played(monkeypatch, (["link fails"], 1))
    monkeypatch.setattr(_checkpoint_read, "ip", lambda *_words, timeout: "")
    assert not played.work.run()
    assert played.work.left == ["link fails"]


def test_the_journal_is_told_what_is_wrong_and_a_console_only_the_words(monkeypatch, tmp_path):
    with open(tmp_path / "out", "w", encoding="utf-8") as out:
        monkeypatch.setattr(sys, "stdout", out)
        _restore.say("At a console.", wrong=True)
        about = os.fstat(out.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{about.st_dev}:{about.st_ino}")
        _restore.say("Done.")
        _restore.say("Left.", wrong=True)
    told = (tmp_path / "out").read_text().splitlines()
    assert told == ["At a console.", "<5>Done.", "<3>Left."]
