# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When flow-restore-wait is stuck, and when it may be cleared."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _flow_restore as domain
from hypothesis import given
from hypothesis import strategies as st

WITH = domain.Flows("br-int", domain.ANTREA, 1)
WITHOUT = domain.Flows("br-int", domain.NONE, 1)
DARK = domain.Flows("br-int", domain.UNREADABLE, error="it hung up")
#: Stuck for long, with the agent dead: the cell that the others differ from.
STUCK = domain.Seen(True, True, 3600, None, (WITHOUT,), None)
CUT = replace(STUCK, own_on_bridge="eth0")
DEFAULT = domain.Options()
FORCE = domain.Options(force=True)

CELLS = [
    # seen, options, code, act, stuck
    (replace(CUT, is_set=False), DEFAULT, "not_set", False, False),
    (replace(CUT, is_set=False), FORCE, "not_set", False, False),
    (replace(CUT, vswitchd_running=False), DEFAULT, "vswitchd_down", False, False),
    (replace(CUT, vswitchd_running=False), FORCE, "vswitchd_down", False, False),
    (replace(CUT, vswitchd_uptime=None), DEFAULT, "vswitchd_unseen", False, False),
    (replace(CUT, vswitchd_uptime=None), FORCE, "forced", True, False),
    (replace(CUT, vswitchd_uptime=299), DEFAULT, "vswitchd_young", False, False),
    (replace(CUT, vswitchd_uptime=299), FORCE, "forced", True, False),
    (replace(CUT, vswitchd_uptime=300), DEFAULT, "cut_off", True, True),
    (replace(CUT, vswitchd_running=None), DEFAULT, "cut_off", True, True),
    (replace(CUT, agent_age=119), DEFAULT, "agent_young", False, False),
    (replace(CUT, agent_age=119), FORCE, "forced", True, False),
    (replace(CUT, agent_age=119, set_for=419), DEFAULT, "agent_young", False, False),
    (replace(CUT, agent_age=119, set_for=420), DEFAULT, "cut_off", True, True),
    (replace(CUT, agent_age=120), DEFAULT, "cut_off", True, True),
    (CUT, DEFAULT, "cut_off", True, True),
    (CUT, FORCE, "forced", True, True),
    (replace(CUT, flows=(DARK,)), DEFAULT, "cut_off", True, True),
    (replace(CUT, flows=()), DEFAULT, "cut_off", True, True),
    (replace(CUT, flows=(WITH,)), DEFAULT, "policies_kept", True, True),
    (replace(STUCK, flows=(WITH,)), DEFAULT, "policies_kept", True, True),
    (replace(STUCK, flows=(WITH, WITHOUT)), DEFAULT, "refused", False, True),
    (replace(STUCK, flows=(DARK,)), DEFAULT, "refused", False, True),
    (replace(STUCK, flows=()), DEFAULT, "refused", False, True),
    (STUCK, DEFAULT, "refused", False, True),
    (STUCK, FORCE, "forced", True, True),
]


@pytest.mark.parametrize(("seen", "options", "code", "act", "stuck"), CELLS)
def test_each_case_has_its_verdict(seen, options, code, act, stuck):
    verdict = domain.judge(seen, options)
    assert (verdict.code, verdict.act, verdict.stuck) == (code, act, stuck)
    assert verdict.reason.endswith(".")


def test_every_word_for_a_reason_is_explained_and_used():
    used = {code for _s, _o, code, _a, _t in CELLS}
    assert used | {"no_ovs", "unknown"} == set(domain.CODES)


@pytest.mark.parametrize(
    ("seen", "seconds"),
    [(replace(CUT, vswitchd_uptime=100), 200), (replace(CUT, agent_age=20), 100), (STUCK, None)],
)
def test_it_says_when_to_ask_again(seen, seconds):
    assert domain.judge(seen, DEFAULT).wait == seconds


def test_policies_that_go_off_are_told_and_named():
    (warning,) = domain.judge(CUT, DEFAULT).warnings
    assert "policies are off on br-int" in warning
    assert domain.judge(replace(STUCK, flows=(WITH,)), DEFAULT).warnings == ()
    unread, off = domain.judge(replace(CUT, flows=(DARK,)), DEFAULT).warnings
    assert "it hung up" in unread
    assert "policies are off" in off


def test_force_says_what_it_went_over():
    verdict = domain.judge(replace(CUT, vswitchd_uptime=7), FORCE)
    assert "Forced although: ovs-vswitchd has been running for 7 s" in verdict.warnings[0]


def test_a_refusal_says_what_would_happen_and_what_to_do():
    reason = domain.judge(STUCK, DEFAULT).reason
    assert "would make br-int a learning switch without network policies" in reason
    assert "set force" in reason


flows = st.builds(
    domain.Flows,
    st.sampled_from(["br-int", "br-two"]),
    st.sampled_from([domain.ANTREA, domain.NONE, domain.UNREADABLE]),
)
ages = st.none() | st.integers(0, 10**6)
seens = st.builds(
    domain.Seen,
    st.booleans(),
    st.sampled_from([True, False, None]),
    ages,
    ages,
    st.lists(flows, max_size=3).map(tuple),
    st.sampled_from([None, "eth0"]),
    ages,
)
optionses = st.builds(domain.Options, st.integers(0, 10**5), st.integers(0, 10**5), st.booleans())


@given(seens, optionses)
def test_what_never_happens(seen, options):
    verdict = domain.judge(seen, options)
    kept = bool(seen.flows) and all(f.state == domain.ANTREA for f in seen.flows)
    if verdict.act:
        assert seen.is_set
        assert seen.vswitchd_running is not False
        assert kept or seen.own_on_bridge or options.force
        assert options.force or (seen.vswitchd_uptime or 0) >= options.min_age
        assert bool(verdict.warnings) or kept
        assert verdict.wait is None
    if not options.force:
        # Without force, nothing is done about a key that is not stuck.
        assert verdict.stuck or not verdict.act
    if verdict.code == "refused":
        assert not kept
        assert not seen.own_on_bridge
    assert verdict.code in domain.CODES
    assert domain.plan(verdict, "true").changed == verdict.act


@given(seens, optionses)
def test_time_never_takes_a_verdict_back(seen, options):
    older = replace(
        seen,
        vswitchd_uptime=None if seen.vswitchd_uptime is None else seen.vswitchd_uptime + 1,
        agent_age=None if seen.agent_age is None else seen.agent_age + 1,
    )
    if domain.judge(seen, options).act:
        assert domain.judge(older, options).act


@given(seens, optionses)
def test_after_the_time_it_names_no_age_stands_in_the_way(seen, options):
    verdict = domain.judge(seen, options)
    if verdict.wait is None:
        return
    assert verdict.wait > 0
    later = replace(
        seen,
        vswitchd_uptime=seen.vswitchd_uptime + verdict.wait,
        agent_age=None if seen.agent_age is None else seen.agent_age + verdict.wait,
    )
    assert domain.judge(later, options).code != verdict.code


@pytest.mark.parametrize(
    ("cookie", "antrea"),
    [
        (0x0, False),
        (0x1_0000_0000_0000, True),
        (0x3_0500_0000_0007, True),
        (0xFFFF_0C00_FFFF_FFFF, True),
        (0x3_0501_0000_0007, False),  # bits that Antrea keeps at 0
        (0x500_0000_0007, False),  # no round
        (0xDEADBEEF, False),
    ],
)
def test_antreas_cookies_are_known_by_their_round(cookie, antrea):
    assert domain.is_antrea(cookie) is antrea


def bridge(name, uplinks=(), internal=(), **more):
    kinds = {"external_ids": {}, "port_kinds": {}, **more}
    return {"name": name, "uplinks": list(uplinks), "internal_ports": list(internal), **kinds}


INT = bridge("br-int", (), ("antrea-gw0",), external_ids={"roundNum": "3"})
EXT = bridge("br-ext", ("eth0~",), ("eth0",))


@pytest.mark.parametrize(
    ("bridges", "names"),
    [
        ([EXT, INT], ["br-int"]),
        ([bridge("br-int")], ["br-int"]),
        ([bridge("ovs1", external_ids={"roundNum": "3"}), EXT], ["ovs1"]),
        ([bridge("ovs1", (), ("antrea-gw0",)), EXT], ["ovs1"]),
        ([bridge("ovs1", port_kinds={"tunnel": 1}), EXT], ["ovs1"]),
        ([bridge("x", external_ids={"antrea-type": "secondary-bridge", "roundNum": "1"}), INT],
         ["br-int"]),
        ([EXT, bridge("plain")], ["br-ext", "plain"]),
        ([], []),
    ],
)  # fmt: skip
def test_the_bridges_that_matter_are_those_of_pods(bridges, names):
    assert domain.pod_bridges(bridges) == names


def facts(*bridges, carrier=None):
    entry = {"nic": "eth0~", "bridge": "br-ext", "internal_port": "eth0", "addresses_on": carrier}
    return {"bridges": list(bridges), "enslaved": [entry]}


HELD = {"eth0": ["10.0.0.5/24"], "oob0": ["192.0.2.5/24"], "antrea-gw0": ["10.244.0.1/24"]}


@pytest.mark.parametrize(
    ("default", "own", "held", "port"),
    [
        (["eth0"], [], HELD, "eth0"),
        (["oob0"], [], HELD, None),  # a second NIC in a bridge does not cut the node off
        (["oob0", "eth0"], [], HELD, "eth0"),  # the other family's way out
        ([], [], HELD, "eth0"),  # the routes went in mid-move: what came from the NIC counts
        ([], [], {"oob0": ["192.0.2.5/24"]}, None),
        (["oob0"], ["10.0.0.5"], HELD, "eth0"),
        (["oob0"], ["10.0.0.5/24"], HELD, "eth0"),
        (["eth0"], ["192.0.2.5"], HELD, None),
        (["eth0"], ["203.0.113.9"], HELD, None),
        (["antrea-gw0"], [], HELD, None),
        (["eth0~"], [], HELD, "eth0~"),
    ],
)
def test_a_node_is_cut_off_when_its_own_address_is_on_a_port(default, own, held, port):
    assert domain.own_port(facts(INT, EXT, carrier="eth0"), default, held, own) == port


def test_an_internal_port_of_a_bridge_without_a_nic_leads_nowhere():
    lonely = facts(INT, bridge("br-lo", (), ("eth0",)), carrier="eth0")
    assert domain.own_port(lonely, ["eth0"], HELD) is None


def test_the_pods_gateway_is_not_the_node_even_beside_a_nic():
    mixed = facts(bridge("br-int", ("eth0~",), ("antrea-gw0", "eth0")), carrier="eth0")
    assert domain.own_port(mixed, ["antrea-gw0"], HELD) is None
    assert domain.own_port(mixed, ["eth0"], HELD) == "eth0"


def test_the_diff_shows_the_key_as_it_was_written():
    plan = domain.plan(domain.judge(CUT, DEFAULT), "TRUE")
    (diff,) = plan.diff()
    assert (diff["before"], diff["after"]) == ({domain.KEY: "TRUE"}, {})
    assert plan.cuts_connectivity
    kept = domain.judge(replace(STUCK, flows=(WITH,)), DEFAULT)
    assert not domain.plan(kept, "true").cuts_connectivity
