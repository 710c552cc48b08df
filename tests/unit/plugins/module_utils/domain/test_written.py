# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a file of a ConfigMap was written, and which pods cannot have read it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain._written import (
    last_written,
    unread,
)

FILE = "antrea-agent.conf"
T1, T2, T3 = (f"2026-01-01T00:00:0{n}Z" for n in (1, 2, 3))


def config_map(created: str, *writes: tuple[str, str]) -> dict[str, Any]:
    fields = [
        {"manager": f"m{n}", "time": time, "fieldsV1": {"f:data": {".": {}, f"f:{file}": {}}}}
        for n, (time, file) in enumerate(writes)
    ]
    return {"metadata": {"creationTimestamp": created, "managedFields": fields}}


def test_the_last_write_is_of_the_managers_that_have_the_file() -> None:
    found = config_map(T1, (T1, FILE), (T2, FILE), (T3, "antrea-controller.conf"))
    assert last_written(found, FILE) == T2
    assert last_written(found, "antrea-cni.conflist") is None


@pytest.mark.parametrize(
    ("created", "written", "made", "expected"),
    [
        (T1, T2, T1, T2),
        (T1, T2, T2, T2),  # before or after the write, within a second
        (T1, T2, T3, None),
        (T2, T2, T2, None),  # an installation: there was nothing else to read
        (T2, T2, T1, T2),  # deleted and made anew under a pod
        (T1, T2, None, None),
    ],
)
def test_a_pod_has_read_what_was_there_when_it_started(
    created: str, written: str, made: str | None, expected: str | None
) -> None:
    assert unread(config_map(created, (written, FILE)), FILE, made) == expected


def test_without_a_time_of_the_write_nothing_is_said() -> None:
    assert unread(config_map(T1), FILE, T1) is None
    assert unread(None, FILE, T1) is None
