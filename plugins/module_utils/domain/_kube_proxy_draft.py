# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change of kube-proxy in the making: requests with their steps, owners asked first. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils._plan import Plan, Step
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_config as config,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import (
    _kube_proxy_objects as objects,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _kube_proxy_view as view
from ansible_collections.k8snet.cni.plugins.module_utils.domain import _ownership
from ansible_collections.k8snet.cni.plugins.module_utils.domain._calico_fields import Refused
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import (
    Edit,
    Obj,
    title,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._kube_proxy_view import Have
from ansible_collections.k8snet.cni.plugins.module_utils.domain._written import unread

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True)
class Want:
    """What is asked for. ``nodes``: stopped: to label; present: to free (none: all).

    ``unseen``: Nodes whose pods are not awaited.
    """

    state: str = "present"
    nodes: tuple[str, ...] = ()
    strict_arp: bool | None = None
    undo: Obj | None = None
    override_owner: bool = False
    override_distribution: bool = False
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True)
class Act:
    """One request. ``rolled``: only after the DaemonSet's roll-out is complete."""

    method: str
    path: str
    body: Any = None
    content_type: str = "application/json"
    rolled: bool = False


@dataclass(frozen=True)
class Change:
    """The plan, the requests that carry it out in their order, and what a person still has to do.

    ``ready``: nodes whose pods must be ready in the end; ``gone``: nodes that must have none.
    """

    plan: Plan
    acts: tuple[Act, ...] = ()
    advice: tuple[str, ...] = ()
    ready: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


class Draft:
    """A change in the making."""

    def __init__(self, have: Have, want: Want) -> None:
        self.have = have
        self.want = want
        self.steps: list[Step] = []
        self.acts: list[Act] = []
        self.advice: list[str] = []

    def add(self, steps: list[Step], act: Act) -> None:
        self.steps += steps
        self.acts.append(act)

    def edit(self, edit: Edit, snippet: str) -> None:
        """Patch an object, unless its owner would revert that (going back is never refused)."""
        write = edit.write()
        if write is None:
            return
        self.check_owner(edit.before, edit.target, snippet)
        self.add(edit.steps, Act("PATCH", write.path, list(write.operations), JSON_PATCH))

    def check_owner(self, obj: Obj, target: Obj, snippet: str) -> None:
        back = self.want.state == "present" and self.want.strict_arp is None
        if back or self.want.override_owner:
            return
        refusal = _ownership.refusal_of(obj, target, lambda by: snippet)
        if refusal:
            raise Refused(refusal)

    def done(self, ready: tuple[str, ...] = (), gone: tuple[str, ...] = ()) -> Change:
        return Change(Plan(tuple(self.steps)), tuple(self.acts), tuple(self.advice), ready, gone)


def set_affinity(edit: Edit, made: Obj, keep_off: bool) -> None:
    action = (
        f"Keep kube-proxy off nodes labelled {objects.LABEL}={objects.REMOVED} (required node "
        "affinity)"
        if keep_off
        else f"Let kube-proxy run on nodes labelled {objects.LABEL}={objects.REMOVED} again"
    )
    if objects.rolls_itself(edit.before):
        action += "; its pods restart once, node after node, and rules stay meanwhile"
    path = ("spec", "template", "spec", "affinity")
    after = objects.pod_spec(made).get("affinity")
    if after is None:
        edit.drop(path, action)
    else:
        edit.put(path, after, action)


def label(draft: Draft, node: Obj, value: str | None, action: str, rolled: bool) -> None:
    # Labels are independent keys: a merge patch of one is safe without a resourceVersion, which
    # kubelets' heartbeats change all the time. The uid keeps it off another Node of this name.
    meta = {"uid": node["uid"], "labels": {objects.LABEL: value}}
    before = node["labels"].get(objects.LABEL)
    step = Step(
        action,
        f"Node {node['name']}: metadata.labels",
        {objects.LABEL: before} if before is not None else {},
        {objects.LABEL: value} if value is not None else {},
    )
    path = f"/api/v1/nodes/{node['name']}"
    draft.add([step], Act("PATCH", path, {"metadata": meta}, MERGE_PATCH, rolled))


def strict_arp(draft: Draft, edit: Edit) -> None:
    """Set strictARP in the ConfigMap, and let the pods start anew to read it."""
    have, want = draft.have, draft.want
    if want.strict_arp is None:
        return
    if have.config_map is None:
        names = ", ".join(objects.config_map_names(have.daemonset))
        raise Refused(f"Refused to set strictARP: found no ConfigMap {names} in kube-system.")
    text = config.with_strict_arp(have.config_map, want.strict_arp)
    path = ("spec", "template", "metadata", "annotations", objects.STAMP)
    # Two stamps for one text, in turn: pods must start anew also when a former text comes again.
    stamps = _stamps(text)
    if text != have.config_map["data"][config.CONF]:
        inner = edit_of(have.config_map)
        action = f"Set ipvs.strictARP: {str(want.strict_arp).lower()}"
        put_text(inner, config.CONF, text, action)
        draft.edit(inner, view.data_snippet(have.config_map, config.CONF, text))
    elif edit.get(path) in stamps or not _unread(have):
        return
    if not objects.rolls_itself(edit.before):
        raise Refused(
            "Refused to set strictARP: kube-proxy reads it at its start, and the DaemonSet's "
            "updateStrategy is OnDelete, so nothing would restart its pods. Set RollingUpdate."
        )
    action = "Restart kube-proxy's pods, node after node, so that they read config.conf"
    edit.put(path, next(stamp for stamp in stamps if stamp != edit.get(path)), action)


def _stamps(text: str) -> tuple[str, str]:
    mark = hashlib.sha256(text.encode()).hexdigest()[:16]
    return mark, f"{mark}-again"


def _unread(have: Have) -> bool:
    """Tell whether a pod is older than config.conf, by an attempt that broke off in between."""
    return any(unread(have.config_map, config.CONF, str(pod["created"])) for pod in have.pods)


def edit_of(obj: Obj) -> Edit:
    target = objects.target_of(obj)
    path = objects.path_of(target["kind"], target["namespace"], target["name"])
    return Edit(obj, target, path)


def put_text(edit: Edit, key: str, text: str, action: str) -> None:
    before = edit.after["data"][key]
    edit.after["data"][key] = text
    edit.steps.append(Step(action, f"{title(edit.target)}: {key}", before, text))
