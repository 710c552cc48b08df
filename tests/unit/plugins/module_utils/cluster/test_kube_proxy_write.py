# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What kube_proxy writes and awaits, and what it refuses, against an API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import yaml
from ansible_collections.k8snet.cni.plugins.module_utils.cluster import _kube_proxy_read
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._apply import Patience
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._client import Api, ClusterError
from ansible_collections.k8snet.cni.plugins.module_utils.cluster._kube_proxy_write import (
    NotDone,
    change,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy_draft import Want

from tests.lab.actors.__main__ import make, start
from tests.lab.actors.cluster import seed_nodes
from tests.lab.api.client import STRATEGIC, ApiStatus, Client
from tests.lab.api.providers import Double
from tests.unit import calico_world
from tests.unit import kube_proxy_world as world
from tests.unit.antrea_world import new_second
from tests.unit.kube_proxy_world import CONFIG_MAP, DAEMONSET, KUBEADM

Obj = dict[str, Any]
STOPPED = Want("stopped", ("node1", "node2"))


@pytest.fixture
def proxy(client: Client) -> Iterator[Client]:
    """kube-proxy's objects on two nodes; nobody acts on them."""
    world.seed(client)
    yield client
    world.clear(client)


@contextmanager
def controller(double: Double) -> Iterator[None]:
    """Let a DaemonSet controller and kubelets be at work."""
    actors = make(["daemonset"], double.kubeconfig, (), "")
    threads = start(actors)
    try:
        yield
    finally:
        for actor in actors:
            actor.stop()
        for thread in threads:
            thread.join(5)


@pytest.fixture
def running(proxy: Client, double: Double) -> Iterator[Client]:
    """The same with a DaemonSet controller and kubelets at work."""
    with controller(double):
        change_now(world_api(double), Want("present"))
        yield proxy


def world_api(double: Double) -> Api:
    return calico_world.connect(double.kubeconfig)


def change_now(api: Api, want: Want, seconds: float = 20) -> Obj:
    return change(api, want, False, Patience(seconds), 0.1)


def pods(client: Client) -> list[str]:
    return sorted(p["spec"]["nodeName"] for p in client.items(f"{world.SYSTEM}/pods"))


def bare(obj: Obj) -> Obj:
    """An object without what the API server writes itself."""
    meta = {k: v for k, v in obj["metadata"].items() if k in ("name", "namespace", "labels")}
    return {**{k: v for k, v in obj.items() if k not in ("metadata", "status")}, "metadata": meta}


def test_kube_proxy_is_stopped_removed_and_brought_back_whole(running: Client, api: Api) -> None:
    before = {p: running.get(p) for p in (DAEMONSET, CONFIG_MAP, KUBEADM)}
    assert pods(running) == ["node1", "node2"]
    first = world.both(api, Want("stopped", ("node2",)))
    assert pods(running) == ["node1"]
    assert [p["node"] for p in first["pods_gone"]] == ["node2"]
    assert "restart once" in first["plan"][0]["action"]
    world.both(api, Want("stopped", ("node1",)))
    assert pods(running) == []
    removed = world.both(api, Want("absent"))
    assert removed["advice"] == []
    text = running.get(KUBEADM)["data"]["ClusterConfiguration"]
    assert text == world.CLUSTER.replace("proxy: {}", "proxy: {disabled: true}")
    for obj in world.objects(cluster=None):
        assert running.find(f"{world.COLLECTIONS[obj['kind']]}/{obj['metadata']['name']}") is None
    back = world.both(api, Want("present", undo=first["undo"]))
    assert back["changed"]
    assert pods(running) == ["node1", "node2"]
    for path, obj in before.items():
        assert bare(running.get(path)) == bare(obj), path
    labels = [n["metadata"]["labels"] for n in running.items("/api/v1/nodes")]
    assert not any(world.LABEL in found for found in labels)


def test_check_mode_foretells_the_deletion_of_what_is_still_to_be_stopped(
    running: Client, api: Api
) -> None:
    nodes = ("node1", "node2")
    told = change(api, Want("absent", nodes), True)
    change_now(api, STOPPED)
    removed = change_now(api, Want("absent"))
    assert told["diff"] == removed["diff"]
    assert told["plan"] == removed["plan"]
    assert told["advice"] == removed["advice"]
    assert len(told["plan"]) == 7


def test_nodes_are_taken_for_stopped_in_check_mode_only(proxy: Client, api: Api) -> None:
    with pytest.raises(Refused, match="in check mode only"):
        change_now(api, Want("absent", ("node1", "node2")))
    assert proxy.find(DAEMONSET)
    with pytest.raises(Refused, match="removed: node2"):
        change(api, Want("absent", ("node1",)), True)


def test_the_way_back_of_one_node_leaves_the_others_stopped(running: Client, api: Api) -> None:
    change_now(api, STOPPED)
    assert pods(running) == []
    world.both(api, Want("present", ("node1",)))
    assert pods(running) == ["node1"]
    assert _kube_proxy_read.read(api)["labelled"] == ["node2"]
    world.both(api, Want("present"))
    assert pods(running) == ["node1", "node2"]
    assert "affinity" not in running.get(DAEMONSET)["spec"]["template"]["spec"]


def test_a_setting_of_kubeadm_that_is_not_ours_stays(running: Client, api: Api) -> None:
    off = world.CLUSTER.replace("proxy: {}", "proxy: {disabled: true}")
    running.patch(KUBEADM, {"data": {"ClusterConfiguration": off}})
    assert not change_now(api, Want("present"))["changed"]
    change_now(api, Want("stopped"))
    world.both(api, Want("present"))
    assert "disabled" not in running.get(KUBEADM)["data"]["ClusterConfiguration"]


def test_what_is_gone_for_good_is_gone_also_where_nothing_else_tells_the_distribution(
    proxy: Client, api: Api
) -> None:
    proxy.delete(KUBEADM)
    world.label(proxy, "node1", "node2")
    world.both(api, Want("absent"))
    assert _kube_proxy_read.read(api)["distribution"] == "unknown"
    for obj in world.objects(cluster=None):
        proxy.ensure(world.COLLECTIONS[obj["kind"]], obj)
    proxy.delete(f"{world.COLLECTIONS['ClusterRoleBinding']}/kubeadm:node-proxier")
    with pytest.raises(Refused, match="nothing tells who installed"):
        change(api, Want("absent"), True)


def test_objects_come_back_for_one_node_first(running: Client, api: Api) -> None:
    undo = change_now(api, STOPPED)["undo"]
    change_now(api, Want("absent"))
    world.both(api, Want("present", ("node2",), undo=undo))
    assert pods(running) == ["node2"]
    world.both(api, Want("present", undo=undo))
    assert pods(running) == ["node1", "node2"]


def test_strict_arp_is_set_where_the_key_is_missing_and_the_pods_start_anew(
    running: Client, api: Api
) -> None:
    old = {p["metadata"]["uid"] for p in running.items(f"{world.SYSTEM}/pods")}
    world.both(api, Want("present", strict_arp=True))
    text = running.get(CONFIG_MAP)["data"]["config.conf"]
    assert yaml.safe_load(text)["ipvs"]["strictARP"] is True
    assert [line for line in world.CONF.split("\n") if line not in text.split("\n")] == []
    new = {p["metadata"]["uid"] for p in running.items(f"{world.SYSTEM}/pods")}
    assert len(new) == 2
    assert not old & new


def test_a_restart_that_was_not_reached_is_made_up_for(running: Client, api: Api) -> None:
    class Dying(Api):
        """Dies between ConfigMap and DaemonSet."""

        def request(self, method: str, path: str, *args: Any, **more: Any) -> Obj:
            if method == "PATCH" and path == DAEMONSET:
                raise KeyboardInterrupt
            return super().request(method, path, *args, **more)

    new_second()
    dying = Dying(api._configuration, api.source, api.context, 5)
    with pytest.raises(KeyboardInterrupt):
        change_now(dying, Want("present", strict_arp=True))
    result = change_now(api, Want("present", strict_arp=True))
    assert [step["target"] for step in result["plan"]] == [
        "DaemonSet kube-system/kube-proxy: spec.template.metadata.annotations.k8snet.io/"
        "kube-proxy-config"
    ]
    assert not change_now(api, Want("present", strict_arp=True))["changed"]


def test_removal_is_refused_while_a_node_is_served_or_a_pod_runs(proxy: Client, api: Api) -> None:
    world.label(proxy, "node1")
    world.pod(proxy, "node1")
    for check_mode in (True, False):
        with pytest.raises(Refused) as caught:
            change(api, Want("absent"), check_mode)
        assert "not labelled k8snet.io/kube-proxy=removed: node2" in str(caught.value)
        assert "still there: kube-proxy-node1 on node1" in str(caught.value)
    assert proxy.find(DAEMONSET)
    world.label(proxy, "node2")
    with pytest.raises(Refused, match="still there: kube-proxy-node1 on node1"):
        change(api, Want("absent"), False)
    proxy.delete(f"{world.SYSTEM}/pods/kube-proxy-node1", gracePeriodSeconds=0)
    world.label(proxy, "node1", value=None)
    with pytest.raises(Refused, match="removed: node1"):
        change(api, Want("absent"), False)
    assert proxy.find(DAEMONSET)


class Meanwhile(Api):
    """Somebody else acts once, just before a certain request."""

    before: tuple[str, str]
    acts: Callable[[], object]
    done = False

    def request(self, method: str, path: str, *args: Any, **more: Any) -> Obj:
        if (method, path) == self.before and not self.done:
            self.done = True
            self.acts()
        return super().request(method, path, *args, **more)


def meanwhile(api: Api, method: str, path: str, acts: Callable[[], object]) -> Meanwhile:
    made = Meanwhile(api._configuration, api.source, api.context, 5)
    made.before, made.acts = (method, path), acts
    return made


def test_a_node_that_is_another_by_now_is_looked_at_anew(proxy: Client, api: Api) -> None:
    path = "/api/v1/nodes/node2"

    def replace() -> None:
        proxy.delete(path)
        seed_nodes(proxy, 2)

    other = meanwhile(api, "PATCH", path, replace)
    proxy.delete(DAEMONSET)
    result = change_now(other, Want("stopped", ("node2",)))
    assert result["retries"] == 1
    assert proxy.get(path)["metadata"]["labels"][world.LABEL] == "removed"


def test_a_daemonset_that_was_changed_in_between_is_looked_at_before_it_goes(
    proxy: Client, api: Api
) -> None:
    world.label(proxy, "node1", "node2")
    mark = {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "net:x"}}}
    other = meanwhile(api, "DELETE", DAEMONSET, lambda: proxy.patch(DAEMONSET, mark))
    with pytest.raises(Refused, match="belongs to Argo CD"):
        change_now(other, Want("absent"))
    assert proxy.find(DAEMONSET)


def test_what_somebody_else_deleted_meanwhile_is_gone_all_the_same(proxy: Client, api: Api) -> None:
    world.label(proxy, "node1", "node2")
    other = meanwhile(api, "DELETE", CONFIG_MAP, lambda: proxy.delete(CONFIG_MAP))
    assert change_now(other, Want("absent"))["retries"] == 0
    assert proxy.find(CONFIG_MAP) is None


def test_a_pod_that_stays_fails_the_stop_and_is_named(proxy: Client, api: Api) -> None:
    world.pod(proxy, "node2")
    with pytest.raises(NotDone, match="roll-out of the DaemonSet is not complete") as early:
        change_now(api, STOPPED, 0.5)
    assert early.value.result["changed"]
    assert world.LABEL not in proxy.get("/api/v1/nodes/node2")["metadata"]["labels"]
    observed = proxy.get(DAEMONSET)
    proxy.replace(
        f"{DAEMONSET}/status",
        {**observed, "status": {"observedGeneration": observed["metadata"]["generation"]}},
    )
    with pytest.raises(NotDone, match=r"still there: kube-proxy-node2 on node2\.") as caught:
        change_now(api, STOPPED, 0.5)
    assert caught.value.result["changed"]
    assert proxy.get("/api/v1/nodes/node2")["metadata"]["labels"][world.LABEL] == "removed"


def test_a_node_that_is_not_there_is_refused(proxy: Client, api: Api) -> None:
    with pytest.raises(Refused, match="Found no Node node9"):
        change(api, Want("stopped", ("node9",)), True)


@pytest.mark.parametrize("want", [Want("stopped", ("node1",)), Want("absent")])
def test_a_daemonset_of_somebody_else_is_refused_with_what_to_commit(
    proxy: Client, api: Api, want: Want
) -> None:
    mark = {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "net:x"}}}
    proxy.patch(DAEMONSET, mark)
    if want.state == "absent":
        world.label(proxy, "node1", "node2")
    for check_mode in (True, False):
        with pytest.raises(Refused, match="belongs to Argo CD") as caught:
            change(api, want, check_mode)
        assert "kind: DaemonSet" in str(caught.value)
    assert change(api, Want(want.state, want.nodes, override_owner=True), True)["changed"]
    change(api, Want("present", ("node1",)), True)  # the way back is never refused


def test_another_distribution_is_refused_and_overridden(proxy: Client, api: Api) -> None:
    info = proxy.get("/api/v1/nodes/node1")["status"]["nodeInfo"]
    status = {"status": {"nodeInfo": {**info, "kubeletVersion": "v1.31.2+rke2r1"}}}
    proxy.patch("/api/v1/nodes/node1/status", status)
    with pytest.raises(Refused, match="disable-kube-proxy: true"):
        change(api, Want("stopped"), False)
    assert change(api, Want("stopped", override_distribution=True), True)["changed"]
    read = _kube_proxy_read.read(api)
    assert (read["distribution"], read["supported"]) == ("rke2", False)


def test_without_its_undo_a_daemonset_that_is_gone_does_not_come_back(
    proxy: Client, api: Api
) -> None:
    proxy.delete(DAEMONSET)
    with pytest.raises(Refused, match="Give 'undo'"):
        change(api, Want("present"), False)
    with pytest.raises(Refused, match="no list of objects"):
        change(api, Want("present", undo={"a": 1}), False)
    evil = {"objects": [{"object": {"kind": "Secret", "metadata": {"name": "x"}}}]}
    with pytest.raises(Refused, match="none of kube-proxy's kinds"):
        change(api, Want("present", undo=evil), False)


def test_credentials_are_never_shown_and_their_config_map_stays(proxy: Client, api: Api) -> None:
    token = "eyJhbGciOi.very.secret"
    conf = world.KUBECONFIG + f"    token: {token}\n"
    applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": conf})}
    patch = {"data": {"kubeconfig.conf": conf}, "metadata": {"annotations": applied}}
    proxy.patch(CONFIG_MAP, patch)
    world.label(proxy, "node1", "node2")
    read = _kube_proxy_read.read(api)
    result = world.both(api, Want("absent"))
    assert token not in json.dumps([read, result])
    assert proxy.find(CONFIG_MAP), "no bundle holds it whole"
    assert any("holds credentials" in line for line in result["advice"])
    proxy.delete(CONFIG_MAP)
    with pytest.raises(Refused, match="without its credentials"):
        change(api, Want("present", undo=result["undo"]), False)


def test_somebody_who_writes_in_between_is_not_overwritten(proxy: Client, api: Api) -> None:
    world.label(proxy, "node1", "node2")

    class Racing(Api):
        """Writes to the same ConfigMap just before the first PATCH."""

        raced = 0

        def request(self, method: str, *args: Any, **more: Any) -> Obj:
            if method == "PATCH" and not self.raced:
                self.raced += 1
                text = proxy.get(KUBEADM)["data"]["ClusterConfiguration"]
                data = {"data": {"ClusterConfiguration": text + "# somebody was here\n"}}
                proxy.patch(KUBEADM, data)
            return super().request(method, *args, **more)

    racing = Racing(api._configuration, api.source, api.context, 5)
    result = change_now(racing, Want("absent"))
    assert result["retries"] == 1
    text = proxy.get(KUBEADM)["data"]["ClusterConfiguration"]
    assert "# somebody was here" in text
    assert "disabled: true" in text


@pytest.mark.parametrize(
    "fault",
    [
        {"verbs": ["patch"], "path": "kubeadm-config", "status": 500},
        {"verbs": ["delete"], "path": "daemonsets/kube-proxy", "status": 503},
        {"verbs": ["delete"], "path": "configmaps/kube-proxy", "disconnect_after": 0},
        {"verbs": ["get"], "path": "roles/kube-proxy", "status": 429, "retry_after": 0},
    ],
)
def test_an_ill_api_is_asked_again_until_all_is_gone(
    proxy: Client, api: Api, double: Double, fault: Obj
) -> None:
    world.label(proxy, "node1", "node2")
    with calico_world.faults(double, {"id": "a", "times": 1, **fault}):
        result = change_now(api, Want("absent"))
    assert result["changed"]
    assert proxy.find(DAEMONSET) is None
    assert proxy.find(CONFIG_MAP) is None
    assert not change_now(api, Want("absent"))["changed"]


def test_an_api_that_stays_ill_ends_the_change_within_its_time(
    proxy: Client, api: Api, double: Double
) -> None:
    world.label(proxy, "node1", "node2")
    fault = {"id": "a", "verbs": ["delete"], "path": "daemonsets", "status": 500}
    with calico_world.faults(double, fault), pytest.raises(ClusterError, match="Gave up after"):
        change_now(api, Want("absent"), 1)


def test_what_is_put_back_at_once_is_told(proxy: Client, api: Api) -> None:
    world.label(proxy, "node1", "node2")

    class Reverted(Api):
        """Somebody makes the ServiceAccount again."""

        def request(self, method: str, path: str, *args: Any, **more: Any) -> Obj:
            found = super().request(method, path, *args, **more)
            if method == "DELETE" and path.endswith("serviceaccounts/kube-proxy"):
                account = next(o for o in world.objects() if o["kind"] == "ServiceAccount")
                proxy.create(world.COLLECTIONS["ServiceAccount"], account)
            return found

    reverted = Reverted(api._configuration, api.source, api.context, 5)
    with pytest.raises(Exception, match=r"not effective: .*ServiceAccount kube-system/kube-proxy"):
        change_now(reverted, Want("absent"))


def test_what_is_read_of_a_cluster(proxy: Client, api: Api) -> None:
    world.pod(proxy, "node1")
    services = "/api/v1/namespaces/kube-system/services"
    dns = {
        "metadata": {"name": "kube-dns", "labels": {"k8s-app": "kube-dns"}},
        "spec": {
            "clusterIP": "10.96.0.10",
            "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}],
        },
    }
    try:
        proxy.create(services, {"apiVersion": "v1", "kind": "Service", **dns})
        read = _kube_proxy_read.read(api, review=True, page_size=1)
        json.dumps(read)
        assert read["present"]
        assert read["distribution"] == "kubeadm"
        assert read["version"] == "1.33.0"
        assert read["kubeadm"]["honours"] == "disabled"
        assert "proxy.disabled: true" in read["kubeadm"]["advice"]
        assert read["service_cidrs"] == ["10.96.0.0/12"]
        assert read["dns"]["ip"] == "10.96.0.10"
        assert [p["node"] for p in read["pods"]] == ["node1"]
        assert [o["kind"] for o in read["objects"]] == [
            "DaemonSet",
            "ServiceAccount",
            "Role",
            "RoleBinding",
            "ClusterRoleBinding",
            "ConfigMap",
        ]
        assert read["missing_rights"] == []
        assert read["errors"] == []
        assert read["strict_arp"] is False
    finally:
        with suppress(ApiStatus):
            proxy.delete(f"{services}/kube-dns")


def lose(client: Client, node: str) -> None:
    """Let a node's kubelet be lost: its pod is not ready and, deleted, stays."""
    path = f"{world.SYSTEM}/pods/kube-proxy-{node}"
    client.patch(path, {"metadata": {"finalizers": ["tests/lost"]}})
    lost = {"type": "Ready", "status": "False"}
    client.patch(f"{path}/status", {"status": {"conditions": [lost]}}, STRATEGIC)


@pytest.fixture
def lost(proxy: Client, double: Double) -> Iterator[Client]:
    """A controller at work and three nodes, of which the kubelet of node3 does nothing."""
    seed_nodes(proxy, 3)
    for node in ("node1", "node2", "node3"):
        world.pod(proxy, node)
    path = f"{world.SYSTEM}/pods/kube-proxy-node3"
    lose(proxy, "node3")
    with controller(double):
        yield proxy
    proxy.patch(path, {"metadata": {"finalizers": None}})


def test_a_lost_node_is_waited_for_unless_it_is_named(lost: Client, api: Api) -> None:
    with pytest.raises(NotDone, match="roll-out of the DaemonSet is not complete") as caught:
        change_now(api, Want("stopped", ("node2",)), 2)
    assert caught.value.result["unseen"] == []
    assert world.LABEL not in lost.get("/api/v1/nodes/node2")["metadata"]["labels"]
    # Another one that is named does not help.
    with pytest.raises(NotDone, match="not complete"):
        change_now(api, Want("stopped", ("node2",), unseen=("node1",)), 2)

    done = change_now(api, Want("stopped", ("node2",), unseen=("node3", "node9")), 20)
    assert done["unseen"] == ["node3"]
    assert [p["node"] for p in done["pods_gone"]] == ["node2"]

    back = change_now(api, Want("present", unseen=("node3",)), 20)
    assert back["unseen"] == ["node3"]
    ready = {p["node"] for p in _kube_proxy_read.read(api)["pods"] if p["ready"]}
    assert ready == {"node1", "node2"}


def test_those_that_are_seen_have_to_be_ready(lost: Client, api: Api) -> None:
    lose(lost, "node2")
    with pytest.raises(NotDone, match=r"no pod of it is ready on node2\b"):
        change_now(api, Want("stopped", unseen=("node3",)), 2)
    lost.patch(f"{world.SYSTEM}/pods/kube-proxy-node2", {"metadata": {"finalizers": None}})
