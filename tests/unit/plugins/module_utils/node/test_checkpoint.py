# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A checkpoint on the disk: one winner, no half-done things, errors that say what to do."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import subprocess
import sys

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.node import (
    _checkpoint,
    _checkpoint_read,
    _checkpoint_store,
    _restore,
)
from ansible_collections.k8snet.cni.plugins.module_utils.node import _checkpoint_units as units
from ansible_collections.k8snet.cni.plugins.module_utils.node._checkpoint_store import (
    CheckpointError,
    Store,
)

SCOPE = {"links": None, "reach": None, "ovs": False, "ovs_socket": None, "dns": False}
HOLD = {"units": ["kubelet"], "processes": ["antrea-agent"]}


def arm(store, name="a", hold=None, check=False, timeout=60):
    return _checkpoint.Checkpoint(name, check, store).arm(timeout, SCOPE, hold)


def act(store, verb, name="a", check=False):
    return getattr(_checkpoint.Checkpoint(name, check, store), verb)()


def changing(calls):
    """What was asked of systemd that is more than a question."""
    return [c for c in calls if c.split()[1] not in ("show", "is-active")]


def files(folder):
    found = {}
    for place, _folders, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                found[path] = file.read()
    return found


def test_armed_confirmed_removed(store, calls, etc):
    done = arm(store, hold=HOLD)
    assert done["checkpoint"]["state"] == "armed"
    assert any("AccuracySec=100ms" in call for call in calls)
    assert (etc / "k8snet-restore-boot.service").exists()
    assert (etc / "kubelet.service.d" / units.DROP_IN).exists()
    assert act(store, "confirm")["changed"]
    assert list(etc.iterdir()) == []
    assert not act(store, "confirm")["changed"]
    assert act(store, "remove")["changed"]
    assert not act(store, "remove")["changed"]
    assert store.names() == []


def test_all_of_it_is_for_root_alone(store, calls, etc):
    arm(store, hold=HOLD)
    for place, _folders, names in os.walk(store.root):
        assert stat.S_IMODE(os.stat(place).st_mode) == 0o700
        for name in names:
            assert stat.S_IMODE(os.stat(os.path.join(place, name)).st_mode) == 0o600


@pytest.mark.parametrize("verb", ["confirm", "remove"])
def test_check_mode_tells_the_same_and_writes_nothing(store, calls, etc, verb):
    foreseen = arm(store, hold=HOLD, check=True)
    assert not os.path.exists(store.root)
    assert not list(etc.iterdir())
    done = arm(store, hold=HOLD)
    assert (foreseen["plan"], foreseen["diff"]) == (done["plan"], done["diff"])
    before = files(store.root), files(etc), changing(calls)
    foreseen = act(store, verb, check=True)
    assert (files(store.root), files(etc), changing(calls)) == before
    done = act(store, verb)
    assert (foreseen["plan"], foreseen["diff"]) == (done["plan"], done["diff"])


def test_what_cannot_be_kept_over_a_boot_is_not_confirmed(store, calls, etc, monkeypatch):
    arm(store)

    def refuse(*_words):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(_checkpoint_store, "_overwrite", refuse)
    with pytest.raises(CheckpointError, match=r"cannot be confirmed for good.*It stays armed"):
        act(store, "confirm")
    assert (store.state("a"), len(units.waiting_timers("a"))) == ("armed", 1)


def test_a_drop_in_that_cannot_be_written_is_said_and_leaves_nothing(store, calls, etc):
    (etc / "kubelet.service.d").write_text("a file in the folder's place")
    with pytest.raises(CheckpointError, match=r"kubelet\.service\.d.* cannot be written"):
        arm(store, hold=HOLD)
    assert store.names() == []
    assert [path.name for path in etc.iterdir()] == ["kubelet.service.d"]


def test_after_a_boot_all_that_starts_agents_waits_for_the_restore(store, calls, etc):
    arm(store, hold={"units": ["my-kubelet", "NetworkManager"], "processes": []})
    text = (etc / "k8snet-restore-boot.service").read_text()
    before = next(line for line in text.splitlines() if line.startswith("Before="))
    assert {"kubelet.service", "k3s.service", "rke2-agent.service", "my-kubelet.service"} <= {
        *before.partition("=")[2].split()
    }
    assert "NetworkManager.service" not in before


def test_a_checkpoint_that_cannot_be_read_is_not_one_that_is_not_there(store, calls, etc):
    arm(store)
    os.unlink(f"{store.base}/a/state")
    os.symlink("/nowhere", f"{store.base}/a/state")
    for verb in ("confirm", "remove", "roll_back"):
        with pytest.raises(CheckpointError, match="state cannot be read"):
            act(store, verb)


def test_a_damaged_neighbour_does_not_keep_a_node_from_restoring_at_boot(store, calls, etc):
    arm(store, name="b")
    os.mkdir(f"{store.base}/a")
    os.symlink("/nowhere", f"{store.base}/a/state")
    assert _restore.boot(store) == 0
    assert store.state("b") == "rolled_back"
    with pytest.raises(CheckpointError, match="a/state cannot be read"):
        arm(store, name="c")


def test_one_program_is_there_whatever_versions_came_before(store, calls, etc):
    arm(store)
    program = store.load("a")["program"][2]
    act(store, "confirm")
    for name in ("restore-000000000000.pyz", "flow-restore-guard-000000000000.pyz"):
        with open(f"{store.root}/programs/{name}", "wb"):
            pass
    arm(store, name="b")
    left = sorted(os.listdir(f"{store.root}/programs"))
    assert left == ["flow-restore-guard-000000000000.pyz", os.path.basename(program)]


def test_a_hold_that_says_nothing_is_told_with_its_file(store, calls, etc):
    os.makedirs(store.root)
    with open(store.hold_file, "wb"):
        pass
    with pytest.raises(CheckpointError, match=r"k8snet/hold does not say.*remove the file"):
        arm(store)


def test_a_restore_goes_on_when_the_actor_cannot_be_held(store, calls, etc):
    arm(store, hold=HOLD)
    with open(f"{store.base}/a/hold", "w", encoding="utf-8") as file:
        file.write('{"id": "a"}')
    assert _restore.restore(store, "a") == 0
    assert store.state("a") == "rolled_back"


@pytest.mark.parametrize("seconds", [-1, 0, 19, 86401])
def test_a_silly_timeout_is_refused(store, calls, seconds):
    with pytest.raises(CheckpointError, match=f"timeout: {seconds} s is not between 20 and 86400"):
        arm(store, timeout=seconds)


def test_a_node_without_systemd_is_refused(store, monkeypatch):
    monkeypatch.setattr(units, "running", lambda: False)
    with pytest.raises(CheckpointError, match="not run by systemd"):
        arm(store)
    assert not os.path.exists(store.root)


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".a", "a" * 65, "a b", "%n"])
def test_a_name_that_is_none_is_refused(store, name):
    with pytest.raises(CheckpointError, match="is no name of a checkpoint"):
        _checkpoint.Checkpoint(name, False, store)


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_second_one_is_refused_while_one_is_armed(store, calls, etc, name):
    arm(store)
    with pytest.raises(CheckpointError, match="Checkpoint 'a' is armed on this node"):
        arm(store, name=name)


def test_what_is_not_there_cannot_be_confirmed(store):
    with pytest.raises(CheckpointError, match="There is no checkpoint 'a'"):
        act(store, "confirm")


def test_a_link_in_the_checkpoints_place_is_not_followed(store, calls, etc, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    os.makedirs(store.base)
    os.symlink(tmp_path / "elsewhere", f"{store.base}/a")
    arm(store)
    assert os.listdir(tmp_path / "elsewhere") == []
    assert not os.path.islink(f"{store.base}/a")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"saved": 1}', "\0" * 40])
def test_a_damaged_checkpoint_is_said_and_the_actor_held_all_the_same(
    store, calls, etc, text, capsys
):
    arm(store, hold=HOLD)
    with open(f"{store.base}/a/checkpoint.json", "w", encoding="utf-8") as file:
        file.write(text)
    assert _restore.restore(store, "a") == 1
    assert "missing or damaged" in capsys.readouterr().out
    assert store.state("a") == "failed"
    assert store.held()["id"] == "a"
    assert "systemctl stop kubelet.service" in calls


def test_a_restore_says_what_it_did_and_lifts_nothing_by_itself(store, calls, etc, capsys):
    arm(store, hold=HOLD)
    assert _restore.restore(store, "a") == 0
    report = store.report("a")
    assert (report["state"], report["held"], report["left"]) == ("rolled_back", ["kubelet"], [])
    assert "rm " in capsys.readouterr().out
    with pytest.raises(CheckpointError, match=r"Too late: the node was rolled back .* is held"):
        act(store, "confirm")
    assert act(store, "remove")["changed"]
    assert "systemctl start kubelet.service" in calls
    assert store.held() is None


def test_a_restore_that_died_half_way_is_done_again_at_boot(store, calls, etc):
    arm(store)
    store.set_state("a", "restoring")
    assert _restore.boot(store) == 0
    assert store.state("a") == "rolled_back"


@pytest.mark.parametrize("word", ["confirmed", "preparing", "rolled_back"])
def test_what_is_not_armed_is_not_restored(store, calls, etc, word):
    arm(store)
    store.set_state("a", word)
    assert _restore.restore(store, "a") == 0
    assert store.state("a") == word
    assert store.report("a") is None


def test_a_read_only_disk_does_not_keep_a_node_from_restoring(store, calls, etc, monkeypatch):
    arm(store)

    def refuse(*_words):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(
        "ansible_collections.k8snet.cni.plugins.module_utils.node._checkpoint_store._overwrite",
        refuse,
    )
    assert _restore.restore(store, "a") == 0
    assert store.state("a") == "rolled_back"
    assert store.report("a")["state"] == "rolled_back"


def _confirm(root, fallback, start, answers):
    start.wait()
    try:
        _checkpoint.Checkpoint("a", False, Store(root, fallback)).confirm()
        answers.put("confirmed")
    except CheckpointError:
        answers.put("too late")


def _fire(root, fallback, start, answers):
    start.wait()
    store = Store(root, fallback)
    _restore.restore(store, "a")
    answers.put(store.state("a"))


def test_of_a_confirmation_and_a_timer_exactly_one_wins(store, calls, etc, tmp_path):
    fork = multiprocessing.get_context("fork")
    outcomes = set()
    for _round in range(40):
        arm(store)
        start, answers = fork.Barrier(2), fork.Queue()
        both = [
            fork.Process(target=who, args=(store.root, str(tmp_path / "run"), start, answers))
            for who in (_confirm, _fire)
        ]
        for process in both:
            process.start()
        said = {answers.get(timeout=30) for _process in both}
        for process in both:
            process.join(30)
        final = store.state("a")
        if final == "confirmed":
            assert said == {"confirmed"}
            assert store.report("a") is None
        else:
            assert (said, final) == ({"too late", "rolled_back"}, "rolled_back")
        outcomes.add(final)
        store.remove("a")
    assert outcomes <= {"confirmed", "rolled_back"}


def test_processes_are_ended_by_name_asked_first_then_by_force(tmp_path, capsys):
    name = f"held-{os.getpid()}"[:15]
    script = (
        "import ctypes, signal, sys, time\n"
        f"ctypes.CDLL(None).prctl(15, b'{name}', 0, 0, 0)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[1] == 'deaf' else "
        "signal.SIG_DFL)\n"
        "print('up', flush=True)\ntime.sleep(600)\n"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", script, word], stdout=subprocess.PIPE)
        for word in ("deaf", "hears")
    ]
    try:
        for process in both:
            assert process.stdout.readline() == b"up\n"
        _restore._END_SECONDS = 1.0
        _restore.end_processes([name])
        assert [process.wait(5) for process in both] == [-9, -15]
    finally:
        for process in both:
            process.kill()
            process.stdout.close()
            process.wait()
    assert "Sending SIGKILL" in capsys.readouterr().out


def test_a_routes_words_are_those_that_ip_takes(monkeypatch):
    text = (
        "unicast default table main proto static scope global metric 9 \\\tnexthop via 10.0.0.1 "
        "dev eth0 weight 1 linkdown \\\tnexthop via 10.0.0.2 dev eth0 weight 2\n"
        "unicast 10.9.0.0/16 nhid 4 via 10.0.0.1 dev eth0 table main proto static offload\n"
        "local 10.0.0.9 dev eth0 table local proto kernel scope host\n"
    )
    monkeypatch.setattr(_checkpoint_read, "ip", lambda *_words: text)
    first, second = _checkpoint_read._routes("inet")
    assert " ".join(first["words"]) == (
        "unicast default table main proto static scope global metric 9 nexthop via 10.0.0.1 dev "
        "eth0 weight 1 nexthop via 10.0.0.2 dev eth0 weight 2"
    )
    assert " ".join(second["words"]) == (
        "unicast 10.9.0.0/16 via 10.0.0.1 dev eth0 table main proto static"
    )


def test_a_state_is_json(store, calls, etc):
    arm(store)
    with open(f"{store.base}/a/checkpoint.json", encoding="utf-8") as file:
        assert json.load(file)["saved"]["with_ovs"] is False
