# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page for a node's console: exact commands, and only what is known."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _console_page as domain

KNOWN = domain.CutOff(
    node="w1",
    internal_ips=("10.0.0.1",),
    tried=(("10.0.0.1", "timed out"), ("192.0.2.1", "no route to host")),
    bridge="br-sec",
    nics=("eth0",),
    silent=240,
    ready="Unknown",
    config="ConfigMap kube-system/antrea-config",
)


def test_it_fits_on_a_page_and_says_what_is_known() -> None:
    lines = domain.page(KNOWN)
    assert len(lines) <= 50
    text = "\n".join(lines)
    for known in ("10.0.0.1: timed out", "192.0.2.1: no route", "240 s ago", "Unknown"):
        assert known in text
    assert "Expected: eth0 with 10.0.0.1, and beside it eth0~ without an address." in text
    assert "ConfigMap kube-system/antrea-config puts eth0 on br-sec" in text
    assert "-e antrea_secondary_network_bridge=br-sec" in text


def test_what_is_not_known_is_not_told() -> None:
    lines = domain.page(domain.CutOff("w1"))
    assert lines[3] == "  nothing"
    text = "\n".join(lines)
    assert "Expected" not in text
    assert "None" not in text
    assert "antrea_secondary_network" not in text


@pytest.mark.parametrize("command", [domain.see_command, domain.clear_command])
def test_what_is_typed_without_a_container_speaks_to_ovsdb(command: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "db.sock")
    asked: list[Any] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(1)
        server.settimeout(20)

        def serve() -> None:
            with server.accept()[0] as peer:
                asked.append(json.loads(peer.recv(4096)))
                peer.sendall(b'{"id":1,"error":null,"result":[{"count":1}]}')

        thread = threading.Thread(target=serve)
        thread.start()
        shell = ["sh", "-c", command(path)]
        done = subprocess.run(shell, capture_output=True, text=True, check=True, timeout=20)
        thread.join()
    assert '"count":1' in done.stdout
    database, operation = asked[0]["params"]
    assert (asked[0]["method"], database) == ("transact", "Open_vSwitch")
    assert (operation["table"], operation["where"]) == ("Open_vSwitch", [])
    if operation["op"] == "mutate":
        wanted = [["other_config", "delete", ["set", ["flow-restore-wait"]]]]
        assert operation["mutations"] == wanted
    else:
        assert (operation["op"], operation["columns"]) == ("select", ["other_config"])
