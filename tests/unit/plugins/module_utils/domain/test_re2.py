# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A regex says about a name what Go says."""

from __future__ import annotations

import builtins
import contextlib
import json
import pathlib
import shutil
import subprocess
import sys
import time

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _re2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# A busy machine is no failure of ours.
PROPERTY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

HERE = pathlib.Path(__file__).parent
DATA = json.loads((HERE / "go_regex_vectors.json").read_text(encoding="utf-8"))
NAMES = DATA["names"]
DEPTH = 120  # deeper than the walk goes itself


@pytest.fixture
def without_google(monkeypatch):
    monkeypatch.setitem(sys.modules, "re2", None)


def answers(pattern, names=NAMES):
    """What our engine says, in the shape of a vector; None for a name it does not judge."""
    try:
        regex = _re2.compile_regex(pattern)
    except _re2.RegexSyntaxError as problem:
        return str(problem)
    regex = _re2.Regex(pattern, regex._root)  # a fresh cache
    found = {}
    for name in names:
        try:
            found[name] = regex.search(name)
        except _re2.UndecidedError:
            found[name] = None
    return found


def agrees(vector):
    said = answers(vector["pattern"])
    if "error" in vector:
        return said == vector["error"]
    if isinstance(said, str):
        return False
    return all(
        answer == (name in vector["matches"]) or (answer is None and not name.isascii())
        for name, answer in said.items()
    )


def test_every_vector_that_go_produced_is_answered_as_go_does(without_google):
    assert len(DATA["vectors"]) > 500
    assert [v["pattern"] for v in DATA["vectors"] if not agrees(v)] == []


def test_the_vectors_hold_with_google_re2_as_well():
    pytest.importorskip("re2")
    assert [v["pattern"] for v in DATA["vectors"] if not agrees(v)] == []


@pytest.mark.full
def test_go_itself_still_says_what_the_vectors_say():
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed")
    asked = [json.dumps({"pattern": v["pattern"], "names": NAMES}) for v in DATA["vectors"]]
    run = subprocess.run(
        [go, "run", str(HERE / "go_regex.go")],
        input="\n".join(asked) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    said = [json.loads(line) for line in run.stdout.splitlines()]
    for vector, answer in zip(DATA["vectors"], said):
        assert answer["error"] == vector.get("error", ""), vector["pattern"]
        assert answer["matches"] == vector.get("matches", []), vector["pattern"]


@pytest.mark.parametrize(
    ("pattern", "kind"),
    [
        ("(?!docker).*", "invalid or unsupported Perl syntax"),
        ("(a)\\1", "invalid escape sequence"),
        ("eth[", "missing closing ]"),
        ("(eth", "missing closing )"),
        ("eth)", "unexpected )"),
        ("a**", "invalid nested repetition operator"),
        ("*", "missing argument to repetition operator"),
        ("a{1001}", "invalid repeat count"),
        ("a{9876543210}", "invalid repeat count"),
        ("\\C", "invalid escape sequence"),
        ("\\", "trailing backslash at end of expression"),
        ("[z-a]", "invalid character class range"),
        ("(?P<a-b>x)", "invalid named capture"),
        ("\udcff", "invalid UTF-8"),
        ("(" * 1000 + ")" * 1000, "expression nests too deeply"),
        ("(?:abcdefghij){1000}" * 336, "expression too large"),
    ],
)
def test_a_pattern_that_go_refuses_is_refused_with_go_s_words(pattern, kind):
    with pytest.raises(_re2.RegexSyntaxError) as caught:
        _re2.compile_regex(pattern)
    assert caught.value.kind == kind
    assert str(caught.value).startswith(f"error parsing regexp: {kind}: `")


KELVIN, LONG_S = "\u212a", "\u017f"


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("^a{2}$", "aa", "a aaa"),
        ("^a{1,3}$", "a aa aaa", "b aaaa"),
        ("^a{2,}$", "aa aaa aaaa", "a"),
        ("^(ab){1,2}$", "ab abab", "a ababab"),
        ("^a?$", "a", "aa"),
        ("^a+$", "a aaa", "b"),
        ("^(a|b{2})*c$", "c ac bbc abbac", "bc abc"),
        ("(?i)^k$", f"k K {KELVIN}", f"s {LONG_S}"),
        ("(?i)^s$", f"s S {LONG_S}", f"k {KELVIN}"),
        (f"(?i)^{KELVIN}$", f"k K {KELVIN}", "s"),
        (f"(?i)^[{LONG_S}]$", f"s S {LONG_S}", "k"),
        ("(?i)^\\w$", f"k {KELVIN} {LONG_S}", "-"),
        ("^\\w$", "k", f"{KELVIN} {LONG_S}"),
        ("(?i)^\\W$", "-", f"k {KELVIN}"),
        ("^\\p{Greek}?eth", "eth", "xeth"),
        ("^\\P{Greek}$", "a", "ab"),
    ],
)
def test_a_pattern_tells_names_apart(pattern, yes, no, without_google):
    regex = _re2.compile_regex(pattern)
    assert [name for name in yes.split() if not regex.search(name)] == []
    assert [name for name in no.split() if regex.search(name)] == []


def test_the_vertical_tab_is_a_space_to_posix_only():
    for blank, perl, posix in (("\v", False, True), ("\t", True, True), ("\f", True, True)):
        assert _re2.compile_regex(r"\s").search(blank) == perl
        assert _re2.compile_regex("[[:space:]]").search(blank) == posix


def test_a_pattern_just_inside_go_s_limits_is_accepted():
    _re2.compile_regex("(?:x*" * 1000 + "a" + ")" * 1000)
    _re2.compile_regex("(?:x|" * 1000 + "a" + ")" * 1000)
    _re2.compile_regex("(" * 999 + ")" * 999)
    _re2.compile_regex("(?:abcdefghij){1000}" * 335)
    _re2.compile_regex("((a{10}){10}){10}")


def test_deep_nesting_asks_google_re2_and_says_so_without_it(monkeypatch):
    pattern = "(" * DEPTH + "eth" + ")" * DEPTH
    regex = _re2.Regex(pattern, _re2.compile_regex(pattern)._root)
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "re2", None)
        with pytest.raises(_re2.UndecidedError, match="Install the Python package google-re2"):
            regex.search("eth0")
    pytest.importorskip("re2")
    assert regex.search("eth0")
    assert not regex.search("ens3")


def test_a_script_beyond_ascii_asks_google_re2_and_says_so_without_it(monkeypatch):
    regex = _re2.Regex("\\p{Greek}", _re2.compile_regex("\\p{Greek}")._root)
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "re2", None)
        assert not regex.search("eth0")  # no Unicode table is needed for that
        with pytest.raises(_re2.UndecidedError, match="google-re2"):
            regex.search("ethδ")
    pytest.importorskip("re2")
    assert regex.search("ethδ")
    assert not regex.search("ethд")


def test_a_question_that_neither_answers_is_undecided_not_guessed():
    pytest.importorskip("re2")
    with pytest.raises(_re2.UndecidedError, match="Use a simpler regex"):
        _re2.compile_regex("\\p{Letter}").search("\U000e01ff")


def test_bytes_of_a_name_that_are_no_utf_8_are_one_replacement_each():
    name = b"eth\xe0\x80".decode("utf-8", "surrogateescape")
    assert _re2.compile_regex("^eth..$").search(name)
    assert _re2.compile_regex("\\x{FFFD}{2}$").search(name)
    assert not _re2.compile_regex("^eth.$").search(name)


def test_google_re2_is_not_imported_for_ordinary_patterns(monkeypatch):
    real = builtins.__import__

    def watched(name, *args, **kwargs):
        assert name != "re2"
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", watched)
    assert _re2.Regex("^eth", _re2.compile_regex("^eth")._root).search("eth0")


@pytest.mark.parametrize(
    "pattern",
    [
        "(a*)*b",
        "(a|a|a|a)*b",
        "(?:" * 90 + "a" + ")*" * 90 + "b",
        "(a{0,1000}){0,1}b",
        "(.*.*.*)*b",
    ],
)
def test_no_pattern_takes_long(pattern):
    began = time.process_time()
    assert not _re2.compile_regex(pattern).search("a" * 40)
    assert time.process_time() - began < 2


CLASSES = [r"\d", r"\D", r"\w", r"\W", r"\s", r"\pL", r"\PN", "[a-h]", "[^a-h]", "[[:alpha:]]"]
OTHERS = [r"\b", r"\B", r"\A", r"\z", r"\x41", r"\.", r"\Qa.\E", "(?i)", "(?s)", "(?m)", "\n"]
ATOMS = st.sampled_from([*"abeth01ks.^$|", *CLASSES, *OTHERS])
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        inner.map(lambda p: f"({p})"),
        inner.map(lambda p: f"(?i:{p})"),
        st.tuples(inner, inner).map("|".join),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}"])).map(
            lambda t: f"(?:{t[0]}){t[1]}"
        ),
    ),
    max_leaves=8,
)


@PROPERTY
@given(PATTERNS, st.text("abeth01kSA.\n-", max_size=8))
def test_google_re2_agrees_where_both_answer(pattern, name):
    re2 = pytest.importorskip("re2")
    options = re2.Options()
    options.log_errors = False
    try:
        regex = _re2.compile_regex(pattern)
    except _re2.RegexSyntaxError:
        with pytest.raises(re2.error):
            re2.compile(pattern, options)
        return
    assert regex.search(name) == (re2.compile(pattern, options).search(name) is not None)


@PROPERTY
@given(st.text(max_size=20), st.text(max_size=15))
def test_any_text_is_a_pattern_or_a_syntax_error(pattern, name):
    with contextlib.suppress(_re2.RegexSyntaxError, _re2.UndecidedError):
        assert _re2.compile_regex(pattern).search(name) in (True, False)


@PROPERTY
@given(st.text("abcth0.-_", min_size=1, max_size=10), st.text("abcth0.-_", max_size=10))
def test_a_quoted_word_is_found_where_python_finds_it(word, name):
    assert _re2.compile_regex(f"\\Q{word}\\E").search(name) == (word in name)
