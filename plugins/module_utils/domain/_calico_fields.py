# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calico's autodetection in the objects that hold it: the Installation and the DaemonSet. Pure.

Both write into an `Edit`; nothing else in the objects is touched.
Sources: tigera/operator ``pkg/controller/installation/core_controller.go`` (defaults it writes
back), ``pkg/controller/utils/merge.go`` (the overlay); Calico ``startup.go`` (env).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from ansible_collections.k8snet.cni.plugins.module_utils.domain._cluster_calico import method_words
from ansible_collections.k8snet.cni.plugins.module_utils.domain._edit import (
    Edit,
    Obj,
    Path,
    absent,
    look,
    same,
)
from ansible_collections.k8snet.cni.plugins.module_utils.domain._remedies import operator_value

FAMILIES = (4, 6)
INSTALLATIONS = "/apis/operator.tigera.io/v1/installations"
CONTAINER = "calico-node"
WORDS = ("first-found", "kubernetes-internal-ip")
PREFIXES = ("interface=", "skip-interface=", "can-reach=", "cidr=")

OWN_SET: Path = ("spec", "calicoNodeDaemonSet")
OPERATOR_HOLD: Path = (*OWN_SET, "spec", "minReadySeconds")
SET_HOLD: Path = ("spec", "minReadySeconds")
STRATEGY: Path = ("spec", "updateStrategy")
MODES = ("min-ready-seconds", "on-delete", "watch")


class Refused(Exception):
    """The change cannot be planned; the text says what, where and the remedy."""


@dataclass(frozen=True)
class Hold:
    """How a roll-out is held after its first node. ``canary``: the node, for on-delete only."""

    mode: str
    min_ready_seconds: int = 0
    canary: str | None = None


def field(family: int) -> Path:
    """Return where an Installation keeps a family's method."""
    return ("spec", "calicoNetwork", f"nodeAddressAutodetectionV{family}")


def variables(family: int) -> tuple[str, str]:
    """Return the two variables of a family: what detects, and how."""
    name = "IP" if family == 4 else "IP6"
    return name, f"{name}_AUTODETECTION_METHOD"


def check_method(family: int, method: str) -> None:
    """Raise `Refused` unless Calico knows the method and both installs can express it."""
    if method in WORDS:
        return
    prefix = next((p for p in PREFIXES if method.startswith(p)), None)
    if prefix is None or not method[len(prefix) :].strip():
        raise Refused(
            f"Failed to plan: method_v{family} is {method!r}, which is no method of Calico. Use "
            f"{', '.join((*WORDS, *PREFIXES))} with a value after the '='."
        )


# -- operator -----------------------------------------------------------------------------------


def holder(installation: Obj, overlay: Obj | None, path: Path) -> str:
    """Return which Installation decides about a field: the overlay replaces it as a whole."""
    value = look(overlay, path) if overlay else None
    return "default" if value is None or absent(value) else "overlay"


def operator_default(spec: Obj, family: int) -> Obj | None:
    """Return what the operator writes into the field when it is absent, None for nothing."""
    pools = (spec.get("calicoNetwork") or {}).get("ipPools") or []
    mine = [p for p in pools if (":" in str(p.get("cidr"))) == (family == 6)]
    if not mine and (family == 6 or pools):
        return None
    provider = spec.get("kubernetesProvider")
    if family == 4 and provider == "EKS":
        return {"canReach": "8.8.8.8"}
    if family == 4 and provider == "DockerEnterprise":
        return {"skipInterface": "^br-.*"}
    return {"firstFound": True}


def put_operator_method(edit: Edit, family: int, method: str) -> None:
    """Set exactly one method; whatever was there beside it goes."""
    now = edit.get(field(family))
    also = sorted(set(now or {}) - set(operator_value(method)))
    action = f"Set Calico's IPv{family} autodetection to {method} (now {_words(now)})"
    if len(now or {}) > 1:
        action += f", removing {', '.join(also)} beside it"
    edit.put(field(family), operator_value(method), action)


def restore_operator_method(edit: Edit, family: int, former: Obj) -> None:
    """Put a family's object back as it was."""
    path = field(family)
    was, now = look(former, path), edit.get(path)
    if absent(was) and now is not None:
        default = operator_default(edit.after.get("spec") or {}, family)
        if default is not None and same(now, default):
            return  # removing it would only make the operator write it again
    words = "absent" if absent(was) else _words(was)
    action = f"Put Calico's IPv{family} autodetection back to {words} (now {_words(now)})"
    edit.restore(path, former, action)


def _words(value: Any) -> str:
    if value is None:
        return "not set"
    return method_words(value) or ("{}" if value == {} else "no method")


# -- manifest -----------------------------------------------------------------------------------


def environment(daemonset: Obj) -> list[Obj]:
    """Return the env list of container calico-node itself (not a copy). Raises `Refused`."""
    for container in look(daemonset, ("spec", "template", "spec"))["containers"]:
        if container.get("name") == CONTAINER:
            found: list[Obj] = container.setdefault("env", [])
            return found
    meta = daemonset["metadata"]
    raise Refused(
        f"Failed to plan: DaemonSet {meta['namespace']}/{meta['name']} has no container "
        f"{CONTAINER}. Is it Calico's?"
    )


def entry_text(entry: Obj | None) -> str:
    """Return what a variable is in plain words."""
    if entry is None:
        return "absent"
    if entry.get("valueFrom"):
        return "taken from " + ", ".join(sorted(entry["valueFrom"]))
    return str(entry.get("value")) if entry.get("value") else "empty"


def put_manifest_method(edit: Edit, family: int, method: str) -> None:
    """Switch detection on and set its method; of several entries of one name one remains."""
    env = environment(edit.after)
    address, variable = variables(family)
    _put_variable(edit, env, address, "autodetect", after=None)
    entries = [e for e in env if e.get("name") == variable]
    if method == "first-found" and len(entries) < 2:
        value = (entries or [{}])[0]
        if not value.get("valueFrom") and value.get("value") in (None, "", method):
            return  # absent and empty mean first-found
    _put_variable(edit, env, variable, method, after=address)


def _put_variable(edit: Edit, env: list[Obj], name: str, value: str, after: str | None) -> None:
    wanted = {"name": name, "value": value}
    places = [n for n, entry in enumerate(env) if entry.get("name") == name]
    if [env[n] for n in places] == [wanted]:
        return
    before = [copy.deepcopy(env[n]) for n in places]
    if places:
        env[places[-1]] = wanted  # the last of several is what the container sees
        for n in reversed(places[:-1]):
            del env[n]
    else:
        beside = [n for n, entry in enumerate(env) if entry.get("name") == after]
        env.insert(beside[-1] + 1 if beside else len(env), wanted)
    now = entry_text(before[-1] if before else None)
    edit.note(f"Set {name} to {value} (now {now})", f"env {name}", _shown(before), _shown([wanted]))


def _shown(entries: list[Obj]) -> Obj:
    return {"env": entries} if entries else {}


def restore_manifest_methods(edit: Edit, former: Obj) -> None:
    """Put the four variables back; absent and empty are told apart, and so is their place."""
    names = [name for family in FAMILIES for name in variables(family)]
    env = environment(edit.after)
    was = [_without_empty(entry) for entry in environment(copy.deepcopy(former))]
    before = {name: [e for e in env if e.get("name") == name] for name in names}
    target = _rejoined(env, was, names)
    for name in names:
        old = [e for e in was if e.get("name") == name]
        if not same(before[name], old):
            text = entry_text(old[-1] if old else None)
            now = entry_text(before[name][-1] if before[name] else None)
            action = f"Put {name} back to {text} (now {now})"
            edit.note(action, f"env {name}", _shown(copy.deepcopy(before[name])), _shown(old))
    env[:] = target


def _rejoined(env: list[Obj], was: list[Obj], names: list[str]) -> list[Obj]:
    """Return the other variables as they are now, with ours as they were, and where."""
    found = [e for e in env if e.get("name") not in names]
    for place, entry in enumerate(was):
        if entry.get("name") in names:
            found.insert(min(place, len(found)), entry)
    return found


def _without_empty(entry: Obj) -> Obj:
    """The API server keeps no empty value: such a variable has a name only."""
    return {k: v for k, v in entry.items() if not (k == "value" and v == "")}
