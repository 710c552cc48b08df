# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The timer of a checkpoint: one at any moment, and nobody is told that one waits that is gone."""

from __future__ import annotations

import re
import time

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.node import _checkpoint
from ansible_collections.k8snet.cni.plugins.module_utils.node import _checkpoint_units as units
from ansible_collections.k8snet.cni.plugins.module_utils.node._checkpoint_store import (
    CheckpointError,
)

SCOPE = {"links": None, "reach": None, "ovs": False, "ovs_socket": None, "dns": False}
HOLD = {"units": ["kubelet"], "processes": ["antrea-agent"]}


def arm(store, name="a", hold=None, check=False, timeout=60):
    return _checkpoint.Checkpoint(name, check, store).arm(timeout, SCOPE, hold)


def act(store, verb, name="a", check=False):
    return getattr(_checkpoint.Checkpoint(name, check, store), verb)()


def seconds_of(calls):
    """How long the last timer that was started waits, from now on."""
    since_startup = re.findall(r"--on-startup=([0-9]+)us", "\n".join(calls))[-1]
    return 2 + int(since_startup) / 1e6 - time.monotonic()


def test_a_timer_that_does_not_start_leaves_nothing(store, calls, etc, monkeypatch):
    played = units.run

    def run(*words, timeout=0):
        if words[0] == "systemd-run":
            return 1, "Failed to start transient timer unit"
        return played(*words)

    monkeypatch.setattr(units, "run", run)
    with pytest.raises(CheckpointError, match="Failed to start the timer"):
        arm(store, hold=HOLD)
    assert store.names() == []
    assert list(etc.iterdir()) == []


def test_a_timer_that_systemd_does_not_schedule_is_no_timer(store, calls, etc, monkeypatch):
    monkeypatch.setattr(units, "_waits", lambda _unit: False)
    with pytest.raises(CheckpointError, match="was started and does not wait"):
        arm(store)
    assert store.names() == []


def waiting():
    return units.waiting_timers("a")


def test_time_that_begins_anew_leaves_one_timer_at_any_moment(store, calls, etc):
    arm(store)
    for _time in range(3):
        del calls[:]
        _checkpoint.Checkpoint("a", False, store).renew(90)
        assert len(waiting()) == 1
        steps = [c for c in calls if c.startswith(("systemd-run", "systemctl stop"))]
        assert [step.split()[0] for step in steps] == ["systemd-run", "systemctl"]
    act(store, "confirm")
    assert waiting() == []


def test_time_that_cannot_begin_anew_goes_on_as_it_was(store, calls, etc, monkeypatch):
    arm(store)
    played = units.run

    def run(*words, timeout=0):
        return (1, "no bus") if words[0] == "systemd-run" else played(*words)

    monkeypatch.setattr(units, "run", run)
    with pytest.raises(CheckpointError, match="no bus"):
        _checkpoint.Checkpoint("a", False, store).renew(90)
    assert waiting() == ["k8snet-restore-a"]


def test_time_does_not_begin_anew_once_the_timer_has_gone_off(store, calls, etc, monkeypatch):
    arm(store)
    played = units.run

    def run(*words, timeout=0):
        return (0, "activating") if "is-active" in words else played(*words)

    monkeypatch.setattr(units, "run", run)
    with pytest.raises(CheckpointError, match="Too late"):
        _checkpoint.Checkpoint("a", False, store).renew(90)
    assert waiting() == []


def test_a_timer_that_a_killed_run_left_gives_way(store, calls, etc):
    units.start_timer("a", 900, ["true"])
    arm(store)
    assert len(waiting()) == 1
    assert seconds_of(calls) == pytest.approx(60, abs=20)


# -- a timer that is gone -----------------------------------------------------------------------


def stopped_by_hand():
    units.run("systemctl", "stop", "k8snet-restore-a.timer")


def test_a_timer_that_waits_is_told_and_warned_of_by_nobody(store, calls, etc):
    done = arm(store)
    assert (done["checkpoint"]["timer"], done["warnings"]) == ("waiting", [])
    assert done["checkpoint"]["deadline"]["boot_id"] == "a"
    done = act(store, "confirm")
    assert (done["checkpoint"]["timer"], done["warnings"]) == (None, [])
    assert "k8snet-restore-a.timer" in [step["target"] for step in done["plan"]]


@pytest.mark.parametrize("check", [True, False])
def test_a_change_whose_timer_was_gone_is_kept_and_that_is_told(store, calls, etc, check):
    arm(store)
    stopped_by_hand()
    stands = _checkpoint.Checkpoint("a", False, store).describe()
    assert (stands["state"], stands["timer"], stands["deadline"]) == ("armed", "gone", None)
    done = act(store, "confirm", check=check)
    assert done["changed"]
    assert "its timer (k8snet-restore-a.timer) was gone" in done["warnings"][0]
    assert "k8snet-restore-a.timer" not in [step["target"] for step in done["plan"]]
    assert store.state("a") == ("armed" if check else "confirmed")


def test_another_one_is_refused_with_the_timers_end_told(store, calls, etc):
    arm(store)
    stopped_by_hand()
    with pytest.raises(CheckpointError, match="armed on this node, though its timer is gone"):
        arm(store, name="b")


def test_time_that_begins_anew_brings_a_timer_back_that_was_gone(store, calls, etc):
    arm(store)
    stopped_by_hand()
    done = _checkpoint.Checkpoint("a", False, store).renew(90)
    assert "It counts again from now on." in done["warnings"][0]
    assert (done["checkpoint"]["timer"], len(waiting())) == ("waiting", 1)


def test_a_timer_that_has_just_fired_is_not_gone(store, calls, etc, monkeypatch):
    arm(store)
    stopped_by_hand()
    played = units.run

    def run(*words, timeout=0):
        return (0, "activating") if "is-active" in words else played(*words)

    monkeypatch.setattr(units, "run", run)
    stands = _checkpoint.Checkpoint("a", False, store).describe()
    assert (stands["timer"], act(store, "confirm", check=True)["warnings"]) == ("fired", [])


def test_a_systemd_that_does_not_answer_says_nothing_of_the_timer(store, calls, etc, monkeypatch):
    arm(store)
    monkeypatch.setattr(units, "run", lambda *_words, timeout=0: (124, "no answer"))
    stands = _checkpoint.Checkpoint("a", False, store).describe()
    assert (stands["state"], stands["timer"]) == ("armed", "unknown")
