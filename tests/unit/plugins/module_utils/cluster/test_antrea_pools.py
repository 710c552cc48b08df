# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""antrea_ip_pool and antrea_egress against an API, with what else writes and breaks there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _antrea_pools
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._antrea_pools import (
    NotAssigned,
    change_egress,
    change_pool,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._apply import (
    NotEffective,
    Patience,
)
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _egress, _ip_pool
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused

from tests.lab import crds
from tests.lab.api.client import ApiStatus, Client
from tests.lab.api.providers import Double
from tests.unit import antrea_world
from tests.unit.antrea_world import real_data
from tests.unit.calico_world import faults

Obj = dict[str, Any]

POOLS = "/apis/crd.antrea.io/v1beta1/externalippools"
EGRESSES = "/apis/crd.antrea.io/v1beta1/egresses"
SPAN = {"start": "172.18.181.10", "end": "172.18.181.20"}
MORE = {"cidr": "172.18.181.32/28"}
SUBNET = {"gateway": "172.18.181.1", "prefix_length": 24, "vlan": 181}
APP = {"matchLabels": {"app": "shop"}}


@pytest.fixture
def antrea(client: Client) -> Iterator[Client]:
    antrea_world.seed(client)
    node = {"metadata": {"name": "node1", "labels": {"zone": "a"}}}
    made = {**node, "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24"]}}
    client.ensure("/api/v1/nodes", made)
    address = {"type": "InternalIP", "address": "10.160.1.21"}
    ready = {"type": "Ready", "status": "True"}
    status = {"status": {"addresses": [address], "conditions": [ready]}}
    client.patch("/api/v1/nodes/node1/status", status)
    yield client
    client.delete("/api/v1/nodes/node1")
    antrea_world.clear(client)


def pool(*ranges: Obj, **options: Any) -> _ip_pool.Want:
    given = {"name": "vlan181", "subnet": SUBNET, "ip_ranges": list(ranges or (SPAN,)), **options}
    return _ip_pool.Want(**given)


def egress(**options: Any) -> _egress.Want:
    return _egress.Want(**{"name": "shop", "pod_selector": APP, "pool": "vlan181", **options})


def set_pool(api: Api, want: _ip_pool.Want, check_mode: bool = False, wait: float = 20) -> Obj:
    return change_pool(api, want, check_mode, Patience(wait))


def set_egress(
    api: Api,
    want: _egress.Want,
    check_mode: bool = False,
    wait: float = 20,
    poll: float | None = None,
) -> Obj:
    return change_egress(api, want, check_mode, Patience(wait), poll)


def both(change: Any, api: Api, want: Any) -> Obj:
    """Check, apply, apply again: check tells what apply does, and that is all."""
    planned = change(api, want, True)
    result: Obj = change(api, want)
    again = change(api, want)
    for key in ("changed", "diff", "plan", "version", "advice"):
        assert planned[key] == result[key], key
    assert (planned["object"] or {}).get("spec") == (result["object"] or {}).get("spec")
    assert planned["undo"] == result["undo"]
    assert result["changed"]
    assert not again["changed"]
    assert again["diff"] == again["plan"] == []
    return result


def assign(client: Client, name: str, address: str, node: str, **conditions: str) -> None:
    """Do what antrea-controller and an agent do."""
    client.patch(f"{EGRESSES}/{name}", {"spec": {"egressIP": address}})
    found = [
        {"type": kind, "status": status, "reason": "R", "message": f"{kind}: told"}
        for kind, status in conditions.items()
    ]
    status = {"egressIP": address, "egressNode": node, "conditions": found}
    client.patch(f"{EGRESSES}/{name}/status", {"status": status})


# -- pools ----------------------------------------------------------------------


def test_a_pool_comes_grows_and_goes(antrea: Client, api: Api) -> None:
    made = both(set_pool, api, pool())
    assert made["undo"] is None
    assert made["pool"]["total"] == 11
    assert made["version"] == "v2.7.0"
    grown = both(set_pool, api, pool(SPAN, MORE, node_selector={"matchLabels": {"zone": "a"}}))
    assert grown["undo"]["spec"]["ipRanges"] == [SPAN]
    assert antrea.get(f"{POOLS}/vlan181")["spec"]["ipRanges"] == [SPAN, MORE]
    antrea.patch(f"{POOLS}/vlan181/status", {"status": {"usage": {"total": 25, "used": 2}}})
    assert set_pool(api, pool(SPAN, MORE, node_selector={}), True)["pool"]["used"] == 2
    gone = both(set_pool, api, pool(state="absent"))
    assert (gone["object"], gone["pool"]) == (None, None)
    assert gone["undo"]["spec"]["ipRanges"] == [SPAN, MORE]
    assert antrea.find(f"{POOLS}/vlan181") is None


def test_what_the_cluster_has_is_not_given_out(antrea: Client, api: Api) -> None:
    service = {
        "metadata": {"name": "front"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "externalIPs": ["192.0.2.9"]},
    }
    antrea.ensure("/api/v1/namespaces/kube-system/services", service)
    for span, who in (
        ({"cidr": "10.160.1.16/28"}, "node node1"),
        ({"cidr": "10.244.1.0/28"}, "the pods' network of node node1"),
        ({"cidr": "192.0.2.0/28"}, "the Service kube-system/front"),
    ):
        with pytest.raises(Refused, match=who):
            set_pool(api, pool(span, subnet=None))
    antrea.delete("/api/v1/namespaces/kube-system/services/front")
    assert antrea.items(POOLS) == []


def test_networks_of_services_are_of_the_objects_or_of_kubeadm(antrea: Client, api: Api) -> None:
    text = "apiVersion: kubeadm.k8s.io/v1beta4\nnetworking: {serviceSubnet: 10.96.0.0/16}\n"
    kubeadm = {"metadata": {"name": "kubeadm-config"}, "data": {"ClusterConfiguration": text}}
    antrea.ensure(antrea_world.MAPS, kubeadm)
    with pytest.raises(Refused, match=r"10.96.0.0/16, the network of Services"):
        set_pool(api, pool({"cidr": "10.96.7.0/28"}, subnet=None))
    antrea.delete(f"{antrea_world.MAPS}/kubeadm-config")


def test_a_pool_in_use_stays(antrea: Client, api: Api) -> None:
    set_pool(api, pool())
    set_egress(api, egress())
    result = set_pool(api, pool())
    assert (result["used_by"], result["services"]) == (["shop"], [])
    with pytest.raises(Refused, match="Egress shop"):
        set_pool(api, pool(state="absent"))
    with pytest.raises(Refused, match="its ranges are fixed"):
        set_pool(api, pool(MORE))
    set_egress(api, egress(state="absent"))
    set_pool(api, pool(state="absent"))


@real_data
@pytest.mark.parametrize("release", ["v1.15.1", "v2.0.1", "v2.3.0", "v2.7.0"])
def test_a_pool_and_an_egress_fit_the_crds_of_a_release(
    client: Client, api: Api, release: str
) -> None:
    antrea_world.load(client, release)
    subnet = SUBNET if release in ("v2.3.0", "v2.7.0") else None
    if subnet is None and release == "v1.15.1":
        with pytest.raises(Refused, match="EgressSeparateSubnet is off"):
            set_pool(api, pool())
    both(set_pool, api, pool(SPAN, MORE, subnet=subnet))
    both(set_egress, api, egress(namespace_selector={}))
    both(set_egress, api, egress(egress_ip="172.18.181.12"))
    both(set_egress, api, egress(state="absent"))
    both(set_pool, api, pool(state="absent"))


@real_data
def test_a_release_before_v1_13_has_no_such_kinds(client: Client, api: Api) -> None:
    antrea_world.load(client, "v1.6.0")
    crds.remove(
        client, [c for c in client.items(crds.CRDS) if "externalippools" in c["metadata"]["name"]]
    )
    with pytest.raises(Refused, match=r"v1.6.0 runs; it is served since v1.13"):
        set_pool(api, pool(subnet=None))


# -- others that write ----------------------------------------------------------------------


class Meddler:
    """Somebody who writes right before the write of a module, so often."""

    def __init__(self, api: Api, monkeypatch: pytest.MonkeyPatch, act: Any, times: int) -> None:
        self.left = times
        send = api.request

        def request(method: str, path: str, *args: Any, **kwargs: Any) -> Any:
            if method in ("PATCH", "POST", "DELETE") and self.left:
                self.left -= 1
                act()
            return send(method, path, *args, **kwargs)

        monkeypatch.setattr(api, "request", request)


def test_a_change_in_between_is_planned_anew(
    antrea: Client, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_pool(api, pool())
    ranges = [SPAN, {"cidr": "172.18.181.64/28"}]

    def add() -> None:
        antrea.patch(f"{POOLS}/vlan181", {"spec": {"ipRanges": ranges}})

    Meddler(api, monkeypatch, add, 1)
    with pytest.raises(Refused, match=r"ip_ranges lacks 172.18.181.64/28"):
        set_pool(api, pool(SPAN, MORE))
    assert antrea.get(f"{POOLS}/vlan181")["spec"]["ipRanges"] == ranges
    status = {"status": {"usage": {"total": 11, "used": 1}}}
    Meddler(api, monkeypatch, lambda: antrea.patch(f"{POOLS}/vlan181/status", status), 1)
    result = set_pool(api, pool(*ranges, MORE))
    assert (result["changed"], result["retries"]) == (True, 1)


def test_an_egress_that_comes_in_between_keeps_its_pool(
    antrea: Client, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_pool(api, pool())
    spec = {"appliedTo": {"podSelector": {}}, "externalIPPool": "vlan181"}

    def use() -> None:
        antrea.create(EGRESSES, {**_head("Egress", "late"), "spec": spec})
        antrea.patch(f"{POOLS}/vlan181/status", {"status": {"usage": {"total": 11, "used": 1}}})

    Meddler(api, monkeypatch, use, 1)
    with pytest.raises(Refused, match="Egress late"):
        set_pool(api, pool(state="absent"))
    assert antrea.find(f"{POOLS}/vlan181")
    antrea.delete(f"{EGRESSES}/late")


def test_somebody_makes_the_pool_first(
    antrea: Client, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = {"ipRanges": [SPAN], "nodeSelector": {}}

    def make() -> None:
        antrea.create(POOLS, {**_head("ExternalIPPool", "vlan181"), "spec": spec})

    Meddler(api, monkeypatch, make, 1)
    result = set_pool(api, pool())
    assert result["changed"]
    assert [p["action"] for p in result["plan"]] == [
        "Set the pool's subnet on VLAN 181 by gateway 172.18.181.1/24"
    ]
    assert antrea.get(f"{POOLS}/vlan181")["spec"]["subnetInfo"]["vlan"] == 181


def test_a_value_that_is_put_back_is_told(
    antrea: Client, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_pool(api, pool())
    read = _antrea_pools.read

    def reverted(*args: Any) -> Any:
        antrea.patch(f"{POOLS}/vlan181", {"spec": {"subnetInfo": None}})
        return read(*args)

    monkeypatch.setattr(_antrea_pools, "read", reverted)
    with pytest.raises(NotEffective, match="Set the pool's subnet"):
        set_pool(api, pool())


def _head(kind: str, name: str) -> Obj:
    meta = {"name": name}
    return {"apiVersion": "crd.antrea.io/v1beta1", "kind": kind, "metadata": meta}


# -- an API that stumbles ----------------------------------------------------------------------


def test_a_write_whose_answer_was_lost_is_not_made_twice(
    antrea: Client, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[str] = []
    send = api.request

    def request(method: str, path: str, *args: Any, **kwargs: Any) -> Any:
        answer = send(method, path, *args, **kwargs)
        if method in ("POST", "DELETE") and len(lost) < 2:
            lost.append(method)
            raise ClusterError("unreachable", "the answer was lost")
        return answer

    monkeypatch.setattr(api, "request", request)
    made = set_pool(api, pool())
    assert (made["changed"], made["retries"], lost) == (True, 1, ["POST"])
    gone = set_pool(api, pool(state="absent"))
    assert (gone["changed"], lost) == (True, ["POST", "DELETE"])
    assert antrea.find(f"{POOLS}/vlan181") is None


def test_what_somebody_else_removed_in_between_is_no_change(
    antrea: Client, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_pool(api, pool())
    Meddler(api, monkeypatch, lambda: antrea.delete(f"{POOLS}/vlan181"), 1)
    gone = set_pool(api, pool(state="absent"))
    assert (gone["changed"], gone["plan"], gone["object"]) == (False, [], None)
    set_pool(api, pool())
    Meddler(api, monkeypatch, lambda: antrea.delete(f"{POOLS}/vlan181"), 1)
    made = set_pool(api, pool(SPAN, MORE))
    assert (made["changed"], made["undo"], made["retries"]) == (True, None, 1)
    assert antrea.get(f"{POOLS}/vlan181")["spec"]["ipRanges"] == [SPAN, MORE]


def test_a_removal_that_met_a_newer_version_is_made_again(
    antrea: Client, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_pool(api, pool())
    status = {"status": {"usage": {"total": 11, "used": 0}}}
    Meddler(api, monkeypatch, lambda: antrea.patch(f"{POOLS}/vlan181/status", status), 1)
    gone = set_pool(api, pool(state="absent"))
    assert (gone["changed"], gone["retries"]) == (True, 1)


def test_somebody_who_writes_all_the_time_is_told_of(
    antrea: Client, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_pool(api, pool())
    used = iter(range(1, 100))

    def count() -> None:
        status = {"status": {"usage": {"total": 11, "used": next(used)}}}
        antrea.patch(f"{POOLS}/vlan181/status", status)

    Meddler(api, monkeypatch, count, 50)
    with pytest.raises(ClusterError, match="Somebody else keeps writing this object"):
        set_pool(api, pool(SPAN, MORE))


def test_what_the_webhook_says_is_told(antrea: Client, api: Api, double: Double) -> None:
    said = 'admission webhook "externalippoolvalidator.antrea.io" denied the request: no'
    rule = {"verb": "create", "path": POOLS, "status": 400, "message": said}
    with faults(double, rule), pytest.raises(ClusterError) as refused:
        set_pool(api, pool())
    assert refused.value.status == 400


# -- Egresses ----------------------------------------------------------------------


def test_an_egress_comes_changes_and_goes(antrea: Client, api: Api) -> None:
    set_pool(api, pool())
    made = both(set_egress, api, egress())
    assert made["undo"] is None
    assert made["egress"]["ip"] is None
    changed = both(set_egress, api, egress(egress_ip="172.18.181.10", pod_selector={}))
    assert changed["undo"]["spec"] == made["object"]["spec"]
    gone = both(set_egress, api, egress(state="absent"))
    assert (gone["object"], gone["egress"]) == (None, None)
    assert antrea.find(f"{EGRESSES}/shop") is None


def test_pods_of_an_egress_are_named(antrea: Client, api: Api) -> None:
    set_pool(api, pool())
    pods = "/api/v1/namespaces/kube-system/pods"
    container = [{"name": "c", "image": "i"}]
    for name, spec in (
        ("shop-1", {"nodeName": "node1"}),
        ("shop-2", {"nodeName": "node1", "hostNetwork": True}),
        ("shop-3", {}),
    ):
        meta = {"name": name, "labels": {"app": "shop"}}
        antrea.create(pods, {"metadata": meta, "spec": {**spec, "containers": container}})
    place = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    assert set_egress(api, egress(namespace_selector=place))["pods"] == ["kube-system/shop-1"]
    other = {"matchLabels": {"kubernetes.io/metadata.name": "default"}}
    assert set_egress(api, egress(namespace_selector=other), True)["pods"] == []
    gone = set_egress(api, egress(state="absent"))
    assert gone["pods"] == ["kube-system/shop-1"]
    assert "kube-system/shop-1 loses the address" in gone["plan"][0]["action"]


WELL = {"IPAllocated": "True", "IPAssigned": "True"}


def test_the_wait_ends_when_a_node_has_the_address(antrea: Client, api: Api) -> None:
    set_pool(api, pool())

    def controller() -> None:
        while True:
            try:
                return assign(antrea, "shop", "172.18.181.10", "node1", **WELL)
            except ApiStatus as error:
                if error.code != 404:
                    raise

    thread = threading.Thread(target=controller)
    thread.start()
    result = set_egress(api, egress(), poll=0.05)
    thread.join()
    assert result["changed"]
    told = {key: result["egress"][key] for key in ("ip", "node", "allocated", "assigned")}
    assert told == {"ip": "172.18.181.10", "node": "node1", "allocated": True, "assigned": True}
    assert result["object"]["status"]["egressNode"] == "node1"
    again = set_egress(api, egress(), poll=0.05)
    assert (again["changed"], again["egress"]["node"]) == (False, "node1")


def test_the_wait_goes_on_while_a_condition_of_former_times_holds(antrea: Client, api: Api) -> None:
    set_pool(api, pool())
    set_egress(api, egress())
    assign(antrea, "shop", "172.18.181.10", "node1", **WELL)
    with pytest.raises(NotAssigned, match=r"node1 still has 172.18.181.10") as error:
        set_egress(api, egress(egress_ip="172.18.181.11"), wait=0.3, poll=0.05)
    assert error.value.result["changed"]
    assert error.value.result["egress"]["ip"] == "172.18.181.11"


def test_the_time_is_over(antrea: Client, api: Api) -> None:
    set_pool(api, pool(node_selector={"matchLabels": {"zone": "b"}}))
    set_egress(api, egress())
    assign(antrea, "shop", "172.18.181.10", "", IPAllocated="True", IPAssigned="False")
    with pytest.raises(NotAssigned) as error:
        set_egress(api, egress(), wait=0.3, poll=0.05)
    said = str(error.value)
    assert "not in effect after 0.3 s ('wait_timeout'): IPAssigned is False: IP" in said
    assert "for nodes with zone=b, of which are ready: none" in said
    assert not error.value.result["changed"]
    assert error.value.result["egress"]["message"] == "IPAssigned: told"


@pytest.mark.parametrize(("kind", "status"), [("unreachable", None), ("forbidden", 403)])
def test_the_wait_outlives_a_stumble_and_no_refusal(
    antrea: Client, api: Api, monkeypatch: pytest.MonkeyPatch, kind: str, status: int | None
) -> None:
    set_pool(api, pool())
    set_egress(api, egress())
    assign(antrea, "shop", "172.18.181.10", "node1", **WELL)
    send, failed = api.get, []

    def get(path: str, query: Obj | None = None) -> Obj:
        if path == f"{EGRESSES}/shop" and not failed:
            failed.append(path)
            raise ClusterError(kind, "a stumble", status)
        return send(path, query)

    monkeypatch.setattr(api, "get", get)
    if status is None:
        assert set_egress(api, egress(), poll=0.05)["egress"]["assigned"]
        assert failed
        return
    with pytest.raises(ClusterError, match="a stumble"):
        set_egress(api, egress(), poll=0.05)


def test_a_removal_and_check_mode_wait_for_nothing(antrea: Client, api: Api) -> None:
    set_pool(api, pool())
    assert set_egress(api, egress(), True, poll=0.05)["changed"]
    set_egress(api, egress())
    assert set_egress(api, egress(state="absent"), poll=0.05)["changed"]


def test_before_v1_14_a_node_with_the_address_is_enough(client: Client, api: Api) -> None:
    antrea_world.seed(client, "v1.13.4")
    set_pool(api, pool(subnet=None))
    set_egress(api, egress())
    assign(client, "shop", "172.18.181.10", "node1")
    assert set_egress(api, egress(), poll=0.05)["egress"]["allocated"] is None
    antrea_world.clear(client)
