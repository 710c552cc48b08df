# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who holds the lock, and who gets it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _run_lock
from ansible_collections.k8snet.cni.plugins.module_utils.domain._run_lock import (
    LockError,
    check_run_id,
    hold,
    holder_of,
    release,
)

NOW = datetime(2026, 3, 1, 2, 0, 0, tzinfo=timezone.utc)
TTL = 600


def lease(run_id: str = "night-1", ago: float = 0, **more: Any) -> dict[str, Any]:
    """A lease as another run wrote it so many seconds ago."""
    decision = hold(None, run_id, TTL, NOW - timedelta(seconds=ago), False)
    assert decision.action == "create"
    assert decision.lease is not None
    decision.lease["metadata"].update(resourceVersion="5", uid="u", **more)
    return decision.lease


def take(have: Any, run_id: str, take_over: bool = False) -> _run_lock.Decision:
    return hold(have, run_id, TTL, NOW, take_over)


def test_a_cluster_is_known_again_by_its_uid_and_another_is_refused() -> None:
    assert _run_lock.other_cluster("a", "a", "https://api") is None
    assert _run_lock.other_cluster(None, "b", "https://api") is None, "kept by an older version"
    told = _run_lock.other_cluster("a", "b", "https://api")
    assert told is not None
    for part in ("https://api", "UID b", "had a", "no lock taken", "k8snet_kubeconfig"):
        assert part in told


def test_a_free_lock_is_taken() -> None:
    found = holder_of(lease(), NOW)
    assert found is not None
    assert found.as_dict() == {
        "run_id": "night-1",
        "acquired": "2026-03-01T02:00:00.000000Z",
        "renewed": "2026-03-01T02:00:00.000000Z",
        "age": 0,
        "expires_in": TTL,
        "expired": False,
    }


def test_a_second_run_is_refused_with_the_holder_and_its_age() -> None:
    with pytest.raises(LockError, match="run night-1 holds the lock"):
        take(lease(ago=90), "night-2")
    with pytest.raises(LockError) as caught:
        take(lease(ago=90), "night-2", take_over=True)
    for part in ("night-1", "90 s ago", "8 min", "rollback.yml"):
        assert part in str(caught.value)


def test_the_same_run_goes_on_and_writes_at_half_time_only() -> None:
    assert take(lease(ago=TTL / 2 - 1), "night-1").action is None
    late = take(lease(ago=TTL / 2 + 1), "night-1")
    assert late.action == "replace"
    assert late.lease is not None
    assert late.lease["spec"]["acquireTime"] == "2026-03-01T01:54:59.000000Z"
    assert late.lease["spec"]["renewTime"] == "2026-03-01T02:00:00.000000Z"
    assert late.lease["metadata"]["resourceVersion"] == "5"
    assert take(lease(ago=10 * TTL), "night-1").action == "replace", "its own expired lock"


def test_another_duration_is_written() -> None:
    assert hold(lease(), "night-1", 2 * TTL, NOW, False).action == "replace"


def test_an_expired_lock_is_refused_until_it_is_taken_over_knowingly() -> None:
    with pytest.raises(LockError, match="never gave it back; it expired 60 s ago"):
        take(lease(ago=TTL + 60), "night-2")
    taken = take(lease(ago=TTL + 60), "night-2", take_over=True)
    assert taken.former == "night-1"
    assert taken.lease is not None
    assert taken.lease["spec"]["holderIdentity"] == "night-2"
    assert taken.lease["spec"]["leaseTransitions"] == 1
    taken.lease["metadata"].update(resourceVersion="6", uid="u")
    again = take(taken.lease, "night-2")
    assert (again.action, again.former) == (None, "night-1"), "a resumed run still learns of it"


def test_a_lock_that_was_given_back_by_others_means_is_free() -> None:
    empty = {"metadata": {"resourceVersion": "5", "uid": "u"}, "spec": {}}
    decision = take(empty, "night-2")
    assert (decision.action, decision.former) == ("replace", None)


def test_only_the_holder_gives_it_back() -> None:
    assert release(lease(), "night-1", NOW).action == "delete"
    assert release(lease(), "night-2", NOW).action is None
    assert release(None, "night-1", NOW).action is None


def test_the_diff_has_no_times() -> None:
    assert (
        take(None, "a").plan.diff()
        == hold(None, "a", TTL, datetime.now(timezone.utc), False).plan.diff()
    )


def test_times_without_fraction_are_read() -> None:
    have = lease()
    have["spec"]["renewTime"] = "2026-03-01T01:59:00Z"
    found = holder_of(have, NOW)
    assert found is not None
    assert found.left == TTL - 60


@pytest.mark.parametrize("run_id", ["a", "20260301-0200", "night.1", "x" * 100])
def test_names_of_runs(run_id: str) -> None:
    assert check_run_id(run_id) is None


@pytest.mark.parametrize("run_id", ["", "A", "a/b", "..", "a..b", "-a", "a-", "x" * 101, "a\n"])
def test_names_that_are_no_file_names_are_refused(run_id: str) -> None:
    assert "run_id" in str(check_run_id(run_id))
