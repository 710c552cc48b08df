# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node's checkpoints with systemd played."""

from __future__ import annotations

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.node import _checkpoint_read
from ansible_collections.k8snet.cni.plugins.module_utils.node import _checkpoint_units as units
from ansible_collections.k8snet.cni.plugins.module_utils.node._checkpoint_store import Store

STATE = {
    "boot_id": "a",
    "links": [],
    "addresses": {},
    "routes": [],
    "rules": [],
    "dns": {"target": None, "content": None, "links": {}},
    "ovs": None,
}


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "k8snet"), str(tmp_path / "run"))


@pytest.fixture
def calls(monkeypatch):
    """systemd, played: everything works, and what was asked is told."""
    said = []
    timers = set()

    def run(*words, timeout=0):
        said.append(" ".join(words))
        if words[0] == "systemd-run":
            timers.add(words[1].partition("=")[2] + ".timer")
        if "stop" in words:
            timers.difference_update(words)
        if "--property=UserspaceTimestampMonotonic" in words:
            return 0, "UserspaceTimestampMonotonic=2000000"
        waits = "SubState=waiting\nNextElapseUSecMonotonic=5min"
        return 0, waits if "show" in words and timers & set(words) else ""

    monkeypatch.setattr(units, "run", run)
    monkeypatch.setattr(units, "running", lambda: True)
    monkeypatch.setattr(_checkpoint_read, "gather", lambda *_args: {**STATE})
    return said


@pytest.fixture
def etc(monkeypatch, tmp_path):
    (tmp_path / "etc").mkdir()
    monkeypatch.setattr(units, "UNITS", str(tmp_path / "etc"))
    return tmp_path / "etc"
