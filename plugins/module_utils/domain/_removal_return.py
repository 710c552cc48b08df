# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an undo bundle means for the way back, in a cluster that has gone on since. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._removal_probes import names
from ansible_collections.k8snet.cni.plugins.module_utils.domain._version import VERSION

Obj = dict[str, Any]


def begun(kube_proxy: Obj) -> list[str]:
    """Return by what it shows that a removal of kube-proxy has begun, [] if it has not."""
    found = []
    if not kube_proxy["present"]:
        found.append("its DaemonSet is gone")
    if kube_proxy["labelled"]:
        found.append(f"labelled are {', '.join(kube_proxy['labelled'])}")
    if (kube_proxy.get("daemonset") or {}).get("node_affinity_removed"):
        found.append("its DaemonSet has the affinity")
    return found


def refusal(kube_proxy: Obj, former: Obj) -> str | None:
    """Return why nothing goes on without the bundle of the removal that has begun."""
    signs = begun(kube_proxy)
    if former or not signs:
        return None
    return (
        f"A removal of kube-proxy has begun here ({'; '.join(signs)}), and no undo bundle of it "
        "was found, so that there would be no way back. Name its folder in k8snet_undo_dir, or its "
        "namespace in k8snet_undo_namespace. Where somebody began by hand and there is none, set "
        "kube_proxy_removal_without_undo=true."
    )


def holds_daemonset(former: Obj) -> bool:
    """Tell whether a bundle can bring kube-proxy back where its DaemonSet is gone."""
    objects = (former.get("kube_proxy") or {}).get("objects") or ()
    return any(entry.get("kind") == "DaemonSet" for entry in objects)


def settings(former: Obj) -> Obj:
    """Return what antrea_config is asked for when kube-proxy is back; the override is kept."""
    if not former:
        return {"agent": {}, "controller": {}}
    proxy_all = (former.get("antrea_proxy") or {}).get("proxyAll")
    return {"agent": {"antreaProxy": {"proxyAll": proxy_all}}, "controller": {}}


def mode(kube_proxy: Obj, former: Obj) -> str:
    """Return the mode in which kube-proxy runs, or ran: without objects nothing tells it now."""
    told = kube_proxy if kube_proxy["present"] else (former.get("kube_proxy") or kube_proxy)
    return str(told.get("mode") or "iptables")


def answered(node: Obj, former: Obj) -> list[list[Any]]:
    """Return what has to answer on a node: what does now, or did when kube-proxy was removed.

    Of the latter only what is asked now: a Service that is gone cannot answer.
    """
    asked = names(node["probes"])
    was = _nodes(former).get(node["node"], {}).get("answered") or ()
    found = [list(entry) for entry in node["answered"]]
    return found + [list(e) for e in was if e[0] in asked and list(e) not in found]


def words(former: Obj, nodes: Iterable[str], asked: Iterable[str]) -> list[str]:
    """Return what is no longer as the bundle has it.

    ``nodes``: names of all Nodes; ``asked``: of Services, as namespace/name.
    """
    found = []
    version = former.get("collection")
    if former and version != VERSION:
        found.append(
            f"The undo bundle was made by version {version or 'unknown'} of the collection, and "
            f"this is {VERSION}. If something fails for that, use that version."
        )
    there, known = set(nodes), set(asked)
    gone = sorted(set(_nodes(former)) - there)
    if gone:
        found.append(
            f"No Nodes any more, so nothing is done there: {', '.join(gone)}, which had "
            "kube-proxy when the removal began."
        )
    lost = sorted(_services(former) - known)
    if lost:
        found.append(
            f"Services that answered when the removal began and are not asked now: "
            f"{', '.join(lost)}. They are gone, have no end points, or others of their kind come "
            "first."
        )
    return found


def _nodes(former: Obj) -> Obj:
    found: Obj = (former.get("plan") or {}).get("nodes") or {}
    return found


def _services(former: Obj) -> set[str]:
    """Return the Services that answered somewhere, as namespace/name."""
    nodes = _nodes(former).values()
    names = {str(entry[0]) for node in nodes for entry in node.get("answered") or ()}
    return {name.split(" ", maxsplit=1)[0] for name in names if "/" in name}
