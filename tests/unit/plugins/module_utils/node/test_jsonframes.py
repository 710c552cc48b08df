# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON objects come out of the stream whole, however they went in."""

from __future__ import annotations

import json

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.node._jsonframes import FrameError, Framer
from hypothesis import given, settings
from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=4)


def cut(data, cuts):
    places = sorted({min(c, len(data)) for c in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)])]


@given(st.lists(OBJECTS, max_size=4), st.lists(st.integers(0, 400), max_size=12), st.booleans())
def test_objects_survive_any_cutting_and_gluing(objects, cuts, ascii_only):
    glue = "\r\n" if ascii_only else ""
    data = glue.join(json.dumps(o, ensure_ascii=ascii_only) for o in objects).encode()
    framer = Framer()
    found = [message for piece in cut(data, cuts) for message in framer.feed(piece)]
    assert found == objects
    assert not framer.pending


@given(OBJECTS)
def test_one_byte_at_a_time_gives_the_object_at_its_last_byte(message):
    data = json.dumps(message).encode()
    framer = Framer()
    for byte in data[:-1]:
        assert list(framer.feed(bytes([byte]))) == []
        assert framer.pending
    assert list(framer.feed(data[-1:])) == [message]


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=30), max_size=8))
def test_garbage_is_a_frame_error_or_waits_for_more_and_nothing_else(pieces):
    framer = Framer(max_bytes=100)
    try:
        for piece in pieces:
            for message in framer.feed(piece):
                assert isinstance(message, dict)
    except FrameError:
        pass


@settings(max_examples=300)
@given(st.text('{}[]",:\\u d8n1e.', max_size=40))
def test_json_like_garbage_is_a_frame_error_or_waits_for_more(text):
    framer = Framer()
    try:
        for message in framer.feed(b"{" + text.encode()):
            json.dumps(message, ensure_ascii=False).encode("utf-8")
    except FrameError:
        pass


def test_nesting_has_a_bound_that_python_recursion_never_meets():
    framer = Framer()
    assert len(list(framer.feed(b'{"a":' + b"[" * 63 + b"]" * 63 + b"}"))) == 1
    with pytest.raises(FrameError, match="nested deeper than 64"):
        list(framer.feed(b'{"a":' + b"[" * 100_000))


def test_an_object_without_end_stops_at_the_size_bound():
    framer = Framer(max_bytes=1000)
    list(framer.feed(b'{"a":"' + b"x" * 900))
    with pytest.raises(FrameError, match="more than 1000 bytes"):
        list(framer.feed(b"x" * 200))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "expected a JSON object, got 'HTTP"),
        (b"[1]", "expected a JSON object"),
        (b'{"a":]', "do not match"),
        (b'{"a" 1}', "not valid JSON"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": "\xff"}', "not valid JSON"),
        (b'{"a": "\\ud800"}', "not valid JSON"),
        (b'{"a": ' + b"9" * 5000 + b"x}", "not valid JSON"),
    ],
)
def test_what_is_not_a_json_object_is_named(data, message):
    with pytest.raises(FrameError, match=message.replace("(", r"\(")):
        list(Framer().feed(data))


def test_a_large_answer_in_small_pieces_takes_linear_time():
    rows = [{"name": f"port{i}", "external_ids": ["map", [["a", 'quo"te\\']]]} for i in range(9000)]
    data = json.dumps({"result": rows}).encode()
    framer = Framer()
    found = []
    for start in range(0, len(data), 512):
        found += framer.feed(data[start : start + 512])
    assert found == [{"result": rows}]
