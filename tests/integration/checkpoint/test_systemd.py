# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The timer, whatever happens to systemd between arming and the deadline."""

from __future__ import annotations

import pytest

from tests.integration.checkpoint.hands import Node

pytestmark = [pytest.mark.lab, pytest.mark.full]

TIMERS = (
    "systemctl list-timers --all --output=json 'k8snet-restore-*' | python3 -c "
    "'import json, sys; print(*(timer[\"unit\"] for timer in json.load(sys.stdin)))'"
)


def elapses(node: Node) -> list[float]:
    """In how many seconds since the boot each of the checkpoint's timers fires."""
    show = "systemctl show -P NextElapseUSecMonotonic"
    told = node.sh(f'for unit in $({TIMERS}); do systemd-analyze timespan "$({show} $unit)"; done')
    return [int(line.split()[1]) / 1e6 for line in told.splitlines() if "μs:" in line]


def test_a_reload_of_systemd_does_not_put_off_the_deadline(node: Node) -> None:
    armed = node.checkpoint(state="armed", id="night", timeout=600)
    before = elapses(node)
    node.sh("systemctl daemon-reload; systemctl daemon-reexec; systemctl daemon-reload")
    assert len(before) == 1
    assert elapses(node) == pytest.approx(before, abs=0.01)
    renewed = node.checkpoint(state="armed", id="night", timeout=600, renew=True)
    later = elapses(node)
    node.sh("systemctl daemon-reload")
    assert elapses(node) == pytest.approx(later, abs=0.01)
    assert before[0] < later[0]
    deadlines = [done["checkpoint"]["deadline"]["monotonic"] for done in (armed, renewed)]
    assert deadlines[0] < deadlines[1]
    assert node.checkpoint(state="absent", id="night")["changed"] is True
    assert elapses(node) == []


def test_time_that_cannot_begin_anew_goes_on_as_it_was(node: Node) -> None:
    assert node.checkpoint(state="armed", id="night", timeout=600)["changed"] is True
    before = elapses(node)
    node.sh("mount --bind /bin/false /usr/bin/systemd-run")
    try:
        failed = node.checkpoint(state="armed", id="night", timeout=900, renew=True)
    finally:
        node.sh("umount /usr/bin/systemd-run")
    assert "Failed to start the timer" in failed["msg"]
    assert elapses(node) == pytest.approx(before, abs=0.01)


def test_a_timer_that_somebody_stopped_is_told_and_the_change_kept(node: Node) -> None:
    armed = node.checkpoint(state="armed", id="night", timeout=600)
    assert armed["checkpoint"]["timer"] == "waiting"
    node.sh("systemctl stop k8snet-restore-night.timer")
    second = node.checkpoint(state="armed", id="other", timeout=600)
    assert "'night' is armed on this node, though its timer is gone" in second["msg"]
    done = node.checkpoint(state="confirmed", id="night")
    assert done["checkpoint"]["state"] == "confirmed", done
    assert "WARNING" in done["said"]
    assert "was gone: somebody stopped it" in done["said"]
