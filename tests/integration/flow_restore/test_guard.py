# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard: a node that nobody reaches brings itself back."""

from __future__ import annotations

import time

import pytest

from tests.integration.antrea.outage import Outage
from tests.integration.flow_restore.stuck import API, INT, MOVE, StuckNode

pytestmark = [pytest.mark.lab, pytest.mark.full]
UNIT = "k8snet-flow-restore-guard"
SETTINGS = {"minutes": 1, "interval": 5, "agent_min_age": 2, "api_servers": [API]}


@pytest.fixture(scope="module")
def node():
    with StuckNode("flowguard") as node:
        node.sh(INT + MOVE)
        yield node


def traces(node):
    """All that the guard leaves anywhere, with its content."""
    return node.sh(
        f"find /etc/systemd /var/lib /run -path '*flow-restore-guard*' -o -path /var/lib/k8snet* "
        "| sort | xargs -r sh -c 'for f; do test -d $f || ls -l $f; done' sh;"
        f"systemctl is-active {UNIT}.timer; systemctl is-enabled {UNIT}.timer 2>/dev/null;"
        f"systemctl list-units --all --no-legend '{UNIT}*' | sort",
        check=False,
    )


def await_journal(node, word, timeout=60):
    """What the guard has said, once ``word`` is in it: the node is back before its program ends."""
    deadline = time.monotonic() + timeout
    while True:
        said = node.sh("journalctl -t k8snet -o cat --no-pager")
        if word in said:
            return said
        assert time.monotonic() < deadline, said
        time.sleep(0.5)


def look(node, seen_for):
    """One look of the program, by hand, by somebody who has seen the key set for so long."""
    program = node.module("flow_restore_guard", "--check", **SETTINGS)["program"]
    words = f"--minutes=1 --agent-min-age=2 --api-server={API}"
    memory = "import json,sys,time; now = time.clock_gettime(time.CLOCK_BOOTTIME);"
    memory += f"json.dump({{'since': now - {seen_for}}}, open('/tmp/guard/memory.json', 'w'))"
    node.sh(f'mkdir -p /tmp/guard; python3 -c "{memory}"')
    return node.sh(f"RUNTIME_DIRECTORY=/tmp/guard python3 -I {program} {words}")


def test_it_is_put_there_changed_and_taken_away(node):
    nothing = traces(node)
    told = node.module("flow_restore_guard", "--check", **SETTINGS)
    assert traces(node) == nothing
    done = node.module("flow_restore_guard", **SETTINGS)
    assert told["changed"] is done["changed"] is True
    assert told["plan"] == done["plan"]
    there = traces(node)
    assert "enabled" in there
    assert not node.module("flow_restore_guard", **SETTINGS)["changed"]
    assert not node.module("flow_restore_guard", "--check", **SETTINGS)["changed"]

    changed = node.module("flow_restore_guard", **{**SETTINGS, "minutes": 30})
    assert [step["action"] for step in changed["plan"]] == ["Change a unit of systemd"]
    assert "--minutes=30" in node.sh(f"systemctl cat {UNIT}.service")

    refused = node.module("flow_restore_guard", minutes=1)
    assert "api_servers is empty" in refused["msg"]

    assert node.module("flow_restore_guard", state="absent")["changed"]
    assert traces(node) == nothing
    assert not node.module("flow_restore_guard", state="absent")["changed"]


def test_a_node_that_nobody_reaches_brings_itself_back(node):
    node.module("flow_restore_guard", **SETTINGS)
    analysis = node.sh(f"systemd-analyze security --no-pager {UNIT}.service", check=False)
    print(f"measured: {analysis.strip().splitlines()[-1]}")
    with Outage(node.lab, "10.160.1.21") as outage:
        node.restart_stuck()
        node.await_answer(False)
        # The node's clock jumps meanwhile; the guard goes by the one that counts from the boot.
        node.sh("date -s '+2 days' >/dev/null")
        node.await_answer(True, 200)
    print(f"measured: by the guard alone, after 1 min: {outage.loss}")
    assert outage.loss.longest > 40
    said = await_journal(node, "Cleared:")
    assert "flow-restore-wait is set. If it still is in 1 min" in said
    assert "Clearing it. flow-restore-wait is set" in said
    assert "policies are off on br-int" in said
    assert "10.160.1.1 answered on eth0" in said
    assert node.key() is None
    assert node.module("flow_restore_guard", state="absent")["changed"]


def test_it_keeps_still_while_the_api_answers_or_it_has_not_waited(node):
    node.module("flow_restore_guard", **{**SETTINGS, "interval": 3600})
    node.sh("until ! systemctl -q is-active k8snet-flow-restore-guard.service; do sleep 0.2; done")
    node.restart_stuck()
    node.await_age(61)
    assert not node.answers()
    assert "will be judged" in look(node, 30)
    assert node.key() == "true"
    # The API can be reached another way: then somebody can be asked.
    node.sh("ip route replace 10.160.1.1/32 dev oob0")
    reached = look(node, 70)
    node.sh("ip route del 10.160.1.1/32 dev oob0")
    assert "the API answers at 10.160.1.1:6443: left alone" in reached
    assert node.key() == "true"
    assert "Cleared:" in look(node, 70)
    node.await_answer()
    assert node.module("flow_restore_guard", state="absent")["changed"]
