# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's operator makes of an Installation what the real one makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.actors import content
from tests.lab.actors import tigera_render as render

Obj = dict[str, Any]


def installation(v4: Obj | None = None, v6: Obj | None = None, **spec: Any) -> Obj:
    obj = content.installation()
    obj["metadata"].update(uid="u", generation=3)
    network = obj["spec"]["calicoNetwork"]
    if v4 is not None:
        network[render.V4] = v4
    if v6 is not None:
        network[render.V6] = v6
    obj["spec"].update(spec)
    return obj


def env(obj: Obj) -> dict[str, str]:
    made = render.daemonset(obj, obj["spec"], "v3.28.2")
    container = made["spec"]["template"]["spec"]["containers"][0]
    return {e["name"]: e["value"] for e in container["env"] if "value" in e}


@pytest.mark.parametrize(
    ("v4", "method"),
    [
        ({"firstFound": True}, "first-found"),
        ({"kubernetes": "NodeInternalIP"}, "kubernetes-internal-ip"),
        ({"interface": "eth.*"}, "interface=eth.*"),
        ({"skipInterface": "^br-.*"}, "skip-interface=^br-.*"),
        ({"canReach": "8.8.8.8"}, "can-reach=8.8.8.8"),
        ({"cidrs": ["10.0.0.0/8", "192.168.0.0/16"]}, "cidr=10.0.0.0/8,192.168.0.0/16"),
        ({"firstFound": False, "canReach": "x"}, "can-reach=x"),
    ],
)
def test_a_method_becomes_two_variables(v4: Obj, method: str) -> None:
    found = env(installation(v4))
    assert found["IP"] == "autodetect"
    assert found["IP_AUTODETECTION_METHOD"] == method
    assert found["IP6"] == "none"
    assert found["FELIX_IPV6SUPPORT"] == "false"


@pytest.mark.parametrize("v4", [{}, {"firstFound": False}])
def test_no_method_is_none(v4: Obj) -> None:
    found = env(installation(v4))
    assert found["IP"] == "none"
    assert "IP_AUTODETECTION_METHOD" not in found


def test_v6_turns_on_ipv6() -> None:
    found = env(installation({"firstFound": True}, {"interface": "eth0"}))
    assert found["IP6"] == "autodetect"
    assert found["IP6_AUTODETECTION_METHOD"] == "interface=eth0"
    assert found["FELIX_IPV6SUPPORT"] == "true"


def test_two_methods_in_a_family_are_refused() -> None:
    both = {"firstFound": True, "kubernetes": "NodeInternalIP"}
    with pytest.raises(render.InvalidConfiguration, match="no more than one"):
        env(installation(both))
    assert env(installation({"firstFound": True}, {"kubernetes": "NodeInternalIP"}))


def test_the_default_is_written_back_only_where_nothing_is() -> None:
    assert render.defaults(installation()["spec"]) == {render.V4: {"firstFound": True}}
    assert render.defaults(installation({})["spec"]) == {}
    assert render.defaults(installation({"firstFound": False})["spec"]) == {}


@pytest.mark.parametrize(
    ("provider", "expected"),
    [("EKS", {"canReach": "8.8.8.8"}), ("DockerEnterprise", {"skipInterface": "^br-.*"})],
)
def test_the_default_depends_on_the_provider(provider: str, expected: Obj) -> None:
    spec = installation(kubernetesProvider=provider)["spec"]
    assert render.defaults(spec) == {render.V4: expected}


def test_v6_is_defaulted_with_a_pool_of_its_own() -> None:
    obj = installation({"firstFound": True})
    obj["spec"]["calicoNetwork"]["ipPools"].append({"cidr": "fd00::/48"})
    assert render.defaults(obj["spec"]) == {render.V6: {"firstFound": True}}


def test_the_overlay_replaces_a_family_as_a_whole() -> None:
    spec = installation({"interface": "eth0"})["spec"]
    overlay = {"calicoNetwork": {render.V4: {"canReach": "1.1.1.1"}}}
    found = render.effective(spec, overlay)["calicoNetwork"]
    assert found[render.V4] == {"canReach": "1.1.1.1"}
    assert found["ipPools"] == spec["calicoNetwork"]["ipPools"]


def test_on_delete_is_refused() -> None:
    with pytest.raises(render.InvalidConfiguration, match="OnDelete"):
        env(installation({"firstFound": True}, nodeUpdateStrategy={"type": "OnDelete"}))


def test_the_hold_reaches_the_daemonset() -> None:
    own = {"spec": {"minReadySeconds": 600}}
    obj = installation({"firstFound": True}, calicoNodeDaemonSet=own)
    assert render.daemonset(obj, obj["spec"], "v")["spec"]["minReadySeconds"] == 600


def test_defaults_of_the_api_are_no_difference_but_an_edited_variable_is() -> None:
    wanted = {"env": [{"name": "IP", "value": "autodetect"}], "image": "x"}
    assert not render.differs(wanted, {**wanted, "imagePullPolicy": "Always"})
    edited = {"env": [{"name": "IP", "value": "none"}], "image": "x"}
    assert render.differs(wanted, edited)
    assert render.differs(wanted, {**wanted, "env": [*wanted["env"], {"name": "A"}]})


def states(conditions: list[Obj]) -> dict[str, str]:
    return {condition["type"]: condition["status"] for condition in conditions}


def test_conditions_follow_the_roll_out() -> None:
    counts = {"desiredNumberScheduled": 2, "numberAvailable": 2, "updatedNumberScheduled": 2}
    done = {"metadata": {"generation": 5}, "status": {"observedGeneration": 5, **counts}}
    good = render.conditions(done, "", 7, [])
    assert states(good) == {"Available": "True", "Progressing": "False", "Degraded": "False"}
    assert {condition["observedGeneration"] for condition in good} == {7}
    stale = {**done, "status": {**done["status"], "observedGeneration": 4}}
    assert states(render.conditions(stale, "", 7, [])) == {
        "Available": "False",
        "Progressing": "True",
        "Degraded": "False",
    }
    bad = render.conditions(done, "two methods", 8, [])
    assert states(bad) == {"Available": "False", "Progressing": "False", "Degraded": "True"}
    assert bad[2]["reason"] == "InvalidConfigurationError"
