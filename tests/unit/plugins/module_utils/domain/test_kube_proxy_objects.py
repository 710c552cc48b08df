# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The DaemonSet's node affinity, the nodes it serves, its roll-out; objects made again."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_objects as objects,
)
from hypothesis import given
from hypothesis import strategies as st

Obj = dict[str, Any]
LINUX = {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}
CONTROL = {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def daemonset(terms: list[Obj] | None = None, **spec: Any) -> Obj:
    if terms is not None:
        spec["affinity"] = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}
    return {
        "kind": "DaemonSet",
        "metadata": {"name": "kube-proxy", "generation": 2},
        "spec": {"template": {"spec": spec}},
    }


def node(labels: Obj | None = None, taints: list[Obj] | None = None, system: str = "linux") -> Obj:
    labels = {"kubernetes.io/os": system, **(labels or {})}
    return {"name": "n1", "labels": labels, "taints": taints or [], "os": system}


def terms_of(found: Obj) -> list[Obj]:
    terms: list[Obj] = found["spec"]["template"]["spec"]["affinity"]["nodeAffinity"][REQUIRED][
        "nodeSelectorTerms"
    ]
    return terms


REMOVED = {objects.LABEL: objects.REMOVED}


def test_the_expression_goes_into_every_term() -> None:
    made = objects.with_affinity(daemonset([{"matchExpressions": [LINUX]}, {"matchFields": [1]}]))
    assert terms_of(made) == [
        {"matchExpressions": [LINUX, objects.EXPRESSION]},
        {"matchFields": [1], "matchExpressions": [objects.EXPRESSION]},
    ]
    assert objects.has_affinity(made)
    half = daemonset([{"matchExpressions": [objects.EXPRESSION]}, {"matchExpressions": [LINUX]}])
    assert not objects.has_affinity(half), "terms are alternatives: one without it lets pods in"


def test_an_empty_term_selects_nothing_and_stays_so() -> None:
    made = objects.with_affinity(daemonset([{}, {"matchExpressions": [LINUX]}]))
    assert terms_of(made)[0] == {}
    assert objects.has_affinity(made)


TERMS = st.lists(
    st.sampled_from([{}, {"matchExpressions": [LINUX]}, {"matchExpressions": [CONTROL, LINUX]}]),
    min_size=1,
    max_size=3,
)
PREFERRED = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]}


@given(
    st.none() | TERMS,
    st.sampled_from([{}, {"affinity": {"podAffinity": {"x": 1}}}, {"nodeSelector": {"a": "b"}}]),
    st.sampled_from([{}, CONTROL_LABEL := {CONTROL["key"]: ""}, {"a": "b"}]),
)
def test_the_affinity_only_takes_labelled_nodes_away_and_comes_off_whole(
    terms: list[Obj] | None, spec: Obj, labels: Obj
) -> None:
    before = daemonset(copy.deepcopy(terms), **copy.deepcopy(spec))
    if terms is not None and "affinity" in spec:
        before["spec"]["template"]["spec"]["affinity"]["nodeAffinity"].update(PREFERRED)
    made = objects.with_affinity(before)
    assert objects.has_affinity(made)
    assert objects.serves(made, node(labels)) == objects.serves(before, node(labels))
    assert not objects.serves(made, node({**labels, **REMOVED}))
    assert objects.to_be_served(made, node({**labels, **REMOVED})) == objects.serves(
        before, node(labels)
    )
    assert objects.with_affinity(made) == made
    assert objects.without_affinity(made) == before


NO_SCHEDULE = {"key": "dedicated", "value": "x", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("spec", "labels", "taints", "system", "served"),
    [
        ({}, {}, [], "linux", True),
        ({}, {}, [], "windows", False),
        ({"nodeSelector": {"kubernetes.io/os": "linux"}}, {}, [], "linux", True),
        ({"nodeSelector": {"pool": "a"}}, {"pool": "b"}, [], "linux", False),
        ({}, {}, [NO_SCHEDULE], "linux", False),
        ({}, {}, [{**NO_SCHEDULE, "effect": "PreferNoSchedule"}], "linux", True),
        ({"tolerations": [{"operator": "Exists"}]}, {}, [NO_SCHEDULE], "linux", True),
        ({"tolerations": [{"key": "dedicated", "value": "x"}]}, {}, [NO_SCHEDULE], "linux", True),
        ({"tolerations": [{"key": "dedicated", "value": "y"}]}, {}, [NO_SCHEDULE], "linux", False),
        (
            {"tolerations": [{"operator": "Exists", "effect": "NoExecute"}]},
            {},
            [NO_SCHEDULE],
            "linux",
            False,
        ),
        ({}, {}, [{"key": "node.kubernetes.io/unschedulable"}], "linux", True),
        ({}, {}, [{"key": "node.kubernetes.io/network-unavailable"}], "linux", False),
        (
            {"hostNetwork": True},
            {},
            [{"key": "node.kubernetes.io/network-unavailable"}],
            "linux",
            True,
        ),
    ],
)
def test_which_nodes_are_served(
    spec: Obj, labels: Obj, taints: list[Obj], system: str, served: bool
) -> None:
    assert objects.serves(daemonset(**spec), node(labels, taints, system)) is served


@pytest.mark.parametrize(
    ("rule", "selected"),
    [
        ({"key": "k", "operator": "In", "values": ["5"]}, True),
        ({"key": "k", "operator": "NotIn", "values": ["5"]}, False),
        ({"key": "missing", "operator": "NotIn", "values": ["5"]}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "operator": "DoesNotExist"}, False),
        ({"key": "k", "operator": "Gt", "values": ["4"]}, True),
        ({"key": "k", "operator": "Lt", "values": ["4"]}, False),
        ({"key": "missing", "operator": "Gt", "values": ["4"]}, False),
    ],
)
def test_every_operator_of_a_node_selector(rule: Obj, selected: bool) -> None:
    found = daemonset([{"matchExpressions": [rule]}])
    assert objects.serves(found, node({"k": "5"})) is selected


def test_a_node_is_selected_by_its_name() -> None:
    rule = {"key": "metadata.name", "operator": "In", "values": ["n1"]}
    assert objects.serves(daemonset([{"matchFields": [rule]}]), node())
    other = daemonset([{"matchFields": [{**rule, "values": ["n2"]}]}])
    assert not objects.serves(other, node())


@pytest.mark.parametrize(
    ("status", "strategy", "missing"),
    [
        ({}, None, "not observed"),
        ({"observedGeneration": 1}, None, "not observed"),
        ({"observedGeneration": 2, "desiredNumberScheduled": 3}, None, "0 of 3"),
        ({"observedGeneration": 2, "desiredNumberScheduled": 3}, "OnDelete", None),
        (
            {"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3},
            "RollingUpdate",
            None,
        ),
        ({"observedGeneration": 2}, None, None),
    ],
)
def test_what_is_missing_of_a_roll_out(
    status: Obj, strategy: str | None, missing: str | None
) -> None:
    found = {**daemonset(), "status": status}
    found["spec"]["updateStrategy"] = {"type": strategy} if strategy else {}
    said = objects.behind(found)
    assert said is None if missing is None else said is not None and missing in said


def test_an_object_is_made_again_without_what_the_server_writes() -> None:
    meta = {
        "name": "a",
        "namespace": "b",
        "uid": "1",
        "resourceVersion": "2",
        "generation": 3,
        "creationTimestamp": "x",
        "managedFields": [],
        "labels": {"k": "v"},
        "annotations": {"deprecated.daemonset.template.generation": "3"},
    }
    obj = {"kind": "DaemonSet", "metadata": meta, "spec": {"x": 1}, "status": {"y": 2}}
    whole = copy.deepcopy(obj)
    assert objects.anew(obj) == {
        "kind": "DaemonSet",
        "metadata": {"name": "a", "namespace": "b", "labels": {"k": "v"}},
        "spec": {"x": 1},
    }
    assert obj == whole, "the original is left alone"
    account = {"kind": "ServiceAccount", "metadata": {"name": "a"}, "secrets": [{"name": "old"}]}
    assert objects.anew(account) == {"kind": "ServiceAccount", "metadata": {"name": "a"}}


def test_windows_has_a_kube_proxy_of_its_own() -> None:
    pod = {"containers": [{"name": "kube-proxy"}]}
    made = {"spec": {"template": {"spec": pod}}}
    assert objects.is_kube_proxy({"metadata": {"name": "kube-proxy"}})
    assert objects.is_kube_proxy({"metadata": {"name": "proxy"}, **made})
    assert not objects.is_kube_proxy({"metadata": {"name": "kube-proxy-windows"}, **made})
