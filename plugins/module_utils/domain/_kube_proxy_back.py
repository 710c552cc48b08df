# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written to bring kube-proxy back as it was. Pure."""

from __future__ import annotations

import copy

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Step
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
    Edit,
    Obj,
    same,
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


def plan_back(draft: Draft) -> Change:
    have, want = draft.have, draft.want
    former = _former(want.undo)
    off = set(want.nodes or have.labelled)
    made = _create(draft, former)
    if made or not want.nodes:
        _enable(draft)
    if have.daemonset:
        edit = edit_of(have.daemonset)
        if not want.nodes:
            _affinity_as_before(edit, have.daemonset, former)
        strict_arp(draft, edit)
        draft.edit(edit, view.affinity_snippet(have.daemonset))
    for node in have.nodes:
        if node["name"] in off and node["name"] in have.labelled:
            action = f"Take the label {objects.LABEL} off the node: kube-proxy runs there again"
            label(draft, node, None, action, rolled=False)
    daemonset = have.daemonset or made
    return draft.done(ready=_back_on(have, want, daemonset, off) if daemonset else ())


def _back_on(have: Have, want: Want, daemonset: Obj, off: set[str]) -> tuple[str, ...]:
    """Return the nodes on which kube-proxy must be ready in the end."""
    names = set(want.nodes) or {node["name"] for node in have.nodes}
    return tuple(
        node["name"]
        for node in have.nodes
        if node["name"] in names
        and (objects.to_be_served if node["name"] in off else objects.serves)(daemonset, node)
    )


def _former(undo: Obj | None) -> dict[str, Obj]:
    """Return title -> object of what was there before the change."""
    found: dict[str, Obj] = {}
    for entry in (undo or {}).get("objects") or ():
        obj = entry.get("object") if isinstance(entry, dict) else None
        if not isinstance(obj, dict) or not isinstance(obj.get("metadata"), dict):
            raise Refused("Failed to read 'undo': an entry of its objects holds no object.")
        if obj.get("kind") not in objects.COLLECTIONS:
            raise Refused(f"Refused to make a {obj.get('kind')}: it is none of kube-proxy's kinds.")
        found[title(objects.target_of(obj))] = obj
    return found


def _create(draft: Draft, former: dict[str, Obj]) -> Obj | None:
    """Make what was there and is gone, the DaemonSet last; return that if it is made."""
    have, want = draft.have, draft.want
    there = {title(objects.target_of(o)) for o in have.beside}
    there |= {title(objects.target_of(have.daemonset))} if have.daemonset else set()
    daemonset = None
    kinds = list(dict.fromkeys([kind for kind, _place, _name in objects.BESIDE] + ["DaemonSet"]))
    for name, obj in sorted(former.items(), key=lambda item: kinds.index(item[1]["kind"])):
        if name in there:
            continue
        made = objects.anew(obj)
        if made["kind"] == "DaemonSet":
            # Nodes that are not to be freed yet stay as they are.
            made = objects.with_affinity(made) if want.nodes else made
            daemonset = made
        if made["kind"] == "ConfigMap":
            made = _config_map_anew(made, want)
        path = objects.path_of(made["kind"], made["metadata"].get("namespace"), "").rstrip("/")
        draft.add(
            [Step(f"Make the {made['kind']} again", name, None, made)], Act("POST", path, made)
        )
    if have.daemonset is None and daemonset is None:
        raise Refused(
            "Refused to bring kube-proxy back: its DaemonSet is gone. Give 'undo' (kube_proxy of "
            "kube_proxy_info as kept before the change), or make it anew with kubeadm init phase "
            "addon kube-proxy."
        )
    return daemonset


def _config_map_anew(made: Obj, want: Want) -> Obj:
    if config.holds_secrets(made):
        raise Refused(
            f"Refused to make {title(objects.target_of(made))} again: 'undo' holds it without its "
            "credentials, as no bundle may keep those. Make it by hand, then repeat."
        )
    if want.strict_arp is not None:
        text = config.with_strict_arp(made, want.strict_arp)
        made = {**made, "data": {**made["data"], config.CONF: text}}
    return made


def _affinity_as_before(edit: Edit, daemonset: Obj, former: dict[str, Obj]) -> None:
    was = former.get(title(edit.target))
    wanted = was is not None and objects.has_affinity(was)
    has = objects.has_affinity(daemonset)
    if wanted and not has:
        set_affinity(edit, objects.with_affinity(daemonset), True)
    elif has and not wanted:
        made = objects.without_affinity(daemonset)
        spec = objects.pod_spec(made)
        if was is not None and same(
            objects.pod_spec(objects.with_affinity(was)).get("affinity"),
            objects.pod_spec(daemonset).get("affinity"),
        ):
            spec["affinity"] = copy.deepcopy(objects.pod_spec(was).get("affinity"))
            if spec["affinity"] is None:
                del spec["affinity"]
        set_affinity(edit, made, False)


def _enable(draft: Draft) -> None:
    kubeadm = draft.have.kubeadm
    document, problem = config.cluster_configuration(kubeadm)
    if kubeadm is None or problem:
        return
    daemonset = draft.have.daemonset
    if draft.want.undo is None and daemonset and not objects.has_affinity(daemonset):
        return  # somebody set it who never stopped kube-proxy
    _api_version, disabled = distribution.kubeadm_view(document)
    if not disabled:
        return
    was = ((draft.want.undo or {}).get("kubeadm") or {}).get("object") or {}
    former = (was.get("data") or {}).get(config.CLUSTER)
    text = config.enabled_again(kubeadm["data"][config.CLUSTER], former)
    edit = edit_of(kubeadm)
    put_text(edit, config.CLUSTER, text, "Put proxy.disabled back as it was")
    draft.edit(edit, view.data_snippet(kubeadm, config.CLUSTER, text))
