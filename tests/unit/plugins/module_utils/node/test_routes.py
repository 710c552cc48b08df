# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names are resolved within bounds, and each destination gets an answer or a reason."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.node import _routes

NOWHERE = {"source": None, "interface": None, "gateway": None, "error": "Network is unreachable"}


def through(source: str) -> dict[str, Any]:
    return {"source": source, "interface": "eth0", "gateway": "10.0.0.1", "error": None}


def resolving(monkeypatch: pytest.MonkeyPatch, names: dict[tuple[str, int], list[str]]) -> None:
    def getaddrinfo(name: str, port: int, family: int, _kind: int) -> Any:
        if (name, family) not in names:
            raise socket.gaierror(-2, "Name or service not known")
        return [(family, 2, 17, "", (address, port)) for address in names[(name, family)]]

    monkeypatch.setattr(_routes.socket, "getaddrinfo", getaddrinfo)


def test_literal_addresses_are_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, {})
    resolved = _routes.resolve(["10.0.0.9", "2001:db8::9"], 1)
    assert resolved == {
        "10.0.0.9": {"inet": ["10.0.0.9"]},
        "2001:db8::9": {"inet6": ["2001:db8::9"]},
    }


def test_a_name_of_both_families_has_an_answer_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {("gw", socket.AF_INET): ["10.0.0.9"], ("gw", socket.AF_INET6): ["2001:db8::9"]}
    resolving(monkeypatch, names)
    resolved = _routes.resolve(["gw"], 1)
    found = {
        ("inet", "10.0.0.9"): through("10.0.0.5"),
        ("inet6", "2001:db8::9"): through("2001:db8::5"),
    }
    entry = _routes.reach(resolved, found)["gw"]
    assert (entry["family"], entry["address"], entry["source"]) == ("inet", "10.0.0.9", "10.0.0.5")
    assert entry["by_family"]["inet6"]["source"] == "2001:db8::5"
    assert entry["error"] is None


def test_an_unreachable_ipv4_address_gives_way_to_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {("gw", socket.AF_INET): ["10.0.0.9"], ("gw", socket.AF_INET6): ["2001:db8::9"]}
    resolving(monkeypatch, names)
    found = {("inet", "10.0.0.9"): NOWHERE, ("inet6", "2001:db8::9"): through("2001:db8::5")}
    entry = _routes.reach(_routes.resolve(["gw"], 1), found)["gw"]
    assert (entry["family"], entry["source"]) == ("inet6", "2001:db8::5")
    assert entry["by_family"]["inet"]["error"] == "Network is unreachable"


def test_the_first_address_with_a_route_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, {("gw", socket.AF_INET): ["192.0.2.1", "10.0.0.9", "10.0.0.10"]})
    found = {
        ("inet", "192.0.2.1"): NOWHERE,
        ("inet", "10.0.0.9"): through("10.0.0.5"),
        ("inet", "10.0.0.10"): through("10.0.0.6"),
    }
    assert _routes.reach(_routes.resolve(["gw"], 1), found)["gw"]["address"] == "10.0.0.9"


def test_an_unknown_name_is_an_error_text_in_its_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, {})
    entry = _routes.reach(_routes.resolve(["nosuch.invalid"], 1), {})["nosuch.invalid"]
    assert entry["address"] is None
    assert entry["source"] is None
    assert entry["error"] == "name resolution failed: Name or service not known"


def test_a_route_without_source_address_is_said_to_be_so() -> None:
    nothing = {"source": None, "interface": "eth0", "gateway": None, "error": None}
    entry = _routes.reach({"10.0.0.9": {"inet": ["10.0.0.9"]}}, {("inet", "10.0.0.9"): nothing})
    assert entry["10.0.0.9"]["error"] == "the kernel chose no source address"


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "..", "", "a b", "ü" * 80, "-v"])
def test_a_name_that_is_none_is_an_error_text_too(name: str) -> None:
    entry = _routes.reach(_routes.resolve([name], 2), {})[name]
    assert entry["error"]


def test_a_dead_dns_server_costs_the_timeout_once(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hang(*_arguments: Any) -> Any:
        release.wait(30)
        return []

    monkeypatch.setattr(_routes.socket, "getaddrinfo", hang)
    begin = time.monotonic()
    resolved = _routes.resolve([f"host{n}.example" for n in range(20)], 0.2)
    spent = time.monotonic() - begin
    release.set()
    assert spent < 2
    assert all("timed out after 0.2 s" in answer["inet"] for answer in resolved.values())


def test_each_address_is_looked_up_once() -> None:
    resolved = {"a": {"inet": ["10.0.0.9"]}, "b": {"inet": ["10.0.0.9"], "inet6": "failed"}}
    assert _routes.targets(resolved) == [("inet", "10.0.0.9")]
