# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the agents reach the API, from what the cluster says of it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain._antrea_api import api_servers

KUBECONFIG = "https://api.example.org:6443"


def endpoints(*addresses: str, port: int | None = 6443) -> dict[str, Any]:
    return {
        "endpoints": [{"addresses": [address]} for address in addresses],
        "ports": [{"name": "https", "port": port}],
    }


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ("https://192.0.2.10:8443", "192.0.2.10:8443"),
        ("https://api.example.org", "api.example.org:443"),
        ("http://192.0.2.10", "192.0.2.10:80"),
        ("192.0.2.10:6443", "192.0.2.10:6443"),
        ("api.example.org", "api.example.org:443"),
        ("https://[2001:db8::1]:6443", "[2001:db8::1]:6443"),
    ],
)
def test_the_agents_own_setting_counts_first(override: str, found: str) -> None:
    seen = api_servers(override, endpoints("10.0.0.1"), KUBECONFIG)
    assert seen == {"source": "override", "addresses": [found]}


def test_else_what_stands_behind_the_service() -> None:
    seen = api_servers(None, endpoints("10.0.0.2", "2001:db8::1", "10.0.0.1"), KUBECONFIG)
    addresses = ["10.0.0.1:6443", "10.0.0.2:6443", "[2001:db8::1]:6443"]
    assert seen == {"source": "endpoints", "addresses": addresses}


@pytest.mark.parametrize("unread", [None, {}, endpoints(), endpoints("10.0.0.1", port=None)])
def test_else_what_the_kubeconfig_names(unread: dict[str, Any] | None) -> None:
    seen = api_servers(None, unread, KUBECONFIG)
    assert seen == {"source": "kubeconfig", "addresses": ["api.example.org:6443"]}


@pytest.mark.parametrize(
    "server", ["https://127.0.0.1:6443", "https://[::1]:6443", "https://localhost:6443", "x:y"]
)
def test_an_address_that_no_node_can_use_is_none(server: str) -> None:
    assert api_servers(None, None, server) == {"source": None, "addresses": []}
