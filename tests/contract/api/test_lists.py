# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Selectors, pages, watches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

from tests.contract.api.conftest import WIDGETS, config_map, fails, unique, widget
from tests.lab.api.client import Client

Obj = dict[str, Any]

MARK = unique()
LABELS: dict[str, dict[str, str]] = {
    "one": {"mark": MARK, "tier": "a", "env": "x"},
    "two": {"mark": MARK, "tier": "b"},
    "three": {"mark": MARK},
}


@pytest.fixture(scope="module")
def labelled(api: Client, maps: str) -> Iterator[str]:
    """Three ConfigMaps; returns the collection."""
    for name, labels in LABELS.items():
        api.create(maps, config_map(f"{MARK}-{name}", labels=labels))
    yield maps
    for name in LABELS:
        api.delete(f"{maps}/{MARK}-{name}")


@pytest.mark.parametrize(
    ("selector", "wanted"),
    [
        ("tier=a", {"one"}),
        ("tier==a", {"one"}),
        ("tier!=a", {"two", "three"}),
        ("tier", {"one", "two"}),
        ("!tier", {"three"}),
        ("tier in (a,b)", {"one", "two"}),
        ("tier notin (a)", {"two", "three"}),
        ("tier in (a, b),!env", {"two"}),
    ],
)
def test_labels_select(api: Client, labelled: str, selector: str, wanted: set[str]) -> None:
    found = api.items(labelled, labelSelector=f"mark={MARK},{selector}")
    assert {item["metadata"]["name"].rpartition("-")[2] for item in found} == wanted


def test_a_list_is_ordered_by_name(api: Client, labelled: str) -> None:
    names = [i["metadata"]["name"] for i in api.items(labelled, labelSelector=f"mark={MARK}")]
    assert names == sorted(names)


@pytest.mark.parametrize("selector", ["a in (b", "a=b=c", "(x)"])
def test_a_label_selector_that_is_none_is_refused(
    api: Client, labelled: str, selector: str
) -> None:
    with pytest.raises(Exception, match="400 BadRequest"):
        api.items(labelled, labelSelector=selector)


def test_fields_select(api: Client, labelled: str) -> None:
    found = api.items(labelled, fieldSelector=f"metadata.name={MARK}-two")
    assert [item["metadata"]["name"] for item in found] == [f"{MARK}-two"]
    rest = api.items(labelled, fieldSelector=f"metadata.name!={MARK}-two", labelSelector="mark")
    assert f"{MARK}-two" not in [item["metadata"]["name"] for item in rest]


def test_not_every_field_selects(api: Client, labelled: str, kinds: None) -> None:
    for path in (labelled, WIDGETS):
        status = fails(api, "GET", f"{path}?fieldSelector=spec.color%3Dred")
        assert (status.code, status.reason) == (400, "BadRequest")


def test_pods_are_selected_by_their_node(api: Client) -> None:
    name = unique("absent")
    assert api.items("/api/v1/pods", fieldSelector=f"spec.nodeName={name}") == []


# -- pages -----------------------------------------------------------------------------------------


def test_a_list_comes_in_pages(api: Client, kinds: None) -> None:
    for _unused in range(5):
        api.create(WIDGETS, widget())
    whole = [item["metadata"]["name"] for item in api.get(WIDGETS)["items"]]
    page = api.get(WIDGETS, limit=2)
    assert len(page["items"]) == 2
    assert page["metadata"]["remainingItemCount"] == len(whole) - 2
    names: list[str] = []
    versions = set()
    while True:
        names += [item["metadata"]["name"] for item in page["items"]]
        versions.add(page["metadata"]["resourceVersion"])
        token = page["metadata"].get("continue")
        if not token:
            break
        page = api.get(WIDGETS, limit=2, **{"continue": token})
    assert names == whole
    assert len(versions) == 1
    assert "remainingItemCount" not in page["metadata"]


def test_a_page_is_never_longer_than_its_limit(api: Client, kinds: None) -> None:
    api.create(WIDGETS, widget())
    api.create(WIDGETS, widget())
    whole = len(api.get(WIDGETS)["items"])
    almost = api.get(WIDGETS, limit=whole - 1)
    assert len(almost["items"]) == whole - 1
    assert almost["metadata"]["remainingItemCount"] == 1
    all_of_it = api.get(WIDGETS, limit=whole)
    assert len(all_of_it["items"]) == whole
    assert "continue" not in all_of_it["metadata"]


def test_later_pages_are_of_the_same_moment(api: Client, kinds: None) -> None:
    for _unused in range(3):
        api.create(WIDGETS, widget())
    page = api.get(WIDGETS, limit=1)
    late = api.create(WIDGETS, widget(unique("zzz")))["metadata"]["name"]
    names = []
    while page["metadata"].get("continue"):
        page = api.get(WIDGETS, limit=100, **{"continue": page["metadata"]["continue"]})
        names += [item["metadata"]["name"] for item in page["items"]]
    assert late not in names


def test_a_selected_page_does_not_count_what_remains(api: Client, labelled: str) -> None:
    page = api.get(labelled, limit=1, labelSelector=f"mark={MARK}")
    assert page["metadata"]["continue"]
    assert "remainingItemCount" not in page["metadata"]


def test_a_token_that_is_none_is_refused(api: Client, maps: str) -> None:
    status = fails(api, "GET", f"{maps}?limit=1&continue=nonsense")
    assert (status.code, status.reason) == (400, "BadRequest")


# -- watch -----------------------------------------------------------------------------------------


def watch_while(
    client: Client, path: str, act: Callable[[], None], count: int, **query: Any
) -> list[Obj]:
    """Return the first ``count`` events seen while ``act`` runs, bookmarks left out."""
    version = client.get(path, limit=1)["metadata"]["resourceVersion"]
    thread = threading.Thread(target=act)
    events = client.watch(path, seconds=10, resourceVersion=version, **query)
    thread.start()
    changes = (event for event in events if event["type"] != "BOOKMARK")
    seen = list(islice(changes, count))
    thread.join()
    return seen


def test_a_watch_tells_each_change(api: Client, maps: str) -> None:
    name = unique()

    def act() -> None:
        api.create(maps, config_map(name))
        api.patch(f"{maps}/{name}", {"data": {"a": "1"}})
        api.delete(f"{maps}/{name}")

    events = watch_while(api, maps, act, 3, fieldSelector=f"metadata.name={name}")
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert events[1]["object"]["data"] == {"a": "1"}
    assert {event["object"]["kind"] for event in events} == {"ConfigMap"}
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))


def test_leaving_the_selection_looks_like_deletion(api: Client, maps: str) -> None:
    mark = unique()
    path = f"{maps}/{mark}"

    def act() -> None:
        api.create(maps, config_map(mark))
        api.patch(path, {"metadata": {"labels": {"mark": mark}}})
        api.patch(path, {"metadata": {"labels": {"mark": None}}})

    # created without the label: seen only when it gets it
    events = watch_while(api, maps, act, 2, labelSelector=f"mark={mark}")
    assert [event["type"] for event in events] == ["ADDED", "DELETED"]


def test_a_watch_without_a_version_begins_with_what_is_there(api: Client, labelled: str) -> None:
    events = list(api.watch(labelled, seconds=1, labelSelector=f"mark={MARK}"))
    added = [e["object"]["metadata"]["name"] for e in events if e["type"] == "ADDED"]
    assert set(added) == {f"{MARK}-{name}" for name in LABELS}


def test_a_watch_from_long_ago_is_told_to_list_again(api: Client, kinds: None) -> None:
    api.create(WIDGETS, widget())
    first = next(iter(api.watch(WIDGETS, seconds=3, resourceVersion="1")))
    assert first["type"] == "ERROR"
    assert (first["object"]["code"], first["object"]["reason"]) == (410, "Expired")
