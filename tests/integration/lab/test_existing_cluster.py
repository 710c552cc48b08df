# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that is there already, outside the lab's network, is reached from inside it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import relay
from tests.lab.api.providers import Double, Listen
from tests.lab.lab import Lab

VERSION = """
import sys
from kubernetes import client, config
config.load_kube_config(sys.argv[1])
print(client.VersionApi().get_code().git_version)
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Path]:
    """The kubeconfig of an API server on this machine's loopback."""
    double = Double(tmp_path / "cluster", Listen("127.0.0.1", 0))
    double.start()
    yield double.kubeconfig
    double.stop()


@pytest.mark.lab
@pytest.mark.full
def test_controller_and_nodes_reach_a_cluster_outside(
    lab_name: str, cluster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster))
    with Lab.up(1, api=True, name=lab_name) as lab:
        command = ["python", "-c", VERSION, lab.kubeconfig]
        done = lab.exec(command, capture_output=True, text=True, timeout=60)
        assert done.stdout.endswith("+double\n"), done.stderr
        connect = 'import socket; socket.create_connection(("10.160.1.1", 6443), 5)'
        lab.ssh("n1", f"python3 -c '{connect}'")
        assert os.stat(lab.kubeconfig).st_mode & 0o077 == 0


def test_a_kubeconfig_is_pointed_elsewhere_and_still_checks_the_servers_name(
    tmp_path: Path,
) -> None:
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "https://api.example.org"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    assert relay.point_at(path, "https://10.160.1.1:6443") == ("api.example.org", 443)
    cluster = json.loads(path.read_text())["clusters"][0]["cluster"]
    wanted = {"server": "https://10.160.1.1:6443", "tls-server-name": "api.example.org"}
    assert cluster == wanted
