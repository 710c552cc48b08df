# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A machine outside the cluster, on a lab of its own.

managedFields has one time per manager: after a change of the agents' file by the same account, one
of the controller's file makes the agents' look newer than they are, and they are started anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.antrea_features.features import Features

pytestmark = pytest.mark.lab


@pytest.mark.full
def test_a_machine_outside_the_cluster(features: Features, tmp_path: Path) -> None:
    features.authorities()
    secret = "s3cr3t-of-the-machine"
    machine = {"namespace": "default", "name": "vm1", "ips": ["172.16.100.3"]}
    wanted = {
        "antrea_features_external_nodes": [machine],
        "antrea_features_external_dir": str(tmp_path / "machines"),
        "antrea_features_external_api": "https://10.160.1.1:6443",
        "antrea_features_external_antrea": "https://10.160.1.21:30349",
        "antrea_features_external_token": secret,
    }
    before = features.state()
    run = features.run({}, "--diff", k8snet_run_id="outside", **wanted)
    assert run.code == 0, run.said
    assert secret not in run.said
    assert features.machines() == {"vm1": ["172.16.100.3"]}
    # The gate is the controller's, so that no agent starts anew.
    assert features.state() == before
    folder = tmp_path / "machines" / "default" / "vm1"
    names = ["antrea-agent.antrea.kubeconfig", "antrea-agent.conf", "antrea-agent.kubeconfig"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert secret not in (folder.parents[2] / "undo" / "outside" / "cluster.json").read_text()
    again = features.run({}, **wanted)
    assert (again.code, again.changed) == (0, 0), again.said
    back = features.rollback("outside")
    assert back.code == 0, back.said
    assert features.machines() == {}
