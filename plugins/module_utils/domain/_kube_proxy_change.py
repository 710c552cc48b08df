# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written to stop or remove kube-proxy, and in which order. Pure."""

from __future__ import annotations

import dataclasses

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Step
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_proxy_back
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_config as config,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_distribution as distribution,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_objects as objects,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_proxy_view as view
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import (
    Obj,
    title,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy_draft import (
    Act,
    Change,
    Draft,
    Want,
    edit_of,
    label,
    put_text,
    set_affinity,
    strict_arp,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy_view import Have


def plan_change(have: Have, want: Want) -> Change:
    """Return what turns ``have`` into ``want``. Raises `Refused`."""
    _check_request(have, want)
    back = want.state == "present" and want.strict_arp is None
    refusal = None
    if not back and not want.override_distribution:
        refusal = distribution.refusal(have.found)
    # Where kube-proxy's own objects are all that told the distribution, it is unknown after them.
    unknown = have.found["distribution"] == "unknown"
    if refusal and not unknown:
        raise Refused(refusal)
    ways = {"stopped": _stop, "absent": _remove, "present": _kube_proxy_back.plan_back}
    change = ways[want.state](Draft(have, want))
    if refusal and change.plan.changed:
        raise Refused(refusal)
    return change


def _check_request(have: Have, want: Want) -> None:
    missing = sorted(set(want.nodes) - {node["name"] for node in have.nodes})
    if missing:
        raise Refused(f"Found no Node {', '.join(missing)}. Name Nodes as kubectl get nodes does.")
    if want.state == "absent" and want.strict_arp is not None:
        raise Refused("'strict_arp' makes no sense with state: absent. Leave it out.")
    if want.undo is not None and not isinstance(want.undo.get("objects"), list):
        raise Refused(
            "Failed to read 'undo': it has no list of objects. Give what k8snet.cni."
            "kube_proxy_info returned as kube_proxy before the change."
        )


# -- stopped ---------------------------------------------------------------------------


def _stop(draft: Draft) -> Change:
    have, want = draft.have, draft.want
    if have.daemonset:
        edit = edit_of(have.daemonset)
        if not objects.has_affinity(have.daemonset):
            set_affinity(edit, objects.with_affinity(have.daemonset), True)
        strict_arp(draft, edit)
        draft.edit(edit, view.affinity_snippet(have.daemonset))
    elif want.strict_arp is not None:
        raise Refused("Refused to set strictARP: there is no DaemonSet kube-proxy.")
    for node in have.nodes:
        if node["name"] in want.nodes and node["name"] not in have.labelled:
            action = (
                f"Label the node {objects.LABEL}={objects.REMOVED}: its kube-proxy pod goes, its "
                "rules stay as they are from then on"
            )
            label(draft, node, objects.REMOVED, action, rolled=have.daemonset is not None)
    return draft.done(gone=want.nodes)


# -- absent ---------------------------------------------------------------------------


def _remove(draft: Draft) -> Change:
    have = draft.have = _as_if_stopped(draft.have, draft.want.nodes)
    _check_removable(have)
    if have.kubeadm is not None:
        _disable(draft)
    for obj in [*([have.daemonset] if have.daemonset else []), *reversed(have.beside)]:
        if config.holds_secrets(obj):
            draft.advice.append(
                f"{title(objects.target_of(obj))} holds credentials, which no undo bundle may "
                "keep: it is left. Delete it by hand when they are kept elsewhere."
            )
            continue
        _delete(draft, obj)
    document, _problem = config.cluster_configuration(have.kubeadm)
    api_version, _disabled = distribution.kubeadm_view(document)
    if have.found["distribution"] in ("kubeadm", "kubespray"):
        can = have.kubeadm is not None and distribution.can_disable(api_version)
        said = distribution.advice(have.version, api_version, can)
        draft.advice += [said] if said else []
    if not have.found["supported"]:
        draft.advice.append(str(have.found["remedy"]))
    return draft.done()


def _as_if_stopped(have: Have, names: tuple[str, ...]) -> Have:
    """Return what there will be once kube-proxy is stopped on these nodes."""
    if not names:
        return have
    label = {objects.LABEL: objects.REMOVED}
    return dataclasses.replace(
        have,
        daemonset=objects.with_affinity(have.daemonset) if have.daemonset else None,
        nodes=[
            {**node, "labels": {**node["labels"], **label}} if node["name"] in names else node
            for node in have.nodes
        ],
        pods=[pod for pod in have.pods if pod["node"] not in names],
    )


def _check_removable(have: Have) -> None:
    serving = [n for n in have.nodes if have.daemonset and objects.to_be_served(have.daemonset, n)]
    unlabelled = sorted({n["name"] for n in serving} - set(have.labelled))
    running = sorted(f"{pod['name']} on {pod['node']}" for pod in have.pods)
    if not unlabelled and not running:
        return
    words = []
    if unlabelled:
        words.append(
            f"these nodes are not labelled {objects.LABEL}={objects.REMOVED}: {_few(unlabelled)}"
        )
    if running:
        words.append(f"these pods of it are still there: {_few(running)}")
    raise Refused(
        f"Refused to remove kube-proxy: {'; '.join(words)}. Stop it on every node first (state: "
        "stopped with 'nodes'), remove its rules there and verify, node by node."
    )


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(names[:20]) + more


def _disable(draft: Draft) -> None:
    kubeadm = draft.have.kubeadm
    document, problem = config.cluster_configuration(kubeadm)
    if problem or kubeadm is None:
        raise Refused(f"Refused to remove kube-proxy: {problem}. Repair it first.")
    api_version, already = distribution.kubeadm_view(document)
    if already or not distribution.can_disable(api_version):
        return
    text = config.disabled(kubeadm["data"][config.CLUSTER])
    edit = edit_of(kubeadm)
    put_text(
        edit, config.CLUSTER, text, "Set proxy.disabled: true, so that kubeadm makes no new one"
    )
    draft.edit(edit, view.data_snippet(kubeadm, config.CLUSTER, text))


def _delete(draft: Draft, obj: Obj) -> None:
    target = objects.target_of(obj)
    draft.check_owner(obj, target, view.removal_snippet(obj))
    meta = obj["metadata"]
    body = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Background",
        "preconditions": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]},
    }
    path = objects.path_of(obj["kind"], meta.get("namespace"), meta["name"])
    step = Step(f"Delete the {obj['kind']}", title(target), objects.anew(obj), None)
    draft.add([step], Act("DELETE", path, body))
