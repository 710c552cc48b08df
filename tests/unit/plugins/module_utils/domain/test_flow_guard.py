# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard's settings, units and memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _flow_guard as domain
from hypothesis import given
from hypothesis import strategies as st

GOOD = domain.Settings(api_servers=("10.0.0.1:6443", "[fd00::1]:6443", "api.example.org:443"))


def test_good_settings_have_no_problem():
    assert domain.problem(GOOD) is None
    assert domain.problem(replace(GOOD, socket="/run/ovs/db.sock")) is None


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"minutes": 0}, "minutes"),
        ({"minutes": 1441}, "minutes"),
        ({"interval": 4}, "interval"),
        ({"interval": 3601}, "interval"),
        ({"agent_min_age": -1}, "agent_min_age"),
        ({"socket": "db.sock"}, "socket"),
        ({"socket": "/run/a b"}, "socket"),
        ({"socket": "/run/%h"}, "socket"),
        ({"api_servers": ()}, "api_servers"),
        ({"api_servers": ("10.0.0.1",)}, "api_servers"),
        ({"api_servers": ("10.0.0.1:0",)}, "api_servers"),
        ({"api_servers": ("10.0.0.1:65536",)}, "api_servers"),
        ({"api_servers": ("a;reboot:1",)}, "api_servers"),
        ({"api_servers": ("a:1\nExecStart=/bin/sh",)}, "api_servers"),
        ({"api_servers": ("$HOME:1",)}, "api_servers"),
        ({"node_addresses": ("eth0",)}, "node_addresses"),
    ],
)
def test_a_wrong_setting_is_named(change, word):
    assert word in (domain.problem(replace(GOOD, **change)) or "")


@given(st.text())
def test_no_text_gets_more_than_a_word_into_a_unit(text):
    for change in ({"socket": text}, {"api_servers": (text,)}, {"node_addresses": (text,)}):
        settings = replace(GOOD, **change)
        if domain.problem(settings) is None:
            for word in domain.arguments(settings):
                assert not set(word) & set(" \t\n\\\"'%$;")


def test_the_service_runs_the_program_with_all_settings_and_few_rights():
    settings = replace(GOOD, minutes=7, socket="/run/s", node_addresses=("10.0.0.5",))
    text = domain.service(settings, "/usr/bin/python3", "/p.pyz")
    assert (
        "ExecStart=/usr/bin/python3 -I /p.pyz --minutes=7 --agent-min-age=120 --socket=/run/s "
        "--api-server=10.0.0.1:6443 --api-server=[fd00::1]:6443 --api-server=api.example.org:443 "
        "--node-address=10.0.0.5\n"
    ) in text
    rights = ("NoNewPrivileges=yes", "CapabilityBoundingSet=\n", "ProtectSystem=strict")
    assert all(line in text for line in (*rights, "PrivateTmp=yes", "MemoryMax=", "TimeoutStart"))
    assert "OnUnitInactiveSec=60\n" in domain.timer(settings)


def installed(settings, **more):
    text = domain.service(settings, "/python", "/a.pyz")
    # A traceback has no level of its own, and LogLevelMax would drop it.
    assert "\nSyslogLevel=err\n" in text
    return domain.Installed(text, domain.timer(settings), ("/a.pyz",), True, True, **more)


def test_the_plan_from_nothing_and_back_and_none_between():
    want = installed(GOOD)
    assert [s.target for s in domain.plan(domain.Installed(), want).steps] == [
        "/etc/systemd/system/k8snet-flow-restore-guard.service",
        "/etc/systemd/system/k8snet-flow-restore-guard.timer",
        "/a.pyz",
        domain.TIMER,
    ]
    assert not domain.plan(want, want).changed
    assert not domain.plan(domain.Installed(), None).changed
    away = domain.plan(want, None)
    assert len(away.steps) == 4
    assert away.diff()[0]["after"] == ""


def test_what_differs_is_what_is_done():
    want = installed(GOOD)

    def targets(have):
        return [step.target for step in domain.plan(have, want).steps]

    assert targets(replace(want, programs=("/a.pyz", "/old.pyz"))) == ["/old.pyz"]
    assert targets(replace(want, running=False)) == [domain.TIMER]
    assert targets(replace(want, timer="x")) == [f"{domain.UNIT_DIR}/{domain.TIMER}"]


def test_time_is_counted_from_the_first_look_that_saw_the_key():
    memory, seconds = domain.remember(domain.Memory(), True, 100.0)
    assert seconds == 0
    memory, seconds = domain.remember(memory, True, 160.5)
    assert seconds == 60
    memory, seconds = domain.remember(memory, False, 170.0)
    assert (memory, seconds) == (domain.Memory(), 0)


@given(st.none() | st.floats(), st.booleans(), st.floats(0, 10**9))
def test_no_memory_makes_time_run_backwards_or_ahead(since, is_set, now):
    memory, seconds = domain.remember(domain.Memory(since), is_set, now)
    assert 0 <= seconds <= now
    assert memory.since is None or 0 <= memory.since <= now


anything = st.none() | st.booleans() | st.floats() | st.text() | st.lists(st.integers())


@given(anything | st.dictionaries(st.sampled_from(["since", "said", "x"]), anything))
def test_a_broken_memory_is_no_memory(value):
    memory = domain.memory_from(value)
    domain.remember(memory, True, 5.0)


@pytest.mark.parametrize(
    ("server", "where"),
    [
        ("10.0.0.1:6443", ("10.0.0.1", 6443)),
        ("[fd00::1]:443", ("fd00::1", 443)),
        ("a.b:1", ("a.b", 1)),
    ],
)
def test_a_server_is_a_host_and_a_port(server, where):
    assert domain.server_address(server) == where
