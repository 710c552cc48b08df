# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services on the nodes of a lab: kube-proxy, AntreaProxy, and who answers to whom."""

from __future__ import annotations

import re
import sys
import time
from typing import Any

from tests.lab import netfilter
from tests.lab.actors.content import DNS_SERVICE, node_address
from tests.lab.actors.content_services import WEB_NODE_PORT, WEB_SERVICE
from tests.lab.antrea_scene import CONFIG_MAP, PODS, PROGRAM, AntreaScene, await_that
from tests.lab.image import ensure_image

Obj = dict[str, Any]

PROXY_SET = "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy"
PROXY_UNIT = "k8snet-kube-proxy.service"
API_ADDRESS = "https://10.160.1.1:6443"
PROXY_MAP = "/api/v1/namespaces/kube-system/configmaps/kube-proxy"
WEB = f"{WEB_SERVICE}:80"
#: The label by which a node loses its kube-proxy, once the DaemonSet has the affinity.
REMOVED = ("k8snet.io/kube-proxy", "removed")


class ServiceScene(AntreaScene):
    """The part of a scene that is Services; all of it needs ``kube_proxy``."""

    # -- what tests do to it ----------------------------------------------------------------------

    def proxy_all(self, on: bool, override: str = API_ADDRESS) -> None:
        """Writes proxyAll and kubeAPIServerOverride ("" takes it out) into antrea-config."""
        old = self.call("GET", CONFIG_MAP)["data"]["antrea-agent.conf"]
        new = with_proxy_all(old, on, override)
        self.call("PATCH", CONFIG_MAP, {"data": {"antrea-agent.conf": new}})

    def label(self, node: str, key: str, value: str | None) -> None:
        body = {"metadata": {"labels": {key: value}}}
        self.call("PATCH", f"/api/v1/nodes/{node}", body)

    def exclude_removed(self) -> None:
        """Gives the DaemonSet its affinity, and waits for the roll-out."""
        key, value = REMOVED
        rule = {"key": key, "operator": "NotIn", "values": [value]}
        terms = {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}
        affinity = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
        spec = {"affinity": {"nodeAffinity": affinity}}
        self.call("PATCH", PROXY_SET, {"spec": {"template": {"spec": spec}}})
        self.await_rolled()

    def set_mode(self, mode: str) -> None:
        """Has kube-proxy start in another mode; what the old one made stays, as in reality."""
        old = self.call("GET", PROXY_MAP)["data"]["config.conf"]
        new = re.sub(r"(?m)^mode:.*$", f'mode: "{mode}"', old)
        self.call("PATCH", PROXY_MAP, {"data": {"config.conf": new}})
        note = {"kubectl.kubernetes.io/restartedAt": f"{mode}-{time.time():.3f}"}
        self.call("PATCH", PROXY_SET, {"spec": {"template": {"metadata": {"annotations": note}}}})
        self.await_rolled()

    def await_rolled(self) -> None:
        """Waits until every node's kube-proxy is of the DaemonSet's template, and ready."""

        def rolled(found: Obj) -> bool:
            status, wanted = found["status"], found["status"].get("desiredNumberScheduled", 0)
            seen = status.get("observedGeneration") == found["metadata"]["generation"]
            counts = ("updatedNumberScheduled", "numberAvailable")
            return bool(seen and all(status.get(count, 0) == wanted for count in counts))

        await_that(lambda: self.call("GET", PROXY_SET), rolled, "kube-proxy is rolled out", 120)

    # -- what tests ask ---------------------------------------------------------------------------

    def web(self, node: str, server: str = WEB, *, pod: bool = False) -> str:
        """The node that answers for default/web to a node or its pod; "" when none does."""
        words = f"pods web-ask --server {server}{' --from-pod' if pod else ''}"
        done = self.lab.ssh(node, f"sudo python3 {PROGRAM} {words}", oob=True, check=False)
        return "" if done.returncode else done.stdout.strip()

    def resolves(self, node: str, *, tcp: bool = False, pod: bool = False) -> bool:
        """Whether the cluster's DNS Service answers a node or its pod."""
        words = f"pods dns-probe --timeout 1 --server {DNS_SERVICE}"
        words += f"{' --tcp' if tcp else ''}{'' if pod else ' --inside'}"
        done = self.lab.ssh(node, f"sudo python3 {PROGRAM} {words}", oob=True, check=False)
        return done.returncode == 0

    def node_port(self, node: str) -> str:
        """Node:port of default/web on a node."""
        return f"{node_address(int(node.removeprefix('node')))}:{WEB_NODE_PORT}"

    def served(self, node: str) -> Obj:
        """Which of the cluster's Services answer a node and its pod."""
        return {
            "web": bool(self.web(node)),
            "web from pod": bool(self.web(node, pod=True)),
            "node port": bool(self.web(node, self.node_port(node))),
            "dns": self.resolves(node),
            "dns over tcp": self.resolves(node, tcp=True),
            "dns from pod": self.resolves(node, pod=True),
            "dns over tcp from pod": self.resolves(node, tcp=True, pod=True),
        }

    def await_served(self, timeout: float = 90) -> None:
        """Waits until Services work everywhere, from nodes and pods."""
        for node in self.nodes:
            await_that(
                lambda node=node: self.served(node),  # type: ignore[misc]
                lambda now: all(now.values()),
                f"{node} reaches the cluster's Services",
                timeout,
            )

    def route(self, node: str, address: str = WEB_SERVICE) -> str:
        """The device by which a node reaches an address."""
        said = self.on(node, f"ip route get {address}")
        found = re.search(r"\bdev (\S+)", said)
        return found[1] if found else ""

    def proxy_pid(self, node: str) -> int | None:
        """The process id of the node's kube-proxy, None when none runs."""
        found = self.lab.ssh(node, "pgrep -x kube-proxy", oob=True, check=False).stdout.split()
        return int(found[0]) if found else None

    def proxy_pod(self, node: str) -> Obj | None:
        """The node's living kube-proxy pod."""
        path = f"{PODS}?labelSelector=k8s-app%3Dkube-proxy&fieldSelector=spec.nodeName%3D{node}"
        pods = self.call("GET", path)["items"]
        return next((p for p in pods if "deletionTimestamp" not in p["metadata"]), None)

    def proxy_ready(self, node: str) -> bool:
        pod = self.proxy_pod(node) or {}
        conditions = (pod.get("status") or {}).get("conditions") or ()
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    def proxy_log(self, node: str) -> str:
        return self.on(node, f"journalctl --no-pager --output=cat -u {PROXY_UNIT}")

    def prepare_node(self, node: str) -> None:
        """Netfilter's modules, which kube-proxy's rules need."""
        if self.kube_proxy:
            archive = netfilter.ensure(ensure_image(_say), _say)
            netfilter.install(self.lab, node, archive)


def with_proxy_all(conf: str, on: bool, override: str) -> str:
    """antrea-agent.conf with proxyAll and kubeAPIServerOverride; comments stay."""
    conf = re.sub(r"(?m)^(\s*)proxyAll:.*$", rf"\g<1>proxyAll: {str(on).lower()}", conf)
    conf = re.sub(r"(?m)^kubeAPIServerOverride:.*\n", "", conf)
    return conf + (f'kubeAPIServerOverride: "{override}"\n' if override else "")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
