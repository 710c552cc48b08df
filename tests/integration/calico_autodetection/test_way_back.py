# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back: by the command that a run prints, into the run's own cluster only."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from tests.integration.calico_autodetection.conftest import LEASE
from tests.integration.calico_autodetection.hands import (
    Cluster,
    Obj,
    Operator,
    User,
    elsewhere,
    repaired,
)
from tests.lab.lab import Lab
from tests.lab.scene import AGENT_UNIT

pytestmark = [pytest.mark.lab, pytest.mark.full]

SYSTEM = "/api/v1/namespaces/kube-system"


def test_the_printed_command_takes_a_run_back_from_anywhere(
    operator: Operator, cluster: Cluster, lab: Lab, user: User, former: Obj
) -> None:
    place, away = operator.folder / "my undo", operator.folder / "away"
    away.mkdir()
    # Whatever the inventory says of all hosts, the controller's own user has no sudo.
    own = {"hosts": {"localhost": {"ansible_become_exe": "/nonexistent/sudo"}}}
    own["vars"] = {"ansible_become": True}  # type: ignore[dict-item]
    hosts = {"all": own, **json.loads(elsewhere(away, node3="10.160.1.99").read_text())}
    inventory = away / "inventory.json"
    inventory.write_text(json.dumps(hosts))
    named = {
        "k8snet_undo_dir": str(place),
        "k8snet_context": yaml.safe_load(user.kubeconfig.read_text())["current-context"],
        "k8snet_accept_unseen": ["node3"],
    }
    allowed = {"ANSIBLE_BECOME_ALLOW_SAME_USER": "true"}
    run = operator.change(user, "typed", "-e", json.dumps(named), more=inventory, env=allowed)
    assert run.code == 0, run.said[-6000:]
    assert repaired(cluster.installation())
    kept = json.loads((place / "typed" / "cluster.json").read_text())
    assert kept["cluster"] == cluster.ask("find", SYSTEM)["metadata"]["uid"]
    line = re.search(r"^ +(ansible-playbook k8snet\.cni\.rollback .*)$", run.said, re.MULTILINE)
    assert line, run.said[-6000:]

    # The node that was accepted is gone for good, and nobody says so again.
    lab.ssh("node3", f"sudo systemctl kill --signal STOP {AGENT_UNIT}")
    try:
        quick = " -e calico_autodetection_rollout_timeout=90 -e calico_autodetection_poll=1"
        back = operator.typed(line[1] + quick, away, env=allowed)
    finally:
        lab.ssh("node3", f"sudo systemctl kill --signal CONT {AGENT_UNIT}")
    assert back.code == 0, back.said[-6000:]
    assert cluster.installation() == former
    assert cluster.ask("find", LEASE) is None

    # What it has kept is of that run: another one that fails must not put it back.
    again = operator.change(user, "typed", "-e", json.dumps(named), more=inventory, env=allowed)
    assert again.code != 0
    again.has("Nothing was changed.", "Give this run another name.")
    assert cluster.installation() == former
    assert cluster.ask("find", LEASE) is None


def test_a_bundle_of_another_cluster_is_refused_and_leaves_no_lock(
    operator: Operator, cluster: Cluster, user: User
) -> None:
    kept = {"role": "calico_autodetection", "cluster": "of-another", "calico": {}, "former": {}}
    (operator.undo / "foreign").mkdir(parents=True)
    (operator.undo / "foreign" / "cluster.json").write_text(json.dumps(kept))
    before = len(user.wrote())
    run = operator.play("rollback", user, "-e", "k8snet_run_id=foreign")
    assert run.code == 2
    uid = cluster.ask("find", SYSTEM)["metadata"]["uid"]
    run.has("another cluster", uid, "of-another", "Nothing was changed", "k8snet_kubeconfig")
    assert len(user.wrote()) == before
    assert cluster.ask("find", LEASE) is None
