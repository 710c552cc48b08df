# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a module ends when the API server or its own judgement says no."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._errors import (
    ClusterError,
    failing,
)


class Module:
    """What a module is asked for when it fails."""

    def __init__(self) -> None:
        self.failed: dict[str, Any] = {}

    def fail_json(self, **result: Any) -> None:
        self.failed = result


def end(error: Exception) -> dict[str, Any]:
    """How a module that expects LookupErrors ends."""
    module = Module()
    with failing(module, LookupError):
        raise error
    return module.failed


def test_a_cluster_error_is_told_with_its_kind_and_status() -> None:
    found = end(ClusterError("forbidden", "Failed to read x: 403.", 403))
    assert found == {"msg": "Failed to read x: 403.", "kind": "forbidden", "status": 403}


def test_an_expected_error_is_told_in_its_own_words() -> None:
    assert end(LookupError("no such run")) == {"msg": "no such run"}


def test_what_nobody_expected_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        end(ZeroDivisionError())
