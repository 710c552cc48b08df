# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parts of the API double that the contract cannot reach through a real server's door."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.api import store
from tests.lab.api.audit import Entry
from tests.lab.api.client import Client
from tests.lab.api.providers import Cluster, Double, Listen, StartError, choose


def config_map(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


def test_a_watch_from_before_the_kept_history_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "HISTORY", 3)
    kept = store.Store()
    key = ("", "configmaps")
    start, _rows = kept.rows(key)
    for number in range(5):
        kept.put(key, config_map(f"c{number}"))
    newest, events = kept.since(key, start)
    assert events is None
    _newest, events = kept.since(key, newest - 3)
    assert events is not None
    assert [event.now.obj["metadata"]["name"] for event in events] == ["c2", "c3", "c4"]


def test_the_environment_chooses_the_provider(tmp_path: Path) -> None:
    assert isinstance(choose(tmp_path, Listen(), {}), Double)
    assert choose(tmp_path, Listen(), {"KUBEBUILDER_ASSETS": "/x"}).name == "assets"
    both = {"KUBECONFIG": "/y", "KUBEBUILDER_ASSETS": "/x"}
    assert isinstance(choose(tmp_path, Listen(), both), Cluster)


def test_a_missing_binary_is_named_with_the_remedy(tmp_path: Path) -> None:
    provider = choose(tmp_path / "d", Listen(), {"KUBEBUILDER_ASSETS": str(tmp_path)})
    with pytest.raises(StartError, match=r"etcd not found in KUBEBUILDER_ASSETS=.* Unset it"):
        provider.start()


def test_a_program_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    for name in ("etcd", "kube-apiserver"):
        (tmp_path / name).write_text("#!/bin/sh\necho no such flag >&2\nexit 3\n")
        (tmp_path / name).chmod(0o755)
    provider = choose(tmp_path / "d", Listen(), {"KUBEBUILDER_ASSETS": str(tmp_path)})
    with pytest.raises(StartError, match=r"etcd ended with code 3 .* no such flag"):
        provider.start()


def test_more_addresses_are_bound_together() -> None:
    assert Listen("192.0.2.1").bind == "192.0.2.1"
    assert Listen("192.0.2.1", 6443, ("198.51.100.1",)).bind == "0.0.0.0"
    assert Listen("2001:db8::1", 6443, ("2001:db8::2",)).bind == "::"


@pytest.mark.parametrize(
    ("verb", "resource", "dry_run", "code", "wrote"),
    [
        ("create", "configmaps", False, 201, True),
        ("create", "configmaps", True, 201, False),
        ("create", "selfsubjectaccessreviews", False, 201, False),
        ("patch", "nodes", False, 409, False),
        ("list", "nodes", False, 200, False),
    ],
)
def test_a_write_is_told_from_a_look(
    verb: str, resource: str, dry_run: bool, code: int, wrote: bool
) -> None:
    entry = Entry(verb, "/", "u", code, resource, "", dry_run, "")
    assert entry.wrote is wrote


def test_a_port_in_use_is_said_with_the_remedy(tmp_path: Path) -> None:
    first = Double(tmp_path / "a", Listen())
    first.start()
    try:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(
            StartError, match=rf"cannot listen on 127.0.0.1 port {port}: .* --listen"
        ):
            Double(tmp_path / "b", Listen(port=port)).start()
    finally:
        first.stop()


@pytest.mark.parametrize("text", ["", "{}", "a: [", '{"contexts": [], "current-context": "x"}'])
def test_a_kubeconfig_that_is_none_is_said_with_the_remedy(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(StartError, match=r"cannot be used: .* Unset it"):
        choose(tmp_path / "d", Listen(), {"KUBECONFIG": str(path)}).start()


def test_the_contract_holds_through_a_kubeconfig_too(tmp_path: Path) -> None:
    double = Double(tmp_path / "a", Listen())
    double.start()
    try:
        cluster = choose(tmp_path / "b", Listen(), {"KUBECONFIG": str(double.kubeconfig)})
        cluster.start()
        assert cluster.url == double.url
        assert Client(cluster.kubeconfig).get("/api/v1/nodes")["kind"] == "NodeList"
    finally:
        double.stop()
