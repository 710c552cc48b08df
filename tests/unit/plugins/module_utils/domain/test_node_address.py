# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Calico stores after its next run follows from IP or IP6, the stored value, the detection."""

from __future__ import annotations

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain._autodetection import (
    InputError,
    autodetect,
    next_address,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# A busy machine is no failure of ours.
PROPERTY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

NICS = [
    {"name": "eth0", "addresses": ["10.0.0.5/24", "2001:db8::5/64"]},
    {"name": "eth1", "addresses": ["10.1.0.5/24"]},
]
FOUND = {4: autodetect(NICS, "interface=^eth0$"), 6: autodetect(NICS, "", family=6)}
NOTHING = {family: autodetect([], "", family=family) for family in (4, 6)}
EXIT = autodetect(NICS, "wrong")
UNKNOWN = autodetect(NICS, "can-reach=8.8.8.8")
OLD = {4: "10.9.0.5/24", 6: "2001:db8:9::5/64"}
NEW = {4: "10.0.0.5/24", 6: "2001:db8::5/64"}


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(
    ("env", "stored", "detected", "after", "action"),
    [
        ("autodetect", None, FOUND, NEW, "set"),
        ("autodetect", "", FOUND, NEW, "set"),
        ("autodetect", OLD, FOUND, NEW, "set"),
        ("autodetect", NEW, FOUND, NEW, "keep"),
        ("autodetect", OLD, NOTHING, OLD, "keep"),
        ("autodetect", None, NOTHING, None, "fail"),
        ("none", OLD, FOUND, OLD, "keep"),
        ("none", None, FOUND, None, "keep"),
        ("", OLD, FOUND, OLD, "keep"),
        (None, OLD, FOUND, OLD, "keep"),
        ("wrong", OLD, FOUND, OLD, "fail"),
        ("Autodetect", OLD, FOUND, OLD, "fail"),
    ],
)
def test_the_same_rules_of_both_families(env, stored, detected, after, action, family):
    stored = stored[family] if isinstance(stored, dict) else stored
    after = after[family] if after else None
    said = next_address(env, stored, detected[family], family, NICS)
    assert (said["stored"], said["action"]) == (after, action)
    assert said["explanation"]


@pytest.mark.parametrize("env", ["", None])
def test_an_empty_ip_detects_once_where_an_empty_ip6_never_does(env):
    four = next_address(env, None, FOUND[4], 4)
    assert (four["stored"], four["action"]) == ("10.0.0.5/24", "set")
    six = next_address(env, None, FOUND[6], 6)
    assert (six["stored"], six["action"]) == (None, "keep")
    assert "only with IP6=autodetect" in six["explanation"]


@pytest.mark.parametrize(
    ("family", "env", "after", "says"),
    [
        (4, "10.1.0.5", "10.1.0.5/24", "The prefix is the interface's"),
        (4, "10.7.0.5", "10.7.0.5/32", "No interface of the node has 10.7.0.5; Calico only warns"),
        (4, "10.1.0.5/16", "10.1.0.5/16", "is stored"),
        (4, "10.7.0.5/16", "10.7.0.5/16", "Calico only warns"),
        (6, "2001:db8::5", "2001:db8::5/128", "gets /128 in IP6"),
        (6, "2001:db8::5/64", "2001:db8::5/64", "is stored"),
        (6, "2001:db8:7::5/64", "2001:db8:7::5/64", "Calico only warns"),
    ],
)
def test_an_explicit_address_is_stored_whatever_the_host_has(family, env, after, says):
    said = next_address(env, OLD[family], None, family, NICS)
    assert (said["stored"], said["action"]) == (after, "set")
    assert says in said["explanation"]
    assert next_address(env, after, None, family, NICS)["action"] == "keep"


def test_an_address_on_the_host_is_not_warned_of():
    assert "warns" not in next_address("10.1.0.5/24", None, None, 4, NICS)["explanation"]
    assert "warns" not in next_address("none", "10.1.0.5/24", None, 4, NICS)["explanation"]
    assert "warns" in next_address("none", "10.7.0.5/24", None, 4, NICS)["explanation"]


@pytest.mark.parametrize(
    ("family", "env"), [(4, "2001:db8::5"), (6, "10.0.0.5"), (4, "10.0.0.5/33")]
)
def test_an_address_of_the_other_family_or_none_at_all_ends_calico_node(family, env):
    said = next_address(env, OLD[family], None, family, NICS)
    assert (said["stored"], said["action"]) == (OLD[family], "fail")
    assert f"is no IPv{family} address: calico-node exits with 1" in said["explanation"]


def test_a_detection_that_fails_with_nothing_stored_clears_the_other_family():
    said = next_address("autodetect", None, NOTHING[6], 6)
    assert "with IP=autodetect it first clears the stored address" in said["explanation"]
    said = next_address("autodetect", None, NOTHING[4], 4)
    assert "with IP6=autodetect it first clears the stored address" in said["explanation"]


def test_a_method_that_ends_calico_node_leaves_the_stored_address():
    said = next_address("autodetect", OLD[4], EXIT, 4)
    assert (said["stored"], said["action"]) == (OLD[4], "fail")
    assert "Invalid IP autodetection method" in said["explanation"]


def test_what_cannot_be_predicted_is_said_to_be_unknown():
    said = next_address("autodetect", OLD[4], UNKNOWN, 4)
    assert (said["stored"], said["action"]) == (OLD[4], "unknown")
    assert "nic_facts" in said["explanation"]
    assert next_address("autodetect", OLD[4], None, 4)["action"] == "unknown"
    assert next_address("10.0.0.5", OLD[4], None, 4)["action"] == "unknown"
    assert next_address("10.0.0.5/24", OLD[4], None, 4)["action"] == "set"


def test_keeping_says_that_it_is_silent_and_why_nothing_was_found():
    said = next_address("autodetect", OLD[4], autodetect(NICS, "cidr=10.0.0.5"), 4)
    assert "silently keeps 10.9.0.5/24" in said["explanation"]
    assert "is not a CIDR" in said["explanation"]


def test_a_stored_value_that_is_no_address_ends_calico_node():
    said = next_address("none", "nonsense", None, 4, NICS)
    assert (said["stored"], said["action"]) == ("nonsense", "fail")
    assert next_address("none", "10.0.0.5", None, 4, NICS)["action"] == "keep"


@pytest.mark.parametrize(("env", "stored", "family"), [(4, None, 4), ("", 4, 4), ("", None, 5)])
def test_input_of_the_wrong_shape_is_refused(env, stored, family):
    with pytest.raises(InputError, match="expected"):
        next_address(env, stored, None, family)


@PROPERTY
@given(st.none() | st.text(max_size=12), st.none() | st.text(max_size=12), st.sampled_from([4, 6]))
def test_any_text_is_answered(env, stored, family):
    said = next_address(env, stored, NOTHING[family], family, NICS)
    assert said["action"] in ("set", "keep", "fail")
    assert said["action"] == "set" or said["stored"] == (stored or None)
