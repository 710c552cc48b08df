# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A YAML text is changed in the lines concerned, and in no other."""

from __future__ import annotations

import difflib
from typing import Any

import pytest
import yaml
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _antrea_tables as tables
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _yaml_text
from ansible_collections.k8snet.cni.plugins.module_utils.domain._yaml_text import (
    TextError,
    edit,
    put,
    remove,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit import antrea_world as world

TEXT = """\
# Gates.
featureGates:
# Enable Egress.
#  Egress: true
#  Multicast: true

# The bridge.
#ovsBridge: br-int
# trafficEncapMode: of this no line is made, it is prose.
trafficEncapMode: "encap" # as ever
antreaProxy:
  # All Services.
  #proxyAll: false
  nodePortAddresses:
  # Which ones.
  skipServices:
  - kube-system/kube-dns   # DNS
  # the next one is a trap
  - default/x

  serviceProxyName: ''

secondaryNetwork:
  # One bridge.
  # [{bridgeName: "br1"}]
  ovsBridges:
last: {a: 1, b: "é"}
"""


def changed(before: str, after: str) -> list[str]:
    """The lines that differ, marked with - and +."""
    return [
        line
        for line in difflib.ndiff(before.split("\n"), after.split("\n"))
        if line[0] in "+-" and line[2:] is not None
    ]


@pytest.mark.parametrize(
    ("path", "value", "lines"),
    [
        ("featureGates.Egress", False, ["+   Egress: false"]),
        ("featureGates.Other", True, ["+   Other: true"]),
        ("ovsBridge", "br-x", ['+ ovsBridge: "br-x"']),
        (
            "trafficEncapMode",
            "noEncap",
            ['- trafficEncapMode: "encap" # as ever', '+ trafficEncapMode: "noEncap" # as ever'],
        ),
        ("antreaProxy.proxyAll", True, ["+   proxyAll: true"]),
        (
            "antreaProxy.nodePortAddresses",
            ["10.0.0.0/8"],
            ["-   nodePortAddresses:", '+   nodePortAddresses: ["10.0.0.0/8"]'],
        ),
        (
            "antreaProxy.skipServices",
            [],
            [
                "-   skipServices:",
                "-   - kube-system/kube-dns   # DNS",
                "+   skipServices: []",
                "-   - default/x",
            ],
        ),
        (
            "antreaProxy.serviceProxyName",
            "a: #b",
            ["-   serviceProxyName: ''", '+   serviceProxyName: "a: #b"'],
        ),
        (
            "secondaryNetwork.ovsBridges",
            [{"bridgeName": "br1", "physicalInterfaces": ["eth1"]}],
            [
                "-   ovsBridges:",
                '+   ovsBridges: [{bridgeName: "br1", physicalInterfaces: ["eth1"]}]',
            ],
        ),
        ("secondaryNetwork.other", 1, ["+   other: 1"]),
        ("last.c", None, []),
        ("last.a", 2, ['- last: {a: 1, b: "é"}', '+ last: {a: 2, b: "é"}']),
        ("new.block.key", 7, ["+ new: {block: {key: 7}}"]),
    ],
)
def test_a_value_is_set_in_its_line(path: str, value: Any, lines: list[str]) -> None:
    after = edit(TEXT, {tuple(path.split(".")): value})
    assert sorted(changed(TEXT, after)) == sorted(lines)


def test_a_gate_stands_below_its_comment_and_in_the_column_of_its_siblings() -> None:
    once = put(TEXT, ("featureGates", "Egress"), False)
    assert "#  Egress: true\n  Egress: false\n" in once
    wide = TEXT.replace("featureGates:\n", "featureGates:\n    AntreaProxy: true\n")
    assert "#  Egress: true\n    Egress: false\n" in put(wide, ("featureGates", "Egress"), False)


def test_prose_that_looks_like_a_key_is_no_place_for_one() -> None:
    text = TEXT.replace('trafficEncapMode: "encap" # as ever\n', "")
    assert put(text, ("trafficEncapMode",), "hybrid").endswith('\ntrafficEncapMode: "hybrid"\n')


@pytest.mark.parametrize(
    "text",
    [
        "m:\n  w:\n    #  k: 1\n    last: 2\n# end\n",
        # Here the new key would take the rest of the text as its value.
        "m:\n  w: |\n    #  k: 1\n    last\n# end\n",
    ],
)
def test_a_comment_inside_another_value_is_no_place_for_a_key(text: str) -> None:
    assert put(text, ("m", "k"), 3) == text.replace("# end", "  k: 3\n# end")


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        ("trafficEncapMode", ['- trafficEncapMode: "encap" # as ever']),
        ("last", ['- last: {a: 1, b: "é"}']),
        ("last.a", ['- last: {a: 1, b: "é"}', '+ last: {b: "é"}']),
        ("antreaProxy.nothing", []),
        ("nothing.at.all", []),
        (
            "antreaProxy.skipServices",
            ["-   skipServices:", "-   - kube-system/kube-dns   # DNS", "-   - default/x"],
        ),
    ],
)
def test_a_key_goes_with_its_lines_and_no_other(path: str, gone: list[str]) -> None:
    assert changed(TEXT, remove(TEXT, tuple(path.split(".")))) == gone


def test_a_block_that_loses_its_last_key_reads_as_null() -> None:
    text = "a:\n  b: 1\n# end\n"
    assert remove(text, ("a", "b")) == "a:\n# end\n"
    assert yaml.safe_load(remove(text, ("a", "b"))) == {"a": None}
    assert remove("a: {b: {c: 1}}\nd: 2\n", ("a", "b", "c")) == "d: 2\n"
    assert remove("a: {b: 1}\n", ("a", "b")) == ""


@pytest.mark.parametrize("text", ["", "# only comments\n", "---\n", "a: 1", "a: 1\r\nb: 2\r\n"])
def test_the_end_of_a_text_is_kept_as_it_is(text: str) -> None:
    once = put(text, ("new",), "x")
    assert yaml.safe_load(once)["new"] == "x"
    assert remove(once, ("new",)) == text
    assert once.replace("\r\n", "").count("\n") == (0 if "\r" in text else once.count("\n"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: 1\nb: 2\na: 3\n", "a stands twice, in line 1 and in line 3"),
        ("a: [1\n", "not valid YAML"),
        ("- 1\n", "not a mapping"),
        ("a: &x {b: 1}\nc: *x\n", "cannot be changed without touching other lines"),
    ],
)
def test_what_cannot_be_read_or_changed_safely_is_refused(text: str, why: str) -> None:
    with pytest.raises(TextError, match=why):
        put(text, ("c", "b"), 2)


def test_a_value_where_a_block_is_asked_for_is_refused() -> None:
    with pytest.raises(TextError, match="a has a value and can have no key b"):
        put("a: 1\n", ("a", "b"), 2)


def test_every_key_has_its_line() -> None:
    lines = _yaml_text.lines_of(TEXT)
    assert lines[("trafficEncapMode",)] == (10, 'trafficEncapMode: "encap" # as ever')
    assert lines[("antreaProxy", "serviceProxyName")] == (21, "serviceProxyName: ''")


VALUES = {
    "str": st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12),
    "bool": st.booleans(),
    "int": st.integers(0, 99999),
    "list": st.lists(st.text("abc:# -,[]{}\"'é", max_size=6), max_size=3)
    | st.just([{"bridgeName": "br1", "physicalInterfaces": ["eth1"]}]),
    "map": st.just({"burst": 3}),
}


@st.composite
def wanted(draw: st.DrawFn, component: str) -> dict[tuple[str, ...], Any]:
    """Some settings of a file."""
    keys = {p: k for p, k in tables.KEYS[component].items() if k.kind not in ("block", "map")}
    paths = draw(st.lists(st.sampled_from(sorted(keys)), max_size=5, unique=True))
    found: dict[tuple[str, ...], Any] = {
        tuple(p.split(".")): draw(VALUES[keys[p].kind]) for p in paths
    }
    for gate in draw(st.lists(st.sampled_from(tables.gates()), max_size=5, unique=True)):
        found[("featureGates", gate)] = draw(st.booleans())
    return found


def texts() -> list[tuple[str, str]]:
    """Component and text: the one above, and each real release's where they are."""
    real = [
        (component, text)
        for release in (world.RELEASES if world.REAL else ())
        for component, text in world.texts(release).items()
    ]
    return [("agent", TEXT), *real]


TEXTS = texts()


def look(document: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        document = (document or {}).get(part)
    return document


@settings(max_examples=25)
@given(st.data())
def test_settings_read_as_wanted_and_other_lines_stay(data: st.DataObject) -> None:
    component, text = data.draw(st.sampled_from(TEXTS))
    want = data.draw(wanted(component))
    before, after = yaml.safe_load(text), edit(text, want)
    read = yaml.safe_load(after)
    for path, value in want.items():
        assert look(read, path) == value
        assert type(look(read, path)) is type(value)
    # What was a comment or of another key is there, in the same order.
    concerned = {
        number
        for path, (number, _line) in _yaml_text.lines_of(text).items()
        if any(path[: len(p)] == p or p[: len(path)] == path for p in want)
    }
    left = iter(after.split("\n"))
    for number, line in enumerate(text.split("\n"), 1):
        if number not in concerned and not line.strip().startswith("- "):
            assert line in left, line
    # And back: what was not set goes, and the text is the former one.
    fresh = [path for path in want if path not in _yaml_text.lines_of(text)]
    only = edit(text, {path: want[path] for path in fresh})
    assert edit(only, dict.fromkeys(reversed(fresh))) == text
    assert edit(only, dict.fromkeys(fresh)) == text
    assert yaml.safe_load(text) == before


@settings(max_examples=10)
@given(st.data())
def test_setting_what_is_set_changes_nothing(data: st.DataObject) -> None:
    component, text = data.draw(st.sampled_from(TEXTS))
    want = data.draw(wanted(component))
    once = edit(text, want)
    assert edit(once, want) == once
    assert edit(text, {}) == text
