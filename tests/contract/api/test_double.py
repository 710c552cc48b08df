# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What only the double does: faults on demand. A real API server cannot be asked for them."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contract.api.conftest import WIDGETS, fails, widget
from tests.lab.api.client import Client
from tests.lab.api.providers import Provider

Obj = dict[str, Any]


@pytest.fixture
def faults(provider: Provider) -> Iterator[Callable[..., None]]:
    """Sets the rules in force; none are left afterwards."""
    if not provider.can_fault:
        pytest.skip("a real API server has no faults on demand")
    path = provider.directory / "faults.json"

    def write(*rules: Obj) -> None:
        path.write_text(json.dumps(rules), encoding="utf-8")

    yield write
    path.unlink()


def test_429_says_when_to_come_again(faults: Callable[..., None], api: Client) -> None:
    faults(
        {"verbs": ["list"], "path": "^/api/v1/nodes", "status": 429, "retry_after": 2, "times": 1}
    )
    code, headers, body = api.raw("GET", "/api/v1/nodes")
    assert (code, headers["retry-after"], body["reason"]) == (429, "2", "TooManyRequests")
    assert api.raw("GET", "/api/v1/nodes")[0] == 200


def test_a_fault_may_skip_some_and_spare_others(faults: Callable[..., None], api: Client) -> None:
    faults({"path": "^/api/v1/nodes", "skip": 1, "times": 1, "status": 500})
    codes = [api.raw("GET", "/api/v1/nodes")[0] for _unused in range(3)]
    assert codes == [200, 500, 200]
    faults({"user": "somebody-else", "status": 500})
    assert api.raw("GET", "/api/v1/nodes")[0] == 200


def test_an_answer_may_break_off(faults: Callable[..., None], api: Client) -> None:
    faults({"path": "^/api/v1/namespaces$", "disconnect_after": 20, "times": 1})
    with pytest.raises((http.client.IncompleteRead, OSError)):
        api.raw("GET", "/api/v1/namespaces")
    assert api.raw("GET", "/api/v1/namespaces")[0] == 200


def test_an_answer_may_come_late(faults: Callable[..., None], api: Client) -> None:
    faults({"path": "^/version", "delay": 0.3})
    start = time.monotonic()
    assert api.raw("GET", "/version")[0] == 200
    assert time.monotonic() - start >= 0.3


def test_a_next_page_may_be_too_old(faults: Callable[..., None], api: Client, kinds: None) -> None:
    for _unused in range(2):
        api.create(WIDGETS, widget())
    token = api.get(WIDGETS, limit=1)["metadata"]["continue"]
    faults({"path": "continue=", "expire_pages": True, "times": 1})
    status = fails(api, "GET", f"{WIDGETS}?limit=1&continue={token}")
    assert (status.code, status.reason) == (410, "Expired")
