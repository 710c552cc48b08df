# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What antrea_ip_pool and antrea_egress return and take is what they document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from ansible.module_utils import basic
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._antrea_pools import (
    NotAssigned,
    change_egress,
    change_pool,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._apply import Patience
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api
from ansible_collections.k8snet.cni.plugins.modules import antrea_egress, antrea_ip_pool

from tests.lab.actors.cluster import Seed, seed_cluster
from tests.lab.api.client import Client
from tests.lab.api.providers import Double, Listen
from tests.unit import calico_world
from tests.unit.plugins.modules.test_antrea_documentation import problems

SPAN = {"cidr": None, "start": "172.18.181.10", "end": "172.18.181.20"}
POOL = {
    "name": "vlan181",
    "state": "present",
    "ip_ranges": [SPAN],
    "node_selector": {},
    "subnet": {"gateway": "172.18.181.1", "prefix_length": 24, "vlan": 181},
    "taken": {},
    "override_owner": False,
    "egresses_gone": [],
}
EGRESS = {
    "name": "shop",
    "state": "present",
    "applied_to": {"pod_selector": {}, "namespace_selector": None},
    "pool": "vlan181",
    "egress_ip": "",
    "bandwidth": None,
    "override_owner": False,
    "planned_pool": None,
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    double = Double(tmp_path_factory.mktemp("api"), Listen())
    double.start()
    seed_cluster(Client(double.kubeconfig), Seed(nodes=1, cni="antrea"))
    yield calico_world.connect(double.kubeconfig)
    double.stop()


def test_the_results(api: Api) -> None:
    pool = antrea_ip_pool.want_of(POOL, False)
    egress = antrea_egress.want_of(EGRESS, False)
    for check_mode in (True, False, False):
        result = change_pool(api, pool, check_mode, Patience(20))
        assert problems(antrea_ip_pool, result) == []
    for check_mode in (True, False, False):
        result = change_egress(api, egress, check_mode, Patience(20), None)
        assert problems(antrea_egress, result) == []
    with pytest.raises(NotAssigned) as error:
        change_egress(api, egress, False, Patience(0))
    assert problems(antrea_egress, error.value.result) == []


@pytest.mark.parametrize("module", [antrea_ip_pool, antrea_egress])
def test_the_examples_are_taken(module: Any) -> None:
    name = f"k8snet.cni.{module.__name__.rpartition('.')[2]}"
    given = [task[name] for task in yaml.safe_load(module.EXAMPLES) if name in task]
    assert given
    assert [refused(module, options) for options in given] == [None for options in given]


@pytest.mark.parametrize(
    ("module", "given", "words"),
    [
        (antrea_ip_pool, {"name": "a", "node_selector": {}}, "missing: ip_ranges"),
        (antrea_ip_pool, {"name": "a", "ip_ranges": []}, "missing: node_selector"),
        (antrea_egress, {"name": "a", "pool": "b"}, "missing: applied_to"),
        (antrea_egress, {"name": "a", "applied_to": {}}, "any of the following are missing: pool"),
    ],
)
def test_what_is_needed_is_asked_for(module: Any, given: dict[str, Any], words: str) -> None:
    assert words in str(refused(module, given))


def test_only_check_mode_looks_ahead() -> None:
    ahead = {**POOL, "egresses_gone": ["shop"]}
    assert antrea_ip_pool.want_of(ahead, True).egresses_gone == ["shop"]
    assert antrea_ip_pool.want_of(ahead, False).egresses_gone == ()
    planned = {**EGRESS, "planned_pool": {"metadata": {"name": "vlan181"}}}
    assert antrea_egress.want_of(planned, True).planned_pool == planned["planned_pool"]
    assert antrea_egress.want_of(planned, False).planned_pool is None


class ReachedError(Exception):
    """The options were taken."""


def refused(module: Any, given: dict[str, Any]) -> str | None:
    """Return why a module does not take options, None if it does."""
    said: list[str] = []

    def fail(_self: Any, msg: str, **_more: Any) -> None:
        said.append(msg)
        raise SystemExit(1)

    def reached(_params: Any) -> None:
        raise ReachedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(basic, "_load_params", lambda: dict(given))
        patch.setattr(basic.AnsibleModule, "fail_json", fail)
        patch.setattr(module._client, "reachable", reached)
        with pytest.raises((SystemExit, ReachedError)):
            module.main()
    return said[0] if said else None
