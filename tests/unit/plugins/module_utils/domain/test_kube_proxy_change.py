# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is planned for kube-proxy where time and update strategy decide."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy_change import (
    plan_change,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy_draft import Want
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy_view import Have

from tests.unit import kube_proxy_world as world

Obj = dict[str, Any]
WRITTEN = "2026-01-01T10:00:00Z"
STRICT = world.CONF.replace("ipvs:\n", "ipvs:\n  strictARP: true\n")
STAMP = "k8snet.io/kube-proxy-config"


def have(conf: str, pod_of: str, **spec: Any) -> Have:
    """A cluster whose config.conf is of 10:00, with one pod."""
    found = {obj["kind"]: obj for obj in world.objects(conf=conf)[:-1]}
    fields = {"f:data": {"f:config.conf": {}}}
    found["ConfigMap"]["metadata"].update(
        resourceVersion="1", managedFields=[{"time": WRITTEN, "fieldsV1": fields}]
    )
    found["DaemonSet"]["metadata"].update(resourceVersion="2", uid="u")
    found["DaemonSet"]["spec"].update(spec)
    pod = {"name": "p", "node": "n", "ready": True, "uid": "v", "created": pod_of}
    return Have(
        found["DaemonSet"],
        found["ConfigMap"],
        beside=[obj for kind, obj in found.items() if kind != "DaemonSet"],
        pods=[pod],
    )


def targets(cluster: Have) -> list[str]:
    planned = plan_change(cluster, Want(strict_arp=True, override_distribution=True))
    return [step.target.rpartition(": ")[2].rpartition("/")[2] for step in planned.plan.steps]


def test_pods_older_than_their_configuration_are_restarted_once() -> None:
    assert targets(have(world.CONF, "2026-01-01T09:00:00Z")) == ["config.conf", "kube-proxy-config"]
    assert targets(have(STRICT, "2026-01-01T10:00:01Z")) == []
    late = have(STRICT, WRITTEN)
    assert targets(late) == ["kube-proxy-config"], "in the same second it may have read the former"
    planned = plan_change(late, Want(strict_arp=True, override_distribution=True))
    stamp = planned.plan.steps[0].after[STAMP]
    assert late.daemonset is not None
    late.daemonset["spec"]["template"]["metadata"]["annotations"] = {STAMP: stamp}
    assert targets(late) == [], "that was the restart"


def test_pods_restart_also_when_a_former_configuration_comes_again() -> None:
    former = have(STRICT, WRITTEN)
    want = Want(strict_arp=True, override_distribution=True)
    stamp = plan_change(former, want).plan.steps[0].after[STAMP]
    # Somebody set it otherwise since.
    cluster = have(STRICT.replace("true", "false"), "2026-01-01T09:00:00Z")
    assert cluster.daemonset is not None
    cluster.daemonset["spec"]["template"]["metadata"]["annotations"] = {STAMP: stamp}
    assert targets(cluster) == ["config.conf", "kube-proxy-config"]
    again = plan_change(cluster, want).plan.steps[1].after[STAMP]
    assert former.daemonset is not None
    former.daemonset["spec"]["template"]["metadata"]["annotations"] = {STAMP: again}
    assert targets(former) == []


def test_pods_that_nothing_restarts_bar_strict_arp_but_not_the_stop() -> None:
    cluster = have(world.CONF, WRITTEN, updateStrategy={"type": "OnDelete"})
    with pytest.raises(Refused, match="OnDelete"):
        targets(cluster)
    planned = plan_change(cluster, Want("stopped", override_distribution=True))
    assert "restart" not in planned.plan.steps[0].action
