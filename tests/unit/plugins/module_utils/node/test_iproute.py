# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes wrong with ``ip``, and its JSON's oddities."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.node import _iproute, _links


def answering(monkeypatch: pytest.MonkeyPatch, out: str, err: str = "") -> None:
    def run(_command: Any, **_options: Any) -> Any:
        return subprocess.CompletedProcess([], 0, out.encode(), err.encode())

    monkeypatch.setattr(_iproute, "find", lambda: "/sbin/ip")
    monkeypatch.setattr(_iproute.subprocess, "run", run)


def test_without_ip_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_iproute, "find", lambda: None)
    with pytest.raises(_links.ReadError, match=r"neither the program 'ip'.*Install iproute2"):
        _iproute.read([])


def test_ip_is_found_where_path_has_no_sbin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert _iproute.find() is not None


@pytest.mark.parametrize(
    ("out", "err"),
    [
        ("", "ip: unrecognized option '-j'\n"),
        ("1: lo: <LOOPBACK,UP> mtu 65536\n", ""),
        ("[]\n", ""),
        ("[]\n[]\n[]\n", ""),
    ],
)
def test_an_ip_that_knows_no_json_is_named_with_the_remedy(
    out: str, err: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, out, err)
    with pytest.raises(_links.ReadError, match=r"must be iproute2 4\.20 or later"):
        _iproute.read([])


def test_a_failing_list_is_an_error_with_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(
        monkeypatch, "[]\n", "RTNETLINK answers: Operation not permitted\nCommand failed -:1\n"
    )
    with pytest.raises(_links.ReadError, match=r"address show' failed: Operation not permitted"):
        _iproute.read([])


def test_ip_that_does_not_start_is_an_error_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_iproute, "find", lambda: "/nowhere/ip")
    with pytest.raises(_links.ReadError, match=r"running '/nowhere/ip -j' failed"):
        _iproute.read([])


def test_failed_look_ups_do_not_shift_the_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    good = json.dumps([{"dst": "10.0.0.9", "dev": "eth0", "prefsrc": "10.0.0.5"}])
    answering(
        monkeypatch,
        f"[]\n[]\n{good}\n",
        "RTNETLINK answers: Network is unreachable\nCommand failed -:3\n",
    )
    found = _iproute.read([("inet", "192.0.2.1"), ("inet", "10.0.0.9")]).found
    assert [entry["error"] for entry in found] == ["Network is unreachable", None]
    assert found[1]["source"] == "10.0.0.5"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[{"ifname":"a\\\'b"}]', "a'b"),
        ('[{"ifname":"a\\\\\\\'b"}]', "a\\'b"),
        ('[{"ifname":"a\\\\\'b"}]', "a\\'b"),
        ('[{"ifname":"q\\"x"}]', 'q"x'),
    ],
)
def test_apostrophes_escaped_against_json_are_understood(text: str, expected: str) -> None:
    assert _iproute.parse(text)[0][0]["ifname"] == expected


def test_empty_entries_that_old_releases_leave_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "[{},{}]\n[]\n")
    assert _iproute.read([]).links == []


def test_reading_starts_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = subprocess.run

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        return real(*arguments, check=options.pop("check", False), **options)

    monkeypatch.setattr(_iproute.subprocess, "run", counted)
    _iproute.read([("inet", "127.0.0.1"), ("inet6", "::1")])
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"link": "eth0"}, "eth0"),
        ({"link": None}, None),
        ({"link": "if7", "link_netnsid": 0}, None),
        ({"link_index": 7, "link_netnsid": 0}, None),
        # The index there may be that of an unrelated interface here, which ip then names.
        ({"link": "eth0", "link_netnsid": 0}, None),
    ],
)
def test_a_lower_device_in_another_namespace_is_none(
    entry: dict[str, Any], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = [{"ifindex": 3, "ifname": "v", "linkinfo": {"info_kind": "vlan"}, **entry}]
    answering(monkeypatch, f"{json.dumps(document)}\n[]\n")
    assert _iproute.read([]).links[0]["link"] == expected
