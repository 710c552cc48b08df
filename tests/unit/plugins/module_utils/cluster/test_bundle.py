# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Undo bundles: written once, readable by nobody else, the same in a file and in a Secret."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _bundle
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._bundle import BundleError
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import ClusterError
from ansible_collections.k8snet.cni.plugins.modules import undo_bundle

from tests.lab.api import mint
from tests.lab.api.client import Client
from tests.lab.api.providers import Double, Listen
from tests.unit import calico_world as world

SECRETS = "/api/v1/namespaces/k8snet/secrets"
CONTENT = {"calico": {"installation": {"spec": {"a": None, "b": {}, "ü": [1, True, ""]}}}}


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Double]:
    server = Double(tmp_path_factory.mktemp("api"), Listen())
    server.start()
    Client(server.kubeconfig).ensure("/api/v1/namespaces", {"metadata": {"name": "k8snet"}})
    yield server
    server.stop()


@pytest.fixture(params=["dir", "namespace"])
def place(request: pytest.FixtureRequest, double: Double, tmp_path: Path) -> Iterator[Any]:
    """Options of both places."""
    client = Client(double.kubeconfig)
    for secret in client.items(SECRETS):
        client.delete(f"{SECRETS}/{secret['metadata']['name']}")
    where = {"dir": str(tmp_path / "undo"), "namespace": None}
    if request.param == "namespace":
        where = {"dir": None, "namespace": "k8snet", "kubeconfig": str(double.kubeconfig)}
    return where


def run(place: dict[str, Any], check_mode: bool = False, **given: Any) -> dict[str, Any]:
    params = {
        "state": "present",
        "run_id": "night-1",
        "content": CONTENT,
        "resumed": True,
        "same": [],
        "timeout": 5,
        "wait_timeout": 10,
        **place,
    }
    return undo_bundle.run({**params, **given}, check_mode)


def test_kept_read_and_listed(place: Any) -> None:
    planned = run(place, check_mode=True)
    assert run(place, state="listed")["run_ids"] == []
    kept = run(place)
    assert planned["changed"]
    assert kept["changed"]
    assert planned == kept
    again = run(place)
    assert not again["changed"]
    assert not again["kept_former"]
    found = run(place, state="read", content=None)
    assert found["content"] == CONTENT
    assert found["digest"] == kept["digest"]
    run(place, run_id="night-0")
    assert run(place, state="listed")["run_ids"] == ["night-0", "night-1"]


def test_what_is_kept_is_never_overwritten(place: Any) -> None:
    run(place)
    later = run(place, content={"calico": "as the run left it"})
    assert not later["changed"]
    assert later["kept_former"]
    assert later["content"] == CONTENT
    assert run(place, state="read")["content"] == CONTENT


def test_a_name_is_one_run_only(place: Any) -> None:
    mine = {"role": "r", "options": {"vlan": 181}, "at": "noon"}
    assert run(place, content=mine, resumed=False)["changed"]
    with pytest.raises(BundleError, match=r"has ended \(of role r, noon\)"):
        run(place, content=mine, resumed=False)
    with pytest.raises(BundleError, match="has ended"):
        run(place, check_mode=True, content=mine, resumed=False)
    both = {"same": ["role", "options"]}
    later = run(place, content={**mine, "at": "night"}, **both)
    assert (later["changed"], later["content"]["at"]) == (False, "noon")
    with pytest.raises(BundleError, match="differs in options"):
        run(place, content={**mine, "options": {"vlan": 182}}, **both)
    with pytest.raises(BundleError, match="differs in role"):
        run(place, content={**mine, "role": "s"}, **both)


def test_of_many_writers_one_wins(place: Any) -> None:
    results: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(run(place, content={"by": n})))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [r["changed"] for r in results].count(True) == 1
    winner = next(r["content"] for r in results if r["changed"])
    assert all(r["content"] == winner for r in results)


def test_a_bundle_that_does_not_exist_is_told(place: Any) -> None:
    with pytest.raises(BundleError, match="there is none"):
        run(place, state="read")


def test_what_is_kept_is_listed_with_what_it_is_about(place: Any) -> None:
    about = {"role": "a", "cluster": "uid", "at": "2026-01-01T00:00:00Z", "fresh": True}
    run(place, content={**about, **CONTENT})
    run(place, run_id="older", content=CONTENT)
    found = run(place, state="listed")
    assert [(b["run_id"], b["about"]) for b in found["bundles"]] == [
        ("night-1", about),
        ("older", {}),
    ]
    assert found["bundles"][0]["where"] == run(place, state="read")["where"]
    assert found["unreadable"] == []
    assert run(place)["bundles"] is None


@pytest.mark.parametrize("run_id", ["../x", "A", "", "a/b"])
def test_a_name_that_leads_elsewhere_is_refused(place: Any, run_id: str) -> None:
    with pytest.raises(BundleError, match="run_id"):
        run(place, run_id=run_id)


# -- files ----------------------------------------------------------------------------------------


def files(tmp_path: Path) -> dict[str, Any]:
    return {"dir": str(tmp_path / "undo"), "namespace": None}


def test_nobody_else_reads_it_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        where = Path(run(files(tmp_path))["where"])
    finally:
        os.umask(old)
    assert where == tmp_path / "undo" / "night-1" / "cluster.json"
    assert stat.S_IMODE(where.stat().st_mode) == 0o600
    assert stat.S_IMODE(where.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(where.parent.parent.stat().st_mode) == 0o700
    assert [p.name for p in where.parent.iterdir()] == ["cluster.json"]


@pytest.mark.parametrize("state", ["present", "read"])
def test_no_link_is_followed(tmp_path: Path, state: str) -> None:
    (tmp_path / "undo").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "undo" / "night-1").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="symbolic link"):
        run(files(tmp_path), state=state)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_no_link_in_place_of_the_file_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "undo" / "night-1"
    folder.mkdir(parents=True)
    (folder / "cluster.json").symlink_to(tmp_path / "victim")
    with pytest.raises(BundleError, match="symbolic link"):
        run(files(tmp_path))
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_damaged_file_is_told_and_kept(tmp_path: Path, text: str) -> None:
    where = Path(run(files(tmp_path))["where"])
    where.write_text(text)
    for state in ("present", "read"):
        with pytest.raises(BundleError, match="no JSON object"):
            run(files(tmp_path), state=state)
    assert where.read_text() == text


@pytest.mark.parametrize("text", ["", "{", "\xff", "[]"])
def test_a_damaged_file_keeps_no_other_from_being_listed(tmp_path: Path, text: str) -> None:
    run(files(tmp_path))
    broken = Path(run(files(tmp_path), run_id="broken")["where"])
    broken.write_text(text, encoding="latin-1")
    found = run(files(tmp_path), state="listed")
    assert found["run_ids"] == ["broken", "night-1"]
    assert [b["run_id"] for b in found["bundles"]] == ["night-1"]
    (why,) = found["unreadable"]
    assert str(broken) in why


def test_a_write_that_is_cut_off_leaves_no_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BundleError, match="No space left"):
        run(files(tmp_path))
    assert list((tmp_path / "undo" / "night-1").iterdir()) == []


# -- Secrets --------------------------------------------------------------------------------------


def secrets(double: Double) -> dict[str, Any]:
    return {"dir": None, "namespace": "k8snet", "kubeconfig": str(double.kubeconfig)}


def test_the_secret_cannot_be_changed_by_mistake(double: Double) -> None:
    run(secrets(double), run_id="immutable")
    secret = Client(double.kubeconfig).get(f"{SECRETS}/k8snet-undo-immutable")
    assert secret["immutable"] is True
    assert secret["metadata"]["labels"] == {_bundle.LABEL: "immutable"}


@pytest.mark.parametrize(
    "fault", [{"disconnect_after": 5}, {"status": 500}, {"status": 429, "retry_after": 0}]
)
def test_a_lost_answer_is_read_back(double: Double, fault: dict[str, Any]) -> None:
    name = f"lost-{fault.get('status', 'cut')}"
    with world.faults(double, {"verbs": ["create"], "path": "secrets", "times": 1, **fault}):
        assert run(secrets(double), run_id=name)["changed"]
    assert run(secrets(double), run_id=name, state="read")["content"] == CONTENT


def test_what_is_too_large_for_a_secret_is_told(double: Double) -> None:
    with pytest.raises(BundleError, match="k8snet_undo_dir"):
        run(secrets(double), run_id="large", content={"x": os.urandom(900_000).hex()})


def test_a_namespace_that_does_not_exist_is_told(double: Double) -> None:
    with pytest.raises(BundleError, match="namespace nowhere does not exist"):
        run({**secrets(double), "namespace": "nowhere"})


def test_a_missing_right_is_named(double: Double, tmp_path: Path) -> None:
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    mint.user(double.kubeconfig, "keeper", rules, tmp_path / "config")
    with pytest.raises(ClusterError, match="create on secrets"):
        run({**secrets(double), "kubeconfig": str(tmp_path / "config")}, run_id="forbidden")
